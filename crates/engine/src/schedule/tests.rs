//! Properties of whole schedules.

use std::time::Duration;

use proptest::prelude::*;

use super::distance::{ks_critical, ks_distance_to};
use super::*;

fn rate(profile: RateProfile, spacing: Spacing, requests: u64) -> PhasePlan {
    PhasePlan { shape: LoadShape::Rate { profile, spacing }, requests: Some(requests), ..closed(1) }
}

fn closed(concurrency: u32) -> PhasePlan {
    PhasePlan {
        shape: LoadShape::Closed,
        concurrency: Some(concurrency),
        prefill_concurrency: None,
        concurrency_ramp: Duration::ZERO,
        prefill_ramp: Duration::ZERO,
        requests: None,
        sessions: None,
        duration: None,
        grace: None,
        cancellation: None,
    }
}

fn whole(plan: &PhasePlan, seed: u64) -> Vec<Arrival> {
    part(plan, seed, Share::WHOLE, &[]).collect()
}

fn part(plan: &PhasePlan, seed: u64, share: Share, instants: &[TraceInstant]) -> Schedule {
    Schedule::new(plan, Seed(seed), share, instants, |session| 2 + (session % 3) as u32)
}

fn gaps(arrivals: &[Arrival]) -> Vec<f64> {
    let ends = arrivals.iter().map(|arrival| arrival.intended_offset_ns as f64 / 1e9);
    let mut previous = 0.0;
    ends.map(|end| end - std::mem::replace(&mut previous, end)).collect()
}

#[test]
fn constant_is_even() {
    let arrivals = whole(&rate(RateProfile::constant(8.0), Spacing::Constant, 5), 1);
    let offsets: Vec<_> = arrivals.iter().map(|a| a.intended_offset_ns / 1_000_000).collect();
    assert_eq!(offsets, [0, 125, 250, 375, 500]);
    assert!(arrivals.iter().enumerate().all(|(i, a)| a.number == i as u64 && a.session.is_none()));
}

#[test]
fn first_arrivals_are_pinned() {
    let first = |spacing| -> Vec<u64> {
        let plan = rate(RateProfile::constant(10.0), spacing, 5);
        whole(&plan, 42).iter().map(|arrival| arrival.intended_offset_ns).collect()
    };
    let poisson = [202_308_787, 286_057_054, 376_889_724, 430_451_722, 617_607_504];
    assert_eq!(first(Spacing::Poisson), poisson);
    assert_eq!(
        first(Spacing::Gamma { smoothness: 0.5 }),
        [41_252_725, 117_755_511, 168_701_748, 430_370_319, 433_174_187]
    );
}

#[test]
fn poisson_gaps_are_exponential() {
    let arrivals = whole(&rate(RateProfile::constant(100.0), Spacing::Poisson, 20_000), 5);
    let distance = ks_distance_to(&gaps(&arrivals), |gap| 1.0 - (-100.0 * gap).exp()).expect("arrivals");
    // One-sample critical value at 0.01 is 1.628 / sqrt(n).
    assert!(distance < 1.628 / (20_000f64).sqrt(), "{distance}");
}

#[test]
fn gamma_gaps_have_their_shape() {
    // Shape 2 is the Erlang distribution: its distribution function is closed.
    let arrivals = whole(&rate(RateProfile::constant(50.0), Spacing::Gamma { smoothness: 2.0 }, 20_000), 6);
    let erlang = |gap: f64| 1.0 - (-100.0 * gap).exp() * (1.0 + 100.0 * gap);
    let distance = ks_distance_to(&gaps(&arrivals), erlang).expect("arrivals");
    assert!(distance < 1.628 / (20_000f64).sqrt(), "{distance}");
    // Shape 1/4: coefficient of variation 2.
    let bursty = whole(&rate(RateProfile::constant(50.0), Spacing::Gamma { smoothness: 0.25 }, 40_000), 7);
    let gaps = gaps(&bursty);
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    assert!((mean * 50.0 - 1.0).abs() < 0.05, "{mean}");
    assert!((variance.sqrt() / mean - 2.0).abs() < 0.1, "{}", variance.sqrt() / mean);
}

#[test]
fn patterns_are_told_apart_by_the_distance() {
    let instants = |spacing, seed| -> Vec<u64> {
        let plan = rate(RateProfile::constant(100.0), spacing, 2_000);
        whole(&plan, seed).iter().map(|arrival| arrival.intended_offset_ns).collect()
    };
    let poisson = instants(Spacing::Poisson, 1);
    let bound = ks_critical(2_000, 2_000);
    let again = distance::arrival_distance(&poisson, &instants(Spacing::Poisson, 2)).expect("both");
    let constant = distance::arrival_distance(&poisson, &instants(Spacing::Constant, 1)).expect("both");
    assert!(again < bound && constant > 5.0 * bound, "{again} {constant} {bound}");
}

#[test]
fn a_ramp_delivers_its_integral() {
    let mut plan = rate(RateProfile::ramped(200.0, 10.0), Spacing::Poisson, 100_000);
    plan.duration = Some(Duration::from_secs(20));
    let arrivals = whole(&plan, 3);
    let until = |seconds: u64| {
        arrivals.iter().filter(|a| a.intended_offset_ns < seconds * 1_000_000_000).count() as f64
    };
    // Expected 250, 1000 and 3000; five standard deviations of a Poisson count.
    for (seconds, expected) in [(5, 250.0f64), (10, 1_000.0), (20, 3_000.0)] {
        let got = until(seconds);
        assert!((got - expected).abs() < 5.0 * expected.sqrt(), "{got} in {seconds} s, expected {expected}");
    }
    assert_eq!(until(20) as usize, arrivals.len());
}

#[test]
fn closed_loop_opens_its_slots() {
    let mut plan = closed(4);
    plan.concurrency_ramp = Duration::from_secs(3);
    let opens: Vec<_> = whole(&plan, 1).iter().map(|a| a.intended_offset_ns / 1_000_000_000).collect();
    assert_eq!(opens, [0, 1, 2, 3]);
    plan.requests = Some(2);
    assert_eq!(whole(&plan, 1).len(), 2);
}

fn trace(auto_offset: bool, start: Option<u64>, end: Option<u64>, speedup: f64) -> PhasePlan {
    let ms = |value: Option<u64>| value.map(Duration::from_millis);
    let replay = TraceReplay { auto_offset, start: ms(start), end: ms(end), speedup };
    PhasePlan { shape: LoadShape::FixedSchedule(replay), concurrency: None, ..closed(1) }
}

fn instants(millis: &[u64]) -> Vec<TraceInstant> {
    let instant = |(session, ms): (usize, &u64)| TraceInstant {
        at: Duration::from_millis(*ms),
        session: session as u64,
    };
    millis.iter().enumerate().map(instant).collect()
}

#[test]
fn a_trace_keeps_its_distances() {
    // Out of order in the file, in order on the wire.
    let instants = instants(&[500, 100, 900, 300]);
    let run = |plan: &PhasePlan| -> Vec<(u64, u64)> {
        part(plan, 1, Share::WHOLE, &instants)
            .map(|a| (a.intended_offset_ns / 1_000_000, a.session.expect("a trace names its sessions")))
            .collect()
    };
    assert_eq!(run(&trace(false, None, None, 1.0)), [(100, 1), (300, 3), (500, 0), (900, 2)]);
    assert_eq!(run(&trace(true, None, None, 1.0)), [(0, 1), (200, 3), (400, 0), (800, 2)]);
    assert_eq!(run(&trace(false, Some(200), Some(600), 1.0)), [(100, 3), (300, 0)]);
    assert_eq!(run(&trace(true, None, Some(600), 4.0)), [(0, 1), (50, 3), (100, 0)]);
    let clock = part(&trace(true, None, None, 2.0), 1, Share::WHOLE, &instants).trace_clock();
    assert_eq!(clock.expect("fixed schedule").offset_ns(Duration::from_millis(700)), 300_000_000);
}

#[test]
fn shares_count_what_they_hold() {
    for size in 1..7 {
        for total in 0..40 {
            let shares = (0..size).map(|rank| Share::new(rank, size).expect("rank below size"));
            let counts: Vec<_> = shares.map(|share| (share, share.count_of(total))).collect();
            assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), total);
            for (share, count) in counts {
                assert_eq!((0..total).filter(|n| share.holds(*n)).count() as u64, count);
                assert!((0..count).all(|index| share.holds(share.nth(index)) && share.nth(index) < total));
            }
        }
    }
    assert_eq!(Share::new(3, 3), None);
}

fn any_plan() -> impl Strategy<Value = PhasePlan> {
    let spacing = prop_oneof![
        Just(Spacing::Constant),
        Just(Spacing::Poisson),
        (0.1f64..10.0).prop_map(|smoothness| Spacing::Gamma { smoothness }),
        Just(Spacing::ConcurrencyBurst),
    ];
    let profile = prop_oneof![
        (0.5f64..2_000.0).prop_map(RateProfile::constant),
        (0.5f64..2_000.0, 0.1f64..30.0).prop_map(|(rate, ramp)| RateProfile::ramped(rate, ramp)),
    ];
    prop_oneof![
        (profile, spacing, 0u64..300).prop_map(|(profile, spacing, n)| rate(profile, spacing, n)),
        (1u32..50).prop_map(closed),
        (any::<bool>(), 0.5f64..8.0).prop_map(|(auto, speedup)| trace(auto, None, None, speedup)),
        (0.5f64..100.0, 1u32..20, 1u32..6).prop_map(|(rate, users, turns)| PhasePlan {
            shape: LoadShape::UserCentric(UserRate { rate, users, turns }),
            sessions: Some(120),
            ..closed(1)
        }),
    ]
}

proptest! {
    #[test]
    fn parts_together_are_the_whole(
        plan in any_plan(),
        seed in any::<u64>(),
        machines in 1u32..4,
        shards in 1u32..4,
        millis in prop::collection::vec(0u64..60_000, 0..80),
    ) {
        let instants = instants(&millis);
        let expected: Vec<_> = part(&plan, seed, Share::WHOLE, &instants).collect();
        let mut union = Vec::new();
        for machine in 0..machines {
            for shard in 0..shards {
                let share = Share::new(machine, machines).and_then(|s| s.split(shard, shards)).expect("in range");
                union.extend(part(&plan, seed, share, &instants));
            }
        }
        union.sort_by_key(|arrival| arrival.number);
        prop_assert_eq!(&union, &expected);
        prop_assert!(expected.windows(2).all(|pair| pair[0].intended_offset_ns <= pair[1].intended_offset_ns));
    }
}

proptest! {
    #[test]
    fn counts_of_machines_add_up(
        plan in any_plan(),
        machines in 1u32..9,
        requests in 0u64..500,
        concurrency in 1u32..70,
    ) {
        let plan = PhasePlan { requests: Some(requests), sessions: None, concurrency: Some(concurrency), ..plan };
        let shares = (0..machines).map(|rank| Share::new(rank, machines).expect("in range"));
        let mut sent = 0;
        let mut slots = 0;
        for share in shares {
            sent += plan.requests_of(share, |session| 1 + (session % 4) as u32).expect("counted");
            slots += share.slots_of(concurrency);
        }
        prop_assert_eq!((sent, slots), (requests, concurrency));
        let refused = plan.check_share(Share::new(0, machines).expect("in range"), 1.0).is_err();
        prop_assert_eq!(refused, concurrency < machines);
    }

    /// By the definition: all turns of all users in order of their instants, and the first so many counted by
    /// owner.
    #[test]
    fn turns_of_users_are_counted_by_machine(
        rate in 0.5f64..50.0,
        users in 1u32..12,
        turns in 1u32..6,
        requests in 1u64..150,
        machines in 2u32..5,
    ) {
        let user_rate = UserRate { rate, users, turns };
        let turns_of = |session: u64| 1 + (session % 5) as u32;
        let mut source = users::Users::new(user_rate, Box::new(turns_of));
        let gap = source.turn_gap_ns();
        let mut all = Vec::new();
        // More sessions than turns asked for: the first so many turns are among them.
        for session in 0..requests + u64::from(users) {
            let start = source.next_start();
            let count = start.turns.unwrap_or_else(|| turns_of(session)).max(1);
            all.extend((0..u64::from(count)).map(|turn| (start.offset_ns + turn * gap, session, start.user)));
        }
        all.sort_unstable();
        for rank in 0..machines {
            let share = Share::new(rank, machines).expect("in range");
            let expected = all.iter().take(requests as usize).filter(|turn| share.holds(turn.2)).count() as u64;
            let got = users::turns_within(user_rate, Box::new(turns_of), requests, None, share);
            prop_assert_eq!(got, expected);
        }
    }
}

#[test]
fn loads_that_cannot_be_dealt_are_refused() {
    let share = Share::new(1, 4).expect("in range");
    let refused = |plan: &PhasePlan, turns| plan.check_share(share, turns).map_err(|error| error.to_string());
    let text = refused(&closed(3), 1.0).expect_err("a rank without a slot");
    assert_eq!(text, "`--concurrency` is 3: 4 ranks need one each at least");
    let prefill = PhasePlan { prefill_concurrency: Some(1), ..closed(8) };
    assert!(refused(&prefill, 1.0).expect_err("no prefill slot").contains("`--prefill-concurrency` is 1"));
    let counted = PhasePlan { requests: Some(9), ..trace(true, None, None, 1.0) };
    assert!(refused(&counted, 2.5).expect_err("turns of a trace").contains("`--request-count`"));
    assert_eq!((refused(&counted, 1.0), refused(&closed(4), 3.0)), (Ok(()), Ok(())));
    assert_eq!(counted.check_share(Share::WHOLE, 2.5), Ok(()));
}
