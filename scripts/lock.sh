#!/usr/bin/env bash
# Resolve pyproject.toml anew, for every Python from 3.11 and every platform: versions and hashes, never an address.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

.venv/bin/python -c 'import uv' 2>/dev/null || quietly .venv/bin/python -m pip install uv
# uv does not read pip's settings.
index=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
lock() { # lock NAME ARGUMENT...
    UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}" quietly .venv/bin/python -m uv pip compile --upgrade --universal \
        --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --output-file "requirements/$1.txt" "${@:2}" ||
        stop "requirements/$1.txt could not be resolved"
    say "requirements/$1.txt"
}
lock dev pyproject.toml --extra demo --group dev
lock bench --group bench
lock fuzz pyproject.toml --group fuzz
