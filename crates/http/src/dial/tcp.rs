//! The TCP handshake: several addresses, one winner, every attempt recorded (RFC 8305, "happy eyeballs").

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Sleep;
use tokmeter_record::trace::{Attempt, AttemptKind};
use tokmeter_record::{ErrorClass, MonoNs, Phase};

use super::Dialer;
use crate::clock;
use crate::draft::Draft;
use crate::failure::Failure;
use crate::io::kernel;

/// How long one address may stay silent before the next is tried beside it. One that refuses is not waited for.
const HEAD_START: Duration = Duration::from_millis(250);

type Connected = (TcpStream, Option<SocketAddr>);

/// Connects to the first address that answers. The winner's instants become the trace's; every other attempt
/// that was begun is recorded with its reason.
pub(super) async fn connect_first(
    dialer: &Dialer,
    addresses: &[SocketAddr],
    peer: &str,
    draft: &mut Draft,
) -> Result<Connected, Failure> {
    let start = clock::now();
    draft.trace.tcp_connect_start_ns = Some(start);
    if let [only] = addresses {
        return match connect(dialer, *only).await {
            Ok(connected) => {
                draft.trace.tcp_connect_end_ns = Some(clock::now());
                Ok(connected)
            }
            Err(error) => Err(Failure::from_io(&error, Phase::Connecting, peer)),
        };
    }
    let mut race = Race {
        dialer,
        waiting: addresses.iter().copied(),
        running: Vec::new(),
        head_start: Box::pin(tokio::time::sleep(HEAD_START)),
        failed: Vec::new(),
    };
    let won = poll_fn(|cx| race.poll(cx)).await;
    let end = clock::now();
    for (address, begun, error, ended) in &race.failed {
        draft.trace.attempts.push(attempt(*address, *begun, *ended, words(error)));
    }
    for running in &race.running {
        draft.trace.attempts.push(attempt(
            running.address,
            running.start,
            end,
            "another address answered first".into(),
        ));
    }
    match won {
        Some((connected, begun)) => {
            draft.trace.tcp_connect_start_ns = Some(begun);
            draft.trace.tcp_connect_end_ns = Some(end);
            Ok(connected)
        }
        None => Err(most_telling(&race.failed, peer)),
    }
}

fn attempt(address: SocketAddr, start: MonoNs, end: MonoNs, reason: String) -> Attempt<MonoNs> {
    let kind = AttemptKind::Address;
    Attempt { kind, start_ns: start, end_ns: end, address: Some(address.to_string()), reason }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route".into(),
        _ => error.to_string(),
    }
}

/// Of several failures the one that says most: somebody who refuses is nearer than a network without route.
fn most_telling(failed: &[(SocketAddr, MonoNs, io::Error, MonoNs)], peer: &str) -> Failure {
    let mut failures = failed.iter().map(|(_, _, error, _)| Failure::from_io(error, Phase::Connecting, peer));
    let Some(first) = failures.next() else {
        return Failure::new(
            ErrorClass::Dns,
            tokmeter_record::Side::Network,
            format!("{peer} has no address to connect to"),
        );
    };
    let rank = |failure: &Failure| match failure.class {
        ErrorClass::ClientResources => 3,
        ErrorClass::ConnectionRefused => 2,
        ErrorClass::Unreachable => 0,
        _ => 1,
    };
    failures.fold(first, |best, next| if rank(&next) > rank(&best) { next } else { best })
}

struct Running<'a> {
    address: SocketAddr,
    start: MonoNs,
    connecting: Pin<Box<dyn Future<Output = io::Result<Connected>> + 'a>>,
}

struct Race<'a, I> {
    dialer: &'a Dialer,
    waiting: I,
    running: Vec<Running<'a>>,
    head_start: Pin<Box<Sleep>>,
    failed: Vec<(SocketAddr, MonoNs, io::Error, MonoNs)>,
}

impl<I: ExactSizeIterator<Item = SocketAddr>> Race<'_, I> {
    /// Ready with the winner and its start, or with `None` when all have failed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Connected, MonoNs)>> {
        loop {
            let mut index = 0;
            while index < self.running.len() {
                match self.running[index].connecting.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Ok(connected)) => {
                        let winner = self.running.swap_remove(index);
                        return Poll::Ready(Some((connected, winner.start)));
                    }
                    Poll::Ready(Err(error)) => {
                        let loser = self.running.swap_remove(index);
                        self.failed.push((loser.address, loser.start, error, clock::now()));
                    }
                }
            }
            if self.waiting.len() == 0 {
                return if self.running.is_empty() { Poll::Ready(None) } else { Poll::Pending };
            }
            let silent = self.head_start.as_mut().poll(cx).is_ready();
            if !self.running.is_empty() && !silent {
                return Poll::Pending;
            }
            if let Some(address) = self.waiting.next() {
                let dialer = self.dialer;
                self.running.push(Running {
                    address,
                    start: clock::now(),
                    connecting: Box::pin(connect(dialer, address)),
                });
                self.head_start.as_mut().reset(tokio::time::Instant::now() + HEAD_START);
            }
        }
    }
}

async fn connect(dialer: &Dialer, address: SocketAddr) -> io::Result<Connected> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    if dialer.kernel_stamps {
        // Before the handshake, so that the first answer is stamped too. Each read says whether it was.
        if let Err(error) = kernel::enable_stamps(socket.as_fd()) {
            tracing::debug!(%error, "no kernel receive stamps on this socket");
        }
    }
    if let Some(source) = dialer.next_source(address.is_ipv4()) {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(address).await?;
    let local = stream.local_addr().ok();
    Ok((stream, local))
}
