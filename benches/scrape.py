#!/usr/bin/env python3
"""What server metrics cost. One command: `python3 benches/scrape.py`, which builds what it needs.

1. Reading a page of 5 000 series (about 500 KB): our parser beside `prometheus_client`'s, in one process each, best of
   many rounds (`cargo bench -p tokmeter-record --bench exposition`). Wanted: at least 100 times faster.
2. The collector as users run it, `tokmeter scrape` at 3 Hz on a page of 100 KB of which every counter and histogram
   moves from one scrape to the next: CPU seconds (user and system, by the operating system's accounting) for each
   second of collection, start-up taken off by the difference of a long and a short run. Wanted: under 1 % of a core.
"""
import argparse
import os
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def readers_python():
    return subprocess.run([ROOT / "tests/interop/venv.sh", "readers"], check=True, capture_output=True, text=True).stdout.strip()


def parsers():
    environment = os.environ | {"PYTHON": readers_python()}
    command = ["cargo", "bench", "--quiet", "--package", "tokmeter-record", "--bench", "exposition"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def page(scrape):
    """About 100 KB, like an engine's: histograms of 20 buckets, counters, gauges."""
    lines = []
    for family in range(24):
        name = f"engine:stage_{family}_seconds"
        lines += [f"# HELP {name} Time spent in stage {family} in seconds.", f"# TYPE {name} histogram"]
        for engine in range(2):
            labels = f'engine="{engine}",model_name="org/some-model-7b"'
            lines += [f'{name}_bucket{{{labels},le="{edge}.5"}} {scrape * (edge + 1) + family}.0' for edge in range(20)]
            lines += [f'{name}_bucket{{{labels},le="+Inf"}} {scrape * 21 + family}.0',
                      f"{name}_sum{{{labels}}} {scrape * 97}.125", f"{name}_count{{{labels}}} {scrape * 21 + family}.0"]
    for family in range(60):
        kind, suffix = ("counter", "_total") if family % 2 else ("gauge", "")
        name = f"engine:thing_{family}{suffix}"
        lines += [f"# HELP {name} Things of kind {family}.", f"# TYPE {name} {kind}"]
        lines += [f'{name}{{engine="{n}",model_name="org/some-model-7b"}} {scrape + n}.0' for n in range(4)]
    return ("\n".join(lines) + "\n").encode()


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    reads = 0

    def head(self):
        Page.reads += 1
        body = page(Page.reads)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return body

    def do_HEAD(self):
        self.head()

    def do_GET(self):
        self.wfile.write(self.head())

    def log_message(self, *_):
        pass


def cpu_seconds(binary, url, seconds, directory):
    begin = Page.reads
    command = [binary, "scrape", url, "--duration", f"{seconds}s", "--artifact-dir", directory, "--format", "json"]
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            output.seek(0)
            raise SystemExit(f"scrape failed: {output.read().decode()[-800:]}")
    return usage.ru_utime + usage.ru_stime, Page.reads - begin


def collection(binary, rounds):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/metrics"
    short, long = 2, 22
    shares, scrapes = [], []
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(rounds):
            (cpu_short, reads_short), (cpu_long, reads_long) = (cpu_seconds(binary, url, s, directory) for s in (short, long))
            shares.append((cpu_long - cpu_short) / (long - short))
            scrapes.append((reads_long - reads_short) / (long - short))
    server.shutdown()
    share = sorted(shares)[len(shares) // 2]
    print(f"\ncollection: page of {len(page(1)) / 1000:.0f} kB, {sum(scrapes) / len(scrapes):.2f} scrapes a second, files included")
    print(f"  {share * 100:.3f} % of a core (median of {rounds}; wanted: under 1 %)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, help="a tokmeter program instead of a release build of this tree")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("parsers", "collection"))
    options = parser.parse_args()
    if options.only != "collection":
        parsers()
    if options.only != "parsers":
        if options.binary is None:
            subprocess.run(["cargo", "build", "--release", "--quiet", "--package", "tokmeter"], cwd=ROOT, check=True)
        collection(options.binary or ROOT / "target/release/tokmeter", options.rounds)


if __name__ == "__main__":
    main()
