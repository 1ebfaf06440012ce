#!/usr/bin/env bash
# scrape.sh: `tokmeter scrape` beside a load it knows nothing of. Its files must pass the readers of a run's files and the
# guide's snippets, and its counters must equal what the load's own records say.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)
port=$(free_port)
start_simulator "$port" "$scratch/sim.jsonl" --ttft-ms 20 --itl-ms 4

AIPERF_SERVER_METRICS_EXPORT_BATCH_SIZE=1 start "$TOKMETER" scrape "127.0.0.1:$port" --duration 1h --interval 100ms --slice-duration 1 \
  --server-metrics-formats json csv parquet jsonl --output-artifact-dir "$scratch/scrape" >"$scratch/scrape.out" 2>&1
scraper=$!
wait_for 20 test -s "$scratch/scrape/server_metrics_export.jsonl" || fail "scrape: no baseline after 20 s"
check "scrape: a load beside it ends well" "$TOKMETER" profile --model sim-model --url "127.0.0.1:$port" --endpoint-type chat --ui none \
  --streaming --concurrency 4 --request-count 200 --isl 64 --osl 24 --random-seed 7 --no-server-metrics --output-artifact-dir "$scratch/load"
kill -INT "$scraper"
wait "$scraper"
same "scrape: an interrupt ends it with" $? 130
unset 'started[-1]'
jq_total() { jq "[.metrics[\"$1\"].series[].stats.total] | add | floor" "$scratch/scrape/server_metrics_export.json"; }
same "scrape: requests, counter equals records" "$(jq_total vllm:request_success)" "$(wc -l <"$scratch/load/profile_export.jsonl" )"
same "scrape: output tokens, counter equals records" "$(jq_total vllm:generation_tokens)" \
  "$(jq -s '[.[].metrics.usage_completion_tokens.value] | add | floor' "$scratch/load/profile_export.jsonl")"
also "$python" "$here/check_server_metrics.py" "$scratch/scrape"
also "$python" "$here/check_snippets.py" "$scratch/scrape"

for codec in snappy zstd; do
  check "scrape: ends by itself, $codec" "$TOKMETER" scrape "127.0.0.1:$port" --duration 1s --server-metrics-compression $codec \
    --output-artifact-dir "$scratch/$codec"
  same "scrape: pyarrow sees the codec" "$("$python" -c "
import pyarrow.parquet as p, sys
print(p.ParquetFile(sys.argv[1]).metadata.row_group(0).column(0).compression)" "$scratch/$codec/server_metrics_export.parquet")" "${codec^^}"
done

# Captured pages that change while they are read: an idle engine, then the same one after traffic. They have what the
# simulator's page has not: summaries, families that appear with the first request, several label sets.
for engine in vllm-0.32.0 sglang-0.5.23 dynamo-frontend-1.6.1; do
  pages=$(free_port)
  mkdir -p "$scratch/$engine.page"
  cp "$root/tests/fixtures/metrics/$engine-idle.prom" "$scratch/$engine.page/metrics"
  start python3 -m http.server --bind 127.0.0.1 --directory "$scratch/$engine.page" "$pages" >/dev/null 2>&1
  wait_for 20 curl -sf "http://127.0.0.1:$pages/metrics" || fail "$engine: page not served"
  AIPERF_SERVER_METRICS_EXPORT_BATCH_SIZE=1 start "$TOKMETER" scrape "127.0.0.1:$pages" --duration 3s --interval 100ms \
    --server-metrics-formats json csv parquet jsonl --output-artifact-dir "$scratch/$engine" >"$scratch/$engine.out" 2>&1
  wait_for 20 test -s "$scratch/$engine/server_metrics_export.jsonl" || fail "$engine: no baseline after 20 s"
  cp "$root/tests/fixtures/metrics/$engine.prom" "$scratch/$engine.page/next"
  mv "$scratch/$engine.page/next" "$scratch/$engine.page/metrics"
  wait "${started[-1]}"
  same "$engine: scrape ends with" $? 0
  unset 'started[-1]'
  also "$python" "$here/check_server_metrics.py" "$scratch/$engine"
done
