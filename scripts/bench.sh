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

venv=.venv-bench
wanted=$({ pwd -P; .venv/bin/python -c 'import sys; print(sys.version)'; cat requirements/bench.txt; } | sha256sum)
if [ "$(cat "$venv/.setup-done" 2>/dev/null)" != "$wanted" ]; then
    say "installing the peers into $venv"
    rm -rf "$venv"
    quietly .venv/bin/python -c 'import subprocess, sys
sys.exit(subprocess.run([sys._base_executable, "-m", "venv", sys.argv[1]]).returncode)' "$venv" || stop "$venv could not be made"
    quietly "$venv/bin/python" -m pip install --require-hashes -r requirements/bench.txt ||
        stop "pip could not install requirements/bench.txt"
    echo "$wanted" >"$venv/.setup-done"
fi
exec "$venv/bin/python" -m benchmarks.run "$@"
