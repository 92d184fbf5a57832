#!/usr/bin/env bash
# The first part of every make target: the machine is checked, .venv holds the locked packages, the Cython parts are
# built and polywire is installed from src/. Nothing is done twice: a stamp remembers what it was done for.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

venv=.venv
stamp="$venv/.setup-done"

# PYTHON where it is given, else the one that .venv was made with, else the first that will do.
choose_python() {
    local name
    for name in "${PYTHON:-}" "$(healthy_venv && echo "$venv/bin/python" || true)" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$name" ] || continue
        if new_enough "$name"; then
            echo "$name"
            return
        elif [ "$name" = "${PYTHON:-}" ]; then
            stop "PYTHON=$name is not Python 3.11 or later."
        fi
    done
}

new_enough() { command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
healthy_venv() {
    # A .venv that was moved or copied still points into the old folder.
    [ "$(cat "$venv/.folder" 2>/dev/null || pwd -P)" = "$(pwd -P)" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1
}
has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }
has_python_headers() {
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}
compiler() { command -v "${CC:-cc}" || command -v gcc || command -v clang; }
compiles() { "$(compiler)" ${CFLAGS:-} -x c - ${LDFLAGS:-} "$@" -o /dev/null 2>/dev/null; }
has_compiler() { compiler >/dev/null && echo 'int main(void) { return 0; }' | compiles; }
has_nghttp2() {
    # Compiling and linking is the only proof; 1.52 is the oldest release that stops the known floods.
    printf '%s\n' '#include <nghttp2/nghttp2.h>' '#if NGHTTP2_VERSION_NUM < 0x013400' '#error "too old"' '#endif' \
        'int main(void) { return nghttp2_version(0) == 0; }' | compiles -lnghttp2
}
has_zlib() {
    printf '%s\n' '#include <zlib.h>' 'int main(void) { return zlibVersion() == 0; }' | compiles -lz
}

# Sets `missing` (in words) and `packages` (their names on Debian and Ubuntu).
look_around() {
    missing=() packages=()
    python=$(choose_python)
    local family
    family=$(basename "${python:-python3}")
    [[ $family == python3.* ]] || family=python3
    if [ -z "$python" ]; then
        missing+=("Python 3.11 or later (PYTHON=/path/to/python3 names one)")
        packages+=(python3 python3-venv python3-dev)
    else
        has_venv || { missing+=("Python's venv module") && packages+=("$family-venv"); }
        has_python_headers || { missing+=("Python's C headers (Python.h)") && packages+=("$family-dev"); }
    fi
    if ! has_compiler; then
        missing+=("a C compiler")
        packages+=(gcc libc6-dev)
    fi
    # Without a compiler nobody can tell whether the headers are there; asking for them costs nothing.
    if ! has_compiler || ! has_nghttp2; then
        missing+=("the headers of libnghttp2, 1.52 or later")
        packages+=(libnghttp2-dev)
    fi
    if ! has_compiler || ! has_zlib; then
        missing+=("the headers of zlib")
        packages+=(zlib1g-dev)
    fi
}

check_machine() {
    look_around
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! can_install; then
        stop "This machine lacks:" "${missing[@]/#/- }" "" \
            "Installing it takes rights that this account does not have. On Debian or Ubuntu, ask for" \
            "    sudo apt-get install ${packages[*]}" "and run the same make command again."
    fi
    say "installing what is missing: ${packages[*]}"
    apt_install "${packages[@]}" || stop "apt-get could not install: ${packages[*]}"
    look_around
    [ ${#missing[@]} -eq 0 ] || stop "After apt-get install ${packages[*]} this is still missing:" "${missing[@]/#/- }"
}

# What the environment was made for, the folder included.
fingerprint() {
    {
        pwd -P
        "$python" -c 'import sys; print(sys.version, sys.base_prefix)'
        cat requirements/dev.txt pyproject.toml setup.py scripts/setup.sh
    } | sha256sum
}

same_python() {
    local ask='import sys; print(sys.version, sys.base_prefix)'
    [ "$("$venv/bin/python" -c "$ask" 2>/dev/null)" = "$("$python" -c "$ask")" ]
}

install_packages() {
    if ! healthy_venv || ! same_python; then
        say "making $venv with $("$python" --version)"
        rm -rf "$venv"
        quietly "$python" -m venv "$venv" || stop "$python -m venv $venv failed"
    fi
    pwd -P >"$venv/.folder"
    say "installing the locked packages"
    quietly "$venv/bin/python" -m pip install --require-hashes -r requirements/dev.txt ||
        stop "pip could not install requirements/dev.txt"
}

built() {
    local source
    [ -z "$(find src -name '*.p[yx][xdi]' ! -name '*.pyi' -newer "$stamp" -print -quit)" ] || return 1
    while IFS= read -r source; do
        compgen -G "${source%.pyx}.*.so" >/dev/null || return 1
    done < <(find src -name '*.pyx')
}

# A module whose source is Python again would be imported in its place.
drop_stale() {
    local built
    while IFS= read -r built; do
        [ -e "${built%%.cpython-*}.pyx" ] || rm -f "$built"
    done < <(find src -name '*.cpython-*.so')
}

build() {
    say "building the Cython parts"
    drop_stale
    quietly "$venv/bin/python" setup.py -q build_ext --inplace || stop "the Cython parts did not build"
}

install_polywire() {
    say "installing polywire from src/"
    quietly "$venv/bin/python" -m pip install --no-build-isolation --no-deps -e . || stop "pip install -e . failed"
}

python=$(choose_python)
if [ -n "$python" ] && healthy_venv && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]; then
    built && exit 0
    check_machine
    touch "$stamp.new" # before the build: what is edited meanwhile counts as newer
    build
    touch -r "$stamp.new" "$stamp" && rm -f "$stamp.new"
else
    check_machine
    rm -f "$stamp"
    install_packages
    touch "$stamp.new"
    build
    install_polywire
    fingerprint >"$stamp" && touch -r "$stamp.new" "$stamp" && rm -f "$stamp.new"
fi
say "ready"
