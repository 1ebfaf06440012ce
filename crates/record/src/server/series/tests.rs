use super::*;
use crate::request::BenchmarkPhase;
use crate::server::exposition::{Limits, Media, Page};
use crate::server::statistics::{MetricStatistics, SeriesStatistics};

const URL: &str = "http://host:8000/metrics";
const SECOND: u64 = 1_000_000_000;

struct Run {
    store: Store,
    endpoint: EndpointId,
}

impl Run {
    fn new(limits: StoreLimits) -> Run {
        let mut store = Store::new(limits);
        let endpoint = store.endpoint(URL);
        Run { store, endpoint }
    }

    /// A scrape at a second of the run.
    fn scrape(&mut self, second: u64, page: &str) -> &mut Self {
        let endpoint = self.endpoint;
        self.scrape_at(endpoint, second, page)
    }

    fn scrape_at(&mut self, endpoint: EndpointId, second: u64, page: &str) -> &mut Self {
        let parsed = Page::parse(page.as_bytes(), Media::Text, &Limits::default()).expect("a page");
        let instants = instants(second);
        self.store.add(endpoint, &instants, &Readings::of(&parsed));
        self
    }

    fn phase(&mut self, kind: BenchmarkPhase, start: u64) -> &mut Self {
        let index = self.store.phases().len() as u32;
        let name = kind.as_str().to_owned();
        let start_ns = WallNs(start * SECOND);
        self.store.begin_phase(PhaseMark {
            kind,
            name,
            index,
            profiling_index: None,
            start_ns,
            end_ns: None,
        });
        self
    }

    fn metric(&self, window: Window, name: &str) -> MetricStatistics {
        self.store.statistics(window, Some(SECOND)).remove(name).unwrap_or_else(|| panic!("no {name}"))
    }

    fn only(&self, window: Window, name: &str) -> SeriesStatistics {
        let metric = self.metric(window, name);
        assert_eq!(metric.series.len(), 1);
        metric.series[0].clone()
    }
}

fn instants(second: u64) -> FetchInstants {
    let at = WallNs(second * SECOND);
    FetchInstants { request_sent_ns: at, first_byte_ns: at, latency_ns: 2_000_000 }
}

fn counter(value: f64) -> String {
    format!("# TYPE c_total counter\nc_total {value}\n")
}

fn histogram(sum: f64, one: u64, all: u64) -> String {
    format!(
        "# TYPE h histogram\nh_bucket{{le=\"1\"}} {one}\nh_bucket{{le=\"+Inf\"}} {all}\nh_sum {sum}\nh_count {all}\n"
    )
}

#[test]
fn a_reset_loses_nothing_before_or_after_it() {
    let mut run = Run::new(StoreLimits::default());
    for (second, value) in [(1, 100.0), (2, 110.0), (3, 4.0), (4, 9.0), (5, 1.0)] {
        run.scrape(second, &counter(value));
    }
    let stats = run.only(Window::Whole, "c").stats;
    // 10 before the first reset, 4 + 5 after it, 1 after the second one.
    assert_eq!((stats.total, stats.resets), (Some(20.0), Some(2)));
    assert_eq!(stats.rate, Some(5.0));
    assert_eq!(run.store.take_notices(), [Notice::Reset("c".into())]);
    assert_eq!(run.store.take_notices(), [], "said once");
}

#[test]
fn a_reset_of_a_histogram_loses_nothing() {
    let mut run = Run::new(StoreLimits::default());
    run.scrape(1, &histogram(50.0, 10, 20))
        .scrape(2, &histogram(58.0, 12, 24))
        .scrape(3, &histogram(3.0, 1, 2));
    let series = run.only(Window::Whole, "h");
    assert_eq!((series.stats.count, series.stats.sum, series.stats.resets), (Some(6), Some(11.0), Some(1)));
    let buckets = series.buckets.expect("buckets").0;
    assert_eq!(buckets, [("1".into(), 3), ("+Inf".into(), 6)]);
    let slices = series.timeslices.expect("slices");
    assert_eq!(slices.iter().map(|slice| slice.count).collect::<Vec<_>>(), [Some(4), Some(2)]);
}

#[test]
fn rounding_noise_is_no_reset() {
    let mut run = Run::new(StoreLimits::default());
    run.scrape(1, &counter(1e6)).scrape(2, &counter(1e6 + 2.0)).scrape(3, &counter(1e6 + 2.0 - 1e-8));
    let stats = run.only(Window::Whole, "c").stats;
    assert_eq!(stats.resets, None);
    assert!((stats.total.expect("a total") - 2.0).abs() < 1e-6);
}

#[test]
fn a_family_that_was_missing_before_had_counted_nothing() {
    let mut run = Run::new(StoreLimits::default());
    run.scrape(1, "a 1\n").phase(BenchmarkPhase::Profiling, 2);
    run.scrape(3, "a 1\n").scrape(4, &counter(7.0)).scrape(5, &(counter(9.0) + &histogram(3.0, 2, 2)));
    let window = Window::Phase(0);
    let series = run.only(window, "c");
    assert_eq!((series.stats.total, series.stats.rate), (Some(9.0), Some(9.0 / 4.0)));
    let totals: Vec<_> = series.timeslices.expect("slices").iter().map(|slice| slice.total).collect();
    assert_eq!(totals, [Some(7.0), Some(2.0)]);
    assert_eq!(run.only(window, "h").stats.count, Some(2));
}

#[test]
fn without_an_earlier_scrape_the_first_one_is_the_reference() {
    let mut run = Run::new(StoreLimits::default());
    run.phase(BenchmarkPhase::Profiling, 1).scrape(2, &counter(100.0)).scrape(3, &counter(101.0));
    assert_eq!(run.only(Window::Phase(0), "c").stats.total, Some(1.0));
}

#[test]
fn phases_take_their_scrapes_and_the_flush_after_them() {
    let mut run = Run::new(StoreLimits::default());
    run.scrape(1, &counter(10.0)).phase(BenchmarkPhase::Warmup, 2).scrape(3, &counter(13.0));
    run.phase(BenchmarkPhase::Profiling, 4).scrape(5, &counter(20.0));
    run.store.end_phase(WallNs(6 * SECOND));
    run.scrape(7, &counter(21.0));
    assert_eq!(run.only(Window::Phase(0), "c").stats.total, Some(3.0));
    assert_eq!(
        run.only(Window::Phase(1), "c").stats.total,
        Some(8.0),
        "against the last scrape of the warmup"
    );
    assert_eq!(run.only(Window::Phase(1), "c").stats.rate, Some(2.0), "8 from second 3 to second 7");
}

#[test]
fn a_phase_may_be_told_late() {
    let mut run = Run::new(StoreLimits::default());
    run.scrape(1, &counter(1.0))
        .scrape(3, &counter(2.0))
        .phase(BenchmarkPhase::Profiling, 2)
        .scrape(4, &counter(4.0));
    assert_eq!(run.only(Window::Phase(0), "c").stats.total, Some(3.0));
}

#[test]
fn gauges_repeat_when_unchanged_and_pause_when_absent() {
    let mut run = Run::new(StoreLimits::default());
    let gauge = |value: f64| format!("# TYPE g gauge\ng {value}\nother 1\n");
    run.scrape(1, &gauge(2.0)).scrape(2, &gauge(2.0)).scrape(3, "other 1\n").scrape(4, &gauge(8.0));
    run.store.add_repeat(run.endpoint, &instants(5));
    let series = run.only(Window::Whole, "g");
    assert_eq!(series.stats.avg, Some(5.0), "2, 2, 8, 8");
    assert_eq!((series.stats.min, series.stats.max, series.stats.p50), (Some(2.0), Some(8.0), Some(5.0)));
    assert!((series.stats.std.expect("a deviation") - 12f64.sqrt()).abs() < 1e-12);
    let slices = series.timeslices.expect("slices");
    let shown: Vec<_> = slices.iter().map(|s| (s.start_ns / SECOND, s.avg, s.is_complete)).collect();
    assert_eq!(shown, [(1, Some(2.0), None), (2, Some(2.0), None), (4, Some(8.0), None)]);
}

#[test]
fn the_last_slice_is_marked_when_it_is_not_full() {
    let mut run = Run::new(StoreLimits::default());
    run.scrape(1, &counter(0.0)).scrape(3, &counter(4.0)).scrape(4, &counter(8.0));
    let slices = run.store.statistics(Window::Whole, Some(2 * SECOND))["c"].series[0].clone();
    let shown: Vec<_> =
        slices.timeslices.iter().flatten().map(|s| (s.end_ns / SECOND, s.rate, s.is_complete)).collect();
    assert_eq!(shown, [(3, Some(2.0), None), (4, Some(4.0), Some(false))]);
    assert_eq!(
        (slices.stats.rate_max, slices.stats.rate_std),
        (Some(2.0), Some(0.0)),
        "complete slices only"
    );
    assert_eq!(run.store.statistics(Window::Whole, None)["c"].series[0].stats.rate_max, None);
    assert_eq!(run.store.statistics(Window::Whole, Some(1))["c"].series[0].timeslices, None, "absurdly many");
}

#[test]
fn summaries_have_deltas_of_sum_and_count() {
    let mut run = Run::new(StoreLimits::default());
    let page = |sum: f64, count: u64| {
        format!("# TYPE q summary\nq{{quantile=\"0.5\"}} 1\nq_sum {sum}\nq_count {count}\n")
    };
    run.scrape(1, &page(10.0, 5)).scrape(3, &page(16.0, 8));
    let series = run.only(Window::Whole, "q");
    assert_eq!((series.stats.count, series.stats.avg), (Some(3), Some(2.0)));
    assert_eq!((series.stats.count_rate, series.stats.sum_rate), (Some(1.5), Some(3.0)));
    assert_eq!((series.buckets, series.stats.p50_estimate), (None, None));
}

#[test]
fn a_histogram_without_observations_shows_only_its_count() {
    let mut run = Run::new(StoreLimits::default());
    run.scrape(1, &histogram(1.0, 1, 1)).scrape(3, &histogram(1.0, 1, 1));
    let series = run.only(Window::Whole, "h");
    assert_eq!(series.stats, crate::server::Stats { count: Some(0), ..Default::default() });
    assert_eq!((series.timeslices, series.buckets.expect("buckets").0.len()), (None, 2));
}

#[test]
fn endpoints_are_merged_and_sorted() {
    let mut run = Run::new(StoreLimits::default());
    let other = run.store.endpoint("http://user:secret@another:1/metrics");
    for second in [1, 2] {
        run.scrape(second, "# TYPE c_total counter\nc_total{b=\"2\"} 1\nc_total{b=\"1\"} 1\n");
        run.scrape_at(other, second, &counter(5.0));
    }
    let series = run.metric(Window::Whole, "c").series;
    let shown: Vec<_> =
        series.iter().map(|s| (&*s.endpoint_url, s.labels.values().next().map(|v| &**v))).collect();
    assert_eq!(shown, [("http://another:1/metrics", None), (URL, Some("1")), (URL, Some("2"))]);
}

#[test]
fn one_name_with_two_types_becomes_two_metrics() {
    let mut run = Run::new(StoreLimits::default());
    let other = run.store.endpoint("http://another:1/metrics");
    run.scrape(1, "# TYPE x gauge\nx 1\n");
    run.scrape_at(other, 1, "# TYPE x_total counter\nx_total 1\n");
    let names: Vec<_> = run.store.statistics(Window::Whole, None).into_keys().collect();
    assert_eq!(names, ["x".into(), "x_counter".into()]);
}

#[test]
fn changed_bounds_begin_a_new_series() {
    let mut run = Run::new(StoreLimits::default());
    run.scrape(1, &histogram(1.0, 1, 1)).scrape(2, &histogram(1.5, 2, 2));
    let page = histogram(4.0, 3, 4).replace("le=\"1\"", "le=\"2\"");
    run.scrape(3, &page).scrape(4, &page);
    let counts: Vec<_> = run.metric(Window::Whole, "h").series.iter().map(|s| s.stats.count).collect();
    assert_eq!(counts, [Some(1), Some(4)]);
}

#[test]
fn new_series_in_the_middle_of_a_page_are_found_again() {
    let mut run = Run::new(StoreLimits::default());
    let page = |names: &[&str]| names.iter().map(|name| format!("g{{n=\"{name}\"}} 1\n")).collect::<String>();
    run.scrape(1, &page(&["a", "c", "d"]))
        .scrape(2, &page(&["a", "b", "c", "d"]))
        .scrape(3, &page(&["d", "b", "a"]));
    assert_eq!(run.store.series().len(), 4);
    let present: Vec<_> = run.store.series().iter().map(|s| s.track.rows_in(0, 2).count()).collect();
    assert_eq!(present, [3, 2, 3, 2], "a, c, d, b");
}

#[test]
fn repeats_are_recognised() {
    let mut run = Run::new(StoreLimits::default());
    let endpoint = run.endpoint;
    assert!(!run.store.is_repeat(endpoint, b"a 1"));
    assert!(run.store.is_repeat(endpoint, b"a 1"));
    assert!(!run.store.is_repeat(endpoint, b"a 2"));
    run.scrape(1, "a 1\n");
    run.store.add_repeat(endpoint, &instants(2));
    run.scrape(4, "a 2\n");
    let fetches = &run.store.endpoints()[0].fetches;
    assert_eq!((fetches.total, fetches.updates), (3, 2));
    assert_eq!(fetches.update_intervals_ns, [3 * SECOND]);
}

#[test]
fn the_limit_of_series_is_kept() {
    let mut run = Run::new(StoreLimits { series: 2, ..StoreLimits::default() });
    run.scrape(1, "a 1\nb 1\nc 1\n").scrape(2, "a 1\nb 1\nc 1\nd 2\n");
    assert_eq!((run.store.series().len(), run.store.dropped_series()), (2, 3));
    assert_eq!(run.store.take_notices(), [Notice::TooManySeries(2)]);
}

#[test]
fn the_memory_limit_costs_resolution_but_no_total() {
    let limits = StoreLimits { bytes: 20_000, ..StoreLimits::default() };
    let (mut small, mut large) = (Run::new(limits), Run::new(StoreLimits::default()));
    for run in [&mut small, &mut large] {
        run.scrape(1, &counter(5.0)).phase(BenchmarkPhase::Profiling, 2);
        for second in 3..3_000 {
            // A reset every 1000 seconds.
            let counted = (second % 1_000) as f64;
            let page =
                counter(counted) + &histogram(counted, second / 2, second) + &format!("g {}\n", second % 7);
            run.scrape(second, &page);
        }
    }
    assert!(small.store.halvings() > 2, "{}", small.store.halvings());
    assert!(small.store.bytes() <= limits.bytes, "{}", small.store.bytes());
    assert_eq!(large.store.halvings(), 0);
    let window = Window::Phase(0);
    for name in ["c", "h"] {
        let (small, large) = (small.only(window, name).stats, large.only(window, name).stats);
        assert_eq!((small.total, small.count, small.sum), (large.total, large.count, large.sum), "{name}");
        assert_eq!((small.rate, small.resets), (large.rate, large.resets), "{name}");
    }
    let (few, many) = (small.only(window, "g").stats, large.only(window, "g").stats);
    assert!((few.avg.expect("avg") - many.avg.expect("avg")).abs() < 0.5, "{few:?} {many:?}");
    assert!(small.store.take_notices().contains(&Notice::Halved(limits.bytes)));
    let fetches = &small.store.endpoints()[0].fetches;
    assert_eq!(fetches.total, 2_998, "counts of fetches do not depend on what is kept");
}

#[test]
fn credentials_of_a_url_are_not_kept() {
    for (url, kept) in [
        ("http://a:b@h:1/metrics", "http://h:1/metrics"),
        ("http://a@h/m?x=@&y", "http://h/m?x=<redacted>&y"),
        ("http://h/metrics", "http://h/metrics"),
        ("a:b@h/x", "h/x"),
    ] {
        assert_eq!(without_credentials(url), kept, "{url}");
    }
}
