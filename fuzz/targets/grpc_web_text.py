"""gRPC-Web's text: base64, padded anywhere, around length-prefixed messages."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

from fuzz.source import Source, pieces
from polywire.errors import MalformedInput, RpcError
from polywire.protocols.grpc.web import TextSplitter, decode_text
from polywire.protocols.rpc.framing import message_splitter

QUANTUM = re.compile(rb"[A-Za-z0-9+/]{2}(?:==|[A-Za-z0-9+/](?:=|[A-Za-z0-9+/]))")
LIMIT_BYTES = 100


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    is_encoded = source.byte() % 2
    sizes = [1 + source.byte(), 1 + source.byte()]
    text = source.rest()
    if not is_encoded:
        text = b"".join(map(b64encode, pieces(text, sizes)))
    quanta = [text[at : at + 4] for at in range(0, len(text), 4)]
    decoded = b"".join(map(b64decode, quanta)) if all(map(QUANTUM.fullmatch, quanta)) else None
    try:
        assert decode_text(text) == decoded
    except MalformedInput:
        assert decoded is None
    whole, error = split([text])
    for parts in (pieces(text, sizes), pieces(text, [1])):
        found, other = split(parts)
        assert (error is None) == (other is None)
        if decoded is not None:
            assert found == whole
            assert str(other) == str(error)
    assert decoded is not None or error is not None


def split(parts: list[bytes]) -> tuple[list[tuple[int, bytes]], Exception | None]:
    splitter = TextSplitter(message_splitter(LIMIT_BYTES))
    found: list[tuple[int, bytes]] = []
    for part in parts:
        found += splitter.feed(part)
        while splitter.waiting:
            found += splitter.feed(b"")
        if splitter.error is not None:
            break
    else:
        found += splitter.end()
    assert splitter.error is None or isinstance(splitter.error, RpcError)
    return found, splitter.error
