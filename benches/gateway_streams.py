#!/usr/bin/env python3
"""Memory of the gateway under many streams at once: `python3 benches/gateway_streams.py [--streams N] [--seconds S]`.

A simulated server streams slowly, `tokmeter profile` keeps N streams open through the gateway, and the gateway's resident
memory is read each second. It is flat when its peak in the second half of the run is at most a tenth above that of the
first half, which begins once all streams are open. Afterwards nothing may be in flight. TOKMETER names the program
(default: the release build).
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = os.environ.get("TOKMETER", str(ROOT / "target/release/tokmeter"))


def server(*flags):
    """A command that serves; its first line ends with its URL."""
    process = subprocess.Popen([PROGRAM, *flags], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().split()[-1]


def memory_mib(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def in_flight(url):
    with urllib.request.urlopen(f"{url}/metrics") as page:
        found = re.findall(r"^gateway_requests_in_flight\{.*\} (\S+)$", page.read().decode(), re.M)
    return sum(map(float, found))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=40)
    wanted = parser.parse_args()
    # An answer takes ten seconds, so that streams overlap and are renewed several times.
    sim, upstream = server("sim", "--port", "0", "--ttft-ms", "200", "--itl-ms", "200", "--log-without-writes")
    gateway, url = server("gateway", "--listen", "127.0.0.1:0", "--upstream", f"sim={upstream}")
    try:
        with tempfile.TemporaryDirectory() as place:
            load = subprocess.Popen(
                [PROGRAM, "profile", "--model", "sim-model", "--url", url, "--streaming", "--ui", "none", "--concurrency",
                 str(wanted.streams), "--benchmark-duration", str(wanted.seconds), "--osl", "50", "--isl", "100",
                 "--no-server-metrics", "--artifact-dir", place],
                stdout=subprocess.DEVNULL)
            while in_flight(url) < wanted.streams * 0.95:
                if load.poll() is not None:
                    sys.exit(f"FAIL streams: the load ended ({load.returncode}) before {wanted.streams} were open")
                time.sleep(0.5)
            samples = []
            while load.poll() is None:
                samples.append((in_flight(url), memory_mib(gateway)))
                time.sleep(1)
            if load.returncode:
                sys.exit(f"FAIL streams: the load failed ({load.returncode})")
        open_at_once = max(count for count, _ in samples)
        # The end of the run, when streams only end, says nothing about growth.
        full = [mib for count, mib in samples if count >= wanted.streams * 0.9]
        middle = len(full) // 2
        first, second = max(full[:middle]), max(full[middle:])
        left = in_flight(url)
        fine = open_at_once >= wanted.streams * 0.95 and second <= first * 1.1 and left == 0
        print(f"{'PASS' if fine else 'FAIL'} streams: {open_at_once:.0f} at once, resident {first:.1f} MiB in the first half, "
              f"{second:.1f} MiB in the second, {first / wanted.streams * 1024:.1f} KiB a stream, {left:.0f} left in flight")
        sys.exit(not fine)
    finally:
        for process in (gateway, sim):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
