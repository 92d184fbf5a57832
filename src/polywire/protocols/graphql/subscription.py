"""A subscription: each item of a method's stream becomes one response (GraphQL §6.2.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from polywire.protocols.graphql.execution import Execution
from polywire.protocols.graphql.nodes import Resolved
from polywire.runtime.call import Call, Carrier
from polywire.runtime.runtime import Done, Emit
from polywire.shared import Shared

if TYPE_CHECKING:
    from polywire.protocols.graphql.plan import Variant
    from polywire.runtime.runtime import Runtime


class Subscription:
    """One run of a plan. Its call is the stream's method itself, run by `dispatch_stream`.

    emit: of one response; False: `drained` must be awaited before the next item is asked for.
    """

    def __init__(
        self,
        runtime: Runtime,
        variant: Variant,
        entry: Resolved,
        carrier: Carrier,
        variables: dict[str, Any],
        emit: Emit,
        drained: Callable[[], Awaitable[None]],
    ) -> None:
        self._runtime = runtime
        self._variant = variant
        self._carrier = carrier
        self._variables = variables
        self._emit = emit
        self._drained = drained
        self._entry = entry
        self._execution: Execution | None = None
        self._sent: bool | None = None
        """What `emit` said of the item's response; None: there is none yet."""
        self._answered: asyncio.Event | None = None

    def start(self, timeout_s: float | None, done: Done) -> Call:
        entry = self._entry
        call = Call(entry.binding, self._carrier)
        if entry.selection is not None:
            call.selection = entry.selection.with_variables(self._variables)
        if timeout_s is not None:
            call.limit_time(timeout_s)
        try:
            call.input = entry.make_input(self._variables)
        except Exception as error:
            self._runtime.reject(call, error, done)
            return call
        self._runtime.dispatch_stream(call, self._item, self._wait, done)
        return call

    def _item(self, call: Call, item: Any, id: str | None = None, /) -> bool:
        """Answers one item: at once where nothing beneath it suspends, else `_wait` waits for that."""
        self._sent = None
        self._answered = None

        def answer(execution: Execution) -> None:
            if call.answered:
                return
            response = self._variant.answer(execution, self._carrier)
            self._sent = self._emit(call, response, id)
            if self._answered is not None:
                self._answered.set()

        # Of the fields beneath an item, each has its time from now on.
        carrier = _ItemCarrier(self._carrier)
        variant = self._variant
        self._execution = Execution(self._runtime, carrier, self._variables, variant.slots, None, answer)
        self._execution.run_beneath(variant.level, item.value if type(item) is Shared else item)
        return bool(self._sent)

    async def _wait(self) -> None:
        if self._sent is None:
            self._answered = asyncio.Event()
            try:
                await self._answered.wait()
            except BaseException:
                assert self._execution is not None
                self._execution.cancel()
                raise
        if not self._sent:
            await self._drained()


class _ItemCarrier:
    """Carries the calls beneath one item of a stream."""

    def __init__(self, stream: Carrier) -> None:
        self._stream = stream
        self.headers = stream.headers
        self.peer = stream.peer
        self.started_ns = monotonic_ns()

    @property
    def request_id(self) -> str:
        return self._stream.request_id

    def inform(self, status: int, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        """A stream's answer has begun."""
