# Sourced after tally.sh: the simulated server as the shell checks start it.
# start_simulator PORT LOG [flag...]: `tokmeter sim` on loopback; returns when it answers.
start_simulator() {
  local port=$1 log=$2
  shift 2
  start "$TOKMETER" sim --port "$port" --log "$log" "$@" >"$log.out" 2>&1
  wait_for 20 curl -sf "http://127.0.0.1:$port/v1/models" && return 0
  fail "simulator: not up after 20 s: $(tail -n 2 "$log.out" | tr '\n' ' ')"
  exit 1
}
# stop_simulator: ends the process that was started last and waits, so that its log is complete
stop_simulator() {
  kill -INT "${started[-1]}"
  wait "${started[-1]}"
  unset 'started[-1]'
  return 0
}
