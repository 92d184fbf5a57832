"""Documents that callers name instead of sending them.

By an id of the application's own (`documentId`, GraphQL over HTTP, Appendix A), or by the SHA-256 of the text, which
also registers it: Apollo's automatic persisted queries, `extensions.persistedQuery`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from polywire.errors import Code, InvalidArgument
from polywire.protocols.graphql.request import GraphqlRequest
from polywire.protocols.graphql.schema import GraphqlRefusal
from polywire.service.options import GraphqlOptions

NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
"""Codes and messages that Apollo's clients look for."""
DOCUMENTS_ONLY = "DOCUMENTS_ONLY"
DOCUMENT_UNKNOWN = "DOCUMENT_UNKNOWN"
_MOST_CHARACTERS = 4 * 1024 * 1024
"""Of the texts that callers have registered, together."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PREFIX = "sha256:"


class Documents:
    """The texts that are known by name. Raises ValueError or OSError where those of the application cannot be read."""

    def __init__(self, options: GraphqlOptions) -> None:
        self.by_id = {} if options.documents is None else read_documents(options.documents)
        self._by_hash = {sha256(text): text for text in self.by_id.values()}
        self._only = options.only_documents
        self._most = 0 if options.only_documents else options.automatic_documents
        self._registered: OrderedDict[str, str] = OrderedDict()
        self._characters = 0

    def text_of(self, request: GraphqlRequest) -> tuple[str, str | None]:
        """The document, and the hash to `register` it by once it has proved valid.

        Raises InvalidArgument for a request that names it wrongly or not at all, GraphqlRefusal for what is unknown.
        """
        text = request.query
        if request.document_id is not None:
            if text is not None:
                raise InvalidArgument("a request has a query or a documentId, not both")
            return self._named(request.document_id), None
        if request.extensions is not None and request.extensions.get("persistedQuery") is not None:
            return self._hashed(text, request.extensions["persistedQuery"])
        if text is None:
            raise InvalidArgument("the request has no query")
        self._check(text)
        return text, None

    def register(self, digest: str, text: str) -> None:
        if digest not in self._registered:
            self._registered[digest] = text
            self._characters += len(text)
            while len(self._registered) > self._most or self._characters > _MOST_CHARACTERS:
                _, old = self._registered.popitem(last=False)
                self._characters -= len(old)

    def _check(self, text: str) -> None:
        if self._only and sha256(text) not in self._by_hash:
            raise _refusal("only documents known to the server are run here", Code.PERMISSION_DENIED, DOCUMENTS_ONLY)

    def _named(self, name: str) -> str:
        text = self.by_id.get(name)
        if text is None and name.startswith(_PREFIX):
            text = self._find(name.removeprefix(_PREFIX).lower())
        if text is None:
            raise _refusal(f"there is no document {name!r:.100}", Code.NOT_FOUND, DOCUMENT_UNKNOWN)
        return text

    def _hashed(self, text: str | None, named: Any) -> tuple[str, str | None]:
        if not isinstance(named, dict) or named.get("version") != 1:
            raise InvalidArgument("extensions.persistedQuery must be an object of version 1")
        digest = named.get("sha256Hash")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest.lower()):
            raise InvalidArgument("extensions.persistedQuery.sha256Hash must be 64 hexadecimal digits")
        digest = digest.lower()
        if text is None:
            known = self._find(digest)
            if known is not None:
                return known, None
            if self._most or self._only:
                raise _refusal("PersistedQueryNotFound", NOT_FOUND)
            raise _refusal("PersistedQueryNotSupported", NOT_SUPPORTED)
        self._check(text)
        if sha256(text) != digest:
            raise InvalidArgument("extensions.persistedQuery.sha256Hash is not that of the query")
        return text, digest if self._most else None

    def _find(self, digest: str) -> str | None:
        text = self._by_hash.get(digest)
        if text is None:
            text = self._registered.get(digest)
            if text is not None:
                self._registered.move_to_end(digest)
        return text


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_documents(source: str | os.PathLike[str] | Mapping[str, str]) -> dict[str, str]:
    """Texts by their ids. Raises ValueError for what is no such thing, OSError for what cannot be read."""
    if isinstance(source, Mapping):
        return _checked(dict(source), "documents")
    path = Path(source)
    if path.is_dir():
        files = sorted(path.rglob("*.graphql"))
        if not files:
            raise ValueError(f"there is no .graphql file in {path}")
        return {one.relative_to(path).with_suffix("").as_posix(): one.read_text(encoding="utf-8") for one in files}
    try:
        told = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeError):
        raise ValueError(f"{path} is not JSON") from None
    if isinstance(told, dict) and isinstance(told.get("operations"), list):
        # As Apollo's tools write it.
        told = {str(one["id"]): one["body"] for one in told["operations"] if {"id", "body"} <= one.keys()}
    return _checked(told, str(path))


def _checked(told: Any, place: str) -> dict[str, str]:
    if not isinstance(told, dict) or not all(isinstance(text, str) for text in (*told, *told.values())):
        raise ValueError(f"{place}: write an object of ids and texts")
    return told


def _refusal(message: str, code: Code | str, reason: str | None = None) -> GraphqlRefusal:
    from graphql import GraphQLError

    extensions = {"code": code.name if isinstance(code, Code) else code}
    if reason is not None:
        extensions["reason"] = reason
    return GraphqlRefusal([GraphQLError(message, extensions=extensions)])
