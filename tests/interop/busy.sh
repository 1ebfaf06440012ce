#!/usr/bin/env bash
# busy.sh: kernel stamps beside a busy neighbour, small (benches/busy.py runs it at full size).
source "$(dirname "$0")/tally.sh"
also python3 "$root/benches/busy.py" --concurrency 64 --requests 192 --tokens 10 --check
