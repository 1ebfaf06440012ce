#!/usr/bin/env python3
"""Does a long run stay small? 1,000 requests/s against the simulated server, one in a hundred fails.

One command: `python3 benches/soak.py [--minutes 30] [--rate 1000]`. It builds what it needs, samples memory, open files
and file sizes of the client each second, and prints figures and a verdict (exit 1 when it is `FAILED`). The run lasts as
long as asked and at least one minute is needed for a slope. `--binary` takes a program that is built already.
"""
import argparse, json, os, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ["status:500@0.004", "reset-mid-stream:2@0.003", "truncate:3@0.003"]

# What the verdict asks.
MOST_MIB = 1024  # resident memory, ever
MOST_SLOPE = 10.0  # MiB a minute over the second half, beside the figures kept for exact statistics:
EXACT_KIB, EXACT_REQUESTS = 0.5, 1_000_000  # for each request, up to so many; from then on histograms
MOST_FDS_MORE = 64  # open files in the second half beyond the first half's most
LEAST_DELIVERED = 0.98  # of the requests that the rate asks for
FAILED_SHARE = (0.005, 0.02)  # around the scripted 1 %


def sample(pid):
    """Resident KiB and open files of a process; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(resident), len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, StopIteration):
        return None


def slope(points):
    """Least squares: change of the second coordinate for one of the first."""
    n = len(points)
    if n < 2:
        return 0.0
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def run(binary, minutes, rate, directory):
    """The samples (second, MiB, files) and the client's exit code."""
    rules = [word for rule in FAULTS for word in ("--fault", rule)]
    simulator = subprocess.Popen(
        [binary, "sim", "--port", "0", "--log-without-writes", "--ttft-ms", "5", "--itl-ms", "2", *rules],
        stdout=subprocess.PIPE, text=True)
    try:
        url = simulator.stdout.readline().split()[-1]
        client = subprocess.Popen(
            [binary, "profile", "-m", "m", "-u", url, "--streaming", "--isl", "32", "--osl", "8",
             "--num-dataset-entries", "200", "--request-rate", str(rate), "--benchmark-duration", str(minutes * 60),
             "--ui", "none", "--no-gpu-telemetry", "--artifact-dir", directory],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        begin, samples = time.monotonic(), []
        while client.poll() is None:
            read = sample(client.pid)
            if read:
                samples.append((time.monotonic() - begin, read[0] / 1024, read[1]))
            time.sleep(1)
        told = client.stderr.read()
        if client.returncode:
            print(told[-800:], file=sys.stderr)
        return samples, client.returncode
    finally:
        simulator.terminate()
        simulator.wait()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--minutes", type=float, default=30)
    arguments.add_argument("--rate", type=float, default=1000)
    arguments.add_argument("--binary", type=Path)
    given = arguments.parse_args()
    binary = given.binary or ROOT / "target/release/tokmeter"
    if not given.binary:
        subprocess.run(["cargo", "build", "--release", "--quiet", "--package", "tokmeter"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as directory:
        samples, code = run(binary, given.minutes, given.rate, directory)
        summary = json.loads((Path(directory) / "profile_export_aiperf.json").read_text())
        lines = sum(1 for _ in open(Path(directory) / "profile_export.jsonl"))
        sizes = {file.name: file.stat().st_size for file in sorted(Path(directory).iterdir()) if file.is_file()}

    # The load alone: what is written at its end needs memory of its own, which counts for the peak.
    load = [point for point in samples if point[0] <= given.minutes * 60]
    half = len(load) // 2
    first, second = load[:half], load[half:]
    grows = slope([(at / 60, mib) for at, mib, _ in second])
    peak = max(mib for _, mib, _ in samples)
    files = max(fds for _, _, fds in first), max(fds for _, _, fds in second)
    counts = summary["tokmeter"]["requests"]
    asked = given.rate * given.minutes * 60
    share = counts["failed"] / max(counts["sent"], 1)
    whole = counts["sent"] == counts["succeeded"] + counts["failed"] + counts["cancelled"] == lines

    print(f"{given.minutes:g} min at {given.rate:g} requests/s, faults {', '.join(FAULTS)}")
    for name, size in sizes.items():
        print(f"  {name:<36}{size / 2**20:>10.1f} MiB")
    exact = EXACT_KIB * given.rate * 60 / 1024 if counts["sent"] < EXACT_REQUESTS else 0.0
    checks = [
        ("exit code", code, code == 0),
        ("sent / asked", f"{counts['sent']} / {asked:.0f}", counts["sent"] >= LEAST_DELIVERED * asked),
        ("sent = succeeded + failed + cancelled = lines", whole, whole),
        ("failed share", f"{share:.4f}", FAILED_SHARE[0] <= share <= FAILED_SHARE[1]),
        ("bytes a record", f"{sizes['profile_export.jsonl'] / max(lines, 1):.0f}", lines > 0),
        ("memory: peak MiB", f"{peak:.0f}", peak < MOST_MIB),
        ("memory: slope MiB/min, second half (allowed)", f"{grows:.2f} ({MOST_SLOPE + exact:.1f})",
         grows < MOST_SLOPE + exact),
        ("open files: most, first half / second half", f"{files[0]} / {files[1]}", files[1] <= files[0] + MOST_FDS_MORE),
    ]
    for name, value, holds in checks:
        print(f"  {name:<48}{value!s:>20}  {'ok' if holds else 'FAILED'}")
    passed = all(holds for _, _, holds in checks)
    print("verdict:", "passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
