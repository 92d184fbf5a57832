"""Plans without a transport: text in, responses out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from polywire import App, RpcError, Service
from polywire.protocols.graphql.execution import Execution
from polywire.protocols.graphql.schema import GraphqlSchema
from polywire.runtime.call import Call
from polywire.runtime.metrics import Metrics
from polywire.runtime.runtime import Runtime
from tests.runtime.harness import Carried


class Engine:
    """A started runtime and its schema."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.schema = GraphqlSchema(runtime)

    def begin(
        self, text: str, variables: dict[str, Any] | None = None, timeout_s: float | None = None
    ) -> tuple[Execution, asyncio.Future[bytes]]:
        """An operation under way, and what its response will be."""
        plan = self.schema.plan(text, None)
        response: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        execution = plan.execute(
            Carried(), plan.coerce(variables), timeout_s, lambda text, _: response.set_result(text)
        )
        return execution, response

    async def run(self, text: str, **variables: Any) -> Any:
        _, response = self.begin(text, variables)
        return json.loads(await response)

    async def data(self, text: str, **variables: Any) -> Any:
        answer = await self.run(text, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    def subscribe(self, text: str, *, is_full: bool = False, **variables: Any) -> Subscribed:
        """is_full: `emit` asks to wait for `drained`."""
        return Subscribed(self, text, variables, is_full)


class Subscribed:
    """A subscription under way, and what its transport was told."""

    def __init__(self, engine: Engine, text: str, variables: dict[str, Any], is_full: bool) -> None:
        plan = engine.schema.plan(text, None)
        self.responses: asyncio.Queue[Any] = asyncio.Queue()
        self.is_full = is_full
        self.drained = asyncio.Event()
        self.over: asyncio.Future[RpcError | None] = asyncio.get_running_loop().create_future()
        self.call = plan.subscribe(Carried(), plan.coerce(variables), None, self._emit, self.drained.wait, self._done)

    def _emit(self, call: Call, response: bytes, id: str | None = None, /) -> bool:
        assert not self.over.done()
        self.responses.put_nowait(json.loads(response))
        return not self.is_full

    def _done(self, call: Call, value: Any, error: RpcError | None) -> None:
        self.over.set_result(error)


@asynccontextmanager
async def serving(*services: Service, **options: Any) -> AsyncIterator[Engine]:
    """An engine that must leave nothing behind. options: of the App."""
    before = asyncio.all_tasks()
    runtime = Runtime(App(*services, **options), Metrics())
    runtime.start()
    try:
        yield Engine(runtime)
    finally:
        await runtime.stop()
    assert not runtime.suspended
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


def problems(answer: dict[str, Any]) -> set[tuple[str, tuple[Any, ...]]]:
    """Code and path of each error."""
    return {(error["extensions"]["code"], tuple(error.get("path", ()))) for error in answer.get("errors", ())}
