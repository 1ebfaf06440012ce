"""test_checkers.py: do the checkers notice? Each one must pass on the two runs that AIPerf itself wrote
(tests/fixtures/aiperf-run-*) and must fail, with the right line, on copies of them broken in one place.

Runs in the readers environment; AIPERF_PYTHON names the python of the aiperf environment.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pyarrow.parquet

from run_files import read_jsonl
from tally import Tally, run

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
RECORDS, SUMMARY = "profile_export.jsonl", "profile_export_aiperf.json"
SLICES = "profile_export_aiperf_timeslices.json"
SERVER = "server_metrics_export"


def edit_json(name, change):
    """Break a JSON file of a run directory."""
    def apply(folder):
        path = folder / name
        value = json.loads(path.read_text(encoding="utf-8"))
        change(value)
        path.write_text(json.dumps(value, indent=2), encoding="utf-8")
    return apply


def edit_lines(name, change):
    """Break a JSONL file: `change` gets the list of its objects."""
    def apply(folder):
        path = folder / name
        lines = read_jsonl(path)
        change(lines)
        path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines), encoding="utf-8")
    return apply


def edit_text(name, pattern, replacement):
    def apply(folder):
        path = folder / name
        text, count = re.subn(pattern, replacement, path.read_bytes().decode(), count=1)
        assert count == 1, f"{pattern} is not in {name}"
        path.write_bytes(text.encode())
    return apply


def scale(*keys, by=1.001):
    """Multiply the number at a path of keys."""
    def change(value):
        for key in keys[:-1]:
            value = value[key]
        assert value[keys[-1]] != 0
        value[keys[-1]] *= by
    return change


def put(*keys, value):
    def change(target):
        for key in keys[:-1]:
            target = target[key]
        target[keys[-1]] = value
    return change


def drop(*keys):
    def change(target):
        for key in keys[:-1]:
            target = target[key]
        del target[keys[-1]]
    return change


def edit_parquet(change):
    def apply(folder):
        path = folder / f"{SERVER}.parquet"
        table = pyarrow.parquet.read_table(path)
        pyarrow.parquet.write_table(change(table), path)
    return apply


def without_last_counter_rows(table):
    counters = [i for i, (name, kind) in enumerate(zip(table["metric_name"].to_pylist(), table["metric_type"].to_pylist()))
                if kind == "counter" and name == "vllm:generation_tokens"]
    doubled = [v if i != counters[-1] else v + 1 for i, v in enumerate(table["value"].to_pylist())]
    return table.set_column(table.schema.get_field_index("value"), "value", pyarrow.array(doubled, pyarrow.float64()))


def sample_sd(summary):
    block = summary["request_latency"]
    block["std"] *= (block["count"] / (block["count"] - 1)) ** 0.5


def by_duration(summary):
    summary["request_throughput"]["avg"] = summary["request_count"]["avg"] / summary["benchmark_duration"]["avg"]


def no_last_scrapes(lines):
    del lines[-8:]


# checker, arguments, run, what is broken, words of the FAIL line (None: must pass), how
CASES = [
    ("check_models.py", (), "streaming", "nothing", None, None),
    ("check_models.py", (), "errors", "nothing", None, None),
    ("check_models.py", (), "streaming", "a record without request_start_ns", "request_start_ns",
     edit_lines(RECORDS, drop(3, "metadata", "request_start_ns"))),
    ("check_models.py", (), "errors", "metrics null on a failure", "metrics",
     edit_lines(RECORDS, lambda lines: [line.update(metrics=None) for line in lines if "error" in line])),
    ("check_models.py", (), "streaming", "a key of our own in input_config", "input_config",
     edit_json(SUMMARY, put("input_config", "tokmeter", value={"shards": 2}))),
    ("check_models.py", (), "streaming", "request_latency renamed", "request_latency",
     edit_json(SUMMARY, lambda s: s.update(latency=s.pop("request_latency")))),
    ("check_schemas.py", (), "streaming", "nothing", None, None),
    ("check_schemas.py", (), "errors", "nothing", None, None),
    ("check_schemas.py", (), "streaming", "a float where an integer belongs", "turn_index",
     edit_lines(RECORDS, put(0, "metadata", "turn_index", value=0.5))),
    ("check_schemas.py", (), "streaming", "a null", "is null",
     edit_lines(RECORDS, put(0, "metadata", "cancellation_time_ns", value=None))),
    ("check_schemas.py", (), "streaming", "NaN", "NaN",
     edit_json(SUMMARY, put("request_latency", "p99", value=float("nan")))),
    ("check_schemas.py", (), "streaming", "a scrape without timestamp", "timestamp_ns",
     edit_lines(f"{SERVER}.jsonl", drop(2, "timestamp_ns"))),
    ("check_statistics.py", ("--float-epoch",), "streaming", "nothing", None, None),
    ("check_statistics.py", ("--float-epoch",), "errors", "nothing", None, None),
    ("check_statistics.py", (), "streaming", "instants of float64 under our own tolerance", "credit_to_start_latency", None),
    ("check_statistics.py", ("--float-epoch",), "streaming", "a percentile off by 2e-6", "time_to_first_token.p99",
     edit_json(SUMMARY, scale("time_to_first_token", "p99", by=1 + 2e-6))),
    ("check_statistics.py", ("--float-epoch",), "streaming", "std with n - 1", "request_latency.std",
     edit_json(SUMMARY, sample_sd)),
    ("check_statistics.py", ("--float-epoch",), "streaming", "throughput over benchmark_duration", "request_throughput",
     edit_json(SUMMARY, by_duration)),
    ("check_statistics.py", ("--float-epoch",), "streaming", "a metric that follows from nothing", "nothing else",
     edit_json(SUMMARY, put("made_up", value={"unit": "ms", "avg": 1.0}))),
    ("check_statistics.py", ("--float-epoch",), "streaming", "a metric left out", "inter_chunk_latency is missing",
     edit_json(SUMMARY, drop("inter_chunk_latency"))),
    ("check_statistics.py", ("--float-epoch",), "streaming", "effective concurrency", "effective_concurrency.avg",
     edit_json(SUMMARY, scale("effective_concurrency", "avg", by=1.01))),
    ("check_statistics.py", ("--float-epoch",), "errors", "an adjusted percentile", "adj_request_latency.p10",
     edit_json(SUMMARY, scale("adj_request_latency", "p10"))),
    ("check_statistics.py", ("--float-epoch",), "errors", "a failed record lost", "error_request_count",
     edit_lines(RECORDS, lambda lines: lines.remove(next(line for line in lines if "error" in line)))),
    ("check_statistics.py", ("--float-epoch",), "streaming", "a CSV cell", "CSV equals JSON",
     edit_text("profile_export_aiperf.csv", r"Decode Duration \(ms\),168\.19", "Decode Duration (ms),168.18")),
    ("check_statistics.py", ("--float-epoch",), "streaming", "a CSV header", "CSV equals JSON",
     edit_text("profile_export_aiperf.csv", r"Tokens In Flight", "Tokens in flight")),
    ("check_statistics.py", ("--float-epoch",), "streaming", "a slice's rate", "slice 0 request_throughput",
     edit_json(SLICES, scale("timeslices", 0, "request_throughput", "avg"))),
    ("check_statistics.py", ("--float-epoch",), "streaming", "a slice off the grid", "grid",
     edit_json(SLICES, put("timeslices", 1, "start_ns", value=1795322202809871008))),
    ("check_statistics.py", ("--float-epoch",), "streaming", "phases that do not add up", "http_req_total",
     edit_lines(RECORDS, scale(5, "metrics", "http_req_waiting", "value"))),
    ("check_statistics.py", ("--float-epoch",), "streaming", "chunks that lack one", "response_chunks",
     edit_lines(RECORDS, put(5, "trace_data", "response_chunks", value=[[1795322201000000000, 10]]))),
    ("check_server_metrics.py", ("--boundary-scrape",), "streaming", "nothing", None, None),
    ("check_server_metrics.py", ("--boundary-scrape",), "errors", "nothing", None, None),
    ("check_server_metrics.py", ("--boundary-scrape",), "errors", "a total", "total",
     edit_json(f"{SERVER}.json", scale("metrics", "vllm:generation_tokens", "series", 0, "stats", "total"))),
    ("check_server_metrics.py", ("--boundary-scrape",), "errors", "a bucket", "buckets",
     edit_json(f"{SERVER}.json", put("metrics", "vllm:e2e_request_latency_seconds", "series", 0, "buckets", "+Inf", value=8))),
    ("check_server_metrics.py", ("--boundary-scrape",), "errors", "a rate over another time", "not 2.7",
     edit_json(f"{SERVER}.json", scale("metrics", "vllm:prompt_tokens", "series", 0, "stats", "rate"))),
    ("check_server_metrics.py", ("--boundary-scrape",), "errors", "a gauge's p90", "follow from no selection",
     edit_json(f"{SERVER}.json", scale("metrics", "mock_bytes_used_bytes", "series", 0, "stats", "p90"))),
    ("check_server_metrics.py", ("--boundary-scrape",), "errors", "a CSV cell", "CSV equals JSON",
     edit_text(f"{SERVER}.csv", r",108\.0000,", ",108.0001,")),
    ("check_server_metrics.py", ("--boundary-scrape",), "errors", "a Parquet row", "vllm:generation_tokens",
     edit_parquet(without_last_counter_rows)),
    ("check_server_metrics.py", ("--boundary-scrape",), "errors", "a Parquet column", "columns are",
     edit_parquet(lambda table: table.drop_columns(["bucket_le"]))),
    ("check_server_metrics.py", ("--boundary-scrape",), "errors", "the last scrapes lost", "scrapes give",
     edit_lines(f"{SERVER}.jsonl", no_last_scrapes)),
    ("check_snippets.py", ("--commented-csv",), "errors", "nothing", None, None),
    ("check_snippets.py", (), "errors", "comment lines in the CSV", "python, csv", None),
    ("check_snippets.py", ("--commented-csv",), "errors", "no latency histogram", "jq",
     edit_json(f"{SERVER}.json", drop("metrics", "vllm:e2e_request_latency_seconds"))),
]


@dataclass
class Made:
    """A simulator's log made to agree with the records of a run, for check_truth.py."""

    change: Callable | None

    def __call__(self, folder):
        served = []
        for record in read_jsonl(folder / RECORDS):
            metadata, metrics = record["metadata"], record["metrics"]
            wall = 10**18  # the wall clock is ahead of the made monotonic one by this much
            received = metadata["request_start_ns"] - wall + 50_000
            instants = [metadata["request_start_ns"] - wall + round(metrics["time_to_first_token"]["value"] * 1e6) - 80_000]
            for gap in metrics["inter_chunk_latency"]["value"]:
                instants.append(instants[-1] + round(gap * 1e6))
            served.append({
                "x_request_id": metadata["x_request_id"], "x_correlation_id": metadata["x_correlation_id"],
                "body_received_ns": received, "outcome": "completed", "fault": None,
                "sent_tokens": metrics["usage_completion_tokens"]["value"],
                "writes": [[t, t, t + 20_000, t + 20_000 + wall, 100, 1, 1] for t in instants]})
        if self.change:
            self.change(served)
        (folder / "sim.jsonl").write_text("".join(json.dumps(line) + "\n" for line in served))


def late_writes(served):
    for row in served[4]["writes"]:
        row[1:4] = [t + 10**9 for t in row[1:4]]


TRUTH_CASES = [
    ("nothing", None, None),
    ("a served request without record", "has no record", lambda served: served.append(served[0] | {"x_request_id": "lost"})),
    ("a record of a request never served", "never served", lambda served: served.pop(7)),
    ("a request served twice", "served 2 times", lambda served: served.append(served[0])),
    ("a token more", "tokens", lambda served: served[2].update(sent_tokens=25)),
    ("a chunk not seen", "chunks seen", lambda served: served[3]["writes"].append(served[3]["writes"][-1])),
    ("tokens seen before they were written", "before it happened", late_writes),
    ("a fault recorded as success", "the server says", lambda served: served[1].update(outcome="fault", fault="reset")),
]

# What tokmeter adds to the summary, which AIPerf's own fixtures lack.
COUNTS = edit_json(SUMMARY, put("tokmeter", value={"requests": {"sent": 24, "succeeded": 6, "failed": 18}}))
FAULTY_CASES = [
    ("nothing", None, None),
    ("a success counted as a failure", "the summary adds up", edit_json(SUMMARY, scale("tokmeter", "requests", "failed", by=2))),
    ("an error left out of the table", "the error table adds up", edit_json(SUMMARY, lambda s: s["error_summary"].pop())),
    ("a failed record lost", "duckdb: profile_export.jsonl",
     edit_lines(RECORDS, lambda lines: lines.remove(next(line for line in lines if "error" in line)))),
    ("an error turned into a success", "pandas: profile_export.jsonl",
     edit_lines(RECORDS, lambda lines: next(line for line in lines if "error" in line).pop("error"))),
]


def judged(word, bar_ms):
    """A summary with this verdict and error bar."""
    return edit_json(SUMMARY, put("tokmeter", value={"verdict": {"verdict": word, "reasons": [], "error_bar_ms": bar_ms}}))


# The made log is 0.08 ms behind the records, of which sending took 0.05 ms: the true error is 0.13 ms.
VERDICT_CASES = [
    ("nothing, free", "free", None, judged("valid", 1.0)),
    ("nothing, starved", "starved", None, judged("client-bound", 1.0)),
    ("a free client that is called client-bound", "free", "is called valid", judged("client-bound", 1.0)),
    ("a starved client that is called valid", "starved", "is called client-bound", judged("valid", 1.0)),
    ("an error bar under the error", "starved", "covers the true error", judged("client-bound", 0.1)),
]

# A parser that is right because it is prometheus_client itself, and ways to be wrong.
STAND_IN = '''#!{python}
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic
text = open(sys.argv[sys.argv.index("--page") + 1], encoding="utf-8").read()
parse = openmetrics if text.endswith("# EOF\\n") else classic
families = [{{"name": f.name, "type": f.type, "help": f.documentation, "unit": f.unit, "samples": [
    {{"name": s.name, "labels": s.labels, "value": repr(s.value)}} | ({{}} if s.timestamp is None else {{"timestamp": float(s.timestamp)}})
    for s in f.samples]}} for f in parse(text)]
{fault}
print(json.dumps({{"families": families, "problems": []}}))
'''
PARSER_CASES = [
    ("nothing", None, ""),
    ("a sample lost", "missing", "families[-1]['samples'].pop() if families[-1]['samples'] else families[0]['samples'].pop()"),
    ("labels not unescaped", "missing",
     "[s['labels'].update({k: v.replace('\\\\', '\\\\\\\\') for k, v in s['labels'].items()}) for f in families for s in f['samples']]"),
    ("types forgotten", "invented", "[f.update(type='gauge') for f in families]"),
    ("timestamps forgotten", "missing", "[s.pop('timestamp', 0) for f in families for s in f['samples']]"),
]


def execute(command, environment=None):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | (environment or {}))
    fails = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    return done, fails


def verdict(done, fails, words):
    """(as wanted, what was said)"""
    if words is None:
        passed = done.returncode == 0 and not fails
        return passed, "" if passed else "; ".join(fails)[:300] or done.stderr[-300:]
    noticed = done.returncode != 0 and any(words in line for line in fails)
    return noticed, "" if noticed else f"exit {done.returncode}, {fails or done.stderr[-200:]}"


def file_case(case):
    checker, arguments, fixture, what, words, change = case
    python = os.environ.get("AIPERF_PYTHON", sys.executable) if checker == "check_models.py" else sys.executable
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        shutil.copytree(FIXTURES / f"aiperf-run-{fixture}", folder)
        if change:
            change(folder)
        done, fails = execute([python, str(HERE / checker), str(folder), *arguments])
    return f"{checker} on {fixture}, broken: {what}", *verdict(done, fails, words)


def truth_case(case):
    what, words, change = case
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        shutil.copytree(FIXTURES / "aiperf-run-streaming", folder)
        Made(change)(folder)
        done, fails = execute([sys.executable, str(HERE / "check_truth.py"), str(folder / "sim.jsonl"), str(folder)])
    return f"check_truth.py, broken: {what}", *verdict(done, fails, words)


def faulty_case(case):
    what, words, change = case
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        shutil.copytree(FIXTURES / "aiperf-run-errors", folder)
        COUNTS(folder)
        if change:
            change(folder)
        done, fails = execute([sys.executable, str(HERE / "check_faulty.py"), str(folder)])
    return f"check_faulty.py, broken: {what}", *verdict(done, fails, words)


def verdict_case(case):
    what, kind, words, change = case
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        shutil.copytree(FIXTURES / "aiperf-run-streaming", folder)
        Made(None)(folder)
        change(folder)
        done, fails = execute([sys.executable, str(HERE / "check_verdict.py"), kind, str(folder / "sim.jsonl"), str(folder)])
    return f"check_verdict.py, broken: {what}", *verdict(done, fails, words)


def parser_case(case):
    what, words, fault = case
    with tempfile.TemporaryDirectory() as name:
        stand_in = Path(name) / "tokmeter"
        stand_in.write_text(STAND_IN.format(python=sys.executable, fault=fault))
        stand_in.chmod(0o755)
        done, fails = execute([sys.executable, str(HERE / "check_prometheus_parser.py"), "--pages", "12"], {"TOKMETER": str(stand_in)})
    return f"check_prometheus_parser.py, broken: {what}", *verdict(done, fails, words)


def main():
    tally = Tally()
    kinds = [(file_case, CASES), (truth_case, TRUTH_CASES), (faulty_case, FAULTY_CASES), (verdict_case, VERDICT_CASES),
             (parser_case, PARSER_CASES)]
    jobs = [(play, case) for play, cases in kinds for case in cases]
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, ok, said in pool.map(lambda job: job[0](job[1]), jobs):
            tally.check(name, ok, said)
    tally.close()


if __name__ == "__main__":
    run(main)
