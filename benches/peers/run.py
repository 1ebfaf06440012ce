#!/usr/bin/env python3
"""tokmeter beside its peers, against one simulated server: `python3 benches/peers/run.py [--write docs/benchmarks.md]`.

Builds the release binary, runs each client in turn and prints Markdown tables: CPU, memory, start-up, timing error
against the server's own log, delivered load. Rounds are interleaved and medians shown. Start-up is left out of CPU per
request by taking the difference of a long and a short run.
"""
import argparse
import datetime
import json
import platform
import statistics
import sys
import tempfile
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from clients import MODEL, Limit, Wrk, present
from measure import measure
from simulator import ROOT, Simulator, build


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))]


def table(title, head, rows):
    lines = [f"## {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def cost_of_streams(clients, rounds, tokens, concurrency, sizes, scratch):
    """CPU of a request without start-up, and memory of the long run."""
    costs = {client.name: [] for client in clients}
    for round_ in range(rounds):
        for client in clients:
            long, short = sizes[client.python]
            name = scratch / f"{client.name.split()[0]}.{tokens}.{round_}"
            flags = ("--flush", "per-event", "--ttft-ms", 0, "--itl-ms", 0, "--log-without-writes")
            with Simulator("--model", MODEL, *flags, log=f"{name}.sim.jsonl") as sim:
                if isinstance(client, Wrk):
                    whole = measure(client.closed(sim.url, 0, concurrency, tokens, f"{name}.wrk"), memory=True)
                    base, requests = 0.0, None
                else:
                    base = measure(client.closed(sim.url, short, concurrency, tokens, f"{name}.short"),
                                   env=client.environment).cpu
                    whole = measure(client.closed(sim.url, long, concurrency, tokens, f"{name}.long"), memory=True,
                                    env=client.environment)
                    requests = long - short
            requests = requests or len(sim.served())
            costs[client.name].append(((whole.cpu - base) / requests, whole.peak_mib))
    limit = statistics.median(cost for cost, _ in costs[Limit.name]) if Limit.name in costs else None
    rows = []
    for client in clients:
        cpu = statistics.median(cost for cost, _ in costs[client.name])
        peak = statistics.median(peak for _, peak in costs[client.name])
        rows.append([client.name, f"{cpu * 1e3:.3f}", f"{cpu / tokens * 1e6:.1f}",
                     f"{cpu / limit:.2f}" if limit else "", f"{peak:.0f}"])
    return table(f"CPU of streams of {tokens} tokens, concurrency {concurrency}",
                 ["client", "CPU s per 1,000 requests", "CPU s per 1,000,000 tokens", "times the limit", "peak MiB"], rows)


def start_up(clients, rounds):
    rows = []
    for client in clients:
        if client.start:
            walls = [measure(client.start, env=client.environment).wall for _ in range(rounds)]
            rows.append([client.name, f"{statistics.median(walls) * 1e3:.1f}"])
    return table("Start-up", ["client", "wall ms of `--version`"], rows)


def records_by_id(directory):
    lines = (Path(directory) / "profile_export.jsonl").read_text().splitlines()
    return {record["metadata"]["x_request_id"]: record for record in map(json.loads, lines)}


def first_token_error(clients, scratch):
    """Two errors of the first token: of the time to it (measured minus what the server's log says it took, so connecting,
    sending and waiting for a core count), and of its receive stamp alone (minus when the server began to write it)."""
    rows = []
    for concurrency in (1, 64, 512):
        for client in (client for client in clients if client.writes_records):
            requests = max(50, concurrency * 3)
            name = scratch / f"{client.name.split()[0]}.truth.{concurrency}"
            with Simulator("--model", MODEL, "--ttft-ms", 50, "--itl-ms", 5, log=f"{name}.sim.jsonl") as sim:
                measure(client.closed(sim.url, requests, concurrency, 20, name), env=client.environment)
            records, times, stamps = records_by_id(name), [], []
            for entry in sim.served():
                record = records.get(entry["x_request_id"])
                if record is None or "time_to_first_token" not in record["metrics"] or not entry["writes"]:
                    continue
                first = next(start for _, start, _, _, _, tokens, _ in entry["writes"] if tokens)
                measured = record["metrics"]["time_to_first_token"]["value"]
                times.append(measured - (first - entry["body_received_ns"]) / 1e6)
                first_wall = first + entry["body_received_wall_ns"] - entry["body_received_ns"]
                stamps.append((record["metadata"]["request_start_ns"] - first_wall) / 1e6 + measured)
            rows.append([client.name, f"{concurrency}", f"{len(times)}",
                         *(f"{quantile(errors, q):.3f}" for errors in (times, stamps) for q in (0.5, 0.99))])
    return table("Error of the first token (50 ms, then a token each 5 ms)",
                 ["client", "concurrency", "requests", "time to it: p50 ms", "p99 ms", "receive stamp alone: p50 ms",
                  "p99 ms"], rows)


def delivered_load(clients, scratch):
    """Poisson arrivals: what was asked, and what the server's log says came."""
    rows = []
    for rate, requests in ((200, 2000), (1000, 5000)):
        for client in (client for client in clients if client.writes_records):
            name = scratch / f"{client.name.split()[0]}.paced.{rate}"
            with Simulator("--model", MODEL, "--ttft-ms", 10, "--itl-ms", 1, "--log-without-writes",
                           log=f"{name}.sim.jsonl") as sim:
                measure(client.paced(sim.url, requests, rate, 4, name), env=client.environment)
            arrivals = sorted(entry["head_received_ns"] for entry in sim.served())
            gaps = [(b - a) / 1e9 for a, b in zip(arrivals, arrivals[1:])]
            spread = statistics.pstdev(gaps) / statistics.fmean(gaps)
            rows.append([client.name, f"{rate}", f"{len(gaps) / sum(gaps):.1f}", f"{spread:.2f}"])
    return table("Delivered load, Poisson arrivals (a Poisson process has spread 1)",
                 ["client", "asked requests/s", "delivered requests/s", "spread of gaps (deviation / mean)"], rows)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    cores = len([line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("processor")])
    return f"{cores} cores of {model}, Linux {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="clients whose name holds one of these words")
    parser.add_argument("--write", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    build()
    clients = present([word.lower() for word in given.only])
    # Requests of the long and of the short run, for Python's clients and for the others.
    sizes = {True: (1_200, 200), False: (20_000, 500)}
    long_sizes = {True: (800, 200), False: (10_000, 500)}
    told = (f"{datetime.date.today()}, {machine()}; server and client share the cores; medians of {given.rounds} "
            "interleaved rounds. wrk reads answers without looking for events, the limit client only stamps chunks; both "
            "write no records. A client that is not installed has no row. Made by")
    command = f"`python3 {Path(__file__).relative_to(ROOT)} {' '.join(sys.argv[1:])}`"
    parts = ["# Benchmarks\n", f"{textwrap.fill(told, 120)}\n{command}.\n"]
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        for part in (lambda: cost_of_streams(clients, given.rounds, 16, 128, sizes, scratch),
                     lambda: cost_of_streams(clients, given.rounds, 100, 128, long_sizes, scratch),
                     lambda: start_up(clients, given.rounds),
                     lambda: first_token_error(clients, scratch),
                     lambda: delivered_load(clients, scratch)):
            parts.append(part())
            print(parts[-1], flush=True)
    if given.write:
        given.write.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
