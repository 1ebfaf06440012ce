//! Every way a server or a network can fail: class, side, phase, bounded memory, bounded time.

use std::io::Write;
use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokmeter_http::{ClientConfig, Limits, Origin, TransportError};
use tokmeter_record::{ErrorClass, Phase, Side};

use crate::raw::{
    Raw, answer_all, block_on, body, client, close_gently, exchange, post, read_request, reset, write,
};

fn assert_failed(
    error: Option<TransportError>,
    class: ErrorClass,
    side: Side,
    phase: Phase,
) -> TransportError {
    let error = error.expect("a failure");
    assert_eq!((error.class, error.side, error.phase), (class, side, phase), "{error:?}");
    assert!(!error.message.is_empty());
    error
}

/// What a fresh connection answers after it has read the request.
fn after_request(serve: impl Fn(std::net::TcpStream) + Send + Sync + 'static) -> Raw {
    Raw::start(move |mut stream, _| {
        if read_request(&mut stream).is_some() {
            serve(stream);
        }
    })
}

#[test]
fn refused() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address").to_string();
    drop(listener);
    let exchange = exchange(&Origin::parse(&address).expect("a URL").origin);
    let error =
        assert_failed(exchange.error, ErrorClass::ConnectionRefused, Side::Network, Phase::Connecting);
    assert!(error.message.contains(&address), "{}", error.message);
    assert!(!error.causes.is_empty());
    assert!(exchange.trace.tcp_connect_start_ns.is_some());
    assert_eq!(exchange.trace.tcp_connect_end_ns, None);
    assert_eq!(exchange.trace.request_send_start_ns, None);
}

#[test]
fn a_name_that_does_not_resolve() {
    let exchange = exchange(&Origin::parse("http://no-such-host.invalid:80").expect("a URL").origin);
    assert_failed(exchange.error, ErrorClass::Dns, Side::Network, Phase::Dns);
    let trace = &exchange.trace;
    assert!(trace.dns_cache_hit_ns.is_none());
    let phases: Vec<_> = trace.spans().map(|span| span.phase).collect();
    assert_eq!((phases, trace.dns_lookup_end_ns), (vec![Phase::Dns], None), "the lookup had begun");
}

#[test]
fn closed_before_the_head() {
    let server = after_request(drop);
    let exchange = exchange(&server.origin());
    assert_failed(exchange.error, ErrorClass::Disconnected, Side::Network, Phase::Waiting);
    assert_eq!(server.accepted(), 1, "a fresh connection is not replaced");
}

#[test]
fn reset_before_the_head() {
    let server = after_request(reset);
    let exchange = exchange(&server.origin());
    assert_failed(exchange.error, ErrorClass::Disconnected, Side::Network, Phase::Waiting);
}

#[test]
fn closed_inside_the_head() {
    let server = after_request(|mut stream| {
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-");
        close_gently(stream);
    });
    let exchange = exchange(&server.origin());
    assert_failed(exchange.error, ErrorClass::Disconnected, Side::Network, Phase::Waiting);
    assert!(exchange.head.is_none());
    assert!(exchange.trace.response_first_byte_ns.is_some());
}

#[test]
fn closed_and_reset_inside_the_body_keep_what_came() {
    for hard in [false, true] {
        let server = after_request(move |mut stream| {
            write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
            sleep(Duration::from_millis(30));
            if hard { reset(stream) } else { close_gently(stream) }
        });
        let exchange = exchange(&server.origin());
        assert_eq!(body(&exchange), "abc");
        assert_eq!(exchange.head.as_ref().expect("the head came").status, 200);
        assert_eq!(exchange.trace.response_receive_end_ns, None);
        assert!(exchange.trace.response_receive_start_ns.is_some());
        assert_failed(exchange.error, ErrorClass::Disconnected, Side::Network, Phase::Receiving);
    }
}

#[test]
fn fewer_bytes_than_promised() {
    let server = after_request(|mut stream| {
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
        close_gently(stream);
    });
    let exchange = exchange(&server.origin());
    assert_eq!(body(&exchange), "abc");
    assert_failed(exchange.error, ErrorClass::Disconnected, Side::Network, Phase::Receiving);
}

#[test]
fn more_bytes_than_promised_spoil_the_connection_only() {
    let server =
        Raw::start(|stream, _| answer_all(stream, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef"));
    block_on(async {
        let client = client(ClientConfig::default());
        for _ in 0..2 {
            let exchange = client.send(post(&server.origin())).await;
            assert_eq!(exchange.error, None);
            assert_eq!(body(&exchange), "abc");
            sleep(Duration::from_millis(5));
        }
    });
    assert_eq!(server.accepted(), 2, "the connection with surplus bytes is not used again");
}

#[test]
fn broken_framing() {
    for (answer, phase) in [
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc", Phase::Waiting),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcXX", Phase::Receiving),
        ("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n", Phase::Waiting),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc", Phase::Waiting),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", Phase::Waiting),
        ("HTTP/1.1 two hundred\r\n\r\n", Phase::Waiting),
        ("HTTP/1.1 200 OK\r\nbad header\r\n\r\n", Phase::Waiting),
    ] {
        let server = after_request(move |mut stream| {
            write(&mut stream, answer);
            close_gently(stream);
        });
        let exchange = exchange(&server.origin());
        assert_failed(exchange.error, ErrorClass::Protocol, Side::Server, phase);
    }
}

#[test]
fn heads_without_end_and_of_10_mb_hit_the_limit() {
    for endless in [false, true] {
        let server = after_request(move |mut stream| {
            write(&mut stream, "HTTP/1.1 200 OK\r\n");
            let line = format!("x-filler: {}\r\n", "y".repeat(1000));
            for _ in 0..10_000 {
                if stream.write_all(line.as_bytes()).is_err() {
                    return;
                }
            }
            if !endless {
                write(&mut stream, "\r\n");
            }
            close_gently(stream);
        });
        let exchange = exchange(&server.origin());
        let error = assert_failed(exchange.error, ErrorClass::LimitExceeded, Side::Server, Phase::Waiting);
        assert!(error.message.contains("65536"), "{}", error.message);
    }
}

#[test]
fn one_header_line_too_many() {
    let lines = |count: usize| {
        let mut head = String::from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n");
        for index in 1..count {
            head.push_str(&format!("x-{index}: y\r\n"));
        }
        head + "\r\n"
    };
    for (count, fits) in [(20, true), (21, false)] {
        let server = Raw::start(move |stream, _| answer_all(stream, &lines(count)));
        let limits = Limits { max_headers: 20, ..Limits::default() };
        let exchange = block_on(async {
            client(ClientConfig { limits, ..ClientConfig::default() }).send(post(&server.origin())).await
        });
        if fits {
            assert_eq!(exchange.error, None);
        } else {
            assert_failed(exchange.error, ErrorClass::LimitExceeded, Side::Server, Phase::Waiting);
        }
    }
}

#[test]
fn a_body_over_the_limit_is_cut() {
    let limits = Limits { max_body_bytes: 100_000, ..Limits::default() };
    for promised in [false, true] {
        let server = after_request(move |mut stream| {
            let head = if promised {
                "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40000000\r\n"
            };
            write(&mut stream, head);
            let block = vec![b'z'; 1 << 16];
            while stream.write_all(&block).is_ok() {}
        });
        let exchange = block_on(async {
            client(ClientConfig { limits, ..ClientConfig::default() }).send(post(&server.origin())).await
        });
        assert!(exchange.body.bytes.len() <= 100_000);
        assert!(exchange.body.bytes.capacity() <= 200_000, "{}", exchange.body.bytes.capacity());
        let phase = if promised { Phase::Waiting } else { Phase::Receiving };
        assert_failed(exchange.error, ErrorClass::LimitExceeded, Side::Server, phase);
    }
}

#[test]
fn endless_chunk_extensions_and_trailers_end() {
    for tail in ["3;", "3\r\nabc\r\n0\r\n"] {
        let server = after_request(move |mut stream| {
            write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            write(&mut stream, tail);
            let filler = if tail.ends_with(';') {
                "x".repeat(1 << 12)
            } else {
                format!("t: {}\r\n", "x".repeat(1 << 12))
            };
            while stream.write_all(filler.as_bytes()).is_ok() {}
        });
        let exchange = exchange(&server.origin());
        let error = exchange.error.expect("a failure");
        assert_eq!((error.class, error.side), (ErrorClass::LimitExceeded, Side::Server), "{error:?}");
    }
}

#[test]
fn many_informational_answers_use_no_memory_and_end_with_the_time_limit() {
    let server =
        after_request(
            |mut stream| {
                while stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n").is_ok() {}
            },
        );
    let exchange = block_on(async {
        let mut request = post(&server.origin());
        request.timeout = Some(Duration::from_millis(100));
        client(ClientConfig::default()).send(request).await
    });
    assert_failed(exchange.error, ErrorClass::Timeout, Side::Server, Phase::Waiting);
}

#[test]
fn a_drip_of_single_bytes_is_read_and_ends_with_the_time_limit() {
    let server = after_request(|mut stream| {
        for byte in "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n".bytes() {
            write(&mut stream, [byte]);
            sleep(Duration::from_micros(300));
        }
        sleep(Duration::from_secs(5));
    });
    let exchange = block_on(async {
        let mut request = post(&server.origin());
        request.timeout = Some(Duration::from_millis(400));
        client(ClientConfig::default()).send(request).await
    });
    assert_eq!(body(&exchange), "ab");
    assert_failed(exchange.error, ErrorClass::Timeout, Side::Server, Phase::Receiving);
}

#[test]
fn the_time_limit_holds_in_each_phase() {
    // Never answers at all.
    let silent = after_request(|_stream| sleep(Duration::from_secs(5)));
    // Never reads: sending stops when the buffers are full.
    let deaf = Raw::start(|_stream, _| sleep(Duration::from_secs(5)));
    for (server, size, phase) in [(&silent, 10, Phase::Waiting), (&deaf, 64 << 20, Phase::Sending)] {
        let begun = Instant::now();
        let exchange = block_on(async {
            let mut request = post(&server.origin());
            request.body = vec![b'x'; size].into();
            request.timeout = Some(Duration::from_millis(80));
            client(ClientConfig::default()).send(request).await
        });
        assert!(begun.elapsed() < Duration::from_secs(4));
        assert!(begun.elapsed() >= Duration::from_millis(80));
        let sent = exchange.trace.request_send_end_ns.is_some();
        assert_eq!(sent, phase == Phase::Waiting);
        assert_failed(exchange.error, ErrorClass::Timeout, Side::Server, phase);
    }
}

#[test]
fn cancelled_after_it_was_sent() {
    let server = after_request(|mut stream| {
        write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
        sleep(Duration::from_secs(5));
    });
    let exchange = block_on(async {
        let mut request = post(&server.origin());
        request.cancel_after = Some(Duration::from_millis(60));
        client(ClientConfig::default()).send(request).await
    });
    assert_eq!(body(&exchange), "abc");
    let sent = exchange.trace.request_send_end_ns.expect("sent");
    let error = assert_failed(exchange.error, ErrorClass::Cancelled, Side::Client, Phase::Receiving);
    assert!(error.at.0 - sent.0 >= 59_000_000, "{} ns", error.at.0 - sent.0);
    assert!(error.message.contains("0.060s"), "{}", error.message);
}

#[test]
fn all_are_cancelled_at_once() {
    let server = after_request(|_stream| sleep(Duration::from_secs(5)));
    block_on(async {
        let client = client(ClientConfig::default());
        let requests = (0..5).map(|_| client.send(post(&server.origin())));
        let stop = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(client.stats().in_flight, 5);
            client.cancel_all();
        };
        let (exchanges, ()) = tokio::join!(futures_util::future::join_all(requests), stop);
        for exchange in exchanges {
            assert_failed(exchange.error, ErrorClass::Cancelled, Side::Client, Phase::Waiting);
        }
        assert_eq!(client.stats().in_flight, 0);
        assert_eq!(client.stats().open_connections, 0, "their connections are closed");
    });
}

#[test]
fn error_statuses_are_answers_not_failures() {
    let server = Raw::start(|stream, _| {
        answer_all(stream, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy")
    });
    let exchange = exchange(&server.origin());
    assert_eq!(exchange.error, None);
    assert_eq!(exchange.head.as_ref().expect("a head").status, 503);
    assert_eq!(body(&exchange), "busy");
}

#[test]
fn a_server_that_speaks_first() {
    let server = Raw::start(|mut stream, _| {
        write(&mut stream, "220 mail.test ESMTP\r\n");
        close_gently(stream);
    });
    let exchange = exchange(&server.origin());
    let error = exchange.error.expect("no HTTP");
    assert_eq!((error.class, error.side), (ErrorClass::Protocol, Side::Server), "{error:?}");
}

#[test]
fn an_answer_before_the_request_was_read_is_taken() {
    // 413 while 64 MB are still to come, then the server closes.
    let server = Raw::start(|mut stream, _| {
        let mut first = [0; 100];
        std::io::Read::read_exact(&mut stream, &mut first).expect("the request begins");
        write(
            &mut stream,
            "HTTP/1.1 413 Payload Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig",
        );
        close_gently(stream);
    });
    let exchange = block_on(async {
        let mut request = post(&server.origin());
        request.body = vec![b'x'; 1 << 20].into();
        client(ClientConfig::default()).send(request).await
    });
    assert_eq!(exchange.error, None);
    assert_eq!(exchange.head.as_ref().expect("a head").status, 413);
    assert_eq!(body(&exchange), "big");
}
