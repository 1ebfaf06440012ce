//! One settable alarm per worker: a timerfd on Linux, tokio's timer (1 ms coarse) elsewhere.

#[cfg(target_os = "linux")]
pub(super) use linux::Alarm;
#[cfg(not(target_os = "linux"))]
pub(super) use portable::Alarm;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    pub struct Alarm(AsyncFd<OwnedFd>);

    impl Alarm {
        #[expect(
            deprecated,
            reason = "its replacement is unsafe for types that might close the descriptor; OwnedFd does not"
        )]
        pub fn new() -> io::Result<Self> {
            let fd =
                timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            Ok(Self(AsyncFd::with_interest(fd, Interest::READABLE)?))
        }

        /// Rings once at `deadline_ns`; replaces what was set before.
        pub fn set(&self, deadline_ns: u64) {
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            let at = Timespec {
                tv_sec: (deadline_ns / 1_000_000_000) as i64,
                // A zero time would disarm.
                tv_nsec: ((deadline_ns % 1_000_000_000) as i64).max(1),
            };
            let spec = Itimerspec { it_interval: never, it_value: at };
            if let Err(error) = timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::ABSTIME, &spec) {
                tracing::error!(%error, "cannot arm the timer of a simulator worker");
            }
        }

        pub async fn rings(&self) -> io::Result<()> {
            let mut ready = self.0.readable().await?;
            let mut expirations = [0u8; 8];
            match rustix::io::read(self.0.get_ref(), &mut expirations) {
                Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            ready.clear_ready();
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::cell::Cell;
    use std::io;
    use std::time::Duration;

    use tokio::sync::Notify;

    use crate::clock::mono_ns;

    pub struct Alarm {
        deadline_ns: Cell<u64>,
        changed: Notify,
    }

    impl Alarm {
        pub fn new() -> io::Result<Self> {
            Ok(Self { deadline_ns: Cell::new(u64::MAX), changed: Notify::new() })
        }

        pub fn set(&self, deadline_ns: u64) {
            self.deadline_ns.set(deadline_ns);
            self.changed.notify_one();
        }

        pub async fn rings(&self) -> io::Result<()> {
            loop {
                let deadline_ns = self.deadline_ns.get();
                if deadline_ns == u64::MAX {
                    self.changed.notified().await;
                    continue;
                }
                let left = Duration::from_nanos(deadline_ns.saturating_sub(mono_ns()));
                tokio::select! {
                    () = tokio::time::sleep(left) => {
                        self.deadline_ns.set(u64::MAX);
                        return Ok(());
                    }
                    () = self.changed.notified() => {}
                }
            }
        }
    }
}
