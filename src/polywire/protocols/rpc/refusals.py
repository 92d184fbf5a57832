"""What an RPC endpoint says to a request that is no call at all: plain HTTP, which clients map by its status."""

from __future__ import annotations

from collections.abc import Iterable

from polywire.http.exchange import Exchange
from polywire.wire.headers import HeaderBlock

GRPC_TYPES = ("application/grpc", "application/grpc-web", "application/grpc-web-text")
"""What every method is called in, whatever its shape."""


def refuse_request(exchange: Exchange, status: int, problem: str, fields: Iterable[tuple[str, str]] = ()) -> None:
    """Answer with a line of text. status: 404, 405 with `allow` among the fields, 415 with `accept-post`, and so on."""
    block = HeaderBlock([("content-type", "text/plain; charset=utf-8"), *fields])
    exchange.respond(status, block, f"{problem}\n".encode(), ((b"x-request-id", exchange.request_id.encode()),))


def refuse_verb(exchange: Exchange) -> None:
    refuse_request(exchange, 405, "this is called by POST", [("allow", "POST")])


def refuse_transport(exchange: Exchange) -> None:
    """Answer what has another verb than POST, or comes over HTTP/1.1 where that cannot carry the answer."""
    if exchange.method != "POST":
        refuse_verb(exchange)
    else:
        refuse_request(exchange, 415, "gRPC is called over HTTP/2")


def refuse_content_type(exchange: Exchange, accepted: Iterable[str]) -> None:
    """With what would be taken (RFC 9110 §15.5.16, W3C Accept-Post)."""
    names = ", ".join(accepted)
    refuse_request(exchange, 415, f"the content-type must be one of {names}", [("accept-post", names)])
