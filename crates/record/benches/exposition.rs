//! What reading a metrics page costs: a page of 5 000 series (about 500 KB) and the captured vLLM page.
//!
//! `cargo bench -p tokmeter-record --bench exposition`. With `PYTHON=/path/to/python` (one that has
//! `prometheus_client`) the same page is parsed by that parser for comparison.
#![allow(clippy::print_stdout, reason = "a bench prints its table")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use tokmeter_record::server::exposition::Limits;
use tokmeter_record::server::{FetchInstants, Media, Page, Readings, Store, StoreLimits};
use tokmeter_record::time::WallNs;

/// Scrapes per second at the default interval.
const HERTZ: f64 = 3.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let generated = |scrape: u64| page(5_000, scrape);
    let vllm = include_str!("../../../tests/fixtures/metrics/vllm-0.32.0.prom");
    println!(
        "{:<28} {:>10} {:>8} {:>12} {:>12} {:>12}",
        "page", "bytes", "samples", "parse", "scrape", "core at 3 Hz"
    );
    measure("5 000 series", generated);
    measure("vLLM 0.32", |scrape| vllm.replace(" 15424.0", &format!(" {scrape}.0")));
    if let Ok(python) = std::env::var("PYTHON") {
        compare(&python, &page(5_000, 0))?;
    }
    Ok(())
}

/// A page like an inference server's: half of the lines are histogram buckets.
fn page(series: usize, scrape: u64) -> String {
    let mut page = String::new();
    for family in 0..series / 100 {
        let _ =
            writeln!(page, "# HELP engine:metric_{family}_seconds Time spent in stage {family} in seconds.");
        let kind = if family % 2 == 0 { "histogram" } else { "gauge" };
        let _ = writeln!(page, "# TYPE engine:metric_{family}_seconds {kind}");
        for line in 0..100_u64 {
            let labels = format!("engine=\"{}\",model_name=\"org/some-model-7b\"", line / 20);
            let name = format!("engine:metric_{family}_seconds");
            let value = scrape * 7 + line;
            let _ = match (kind, line % 20) {
                ("gauge", slot) => writeln!(page, "{name}{{{labels},slot=\"{slot}\"}} {value}.25"),
                (_, 18) => writeln!(page, "{name}_sum{{{labels}}} {value}.125"),
                (_, 19) => writeln!(page, "{name}_count{{{labels}}} {value}.0"),
                (_, 17) => writeln!(page, "{name}_bucket{{{labels},le=\"+Inf\"}} {value}.0"),
                (_, edge) => writeln!(page, "{name}_bucket{{{labels},le=\"{edge}.5\"}} {value}.0"),
            };
        }
    }
    page
}

fn best_of(mut work: impl FnMut(u64)) -> Duration {
    (0..200)
        .map(|round| {
            let start = Instant::now();
            work(round);
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn measure(name: &str, page: impl Fn(u64) -> String) {
    let pages: Vec<String> = (0..8).map(&page).collect();
    let limits = Limits::default();
    let parse =
        |round: u64| Page::parse(pages[round as usize % pages.len()].as_bytes(), Media::Text, &limits);
    let samples = parse(0).map_or(0, |page| page.sample_count());
    let parsing = best_of(|round| {
        let _ = black_box(parse(round));
    });
    let mut store = Store::new(StoreLimits::default());
    let endpoint = store.endpoint("http://h/metrics");
    let scraping = best_of(|round| {
        let at = WallNs(1 + round);
        let instants = FetchInstants { request_sent_ns: at, first_byte_ns: at, latency_ns: 1 };
        let body = pages[round as usize % pages.len()].as_bytes();
        if store.is_repeat(endpoint, body) {
            store.add_repeat(endpoint, &instants);
        } else if let Ok(page) = parse(round) {
            store.add(endpoint, &instants, &Readings::of(&page));
        }
    });
    let share = scraping.as_secs_f64() * HERTZ * 100.0;
    println!(
        "{name:<28} {:>10} {samples:>8} {parsing:>12.1?} {scraping:>12.1?} {share:>11.3}%",
        pages[0].len()
    );
}

fn compare(python: &str, page: &str) -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::temp_dir().join(format!("tokmeter-exposition-{}.prom", std::process::id()));
    std::fs::write(&file, page)?;
    let script = "import sys, time\n\
                  from prometheus_client.parser import text_string_to_metric_families as parse\n\
                  text = open(sys.argv[1]).read()\n\
                  best = 1e9\n\
                  for _ in range(5):\n    start = time.perf_counter()\n    list(parse(text))\n    \
                  best = min(best, time.perf_counter() - start)\n\
                  print(best)";
    let output = std::process::Command::new(python).args(["-c", script]).arg(&file).output()?;
    std::fs::remove_file(&file)?;
    let theirs: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    let limits = Limits::default();
    let ours = best_of(|_| {
        let _ = black_box(Page::parse(page.as_bytes(), Media::Text, &limits));
    });
    println!("prometheus_client: {:.1} ms, {:.0} times ours", theirs * 1e3, theirs / ours.as_secs_f64());
    Ok(())
}
