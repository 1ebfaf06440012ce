//! The simulated server as a process of its own, so that it shares no thread and no lock with the client.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokmeter_sim::{RequestLog, read_log_file};

/// Time it gets to start, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `tokmeter sim`; dropping it kills it.
pub struct Simulator {
    child: Child,
    url: String,
    log: NamedTempFile,
}

impl Simulator {
    /// Starts it on a free loopback port.
    ///
    /// # Errors
    /// When this executable cannot be started again or does not say where it listens.
    pub fn start(ttft_ms: &str, itl_ms: &str) -> Result<Simulator> {
        let program = std::env::current_exe().context("calibration: cannot find this program")?;
        let log = NamedTempFile::new().context("calibration: cannot make a temporary file")?;
        let child = Command::new(program)
            .args(["sim", "--port", "0", "--ttft-ms", ttft_ms, "--itl-ms", itl_ms, "--log"])
            .arg(log.path())
            .env_remove("TOKMETER_SIM_API_KEY")
            .env_remove("TOKMETER_API_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("calibration: cannot start the simulated server")?;
        let mut simulator = Simulator { child, url: String::new(), log };
        let Some(stdout) = simulator.child.stdout.take() else {
            bail!("calibration: the simulated server has no output")
        };
        let (sender, lines) = mpsc::channel();
        // Reads on to the end: a full pipe would stop the server.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Only the first line is waited for.
                let _ = sender.send(line);
            }
        });
        let first =
            lines.recv_timeout(PATIENCE).context("calibration: the simulated server did not start")?;
        simulator.url = first.rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(simulator)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it and reads its log.
    ///
    /// # Errors
    /// When it does not end, or the log cannot be read.
    pub fn stop(mut self) -> Result<Vec<RequestLog>> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .context("calibration: cannot end the simulated server")?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().context("calibration")?.is_none() {
            if Instant::now() > deadline {
                bail!("calibration: the simulated server does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        read_log_file(self.log.path()).context("calibration: the simulated server's log")
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // After `stop` there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
