//! The matrix: every fault, where it applies, and what the records, the exit code and stderr must say.

use tokmeter_sim::MetricsMode;

use super::case::Expect::{Answered, Fails};
use super::case::Mode::{Two, Whole};
use super::case::{Case, ONE, STREAMS, STREAMS_ONE, Server, TWO};
use super::server as raw;

/// Ends requests that would hang.
const SHORT: &[&str] = &["--request-timeout-seconds=2"];
/// The same, with bodies larger than any buffer or window between client and server.
const LONG_BODIES: &[&str] = &["--request-timeout-seconds=5", "--isl=20000"];

/// The rows.
pub const MATRIX: &[Case] = &[
    // Nobody there.
    Case::of(
        "DNS failure",
        Server::Nobody("http://no-such-host.invalid:8000"),
        Fails("dns", "network", "dns"),
    )
    .ends(3, "could not be reached"),
    Case::of(
        "refused",
        Server::Nobody("http://127.0.0.1:1"),
        Fails("connection_refused", "network", "connecting"),
    )
    .ends(3, "could not be reached"),
    Case::of(
        "unreachable",
        Server::Nobody("http://255.255.255.255:80"),
        Fails("unreachable", "network", "connecting"),
    )
    .ends(3, "could not be reached"),
    // The connection ends.
    Case::sim("closed before headers", "close-before-headers", Fails("disconnected", "network", "waiting"))
        .shared(TWO),
    Case::sim("reset before headers", "reset-before-headers", Fails("disconnected", "network", "waiting"))
        .otherwise(&[(Two, Fails("disconnected", "server", "waiting"))]),
    Case::sim("reset in headers", "reset-in-headers", Fails("disconnected", "network", "waiting"))
        .otherwise(&[(Two, Fails("disconnected", "server", "waiting"))]),
    Case::sim("reset mid-stream", "reset-mid-stream:3", Fails("disconnected", "network", "receiving"))
        .otherwise(&[(Two, Fails("disconnected", "server", "receiving"))]),
    Case::sim(
        "reset after the last token",
        "reset-after-last-token",
        Fails("disconnected", "network", "receiving"),
    )
    .otherwise(&[(Two, Fails("disconnected", "server", "receiving"))]),
    Case::sim("closed mid-stream", "close-mid-stream:3", Fails("disconnected", "network", "receiving"))
        .modes(ONE),
    Case::of(
        "half-close before the answer",
        Server::Raw(raw::half_close),
        Fails("disconnected", "network", "waiting"),
    )
    .modes(ONE),
    Case::of(
        "half-close mid-stream",
        Server::Raw(raw::half_close_mid_stream),
        Fails("disconnected", "network", "receiving"),
    )
    .modes(STREAMS_ONE),
    Case::sim("GOAWAY, streams complete", "go-away", Answered).modes(TWO),
    Case::sim("RST_STREAM", "rst-stream:2", Fails("disconnected", "server", "receiving")).modes(TWO),
    // Nothing comes, or nearly nothing.
    Case::sim("accepted, never answered", "stall-before-headers", Fails("timeout", "server", "waiting"))
        .flags(SHORT),
    Case::sim("request never read", "stall-request", Fails("timeout", "server", "waiting"))
        .otherwise(&[(Two, Fails("timeout", "server", "sending"))])
        .flags(LONG_BODIES),
    Case::sim("stalled mid-stream", "stall-mid-stream:3", Fails("timeout", "server", "receiving"))
        .flags(SHORT),
    Case::sim("one byte a second", "drip:1000", Fails("timeout", "server", "waiting"))
        .otherwise(&[(Two, Fails("timeout", "server", "receiving"))])
        .flags(SHORT),
    Case::of(
        "1xx answers without end",
        Server::Raw(raw::informational_forever),
        Fails("timeout", "server", "waiting"),
    )
    .modes(ONE)
    .flags(SHORT),
    // HTTP, bent or broken.
    Case::of("100 Continue first", Server::Raw(raw::continue_first), Answered).modes(STREAMS_ONE),
    Case::of("103 Early Hints first", Server::Raw(raw::hints_first), Answered).modes(STREAMS_ONE),
    Case::sim("redirect to itself", "redirect:307", Fails("http_status", "server", "waiting")),
    Case::sim("chunk size that is no number", "bad-chunk-size:2", Fails("protocol", "server", "receiving"))
        .modes(STREAMS_ONE),
    Case::sim(
        "content-length too large",
        "content-length-long",
        Fails("disconnected", "network", "receiving"),
    )
    .otherwise(&[(Two, Fails("protocol", "server", "waiting"))]),
    Case::of("not HTTP at all", Server::Greeting(raw::not_http), Fails("protocol", "server", "waiting"))
        .modes(ONE),
    Case::of("TLS alert", Server::Greeting(raw::tls_alert), Fails("tls", "network", "tls"))
        .modes(STREAMS_ONE)
        .ends(3, "could not be reached"),
    // Too much.
    Case::sim("header of 10 MB", "huge-header:10485760", Fails("limit_exceeded", "server", "waiting"))
        .otherwise(&[(Two, Fails("protocol", "server", "waiting"))])
        .shared(TWO),
    Case::sim("1,000 header lines", "many-headers:1000", Fails("limit_exceeded", "server", "waiting")),
    Case::sim(
        "line of 1 GB without end",
        "huge-line:1073741824",
        Fails("limit_exceeded", "server", "receiving"),
    )
    .modes(STREAMS),
    Case::sim("gzip bomb of 16 MB", "gzip-bomb:16777216", Fails("invalid_response", "server", "receiving")),
    // HTTP is fine, the answer is not.
    Case::sim("status 500", "status:500", Fails("http_status", "server", "receiving")),
    Case::sim("status 429", "status:429", Fails("http_status", "server", "receiving")),
    Case::sim("status 503", "status:503", Fails("http_status", "server", "receiving")),
    Case::sim("error event, then [DONE]", "error-event:2", Fails("stream_error", "server", "receiving"))
        .otherwise(&[(Whole, Fails("http_status", "server", "receiving"))]),
    Case::sim("stream without its end", "truncate:3", Fails("truncated", "server", "receiving"))
        .modes(STREAMS),
    Case::sim("finish reason abort", "abort:3", Fails("aborted", "server", "receiving")).modes(STREAMS),
    Case::sim("[DONE] without finish reason", "done-without-finish:3", Answered).modes(STREAMS),
    Case::of("[DONE] twice", Server::Raw(raw::done_twice), Answered).modes(STREAMS_ONE),
    Case::sim(
        "invalid JSON in one event",
        "invalid-json:2",
        Fails("invalid_response", "server", "receiving"),
    ),
    Case::sim("invalid UTF-8 in one event", "invalid-utf8:2", Answered),
    Case::sim("200 without a body", "empty-ok", Fails("empty_response", "server", "waiting")),
    Case::sim("200 with a web page", "non-json", Fails("invalid_response", "server", "receiving")),
    // The metrics page, beside a healthy server.
    Case::of("metrics page turns to JSON", Server::Metrics(MetricsMode::Json), Answered).modes(STREAMS_ONE),
    Case::of("metrics page turns to garbage", Server::Metrics(MetricsMode::Garbage), Answered)
        .modes(STREAMS_ONE),
    Case::of("metrics page turns to 100 MB", Server::Metrics(MetricsMode::Huge), Answered).modes(STREAMS_ONE),
    Case::of("metrics page hangs", Server::Metrics(MetricsMode::Hang), Answered).modes(STREAMS_ONE),
];
