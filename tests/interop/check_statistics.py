"""check_statistics.py DIR [--prefix P] [--float-epoch]: every number of the summary and timeslice files, recomputed
with numpy from profile_export.jsonl, and every cell of the CSV files against the JSON ones.

--float-epoch: the writer kept epoch nanoseconds in float64 (AIPerf does): instants are then good to 512 ns only, and
gap-based curves carry spurious peaks; our own files are held to 1e-6 relative everywhere.
"""
import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import recompute
import sweepline
from check_records import check_records
from run_files import Run, csv_blocks, metric_blocks
from tally import Tally, relative_difference, run

HEADERS = json.loads((Path(__file__).parent / "metric_headers.json").read_text())
CSV_STATISTICS = ("avg", "min", "max", "sum", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "std")
# What needs more than the records: the schedule of a trace, the probe of the network, the power of GPUs.
OUTSIDE_RECORDS = ("replay_sched_", "nvidia_", "amd_", "spec_decode_", "total_spec_decode_", "total_accepted_draft",
                   "total_draft")
GAP_CURVES = ("effective_decode_throughput", "active_decode_throughput", "effective_decode_throughput_per_user",
              "active_decode_throughput_per_user")


@dataclass
class Tolerance:
    """How far a written number may be from the recomputed one."""

    relative: float = 1e-6
    absolute: float = 1e-9

    def holds(self, written, computed):
        if written is None or not math.isfinite(written):
            return False
        return abs(written - computed) <= self.absolute or relative_difference(written, computed) <= self.relative


class Comparison:
    """Compares one group of metric blocks and remembers the worst difference seen."""

    def __init__(self, blocks, where=""):
        self.blocks = blocks
        self.where = where
        self.faults = []
        self.worst = 0.0
        self.compared = 0
        self.seen = set()

    def block(self, tag, expected, tolerance, exact_keys=True, skip=()):
        written = self.blocks.get(tag)
        self.seen.add(tag)
        if written is None:
            self.faults.append(f"{self.where}{tag} is missing")
            return
        extra = set(written) - set(expected) - {"unit"}
        if exact_keys and extra:
            self.faults.append(f"{self.where}{tag} has unexpected {sorted(extra)}")
        for name, value in expected.items():
            if name in skip:
                continue
            got = written.get(name)
            self.compared += 1
            if not tolerance.holds(got, value):
                self.faults.append(f"{self.where}{tag}.{name} is {got}, recomputed {value}")
            else:
                self.worst = max(self.worst, relative_difference(got, value))

    def summary(self):
        return f"{self.compared} values, worst relative difference {self.worst:.1e}"


def check_block(tally, name, blocks, records, window, float_epoch, *, rtt=None, in_slice=False, everyone=None):
    """One summary block (the phase, the warmup, a slice). `everyone` are the records whose curves cross the window."""
    start, end, rounding = window
    instants = Tolerance(absolute=6e-4) if float_epoch else Tolerance()
    seconds = (end - start) / 1e9
    share = 2 * rounding / max(end - start, 1)  # of the window that the rounding of its ends can hide
    rates = Tolerance(relative=1e-6 + share)
    comparison = Comparison(blocks, name and f"{name} ")

    for tag, expected in recompute.record_distributions(records).items():
        comparison.block(tag, expected, Tolerance())
    if not in_slice:
        for tag, expected in recompute.queue_aware(records).items():
            if tag in blocks or tag not in recompute.OWN:
                comparison.block(tag, expected, instants)
    if rtt is not None:
        for tag, expected in recompute.network_adjusted([r for r in records if "error" not in r], rtt).items():
            comparison.block(tag, expected, Tolerance())
        comparison.seen.add("network_rtt")
    tally.faults(f"{name or 'summary'} distributions", comparison.faults, comparison.summary())

    derived = Comparison(blocks, comparison.where)
    for tag, value in recompute.totals_and_rates(records, seconds).items():
        absent_when_zero = tag in ("error_request_count", "total_error_isl") and value == 0
        if absent_when_zero:
            if tag in blocks:
                derived.faults.append(f"{tag} is written though there is none")
            continue
        duration = tag == "benchmark_duration" and float_epoch
        derived.block(tag, {"avg": value}, Tolerance(absolute=1e-6) if duration else rates)
    failed = [r for r in records if "error" in r]
    if "context_overflow_count" in blocks:
        derived.seen.add("context_overflow_count")
        if not failed or not 0 <= blocks["context_overflow_count"]["avg"] <= len(failed):
            derived.faults.append("context_overflow_count is not among the failures")
    tally.faults(f"{name or 'summary'} totals and rates", derived.faults, derived.summary())

    swept = Comparison(blocks, comparison.where)
    for tag, (curve, scale, mask) in sweepline.curves(everyone or records).items():
        expected = curve.statistics(start, end, scale, mask)
        if float_epoch:
            skip = ("max", "min", "p99") if tag in GAP_CURVES else ()
            swept.block(tag, expected, Tolerance(relative=2e-3), skip=skip)
        else:
            swept.block(tag, expected, Tolerance(relative=1e-6 + share), skip=("std",))
            # how far a standard deviation moves when the window does
            spread = share * (expected["std"] ** 2 + 3 * expected["avg"] ** 2) / max(expected["std"], 1e-12)
            swept.block(tag, {"std": expected["std"]}, Tolerance(absolute=1e-9 + spread), exact_keys=False)
    tally.faults(f"{name or 'summary'} time-weighted metrics", swept.faults, swept.summary())

    known = comparison.seen | derived.seen | swept.seen
    unexplained = [t for t in blocks if t not in known and not t.startswith(OUTSIDE_RECORDS)]
    tally.faults(f"{name or 'summary'} holds nothing else", [f"{t} follows from no record" for t in unexplained],
                 f"{len(known)} metrics")


def check_slices(tally, run, float_epoch):
    records = run.phase("profiling")
    slices = run.slices["timeslices"]
    faults = []
    anchor = min(r["metadata"]["request_start_ns"] for r in records)
    step = max(s["end_ns"] - s["start_ns"] for s in slices)
    last_end = max(r["metadata"]["request_end_ns"] for r in records)
    slack = 512 if float_epoch else 0
    seen = 0
    for number, piece in enumerate(slices):
        start, end = piece["start_ns"], piece["end_ns"]
        offset = (start - anchor) % step
        if min(offset, step - offset) > slack:
            faults.append(f"slice {number} does not start on the grid of the first request")
        partial = end - start < step - slack
        if partial != (piece.get("is_complete") is False):
            faults.append(f"slice {number} of {(end - start) / 1e9} s has is_complete {piece.get('is_complete')}")
        if partial and abs(end - last_end) > slack:
            faults.append(f"slice {number} is cut at {end}, the last request ended at {last_end}")
        members = [r for r in records if start - slack <= r["metadata"]["request_start_ns"] < start + step - slack]
        seen += len(members)
        check_block(tally, f"slice {number}", metric_blocks(piece), members, (start, end, 0), float_epoch,
                    in_slice=True, everyone=records)
    if seen != len(records):
        faults.append(f"slices hold {seen} of {len(records)} records")
    tally.faults("slices: grid and membership", faults, f"{len(slices)} slices of {step / 1e9} s, {seen} records")


def printed_name(tag, unit):
    """First cell of a CSV row; None when the metric is not in AIPerf's table of headers."""
    header = HEADERS.get(tag.removeprefix("adj_"))
    if header is None or tag.startswith("adj_"):
        return None
    return header if unit in ("count", "requests") else f"{header} ({unit})"


def check_csv(tally, run):
    """Rows stand in the order of the tags, so the two files can be read side by side."""
    path = run.path("profile_export_aiperf.csv", ".csv")
    blocks = csv_blocks(path)
    metrics = metric_blocks(run.summary)
    wide = sorted(t for t, m in metrics.items() if "std" in m or "p50" in m or t.startswith("adj_"))
    narrow = sorted(set(metrics) - set(wide))
    faults, cells = [], 0
    if tuple(blocks[0][0]) != ("Metric",) + CSV_STATISTICS:
        faults.append(f"header is {blocks[0][0]}")
    if blocks[1][0] != ["Metric", "Value"]:
        faults.append(f"second header is {blocks[1][0]}")
    for tags, rows, columns in ((wide, blocks[0][1:], CSV_STATISTICS), (narrow, blocks[1][1:], ("avg",))):
        if len(rows) != len(tags):
            faults.append(f"{len(rows)} rows for {len(tags)} metrics: {sorted({r[0] for r in rows})[:3]}")
        for tag, row in zip(tags, rows):
            wanted = printed_name(tag, metrics[tag]["unit"])
            if wanted is not None and row[0] != wanted:
                faults.append(f"{tag} is called '{row[0]}', AIPerf says '{wanted}'")
            for column, cell in zip(columns, row[1:]):
                value = metrics[tag].get(column)
                cells += 1
                if cell != ("" if value is None else f"{value:.2f}"):
                    faults.append(f"{tag}.{column} is '{cell}', JSON has {value}")
    tally.faults("CSV equals JSON", faults, f"{len(wide)} + {len(narrow)} rows, {cells} cells")


def check_slices_csv(tally, run):
    path = run.path("profile_export_aiperf_timeslices.csv", "_timeslices.csv")
    rows = csv_blocks(path)[0]
    faults = []
    if rows[0] != ["Timeslice", "Start_NS", "End_NS", "Metric", "Unit", "Stat", "Value"]:
        faults.append(f"header is {rows[0]}")
    written = {}
    for index, start, end, metric, unit, statistic, value in rows[1:]:
        written[index, start, end, metric, unit, statistic] = value
    for number, piece in enumerate(run.slices["timeslices"]):
        for tag, block in metric_blocks(piece).items():
            header = HEADERS.get(tag)
            if header is None:
                continue
            for statistic, value in block.items():
                key = (str(number), str(piece["start_ns"]), str(piece["end_ns"]), header, block["unit"], statistic)
                if statistic not in ("unit", "count") and written.pop(key, None) != f"{value:.2f}":
                    faults.append(f"slice {number} {tag}.{statistic} differs from JSON's {value}")
    known = set(HEADERS.values())
    faults += [f"row {key} is in no slice" for key in written if key[3] in known and key[5] != "count"]
    tally.faults("slices: CSV equals JSON", faults, f"{len(rows) - 1} rows")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--prefix")
    parser.add_argument("--float-epoch", action="store_true")
    options = parser.parse_args()
    run = Run.load(options.directory, options.prefix)
    tally = Tally()
    check_records(tally, run.records, options.float_epoch)
    profiling = run.phase("profiling")
    rtt = run.summary.get("network_rtt", {}).get("avg")
    check_block(tally, "", metric_blocks(run.summary), profiling, run.window(), options.float_epoch, rtt=rtt)
    if run.phase("warmup"):
        check_block(tally, "warmup", metric_blocks(run.summary.get("warmup_metrics", {})), run.phase("warmup"),
                    run.window("warmup"), options.float_epoch)
    check_csv(tally, run)
    if run.slices:
        check_slices(tally, run, options.float_epoch)
        check_slices_csv(tally, run)
    tally.close()


if __name__ == "__main__":
    run(main)
