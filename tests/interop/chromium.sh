#!/usr/bin/env bash
# chromium.sh: the HTML report of two runs and of a hostile one, opened offline in Debian's Chromium (chromium.mjs). SCREENSHOTS names a folder
# to keep the pictures in.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
NODE_FOLDER=$("$here/node.sh") || exit 1
export NODE_FOLDER
port=$(free_port)
start_simulator "$port" "$scratch/sim.jsonl" --ttft-ms normal:30,5 --itl-ms 4 --fault status:500#5,17
for concurrency in 2 8; do
  check "report: run at concurrency $concurrency" "$TOKMETER" profile --model sim-model --url "http://127.0.0.1:$port" --endpoint-type chat \
    --streaming --concurrency "$concurrency" --request-count 80 --isl 32 --osl 16 --export-http-trace --slice-duration 0.5 --ui none \
    --output-artifact-dir "$scratch/$concurrency" || exit 1
done
check "report: is written" "$TOKMETER" report "$scratch/2" "$scratch/8" --output "$scratch/report.html" || exit 1
# the same run again with a model, errors and ids that try to run scripts
mkdir "$scratch/hostile"
python3 "$here/hostile_run.py" "$scratch/2" "$scratch/hostile"
check "report: of a hostile run is written" "$TOKMETER" report "$scratch/hostile" --output "$scratch/hostile.html" || exit 1
size=$(stat -c %s "$scratch/report.html")
[ "$size" -lt 10000000 ] && pass "report: one file of $size bytes" || fail "report: $size bytes"
also node "$here/chromium.mjs" "$scratch/report.html" "${SCREENSHOTS:-$scratch}" "$scratch/hostile.html"
