//! Chunks, writes and line ends.

use tokmeter_sim::{Flush, LineEnd, Outcome, RoleChunk, WriteLog};

use crate::client::{Client, PATIENCE, chat, start};

#[test]
fn a_chat_stream_is_role_tokens_finish_usage_done() {
    let sim = start(|_| {});
    let mut client = Client::connect(&sim);
    let response =
        client.post("/v1/chat/completions", "X-Request-ID: r1\r\nX-Correlation-ID: c1\r\n", &chat(5));
    assert_eq!(response.status, 200);
    assert!(response.complete);
    assert_eq!(response.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(response.header("x-request-id"), Some("r1"));
    let payloads = response.payloads();
    assert_eq!(payloads.len(), 1 + 5 + 1 + 1 + 1);
    assert_eq!(payloads.last().map(String::as_str), Some("[DONE]"));
    assert_eq!(response.chunks.len(), payloads.len(), "each event is a chunk");
    let events = response.events();
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(events[6]["choices"][0]["finish_reason"], "length");
    assert_eq!(events[7]["choices"].as_array().map(Vec::len), Some(0));
    assert_eq!(events[7]["usage"]["prompt_tokens"], 4);
    assert_eq!(events[7]["usage"]["completion_tokens"], 5);
    assert_eq!(events[7]["usage"]["total_tokens"], 9);
    assert_eq!(response.content().split_whitespace().count(), 5);

    let log = sim.wait_for_log(1, PATIENCE).expect("logged");
    let entry = &log[0];
    assert_eq!(entry.x_request_id.as_deref(), Some("r1"));
    assert_eq!(entry.x_correlation_id.as_deref(), Some("c1"));
    assert_eq!((entry.ordinal, entry.connection, entry.nth_on_connection), (1, 1, 1));
    assert_eq!((entry.prompt_tokens, entry.planned_tokens, entry.sent_tokens), (4, 5, 5));
    assert_eq!((entry.status, entry.outcome, entry.stream), (200, Outcome::Completed, true));
    assert_eq!((entry.path.as_str(), entry.model.as_str()), ("/v1/chat/completions", "m"));
    assert_eq!(entry.writes.len(), payloads.len());
    assert_eq!(entry.writes.iter().map(|w| w.events).sum::<u32>(), 9);
    assert_eq!(entry.writes.iter().map(|w| w.tokens).collect::<Vec<_>>(), [0, 1, 1, 1, 1, 1, 0, 0, 0]);
    let framed: usize = response.chunks.iter().map(|c| c.len() + format!("{:x}", c.len()).len() + 4).sum();
    let written: u32 = entry.writes.iter().map(|w| w.bytes).sum();
    assert_eq!(written as usize, framed + b"0\r\n\r\n".len());
}

#[test]
fn stamps_are_in_order() {
    let sim = start(|_| {});
    Client::connect(&sim).post("/v1/chat/completions", "", &chat(8));
    let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
    let WriteLog { write_start_ns: first, .. } = entry.writes[0];
    let scalars = [
        entry.head_received_ns,
        entry.body_received_ns,
        entry.headers_write_start_ns,
        entry.headers_written_ns,
        first,
        entry.end_ns,
    ];
    assert!(scalars[0] > 0 && scalars.is_sorted(), "{scalars:?}");
    let stamps: Vec<u64> = entry.writes.iter().flat_map(|w| [w.write_start_ns, w.write_end_ns]).collect();
    assert!(stamps.is_sorted(), "{stamps:?}");
    let wall: Vec<u64> = entry.writes.iter().map(|w| w.wall_ns).collect();
    assert!(wall.is_sorted() && wall[0] >= entry.body_received_wall_ns, "{wall:?}");
}

#[test]
fn coalesced_answers_are_one_write() {
    let sim = start(|config| config.wire.flush = Flush::Coalesce);
    let response = Client::connect(&sim).post("/v1/chat/completions", "", &chat(16));
    assert_eq!(response.payloads().len(), 20);
    let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
    assert_eq!(entry.writes.len(), 1);
    assert_eq!((entry.writes[0].tokens, entry.writes[0].events), (16, 20));
    assert_eq!(entry.headers_written_ns, entry.writes[0].write_end_ns);
}

#[test]
fn events_share_chunks_or_are_cut() {
    let sim = start(|config| config.wire.events_per_chunk = 3);
    let together = Client::connect(&sim).post("/v1/chat/completions", "", &chat(8));
    assert_eq!(together.chunks.len(), 4);
    let sim = start(|config| config.wire.chunk_bytes = Some(7));
    let cut = Client::connect(&sim).post("/v1/chat/completions", "", &chat(8));
    assert!(cut.chunks.iter().all(|chunk| chunk.len() <= 7));
    let sim = start(|config| config.wire.write_bytes = Some(1));
    let bytes = Client::connect(&sim).post("/v1/chat/completions", "", &chat(8));
    for response in [&cut, &bytes] {
        assert_eq!(response.payloads().len(), together.payloads().len());
        assert_eq!(response.content().split_whitespace().count(), 8);
    }
}

#[test]
fn line_ends_and_marks_are_as_asked() {
    for (line_end, text) in [(LineEnd::Crlf, "\r\n\r\n"), (LineEnd::Cr, "\r\r")] {
        let sim = start(|config| {
            config.wire.line_end = line_end;
            config.wire.bom = true;
            config.wire.no_space = true;
        });
        let response = Client::connect(&sim).post("/v1/chat/completions", "", &chat(3));
        let body = response.text().strip_prefix('\u{feff}').expect("a byte order mark");
        let events: Vec<&str> = body.split_terminator(text).collect();
        assert_eq!(events.len(), 7);
        assert!(
            events.iter().all(|event| event.starts_with("data:{") || *event == "data:[DONE]"),
            "{events:?}"
        );
    }
}

#[test]
fn pings_lines_and_ends_are_as_asked() {
    let sim = start(|config| {
        config.wire.ping_every_events = Some(2);
        config.wire.event_lines = true;
        config.wire.done_events = 2;
        config.wire.no_final_blank_line = true;
        config.wire.role_chunk = RoleChunk::None;
    });
    let response = Client::connect(&sim).post("/v1/chat/completions", "", &chat(2));
    let body = response.text();
    assert_eq!(body.matches(": ping\n\n").count(), 3);
    assert!(body.starts_with(": ping\n\nevent: message\nid: 0\ndata: {"), "{body}");
    assert!(
        body.ends_with("data: [DONE]\n\nevent: message\nid: 5\ndata: [DONE]\n") && !body.ends_with("\n\n"),
        "{body}"
    );
    let sim = start(|config| config.wire.done_events = 0);
    let response = Client::connect(&sim).post("/v1/chat/completions", "", &chat(2));
    assert!(response.complete && !response.text().contains("DONE"));
}
