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
check "prometheus: promtool check config" promtool check config "$deploy/prometheus.yml"

start_simulator "$quick" "$scratch/quick.jsonl" --ttft-ms 30 --itl-ms 5
# the role with the first token: the first byte is what the alert is about
start_simulator "$slow" "$scratch/slow.jsonl" --ttft-ms 2600 --itl-ms 5 --model slow-model --role-chunk with-first-token
start "$TOKMETER" gateway --listen "127.0.0.1:$gateway" --upstream "quick=http://127.0.0.1:$quick" \
  --upstream "slow=http://127.0.0.1:$slow" --route "slow-model=slow" --route "*=quick" >"$scratch/gateway.out" 2>&1
check "prometheus: gateway is ready" wait_for 10 curl -sf "http://127.0.0.1:$gateway/readyz" || exit 1

# the alerts wait minutes before they fire, the recording rules for their turn; the test does not
mkdir "$scratch/rules"
for rules in "$deploy"/*rules*.yml; do
  sed -E 's/for: *[0-9]+[smh]/for: 2s/; s/interval: *[0-9]+s/interval: 1s/' "$rules" >"$scratch/rules/$(basename "$rules")"
done
cat >"$scratch/prometheus.yml" <<CONF
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ "$scratch/rules/*.yml" ]
scrape_configs: [ { job_name: gateway, static_configs: [ { targets: [ "127.0.0.1:$gateway" ] } ] } ]
CONF
start prometheus --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/data" \
  --web.listen-address="127.0.0.1:$prometheus" --log.level=warn
check "prometheus: is ready" wait_for 20 curl -sf "http://127.0.0.1:$prometheus/-/ready" || exit 1

# profile MODEL CONCURRENCY: load through the gateway while the queries are asked
profile() {
  "$TOKMETER" profile --model "$1" --url "http://127.0.0.1:$gateway" --endpoint-type chat --streaming --concurrency "$2" \
    --benchmark-duration 20 --isl 16 --osl 8 --ui none --no-server-metrics --output-artifact-dir "$scratch/run-$1" >"$scratch/profile-$1.out" 2>&1
}
state() { curl -s "http://127.0.0.1:$prometheus/api/v1/alerts" | jq -r '.data.alerts[] | select(.state == "firing") | .labels.alertname'; }
fires() { state | grep -qx "$1"; }
profile sim-model 2 &
quick_load=$!
# more than one in twenty is slow, so that the 95th percentile of all is
profile slow-model 16 &
slow_load=$!
also "$python" "$here/check_promql.py" "http://127.0.0.1:$prometheus" --queries "$here/../fixtures/gateway-queries.txt" \
  --dashboard "$root/deploy/grafana/performance-monitoring.json" --rules "$scratch"/rules/*.yml --wait 18
check "prometheus: a slow upstream fires HighBackendTTFB" wait_for 20 fires HighBackendTTFB
check "prometheus: and SlowProviderTTFB" wait_for 5 fires SlowProviderTTFB
if fires GatewayAbsent; then fail "prometheus: GatewayAbsent fires though there is one"; else pass "prometheus: GatewayAbsent is silent"; fi
check "prometheus: promtool check metrics" sh -c "curl -s http://127.0.0.1:$gateway/metrics | promtool check metrics"
for load in "$quick_load" "$slow_load"; do
  if wait "$load"; then pass "prometheus: load through the gateway ends well"; else fail "prometheus: $(tail -qn 2 "$scratch"/profile-*.out | tr '\n' ' ')"; fi
done
