#!/usr/bin/env bash
# Foreign clients: npm's in interop/ and grpcio against the demo, and a headless Chromium where there is one or it can be had.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

for tool in node npm; do
    command -v "$tool" >/dev/null || { say "there is no $tool: the foreign clients of Node.js are skipped" && exit 0; }
done
if [ "$(node -p 'process.versions.node.split(".")[0] >= 20')" != true ]; then
    say "Node.js $(node --version) is too old (20 or later is wanted): its foreign clients are skipped"
    exit 0
fi
browser=${CHROMIUM:-}
for name in chromium chromium-browser google-chrome; do
    [ -n "$browser" ] || browser=$(command -v "$name" || true)
done
if [ -z "$browser" ]; then
    can_install || stop "The page in a browser needs Chromium." "On Debian: sudo apt-get install chromium, or CHROMIUM=/path/to/it"
    say "installing chromium"
    apt_install chromium || stop "apt-get could not install chromium"
    browser=$(command -v chromium)
fi
stamp=interop/node_modules/.polywire-lock
if ! cmp -s interop/package-lock.json "$stamp"; then
    say "installing interop/package-lock.json"
    quietly npm --prefix interop ci --no-audit --no-fund || stop "npm could not install interop/package-lock.json"
    cp interop/package-lock.json "$stamp"
fi
CHROMIUM=$browser node interop/run.mjs "$@"
say "grpcio"
.venv/bin/python -m pytest -q tests/interop/test_grpcio*.py
