//! Every captured stream and error body (`tests/fixtures/{sse,errors}`) against what a reader of the file sees.

use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokmeter_http::exchange::StampedBody;
use tokmeter_record::{ErrorClass, MonoNs};

use super::*;
use crate::endpoint::EndpointType::{self, Chat, Completions, Responses};

/// A captured answer: `.raw` is the wire with chunk framing, `.http` is without.
struct Captured {
    status: u16,
    headers: HeaderMap,
    /// The body in the pieces in which it was sent (`.raw`), or in one.
    pieces: Vec<Vec<u8>>,
}

impl Captured {
    fn read(folder: &str, file: &str) -> Captured {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(folder).join(file);
        let wire = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let split =
            wire.windows(4).position(|window| window == b"\r\n\r\n").expect("a blank line after the head");
        let head = std::str::from_utf8(&wire[..split]).unwrap();
        let body = &wire[split + 4..];
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HeaderMap = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap();
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                (name, HeaderValue::from_str(value.trim()).unwrap())
            })
            .collect();
        let chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
        let pieces = if file.ends_with(".raw") && chunked { dechunked(body) } else { vec![body.to_vec()] };
        Captured { status, headers, pieces }
    }

    fn body(&self) -> StampedBody {
        let mut body = StampedBody::default();
        for (i, piece) in self.pieces.iter().enumerate() {
            body.append(piece, MonoNs(1000 + i as u64));
        }
        body
    }

    fn decode(&self, kind: EndpointType, body: &StampedBody) -> Reply {
        let view = ExchangeView { status: self.status, headers: &self.headers, body, streaming: true };
        Decoder::new(Arc::new(Endpoint::new(kind)), true).decode(&view)
    }
}

fn dechunked(mut wire: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    loop {
        let line = wire.windows(2).position(|window| window == b"\r\n").expect("a chunk size");
        let size = usize::from_str_radix(std::str::from_utf8(&wire[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return pieces;
        }
        wire = &wire[line + 2..];
        pieces.push(wire[..size].to_vec());
        wire = &wire[size + 2..];
    }
}

/// What a stream must be read as.
struct Stream {
    file: &'static str,
    kind: EndpointType,
    /// Text of choice 0; `A ... B` means it begins with A and ends with B.
    content: &'static str,
    /// Its length in bytes.
    bytes: usize,
    /// Text of choice 1.
    second: &'static str,
    /// Events, events with content, comment lines.
    counts: (u32, usize, u32),
    finish: Option<&'static str>,
    /// Prompt, completion and cached tokens of the last usage object.
    usage: Option<(i64, i64, Option<i64>)>,
    done: bool,
    error: Option<ErrorClass>,
}

#[rustfmt::skip]
const STREAMS: &[Stream] = &[
    Stream { file: "dynamo-chat-stream-n2.raw", kind: Chat, content: "plearchoon 910 goosttert", bytes: 24, second: "", counts: (7, 4, 0), finish: Some("length"), usage: Some((39, 4, Some(0))), done: true, error: None },
    Stream { file: "dynamo-chat-stream-usage.raw", kind: Chat, content: " fais 466 wus haickgend 727 fortgrcurosbrshoor 66stiesgeas", bytes: 58, second: "", counts: (15, 12, 0), finish: Some("length"), usage: Some((39, 12, Some(0))), done: true, error: None },
    Stream { file: "dynamo-completion-batch-stream.raw", kind: Completions, content: " 70 602 61", bytes: 10, second: " 910stam chinst", counts: (9, 6, 0), finish: Some("length"), usage: None, done: true, error: None },
    Stream { file: "dynamo-responses-stream.raw", kind: Responses, content: " pairpair 48outshe choom 725", bytes: 28, second: "", counts: (15, 6, 0), finish: Some("max_output_tokens"), usage: Some((13, 6, Some(0))), done: true, error: None },
    // Tokens, an error event, then `[DONE]`, all under status 200.
    Stream { file: "dynamo-worker-killed-midstream.http", kind: Chat, content: " 81 972 725 kieckthortpiloocklung 21 274 3446et 84 ...  97broortengcaing neast 1581 checkBroungfeal 31mbr", bytes: 867, second: "", counts: (163, 161, 0), finish: None, usage: None, done: true, error: Some(ErrorClass::StreamError) },
    Stream { file: "hfserve-chat-stream-n2.raw", kind: Chat, content: "As hanhen ke", bytes: 12, second: "", counts: (6, 4, 0), finish: Some("length"), usage: Some((39, 4, None)), done: false, error: None },
    Stream { file: "hfserve-chat-stream-usage.raw", kind: Chat, content: "As hanhen keam fout br 16 6635 goosttert but cail", bytes: 49, second: "", counts: (14, 12, 0), finish: Some("length"), usage: Some((39, 12, None)), done: false, error: None },
    // No `event:` lines, no `[DONE]`.
    Stream { file: "hfserve-responses-stream.raw", kind: Responses, content: "As hanBildast poungthieck cungrit", bytes: 33, second: "", counts: (14, 6, 0), finish: Some("completed"), usage: Some((13, 6, Some(0))), done: false, error: None },
    // Two usage events, one for each choice; choice 1 comes first.
    Stream { file: "llamacpp-chat-stream-n2.raw", kind: Chat, content: " dack holfe 27406", bytes: 17, second: "pailGr chungairtthim", counts: (15, 8, 0), finish: Some("length"), usage: Some((39, 4, Some(38))), done: true, error: None },
    Stream { file: "llamacpp-chat-stream-usage.raw", kind: Chat, content: " breanbrim caick 2472 cairtailsweang 4201 2331stir castfoolQuestion chamstel", bytes: 76, second: "", counts: (16, 12, 0), finish: Some("length"), usage: Some((39, 12, Some(38))), done: true, error: None },
    // Begins with `data: null`; usage sits in each finish event.
    Stream { file: "llamacpp-completion-batch-stream.raw", kind: Completions, content: " chatwes goosttert", bytes: 18, second: "iest cim931", counts: (10, 6, 0), finish: Some("length"), usage: Some((2, 3, Some(0))), done: true, error: None },
    // Cut in the middle of an event.
    Stream { file: "llamacpp-killed-midstream-cut.http", kind: Chat, content: " bockshien 693955 a600754 itBartneng 6939 plambasB ...  421 theyodelchuck 117 135 cost carTo dun notbrist", bytes: 1218, second: "", counts: (249, 248, 0), finish: None, usage: None, done: false, error: Some(ErrorClass::Truncated) },
    Stream { file: "llamacpp-ping-before-first-token.http", kind: Chat, content: " brit broockstaeat", bytes: 18, second: "", counts: (6, 3, 15), finish: Some("length"), usage: None, done: true, error: None },
    Stream { file: "llamacpp-python-chat-stream-n2.raw", kind: Chat, content: " cemlenddist feasshick beart", bytes: 28, second: "", counts: (7, 4, 0), finish: Some("length"), usage: None, done: true, error: None },
    Stream { file: "llamacpp-python-chat-stream-usage.raw", kind: Chat, content: "Bris baickfaind burtBit 8902Bie 903 britvier 8756sistant louck 6622", bytes: 67, second: "", counts: (15, 12, 0), finish: Some("length"), usage: None, done: true, error: None },
    // `[DONE]` without a finish reason: a success to warn about.
    Stream { file: "llamacpp-python-interrupted.http", kind: Chat, content: "briend dier 79Soonmut 22 choock britvier briesfim  ... check grundraAssistant bar ging 68385 feltriemfeng", bytes: 180, second: "", counts: (34, 32, 0), finish: None, usage: None, done: true, error: None },
    Stream { file: "llamacpp-responses-stream.raw", kind: Responses, content: "aid laittroundAsoosoumCust", bytes: 26, second: "", counts: (14, 6, 0), finish: Some("completed"), usage: Some((13, 6, Some(12))), done: false, error: None },
    Stream { file: "sglang-chat-stream-n2.raw", kind: Chat, content: "82 fortgrut 386Balfeck", bytes: 22, second: " chousgroort\u{1e} 6939", counts: (12, 6, 0), finish: Some("length"), usage: Some((39, 8, Some(38))), done: true, error: None },
    Stream { file: "sglang-chat-stream-usage.raw", kind: Chat, content: "masrtgai memoong server diengoostcosthis lair plam 858 8336", bytes: 59, second: "", counts: (15, 11, 0), finish: Some("length"), usage: Some((39, 12, Some(38))), done: true, error: None },
    Stream { file: "sglang-completion-batch-stream.raw", kind: Completions, content: " bundbrist chinBourt", bytes: 20, second: " on lathal 492", counts: (5, 4, 0), finish: Some("length"), usage: None, done: true, error: None },
    Stream { file: "sglang-responses-stream.raw", kind: Responses, content: "As hondplaindestBiend", bytes: 21, second: "", counts: (11, 3, 0), finish: Some("max_output_tokens"), usage: Some((13, 4, Some(12))), done: false, error: None },
    Stream { file: "vllm-chat-stream-continuous-usage.raw", kind: Chat, content: "troumaick question 43\u{fffd}ngloul run write47 brumtroum 285ant", bytes: 59, second: "", counts: (15, 11, 0), finish: Some("length"), usage: Some((39, 12, None)), done: true, error: None },
    Stream { file: "vllm-chat-stream-n2.raw", kind: Chat, content: "coost biertrom\u{1f} boulwe", bytes: 22, second: "Bund plong giengBeart", counts: (12, 8, 0), finish: Some("length"), usage: Some((39, 8, None)), done: true, error: None },
    Stream { file: "vllm-chat-stream-usage.raw", kind: Chat, content: "Bris08 hond 4ouck chBroum 42 dealtriend \u{fffd}Ofstsh", bytes: 49, second: "", counts: (15, 11, 0), finish: Some("length"), usage: Some((39, 12, None)), done: true, error: None },
    Stream { file: "vllm-completion-batch-stream.raw", kind: Completions, content: " 8 faickstangestroul", bytes: 20, second: " 423 693fet", counts: (7, 6, 0), finish: Some("length"), usage: None, done: true, error: None },
    Stream { file: "vllm-engine-killed-midstream.http", kind: Chat, content: " dostshulcy chendhom 15hen dostshul 8756ert hond\u{fffd}n ... chanplea 2331oostcost 489 при\u{fffd}88 bramiet53engcaing", bytes: 685, second: "", counts: (146, 136, 0), finish: None, usage: None, done: true, error: Some(ErrorClass::StreamError) },
    // `response.completed`, though the status in it says incomplete.
    Stream { file: "vllm-responses-stream.raw", kind: Responses, content: "AsBrisoor giertmom57", bytes: 20, second: "", counts: (12, 4, 0), finish: Some("max_output_tokens"), usage: Some((13, 6, Some(0))), done: false, error: None },
    // Shutdown: finish reason `abort`, usage and `[DONE]`.
    Stream { file: "vllm-sigterm-midstream.http", kind: Chat, content: "п\u{fffd}veBaisvoun faickstang48oor76 c bathaing dostsh w ... m 3910oockindchuckwert 647 laitTheyromirotain\u{fffd} 184", bytes: 1469, second: "", counts: (148, 138, 0), finish: Some("abort"), usage: Some((13, 314, Some(0))), done: true, error: Some(ErrorClass::Aborted) },
];

#[test]
fn every_captured_stream_is_read_right() {
    for want in STREAMS {
        let captured = Captured::read("sse", want.file);
        let reply = captured.decode(want.kind, &captured.body());
        let file = want.file;
        assert!(reply.streamed, "{file}");
        match want.content.split_once(" ... ") {
            Some((start, end)) => {
                assert!(reply.content.starts_with(start), "{file}: {}", reply.content);
                assert!(reply.content.ends_with(end), "{file}: {}", reply.content);
            }
            None => assert_eq!(reply.content, want.content, "{file}"),
        }
        assert_eq!(reply.content.len(), want.bytes, "{file}");
        assert_eq!(reply.more_choices.concat(), want.second, "{file}");
        assert_eq!((reply.events, reply.deltas.len(), reply.comments), want.counts, "{file}");
        assert_eq!(reply.finish_reason.as_deref(), want.finish, "{file}");
        let usage = reply.usage.as_ref().map(|usage| (usage.prompt, usage.completion, usage.cache_read));
        assert_eq!(usage, want.usage.map(|(p, c, cached)| (Some(p), Some(c), cached)), "{file}");
        assert_eq!(reply.done_marker, want.done, "{file}");
        assert_eq!(reply.error.as_ref().map(|error| error.class), want.error, "{file}: {:?}", reply.error);
        assert_eq!(reply.ended_by_marker_only(), want.done && want.finish.is_none(), "{file}");
        let text: usize = reply.deltas.iter().map(|delta| delta.text_bytes as usize).sum();
        assert_eq!(text, want.bytes + want.second.len(), "{file}");
    }
}

/// Everything but stamps.
fn meaning(mut reply: Reply) -> Reply {
    reply.deltas.iter_mut().for_each(|delta| delta.at = MonoNs(0));
    reply.last_event_at = None;
    (reply.coalesced_events, reply.coalesced_reads) = (0, 0);
    reply
}

#[test]
fn the_pieces_in_which_a_stream_arrives_do_not_change_it() {
    for want in STREAMS {
        let captured = Captured::read("sse", want.file);
        let whole = captured.body();
        let reference = meaning(captured.decode(want.kind, &whole));
        for size in [1, 3, 1000, usize::MAX] {
            let mut body = StampedBody::default();
            for (i, piece) in whole.bytes.chunks(size.min(whole.bytes.len())).enumerate() {
                body.append(piece, MonoNs(i as u64));
            }
            let reply = captured.decode(want.kind, &body);
            let last = body.chunks.last().map(|chunk| chunk.at);
            assert_eq!(reply.last_event_at, last, "{}", want.file);
            assert_eq!(meaning(reply), reference, "{} in pieces of {size}", want.file);
        }
    }
}

/// Reading with and without the shortcut is the same, to the last field.
#[test]
fn the_shortcut_changes_nothing() {
    for want in STREAMS {
        let captured = Captured::read("sse", want.file);
        let body = captured.body();
        let view = ExchangeView {
            status: captured.status,
            headers: &captured.headers,
            body: &body,
            streaming: true,
        };
        for kind in [want.kind, EndpointType::Raw] {
            let short = Decoder::new(Arc::new(Endpoint::new(kind)), true);
            let long = Decoder { shortcuts: false, ..short.clone() };
            assert_eq!(short.decode(&view), long.decode(&view), "{} as {kind}", want.file);
        }
    }
}

#[test]
fn without_text_only_the_text_is_missing() {
    for want in STREAMS {
        let captured = Captured::read("sse", want.file);
        let body = captured.body();
        let view = ExchangeView {
            status: captured.status,
            headers: &captured.headers,
            body: &body,
            streaming: true,
        };
        let bare = Decoder::new(Arc::new(Endpoint::new(want.kind)), false).decode(&view);
        let full = captured.decode(want.kind, &body);
        let without_text = Reply {
            content: String::new(),
            more_choices: Vec::new(),
            reasoning: String::new(),
            tool_calls: String::new(),
            ..full
        };
        assert_eq!(bare, without_text, "{}", want.file);
    }
}

#[test]
fn raw_finds_the_same_text_without_being_told_the_api() {
    for want in STREAMS {
        let captured = Captured::read("sse", want.file);
        let body = captured.body();
        let told = captured.decode(want.kind, &body);
        let found = captured.decode(EndpointType::Raw, &body);
        assert_eq!((found.content, found.more_choices), (told.content, told.more_choices), "{}", want.file);
        assert_eq!((found.usage, found.finish_reason), (told.usage, told.finish_reason), "{}", want.file);
        assert_eq!(found.error.map(|error| error.class), want.error, "{}", want.file);
    }
}

#[test]
fn continuous_usage_gives_the_tokens_of_each_event() {
    let captured = Captured::read("sse", "vllm-chat-stream-continuous-usage.raw");
    let reply = captured.decode(Chat, &captured.body());
    let so_far: Vec<_> = reply.deltas.iter().map(|delta| delta.completion_tokens_so_far.unwrap()).collect();
    // One event without text (half a character) brought a token of its own.
    assert_eq!(so_far, [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]);
    let other = Captured::read("sse", "vllm-chat-stream-usage.raw");
    let reply = other.decode(Chat, &other.body());
    assert!(reply.deltas.iter().all(|delta| delta.completion_tokens_so_far.is_none()));
}

#[test]
fn events_of_one_chunk_share_its_stamp_and_are_counted() {
    // The first chunk holds role and first text, the last but one finish and usage.
    let captured = Captured::read("sse", "llamacpp-chat-stream-usage.raw");
    let reply = captured.decode(Chat, &captured.body());
    assert_eq!((reply.coalesced_events, reply.coalesced_reads), (2, 2));
    assert_eq!(reply.deltas[0].at, MonoNs(1000), "the role event is no token, the text in the same read is");
    assert_eq!(reply.deltas[1].at, MonoNs(1001));
    assert_eq!(reply.last_event_at, Some(MonoNs(1013)), "[DONE] came in the fourteenth chunk");
}

/// A successful answer among the error fixtures.
#[rustfmt::skip]
const ANSWERS: &[(&str, &str, (i64, i64))] = &[
    ("hfserve-err-toolong.raw", " fil faickstang\u{fffd}es 380henoongbroor fortgrut fatbr lathalBre", (10251, 12)),
    ("hfserve-err-toolong-stream.raw", " fil faickstang\u{fffd}es 380henoongbroor fortgrut fatbr lathalBre", (10251, 12)),
    ("llamacpp-err-model.raw", "Briscoost 3683 diengldirtThat steang”.Makeoondfan 70 cast", (39, 12)),
    ("llamacpp-python-err-model.raw", "Bris cienstam 281Braindbrom 39 368bryst model  biertromLatency", (39, 12)),
    ("sglang-err-model.raw", " pairThat 😀! bairt 93 run 32 hondplaindBiend cealtiendchieck gre", (39, 12)),
];

#[test]
fn answers_to_odd_requests_are_successes() {
    for (file, content, (prompt, completion)) in ANSWERS {
        let captured = Captured::read("errors", file);
        let reply = captured.decode(Chat, &captured.body());
        assert_eq!(reply.error, None, "{file}");
        assert_eq!(reply.content, *content, "{file}");
        let usage = reply.usage.unwrap();
        assert_eq!((usage.prompt, usage.completion), (Some(*prompt), Some(*completion)), "{file}");
        assert!(reply.finished && reply.ended, "{file}");
        assert_eq!(reply.streamed, file.contains("stream"), "{file}");
    }
}

/// What an error body must be read as: status, message, type, code; `...` ends a long message.
#[rustfmt::skip]
const ERRORS: &[(&str, &str, u16, &str, &str, &str)] = &[
    ("sse", "hfserve-completion-batch-stream.raw", 400, "prompt must be a string.", "", ""),
    ("sse", "llamacpp-python-completion-batch-stream.raw", 500, "internal_server_error", "internal_server_error", ""),
    ("sse", "llamacpp-python-responses-stream.raw", 404, "Not Found", "", ""),
    ("errors", "dynamo-draining-503.http", 503, "Service is not ready", "Service Unavailable", "503"),
    ("errors", "dynamo-err-badtype.raw", 400, "Failed to deserialize the JSON body into the target type: invalid type: string \"many\"...", "Bad Request", "400"),
    ("errors", "dynamo-err-json.raw", 400, "Failed to deserialize the JSON body into the target type: EOF while parsing a list at line 1 column 28", "Bad Request", "400"),
    ("errors", "dynamo-err-model.raw", 404, "Model not found", "Not Found", "404"),
    ("errors", "dynamo-err-path.raw", 404, "Route not found: POST /v1/nope", "Not Found", "404"),
    ("errors", "dynamo-err-toolong.raw", 500, "Internal server error", "Internal Server Error", "500"),
    ("errors", "dynamo-no-worker-503.http", 503, "Model `tiny-llama` is not ready to serve requests yet....", "Service Unavailable", "503"),
    ("errors", "hfserve-err-badtype.raw", 500, "Internal Server Error", "", ""),
    ("errors", "hfserve-err-json.raw", 422, "body.28: JSON decode error", "", ""),
    ("errors", "hfserve-err-model.raw", 400, "Server is pinned to '/srv/inference/engine/model/hf'; requested 'no-such-model'.", "", ""),
    ("errors", "hfserve-err-path.raw", 404, "Not Found", "", ""),
    ("errors", "llamacpp-401.http", 401, "Invalid API Key", "authentication_error", "401"),
    ("errors", "llamacpp-err-badtype.raw", 400, "Field 'max_tokens': [json.exception.type_error.302] type must be number, but is string", "invalid_request_error", "400"),
    ("errors", "llamacpp-err-json.raw", 400, "[json.exception.parse_error.101] parse error at line 1, column 29...", "invalid_request_error", "400"),
    ("errors", "llamacpp-err-path.raw", 404, "File Not Found", "not_found_error", "404"),
    ("errors", "llamacpp-err-toolong-stream.raw", 400, "request (10251 tokens) exceeds the available context size (4096 tokens), try increasing it", "exceed_context_size_error", "400"),
    ("errors", "llamacpp-err-toolong.raw", 400, "request (10251 tokens) exceeds the available context size (4096 tokens), try increasing it", "exceed_context_size_error", "400"),
    ("errors", "llamacpp-python-err-badtype.raw", 500, "1 validation error:\n  {'type': 'int_parsing'...", "internal_server_error", ""),
    ("errors", "llamacpp-python-err-json.raw", 500, "Internal Server Error", "", ""),
    ("errors", "llamacpp-python-err-path.raw", 404, "Not Found", "", ""),
    ("errors", "llamacpp-python-err-toolong.raw", 400, "This model's maximum context length is 4096 tokens....", "invalid_request_error", "context_length_exceeded"),
    ("errors", "sglang-err-badtype.raw", 400, "1 validation error:\n  {'type': 'int_parsing'...", "Bad Request", "400"),
    ("errors", "sglang-err-json.raw", 400, "1 validation error:\n  {'type': 'json_invalid'...", "Bad Request", "400"),
    ("errors", "sglang-err-path.raw", 404, "Not Found", "", ""),
    ("errors", "sglang-err-toolong-stream.raw", 400, "The input (10251 tokens) is longer than the model's context length (4096 tokens).", "BadRequestError", "400"),
    ("errors", "sglang-err-toolong.raw", 400, "The input (10251 tokens) is longer than the model's context length (4096 tokens).", "BadRequestError", "400"),
    ("errors", "vllm-401.http", 401, "Unauthorized", "", ""),
    ("errors", "vllm-err-badtype.raw", 400, "1 validation error:\n  {'type': 'int_parsing'...", "Bad Request", "400"),
    ("errors", "vllm-err-json.raw", 400, "1 validation error:\n  {'type': 'json_invalid'...", "Bad Request", "400"),
    ("errors", "vllm-err-model.raw", 404, "The model `no-such-model` does not exist. Valid aliases: tiny-llama.", "NotFoundError", "404"),
    ("errors", "vllm-err-path.raw", 404, "Not Found", "", ""),
    ("errors", "vllm-err-toolong-stream.raw", 400, "This model's maximum context length is 4096 tokens....", "BadRequestError", "400"),
    ("errors", "vllm-err-toolong.raw", 400, "This model's maximum context length is 4096 tokens....", "BadRequestError", "400"),
];

#[test]
fn every_captured_error_body_is_read_right() {
    for (folder, file, status, message, kind, code) in ERRORS {
        let captured = Captured::read(folder, file);
        let body = captured.body();
        let error = captured.decode(Chat, &body).error.unwrap();
        assert_eq!((error.class, error.code), (ErrorClass::HttpStatus, Some(i64::from(*status))), "{file}");
        assert_eq!(error.message.as_bytes(), body.bytes.trim_ascii(), "{file}");
        assert!(error.kind.is_some_and(|kind| !kind.is_empty()), "{file}");
        let said = error.said.unwrap();
        match message.strip_suffix("...") {
            Some(start) => assert!(said.message.starts_with(start), "{file}: {}", said.message),
            None => assert_eq!(said.message, *message, "{file}"),
        }
        assert_eq!(said.kind.as_deref().unwrap_or_default(), *kind, "{file}");
        assert_eq!(said.code.as_deref().unwrap_or_default(), *code, "{file}");
        // Dynamo says "Internal server error" for a prompt that is too long: nobody can tell.
        let overflow = file.contains("toolong") && !file.starts_with("dynamo");
        assert_eq!(error.context_overflow, overflow, "{file}");
    }
}

#[test]
fn errors_under_status_200_and_without_a_body() {
    let captured = Captured::read("errors", "dynamo-err-toolong-stream.raw");
    let reply = captured.decode(Chat, &captured.body());
    let error = reply.error.unwrap();
    assert_eq!((error.class, error.code), (ErrorClass::StreamError, Some(502)));
    let said = error.said.unwrap();
    assert_eq!((said.message.as_str(), said.code.as_deref()), ("Internal server error", Some("500")));
    assert!(reply.done_marker);

    let captured = Captured::read("errors", "llamacpp-python-err-toolong-stream.raw");
    let error = captured.decode(Chat, &captured.body()).error.unwrap();
    assert_eq!((error.class, error.code), (ErrorClass::EmptyResponse, None));

    let captured = Captured::read("errors", "dynamo-no-worker-404-empty.http");
    let error = captured.decode(Chat, &captured.body()).error.unwrap();
    assert_eq!((error.class, error.code, error.said), (ErrorClass::HttpStatus, Some(404), None));
}

#[test]
fn no_fixture_is_left_out() {
    let elsewhere = [
        "dynamo-err-toolong-stream.raw",
        "llamacpp-python-err-toolong-stream.raw",
        "dynamo-no-worker-404-empty.http",
    ];
    for folder in ["sse", "errors"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(folder);
        for entry in std::fs::read_dir(path).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let read = STREAMS.iter().any(|stream| stream.file == file)
                || ERRORS.iter().any(|row| row.1 == file)
                || ANSWERS.iter().any(|row| row.0 == file)
                || elsewhere.contains(&file.as_str());
            assert!(read, "{folder}/{file} has no expectation");
        }
    }
}
