//! The client's figures against the simulated server's log. Both processes read the same clocks.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use tokmeter_engine::{CollectorError, RecordSink};
use tokmeter_record::metric::MetricId;
use tokmeter_record::metric::catalogue::{
    CLIENT_RECV_LAG, HTTP_REQ_CONNECTING, HTTP_REQ_DNS_LOOKUP, INTER_CHUNK_LATENCY, TIME_TO_FIRST_TOKEN,
};
use tokmeter_record::statistics::percentile_linear;
use tokmeter_record::{ClockAnchor, MetricValue, MonoNs, RequestRecord, WallNs};
use tokmeter_sim::{RequestLog, WriteLog};

/// Answers kept; a calibration of seconds has fewer.
const MOST_ANSWERS: usize = 200_000;

/// What the client found, for each successful answer.
#[derive(Debug, Default)]
pub struct Answers(Vec<Answer>);

#[derive(Debug)]
struct Answer {
    request_id: String,
    start: WallNs,
    first_token_ms: f64,
    connecting_ms: f64,
    gaps_ms: Vec<f64>,
    kernel: bool,
}

/// Median and 99th percentile of an error, ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// How far the client's figures were from what the simulated server did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Errors {
    /// Time to first token by the client, connecting left out, minus the server's own from the end of the request
    /// to the write of the first token. It contains sending and the loopback network.
    pub time_to_first_token_ms: Spread,
    /// The client's receive stamp of the first token minus the instant at which the server called write.
    pub first_token_stamp_ms: Spread,
    /// Distance of each inter-chunk latency from the time between the server's two writes.
    pub inter_chunk_latency_ms: Spread,
    /// How late the simulated server itself was, against its script. A server that is held up together with the
    /// client does not show what the client does to the tokens of one that is not.
    pub simulator_lag_ms: Spread,
    /// Where the client's stamps came from: `kernel`, `user` or `mixed`.
    pub stamps: &'static str,
    /// Answers compared.
    pub compared: usize,
    /// Answers of the log that were not: of the first half second, cut by the end, or with another number of events.
    pub not_compared: usize,
}

impl RecordSink for Answers {
    fn record(&mut self, record: &RequestRecord, _text: Option<&str>) -> Result<(), CollectorError> {
        let number = |metric: MetricId| record.metrics.number(metric);
        if let (true, Some(first_token_ms), Some(request_id)) =
            (record.is_success(), number(TIME_TO_FIRST_TOKEN), &record.metadata.x_request_id)
            && self.0.len() < MOST_ANSWERS
        {
            let gaps_ms = match record.metrics.get(INTER_CHUNK_LATENCY) {
                Some(MetricValue::List(gaps)) => gaps.clone(),
                _ => Vec::new(),
            };
            let connecting = [HTTP_REQ_DNS_LOOKUP, HTTP_REQ_CONNECTING].into_iter().filter_map(number).sum();
            self.0.push(Answer {
                request_id: request_id.clone(),
                start: record.metadata.request_start_ns,
                first_token_ms,
                connecting_ms: connecting,
                gaps_ms,
                kernel: number(CLIENT_RECV_LAG).is_some(),
            });
        }
        Ok(())
    }
}

impl Answers {
    /// Compares with the server's log, but for the requests that began within `settling` of the first; `None` when
    /// nothing can be compared. The anchor is the one by which the records' wall-clock instants were made.
    pub fn compare(&self, log: &[RequestLog], anchor: &ClockAnchor, settling: Duration) -> Option<Errors> {
        let settling = u64::try_from(settling.as_nanos()).unwrap_or(u64::MAX);
        let settled = self.0.iter().map(|answer| answer.start.0).min()?.saturating_add(settling);
        let served: HashMap<&str, &RequestLog> =
            log.iter().filter_map(|entry| Some((entry.x_request_id.as_deref()?, entry))).collect();
        let (mut firsts, mut stamps, mut gaps, mut lags) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut kernel = 0;
        for answer in self.0.iter().filter(|answer| answer.start.0 >= settled) {
            let Some(entry) = served.get(answer.request_id.as_str()) else { continue };
            let writes: Vec<&WriteLog> = entry.writes.iter().filter(|write| write.tokens > 0).collect();
            if writes.len() != answer.gaps_ms.len() + 1 {
                continue;
            }
            let written = writes[0].write_start_ns;
            let served_ms = written.saturating_sub(entry.body_received_ns) as f64 / 1e6;
            firsts.push(answer.first_token_ms - answer.connecting_ms - served_ms);
            let written_ms = (anchor.wall(MonoNs(written)).0 as i64 - answer.start.0 as i64) as f64 / 1e6;
            stamps.push(answer.first_token_ms - written_ms);
            gaps.extend(writes.windows(2).zip(&answer.gaps_ms).map(|(pair, gap)| {
                let served = pair[1].write_start_ns.saturating_sub(pair[0].write_start_ns) as f64 / 1e6;
                (gap - served).abs()
            }));
            let lag =
                |write: &&WriteLog| write.write_start_ns.saturating_sub(write.scheduled_ns) as f64 / 1e6;
            lags.extend(writes.iter().map(lag));
            kernel += usize::from(answer.kernel);
        }
        let compared = firsts.len();
        Some(Errors {
            time_to_first_token_ms: spread(firsts)?,
            first_token_stamp_ms: spread(stamps)?,
            inter_chunk_latency_ms: spread(gaps)?,
            simulator_lag_ms: spread(lags)?,
            stamps: match kernel {
                0 => "user",
                all if all == compared => "kernel",
                _ => "mixed",
            },
            compared,
            not_compared: log.len().saturating_sub(compared),
        })
    }
}

fn spread(mut errors: Vec<f64>) -> Option<Spread> {
    errors.sort_by(f64::total_cmp);
    Some(Spread { p50: percentile_linear(&errors, 50.0)?, p99: percentile_linear(&errors, 99.0)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: ClockAnchor = ClockAnchor { mono_ns: 0, wall_ns: 1_000_000_000_000, uncertainty_ns: 0 };

    fn write(at_ms: u64) -> WriteLog {
        let write_start_ns = at_ms * 1_000_000;
        WriteLog {
            write_start_ns,
            scheduled_ns: write_start_ns - 2_000_000,
            tokens: 1,
            events: 1,
            ..WriteLog::default()
        }
    }

    fn entry() -> RequestLog {
        RequestLog {
            x_request_id: Some("a".to_owned()),
            body_received_ns: 100_000_000,
            writes: vec![write(150), write(155), write(160)],
            ..RequestLog::default()
        }
    }

    /// Started 2 ms before the server had the request; the first token was stamped 0.5 ms after its write, the
    /// second exactly, the third 1 ms late.
    fn answer() -> Answer {
        Answer {
            request_id: "a".to_owned(),
            start: WallNs(1_000_098_000_000),
            first_token_ms: 52.5,
            connecting_ms: 1.0,
            gaps_ms: vec![4.5, 6.0],
            kernel: true,
        }
    }

    #[test]
    fn errors_are_the_distance_from_the_servers_log() {
        let found = Answers(vec![answer()])
            .compare(&[entry(), RequestLog::default()], &ANCHOR, Duration::ZERO)
            .unwrap();
        let near = |spread: Spread, p50: f64| (spread.p50 - p50).abs() < 1e-9;
        assert!(near(found.time_to_first_token_ms, 1.5), "2.5 ms more, of which 1 connecting: {found:?}");
        assert!(near(found.first_token_stamp_ms, 0.5), "{found:?}");
        assert!(near(found.inter_chunk_latency_ms, 0.75), "{found:?}");
        assert!(near(found.simulator_lag_ms, 2.0), "{found:?}");
        assert_eq!((found.stamps, found.compared, found.not_compared), ("kernel", 1, 1));
    }

    #[test]
    fn what_does_not_fit_is_not_compared() {
        let lost = Answer { gaps_ms: vec![4.5], ..answer() };
        let unknown = Answer { request_id: "b".to_owned(), ..answer() };
        assert_eq!(Answers(vec![lost, unknown]).compare(&[entry()], &ANCHOR, Duration::ZERO), None);
    }

    #[test]
    fn the_first_moments_are_left_out() {
        let early = Answer { request_id: "b".to_owned(), start: WallNs(answer().start.0 - 9), ..answer() };
        let late = Answer { first_token_ms: 99.0, ..answer() };
        let log = [entry(), RequestLog { x_request_id: Some("b".to_owned()), ..entry() }];
        let found = Answers(vec![early, late]).compare(&log, &ANCHOR, Duration::from_nanos(9)).unwrap();
        assert_eq!((found.compared, found.not_compared), (1, 1));
        assert_eq!(found.time_to_first_token_ms.p50, 48.0);
    }
}
