#!/usr/bin/env bash
# kubernetes.sh: the Indexed Job of `launch kubernetes` against the schemas of the Kubernetes API (kubernetes-validate from
# PyPI), strictly: a field that is not of the API is refused, as is a wrong type; so are broken copies of it. And the job run
# as Kubernetes would: its container's arguments and variables, one process for each index.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" kubernetes)
port=$(free_port)
"$TOKMETER" launch kubernetes --ranks 3 --name load --namespace bench --image registry.example/tokmeter:0.1.0 \
  --api-key-secret key --dry-run -- --model sim-model --url "127.0.0.1:$port" --streaming --concurrency 3 --request-count 30 \
  --osl 4 --random-seed 5 --ui none >"$scratch/job.yaml" || fail "kubernetes: launch prints no manifest"
also "$python" "$here/check_kubernetes.py" "$scratch/job.yaml" "$root/deploy/kubernetes/job.yaml"

start_simulator "$port" "$scratch/sim.jsonl" --ttft-ms 5 --itl-ms 1
check "kubernetes: each index of the job is a rank that ends well" "$python" "$here/run_indexed_job.py" "$scratch/job.yaml" \
  "$TOKMETER" "$scratch/artifacts"
stop_simulator
check "kubernetes: merge takes the volume's directory" "$TOKMETER" merge "$scratch/artifacts/load"
same "kubernetes: requests of the merged run" \
  "$(jq .request_count.avg "$scratch/artifacts/load/profile_export_aiperf.json")" "$(wc -l <"$scratch/sim.jsonl")"
