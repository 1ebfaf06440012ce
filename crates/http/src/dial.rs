//! From an origin to a connection: resolve, connect, pass the proxy, shake hands.

mod proxy;
mod tcp;

use std::cell::{Cell, OnceCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use rustls::HandshakeKind;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokmeter_record::trace::ConnectionInfo;
use tokmeter_record::{ErrorClass, Phase, Side};

use crate::clock;
use crate::config::{ClientConfig, ConfigError, HttpVersion, TimestampSource};
use crate::dns::Resolver;
use crate::draft::Draft;
use crate::exchange::Origin;
use crate::failure::Failure;
use crate::io::{Link, ReadTotals, RealtimeLine, Socket, Wire, kernel};
use crate::tls::TlsSetup;
use crate::tls::validity::not_after;

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    H1,
    H2,
}

/// A connection that has not carried a request yet.
pub(crate) struct Dialed {
    pub(crate) link: Link,
    pub(crate) protocol: Protocol,
    pub(crate) info: Arc<ConnectionInfo>,
    /// `host:port` as messages name the peer.
    pub(crate) peer: Rc<str>,
}

/// Makes the connections of one client.
pub(crate) struct Dialer {
    config: Arc<ClientConfig>,
    pub(crate) resolver: Resolver,
    pub(crate) totals: Rc<ReadTotals>,
    tls: OnceCell<TlsSetup>,
    line: Rc<RealtimeLine>,
    kernel_stamps: bool,
    next_source: Cell<usize>,
    next_id: Cell<u64>,
}

impl Dialer {
    pub(crate) fn new(config: Arc<ClientConfig>, shard: u32) -> Result<Self, ConfigError> {
        let kernel_stamps = match config.timestamps {
            TimestampSource::User => false,
            TimestampSource::Auto => probe_kernel_stamps().is_ok(),
            TimestampSource::Kernel => {
                probe_kernel_stamps().map_err(ConfigError::KernelStamps)?;
                true
            }
        };
        let dialer = Dialer {
            resolver: Resolver::new(config.dns_ttl),
            totals: Rc::default(),
            tls: OnceCell::new(),
            line: Rc::new(RealtimeLine::new()),
            kernel_stamps,
            next_source: Cell::new(0),
            next_id: Cell::new(u64::from(shard) << 32),
            config,
        };
        // Files that were named are read now, so that a wrong one is found before the run; the platform's
        // roots are loaded only when something speaks TLS.
        let options = &dialer.config.tls;
        if options.ca_file.is_some() || options.client_certificate.is_some() || options.server_name.is_some()
        {
            dialer.tls()?;
        }
        Ok(dialer)
    }

    /// TLS settings, made at first use.
    pub(crate) fn tls(&self) -> Result<&TlsSetup, ConfigError> {
        match self.tls.get() {
            Some(setup) => Ok(setup),
            None => {
                let setup = TlsSetup::new(&self.config.tls, self.config.http_version)?;
                Ok(self.tls.get_or_init(|| setup))
            }
        }
    }

    /// A new connection. Instants and failed attempts go to the draft.
    pub(crate) async fn dial(&self, origin: &Origin, draft: &mut Draft) -> Result<Dialed, Failure> {
        draft.setup = Some(Phase::Dns);
        let limit = self.config.connect_timeout;
        match tokio::time::timeout(limit, self.connect(origin, draft)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(too_slow(origin, draft, limit)),
        }
    }

    async fn connect(&self, origin: &Origin, draft: &mut Draft) -> Result<Dialed, Failure> {
        let (host, port) = self.redirected(origin);
        let proxy = self.config.proxy_for(origin);
        let (dial_host, dial_port) = match proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (host, port),
        };
        let peer = Origin { tls: false, host: dial_host.to_owned(), port: dial_port }.host_port();
        let addresses = self.addresses(dial_host, dial_port, draft).await?;
        draft.setup = Some(Phase::Connecting);
        let (stream, local) = match tcp::connect_first(self, &addresses, &peer, draft).await {
            Ok(connected) => connected,
            Err(failure) => {
                self.resolver.forget(dial_host);
                return Err(failure);
            }
        };
        let remote = stream.peer_addr().ok();
        let wire =
            Rc::new(Wire::new(stream, self.kernel_stamps, Rc::clone(&self.line), Rc::clone(&self.totals)));
        let mut socket = Socket(wire);
        if let Some(proxy) = proxy
            && origin.tls
        {
            proxy::open_tunnel(&mut socket, proxy, &Origin { tls: true, host: host.to_owned(), port })
                .await?;
            // The tunnel is part of reaching the server, as the TCP handshake is.
            draft.trace.tcp_connect_end_ns = Some(clock::now());
        }
        let mut info = ConnectionInfo {
            connection_id: self.next_id.replace(self.next_id.get() + 1),
            local_ip: local.map(|address| address.ip().to_string()),
            local_port: local.map(|address| address.port()),
            remote_ip: remote.map(|address| address.ip().to_string()),
            remote_port: remote.map(|address| address.port()),
            ..ConnectionInfo::default()
        };
        let peer: Rc<str> = origin.host_port().into();
        let (link, protocol) = if origin.tls {
            self.secure(socket, origin, &peer, &mut info, draft).await?
        } else if self.config.http_version == HttpVersion::V2 && proxy.is_none() {
            (Link::Plain(socket), Protocol::H2)
        } else {
            (Link::Plain(socket), Protocol::H1)
        };
        info.http_version = Some(if protocol == Protocol::H2 { "2" } else { "1.1" }.into());
        Ok(Dialed { link, protocol, info: Arc::new(info), peer })
    }

    async fn secure(
        &self,
        socket: Socket,
        origin: &Origin,
        peer: &str,
        info: &mut ConnectionInfo,
        draft: &mut Draft,
    ) -> Result<(Link, Protocol), Failure> {
        draft.setup = Some(Phase::Tls);
        let setup =
            self.tls().map_err(|error| Failure::new(ErrorClass::Tls, Side::Client, error.to_string()))?;
        let name: ServerName<'static> = setup.server_name(&origin.host).ok_or_else(|| {
            Failure::new(ErrorClass::Tls, Side::Client, format!("{} is no name for TLS (SNI)", origin.host))
        })?;
        draft.trace.tls_start_ns = Some(clock::now());
        let stream = TlsConnector::from(Arc::clone(&setup.config))
            .connect(name, socket)
            .await
            .map_err(|error| Failure::from_io(&error, Phase::Tls, peer))?;
        draft.trace.tls_end_ns = Some(clock::now());
        let session = stream.get_ref().1;
        info.tls_version = session.protocol_version().and_then(|v| v.as_str()).map(|v| v.replace('_', "."));
        info.tls_cipher = session
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .map(|name| name.replace("TLS13_", "TLS_"));
        info.tls_resumed = session.handshake_kind().map(|kind| kind == HandshakeKind::Resumed);
        info.tls_not_after = session.peer_certificates().and_then(|chain| not_after(chain.first()?));
        info.alpn = session.alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into_owned());
        let protocol = match session.alpn_protocol() {
            Some(b"h2") => Protocol::H2,
            _ if self.config.http_version == HttpVersion::V2 => {
                return Err(Failure::new(
                    ErrorClass::Protocol,
                    Side::Server,
                    format!("{peer} does not offer HTTP/2 (ALPN); ask for HTTP version 1.1 or auto"),
                ));
            }
            _ => Protocol::H1,
        };
        Ok((Link::Tls(Box::new(stream)), protocol))
    }

    /// Where `--connect-to` sends connections for this origin.
    fn redirected<'a>(&'a self, origin: &'a Origin) -> (&'a str, u16) {
        let rule = self.config.connect_to.iter().find(|rule| {
            rule.host.as_ref().is_none_or(|host| *host == origin.host)
                && rule.port.is_none_or(|port| port == origin.port)
        });
        match rule {
            None => (&origin.host, origin.port),
            Some(rule) => {
                (rule.to_host.as_deref().unwrap_or(&origin.host), rule.to_port.unwrap_or(origin.port))
            }
        }
    }

    async fn addresses(&self, host: &str, port: u16, draft: &mut Draft) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, port)]);
        }
        let overridden: Vec<SocketAddr> = self
            .config
            .resolve
            .iter()
            .filter(|rule| rule.host == host && rule.port.is_none_or(|wanted| wanted == port))
            .map(|rule| SocketAddr::new(rule.address, port))
            .collect();
        if !overridden.is_empty() {
            draft.trace.dns_cache_hit_ns = Some(clock::now());
            return Ok(overridden);
        }
        let asked = clock::now();
        // Until it is known better: a lookup that never ends has begun.
        draft.trace.dns_lookup_start_ns = Some(asked);
        let resolved = self.resolver.resolve(host).await?;
        match resolved.lookup {
            None => {
                draft.trace.dns_lookup_start_ns = None;
                draft.trace.dns_cache_hit_ns = Some(asked);
            }
            Some((start, end)) => {
                draft.trace.dns_cache_miss_ns = Some(asked);
                // A request that joined a running lookup waited only from when it asked.
                draft.trace.dns_lookup_start_ns = Some(start.max(asked).min(end));
                draft.trace.dns_lookup_end_ns = Some(end);
            }
        }
        Ok(resolved.addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
    }

    fn next_source(&self, ipv4: bool) -> Option<IpAddr> {
        let fitting = || self.config.source_addresses.iter().filter(|source| source.is_ipv4() == ipv4);
        let count = fitting().count();
        if count == 0 {
            return None;
        }
        let turn = self.next_source.replace(self.next_source.get().wrapping_add(1));
        fitting().nth(turn % count).copied()
    }
}

fn too_slow(origin: &Origin, draft: &Draft, limit: std::time::Duration) -> Failure {
    let peer = origin.host_port();
    let seconds = limit.as_secs_f64();
    match draft.setup {
        Some(Phase::Dns) => Failure::new(
            ErrorClass::Dns,
            Side::Network,
            format!("the name {} did not resolve within {seconds} s", origin.host),
        ),
        Some(Phase::Tls) => Failure::new(
            ErrorClass::Timeout,
            Side::Network,
            format!("{peer} accepted the connection but did not finish TLS within {seconds} s"),
        ),
        _ => Failure::new(
            ErrorClass::Unreachable,
            Side::Network,
            format!("no answer from {peer} within {seconds} s; wrong address, or a firewall drops packets?"),
        ),
    }
}

/// Whether sockets here can be asked for kernel stamps.
fn probe_kernel_stamps() -> std::io::Result<()> {
    use std::os::fd::AsFd;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    kernel::enable_stamps(socket.as_fd())
}
