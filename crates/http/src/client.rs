//! The client of one shard: requests in, exchanges out.

mod route;
mod supervise;

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use tokmeter_record::trace::{Attempt, AttemptKind};
use tokmeter_record::{ErrorClass, Phase, Side};

use self::route::{Route, Routes};
use self::supervise::{InFlight, Outcome, supervise};
use crate::clock;
use crate::config::{ClientConfig, ConfigError, Limits, ReuseStrategy};
use crate::dial::{Dialer, Protocol};
use crate::draft::Draft;
use crate::exchange::{Exchange, Origin, Request, ResponseHead, StampedBody};
use crate::failure::Failure;
use crate::h1::{H1, H1Request, Terms, WantBody, WatchBody};
use crate::h2::{H2, Slot};
use crate::pool::{DialRight, Grant, Kept, Permit, Pool, Wish};
use crate::stats::{ClientStats, ReceiveLag};

/// Sends requests over its own connections. One for each shard; it never leaves its thread.
///
/// It works inside a current-thread tokio runtime with I/O and time enabled. HTTP/2 connections are driven by
/// tasks of their own (`spawn_local`), so where HTTP/2 can occur it must run inside a
/// [`tokio::task::LocalSet`] or a [`tokio::runtime::LocalRuntime`].
pub struct Client {
    config: Arc<ClientConfig>,
    dialer: Dialer,
    pool: Rc<Pool>,
    routes: Routes,
    in_flight: InFlight,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    connections: Cell<u64>,
    reused: Cell<u64>,
    stale: Cell<u64>,
}

impl Counts {
    fn add(count: &Cell<u64>) {
        count.set(count.get() + 1);
    }
}

/// A connection that carries a request.
enum Carrier {
    H1(Box<H1>),
    H2(Slot),
}

impl Carrier {
    fn served(&self) -> u32 {
        match self {
            Carrier::H1(connection) => connection.served(),
            Carrier::H2(slot) => slot.served(),
        }
    }

    fn remote(&self) -> Option<String> {
        match self {
            Carrier::H1(connection) => connection.remote(),
            Carrier::H2(slot) => slot.remote(),
        }
    }
}

impl Client {
    /// A client with the settings of the run. Files named in the TLS options are read here.
    ///
    /// # Errors
    /// A setting that cannot be used: an unreadable certificate, a limit of zero, kernel stamps demanded where
    /// there are none.
    pub fn new(config: Arc<ClientConfig>, shard: u32) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Client {
            dialer: Dialer::new(Arc::clone(&config), shard)?,
            pool: Pool::new(&config),
            routes: Routes::default(),
            in_flight: InFlight::default(),
            counts: Counts::default(),
            config,
        })
    }

    /// Prepares for requests to an origin, so that the first of them does not pay for it: loads the trusted
    /// roots if it speaks TLS.
    ///
    /// # Errors
    /// TLS cannot be set up, for example because this machine trusts no roots.
    pub fn prepare(&self, origin: &Arc<Origin>) -> Result<(), ConfigError> {
        if origin.tls {
            self.dialer.tls()?;
        }
        self.routes.find(origin, &self.config, &self.pool);
        Ok(())
    }

    /// Sends a request and receives its answer. It never fails: whatever happens is in the exchange.
    pub async fn send(&self, request: Request) -> Exchange {
        self.perform(request, self.config.limits, None, None).await
    }

    /// The same, but asks with the head of the response whether its body is wanted. If not, the exchange ends
    /// there without an error, nothing of the body is read, and the connection is closed.
    pub async fn send_asking(
        &self,
        request: Request,
        mut want_body: impl FnMut(&ResponseHead) -> bool,
    ) -> Exchange {
        self.perform(request, self.config.limits, Some(&mut want_body), None).await
    }

    /// The same as [`Client::send`], but shows the body as far as it has come after every read, until `watch`
    /// returns false: for a caller that acts on a part of an answer while the rest is still under way.
    pub async fn send_watching(
        &self,
        request: Request,
        mut watch: impl FnMut(&ResponseHead, &StampedBody) -> bool,
    ) -> Exchange {
        self.perform(request, self.config.limits, None, Some(&mut watch)).await
    }

    /// The same with other limits, and asking with the head of the response whether its body is wanted.
    pub(crate) async fn perform(
        &self,
        request: Request,
        limits: Limits,
        want_body: Option<WantBody<'_>>,
        watch_body: Option<WatchBody<'_>>,
    ) -> Exchange {
        let start = clock::now();
        let mut draft = Draft::new(start);
        let sent = Cell::new(None);
        let mut terms = Terms {
            limits,
            keep_request: self.config.keep_request,
            sent: &sent,
            want_body: want_body.map(|want| want as WantBody<'_>),
            watch_body: watch_body.map(|watch| watch as WatchBody<'_>),
        };
        let (timeout, cancel_after) = (request.timeout, request.cancel_after);
        let outcome = {
            // Pinned where it is made: it is large, and moving it would cost more than running it.
            let work = pin!(self.run(request, &mut draft, &mut terms));
            supervise(&self.in_flight, timeout, cancel_after, &sent, work).await
        };
        let failure = match outcome {
            Outcome::Finished(Ok(())) => None,
            Outcome::Finished(Err(failure)) => Some(failure),
            Outcome::TimedOut => Some(timed_out(draft.phase(), timeout.unwrap_or_default().as_secs_f64())),
            Outcome::CancelledAfterSend => Some(Failure::new(
                ErrorClass::Cancelled,
                Side::Client,
                format!(
                    "request cancelled {:.3}s after being sent",
                    cancel_after.unwrap_or_default().as_secs_f64()
                ),
            )),
            Outcome::CancelledByCaller => Some(Failure::new(
                ErrorClass::Cancelled,
                Side::Client,
                "request cancelled: the run ended before it was complete",
            )),
        };
        draft.finish(failure.map(|failure| (failure, clock::now())), self.config.tcp_info)
    }

    /// Cancels every request that is under way; each ends at once with [`ErrorClass::Cancelled`] and what it
    /// had received. Requests sent afterwards are not affected.
    pub fn cancel_all(&self) {
        self.in_flight.cancel_all();
    }

    /// Closes the connection kept for a sticky key whose last request was never sent.
    pub fn release_sticky(&self, key: u64) {
        self.pool.forget_kept(key);
    }

    /// Counts so far.
    pub fn stats(&self) -> ClientStats {
        let (open, idle, waiting) = self.pool.counts();
        let (dns_hits, dns_misses) = self.dialer.resolver.counts();
        ClientStats {
            in_flight: self.in_flight.count(),
            open_connections: open,
            idle_connections: idle,
            waiting_requests: waiting,
            connections_made: self.counts.connections.get(),
            connections_reused: self.counts.reused.get(),
            stale_connections: self.counts.stale.get(),
            dns_hits,
            dns_misses,
            receive_lag: ReceiveLag::from(&*self.dialer.totals),
        }
    }

    async fn run(&self, request: Request, draft: &mut Draft, terms: &mut Terms<'_>) -> Result<(), Failure> {
        let route = self.routes.find(&request.origin, &self.config, &self.pool);
        let sticky = request.sticky.filter(|_| self.config.reuse == ReuseStrategy::Sticky);
        let last_of_sticky = request.last_of_sticky;
        let message = route.message(request, self.config.reuse == ReuseStrategy::Never)?;
        if self.config.keep_request {
            draft.request_headers = Some(message.headers().clone());
        }
        let mut carrier = self.carrier(&route, sticky, draft).await?;
        let reused = carrier.served() > 0;
        if reused {
            Counts::add(&self.counts.reused);
        }
        let spare = reused.then(|| message.clone());
        match self.carry(&mut carrier, message, &route, draft, terms).await {
            Ok(reusable) => {
                draft.absorb_stamps(self.config.tcp_info);
                if reusable {
                    self.give_back(carrier, &route, sticky.filter(|_| !last_of_sticky));
                }
                Ok(())
            }
            Err(failure) => match spare {
                Some(spare) if failure.unsent || (failure.replaceable && nothing_received(draft)) => {
                    let permit = self.note_stale(carrier, &failure, draft);
                    let sticky = sticky.filter(|_| !last_of_sticky);
                    // Boxed, as all that is rare: it would make the future of every request larger.
                    Box::pin(self.once_more(spare, permit, &route, sticky, draft, terms)).await
                }
                _ => Err(failure),
            },
        }
    }

    /// The kept-alive connection was dead: the attempt is recorded, its permit goes to the replacement.
    fn note_stale(&self, carrier: Carrier, failure: &Failure, draft: &mut Draft) -> Option<Permit> {
        Counts::add(&self.counts.stale);
        let begun = draft.trace.connection_reused_ns.or(draft.trace.start_ns);
        let now = clock::now();
        draft.trace.attempts.push(Attempt {
            kind: AttemptKind::StaleConnection,
            start_ns: begun.unwrap_or(now),
            end_ns: now,
            address: carrier.remote(),
            reason: format!("kept-alive connection was stale: {}", failure.message),
        });
        draft.begin_again();
        match carrier {
            Carrier::H1(mut connection) => connection.take_permit(),
            Carrier::H2(_) => None,
        }
    }

    /// Sends the request on a connection that nobody has used.
    async fn once_more(
        &self,
        message: H1Request,
        permit: Option<Permit>,
        route: &Route,
        sticky: Option<u64>,
        draft: &mut Draft,
        terms: &mut Terms<'_>,
    ) -> Result<(), Failure> {
        let right = match permit {
            Some(permit) => self.pool.dial_again(route.lane, permit),
            None => match self.acquire(route, Wish::Own, draft).await {
                Grant::Dial(right) => right,
                // A wish for an own connection is granted with a dial only.
                Grant::H1(_) | Grant::Stream(_) => {
                    return Err(Failure::new(
                        ErrorClass::Other,
                        Side::Client,
                        "no new connection was granted",
                    ));
                }
            },
        };
        let mut carrier = Box::pin(self.dial(right, route, draft)).await?;
        match self.carry(&mut carrier, message, route, draft, terms).await {
            Ok(reusable) => {
                draft.absorb_stamps(self.config.tcp_info);
                if reusable {
                    self.give_back(carrier, route, sticky);
                }
                Ok(())
            }
            Err(mut failure) => {
                if failure.class == ErrorClass::Disconnected && nothing_received(draft) {
                    failure.class = ErrorClass::StaleConnection;
                    failure.message = format!(
                        "a kept-alive connection was stale, and its replacement failed too: {}",
                        failure.message
                    );
                }
                Err(failure)
            }
        }
    }

    /// One exchange; `Ok(true)` when the carrier can be used again.
    async fn carry(
        &self,
        carrier: &mut Carrier,
        message: H1Request,
        route: &Route,
        draft: &mut Draft,
        terms: &mut Terms<'_>,
    ) -> Result<bool, Failure> {
        match carrier {
            Carrier::H1(connection) => connection.exchange(message, draft, terms).await,
            Carrier::H2(slot) => {
                Box::pin(slot.exchange(message, &route.origin, draft, terms)).await?;
                Ok(slot.connection().is_open())
            }
        }
    }

    fn give_back(&self, carrier: Carrier, route: &Route, sticky: Option<u64>) {
        let kept = match (self.config.reuse, carrier) {
            (ReuseStrategy::Never, _) => return,
            (ReuseStrategy::Pooled, Carrier::H1(connection)) => {
                return self.pool.put_back(route.lane, connection, clock::now());
            }
            // Its stream is over; the connection stays in the pool.
            (ReuseStrategy::Pooled, Carrier::H2(_)) => return,
            (ReuseStrategy::Sticky, Carrier::H1(mut connection)) => {
                connection.idle_since = clock::now();
                Kept::H1(connection)
            }
            (ReuseStrategy::Sticky, Carrier::H2(slot)) => Kept::H2(slot),
        };
        if let Some(key) = sticky {
            self.pool.keep(route.lane, key, kept, clock::now());
        }
    }

    /// A connection for a request, by the reuse strategy.
    async fn carrier(
        &self,
        route: &Route,
        sticky: Option<u64>,
        draft: &mut Draft,
    ) -> Result<Carrier, Failure> {
        let wish = match self.config.reuse {
            ReuseStrategy::Pooled => Wish::Shared,
            ReuseStrategy::Never => Wish::Own,
            ReuseStrategy::Sticky => {
                match sticky.and_then(|key| self.pool.take_kept(route.lane, key)) {
                    Some(Kept::H1(connection)) => {
                        if let Some(usable) = Box::pin(self.usable(connection, route, draft)).await? {
                            return Ok(usable);
                        }
                    }
                    Some(Kept::H2(slot)) if slot.connection().is_open() => {
                        draft.trace.connection_reused_ns = Some(clock::now());
                        return Ok(Carrier::H2(slot));
                    }
                    _ => {}
                }
                Wish::Own
            }
        };
        match self.acquire(route, wish, draft).await {
            Grant::Dial(right) => Box::pin(self.dial(right, route, draft)).await,
            Grant::Stream(slot) => {
                if slot.served() > 0 {
                    draft.trace.connection_reused_ns = Some(clock::now());
                }
                Ok(Carrier::H2(slot))
            }
            Grant::H1(mut connection) => loop {
                // A closed one makes room for itself: another idle one, or a new one with its permit.
                if self.is_usable(&mut connection) {
                    draft.trace.connection_reused_ns = Some(clock::now());
                    return Ok(Carrier::H1(connection));
                }
                let permit = connection.take_permit();
                drop(connection);
                match (self.pool.try_idle(route.lane), permit) {
                    (Some(another), _) => connection = another,
                    (None, Some(permit)) => {
                        let right = self.pool.dial_again(route.lane, permit);
                        return Box::pin(self.dial(right, route, draft)).await;
                    }
                    (None, None) => {
                        return Err(Failure::new(
                            ErrorClass::Other,
                            Side::Client,
                            "a connection had no permit",
                        ));
                    }
                }
            },
        }
    }

    fn is_usable(&self, connection: &mut H1) -> bool {
        !self.pool.is_outdated(connection, clock::now()) && connection.is_alive()
    }

    /// A kept connection, or a new one in its place.
    async fn usable(
        &self,
        mut connection: Box<H1>,
        route: &Route,
        draft: &mut Draft,
    ) -> Result<Option<Carrier>, Failure> {
        if self.is_usable(&mut connection) {
            draft.trace.connection_reused_ns = Some(clock::now());
            return Ok(Some(Carrier::H1(connection)));
        }
        match connection.take_permit() {
            None => Ok(None),
            Some(permit) => {
                drop(connection);
                let right = self.pool.dial_again(route.lane, permit);
                Box::pin(self.dial(right, route, draft)).await.map(Some)
            }
        }
    }

    async fn acquire(&self, route: &Route, wish: Wish, draft: &mut Draft) -> Grant {
        if let Some(grant) = self.pool.try_acquire(route.lane, wish) {
            return grant;
        }
        draft.trace.connection_pool_wait_start_ns = Some(clock::now());
        let grant = self.pool.wait(route.lane, wish).await;
        draft.trace.connection_pool_wait_end_ns = Some(clock::now());
        grant
    }

    async fn dial(&self, right: DialRight, route: &Route, draft: &mut Draft) -> Result<Carrier, Failure> {
        let mut right = right;
        let dialed = self.dialer.dial(&route.origin, draft).await?;
        Counts::add(&self.counts.connections);
        let lost = || Failure::new(ErrorClass::Other, Side::Client, "a connection had no permit");
        match dialed.protocol {
            Protocol::H1 => {
                let permit = right.into_permit().ok_or_else(lost)?;
                Ok(Carrier::H1(Box::new(H1::new(dialed, permit, self.config.limits).await?)))
            }
            Protocol::H2 => {
                let permit = right.take_permit().ok_or_else(lost)?;
                let shared = H2::new(dialed, permit, self.config.limits, &self.pool, route.lane).await?;
                let slot = Slot::new(Rc::clone(&shared), Rc::clone(&self.pool), route.lane);
                if self.config.reuse == ReuseStrategy::Pooled {
                    right.share(shared);
                }
                Ok(Carrier::H2(slot))
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.pool.clear();
    }
}

fn nothing_received(draft: &Draft) -> bool {
    draft.head.is_none() && draft.wire.as_ref().is_none_or(|wire| wire.first_read().is_none())
}

fn timed_out(phase: Phase, seconds: f64) -> Failure {
    let (class, side, what) = match phase {
        Phase::Blocked => (
            ErrorClass::SendTimeout,
            Side::Client,
            "while it waited for a free connection; it was never sent",
        ),
        Phase::Dns => (ErrorClass::Timeout, Side::Network, "while the host name was being resolved"),
        Phase::Connecting => (ErrorClass::Timeout, Side::Network, "while connecting"),
        Phase::Tls => (ErrorClass::Timeout, Side::Network, "during the TLS handshake"),
        Phase::Sending => (ErrorClass::Timeout, Side::Server, "while the request was being sent"),
        Phase::Waiting => (ErrorClass::Timeout, Side::Server, "before the response body began"),
        Phase::Receiving => (ErrorClass::Timeout, Side::Server, "before the response was complete"),
    };
    Failure::new(class, side, format!("the request timed out after {seconds} s {what}"))
}
