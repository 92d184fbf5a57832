"""Answers that are wrong: each ends with the right error, and costs no more than its call."""

from __future__ import annotations

import pytest

import polywire
from polywire import (
    Cancelled,
    Internal,
    PermissionDenied,
    ResourceExhausted,
    RpcError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
)
from polywire.client import ChannelSettings
from tests.client.servers import Script, requests, scripted
from tests.live.server import Live
from tests.live.service import Lab
from tests.wire.http2_client_peer import head_frame, trailers_frame
from tests.wire.http2_peer import DATA, RST_STREAM, SETTINGS, frame

GRPC = ("content-type", "application/grpc")
OK = trailers_frame(1, ("grpc-status", "0"))
ITEM = b"\0\0\0\0\3\x0a\x01a"


def head(*pairs: tuple[str, str], status: str = "200") -> bytes:
    """The head of an answer that is nothing but a head."""
    return head_frame(1, *pairs, end=True, status=status)


def body(data: bytes, end: bytes = OK) -> bytes:
    return head_frame(1, GRPC) + frame(DATA, 0, 1, data) + end


def reset(code: int) -> bytes:
    return frame(RST_STREAM, 0, 1, code.to_bytes(4))


DETAILS = ("grpc-status-details-bin", "%%%")


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (head(status="404"), Unimplemented, "HTTP status 404"),
        (head(status="401"), Unauthenticated, "HTTP status 401"),
        (head(status="403"), PermissionDenied, "HTTP status 403"),
        (head(status="503"), Unavailable, "HTTP status 503"),
        (head(status="418"), Unknown, "HTTP status 418"),
        (head_frame(1, ("content-type", "text/html")) + frame(DATA, 1, 1, b"<html>"), Unknown, "text/html"),
        (head(GRPC), Unknown, "without a grpc-status"),
        (body(ITEM, trailers_frame(1, ("a", "b"))), Unknown, "without a grpc-status"),
        (head(GRPC, ("grpc-status", "99")), Unknown, ""),
        (head(GRPC, ("grpc-status", "7"), ("grpc-message", "n%6F")), PermissionDenied, "no"),
        (head(GRPC, ("grpc-status", "7"), ("grpc-message", "no"), DETAILS), PermissionDenied, "no"),
        (body(b"\0\0"), Internal, "ends within"),
        (body(b"\7\0\0\0\0"), Internal, "flag"),
        (body(b"\0\xff\0\0\0", b""), ResourceExhausted, "larger"),
        (body(b"\1\0\0\0\1x"), Internal, "no coding was announced"),
        (body(b"\0\0\0\0\1\xff"), Internal, "server's answer is wrong"),
        (reset(8), Cancelled, "server cancelled"),
        (reset(11), ResourceExhausted, "more than the other one takes"),
        (reset(12), PermissionDenied, "not secure enough"),
        (reset(2), Internal, "HTTP/2 error 2"),
    ],
)
@pytest.mark.parametrize("shape", ["unary", "stream"])
async def test_an_answer_that_is_wrong(reply: bytes, kind: type[RpcError], text: str, shape: str) -> None:
    with pytest.raises(RpcError) as caught:
        await answered(reply, shape)
    assert type(caught.value) is kind
    assert text in caught.value.message


@pytest.mark.parametrize(("reply", "text"), [(head_frame(1, GRPC) + OK, "none came"), (body(ITEM * 2), "more came")])
async def test_another_number_of_messages_than_one(reply: bytes, text: str) -> None:
    with pytest.raises(Internal, match=text):
        await answered(reply, "unary")
    assert await answered(reply, "stream") == reply.count(ITEM)


async def answered(reply: bytes, shape: str) -> int:
    """Call a server that replies so; how many messages came."""

    def once(script: Script, data: bytes) -> None:
        script.transport.write(reply if requests(data) else SETTINGS)

    async with scripted(once) as (url, _), polywire.connect(url, timeout_s=5) as channel:
        lab = channel.client(Lab)
        if shape == "unary":
            await lab.get_item("a")
            return 1
        return len([one async for one in lab.stream(1)])


async def test_an_answer_that_is_too_large(live: Live) -> None:
    settings = ChannelSettings(max_response_bytes=10_000)
    async with polywire.connect(f"http://{live.authority}", settings=settings) as channel:
        lab = channel.client(Lab)
        assert len((await lab.text(9_000)).text) == 9_000
        for call in (lambda: lab.text(1_000_000), lambda: anext(lab.stream(1, 1_000_000))):
            with pytest.raises(ResourceExhausted, match="larger than 10000 bytes"):
                await call()
