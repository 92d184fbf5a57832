"""`App` keeps what it was given and checks what can be checked."""

from __future__ import annotations

import math
from typing import Any

import pytest

from polywire import App, Call, Invoke, Service, query


class Ping(Service, package="ping"):
    @query
    async def ping(self) -> str:
        return "pong"


async def passing(call: Call, proceed: Invoke) -> Any:
    return await proceed(call)


def test_options_are_kept() -> None:
    app = App(
        Ping(),
        name="pinger",
        version="1.2",
        interceptors=[passing],
        environment="test",
    )
    assert (app.name, app.version, app.environment) == ("pinger", "1.2", "test")
    assert app.interceptors == (passing,)
    assert (app.default_deadline_s, app.max_request_bytes) == (30.0, 4 * 1024 * 1024)
    assert App(Ping()).name == "ping.Ping"
    assert App(Ping(), default_deadline_s=None).default_deadline_s is None
    assert (app.stream_idle_s, app.heartbeat_s) == (None, 15.0)
    assert App(Ping(), stream_idle_s=60).stream_idle_s == 60


@pytest.mark.parametrize(
    "options",
    [
        {"default_deadline_s": 0},
        {"default_deadline_s": math.inf},
        {"stream_idle_s": 0},
        {"stream_idle_s": math.inf},
        {"heartbeat_s": 0},
        {"heartbeat_s": math.inf},
        {"max_request_bytes": 0},
        {"thread_pool_size": 0},
        {"drain_s": -1},
        {"drain_s": math.nan},
        {"interceptors": [5]},
    ],
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(options.values())))[:5].strip("[]")):
        App(Ping(), **options)


def test_hooks_and_checks_are_registered_and_left_as_they_are() -> None:
    app = App(Ping())

    @app.on_start
    async def open_pool() -> None: ...

    @app.on_stop
    def close_pool() -> None: ...

    @app.check("database", timeout_s=0.5)
    async def database() -> None: ...

    assert app.start_hooks == [open_pool]
    assert app.stop_hooks == [close_pool]
    assert (app.checks["database"].function, app.checks["database"].timeout_s) == (database, 0.5)
    with pytest.raises(ValueError, match="two health checks called 'database'"):
        app.check("database")(database)
    with pytest.raises(TypeError, match="has a name"):
        app.check(database)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="on_start is for functions"):
        app.on_start(5)  # type: ignore[type-var]
    with pytest.raises(ValueError, match="timeout_s=0"):
        app.check("cache", timeout_s=0)
