#!/usr/bin/env bash
# node.sh: prints a folder whose node_modules holds what package-lock.json names; made on first use under .venv/.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
folder="$root/.venv/node-$(sha256sum <"$here/package-lock.json" | cut -c1-12)"
mkdir -p "$root/.venv"
exec 9>"$root/.venv/node.lock"
flock 9
if [ ! -e "$folder/complete" ]; then
  rm -rf "$root/.venv/node-"*
  mkdir "$folder"
  cp "$here/package.json" "$here/package-lock.json" "$folder"
  npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts --silent >&2
  touch "$folder/complete"
fi
echo "$folder"
