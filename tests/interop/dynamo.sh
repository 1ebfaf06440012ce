#!/usr/bin/env bash
# dynamo.sh: a real inference front end that nobody here wrote. NVIDIA Dynamo (from PyPI) with its mocker, profiled
# streaming and not, with both processes' metrics: token totals must agree between the answers' usage, the front end's
# counters as we scraped them, and the records; the files must pass every reader.
source "$(dirname "$0")/tally.sh"
python=$("$here/venv.sh" readers)
port=$(free_port)
start "$here/dynamo_server.sh" "$scratch/dynamo" "$port"
serves_model() { curl -sf "http://127.0.0.1:$port/v1/models" | grep -q tiny-llama; }
if wait_for 90 serves_model; then
  pass "dynamo: front end and mocker are up"
else
  fail "dynamo: not up after 90 s: $(tail -n 3 "$scratch/dynamo/mocker.log" | tr '\n' ' ')"
  exit 1
fi

for mode in streaming unary; do
  flags=()
  [ $mode = streaming ] && flags=(--streaming)
  run="$scratch/$mode"
  check "dynamo $mode: profile ends well" "$TOKMETER" profile --model tiny-llama --url "http://127.0.0.1:$port" --endpoint-type chat \
    "${flags[@]}" --concurrency 4 --request-count 40 --isl 64 --osl 24 --random-seed 7 --ui none --output-artifact-dir "$run" \
    --server-metrics "http://127.0.0.1:$((port + 1))/metrics" --server-metrics-formats json csv parquet jsonl \
    --export-http-trace --export-level raw || continue
  also "$python" "$here/check_dynamo.py" "$run" 40 24
  also "$here/check_run.sh" "$run"
done
