//! Connections: reuse, replacement of dead ones, strategies, the limit and its queue.

use std::net::{Shutdown, TcpListener};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::Duration;

use tokmeter_http::{ClientConfig, ReuseStrategy};
use tokmeter_record::{ErrorClass, Phase, Side};

use crate::raw::{
    HELLO, Raw, answer_all, block_on, body, client, close_gently, post, read_request, reset, write,
};

#[test]
fn requests_in_turn_share_a_connection() {
    let server = Raw::start(|stream, _| answer_all(stream, HELLO));
    block_on(async {
        let client = client(ClientConfig::default());
        for number in 1..=3 {
            let exchange = client.send(post(&server.origin())).await;
            assert_eq!(exchange.error, None);
            assert_eq!(body(&exchange), "hello");
            let trace = &exchange.trace;
            assert_eq!(trace.connection_request_number, Some(number));
            assert_eq!(trace.connection_reused_ns.is_some(), number > 1);
            assert_eq!(trace.tcp_connect_start_ns.is_some(), number == 1);
            assert_eq!(trace.phases().connection_overhead() > 0, number == 1);
            assert!(trace.attempts.is_empty());
            assert!(trace.response_first_byte_ns > trace.request_send_start_ns);
        }
        let stats = client.stats();
        assert_eq!((stats.connections_made, stats.connections_reused), (1, 2));
        assert_eq!((stats.open_connections, stats.idle_connections), (1, 1));
        assert!(stats.receive_lag.reads >= 3);
    });
    assert_eq!(server.accepted(), 1);
}

#[test]
fn requests_at_once_have_connections_of_their_own() {
    let server = Raw::start(|stream, _| answer_all(stream, HELLO));
    block_on(async {
        let client = client(ClientConfig::default());
        let exchanges =
            futures_util::future::join_all((0..8).map(|_| client.send(post(&server.origin())))).await;
        let mut ids: Vec<u64> = exchanges
            .iter()
            .map(|exchange| exchange.trace.connection.as_ref().expect("a connection").connection_id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 8);
        assert_eq!(client.stats().idle_connections, 8);
    });
}

#[test]
fn a_connection_the_server_closed_is_seen_before_it_is_used() {
    let server = Raw::start(|mut stream, _| {
        read_request(&mut stream);
        write(&mut stream, HELLO);
        sleep(Duration::from_millis(10));
        close_gently(stream);
    });
    block_on(async {
        let client = client(ClientConfig::default());
        for _ in 0..2 {
            let exchange = client.send(post(&server.origin())).await;
            assert_eq!(exchange.error, None);
            assert!(exchange.trace.attempts.is_empty(), "nothing was sent on the closed one");
            assert_eq!(exchange.trace.connection_reused_ns, None);
            // Time for the FIN.
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        assert!(client.stats().open_connections <= 1, "the closed one was given up");
    });
    assert_eq!(server.accepted(), 2);
}

/// First connection: answers once, then kills the second request. Later ones: `later`.
fn stale_server(later: fn(std::net::TcpStream)) -> Raw {
    Raw::start(move |mut stream, number| {
        if number > 0 {
            return later(stream);
        }
        read_request(&mut stream);
        write(&mut stream, HELLO);
        read_request(&mut stream);
        reset(stream);
    })
}

#[test]
fn a_stale_connection_is_replaced_once_and_the_attempt_is_recorded() {
    let server = stale_server(|stream| answer_all(stream, HELLO));
    block_on(async {
        let client = client(ClientConfig::default());
        assert_eq!(client.send(post(&server.origin())).await.error, None);
        let exchange = client.send(post(&server.origin())).await;
        assert_eq!(exchange.error, None);
        assert_eq!(body(&exchange), "hello");
        let trace = &exchange.trace;
        let [attempt] = &trace.attempts[..] else { panic!("{:?}", trace.attempts) };
        assert!(attempt.reason.contains("stale"), "{}", attempt.reason);
        assert_eq!(attempt.address.as_deref(), Some(server.address.to_string().as_str()));
        assert!(trace.start_ns <= Some(attempt.start_ns) && attempt.start_ns <= attempt.end_ns);
        // The instants are the second attempt's own.
        assert!(Some(attempt.end_ns) <= trace.tcp_connect_start_ns);
        assert!(trace.tcp_connect_end_ns <= trace.request_send_start_ns);
        assert_eq!(trace.connection_reused_ns, None);
        assert_eq!(trace.connection_request_number, Some(1));
        assert_eq!(client.stats().stale_connections, 1);
        assert_eq!(client.stats().open_connections, 1);
    });
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_replacement_that_fails_too_is_the_end() {
    let server = stale_server(|mut stream| {
        read_request(&mut stream);
        reset(stream);
    });
    block_on(async {
        let client = client(ClientConfig::default());
        assert_eq!(client.send(post(&server.origin())).await.error, None);
        let exchange = client.send(post(&server.origin())).await;
        let error = exchange.error.expect("a failure");
        assert_eq!((error.class, error.side), (ErrorClass::StaleConnection, Side::Network));
        assert_eq!(exchange.trace.attempts.len(), 1);
    });
    assert_eq!(server.accepted(), 2, "replaced once only");
}

#[test]
fn a_reused_connection_that_dies_after_the_first_byte_is_not_retried() {
    let server = Raw::start(|mut stream, _| {
        read_request(&mut stream);
        write(&mut stream, HELLO);
        read_request(&mut stream);
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe");
        close_gently(stream);
    });
    block_on(async {
        let client = client(ClientConfig::default());
        assert_eq!(client.send(post(&server.origin())).await.error, None);
        let exchange = client.send(post(&server.origin())).await;
        let error = exchange.error.as_ref().expect("a failure");
        assert_eq!((error.class, error.phase), (ErrorClass::Disconnected, Phase::Receiving));
        assert_eq!(body(&exchange), "he");
        assert!(exchange.trace.attempts.is_empty());
    });
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_farewell_on_an_idle_connection_is_not_an_answer() {
    // As proxies do: 408 and close when a kept-alive connection was silent for long.
    let server = Raw::start(|mut stream, number| {
        while read_request(&mut stream).is_some() {
            write(&mut stream, HELLO);
            if number == 0 {
                sleep(Duration::from_millis(20));
                write(
                    &mut stream,
                    "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                );
                return close_gently(stream);
            }
        }
    });
    block_on(async {
        let client = client(ClientConfig::default());
        for _ in 0..3 {
            let exchange = client.send(post(&server.origin())).await;
            assert_eq!(exchange.error, None);
            assert_eq!(exchange.head.expect("a head").status, 200);
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        // Reading the farewell late is no lag: it is not counted.
        assert_eq!(client.stats().receive_lag.reads, 3);
    });
    assert_eq!(server.accepted(), 2);
}

#[test]
fn strategy_never_makes_a_connection_for_each_request_and_says_so() {
    let (heads, seen) = mpsc::channel();
    let heads = std::sync::Mutex::new(heads);
    let server = Raw::start(move |mut stream, _| {
        while let Some((head, _)) = read_request(&mut stream) {
            heads.lock().expect("lock").send(head).expect("a reader");
            write(&mut stream, HELLO);
        }
    });
    block_on(async {
        let client = client(ClientConfig { reuse: ReuseStrategy::Never, ..ClientConfig::default() });
        for _ in 0..3 {
            let exchange = client.send(post(&server.origin())).await;
            assert_eq!(exchange.error, None);
            assert_eq!(exchange.trace.connection_request_number, Some(1));
            assert_eq!(exchange.trace.connection_reused_ns, None);
        }
        assert_eq!(client.stats().open_connections, 0);
    });
    assert_eq!(server.accepted(), 3);
    assert!(seen.try_iter().all(|head| head.contains("connection: close\r\n")));
}

#[test]
fn sticky_keys_keep_their_connections_until_their_last_request() {
    let server = Raw::start(|stream, _| answer_all(stream, HELLO));
    block_on(async {
        let client = client(ClientConfig { reuse: ReuseStrategy::Sticky, ..ClientConfig::default() });
        let send = async |key: u64, last: bool| {
            let mut request = post(&server.origin());
            request.sticky = Some(key);
            request.last_of_sticky = last;
            let exchange = client.send(request).await;
            assert_eq!(exchange.error, None);
            exchange.trace.connection.expect("a connection").connection_id
        };
        let (a, b) = (send(1, false).await, send(2, false).await);
        assert_ne!(a, b);
        assert_eq!((send(2, false).await, send(1, false).await), (b, a));
        assert_eq!(send(1, true).await, a);
        assert_ne!(send(1, false).await, a, "the last request gave the connection up");
        assert_eq!(client.stats().open_connections, 2);
        client.release_sticky(2);
        assert_eq!(client.stats().open_connections, 1);
    });
    assert_eq!(server.accepted(), 3);
}

#[test]
fn the_limit_makes_requests_wait_in_order_and_the_wait_is_blocked() {
    let server = Raw::start(|mut stream, _| {
        while read_request(&mut stream).is_some() {
            sleep(Duration::from_millis(20));
            write(&mut stream, HELLO);
        }
    });
    block_on(async {
        let client = client(ClientConfig { max_connections: Some(2), ..ClientConfig::default() });
        let exchanges =
            futures_util::future::join_all((0..6).map(|_| client.send(post(&server.origin())))).await;
        let sent: Vec<_> = exchanges.iter().map(|e| e.trace.request_send_start_ns.expect("sent")).collect();
        assert!(sent[2..].is_sorted(), "first come, first served: {sent:?}");
        for (index, exchange) in exchanges.iter().enumerate() {
            assert_eq!(exchange.error, None);
            let blocked = exchange.trace.phases().blocked;
            match index {
                0 | 1 => assert_eq!(blocked, None),
                // One or two answers of 20 ms come before.
                2 | 3 => assert!(blocked >= Some(18_000_000), "{index}: {blocked:?}"),
                _ => assert!(blocked >= Some(38_000_000), "{index}: {blocked:?}"),
            }
            assert_eq!(exchange.trace.connection_reused_ns.is_some(), index > 1);
            let phases = exchange.trace.phases();
            assert!(phases.total() >= phases.blocked.unwrap_or(0) + phases.duration.expect("complete"));
        }
    });
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_request_that_never_got_a_connection_was_never_sent() {
    let server = Raw::start(|mut stream, _| {
        read_request(&mut stream);
        sleep(Duration::from_millis(200));
        write(&mut stream, HELLO);
        read_request(&mut stream);
    });
    block_on(async {
        let client = client(ClientConfig { max_connections: Some(1), ..ClientConfig::default() });
        let mut hasty = post(&server.origin());
        hasty.timeout = Some(Duration::from_millis(50));
        let (first, second) = tokio::join!(client.send(post(&server.origin())), client.send(hasty));
        assert_eq!(first.error, None);
        let error = second.error.expect("a failure");
        assert_eq!(
            (error.class, error.side, error.phase),
            (ErrorClass::SendTimeout, Side::Client, Phase::Blocked)
        );
        assert_eq!(client.stats().waiting_requests, 0, "it left the queue");
        // The queue is not spoiled.
        assert_eq!(client.send(post(&server.origin())).await.error, None);
    });
}

#[test]
fn an_idle_connection_gives_way_to_another_server() {
    let one = Raw::start(|stream, _| answer_all(stream, HELLO));
    let two = Raw::start(|stream, _| answer_all(stream, HELLO));
    block_on(async {
        let client = client(ClientConfig { max_connections: Some(1), ..ClientConfig::default() });
        for server in [&one, &two, &one] {
            assert_eq!(client.send(post(&server.origin())).await.error, None);
        }
        assert_eq!(client.stats().open_connections, 1);
    });
    assert_eq!((one.accepted(), two.accepted()), (2, 1));
}

#[test]
fn idle_connections_are_not_used_after_their_time() {
    let server = Raw::start(|stream, _| answer_all(stream, HELLO));
    block_on(async {
        let client =
            client(ClientConfig { idle_timeout: Duration::from_millis(20), ..ClientConfig::default() });
        assert_eq!(client.send(post(&server.origin())).await.error, None);
        tokio::time::sleep(Duration::from_millis(60)).await;
        let exchange = client.send(post(&server.origin())).await;
        assert_eq!((exchange.error, exchange.trace.connection_reused_ns), (None, None));
    });
    assert_eq!(server.accepted(), 2);
}

#[test]
fn localhost_on_one_family_costs_no_delay() {
    // Whatever `localhost` resolves to first, the server is on the other family.
    for family in ["127.0.0.1:0", "[::1]:0"] {
        if TcpListener::bind(family).is_err() {
            continue;
        }
        let server = Raw::start_at(family, |stream, _| answer_all(stream, HELLO));
        block_on(async {
            let client = client(ClientConfig::default());
            let url = format!("http://localhost:{}", server.address.port());
            let origin = tokmeter_http::Origin::parse(&url).expect("a URL").origin;
            let exchange = client.send(post(&origin)).await;
            if let Some(error) = exchange.error {
                // No IPv6 address for localhost on this machine.
                assert!(
                    server.address.is_ipv6() && error.class == ErrorClass::ConnectionRefused,
                    "{error:?}"
                );
                return;
            }
            let trace = &exchange.trace;
            assert!(
                trace.dns_cache_miss_ns.is_some() && trace.dns_lookup_end_ns >= trace.dns_lookup_start_ns
            );
            let begun = trace.attempts.first().map_or(trace.tcp_connect_start_ns, |a| Some(a.start_ns));
            let spent = trace.tcp_connect_end_ns.expect("connected").0 - begun.expect("begun").0;
            assert!(spent < 200_000_000, "the other family cost {spent} ns");
            for attempt in &trace.attempts {
                assert_eq!(attempt.reason, "connection refused");
            }
            let again = client.send(post(&origin)).await;
            assert!(again.trace.dns_cache_hit_ns.is_none(), "a reused connection resolves nothing");
        });
    }
}

#[test]
fn shutdown_by_the_server_between_requests_is_no_failure() {
    let server = Raw::start(|mut stream, _| {
        for _ in 0..2 {
            if read_request(&mut stream).is_none() {
                return;
            }
            write(&mut stream, HELLO);
        }
        let _ = stream.shutdown(Shutdown::Both);
    });
    block_on(async {
        let client = client(ClientConfig::default());
        for _ in 0..20 {
            let exchange = client.send(post(&server.origin())).await;
            assert_eq!(exchange.error, None, "{:?}", exchange.trace.attempts);
        }
    });
}
