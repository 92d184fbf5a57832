"""From a validated operation to the tree of what it selects (GraphQL §6.3.2, CollectFields), once per query text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    is_abstract_type,
    visit,
)

from polywire.contract.graphql import MethodField
from polywire.protocols.graphql.arguments import Given
from polywire.protocols.graphql.leaves import WrongValue, constraint_check, element_out
from polywire.protocols.graphql.nodes import (
    Attribute,
    Entry,
    Inline,
    Introspected,
    Node,
    Output,
    Resolved,
    TypeName,
)
from polywire.protocols.graphql.selection import Selected
from polywire.schema.types import Cardinality, Field, Kind, MessageType, ResultForm

if TYPE_CHECKING:
    from polywire.protocols.graphql.schema import GraphqlSchema

Fields = dict[str, list[FieldNode]]
_INLINE = {
    Kind.STRING: Inline(str),
    Kind.BOOL: Inline(bool),
    Kind.INT32: Inline(int, "-2147483648 <= {} <= 2147483647"),
    # Finite.
    Kind.FLOAT: Inline(float, "{0} - {0} == 0"),
    Kind.DOUBLE: Inline(float, "{0} - {0} == 0"),
}
_INLINE_ID = {Kind.STRING: Inline(str), Kind.INT32: Inline(int, "-2147483648 <= {} <= 2147483647", "str({})")}
_encode = msgspec.json.Encoder().encode


class Planner:
    """Plans one operation for one set of truth values of the variables that its directives look at."""

    def __init__(
        self,
        schema: GraphqlSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
    ) -> None:
        self._schema = schema
        self._core = schema.core
        self._operation = operation
        self._fragments = fragments
        self._conditions = conditions
        self.slots = 0

    def root(self) -> Node:
        type_ = self._core.get_root_type(self._operation.operation)
        assert type_ is not None, "a validated operation has its root type"
        fields = self._collect(type_, [self._operation.selection_set])
        return self._node(type_, fields, {})

    # Collecting

    def _collect(self, type_: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> Fields:
        found: Fields = {}
        seen: set[str] = set()
        for each in sets:
            self._collect_into(type_, each, found, seen)
        return found

    def _collect_into(self, type_: GraphQLObjectType, within: SelectionSetNode, found: Fields, seen: set[str]) -> None:
        for selection in within.selections:
            if not self._is_included(selection.directives):
                continue
            if isinstance(selection, FieldNode):
                key = (selection.alias or selection.name).value
                found.setdefault(key, []).append(selection)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                if condition is None or self._applies(condition.name.value, type_):
                    self._collect_into(type_, selection.selection_set, found, seen)
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in seen:
                    continue
                seen.add(name)
                fragment = self._fragments[name]
                if self._applies(fragment.type_condition.name.value, type_):
                    self._collect_into(type_, fragment.selection_set, found, seen)

    def _applies(self, condition: str, type_: GraphQLObjectType) -> bool:
        if condition == type_.name:
            return True
        other = self._core.get_type(condition)
        return is_abstract_type(other) and self._core.is_sub_type(other, type_)

    def _is_included(self, directives: Iterable[DirectiveNode] | None) -> bool:
        for directive in directives or ():
            name = directive.name.value
            if name in ("skip", "include"):
                (argument,) = directive.arguments or ()
                value = argument.value
                if isinstance(value, VariableNode):
                    truth = self._conditions[value.name.value]
                else:
                    assert isinstance(value, BooleanValueNode), "a validated directive"
                    truth = value.value
                if truth is (name == "skip"):
                    return False
        return True

    # Nodes

    def _node(self, type_: GraphQLObjectType, fields: Fields, attributes: Mapping[str, Field]) -> Node:
        node = Node(type_.name)
        for key, nodes in fields.items():
            name = nodes[0].name.value
            entry = self._entry(type_, key, name, nodes, attributes)
            node.entries.append(entry)
            if isinstance(entry, Resolved | Introspected):
                node.resolves = True
            elif isinstance(entry, Attribute):
                node.resolves |= bool(entry.output.resolving)
        return node

    def _entry(
        self, type_: GraphQLObjectType, key: str, name: str, nodes: list[FieldNode], attributes: Mapping[str, Field]
    ) -> Entry:
        first = nodes[0]
        if name == "__typename":
            return TypeName(key, first, type_.name)
        if name in ("__schema", "__type"):
            return Introspected(key, first, self._slot(), self._alone(nodes))
        method_field = self._schema.method_field(type_.name, name)
        if method_field is not None:
            output = self._method_output(method_field, nodes)
            selection = self._selected(output) if output.children else None
            given = Given(method_field, first, type_.fields[name])
            binding = self._schema.bindings[method_field.method]
            batched = method_field.method.batched
            return Resolved(key, first, self._slot(), binding, output, given.maker(), given.coerced, selection, batched)
        one = attributes.get(name)
        if one is None:
            # The stand-in of a type without fields.
            return Attribute(key, first, "__doc__", Output(False, True, False, leaf=lambda _: None))
        return Attribute(key, first, one.name, self._output(one, nodes))

    def _slot(self) -> int:
        self.slots += 1
        return self.slots - 1

    def _method_output(self, field: MethodField, nodes: list[FieldNode]) -> Output:
        nullable = not field.type.endswith("!")
        form = field.method.result_form
        if form is ResultForm.EMPTY:
            return Output(False, True, False, leaf=_true)
        if form is ResultForm.MESSAGE:
            return Output(False, nullable, False, children=self._children([field.method.output], nodes))
        assert field.value is not None
        output = self._output(field.value, nodes)
        output.nullable = nullable
        return output

    def _output(self, one: Field, nodes: list[FieldNode]) -> Output:
        make = partial(
            Output,
            one.cardinality is Cardinality.LIST,
            one.nullable or one.may_be_unset,
            one.nullable,
            one.may_be_unset,
            check=constraint_check(one),
        )
        if one.cardinality is not Cardinality.MAP:
            if one.type.message is not None:
                return make(children=self._children([one.type.message], nodes))
            if one.type.union is not None:
                members = [member.message for member in one.type.union.members]
                return make(children=self._children(members, nodes))
        inline = (_INLINE_ID if one.is_id else _INLINE).get(one.type.kind)
        if one.cardinality is Cardinality.MAP:
            inline = None
        return make(leaf=element_out(one), inline=inline)

    def _children(self, messages: list[MessageType], nodes: list[FieldNode]) -> dict[type, Node]:
        sets = [node.selection_set for node in nodes if node.selection_set is not None]
        children = {}
        for message in messages:
            type_ = self._core.get_type(message.name)
            assert isinstance(type_, GraphQLObjectType)
            attributes = self._schema.model.objects[message.name].fields
            children[message.cls] = self._node(type_, self._collect(type_, sets), attributes)
        return children

    def _selected(self, output: Output) -> Selected:
        found: dict[str, Selected] = {}
        for child in output.children.values():
            for entry in child.entries:
                below = Selected({})
                if isinstance(entry, Attribute):
                    below = self._selected(entry.output)
                elif isinstance(entry, Resolved):
                    below = self._selected(entry.output).merged(Selected({}, (entry.arguments,)))
                name = entry.node.name.value
                found[name] = found[name].merged(below) if name in found else below
        return Selected(found)

    def _alone(self, nodes: list[FieldNode]) -> DocumentNode:
        """A document of these fields only, for graphql-core's own executor."""
        operation = OperationDefinitionNode(
            operation=self._operation.operation,
            variable_definitions=self._operation.variable_definitions,
            directives=(),
            selection_set=SelectionSetNode(selections=tuple(nodes)),
        )
        return DocumentNode(definitions=(operation, *self._fragments.values()))


def _true(value: Any) -> bool:
    """A method without a result has been called."""
    if value is not None:
        raise WrongValue(f"expected None, got {type(value).__name__}")
    return True


def condition_variables(document: DocumentNode) -> tuple[str, ...]:
    """The variables that `@skip` and `@include` look at, each once."""
    found: dict[str, None] = {}

    class Finder(Visitor):
        def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
            if node.name.value in ("skip", "include"):
                for argument in node.arguments or ():
                    if isinstance(argument.value, VariableNode):
                        found[argument.value.name.value] = None

    visit(document, Finder())
    return tuple(found)
