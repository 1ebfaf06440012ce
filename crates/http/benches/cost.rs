//! What the client costs: CPU time of its thread for each request, beside a minimal hyper client that only
//! stamps chunks. Same server, same thread settings, rounds in turn; the medians are compared.
//!
//! `cargo bench -p tokmeter-http --bench cost [-- CONCURRENCY REQUESTS ROUNDS] [burst]`; with `burst` the server
//! sends an answer in one write, so that the cost of a request stands out from the cost of its chunks.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokmeter_http::{Client, ClientConfig, Origin, Request, TimestampSource, clock};

const TOKENS: usize = 16;
const BODY: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"one two three"}],"stream":true}"#;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let concurrency = numbers.next().unwrap_or(128);
    let requests = numbers.next().unwrap_or(40_000);
    let rounds = numbers.next().unwrap_or(5);
    let burst = std::env::args().any(|argument| argument == "burst");
    let server = start_server(burst);
    println!("{TOKENS} chunks, concurrency {concurrency}, {requests} requests in each of {rounds} rounds");
    let variants: [(&str, Option<ClientConfig>); 4] = [
        ("minimal hyper client", None),
        ("tokmeter, user stamps, no TCP_INFO", Some(variant(TimestampSource::User, false))),
        ("tokmeter, kernel stamps, no TCP_INFO", Some(variant(TimestampSource::Auto, false))),
        ("tokmeter, as it is by default", Some(variant(TimestampSource::Auto, true))),
    ];
    let mut costs = vec![Vec::new(); variants.len()];
    for _ in 0..rounds {
        for ((_, config), costs) in variants.iter().zip(&mut costs) {
            costs.push(match config {
                None => on_a_thread(move || minimal(server, concurrency, requests)),
                Some(config) => {
                    let config = config.clone();
                    on_a_thread(move || tokmeter(server, config, concurrency, requests))
                }
            });
        }
    }
    let mut base = None;
    println!("{:<40} {:>12} {:>8}", "client", "us/request", "ratio");
    for ((name, _), costs) in variants.iter().zip(&mut costs) {
        costs.sort_by(f64::total_cmp);
        let median = costs[costs.len() / 2];
        let base = *base.get_or_insert(median);
        println!("{name:<40} {median:>12.2} {:>8.2}", median / base);
    }
}

fn variant(timestamps: TimestampSource, tcp_info: bool) -> ClientConfig {
    ClientConfig { timestamps, tcp_info, ..ClientConfig::default() }
}

/// CPU microseconds of the client's thread for each request.
fn on_a_thread(run: impl FnOnce() -> f64 + Send + 'static) -> f64 {
    std::thread::spawn(run).join().expect("the client ran")
}

fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn minimal(server: SocketAddr, concurrency: usize, requests: usize) -> f64 {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async move {
        let begun = cpu_ns();
        let tasks: Vec<_> = (0..concurrency)
            .map(|_| {
                tokio::task::spawn_local(async move {
                    let stream = TcpStream::connect(server).await.expect("connected");
                    stream.set_nodelay(true).expect("nodelay");
                    let (mut sender, connection) =
                        hyper::client::conn::http1::handshake(TokioIo::new(stream))
                            .await
                            .expect("a connection");
                    tokio::task::spawn_local(connection);
                    let mut stamped = 0;
                    for _ in 0..requests / concurrency {
                        let request = http::Request::post("/v1/chat/completions")
                            .header("host", "127.0.0.1")
                            .header("content-type", "application/json")
                            .header("x-request-id", "0a1b2c3d")
                            .body(Full::new(Bytes::from_static(BODY)))
                            .expect("a request");
                        sender.ready().await.expect("ready");
                        let mut response = sender.send_request(request).await.expect("a response");
                        let mut stamps = Vec::new();
                        while let Some(frame) = response.frame().await {
                            let frame = frame.expect("a frame");
                            stamps.push((clock::now(), frame.into_data().map_or(0, |data| data.len())));
                        }
                        stamped += stamps.len();
                    }
                    stamped
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.expect("a task") > 0);
        }
        (cpu_ns() - begun) / 1e3 / requests as f64
    })
}

fn tokmeter(server: SocketAddr, config: ClientConfig, concurrency: usize, requests: usize) -> f64 {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async move {
        let begun = cpu_ns();
        let client = std::rc::Rc::new(Client::new(Arc::new(config), 0).expect("a client"));
        let origin = Origin::parse(&server.to_string()).expect("a URL").origin;
        let path: Arc<str> = "/v1/chat/completions".into();
        let tasks: Vec<_> = (0..concurrency)
            .map(|_| {
                let (client, origin, path) =
                    (std::rc::Rc::clone(&client), Arc::clone(&origin), Arc::clone(&path));
                tokio::task::spawn_local(async move {
                    let mut stamped = 0;
                    for _ in 0..requests / concurrency {
                        let mut headers = HeaderMap::new();
                        headers.insert("content-type", HeaderValue::from_static("application/json"));
                        headers.insert("x-request-id", HeaderValue::from_static("0a1b2c3d"));
                        let exchange = client
                            .send(Request {
                                origin: Arc::clone(&origin),
                                method: Method::POST,
                                path: Arc::clone(&path),
                                headers,
                                body: Bytes::from_static(BODY),
                                sticky: None,
                                last_of_sticky: false,
                                timeout: Some(std::time::Duration::from_secs(60)),
                                cancel_after: None,
                            })
                            .await;
                        assert_eq!(exchange.error, None);
                        stamped += exchange.body.chunks.len();
                    }
                    stamped
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.expect("a task") > 0);
        }
        (cpu_ns() - begun) / 1e3 / requests as f64
    })
}

/// Answers each request with a head and the chunks, each in a write of its own.
fn start_server(burst: bool) -> SocketAddr {
    let (address, bound) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
            address.send(listener.local_addr().expect("address")).expect("a reader");
            loop {
                let (stream, _) = listener.accept().await.expect("accept");
                stream.set_nodelay(true).expect("nodelay");
                tokio::spawn(serve(stream, burst));
            }
        });
    });
    bound.recv().expect("an address")
}

async fn serve(mut stream: TcpStream, burst: bool) {
    let event = r#"data: {"id":"chatcmpl-0a1b2c3d","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}"#;
    let chunk = format!("{:x}\r\n{event}\n\n\r\n", event.len() + 2);
    let mut buffer = vec![0; 8192];
    let mut held = 0;
    loop {
        match stream.read(&mut buffer[held..]).await {
            Ok(read @ 1..) => held += read,
            _ => return,
        }
        if !buffer[..held].ends_with(BODY) {
            continue;
        }
        held = 0;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        if burst {
            let whole = format!("{head}{}0\r\n\r\n", chunk.repeat(TOKENS));
            if stream.write_all(whole.as_bytes()).await.is_err() {
                return;
            }
            continue;
        }
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        for _ in 0..TOKENS {
            tokio::task::yield_now().await;
            if stream.write_all(chunk.as_bytes()).await.is_err() {
                return;
            }
        }
        if stream.write_all(b"0\r\n\r\n").await.is_err() {
            return;
        }
    }
}
