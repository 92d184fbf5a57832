"""How long gRPC's callers wait (gRPC over HTTP/2, Timeout)."""

from __future__ import annotations

from polywire.errors import InvalidArgument
from polywire.http.text_cache import text_cached

_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


@text_cached
def timeout_s(header: str) -> float:
    """Seconds from grpc-timeout: 1 to 8 digits and a unit. Raises InvalidArgument for anything else."""
    digits, unit = header[:-1], header[-1:]
    if not 1 <= len(digits) <= 8 or not digits.isdigit() or not digits.isascii() or unit not in _UNITS:
        raise InvalidArgument("grpc-timeout must be up to 8 digits and one of H M S m u n")
    return int(digits) * _UNITS[unit]
