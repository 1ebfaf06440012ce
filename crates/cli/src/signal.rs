//! Ctrl-C and SIGTERM: first a graceful end, then a quick one, then at once.

use std::thread;
use std::time::Duration;

use tokmeter_engine::RunControl;

/// Requests in flight get this long after the first signal: less than what Kubernetes and Slurm wait between
/// SIGTERM and SIGKILL (30 s).
pub const DRAIN: Duration = Duration::from_secs(20);

/// From now on the first signal drains the run for at most [`DRAIN`], the second cancels what is in flight, and the
/// third ends the process (what was written stays).
pub fn drain_on_interrupt(control: RunControl) -> std::io::Result<()> {
    thread::Builder::new().name("signals".into()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            if !interrupted().await {
                return;
            }
            control.interrupt();
            tracing::warn!(
                "interrupted: waiting up to {} s for requests in flight; once more to cancel them",
                DRAIN.as_secs()
            );
            // Either way: what is in flight has had its time.
            let _ = tokio::time::timeout(DRAIN, interrupted()).await;
            control.abort();
            tracing::warn!("requests in flight are cancelled; once more to leave at once");
            if interrupted().await {
                crate::dashboard::restore();
                std::process::exit(130);
            }
        });
    })?;
    Ok(())
}

/// From now on the first signal is told by `control`, for a command without requests in flight; the second ends the
/// process.
pub fn stop_on_interrupt(control: RunControl) -> std::io::Result<()> {
    thread::Builder::new().name("signals".into()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            if interrupted().await {
                control.interrupt();
                tracing::warn!("interrupted: the files are written; once more to leave at once");
            }
            if interrupted().await {
                std::process::exit(130);
            }
        });
    })?;
    Ok(())
}

/// From now on a signal ends the process.
pub fn leave_on_interrupt() -> std::io::Result<()> {
    thread::Builder::new().name("signals".into()).spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        if runtime.block_on(interrupted()) {
            std::process::exit(130);
        }
    })?;
    Ok(())
}

async fn interrupted() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return false };
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.is_ok(),
        received = terminate.recv() => received.is_some(),
    }
}
