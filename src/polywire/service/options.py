"""How an app answers in each dialect: what has a setting beyond the services themselves."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

Deflate = Literal["off", "no_context_takeover", "context_takeover"]
"""permessage-deflate (RFC 7692); with `context_takeover` messages refer to those before them, at 50 kB a connection."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketOptions:
    """WebSockets: the polywire protocol, and what holds for those of every protocol.

    path: where the polywire protocol answers; None: nowhere.
    authenticate: `async (token, peer) -> principal`, once for each socket of the polywire protocol; token: of the first
    message, or of `authorization: Bearer …`; None where `hello` has none. It raises `Unauthenticated`. What it returns
    is `call.principal` of every call on the socket. None: sockets are taken without, and interceptors look at calls.
    first_message_s: seconds that a client has for its `hello`, where that is needed, and `authenticate` for its answer.
    max_message_bytes: of one message of the polywire protocol; its payload is bounded by `max_request_bytes` too.
    messages_per_s: of one socket of the polywire protocol, on average, as many at once; None: what back-pressure lets.
    max_calls: under way on one socket.
    idle_s: seconds without a call under way after which a socket is closed; None: never.
    deflate: permessage-deflate, as of `WebSocketLimits`.

    Of all WebSockets of a process, whatever is spoken on them; None: no bound:
    max_per_address: that are open from one IP address, in IPv6 from one /64.
    connects_per_s: that one such address may open, on average, as many at once.
    missed_beats: halves of `App(heartbeat_s=...)` in which nothing came, a pong neither, after which a peer counts as
    lost and its socket is closed with 1001.

    max_per_principal: sockets of the polywire protocol that are open for one principal, in a process; principals are
    told apart by `==`, so they must be hashable. None: no bound.

    Raises ValueError for an option out of range.
    """

    path: str | None = "/ws"
    authenticate: Callable[[str | None, Any], Awaitable[Any]] | None = None
    first_message_s: float = 10.0
    max_message_bytes: int = 1024 * 1024
    messages_per_s: float | None = None
    max_calls: int = 128
    idle_s: float | None = None
    max_per_address: int | None = None
    max_per_principal: int | None = None
    connects_per_s: float | None = None
    missed_beats: int = 3
    deflate: Deflate = "off"

    def __post_init__(self) -> None:
        for name in (
            "max_message_bytes",
            "messages_per_s",
            "max_calls",
            "max_per_address",
            "max_per_principal",
            "missed_beats",
        ):
            value = getattr(self, name)
            if value is not None:
                _check_at_least(name, value, 1)
        for name in ("first_message_s", "idle_s", "connects_per_s"):
            value = getattr(self, name)
            if value is None and name != "first_message_s":
                continue
            if not (isinstance(value, int | float) and 0 < value < math.inf):
                raise ValueError(f"{name}={value!r} must be above 0")
        if self.authenticate is not None and not callable(self.authenticate):
            raise ValueError("authenticate= is a function: async def authenticate(token, peer)")
        if self.max_per_principal is not None and self.authenticate is None:
            raise ValueError("max_per_principal= needs authenticate=, which says who a principal is")


def check_message_bytes(value: int) -> None:
    """Raises ValueError for what a WebSocket's engine cannot be bounded by."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise ValueError(f"max_message_bytes={value!r} must be between 1 and {2**31 - 1}")


def check_deflate(value: str) -> None:
    """Raises ValueError for what is none of its modes."""
    if value not in get_args(Deflate):
        raise ValueError(f"deflate={value!r} must be one of {', '.join(get_args(Deflate))}")


def _check_at_least(name: str, value: float, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
        raise ValueError(f"{name}={value!r} must be {least} or more")
