# cython: annotation_typing=False
"""Runs what a plan resolves: level by level, each field a call of the runtime.

A field that several objects have at one place of the query is asked for at once for all of them where its resolver
takes a list. What suspends runs side by side; a mutation's fields run one after the other (GraphQL §6.2.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polywire.errors import Cancelled, Code, DeadlineExceeded, RpcError
from polywire.protocols.graphql.nodes import Node, Output, Resolved
from polywire.protocols.graphql.results import NOTHING, Failed, Results
from polywire.runtime.call import Call, Carrier
from polywire.runtime.runtime import Done, Runtime


class Execution:
    """One run of a plan.

    then: called once with this, when everything has been resolved; `results` has what came of it.
    """

    code = Code.OK
    """Of the operation: an error's where all fields of the root failed."""
    _pending = 0
    """Calls that have not ended."""
    _goes_on = True
    """More calls are being made further up."""
    _cancelled = False
    _waited = False
    """Some call has suspended."""
    metadata: tuple[tuple[bytes, bytes], ...] = ()
    """What the fields' calls want sent beside the answer, as it stands on the wire."""

    def __init__(
        self,
        runtime: Runtime,
        carrier: Carrier,
        variables: dict[str, Any],
        slots: int,
        timeout_s: float | None,
        then: Callable[[Execution], None],
    ) -> None:
        self.results = [NOTHING] * slots
        self._runtime = runtime
        self._carrier = carrier
        self._variables = variables
        self._timeout_s = timeout_s
        self._then = then
        self._ready: list[tuple[Output, list[Any]]] = []
        """Values beneath which calls are to be made. They are not made where a value comes, which may be deep within
        the end of another call."""
        self._open: set[Call] = set()
        self._serial: list[Resolved] = []
        """Fields of a mutation that wait for those before them, the next one last."""

    def cancel(self, code: Code = Code.CANCELLED) -> None:
        """Stop what runs, and begin nothing more."""
        self._cancelled = True
        for call in list(self._open):
            call.cancel(code)

    def run(self, root: Node, *, serially: bool = False) -> None:
        """Resolve everything beneath the root."""
        if serially:
            self._serial = [*reversed(root.resolved)]
        else:
            self._resolve(root, [None])
        self._go_on()

    def run_beneath(self, entry: Resolved, value: Any) -> None:
        """Resolve what is beneath a field of the root whose value is here: an item of a subscription."""
        self.results[entry.slot] = Results([None], [value])
        self._descend(entry.output, [value])
        self._go_on()

    def _go_on(self) -> None:
        """Make the calls that can be made, and answer once there are none."""
        self._goes_on = True
        while True:
            for output, values in self._ready:
                # Grows meanwhile, by the calls that end at once.
                self._descend(output, values)
            self._ready.clear()
            if self._pending:
                self._goes_on = False
                return
            if not self._serial:
                self._then(self)
                return
            self._begin(self._serial.pop(), [None])

    def _resolve(self, node: Node, objects: list[Any]) -> None:
        if objects:
            for entry in node.resolved:
                self._begin(entry, objects)
            for nested in node.nested:
                self._descend(nested.output, [getattr(one, nested.attribute, None) for one in objects])

    def _descend(self, output: Output, values: list[Any]) -> None:
        if output.is_list:
            values = [one for value in values if type(value) is list for one in value]
        for cls, child in output.resolving:
            self._resolve(child, [one for one in values if type(one) is cls or isinstance(one, cls)])

    def _begin(self, entry: Resolved, objects: list[Any]) -> None:
        if entry.batched:
            self._call(entry, objects, (entry, objects), self._batch_done)
            return
        results = self.results[entry.slot] = Results(objects, [None] * len(objects), entry.output)
        if len(objects) == 1:
            self._call(entry, objects[0], (results, 0), self._one_done)
            return
        for place, one in enumerate(objects):
            self._call(entry, one, (results, place), self._one_done)

    def _call(self, entry: Resolved, parent: Any, state: Any, done: Done) -> None:
        call = Call(entry.binding, self._carrier)
        call.parent = parent
        call.state = state
        if entry.selection is not None:
            call.selection = entry.selection if not self._variables else entry.selection.with_variables(self._variables)
        if self._timeout_s is not None:
            call.limit_time(self._timeout_s)
        self._pending += 1
        try:
            if self._waited:
                if self._cancelled:
                    raise Cancelled("the caller has left")
                if call.remaining_s() == 0:
                    raise DeadlineExceeded("the deadline has passed")
            call.input = entry.make_input(self._variables)
        except Exception as error:
            self._runtime.reject(call, error, done)
            return
        self._runtime.dispatch(call, done)
        if not call.answered:
            self._waited = True
            if not entry.binding.finish_on_disconnect:
                self._open.add(call)

    def _one_done(self, call: Call, value: Any, error: RpcError | None) -> None:
        if self._waited:
            self._open.discard(call)
        if call._response_metadata is not None:
            self.metadata += call._response_metadata.wire_items()
        results, place = call.state
        results.values[place] = value if error is None else Failed(error)
        results.left -= 1
        if not results.left and results.output.resolving:
            self._ready.append((results.output, results.values))
        self._pending -= 1
        if not self._goes_on:
            self._go_on()

    def _batch_done(self, call: Call, value: Any, error: RpcError | None) -> None:
        self._open.discard(call)
        entry, objects = call.state
        if error is None and (type(value) is not list or len(value) != len(objects)):
            what = f"{len(value)} elements" if type(value) is list else type(value).__name__
            # The runtime tells it as INTERNAL, and calls this again with that.
            raise TypeError(f"{call.method.full_name} gave {what} for {len(objects)} objects")
        if call._response_metadata is not None:
            self.metadata += call._response_metadata.wire_items()
        values = [*value] if error is None else [Failed(error)] * len(objects)
        self.results[entry.slot] = Results(objects, values)
        if entry.output.resolving:
            self._ready.append((entry.output, values))
        self._pending -= 1
        if not self._goes_on:
            self._go_on()
