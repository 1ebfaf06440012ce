#!/usr/bin/env bash
# prometheus.sh: a real Prometheus (Debian's) scrapes the gateway while it is under load: the queries of the monitoring
# page, every panel of our dashboard and every rule return data; promtool accepts rules, their tests and the metrics page;
# a slow upstream fires HighBackendTTFB.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)
quick=$(free_port) slow=$(free_port) gateway=$(free_port) prometheus=$(free_port)
deploy="$root/deploy/prometheus"

for rules in "$deploy"/*rules*.yml; do check "prometheus: promtool check rules $(basename "$rules")" promtool check rules "$rules"; done
check "prometheus: promtool test rules" promtool test rules "$deploy"/tests/*.yml

start_simulator "$quick" "$scratch/quick.jsonl" --ttft-ms 30 --itl-ms 5
start_simulator "$slow" "$scratch/slow.jsonl" --ttft-ms 2600 --itl-ms 5 --model slow-model
start "$TOKMETER" gateway --listen "127.0.0.1:$gateway" --upstream "quick=http://127.0.0.1:$quick" \
  --upstream "slow=http://127.0.0.1:$slow" --route "slow-model=slow" --route "*=quick" >"$scratch/gateway.out" 2>&1
check "prometheus: gateway is ready" wait_for 10 curl -sf "http://127.0.0.1:$gateway/readyz" || exit 1

# the alerts wait minutes before they fire; the test does not
mkdir "$scratch/rules"
for rules in "$deploy"/*rules*.yml; do sed -E 's/for: *[0-9]+[smh]/for: 2s/' "$rules" >"$scratch/rules/$(basename "$rules")"; done
cat >"$scratch/prometheus.yml" <<CONF
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ "$scratch/rules/*.yml" ]
scrape_configs: [ { job_name: gateway, static_configs: [ { targets: [ "127.0.0.1:$gateway" ] } ] } ]
CONF
start prometheus --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/data" \
  --web.listen-address="127.0.0.1:$prometheus" --log.level=warn
check "prometheus: is ready" wait_for 20 curl -sf "http://127.0.0.1:$prometheus/-/ready" || exit 1

# profile MODEL SECONDS: load through the gateway
profile() {
  "$TOKMETER" profile --model "$1" --url "http://127.0.0.1:$gateway" --endpoint-type chat --streaming --concurrency 4 \
    --benchmark-duration "$2" --isl 16 --osl 8 --ui none --no-server-metrics --output-artifact-dir "$scratch/run-$1" >"$scratch/profile-$1.out" 2>&1
}
profile sim-model 20 &
load=$!
also "$python" "$here/check_promql.py" "http://127.0.0.1:$prometheus" --queries "$here/../fixtures/gateway-queries.txt" \
  --dashboard "$root/deploy/grafana/performance-monitoring.json" --rules "$scratch"/rules/*.yml --wait 18
check "prometheus: promtool check metrics" sh -c "curl -s http://127.0.0.1:$gateway/metrics | promtool check metrics"
wait "$load" && pass "prometheus: load through the gateway ends well" || fail "prometheus: $(tail -n 2 "$scratch/profile-sim-model.out")"

profile slow-model 15 &
started+=($!)
fires() { curl -s "http://127.0.0.1:$prometheus/api/v1/alerts" | jq -e '.data.alerts[] | select(.labels.alertname == "HighBackendTTFB" and .state == "firing")'; }
check "prometheus: a slow upstream fires HighBackendTTFB" wait_for 40 fires
