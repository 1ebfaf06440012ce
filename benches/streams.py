#!/usr/bin/env python3
"""How many slow streams can one machine hold and still time truly? `python3 benches/streams.py [--streams 10000]`.

Every stream gets 2 tokens a second from the simulated server, which shares the cores and logs each write. Judged are the
chunks that came alone in their read: measured minus true inter-chunk latency must be within 1 ms at p99, every token seen,
memory under 1 GB. After the asked number the bench doubles it until that no longer holds or ports run out, and prints
the largest number that did. It builds what it needs; exit 1 when the asked number fails.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from simulator import RELEASE, Simulator, build

ITL_MS, TOKENS, RAMP_SECONDS = 500, 20, 5
MOST_ERROR_MS, MOST_MIB = 1.0, 1000.0
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def gaps_alone(measured, sent):
    """Error in ms of each gap between two chunks that both came in a read of their own."""
    for i, gap in enumerate(measured):
        follows = measured[i + 1] if i + 1 < len(measured) else 1.0
        before = measured[i - 1] if i else 1.0
        if gap and follows and before:
            yield gap - (sent[i + 1] - sent[i]) / 1e6


def hold(streams, directory):
    """One run: (most streams open at once, 0 when it does not hold; line)."""
    log, artifacts = directory / "sim.jsonl", directory / "run"
    with Simulator("--ttft-ms", ITL_MS, "--itl-ms", ITL_MS, log=log) as sim:
        command = [RELEASE / "tokmeter", "profile", "-m", "m", "-u", sim.url, "--streaming", "--isl", 16, "--osl", TOKENS,
                   "--concurrency", streams, "--concurrency-ramp-duration", RAMP_SECONDS, "--request-count", streams,
                   "--num-dataset-entries", 100, "--ui", "none", "--no-server-metrics", "--no-gpu-telemetry",
                   "--artifact-dir", artifacts]
        with open(directory / "output", "w+") as output:
            child = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output)
            _, status, usage = os.wait4(child.pid, 0)
            if status:
                output.seek(0)
                return 0, f"{streams} streams: profile failed: {output.read()[-600:]}"
    served = {entry["x_request_id"]: entry for entry in map(json.loads, log.open())}
    errors, lost, most_open = [], 0, 0
    edges = []
    for record in map(json.loads, (artifacts / "profile_export.jsonl").open()):
        entry = served.pop(record["metadata"]["x_request_id"])
        sent = [start for _, start, _, _, _, tokens, _ in entry["writes"] if tokens]
        measured = record["metrics"].get("inter_chunk_latency", {"value": []})["value"]
        lost += abs(len(sent) - 1 - len(measured)) + ("error" in record)
        if len(sent) - 1 == len(measured):
            errors += gaps_alone(measured, sent)
        edges += [(sent[0], 1), (sent[-1], -1)]
    open_now = 0
    for _, step in sorted(edges):
        open_now += step
        most_open = max(most_open, open_now)
    errors = sorted(map(abs, errors))
    p50, p99 = (errors[int(len(errors) * q)] if errors else float("inf") for q in (0.5, 0.99))
    peak = usage.ru_maxrss / 1024
    fits = not lost and not served and p99 < MOST_ERROR_MS and peak < MOST_MIB
    share = len(errors) / (streams * (TOKENS - 1))
    return most_open if fits else 0, (f"{streams} streams ({most_open} open at once), {streams * TOKENS} tokens, {lost + len(served)} lost; "
                  f"inter-chunk error p50 {p50 * 1e3:.0f} us, p99 {p99 * 1e3:.0f} us over the {share:.1%} alone in their "
                  f"read; peak {peak:.0f} MiB, {usage.ru_utime + usage.ru_stime:.1f} s CPU")


def most_connections():
    """How many this machine lets one process open to one address; raises the limit on open files as far as it can."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        most = int(Path("/proc/sys/fs/nr_open").read_text())
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        hard = most
    except (OSError, ValueError):  # not root
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    low, high = map(int, EPHEMERAL.read_text().split())
    # Some are left to others and to what the processes open beside.
    return min(high - low, hard) - 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--once", action="store_true", help="only the asked number")
    given = parser.parse_args()
    build()
    most, largest, streams = most_connections(), 0, given.streams
    while streams <= most:
        with tempfile.TemporaryDirectory() as directory:
            held, line = hold(streams, Path(directory))
        print(("ok      " if held else "too many") + "  " + line, flush=True)
        if not held:
            break
        largest = held
        if given.once or streams == most:
            break
        streams = min(streams * 2, most)
    print(f"largest number that held at once: {largest} (ports and open files of this machine allow {most})")
    sys.exit(largest < given.streams)


if __name__ == "__main__":
    main()
