"""analyze.py RECORDS [TOKMETER]: `tokmeter analyze` beside serde_json reading the same lines on one core, and beside a
script with orjson and numpy that computes the same figures (analyze_peer.py; benches/requirements.txt). Prints a table:
seconds, MB/s, CPU seconds (which a busy machine does not change much), peak memory.

The file is made by `cargo run --release -p tokmeter-record --example make_records -- 1000000 > RECORDS`; the limit is the
example `parse_only`, in the modes `value` (serde_json::Value) and `skip` (syntax only).
"""
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "target" / "release" / "examples"


def measure(command):
    """Best wall time and CPU time of three, and peak resident memory in MB."""
    best, cpu, peak = float("inf"), float("inf"), 0
    for _ in range(3):
        begin = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"{command[0]} failed")
        best, peak = min(best, time.monotonic() - begin), max(peak, usage.ru_maxrss / 1024)
        cpu = min(cpu, usage.ru_utime + usage.ru_stime)
    return best, cpu, peak


def main():
    records = sys.argv[1]
    tokmeter = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "target" / "release" / "tokmeter")
    size = os.path.getsize(records) / 1e6
    print(f"{records}: {size:.0f} MB, {os.cpu_count()} cores")
    rows = [
        ("tokmeter analyze", [tokmeter, "analyze", records, "--json"]),
        ("serde_json, Value", [str(EXAMPLES / "parse_only"), "value", records]),
        ("serde_json, skip", [str(EXAMPLES / "parse_only"), "skip", records]),
        ("orjson + numpy", [sys.executable, str(ROOT / "benches" / "analyze_peer.py"), records]),
    ]
    print(f"{'':20}{'s':>8}{'MB/s':>8}{'CPU s':>8}{'peak MB':>9}")
    for name, command in rows:
        seconds, cpu, peak = measure(command)
        print(f"{name:20}{seconds:8.2f}{size / seconds:8.0f}{cpu:8.2f}{peak:9.0f}", flush=True)


if __name__ == "__main__":
    main()
