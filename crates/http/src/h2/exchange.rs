//! One request on one stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::Uri;
use tokmeter_record::trace::StampSource;
use tokmeter_record::{ErrorClass, MonoNs, Phase, Side};

use super::{H2, Slot};
use crate::clock;
use crate::draft::{Draft, StreamStamps};
use crate::exchange::{NO_KERNEL_STAMP, Origin, ResponseHead};
use crate::failure::Failure;
use crate::h1::{H1Request, Terms};

/// A body up to this size goes out with its headers, in one frame; h2 holds it until the window allows it. For
/// larger ones we wait for the window ourselves, to know when the last piece went.
const ONE_FRAME: usize = 16 * 1024;

/// Room for the body at its first byte.
const FIRST_BODY_ROOM: usize = 4096;

/// Header fields that belong to a connection of HTTP/1.1 and must not be sent (RFC 9113 section 8.2.2).
const HOP_BY_HOP: [&str; 6] =
    ["connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

impl Slot {
    /// Sends one request and receives its answer into the draft.
    pub(crate) async fn exchange(
        &self,
        request: H1Request,
        origin: &Origin,
        draft: &mut Draft,
        terms: &mut Terms<'_>,
    ) -> Result<(), Failure> {
        let shared = &self.connection;
        shared.served.set(shared.served.get().saturating_add(1));
        draft.trace.connection = Some(Arc::clone(&shared.info));
        draft.trace.connection_request_number = Some(shared.served.get());
        draft.trace.stamp_source = StampSource::Frame;
        let mut send = shared.send.borrow().clone();
        self.wait_for_stream(&mut send, draft).await?;

        draft.setup = None;
        let start = clock::now();
        let watch = shared.wire.watch_next_write();
        let (message, body) = as_h2(request, origin)?;
        let (response, stream) = send
            .send_request(message, body.is_empty())
            .map_err(|error| self.failure(&error, Phase::Sending))?;
        draft.trace.request_send_start_ns = Some(start);
        let (mut stream, mut rest) = (stream, body);
        let length = rest.len();
        if (1..=ONE_FRAME).contains(&length) {
            stream
                .send_data(std::mem::take(&mut rest), true)
                .map_err(|error| self.failure(&error, Phase::Sending))?;
        }
        let handed_over = rest.is_empty();
        draft.stream = Some(StreamStamps {
            headers: Rc::clone(&watch),
            end: handed_over.then_some(watch),
            body_bytes: if handed_over { length as u64 } else { 0 },
            keep_request: terms.keep_request,
            max_lag: None,
        });
        let mut exchange = Running {
            shared,
            draft,
            terms,
            sending: (!handed_over).then_some(Sending { stream, rest }),
            response: Some(response),
            incoming: None,
        };
        let outcome = poll_fn(|cx| exchange.poll(cx)).await;
        drop(exchange);
        outcome.map_err(|error| match error {
            Fault::Stream(error) => self.failure(&error, draft.phase()),
            Fault::Limit(failure) => failure,
        })
    }

    /// Waits until the server's limit of concurrent streams leaves room; that wait is `blocked`.
    async fn wait_for_stream(
        &self,
        send: &mut h2::client::SendRequest<Bytes>,
        draft: &mut Draft,
    ) -> Result<(), Failure> {
        draft.setup = Some(Phase::Blocked);
        let mut waited = false;
        let ready = poll_fn(|cx| {
            let polled = send.poll_ready(cx);
            if polled.is_pending() && !waited {
                waited = true;
                draft.trace.connection_pool_wait_start_ns.get_or_insert_with(clock::now);
            }
            polled
        })
        .await;
        if waited {
            draft.trace.connection_pool_wait_end_ns = Some(clock::now());
        }
        ready.map_err(|error| self.failure(&error, Phase::Sending))
    }

    fn failure(&self, error: &h2::Error, phase: Phase) -> Failure {
        if error.is_go_away() || error.is_io() {
            self.connection.close();
        }
        Failure::from_h2(error, phase, &self.connection.peer)
    }
}

enum Fault {
    Stream(h2::Error),
    Limit(Failure),
}

/// The request body on its way.
struct Sending {
    stream: SendStream<Bytes>,
    rest: Bytes,
}

struct Running<'a, 't> {
    shared: &'a H2,
    draft: &'a mut Draft,
    terms: &'a mut Terms<'t>,
    sending: Option<Sending>,
    response: Option<ResponseFuture>,
    incoming: Option<RecvStream>,
}

impl Running<'_, '_> {
    /// Hands the body over as the windows allow. What goes wrong here shows up in the response, too, and with
    /// more words.
    fn poll_send(&mut self, cx: &mut Context<'_>) {
        let Some(sending) = &mut self.sending else { return };
        while !sending.rest.is_empty() {
            sending.stream.reserve_capacity(sending.rest.len());
            let room = match sending.stream.poll_capacity(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(room))) => room,
                Poll::Ready(_) => break,
            };
            let piece = sending.rest.split_to(room.min(sending.rest.len()));
            let length = piece.len() as u64;
            let last = sending.rest.is_empty();
            if sending.stream.send_data(piece, last).is_err() {
                break;
            }
            if let Some(stamps) = &mut self.draft.stream {
                stamps.body_bytes += length;
                if last {
                    stamps.end = Some(self.shared.wire.watch_next_write());
                }
            }
        }
        self.sending = None;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.poll_send(cx);
        if self.terms.sent.get().is_none() && self.sending.is_none() {
            // Another task writes; handed over completely counts as sent for `cancel_after`.
            self.terms.sent.set(Some(clock::now()));
        }
        if let Some(response) = &mut self.response {
            let head = ready!(Pin::new(response).poll(cx)).map_err(Fault::Stream)?;
            self.response = None;
            if !self.take_head(head)? {
                return Poll::Ready(Ok(()));
            }
        }
        while let Some(incoming) = &mut self.incoming {
            match ready!(incoming.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(Fault::Stream(error))),
                Some(Ok(data)) => {
                    // Only fails when the stream is gone, which the next poll says.
                    let _ = incoming.flow_control().release_capacity(data.len());
                    self.take_data(&data)?;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// True when the body is wanted.
    fn take_head(&mut self, response: http::Response<RecvStream>) -> Result<bool, Fault> {
        let at = self.note_read();
        self.draft.trace.response_first_byte_ns = Some(at);
        self.draft.trace.response_headers_received_ns = Some(at);
        let (parts, incoming) = response.into_parts();
        let lines = parts.headers.len();
        let head = ResponseHead { status: parts.status, version: parts.version, headers: parts.headers };
        let wanted = self.terms.want_body.as_mut().is_none_or(|want| want(&head));
        self.draft.bound.events = head.is_event_stream();
        self.draft.head = Some(head);
        if lines > self.terms.limits.max_headers {
            return Err(Fault::Limit(Failure::new(
                ErrorClass::LimitExceeded,
                Side::Server,
                format!(
                    "the response head has {lines} lines, over the limit of {}",
                    self.terms.limits.max_headers
                ),
            )));
        }
        self.incoming = Some(incoming);
        Ok(wanted)
    }

    fn take_data(&mut self, data: &[u8]) -> Result<(), Fault> {
        let at = self.note_read();
        self.draft
            .bound
            .admit(&self.draft.body.bytes, data.len(), &self.terms.limits)
            .map_err(Fault::Limit)?;
        let body = &mut self.draft.body;
        if body.bytes.is_empty() {
            body.bytes.reserve(FIRST_BODY_ROOM);
        }
        body.append_read(data, at, self.shared.wire.last_lag());
        self.terms.show(self.draft);
        Ok(())
    }

    fn note_read(&mut self) -> MonoNs {
        let lag = self.shared.wire.last_lag();
        if lag != NO_KERNEL_STAMP
            && let Some(stamps) = &mut self.draft.stream
        {
            stamps.max_lag = stamps.max_lag.max(Some(lag));
        }
        self.shared.wire.last_read()
    }
}

/// The request as HTTP/2 has it: a full URI, no header fields of a connection.
fn as_h2(request: H1Request, origin: &Origin) -> Result<(http::Request<()>, Bytes), Failure> {
    let (mut parts, body) = request.into_parts();
    let authority = match parts.headers.get(http::header::HOST) {
        Some(host) => host.to_str().unwrap_or_default().to_owned(),
        None => origin.authority(),
    };
    for name in HOP_BY_HOP {
        parts.headers.remove(name);
    }
    parts.version = http::Version::HTTP_2;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = Uri::builder()
        .scheme(if origin.tls { "https" } else { "http" })
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|error| {
            Failure::new(ErrorClass::Other, Side::Client, "the request's host or path is not valid")
                .caused_by(&error)
        })?;
    Ok((http::Request::from_parts(parts, ()), body.0))
}
