#!/bin/bash
# Edgeweir with its access log on, to a file.
EDGEWEIR_ACCESS_LOG=file exec "$(dirname "$(readlink -f "$0")")/edgeweir.sh" "$@"
