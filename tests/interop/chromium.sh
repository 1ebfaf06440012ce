#!/usr/bin/env bash
# chromium.sh: the HTML report of two runs, opened offline in Debian's Chromium (chromium.mjs). SCREENSHOTS names a folder
# to keep the pictures in.
source "$(dirname "$0")/tally.sh"
NODE_FOLDER=$("$here/node.sh") || exit 1
export NODE_FOLDER
for concurrency in 2 8; do
  check "report: run at concurrency $concurrency" "$TOKMETER" demo --concurrency "$concurrency" --request-count 60 --export-http-trace \
    --ui none --output-artifact-dir "$scratch/$concurrency" || exit 1
done
check "report: is written" "$TOKMETER" report "$scratch/2" "$scratch/8" --output "$scratch/report.html" || exit 1
size=$(stat -c %s "$scratch/report.html")
[ "$size" -lt 10000000 ] && pass "report: one file of $size bytes" || fail "report: $size bytes"
also node "$here/chromium.mjs" "$scratch/report.html" "${SCREENSHOTS:-$scratch}"
