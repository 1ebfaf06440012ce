use tokmeter_record::WallNs;

use super::*;
use crate::schedule::{LoadConfig, LoadContext};

const MS: u64 = 1_000_000;

fn request(intended: u64, sent: u64, end: u64) -> RequestInstants {
    let at = |ms: u64| MonoNs(ms * MS);
    RequestInstants { intended: at(intended), start: at(sent), send_start: Some(at(sent)), end: at(end) }
}

fn delivery(load: LoadConfig, requests: &[RequestInstants]) -> Delivery {
    let context = LoadContext { streaming: true, timestamps: false, turns_mean: 1.0 };
    let plan = load.plan(&context).unwrap().profiling;
    let phase = BenchmarkPhase::Profiling;
    let config = PhaseConfig { phase, name: "profiling".into(), plan };
    let report = PhaseReport {
        phase,
        name: "profiling".into(),
        start: WallNs(0),
        end: WallNs(0),
        start_mono: MonoNs(0),
        late_ns: None,
        asked_requests: config.plan.requests,
        requests: requests.len() as u64,
        slot_waits: None,
        prefill_waits: None,
        feeder: Default::default(),
    };
    let mut instants = Instants::default();
    for &request in requests {
        instants.add(phase, request);
        instants.add(BenchmarkPhase::Warmup, request);
    }
    Delivery::of(&config, &report, &instants, Share::WHOLE)
}

#[test]
fn a_load_on_time_has_no_distance_and_no_remark() {
    let requests: Vec<_> = (0..50).map(|n| request(n * 20, n * 20, n * 20 + 40)).collect();
    let load = LoadConfig { request_rate: Some(50.0), request_count: Some(50), ..LoadConfig::default() };
    let delivery = delivery(load, &requests);
    assert_eq!(delivery.asked.rate, Some(50.0));
    assert!((delivery.asked.scheduled_rate.unwrap() - 50.0).abs() < 1e-9);
    assert_eq!(delivery.delivered.rate, delivery.asked.scheduled_rate);
    assert_eq!(delivery.arrivals.unwrap().ks_distance, 0.0);
    assert_eq!(delivery.schedule_lag_ms.unwrap().max, 0.0);
    // Each is under way for two gaps: two at a time, once the first has been joined by the second.
    assert_eq!(delivery.delivered.concurrency_max, 2);
    assert_eq!(delivery.remarks(), Vec::<String>::new());
    let slice = delivery.over_time[3];
    assert_eq!(
        (slice.at_s, slice.asked_rate, slice.delivered_rate, slice.concurrency),
        (0.3, 50.0, 50.0, 2.0)
    );
}

#[test]
fn a_client_that_sends_in_bunches_and_late_is_told() {
    // Asked every 10 ms; sent in tens, and each bunch later than the one before.
    let requests: Vec<_> = (0..100)
        .map(|n| {
            let sent = n / 10 * 200 + 100;
            request(n * 10, sent, sent + 5)
        })
        .collect();
    let load = LoadConfig { request_rate: Some(100.0), request_count: Some(100), ..LoadConfig::default() };
    let delivery = delivery(load, &requests);
    let arrivals = delivery.arrivals.unwrap();
    assert!(arrivals.ks_distance > 0.8 && arrivals.ks_critical < 0.3, "{arrivals:?}");
    assert_eq!(delivery.schedule_lag_ms.unwrap().max, 1000.0);
    let remarks = delivery.remarks().join("\n");
    assert!(remarks.contains("100.0 requests/s were asked for, 55.0 were sent"), "{remarks}");
    assert!(remarks.contains("arrivals were not spaced as asked"), "{remarks}");
}

#[test]
fn concurrency_is_weighted_by_time_and_a_ramp_asks_for_less() {
    // Two slots: the second opens after 100 ms. Sending ends at 300 ms.
    let requests = [
        request(0, 0, 100),
        request(100, 100, 200),
        request(100, 100, 300),
        request(200, 200, 400),
        request(300, 300, 400),
    ];
    let load = LoadConfig {
        concurrency: Some(2),
        concurrency_ramp_duration: Some(0.1),
        request_count: Some(5),
        ..LoadConfig::default()
    };
    let delivery = delivery(load, &requests);
    let expected = (1.0 + 2.0 + 2.0) / 3.0;
    assert!((delivery.asked.concurrency_avg.unwrap() - expected).abs() < 1e-9, "{:?}", delivery.asked);
    assert!(
        (delivery.delivered.concurrency_avg.unwrap() - expected).abs() < 1e-9,
        "{:?}",
        delivery.delivered
    );
    assert_eq!(delivery.arrivals, None, "a closed loop asks for no arrivals");
    assert_eq!(delivery.remarks(), Vec::<String>::new());
}

#[test]
fn waits_are_told_with_what_was_never_sent() {
    let waits = SlotWaits { waited: 7, never_sent: 2, mean_ms: 12.0, max_ms: 30.0 };
    let delivery = Delivery { slot_waits: Some(waits), ..Delivery::default() };
    let remarks = delivery.remarks();
    assert!(
        remarks[0].contains("7 requests found no free slot") && remarks[0].contains("2 were"),
        "{remarks:?}"
    );
}

#[test]
fn slots_that_stand_empty_are_told() {
    // One slot; each request could have begun 40 ms before it did.
    let requests: Vec<_> = (0..20).map(|n| request(n * 100, n * 100 + 40, n * 100 + 100)).collect();
    let load = LoadConfig { concurrency: Some(1), request_count: Some(20), ..LoadConfig::default() };
    let delivery = delivery(load, &requests);
    let remarks = delivery.remarks();
    assert_eq!(remarks, ["1.0 requests in flight were asked for, 0.6 there were"]);
}
