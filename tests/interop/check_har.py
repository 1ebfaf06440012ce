"""check_har.py FILE DIR: a HAR 1.2 file through haralyzer, entry by entry against the run's records."""
import json
import sys
from datetime import datetime
from pathlib import Path

from haralyzer import HarParser

from run_files import Run
from tally import Tally, run

OPTIONAL = ("blocked", "dns", "connect", "ssl")
REQUIRED = ("send", "wait", "receive")


def request_id(entry):
    return next((h["value"] for h in entry.request.headers if h["name"].lower() == "x-request-id"), None)


def entry_faults(entry, record):
    timings = entry.timings
    for name in OPTIONAL:
        if name in timings and timings[name] < 0 and timings[name] != -1:
            yield f"{name} is {timings[name]}"
    for name in REQUIRED:
        if timings[name] < 0:
            yield f"{name} is {timings[name]}"
    used = {name: max(timings.get(name, -1), 0) for name in OPTIONAL + REQUIRED}
    if used["ssl"] > used["connect"] + 1e-6:
        yield f"ssl {used['ssl']} is not inside connect {used['connect']}"
    total = sum(value for name, value in used.items() if name != "ssl")
    if abs(total - entry.time) > 1e-3:
        yield f"time is {entry.time}, the timings sum to {total}"
    reused = record["metrics"].get("http_req_connection_reused", {"value": 0})["value"]
    if reused and any(timings.get(name, -1) != -1 for name in ("dns", "connect", "ssl")):
        yield "a reused connection has dns, connect or ssl"
    if "error" in record:
        return
    trace, metrics = record.get("trace_data", {}), record["metrics"]
    if abs(entry.time - metrics["http_req_total"]["value"]) > 1e-3:
        yield f"time is {entry.time}, http_req_total {metrics['http_req_total']['value']}"
    if entry.response.status != trace.get("response_status_code", 200):
        yield f"status is {entry.response.status}"
    started = datetime.fromisoformat(entry["startedDateTime"].replace("Z", "+00:00"))
    if started.tzinfo is None or abs(started.timestamp() - record["metadata"]["request_start_ns"] / 1e9) > 2e-3:
        yield f"started at {started}, the record at {record['metadata']['request_start_ns']}"


def main():
    tally = Tally()
    parser = HarParser(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    records = {r["metadata"]["x_request_id"]: r for r in Run.load(sys.argv[2]).records}
    entries = [entry for page in parser.pages for entry in page.entries]
    faults = []
    for entry in entries:
        record = records.get(request_id(entry))
        if record is None:
            faults.append(f"an entry for {request_id(entry)}, of which there is no record")
        else:
            faults += [f"{request_id(entry)}: {fault}" for fault in entry_faults(entry, record)]
    if sorted(filter(None, map(request_id, entries))) != sorted(records):
        faults.append(f"{len(entries)} entries for {len(records)} records")
    tally.faults("har: haralyzer reads every entry, timings add up and equal the records", faults,
                 f"{len(entries)} entries, version {parser.version}, by {parser.creator['name']}")
    tally.close()


if __name__ == "__main__":
    run(main)
