"""Running a command and saying what it cost: CPU, wall time and memory of the process and all it starts."""
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.05


@dataclass
class Cost:
    """One finished run."""
    cpu: float
    wall: float
    peak_mib: float


def proportional_mib(session):
    """Memory of all processes of a session, shared pages counted once (PSS)."""
    total = 0
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            after_name = (process / "stat").read_text().rpartition(")")[2].split()
            if int(after_name[3]) == session:
                rollup = (process / "smaps_rollup").read_text()
                total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        except (OSError, IndexError, ValueError):
            continue  # It ended while it was looked at.
    return total / 1024


def measure(command, memory=False, timeout=600, **options):
    """Runs a command to its end, which must be a success."""
    with tempfile.TemporaryFile() as output:
        begin = time.monotonic()
        child = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output, start_new_session=True,
                                 stdin=subprocess.DEVNULL, **options)
        peak, done = 0.0, threading.Event()
        watchdog = threading.Timer(timeout, lambda: os.killpg(child.pid, 9))
        watchdog.start()

        def sample():
            nonlocal peak
            while not done.wait(SAMPLE_SECONDS):
                peak = max(peak, proportional_mib(child.pid))

        sampler = threading.Thread(target=sample)
        if memory:
            sampler.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begin
        watchdog.cancel()
        done.set()
        if memory:
            sampler.join()
        if status:
            output.seek(0)
            raise SystemExit(f"{command[0]} failed: {output.read().decode(errors='replace')[-1500:]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, peak)
