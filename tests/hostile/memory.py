"""How much memory this process has."""

from __future__ import annotations

import ctypes
import gc

_LIBC = ctypes.CDLL(None)


def resident_bytes() -> int:
    gc.collect()
    # What was freed goes back, or later growth would hide in it.
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096
