//! Other ways to a server than its name says: `--resolve`, `--connect-to`, `--proxy` and `NO_PROXY`.

use std::sync::mpsc;

use tokmeter_http::{ClientConfig, Exchange, Origin};
use tokmeter_record::{ErrorClass, Side};

use crate::raw::{HELLO, Raw, block_on, body, client, post, read_request, write};

/// A server that tells each head it reads and gives `answer` to it.
fn telling(answer: &'static str) -> (Raw, mpsc::Receiver<String>) {
    let (heads, told) = mpsc::channel();
    let server = Raw::start(move |mut stream, _| {
        while let Some((head, _)) = read_request(&mut stream) {
            let _ = heads.send(head);
            write(&mut stream, answer);
        }
    });
    (server, told)
}

fn ask(url: &str, config: ClientConfig) -> Exchange {
    let origin = Origin::parse(url).expect("a URL").origin;
    block_on(async { client(config).send(post(&origin)).await })
}

#[test]
fn an_address_that_was_given_needs_no_lookup() {
    let (server, heads) = telling(HELLO);
    let port = server.address.port();
    let resolve = vec![format!("llm.test:{port}:127.0.0.1").parse().expect("an override")];
    let exchange =
        ask(&format!("http://llm.test:{port}"), ClientConfig { resolve, ..ClientConfig::default() });
    assert_eq!((exchange.error.as_ref(), body(&exchange).as_str()), (None, "hello"));
    let trace = &exchange.trace;
    // It counts as known: a hit of the cache, and nothing was asked.
    assert!(trace.dns_cache_hit_ns.is_some());
    assert_eq!((trace.dns_lookup_start_ns, trace.dns_cache_miss_ns), (None, None));
    assert!(
        heads.recv().expect("a head").contains(&format!("host: llm.test:{port}\r\n")),
        "the name is kept"
    );
}

#[test]
fn another_place_to_connect_to_keeps_the_name() {
    let (server, heads) = telling(HELLO);
    let connect_to =
        vec![format!("llm.test:80:127.0.0.1:{}", server.address.port()).parse().expect("a rule")];
    let exchange = ask("http://llm.test", ClientConfig { connect_to, ..ClientConfig::default() });
    assert_eq!(exchange.error, None);
    let connection = exchange.trace.connection.as_ref().expect("a connection");
    assert_eq!(connection.remote_port, Some(server.address.port()));
    assert!(heads.recv().expect("a head").contains("host: llm.test\r\n"));
}

#[test]
fn a_proxy_gets_the_whole_url_and_exempt_hosts_are_reached_without_it() {
    let (proxy, asked) = telling(HELLO);
    let (server, direct) = telling(HELLO);
    let config = || ClientConfig {
        proxy: Some(format!("http://user:pass@{}", proxy.address).parse().expect("a proxy")),
        no_proxy: vec!["127.0.0.0/8".to_owned()],
        ..ClientConfig::default()
    };
    assert_eq!(ask("http://llm.test", config()).error, None, "the proxy knows the name, we need not");
    let head = asked.recv().expect("a head");
    assert!(head.starts_with("POST http://llm.test/v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: Basic dXNlcjpwYXNz\r\n"), "{head}");

    assert_eq!(ask(&format!("http://{}", server.address), config()).error, None);
    let head = direct.recv().expect("a head");
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(!head.contains("proxy-authorization"), "{head}");
    assert_eq!(proxy.accepted(), 1);
}

#[test]
fn a_proxy_that_opens_no_tunnel_is_told_in_words() {
    let (proxy, asked) = telling("HTTP/1.1 403 Not for you\r\ncontent-length: 0\r\n\r\n");
    let config = ClientConfig {
        proxy: Some(proxy.address.to_string().parse().expect("a proxy")),
        ..ClientConfig::default()
    };
    let error = ask("https://llm.test", config).error.expect("a failure");
    assert_eq!((error.class, error.side), (ErrorClass::Unreachable, Side::Network));
    assert!(
        error.message.contains("403 Not for you") && error.message.contains("llm.test:443"),
        "{}",
        error.message
    );
    assert!(asked.recv().expect("a head").starts_with("CONNECT llm.test:443 HTTP/1.1\r\n"));
}
