//! Nothing is lost: every request that was received is in the log once, whatever happened to it.

use std::collections::HashSet;

use tokmeter_sim::{Distribution, Fault, FaultRule, Flush};

use crate::client::{Client, PATIENCE, chat, start};

#[test]
fn every_request_is_logged_once_under_a_storm_of_faults() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 60;
    let sim = start(|config| {
        config.workers = 2;
        config.timing.itl_ms = Distribution::constant(0.2);
        config.timing.max_running = Some(4);
        config.wire.flush = Flush::Coalesce;
        config.faults = Fault::all()
            .into_iter()
            .filter(|fault| {
                !matches!(
                    fault,
                    Fault::StallRequest
                        | Fault::StallBeforeHeaders
                        | Fault::StallMidStream { .. }
                        | Fault::Drip { .. }
                )
            })
            .map(|fault| match fault {
                Fault::HugeHeader { .. } => Fault::HugeHeader { bytes: 100_000 },
                Fault::HugeLine { .. } => Fault::HugeLine { bytes: 100_000 },
                Fault::GzipBomb { .. } => Fault::GzipBomb { bytes: 100_000 },
                fault => fault,
            })
            .map(|fault| FaultRule::sometimes(fault, 0.02))
            .collect();
    });
    let threads: Vec<_> = (0..CLIENTS)
        .map(|c| {
            let addr = sim.addr();
            std::thread::spawn(move || {
                let mut client = Client::to(addr);
                for n in 0..REQUESTS {
                    let mut body = chat(5);
                    body["stream"] = (n % 4 > 0).into();
                    client.send_post("/v1/chat/completions", &format!("X-Request-ID: {c}-{n}\r\n"), &body);
                    let leave = n % 7 == 6;
                    let kept = !leave && {
                        let response = client.response();
                        response.status > 0
                            && response.complete
                            && response.header("connection").is_none()
                            && response.header("content-length") != Some("0")
                    };
                    if !kept {
                        client = Client::to(addr);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a client");
    }
    let total = (CLIENTS * REQUESTS) as u64;
    // A client that left at once may have taken its request with it before it was read.
    let left = (CLIENTS * REQUESTS / 7) as u64;
    sim.wait_for_log(total - left, PATIENCE).expect("logged");
    let served = sim.stop().expect("stopped");
    let counters = served.counters;
    let outcomes = counters.completed
        + counters.rejected
        + counters.client_disconnected
        + counters.faults
        + counters.server_stopped;
    assert_eq!(counters.received, outcomes);
    assert_eq!(served.requests.len() as u64, counters.received);
    assert!(counters.received >= total - left, "{counters:?}");
    assert!(counters.completed > 0 && counters.faults > 20, "{counters:?}");
    let ids: HashSet<_> = served.requests.iter().filter_map(|r| r.x_request_id.clone()).collect();
    assert_eq!(ids.len(), served.requests.len(), "each id once");
    for request in &served.requests {
        let written: u32 = request.writes.iter().map(|w| w.tokens).sum();
        assert_eq!(written, request.sent_tokens, "{request:?}");
        assert!(request.end_ns >= request.head_received_ns, "{request:?}");
    }
}
