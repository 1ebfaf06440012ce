//! How much of a body is kept: all of it together, and of a stream each event by itself.

use memchr::memmem;
use tokmeter_record::{ErrorClass, Side};

use crate::config::Limits;
use crate::failure::Failure;

/// A line end and the beginning of another: a blank line in each of the standard's line ends, mixed or not.
const BLANK_LINES: [&[u8]; 3] = [b"\n\n", b"\r\r", b"\n\r"];

/// Watches a body grow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bound {
    /// The body is an event stream.
    pub(crate) events: bool,
    /// An event begins here, or later.
    event_start: usize,
}

impl Bound {
    /// Whether `body` may grow by `more` bytes; `body` holds what came before them.
    pub(crate) fn admit(&mut self, body: &[u8], more: usize, limits: &Limits) -> Result<(), Failure> {
        let length = body.len().saturating_add(more);
        if length > limits.max_body_bytes {
            return Err(body_too_large(limits.max_body_bytes));
        }
        if self.events && length - self.event_start > limits.max_event_bytes {
            // Looked for only now and from the end: ordinary streams cost one comparison for each read.
            let unread = &body[self.event_start..];
            let last =
                BLANK_LINES.iter().filter_map(|end| Some(memmem::rfind(unread, end)? + end.len())).max();
            self.event_start += last.unwrap_or(0);
            if length - self.event_start > limits.max_event_bytes {
                return Err(event_too_large(limits.max_event_bytes));
            }
        }
        Ok(())
    }
}

/// The response is larger than we take.
pub(crate) fn body_too_large(limit: usize) -> Failure {
    Failure::new(
        ErrorClass::LimitExceeded,
        Side::Server,
        format!("the response body exceeds the limit of {limit} bytes"),
    )
}

fn event_too_large(limit: usize) -> Failure {
    Failure::new(
        ErrorClass::LimitExceeded,
        Side::Server,
        format!("an event of the stream exceeds the limit of {limit} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes taken of `pieces` before a limit was hit; all of them otherwise.
    fn taken(pieces: &[&[u8]], events: bool, event_bytes: usize) -> (usize, bool) {
        let limits = Limits { max_body_bytes: 1000, max_event_bytes: event_bytes, ..Limits::default() };
        let (mut bound, mut body) = (Bound { events, ..Bound::default() }, Vec::new());
        for piece in pieces {
            if let Err(failure) = bound.admit(&body, piece.len(), &limits) {
                assert_eq!((failure.class, failure.side), (ErrorClass::LimitExceeded, Side::Server));
                return (body.len(), false);
            }
            body.extend_from_slice(piece);
        }
        (body.len(), true)
    }

    #[test]
    fn events_are_bounded_each_by_itself() {
        for event in ["data: 12345\n\n", "data: 12345\r\n\r\n", "data: 12345\r\r"] {
            let event = event.as_bytes();
            assert_eq!(taken(&vec![event; 20], true, 40), (20 * event.len(), true));
            let halves: Vec<&[u8]> =
                (0..40).map(|n| if n % 2 == 0 { &event[..5] } else { &event[5..] }).collect();
            assert_eq!(taken(&halves, true, 40), (20 * event.len(), true));
        }
        assert_eq!(taken(&[b"data: 1\n\n", b"data: 2", &[b'x'; 30], &[b'x'; 30]], true, 40), (46, false));
        assert_eq!(
            taken(&[&[b'x'; 30], b"\n", &[b'x'; 30]], true, 40),
            (31, false),
            "a line end ends no event"
        );
    }

    #[test]
    fn a_document_has_no_events() {
        assert_eq!(taken(&[&[b'x'; 900], &[b'x'; 100]], false, 40), (1000, true));
        assert_eq!(taken(&[&[b'x'; 900], &[b'x'; 101]], false, 40), (900, false));
    }
}
