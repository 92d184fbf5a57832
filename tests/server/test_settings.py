"""Settings and limits that would break a server are refused where they are made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from polywire.server.settings import ServerSettings
from polywire.wire.limits import HttpLimits


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"port": 65536}, "port must be a number from 0 to 65535, not 65536"),
        ({"backlog": 0}, "backlog must be a number from 1 to 2147483647, not 0"),
        ({"max_connections": 0}, "max_connections must be a number from 1"),
        ({"tick_s": 0.0}, "tick_s must be a number above 0, not 0.0"),
        ({"body_timeout_s": -1.0}, "body_timeout_s must be a number above 0, not -1.0"),
        ({"idle_timeout_s": math.inf}, "idle_timeout_s must be a number above 0, not inf"),
        ({"head_timeout_s": math.nan}, "head_timeout_s must be a number above 0, not nan"),
        ({"head_timeout_s": None}, "head_timeout_s must be a number above 0, not None"),
        ({"keepalive_s": 0.0}, "keepalive_s must be a number above 0"),
        ({"max_connection_age_s": 0.0}, "max_connection_age_s must be a number above 0"),
        ({"tcp_keepalive_s": 40_000.0}, "tcp_keepalive_s must be a number above 0 to 32767, not 40000.0"),
        ({"drain_s": -1.0}, "drain_s must be a number from 0, not -1.0"),
        ({"linger_bytes": -1}, "linger_bytes must be a number from 0"),
        ({"uds_mode": 0o1777}, "uds_mode must be a number from 0 to 511"),
        ({"server_header": "a\r\nb: c"}, "server_header .* cannot be sent"),
    ],
)
def test_settings(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ServerSettings(**wrong)


@pytest.mark.parametrize("name", HttpLimits.__slots__)
def test_no_limit_can_be_negative_or_more_than_a_window(name: str) -> None:
    for value in (-1, 2**31):
        with pytest.raises(ValueError, match=f"^{name} must be a number from [01] to 2147483647, not {value}$"):
            HttpLimits(**{name: value})


def test_the_low_mark_is_below_the_high_one() -> None:
    with pytest.raises(ValueError, match=r"^low_water_bytes, 10, must be below high_water_bytes, 10$"):
        HttpLimits(high_water_bytes=10, low_water_bytes=10)


def test_what_may_be_left_out() -> None:
    nothing = ("linger_s", "linger_bytes", "half_close_s", "pre_stop_s", "drain_s", "drain_idle_s")
    ServerSettings(**dict.fromkeys(nothing, 0))
    ServerSettings(keepalive_s=None, tcp_keepalive_s=None, max_connection_age_s=None, drain_s=None, server_header=None)
    HttpLimits(low_water_bytes=0, min_ping_interval_s=0)
