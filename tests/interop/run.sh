#!/usr/bin/env bash
# run.sh [NAME...]: the interop checks, or the named ones of them, in order; one line per check, the time of each script,
# and `N passed, N failed` at the end. A script that fails without saying so, or says nothing, is a failure of its own.
# TOKMETER names the program to test; without it a release build of this tree is made.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
all=(test_checkers test_export_checkers test_promql parser scrape profile exports aa truth crlf nginx tshark har busy starved
  dynamo clients prometheus chromium dashboard kubernetes slurm)
[ $# -gt 0 ] && all=("$@")

if [ -z "${TOKMETER:-}" ]; then
  (cd "$root" && cargo build --release --quiet --package tokmeter) || exit 1
  TOKMETER="$root/target/release/tokmeter"
fi
export TOKMETER PYTHONDONTWRITEBYTECODE=1
readers=$("$here/venv.sh" readers) || exit 1
AIPERF_PYTHON=$("$here/venv.sh" aiperf) || exit 1
export AIPERF_PYTHON

output=$(mktemp)
trap 'rm -f "$output"' EXIT
passed=0 failed=0
for name in "${all[@]}"; do
  case $name in
    test_*) command=("$readers" "$here/$name.py") ;;
    parser) command=("$readers" "$here/check_prometheus_parser.py") ;;
    *) command=("$here/$name.sh") ;;
  esac
  begin=$SECONDS
  "${command[@]}" 2>&1 </dev/null | tee "$output"
  code=${PIPESTATUS[0]}
  good=$(grep -c '^PASS ' "$output") bad=$(grep -c '^FAIL ' "$output")
  if [ "$bad" -eq 0 ] && { [ "$code" -ne 0 ] || [ "$good" -eq 0 ]; }; then
    echo "FAIL $name: ended with $code after $good checks"
    bad=1
  fi
  passed=$((passed + good)) failed=$((failed + bad))
  echo "# $name: $good passed, $bad failed, $((SECONDS - begin)) s"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
