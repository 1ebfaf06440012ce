"""numpy restatement of the numbers of a summary from the records: distributions, failure-adjusted twins, queue-aware
latencies, totals and rates. Names, units and definitions are those of AIPerf 0.13.0."""
import numpy as np

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
ADJUSTED = ("request_latency", "time_to_first_token", "inter_token_latency", "decode_duration")
NETWORK_ADJUSTED = ("time_to_first_token", "time_to_first_output_token", "request_latency")
TTFT = "time_to_first_token"
# ours beside AIPerf's: a reader of AIPerf's files finds them absent
OWN = (f"effective_{TTFT}",)
# per record 0 or 1, but one number in the summary
SUMMED_FLAGS = ("good_request_count",)


def distribution(values):
    """All statistics of one record metric; list-valued metrics come flattened."""
    v = np.asarray(values, dtype=np.float64)
    result = {"avg": v.mean(), "min": v.min(), "max": v.max(), "std": v.std(), "count": len(v), "sum": v.sum()}
    result |= {f"p{p}": np.percentile(v, p) for p in PERCENTILES}
    return {name: float(value) for name, value in result.items()}


def adjusted_distribution(values, failures):
    """Each failure enters as infinity; percentiles are of the nearest rank, what is not finite is left out."""
    v = np.concatenate([np.asarray(values, dtype=np.float64), np.full(failures, np.inf)])
    result = {f"p{p}": float(np.percentile(v, p, method="nearest")) for p in PERCENTILES}
    result |= {"min": float(v.min()), "count": float(len(v))}
    return {name: value for name, value in result.items() if np.isfinite(value)}


def values_of(records, tag):
    """The values of one metric over the records that have it, lists flattened."""
    values = []
    for record in records:
        entry = record["metrics"].get(tag)
        if entry is not None:
            values += entry["value"] if isinstance(entry["value"], list) else [entry["value"]]
    return values


def tags_of(records):
    """Every metric tag that occurs, with its unit."""
    return {tag: entry["unit"] for record in records for tag, entry in record["metrics"].items()}


def record_distributions(records):
    """Distributions expected in a summary block over these records of one phase or slice."""
    good = [r for r in records if "error" not in r]
    failed = [r for r in records if "error" in r]
    expected = {}
    for group in (good, failed):
        for tag in tags_of(group):
            values = values_of(group, tag)
            if values and tag not in SUMMED_FLAGS:
                expected[tag] = distribution(values)
    if failed:
        for tag in ADJUSTED:
            values = values_of(good, tag)
            if values:
                expected[f"adj_{tag}"] = adjusted_distribution(values, len(failed))
    return expected


def queue_aware(records):
    """Latencies counted from the instant the schedule released the request; failed requests count too."""
    stamped = [r["metadata"] for r in records if "credit_issued_ns" in r["metadata"]]
    if not stamped:
        return {}

    def since_credit(key):
        return distribution([max(m[key] - m["credit_issued_ns"], 0) / 1e6 for m in stamped])

    expected = {"credit_to_start_latency": since_credit("request_start_ns"), "effective_latency": since_credit("request_end_ns")}
    first = [max(r["metadata"]["request_start_ns"] - r["metadata"]["credit_issued_ns"], 0) / 1e6 + r["metrics"][TTFT]["value"]
             for r in records if "credit_issued_ns" in r["metadata"] and TTFT in r["metrics"]]
    if first:
        expected[f"effective_{TTFT}"] = distribution(first)
    return expected


def network_adjusted(records, rtt):
    """Latencies with the mean round trip of the network probe taken off, never below zero."""
    expected = {}
    for tag in NETWORK_ADJUSTED:
        values = values_of(records, tag)
        if values:
            expected[f"network_adjusted_{tag}"] = distribution([max(v - rtt, 0) for v in values])
    return expected


def totals_and_rates(records, window_s):
    """Counts, totals and rates of one phase or slice; `window_s` divides the rates."""
    good = [r for r in records if "error" not in r]
    failed = [r for r in records if "error" in r]
    n, errors = len(good), len(failed)

    def total(tag, group=good):
        values = values_of(group, tag)
        return sum(values) if values else None

    out = {
        "request_count": n,
        "error_request_count": errors,
        "completed_request_count": n + errors,
        "request_error_rate": 100 * errors / (n + errors) if records else None,
        "request_throughput": n / window_s,
        "total_isl": total("input_sequence_length"),
        "total_osl": total("output_sequence_length"),
        "total_output_tokens": total("output_token_count"),
        "total_reasoning_tokens": total("reasoning_token_count"),
        "total_error_isl": total("error_isl", failed),
    }
    for tag in tags_of(good):
        if tag.startswith("usage_") and tag.endswith(("_tokens", "_seconds")):
            out[f"total_{tag}"] = total(tag)
    if out["total_isl"] is not None:
        out["input_token_throughput"] = out["total_isl"] / window_s
    if out["total_osl"] is not None:
        out["output_token_throughput"] = out["total_osl"] / window_s
        if out["total_isl"] is not None:
            out["total_token_throughput"] = (out["total_isl"] + out["total_osl"]) / window_s
    if out.get("total_usage_prompt_tokens") and out.get("total_usage_prompt_cache_read_tokens") is not None:
        out["overall_usage_prompt_cache_read_pct"] = (
            100 * out["total_usage_prompt_cache_read_tokens"] / out["total_usage_prompt_tokens"])
    if good:
        starts = [r["metadata"]["request_start_ns"] for r in good]
        ends = [s + round(r["metrics"]["request_latency"]["value"] * 1e6) for s, r in zip(starts, good)]
        out["benchmark_duration"] = (max(ends) - min(starts)) / 1e9
    if any("good_request_count" in r["metrics"] for r in good):
        met = total("good_request_count")
        out |= {"good_request_count": met, "goodput": met / window_s, "good_request_fraction": met / (n + errors)}
    if any("osl_mismatch_diff_pct" in r["metrics"] for r in good):
        out["osl_mismatch_count"] = sum(misses_requested_length(r["metrics"]) for r in good)
    differences = ("usage_prompt_tokens_diff_pct", "usage_completion_tokens_diff_pct")
    if any(tag in r["metrics"] for r in good for tag in differences):
        out["usage_discrepancy_count"] = sum(
            any(r["metrics"].get(tag, {"value": 0})["value"] > 10 for tag in differences) for r in good)
    return {tag: float(value) for tag, value in out.items() if value is not None}


def misses_requested_length(metrics):
    """Output longer or shorter than asked by more than 5 % or 50 tokens, whichever is less."""
    if "osl_mismatch_diff_pct" not in metrics:
        return False
    length = metrics["output_sequence_length"]["value"]
    if length == 0:
        return True
    asked = round(length / (1 + metrics["osl_mismatch_diff_pct"]["value"] / 100))
    return abs(length - asked) > min(0.05 * asked, 50)
