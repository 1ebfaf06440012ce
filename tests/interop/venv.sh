#!/usr/bin/env bash
# venv.sh NAME: prints the python of a virtual environment with requirements-NAME.txt installed.
# Environments live in .venv/NAME-HASH at the root of the repository; the hash is that of the requirement
# files, so a changed pin makes a new one and an unchanged one costs nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
name=$1
files=("$here/requirements-$name.txt")
[ -f "$here/requirements-$name-nodeps.txt" ] && files+=("$here/requirements-$name-nodeps.txt")
hash=$(cat "${files[@]}" | sha256sum | cut -c1-12)
env="$root/.venv/$name-$hash"
mkdir -p "$root/.venv"
exec 9>"$root/.venv/$name.lock"
flock 9
if [ ! -e "$env/complete" ]; then
  begin=$SECONDS
  rm -rf "$root/.venv/$name-"*
  python3 -m venv "$env" >&2
  "$env/bin/pip" install --quiet --disable-pip-version-check -r "${files[0]}" >&2
  [ ${#files[@]} -gt 1 ] && "$env/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "${files[1]}" >&2
  touch "$env/complete"
  echo "venv $name: $((SECONDS - begin)) s, $(du -sh "$env" | cut -f1)" >&2
fi
echo "$env/bin/python"
