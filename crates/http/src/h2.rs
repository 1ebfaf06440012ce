//! HTTP/2: one connection, many streams, driven by a task of its own.
//!
//! Streams share the socket, so a read belongs to no stream: a frame gets the stamp of the latest read when it
//! was delivered, which is never earlier than its own, and the trace says `frame`.

mod exchange;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokmeter_record::Phase;
use tokmeter_record::trace::ConnectionInfo;

use crate::config::Limits;
use crate::dial::Dialed;
use crate::failure::Failure;
use crate::io::Wire;
use crate::pool::{Lane, Permit, Pool};

/// Window of one stream: a server is never held back by us while we read.
const STREAM_WINDOW: u32 = 16 * 1024 * 1024;
/// Window of the connection: the largest there is.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// An HTTP/2 connection.
pub(crate) struct H2 {
    send: RefCell<SendRequest<Bytes>>,
    wire: Rc<Wire>,
    info: Arc<ConnectionInfo>,
    peer: Rc<str>,
    served: Cell<u32>,
    active: Cell<usize>,
    open: Cell<bool>,
}

impl H2 {
    /// Shakes hands and starts the task that drives the connection until it ends; the permit lives as long.
    pub(crate) async fn new(
        dialed: Dialed,
        permit: Permit,
        limits: Limits,
        pool: &Rc<Pool>,
        lane: Lane,
    ) -> Result<Rc<Self>, Failure> {
        let wire = Rc::clone(dialed.link.wire());
        let header_bytes = u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX);
        let (send, connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(header_bytes)
            .enable_push(false)
            .handshake(dialed.link)
            .await
            .map_err(|error| Failure::from_h2(&error, Phase::Connecting, &dialed.peer))?;
        let shared = Rc::new(H2 {
            send: RefCell::new(send),
            wire,
            info: dialed.info,
            peer: dialed.peer,
            served: Cell::new(0),
            active: Cell::new(0),
            open: Cell::new(true),
        });
        let (weak, pool) = (Rc::downgrade(&shared), Rc::clone(pool));
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection ended");
            }
            if let Some(shared) = Weak::upgrade(&weak) {
                shared.close();
            }
            pool.streams_changed(lane);
            drop(permit);
        });
        Ok(shared)
    }

    /// Streams in use.
    pub(crate) fn active(&self) -> usize {
        self.active.get()
    }

    /// Whether it takes one more stream.
    pub(crate) fn has_room(&self, cap: usize) -> bool {
        self.open.get() && self.active.get() < cap.min(self.send.borrow().current_max_send_streams().max(1))
    }

    /// Whether it takes streams at all.
    pub(crate) fn is_open(&self) -> bool {
        self.open.get()
    }

    /// It takes no more streams: it is going away, or gone.
    fn close(&self) {
        self.open.set(false);
    }
}

/// The right to one stream of a connection.
pub(crate) struct Slot {
    connection: Rc<H2>,
    pool: Rc<Pool>,
    lane: Lane,
}

impl Slot {
    /// Takes a stream; the caller has seen that there is room.
    pub(crate) fn new(connection: Rc<H2>, pool: Rc<Pool>, lane: Lane) -> Self {
        connection.active.set(connection.active.get() + 1);
        Slot { connection, pool, lane }
    }

    /// The connection it belongs to.
    pub(crate) fn connection(&self) -> &Rc<H2> {
        &self.connection
    }

    /// Requests the connection has carried so far.
    pub(crate) fn served(&self) -> u32 {
        self.connection.served.get()
    }

    /// Remote address, for the record of an attempt.
    pub(crate) fn remote(&self) -> Option<String> {
        self.connection.info.remote_address()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connection.active.set(self.connection.active.get() - 1);
        self.pool.streams_changed(self.lane);
    }
}
