#!/usr/bin/env bash
# certificates.sh FOLDER: root.pem (to be trusted), chain.pem (leaf and intermediate) and leaf.key for localhost and 127.0.0.1
set -euo pipefail
mkdir -p "$1"
cd "$1"
authority="basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign"
leaf="basicConstraints=CA:FALSE
extendedKeyUsage=serverAuth
subjectAltName=DNS:localhost,IP:127.0.0.1"
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
# sign NAME SUBJECT ISSUER EXTENSIONS
sign() {
  new_key "$1.key"
  openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -CAcreateserial -days 2 -extfile <(echo "$4") -out "$1.pem" 2>/dev/null
}
new_key root.key
openssl req -x509 -new -key root.key -subj "/CN=tokmeter test root" -days 2 -out root.pem -config <(printf '[req]\ndistinguished_name=n\nx509_extensions=e\n[n]\n[e]\n%s\n' "$authority")
sign intermediate "tokmeter test intermediate" root "$authority"
sign leaf localhost intermediate "$leaf"
cat leaf.pem intermediate.pem >chain.pem
