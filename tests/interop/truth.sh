#!/usr/bin/env bash
# truth.sh: first token 50 ms after the request, a token each 10 ms, at concurrency 1, 64 and 512: measured minus true as
# distributions, and the hard part: one record for each served request, every chunk seen, nothing before it happened.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)
for concurrency in 1 64 512; do
  requests=$((concurrency == 1 ? 20 : concurrency * 3))
  port=$(free_port)
  start_simulator "$port" "$scratch/sim.$concurrency.jsonl" --ttft-ms 50 --itl-ms 10
  echo "# concurrency $concurrency"
  check "truth: concurrency $concurrency, profile ends well" "$TOKMETER" profile --model sim-model --url "http://127.0.0.1:$port" \
    --endpoint-type chat --streaming --concurrency "$concurrency" --request-count "$requests" --isl 16 --osl 20 --ui none \
    --no-server-metrics --output-artifact-dir "$scratch/$concurrency" || continue
  stop_simulator
  also "$python" "$here/check_truth.py" "$scratch/sim.$concurrency.jsonl" "$scratch/$concurrency"
done
