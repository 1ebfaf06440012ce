#!/usr/bin/env bash
# check_run.sh DIR [--prefix P]: every public reader of a run's files: AIPerf's models, JSON Schema, numpy, pyarrow, DuckDB.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
readers=$("$here/venv.sh" readers) aiperf=$("$here/venv.sh" aiperf)
dir=$1 prefix=${3:-} code=0
"$aiperf" "$here/check_models.py" "$@" || code=1
"$readers" "$here/check_schemas.py" "$@" || code=1
"$readers" "$here/check_statistics.py" "$@" || code=1
server="$dir/server_metrics_export.json"
[ -n "$prefix" ] && server="$dir/${prefix}_server_metrics.json"
if [ -e "$server" ]; then
  "$readers" "$here/check_server_metrics.py" "$@" || code=1
fi
exit $code
