"""How an app answers in each dialect: what has a setting beyond the services themselves."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    path: str | None = "/graphql"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrpcOptions:
    """tRPC.

    path: beneath which procedures answer; None: nowhere.
    max_batch: calls that one request may hold.
    """

    path: str | None = "/trpc"
    max_batch: int = 100
