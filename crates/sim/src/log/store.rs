//! Where finished requests go: a bounded list in memory and, if asked, a file written by a thread
//! of its own.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::RequestLog;

/// Lines that may wait for the disk before lines are dropped (and counted).
const FILE_QUEUE: usize = 65_536;
/// The file is flushed at least so often.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct LogStore {
    kept: Mutex<Kept>,
    added: Condvar,
    keep: usize,
    file: Mutex<Option<FileWriter>>,
}

#[derive(Default)]
struct Kept {
    requests: VecDeque<Arc<RequestLog>>,
    finished: u64,
    file_lines_lost: u64,
    lines: Option<SyncSender<Arc<RequestLog>>>,
}

struct FileWriter {
    thread: JoinHandle<io::Result<()>>,
}

impl LogStore {
    pub fn new(keep: usize, file: Option<&Path>) -> io::Result<Self> {
        let mut kept = Kept::default();
        let mut writer = None;
        if let Some(path) = file {
            let out = BufWriter::new(File::create(path)?);
            let (sender, lines) = sync_channel(FILE_QUEUE);
            let thread = std::thread::Builder::new()
                .name("sim-log".to_owned())
                .spawn(move || write_lines(out, &lines))?;
            kept.lines = Some(sender);
            writer = Some(FileWriter { thread });
        }
        Ok(Self { kept: Mutex::new(kept), added: Condvar::new(), keep, file: Mutex::new(writer) })
    }

    pub fn add(&self, request: RequestLog) {
        let request = Arc::new(request);
        let mut guard = self.lock();
        let kept = &mut *guard;
        kept.finished += 1;
        if kept.lines.as_ref().is_some_and(|lines| lines.try_send(Arc::clone(&request)).is_err()) {
            kept.file_lines_lost += 1;
        }
        if self.keep > 0 {
            if kept.requests.len() >= self.keep {
                kept.requests.pop_front();
            }
            kept.requests.push_back(request);
        }
        drop(guard);
        self.added.notify_all();
    }

    /// Finished requests that are still kept, in order of finishing.
    pub fn snapshot(&self) -> Vec<Arc<RequestLog>> {
        self.lock().requests.iter().cloned().collect()
    }

    /// Waits until `count` requests have finished; false when the time is over first.
    pub fn wait_for(&self, count: u64, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut kept = self.lock();
        while kept.finished < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            kept = self.added.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// (finished, no longer in memory, lines the file lacks)
    pub fn totals(&self) -> (u64, u64, u64) {
        let kept = self.lock();
        (kept.finished, kept.finished - kept.requests.len() as u64, kept.file_lines_lost)
    }

    /// Writes what is queued and closes the file.
    pub fn close_file(&self) -> io::Result<()> {
        self.lock().lines = None;
        let writer = self.file.lock().unwrap_or_else(PoisonError::into_inner).take();
        match writer {
            None => Ok(()),
            Some(writer) => {
                writer.thread.join().unwrap_or_else(|_| Err(io::Error::other("the log writer panicked")))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_lines(mut out: BufWriter<File>, lines: &Receiver<Arc<RequestLog>>) -> io::Result<()> {
    let mut last_flush = Instant::now();
    loop {
        match lines.recv_timeout(FLUSH_EVERY) {
            Ok(line) => {
                serde_json::to_writer(&mut out, &*line)?;
                out.write_all(b"\n")?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return out.flush(),
        }
        if last_flush.elapsed() >= FLUSH_EVERY {
            out.flush()?;
            last_flush = Instant::now();
        }
    }
}
