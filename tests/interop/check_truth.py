"""check_truth.py SIMLOG DIR [--tokens-per-event N] [--before-cause-us 50]: a run's records against what the simulated
server wrote down, joined by X-Request-ID.

Conservation: one record for each served request and one served request for each record, with the same tokens.
Truth: distributions of measured minus true TTFT, inter-chunk latency and request latency are printed; the verdict is only
that nothing was seen before it happened (both sides read clocks of one machine) and that no chunk is missing.
"""
import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from run_files import read_jsonl
from tally import Tally, run


def token_instants(entry, tokens_per_event):
    """When each content event left: monotonic ns just before its write, and the offset of the wall clock from it.

    The wall clock is read after the end of the write, later where the simulator was preempted in between: the smallest
    distance of an answer is the truest."""
    instants = []
    for _, start, _, _, _, tokens, _ in entry["writes"]:
        instants += [start] * -(-tokens // tokens_per_event)
    return instants, min(wall - end for _, _, end, wall, _, _, _ in entry["writes"])


def spread(name, errors_us):
    """One line of a distribution in microseconds."""
    e = np.array(errors_us)
    q = np.percentile(e, (0, 50, 90, 99, 100))
    return f"{name}: n {len(e)}, min {q[0]:.0f}, p50 {q[1]:.0f}, p90 {q[2]:.0f}, p99 {q[3]:.0f}, max {q[4]:.0f} us"


def check_conservation(tally, served, records, summary):
    ids = Counter(entry["x_request_id"] for entry in served)
    recorded = Counter(record["metadata"]["x_request_id"] for record in records)
    faults = [f"{i} was served {n} times" for i, n in ids.items() if n != 1]
    faults += [f"{i} has {n} records" for i, n in recorded.items() if n != 1]
    faults += [f"{i} was served and has no record" for i in ids - recorded]
    never_sent = [r for r in records if r["metadata"]["x_request_id"] not in ids]
    faults += [f"{r['metadata']['x_request_id']} has a record of success and was never served" for r in never_sent
               if "error" not in r]
    tally.faults("truth: one record for each served request", faults,
                 f"{len(served)} served, {len(records)} records, {len(never_sent)} failed before they reached the server")
    profiled = [r for r in records if r["metadata"]["benchmark_phase"] == "profiling"]
    failed = sum("error" in r for r in profiled)
    written = tuple(int(summary.get(tag, {"avg": 0})["avg"]) for tag in ("request_count", "error_request_count"))
    tally.check("truth: summary counts every record", written == (len(profiled) - failed, failed),
                f"{written[0]} succeeded and {written[1]} failed of {len(profiled)}")


def check_outcomes(tally, pairs):
    """What the server knows of a request agrees with its record."""
    faults = []
    for entry, record in pairs:
        metrics, who = record["metrics"], entry["x_request_id"]
        if "error" not in record:
            if entry["outcome"] != "completed":
                faults.append(f"{who} succeeded, the server says {entry['outcome']} {entry.get('fault')}")
            used = metrics.get("usage_completion_tokens", {}).get("value")
            if used is not None and used != entry["sent_tokens"]:
                faults.append(f"{who} used {used} tokens, {entry['sent_tokens']} were sent")
        elif entry["outcome"] == "completed":
            faults.append(f"{who} was served in full and is recorded as {record['error']}")
        if record["metadata"]["x_correlation_id"] != entry["x_correlation_id"]:
            faults.append(f"{who} has another correlation id on the wire")
    tally.faults("truth: outcomes and tokens agree", faults, f"{len(pairs)} requests")


def check_times(tally, pairs, tokens_per_event, before_cause_us):
    from_start, seen, gaps, latency, missing = [], [], [], [], []
    coalesced = events = 0
    for entry, record in pairs:
        metrics = record["metrics"]
        if "error" in record or not entry["writes"]:
            continue
        if "time_to_first_token" not in metrics:  # not streamed: the body is one answer
            answered = entry["writes"][-1][1] - entry["body_received_ns"]
            latency.append((metrics["request_latency"]["value"] * 1e6 - answered) / 1e3)
            continue
        sent, offset = token_instants(entry, tokens_per_event)
        arrived = record["metadata"]["request_start_ns"]
        first = metrics["time_to_first_token"]["value"] * 1e6
        measured_gaps = metrics.get("inter_chunk_latency", {"value": []})["value"]
        if not sent or len(measured_gaps) + 1 != len(sent):
            missing.append(f"{entry['x_request_id']}: {len(measured_gaps) + 1} chunks seen, {len(sent)} sent")
            continue
        events += len(sent)
        coalesced += sum(gap == 0 for gap in measured_gaps)
        received = entry["body_received_ns"]
        from_start.append((first - (sent[0] - received)) / 1e3)
        seen.append((arrived + first - (sent[0] + offset)) / 1e3)
        latency.append((metrics["request_latency"]["value"] * 1e6 - (sent[-1] - received)) / 1e3)
        gaps += [(measured * 1e6 - true) / 1e3 for measured, true in zip(measured_gaps, np.diff(sent))]
    if from_start or missing:
        tally.faults("truth: every chunk that was sent was seen", missing,
                     f"{events} chunks, {coalesced} read together with the one before ({100 * coalesced / max(events, 1):.1f} %)")
    for name, errors in (("TTFT, measured - true", from_start), ("first token seen - written", seen),
                         ("inter-chunk latency, measured - true", gaps), ("request latency, measured - true", latency)):
        if errors:
            print(f"# {spread(name, errors)}")
    earliest = min(from_start + seen + latency, default=-np.inf)
    tally.check("truth: nothing is seen before it happened", earliest >= -before_cause_us,
                f"earliest {earliest:.0f} us after its cause, over {len(latency)} answers")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--tokens-per-event", type=int, default=1)
    parser.add_argument("--before-cause-us", type=float, default=50.0)
    options = parser.parse_args()
    tally = Tally()
    served = read_jsonl(options.log)
    records = read_jsonl(options.directory / "profile_export.jsonl")
    summary = json.loads((options.directory / "profile_export_aiperf.json").read_text(encoding="utf-8"))
    check_conservation(tally, served, records, summary)
    by_id = {entry["x_request_id"]: entry for entry in served}
    pairs = [(by_id[r["metadata"]["x_request_id"]], r) for r in records if r["metadata"]["x_request_id"] in by_id]
    check_outcomes(tally, pairs)
    check_times(tally, pairs, options.tokens_per_event, options.before_cause_us)
    tally.close()


if __name__ == "__main__":
    run(main)
