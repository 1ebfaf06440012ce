#!/usr/bin/env bash
# aa.sh: what `compare` says of runs of which the truth is known. 20 pairs of runs of one simulator: few are called worse;
# a simulator that is 5 % slower is found at 2,000 requests.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"

# measure NAME PORT REQUESTS
measure() {
  "$TOKMETER" profile --model sim-model --url "127.0.0.1:$2" --streaming --ui none --random-seed 7 --concurrency 16 \
    --request-count "$3" --isl 16 --osl 6 --output-artifact-dir "$scratch/$1" >"$scratch/$1.out" 2>&1
}
# worse BASELINE RUN: the figures that are called worse
worse() {
  "$TOKMETER" compare "$scratch/$1" "$scratch/$2" --json | python3 -c '
import json, sys
figures = json.load(sys.stdin)[0]["figures"]
assert len(figures) > 10, "compare compares"
print(" ".join(figure["figure"] for figure in figures if figure["change"] == "worse"))'
}

port=$(free_port)
start_simulator "$port" "$scratch/base.jsonl" --ttft-ms lognormal:40,0.2 --itl-ms lognormal:4,0.2 --seed 1
false_calls=0 named=""
for pair in $(seq 20); do
  # A pair that was not compared is no pair that was called equal: nothing is counted after it.
  measure "a$pair" "$port" 300 && measure "b$pair" "$port" 300 || { fail "aa: a run of pair $pair failed"; exit 1; }
  found=$(worse "a$pair" "b$pair") || { fail "aa: pair $pair was not compared"; exit 1; }
  [ -n "$found" ] && false_calls=$((false_calls + 1)) named="$named | $found"
done
# The stated rate is 5 %: one of 20. Four or more have a probability of 1.6 % at that rate.
if [ "$false_calls" -le 3 ]; then pass "aa: $false_calls of 20 pairs of equal runs called worse$named"
else fail "aa: $false_calls of 20 pairs of equal runs called worse$named"; fi
measure base "$port" 2000 || { fail "aa: the baseline failed"; exit 1; }
stop_simulator

port=$(free_port)
start_simulator "$port" "$scratch/slower.jsonl" --ttft-ms lognormal:42,0.2 --itl-ms lognormal:4.2,0.2 --seed 2
measure slower "$port" 2000 || { fail "aa: the slower run failed"; exit 1; }
stop_simulator
found=$(worse base slower)
case " $found " in
  *" request_latency_p50 "*) pass "aa: 5 % slower is found at 2,000 requests: $found" ;;
  *) fail "aa: 5 % slower was not found at 2,000 requests: ${found:-nothing}" ;;
esac
