"""check_dynamo.py DIR REQUESTS TOKENS: a run against Dynamo's front end: every request succeeded with as many tokens as
asked, and the totals of the records equal the front end's own counters over the same time."""
import json
import sys
from pathlib import Path

from run_files import Run, read_jsonl
from tally import Tally, run


def total(metrics, name, statistic, **labels):
    """Sum of one statistic over the series of a metric that carry these labels; None when it was never exposed."""
    if name not in metrics:
        return None
    return sum(series["stats"].get(statistic, 0) for series in metrics[name]["series"]
               if all(series.get("labels", {}).get(k) == v for k, v in labels.items()))


def main():
    folder, requests, tokens = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    tally = Tally()
    run = Run.load(folder)
    records = run.phase("profiling")
    failures = [record["error"] for record in records if "error" in record]
    tally.check("dynamo: every request succeeded", len(records) == requests and not failures,
                f"{len(records)} records, failures: {failures[:2]}")
    good = [record["metrics"] for record in records if "error" not in record]
    used = {side: [m.get(f"usage_{side}_tokens", {"value": 0})["value"] for m in good] for side in ("prompt", "completion")}
    tally.check("dynamo: usage is in every record", all(n == tokens for n in used["completion"]),
                f"completion tokens {sorted(set(used['completion']))}, asked for {tokens}")

    metrics = json.loads((folder / "server_metrics_export.json").read_text())["metrics"]
    for what, got, wanted in (
        ("requests", total(metrics, "dynamo_frontend_requests", "total", status="success"), requests),
        ("output tokens", total(metrics, "dynamo_frontend_output_tokens", "total"), sum(used["completion"])),
        ("output lengths (sum)", total(metrics, "dynamo_frontend_output_sequence_tokens", "sum"), sum(used["completion"])),
        ("output lengths (count)", total(metrics, "dynamo_frontend_output_sequence_tokens", "count"), requests),
        ("input lengths (sum)", total(metrics, "dynamo_frontend_input_sequence_tokens", "sum"), sum(used["prompt"])),
        ("request durations (count)", total(metrics, "dynamo_frontend_request_duration_seconds", "count"), requests),
    ):
        tally.check(f"dynamo: {what}, counter equals records", got == wanted, f"{got} and {wanted}")
    worker = [name for name in metrics if name.startswith("dynamo_component_")]
    tally.check("dynamo: the worker's own page was read too", bool(worker), f"{len(worker)} metrics of the worker")

    summary = json.loads((folder / "profile_export_aiperf.json").read_text())
    sides = {side["engine"]: side["rows"] for side in summary["tokmeter"]["server_metrics"]["side_by_side"]}
    rows = {row["quantity"]: row for row in sides.get("dynamo", [])}
    for quantity in ("requests", "output_tokens"):
        row = rows.get(quantity, {})
        tally.check(f"dynamo: side by side, {quantity} are the same", row.get("difference") == 0, str(row))
    latency = rows.get("request_latency", {"client": {}, "server": {}})
    client, server = latency["client"].get("avg"), latency["server"].get("avg")
    tally.check("dynamo: side by side, the server's time lies within the client's", bool(server) and 0 < server <= client,
                f"{server} of {client} ms")
    shares = sum(share["ms"] for share in latency.get("shares", []))
    tally.check("dynamo: side by side, the shares are the difference", abs(shares - latency.get("difference", -1)) < 1e-6,
                f"{shares} ms")

    raw = {r["metadata"]["x_request_id"]: r for r in read_jsonl(folder / "profile_export_raw.jsonl")}
    asked = {record["payload"].get("max_completion_tokens", record["payload"].get("max_tokens")) for record in raw.values()}
    tally.check("dynamo: raw records hold what was asked and answered", asked == {tokens} and len(raw) == requests
                and all(record["responses"] for record in raw.values()), f"{len(raw)} raw records, lengths asked {asked}")
    if all("time_to_first_token" in m for m in good):
        chunks = sum(len(m["inter_chunk_latency"]["value"]) + 1 for m in good)
        tally.check("dynamo: a chunk for every token, at most", requests <= chunks <= sum(used["completion"]),
                    f"{chunks} chunks with text for {sum(used['completion'])} tokens")
    tally.close()


if __name__ == "__main__":
    run(main)
