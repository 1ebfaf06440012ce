#!/usr/bin/env bash
# static.sh: the commands of docs/install.md as they stand there. The static binary asks for no loader and no library, a
# root folder without any other file is enough for a run, and so is the image made of it (Debian's buildah takes
# docker's place, for it needs no daemon). As root; needs musl-tools, buildah and the Rust target.
source "$(dirname "$0")/tally.sh"
python=$("$here/venv.sh" readers)
page="$root/docs/install.md"
# command BEGIN: the line of the page that begins so
command_of_page() { grep -m 1 "^$1" "$page"; }

cd "$root" || exit 1
check "static: the page's build command" bash -c "$(command_of_page 'cargo build')" || exit 1
static="$root/target/x86_64-unknown-linux-musl/release/tokmeter"
same "static: program headers that name a loader, and libraries" \
  "$(readelf --program-headers --dynamic --wide "$static" | grep -cE 'INTERP|NEEDED')" 0
echo "# static: $(($(stat -c %s "$static") / 1024)) KiB"

# An empty root: the binary, a folder to write to, and what the kernel gives to every container.
empty="$scratch/root"
mkdir -p "$empty/artifacts" "$empty/proc"
cp "$static" "$empty/tokmeter"
demo=(demo --artifact-dir /artifacts)
check "static: a run in an empty root" unshare --mount --pid --fork bash -c \
  'mount -t proc proc "$1/proc" && root=$1 && shift && exec chroot "$root" /tokmeter "$@"' - "$empty" "${demo[@]}"
also "$here/check_run.sh" "$empty/artifacts"

build=$(command_of_page 'docker build')
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
store=(--root "$scratch/images" --runroot "$scratch/images.run")
check "static: the page's image command" bash -c "${build/#docker/buildah ${store[*]}}" || exit 1
image=$(buildah "${store[@]}" from localhost/tokmeter)
same "static: what the image starts" \
  "$(buildah "${store[@]}" inspect --format '{{.OCIv1.Config.Entrypoint}} in {{.OCIv1.Config.WorkingDir}}' "$image")" \
  '[/tokmeter] in /artifacts'
tree=$(buildah "${store[@]}" mount "$image")
same "static: files in the image" "$(cd "$tree" && find . -type f)" ./tokmeter
check "static: a run in the image" buildah "${store[@]}" run "$image" -- /tokmeter "${demo[@]}"
also "$here/check_run.sh" "$tree/artifacts"
buildah "${store[@]}" rm "$image" >/dev/null
