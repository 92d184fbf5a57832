from __future__ import annotations

import asyncio

import pytest

from polywire.runtime.hooks import run_every_hook, run_hooks


async def test_sync_and_async_in_order() -> None:
    log: list[str] = []

    async def later() -> None:
        await asyncio.sleep(0)
        log.append("async")

    await run_hooks([lambda: log.append("first"), later, lambda: log.append("last")])
    assert log == ["first", "async", "last"]


async def test_the_first_error_ends_the_row() -> None:
    log: list[str] = []

    async def fails() -> None:
        raise ValueError("no database")

    with pytest.raises(ValueError, match="no database"):
        await run_hooks([lambda: log.append("first"), fails, lambda: log.append("last")])
    assert log == ["first"]


async def test_none_is_fine() -> None:
    await run_hooks([])


async def test_every_hook_runs_and_the_first_error_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []

    async def fails() -> None:
        raise ValueError("no database")

    def fails_too() -> None:
        raise OSError("no cache")

    with pytest.raises(ValueError, match="no database"):
        await run_every_hook([fails, fails_too, lambda: log.append("last")])
    assert log == ["last"]
    assert "no cache" in caplog.text
