//! HTTP/2 by prior knowledge: streams, their limit, flow control, the ends a server can make.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::TcpListener;
use tokmeter_http::{ClientConfig, HttpVersion, Limits, Origin};
use tokmeter_record::trace::StampSource;
use tokmeter_record::{ErrorClass, Phase, Side};

use crate::raw::{block_on, body, client, post};

struct Two {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Two {
    /// `answer` gets each request in a task of its own; `graceful_after` requests a connection says GOAWAY.
    fn start<F>(
        max_streams: u32,
        graceful_after: Option<usize>,
        answer: fn(Request<RecvStream>, SendResponse<Bytes>) -> F,
    ) -> Two
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (address, bound) = std::sync::mpsc::channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
                address.send(listener.local_addr().expect("address")).expect("a reader");
                loop {
                    let (stream, _) = listener.accept().await.expect("accept");
                    stream.set_nodelay(true).expect("nodelay");
                    count.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(async move {
                        let mut builder = h2::server::Builder::new();
                        builder.max_concurrent_streams(max_streams);
                        let Ok(mut connection) = builder.handshake(stream).await else { return };
                        let mut seen = 0;
                        while let Some(Ok((request, respond))) = connection.accept().await {
                            tokio::spawn(answer(request, respond));
                            seen += 1;
                            if Some(seen) == graceful_after {
                                connection.graceful_shutdown();
                            }
                        }
                    });
                }
            });
        });
        Two { address: bound.recv().expect("an address"), connections }
    }

    fn origin(&self) -> Arc<Origin> {
        Origin::parse(&self.address.to_string()).expect("a URL").origin
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn two() -> ClientConfig {
    ClientConfig { http_version: HttpVersion::V2, ..ClientConfig::default() }
}

async fn read_all(mut body: RecvStream) -> usize {
    let mut total = 0;
    while let Some(Ok(data)) = body.data().await {
        total += data.len();
        let _ = body.flow_control().release_capacity(data.len());
    }
    total
}

/// Length of the request's body, then three pieces with pauses.
async fn pieces(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let length = read_all(request.into_body()).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut stream = respond.send_response(Response::new(()), false).expect("a head");
    for index in 0..3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        stream.send_data(format!("{length}.").into(), index == 2).expect("data");
    }
}

#[test]
fn streams_share_a_connection_and_their_stamps_are_of_frames() {
    let server = Two::start(100, None, pieces);
    block_on(async {
        let client = client(two());
        let all = futures_util::future::join_all((0..10).map(|_| client.send(post(&server.origin())))).await;
        for exchange in &all {
            assert_eq!(exchange.error, None);
            assert_eq!(body(exchange), "15.15.15.");
            let trace = &exchange.trace;
            assert_eq!(trace.stamp_source, StampSource::Frame);
            let instants = [
                trace.start_ns,
                trace.request_send_start_ns,
                trace.request_headers_sent_ns,
                trace.request_send_end_ns,
                trace.response_first_byte_ns,
                trace.response_headers_received_ns,
                trace.response_receive_start_ns,
                trace.response_receive_end_ns,
            ];
            assert!(instants.iter().all(Option::is_some) && instants.is_sorted(), "{instants:?}");
            assert_eq!(trace.request_bytes_total, 15);
            assert!(exchange.body.chunks.len() > 1, "pieces 10 ms apart are several chunks: {:?}", exchange);
            assert_eq!(trace.connection.as_ref().and_then(|c| c.http_version.clone()).as_deref(), Some("2"));
        }
        let dialed = all.iter().filter(|e| e.trace.tcp_connect_start_ns.is_some()).count();
        assert_eq!(dialed, 1, "the others waited for that connection");
        let waited = all.iter().filter(|e| e.trace.phases().blocked.is_some()).count();
        assert_eq!(waited, 9);
        assert_eq!(client.stats().open_connections, 1);
        let again = client.send(post(&server.origin())).await;
        assert!(again.trace.connection_reused_ns.is_some());
        assert_eq!(again.trace.connection_request_number, Some(11));
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_stream_limit_blocks_or_makes_connections() {
    // Ours: a second connection. The server's, with one connection allowed: waiting.
    for (own, server_limit, allowed, expected) in [(2, 100, None, 2..=3), (100, 2, Some(1), 1..=1)] {
        let server = Two::start(server_limit, None, pieces);
        block_on(async {
            let config = ClientConfig { streams_per_connection: own, max_connections: allowed, ..two() };
            let client = client(config);
            assert_eq!(client.send(post(&server.origin())).await.error, None);
            let all =
                futures_util::future::join_all((0..4).map(|_| client.send(post(&server.origin())))).await;
            for exchange in &all {
                assert_eq!(exchange.error, None);
                assert_eq!(body(exchange), "15.15.15.");
            }
            if allowed.is_some() {
                let blocked: Vec<u64> = all.iter().filter_map(|e| e.trace.phases().blocked).collect();
                assert!(blocked.iter().filter(|ns| **ns > 20_000_000).count() >= 2, "{blocked:?}");
            }
        });
        assert!(expected.contains(&server.connections()), "{}", server.connections());
    }
}

#[test]
fn a_body_larger_than_every_window_arrives_whole() {
    let server = Two::start(100, None, pieces);
    block_on(async {
        let mut request = post(&server.origin());
        request.body = vec![b'x'; 5 << 20].into();
        let exchange = client(two()).send(request).await;
        assert_eq!(exchange.error, None);
        assert_eq!(body(&exchange), "5242880.".repeat(3));
        assert_eq!(exchange.trace.request_bytes_total, 5 << 20);
        assert!(exchange.trace.request_headers_sent_ns <= exchange.trace.request_send_end_ns);
    });
}

async fn reset_at_once(_request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    respond.send_reset(Reason::INTERNAL_ERROR);
}

async fn reset_in_the_middle(_request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let mut stream = respond.send_response(Response::new(()), false).expect("a head");
    stream.send_data("abc".into(), false).expect("data");
    tokio::time::sleep(Duration::from_millis(20)).await;
    stream.send_reset(Reason::CANCEL);
}

#[test]
fn a_reset_stream_is_the_servers_doing_and_spares_the_connection() {
    for (server, phase, words) in [
        (Two::start(100, None, reset_at_once), Phase::Waiting, "internal error"),
        (Two::start(100, None, reset_in_the_middle), Phase::Receiving, "cancelled"),
    ] {
        block_on(async {
            let client = client(two());
            for _ in 0..2 {
                let exchange = client.send(post(&server.origin())).await;
                assert_eq!(body(&exchange), if phase == Phase::Receiving { "abc" } else { "" });
                let error = exchange.error.expect("a reset");
                assert_eq!(
                    (error.class, error.side, error.phase),
                    (ErrorClass::Disconnected, Side::Server, phase)
                );
                assert!(error.message.contains(words), "{}", error.message);
                assert!(exchange.trace.attempts.is_empty());
            }
        });
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn goaway_is_met_with_a_new_connection() {
    let server = Two::start(100, Some(2), pieces);
    block_on(async {
        let client = client(two());
        for _ in 0..6 {
            let exchange = client.send(post(&server.origin())).await;
            assert_eq!(exchange.error, None, "{:?}", exchange.trace.attempts);
            assert_eq!(body(&exchange), "15.15.15.");
        }
    });
    assert!((3..=6).contains(&server.connections()), "{}", server.connections());
}

async fn never(_request: Request<RecvStream>, _respond: SendResponse<Bytes>) {
    tokio::time::sleep(Duration::from_secs(5)).await;
}

#[test]
fn time_limits_and_cancellation_end_a_stream_not_the_connection() {
    let server = Two::start(100, None, never);
    block_on(async {
        let client = client(two());
        let mut timed = post(&server.origin());
        timed.timeout = Some(Duration::from_millis(60));
        let mut cancelled = post(&server.origin());
        cancelled.cancel_after = Some(Duration::from_millis(60));
        let (timed, cancelled) = tokio::join!(client.send(timed), client.send(cancelled));
        let error = timed.error.expect("a timeout");
        assert_eq!((error.class, error.phase), (ErrorClass::Timeout, Phase::Waiting));
        assert!(timed.trace.request_send_end_ns.is_some());
        let error = cancelled.error.expect("a cancellation");
        assert_eq!((error.class, error.phase), (ErrorClass::Cancelled, Phase::Waiting));
        assert_eq!(client.stats().open_connections, 1);
    });
    assert_eq!(server.connections(), 1);
}

async fn large_head(_request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let mut response = Response::new(());
    for index in 0..50 {
        let name = http::HeaderName::try_from(format!("x-{index}")).expect("a name");
        response.headers_mut().insert(name, http::HeaderValue::from_static("value"));
    }
    let mut stream = respond.send_response(response, false).expect("a head");
    let _ = stream.send_data(vec![b'z'; 1 << 20].into(), true);
}

#[test]
fn limits_hold() {
    let server = Two::start(100, None, large_head);
    for limits in [
        Limits { max_headers: 49, ..Limits::default() },
        Limits { max_body_bytes: 100_000, ..Limits::default() },
    ] {
        block_on(async {
            let exchange = client(ClientConfig { limits, ..two() }).send(post(&server.origin())).await;
            let error = exchange.error.expect("a limit");
            assert_eq!((error.class, error.side), (ErrorClass::LimitExceeded, Side::Server));
            assert!(exchange.body.bytes.len() <= 100_000);
        });
    }
}

#[test]
fn a_server_that_speaks_http_1_only() {
    let server = crate::raw::Raw::start(|mut stream, _| {
        crate::raw::write(&mut stream, "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        crate::raw::close_gently(stream);
    });
    block_on(async {
        let exchange = client(two()).send(post(&server.origin())).await;
        let error = exchange.error.expect("no HTTP/2");
        assert_eq!((error.class, error.side), (ErrorClass::Protocol, Side::Server), "{error:?}");
    });
}
