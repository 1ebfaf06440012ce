//! Any bytes as a metrics page: nothing panics, what is read is consistent, and repeated pages add nothing.
//!
//! The captured pages serve as seeds unchanged:
//! `mkdir -p fuzz/corpus/exposition && cargo +nightly fuzz run exposition fuzz/corpus/exposition tests/fixtures/metrics`

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokmeter_record::WallNs;
use tokmeter_record::server::exposition::Limits;
use tokmeter_record::server::{
    FetchInstants, Media, NotExposition, Page, Readings, Store, StoreLimits, Window,
};

fn parse(bytes: &[u8], media: Media) -> Result<Page<'_>, NotExposition> {
    Page::parse(bytes, media, &Limits::default())
}

fn check(bytes: &[u8], media: Media) {
    let Ok(page) = parse(bytes, media) else { return };
    let samples: usize = page.families.iter().map(|family| page.samples(family).len()).sum();
    assert_eq!(samples, page.sample_count(), "every sample belongs to one family");
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!(samples <= lines && page.problems.kept.len() as u64 <= page.problems.total);
    let shown = page.to_json();
    let families = shown["families"].as_array().map_or(0, Vec::len);
    assert_eq!(families, page.families.len(), "every family is shown");

    let mut store = Store::new(StoreLimits { series: 1_000, bytes: 1 << 20 });
    let endpoint = store.endpoint("http://fuzz/metrics");
    for second in 1..3 {
        let at = WallNs(second * 1_000_000_000);
        let instants = FetchInstants { request_sent_ns: at, first_byte_ns: at, latency_ns: 1 };
        store.add(endpoint, &instants, &Readings::of(&page));
    }
    for metric in store.statistics(Window::Whole, Some(500_000_000)).values() {
        for series in &metric.series {
            assert_eq!(series.stats.total.unwrap_or_default(), 0.0, "a page read twice counts nothing");
            assert_eq!(series.stats.count.unwrap_or_default(), 0, "a page read twice observes nothing");
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes, Media::Text);
    check(bytes, Media::OpenMetrics);
});
