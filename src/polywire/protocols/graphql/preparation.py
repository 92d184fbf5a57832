"""What every transport does with a request before it runs: find its document, plan it, take its variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polywire.protocols.graphql.persisted import Documents
from polywire.protocols.graphql.request import GraphqlRequest
from polywire.protocols.graphql.schema import GraphqlRefusal, GraphqlSchema
from polywire.runtime.runtime import Runtime

if TYPE_CHECKING:
    from polywire.protocols.graphql.plan import Plan


class Preparation:
    """The schema and the documents of an app.

    Raises SchemaError where two things would have one name in GraphQL, ValueError or OSError for documents that cannot
    be read or are not valid.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.schema = GraphqlSchema(runtime)
        self._documents = Documents(self.schema.options)
        self._simple = not self.schema.options.only_documents
        for name, text in self._documents.by_id.items():
            self._check(name, text)

    def prepare(self, request: GraphqlRequest) -> tuple[Plan, dict[str, Any]]:
        """The plan and the variables as it takes them. Raises InvalidArgument, GraphqlRefusal."""
        text = request.query
        if self._simple and text and request.extensions is None and request.document_id is None:
            plan = self.schema.plan(text, request.operation_name)
        else:
            text, digest = self._documents.text_of(request)
            plan = self.schema.plan(text, request.operation_name)
            if digest is not None:
                self._documents.register(digest, text)
        return plan, plan.coerce(request.variables)

    def _check(self, name: str, text: str) -> None:
        from polywire.protocols.graphql.document import valid_document

        try:
            valid_document(self.schema, text)
        except GraphqlRefusal as refusal:
            raise ValueError(f"the GraphQL document {name!r} is not valid: {refusal}") from None
