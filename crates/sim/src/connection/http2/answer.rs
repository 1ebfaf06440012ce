//! From an HTTP/2 request to its answer.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::body::{AnswerBody, StreamBody};
use super::{Broken, Http2};
use crate::api::Api;
use crate::clock::{mono_ns, wall_ns};
use crate::error_body::{Engine, ErrorBody, error_body, reason_phrase};
use crate::fault::Fault;
use crate::intake::{Identity, Intent, OpenLog, Order, decide, intend};
use crate::log::{Outcome, WriteLog};
use crate::metrics::Meter;
use crate::pages::{Page, page};
use crate::plan::{Plan, Timeline};
use crate::script::{Script, whole_body, whole_stream};

type Answer = Result<Response<AnswerBody>, Broken>;

/// Answers one request.
pub(super) async fn answer(connection: Rc<Http2>, request: Request<Incoming>) -> Answer {
    let head_received_ns = mono_ns();
    let shared = &connection.worker.shared;
    connection.nth.set(connection.nth.get() + 1);
    if shared.config.connections.max_requests.is_some_and(|most| connection.nth.get() >= most) {
        connection.signals.go_away();
    }
    let path = request.uri().path().to_owned();
    let Some(api) = Api::of_path(&path).filter(|_| request.method() == Method::POST) else {
        return other(&connection, request.method(), &path).await;
    };
    let mut identity = Identity::default();
    for (name, value) in request.headers() {
        identity.notice(name.as_str(), value.as_bytes());
    }
    let mut log = OpenLog::open(shared, &path, &identity, head_received_ns);
    log.connection = connection.id;
    log.nth_on_connection = connection.nth.get();
    log.http2 = true;
    let intent = intend(shared, &identity, &mut log);
    if let Ok(Intent { fault: Some(Fault::StallRequest), .. }) = &intent {
        // The body is held and never polled, so the window stays as it is.
        let _unread = request.into_body();
        return std::future::pending().await;
    }
    let Ok(body) = Limited::new(request.into_body(), shared.config.max_body_bytes).collect().await else {
        log.status = 413;
        log.close(Outcome::Rejected);
        return refusal(error_body(Engine::Vllm, 413, reason_phrase(413)), 413);
    };
    log.body_received_ns = mono_ns();
    log.body_received_wall_ns = wall_ns();
    match decide(shared, api, &identity, intent, &body.to_bytes(), &mut log) {
        Ok(order) => fulfil(&connection, order, log).await,
        Err(reason) => {
            head_sent(&mut log, reason.status);
            log.close(Outcome::Rejected);
            refusal(error_body(Engine::Vllm, reason.status, &reason.message), reason.status)
        }
    }
}

async fn other(connection: &Http2, method: &Method, path: &str) -> Answer {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return refusal(error_body(Engine::Fastapi, 404, reason_phrase(404)), 404);
    }
    match page(&connection.worker.shared, path) {
        Page::Text { status, content_type, body } => respond(
            status,
            Some(content_type),
            AnswerBody::full(if *method == Method::HEAD { String::new() } else { body }),
        ),
        Page::Huge(blocks) => {
            let blocks = blocks.map(String::into_bytes);
            respond(200, Some("text/plain; version=0.0.4"), AnswerBody::Blocks(Box::new(blocks)))
        }
        Page::Hang => std::future::pending().await,
    }
}

async fn fulfil(connection: &Rc<Http2>, order: Order, mut log: OpenLog) -> Answer {
    let Order { plan, draws } = order;
    let worker = &connection.worker;
    let config = &worker.shared.config;
    if let Some(fault) = plan.fault
        && let Some(answer) = fail_at_once(connection, fault, &plan, &mut log).await
    {
        log.close(Outcome::Fault);
        return answer;
    }
    let mut meter = Meter::arrive(&worker.metrics, log.body_received_ns, plan.prompt_tokens);
    let admitted = Arc::clone(&worker.shared.admission).enter().await;
    log.admitted_ns = if config.timing.max_running.is_some() { mono_ns() } else { log.body_received_ns };
    meter.admit(log.admitted_ns, plan.cached_tokens.unwrap_or(0));
    let mut timeline = Timeline::new(config, &plan, log.admitted_ns, admitted.running, draws);
    let request_id = log.x_request_id.clone();
    let (content_type, body) = if plan.stream {
        if !config.wire.headers_with_first_event {
            head_sent(&mut log, 200);
        }
        let script = Script::new(config, plan, timeline, log.admitted_ns);
        let body = StreamBody::new(Rc::clone(connection), script, log, meter, admitted);
        ("text/event-stream; charset=utf-8", AnswerBody::Stream(Box::new(body)))
    } else {
        let due_ns = timeline.due_of_last(plan.total());
        worker.timer.sleep_until(due_ns).await;
        let mut body = Vec::new();
        whole_body(config, &plan, &mut body);
        let now_ns = mono_ns();
        log.sent_tokens = plan.total();
        meter.wrote(now_ns, plan.total());
        meter.finish(plan.finish);
        head_sent(&mut log, 200);
        log.writes.push(WriteLog {
            scheduled_ns: due_ns,
            write_start_ns: now_ns,
            write_end_ns: now_ns,
            wall_ns: wall_ns(),
            bytes: body.len() as u32,
            tokens: plan.total(),
            events: 0,
        });
        log.close(Outcome::Completed);
        ("application/json", AnswerBody::full(body))
    };
    let mut response = respond(200, Some(content_type), body)?;
    if let Some(id) = request_id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert("x-request-id", id);
    }
    Ok(response)
}

async fn fail_at_once(connection: &Http2, fault: Fault, plan: &Plan, log: &mut OpenLog) -> Option<Answer> {
    let config = &connection.worker.shared.config;
    let stream_type = if plan.stream { "text/event-stream" } else { "application/json" };
    let plain = || {
        let mut body = Vec::new();
        if plan.stream {
            whole_stream(config, plan, &mut body);
        } else {
            whole_body(config, plan, &mut body);
        }
        body
    };
    let answer = match fault {
        Fault::Status { code, engine } => {
            head_sent(log, code);
            return Some(refusal(
                error_body(engine, code, "the simulated engine refuses this request"),
                code,
            ));
        }
        Fault::CloseBeforeHeaders => {
            connection.signals.hang_up();
            std::future::pending().await
        }
        Fault::ResetBeforeHeaders | Fault::ResetInHeaders => Err(Broken),
        Fault::StallBeforeHeaders => std::future::pending().await,
        Fault::ContentLengthLong | Fault::ContentLengthShort => {
            let body = plain();
            let off = if fault == Fault::ContentLengthLong { 100 } else { -20 };
            let length = (body.len() as u64).saturating_add_signed(off);
            with_header(
                respond(200, Some(stream_type), AnswerBody::full(body)),
                header::CONTENT_LENGTH,
                length.to_string(),
            )
        }
        Fault::HugeHeader { bytes } => {
            let filler = "x".repeat(usize::try_from(bytes).unwrap_or(usize::MAX).min(64 << 20));
            with_header(respond(200, None, AnswerBody::full("")), HeaderName::from_static("x-filler"), filler)
        }
        Fault::ManyHeaders { count } => {
            let mut answer = respond(200, None, AnswerBody::full(""));
            for n in 0..count.min(20_000) {
                if let Ok(name) = HeaderName::try_from(format!("x-filler-{n}")) {
                    answer = with_header(answer, name, n.to_string());
                }
            }
            answer
        }
        Fault::HugeLine { bytes } => {
            const BLOCK: u64 = 64 << 10;
            let blocks =
                (0..bytes.div_ceil(BLOCK)).map(move |n| vec![b'x'; (bytes - n * BLOCK).min(BLOCK) as usize]);
            let line = std::iter::once(b"data: ".to_vec()).chain(blocks);
            respond(200, Some("text/event-stream"), AnswerBody::Blocks(Box::new(line)))
        }
        Fault::GzipBomb { bytes } => {
            let packed = super::super::faulty::bomb(bytes).unwrap_or_default();
            with_header(
                respond(200, Some(stream_type), AnswerBody::full(packed)),
                header::CONTENT_ENCODING,
                "gzip".into(),
            )
        }
        Fault::Redirect { code } => {
            with_header(respond(code, None, AnswerBody::full("")), header::LOCATION, log.path.clone())
        }
        Fault::EmptyOk => respond(200, None, AnswerBody::full("")),
        Fault::NonJson => {
            respond(200, Some("text/html"), AnswerBody::full("<html><body><h1>It works!</h1></body></html>"))
        }
        Fault::GoAway => {
            connection.signals.go_away();
            return None;
        }
        _ if fault.after_tokens().is_some() && !plan.stream && !matches!(fault, Fault::Abort { .. }) => {
            Err(Broken)
        }
        _ => return None,
    };
    if let Ok(response) = &answer {
        head_sent(log, response.status().as_u16());
    }
    Some(answer)
}

fn head_sent(log: &mut OpenLog, status: u16) {
    let now_ns = mono_ns();
    log.head_written(status, now_ns, now_ns);
}

fn refusal(answer: ErrorBody, status: u16) -> Answer {
    respond(status, answer.content_type, AnswerBody::full(answer.body))
}

fn respond(status: u16, content_type: Option<&'static str>, body: AnswerBody) -> Answer {
    let mut response = Response::new(body);
    // Only statuses the simulator names itself come here; all are valid.
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    if let Some(content_type) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    Ok(response)
}

fn with_header(answer: Answer, name: HeaderName, value: String) -> Answer {
    let mut response = answer?;
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
