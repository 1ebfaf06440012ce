#!/usr/bin/env bash
# profile.sh: runs of every kind against the simulator, read by everything that is not ours (check_run.sh) and joined with
# the simulator's own log (check_truth.py): streaming with warmup, slices and goodput; failures; unary completions; an open
# loop with its own file names; the guide's snippets on the first run's files.
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

profile unary completions --ttft-ms 5 --itl-ms 1 -- --concurrency 4 --request-count 40 --isl 32 --osl 8
also "$here/check_run.sh" "$scratch/unary"
also "$python" "$here/check_truth.py" "$scratch/unary.sim.jsonl" "$scratch/unary"

profile open-loop chat --ttft-ms 10 --itl-ms 2 -- --streaming --request-rate 40 --arrival-pattern poisson --request-count 80 \
  --isl 32 --osl 8 --profile-export-prefix mine --slice-duration 1
also "$here/check_run.sh" "$scratch/open-loop" --prefix mine
