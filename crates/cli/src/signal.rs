//! Ctrl-C and SIGTERM: first a graceful end, then at once.

use std::thread;

use tokmeter_engine::RunControl;

/// From now on the first signal drains the run, the second ends the process (what was written stays).
pub fn drain_on_interrupt(control: RunControl) -> std::io::Result<()> {
    thread::Builder::new().name("signals".into()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let mut first = true;
            loop {
                if !interrupted().await {
                    return;
                }
                match first {
                    true => {
                        control.interrupt();
                        tracing::warn!("interrupted: ending in good order; once more to leave at once");
                    }
                    false => std::process::exit(130),
                }
                first = false;
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
