"""check_documents.py DOCUMENT DIR PYTHON AIPERF_PYTHON: the ```python and ```sql blocks of a document run as they stand,
in the directory of a run. A python block that begins with `# with aiperf` runs where AIPerf is installed."""
import re
import subprocess
import sys
from pathlib import Path

import duckdb

from tally import Tally, run


def main():
    document, directory, plain, aiperf = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    tally = Tally()
    blocks = re.findall(r"^```(python|sql)\n(.*?)^```", document.read_text(), re.M | re.S)
    for number, (language, text) in enumerate(blocks, 1):
        name = f"documents: {document.name}, block {number} ({language})"
        if language == "sql":
            connection = duckdb.connect()
            connection.execute(f"set file_search_path = '{directory}'")
            rows = connection.execute(text).fetchall()
            tally.check(name, len(rows) > 0, f"{len(rows)} rows")
        else:
            interpreter = aiperf if text.startswith("# with aiperf") else plain
            done = subprocess.run([interpreter, "-c", text], cwd=directory, capture_output=True, text=True)
            tally.check(name, done.returncode == 0 and done.stdout.strip() != "", (done.stderr or done.stdout).strip()[-200:])
    tally.close()


if __name__ == "__main__":
    run(main)
