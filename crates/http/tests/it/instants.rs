//! Instants are ordered, phases add up, and stamps lie between what the server did and what we saw.

use std::sync::mpsc;
use std::thread::sleep;
use std::time::Duration;

use tokmeter_http::{ClientConfig, TimestampSource, clock};
use tokmeter_record::trace::StampSource;
use tokmeter_record::{MonoNs, Phase};

use crate::raw::{Raw, block_on, body, client, exchange, post, read_request, write};

/// Head, then three chunks with pauses; what was written when goes to the channel.
fn streaming_server() -> (Raw, mpsc::Receiver<MonoNs>) {
    let (log, written) = mpsc::channel();
    let log = std::sync::Mutex::new(log);
    let server = Raw::start(move |mut stream, _| {
        let note = || log.lock().expect("log").send(clock::now()).expect("a reader");
        while read_request(&mut stream).is_some() {
            note();
            sleep(Duration::from_millis(10));
            note();
            write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            for text in ["one", "two!", "three"] {
                sleep(Duration::from_millis(15));
                note();
                write(&mut stream, format!("{:x}\r\n{text}\r\n", text.len()));
            }
            sleep(Duration::from_millis(5));
            write(&mut stream, "0\r\n\r\n");
        }
    });
    (server, written)
}

#[test]
fn a_watcher_sees_the_body_grow_until_it_has_seen_enough() {
    let (server, _written) = streaming_server();
    let (mut seen, mut seen_at) = (Vec::new(), Vec::new());
    let exchange = block_on(async {
        let watch = |head: &tokmeter_http::exchange::ResponseHead,
                     body: &tokmeter_http::exchange::StampedBody| {
            assert!(head.status.is_success());
            seen.push(String::from_utf8_lossy(&body.bytes).into_owned());
            seen_at.push(clock::now());
            seen.len() < 2
        };
        client(ClientConfig::default()).send_watching(post(&server.origin()), watch).await
    });
    assert_eq!(body(&exchange), "onetwo!three");
    assert_eq!(seen, ["one", "onetwo!"]);
    let last = exchange.trace.response_receive_end_ns.expect("complete");
    assert!(seen_at[0] < last, "it is shown while the answer is under way");
}

fn check_order(source: TimestampSource) -> StampSource {
    let (server, written) = streaming_server();
    let config = ClientConfig { timestamps: source, keep_request: true, ..ClientConfig::default() };
    let before = clock::now();
    let exchange = block_on(async { client(config).send(post(&server.origin())).await });
    let after = clock::now();
    assert_eq!(exchange.error, None);
    assert_eq!(body(&exchange), "onetwo!three");
    let trace = &exchange.trace;
    let ordered: Vec<MonoNs> = [
        Some(before),
        trace.start_ns,
        trace.tcp_connect_start_ns,
        trace.tcp_connect_end_ns,
        trace.request_send_start_ns,
        trace.request_headers_sent_ns,
        trace.request_send_end_ns,
        trace.response_first_byte_ns,
        trace.response_headers_received_ns,
        trace.response_receive_start_ns,
        trace.response_receive_end_ns,
        Some(after),
    ]
    .into_iter()
    .map(|instant| instant.expect("every instant of a new connection"))
    .collect();
    assert!(ordered.is_sorted(), "{ordered:?}");
    assert_eq!(trace.dns_lookup_start_ns, None, "an address needs no lookup");
    assert_eq!(trace.connection_pool_wait_start_ns, None, "nothing to wait for");
    assert_eq!(trace.connection_reused_ns, None);
    assert_eq!(trace.tls_start_ns, None);

    // No stamp is earlier than the write it belongs to.
    let log: Vec<MonoNs> = written.try_iter().collect();
    assert!(trace.request_send_start_ns.expect("sent") <= log[0]);
    assert!(log[1] <= trace.response_headers_received_ns.expect("head"));
    for chunk in &exchange.body.chunks {
        // A client that was held up reads several pieces at once; a chunk has the stamp of its last piece.
        let piece = [3, 7, 12].iter().position(|end| *end == chunk.end).expect("pieces arrive whole");
        assert!(log[2 + piece] <= chunk.at, "piece {piece} is stamped before it was written");
        if let (StampSource::Kernel, Some(next)) = (trace.stamp_source, log.get(3 + piece)) {
            assert!(chunk.at < *next, "piece {piece} is stamped after the next one was written");
        }
    }

    let phases = trace.phases();
    let sum =
        phases.sending.expect("sent") + phases.waiting.expect("waited") + phases.receiving.expect("received");
    assert_eq!(phases.total(), sum + phases.connecting().expect("connected"));
    // Sending ends before the answer begins, so the three add up to the duration exactly.
    assert_eq!(phases.duration, Some(sum));

    assert_eq!(trace.request_bytes_total, 15);
    assert_eq!(trace.request_chunks_count, 1);
    assert_eq!(trace.request_chunks.len(), 1);
    assert_eq!(trace.request_chunks[0].1, 15);
    assert_eq!(trace.response_chunks_count, exchange.body.chunks.len() as u64);
    assert_eq!(trace.response_bytes_total, 12);
    let sent = exchange.request_headers.as_ref().expect("kept");
    assert_eq!(sent["host"], server.address.to_string());
    assert_eq!(sent["content-length"], "15");
    let connection = trace.connection.as_deref().expect("a connection");
    assert_eq!(connection.remote_address(), Some(server.address.to_string()));
    assert_eq!(connection.http_version.as_deref(), Some("1.1"));
    assert_eq!(trace.connection_request_number, Some(1));
    trace.stamp_source
}

#[test]
fn user_stamps_are_ordered_and_true() {
    assert_eq!(check_order(TimestampSource::User), StampSource::Read);
}

#[test]
fn automatic_stamps_are_ordered_and_true() {
    // Kernel where this machine has them; either is recorded.
    let source = check_order(TimestampSource::Auto);
    assert!(matches!(source, StampSource::Kernel | StampSource::Read));
}

#[cfg(target_os = "linux")]
#[test]
fn a_busy_client_keeps_true_kernel_stamps_and_reports_its_lag() {
    let (server, written) = streaming_server();
    let origin = server.origin();
    let (exchange, unread) = block_on(async {
        let client = client(ClientConfig::default());
        let send = client.send(post(&origin));
        // Holds the thread for longer than the pauses of the server.
        let busy = async {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                sleep(Duration::from_millis(40));
            }
        };
        let exchange = tokio::join!(send, busy).0;
        (exchange, client.stats().receive_lag.unread_high_bytes)
    });
    assert_eq!(exchange.error, None);
    if exchange.trace.stamp_source != StampSource::Kernel {
        // No kernel stamps here (a sandbox): nothing more can be said.
        assert!(exchange.body.chunks.iter().any(|chunk| chunk.lag_ns().is_none()));
        return;
    }
    let log: Vec<MonoNs> = written.try_iter().collect();
    let last_written = log[4];
    let last_stamped = exchange.body.chunks.last().expect("a body").at;
    let lag = exchange.trace.client_recv_lag_ns.expect("kernel stamps give a lag");
    assert!(last_stamped >= last_written);
    assert!(lag > 1_000_000, "the client slept, but reports {lag} ns");
    assert!(unread > 0, "nothing lay unread while the client slept");
}

#[test]
fn an_informational_answer_is_not_the_first_byte() {
    let server = Raw::start(|mut stream, _| {
        read_request(&mut stream);
        write(&mut stream, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
        sleep(Duration::from_millis(30));
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        read_request(&mut stream);
    });
    let exchange = exchange(&server.origin());
    assert_eq!(exchange.error, None);
    assert_eq!(exchange.head.as_ref().expect("a head").status, 200);
    let waited = exchange.trace.phases().waiting_headers.expect("waited");
    assert!(waited >= 25_000_000, "the 103 was taken for the answer: {waited} ns");
}

#[test]
fn an_empty_answer_ends_with_its_head() {
    let server = Raw::start(|stream, _| crate::raw::answer_all(stream, "HTTP/1.1 204 No Content\r\n\r\n"));
    let exchange = exchange(&server.origin());
    assert_eq!(exchange.error, None);
    assert_eq!(exchange.trace.response_receive_start_ns, None);
    assert_eq!(exchange.trace.response_receive_end_ns, exchange.trace.response_headers_received_ns);
    assert!(exchange.trace.response_receive_end_ns.is_some());
    assert_eq!(exchange.trace.response_status_code, Some(204));
    assert_eq!(exchange.trace.response_reason.as_deref(), Some("No Content"));
}

#[test]
fn a_large_request_is_sent_in_several_writes_and_counted() {
    let server = Raw::start(|mut stream, _| {
        sleep(Duration::from_millis(30));
        while let Some((_, body)) = read_request(&mut stream) {
            let text = body.len().to_string();
            write(&mut stream, format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()));
        }
    });
    let size = 16 << 20;
    let exchange = block_on(async {
        let client = client(ClientConfig { keep_request: true, ..ClientConfig::default() });
        let mut request = post(&server.origin());
        request.body = vec![b'x'; size].into();
        client.send(request).await
    });
    assert_eq!(exchange.error, None);
    assert_eq!(body(&exchange), size.to_string());
    let trace = &exchange.trace;
    assert_eq!(trace.request_bytes_total, size as u64);
    assert!(trace.request_chunks_count > 1);
    assert_eq!(trace.request_chunks.iter().map(|chunk| chunk.1).sum::<u64>(), size as u64);
    assert!(trace.request_headers_sent_ns < trace.request_send_end_ns);
    assert!(trace.phases().sending.expect("sent") >= 5_000_000, "the server did not read for 30 ms");
}

#[test]
fn a_timeout_while_waiting_says_so_and_keeps_what_was_seen() {
    let server = Raw::start(|mut stream, _| {
        read_request(&mut stream);
        write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        sleep(Duration::from_secs(5));
    });
    let exchange = block_on(async {
        let mut request = post(&server.origin());
        request.timeout = Some(Duration::from_millis(60));
        client(ClientConfig::default()).send(request).await
    });
    let error = exchange.error.expect("a timeout");
    assert_eq!(error.phase, Phase::Waiting);
    assert_eq!(exchange.head.expect("the head came").status, 200);
    assert!(exchange.trace.response_headers_received_ns.is_some());
    assert!(exchange.trace.request_send_end_ns.is_some());
    assert_eq!(exchange.trace.response_receive_end_ns, None);
    assert_eq!(exchange.trace.error_timestamp_ns, Some(error.at));
}
