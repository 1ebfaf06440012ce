#!/usr/bin/env bash
# miri.sh: what has unsafe code or shares atomics, under Miri: reads outside a buffer, uninitialized bytes, wrong aliasing
# and data races, with every order of relaxed operations that the memory model allows drawn at random.
# What enters the kernel (sockets) is beyond it.
# Needs: rustup toolchain install nightly --component miri --component rust-src
set -euo pipefail
cd "$(dirname "$0")/.."
# The clock is the machine's own; 16 orders of threads are tried.
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-many-seeds=0..16"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri"
cargo +nightly miri test -p tokmeter-http --lib -- io::kernel
cargo +nightly miri test -p tokmeter-gateway --lib -- metrics::cell
