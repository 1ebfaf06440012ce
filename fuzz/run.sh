#!/usr/bin/env bash
# fuzz/run.sh SECONDS [TARGET...]: fuzzes every target, or the named ones, for so long each, and exits with 1 when one of
# them finds something (the input is then in fuzz/artifacts/TARGET). Each begins with the committed inputs in
# fuzz/seeds/TARGET and with the fixtures of the tests; what it finds is kept in fuzz/corpus, outside of version control.
# fuzz/run.sh --keep [TARGET...]: adds to fuzz/seeds what the corpora know and no committed seed reaches.
# The stable compiler builds them, instrumented for libFuzzer and with debug assertions; nothing is installed. A sanitizer
# beside it needs nightly: `cargo +nightly fuzz run TARGET`.
set -euo pipefail
cd "$(dirname "$0")/.."

# Longer inputs are not made: short ones are tried a hundred times as often.
max_bytes=8192
# Found inputs longer than this are not committed.
max_kept_bytes=256

mode=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cd fuzz/fuzz_targets && basename -s .rs ./*.rs)

# A target is named, so that the flags reach neither build scripts nor macros.
host=$(rustc -vV | sed -n 's/^host: //p')
binaries=$PWD/fuzz/target/$host/debug
coverage=(level=4 inline-8bit-counters pc-table trace-compares)
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 ${coverage[*]/#/-Cllvm-args=-sanitizer-coverage-}" \
  cargo build --quiet --locked --manifest-path fuzz/Cargo.toml --target "$host" $(printf -- '--bin %s ' "${targets[@]}")

# fuzz TARGET ARGUMENT...
fuzz() {
  local target=$1
  shift
  mkdir -p "fuzz/artifacts/$target"
  "$binaries/$target" -artifact_prefix="fuzz/artifacts/$target/" -timeout=25 -rss_limit_mb=4096 "$@"
}

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
    fuzz "$target" -set_cover_merge=1 -max_len="$max_kept_bytes" "fuzz/seeds/$target" "fuzz/corpus/$target"
  done
  exit
fi

# As many at once as there are cores; what each said is shown when all have ended.
said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
for target in "${targets[@]}"; do
  prepare "$target"
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
  { fuzz "$target" -max_total_time="$mode" -max_len="$max_bytes" -print_final_stats=1 -verbosity=0 \
    "fuzz/corpus/$target" "fuzz/seeds/$target" && touch "$said/$target.passed"; } >"$said/$target" 2>&1 &
done
wait
found=()
for target in "${targets[@]}"; do
  echo "== $target: $mode s"
  if [ -e "$said/$target.passed" ]; then
    grep '^stat::' "$said/$target"
  else
    cat "$said/$target"
    found+=("$target")
  fi
done
if [ ${#found[@]} -gt 0 ]; then
  echo "fuzzing found something in: ${found[*]}" >&2
  exit 1
fi
