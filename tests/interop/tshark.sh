#!/usr/bin/env bash
# tshark.sh: what a packet capture on loopback says of 200 requests against what our records say: first and last byte of
# each answer within 100 us at the 99th percentile.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)
port=$(free_port)
start_simulator "$port" "$scratch/sim.jsonl" --ttft-ms 20 --itl-ms 5
start dumpcap -q -i lo -f "tcp port $port" -s 2048 -w "$scratch/capture.pcapng" 2>"$scratch/dumpcap.out"
capture=$!
check "tshark: capture runs" wait_for 10 grep -q "File:" "$scratch/dumpcap.out" || exit 1
check "tshark: profile ends well" "$TOKMETER" profile --model sim-model --url "http://127.0.0.1:$port" --endpoint-type chat --streaming \
  --concurrency 4 --request-count 200 --isl 16 --osl 8 --ui none --no-server-metrics --export-http-trace --output-artifact-dir "$scratch/run" || exit 1
sleep 1 # the capture is written with a delay
kill -INT "$capture"
wait "$capture"
tshark -r "$scratch/capture.pcapng" -Y 'tcp.len > 0' -T fields -e frame.time_epoch -e tcp.stream -e tcp.srcport -e tcp.payload \
  >"$scratch/segments.tsv" 2>"$scratch/tshark.out"
also "$python" "$here/check_capture.py" "$scratch/segments.tsv" "$scratch/run" "$port" 200
