# Sourced by the shell checks: the same one-line verdicts as tally.py, a scratch folder, and an orderly end.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
TOKMETER=${TOKMETER:-$root/target/release/tokmeter}
scratch=$(mktemp -d)
failed=0
started=()

pass() { echo "PASS $1"; }
fail() { echo "FAIL $1"; failed=1; }
# check NAME COMMAND...: the check holds when the command succeeds
check() {
  local name=$1
  shift
  "$@" >"$scratch/check.out" 2>&1 && { pass "$name"; return 0; }
  fail "$name: $(tail -n 3 "$scratch/check.out" | tr '\n' ' ')"
  return 1
}
# also COMMAND...: a script that prints its own verdicts
also() { "$@" || failed=1; }
# same NAME GOT WANTED
same() { if [ "$2" = "$3" ]; then pass "$1: $2"; else fail "$1: got '$2', wanted '$3'"; fi; }
# start COMMAND...: in the background, ended with the script; its process id is in $!
start() { "$@" & started+=($!); }
finish() {
  local code=$? pid
  for pid in "${started[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null; done
  for pid in "${started[@]:-}"; do [ -n "$pid" ] && wait "$pid" 2>/dev/null; done
  rm -rf "$scratch"
  if [ "$code" -eq 0 ] && [ "$failed" -ne 0 ]; then code=1; fi
  exit "$code"
}
trap finish EXIT
# free_port: the lower of two neighbouring loopback ports on which nobody listens now, below the ephemeral range
free_port() {
  python3 - <<'PYTHON'
import random, socket
while True:
    port = random.randrange(20000, 32000)
    try:
        for number in (port, port + 1):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", number))
        break
    except OSError:
        pass
print(port)
PYTHON
}
# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() { local limit=$((SECONDS + $1)); shift; until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $limit ] || return 1; sleep 0.1; done; }
