"""`python -m fuzz.run TARGET [libFuzzer options and corpora]`: one target under atheris.

The compiled parts count towards the coverage where they were built for it; `scripts/fuzz.sh` does that.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["polywire"]):
    from fuzz.targets import NAMES, load

    _name = sys.argv[1] if len(sys.argv) > 1 else ""
    if _name not in NAMES:
        sys.exit(f"no target {_name!r}; there are: {' '.join(NAMES)}")
    _target = load(_name)

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], _target)
    atheris.Fuzz()
