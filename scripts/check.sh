#!/usr/bin/env bash
# check.sh FOLDER...: every check runs, so that one run shows all there is to mend.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

failed=()
check() {
    local out
    say "$1"
    out=$("${@:2}" 2>&1) || { failed+=("$1") && printf '%s\n' "$out"; }
}

python=.venv/bin/python
check "format (make format mends it)" "$python" -m ruff format --check --quiet "$@"
check "lint" "$python" -m ruff check --quiet "$@"
check "strict types" "$python" -m mypy
check "import directions" .venv/bin/lint-imports --no-cache
[ ${#failed[@]} -eq 0 ] || stop "make check failed:" "${failed[@]/#/- }"
say "all checks passed"
