#!/usr/bin/env bash
# har.sh: the HAR and Perfetto files of runs over new and reused connections, with requests that wait for a connection,
# with failures, and over HTTP/2 by prior knowledge: har-validator, haralyzer and the importer of Chromium's network panel read
# the HAR, the rules of the trace event format judge the other.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)
NODE_FOLDER=$("$here/node.sh") || exit 1
export NODE_FOLDER

# archived NAME SIM_FLAGS -- FLAG...: one simulator, one run, both files read
archived() {
  local name=$1 simulator=() port
  shift
  while [ "$1" != -- ]; do simulator+=("$1"); shift; done
  shift
  port=$(free_port)
  start_simulator "$port" "$scratch/$name.sim.jsonl" "${simulator[@]}"
  check "har $name: profile ends well" "$TOKMETER" profile --model sim-model --url "http://localhost:$port" --endpoint-type chat \
    --streaming --request-count 30 --isl 16 --osl 8 --ui none --no-server-metrics --export-har "$scratch/$name.har" \
    --export-perfetto "$scratch/$name.perfetto.json" --output-artifact-dir "$scratch/$name" "$@" || exit 1
  stop_simulator
  check "har $name: har-validator" node "$here/validate_har.mjs" "$scratch/$name.har"
  also "$python" "$here/check_har.py" "$scratch/$name.har" "$scratch/$name"
  also "$python" "$here/check_perfetto.py" "$scratch/$name.perfetto.json" "$scratch/$name"
}

archived plain --ttft-ms 10 --itl-ms 3 -- --concurrency 3 --warmup-request-count 3 --export-http-trace
archived waiting --ttft-ms 10 --itl-ms 3 -- --concurrency 6 --max-connections 2
archived failing --ttft-ms 5 --itl-ms 2 --fault status:500@0.2 --fault reset-mid-stream:3@0.2 --fault close-before-headers@0.1 -- --concurrency 3
archived two --ttft-ms 10 --itl-ms 3 -- --concurrency 6 --http-version 2

DEVTOOLS_PORT=$(free_port) also node "$here/devtools_har.mjs" "$scratch"/*.har
