"""check_perfetto.py FILE DIR: the trace file of --export-perfetto by the rules of the Chrome trace event format.

The `perfetto` package from PyPI fetches its trace_processor from an index of its own, so the rules are checked here:
complete events with whole numbers of process and thread, names for the threads, slices of one track nested and not
crossing, one request slice for each record, phases inside of it.
"""
import json
import sys
from collections import defaultdict
from pathlib import Path

from run_files import Run
from tally import Tally, run


def event_faults(events):
    for number, event in enumerate(events):
        if event.get("ph") not in ("X", "M", "B", "E", "i", "C", "b", "e", "n", "s", "t", "f"):
            yield f"event {number} has phase {event.get('ph')}"
        if not isinstance(event.get("pid"), int) or (event["ph"] != "C" and not isinstance(event.get("tid"), int)):
            yield f"event {number} has no process or thread"
        if event.get("ph") == "X" and not (event.get("name") and event.get("ts", -1) >= 0 and event.get("dur", -1) >= 0):
            yield f"event {number} is {event}"


def crossing(slices, resolution=0.002):
    """Slices of one track that overlap without one holding the other; times are in microseconds."""
    open_slices = []
    for begin, end, name in sorted(slices, key=lambda s: (s[0], -s[1])):
        while open_slices and open_slices[-1][1] <= begin + resolution:
            open_slices.pop()
        if open_slices and end > open_slices[-1][1] + resolution:
            yield f"{name} at {begin} crosses {open_slices[-1][2]}"
        open_slices.append((begin, end, name))


def main():
    tally = Tally()
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    events = document["traceEvents"] if isinstance(document, dict) else document
    records = {r["metadata"]["x_request_id"]: r for r in Run.load(sys.argv[2]).records}
    faults = list(event_faults(events))
    tracks, named, requests = defaultdict(list), set(), {}
    for event in events:
        if event["ph"] == "M" and event.get("name") == "thread_name":
            named.add((event["pid"], event["tid"]))
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"], event["name"]))
            who = (event.get("args") or {}).get("x_request_id")
            if who is not None:
                requests.setdefault(who, []).append(event)
    faults += [f"track {track} has no name" for track in tracks if track not in named]
    faults += [fault for slices in tracks.values() for fault in crossing(slices)]
    tally.faults("perfetto: events, tracks and nesting", faults, f"{len(events)} events on {len(tracks)} tracks")
    lengths = []
    for who, record in records.items():
        # a request that waited for its connection has a slice there and one on the connection's track
        whole = sum(event["dur"] for event in requests.get(who, []))
        if who not in requests:
            lengths.append(f"{who} has no slice")
        elif "error" not in record and whole + 1 < record["metrics"]["request_latency"]["value"] * 1e3:
            lengths.append(f"{who} lasts {whole} us, its latency is {record['metrics']['request_latency']['value']} ms")
    lengths += [f"a slice for {who}, of which there is no record" for who in requests if who not in records]
    tally.faults("perfetto: a slice for every record", lengths, f"{len(requests)} requests")
    tally.close()


if __name__ == "__main__":
    run(main)
