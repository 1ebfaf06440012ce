//! Flags and the phases they ask for; contradictions and their messages.

use super::super::rate::RatePoint;
use super::*;

const CONTEXT: LoadContext = LoadContext { streaming: true, timestamps: false, turns_mean: 1.0 };
const TRACE: LoadContext = LoadContext { timestamps: true, ..CONTEXT };

fn config(change: impl FnOnce(&mut LoadConfig)) -> LoadConfig {
    let mut config = LoadConfig::default();
    change(&mut config);
    config
}

fn profiling(context: LoadContext, change: impl FnOnce(&mut LoadConfig)) -> PhasePlan {
    config(change).plan(&context).expect("valid").profiling
}

#[test]
fn nothing_given_is_one_slot_and_ten_requests() {
    let plan = LoadConfig::default().plan(&CONTEXT).expect("defaults are valid");
    assert_eq!(plan.warmup, None);
    let profiling = plan.profiling;
    assert_eq!(profiling.shape, LoadShape::Closed);
    assert_eq!((profiling.concurrency, profiling.requests, profiling.duration), (Some(1), Some(10), None));
    assert_eq!(profiling.grace, None);
}

#[test]
fn prefill_slots_of_an_open_loop_need_no_concurrency() {
    for context in [CONTEXT, TRACE] {
        let plan = profiling(context, |c| {
            c.prefill_concurrency = Some(4);
            c.request_rate = (!context.timestamps).then_some(5.0);
        });
        assert_eq!((plan.prefill_concurrency, plan.concurrency), (Some(4), None));
    }
}

#[test]
fn a_stop_condition_takes_the_place_of_the_default() {
    let by_time = profiling(CONTEXT, |c| c.benchmark_duration = Some(2.5));
    assert_eq!((by_time.requests, by_time.duration), (None, Some(Duration::from_millis(2_500))));
    assert_eq!(by_time.grace, Some(Duration::from_secs(30)));
    let endless = profiling(CONTEXT, |c| {
        (c.benchmark_duration, c.benchmark_grace_period) = (Some(1.0), Some(f64::INFINITY));
    });
    assert_eq!(endless.grace, None);
    let by_sessions = profiling(CONTEXT, |c| c.conversation_num = Some(7));
    assert_eq!((by_sessions.requests, by_sessions.sessions), (None, Some(7)));
}

#[test]
fn rates_are_open_loops_with_an_optional_cap() {
    let plan = profiling(CONTEXT, |c| (c.request_rate, c.concurrency) = (Some(20.0), Some(8)));
    assert_eq!(plan.concurrency, Some(8));
    let rate = |spacing| LoadShape::Rate { profile: RateProfile::constant(20.0), spacing };
    assert_eq!(plan.shape, rate(Spacing::Poisson));
    let uncapped = profiling(CONTEXT, |c| (c.request_rate, c.arrival_smoothness) = (Some(20.0), Some(2.0)));
    assert_eq!((uncapped.shape, uncapped.concurrency), (rate(Spacing::Gamma { smoothness: 2.0 }), None));
    let constant = profiling(CONTEXT, |c| {
        (c.request_rate, c.arrival_pattern) = (Some(20.0), Some(ArrivalPattern::Constant));
    });
    assert_eq!(constant.shape, rate(Spacing::Constant));
    let ramped =
        profiling(CONTEXT, |c| (c.request_rate, c.request_rate_ramp_duration) = (Some(20.0), Some(4.0)));
    let LoadShape::Rate { profile, .. } = ramped.shape else { panic!("a rate") };
    assert!((profile.requests_until(4.0) - 40.0).abs() < 1e-9);
}

#[test]
fn a_series_is_read_from_its_file() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("series.json");
    std::fs::write(&path, r#"[{"time_s": 0, "qps": 2}, {"time_s": 10, "qps": 4}]"#).expect("write");
    let plan = profiling(CONTEXT, |c| c.request_rate_series = Some(path.clone()));
    let points = [RatePoint { time_s: 0.0, qps: 2.0 }, RatePoint { time_s: 10.0, qps: 4.0 }];
    let expected = RateProfile::series(&points, 0.0);
    assert_eq!(plan.shape, LoadShape::Rate { profile: expected, spacing: Spacing::Poisson });
}

#[test]
fn timestamps_switch_the_fixed_schedule_on() {
    let replay = |plan: PhasePlan| match plan.shape {
        LoadShape::FixedSchedule(replay) => replay,
        other => panic!("{other:?}"),
    };
    let implied = profiling(TRACE, |_| {});
    assert_eq!((implied.requests, implied.concurrency), (None, None));
    assert!(replay(implied).auto_offset);
    assert!(!replay(profiling(TRACE, |c| c.fixed_schedule = true)).auto_offset);
    let window = replay(profiling(TRACE, |c| {
        c.fixed_schedule = true;
        (c.fixed_schedule_start_offset, c.fixed_schedule_end_offset) = (Some(100), Some(900));
        c.replay_speedup = Some(2.0);
    }));
    assert_eq!(window.start, Some(Duration::from_millis(100)));
    assert_eq!((window.end, window.speedup), (Some(Duration::from_millis(900)), 2.0));
    assert_eq!(profiling(TRACE, |c| c.no_fixed_schedule = true).shape, LoadShape::Closed);
    let rate = profiling(TRACE, |c| c.request_rate = Some(5.0));
    assert!(matches!(rate.shape, LoadShape::Rate { .. }));
}

#[test]
fn warmup_takes_from_profiling_what_it_does_not_say() {
    let plan = config(|c| {
        (c.concurrency, c.warmup_request_count) = (Some(16), Some(40));
        (c.request_cancellation_rate, c.prefill_concurrency) = (Some(10.0), Some(4));
    })
    .plan(&CONTEXT)
    .expect("valid");
    let warmup = plan.warmup.expect("asked for");
    assert_eq!(
        (warmup.concurrency, warmup.requests, warmup.prefill_concurrency),
        (Some(16), Some(40), Some(4))
    );
    assert_eq!(warmup.cancellation, None);
    assert_eq!(plan.profiling.cancellation, Some(Cancellation { percent: 10.0, delay: Duration::ZERO }));
    let own = config(|c| {
        (c.request_rate, c.warmup_duration) = (Some(50.0), Some(3.0));
        (c.warmup_request_rate, c.warmup_grace_period) = (Some(5.0), Some(1.0));
    });
    let warmup = own.plan(&CONTEXT).expect("valid").warmup.expect("asked for");
    assert_eq!(warmup.duration, Some(Duration::from_secs(3)));
    assert_eq!(warmup.grace, Some(Duration::from_secs(1)));
    let profile = RateProfile::constant(5.0);
    assert_eq!(warmup.shape, LoadShape::Rate { profile, spacing: Spacing::Poisson });
}

#[test]
fn users_need_turns_and_enough_requests() {
    let turns = LoadContext { turns_mean: 4.0, ..CONTEXT };
    let users = |c: &mut LoadConfig| (c.user_centric_rate, c.num_users) = (Some(2.0), Some(20));
    let plan = profiling(turns, users);
    assert_eq!(plan.shape, LoadShape::UserCentric(UserRate { rate: 2.0, users: 20, turns: 4 }));
    assert_eq!(plan.requests, Some(20));
    let message = config(users).plan(&CONTEXT).expect_err("single turns").to_string();
    assert!(message.contains("--session-turns-mean"), "{message}");
}

#[test]
fn contradictions_name_flag_and_fix() {
    type Change = fn(&mut LoadConfig);
    let no_stream = LoadContext { streaming: false, ..CONTEXT };
    let cases: &[(LoadContext, Change, &[&str])] = &[
        (
            CONTEXT,
            |c| (c.request_rate, c.user_centric_rate, c.num_users) = (Some(1.0), Some(1.0), Some(1)),
            &["--request-rate", "--user-centric-rate", "exclude"],
        ),
        (
            CONTEXT,
            |c| (c.request_rate, c.request_rate_series) = (Some(1.0), Some("x".into())),
            &["--request-rate-series", "exclude"],
        ),
        (CONTEXT, |c| c.request_rate_series = Some("missing.json".into()), &["missing.json"]),
        (CONTEXT, |c| c.request_rate = Some(0.0), &["--request-rate` is 0", "greater than 0"]),
        (CONTEXT, |c| c.request_rate = Some(f64::NAN), &["--request-rate"]),
        (CONTEXT, |c| c.concurrency = Some(0), &["--concurrency` is 0", "1 or more"]),
        (CONTEXT, |c| c.request_rate_ramp_duration = Some(1.0), &["--request-rate-ramp-duration` needs"]),
        (CONTEXT, |c| c.arrival_smoothness = Some(1.0), &["--arrival-smoothness` needs", "--request-rate"]),
        (
            CONTEXT,
            |c| {
                (c.request_rate, c.arrival_smoothness) = (Some(1.0), Some(1.0));
                c.arrival_pattern = Some(ArrivalPattern::Poisson);
            },
            &["--arrival-smoothness` needs", "gamma"],
        ),
        (
            CONTEXT,
            |c| (c.prefill_concurrency, c.concurrency) = (Some(5), Some(4)),
            &["--prefill-concurrency` is 5", "at most the concurrency, 4"],
        ),
        (CONTEXT, |c| c.prefill_concurrency = Some(2), &["--prefill-concurrency` is 2", "concurrency, 1"]),
        (no_stream, |c| (c.prefill_concurrency, c.concurrency) = (Some(2), Some(4)), &["--streaming"]),
        (
            CONTEXT,
            |c| c.concurrency_ramp_duration = Some(1.0),
            &["--concurrency-ramp-duration` needs `--concurrency"],
        ),
        (CONTEXT, |c| c.num_users = Some(2), &["--num-users` needs `--user-centric-rate"]),
        (CONTEXT, |c| c.user_centric_rate = Some(2.0), &["--user-centric-rate` needs `--num-users"]),
        (
            LoadContext { turns_mean: 2.0, ..CONTEXT },
            |c| {
                (c.user_centric_rate, c.num_users, c.request_count) = (Some(2.0), Some(8), Some(7));
            },
            &["--request-count` is 7", "`--num-users`, 8"],
        ),
        (CONTEXT, |c| c.request_cancellation_delay = Some(1.0), &["--request-cancellation-delay` needs"]),
        (CONTEXT, |c| c.request_cancellation_rate = Some(0.0), &["--request-cancellation-rate` is 0"]),
        (CONTEXT, |c| c.request_cancellation_rate = Some(101.0), &["at most 100"]),
        (CONTEXT, |c| c.failed_request_threshold = Some(1.5), &["--failed-request-threshold` is 1.5"]),
        (CONTEXT, |c| c.fixed_schedule = true, &["--fixed-schedule` needs a dataset"]),
        (CONTEXT, |c| c.fixed_schedule_end_offset = Some(1), &["--fixed-schedule-end-offset` needs"]),
        (TRACE, |c| (c.fixed_schedule, c.request_rate) = (true, Some(1.0)), &["--fixed-schedule", "exclude"]),
        (TRACE, |c| (c.fixed_schedule, c.no_fixed_schedule) = (true, true), &["--no-fixed-schedule"]),
        (
            TRACE,
            |c| (c.fixed_schedule_auto_offset, c.fixed_schedule_start_offset) = (true, Some(1)),
            &["--fixed-schedule-auto-offset", "exclude"],
        ),
        (
            TRACE,
            |c| (c.fixed_schedule_start_offset, c.fixed_schedule_end_offset) = (Some(9), Some(8)),
            &["--fixed-schedule-start-offset` is 9", "8"],
        ),
        (
            CONTEXT,
            |c| c.benchmark_grace_period = Some(1.0),
            &["--benchmark-grace-period` needs `--benchmark-duration"],
        ),
        (
            CONTEXT,
            |c| c.warmup_grace_period = Some(1.0),
            &["--warmup-grace-period` needs `--warmup-duration"],
        ),
        (
            CONTEXT,
            |c| c.warmup_concurrency = Some(1),
            &["--warmup-concurrency` needs", "--warmup-request-count"],
        ),
        (
            CONTEXT,
            |c| {
                (c.warmup_duration, c.warmup_request_rate_ramp_duration) = (Some(1.0), Some(1.0));
            },
            &["--warmup-request-rate-ramp-duration` needs"],
        ),
    ];
    for (context, change, parts) in cases {
        let mut config = LoadConfig::default();
        change(&mut config);
        let message = config.plan(context).expect_err("a contradiction").to_string();
        for part in *parts {
            assert!(message.contains(part), "{message}: no {part}");
        }
    }
}
