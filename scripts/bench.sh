#!/usr/bin/env bash
# Polywire beside its peers. They live in an environment of their own, .venv-bench, so that none of them gets into .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

packages=()
command -v wrk >/dev/null || packages+=(wrk)
command -v h2load >/dev/null || packages+=(nghttp2-client)
if [ ${#packages[@]} -gt 0 ]; then
    can_install || stop "make bench needs ${packages[*]}." "On Debian or Ubuntu: sudo apt-get install ${packages[*]}"
    say "installing ${packages[*]}"
    apt_install "${packages[@]}" || stop "apt-get could not install ${packages[*]}"
fi

peer=benchmarks/peers/trpc
if command -v npm >/dev/null && [ ! -d "$peer/node_modules" ]; then
    say "installing @trpc/server"
    quietly npm --prefix "$peer" ci --no-audit --no-fund || stop "npm could not install $peer"
fi

venv=.venv-bench
make_venv "$venv" bench
exec "$venv/bin/python" -m benchmarks.run "$@"
