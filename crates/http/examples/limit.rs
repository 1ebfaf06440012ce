//! The limit: a minimal hyper client that only stamps chunks. What tokmeter costs is told as a ratio to this.
//!
//! `limit HOST:PORT CONCURRENCY REQUESTS TOKENS` posts streaming chat completions and prints how many bytes and
//! chunks came back.

#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};

#[derive(Default)]
struct Seen {
    requests: Cell<u64>,
    chunks: Cell<u64>,
    bytes: Cell<u64>,
    last: Cell<Option<Instant>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, concurrency, requests, tokens] = arguments.as_slice() else {
        return Err("usage: limit HOST:PORT CONCURRENCY REQUESTS TOKENS".into());
    };
    let (concurrency, requests): (u64, u64) = (concurrency.parse()?, requests.parse()?);
    let words = "word ".repeat(64);
    let body = Bytes::from(format!(
        r#"{{"messages":[{{"role":"user","content":"{words}"}}],"model":"m","stream":true,"stream_options":{{"include_usage":true}},"max_completion_tokens":{tokens}}}"#
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = Rc::new(Seen::default());
    let left = Rc::new(Cell::new(requests));
    LocalSet::new().block_on(&runtime, async {
        let clients: Vec<_> = (0..concurrency)
            .map(|_| spawn_local(client(address.clone(), body.clone(), left.clone(), seen.clone())))
            .collect();
        for client in clients {
            client.await?.map_err(|error| error.to_string())?;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    println!("{} requests, {} chunks, {} bytes", seen.requests.get(), seen.chunks.get(), seen.bytes.get());
    Ok(())
}

async fn client(
    address: String,
    body: Bytes,
    left: Rc<Cell<u64>>,
    seen: Rc<Seen>,
) -> Result<(), Box<dyn Error>> {
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    spawn_local(connection);
    while left.get() > 0 {
        left.set(left.get() - 1);
        let request = Request::post("/v1/chat/completions")
            .header("host", &address)
            .header("content-type", "application/json")
            .body(Full::new(body.clone()))?;
        let mut answer = sender.send_request(request).await?;
        while let Some(frame) = answer.body_mut().frame().await {
            if let Some(data) = frame?.data_ref() {
                seen.last.set(Some(Instant::now()));
                seen.chunks.set(seen.chunks.get() + 1);
                seen.bytes.set(seen.bytes.get() + data.len() as u64);
            }
        }
        seen.requests.set(seen.requests.get() + 1);
    }
    Ok(())
}
