#!/usr/bin/env bash
# clients.sh: the official openai and anthropic Python clients through the gateway, unchanged, against the simulator.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" gateway)
upstream=$(free_port) gateway=$(free_port)
start_simulator "$upstream" "$scratch/sim.jsonl" --ttft-ms 5 --itl-ms 2
start "$TOKMETER" gateway --listen "127.0.0.1:$gateway" --upstream "sim=http://127.0.0.1:$upstream" >"$scratch/gateway.out" 2>&1
check "clients: gateway is ready" wait_for 10 curl -sf "http://127.0.0.1:$gateway/readyz" || exit 1
also "$python" "$here/clients.py" "http://127.0.0.1:$upstream" "http://127.0.0.1:$gateway"
