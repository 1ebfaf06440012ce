//! A gateway on a thread of its own, a client that is a socket, and an upstream that is a script.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokmeter_gateway::proxy::{UpstreamConfig, listen};
use tokmeter_gateway::{Format, Gateway, GatewayConfig, Metric};
use tokmeter_sim::{RunningSim, Sim, SimConfig};

/// Long enough for any machine; nothing waits for it but what fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Running {
    pub gateway: Gateway,
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

pub fn upstream(url: &str) -> UpstreamConfig {
    UpstreamConfig { name: "sim".into(), url: url.into(), api_key_env: None, api_key_file: None }
}

pub fn sim(change: impl FnOnce(&mut SimConfig)) -> RunningSim {
    let mut config = SimConfig::default();
    change(&mut config);
    Sim::start(config).expect("the simulated server starts")
}

/// A gateway before this server.
pub fn before(url: &str, change: impl FnOnce(&mut GatewayConfig)) -> Running {
    let mut config = GatewayConfig { upstreams: vec![upstream(url)], ..GatewayConfig::default() };
    change(&mut config);
    let gateway = Gateway::new(&config).expect("a configuration");
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = watch::channel(false);
    let serving = gateway.clone();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            serving.serve(listener, stopped).await.expect("serves");
        });
    });
    Running { gateway, address, stop, thread: Some(thread) }
}

impl Running {
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Sends a chat request and reads the whole answer. `headers` are lines with their line ends.
    pub fn chat(&self, model: &str, headers: &str) -> Answer {
        self.ask(&chat_request(model, 8, headers))
    }

    /// Sends bytes and reads until the connection ends.
    pub fn ask(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        // The gateway may answer and close before it has read everything.
        let _ = stream.write_all(request);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        Answer(bytes)
    }

    /// The value of a sample whose name and labels contain all these parts; 0 when there is none.
    pub fn sample(&self, name: &str, parts: &[&str]) -> f64 {
        let page = self.gateway.metrics().render(Format::Prometheus);
        let fits = |line: &&str| line.starts_with(name) && parts.iter().all(|part| line.contains(part));
        let values =
            page.lines().filter(fits).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
        values.sum()
    }

    pub fn outcome(&self, outcome: &str) -> f64 {
        self.sample("gateway_requests_total", &[&format!("outcome=\"{outcome}\"")])
    }

    /// Waits until so many requests are over and none is in flight.
    pub fn wait_for(&self, requests: u64) {
        let metrics = self.gateway.metrics();
        let begun = Instant::now();
        while metrics.total(Metric::Requests) < requests || metrics.total(Metric::InFlight) > 0 {
            assert!(
                begun.elapsed() < PATIENCE,
                "{} of {requests} requests are over:\n{}",
                metrics.total(Metric::Requests),
                metrics.render(Format::Prometheus)
            );
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(metrics.total(Metric::Requests), requests);
    }

    /// Tells it to stop; the thread ends when it has drained.
    pub fn begin_stop(&self) {
        self.stop.send_replace(true);
    }

    pub fn stop(&mut self) {
        self.begin_stop();
        self.thread.take().expect("stopped once").join().expect("no panic");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.begin_stop();
    }
}

pub fn chat_request(model: &str, tokens: u32, headers: &str) -> Vec<u8> {
    let body = format!(
        "{{\"messages\":[{{\"role\":\"user\",\"content\":\"one two three\"}}],\"model\":\"{model}\",\"stream\":true,\
         \"max_tokens\":{tokens},\"stream_options\":{{\"include_usage\":true}}}}"
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n\
         connection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// All bytes that came back.
pub struct Answer(pub Vec<u8>);

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// 0 when nothing came.
    pub fn status(&self) -> u16 {
        self.text().get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        let head = text.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    /// The body without its chunk framing.
    pub fn chunked_body(&self) -> Vec<u8> {
        let start = self.0.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let mut rest = &self.0[start..];
        let mut body = Vec::new();
        loop {
            let line = rest.windows(2).position(|two| two == b"\r\n").expect("a chunk size");
            let size = std::str::from_utf8(&rest[..line]).expect("hexadecimal");
            let size = usize::from_str_radix(size, 16).expect("hexadecimal");
            rest = &rest[line + 2..];
            if size == 0 {
                return body;
            }
            body.extend_from_slice(&rest[..size]);
            rest = &rest[size + 2..];
        }
    }
}

/// An upstream that takes one connection, reads a request up to `until`, and does what it is told; gives the request.
pub fn scripted(
    until: &'static [u8],
    script: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.windows(until.len()).any(|window| window == until) {
            let count = stream.read(&mut buffer).expect("the request");
            assert!(count > 0, "the request ended: {}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&buffer[..count]);
        }
        script(&mut stream);
        request
    });
    (url, thread)
}
