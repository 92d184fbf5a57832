"""A document that may run: read, within its limits, valid."""

from __future__ import annotations

from typing import NamedTuple

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    get_operation_ast,
    parse,
    validate,
)

from polywire.protocols.graphql import limits
from polywire.protocols.graphql.limits import Cost
from polywire.protocols.graphql.schema import GraphqlRefusal, GraphqlSchema

_ABORTED = "Parsing aborted."
"""What graphql-core says at the end of a document that is beyond a limit of its parser."""


class Document(NamedTuple):
    """What is left to do is to run one of its operations."""

    node: DocumentNode
    operation: OperationDefinitionNode
    cost: Cost


def read_document(schema: GraphqlSchema, text: str, operation_name: str | None) -> Document:
    """Raises GraphqlRefusal."""
    node = valid_document(schema, text)
    operation = get_operation_ast(node, operation_name)
    if operation is None:
        problem = (
            f"there is no operation {operation_name!r:.100} in the document"
            if operation_name
            else "the document has several operations, and the request does not say which"
        )
        raise GraphqlRefusal([GraphQLError(problem)])
    try:
        return Document(node, operation, limits.cost_of(schema.core, node, operation, schema.options.list_size))
    except GraphQLError as error:
        raise GraphqlRefusal([error]) from None


def valid_document(schema: GraphqlSchema, text: str) -> DocumentNode:
    """Cheap refusals first: by length, by shape, then by the rules of GraphQL §5. Raises GraphqlRefusal."""
    options = schema.options
    try:
        _check_characters(text, options.max_characters)
        node = _parsed(text, options.max_tokens)
        limits.check_shapes(node, options)
        if not options.introspection:
            limits.check_introspection(node)
    except GraphQLError as error:
        raise GraphqlRefusal([error]) from None
    most = options.max_errors
    errors = validate(schema.core, node, max_errors=most, hide_suggestions=not options.introspection)
    if errors:
        raise GraphqlRefusal(errors[:most])
    return node


def _check_characters(text: str, most: int) -> None:
    if len(text) > most:
        problem = f"the document has {len(text)} characters, at most {most} are allowed"
        raise limits.refused(problem, limits.TOO_LONG)


def _parsed(text: str, most: int) -> DocumentNode:
    try:
        # Comments are kept as tokens too, though the parser skips them.
        return parse(text, max_lexical_tokens=most, max_comments=most)
    except GraphQLSyntaxError as error:
        if not error.message.endswith(_ABORTED):
            raise
        if "nested" in error.message:
            raise limits.refused("the document is nested too deeply to be read", limits.TOO_DEEP) from None
        problem = f"the document has more tokens or comments than {most}, which is the most allowed"
        raise limits.refused(problem, limits.TOO_LONG) from None
