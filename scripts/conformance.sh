#!/usr/bin/env bash
# The Connect conformance suite against polywire's server. The runner is a Go program, built once into build/.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

module=connectrpc.com/conformance
version=v1.0.7
command -v go >/dev/null || { say "there is no Go tool chain: the conformance suite is skipped" && exit 0; }

runner="$PWD/build/conformance-$version/connectconformance"
if [ ! -x "$runner" ]; then
    say "building the runner, $module $version (a few minutes the first time)"
    log=$(mktemp)
    if ! GOBIN=$(dirname "$runner") GOFLAGS=-mod=mod go install "$module/cmd/connectconformance@$version" >"$log" 2>&1; then
        tail -n 3 "$log" | sed -E 's#[a-z]+://[^ ,)]*#(address)#g' >&2
        rm -f "$log"
        say "the runner cannot be had here (no module proxy?): the conformance suite is skipped"
        exit 0
    fi
    rm -f "$log"
fi
CONFORMANCE_PROTO="$(go env GOMODCACHE)/$module@$version/proto"
export CONFORMANCE_PROTO
exec timeout 900 "$runner" --mode server --conf conformance/config.yaml --known-failing @conformance/known-failures.txt \
    --max-servers 2 "$@" -- .venv/bin/python -W ignore conformance/server.py
