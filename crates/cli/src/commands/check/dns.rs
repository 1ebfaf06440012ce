//! The host's addresses, and which of them take connections.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::probe::Probe;

/// Addresses tried.
const MOST_ADDRESSES: usize = 8;
/// Time limit of one TCP handshake.
const CONNECT: Duration = Duration::from_secs(2);

/// What the name resolves to.
#[derive(Debug, Serialize)]
pub struct Dns {
    /// Host of the URL.
    pub host: String,
    /// The URL has an address instead of a name.
    pub literal: bool,
    /// Time of the lookup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup_ms: Option<f64>,
    /// In the resolver's order; at most eight.
    pub addresses: Vec<Address>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One address.
#[derive(Debug, Serialize)]
pub struct Address {
    /// IPv4 or IPv6.
    pub ip: IpAddr,
    /// Time of a TCP handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<f64>,
    /// Why there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Resolves the host and tries each address.
pub fn look_up(probe: &Probe) -> Dns {
    let origin = &probe.target.origin;
    let literal = origin.host.parse::<IpAddr>().ok();
    let mut dns = Dns {
        host: origin.host.clone(),
        literal: literal.is_some(),
        lookup_ms: None,
        addresses: Vec::new(),
        problem: None,
    };
    let addresses = match literal {
        Some(address) => Ok(vec![address]),
        None => {
            let begin = Instant::now();
            let resolved = resolve(&origin.host, probe.timeout());
            dns.lookup_ms = Some(begin.elapsed().as_secs_f64() * 1e3);
            resolved
        }
    };
    match addresses {
        Ok(addresses) => {
            let limit = probe.timeout().min(CONNECT);
            dns.addresses = addresses.into_iter().map(|ip| connect(ip, origin.port, limit)).collect();
        }
        Err(problem) => dns.problem = Some(problem),
    }
    dns
}

/// getaddrinfo has no time limit of its own; a lookup that hangs is left behind.
fn resolve(host: &str, limit: Duration) -> Result<Vec<IpAddr>, String> {
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    std::thread::spawn(move || {
        // The receiver may have given up.
        let _ = sender.send((name.as_str(), 0).to_socket_addrs().map(Vec::from_iter));
    });
    let found = match receiver.recv_timeout(limit) {
        Ok(found) => found.map_err(|error| format!("the name {host} does not resolve: {error}"))?,
        Err(_) => return Err(format!("the name {host} did not resolve within {} s", limit.as_secs_f64())),
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.iter().map(SocketAddr::ip) {
        if !addresses.contains(&address) && addresses.len() < MOST_ADDRESSES {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn connect(ip: IpAddr, port: u16, limit: Duration) -> Address {
    let begin = Instant::now();
    match TcpStream::connect_timeout(&SocketAddr::new(ip, port), limit) {
        Ok(_) => Address { ip, connect_ms: Some(begin.elapsed().as_secs_f64() * 1e3), problem: None },
        Err(error) => {
            let problem = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => "refused".to_owned(),
                std::io::ErrorKind::TimedOut => format!("no answer within {} s", limit.as_secs_f64()),
                _ => error.to_string(),
            };
            Address { ip, connect_ms: None, problem: Some(problem) }
        }
    }
}
