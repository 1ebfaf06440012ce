//! The exposition text.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::{FINISHED_REASONS, Histogram, WorkerMetrics};

/// The page as vLLM writes it: names, labels, order of a family's lines, `1.0` for whole numbers.
pub fn render(
    workers: &[Arc<WorkerMetrics>],
    model: &str,
    kv_cache_tokens: u64,
    started_wall_ns: u64,
) -> String {
    let labels = format!(r#"engine="0",model_name="{}""#, escape(model));
    let mut page = Page {
        text: String::with_capacity(16 << 10),
        labels,
        workers,
        created: started_wall_ns as f64 / 1e9,
    };
    page.process();
    page.gauge("num_requests_running", "Number of requests in model execution batches.", |w| &w.running, 1.0);
    page.gauge("num_requests_waiting", "Number of requests waiting to be processed.", |w| &w.waiting, 1.0);
    let share = 1.0 / kv_cache_tokens.max(1) as f64;
    page.gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", |w| &w.kv_tokens, share);
    page.counter("prefix_cache_queries", "Prefix cache queries, in queried tokens.", |w| &w.prefix_queries);
    page.counter("prefix_cache_hits", "Prefix cache hits, in cached tokens.", |w| &w.prefix_hits);
    page.constant_counter("num_preemptions", "Cumulative number of preemptions.", 0.0);
    page.counter("prompt_tokens", "Number of prefill tokens processed.", |w| &w.prompt_tokens);
    page.counter("generation_tokens", "Number of generation tokens processed.", |w| &w.generation_tokens);
    page.finished();
    page.histogram("request_prompt_tokens", "Number of prefill tokens processed.", |w| {
        &w.request_prompt_tokens
    });
    page.histogram("request_generation_tokens", "Number of generation tokens.", |w| {
        &w.request_generation_tokens
    });
    page.histogram("time_to_first_token_seconds", "Histogram of time to first token in seconds.", |w| {
        &w.ttft
    });
    page.histogram("inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", |w| &w.itl);
    page.histogram("e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", |w| &w.e2e);
    page.histogram("request_queue_time_seconds", "Histogram of time in the WAITING phase.", |w| &w.queue);
    page.histogram("request_prefill_time_seconds", "Histogram of time in the PREFILL phase.", |w| &w.prefill);
    page.histogram("request_decode_time_seconds", "Histogram of time in the DECODE phase.", |w| &w.decode);
    page.cache_config(kv_cache_tokens);
    page.text
}

/// A valid page of about `bytes` bytes.
pub fn huge_page(bytes: u64) -> impl Iterator<Item = String> {
    let line = |n: u64| format!("vllm:filler{{engine=\"0\",shard=\"{n:012}\"}} 1.0\n");
    let lines = bytes / line(0).len() as u64;
    let block = 1024;
    std::iter::once("# HELP vllm:filler Filler.\n# TYPE vllm:filler gauge\n".to_owned()).chain(
        (0..lines.div_ceil(block))
            .map(move |at| (at * block..(at * block + block).min(lines)).map(line).collect()),
    )
}

/// TensorRT-LLM's `/metrics`: a JSON list with one entry per iteration.
pub fn trtllm_iteration_json(workers: &[Arc<WorkerMetrics>]) -> String {
    let sum =
        |pick: fn(&WorkerMetrics) -> &AtomicI64| workers.iter().map(|w| pick(w).load(Relaxed)).sum::<i64>();
    let (running, waiting) = (sum(|w| &w.running), sum(|w| &w.waiting));
    if running + waiting == 0 {
        return "[]".to_owned();
    }
    format!(
        r#"[{{"iter":1,"iterLatencyMS":7.0,"numActiveRequests":{running},"numQueuedRequests":{waiting},"maxNumActiveRequests":2048}}]"#
    )
}

struct Page<'a> {
    text: String,
    labels: String,
    workers: &'a [Arc<WorkerMetrics>],
    created: f64,
}

impl Page<'_> {
    fn process(&mut self) {
        self.head(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            "gauge",
        );
        self.push(&format!("process_start_time_seconds {:?}\n", self.created));
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.push(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn sample(&mut self, name: &str, suffix: &str, value: f64) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "vllm:{name}{suffix}{{{}}} {value:?}", self.labels);
    }

    fn created(&mut self, name: &str, help: &str) {
        self.head(&format!("vllm:{name}_created"), help, "gauge");
        self.sample(name, "_created", self.created);
    }

    fn gauge(&mut self, name: &str, help: &str, pick: impl Fn(&WorkerMetrics) -> &AtomicI64, unit: f64) {
        let total: i64 = self.workers.iter().map(|w| pick(w).load(Relaxed)).sum();
        self.head(&format!("vllm:{name}"), help, "gauge");
        self.sample(name, "", total.max(0) as f64 * unit);
    }

    fn counter(&mut self, name: &str, help: &str, pick: impl Fn(&WorkerMetrics) -> &AtomicU64) {
        let total: u64 = self.workers.iter().map(|w| pick(w).load(Relaxed)).sum();
        self.constant_counter(name, help, total as f64);
    }

    fn constant_counter(&mut self, name: &str, help: &str, total: f64) {
        self.head(&format!("vllm:{name}_total"), help, "counter");
        self.sample(name, "_total", total);
        self.created(name, help);
    }

    fn finished(&mut self) {
        let help = "Count of successfully processed requests.";
        self.head("vllm:request_success_total", help, "counter");
        for (place, reason) in FINISHED_REASONS.iter().enumerate() {
            let total: u64 = self.workers.iter().map(|w| w.finished[place].load(Relaxed)).sum();
            let labels =
                self.labels.replacen(",model_name", &format!(r#",finished_reason="{reason}",model_name"#), 1);
            self.push(&format!("vllm:request_success_total{{{labels}}} {:?}\n", total as f64));
        }
    }

    fn histogram(&mut self, name: &str, help: &str, pick: impl Fn(&WorkerMetrics) -> &Histogram) {
        let Some(first) = self.workers.first().map(|w| pick(w)) else {
            return;
        };
        let (bounds, scale) = (first.bounds, first.scale);
        self.head(&format!("vllm:{name}"), help, "histogram");
        let mut total = 0u64;
        for place in 0..=bounds.len() {
            total += self.workers.iter().map(|w| pick(w).counts[place].load(Relaxed)).sum::<u64>();
            let bound = bounds.get(place).map_or_else(|| "+Inf".to_owned(), |bound| format!("{bound:?}"));
            let labels = self.labels.replacen(",model_name", &format!(r#",le="{bound}",model_name"#), 1);
            self.push(&format!("vllm:{name}_bucket{{{labels}}} {:?}\n", total as f64));
        }
        let sum: u64 = self.workers.iter().map(|w| pick(w).sum.load(Relaxed)).sum();
        self.sample(name, "_count", total as f64);
        self.sample(name, "_sum", sum as f64 / scale);
        self.created(name, help);
    }

    fn cache_config(&mut self, kv_cache_tokens: u64) {
        self.head("vllm:cache_config_info", "Information of the LLMEngine CacheConfig", "gauge");
        let blocks = kv_cache_tokens / 16;
        self.push(&format!(
            "vllm:cache_config_info{{block_size=\"16\",engine=\"0\",num_gpu_blocks=\"{blocks}\"}} 1.0\n"
        ));
    }
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
