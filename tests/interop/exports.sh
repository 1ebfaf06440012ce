#!/usr/bin/env bash
# exports.sh: the records as Parquet, the schemas we publish and the examples of docs/exports.md on a run of ours: DuckDB,
# pandas, AIPerf's models, jsonschema, and the Rust examples of tokmeter-record.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)
AIPERF_PYTHON=${AIPERF_PYTHON:-$("$here/venv.sh" aiperf)}
root=$(cd "$here/../.." && pwd)

port=$(free_port)
start_simulator "$port" "$scratch/sim.jsonl" --ttft-ms 10 --itl-ms 2 --fault status:500@0.1
check "exports: profile writes both formats" "$TOKMETER" profile --model sim-model --url "127.0.0.1:$port" --streaming \
  --ui none --random-seed 7 --concurrency 4 --request-count 80 --warmup-request-count 4 --isl 32 --osl 12 --slice-duration 1 \
  --export-level raw --export-http-trace --record-formats jsonl parquet --server-metrics-formats json jsonl \
  --output-artifact-dir "$scratch/run" || exit 1
stop_simulator

also "$python" "$here/check_parquet.py" "$scratch/run"
also "$python" "$here/check_own_schemas.py" "$TOKMETER" "$scratch/run"
also "$python" "$here/check_documents.py" "$root/docs/exports.md" "$scratch/run" "$python" "$AIPERF_PYTHON"
for example in slowest_inputs recompute_summary async_records; do
  check "exports: example $example" cargo run --quiet --manifest-path "$root/Cargo.toml" -p tokmeter-record \
    --example "$example" -- "$scratch/run"
done
