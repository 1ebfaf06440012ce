//! One TCP socket and the stamps of what went over it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokmeter_record::MonoNs;
use tokmeter_record::trace::{ChunkStamp, StampSource, TcpInfo};

use super::kernel::{self, Received};
use super::realtime::RealtimeLine;
use crate::clock;
use crate::exchange::NO_KERNEL_STAMP;

/// What all reads of a client have in common: how late it was. See [`crate::ReceiveLag`].
#[derive(Default)]
pub(crate) struct ReadTotals {
    pub(crate) reads: Cell<u64>,
    pub(crate) kernel_reads: Cell<u64>,
    pub(crate) lag_sum_ns: Cell<u64>,
    pub(crate) lag_max_ns: Cell<u64>,
    pub(crate) unread_high_bytes: Cell<u64>,
}

/// How many reads HTTP may make before it hands over what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// As many as it likes (handshake, HTTP/2).
    Open,
    /// One.
    One,
    /// One, of a connection nobody uses: how late it comes says nothing.
    Idle,
    /// None left.
    Spent,
    /// It asked for more than it was given.
    Wanted,
}

/// The socket, shared between the HTTP machinery that moves bytes and the request that wants their stamps.
/// Everything is a `Cell`: one thread, no locks. An instant of 0 stands for "not yet".
pub(crate) struct Wire {
    tcp: TcpStream,
    kernel_stamps: bool,
    line: Rc<RealtimeLine>,
    totals: Rc<ReadTotals>,
    gate: Cell<Gate>,
    last_read: Cell<MonoNs>,
    last_lag: Cell<u32>,
    first_read: Cell<MonoNs>,
    source: Cell<StampSource>,
    max_lag: Cell<Option<u32>>,
    head_bytes: Cell<u64>,
    request_bytes: Cell<u64>,
    written: Cell<u64>,
    send_start: Cell<MonoNs>,
    headers_sent: Cell<MonoNs>,
    last_write: Cell<MonoNs>,
    body_writes: Cell<u64>,
    log_writes: Cell<bool>,
    write_log: RefCell<Vec<ChunkStamp<MonoNs>>>,
    watches: RefCell<Vec<Watch>>,
    tcp_info: Cell<Option<(MonoNs, TcpInfo)>>,
}

/// Filled with the stamp of a later write.
pub(crate) type Watch = Rc<Cell<Option<MonoNs>>>;

/// Data that lay in the socket longer than this lay there unread.
pub(crate) const UNREAD_NS: u64 = 1_000_000;

/// Asking takes the socket's lock and costs as much as a read; requests shorter than this share an answer.
const TCP_INFO_AGE_NS: u64 = 50_000_000;

const NOT_YET: MonoNs = MonoNs(0);

fn seen(at: MonoNs) -> Option<MonoNs> {
    (at != NOT_YET).then_some(at)
}

impl Wire {
    pub(crate) fn new(
        tcp: TcpStream,
        kernel_stamps: bool,
        line: Rc<RealtimeLine>,
        totals: Rc<ReadTotals>,
    ) -> Self {
        Wire {
            tcp,
            kernel_stamps,
            line,
            totals,
            gate: Cell::new(Gate::Open),
            last_read: Cell::new(NOT_YET),
            last_lag: Cell::new(NO_KERNEL_STAMP),
            first_read: Cell::new(NOT_YET),
            source: Cell::new(StampSource::Kernel),
            max_lag: Cell::new(None),
            head_bytes: Cell::new(0),
            request_bytes: Cell::new(0),
            written: Cell::new(0),
            send_start: Cell::new(NOT_YET),
            headers_sent: Cell::new(NOT_YET),
            last_write: Cell::new(NOT_YET),
            body_writes: Cell::new(0),
            log_writes: Cell::new(false),
            write_log: RefCell::new(Vec::new()),
            watches: RefCell::new(Vec::new()),
            tcp_info: Cell::new(None),
        }
    }

    /// A request of so many bytes (before TLS) begins on this connection; its stamps start anew.
    pub(crate) fn begin_request(&self, head_bytes: u64, body_bytes: u64, log_writes: bool) {
        self.first_read.set(NOT_YET);
        self.source.set(StampSource::Kernel);
        self.max_lag.set(None);
        self.head_bytes.set(head_bytes);
        self.request_bytes.set(head_bytes + body_bytes);
        self.written.set(0);
        self.send_start.set(NOT_YET);
        self.headers_sent.set(NOT_YET);
        self.last_write.set(NOT_YET);
        self.body_writes.set(0);
        self.log_writes.set(log_writes);
        self.write_log.borrow_mut().clear();
    }

    /// Lets HTTP make one more read, so that what it then hands over has that read's stamp.
    pub(crate) fn allow_one_read(&self) {
        self.gate.set(Gate::One);
    }

    /// The same for an idle connection, whose bytes nobody was waiting for.
    pub(crate) fn allow_idle_read(&self) {
        self.gate.set(Gate::Idle);
    }

    /// Whether HTTP wanted to read on after the one read it was given.
    pub(crate) fn wants_another_read(&self) -> bool {
        self.gate.get() == Gate::Wanted
    }

    /// Receives into `into`; on success the stamps are taken.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        into: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<Received>> {
        if matches!(self.gate.get(), Gate::Spent | Gate::Wanted) {
            self.gate.set(Gate::Wanted);
            return Poll::Pending;
        }
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            let mut drained = None;
            let outcome = self.tcp.try_io(Interest::READABLE, || {
                let received = kernel::receive(self.tcp.as_fd(), into, self.kernel_stamps)?;
                if received.len() > 0 && received.len() < into.len() {
                    // The socket is empty now. Saying so saves the read that would find that out.
                    drained = Some(received);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(received)
            });
            let received = match (outcome, drained) {
                (_, Some(received)) | (Ok(received), None) => received,
                (Err(error), None) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => continue,
                    _ => return Poll::Ready(Err(error)),
                },
            };
            if received.len() > 0 {
                match self.gate.get() {
                    Gate::Idle => {}
                    _ => self.stamp_read(received),
                }
                if self.gate.get() != Gate::Open {
                    self.gate.set(Gate::Spent);
                }
            }
            return Poll::Ready(Ok(received));
        }
    }

    fn stamp_read(&self, received: Received) {
        let user = clock::now();
        let kernel = received.realtime_ns().and_then(|realtime| self.line.mono(realtime, user));
        self.totals.reads.set(self.totals.reads.get() + 1);
        let at = match kernel {
            Some(at) => {
                let lag = user.0 - at.0;
                self.totals.kernel_reads.set(self.totals.kernel_reads.get() + 1);
                self.totals.lag_sum_ns.set(self.totals.lag_sum_ns.get().saturating_add(lag));
                self.totals.lag_max_ns.set(self.totals.lag_max_ns.get().max(lag));
                if lag > UNREAD_NS {
                    let most = self.totals.unread_high_bytes.get().max(received.len() as u64);
                    self.totals.unread_high_bytes.set(most);
                }
                let lag = lag.min(u64::from(NO_KERNEL_STAMP - 1)) as u32;
                self.last_lag.set(lag);
                self.max_lag.set(self.max_lag.get().max(Some(lag)));
                at
            }
            None => {
                self.last_lag.set(NO_KERNEL_STAMP);
                self.source.set(self.source.get().max(StampSource::Read));
                user
            }
        };
        // A user stamp may be later than the kernel stamp of the next read; instants never go back.
        let at = at.max(self.last_read.get());
        self.last_read.set(at);
    }

    /// The latest read brought bytes for HTTP.
    pub(super) fn note_content(&self) {
        if self.first_read.get() == NOT_YET {
            self.first_read.set(self.last_read.get());
        }
    }

    /// Writes without blocking; on success the stamps are taken.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            if self.send_start.get() == NOT_YET {
                self.send_start.set(clock::now());
            }
            let outcome = match slices {
                [one] => self.tcp.try_write(one),
                many => self.tcp.try_write_vectored(many),
            };
            match outcome {
                Ok(sent) => {
                    let at = clock::now();
                    self.last_write.set(at);
                    for watch in self.watches.borrow_mut().drain(..) {
                        watch.set(Some(at));
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    _ => return Poll::Ready(Err(error)),
                },
            }
        }
    }

    /// Half-closes the connection.
    pub(super) fn shut_down(&self) -> io::Result<()> {
        match socket2::SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    /// HTTP has handed over `bytes` bytes, which are on the socket or in the TLS layer's buffer.
    pub(super) fn count_written(&self, bytes: usize) {
        let before = self.written.get();
        let after = before + bytes as u64;
        self.written.set(after);
        let head = self.head_bytes.get();
        if after >= head && self.headers_sent.get() == NOT_YET {
            self.headers_sent.set(self.last_write.get());
        }
        let body = after.saturating_sub(before.max(head));
        if body > 0 {
            self.body_writes.set(self.body_writes.get() + 1);
            if self.log_writes.get() {
                self.write_log.borrow_mut().push(ChunkStamp(self.last_write.get(), body));
            }
        }
    }

    /// The stamp of the next write (HTTP/2: the one that carries what was just handed over).
    pub(crate) fn watch_next_write(&self) -> Watch {
        let watch = Rc::new(Cell::new(None));
        self.watches.borrow_mut().push(Rc::clone(&watch));
        watch
    }

    /// First write of this request.
    pub(crate) fn send_start(&self) -> Option<MonoNs> {
        seen(self.send_start.get())
    }

    /// The write with the last header byte.
    pub(crate) fn headers_sent(&self) -> Option<MonoNs> {
        seen(self.headers_sent.get())
    }

    /// Last write of this request, once all its bytes are written.
    pub(crate) fn send_end(&self) -> Option<MonoNs> {
        if self.written.get() >= self.request_bytes.get() { seen(self.last_write.get()) } else { None }
    }

    /// Body bytes of this request written so far, and in how many writes.
    pub(crate) fn body_written(&self) -> (u64, u64) {
        (self.written.get().saturating_sub(self.head_bytes.get()), self.body_writes.get())
    }

    /// Body writes of this request, if they were logged.
    pub(crate) fn take_write_log(&self) -> Vec<ChunkStamp<MonoNs>> {
        std::mem::take(&mut self.write_log.borrow_mut())
    }

    /// The latest read of the connection.
    pub(crate) fn last_read(&self) -> MonoNs {
        self.last_read.get()
    }

    /// Lag of the latest read, or [`NO_KERNEL_STAMP`].
    pub(crate) fn last_lag(&self) -> u32 {
        self.last_lag.get()
    }

    /// The first read with bytes for HTTP since this request began.
    pub(crate) fn first_read(&self) -> Option<MonoNs> {
        seen(self.first_read.get())
    }

    /// What was read so far was an informational answer (1xx): the next read is the first again.
    pub(crate) fn forget_first_read(&self) {
        self.first_read.set(NOT_YET);
    }

    /// Worst source of this request's read stamps.
    pub(crate) fn source(&self) -> StampSource {
        self.source.get()
    }

    /// Largest lag of this request's reads.
    pub(crate) fn max_lag_ns(&self) -> Option<u64> {
        self.max_lag.get().map(u64::from)
    }

    /// The kernel's view of the connection at the latest read, at most [`TCP_INFO_AGE_NS`] older.
    pub(crate) fn tcp_info(&self) -> Option<TcpInfo> {
        let now = self.last_read.get();
        match self.tcp_info.get() {
            Some((at, info)) if now.0.saturating_sub(at.0) < TCP_INFO_AGE_NS => Some(info),
            _ => {
                let info = kernel::tcp_info(self.tcp.as_fd())?;
                self.tcp_info.set(Some((now, info)));
                Some(info)
            }
        }
    }
}
