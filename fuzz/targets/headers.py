"""Header fields: what was received, what is to be sent, and gRPC's binary metadata."""

from __future__ import annotations

import base64

from fuzz.source import Source
from polywire.runtime.metadata import MutableMetadata
from polywire.wire.headers import HeaderBlock, Headers


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    pairs = []
    while source.left:
        pairs.append((source.short().decode("latin-1"), source.short()))
    received(pairs)
    sent(pairs)
    metadata(pairs)


def received(pairs: list[tuple[str, bytes]]) -> None:
    fields = [(name, value.decode("latin-1")) for name, value in pairs]
    headers = Headers(fields)
    assert sorted(headers.items()) == sorted((name.lower(), value) for name, value in fields)
    for name, _ in fields:
        values = [value for other, value in fields if other.lower() == name.lower()]
        assert headers.get_all(name.lower()) == values
        assert headers.get(name.lower()) == ("; " if name.lower() == "cookie" else ", ").join(values)
        assert name.lower() in headers
        assert len(headers.get_binary(name.lower())) <= sum(1 + value.count(",") for value in values)


def sent(pairs: list[tuple[str, bytes]]) -> None:
    try:
        block = HeaderBlock(pairs)
    except ValueError:  # UnicodeEncodeError is one
        return
    lines = block.h1_lines.split(b"\r\n")
    assert lines.pop() == b""
    assert [tuple(line.split(b": ", 1)) for line in lines] == list(block.pairs), "a field that splits the message"
    assert [name.decode() for name, _ in block.pairs] == [name for name, _ in pairs]


def metadata(pairs: list[tuple[str, bytes]]) -> None:
    sending = MutableMetadata()
    for name, value in pairs:
        try:
            sending.add(name, value if name.lower().endswith("-bin") else value.decode("latin-1"))
        except ValueError:
            continue
    HeaderBlock(sending.wire_items())
    for name, sent_value in sending.items():
        if isinstance(sent_value, bytes):
            for text in (base64.b64encode(sent_value), base64.b64encode(sent_value).rstrip(b"=")):
                assert Headers([(name, text.decode())]).get_binary(name) == [sent_value]
