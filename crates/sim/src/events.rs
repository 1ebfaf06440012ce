//! Server-sent events in any dialect the standard allows, and some that it does not.

use crate::config::{LineEnd, Wire};

/// Rendered events of one stream that are not yet framed.
#[derive(Debug, Default)]
pub struct EventBuf {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where each event ends.
    pub marks: Vec<EventMark>,
}

/// The end of an event in [`EventBuf::bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventMark {
    /// Offset after the event.
    pub end: usize,
    /// Tokens it carries.
    pub tokens: u32,
    /// When it was due.
    pub due_ns: u64,
}

impl EventBuf {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.marks.clear();
    }

    /// Nothing rendered.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }
}

/// Turns payloads into events of one stream.
#[derive(Debug, Clone)]
pub struct EventWriter {
    line_end: LineEnd,
    colon: &'static [u8],
    bom: bool,
    split: bool,
    lines: bool,
    names: bool,
    ping_every: u32,
    written: u32,
    line_ends: u32,
    due_ns: u64,
}

impl EventWriter {
    /// A writer at the start of a stream.
    pub fn new(wire: &Wire) -> Self {
        Self {
            line_end: wire.line_end,
            colon: if wire.no_space { b":" } else { b": " },
            bom: wire.bom,
            split: wire.split_data_lines,
            lines: wire.event_lines,
            names: !wire.no_event_lines,
            ping_every: wire.ping_every_events.unwrap_or(0),
            written: 0,
            line_ends: 0,
            due_ns: 0,
        }
    }

    /// The following events are due at this instant.
    pub fn due_at(&mut self, due_ns: u64) {
        self.due_ns = due_ns;
    }

    /// Adds an event whose payload is written by `payload`: one line of bytes.
    pub fn event(
        &mut self,
        buf: &mut EventBuf,
        name: Option<&str>,
        tokens: u32,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        let out = &mut buf.bytes;
        if self.bom {
            self.bom = false;
            out.extend_from_slice("\u{feff}".as_bytes());
        }
        if self.ping_every > 0 && self.written.is_multiple_of(self.ping_every) {
            out.extend_from_slice(b": ping");
            self.end_line(out);
            self.end_line(out);
        }
        let name = name.filter(|_| self.names).or(self.lines.then_some("message"));
        if let Some(name) = name {
            self.field(out, b"event", name.as_bytes());
        }
        if self.lines {
            self.field(out, b"id", self.written.to_string().as_bytes());
        }
        out.extend_from_slice(b"data");
        out.extend_from_slice(self.colon);
        let start = out.len();
        payload(out);
        if self.split && out.get(start) == Some(&b'{') {
            // A JSON object may be broken after its brace: the reader joins the lines with LF.
            let rest = out.split_off(start + 1);
            self.end_line(out);
            out.extend_from_slice(b"data");
            out.extend_from_slice(self.colon);
            out.extend_from_slice(&rest);
        }
        self.end_line(out);
        self.end_line(out);
        self.written += 1;
        buf.marks.push(EventMark { end: buf.bytes.len(), tokens, due_ns: self.due_ns });
    }

    /// Takes the blank line off the last event of `buf`.
    pub fn drop_final_blank_line(&self, buf: &mut EventBuf) {
        let Some(mark) = buf.marks.last_mut() else {
            return;
        };
        let end = if buf.bytes.ends_with(b"\r\n") { 2 } else { 1 };
        buf.bytes.truncate(buf.bytes.len().saturating_sub(end));
        mark.end = buf.bytes.len();
    }

    fn field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        out.extend_from_slice(name);
        out.extend_from_slice(self.colon);
        out.extend_from_slice(value);
        self.end_line(out);
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        const MIXED: [&[u8]; 5] = [b"\n", b"\r\n", b"\r", b"\r", b"\r\n"];
        let end = match self.line_end {
            LineEnd::Lf => b"\n".as_slice(),
            LineEnd::Crlf => b"\r\n",
            LineEnd::Cr => b"\r",
            LineEnd::Mixed => {
                let next = MIXED[self.line_ends as usize % MIXED.len()];
                // CR then LF would be one line end.
                if out.last() == Some(&b'\r') && next == b"\n" { b"\r" } else { next }
            }
        };
        self.line_ends = self.line_ends.wrapping_add(1);
        out.extend_from_slice(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(wire: &Wire, payloads: &[&str]) -> Vec<u8> {
        let mut writer = EventWriter::new(wire);
        let mut buf = EventBuf::default();
        for payload in payloads {
            writer.event(&mut buf, None, 0, |out| out.extend_from_slice(payload.as_bytes()));
        }
        assert_eq!(buf.marks.last().map(|mark| mark.end), Some(buf.bytes.len()));
        buf.bytes
    }

    /// The reading half of the standard, as simple as it can be.
    fn read(bytes: &[u8]) -> Vec<String> {
        let text = std::str::from_utf8(bytes).expect("utf-8");
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        text.split("\n\n")
            .filter_map(|event| {
                let data: Vec<&str> = event
                    .lines()
                    .filter_map(|line| line.strip_prefix("data:"))
                    .map(|value| value.strip_prefix(' ').unwrap_or(value))
                    .collect();
                (!data.is_empty()).then(|| data.join("\n"))
            })
            .collect()
    }

    #[test]
    fn every_dialect_reads_back_the_same() {
        let payloads = [r#"{"a":1}"#, "[DONE]", r#"{"b":" x"}"#, "[DONE]", r#"{"c":2}"#, "x", "y"];
        for (_, line_end) in LineEnd::ALL {
            for bits in 0..32u8 {
                let wire = Wire {
                    line_end,
                    no_space: bits & 1 > 0,
                    bom: bits & 2 > 0,
                    split_data_lines: bits & 4 > 0,
                    event_lines: bits & 8 > 0,
                    ping_every_events: (bits & 16 > 0).then_some(2),
                    ..Wire::default()
                };
                let got: Vec<String> =
                    read(&render(&wire, &payloads)).iter().map(|p| p.replace("{\n", "{")).collect();
                assert_eq!(got, payloads, "{wire:?}");
            }
        }
    }
}
