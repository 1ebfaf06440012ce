#!/usr/bin/env python3
"""What `merge` costs: 10 ranks of 100,000 made-up records each (about 2 KB a line), beside serde_json reading the same lines
into the same type on one core (example `parse_only`). Wanted: under twice the time. Prints seconds, CPU seconds and peak
memory of both, the best of several rounds in turns, and the ratio.

    cargo build --release -p tokmeter -p tokmeter-record --bin tokmeter --example parse_only --example make_records
    python3 benches/merge.py [--ranks 10] [--records 100000] [--rounds 2]
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RELEASE = Path(__file__).resolve().parent.parent / "target/release"


def measure(command):
    """Wall time, CPU time (s) and peak memory (MB) of a command."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed")
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def rank(folder, number, ranks, records):
    """One rank's directory: its records, and the facts by which merge knows it."""
    folder.mkdir()
    path = folder / "profile_export.jsonl"
    with path.open("wb") as file:
        maker = [RELEASE / "examples/make_records", str(records), "1", str(number + 1)]
        subprocess.run(maker, stdout=file, check=True)
    anchor = {"mono_ns": 1, "wall_ns": 1, "uncertainty_ns": 0}
    facts = {"rank": number, "ranks": ranks, "source": "--shard", "run_id": "bench", "random_seed": 1, "start": {},
             "clock": {"anchor": anchor}}
    summary = {"schema_version": "1.4", "error_summary": [], "tokmeter": {"ranks": facts}}
    (folder / "profile_export_aiperf.json").write_text(json.dumps(summary))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--ranks", type=int, default=10)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="merge-") as scratch:
        run = Path(scratch) / "run"
        run.mkdir()
        paths = [rank(run / f"rank-{number}", number, given.ranks, given.records) for number in range(given.ranks)]
        size = sum(path.stat().st_size for path in paths) / 1e6
        print(f"{given.ranks} x {given.records} records, {size:.0f} MB, {os.cpu_count()} cores")
        reading, merging = [], []
        for _ in range(given.rounds):
            parts = [measure([RELEASE / "examples/parse_only", "record", path]) for path in paths]
            reading.append((sum(p[0] for p in parts), sum(p[1] for p in parts), max(p[2] for p in parts)))
            merging.append(measure([RELEASE / "tokmeter", "merge", run]))
            (run / "profile_export.jsonl").unlink()  # as long as all parts together
        print(f"{'':18}{'s':>8}{'CPU s':>8}{'peak MB':>9}")
        best = {}
        for name, rounds in (("reading the lines", reading), ("tokmeter merge", merging)):
            best[name] = tuple(min(column) for column in zip(*rounds))
            print(f"{name:18}{best[name][0]:8.2f}{best[name][1]:8.2f}{best[name][2]:9.0f}")
        wall, cpu = (best["tokmeter merge"][i] / best["reading the lines"][i] for i in (0, 1))
        print(f"ratio: {wall:.2f} of wall time, {cpu:.2f} of CPU time (wanted: under 2)")
        sys.exit(wall >= 2)


if __name__ == "__main__":
    main()
