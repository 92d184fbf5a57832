"""One operation, ready to be run again and again with other variables."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic_ns
from typing import Any

import msgspec
from graphql import GraphQLError, OperationType, execute_sync
from graphql.execution.values import get_variable_values

from polywire.errors import Code, RpcError
from polywire.protocols.graphql.complete import Completion, Path, told
from polywire.protocols.graphql.document import Document, read_document
from polywire.protocols.graphql.execution import Execution, Level, Results
from polywire.protocols.graphql.fast import compile_node
from polywire.protocols.graphql.leaves import WrongValue
from polywire.protocols.graphql.limits import check_cost, fragments_of
from polywire.protocols.graphql.nodes import Entry, Introspected, Node
from polywire.protocols.graphql.plan_errors import error_json
from polywire.protocols.graphql.planner import Planner, condition_variables
from polywire.protocols.graphql.schema import GraphqlRefusal, GraphqlSchema
from polywire.protocols.graphql.subscription import Subscription
from polywire.protocols.graphql.variables import quick_coercion
from polywire.runtime.call import Call, Carrier
from polywire.runtime.runtime import Done, Emit

logger = logging.getLogger("polywire")

Pairs = tuple[tuple[bytes, bytes], ...]

_MOST_VARIANTS = 16
_encode = msgspec.json.Encoder().encode


def make_plan(schema: GraphqlSchema, text: str, operation_name: str | None) -> Plan:
    """Parse, validate and look up the operation. Raises GraphqlRefusal."""
    return Plan(schema, read_document(schema, text, operation_name))


class Variant:
    """What is selected for one set of truth values in `@skip` and `@include`."""

    def __init__(self, root: Node, slots: int, max_errors: int) -> None:
        self.root = root
        self.slots = slots
        self._max_errors = max_errors
        self.introspected = [entry for entry in root.entries if isinstance(entry, Introspected)]
        self.level = Level(root)
        """What an execution runs."""
        self._make = compile_node(root)

    def answer(self, execution: Execution, carrier: Carrier) -> bytes:
        """The whole response."""
        try:
            return _encode({"data": self._make(None, execution.results)})
        except Exception:
            # Whatever a value is that it should not be: the careful way finds out where, and tells the caller no more.
            return self._careful_answer(execution, carrier.request_id)

    def _careful_answer(self, execution: Execution, request_id: str) -> bytes:
        errors: list[dict[str, Any]] = []
        codes: list[Code] = []

        def report(error: RpcError | WrongValue, path: Path, entry: Entry) -> None:
            if isinstance(error, WrongValue):
                logger.error("%s is wrong: %s (request %s)", path, error, request_id, extra={"request_id": request_id})
            if len(errors) < self._max_errors:
                problem = told(error)
                codes.append(Code(problem.code))
                errors.append(error_json(problem, request_id, path, entry))

        data = Completion(execution.results, report).data(self.root)
        if codes and (data is None or all(value is None for value in data.values())):
            execution.code = codes[0]
        return _encode({"errors": errors, "data": data} if errors else {"data": data})


class Plan:
    """One operation of a document that is valid."""

    def __init__(self, schema: GraphqlSchema, document: Document) -> None:
        operation = document.operation
        self.is_mutation = operation.operation is OperationType.MUTATION
        self.is_subscription = operation.operation is OperationType.SUBSCRIPTION
        self._schema = schema
        self._operation = operation
        self._fragments = fragments_of(document.node)
        self._conditions = condition_variables(document.node)
        self._cost = document.cost
        self._max_cost = schema.options.max_cost
        if not self._cost.varying:
            self._check_cost({})
        self._variants: OrderedDict[tuple[bool, ...], Variant] = OrderedDict()
        definitions = operation.variable_definitions or ()
        self._has_variables = bool(definitions)
        self._quick = quick_coercion(definitions)
        if not self.is_subscription:
            self._record = schema.operations[operation.operation.value].record

    def coerce(self, variables: dict[str, Any] | None) -> dict[str, Any]:
        """The variables by their types (GraphQL §6.1.2). Raises GraphqlRefusal, also where they ask for too much."""
        coerced = self._coerce(variables)
        if self._cost.varying:
            self._check_cost(coerced)
        return coerced

    def _check_cost(self, variables: dict[str, Any]) -> None:
        try:
            check_cost(self._cost, variables, self._max_cost)
        except GraphQLError as error:
            raise GraphqlRefusal([error]) from None

    def _coerce(self, variables: dict[str, Any] | None) -> dict[str, Any]:
        if not self._has_variables:
            return {}
        given = variables or {}
        if self._quick is not None:
            quick = self._quick(given)
            if quick is not None:
                return quick
        options = self._schema.options
        values = get_variable_values(
            self._schema.core,
            self._operation.variable_definitions or (),
            given,
            max_errors=options.max_errors,
            hide_suggestions=not options.introspection,
        )
        if isinstance(values, list):
            raise GraphqlRefusal(values[: options.max_errors])
        return values.coerced

    def variant(self, variables: dict[str, Any]) -> Variant:
        truths = tuple([bool(variables.get(name)) for name in self._conditions]) if self._conditions else ()
        variant = self._variants.get(truths)
        if variant is None:
            conditions = dict(zip(self._conditions, truths, strict=True))
            planner = Planner(self._schema, self._operation, self._fragments, conditions)
            root = planner.root()
            variant = self._variants[truths] = Variant(root, planner.slots, self._schema.options.max_errors)
            if len(self._variants) > _MOST_VARIANTS:
                self._variants.popitem(last=False)
        return variant

    def execute(
        self,
        carrier: Carrier,
        variables: dict[str, Any],
        timeout_s: float | None,
        then: Callable[[bytes, Pairs], None],
    ) -> Execution:
        """Run a query or a mutation; then(response, metadata) is called once, at once where nothing suspends.

        variables: coerced. timeout_s: the caller's; each field keeps to its method's own too.
        metadata: what the methods want sent beside the answer, as it stands on the wire.
        """
        variant = self.variant(variables)

        def answer(execution: Execution) -> None:
            response = variant.answer(execution, carrier)
            self._record(execution.code, monotonic_ns() - carrier.started_ns)
            then(response, execution.metadata)

        execution = Execution(self._schema.runtime, carrier, variables, variant.slots, timeout_s, answer)
        for entry in variant.introspected:
            execution.results[entry.slot] = Results([None], [self._introspect(entry, variables)])
        execution.run(variant.level, self.is_mutation)
        return execution

    def subscribe(
        self,
        carrier: Carrier,
        variables: dict[str, Any],
        timeout_s: float | None,
        emit: Emit,
        drained: Callable[[], Awaitable[None]],
        done: Done,
    ) -> Call:
        """Run a subscription: emit(call, response, id) for each item, done(call, None, error) once at the end.

        The call is the streaming method's own, as `Runtime.dispatch_stream` runs it. variables: coerced.
        Raises GraphqlRefusal where `@skip` or `@include` leave nothing to subscribe to.
        """
        variant = self.variant(variables)
        if len(variant.root.resolved) != 1:
            raise GraphqlRefusal([GraphQLError("a subscription has one field", self._operation)])
        subscription = Subscription(
            self._schema.runtime, variant, variant.root.resolved[0], carrier, variables, emit, drained
        )
        return subscription.start(timeout_s, done)

    def _introspect(self, entry: Introspected, variables: dict[str, Any]) -> Any:
        """By graphql-core, which takes its time: remembered where it cannot be another the next time."""
        if entry.answer is not None:
            return entry.answer
        result = execute_sync(self._schema.core, entry.document, variable_values=variables)
        answer = msgspec.Raw(_encode(None if result.data is None else result.data.get(entry.key)))
        if not self._has_variables:
            entry.answer = answer
        return answer
