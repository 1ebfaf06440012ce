"""hostile_run.py FROM TO: copies a run whose model, request ids, errors and verdict are markup that would run a script."""
import json
import pathlib
import sys

EVIL = '<img src=x onerror="window.ran=true;alert(1)"></script><script>window.ran=true;alert(2)</script>'
source, target = map(pathlib.Path, sys.argv[1:3])
lines = []
for line in (source / "profile_export.jsonl").read_text().splitlines():
    record = json.loads(line)
    record["metadata"]["x_request_id"] = EVIL
    if "error" in record:
        record["error"]["type"] = record["error"]["message"] = EVIL
    lines.append(json.dumps(record))
(target / "profile_export.jsonl").write_text("\n".join(lines) + "\n")
summary = json.loads((source / "profile_export_aiperf.json").read_text())
summary["input_config"]["models"] = {"items": [{"name": EVIL}]}
summary["tokmeter"]["verdict"] = {"verdict": EVIL, "reasons": [EVIL]}
for error in summary["error_summary"]:
    error["error_details"]["message"] = EVIL
(target / "profile_export_aiperf.json").write_text(json.dumps(summary))
