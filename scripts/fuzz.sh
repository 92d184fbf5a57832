#!/usr/bin/env bash
# Fuzz the parsers with atheris, which lives in an environment of its own, .venv-fuzz. fuzz/__init__.py explains.
#
# fuzz.sh [libFuzzer option or input]...: each target for FUZZ_SECONDS, or FUZZ_TARGET only, FUZZ_JOBS at once. The compiled
# parts are built anew with clang, in build/fuzz, so that their coverage counts; SANITIZE=1 adds AddressSanitizer and
# UndefinedBehaviorSanitizer to them.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

seconds=${FUZZ_SECONDS:-600} jobs=${FUZZ_JOBS:-1} sanitize=${SANITIZE:-0}
out=build/fuzz
venv=.venv-fuzz

# The environment.
.venv/bin/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' ||
    stop "make fuzz needs Python 3.11 to 3.13: atheris is built for no other." "PYTHON=python3.13 make setup makes .venv anew."
make_venv "$venv" fuzz

# A clang: `clang`, or the newest that carries its version in its name.
find_clang() { compgen -c clang | grep -xE 'clang(-[0-9]+)?' | sort -V | tail -n 1 || true; }
clang=$(find_clang)
if [ -z "$clang" ] && can_install; then
    say "installing clang"
    apt_install clang && clang=$(find_clang)
fi

# The compiled parts. Their coverage needs the functions of libFuzzer, which atheris brings as an archive.
flags= preload= code=src
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
if [ "$sanitize" != 0 ]; then
    [ -n "$clang" ] || stop "SANITIZE=1 needs clang." "On Debian or Ubuntu: sudo apt-get install clang"
    code=$out/sanitize preload=$packages/asan_with_fuzzer.so
    flags="-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize=function,vptr,alignment -fno-omit-frame-pointer"
elif [ -n "$clang" ]; then
    code=$out/cover preload=$PWD/$out/libfuzzer.so
    flags="-fsanitize=fuzzer-no-link"
else
    say "there is no clang: only the coverage of the Python parts leads"
fi
if [ -n "$flags" ]; then
    say "building $code with $clang"
    # Nothing stays that is no longer in src.
    rm -rf "$code/polywire"
    CC="$clang $flags" LDSHARED="$clang -shared" quietly .venv/bin/python setup.py -q build \
        --build-lib "$code" --build-temp "$code.o" || stop "the compiled parts could not be built with $clang"
    [ "$sanitize" != 0 ] || quietly "$clang" -shared -o "$preload" -Wl,--whole-archive \
        "$packages/libclang_rt.fuzzer_no_main.a" -Wl,--no-whole-archive -lstdc++ -lpthread -ldl -lm ||
        stop "libFuzzer could not be linked"
fi

mkdir -p "$out/findings" "$out/logs"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:allocator_may_return_null=1:handle_segv=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}

run() { # run TARGET ARGUMENT...
    local target=$1
    shift
    LD_PRELOAD=$preload PYTHONPATH="$code:." PYTHONDONTWRITEBYTECODE=1 nice -n 19 "$venv/bin/python" -m fuzz.run "$target" \
        -artifact_prefix="$out/findings/$target-" -timeout=10 -rss_limit_mb=2048 "$@" 2>&1
}

fuzz() { # fuzz TARGET: a line when it is over; what it said is in its log
    local target=$1 log=$out/logs/$1.log
    shift
    mkdir -p "$out/corpora/$target"
    if run "$target" -max_total_time="$seconds" -max_len=2048 -print_final_stats=1 "$@" \
        "$out/corpora/$target" "fuzz/corpora/$target" >"$log"; then
        say "$target: nothing in $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
    else
        printf '\033[31m✗ %s: %s\033[0m\n' "$target" "see $log"
        grep -aE '^(Traceback|AssertionError|[A-Za-z.]+(Error|Exception)|==[0-9]+==|SUMMARY|.*Test unit written)' "$log" | head -n 8
        return 1
    fi
}

targets=${FUZZ_TARGET:-$(cd fuzz/targets && ls | sed -n 's/^\([a-z].*\)\.py$/\1/p')}
if [ $# -gt 0 ] && [ -f "${!#}" ]; then
    [ -n "${FUZZ_TARGET:-}" ] || stop "which target is this an input of? Say FUZZ_TARGET=http1"
    run "$FUZZ_TARGET" "$@"
    exit
fi
say "$(wc -w <<<"$targets") targets, $seconds s each, $jobs at once"
failed=$(mktemp)
for target in $targets; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    { fuzz "$target" "$@" || echo "$target" >>"$failed"; } &
done
wait
found=$(sort "$failed" | xargs)
rm -f "$failed"
[ -z "$found" ] || stop "findings: $found" \
    "The inputs are in $out/findings. Mend it, and keep the input as fuzz/corpora/<target>/found-<what>."
say "no findings"
