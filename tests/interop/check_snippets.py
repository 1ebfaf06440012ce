"""check_snippets.py DIR [--commented-csv]: the code a user finds in the server-metrics guide, run as it is written
(tests/fixtures/server-metrics-guide.txt) inside a run directory: jq, pandas, DuckDB's own command line, the CI gate.

--commented-csv: AIPerf 0.13.0 writes comment lines before its CSV sections, which breaks the guide's own snippet; they
are cut first when its files are read.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tally import Tally, run

GUIDE = Path(__file__).parent.parent / "fixtures" / "server-metrics-guide.txt"
SERVER_FILES = ("server_metrics_export.json", "server_metrics_export.csv", "server_metrics_export.parquet")
AFTER_CSV = """
tables = {tuple(s.columns[:4]) for s in sections}
assert sections, "no section"
for s in sections:
    assert len(s) > 0 and {"Endpoint", "Metric"} <= set(s.columns), list(s.columns)
    assert not s["Metric"].isna().any()
print(len(sections), "sections,", sum(len(s) for s in sections), "rows")
"""


def snippets():
    """Sections of the guide's copy: Python with the line numbers taken off, shell lines without their prompt."""
    parts = re.split(r"^## (\w+)\n", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: [re.sub(r"^(\$|\d+)", "", line) for line in text.splitlines() if line]
            for name, text in zip(parts[1::2], parts[2::2])}


def execute(command, folder, stdin=None):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "MPLBACKEND": "Agg"}
    return subprocess.run(command, cwd=folder, env=environment, input=stdin, text=True, capture_output=True, timeout=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--commented-csv", action="store_true")
    options = parser.parse_args()
    tally = Tally()
    code = snippets()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # the guide's commands stand in the run directory, one of them above several runs
        for target in (folder, folder / "artifacts" / "first", folder / "artifacts" / "second"):
            target.mkdir(parents=True, exist_ok=True)
            for file in SERVER_FILES:
                if (options.directory / file).exists():
                    shutil.copy(options.directory / file, target / file)
        if options.commented_csv:
            csv = folder / SERVER_FILES[1]
            lines = csv.read_text(encoding="utf-8").splitlines(keepends=True)
            csv.write_text("".join(line for line in lines if not line.startswith("#")), encoding="utf-8")

        for line in code["jq"]:
            done = execute(["bash", "-c", line], folder)
            text = done.stdout.strip()
            tally.check("guide: jq", re.fullmatch(r"[0-9.e-]+", text) is not None, f"{text or done.stderr.strip()}")
        for name, ending in (("csv", AFTER_CSV), ("plot", "print(len(df), 'rows')\n"), ("ci", "print(latency['p99_estimate'])\n")):
            done = execute([sys.executable, "-"], folder, "\n".join(code[name]) + "\n" + ending)
            tally.check(f"guide: python, {name}", done.returncode == 0,
                        done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1])
        for line in code["duckdb"]:
            if not line or line.startswith("#"):
                continue
            done = execute(["bash", "-c", line], folder)
            rows = done.stdout.strip().splitlines()
            empty = any("0 rows" == part.strip("│ ") for part in rows)
            tally.check(f"guide: {line[:60]}...", done.returncode == 0 and rows and not empty,
                        f"{len(rows)} lines" if done.returncode == 0 else done.stderr.strip())
    tally.close()


if __name__ == "__main__":
    run(main)
