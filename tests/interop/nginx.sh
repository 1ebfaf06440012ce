#!/usr/bin/env bash
# nginx.sh: a real TLS server in front of the simulator: nginx from Debian with a self-made chain (root, intermediate,
# leaf), TLS 1.2 and 1.3, HTTP/1.1 and 2, connections closed after 5 requests. nginx's own log says for each request
# which connection carried it, as which of that connection, with which TLS version, resumed or not: the records must agree.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)
backend=$(free_port) tls12=$(free_port) tls13=$(free_port) h2=$(free_port)
chain="$scratch/tls"
"$here/certificates.sh" "$chain"
start_simulator "$backend" "$scratch/sim.jsonl" --ttft-ms 20 --itl-ms 5

cat >"$scratch/nginx.conf" <<CONF
daemon off;
master_process off;
pid $scratch/nginx.pid;
error_log $scratch/error.log;
events { worker_connections 512; }
http {
  log_format facts '{"id":"\$http_x_request_id","protocol":"\$ssl_protocol","cipher":"\$ssl_cipher","resumed":"\$ssl_session_reused",'
                   '"connection":\$connection,"nth":\$connection_requests,"http":"\$server_protocol","port":\$server_port}';
  access_log $scratch/access.jsonl facts;
  client_body_temp_path $scratch/body; proxy_temp_path $scratch/proxy; fastcgi_temp_path $scratch/f; uwsgi_temp_path $scratch/u; scgi_temp_path $scratch/s;
  keepalive_requests 5;
  ssl_certificate $chain/chain.pem;
  ssl_certificate_key $chain/leaf.key;
  ssl_session_cache shared:tls:1m;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffering off;
  server { listen 127.0.0.1:$tls12 ssl; ssl_protocols TLSv1.2; location / { proxy_pass http://127.0.0.1:$backend; } }
  server { listen 127.0.0.1:$tls13 ssl; ssl_protocols TLSv1.3; location / { proxy_pass http://127.0.0.1:$backend; } }
  server { listen 127.0.0.1:$h2 ssl http2; ssl_protocols TLSv1.2 TLSv1.3; location / { proxy_pass http://127.0.0.1:$backend; } }
}
CONF
start nginx -c "$scratch/nginx.conf"
check "nginx: answers over TLS with our chain" wait_for 10 curl -sf --cacert "$chain/root.pem" "https://localhost:$tls13/v1/models"

# profile NAME PORT FLAG...: 20 requests into $scratch/NAME
profile() {
  local name=$1 port=$2
  shift 2
  check "nginx $name: profile ends well" "$TOKMETER" profile --model sim-model --url "https://localhost:$port" --endpoint-type chat \
    --streaming --request-count 20 --isl 16 --osl 6 --ui none --no-server-metrics --export-http-trace --cacert "$chain/root.pem" \
    --output-artifact-dir "$scratch/$name" "$@" || return
  also "$python" "$here/check_tls.py" "$scratch/$name" "$scratch/access.jsonl" "$name"
}
profile tls1.2 "$tls12" --concurrency 1
profile tls1.3 "$tls13" --concurrency 1
profile tls1.3-concurrent "$tls13" --concurrency 4
profile h2 "$h2" --concurrency 4 --http-version 2

# refused NAME URL FLAG...: what must not be trusted is refused, in words
refused() {
  local name=$1 url=$2 code
  shift 2
  "$TOKMETER" profile --model sim-model --url "$url" --endpoint-type chat --request-count 1 --ui none --no-server-metrics \
    --output-artifact-dir "$scratch/refused" "$@" >"$scratch/refused.out" 2>&1
  code=$?
  if [ $code -ne 0 ] && grep -qiE 'certificate|unknown (ca|issuer)|not valid for' "$scratch/refused.out"; then
    pass "nginx: $name is refused in words: $(grep -iEm1 'certificate|issuer|not valid for' "$scratch/refused.out" | cut -c1-120)"
  else
    fail "nginx: $name: exit $code, $(tail -n 2 "$scratch/refused.out" | tr '\n' ' ')"
  fi
}
refused "unknown authority" "https://localhost:$tls13"
refused "wrong name" "https://wrong.test:$tls13" --cacert "$chain/root.pem" --resolve "wrong.test:$tls13:127.0.0.1"
