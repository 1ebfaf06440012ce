#!/usr/bin/env bash
# dynamo_server.sh FOLDER PORT: NVIDIA Dynamo's HTTP front end and a mocker worker on loopback, in the foreground of this
# script; the worker's own metrics are on PORT + 1 (it reads that number as 16 bits with sign: below 32767). No etcd, no NATS: discovery by files, requests over TCP.
# Both end when this script is told to (SIGTERM).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 port=$2
python=$("$here/venv.sh" dynamo)
mkdir -p "$folder/kv"
[ -e "$folder/model/config.json" ] || "$python" "$here/tiny_model.py" "$folder/model"

export DYN_DISCOVERY_BACKEND=file DYN_FILE_KV="$folder/kv" DYN_REQUEST_PLANE=tcp DYN_EVENT_PLANE=zmq
# unset, these planes bind to the machine's outward address
export DYN_HTTP_HOST=127.0.0.1 DYN_TCP_RPC_HOST=127.0.0.1 DYN_TCP_RESPONSE_STREAM_HOST=127.0.0.1 DYN_EVENT_PLANE_HOST=127.0.0.1
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 DO_NOT_TRACK=1 DYN_LOG=warn

"$python" -m dynamo.frontend --http-host 127.0.0.1 --http-port "$port" >"$folder/frontend.log" 2>&1 &
frontend=$!
DYN_SYSTEM_ENABLED=true DYN_SYSTEM_HOST=127.0.0.1 DYN_SYSTEM_PORT=$((port + 1)) \
  "$python" -m dynamo.mocker --model-path "$folder/model" --model-name tiny-llama --max-model-len 4096 --speedup-ratio 100 \
  >"$folder/mocker.log" 2>&1 &
mocker=$!
end_both() {
  kill "$frontend" "$mocker" 2>/dev/null
  for _ in $(seq 50); do
    kill -0 "$frontend" 2>/dev/null || kill -0 "$mocker" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$frontend" "$mocker" 2>/dev/null
}
trap 'end_both; exit 0' TERM INT
set +e
wait -n "$frontend" "$mocker"
echo "dynamo: a process ended by itself" >&2
for log in "$folder"/*.log; do tail -n 5 "$log" >&2; done
end_both
exit 1
