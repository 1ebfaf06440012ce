"""check_verdict.py free|starved LOG DIR: the verdict and the error bar of a run, held against the simulator's log."""
import json
import sys
from pathlib import Path

import numpy as np
from check_truth import token_instants
from run_files import read_jsonl
from tally import Tally, run


def true_errors(log, directory):
    """How far each time to first token is from the server's own, ms, where no connection had to be made."""
    served = {entry["x_request_id"]: entry for entry in read_jsonl(log)}
    errors = []
    for record in read_jsonl(directory / "profile_export.jsonl"):
        entry, metrics = served[record["metadata"]["x_request_id"]], record["metrics"]
        if "error" in record or metrics.get("http_req_connecting", {"value": 0})["value"] > 0:
            continue
        sent, _ = token_instants(entry, 1)
        errors.append(metrics["time_to_first_token"]["value"] - (sent[0] - entry["body_received_ns"]) / 1e6)
    return np.array(errors)


def main():
    name, log, directory = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    tally = Tally()
    own = json.loads((directory / "profile_export_aiperf.json").read_text(encoding="utf-8"))["tokmeter"]
    verdict, errors = own["verdict"], true_errors(log, directory)
    reasons = "; ".join(str(reason) for reason in verdict["reasons"])
    wanted = {"free": "valid", "starved": "client-bound"}[name]
    tally.check(f"starved: the {name} client is called {wanted}", verdict["verdict"] == wanted, f"{verdict['verdict']}: {reasons}")
    bar, true = verdict["error_bar_ms"], float(np.percentile(errors, 50))
    if name == "starved":
        tally.check("starved: the error bar covers the true error", true <= bar,
                    f"bar {bar:.3f} ms, true p50/p99 {true:.3f}/{np.percentile(errors, 99):.3f} ms, {len(errors)} answers")
    else:
        print(f"# free: bar {bar:.3f} ms, true p50/p99 {true:.3f}/{np.percentile(errors, 99):.3f} ms")
    tally.close()


if __name__ == "__main__":
    run(main)
