#!/bin/bash
# Edgeweir as a peer of a side-by-side benchmark. The contract (environment, exit 77) is in benches/README.md.
ROOT=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
BIN=${EDGEWEIR_BENCH_BIN:-$TARGET/release}
[ "$1" = version ] && { "$BIN/edgeweir" --version; exit; }
ACCESS=${EDGEWEIR_ACCESS_LOG:-off}
[ "$ACCESS" = file ] && ACCESS="{ file = \"$DIR/access.log\" }" || ACCESS="\"$ACCESS\""
POLICY=CachingDisabled; HOOKS=; KEYED=; VIEWER='viewer_headers = []'; EXTRA=; GEO=; TRUST=
[ -n "$CACHE" ] && POLICY=bench
[ -n "$HOOK" ] && HOOKS='hooks = { viewer-request = ["bench"], viewer-response = ["bench"] }' && EXTRA="
[hooks.bench]
file = \"${EDGEWEIR_HOOK:-$TARGET/wasm32-unknown-unknown/hook/edgeweir_bench_hook.wasm}\"
"
if [ "$WORKLOAD" = W5 ]; then
  KEYED='api_key_required = true'
  EXTRA="
[usage_plans.bench]
throttle = { rate = 1000, burst = 1000 }
$(for i in $(seq -f "%04g" 0 999); do printf '[[api_keys]]\nname = "k%s"\nsha256 = "%s"\nplans = ["bench"]\n' "$i" "$(printf "key-%s" "$i" | sha256sum | cut -d" " -f1)"; done)
"
fi
if [ "$WORKLOAD" = W7 ]; then
  TRUST='trusted_proxies = ["127.0.0.1/32"]'
  GEO="[geo]
databases = [\"$H/lib/geo-country-nested.mmdb\"]"
  VIEWER='viewer_headers = [{ header = "x-geo-country", fact = "CloudFront-Viewer-Country" }]'
fi
LISTEN="address = \"127.0.0.1:$PORT\""
[ "$TLS" = 1 ] && LISTEN="address = \"127.0.0.1:$TLS_PORT\"
min_tls = \"1.3\"
certificates = [{ certificate = \"$CERT\", key = \"$KEY\" }]"
cat > "$DIR/edgeweir.toml" <<C
state_dir = "$DIR/state"
$TRUST
[server]
threads = 1
max_connections_per_address = 10000
[log]
access = $ACCESS
level = "error"
[[listeners]]
$LISTEN
$GEO
[cache]
capacity = "512MiB"
[cache_policies.bench]
headers = []
cookies = "none"
query = "all"
[origins.o]
url = "http://127.0.0.1:$ORIGIN_PORT"
$EXTRA
[distributions.bench]
hosts = ["*"]
origin = "o"
[[distributions.bench.behaviors]]
cache_policy = "$POLICY"
$KEYED
$VIEWER
$HOOKS
C
exec "$BIN/edgeweir" serve "$DIR/edgeweir.toml"
