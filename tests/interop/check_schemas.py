"""check_schemas.py DIR [--prefix P]: JSON Schemas of AIPerf 0.13.0's files (tests/fixtures/schemas), by jsonschema.

`input_config` is left to check_models.py: its schema spells the keys as aliases that AIPerf's own files do not use.
"""
import argparse
import json
from pathlib import Path

from jsonschema import Draft202012Validator

from run_files import metric_blocks
from tally import Tally, run

SCHEMAS = Path(__file__).parent.parent / "fixtures" / "schemas"

# file, name with a prefix, schema, one object per line
FILES = (
    ("inputs.json", "inputs.json", "inputs.json", False),
    ("profile_export.jsonl", "{}.jsonl", "profile_export.jsonl.line", True),
    ("profile_export_raw.jsonl", "{}_raw.jsonl", "profile_export_raw.jsonl.line", True),
    ("profile_export_aiperf.json", "{}.json", "profile_export_aiperf.json", False),
    ("profile_export_aiperf_timeslices.json", "{}_timeslices.json", "profile_export_aiperf_timeslices.json", False),
    ("server_metrics_export.json", "{}_server_metrics.json", "server_metrics_export.json", False),
    ("server_metrics_export.jsonl", "{}_server_metrics.jsonl", "server_metrics_export.jsonl.line", True),
    ("gpu_telemetry_export.jsonl", "{}_gpu_telemetry.jsonl", "gpu_telemetry_export.jsonl.line", True),
    ("profile_export_network_latency.jsonl", "{}_network_latency.jsonl", "network_latency.jsonl.line", True),
)
NULL_FREE = ("profile_export.jsonl", "profile_export_raw.jsonl", "profile_export_aiperf.json",
             "profile_export_aiperf_timeslices.json", "server_metrics_export.json", "server_metrics_export.jsonl")


def validator(name):
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.validation.schema.json").read_text()))


def schema_faults(check, value, where):
    for error in check.iter_errors(value):
        yield f"{where} {error.json_path}: {error.message[:160]}"


def refuse_constant(name):
    raise ValueError(f"{name} is no JSON")


def nulls(value, path=""):
    """Where a null stands: fields without a value are left out of these files."""
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from nulls(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from nulls(item, f"{path}[{index}]")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--prefix")
    options = parser.parse_args()
    tally = Tally()
    metric = validator("metric_result")
    for default, prefixed, schema, by_line in FILES:
        path = options.directory / (prefixed.format(options.prefix) if options.prefix else default)
        if not path.exists():
            continue
        check = validator(schema)
        text = path.read_text(encoding="utf-8")
        faults = []
        if by_line and not text.endswith("\n"):
            faults.append("the last line has no end")
        lines = text.splitlines() if by_line else [text]
        for number, line in enumerate(lines, 1):
            where = f"line {number}" if by_line else ""
            try:
                value = json.loads(line, parse_constant=refuse_constant)
            except ValueError as error:
                faults.append(f"{where} {error}")
                continue
            if not default.startswith("server_metrics"):
                value.pop("input_config", None)
            faults += schema_faults(check, value, where)
            if default in NULL_FREE:
                # payloads are the user's own requests and may hold nulls; nothing else may
                value.pop("payload", None)
                faults += [f"{where} {at} is null" for at in nulls(value)]
            if default == "profile_export_aiperf.json":
                for tag, block in metric_blocks(value).items():
                    faults += schema_faults(metric, block, tag)
        tally.faults(f"schemas: {path.name}", faults, f"{len(lines)} object(s)")
    tally.close()


if __name__ == "__main__":
    run(main)
