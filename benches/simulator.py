"""The release build, and its simulated server as a process of its own."""
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target/release"


def build():
    """tokmeter and the limit client."""
    for target in (["--package", "tokmeter"], ["--package", "tokmeter-http", "--example", "limit"]):
        subprocess.run(["cargo", "build", "--release", "--quiet", *target], cwd=ROOT, check=True)


class Simulator:
    """`tokmeter sim` for as long as the context lasts."""

    def __init__(self, *flags, log=None):
        command = [RELEASE / "tokmeter", "sim", "--port", "0", *(["--log", log] if log else []), *map(str, flags)]
        self.log, self.process = log, subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def served(self):
        """The log so far; whole once the server has ended."""
        return [json.loads(line) for line in Path(self.log).read_text().splitlines() if line]
