#!/usr/bin/env bash
# streams.sh [STREAMS]: the gateway's memory under 2,000 concurrent streams. Three rounds of streams of 20 s each pass
# through it; its resident memory in the last round must be at most a tenth above that of the first, and nothing may be
# left in flight. TOKMETER names the program.
source "$(dirname "$0")/../tests/interop/tally.sh"
here="$root/tests/interop"
source "$here/simulator.sh"
streams=${1:-2000}
ulimit -n "$(ulimit -Hn)"
upstream=$(free_port) gateway=$(free_port)
start_simulator "$upstream" "$scratch/sim.jsonl" --ttft-ms 200 --itl-ms 500
start "$TOKMETER" gateway --listen "127.0.0.1:$gateway" --upstream "sim=http://127.0.0.1:$upstream" >"$scratch/gateway.out" 2>&1
process=$!
wait_for 10 curl -sf "http://127.0.0.1:$gateway/readyz" || { fail "streams: gateway is not up"; exit 1; }
resident() { awk '/^VmRSS:/ { print $2 }' "/proc/$process/status"; }
page() { curl -sf "http://127.0.0.1:$gateway/metrics"; }
in_flight() { page | awk '/^gateway_requests_in_flight/ { sum += $2 } END { print sum + 0 }'; }
echo "# before: $(resident) KiB"
largest=()
for round in 1 2 3; do
  "$TOKMETER" profile --model sim-model --url "http://127.0.0.1:$gateway" --endpoint-type chat --streaming --concurrency "$streams" \
    --request-count "$streams" --isl 64 --osl 40 --ui none --no-server-metrics --output-artifact-dir "$scratch/run-$round" >"$scratch/run.out" 2>&1 &
  load=$!
  most=0 together=0
  while kill -0 "$load" 2>/dev/null; do
    now=$(resident) flying=$(in_flight)
    [ "$now" -gt "$most" ] && most=$now
    [ "$flying" -gt "$together" ] && together=$flying
    sleep 1
  done
  if wait "$load"; then pass "streams: round $round: $together at once, $most KiB"; else fail "streams: round $round: $(tail -n 2 "$scratch/run.out" | tr '\n' ' ')"; fi
  if [ "$together" -ge $((streams * 95 / 100)) ]; then pass "streams: round $round has them at once"; else fail "streams: only $together at once"; fi
  largest+=("$most")
done
if [ $((largest[2] * 10)) -le $((largest[0] * 11)) ]; then pass "streams: memory is flat: ${largest[*]} KiB"; else fail "streams: memory grows: ${largest[*]} KiB"; fi
check "streams: nothing is left in flight" wait_for 10 sh -c "[ \"\$(curl -sf http://127.0.0.1:$gateway/metrics | awk '/^gateway_requests_in_flight/ { s += \$2 } END { print s + 0 }')\" = 0 ]"
