//! HTTP/2 by prior knowledge: the same scripts, frame by frame.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokmeter_sim::{Distribution, Outcome, RunningSim};

use crate::client::{PATIENCE, chat, start};

type Sender = SendRequest<Full<Bytes>>;

/// Runs `talk` on a connection; also whether the connection itself ended well.
fn talk<T>(sim: &RunningSim, talk: impl AsyncFnOnce(&mut Sender) -> T) -> (T, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(sim.addr()).await.expect("connect");
        let (mut sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("handshake");
        let connection = tokio::spawn(connection);
        let value = tokio::time::timeout(PATIENCE, talk(&mut sender)).await.expect("in time");
        drop(sender);
        let ended = tokio::time::timeout(PATIENCE, connection).await.expect("in time").expect("no panic");
        (value, ended.is_ok())
    })
}

async fn post(
    sender: &mut Sender,
    headers: &[(&str, &str)],
    body: &Value,
) -> hyper::Result<Response<Incoming>> {
    let mut request = Request::post("http://sim/v1/chat/completions");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    sender.ready().await?;
    sender.send_request(request.body(Full::from(body.to_string())).expect("a request")).await
}

async fn frames(response: Response<Incoming>) -> (Vec<Bytes>, bool) {
    let mut body = response.into_body();
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => frames.extend(frame.into_data()),
            Err(_) => return (frames, false),
        }
    }
    (frames, true)
}

#[test]
fn a_stream_is_one_frame_per_event_on_schedule() {
    let sim = start(|config| {
        config.timing.ttft_ms = Distribution::constant(20.0);
        config.timing.itl_ms = Distribution::constant(2.0);
    });
    let ((frames, complete), _) = talk(&sim, async |sender| {
        let response = post(sender, &[("x-request-id", "h2")], &chat(5)).await.expect("a response");
        assert_eq!(response.headers()["x-request-id"], "h2");
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        frames(response).await
    });
    assert!(complete);
    let text: String = frames.iter().map(|f| String::from_utf8_lossy(f)).collect();
    assert_eq!(text.matches("data: ").count(), 9);
    assert!(text.ends_with("data: [DONE]\n\n"));
    let entry = &sim.wait_for_log(1, PATIENCE).expect("logged")[0];
    assert!(entry.http2 && entry.outcome == Outcome::Completed && entry.sent_tokens == 5);
    assert_eq!(entry.x_request_id.as_deref(), Some("h2"));
    let tokens: Vec<_> = entry.writes.iter().filter(|w| w.tokens > 0).collect();
    for (k, write) in tokens.iter().enumerate() {
        assert_eq!(write.scheduled_ns, entry.body_received_ns + 20_000_000 + k as u64 * 2_000_000);
        assert!(write.write_start_ns >= write.scheduled_ns);
    }
}

#[test]
fn streams_share_a_connection() {
    let sim = start(|config| config.timing.ttft_ms = Distribution::constant(600_000.0));
    talk(&sim, async |sender| {
        let mut open = Vec::new();
        for _ in 0..20 {
            let mut body = post(sender, &[], &chat(2)).await.expect("a response").into_body();
            let role = body.frame().await.expect("the role event").expect("no error");
            assert!(role.into_data().is_ok_and(|data| data.starts_with(b"data: ")));
            open.push(body);
        }
        assert_eq!(sim.counters().received, 20, "all are open at the same time");
    });
    let log = sim.wait_for_log(20, PATIENCE).expect("noticed");
    assert!(log.iter().all(|e| e.connection == 1 && e.outcome == Outcome::ClientDisconnected));
}

#[test]
fn whole_answers_pages_and_refusals_work() {
    let sim = start(|_| {});
    talk(&sim, async |sender| {
        let mut body = chat(4);
        body["stream"] = false.into();
        let response = post(sender, &[], &body).await.expect("a response");
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        let json: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(json["usage"]["completion_tokens"], 4);
        let refused = post(sender, &[], &Value::from("no object")).await.expect("a response");
        assert_eq!(refused.status(), 400);
        let page = Request::get("http://sim/metrics").body(Full::default()).expect("a request");
        let page = sender.send_request(page).await.expect("a response");
        let text = page.into_body().collect().await.expect("a body").to_bytes();
        assert!(
            String::from_utf8_lossy(&text)
                .contains("vllm:generation_tokens_total{engine=\"0\",model_name=\"sim-model\"} 4.0")
        );
    });
}

#[test]
fn faults_reset_the_stream_or_the_connection() {
    let sim = start(|_| {});
    let play = |script: &str| {
        talk(&sim, async |sender| match post(sender, &[("x-sim-script", script)], &chat(6)).await {
            Err(_) => None,
            Ok(response) => {
                let status = response.status().as_u16();
                let (frames, complete) = frames(response).await;
                let text: String = frames.iter().map(|f| String::from_utf8_lossy(f)).collect();
                Some((status, text.matches("\"content\":\"").count(), complete))
            }
        })
    };
    assert_eq!(play("rst-stream:3"), (Some((200, 4, false)), true), "the connection survives");
    assert_eq!(play("reset-before-headers"), (None, true));
    assert_eq!(play("truncate:2"), (Some((200, 3, true)), true));
    assert_eq!(play("go-away"), (Some((200, 7, true)), true), "the stream completes");
    assert_eq!(play("status:503:dynamo").0.map(|answer| answer.0), Some(503));
    assert!(play("close-before-headers").0.is_none());
    assert_eq!(play("close-mid-stream:2").0.map(|answer| answer.2), Some(false));
    assert_eq!(play("huge-line:200000").0.map(|answer| answer.2), Some(true));
    let log = sim.wait_for_log(8, PATIENCE).expect("logged");
    assert!(log.iter().all(|entry| entry.outcome == Outcome::Fault), "{log:?}");
    assert_eq!(log[0].sent_tokens, 3);
}

#[test]
fn an_unread_request_uses_up_its_window() {
    let sim = start(|config| config.connections.http2_window = 20);
    talk(&sim, async |sender| {
        let body = chat(3);
        let response = post(sender, &[("x-sim-script", "stall-request")], &body);
        assert!(tokio::time::timeout(Duration::from_millis(100), response).await.is_err(), "no answer");
        let response = post(sender, &[], &chat(3)).await.expect("other streams go on");
        assert!(frames(response).await.1);
    });
    let log = sim.wait_for_log(2, PATIENCE).expect("logged");
    let stalled = log.iter().find(|entry| entry.fault.is_some()).expect("the stalled one");
    assert_eq!((stalled.outcome, stalled.body_received_ns), (Outcome::Fault, 0));
}

#[test]
fn go_away_refuses_new_streams_only() {
    let sim = start(|config| config.connections.max_requests = Some(1));
    talk(&sim, async |sender| {
        let response = post(sender, &[], &chat(3)).await.expect("a response");
        assert!(frames(response).await.1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(post(sender, &[], &chat(3)).await.is_err());
    });
}

#[test]
fn a_cancelled_stream_is_a_client_that_left() {
    let sim = start(|config| config.timing.itl_ms = Distribution::constant(60_000.0));
    talk(&sim, async |sender| {
        let response = post(sender, &[], &chat(3)).await.expect("a response");
        drop(response);
    });
    let entry = &sim.wait_for_log(1, PATIENCE).expect("noticed")[0];
    assert_eq!(entry.outcome, Outcome::ClientDisconnected);
}
