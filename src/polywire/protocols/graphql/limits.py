"""What a document may ask for: its shape before it is validated, its cost before it runs.

Whatever a document holds, looking at it takes time in proportion to its text: each fragment is measured once, however
often it is spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from polywire.errors import Code
from polywire.service.options import GraphqlOptions

MOST_NESTED = 150
"""Selections within selections, fragments included: beyond that a document is not walked."""
SIZES = ("first", "last", "limit", "pageSize")
"""Arguments that say how long a list will be."""
_LONGEST = 1_000_000_000
_OF_THE_SCHEMA = {"__schema": "__Schema", "__type": "__Type"}
_MOST_OF_SCHEMA = 200_000
"""Four times what an explorer asks."""

TOO_DEEP = "TOO_DEEP"
TOO_BROAD = "TOO_BROAD"
TOO_MANY_ALIASES = "TOO_MANY_ALIASES"
TOO_MANY_ROOT_FIELDS = "TOO_MANY_ROOT_FIELDS"
TOO_COSTLY = "TOO_COSTLY"
TOO_LONG = "TOO_LONG"
INTROSPECTION_OFF = "INTROSPECTION_OFF"


def refused(message: str, reason: str, node: Node | None = None, code: Code = Code.RESOURCE_EXHAUSTED) -> GraphQLError:
    return GraphQLError(message, node, extensions={"code": code.name, "reason": reason})


class Shape(NamedTuple):
    """Of a selection, fragments counted wherever they are spread."""

    depth: int = 0
    """Fields within fields; what is asked of the schema itself counts as one."""
    breadth: int = 0
    aliases: int = 0


def check_shapes(document: DocumentNode, options: GraphqlOptions) -> None:
    """Raises GraphQLError for the first limit that one of its operations is beyond. It need not be valid."""
    ruler = _Ruler(document)
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode):
            _check_shape(ruler, one, options)


def _check_shape(ruler: _Ruler, operation: OperationDefinitionNode, options: GraphqlOptions) -> None:
    shape = ruler.measure(operation.selection_set, 0)
    roots = ruler.width(operation.selection_set)
    for seen, limit, what, reason in (
        (shape.depth, options.max_depth, "deep", TOO_DEEP),
        (shape.breadth, options.max_breadth, "fields", TOO_BROAD),
        (shape.aliases, options.max_aliases, "aliases and repeated fields", TOO_MANY_ALIASES),
        (roots, options.max_root_fields, "fields of the root", TOO_MANY_ROOT_FIELDS),
    ):
        if seen > limit:
            told = f"the operation is {seen} deep" if what == "deep" else f"the operation has {seen} {what}"
            raise refused(f"{told}, at most {limit} are allowed", reason, operation)


class _Ruler:
    def __init__(self, document: DocumentNode) -> None:
        self._fragments = fragments_of(document)
        self._shapes: dict[str, Shape] = {}
        self._widths: dict[str, int] = {}

    def measure(self, within: SelectionSetNode, nested: int) -> Shape:
        if nested > MOST_NESTED:
            raise refused(f"the document is nested more than {MOST_NESTED} deep", TOO_DEEP, within)
        depth = breadth = aliases = 0
        keys: set[str] = set()
        for selection in within.selections:
            below = Shape()
            if isinstance(selection, FragmentSpreadNode):
                below = self._measure_fragment(selection.name.value, nested)
            elif isinstance(selection, FieldNode | InlineFragmentNode):
                if selection.selection_set is not None:
                    below = self.measure(selection.selection_set, nested + 1)
                if isinstance(selection, FieldNode):
                    key = (selection.alias or selection.name).value
                    aliases += selection.alias is not None or key in keys
                    keys.add(key)
                    below = below._replace(depth=1 if selection.name.value in _OF_THE_SCHEMA else below.depth + 1)
            depth = max(depth, below.depth)
            breadth += below.breadth + 1
            aliases += below.aliases
        return Shape(depth, breadth, aliases)

    def _measure_fragment(self, name: str, nested: int) -> Shape:
        shape = self._shapes.get(name)
        if shape is None:
            # While it is measured: one that is spread within itself is refused by validation.
            self._shapes[name] = Shape()
            fragment = self._fragments.get(name)
            if fragment is not None:
                shape = self._shapes[name] = self.measure(fragment.selection_set, nested + 1)
        return shape or Shape()

    def width(self, within: SelectionSetNode) -> int:
        """Fields of this selection itself. To be asked once `measure` has walked it."""
        found = 0
        for selection in within.selections:
            if isinstance(selection, FieldNode):
                found += 1
            elif isinstance(selection, InlineFragmentNode):
                found += self.width(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name not in self._widths:
                    self._widths[name] = 0
                    fragment = self._fragments.get(name)
                    if fragment is not None:
                        self._widths[name] = self.width(fragment.selection_set)
                found += self._widths[name]
        return found


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}


def check_introspection(document: DocumentNode) -> None:
    """Raises GraphQLError where the document asks for the schema; `__typename` is no question about it."""
    stack: list[SelectionSetNode] = [
        one.selection_set
        for one in document.definitions
        if isinstance(one, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while stack:
        for selection in stack.pop().selections:
            if isinstance(selection, FieldNode) and selection.name.value in _OF_THE_SCHEMA:
                raise refused(
                    "introspection is switched off here", INTROSPECTION_OFF, selection, Code.PERMISSION_DENIED
                )
            if isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set is not None:
                stack.append(selection.selection_set)


@dataclass(slots=True)
class Cost:
    """How many fields will be answered: a number, and what depends on variables that say how long a list will be."""

    fixed: int = 0
    varying: list[tuple[str, int, Cost]] = field(default_factory=list)
    """(variable, the length where it is not given, cost of one element)."""

    def of(self, variables: Mapping[str, Any]) -> int:
        total = self.fixed
        for name, length, each in self.varying:
            total += _length(variables.get(name), length) * each.of(variables)
        return total

    def add(self, other: Cost, times: int) -> None:
        self.fixed += times * other.fixed
        self.varying += [(name, length, each.times(times)) for name, length, each in other.varying]

    def times(self, factor: int) -> Cost:
        return Cost(self.fixed * factor, [(name, length, each.times(factor)) for name, length, each in self.varying])


def check_cost(cost: Cost, variables: Mapping[str, Any], limit: int) -> None:
    """Raises GraphQLError."""
    seen = cost.of(variables)
    if seen > limit:
        raise refused(f"the operation would answer {seen} fields, at most {limit} are allowed", TOO_COSTLY)


class _Length(NamedTuple):
    """How long a list will be: as the variable says, or the number."""

    variable: str | None
    number: int


def cost_of(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, list_size: int) -> Cost:
    """Of a valid operation whose breadth has been checked. Raises GraphQLError for too many questions about the schema.

    These have a limit of their own, as their lists are as long as the schema is large.
    """
    root = schema.get_root_type(operation.operation)
    assert root is not None, "a validated operation has its root type"
    estimate = _Estimate(schema, document, list_size)
    cost = estimate.of(root, operation.selection_set, None)
    if estimate.of_schema > _MOST_OF_SCHEMA:
        raise refused("the operation asks for too much of the schema at once", TOO_COSTLY, operation)
    return cost


class _Estimate:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, list_size: int) -> None:
        self._schema = schema
        self._fragments = fragments_of(document)
        self._list_size = list_size
        self.of_schema = 0
        """What is asked of the schema itself, as if all lists there had 10 elements."""

    def of(self, type_: Any, within: SelectionSetNode, given: _Length | None) -> Cost:
        """given: the length that the field around has for the lists in its object, as a page has."""
        cost = Cost()
        for selection in within.selections:
            if isinstance(selection, FieldNode):
                self._add_field(cost, type_, selection, given)
            else:
                fragment: Any = selection
                if isinstance(selection, FragmentSpreadNode):
                    fragment = self._fragments[selection.name.value]
                condition = fragment.type_condition
                inner = type_ if condition is None else self._schema.get_type(condition.name.value)
                cost.add(self.of(inner, fragment.selection_set, given), 1)
        return cost

    def _add_field(self, cost: Cost, type_: Any, node: FieldNode, given: _Length | None) -> None:
        cost.fixed += 1
        if node.selection_set is None:
            return
        if node.name.value in _OF_THE_SCHEMA:
            self._list_size, list_size = 10, self._list_size
            self.of_schema += self.of(
                self._schema.get_type(_OF_THE_SCHEMA[node.name.value]), node.selection_set, None
            ).fixed
            self._list_size = list_size
            return
        definition = self._schema.get_field(type_, node.name.value)
        assert definition is not None, "a validated field is one of its type"
        length = self._length(definition, node)
        if not is_list_type(get_nullable_type(definition.type)):
            cost.add(self.of(get_named_type(definition.type), node.selection_set, length), 1)
            return
        each = self.of(get_named_type(definition.type), node.selection_set, None)
        variable, number = length or given or _Length(None, self._list_size)
        if variable is None:
            cost.add(each, number)
        else:
            cost.varying.append((variable, number, each))

    def _length(self, definition: Any, node: FieldNode) -> _Length | None:
        """What an argument of the field says; None where it has none."""
        values = {argument.name.value: argument.value for argument in node.arguments or ()}
        for name in SIZES:
            declared = definition.args.get(name)
            if declared is None:
                continue
            default = (
                self._list_size if declared.default is None else _literal(declared.default.literal, self._list_size)
            )
            value = values.get(name)
            if isinstance(value, VariableNode):
                return _Length(value.name.value, default)
            return _Length(None, _literal(value, default))
        return None


def _literal(node: Any, otherwise: int) -> int:
    return _length(node.value, otherwise) if isinstance(node, IntValueNode | StringValueNode) else otherwise


def _length(value: Any, otherwise: int) -> int:
    """A length as it was given; an integer of 64 bits comes as text."""
    try:
        return min(max(0, int(value)), _LONGEST)
    except (TypeError, ValueError, OverflowError):
        return otherwise
