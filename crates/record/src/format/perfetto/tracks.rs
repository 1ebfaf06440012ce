//! Which slice goes on which track.

use std::collections::HashMap;

use crate::time::WallNs;

/// Tracks remembered. Beyond it, those that ended first are forgotten: should their connection be used again, it
/// gets a new track.
const MOST_TRACKS: usize = 65_536;
/// Numbers of tracks begin here, above those of processes.
const FIRST_TRACK: u32 = 1 << 20;

/// What a slice belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A connection, by its number in the run.
    Connection(u64),
    /// The requests of a shard that wait for a connection.
    Waiting(u32),
    /// The requests of a shard that never had one.
    Unconnected(u32),
}

/// A track, as it is given to a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Track {
    /// Its number, unique in the file.
    pub id: u32,
    /// How many tracks its place had before it.
    pub beside: usize,
    /// It has no name yet.
    pub is_new: bool,
}

#[derive(Debug)]
struct Used {
    id: u32,
    until: WallNs,
}

/// The tracks in use, and until when.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    places: HashMap<Place, Vec<Used>>,
    count: usize,
    made: u32,
}

impl Tracks {
    /// Whether the first track of a place is free from `start` on.
    pub(super) fn is_free(&self, place: Place, start: WallNs) -> bool {
        self.places.get(&place).and_then(|tracks| tracks.first()).is_none_or(|track| track.until <= start)
    }

    /// The first track of the place that is free from `start` on, taken until `end`; a new one if none is.
    pub(super) fn take(&mut self, place: Place, start: WallNs, end: WallNs) -> Track {
        let tracks = self.places.entry(place).or_default();
        if let Some((beside, track)) = tracks.iter_mut().enumerate().find(|(_, track)| track.until <= start) {
            track.until = end;
            return Track { id: track.id, beside, is_new: false };
        }
        let (id, beside) = (FIRST_TRACK.saturating_add(self.made), tracks.len());
        tracks.push(Used { id, until: end });
        self.made = self.made.saturating_add(1);
        self.count += 1;
        if self.count > MOST_TRACKS {
            self.forget_half();
        }
        Track { id, beside, is_new: true }
    }

    fn forget_half(&mut self) {
        let mut ends: Vec<WallNs> = self.places.values().flatten().map(|track| track.until).collect();
        let middle = ends.len() / 2;
        let (_, median, _) = ends.select_nth_unstable(middle);
        let median = *median;
        self.places.retain(|_, tracks| {
            tracks.retain(|track| track.until > median);
            !tracks.is_empty()
        });
        self.count = self.places.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_gets_another_track_only_when_slices_would_cross() {
        let mut tracks = Tracks::default();
        let place = Place::Connection(1);
        assert!(tracks.is_free(place, WallNs(0)));
        let first = tracks.take(place, WallNs(0), WallNs(10));
        assert!(first.is_new && !tracks.is_free(place, WallNs(9)) && tracks.is_free(place, WallNs(10)));
        let second = tracks.take(place, WallNs(5), WallNs(20));
        assert!(second.is_new && second.id != first.id && second.beside == 1);
        assert_eq!(tracks.take(place, WallNs(10), WallNs(30)), Track { is_new: false, ..first });
        assert_ne!(tracks.take(Place::Waiting(0), WallNs(40), WallNs(50)).id, first.id);
    }

    #[test]
    fn memory_is_bounded_and_connections_in_use_are_kept() {
        let mut tracks = Tracks::default();
        for connection in 0..3 * MOST_TRACKS as u64 {
            tracks.take(Place::Connection(connection), WallNs(connection), WallNs(connection + 1));
            assert!(tracks.count <= MOST_TRACKS);
        }
        let last = 3 * MOST_TRACKS as u64 - 1;
        assert!(!tracks.is_free(Place::Connection(last), WallNs(last)));
    }
}
