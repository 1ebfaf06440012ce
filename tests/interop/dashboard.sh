#!/usr/bin/env bash
# dashboard.sh: `profile --ui dashboard` driven in tmux at two sizes: what it shows, its keys, and that the terminal is
# given back.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
port=$(free_port)
start_simulator "$port" "$scratch/sim.jsonl" --ttft-ms 40 --itl-ms 5 --fault status:503@0.1
socket="$scratch/tmux"
in_tmux() { tmux -S "$socket" "$@"; }
screen() { in_tmux capture-pane -p -t run; }
# shows TEXT: waits until the screen has it
shows() {
  for _ in $(seq 100); do screen | grep -qF -- "$1" && return 0; sleep 0.1; done
  screen >&2
  return 1
}
hides() {
  for _ in $(seq 100); do screen | grep -qF -- "$1" || return 0; sleep 0.1; done
  return 1
}
# open SIZE FLAG...: a shell of this size in which a run starts
open() {
  local width=${1%x*} height=${1#*x}
  shift
  in_tmux new-session -d -s run -x "$width" -y "$height" "env PS1='\$ ' bash --norc --noprofile"
  in_tmux send-keys -t run "$TOKMETER profile -m sim-model -u 127.0.0.1:$port --endpoint-type chat --streaming --concurrency 4 --ui dashboard --output-artifact-dir $scratch/$width $*; echo ended with \$?" Enter
}
close() { in_tmux kill-session -t run; }

for size in 80x24 200x60; do
  open "$size" --request-count 100000
  check "dashboard $size: figures move" shows "tokens/s"
  check "dashboard $size: latencies are shown" shows "TTFT"
  check "dashboard $size: the failure is named" shows "503 Service Unavailable"
  check "dashboard $size: server gauges are shown" shows "vllm:num_request"
  [ "$size" = 80x24 ] || check "dashboard $size: charts are shown" shows "Time to first token, median"
  in_tmux send-keys -t run "?"
  check "dashboard $size: ? shows the keys" shows "cancel what is in flight"
  in_tmux send-keys -t run "?"
  in_tmux send-keys -t run p
  check "dashboard $size: p pauses the screen" shows "paused"
  before=$(screen)
  sleep 1
  [ "$before" = "$(screen)" ] && pass "dashboard $size: a paused screen stands still" || fail "dashboard $size: a paused screen moved"
  in_tmux send-keys -t run p
  check "dashboard $size: p goes on" hides "paused"
  in_tmux send-keys -t run q
  check "dashboard $size: q ends the run, exit code 130" shows "ended with 130"
  check "dashboard $size: the tables are printed after it" shows "files in"
  in_tmux send-keys -t run "echo typed \$((20 + 3))" Enter
  check "dashboard $size: the terminal is given back" shows "typed 23"
  close
done

open 80x24 --request-count 100000
shows "tokens/s" || fail "dashboard: does not start"
in_tmux send-keys -t run C-c
check "dashboard: Ctrl-C ends the run" shows "ended with 130"
close

"$TOKMETER" profile -m sim-model -u "127.0.0.1:$port" --endpoint-type chat --streaming --request-count 20 --ui dashboard \
  --output-artifact-dir "$scratch/plain" >"$scratch/plain.out" 2>&1 </dev/null
same "dashboard: without a terminal the run ends well" $? 0
grep -q $'\x1b\[?1049h' "$scratch/plain.out" && fail "dashboard: took a screen that is none" || pass "dashboard: without a terminal there is no screen"
