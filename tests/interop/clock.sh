#!/usr/bin/env bash
# clock.sh: the machine's wall clock is set three seconds on while streams are under way. No duration notices, and the run
# is called `contaminated`. Sets the clock of the machine and back: as root, and asked for by name only.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)
step=3

set_on() { python3 -c 'import sys, time; time.clock_settime(time.CLOCK_REALTIME, time.time() + float(sys.argv[1]))' "$1"; }
check "clock: it can be set here" set_on 0 || exit 1

for source in kernel user; do
  port=$(free_port)
  start_simulator "$port" "$scratch/$source.sim.jsonl" --ttft-ms 50 --itl-ms 20
  start "$TOKMETER" profile --model sim-model --url "http://127.0.0.1:$port" --endpoint-type chat --streaming --isl 16 --osl 50 \
    --ui none --concurrency 8 --request-count 40 --timestamp-source "$source" --output-artifact-dir "$scratch/$source" \
    >"$scratch/$source.out" 2>&1
  sleep 2.5
  set_on "$step"
  check "clock: the run over the step ends well ($source stamps)" wait "${started[-1]}"
  set_on "-$step"
  unset 'started[-1]'
  stop_simulator
  also "$python" "$here/check_clock.py" "$source" "$step" "$scratch/$source.sim.jsonl" "$scratch/$source"
done
