use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Page<'_> {
    Page::parse(text.as_bytes(), Media::Text, &Limits::default()).expect("an exposition page")
}

fn open_metrics(text: &str) -> Page<'_> {
    Page::parse(text.as_bytes(), Media::OpenMetrics, &Limits::default()).expect("an exposition page")
}

fn family<'p, 'a>(page: &'p Page<'a>, name: &str) -> &'p Family<'a> {
    page.families.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("no family {name}"))
}

/// `labels value` of every sample of a family.
fn shown(page: &Page<'_>, name: &str) -> Vec<String> {
    let sample = |sample: &Sample<'_>| {
        let labels: Vec<String> =
            page.all_labels(sample).iter().map(|label| format!("{}={}", label.name, label.value)).collect();
        format!("{} {:?} {}", labels.join(","), sample.part, sample.value)
    };
    page.samples(family(page, name)).iter().map(sample).collect()
}

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/fixtures/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("the fixture is there")
}

#[test]
fn every_captured_page_is_read_without_a_problem() {
    for (name, families, typed) in [
        ("dcgm-exporter.prom", 25, 25),
        ("dcgm-exporter-k8s-mig.prom", 12, 12),
        ("dynamo-frontend-1.6.1.prom", 83, 83),
        ("dynamo-frontend-1.6.1-idle.prom", 58, 58),
        ("dynamo-frontend-kvrouter-1.6.1.prom", 123, 123),
        ("dynamo-worker-trtllm-1.6.1.prom", 26, 26),
        ("dynamo-worker-vllm-1.6.1.prom", 28, 28),
        ("llamacpp-b11434.prom", 15, 15),
        ("sglang-0.5.23.prom", 84, 84),
        ("sglang-0.5.23-idle.prom", 82, 82),
        ("trtllm-prometheus.prom", 34, 34),
        ("vllm-0.32.0.prom", 92, 92),
        ("vllm-0.32.0-idle.prom", 88, 88),
    ] {
        let body = fixture(name);
        let page = Page::parse(&body, Media::Text, &Limits::default()).expect("a page");
        assert_eq!(page.problems.kept, [], "{name}");
        assert_eq!(page.families.len(), families, "{name}");
        assert_eq!(page.families.iter().filter(|family| family.typed).count(), typed, "{name}");
        let lines = body.split(|b| *b == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count();
        assert_eq!(page.sample_count(), lines, "{name}");
        let sum: usize = page.families.iter().map(|family| page.samples(family).len()).sum();
        assert_eq!(sum, lines, "{name}: every sample belongs to one family");
    }
}

#[test]
fn vllm_oddities() {
    let body = fixture("vllm-0.32.0.prom");
    let page = Page::parse(&body, Media::from_content_type("text/plain; version=1.0.0"), &Limits::default());
    let page = page.expect("a page");
    let tokens = family(&page, "vllm:iteration_tokens_total");
    assert_eq!(tokens.kind, FamilyKind::Histogram, "a histogram keeps its _total");
    assert!(page.samples(tokens).iter().any(|sample| sample.part == Part::Sum));
    assert_eq!(family(&page, "vllm:request_success").kind, FamilyKind::Counter);
    assert_eq!(family(&page, "vllm:request_success_created").kind, FamilyKind::Gauge);
    let summary = family(&page, "http_request_size_bytes");
    assert_eq!(summary.kind, FamilyKind::Summary);
    let body = fixture("vllm-0.32.0-idle.prom");
    let idle = Page::parse(&body, Media::Text, &Limits::default()).expect("a page");
    let empty: Vec<_> = idle.families.iter().filter(|family| idle.samples(family).is_empty()).collect();
    assert!(empty.iter().any(|family| family.name == "http_requests"), "TYPE lines without samples");
}

#[test]
fn sglang_oddities() {
    let body = fixture("sglang-0.5.23.prom");
    let page = Page::parse(&body, Media::Text, &Limits::default()).expect("a page");
    let keys = family(&page, "sglang:routing_key_running_req_count");
    assert_eq!(keys.kind, FamilyKind::Gauge);
    let first = &page.samples(keys)[0];
    assert!(page.labels(first).iter().any(|label| label.name == "le"), "le of a gauge is an ordinary label");
    assert_eq!(page.edge(first), None);
    let ratio = family(&page, "sglang:dp_attention_token_imbalance_ratio");
    assert_eq!(page.samples(ratio)[0].part, Part::Sum, "multiprocess pages begin with the sum");
    assert!(page.samples(family(&page, "sglang:fwd_occupancy"))[0].value.is_nan());
}

#[test]
fn other_documents_are_refused() {
    let refused =
        |body: &[u8]| Page::parse(body, Media::Text, &Limits::default()).expect_err("not exposition");
    assert_eq!(refused(&fixture("trtllm-metrics.json")), NotExposition::Json);
    assert_eq!(refused(&fixture("trtllm-metrics-empty.json")), NotExposition::Json);
    assert_eq!(refused(b"{\"error\": \"not found\"}"), NotExposition::Json);
    assert_eq!(refused(b"\n {\n  \"a\": 1\n}\n"), NotExposition::Json);
    assert_eq!(refused(b"<!doctype html><html></html>"), NotExposition::Markup);
    let NotExposition::Garbage(problem) = refused(b"hello world\nthis is a log\n") else { panic!("garbage") };
    assert_eq!((problem.line, problem.fault), (1, Fault::Value));
    assert!(matches!(refused(&[0xff, 0xfe, 0x00, 0x41]), NotExposition::Garbage(_)));
    assert!(matches!(refused(b"Not Found"), NotExposition::Garbage(_)));
}

#[test]
fn empty_pages_are_pages() {
    for text in ["", "\n\n", "# just a comment\n", "# HELP a b\n", "\u{feff}", "  \r\n"] {
        let page = parse(text);
        assert_eq!((page.sample_count(), page.problems.total), (0, 0), "{text:?}");
    }
}

#[test]
fn one_bad_line_costs_one_line() {
    let page = parse(
        "# TYPE a gauge\na 1\na{x=\"unclosed} 2\na{x=\"1\",x=\"2\"} 3\n9a 4\na 5 x\na one\na{x=\"y\"} 6\n# TYPE b zoo\nb\na 7 8 9\n",
    );
    assert_eq!(shown(&page, "a"), [" Value 1", "x=y Value 6"]);
    let faults: Vec<_> = page.problems.kept.iter().map(|problem| (problem.line, problem.fault)).collect();
    assert_eq!(
        faults,
        [
            (3, Fault::Labels),
            (4, Fault::LabelTwice),
            (5, Fault::Name),
            (6, Fault::Timestamp),
            (7, Fault::Value),
            (9, Fault::Metadata),
            (10, Fault::Value),
            (11, Fault::Trailing),
        ]
    );
}

#[test]
fn bytes_that_are_not_utf8_cost_their_line() {
    let page =
        Page::parse(b"a 1\nb{x=\"\xff\"} 2\nc 3\nd 4\n", Media::Text, &Limits::default()).expect("a page");
    assert_eq!(page.sample_count(), 3);
    assert_eq!((page.problems.kept[0].line, page.problems.kept[0].fault), (2, Fault::NotUtf8));
}

#[test]
fn values_in_every_spelling() {
    let page =
        parse("a NaN\na +Inf\na -Inf\na inf\na 1e-3\na .5\na 5.\na -0\na 1.7976931348623157e308\na 0x1\n");
    let values: Vec<f64> = page.samples(family(&page, "a")).iter().map(|sample| sample.value).collect();
    assert!(values[0].is_nan());
    assert_eq!(
        values[1..],
        [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY, 1e-3, 0.5, 5.0, -0.0, f64::MAX]
    );
    assert_eq!(page.problems.total, 1, "hexadecimal is no number here");
}

#[test]
fn escapes_blanks_and_separators() {
    let page = parse(
        "# HELP a back\\\\slash \\n line \\\"kept\n  a\t{ x = \"q\\\"b\\\\s\\nn\\t\" , y=\"\u{e9},{}=\" , }\t 1\t\na{}2\n",
    );
    assert_eq!(family(&page, "a").help.as_deref(), Some("back\\slash \n line \\\"kept"));
    assert_eq!(shown(&page, "a"), ["x=q\"b\\s\nn\\t,y=\u{e9},{}= Value 1", " Value 2"]);
    let plain = parse("a{x=\"y\"} 1\n");
    let label = &plain.labels(&plain.samples(family(&plain, "a"))[0])[0];
    assert!(matches!(label.value, Cow::Borrowed(_)), "text without escapes is not copied");
}

#[test]
fn crlf_and_a_missing_last_newline() {
    let page = parse("# TYPE a counter\r\na_total{x=\"y\"} 1\r\na_total 2");
    assert_eq!(shown(&page, "a"), ["x=y Value 1", " Value 2"]);
    assert_eq!(page.problems.total, 0);
}

#[test]
fn time_stamps_and_exemplars() {
    let page = parse("a 1 1500000000123\na 2 -5 # {trace_id=\"q\"} 0.5 1.5\na 3 # {} 1\n");
    let stamps: Vec<_> = page.samples(family(&page, "a")).iter().map(|s| s.timestamp_ns).collect();
    assert_eq!(stamps, [Some(1_500_000_000_123_000_000), Some(-5_000_000), None]);
    assert_eq!(page.exemplars.len(), 2);
    assert_eq!((page.exemplars[0].line, page.exemplars[0].timestamp_ns), (2, Some(1_500_000_000)));
    let page = open_metrics("# TYPE a counter\na_total 1 1500000000.25\n# EOF\nb 2\n");
    assert_eq!(page.samples(family(&page, "a"))[0].timestamp_ns, Some(1_500_000_000_250_000_000));
    assert_eq!(page.families.len(), 1, "nothing is read behind # EOF");
}

#[test]
fn quoted_names() {
    let page = parse(
        "# TYPE \"my.metric\" counter\n{\"my.metric\",\"a.b\"=\"1\",c=\"2\"} 3\n{\"my.metric\"} 4\n{\"other \\\"one\\\"\"} 5\n{x=\"no name\"} 6\n",
    );
    assert_eq!(family(&page, "my.metric").kind, FamilyKind::Counter);
    assert_eq!(shown(&page, "my.metric"), ["a.b=1,c=2 Value 3", " Value 4"]);
    assert_eq!(shown(&page, "other \"one\""), [" Value 5"]);
    assert_eq!(page.problems.kept[0].fault, Fault::Name);
}

#[test]
fn counters_with_and_without_total() {
    let page = parse(
        "# TYPE foo counter\nfoo_total{a=\"1\"} 1\n# TYPE bar_total counter\nbar_total 2\n# TYPE baz counter\nbaz 3\n",
    );
    for (name, value) in [("foo", "a=1 Value 1"), ("bar", " Value 2"), ("baz", " Value 3")] {
        assert_eq!(family(&page, name).kind, FamilyKind::Counter);
        assert_eq!(shown(&page, name), [value]);
    }
    assert_eq!(page.families.len(), 3);
}

#[test]
fn open_metrics_types() {
    let page = open_metrics(concat!(
        "# TYPE build info\n# HELP build say \\\"hi\\\"\nbuild_info{v=\"1\"} 1\n",
        "# TYPE state stateset\nstate{state=\"on\"} 1\nstate{state=\"off\"} 0\n",
        "# TYPE gh gaugehistogram\ngh_bucket{le=\"1\"} 4\ngh_bucket{le=\"+Inf\"} 5\ngh_gcount 5\ngh_gsum 2\n",
        "# TYPE lat histogram\n# UNIT lat seconds\nlat_bucket{le=\"+Inf\"} 1 # {t=\"x\"} 0.2\nlat_count 1\nlat_sum 0.2\nlat_created 5\n",
        "# TYPE q summary\nq{quantile=\"0.5\"} 1\nq_sum 3\nq_count 2\n",
        "# TYPE u unknown\nu 1\n# EOF\n",
    ));
    assert_eq!(page.problems.kept, []);
    assert_eq!(shown(&page, "build"), ["v=1 Value 1"]);
    assert_eq!(family(&page, "build").help.as_deref(), Some("say \"hi\""));
    assert_eq!(shown(&page, "state"), ["state=on Value 1", "state=off Value 0"]);
    assert_eq!(shown(&page, "gh"), ["le=1 Bucket 4", "le=+Inf Bucket 5", " Count 5", " Sum 2"]);
    assert_eq!(shown(&page, "lat"), ["le=+Inf Bucket 1", " Count 1", " Sum 0.2", " Created 5"]);
    assert_eq!(family(&page, "lat").unit.as_deref(), Some("seconds"));
    assert_eq!(shown(&page, "q"), ["quantile=0.5 Quantile 1", " Sum 3", " Count 2"]);
    assert_eq!(family(&page, "u").kind, FamilyKind::Unknown);
}

#[test]
fn samples_of_one_family_may_stand_apart() {
    let page = parse("# TYPE a counter\na{x=\"1\"} 1\nb 2\na{x=\"2\"} 3\nb{y=\"z\"} 4\n# TYPE b gauge\n");
    assert_eq!(shown(&page, "a"), ["x=1 Value 1", "x=2 Value 3"]);
    assert_eq!(shown(&page, "b"), [" Value 2", "y=z Value 4"]);
    assert_eq!(family(&page, "b").kind, FamilyKind::Gauge, "a late type of a plain family counts");
}

#[test]
fn contradicting_types_and_stray_samples() {
    let page = parse("# TYPE a gauge\n# TYPE a counter\na 1\n# TYPE h histogram\nh 2\nh_bucket 3\nh_sum 4\n");
    assert_eq!(family(&page, "a").kind, FamilyKind::Gauge);
    let faults: Vec<_> = page.problems.kept.iter().map(|problem| problem.fault).collect();
    assert_eq!(faults, [Fault::TypeTwice, Fault::WrongPart, Fault::NoEdge]);
    assert_eq!(shown(&page, "h"), [" Sum 4"]);
}

#[test]
fn limits_cut_the_page() {
    let limits = Limits { families: 2, samples: 3, labels: 1, line_bytes: 40, problems: 2 };
    let text = "a 1\nb 2\nc 3\na{x=\"1\",y=\"2\"} 4\na{x=\"1\"} 5\na{x=\"2\"} 6\na{x=\"a value that is too long for a line\"} 7\n";
    let page = Page::parse(text.as_bytes(), Media::Text, &limits).expect("a page");
    assert_eq!((page.families.len(), page.sample_count()), (2, 3));
    assert_eq!(page.problems.total, 4);
    assert_eq!(page.problems.kept.len(), 2);
    // Each limit is told once, also those whose lines are no longer kept.
    let reached = [Fault::TooManyFamilies, Fault::TooManyLabels, Fault::TooManySamples, Fault::LineTooLong];
    assert_eq!(page.problems.limits, reached);
    assert!(parse("a 1\nb{ 2\n").problems.limits.is_empty());
}

#[test]
fn media_types() {
    for (value, media) in [
        ("text/plain; version=0.0.4; charset=utf-8", Media::Text),
        ("application/openmetrics-text; version=1.0.0", Media::OpenMetrics),
        ("Application/JSON;charset=utf-8", Media::Json),
        ("", Media::Text),
    ] {
        assert_eq!(Media::from_content_type(value), media, "{value}");
    }
}

/// A page to render: families of `(name, kind, help, series)`, a series being labels and values.
type Generated = Vec<(String, FamilyKind, String, Vec<(Vec<(String, String)>, Vec<f64>)>)>;

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", "[a-z]{1,4}\\.[a-zé \"\\\\]{1,4}"]
}

fn generated() -> impl Strategy<Value = Generated> {
    let kind = prop_oneof![
        Just(FamilyKind::Gauge),
        Just(FamilyKind::Counter),
        Just(FamilyKind::Histogram),
        Just(FamilyKind::Summary),
        Just(FamilyKind::Unknown),
    ];
    let number = prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(0.0)];
    let label = (name(), "[ -~é\n\\\\\"]{0,12}");
    let series = (prop::collection::vec(label, 0..4), prop::collection::vec(number, 3)).prop_map(
        |(mut labels, values)| {
            labels.sort();
            labels.dedup_by(|a, b| a.0 == b.0);
            labels.retain(|(name, _)| name != "le" && name != "quantile");
            (labels, values)
        },
    );
    prop::collection::vec((name(), kind, "[ -~é\n\\\\]{0,20}", prop::collection::vec(series, 0..4)), 0..6)
        .prop_map(|families| {
            let number = |(index, (name, kind, help, series)): (usize, (String, _, String, _))| {
                // The number keeps names apart, also where one is the other with a suffix.
                (format!("f{index}x{name}x"), kind, help.trim_start().to_owned(), series)
            };
            families.into_iter().enumerate().map(number).collect()
        })
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

fn render(families: &Generated) -> String {
    use std::fmt::Write;
    let mut page = String::new();
    for (name, kind, help, series) in families {
        let shown = if is_plain(name) { name.clone() } else { quote(name) };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(page, "# HELP {shown} {help}\n# TYPE {shown} {kind}");
        for (labels, values) in series {
            let mut line = |suffix: &str, edge: Option<(&str, &str)>, value: f64| {
                let name = format!("{name}{suffix}");
                let pairs = labels.iter().map(|(n, v)| (&**n, &**v)).chain(edge);
                let mut inside: Vec<String> = pairs
                    .map(|(n, v)| {
                        format!("{}={}", if is_plain(n) { n.to_owned() } else { quote(n) }, quote(v))
                    })
                    .collect();
                if is_plain(&name) {
                    let _ = write!(page, "{name}");
                } else {
                    inside.insert(0, quote(&name));
                }
                let _ = writeln!(page, "{{{}}} {value:?}", inside.join(","));
            };
            match kind {
                FamilyKind::Histogram => {
                    line("_bucket", Some(("le", "0.5")), values[0]);
                    line("_sum", None, values[1]);
                    line("_count", None, values[2]);
                }
                FamilyKind::Summary => {
                    line("", Some(("quantile", "0.9")), values[0]);
                    line("_sum", None, values[1]);
                    line("_count", None, values[2]);
                }
                FamilyKind::Counter => line("_total", None, values[0]),
                _ => line("", None, values[0]),
            }
        }
    }
    page
}

proptest! {
    #[test]
    fn what_is_rendered_is_read(families in generated()) {
        let text = render(&families);
        let page = parse(&text);
        prop_assert_eq!(&page.problems.kept, &[], "{}", text);
        prop_assert_eq!(page.families.len(), families.len());
        for (read, (name, kind, help, series)) in page.families.iter().zip(&families) {
            prop_assert_eq!(&read.name, name);
            prop_assert_eq!(read.kind, *kind);
            prop_assert_eq!(read.help.as_deref().unwrap_or_default(), help);
            let each = if matches!(kind, FamilyKind::Histogram | FamilyKind::Summary) { 3 } else { 1 };
            let samples = page.samples(read);
            prop_assert_eq!(samples.len(), series.len() * each);
            for (index, sample) in samples.iter().enumerate() {
                let (labels, values) = &series[index / each];
                let read: Vec<_> =
                    page.labels(sample).iter().map(|l| (l.name.to_string(), l.value.to_string())).collect();
                prop_assert_eq!(&read, labels);
                let expected = values[index % each];
                prop_assert!(sample.value == expected || sample.value.is_nan() && expected.is_nan());
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..400), openmetrics in any::<bool>()) {
        let media = if openmetrics { Media::OpenMetrics } else { Media::Text };
        if let Ok(page) = Page::parse(&body, media, &Limits::default()) {
            for family in &page.families {
                for sample in page.samples(family) {
                    prop_assert!(page.labels(sample).len() <= page.all_labels(sample).len());
                }
            }
        }
    }

    #[test]
    fn any_exposition_like_text_is_survived(text in "([a-z#{}=\",\\\\ \n0-9.é]|# TYPE |le=|_bucket|\" )*") {
        let _ = Page::parse(text.as_bytes(), Media::Text, &Limits::default());
    }
}
