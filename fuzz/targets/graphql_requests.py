"""What GraphQL callers send: bodies, query strings, and the shapes of documents."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
from graphql import (
    DocumentNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    parse,
    validate,
)

from fuzz.source import Source
from polywire.errors import InvalidArgument
from polywire.protocols.graphql.accept import accepted_forms
from polywire.protocols.graphql.limits import _Ruler, check_introspection, check_shapes, cost_of, fragments_of
from polywire.protocols.graphql.request import GraphqlRequest, request_from_body, request_from_query
from polywire.service.options import GraphqlOptions

OPTIONS = GraphqlOptions(max_depth=10, max_breadth=100, max_aliases=20, max_root_fields=20)
SCHEMA = build_schema(
    """
    type Query { a(first: Int = 3): [Query!] b(limit: ID): Page c: ID d: Query }
    type Page { items: [Query!]! }
    """
)


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    match source.byte() % 4:
        case 0:
            body(source.rest())
        case 1:
            query_string(source.text())
        case 2:
            document(source.rest().decode(errors="replace"))
        case _:
            forms = accepted_forms(source.text())
            assert len(set(forms)) == len(forms)


def body(data: bytes) -> None:
    try:
        request = request_from_body(data)
    except InvalidArgument as error:
        assert error.message
        return
    check(request)
    told = {name: value for name, value in msgspec.to_builtins(request).items() if value is not None}
    assert request_from_body(msgspec.json.encode(told)) == request


def query_string(text: str) -> None:
    try:
        request = request_from_query(text)
    except InvalidArgument as error:
        assert error.message
        return
    check(request)
    fields = {
        "query": request.query,
        "operationName": request.operation_name,
        "documentId": request.document_id,
        "variables": None if request.variables is None else msgspec.json.encode(request.variables).decode(),
        "extensions": None if request.extensions is None else msgspec.json.encode(request.extensions).decode(),
    }
    again = request_from_query(urlencode({name: value for name, value in fields.items() if value}))
    assert again == request


def check(request: GraphqlRequest) -> None:
    for text in (request.query, request.operation_name, request.document_id):
        assert text is None or isinstance(text, str)
    for value in (request.variables, request.extensions):
        assert value is None or isinstance(value, dict)


def document(text: str) -> None:
    try:
        node = parse(text, max_lexical_tokens=500)
    except GraphQLError:
        return
    is_within = True
    try:
        check_shapes(node, OPTIONS)
    except GraphQLError as error:
        is_within = False
        assert error.extensions is not None
        assert error.extensions["code"] == "RESOURCE_EXHAUSTED"
    asks = True
    try:
        check_introspection(node)
        asks = False
    except GraphQLError:
        pass
    if not is_within or validate(SCHEMA, node):
        return
    for one in node.definitions:
        if isinstance(one, OperationDefinitionNode):
            ruler = _Ruler(node)
            shape = ruler.measure(one.selection_set, 0)
            assert shape.breadth == expanded(node, one.selection_set)
            # A selection may be empty (graphql-spec pull request 1227).
            assert 0 <= shape.depth <= shape.breadth
            try:
                cost = cost_of(SCHEMA, node, one, 10)
            except GraphQLError:
                assert asks
                continue
            assert cost.of({}) >= 0
            assert cost.of(dict.fromkeys(("a", "n", "x"), 10**30)) >= 0


def expanded(node: DocumentNode, within: SelectionSetNode) -> int:
    """Selections with every fragment in its place, counted one by one."""
    fragments = fragments_of(node)
    count = 0
    stack = [within]
    while stack:
        for selection in stack.pop().selections:
            count += 1
            if isinstance(selection, FragmentSpreadNode):
                stack.append(fragments[selection.name.value].selection_set)
            elif getattr(selection, "selection_set", None) is not None:
                stack.append(selection.selection_set)  # type: ignore[attr-defined]
    return count
