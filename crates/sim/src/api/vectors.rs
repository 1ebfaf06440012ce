//! Embeddings and rankings: one JSON body, numbers from the request's seed.

use super::put;
use crate::plan::Plan;
use crate::vocabulary::mix;

/// `/v1/embeddings`: one unit-length vector per input.
pub fn embeddings(plan: &Plan, dimensions: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"object":"list","data":["#);
    for item in 0..plan.items.max(1) {
        if item > 0 {
            out.push(b',');
        }
        let values: Vec<f64> = (0..dimensions).map(|d| unit(plan.id, item, d) - 0.5).collect();
        let length = values.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-9);
        put!(out, r#"{{"object":"embedding","index":{item},"embedding":["#);
        for (place, value) in values.iter().enumerate() {
            put!(out, "{}{:.6}", if place > 0 { "," } else { "" }, value / length);
        }
        out.extend_from_slice(b"]}");
    }
    put!(
        out,
        r#"],"model":{},"usage":{{"prompt_tokens":{prompt},"total_tokens":{prompt}}}}}"#,
        plan.model_json,
        prompt = plan.prompt_tokens
    );
}

/// `/v1/ranking` (`rankings` with `logit`) and `/rerank` (`results` with `relevance_score`), in
/// one body, best first.
pub fn rankings(plan: &Plan, out: &mut Vec<u8>) {
    let mut scores: Vec<(u32, f64)> = (0..plan.items).map(|item| (item, unit(plan.id, item, 0))).collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    put!(out, r#"{{"id":"rank-{:016x}","model":{},"rankings":["#, plan.id, plan.model_json);
    for (place, (item, score)) in scores.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        put!(out, r#"{comma}{{"index":{item},"logit":{:.6}}}"#, score * 20.0 - 10.0);
    }
    out.extend_from_slice(br#"],"results":["#);
    for (place, (item, score)) in scores.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        put!(out, r#"{comma}{{"index":{item},"relevance_score":{score:.6}}}"#);
    }
    put!(
        out,
        r#"],"usage":{{"prompt_tokens":{prompt},"total_tokens":{prompt}}}}}"#,
        prompt = plan.prompt_tokens
    );
}

/// A number in [0, 1) that depends on request, item and place only.
fn unit(id: u64, item: u32, place: u32) -> f64 {
    let bits = mix(id ^ mix(u64::from(item) << 32 | u64::from(place)));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
