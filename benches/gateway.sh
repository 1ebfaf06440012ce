#!/usr/bin/env bash
# gateway.sh [--requests N] [--concurrency N]: what our gateway adds, side by side in one run with nginx (Debian) as a
# plain streaming proxy, against the simulator, measured by `tax`: median of the paired differences and difference of
# the 99th percentiles, in us. TOKMETER names the program. The runs alternate, so that both meet the machine's moods.
source "$(dirname "$0")/../tests/interop/tally.sh"
here="$root/tests/interop"
source "$here/simulator.sh"
requests=2000 concurrency=64 rounds=3
while [ $# -gt 0 ]; do
  case $1 in
    --requests) requests=$2 ;;
    --concurrency) concurrency=$2 ;;
    --rounds) rounds=$2 ;;
    *) sed -n '2,4p' "$0" | cut -c3-; exit 2 ;;
  esac
  shift 2
done
upstream=$(free_port) gateway=$(free_port) nginx=$(free_port)
start_simulator "$upstream" "$scratch/sim.jsonl" --ttft-ms 20 --itl-ms 5
start "$TOKMETER" gateway --listen "127.0.0.1:$gateway" --upstream "sim=http://127.0.0.1:$upstream" >"$scratch/gateway.out" 2>&1
cat >"$scratch/nginx.conf" <<CONF
daemon off;
worker_processes auto;
pid $scratch/nginx.pid;
error_log $scratch/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path $scratch/body; proxy_temp_path $scratch/proxy; fastcgi_temp_path $scratch/f; uwsgi_temp_path $scratch/u; scgi_temp_path $scratch/s;
  keepalive_requests 1000000;
  client_body_buffer_size 1m;
  upstream simulator { server 127.0.0.1:$upstream; keepalive 1024; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:$nginx;
    location / {
      proxy_pass http://simulator;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
    }
  }
}
CONF
start nginx -c "$scratch/nginx.conf"
wait_for 10 curl -sf "http://127.0.0.1:$gateway/readyz" || { fail "gateway: not up"; exit 1; }
wait_for 10 curl -sf "http://127.0.0.1:$nginx/v1/models" || { fail "nginx: not up"; exit 1; }

# tax NAME PORT ROUND
tax() {
  "$TOKMETER" tax --direct "http://127.0.0.1:$upstream" --through "http://127.0.0.1:$2" --concurrency "$concurrency" \
    --requests "$requests" --osl 8 --json "$scratch/$1-$3.json" >"$scratch/tax.out" 2>&1 || { cat "$scratch/tax.out"; exit 1; }
}
for round in $(seq "$rounds"); do
  tax gateway "$gateway" "$round"
  tax nginx "$nginx" "$round"
done
# the median of the rounds, in us
figure() {
  jq -s --arg stage "$2" --arg figure "$3" \
    '[.[].cells[0].stages[] | select(.stage == $stage) | .[$figure].estimate * 1000 | round] | sort | .[length / 2 | floor]' "$scratch/$1"-*.json
}
echo "added by, us ($concurrency in flight, $requests pairs, median of $rounds rounds, load $(cut -d' ' -f1 /proc/loadavg))"
printf '%-10s %14s %14s %16s %16s %12s %12s\n' "" "TTFB p50" "TTFB p99" "first token p50" "first token p99" "total p50" "total p99"
for name in gateway nginx; do
  printf '%-10s %14s %14s %16s %16s %12s %12s\n' "$name" "$(figure $name ttfb added_p50)" "$(figure $name ttfb added_p99)" \
    "$(figure $name first_token added_p50)" "$(figure $name first_token added_p99)" "$(figure $name total added_p50)" "$(figure $name total added_p99)"
done
