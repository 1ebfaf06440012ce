"""check_models.py DIR [--prefix P]: AIPerf 0.13.0 reads every file of a run with its own pydantic models, and its plot
loader reads the whole directory. Runs in the aiperf environment."""
import argparse
import json
import logging
import sys
import time
import warnings
from pathlib import Path

from tally import Tally, run


def load_models():
    """AIPerf's own model of each file: (default name, name with a prefix, model, one object per line)."""
    from aiperf.common import models
    from aiperf.common.models.trace_models import TraceDataExport

    files = [
        ("inputs.json", "inputs.json", models.InputsFile, False),
        ("profile_export.jsonl", "{}.jsonl", models.MetricRecordInfo, True),
        ("profile_export_raw.jsonl", "{}_raw.jsonl", models.RawRecordInfo, True),
        ("profile_export_aiperf.json", "{}.json", models.JsonExportData, False),
        ("profile_export_aiperf_timeslices.json", "{}_timeslices.json", models.TimesliceCollectionExportData, False),
        ("server_metrics_export.json", "{}_server_metrics.json", models.ServerMetricsExportData, False),
        ("server_metrics_export.jsonl", "{}_server_metrics.jsonl", models.SlimRecord, True),
        ("gpu_telemetry_export.jsonl", "{}_gpu_telemetry.jsonl", models.TelemetryRecord, True),
        ("profile_export_network_latency.jsonl", "{}_network_latency.jsonl", models.NetworkLatencySample, True),
    ]
    return files, TraceDataExport


def load(path, model, by_line):
    """The objects of a file and what AIPerf refused, each fault with its line."""
    texts = path.read_text(encoding="utf-8").splitlines() if by_line else [path.read_text(encoding="utf-8")]
    loaded, faults = [], []
    for number, text in enumerate(texts, 1):
        try:
            loaded.append(model.model_validate_json(text))
        except ValueError as error:
            faults.append(f"line {number}: {' '.join(str(error).split())[:300]}")
    if not texts:
        faults.append("the file is empty")
    return loaded, faults


def record_faults(records):
    """A record that loads but says nothing: AIPerf's models ignore names they do not know."""
    for number, record in enumerate(records, 1):
        if record.error is None and "request_latency" not in record.metrics:
            yield f"line {number} succeeded without request_latency"


def summary_faults(summary):
    if summary.request_count is not None and (summary.request_latency is None or summary.request_latency.count is None):
        yield "request_latency with its statistics is not where AIPerf looks for it"
    if summary.request_count is None and not summary.error_summary:
        yield "neither request_count nor error_summary"
    if summary.input_config is None:
        yield "input_config is missing"
    if summary.start_time is None or summary.end_time is None:
        yield "start_time or end_time is missing"


def check_traces(tally, path, trace_model):
    """AIPerf's trace reader: unknown trace types fall back to its base model and keep their fields as extras."""
    faults, kinds = [], {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        data = json.loads(line).get("trace_data")
        if data is None:
            continue
        try:
            trace = trace_model.from_json(data)
        except ValueError as error:
            faults.append(f"line {number}: {error}")
            continue
        kinds[type(trace).__name__] = kinds.get(type(trace).__name__, 0) + 1
        for key, value in data.items():
            if key.endswith("_ns") and getattr(trace, key, None) != value:
                faults.append(f"line {number}: {key} is {getattr(trace, key, None)} after loading, was {value}")
    if kinds or faults:
        tally.faults("models: TraceDataExport.from_json", faults, str(kinds))


def check_plot_loader(tally, directory, request_count):
    """The reader behind `aiperf plot`."""
    from aiperf.plot.core.data_loader import DataLoader

    try:
        run = DataLoader().load_run(directory)
    except Exception as error:  # whatever AIPerf raises is the finding
        tally.check("models: plot loader", False, f"{type(error).__name__}: {error}")
        return
    rows = 0 if run.requests is None else len(run.requests)
    tally.check("models: plot loader", rows == request_count, f"{rows} of {request_count} requests, "
                f"model {run.metadata.model}, concurrency {run.metadata.concurrency}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--prefix")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    begin = time.monotonic()
    files, trace_model = load_models()
    tally = Tally()
    for default, prefixed, model, by_line in files:
        path = options.directory / (prefixed.format(options.prefix) if options.prefix else default)
        if not path.exists():
            if default in ("profile_export.jsonl", "profile_export_aiperf.json"):
                tally.check(f"models: {path.name}", False, "the file is missing")
            continue
        loaded, faults = load(path, model, by_line)
        if model.__name__ == "MetricRecordInfo":
            faults += record_faults(loaded)
        elif model.__name__ == "JsonExportData" and loaded:
            faults += summary_faults(loaded[0])
        tally.faults(f"models: {path.name}", faults, f"{len(loaded)} x {model.__name__}")
        if default == "profile_export.jsonl":
            check_traces(tally, path, trace_model)
            if not options.prefix and loaded:  # it knows the default names only
                check_plot_loader(tally, options.directory, len(loaded))
    print(f"# models: {time.monotonic() - begin:.1f} s", file=sys.stderr)
    tally.close()


if __name__ == "__main__":
    run(main)
