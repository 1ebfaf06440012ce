//! A worker: one thread, one runtime, its share of the connections.

use std::cell::RefCell;
use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, watch};

use super::Shared;
use crate::clock::mono_ns;
use crate::connection;
use crate::metrics::WorkerMetrics;
use crate::timer::Timer;
use crate::wire::Scratch;

/// What the connections of one thread share.
pub(crate) struct Worker {
    pub shared: Arc<Shared>,
    pub metrics: Arc<WorkerMetrics>,
    pub timer: Timer,
    spare: RefCell<Vec<Scratch>>,
}

impl Worker {
    /// A buffer for rendering; give it back with [`Worker::put_back`].
    pub fn scratch(&self) -> Scratch {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    pub fn put_back(&self, mut scratch: Scratch) {
        const KEEP: usize = 16;
        scratch.reset();
        let mut spare = self.spare.borrow_mut();
        if spare.len() < KEEP {
            spare.push(scratch);
        }
    }
}

/// An accepted connection and its number.
type Dealt = (std::net::TcpStream, u64);

/// Starts the threads. The first one also accepts and deals connections to all in turn.
pub(super) fn spawn(
    shared: &Arc<Shared>,
    listener: StdListener,
    stop: &watch::Sender<bool>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let count = shared.metrics.len();
    let mut inboxes = Vec::with_capacity(count);
    let mut outboxes = Vec::with_capacity(count);
    for _ in 0..count {
        // Bounded by open files, which accept runs out of first.
        let (outbox, inbox) = mpsc::unbounded_channel::<Dealt>();
        outboxes.push(outbox);
        inboxes.push(inbox);
    }
    let mut listener = Some((listener, outboxes));
    let mut threads = Vec::with_capacity(count);
    for (index, inbox) in inboxes.into_iter().enumerate() {
        let shared = Arc::clone(shared);
        let stop = stop.subscribe();
        let accepting = listener.take();
        let runtime = Builder::new_current_thread;
        let thread = std::thread::Builder::new().name(format!("sim-{index}")).spawn(move || {
            let mut builder = runtime();
            let builder = builder.enable_io();
            #[cfg(not(target_os = "linux"))]
            let builder = builder.enable_time();
            match builder.build_local(LocalOptions::default()) {
                Ok(runtime) => run(&runtime, shared, index, accepting, inbox, stop),
                Err(error) => tracing::error!(%error, "a simulator worker has no runtime"),
            }
        })?;
        threads.push(thread);
    }
    Ok(threads)
}

fn run(
    runtime: &LocalRuntime,
    shared: Arc<Shared>,
    index: usize,
    accepting: Option<(StdListener, Vec<mpsc::UnboundedSender<Dealt>>)>,
    mut inbox: mpsc::UnboundedReceiver<Dealt>,
    mut stop: watch::Receiver<bool>,
) {
    runtime.block_on(async move {
        let timer = match Timer::new() {
            Ok(timer) => timer,
            Err(error) => return tracing::error!(%error, "a simulator worker has no timer"),
        };
        tokio::task::spawn_local(timer.clone().drive());
        let worker = Rc::new(Worker {
            metrics: Arc::clone(&shared.metrics[index]),
            shared,
            timer,
            spare: RefCell::new(Vec::new()),
        });
        if let Some((listener, outboxes)) = accepting {
            tokio::task::spawn_local(accept(Rc::clone(&worker), listener, outboxes));
        }
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stopped| *stopped) => return,
                dealt = inbox.recv() => match dealt {
                    Some((stream, id)) => take(&worker, stream, id),
                    None => return,
                },
            }
        }
    });
}

async fn accept(worker: Rc<Worker>, listener: StdListener, outboxes: Vec<mpsc::UnboundedSender<Dealt>>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the simulator cannot accept"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let id = worker.shared.tally.connections.fetch_add(1, Relaxed) + 1;
                let outbox = &outboxes[id as usize % outboxes.len()];
                if outboxes.len() == 1 {
                    serve(&worker, stream, id);
                } else if stream.into_std().is_ok_and(|stream| outbox.send((stream, id)).is_err()) {
                    return;
                }
            }
            Err(error) => {
                // Out of descriptors: wait for connections to end instead of spinning.
                tracing::warn!(%error, "the simulator could not accept a connection");
                worker.timer.sleep_until(mono_ns() + 5_000_000).await;
            }
        }
    }
}

fn take(worker: &Rc<Worker>, stream: std::net::TcpStream, id: u64) {
    match TcpStream::from_std(stream) {
        Ok(stream) => serve(worker, stream, id),
        Err(error) => tracing::warn!(%error, "the simulator lost a connection"),
    }
}

fn serve(worker: &Rc<Worker>, stream: TcpStream, id: u64) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection refused TCP_NODELAY");
    }
    tokio::task::spawn_local(connection::serve(Rc::clone(worker), stream, id));
}
