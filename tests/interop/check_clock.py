"""check_clock.py NAME STEP_SECONDS SIMLOG DIR: a run during which the wall clock was set on by so much."""
import json
import sys
from pathlib import Path

import numpy as np
from check_truth import token_instants
from run_files import read_jsonl
from tally import Tally, run


def main():
    name, step_ms, directory = sys.argv[1], float(sys.argv[2]) * 1e3, Path(sys.argv[4])
    tally = Tally()
    own = json.loads((directory / "profile_export_aiperf.json").read_text(encoding="utf-8"))["tokmeter"]
    reasons = {reason["limit"]: reason for reason in own["verdict"]["reasons"]}
    figure = reasons.get("clock-step-ms", {"figure": 0.0})["figure"]
    tally.check(f"clock: the verdict names the step ({name} stamps)", abs(figure - step_ms) < step_ms / 10,
                f"{own['verdict']['verdict']}, {figure:.1f} ms")

    served = {entry["x_request_id"]: entry for entry in read_jsonl(Path(sys.argv[3]))}
    records = list(read_jsonl(directory / "profile_export.jsonl"))
    crossed, first, gaps = 0, [], []
    for record in records:
        entry, metrics = served[record["metadata"]["x_request_id"]], record["metrics"]
        sent, _ = token_instants(entry, 1)
        wall = (entry["end_wall_ns"] - entry["body_received_wall_ns"]) - (entry["end_ns"] - entry["body_received_ns"])
        crossed += wall > step_ms * 1e6 / 2
        first.append(metrics["time_to_first_token"]["value"] - (sent[0] - entry["body_received_ns"]) / 1e6)
        gaps += list(np.array(metrics["inter_chunk_latency"]["value"]) - np.diff(sent) / 1e6)
    tally.check(f"clock: streams were under way at the step ({name} stamps)", crossed > 0, f"{crossed} of {len(records)}")
    # Anything that rests on the wall clock is off by the step.
    for what, errors in (("time to first token", first), ("inter-chunk latency", gaps)):
        worst = float(np.max(np.abs(errors)))
        tally.check(f"clock: {what} does not notice ({name} stamps)", worst < step_ms / 4, f"worst error {worst:.2f} ms")
    backwards = sum(value["value"] < 0 for record in records for key, value in record["metrics"].items()
                    if key.startswith("http_req_") and isinstance(value["value"], (int, float)))
    tally.check(f"clock: no phase is negative ({name} stamps)", backwards == 0, f"{len(records)} records")
    tally.close()


if __name__ == "__main__":
    run(main)
