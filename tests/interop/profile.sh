#!/usr/bin/env bash
# profile.sh: runs of every kind against the simulator, read by everything that is not ours (check_run.sh) and joined with
# the simulator's own log (check_truth.py): streaming with warmup, slices and goodput; failures; every fault once, and a run
# that was killed (check_faulty.py); unary completions; an open loop with its own file names; the guide's snippets on the
# first run's files.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)

# profile NAME ENDPOINT SIM_FLAGS -- FLAG...: one simulator and one run of it, in $scratch/NAME
profile() {
  local name=$1 endpoint=$2 simulator=() port
  shift 2
  while [ "$1" != -- ]; do simulator+=("$1"); shift; done
  shift
  port=$(free_port)
  start_simulator "$port" "$scratch/$name.sim.jsonl" "${simulator[@]}"
  check "$name: profile ends well" "$TOKMETER" profile --model sim-model --url "127.0.0.1:$port" --endpoint-type "$endpoint" \
    --ui none --random-seed 7 --output-artifact-dir "$scratch/$name" "$@"
  local ended=$?
  stop_simulator
  return $ended
}

profile streaming chat --ttft-ms 20 --itl-ms 4 -- --streaming --concurrency 4 --request-count 60 --warmup-request-count 6 \
  --isl 64 --osl 24 --slice-duration 1 --goodput "time_to_first_token:200 request_latency:1000" --export-level raw \
  --export-http-trace --show-trace-timing --server-metrics-formats json csv parquet jsonl || exit 1
for file in inputs.json profile_export.jsonl profile_export_raw.jsonl profile_export_aiperf.json profile_export_aiperf.csv \
  profile_export_aiperf_timeslices.json profile_export_aiperf_timeslices.csv profile_export_console.txt \
  server_metrics_export.json server_metrics_export.csv server_metrics_export.parquet server_metrics_export.jsonl; do
  [ -s "$scratch/streaming/$file" ] || fail "streaming: $file was not written"
done
also "$here/check_run.sh" "$scratch/streaming"
also "$python" "$here/check_snippets.py" "$scratch/streaming"
also "$python" "$here/check_truth.py" "$scratch/streaming.sim.jsonl" "$scratch/streaming"

profile failures chat --ttft-ms 5 --itl-ms 2 --fault status:500@0.2 --fault reset-mid-stream:3@0.2 --fault error-event:2@0.1 -- \
  --streaming --concurrency 3 --request-count 60 --isl 32 --osl 12 --export-http-trace
also "$here/check_run.sh" "$scratch/failures"
also "$python" "$here/check_truth.py" "$scratch/failures.sim.jsonl" "$scratch/failures"

# Every fault once, and what DuckDB and pandas make of the files; the same for a run that is killed and recovered.
faults=() number=0
for fault in status:500 status:429 close-before-headers reset-before-headers reset-in-headers reset-mid-stream:2 \
  reset-after-last-token close-mid-stream:2 stall-before-headers stall-mid-stream:2 drip:1000 error-event:2 \
  named-error-event:2 truncate:2 done-without-finish:2 abort:2 invalid-json:2 invalid-utf8:2 content-length-long \
  content-length-short bad-chunk-size:2 huge-header:10485760 many-headers:1000 huge-line:33554432 gzip-bomb:10485760 \
  redirect:307 empty-ok non-json; do
  number=$((number + 2))
  faults+=(--fault "$fault#$number")
done
profile faulty chat --ttft-ms 5 --itl-ms 2 "${faults[@]}" -- --streaming --concurrency 4 --request-count 80 \
  --warmup-request-count 2 --isl 32 --osl 12 --request-timeout-seconds 1 --export-http-trace --record-formats jsonl parquet
also "$python" "$here/check_faulty.py" "$scratch/faulty"

port=$(free_port)
start_simulator "$port" "$scratch/killed.sim.jsonl" --ttft-ms 5 --itl-ms 2 --fault status:500@0.1 --fault truncate:2@0.1
"$TOKMETER" profile --model sim-model --url "127.0.0.1:$port" --streaming --ui none --concurrency 4 --benchmark-duration 60 \
  --isl 32 --osl 12 --output-artifact-dir "$scratch/killed" >"$scratch/killed.out" 2>&1 &
killed=$!
check "killed: records are written" wait_for 20 test -s "$scratch/killed/profile_export.jsonl"
sleep 1 # so that some lines are flushed and others are not
kill -KILL "$killed"
wait "$killed" 2>/dev/null
stop_simulator
check "killed: recover ends well" "$TOKMETER" recover "$scratch/killed"
also "$python" "$here/check_faulty.py" "$scratch/killed" --cut

profile unary completions --ttft-ms 5 --itl-ms 1 -- --concurrency 4 --request-count 40 --isl 32 --osl 8
also "$here/check_run.sh" "$scratch/unary"
also "$python" "$here/check_truth.py" "$scratch/unary.sim.jsonl" "$scratch/unary"

profile open-loop chat --ttft-ms 10 --itl-ms 2 -- --streaming --request-rate 40 --arrival-pattern poisson --request-count 80 \
  --isl 32 --osl 8 --profile-export-prefix mine --slice-duration 1
also "$here/check_run.sh" "$scratch/open-loop" --prefix mine
