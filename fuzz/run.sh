#!/usr/bin/env bash
# fuzz/run.sh SECONDS [TARGET...]: fuzzes every target, or the named ones, for so long each. Corpora grow in fuzz/corpus
# and begin with the fixtures of the tests. Needs a nightly compiler and cargo-fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo +nightly fuzz list)

# Seeds are copied under the name of their content, so that a corpus stays one of distinct inputs.
seed() {
  local target=$1 prefix=$2 file
  shift 2
  mkdir -p "fuzz/corpus/$target"
  for file in "$@"; do
    [ -f "$file" ] || continue
    { printf '%b' "$prefix"; head -c 65536 "$file"; } >"fuzz/corpus/$target/seed-$(cksum <"$file" | tr ' ' -)"
  done
}

seed sse '' conformance/vectors/*
seed records '' tests/fixtures/*/profile_export.jsonl
seed dataset '\x05' tests/fixtures/mooncake-sample.jsonl
seed dataset '\x09' tests/fixtures/*/inputs.json
seed config '' fuzz/seeds/*.yaml

for target in "${targets[@]}"; do
  mkdir -p "fuzz/corpus/$target"
  echo "== $target: $seconds s"
  cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -timeout=25 -rss_limit_mb=4096 -print_final_stats=1
done
