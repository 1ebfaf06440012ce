//! `inputs.json`: every session of the dataset with the bodies it sends (FORMATS 1).
//!
//! Written and read one session at a time; a dataset may be larger than memory.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json_text;
use super::records::ReadError;
use crate::analysis::source;
use crate::request::RequestRecord;

/// One session and the bodies of its turns, without the answers that come between them.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionPayloads {
    /// `conversation_id` of the records.
    #[serde(default)]
    pub session_id: Option<String>,
    /// One body for each turn, as it is sent.
    #[serde(default)]
    pub payloads: Vec<Box<RawValue>>,
}

/// Writes the file session by session. Unless it is finished, the file is not valid JSON.
#[derive(Debug)]
pub struct InputsWriter<W: Write> {
    writer: W,
    text: Vec<u8>,
    sessions: u64,
}

impl<W: Write> InputsWriter<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// The writer's own.
    pub fn new(mut writer: W) -> io::Result<Self> {
        writer.write_all(b"{\n  \"data\": [")?;
        Ok(InputsWriter { writer, text: Vec::with_capacity(4096), sessions: 0 })
    }

    /// Adds a session with the bodies of its turns.
    ///
    /// # Errors
    /// The writer's own.
    pub fn session<'a>(
        &mut self,
        session_id: &str,
        payloads: impl IntoIterator<Item = &'a RawValue>,
    ) -> io::Result<()> {
        let text = &mut self.text;
        text.clear();
        text.extend_from_slice(if self.sessions == 0 { b"\n    {\n" } else { b",\n    {\n" });
        text.extend_from_slice(b"      \"session_id\": ");
        serde_json::to_writer(&mut *text, session_id)?;
        text.extend_from_slice(b",\n      \"payloads\": [");
        let mut empty = true;
        for payload in payloads {
            text.extend_from_slice(if empty { b"\n        " } else { b",\n        " });
            json_text::indent(payload, 4, text);
            empty = false;
        }
        text.extend_from_slice(if empty { b"]\n    }" } else { b"\n      ]\n    }" });
        self.sessions += 1;
        self.writer.write_all(text)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The writer's own.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.write_all(if self.sessions == 0 { b"]\n}" } else { b"\n  ]\n}" })?;
        self.writer.flush()?;
        Ok(self.writer)
    }
}

/// Reads the file and hands over its sessions one at a time, in their order.
///
/// # Errors
/// What is wrong with the text, or why it cannot be read.
pub fn read_sessions<R: Read>(reader: R, visit: impl FnMut(SessionPayloads)) -> serde_json::Result<()> {
    struct Data<F>(F);
    impl<'de, F: FnMut(SessionPayloads)> DeserializeSeed<'de> for Data<F> {
        type Value = ();
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_seq(self)
        }
    }
    impl<'de, F: FnMut(SessionPayloads)> Visitor<'de> for Data<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list of sessions")
        }
        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
            while let Some(session) = seq.next_element()? {
                (self.0)(session);
            }
            Ok(())
        }
    }
    struct File<F>(F);
    impl<'de, F: FnMut(SessionPayloads)> Visitor<'de> for File<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("an object with `data`, a list of sessions")
        }
        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            let mut found = false;
            while let Some(key) = map.next_key::<String>()? {
                if key == "data" {
                    found = true;
                    map.next_value_seed(Data(&mut self.0))?;
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if found { Ok(()) } else { Err(serde::de::Error::missing_field("data")) }
        }
    }
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(reader));
    serde::Deserializer::deserialize_map(&mut deserializer, File(visit))?;
    deserializer.end()
}

/// A whole `inputs.json` in memory, to look up what a record had sent.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    sessions: Vec<SessionPayloads>,
    by_id: HashMap<String, usize>,
}

impl Inputs {
    /// Reads a file; gzip and zstd are recognised.
    ///
    /// # Errors
    /// [`ReadError::Source`] when it cannot be opened, [`ReadError::Io`] when it is no `inputs.json`.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let mut inputs = Inputs::default();
        let named = |error: serde_json::Error| ReadError::Io {
            name: path.display().to_string(),
            source: error.into(),
        };
        read_sessions(source::open(path)?, |session| inputs.push(session)).map_err(named)?;
        Ok(inputs)
    }

    fn push(&mut self, session: SessionPayloads) {
        if let Some(id) = &session.session_id {
            self.by_id.entry(id.clone()).or_insert(self.sessions.len());
        }
        self.sessions.push(session);
    }

    /// All sessions, in the order of the dataset.
    pub fn sessions(&self) -> &[SessionPayloads] {
        &self.sessions
    }

    /// A session by its id.
    pub fn session(&self, session_id: &str) -> Option<&SessionPayloads> {
        self.by_id.get(session_id).map(|&place| &self.sessions[place])
    }

    /// The body that a record's turn adds: what it sent, less the history of earlier turns.
    pub fn payload_of(&self, record: &RequestRecord) -> Option<&RawValue> {
        let session = self.session(record.metadata.conversation_id.as_deref()?)?;
        let turn = record.metadata.turn_index.unwrap_or(0) as usize;
        session.payloads.get(turn).map(|payload| &**payload)
    }

    /// Every record with its input.
    pub fn join<'a, I>(
        &'a self,
        records: I,
    ) -> impl Iterator<Item = (RequestRecord, Option<&'a RawValue>)> + 'a
    where
        I: IntoIterator<Item = RequestRecord>,
        I::IntoIter: 'a,
    {
        records.into_iter().map(|record| {
            let payload = self.payload_of(&record);
            (record, payload)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::records::RecordReader;

    fn fixture(file: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/aiperf-run-streaming").join(file)
    }

    #[test]
    fn our_layout_is_that_of_aiperf_byte_for_byte() {
        let theirs = std::fs::read_to_string(fixture("inputs.json")).unwrap();
        let inputs = Inputs::open(&fixture("inputs.json")).unwrap();
        let mut writer = InputsWriter::new(Vec::new()).unwrap();
        for session in inputs.sessions() {
            let id = session.session_id.as_deref().unwrap();
            writer.session(id, session.payloads.iter().map(|payload| &**payload)).unwrap();
        }
        let ours = String::from_utf8(writer.finish().unwrap()).unwrap();
        assert_eq!(ours, theirs.trim_end());
    }

    #[test]
    fn records_find_their_input() {
        let inputs = Inputs::open(&fixture("inputs.json")).unwrap();
        let records = RecordReader::open(&fixture("profile_export.jsonl")).unwrap().tolerant();
        let joined: Vec<_> = inputs.join(records).collect();
        assert_eq!(joined.len(), 40);
        for (record, payload) in joined {
            let session = inputs.session(record.metadata.conversation_id.as_deref().unwrap()).unwrap();
            assert_eq!(payload.unwrap().get(), session.payloads[0].get());
        }
    }

    #[test]
    fn an_empty_dataset_and_odd_ids_are_valid_json() {
        let empty = InputsWriter::new(Vec::new()).unwrap().finish().unwrap();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&empty).unwrap(),
            serde_json::json!({"data": []})
        );
        let mut writer = InputsWriter::new(Vec::new()).unwrap();
        writer.session("a \"quoted\" id", []).unwrap();
        let text = writer.finish().unwrap();
        let mut sessions = Vec::new();
        read_sessions(&text[..], |session| sessions.push(session)).unwrap();
        assert_eq!(sessions[0].session_id.as_deref(), Some("a \"quoted\" id"));
    }

    #[test]
    fn what_is_no_inputs_file_is_refused() {
        let error = |text: &str| read_sessions(text.as_bytes(), |_| {}).unwrap_err().to_string();
        assert!(error("[]").contains("an object with `data`"));
        assert!(error("{\"dota\": []}").contains("missing field `data`"));
        assert!(error("{\"data\": [{\"payloads\": 3}]}").contains("line 1"));
    }
}
