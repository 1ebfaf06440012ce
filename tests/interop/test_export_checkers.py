"""test_export_checkers.py: do check_har.py and check_perfetto.py notice? Files made from a run AIPerf wrote, right and
broken in one place."""
import json
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from run_files import read_jsonl
from tally import Tally, run

HERE = Path(__file__).parent
RUN = HERE.parent / "fixtures" / "aiperf-run-streaming"
PHASES = (("blocked", "blocked"), ("dns", "dns_lookup"), ("connect", "connecting"), ("send", "sending"), ("wait", "waiting"),
          ("receive", "receiving"))


def phase_ms(record, phase):
    return record["metrics"][f"http_req_{phase}"]["value"]


def made_har():
    entries = []
    for record in read_jsonl(RUN / "profile_export.jsonl"):
        reused = record["metrics"]["http_req_connection_reused"]["value"]
        timings = {name: -1 if reused and name in ("dns", "connect") else phase_ms(record, phase) for name, phase in PHASES}
        start = datetime.fromtimestamp(record["metadata"]["request_start_ns"] / 1e9, timezone.utc)
        entries.append({
            "startedDateTime": start.isoformat(timespec="milliseconds"), "time": sum(max(v, 0) for v in timings.values()),
            "request": {"method": "POST", "url": "http://127.0.0.1:8000/v1/chat/completions", "httpVersion": "HTTP/1.1", "cookies": [],
                        "headers": [{"name": "X-Request-ID", "value": record["metadata"]["x_request_id"]}], "queryString": [],
                        "headersSize": -1, "bodySize": -1},
            "response": {"status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1", "cookies": [], "headers": [],
                         "content": {"size": 0, "mimeType": "text/event-stream"}, "redirectURL": "", "headersSize": -1, "bodySize": -1},
            "cache": {}, "timings": timings | {"ssl": -1}})
    return {"log": {"version": "1.2", "creator": {"name": "made", "version": "1"}, "entries": entries}}


def made_trace():
    events = []
    for number, record in enumerate(read_jsonl(RUN / "profile_export.jsonl")):
        begin = record["metadata"]["request_start_ns"] / 1e3
        whole = record["metrics"]["request_latency"]["value"] * 1e3 + 500
        base = {"ph": "X", "pid": 1, "tid": number, "cat": "http"}
        events.append({"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": f"connection {number}"}})
        events.append(base | {"name": "request", "ts": begin, "dur": whole, "args": {"x_request_id": record["metadata"]["x_request_id"]}})
        events.append(base | {"name": "waiting", "ts": begin + 10, "dur": whole / 2})
    return {"traceEvents": events}


CASES = [
    ("check_har.py", made_har, "nothing", None, None),
    ("check_har.py", made_har, "an entry lost", "entries for", lambda har: har["log"]["entries"].pop()),
    ("check_har.py", made_har, "time that is not the sum", "timings sum", lambda har: har["log"]["entries"][3].update(time=1.0)),
    ("check_har.py", made_har, "0 for connect on a reused connection", "reused connection",
     lambda har: har["log"]["entries"][-1]["timings"].update(connect=0)),
    ("check_har.py", made_har, "ssl beyond connect", "not inside connect", lambda har: har["log"]["entries"][0]["timings"].update(ssl=99)),
    ("check_perfetto.py", made_trace, "nothing", None, None),
    ("check_perfetto.py", made_trace, "slices that cross", "crosses", lambda trace: trace["traceEvents"][2].update(dur=10**9)),
    ("check_perfetto.py", made_trace, "a track without name", "no name", lambda trace: trace["traceEvents"].pop(0)),
    ("check_perfetto.py", made_trace, "a request lost", "has no slice",
     lambda trace: [trace["traceEvents"].pop() for _ in range(2)]),
    ("check_perfetto.py", made_trace, "a negative duration", "event 2", lambda trace: trace["traceEvents"][2].update(dur=-1)),
]


def main():
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        for checker, make, what, words, change in CASES:
            document = make()
            if change:
                change(document)
            path = Path(folder) / "made.json"
            path.write_text(json.dumps(document))
            done = subprocess.run([sys.executable, str(HERE / checker), str(path), str(RUN)], capture_output=True, text=True)
            fails = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
            ok = done.returncode == 0 and not fails if words is None else any(words in line for line in fails)
            tally.check(f"{checker}, broken: {what}", ok, "" if ok else f"{fails or done.stderr[-300:]}")
    tally.close()


if __name__ == "__main__":
    run(main)
