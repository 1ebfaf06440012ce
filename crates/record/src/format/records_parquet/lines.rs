//! A Parquet file of records, read as the lines of `profile_export.jsonl`.

use std::fs::File;
use std::io::{self, Read};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};

use super::{ERROR_PREFIX, OTHER_METRICS, TRACE_DATA, into_io, metadata};
use crate::metric::MetricId;

/// The four bytes a Parquet file begins with.
pub const MAGIC: [u8; 4] = *b"PAR1";

/// Gives the records of a Parquet file as JSON lines, a row at a time; also of files that another program wrote from
/// ours, with columns left out or in another order.
pub struct Lines {
    rows: RowIter<'static>,
    line: Vec<u8>,
    place: usize,
}

impl Lines {
    /// Opens a file.
    ///
    /// # Errors
    /// A file that is no Parquet file, is damaged, or holds no records.
    pub fn new(file: File) -> io::Result<Self> {
        let reader = SerializedFileReader::new(file).map_err(into_io)?;
        let schema = reader.metadata().file_metadata().schema();
        if !schema.get_fields().iter().any(|field| field.name() == "request_start_ns") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a Parquet file without the column request_start_ns holds no records",
            ));
        }
        Ok(Lines { rows: RowIter::from_file_into(Box::new(reader)), line: Vec::new(), place: 0 })
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.place == self.line.len() {
            self.line.clear();
            self.place = 0;
            match self.rows.next() {
                Some(row) => write_line(&mut self.line, &row.map_err(into_io)?)?,
                None => return Ok(0),
            }
        }
        (&self.line[self.place..]).read(buffer).inspect(|read| self.place += read)
    }
}

/// A JSON object being written.
struct Object {
    bytes: Vec<u8>,
}

impl Object {
    fn new() -> Self {
        Object { bytes: Vec::new() }
    }

    fn key(&mut self, name: &str) -> serde_json::Result<()> {
        if !self.bytes.is_empty() {
            self.bytes.push(b',');
        }
        serde_json::to_writer(&mut self.bytes, name)?;
        self.bytes.push(b':');
        Ok(())
    }
}

fn write_line(line: &mut Vec<u8>, row: &Row) -> io::Result<()> {
    let (mut metadata, mut metrics, mut error) = (Object::new(), Object::new(), Object::new());
    let mut trace = None;
    for (name, field) in row.get_column_iter() {
        match (name.as_str(), field) {
            (_, Field::Null) => {}
            (TRACE_DATA, Field::Str(text)) => trace = Some(text),
            (OTHER_METRICS, Field::Str(text)) => others(&mut metrics, text)?,
            (name, field) if metadata::is_metadata(name) => {
                metadata.key(name)?;
                value(&mut metadata.bytes, field)?;
            }
            ("error_cause_chain", Field::Str(text)) => {
                let chain: Vec<String> = serde_json::from_str(text)?;
                error.key("cause_chain")?;
                serde_json::to_writer(&mut error.bytes, &chain)?;
            }
            (name, field) => match (MetricId::from_tag(name), name.strip_prefix(ERROR_PREFIX)) {
                (Some(id), _) => {
                    metrics.key(name)?;
                    metrics.bytes.extend_from_slice(b"{\"value\":");
                    value(&mut metrics.bytes, field)?;
                    metrics.bytes.extend_from_slice(b",\"unit\":");
                    serde_json::to_writer(&mut metrics.bytes, id.def().unit)?;
                    metrics.bytes.push(b'}');
                }
                (None, Some(name)) => {
                    error.key(name)?;
                    value(&mut error.bytes, field)?;
                }
                // A copy of a part of the trace, or a column that someone added.
                (None, None) => {}
            },
        }
    }
    line.extend_from_slice(b"{\"metadata\":{");
    line.extend_from_slice(&metadata.bytes);
    line.extend_from_slice(b"},\"metrics\":{");
    line.extend_from_slice(&metrics.bytes);
    line.push(b'}');
    if let Some(trace) = trace {
        line.extend_from_slice(b",\"trace_data\":");
        // Within JSON text a line end is white space: it must not end our line.
        line.extend(trace.bytes().map(|byte| if byte == b'\n' { b' ' } else { byte }));
    }
    if !error.bytes.is_empty() {
        line.extend_from_slice(b",\"error\":{");
        line.extend_from_slice(&error.bytes);
        line.push(b'}');
    }
    line.extend_from_slice(b"}\n");
    Ok(())
}

/// Adds the members of a JSON object.
fn others(metrics: &mut Object, text: &str) -> io::Result<()> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    for (name, member) in &members {
        metrics.key(name)?;
        serde_json::to_writer(&mut metrics.bytes, member)?;
    }
    Ok(())
}

/// A value as JSON; what a record cannot hold is null.
fn value(out: &mut Vec<u8>, field: &Field) -> io::Result<()> {
    match field {
        Field::Bool(value) => serde_json::to_writer(out, value)?,
        Field::Byte(value) => serde_json::to_writer(out, value)?,
        Field::Short(value) => serde_json::to_writer(out, value)?,
        Field::Int(value) => serde_json::to_writer(out, value)?,
        Field::Long(value) => serde_json::to_writer(out, value)?,
        Field::UByte(value) => serde_json::to_writer(out, value)?,
        Field::UShort(value) => serde_json::to_writer(out, value)?,
        Field::UInt(value) => serde_json::to_writer(out, value)?,
        Field::ULong(value) => serde_json::to_writer(out, value)?,
        Field::Float(value) => serde_json::to_writer(out, value)?,
        Field::Double(value) => serde_json::to_writer(out, value)?,
        Field::Str(value) => serde_json::to_writer(out, value)?,
        Field::ListInternal(list) => {
            out.push(b'[');
            for (index, element) in list.elements().iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                value(out, element)?;
            }
            out.push(b']');
        }
        _ => out.extend_from_slice(b"null"),
    }
    Ok(())
}
