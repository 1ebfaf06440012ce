#!/usr/bin/env bash
# har.sh: the HAR and Perfetto files of one run, over new and reused connections and with failures: har-validator and
# haralyzer read the HAR, the rules of the trace event format judge the other.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)
NODE_FOLDER=$("$here/node.sh") || exit 1
export NODE_FOLDER
port=$(free_port)
start_simulator "$port" "$scratch/sim.jsonl" --ttft-ms 10 --itl-ms 3
check "har: profile ends well" "$TOKMETER" profile --model sim-model --url "http://localhost:$port" --endpoint-type chat --streaming \
  --concurrency 3 --request-count 30 --isl 16 --osl 8 --ui none --no-server-metrics --export-http-trace \
  --export-har "$scratch/run.har" --export-perfetto "$scratch/run.perfetto.json" --output-artifact-dir "$scratch/run" || exit 1
check "har: har-validator" node "$here/validate_har.mjs" "$scratch/run.har"
also "$python" "$here/check_har.py" "$scratch/run.har" "$scratch/run"
also "$python" "$here/check_perfetto.py" "$scratch/run.perfetto.json" "$scratch/run"
