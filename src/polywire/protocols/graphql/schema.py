"""The schema that an app's services make, and the plans of the queries that were asked of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from polywire.contract.graphql import MethodField, graphql_model
from polywire.contract.sdl import sdl_of
from polywire.runtime.binding import Binding
from polywire.runtime.runtime import Runtime
from polywire.schema.types import Method

if TYPE_CHECKING:
    from graphql import GraphQLError, GraphQLSchema

    from polywire.protocols.graphql.plan import Plan

PROTOCOL = "graphql"
_MOST_PLANS = 1000
_MOST_PLANNED_CHARACTERS = 4 * 1024 * 1024
"""Of the texts that plans are kept for, together."""


class GraphqlRefusal(Exception):
    """A document or its variables are refused before anything runs."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = list(errors)


class GraphqlSchema:
    """Made at start-up; graphql-core comes with the first query, as its import takes time and memory.

    Raises SchemaError where two things would have one name in GraphQL.
    """

    def __init__(self, runtime: Runtime) -> None:
        services = [service for service, _ in runtime.app.services]
        self.runtime = runtime
        self.options = runtime.app.graphql
        self.model = graphql_model(services)
        self.bindings: dict[Method, Binding] = {
            method: runtime.bind(method, instance, PROTOCOL)
            for service, instance in runtime.app.services
            for method in (*service.methods, *service.resolvers)
            if not method.shape.client_streaming
        }
        self.operations = {kind: runtime.metrics.method(f"graphql/{kind}", PROTOCOL) for kind in ("query", "mutation")}
        """What counts them, whole; each of their fields counts as a call of its method."""
        self._plans: OrderedDict[tuple[str, str | None], Plan] = OrderedDict()
        self._planned_characters = 0

    @cached_property
    def core(self) -> GraphQLSchema:
        from graphql import build_schema

        return build_schema(sdl_of(self.model))

    def method_field(self, type_name: str, name: str) -> MethodField | None:
        """The field of a type that a method answers for; None for one of the message itself."""
        root = self.model.roots.get(type_name)
        if root is not None:
            return root.get(name)
        return self.model.objects[type_name].resolved.get(name)

    def plan(self, text: str, operation_name: str | None) -> Plan:
        """How to run an operation of a document; remembered by the text. Raises GraphqlRefusal."""
        key = (text, operation_name)
        plan = self._plans.get(key)
        if plan is not None:
            self._plans.move_to_end(key)
            return plan
        from polywire.protocols.graphql.plan import make_plan

        plan = self._plans[key] = make_plan(self, text, operation_name)
        self._planned_characters += len(text)
        while len(self._plans) > _MOST_PLANS or self._planned_characters > _MOST_PLANNED_CHARACTERS:
            (old, _), _ = self._plans.popitem(last=False)
            self._planned_characters -= len(old)
        return plan
