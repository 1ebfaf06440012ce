use super::*;
use crate::server::exposition::{Limits, Media};

/// `name kind: {labels} value; ...` of each metric.
fn shown(text: &str, media: Media) -> (Vec<String>, Vec<(String, Dropped)>) {
    let page = Page::parse(text.as_bytes(), media, &Limits::default()).expect("a page");
    let readings = Readings::of(&page);
    let point = |point: &Point<'_>| {
        let labels: Vec<_> = point.labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect();
        let value = match &point.value {
            PointValue::Scalar(value) => value.to_string(),
            PointValue::Summary { sum, count } => format!("sum={sum} count={count}"),
            PointValue::Histogram { sum, count, buckets } => {
                let buckets: Vec<_> =
                    readings.buckets(buckets).iter().map(|b| format!("{}:{}", b.le, b.count)).collect();
                format!("sum={sum} count={count} {}", buckets.join(" "))
            }
        };
        format!("{{{}}} {value}", labels.join(","))
    };
    let metric = |metric: &MetricReading<'_>| {
        let points: Vec<_> = readings.points(metric).iter().map(point).collect();
        format!("{} {}: {}", metric.name, metric.kind.as_str(), points.join("; "))
    };
    (readings.metrics.iter().map(metric).collect(), readings.dropped.clone())
}

fn text(page: &str) -> Vec<String> {
    shown(page, Media::Text).0
}

#[test]
fn names_and_kinds() {
    assert_eq!(
        text("# TYPE a_total counter\na_total 1\n# TYPE b gauge\nb{x=\"y\"} 2\nc 3\n# TYPE d untyped\nd 4\n"),
        ["a counter: {} 1", "b gauge: {x=y} 2", "c unknown: {} 3", "d unknown: {} 4"]
    );
}

#[test]
fn skipped_families() {
    let page = "# TYPE a_created gauge\na_created 1\n# TYPE s_uptime gauge\ns_uptime 1\n\
                # TYPE s_uptime_seconds gauge\ns_uptime_seconds 1\n# TYPE uptime gauge\nuptime 1\n";
    assert_eq!(text(page), ["uptime gauge: {} 1"]);
}

#[test]
fn open_metrics_types_become_gauges() {
    let (metrics, dropped) = shown(
        "# TYPE build info\nbuild_info{v=\"1\"} 1\n# TYPE s stateset\ns{s=\"on\"} 1\n\
         # TYPE g gaugehistogram\ng_bucket{le=\"1\"} 4\ng_bucket{le=\"+Inf\"} 5\ng_gcount 5\ng_gsum 2\n# EOF\n",
        Media::OpenMetrics,
    );
    assert_eq!(
        metrics,
        [
            "build_info gauge: {v=1} 1",
            "s gauge: {s=on} 1",
            "g_bucket gauge: {le=1} 4; {le=+Inf} 5",
            "g_gsum gauge: {} 2",
            "g_gcount gauge: {} 5"
        ]
    );
    assert_eq!(dropped, []);
}

#[test]
fn histogram_lines_in_any_order() {
    let page = "# TYPE h histogram\nh_sum{a=\"1\",b=\"2\"} 3\nh_sum{a=\"2\",b=\"2\"} 30\n\
                h_bucket{a=\"1\",b=\"2\",le=\"+Inf\"} 2\nh_bucket{le=\"0.5\",b=\"2\",a=\"1\"} 1\n\
                h_bucket{a=\"2\",b=\"2\",le=\"0.5\"} 5\nh_count{a=\"2\",b=\"2\"} 7\nh_count{a=\"1\",b=\"2\"} 2\n";
    assert_eq!(
        text(page),
        ["h histogram: {a=1,b=2} sum=3 count=2 0.5:1 +Inf:2; {a=2,b=2} sum=30 count=7 0.5:5 +Inf:7"]
    );
}

#[test]
fn what_is_not_finite_is_dropped() {
    let page = "# TYPE g gauge\ng{a=\"1\"} NaN\ng{a=\"2\"} 1\n# TYPE h histogram\nh_bucket{le=\"1\"} +Inf\n\
                h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\nh_bucket{x=\"y\",le=\"+Inf\"} 4\nh_sum{x=\"y\"} 2\n";
    let (metrics, dropped) = shown(page, Media::Text);
    assert_eq!(metrics, ["g gauge: {a=2} 1", "h histogram: {x=y} sum=2 count=4 +Inf:4"]);
    assert_eq!(dropped, [("g".to_owned(), Dropped::NotFinite), ("h".to_owned(), Dropped::NotFinite)]);
}

#[test]
fn incomplete_histograms_and_summaries_are_dropped() {
    let page = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n# TYPE q summary\nq_sum 1\n\
                q{quantile=\"0.5\"} 1\n# TYPE i histogram\ni_bucket{le=\"x\"} 1\ni_sum 1\ni_count 1\n";
    let (metrics, dropped) = shown(page, Media::Text);
    assert!(metrics.is_empty(), "{metrics:?}");
    assert_eq!(dropped.len(), 3);
    assert!(dropped.iter().all(|(_, why)| *why == Dropped::Incomplete));
}

#[test]
fn of_duplicates_the_last_one_counts() {
    let page = "# TYPE g gauge\ng{a=\"1\",b=\"2\"} 1\ng 2\ng{b=\"2\",a=\"1\"} 3\ng{a=\"1\"} 4\n\
                # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 1\nh_sum 5\nh_count 3\n";
    assert_eq!(
        text(page),
        ["g gauge: {a=1,b=2} 3; {} 2; {a=1} 4", "h histogram: {} sum=5 count=3 1.0:2 +Inf:3"]
    );
}

#[test]
fn names_stay_unique() {
    let page = "# TYPE foo gauge\nfoo 1\n# TYPE foo_total counter\nfoo_total 2\n";
    assert_eq!(text(page), ["foo gauge: {} 1", "foo_total counter: {} 2"]);
}

#[test]
fn summaries_keep_sum_and_count() {
    let page = "# TYPE q summary\nq{quantile=\"0.5\",h=\"x\"} 9\nq_sum{h=\"x\"} 3\nq_count{h=\"x\"} 2\nq_created{h=\"x\"} 1\n";
    assert_eq!(text(page), ["q summary: {h=x} sum=3 count=2"]);
}
