"""One operation of a caller that stays: its responses go out as they come, until it has ended or is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from polywire.errors import RpcError
from polywire.protocols.graphql.plan_errors import problems_json
from polywire.protocols.graphql.schema import GraphqlRefusal
from polywire.protocols.sockets import Cancellable
from polywire.runtime.call import Call, Carrier

if TYPE_CHECKING:
    from polywire.protocols.graphql.plan import Plan


class Outlet(Protocol):
    """Where responses go: a WebSocket, or a stream of events."""

    def next(self, operation: Operation, response: bytes, id: str | None, /) -> bool:
        """One response, and its position; False: `drained` must be awaited before the next."""

    def failed(self, operation: Operation, errors: list[dict[str, Any]], /) -> None:
        """It has ended with errors that belong to no response."""

    def completed(self, operation: Operation, /) -> None:
        """It has ended well."""

    async def drained(self) -> None:
        """Wait until the caller has taken enough."""


class Operation:
    """id: the caller's; "" where the stream has this operation only."""

    __slots__ = ("_carrier", "_is_over", "_outlet", "_running", "id", "subscribes")

    def __init__(self, id: str, carrier: Carrier, outlet: Outlet) -> None:
        self.id = id
        self._carrier = carrier
        self._outlet = outlet
        self._running: Cancellable | None = None
        self._is_over = False
        self.subscribes = False
        """It can be asked for anew at any time; what is no subscription has one answer."""

    def start(self, plan: Plan, variables: dict[str, Any], timeout_s: float | None) -> None:
        """Run it; the outlet may hear of it at once. Raises GraphqlRefusal, as for what `Preparation` refuses."""
        self.subscribes = plan.is_subscription
        if self.subscribes:
            self._running = plan.subscribe(
                self._carrier, variables, timeout_s, self._emit, self._outlet.drained, self._done
            )
        else:
            self._running = plan.execute(self._carrier, variables, timeout_s, self._answer)

    def refuse(self, problem: RpcError | GraphqlRefusal) -> None:
        """It does not run."""
        self._is_over = True
        self._outlet.failed(self, problems_json(problem, self._carrier.request_id))

    def cancel(self) -> None:
        """Stop it; the outlet hears nothing more."""
        self._is_over = True
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    @property
    def is_over(self) -> bool:
        return self._is_over

    def _answer(self, response: bytes, metadata: object) -> None:
        if not self._is_over:
            self._is_over = True
            self._outlet.next(self, response, None)
            self._outlet.completed(self)

    def _emit(self, call: Call, response: bytes, id: str | None = None, /) -> bool:
        return self._is_over or self._outlet.next(self, response, id)

    def _done(self, call: Call, value: Any, error: RpcError | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._running = None
        if error is None:
            self._outlet.completed(self)
        else:
            self._outlet.failed(self, problems_json(error, self._carrier.request_id))
