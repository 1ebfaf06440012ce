//! Packs rendered events into HTTP/1.1 chunks and writes.

use crate::config::{Flush, Wire};
use crate::events::EventBuf;

/// Reusable buffers of one response being written.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Rendered, not packed.
    pub events: EventBuf,
    /// Packed, not written.
    pub out: Vec<u8>,
    /// Where the writes of `out` end.
    pub cuts: Vec<Cut>,
}

/// One write of packed bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Offset after its last byte.
    pub end: usize,
    /// Tokens whose event ends in it.
    pub tokens: u32,
    /// Events that end in it.
    pub events: u32,
    /// When the last of them was due.
    pub due_ns: u64,
}

impl Scratch {
    /// Forgets everything; gives back memory beyond what common responses need.
    pub fn reset(&mut self) {
        const KEEP: usize = 256 << 10;
        self.events.clear();
        self.out.clear();
        self.cuts.clear();
        self.events.bytes.shrink_to(KEEP);
        self.out.shrink_to(KEEP);
    }

    /// Moves the rendered events behind what is packed already, as chunks of a chunked body.
    /// `last` adds the chunk that ends the body.
    pub fn pack(&mut self, wire: &Wire, last: bool) {
        let per_event = wire.flush == Flush::PerEvent;
        let mut start = 0;
        for group in self.events.marks.chunks(wire.events_per_chunk) {
            let Some(end) = group.last().map(|mark| mark.end) else {
                break;
            };
            let payload = &self.events.bytes[start..end];
            start = end;
            let due_ns = group.last().map_or(0, |mark| mark.due_ns);
            let piece_len = wire.chunk_bytes.unwrap_or(payload.len()).max(1);
            let pieces = payload.len().div_ceil(piece_len);
            for (place, piece) in payload.chunks(piece_len).enumerate() {
                push_chunk(&mut self.out, piece);
                if per_event && place + 1 < pieces {
                    self.cuts.push(Cut { end: self.out.len(), due_ns, ..Cut::default() });
                }
            }
            let mut cut = Cut {
                end: self.out.len(),
                tokens: group.iter().map(|mark| mark.tokens).sum(),
                events: group.len() as u32,
                due_ns,
            };
            match self.cuts.last_mut() {
                Some(before) if !per_event => {
                    cut.tokens += before.tokens;
                    cut.events += before.events;
                    *before = cut;
                }
                _ => self.cuts.push(cut),
            }
        }
        self.events.clear();
        if last {
            self.out.extend_from_slice(b"0\r\n\r\n");
            self.cover();
        }
    }

    /// Makes the last write reach the end of what is packed.
    pub fn cover(&mut self) {
        match self.cuts.last_mut() {
            Some(cut) => cut.end = self.out.len(),
            None => self.cuts.push(Cut { end: self.out.len(), ..Cut::default() }),
        }
    }

    /// Ends a write here, so that what follows is written by itself.
    pub fn cut_here(&mut self) {
        self.cuts.push(Cut { end: self.out.len(), ..Cut::default() });
    }
}

fn push_chunk(out: &mut Vec<u8>, payload: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - payload.len().leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(HEX[payload.len() >> (place * 4) & 15]);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventMark;

    fn packed(wire: &Wire, events: &[&str], last: bool) -> (String, Vec<Cut>) {
        let mut scratch = Scratch::default();
        for event in events {
            scratch.events.bytes.extend_from_slice(event.as_bytes());
            scratch.events.marks.push(EventMark { end: scratch.events.bytes.len(), tokens: 1, due_ns: 5 });
        }
        scratch.pack(wire, last);
        (String::from_utf8(scratch.out).expect("ascii"), scratch.cuts)
    }

    #[test]
    fn one_chunk_and_one_write_per_event() {
        let (out, cuts) = packed(&Wire::default(), &["abc", "0123456789abcdef0"], true);
        assert_eq!(out, "3\r\nabc\r\n11\r\n0123456789abcdef0\r\n0\r\n\r\n");
        assert_eq!(cuts.iter().map(|cut| cut.end).collect::<Vec<_>>(), [8, out.len()]);
        assert!(cuts.iter().all(|cut| (cut.tokens, cut.events, cut.due_ns) == (1, 1, 5)));
    }

    #[test]
    fn coalesced_writes_keep_the_chunks() {
        let wire = Wire { flush: Flush::Coalesce, events_per_chunk: 2, ..Wire::default() };
        let (out, cuts) = packed(&wire, &["a", "b", "c"], false);
        assert_eq!(out, "2\r\nab\r\n1\r\nc\r\n");
        assert_eq!(cuts, [Cut { end: out.len(), tokens: 3, events: 3, due_ns: 5 }]);
    }

    #[test]
    fn split_chunks_count_the_event_once() {
        let wire = Wire { chunk_bytes: Some(2), ..Wire::default() };
        let (out, cuts) = packed(&wire, &["abcde"], false);
        assert_eq!(out, "2\r\nab\r\n2\r\ncd\r\n1\r\ne\r\n");
        assert_eq!(cuts.iter().map(|cut| cut.tokens).collect::<Vec<_>>(), [0, 0, 1]);
    }
}
