"""The tables of tests/wire/websocket_cases.py over real sockets: to an echo, compression on, HTTP/1.1 and 2."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable

import pytest

from polywire.testing.websocket import KEY
from polywire.wire.websocket_deflate import DeflateParameters, answer
from tests.live.http2 import h2_client
from tests.live.server import Live
from tests.live.service import MOST_ECHOED_BYTES
from tests.live.wire import connected, read_all
from tests.wire.websocket_cases import CHAPTERS, Case
from tests.wire.websocket_deflate_cases import COMPRESSED, HANDSHAKES, NAME, Handshake, cut, noise_of, text_of
from tests.wire.websocket_peer import CLOSE, LIMIT_BYTES, PING, PONG, RSV1, TEXT, close, fragments, server_frames

assert MOST_ECHOED_BYTES == LIMIT_BYTES
PATHS = {False: "/echo", True: "/echo-kept"}
"""By whether contexts are kept."""
_FEW_BYTES = 300
Talk = Callable[[Live, str, str, list[bytes]], tuple[str | None, bytes]]


def over_http1(live: Live, path: str, offers: str, pieces: list[bytes]) -> tuple[str | None, bytes]:
    """(what was answered to the offers, all that came until the server closed)."""
    head = (
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\nsec-websocket-extensions: {offers}\r\n\r\n"
    )
    with connected(live) as opened:
        _send_at_once(opened)
        opened.sendall(head.encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += opened.recv(65536)
        try:
            for piece in pieces:
                opened.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed in the middle
        received += read_all(opened)
    head, _, rest = received.decode("latin-1").partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 101 "), head
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
    return fields.get("sec-websocket-extensions"), rest.encode("latin-1")


def over_http2(live: Live, path: str, offers: str, pieces: list[bytes]) -> tuple[str | None, bytes]:
    fields = [(":protocol", "websocket"), ("sec-websocket-version", "13"), ("sec-websocket-extensions", offers)]
    with h2_client(live) as client:
        _send_at_once(client.socket)
        stream = client.begin("CONNECT", path, fields)
        while not client.replies[stream].head:
            assert client.receive()
        for piece in pieces:
            client.send(stream, piece)
        reply = client.wait(stream)
    assert reply.head[":status"] == "200"
    assert reply.reset is None
    return reply.head.get("sec-websocket-extensions"), reply.body


def _send_at_once(opened: socket.socket) -> None:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


VERSIONS = {"HTTP/1.1": over_http1, "HTTP/2": over_http2}


class Reader:
    """What the server says, unpacked by zlib alone."""

    def __init__(self, parameters: DeflateParameters | None) -> None:
        """parameters: from the client's end."""
        self._parameters = parameters
        self._inflater = self._new()
        self.compressed = 0
        """Messages that were."""

    def _new(self) -> zlib._Decompress:
        return zlib.decompressobj(wbits=-(15 if self._parameters is None else self._parameters.peer_window_bits))

    def read(self, data: bytes) -> tuple[list[str | bytes], list[bytes], bytes | None]:
        """(messages, payloads of pongs, payload of the close)."""
        messages: list[str | bytes] = []
        pongs = []
        for first, payload in server_frames(data):
            opcode = first & 0x0F
            assert first & 0x80, "it fragments nothing"
            if opcode == CLOSE:
                assert data.endswith(payload), "nothing comes after a close"
                return messages, pongs, payload
            if opcode == PONG:
                pongs.append(payload)
                continue
            if opcode == PING:  # a heartbeat
                continue
            if first & RSV1:
                self.compressed += 1
                assert self._parameters is not None
                if not self._parameters.peer_keeps_context:
                    self._inflater = self._new()
                payload = self._inflater.decompress(payload + b"\0\0\xff\xff")
            messages.append(payload.decode() if opcode == TEXT else payload)
        return messages, pongs, None


def check(live: Live, talk: Talk, path: str, case: Case, pieces: list[bytes]) -> None:
    said, received = talk(live, path, NAME, pieces if case.ends else [*pieces, close(1000)])
    assert said is not None
    # We offered nothing about our own end; what is said of the server's is all that counts here.
    made = answer(NAME, keep_context=path == PATHS[True])
    assert made is not None
    own, keeps, peer, peer_keeps = made[1]
    messages, pongs, payload = Reader(DeflateParameters(peer, peer_keeps, own, keeps)).read(received)
    controls = [one for one in case.found if type(one) is tuple]
    assert messages == [one for one in case.found if type(one) is not tuple]
    assert pongs == [found for opcode, found in controls if opcode == PING]
    code = case.failure or (controls[-1][1][0] if case.ends else 1000)
    assert payload is not None
    assert payload[:2] == (b"" if code == 1005 else code.to_bytes(2, "big"))
    assert (len(payload) > 2) == (case.failure is not None), "a reason, where we know one"
    payload[2:].decode()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("chapter", [*CHAPTERS, "9 compression"])
def test_every_case(live: Live, version: str, chapter: str) -> None:
    for case in CHAPTERS.get(chapter, COMPRESSED):
        few = len(case.wire) <= _FEW_BYTES
        for pieces in ([case.wire], cut(case.wire, 1) if few else []):
            for path in PATHS.values() if chapter.startswith("9") else [PATHS[False]]:
                if pieces:
                    try:
                        check(live, VERSIONS[version], path, case, pieces)
                    except Exception as failure:
                        failure.add_note(f"case {case}, in {len(pieces)} pieces, at {path}")
                        raise


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("handshake", HANDSHAKES, ids=[handshake.number for handshake in HANDSHAKES])
def test_what_is_agreed_on_is_kept_to(live: Live, version: str, handshake: Handshake) -> None:
    """Ten messages each way, in fragments, with the windows and contexts that were agreed on."""
    messages = [text_of(size) for size in (16, 64, 300, 300, 5000, 20_000, 5000, 70_000)] + [noise_of(3000)] * 2
    made = answer(handshake.offers, handshake.keeps)
    parameters = None
    wire = b""
    if made is not None:
        own, keeps, peer, peer_keeps = made[1]
        parameters = DeflateParameters(peer, peer_keeps, own, keeps)
    packer = None
    for place, message in enumerate(messages):
        if parameters is None:
            wire += fragments(2, cut(message, 1000))
            continue
        if packer is None or not parameters.own_keeps_context:
            packer = zlib.compressobj(wbits=-parameters.own_window_bits)
        payload = (packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        wire += fragments(2, cut(payload, 1 << (place + 4)), rsv=RSV1)
    said, received = VERSIONS[version](live, PATHS[handshake.keeps], handshake.offers, [wire + close(1000)])
    assert said == handshake.said
    reader = Reader(parameters)
    assert reader.read(received) == (messages, [], b"\x03\xe8")
    # Too short, or noise, is sent as it is where no context must go on.
    assert reader.compressed == (0 if parameters is None else 9 if parameters.peer_keeps_context else 7)
    if parameters is not None:
        assert len(received) < sum(map(len, messages)) * 0.6
