#!/usr/bin/env python3
"""What tokmeter costs, beside the limit: a minimal hyper client that only stamps chunks.

Same simulated server, rounds in turn, medians. One command: `python3 benches/cost.py [--rounds N] [--long]`.
It builds what it needs. oha, when it is on the PATH, is a further row. CPU seconds are the operating system's
accounting of the finished process (user and system), start-up included unless the column says otherwise.
"""
import argparse, os, shutil, statistics, subprocess, tempfile, time

from simulator import RELEASE, Simulator, build


def measure(command):
    """CPU seconds, wall seconds and peak MiB of one run of a command, which must succeed."""
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begin
        if status:
            output.seek(0)
            raise SystemExit(f"{command[0]} failed: {output.read().decode()[-800:]}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def profile(url, directory, concurrency, requests, tokens, *flags):
    return [RELEASE / "tokmeter", "profile", "-m", "m", "-u", url, "--streaming", "--isl", "64", "--osl", tokens,
            "--concurrency", concurrency, "--request-count", requests, "--num-dataset-entries", "100", "--ui", "none",
            "--no-server-metrics", "--no-gpu-telemetry", "--artifact-dir", directory, *flags]


def table(title, rows):
    print(f"\n{title}\n{'client':<34}{'CPU us/request':>16}{'ratio':>8}{'peak MiB':>10}{'wall s':>8}")
    base = None
    for name, requests, runs in rows:
        cpu, wall, peak = (statistics.median(run[i] for run in runs) for i in range(3))
        each = cpu / requests * 1e6
        base = base or each
        print(f"{name:<34}{each:>16.1f}{each / base:>8.2f}{peak:>10.1f}{wall:>8.2f}")


def short_streams(rounds, directory, flush):
    """`per-event`: the server writes each token by itself. `coalesce`: a whole answer in one write, one read."""
    requests, tokens, concurrency = 20_000, 16, 128
    with Simulator("--log-without-writes", "--ttft-ms", "0", "--itl-ms", "0", "--flush", flush) as sim:
        address = sim.url.removeprefix("http://")
        rows = [("limit client", [RELEASE / "examples/limit", address, concurrency, requests, tokens]),
                ("tokmeter, all defaults", profile(sim.url, directory, concurrency, requests, tokens)),
                ("tokmeter, --export-level summary",
                 profile(sim.url, directory, concurrency, requests, tokens, "--export-level", "summary"))]
        if shutil.which("oha"):
            body = '{"messages":[{"role":"user","content":"word"}],"model":"m","stream":true,"max_completion_tokens":16}'
            rows.append(("oha", ["oha", "--no-tui", "-n", requests, "-c", concurrency, "-m", "POST", "-T",
                                 "application/json", "-d", body, sim.url + "/v1/chat/completions"]))
        results = {name: [] for name, _ in rows}
        for _ in range(rounds):
            for name, command in rows:
                results[name].append(measure(command))
    table(f"{tokens}-token streams, no delay, {flush} writes, concurrency {concurrency}, {requests} requests, median of {rounds}",
          [(name, requests, results[name]) for name, _ in rows])


def start_up(rounds, directory):
    with Simulator("--log-without-writes", "--ttft-ms", "0", "--itl-ms", "0") as sim:
        help_runs = [measure([RELEASE / "tokmeter", "--help"]) for _ in range(rounds)]
        one = [measure(profile(sim.url, directory, 1, 1, 4)) for _ in range(rounds)]
    size = (RELEASE / "tokmeter").stat().st_size / 2**20
    print(f"\nstart-up: --help {statistics.median(r[0] for r in help_runs) * 1e3:.1f} ms CPU, one request "
          f"{statistics.median(r[0] for r in one) * 1e3:.1f} ms CPU; binary {size:.1f} MiB")


def many_requests(directory):
    requests, tokens = 100_000, 100
    with Simulator("--log-without-writes", "--ttft-ms", "0", "--itl-ms", "0", "--flush", "coalesce") as sim:
        cpu, wall, peak = measure(profile(sim.url, directory, 128, requests, tokens))
    print(f"\n{requests} requests of {tokens} tokens: peak {peak:.0f} MiB, {cpu:.1f} s CPU "
          f"({cpu / requests / tokens * 1e6:.2f} s per million tokens), {wall:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", action="store_true", help="also 100,000 requests of 100 tokens")
    given = parser.parse_args()
    build()
    with tempfile.TemporaryDirectory() as directory:
        start_up(given.rounds, directory)
        for flush in ("per-event", "coalesce"):
            short_streams(given.rounds, directory, flush)
        if given.long:
            many_requests(directory)


if __name__ == "__main__":
    main()
