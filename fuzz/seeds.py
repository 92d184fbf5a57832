"""`python -m fuzz.seeds`: makes `fuzz/corpora` of the byte tables of the tests. What a run has found stays as it is.

Each target begins with a few bytes that choose how it goes about the rest; here they are written out before each seed.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import struct
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from types import SimpleNamespace
from typing import Any

import msgspec

from fuzz.corpus import CORPORA
from fuzz.schemas import SCHEMAS
from fuzz.targets import NAMES, json_reader, protobuf, websocket_messages
from polywire import Code, FieldViolation, InvalidInput, NotFound
from polywire.codec import Format, message_codec
from polywire.http.compression import compress
from polywire.protocols.grpc.status import status_pairs
from polywire.protocols.rpc.framing import frame, frame_compressed
from polywire.schema.types import Cardinality, Kind, MessageType, Type
from polywire.wire.websocket_deflate import offer
from tests.codec import tables, test_json, test_parameters, test_protobuf
from tests.hostile.test_http2 import BROKEN
from tests.protocols.websocket.test_json import VIOLATIONS
from tests.protocols.websocket.tongues import Protobuf
from tests.protofile import cases
from tests.wire import test_http1_refusals, test_http1_requests, websocket_cases, websocket_deflate_cases
from tests.wire.http2_peer import DATA, GET, HEADERS, POST, PREFACE, SETTINGS, plain
from tests.wire.http2_peer import frame as http2_frame
from tests.wire.websocket_peer import deflated
from tests.wire.websocket_peer import frame as websocket_frame

LONGEST_BYTES = 2048
MOST = 80
"""Seeds of one target."""

Maker = Callable[[], Iterator[bytes]]


def short(*parts: bytes) -> bytes:
    """As `Source.short` reads them."""
    return b"".join(bytes([len(part)]) + part for part in parts)


def http1() -> Iterator[bytes]:
    refused = test_http1_refusals
    wires = [case[0] for case in test_http1_requests.VALID.values()]
    wires += [wire for wire, _, _ in refused.BODIES + refused.SMUGGLING + refused.HEADS]
    upgrade = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    wires += [upgrade, upgrade + b"\x81\x02hi" * 4, wires[0] + upgrade + b"\x88\0" + wires[0]] * 2
    for number, wire in enumerate(wires):
        yield bytes([number % 64, number % 4, number % 13, 63]) + wire
        if wire.startswith(upgrade):
            yield bytes([32, number % 4, number % 13, 7]) + wire


def http2() -> Iterator[bytes]:
    head, end = plain(POST), http2_frame(DATA, 1, 1, b"abc")
    for kind in (0, 2):
        opening = PREFACE + SETTINGS if kind else b""
        yield bytes([kind]) + opening + http2_frame(HEADERS, 5, 1, plain(GET))
        yield bytes([kind]) + opening + http2_frame(HEADERS, 4, 1, head) + end
        yield bytes([kind]) + opening + http2_frame(HEADERS, 0, 1, head[:9]) + http2_frame(9, 4, 1, head[9:]) + end
        yield (
            bytes([kind])
            + opening
            + http2_frame(HEADERS, 4, 1, head)
            + http2_frame(HEADERS, 5, 1, plain((("a", "b"),)))
        )
    for wire, _ in BROKEN.values():
        if len(wire) < LONGEST_BYTES:
            yield b"\x02" + wire
    for field in range(10):
        # HEADERS without an end, then DATA with it, WINDOW_UPDATE, trailers, RST_STREAM, all on stream 1.
        yield bytes([1, 0, 0, 1, field, 1, 1, 1, 3, 97, 98, 99, 4, 0, 1, 9, 1, 0, 1, 1, 4, 3, 2, 1, 8, 1])
        yield bytes([3, 15, 0, 0, 1, field, 5, 0, 2, 0, 5, 0, 3, 9, 15, 1, 1, 1, 2, 97, 98, 5, 0, 6, 5, 0, 4, 2])
        yield bytes([3, 15, 0, 1, 1, field, 0, 5, 0, 0, 9, 1, 15, 4, 2, 1, 9, 1, 3, 4, field])
        yield bytes([3, 15, 0, 0, 1, field, 4, 1, 15, 0, 1, 3, 0, 5, 0, 1, 4, 2, 3])


def headers() -> Iterator[bytes]:
    yield short(b"x-a", b"1", b"x-b", b"two words", b"x-a", b"3")
    yield short(b"cookie", b"a=b", b"cookie", b"c=d", b"Accept", b"*/*")
    yield short(b"token-bin", b"AAEC,AwQ=", b"token-bin", b"_-", b"key-bin", b"\x00\xff\x80")
    yield short(b"x", b" spaces\t", b"y", b"a\r\nb: c", b"z\r\n", b"", b"", b"value", b"\xe9", b"\xe9")
    yield short(b"grpc-status", b"0", b"content-length", b"3", b":path", b"/", b"x-bin", b"=")


def texts() -> Iterator[bytes]:
    yield from (b"1S", b"99999999H", b"100000000n", b"0m", b"5", b"u", b"2.5", b"1e3", b".5", b"0.0001", b"inf", b" 7 ")
    yield from (b"5000", b"9999999999", b"12345678901", b"+5", b"5_0", b"\xb2")
    yield from (b"*/*", b"application/json", b"application/*;q=0.5, */*;q=0.1", b"application/json;q=0", b"text/html")
    yield from (b"application/problem+json, application/json;q=0.9", b"application/json; charset=utf-8", b";q=,;;=")
    yield from (b"application/vnd.api+json", b'application/json;charset="UTF-8";a=b', b"application/json;q=nan")
    yield from (b"gzip, deflate, br, zstd", b"gzip;q=0.5, zstd;q=0.8", b"identity;q=0, *;q=0", b"*", b"x-gzip")
    yield from (b"req-1/a:b", b"a" * 128, b"a" * 129, b"caf\xe9", b"100%25 \xc3\xa9", b"%zz%", b"a\r\nb")


def grpc_framing() -> Iterator[bytes]:
    hello, bomb = b"hello " * 20, gzip.compress(bytes(200_000), mtime=0)
    wires = [
        b"",
        frame(b""),
        frame(hello),
        frame(hello) + frame(b"two"),
        frame_compressed("gzip", hello),
        frame_compressed("gzip", hello) + frame(b"two") + frame_compressed("gzip", b""),
        b"\x01" + len(bomb).to_bytes(4) + bomb,
        b"\x02\0\0\0\0",
        b"\0\xff\xff\xff\xff",
        frame(hello)[:-3],
        b"\0\0\0",
        b"\x01\0\0\0\x03abc",
    ]
    for number, wire in enumerate(wires):
        for coding in range(3):
            yield bytes([coding, 4, 0, number, 30]) + wire


def compression() -> Iterator[bytes]:
    for number, coding in enumerate(("gzip", "zstd")):
        one, empty, bomb = compress(coding, b"hello " * 50), compress(coding, b""), compress(coding, bytes(10_000_000))
        for wire in (one, empty, empty * 70, one + one, one[:-1], one + b"x", bomb[:1500]):
            yield bytes([number, 4, 0]) + wire


EXAMPLES: dict[Kind, Any] = {
    **{Kind.BOOL: True, Kind.INT32: -7, Kind.INT64: -(2**40), Kind.UINT32: 7, Kind.UINT64: 2**63, Kind.FLOAT: 1.5},
    **{Kind.DOUBLE: -2.5e-3, Kind.STRING: "é😀", Kind.BYTES: "_-8=", Kind.ENUM: "green", Kind.DECIMAL: "1.50"},
    **{Kind.TIMESTAMP: "2026-01-31T12:00:00.5Z", Kind.DURATION: "PT1.5S", Kind.DATE: "2026-01-31"},
    Kind.UUID: "12345678-1234-5678-1234-567812345678",
}


def example(message: MessageType) -> dict[str, Any]:
    """A value of every field, as plain JSON."""
    found: dict[str, Any] = {}
    for field in message.fields:
        one = _example(field.type)
        if field.cardinality is Cardinality.LIST:
            one = [one, one]
        elif field.cardinality is Cardinality.MAP:
            one = {{Kind.BOOL: "true", Kind.STRING: "k"}.get(field.map_key or Kind.STRING, "12"): one}
        found[field.name] = one
    return found


def _example(type_: Type) -> Any:
    if type_.message is not None:
        return example(type_.message)
    if type_.union is not None:
        member = type_.union.members[0]
        return {"type": member.tag, **example(member.message)}
    return EXAMPLES[type_.kind]


def schema_values() -> list[tuple[MessageType, Any]]:
    plain_json = [json.dumps(example(schema.message)).encode() for schema in SCHEMAS]
    return [
        (schema.message, message_codec(schema.message, Format.PLAIN_JSON).decode(text))
        for schema, text in zip(SCHEMAS, plain_json, strict=True)
    ]


def protobufs() -> Iterator[bytes]:
    place = {message: len(protobuf.CODECS) + at for at, message in enumerate((tables.EVERYTHING, tables.BOUNDED))}
    for _, wire, _ in test_protobuf.MALFORMED:
        yield bytes([place[tables.EVERYTHING]]) + wire
    for _, message, wire, _, _ in test_protobuf.INVALID:
        if message in place:
            yield bytes([place[message]]) + wire
    for _, wire, _ in test_protobuf.LENIENT:
        yield bytes([place[tables.EVERYTHING]]) + wire
    for number in range(len(SCHEMAS)):
        yield bytes([number]) + b"\x08\x01\x12\x02\x08\x01"
        yield bytes([number]) + b"".join(bytes([field << 3 | 2, 4, 0x0A, 2, 8, 1]) for field in range(1, 16))
        yield bytes([number]) + b"".join(bytes([field << 3, 1]) for field in range(1, 16))
    for number, (message, value) in enumerate(schema_values()):
        yield bytes([number]) + message_codec(message, Format.PROTOBUF).encode(value)
    node = message_codec(tables.NODE, Format.PROTOBUF)
    yield bytes([len(protobuf.CODECS) + 2]) + node.encode(tables.nested(50))


def jsons() -> Iterator[bytes]:
    given = [(profiles, text.encode()) for profiles, text, _ in test_json.READ]
    for profiles, text in given + [(profiles, text) for profiles, text, _ in test_json.MALFORMED]:
        for profile in profiles:
            yield bytes([json_reader.PROFILES.index(profile), 0]) + text
    for number, (message, value) in enumerate(schema_values(), 4):
        yield bytes([0, number]) + message_codec(message, Format.PLAIN_JSON).encode(value)
        yield bytes([1, number]) + message_codec(message, Format.PROTO_JSON).encode(value)
    for number in range(4, len(json_reader.MESSAGES)):
        message = json_reader.MESSAGES[number][0]
        names = [field.json_name for field in message.fields]
        for value in ("1", '"1"', "null", "[1]", '{"1": 1}', '{"theField0": 1}', '"1970-01-01T00:00:00Z"', "1.5e1"):
            yield bytes([1, number]) + b"{%s}" % ", ".join(f'"{name}": {value}' for name in names).encode()


def parameter() -> Iterator[bytes]:
    def asked(route: int, texts: list[bytes], query: str, body: bytes = b"") -> bytes:
        path = b"".join(bytes([len(text)]) + text for text in texts)
        return bytes([route]) + path + struct.pack(">H", len(query)) + query.encode() + body

    for query, _ in test_parameters.GOOD:
        yield asked(0, [b"1"], query)
    for id_, query, _, _ in test_parameters.BAD:
        yield asked(0, [id_.encode()[:39]], query)
    for query in [query for query, _ in test_parameters.KINDS] + test_parameters.BAD_KINDS:
        yield asked(1, [], query)
    yield asked(2, [b"2026-01-31T12:00:00Z", b"1.50", b"gone"], "flag=1")
    yield asked(3, [], "", b'{"id":1,"name":"Alice","email":"a@example.com"}')
    yield asked(4, [b"1"], "", b'{"name":"Alice","email":"a@example.com"}')


PATHS = [
    *(b"/", b"/v1/users", b"/v1/users/", b"/v1/users/42", b"/v1/users/live/orders/7", b"/v1/users/a%20b", b"/x"),
    *(
        b"/v1/users/%C3%A9",
        b"/v1/users/%ff",
        b"/v1/users/%",
        b"/files/a/b%2fc",
        b"/files/",
        b"/v1//users",
        b"/v1/a/live",
    ),
    *(b"v1/users", b"/v1/users/\xc3\xa9", b"/v1/users/\xe9", b"*"),
]


def router() -> Iterator[bytes]:
    for number, path in enumerate(PATHS):
        yield bytes([number % 6]) + path
        yield b"\0" + path


def grpc_status() -> Iterator[bytes]:
    for error in (NotFound("gone é", reason="WHY"), InvalidInput("bad", (FieldViolation("a.b", "is bad"),))):
        yield b"".join(
            bytes([number]) + short(value) for number, (_, value) in enumerate(status_pairs(error, "test.Service"))
        )
    for code in Code:
        yield b"\0" + short(str(int(code)).encode()) + b"\1" + short(b"100%25 %zz") + b"\3" + short(b"x")
    yield b"\0" + short(b"5") + b"\2" + short(b"\xe9") + b"\2" + short(b"A") + b"\4" + short(b"3")


def connect_query() -> Iterator[bytes]:
    yield from (b"", b"message=", b"connect=v1&encoding=json&message=%7B%22a%22%3A1%7D", b"message=a+b&message=c")
    yield from (b"base64=1&encoding=proto&message=CgF3", b"message=CgF3EAE&base64=1", b"base64=1&message=-_-_%3D%3D")
    yield from (b"base64=1&message=%2B/%2B/", b"base64=1&message=A", b"base64=0&message=%", b"message=%zz%e9\xe9")
    yield b"compression=gzip&base64=1&message=H4sI&x&&=&y=1"


def grpc_web_text() -> Iterator[bytes]:
    wire = frame(b"hello") + frame(b"") + frame(b"x" * 40)
    for size in (0, 3, 4, 7):
        yield bytes([0, size, size]) + wire
        yield bytes([1, size, 2]) + base64.b64encode(frame(b"hello")) + base64.b64encode(frame(b"ab"))
    yield from (b"\1\0\0" + text for text in (b"AAAA====", b"AA=A", b"AAA", b"AA==AAA=AAAA", b"AAAA\r\n", b"!!!!"))
    yield from (b"\0\2\2" + broken for broken in (b"\2\0\0\0\0", b"\0\0\0\0\x65", wire[:-1]))


def sniff() -> Iterator[bytes]:
    for number in range(3):
        for first in (
            b"GET / HTTP/1.1\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PRI * HTTP/1.1",
            b"\x16\x03\x01\x02\0",
        ):
            yield bytes([number]) + first


def proxy_protocol() -> Iterator[bytes]:
    signature = b"\r\n\r\n\x00\r\nQUIT\n"
    yield b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET / HTTP/1.1\r\n"
    yield b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"
    yield b"PROXY UNKNOWN ffff:f...f 0 1\r\n"
    yield b"PROXY TCP4 192.0.2.1 192.0.2.2 056324 65536\r\n"
    yield b"PROXY " + b"x" * 110
    for kind, size in ((0x11, 12), (0x21, 36), (0x31, 216), (0x00, 0), (0x12, 12)):
        yield (
            signature
            + bytes([0x21, kind])
            + struct.pack(">H", size + 4)
            + bytes(range(1, 217))[:size]
            + b"\x04\0\1xGET"
        )
    yield signature + b"\x20\x00\0\0"
    yield signature + b"\x21\x11\xff\xff"


def forwarded() -> Iterator[bytes]:
    yield b"\0" + short(b"for=192.0.2.60;proto=http;by=203.0.113.43;host=a.example")
    yield b"\0" + short(b'for="[2001:db8:cafe::17]:4711", for=10.0.0.1') + b"\0" + short(b"for=10.0.0.2;proto=https")
    yield b"\0" + short(b'For="_gazonk", for=unknown;host="x:80"') + b"\0" + short(b'for="_a:_b";;, ,proto="ht\\tps"')
    yield b"\1" + short(b"192.0.2.1, 10.0.0.1") + b"\2" + short(b"https") + b"\3" + short(b"a.example:8443")
    yield (
        b"\1" + short(b"2001:db8::1, [::1]:9, 10.0.0.9") + b"\2" + short(b"http,https,https") + b"\3" + short(b"a,b,c")
    )
    yield b"\0" + short(b'for="a') + b"\1" + short(b"x") + b"\3" + short(b"u@h")


def ranges() -> Iterator[bytes]:
    for number, text in enumerate(
        (
            *(b"bytes=0-99", b"bytes=-5", b"bytes=5-", b"0-1,3-4, 2-2", b"9-3", b"-0", b"0-,-1", b"bits=0-1", b"a"),
            *(b"0-0," * 20, b"99999999999999999999-", b"0-1;2", b"*", b'"a"', b'W/"a", "b"', b'"a b,c" , ""', b'"'),
            *(b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"),
            *(b"Thu, 29 Feb 1900 23:59:60 GMT", b"Sun, 06 Nov 0000 08:49:37 GMT", b"Mon, 00 Xyz 2026 24:00:00 GMT"),
        )
    ):
        yield bytes([1 + number % 4, number % 5, number % 3, number % 5, number % 3]) + text


def file_paths() -> Iterator[bytes]:
    yield from (b"a.txt", b"a/b%20c.html", b"../x", b"a/%2e%2e/b", b"a%2fb", b".hidden", b"", b"a//b", b"a\\..\\b.svg")
    yield from (b"caf\xc3\xa9.pdf", b"caf%C3%A9.tar.gz", b"%ff", b"a%00.js", b"a%0d%0ax: y.html", b"x.xhtml", b"a.svgz")
    yield from (
        b"data:text/html,a.html",
        b"x.html;a=b",
        b"x?y.svg",
        b"a/" * 32 + b"a",
        b"CON",
        b"%C2%85.xml",
        b"~/a.wasm",
    )


def lines() -> Iterator[bytes]:
    for number, wire in enumerate(
        (b"", b"{}\n", b'{"id":1}\n{"id":2}\r\n{"id":3}', b"\n\r\n \n[]", b"a" * 60, b"ab\n" * 9, b"\r\r\n", b"abc\r")
    ):
        for limit_bytes in (3, 9, 200):
            yield bytes([limit_bytes, number, 2]) + wire


def protofile() -> Iterator[bytes]:
    # Behind the syntax, which the target writes itself; what follows a zero is another file.
    yield from (text.encode() for text in [*cases.READ.values(), *list(cases.REFUSED)[::3]])
    yield b'import "b.proto"; message A { b.B b = 1; B.C c = 2; } service S { rpc M(A) returns (b.B); }\0package b;'
    yield b'import public "b.proto"; import "a.proto";\0import "a.proto"; message B {}'


def http2_client() -> Iterator[bytes]:
    # :status 200, content-type: text/plain; trailers grpc-status: 0
    head, trailers = b"\x88", plain((("grpc-status", "0"),))
    for stream in (1, 3, 5):
        answer = http2_frame(HEADERS, 4, stream, head) + http2_frame(DATA, 0, stream, b"hello")
        for wire in (
            answer + http2_frame(DATA, 1, stream),
            answer + http2_frame(HEADERS, 5, stream, trailers),
            answer + http2_frame(3, 0, stream, b"\0\0\0\x08"),
            http2_frame(HEADERS, 4, stream, plain(((":status", "103"),))) + answer,
            answer + http2_frame(7, 0, 0, bytes(8)),
            http2_frame(7, 0, 0, b"\0\0\0\x01\0\0\0\x0b" + b"too_many_pings") + answer,
            http2_frame(5, 4, stream, b"\0\0\0\x02" + head) + answer,
        ):
            yield b"\x01" + SETTINGS + wire + bytes([stream * 4])
    for field in range(16):
        yield bytes([0, 1, 0, 0, 1, field, 0, 0, 1, 1, 1, 1, 1, 3, 97, 98, 99, 1, 0, 1, 1, 4, 2, field, 0, 1, 3])
        yield bytes([0, 1, 0, 0, 3, 20, 1, 0x88, 1, 1, 0, 3, 3, 97, 98, 99, 0, 1, 0, 1, 0, 1, 3, 4, 0, field, 9])


def graphql_requests() -> Iterator[bytes]:
    bodies: list[Any] = [
        {"query": "{a{c}}", "variables": {"n": 1}, "operationName": "A", "extensions": {"b": [1]}},
        {"documentId": "x", "variables": None, "new": 1},
        {"query": None, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}},
        [{"query": "{a}"}],
        {"query": 7},
        {"variables": [1]},
    ]
    yield from (b"\0" + json.dumps(one).encode() for one in bodies)
    yield from (
        b"\x01" + query for query in (b"query={a}&variables=%7B%22n%22:1%7D", b"documentId=x&a=%FF", b"query=a&query=b")
    )
    documents = [
        "{a(first: 3) {c x: c} d {d {c}}}",
        "query A($n: Int, $x: ID = 1) {a(first: $n) {b(limit: $x) {items {c}}}}",
        "{...F d {...F}} fragment F on Query {c ...G} fragment G on Query {d {c}}",
        "{...F} fragment F on Query {d {...F}}",
        "{__schema {types {name}} __typename c @skip(if: true) ... on Query {c}}",
        'query A {c} query B {b(limit: "99") {items {a {c}}}} # end',
    ]
    yield from (b"\x02" + one.encode() for one in documents)
    yield b"\x03application/graphql-response+json, application/json;q=0.9, text/event-stream, text/html;q=0.1"


def trpc_requests() -> Iterator[bytes]:
    queries = (
        b"input=%7B%22id%22%3A42%7D",
        b"batch=1&input=%7B%220%22%3A1%7D",
        b"connectionParams=%7B%22a%22%3A%22b%22%7D&lastEventId=7&Last-Event-Id=8",
        b"input=a+b%2B&other=1&input=%FF",
        b"&".join([b"a=1"] * 60),
    )
    yield from (b"\0\0" + query for query in queries)
    inputs = (
        b"",
        b"{}",
        b'{"0":{"id":42},"2":null}',
        b'{"-1":1,"99":2,"0":[1,{"a":"\xc3\xa9"}]}',
        b"[1]",
        b'{"0":1,"0":2}',
    )
    yield from (b"\1\3" + given for given in inputs)
    positions = (b'{"lastEventId":"7"}', b'{"lastEventId":7,"a":{}}', b'{"lastEventId":1.5}', b'"lastEventId"')
    yield from (b"\2\0" + given for given in positions)


def websocket() -> Iterator[bytes]:
    plain = [case.wire for case in chain(*websocket_cases.CHAPTERS.values()) if len(case.wire) < LONGEST_BYTES]
    for number, wire in enumerate(plain):
        yield bytes([number % 4, number % 13, 63]) + wire
    compressed = [case.wire for case in websocket_deflate_cases.COMPRESSED if len(case.wire) < LONGEST_BYTES]
    for number, wire in enumerate(compressed):
        yield bytes([4 + 4 * (number % 3), number % 13, 63]) + wire
    hello = bytes.fromhex("f248cdc9c90700")
    packed = [
        websocket_frame(1, hello, rsv=0x40) + websocket_frame(1, bytes.fromhex("f200110000"), rsv=0x40),
        websocket_frame(1, hello[:3], rsv=0x40, fin=False) + websocket_frame(9) + websocket_frame(0, hello[3:]),
        websocket_frame(2, bytes.fromhex("f348cdc9c9070000"), rsv=0x40) * 2,
        websocket_frame(2, deflated(bytes(70_000)), rsv=0x40) * 3,
        websocket_frame(2, deflated(bytes(range(256)) * 4, 0), rsv=0x40),
        websocket_frame(1, deflated("é".encode() * 60), rsv=0x40) + websocket_frame(8, b"\x03\xe8"),
    ]
    for number, wire in enumerate(packed):
        for how in (4, 8, 12, 2 + 4, 2 + 8):
            yield bytes([how, number, 5]) + wire
    for wire in (b"\x81\x05Hello", b"\x01\x03Hel\x80\x02lo", b"\x89\0\x8a\0\x88\x02\x03\xe8"):
        yield b"\x12\x01\x02" + wire
    for field in (
        b"permessage-deflate",
        b'permessage-deflate; server_max_window_bits="9", x; a=b; a',
        offer(True).encode(),
    ):
        yield b"\xff\0\0" + field


def socket_messages() -> Iterator[bytes]:
    def wire(which: int, messages: list[Any]) -> bytes:
        return bytes([which]) + b"".join(len(one).to_bytes(2) + one for one in messages)

    text = [
        '{"type":"call","id":1,"method":"fuzz.Notes/Get","input":{"text":"a"},"timeout_s":1,"metadata":{"a":"b"}}',
        '{"type":"call","id":2,"method":"fuzz.Notes/Watch","input":{"to":9},"credit":2,"after":"3"}',
        '{"type":"credit","id":2,"count":3}',
        '{"type":"call","id":3,"method":"fuzz.Notes/Join"}',
        '{"type":"next","id":3,"message":{"text":"a","number":1}}',
        '{"type":"end","id":3}',
        '{"type":"cancel","id":2}',
        '{"type":"ping"}',
    ]
    mirror = ['{"type":"hello","token":"t"}', text[3].replace("Join", "Mirror"), *text[4:6]]
    for said in (text, mirror, text[1:3], text[3:6], text[6:], [text[3], *text[4:5] * 6]):
        maps = [json.loads(one) for one in said]
        yield wire(0, [one.encode() for one in said])
        yield wire(1, [msgspec.msgpack.encode(one) for one in maps])
        client = SimpleNamespace(
            _methods={f"fuzz.Notes/{m.name}": m for m in websocket_messages.Notes.__polywire__.methods}
        )
        tongue = Protobuf(client)  # type: ignore[arg-type]
        yield wire(2, [tongue.encode(one) for one in maps])
    for broken, _ in VIOLATIONS:
        if len(broken) < 1000:
            yield wire(0, [broken.encode(), text[0].encode()])


MAKERS: dict[str, Maker] = {
    "compression": compression,
    "connect_query": connect_query,
    "file_paths": file_paths,
    "forwarded": forwarded,
    "graphql_requests": graphql_requests,
    "grpc_framing": grpc_framing,
    "grpc_status": grpc_status,
    "grpc_web_text": grpc_web_text,
    "header_texts": texts,
    "headers": headers,
    "http1": http1,
    "http2": http2,
    "http2_client": http2_client,
    "json_reader": jsons,
    "lines": lines,
    "parameters": parameter,
    "protobuf": protobufs,
    "protofile": protofile,
    "proxy_protocol": proxy_protocol,
    "ranges": ranges,
    "router": router,
    "sniff": sniff,
    "trpc_requests": trpc_requests,
    "websocket": websocket,
    "websocket_messages": socket_messages,
}


def write(target: str) -> int:
    """Makes the seeds of a target anew; how many there are."""
    folder = CORPORA / target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("seed-*"):
        old.unlink()
    seeds = sorted({seed for seed in MAKERS[target]() if len(seed) <= LONGEST_BYTES})
    # Where there are too many, the longest, which say most, and evenly of the others.
    seeds.sort(key=len)
    rest = seeds[: -MOST // 4]
    chosen = seeds if len(seeds) <= MOST else rest[:: -(-len(rest) * 4 // (MOST * 3))] + seeds[-MOST // 4 :]
    for seed in chosen:
        (folder / f"seed-{hashlib.sha256(seed).hexdigest()[:12]}").write_bytes(seed)
    return len(chosen)


if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        print(f"{name}: {write(name)} seeds")
