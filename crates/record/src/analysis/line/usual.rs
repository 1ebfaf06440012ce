//! The usual form of a line, read without serde: no blanks, no escapes, fields of their own types, keys in the order of
//! the lines before, as tokmeter and AIPerf write it. Anything else gives `None`, and serde reads the line and judges it.
//!
//! Whatever is read here, serde reads alike; a property test holds both beside each other.

mod cursor;
mod order;

use std::borrow::Cow;

use self::cursor::Cursor;
use self::order::Order;
use super::{Chunk, ConnectionPart, ErrorPart, Line, MetadataPart, MetricsPart, Text, TracePart, Wanted};

/// In what order the keys of the large parts came so far, and what is done with their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    metadata: Order<ReadMetadata>,
    /// With the slot of each metric that is wanted.
    metrics: Order<Option<usize>>,
    trace: Order<ReadTrace>,
}

type ReadMetadata = for<'a> fn(&mut Cursor<'a>, &mut MetadataPart<'a>) -> Option<()>;
type ReadTrace = for<'a> fn(&mut Cursor<'a>, &mut TracePart<'a>) -> Option<()>;

/// Reads a line that has the usual form.
pub(super) fn line<'a>(text: &'a str, wanted: &Wanted, layout: &mut Layout) -> Option<Line<'a>> {
    let mut cursor = Cursor::new(text);
    let (mut metadata, mut metrics, mut trace, mut error) = (None, None, None, None);
    cursor.object(|cursor, key| match key {
        "metadata" => once(&mut metadata, metadata_part(cursor, &mut layout.metadata)),
        "metrics" => once(&mut metrics, metrics_part(cursor, wanted, &mut layout.metrics)),
        "trace_data" => once(&mut trace, trace_part(cursor, &mut layout.trace)),
        "error" => once(&mut error, error_part(cursor)),
        _ => cursor.skip(),
    })?;
    cursor.end()?;
    Some(Line { metadata: metadata?, metrics: metrics.unwrap_or_default(), trace, error })
}

/// The value of a metric's object whose value is one number.
pub(super) fn scalar(object: &str) -> Option<f64> {
    let mut cursor = Cursor::new(object);
    let number = scalar_entry(&mut cursor)?;
    cursor.end()?;
    number.parse().ok()
}

/// `{"value":NUMBER,"unit":"UNIT"}`; gives the number.
fn scalar_entry<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    cursor.literal("{\"value\":")?;
    let number = cursor.number()?;
    cursor.literal(",\"unit\":")?;
    cursor.string()?;
    cursor.literal("}")?;
    Some(number)
}

/// Puts a field in its place, which is empty unless the object names it twice.
fn once<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    let value = value?;
    place.replace(value).is_none().then_some(())
}

fn text<'a>(cursor: &mut Cursor<'a>) -> Option<Option<Text<'a>>> {
    cursor.string().map(|text| Some(Text(Cow::Borrowed(text))))
}

/// A whole number that fits its field.
fn whole<T: TryFrom<u64>>(cursor: &mut Cursor) -> Option<Option<T>> {
    T::try_from(cursor.whole()?).ok().map(Some)
}

/// What `match` gives for the keys of a part: a function that reads the value into its field.
macro_rules! fields {
    ($key:expr, $($name:ident: $read:expr,)*) => {
        match $key {
            $(stringify!($name) => |cursor, part| Some(part.$name = $read(cursor)?),)*
            _ => |cursor, _| cursor.skip(),
        }
    };
}

fn metadata_part<'a>(cursor: &mut Cursor<'a>, order: &mut Order<ReadMetadata>) -> Option<MetadataPart<'a>> {
    let mut part = MetadataPart::default();
    cursor.object_in_order(order, metadata_field, |cursor, read| read(cursor, &mut part))?;
    Some(part)
}

fn metadata_field(key: &str) -> ReadMetadata {
    fields! { key,
        x_request_id: text,
        conversation_id: text,
        benchmark_phase: text,
        session_num: whole,
        turn_index: whole,
        credit_issued_ns: whole,
        request_start_ns: whole,
        request_end_ns: whole,
        was_cancelled: Cursor::boolean,
    }
}

fn metrics_part<'a>(
    cursor: &mut Cursor<'a>,
    wanted: &Wanted,
    order: &mut Order<Option<usize>>,
) -> Option<MetricsPart<'a>> {
    let mut raw = vec![None; wanted.slots];
    cursor.object_in_order(
        order,
        |tag| wanted.slot(tag),
        |cursor, slot| {
            let entry = cursor.attempt(|cursor| scalar_entry(cursor).map(drop)).or_else(|| cursor.raw())?;
            if let Some(slot) = slot {
                raw[slot] = Some(entry);
            }
            Some(())
        },
    )?;
    Some(MetricsPart { raw })
}

fn trace_part<'a>(cursor: &mut Cursor<'a>, order: &mut Order<ReadTrace>) -> Option<TracePart<'a>> {
    let mut part = TracePart::default();
    cursor.object_in_order(order, trace_field, |cursor, read| read(cursor, &mut part))?;
    Some(part)
}

fn trace_field(key: &str) -> ReadTrace {
    fields! { key,
        trace_type: text,
        request_send_start_ns: whole,
        request_send_end_ns: whole,
        request_bytes_total: whole,
        request_chunks: chunks,
        response_status_code: whole,
        response_receive_start_ns: whole,
        response_receive_end_ns: whole,
        response_chunks: chunks,
        response_chunks_count: whole,
        response_bytes_total: whole,
        error_timestamp_ns: whole,
        connection_pool_wait_start_ns: whole,
        connection_pool_wait_end_ns: whole,
        tcp_connect_start_ns: whole,
        tcp_connect_end_ns: whole,
        tls_start_ns: whole,
        tls_end_ns: whole,
        connection_reused_ns: whole,
        dns_cache_hit_ns: whole,
        dns_lookup_start_ns: whole,
        dns_lookup_end_ns: whole,
        connection_request_number: whole,
        connection: connection_part,
        client_recv_lag_ns: whole,
        attempts: no_attempts,
    }
}

/// Attempts that failed are rare, and are left to serde.
fn no_attempts<T>(cursor: &mut Cursor) -> Option<Vec<T>> {
    cursor.literal("[]").map(|()| Vec::new())
}

fn connection_part(cursor: &mut Cursor) -> Option<Option<ConnectionPart>> {
    let mut part = ConnectionPart::default();
    cursor.object(|cursor, key| match key {
        "connection_id" => once(&mut part.connection_id, cursor.whole()),
        _ => cursor.skip(),
    })?;
    Some(Some(part))
}

fn error_part<'a>(cursor: &mut Cursor<'a>) -> Option<ErrorPart<'a>> {
    let mut part = ErrorPart::default();
    cursor.object(|cursor, key| match key {
        "code" => once(&mut part.code, whole(cursor)?),
        "type" => once(&mut part.kind, text(cursor)?),
        _ => cursor.skip(),
    })?;
    Some(part)
}

fn chunks(cursor: &mut Cursor) -> Option<Vec<Chunk>> {
    // Room for a short answer: most lists never grow.
    let mut chunks = Vec::with_capacity(32);
    cursor.array(|cursor| {
        cursor.literal("[")?;
        let at = cursor.whole()?;
        cursor.literal(",")?;
        let bytes = cursor.whole()?;
        cursor.literal("]")?;
        chunks.push(Chunk(at, bytes));
        Some(())
    })?;
    Some(chunks)
}

#[cfg(test)]
mod tests;
