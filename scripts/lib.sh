# Shared by the scripts of this folder (sourced, not run).

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf '\033[36m»\033[0m %s\n' "$*"; }

# stop MESSAGE [LINE...]: say why on stderr and end.
stop() {
    printf '\033[31m✗ %s\033[0m\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

# Run a command without a word; if it fails show the end of what it said, without the addresses it spoke to.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" | sed -E 's#[a-z+]+://[^ ,)]*#(address)#g' >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# May this account install Debian or Ubuntu packages?
can_install() { command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; }

apt_install() {
    local as_root=(env DEBIAN_FRONTEND=noninteractive)
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n "${as_root[@]}")
    quietly "${as_root[@]}" apt-get update -q || say "apt-get update failed; trying with the lists that are here"
    quietly "${as_root[@]}" apt-get install -q -y --no-install-recommends "$@"
}

# make_venv DIR LOCKED: an environment beside .venv, with the locked packages of requirements/LOCKED.txt; anew where they
# or the interpreter have changed.
make_venv() {
    local venv=$1 locked=requirements/$2.txt wanted
    wanted=$({ pwd -P; .venv/bin/python -c 'import sys; print(sys.version)'; cat "$locked"; } | sha256sum)
    [ "$(cat "$venv/.setup-done" 2>/dev/null)" != "$wanted" ] || return 0
    say "installing $locked into $venv"
    rm -rf "$venv"
    quietly .venv/bin/python -c 'import subprocess, sys
sys.exit(subprocess.run([sys._base_executable, "-m", "venv", sys.argv[1]]).returncode)' "$venv" || stop "$venv could not be made"
    quietly "$venv/bin/python" -m pip install --require-hashes -r "$locked" || stop "pip could not install $locked"
    echo "$wanted" >"$venv/.setup-done"
}
