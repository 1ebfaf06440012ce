//! HTTP/1.1: one connection, driven by the request that owns it.
//!
//! Connection, head and body are polled in one loop of one task. Before each round the socket is allowed one
//! read; what hyper then hands over came from that read, so it gets exactly its stamp.

mod drive;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use http::HeaderMap;
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use tokmeter_record::trace::ConnectionInfo;
use tokmeter_record::{ErrorClass, MonoNs, Side};

use self::drive::Drive;
use crate::bound::body_too_large;
use crate::config::Limits;
use crate::dial::Dialed;
use crate::draft::Draft;
use crate::exchange::{ResponseHead, StampedBody};
use crate::failure::Failure;
use crate::io::{Link, Wire};
use crate::payload::Payload;
use crate::pool::Permit;

/// hyper's smallest read buffer.
const MIN_BUFFER: usize = 8192;
/// hyper's default buffer is larger than any read needs to be; this bounds memory per connection.
const MAX_BUFFER: usize = 128 * 1024;
/// Rounds of one poll before other tasks get their turn.
const MAX_ROUNDS: u32 = 32;
/// Room for the body at its first byte, when its length is not known.
const FIRST_BODY_ROOM: usize = 4096;

/// A request as hyper takes it.
pub(crate) type H1Request = http::Request<Payload>;

/// Asked with the head whether the body is wanted.
pub(crate) type WantBody<'a> = &'a mut (dyn FnMut(&ResponseHead) -> bool + 'a);

/// Shown the body after every read, until it says that it has seen enough.
pub(crate) type WatchBody<'a> = &'a mut (dyn FnMut(&ResponseHead, &StampedBody) -> bool + 'a);

/// What the exchange of one request has to know beside the request.
pub(crate) struct Terms<'a> {
    pub(crate) limits: Limits,
    pub(crate) keep_request: bool,
    /// Filled when the request is written completely.
    pub(crate) sent: &'a Cell<Option<MonoNs>>,
    pub(crate) want_body: Option<WantBody<'a>>,
    pub(crate) watch_body: Option<WatchBody<'a>>,
}

impl Terms<'_> {
    /// Shows what has come to the caller that asked for it.
    pub(crate) fn show(&mut self, draft: &Draft) {
        if let (Some(watch), Some(head)) = (&mut self.watch_body, &draft.head)
            && !watch(head, &draft.body)
        {
            self.watch_body = None;
        }
    }
}

/// A connection, in use or idle.
pub(crate) struct H1 {
    sender: SendRequest<Payload>,
    connection: Connection<Link, Payload>,
    wire: Rc<Wire>,
    drive: Arc<Drive>,
    waker: Waker,
    informational: Arc<AtomicBool>,
    info: Arc<ConnectionInfo>,
    peer: Rc<str>,
    served: u32,
    pub(crate) idle_since: MonoNs,
    /// The right to be open; it ends with the connection.
    permit: Option<Permit>,
}

impl H1 {
    pub(crate) async fn new(dialed: Dialed, permit: Permit, limits: Limits) -> Result<Self, Failure> {
        let wire = Rc::clone(dialed.link.wire());
        let mut builder = Builder::new();
        builder.max_header_size(limits.max_header_bytes);
        builder.max_buf_size(limits.max_header_bytes.clamp(MIN_BUFFER, MAX_BUFFER));
        if limits.max_headers != Limits::default().max_headers {
            builder.max_headers(limits.max_headers);
        }
        let (sender, connection) = builder.handshake(dialed.link).await.map_err(|error| {
            Failure::new(ErrorClass::Other, Side::Client, "HTTP/1.1 could not be set up").caused_by(&error)
        })?;
        let drive = Arc::new(Drive::default());
        Ok(H1 {
            sender,
            connection,
            wire,
            waker: Waker::from(Arc::clone(&drive)),
            drive,
            informational: Arc::default(),
            info: dialed.info,
            peer: dialed.peer,
            served: 0,
            idle_since: MonoNs(0),
            permit: Some(permit),
        })
    }

    /// Requests carried so far.
    pub(crate) fn served(&self) -> u32 {
        self.served
    }

    /// Remote address, for the record of an attempt.
    pub(crate) fn remote(&self) -> Option<String> {
        self.info.remote_address()
    }

    /// Gives the right to be open to another connection; this one must be dropped then.
    pub(crate) fn take_permit(&mut self) -> Option<Permit> {
        self.permit.take()
    }

    /// Whether an idle connection can still be used: polled once, it has not been closed by the server and
    /// has received nothing unasked.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.wire.allow_idle_read();
        let connection = &mut self.connection;
        let waker = &self.waker;
        let open = self
            .drive
            .aside(|| connection.poll_without_shutdown(&mut Context::from_waker(waker)).is_pending());
        open && self.sender.is_ready()
    }

    /// Sends one request and receives its answer into the draft. `Ok(true)`: the connection can be used again.
    pub(crate) async fn exchange(
        &mut self,
        mut request: H1Request,
        draft: &mut Draft,
        terms: &mut Terms<'_>,
    ) -> Result<bool, Failure> {
        self.served = self.served.saturating_add(1);
        let head_bytes = head_bytes(&request);
        let body_bytes = request.body().size_hint().exact().unwrap_or(0);
        self.wire.begin_request(head_bytes, body_bytes, terms.keep_request);
        self.informational.store(false, Relaxed);
        let informational = Arc::clone(&self.informational);
        hyper::ext::on_informational(&mut request, move |_| informational.store(true, Relaxed));
        draft.setup = None;
        draft.wire = Some(Rc::clone(&self.wire));
        draft.trace.connection = Some(Arc::clone(&self.info));
        draft.trace.connection_request_number = Some(self.served);

        let response = pin!(self.sender.try_send_request(request));
        let mut exchange = Running {
            connection: &mut self.connection,
            response: Some(response),
            incoming: None,
            wire: &self.wire,
            informational: &self.informational,
            peer: &self.peer,
            draft,
            terms,
            closed: None,
        };
        let drive = &self.drive;
        let waker = &self.waker;
        let outcome = poll_fn(|task| {
            drive.enter(task.waker());
            let mut cx = Context::from_waker(waker);
            let mut rounds = 0;
            let outcome = loop {
                drive.begin_round();
                match exchange.round(&mut cx) {
                    Poll::Ready(outcome) => break Poll::Ready(outcome),
                    Poll::Pending if !(drive.woken() || exchange.wire.wants_another_read()) => {
                        break Poll::Pending;
                    }
                    Poll::Pending => {}
                }
                rounds += 1;
                if rounds == MAX_ROUNDS {
                    task.waker().wake_by_ref();
                    break Poll::Pending;
                }
            };
            if outcome.is_ready() {
                drive.finish()
            } else {
                drive.leave()
            }
            outcome
        })
        .await;
        let closed = exchange.closed.is_some();
        match outcome {
            Err(failure) => Err(failure),
            Ok(End::Unwanted) => Ok(false),
            Ok(End::Complete) if closed => Ok(false),
            // One more round lets hyper see that the message is over and ask for the next one.
            Ok(End::Complete) => Ok(self.is_alive()),
        }
    }
}

/// How a request without failure ended.
enum End {
    Complete,
    /// The caller did not want the body.
    Unwanted,
}

/// One request under way.
struct Running<'a, 't, R> {
    connection: &'a mut Connection<Link, Payload>,
    response: Option<Pin<&'a mut R>>,
    incoming: Option<Incoming>,
    wire: &'a Wire,
    informational: &'a AtomicBool,
    peer: &'a str,
    draft: &'a mut Draft,
    terms: &'a mut Terms<'t>,
    /// The connection's own end; it must not be polled again.
    closed: Option<Result<(), hyper::Error>>,
}

type Response = Result<http::Response<Incoming>, hyper::client::conn::TrySendError<http::Request<Payload>>>;

impl<R: Future<Output = Response>> Running<'_, '_, R> {
    /// Moves bytes once, then takes over everything hyper has ready.
    fn round(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, Failure>> {
        self.wire.allow_one_read();
        if self.closed.is_none()
            && let Poll::Ready(end) = self.connection.poll_without_shutdown(cx)
        {
            self.closed = Some(end);
        }
        if self.informational.load(Relaxed) && self.response.is_some() {
            // A 1xx answer is not the first byte of the answer. If the real head came in the same read,
            // `take_head` restores its stamp.
            self.informational.store(false, Relaxed);
            self.wire.forget_first_read();
        }
        if self.terms.sent.get().is_none() {
            self.terms.sent.set(self.wire.send_end());
        }
        if let Some(response) = &mut self.response {
            match response.as_mut().poll(cx) {
                Poll::Pending => return self.pending(),
                Poll::Ready(Ok(response)) => {
                    self.response = None;
                    if let Some(end) = self.take_head(response)? {
                        return Poll::Ready(Ok(end));
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.response = None;
                    let unsent = error.message().is_some();
                    let mut failure = self.failure(&error.into_error());
                    failure.unsent = unsent;
                    return Poll::Ready(Err(failure));
                }
            }
        }
        while let Some(incoming) = &mut self.incoming {
            match Pin::new(incoming).poll_frame(cx) {
                Poll::Pending => return self.pending(),
                Poll::Ready(None) => return Poll::Ready(Ok(End::Complete)),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        self.take_data(data)?;
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(self.failure(&error))),
            }
        }
        self.pending()
    }

    /// Pending, unless the connection has ended and nothing can come any more.
    fn pending(&mut self) -> Poll<Result<End, Failure>> {
        match &self.closed {
            None => Poll::Pending,
            Some(Err(error)) => Poll::Ready(Err(self.failure(error))),
            Some(Ok(())) => Poll::Ready(Err(Failure::new(
                ErrorClass::Disconnected,
                Side::Network,
                "the connection ended before the response was complete",
            ))),
        }
    }

    fn take_head(&mut self, response: http::Response<Incoming>) -> Result<Option<End>, Failure> {
        let read_at = self.wire.last_read();
        let trace = &mut self.draft.trace;
        trace.response_headers_received_ns = Some(read_at);
        trace.response_first_byte_ns = Some(self.wire.first_read().unwrap_or(read_at));
        let (parts, incoming) = response.into_parts();
        let head = ResponseHead { status: parts.status, version: parts.version, headers: parts.headers };
        let wanted = self.terms.want_body.as_mut().is_none_or(|want| want(&head));
        self.draft.bound.events = head.is_event_stream();
        self.draft.head = Some(head);
        if !wanted {
            return Ok(Some(End::Unwanted));
        }
        if incoming.is_end_stream() {
            return Ok(Some(End::Complete));
        }
        match incoming.size_hint().exact() {
            Some(length) if length > self.terms.limits.max_body_bytes as u64 => {
                return Err(body_too_large(self.terms.limits.max_body_bytes));
            }
            Some(length) => self.draft.body.bytes.reserve((length as usize).min(16 * FIRST_BODY_ROOM)),
            None => self.draft.body.bytes.reserve(FIRST_BODY_ROOM),
        }
        self.incoming = Some(incoming);
        Ok(None)
    }

    fn take_data(&mut self, data: &[u8]) -> Result<(), Failure> {
        let draft = &mut *self.draft;
        draft.bound.admit(&draft.body.bytes, data.len(), &self.terms.limits)?;
        draft.body.append_read(data, self.wire.last_read(), self.wire.last_lag());
        self.terms.show(self.draft);
        Ok(())
    }

    fn failure(&self, error: &hyper::Error) -> Failure {
        // The body only hears "connection error"; the connection knows which.
        let telling = match &self.closed {
            Some(Err(own)) => own,
            _ => error,
        };
        Failure::from_hyper(telling, self.draft.phase(), self.peer, self.terms.limits.max_header_bytes)
    }
}

/// Length of the request head as hyper writes it: the write that passes it has sent the headers.
fn head_bytes(request: &H1Request) -> u64 {
    let uri = request.uri();
    let target = match uri.authority() {
        // Absolute form, to a proxy: scheme://authority/path.
        Some(authority) => {
            uri.scheme_str().map_or(0, |scheme| scheme.len() + 3) + authority.as_str().len() + path_bytes(uri)
        }
        None => path_bytes(uri),
    };
    let first_line = request.method().as_str().len() + 1 + target + " HTTP/1.1\r\n".len();
    (first_line + header_bytes(request.headers()) + 2) as u64
}

fn path_bytes(uri: &http::Uri) -> usize {
    uri.path_and_query().map_or(1, |path| path.as_str().len())
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}
