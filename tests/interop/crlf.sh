#!/usr/bin/env bash
# crlf.sh: event streams with CRLF line ends, payloads over several data lines and comments, from FastAPI with
# sse-starlette: every event must be seen and the text must come out as it was sent.
source "$(dirname "$0")/tally.sh"
python=$("$here/venv.sh" readers)
port=$(free_port)
start "$python" "$here/crlf_server.py" "$port"
check "crlf: server is up" wait_for 20 curl -sf "http://127.0.0.1:$port/v1/models"
check "crlf: profile ends well" "$TOKMETER" profile --model crlf-model --url "http://127.0.0.1:$port" --endpoint-type chat --streaming \
  --concurrency 3 --request-count 15 --isl 8 --ui none --no-server-metrics --export-level raw --output-artifact-dir "$scratch/run" || exit 1
also "$python" "$here/check_crlf.py" "$scratch/run" 15
also "$python" "$here/check_statistics.py" "$scratch/run"
