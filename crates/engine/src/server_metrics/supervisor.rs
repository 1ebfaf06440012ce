//! The collector's thread: one task for each page, and one that takes commands.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokmeter_record::WallNs;
use tokmeter_record::server::PhaseMark;

use super::endpoint::Endpoint;
use super::fetch::Fetch;
use super::recording::{Recording, Target};
use super::{Ready, ServerMetricsConfig, ServerMetricsOutcome, StartError};

/// What the collector is told.
#[derive(Debug)]
pub(super) enum Command {
    BeginPhase(PhaseMark),
    EndPhase(WallNs),
    ScrapeNow(std_mpsc::SyncSender<()>),
    Finish(Duration),
}

/// Tells the pages to be read: a number that grows, and whether it is for the last time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signal {
    pub number: u64,
    pub last: bool,
}

/// The whole life of the thread.
pub(super) fn run<F: Fetch>(
    config: ServerMetricsConfig,
    recording: Recording,
    fetcher: impl FnOnce() -> Result<F, String>,
    inbox: mpsc::UnboundedReceiver<Command>,
    ready: Ready,
) -> ServerMetricsOutcome {
    let recording = Rc::new(RefCell::new(recording));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let prepared = runtime
        .map_err(StartError::Thread)
        .and_then(|runtime| Ok((runtime, fetcher().map_err(StartError::Client)?)));
    let pages = match prepared {
        Err(error) => {
            let _ = ready.send(Err(error));
            Vec::new()
        }
        Ok((runtime, fetch)) => {
            let endpoints = endpoints(&config, &recording, &Rc::new(fetch));
            runtime.block_on(collect(&endpoints, &config, &recording, inbox, ready));
            let pages = endpoints.iter().map(Endpoint::report).collect();
            // Connections go before the runtime, which does not wait for a lookup that hangs.
            drop(endpoints);
            runtime.shutdown_background();
            pages
        }
    };
    let mut recording = recording.take();
    recording.flush();
    ServerMetricsOutcome {
        store: recording.store,
        telemetry: recording.telemetry,
        pages,
        notices: recording.notices,
        file_error: recording.file_error,
    }
}

fn endpoints<F: Fetch>(
    config: &ServerMetricsConfig,
    recording: &Rc<RefCell<Recording>>,
    fetch: &Rc<F>,
) -> Vec<Endpoint<F>> {
    let endpoint = |page: &super::MetricsPage| {
        let mut shared = recording.borrow_mut();
        let target = if page.gpu {
            Target::Gpu(shared.telemetry.source(&page.url))
        } else {
            Target::Server(shared.store.endpoint(&page.url))
        };
        Endpoint::new(page.clone(), target, config.timing, Rc::clone(fetch), Rc::clone(recording))
    };
    config.pages.iter().map(endpoint).collect()
}

async fn collect<F: Fetch>(
    endpoints: &[Endpoint<F>],
    config: &ServerMetricsConfig,
    recording: &RefCell<Recording>,
    inbox: mpsc::UnboundedReceiver<Command>,
    ready: Ready,
) {
    join_all(endpoints.iter().map(Endpoint::discover)).await;
    if ready.send(Ok(endpoints.iter().map(Endpoint::report).collect())).is_err() {
        return;
    }
    drop(ready);
    let board = Board::new(endpoints.len());
    let watching = endpoints.iter().enumerate().map(|(index, endpoint)| {
        let signals = board.signals.subscribe();
        let board = &board;
        async move {
            endpoint.watch(signals, |number| board.serve(index, number)).await;
            board.serve(index, u64::MAX);
        }
    });
    let watching = async {
        join_all(watching).await;
        // Without a page to read, commands are still taken.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = watching => {}
        () = obey(config, recording, inbox, &board) => {}
    }
}

/// Takes commands until the end.
async fn obey(
    config: &ServerMetricsConfig,
    recording: &RefCell<Recording>,
    mut inbox: mpsc::UnboundedReceiver<Command>,
    board: &Board,
) {
    while let Some(command) = inbox.recv().await {
        match command {
            Command::BeginPhase(phase) => {
                recording.borrow_mut().begin_phase(phase);
                board.signal(false);
            }
            Command::EndPhase(end) => {
                recording.borrow_mut().end_phase(end);
                board.signal(false);
            }
            Command::ScrapeNow(done) => {
                let number = board.signal(false);
                board.wait(number, config.timing.reachability).await;
                let _ = done.send(());
            }
            Command::Finish(flush) => {
                sleep(flush).await;
                board.signal(true);
                board.wait(u64::MAX, config.timing.shutdown).await;
                return;
            }
        }
    }
}

/// Where signals are posted and pages report which of them they have followed.
struct Board {
    signals: watch::Sender<Signal>,
    served: Vec<Cell<u64>>,
    changed: Notify,
}

impl Board {
    fn new(pages: usize) -> Self {
        let served = (0..pages).map(|_| Cell::new(0)).collect();
        Board { signals: watch::Sender::new(Signal::default()), served, changed: Notify::new() }
    }

    /// Posts a signal; gives its number.
    fn signal(&self, last: bool) -> u64 {
        self.signals.send_modify(|signal| {
            signal.number += 1;
            signal.last = last;
        });
        self.signals.borrow().number
    }

    fn serve(&self, page: usize, number: u64) {
        self.served[page].set(number);
        self.changed.notify_waiters();
    }

    /// Waits until every page has followed a signal; gives up after `limit`.
    async fn wait(&self, number: u64, limit: Duration) {
        let all = async {
            loop {
                let changed = self.changed.notified();
                if self.served.iter().all(|served| served.get() >= number) {
                    return;
                }
                changed.await;
            }
        };
        let _ = timeout(limit, all).await;
    }
}
