"""check_own_schemas.py TOKMETER DIR: every schema of `tokmeter schema` is a valid one, accepts the files of a run, and
refuses a file that lacks something."""
import copy
import json
import subprocess
import sys
from pathlib import Path

from jsonschema import Draft202012Validator

from tally import Tally, run


def printed(tokmeter, *words):
    return subprocess.run([tokmeter, "schema", *words], capture_output=True, text=True, check=True).stdout


def main():
    tokmeter, directory = sys.argv[1], Path(sys.argv[2])
    tally = Tally()
    for line in printed(tokmeter).splitlines():
        name, file = line.split()[0], line.split()[-1]
        schema = json.loads(printed(tokmeter, name))
        Draft202012Validator.check_schema(schema)
        path = directory / file
        if not path.exists():
            tally.check(f"own schemas: {name}", name == "gpu-telemetry", "valid; the run has no such file")
            continue
        check = Draft202012Validator(schema)
        text = path.read_text()
        values = [json.loads(part) for part in (text.splitlines() if "each line" in line else [text])]
        faults = [f"{error.json_path}: {error.message[:160]}" for value in values for error in check.iter_errors(value)]
        tally.faults(f"own schemas: {name}", faults, f"{len(values)} object(s)")
        for key in schema.get("required", []):
            cut = copy.deepcopy(values[0])
            del cut[key]
            tally.check(f"own schemas: {name} needs {key}", not check.is_valid(cut))
    tally.close()


if __name__ == "__main__":
    run(main)
