//! HTTP Archive 1.2 (`--export-har`): what the network panels of browsers open.
//!
//! <http://www.softwareishard.com/blog/har-12-spec/>. Optional timings that did not occur are -1, `ssl` lies
//! inside `connect`, and `time` is the sum of the others. Bodies are not part of it; cookies and secrets stay out.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::utc_time;
use crate::request::RequestRecord;
use crate::time::Instant;
use crate::trace::{Phase, TraceData};

/// Writes the file entry by entry, in the order in which requests finished. Unless it is finished, the file is
/// not valid JSON.
#[derive(Debug)]
pub struct HarWriter<W: Write> {
    writer: W,
    line: Vec<u8>,
    entries: u64,
}

impl<W: Write> HarWriter<W> {
    /// Begins the file. `version` is that of the program.
    ///
    /// # Errors
    /// The writer's own.
    pub fn new(mut writer: W, version: &str) -> io::Result<Self> {
        let creator = serde_json::json!({"name": "tokmeter", "version": version});
        write!(writer, "{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"entries\":[")?;
        Ok(HarWriter { writer, line: Vec::with_capacity(4096), entries: 0 })
    }

    /// Adds a request of any phase and outcome. A record without `trace_data` has no entry; false says so.
    ///
    /// # Errors
    /// The writer's own.
    pub fn record(&mut self, record: &RequestRecord) -> io::Result<bool> {
        let Some(trace) = &record.trace_data else { return Ok(false) };
        self.line.clear();
        self.line.extend_from_slice(if self.entries == 0 { b"\n" } else { b",\n" });
        serde_json::to_writer(&mut self.line, &entry(record, trace))?;
        self.entries += 1;
        self.writer.write_all(&self.line)?;
        Ok(true)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The writer's own.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.write_all(b"\n]}}\n")?;
        self.writer.flush()?;
        Ok(self.writer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    started_date_time: String,
    time: f64,
    request: Request<'a>,
    response: Response<'a>,
    cache: Nothing,
    timings: Timings,
    #[serde(rename = "serverIPAddress", skip_serializing_if = "Option::is_none")]
    server_ip_address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    /// Names with `_` are our own, as HAR allows.
    #[serde(rename = "_phase")]
    phase: &'static str,
    #[serde(rename = "_stampSource")]
    stamp_source: crate::trace::StampSource,
    #[serde(rename = "_error", skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    method: &'a str,
    url: String,
    http_version: String,
    cookies: [(); 0],
    headers: Vec<NameValue<'a>>,
    query_string: Vec<NameValue<'a>>,
    headers_size: i64,
    body_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    status: u16,
    status_text: &'a str,
    http_version: String,
    cookies: [(); 0],
    headers: Vec<NameValue<'a>>,
    content: Content<'a>,
    #[serde(rename = "redirectURL")]
    redirect_url: &'a str,
    headers_size: i64,
    body_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    size: u64,
    mime_type: &'a str,
}

#[derive(Serialize)]
struct NameValue<'a> {
    name: &'a str,
    value: &'a str,
}

/// `{}`
#[derive(Serialize)]
struct Nothing {}

/// Milliseconds; -1 where HAR has it for "does not apply".
#[derive(Serialize)]
struct Timings {
    blocked: f64,
    dns: f64,
    connect: f64,
    ssl: f64,
    send: f64,
    wait: f64,
    receive: f64,
}

/// Sizes that are not known.
const UNKNOWN: i64 = -1;

fn entry<'a>(record: &'a RequestRecord, trace: &'a TraceData) -> Entry<'a> {
    let connection = trace.connection.as_deref();
    let version = match connection.and_then(|connection| connection.http_version.as_deref()) {
        Some(version) => format!("HTTP/{version}"),
        None => "unknown".to_owned(),
    };
    let response_headers = trace.response_headers.as_ref();
    let mime_type = response_headers.and_then(|headers| headers.get("content-type"));
    let started = trace.start_ns.unwrap_or(record.metadata.request_start_ns);
    let (time, timings) = timings(trace);
    let url = url(trace);
    Entry {
        started_date_time: utc_time(started),
        time,
        request: Request {
            method: trace.request_method.as_deref().unwrap_or("POST"),
            http_version: version.clone(),
            cookies: [],
            headers: headers(trace.request_headers.as_ref()),
            query_string: query(trace.request_url.as_deref().unwrap_or_default()),
            url,
            headers_size: UNKNOWN,
            body_size: trace.request_bytes_total,
        },
        response: Response {
            // 0: there was no answer.
            status: trace.response_status_code.unwrap_or(0),
            status_text: trace.response_reason.as_deref().unwrap_or_default(),
            http_version: version,
            cookies: [],
            headers: headers(response_headers),
            content: Content {
                size: trace.response_bytes_total,
                mime_type: mime_type.map_or("", String::as_str),
            },
            redirect_url: "",
            headers_size: UNKNOWN,
            body_size: trace.response_bytes_total,
        },
        cache: Nothing {},
        timings,
        server_ip_address: trace.remote_ip.as_deref(),
        connection: connection.map(|connection| connection.connection_id.to_string()),
        phase: record.metadata.benchmark_phase.as_str(),
        stamp_source: trace.stamp_source,
        error: record.error.as_ref().map(|error| error.message.as_str()),
    }
}

/// The sum and its parts, ms.
fn timings(trace: &TraceData) -> (f64, Timings) {
    let mut spent = [None::<u64>; 7];
    for span in trace.spans() {
        *spent[span.phase as usize].get_or_insert(0) += span.end.since(span.start);
    }
    let [blocked, dns, tcp, tls, send, wait, receive] = spent;
    let connect = match (tcp, tls) {
        (None, None) => None,
        (tcp, tls) => Some(tcp.unwrap_or(0) + tls.unwrap_or(0)),
    };
    let sum: u64 = [blocked, dns, connect, send, wait, receive].into_iter().flatten().sum();
    let ms = |ns: u64| ns as f64 / 1e6;
    let optional = |ns: Option<u64>| ns.map_or(-1.0, ms);
    let required = |ns: Option<u64>| ms(ns.unwrap_or(0));
    let timings = Timings {
        blocked: optional(blocked),
        dns: optional(dns),
        connect: optional(connect),
        ssl: optional(tls),
        send: required(send),
        wait: required(wait),
        receive: required(receive),
    };
    (ms(sum), timings)
}

/// The URL; from the `Host` header for records of programs that do not keep it.
fn url(trace: &TraceData) -> String {
    if let Some(url) = &trace.request_url {
        return url.to_string();
    }
    let headers = trace.request_headers.as_ref();
    let host = headers.and_then(|headers| headers.get("host").or_else(|| headers.get("Host")));
    let scheme = if trace.tls_start_ns.is_some() { "https" } else { "http" };
    format!("{scheme}://{}/", host.map_or("unknown", String::as_str))
}

fn headers(headers: Option<&BTreeMap<String, String>>) -> Vec<NameValue<'_>> {
    let all = headers.into_iter().flatten();
    all.map(|(name, value)| NameValue { name, value }).collect()
}

fn query(url: &str) -> Vec<NameValue<'_>> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| NameValue { name, value })
        .collect()
}

// `timings` indexes by phase.
const _: () =
    assert!(Phase::Blocked as usize == 0 && Phase::Tls as usize == 3 && Phase::Receiving as usize == 6);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;
    use crate::time::WallNs;
    use crate::trace::ConnectionInfo;

    const START: u64 = 1_795_322_200_809_770_908;

    fn at(us: u64) -> Option<WallNs> {
        Some(WallNs(START + us * 1000))
    }

    fn record(trace: TraceData) -> RequestRecord {
        let mut record = RequestRecord::default();
        record.metadata.request_start_ns = WallNs(START);
        record.trace_data = Some(trace);
        record
    }

    fn dialed() -> TraceData {
        TraceData {
            start_ns: at(0),
            connection_pool_wait_start_ns: at(0),
            connection_pool_wait_end_ns: at(1),
            dns_lookup_start_ns: at(1),
            dns_lookup_end_ns: at(101),
            tcp_connect_start_ns: at(101),
            tcp_connect_end_ns: at(301),
            tls_start_ns: at(301),
            tls_end_ns: at(1301),
            request_send_start_ns: at(1301),
            request_send_end_ns: at(1311),
            response_receive_start_ns: at(51_311),
            response_receive_end_ns: at(91_311),
            response_status_code: Some(200),
            response_reason: Some("OK".into()),
            request_url: Some("https://llm.test/v1/chat?version=2&debug".into()),
            request_method: Some("POST".into()),
            remote_ip: Some("127.0.0.1".into()),
            connection: Some(Arc::new(ConnectionInfo {
                connection_id: 5,
                http_version: Some("1.1".into()),
                ..ConnectionInfo::default()
            })),
            ..TraceData::default()
        }
    }

    fn written(records: &[RequestRecord]) -> Value {
        let mut writer = HarWriter::new(Vec::new(), "0.0.0").unwrap();
        for record in records {
            writer.record(record).unwrap();
        }
        serde_json::from_slice(&writer.finish().unwrap()).unwrap()
    }

    #[test]
    fn parts_sum_to_time_and_tls_lies_inside_connect() {
        let har = written(&[record(dialed())]);
        let entry = &har["log"]["entries"][0];
        let timings = &entry["timings"];
        let of = |name: &str| timings[name].as_f64().unwrap();
        assert_eq!((of("connect"), of("ssl"), of("dns"), of("wait")), (1.2, 1.0, 0.1, 50.0));
        let sum: f64 = ["blocked", "dns", "connect", "send", "wait", "receive"].map(of).iter().sum();
        assert!((sum - entry["time"].as_f64().unwrap()).abs() < 1e-9 && (sum - 91.311).abs() < 1e-9);
        assert_eq!(entry["startedDateTime"], "2026-11-22T04:36:40.809770+00:00");
        assert_eq!(entry["connection"], "5");
        assert_eq!(entry["request"]["httpVersion"], "HTTP/1.1");
        let query = serde_json::json!([{"name": "version", "value": "2"}, {"name": "debug", "value": ""}]);
        assert_eq!(entry["request"]["queryString"], query);
    }

    #[test]
    fn what_does_not_apply_is_minus_one() {
        let trace = TraceData {
            connection_reused_ns: at(2),
            dns_lookup_start_ns: None,
            dns_lookup_end_ns: None,
            tcp_connect_start_ns: None,
            tcp_connect_end_ns: None,
            tls_start_ns: None,
            tls_end_ns: None,
            ..dialed()
        };
        let har = written(&[record(trace)]);
        let timings = &har["log"]["entries"][0]["timings"];
        for name in ["dns", "connect", "ssl"] {
            assert_eq!(timings[name], -1.0, "{name}");
        }
    }

    #[test]
    fn a_failure_has_its_time_up_to_the_failure_and_no_status() {
        let mut failed = record(TraceData {
            response_status_code: None,
            response_reason: None,
            response_receive_start_ns: None,
            response_receive_end_ns: None,
            error_timestamp_ns: at(2_001_311),
            ..dialed()
        });
        failed.error = serde_json::from_str(r#"{"message":"no answer"}"#).unwrap();
        let har = written(&[failed]);
        let entry = &har["log"]["entries"][0];
        assert_eq!(entry["timings"]["wait"], 2000.0);
        assert_eq!(entry["timings"]["receive"], 0.0);
        assert_eq!(entry["response"]["status"], 0);
        assert_eq!(entry["_error"], "no answer");
    }

    #[test]
    fn records_without_trace_have_no_entry_and_an_empty_file_is_valid() {
        let mut writer = HarWriter::new(Vec::new(), "0").unwrap();
        assert!(!writer.record(&RequestRecord::default()).unwrap());
        let har: Value = serde_json::from_slice(&writer.finish().unwrap()).unwrap();
        assert_eq!(har["log"]["entries"], serde_json::json!([]));
    }
}
