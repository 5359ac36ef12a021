#!/bin/bash
# Edgeweir with the benchmark's hook as a CloudFront Function in JavaScript.
[ "$1" != version ] && [ -z "$HOOK" ] && exit 77
HERE=$(dirname "$(readlink -f "$0")")
EDGEWEIR_HOOK=$(readlink -f "$HERE/../hook/bench.js") exec "$HERE/edgeweir.sh" "$@"
