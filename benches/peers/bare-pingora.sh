#!/bin/bash
# The 60-line pingora proxy of benches/src/bin/bare_pingora.rs. Pass-through only. See benches/README.md.
ROOT=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
BIN=${EDGEWEIR_BENCH_BIN:-${CARGO_TARGET_DIR:-$ROOT/target}/release}
[ "$1" = version ] && { echo "bare pingora 0.9.1"; exit; }
case $WORKLOAD in W1) ;; *) exit 77 ;; esac
exec "$BIN/bare_pingora" "$PORT" "$ORIGIN_PORT"
