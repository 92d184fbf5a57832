"""How an app answers in each dialect: what has a setting beyond the services themselves."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

_FIELD_TEXT = re.compile(r"[!-~]([ -~]*[!-~])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions:
    """The Connect protocol.

    require_version: refuse unary calls without `Connect-Protocol-Version: 1` (or `connect=v1`), so that no plain
    HTTP client calls by accident.
    """

    require_version: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphqlOptions:
    """GraphQL.

    path: where it answers; None: nowhere.
    explorer: show browsers a page at the path to write and run queries in. Not where only documents are taken.
    introspection: let callers ask for the schema; without it, messages do not suggest names of it either.
    documents: texts that callers may name by their id or SHA-256 instead of sending them: a directory of `.graphql`
    files, whose names are the ids, or a JSON file of ids and texts; or such a mapping. Read at start-up.
    only_documents: refuse all other texts.
    automatic_documents: how many texts are remembered that callers register by their SHA-256 (automatic persisted
    queries); 0: none.
    cache_control: the `Cache-Control` of a GET's answer without errors, such as `private, max-age=60`; None: none.

    Of each document:
    max_characters, max_tokens: its length.
    max_depth: fields within fields; at most 100.
    max_breadth: fields in all, fragments counted wherever they are spread.
    max_aliases: fields under another name, or repeated in one selection.
    max_root_fields: fields of Query, Mutation or Subscription.
    max_cost: fields in all, each as often as the lists around it are long by their argument `first`, `last`, `limit` or
    `pageSize`; list_size where they have none.
    max_errors: that one answer tells.

    Of callers that stay:
    max_streams: event streams to share that are open or reserved, in a process; max_peer_streams: by one address.
    init_timeout_s: seconds until a WebSocket must have sent `connection_init`, and a reserved stream must be opened.

    Raises ValueError for an option out of range.
    """

    path: str | None = "/graphql"
    explorer: bool = True
    introspection: bool = True
    documents: str | os.PathLike[str] | Mapping[str, str] | None = None
    only_documents: bool = False
    automatic_documents: int = 1_000
    cache_control: str | None = None
    max_characters: int = 100_000
    max_tokens: int = 5_000
    max_depth: int = 20
    max_breadth: int = 1_000
    max_aliases: int = 100
    max_root_fields: int = 50
    max_cost: int = 100_000
    list_size: int = 10
    max_errors: int = 100
    max_streams: int = 1_000
    max_peer_streams: int = 20
    init_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name.startswith("max_") or one.name in ("list_size", "init_timeout_s"):
                _check_at_least(one.name, getattr(self, one.name), 1)
        _check_at_least("automatic_documents", self.automatic_documents, 0)
        if self.max_depth > 100:
            raise ValueError(f"max_depth={self.max_depth!r} must be 100 or less")
        if self.only_documents and self.documents is None:
            raise ValueError("only_documents=True needs documents=..., or nothing could be asked")
        if self.cache_control is not None and not _FIELD_TEXT.fullmatch(self.cache_control):
            raise ValueError(f"cache_control={self.cache_control!r} is no text for a field")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrpcOptions:
    """tRPC.

    path: beneath which procedures answer; None: nowhere.
    max_batch: calls that one request may hold.
    """

    path: str | None = "/trpc"
    max_batch: int = 100


def _check_at_least(name: str, value: float, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
        raise ValueError(f"{name}={value!r} must be {least} or more")
