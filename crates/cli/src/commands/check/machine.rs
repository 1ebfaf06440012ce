//! What this machine allows a load client.

use serde::Serialize;
use tokmeter_http::os;

/// Limits here.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Cores this process may use.
    pub cores: usize,
    /// Soft limit of open files, which a run raises to the hard one; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files_soft: Option<u64>,
    /// Hard limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files_hard: Option<u64>,
    /// First and last local port of outgoing connections (Linux).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_ports: Option<(u16, u16)>,
}

impl Machine {
    /// Local ports of one address to one server.
    pub fn port_count(&self) -> Option<u64> {
        self.local_ports.map(|(first, last)| u64::from(last.saturating_sub(first)) + 1)
    }
}

/// Looks.
pub fn look() -> Machine {
    let (open_files_soft, open_files_hard) = os::open_files();
    Machine {
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        open_files_soft,
        open_files_hard,
        local_ports: os::port_range(),
    }
}
