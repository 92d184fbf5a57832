#!/usr/bin/env bash
# The Autobahn suite against polywire's WebSockets. It runs on Python 2.7 only, and goes into build/.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

python2=
for candidate in "${PYTHON2:-}" python2.7 python2 "$HOME"/.pyenv/versions/2.7.*/bin/python; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
        python2=$candidate
        break
    fi
done
if [ -z "$python2" ] || ! "$python2" -m pip --version >/dev/null 2>&1; then
    say "there is no Python 2.7 with pip, which the Autobahn suite needs (PYTHON2=/path/to/it): it is skipped"
    exit 0
fi
suite="$PWD/build/autobahn-suite"
if ! cmp -s conformance/autobahn.txt "$suite/.done"; then
    say "installing conformance/autobahn.txt"
    rm -rf "$suite"
    if ! quietly "$python2" -m pip install --require-hashes --target "$suite" -r conformance/autobahn.txt; then
        say "the Autobahn suite cannot be had here (no registry?): it is skipped"
        exit 0
    fi
    cp conformance/autobahn.txt "$suite/.done"
fi
# Its packages share a namespace, which only a directory of packages has.
start="import site, sys; site.addsitedir('$suite'); from autobahntestsuite.wstest import run; sys.exit(run())"
say "all of it takes about an hour, most of that for compression; ARGS=\"'1.*' '7.*'\" runs some"
exec .venv/bin/python conformance/autobahn.py "$python2" -W ignore -c "$start" -- "$@"
