#!/usr/bin/env bash
# fuzz/run.sh SECONDS [TARGET...]: fuzzes every target, or the named ones, for so long each, and exits with 1 when one of
# them finds something (the input is then in fuzz/artifacts/TARGET). Each begins with the committed inputs in
# fuzz/seeds/TARGET and with the fixtures of the tests; what it finds is kept in fuzz/corpus, outside of version control.
# fuzz/run.sh --keep [TARGET...]: adds to fuzz/seeds what the corpora know and no committed seed reaches.
# Needs cargo-fuzz (cargo install --locked cargo-fuzz) and a nightly compiler; without one the stable compiler is told to
# take nightly's flags, which the sanitizer needs.
set -euo pipefail
cd "$(dirname "$0")/.."

# Longer inputs are not made: short ones are tried a hundred times as often.
max_bytes=8192
# Found inputs longer than this are not committed.
max_kept_bytes=256

mode=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
fuzz=(cargo fuzz)
if rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
  fuzz=(cargo +nightly fuzz)
else
  export RUSTC_BOOTSTRAP=1
fi
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <("${fuzz[@]}" list)

# Copies the beginnings of fixtures under the names of their content, so that a corpus stays one of distinct inputs.
fixtures() {
  local target=$1 prefix=$2 file
  shift 2
  for file in "$@"; do
    [ -f "$file" ] || continue
    { printf '%b' "$prefix"; head -c "$max_bytes" "$file"; } >"fuzz/corpus/$target/fixture-$(cksum <"$file" | tr ' ' -)"
  done
}

prepare() {
  mkdir -p "fuzz/corpus/$1" "fuzz/seeds/$1"
  case $1 in
    sse) fixtures sse '' conformance/vectors/*.sse tests/fixtures/sse/* ;;
    exposition) fixtures exposition '' tests/fixtures/metrics/* ;;
    records | har) fixtures "$1" '' tests/fixtures/*/profile_export.jsonl ;;
    dataset)
      fixtures dataset '\x05' tests/fixtures/mooncake-sample.jsonl
      fixtures dataset '\x09' tests/fixtures/*/inputs.json
      ;;
  esac
}

if [ "$mode" = --keep ]; then
  for target in "${targets[@]}"; do
    prepare "$target"
    # Merging adds the inputs that reach code which the seeds do not.
    "${fuzz[@]}" run "$target" "fuzz/seeds/$target" "fuzz/corpus/$target" -- \
      -set_cover_merge=1 -max_len="$max_kept_bytes" -timeout=25 -rss_limit_mb=4096
  done
  exit
fi

found=()
for target in "${targets[@]}"; do
  prepare "$target"
  echo "== $target: $mode s"
  "${fuzz[@]}" run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="$mode" -max_len="$max_bytes" -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 -verbosity=0 || found+=("$target")
done
if [ ${#found[@]} -gt 0 ]; then
  echo "fuzzing found something in: ${found[*]}" >&2
  exit 1
fi
