use super::*;
use crate::format::gpu_telemetry_jsonl::GpuTelemetryLine;
use crate::server::exposition::{Limits, Media};

const SECOND: u64 = 1_000_000_000;

fn fixture(name: &str) -> String {
    let path = format!("{}/../../tests/fixtures/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the fixture is there")
}

fn read(text: &str) -> Vec<GpuReading> {
    read_page(&Page::parse(text.as_bytes(), Media::Text, &Limits::default()).expect("a page"))
}

fn value(reading: &GpuReading, tag: &str) -> f64 {
    let at = GPU_METRICS.iter().position(|metric| metric.tag == tag).expect("a known tag");
    reading.values[at]
}

#[test]
fn gpus_of_an_exporter_in_our_units() {
    let gpus = read(&fixture("dcgm-exporter.prom"));
    assert_eq!(gpus.len(), 2);
    let gpu = &gpus[0].gpu;
    assert_eq!((gpu.gpu_index, &*gpu.gpu_model_name), (0, "NVIDIA H100 80GB HBM3"));
    assert_eq!((gpu.device.as_deref(), gpu.hostname.as_deref()), (Some("nvidia0"), Some("gpu-host-1")));
    assert_eq!(value(&gpus[0], "nvidia_power_usage"), 412.731);
    assert!((value(&gpus[0], "nvidia_energy_consumption") - 4.742776123).abs() < 1e-12);
    assert!((value(&gpus[0], "nvidia_memory_used") - 75_874.0 * 1_048_576.0 / 1e9).abs() < 1e-9);
    assert_eq!(value(&gpus[0], "nvidia_gpu_utilization"), 97.0);
    assert_eq!(value(&gpus[1], "nvidia_power_usage"), 70.112);
    assert!(value(&gpus[0], "nvidia_sm_utilization").is_nan(), "not on this page");
}

#[test]
fn instances_of_one_gpu_are_one_gpu() {
    let gpus = read(&fixture("dcgm-exporter-k8s-mig.prom"));
    assert_eq!(gpus.len(), 1);
    assert_eq!(gpus[0].gpu.pod_name.as_deref(), Some("llm-ab"));
    assert_eq!(value(&gpus[0], "nvidia_power_usage"), 412.731);
}

#[test]
fn blank_values_are_absent() {
    let labels = "{gpu=\"0\",UUID=\"u\"}";
    for blank in ["9223372036854775794", "9223372036854775792", "140737488355328.000000", "NaN"] {
        let gpus =
            read(&format!("DCGM_FI_DEV_POWER_USAGE{labels} {blank}\nDCGM_FI_DEV_GPU_TEMP{labels} 50\n"));
        assert!(value(&gpus[0], "nvidia_power_usage").is_nan(), "{blank}");
        assert_eq!(value(&gpus[0], "nvidia_temperature"), 50.0);
    }
}

#[test]
fn other_pages_have_no_gpu() {
    assert_eq!(read(&fixture("vllm-0.32.0.prom")), []);
    assert_eq!(read("DCGM_FI_DEV_POWER_USAGE{gpu=\"x\",UUID=\"u\"} 1\nDCGM_FI_DEV_GPU_TEMP 5\n"), []);
}

fn page(power: f64, energy_mj: f64, xid: u32) -> String {
    let labels = "{gpu=\"0\",UUID=\"u\",modelName=\"m\"}";
    format!(
        "DCGM_FI_DEV_POWER_USAGE{labels} {power}\nDCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{labels} {}\nDCGM_FI_DEV_XID_ERRORS{labels} {xid}\n",
        energy_mj * 1e9
    )
}

#[test]
fn energy_and_power_of_a_window() {
    let mut telemetry = Telemetry::new();
    let source = telemetry.source("http://me:secret@localhost:9400/metrics");
    // A counter that starts again between 3 and 4: 0.1 MJ before it, 0.05 MJ after it.
    let scrapes =
        [(1, 9.0, 1.0, 0), (2, 100.0, 2.0, 0), (3, 300.0, 2.1, 79), (4, 500.0, 0.05, 79), (5, 7.0, 0.1, 0)];
    for (second, power, energy, xid) in scrapes {
        telemetry.add(source, WallNs(second * SECOND), &read(&page(power, energy, xid)));
    }
    let (start, end) = (WallNs(SECOND * 3 / 2), WallNs(SECOND * 4));
    let power = telemetry.power(start, end);
    assert_eq!(power.power_w, Some(300.0), "the samples of seconds 2, 3 and 4");
    // From second 1 to second 5: 1.0 + 0.1 + 0.05 + 0.05 MJ.
    assert!((power.energy_j.expect("energy") - 1.2e6).abs() < 1e-3, "{power:?}");
    let block = telemetry.block(start, end);
    assert_eq!(block.summary.endpoints_successful, ["http://localhost:9400/metrics"]);
    let metrics = &block.endpoints["localhost:9400"].gpus["gpu_0"].metrics;
    let of = |tag: &str| metrics.by_tag(tag).expect("in the block");
    let gauge = of("nvidia_power_usage");
    assert_eq!((gauge.avg, gauge.std, gauge.count), (Some(300.0), Some(200.0), Some(3)));
    assert!((of("nvidia_energy_consumption").avg.expect("an increase") - 1.2).abs() < 1e-9);
    assert_eq!(of("nvidia_energy_consumption").p50, None);
    assert_eq!(of("nvidia_xid_errors").avg, Some(1.0), "one event, whatever its code");
}

#[test]
fn without_counters_energy_is_power_times_window() {
    let mut telemetry = Telemetry::new();
    let source = telemetry.source("http://localhost:9400/metrics");
    for second in 1..5 {
        let page = "DCGM_FI_DEV_POWER_USAGE{gpu=\"0\",UUID=\"u\"} 200\nDCGM_FI_DEV_POWER_USAGE{gpu=\"1\",UUID=\"v\"} 100\n";
        telemetry.add(source, WallNs(second * SECOND), &read(page));
    }
    let power = telemetry.power(WallNs(SECOND), WallNs(3 * SECOND));
    assert_eq!(power, Power { energy_j: Some(600.0), power_w: Some(300.0) });
    assert_eq!(Telemetry::new().power(WallNs(0), WallNs(1)), Power::default());
}

#[test]
fn lines_hold_what_was_read() {
    let gpus = read(&fixture("dcgm-exporter-k8s-mig.prom"));
    let line = GpuTelemetryLine::of(&gpus[0], WallNs(5), "http://localhost:9400/metrics");
    let mut text = Vec::new();
    line.write(&mut text).expect("in memory");
    assert!(
        text.starts_with(b"{\"gpu_index\":0,\"gpu_uuid\":\"GPU-00000000-1111") && text.ends_with(b"}}\n")
    );
    let back: GpuTelemetryLine = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(back, line);
    assert_eq!(back.telemetry_data["nvidia_power_usage"], 412.731);
    let old = br#"{"gpu_index":0,"gpu_uuid":"u","gpu_model_name":"m","timestamp_ns":1,"dcgm_url":"x","telemetry_data":{}}"#;
    let old: GpuTelemetryLine = serde_json::from_slice(old).expect("an older line");
    assert_eq!(old.telemetry_source_url, "x");
}

#[test]
fn long_runs_keep_their_energy() {
    let mut telemetry = Telemetry::new();
    let source = telemetry.source("http://localhost:9400/metrics");
    let mut reading = read(&page(100.0, 0.0, 0)).remove(0);
    for second in 0..MAX_SAMPLES as u64 + 10 {
        reading.values[ENERGY] = second as f64 * 1e-6;
        telemetry.add(source, WallNs(second * SECOND), std::slice::from_ref(&reading));
    }
    assert!(telemetry.gpus[0].times.len() < MAX_SAMPLES);
    assert_eq!(telemetry.gpus[0].times.len(), telemetry.gpus[0].values.len());
    let power = telemetry.power(WallNs(0), WallNs(u64::MAX));
    assert!((power.energy_j.expect("energy") - (MAX_SAMPLES as f64 + 9.0)).abs() < 1e-6);
}
