"""The polywire WebSocket protocol: any messages of a client, in each framing, and a socket that lives through them."""

from __future__ import annotations

import asyncio
import atexit
import functools
from collections.abc import AsyncIterator

import msgspec

from fuzz.source import Source
from polywire import App, InvalidInput, MalformedInput, Message, Service, Tracked, mutation, query
from polywire.codec import Format, method_codec
from polywire.protocols.websocket.messages import Received
from polywire.protocols.websocket.server import FRAMINGS
from polywire.service.options import GraphqlOptions, TrpcOptions, WebSocketOptions
from polywire.testing import TestClient
from polywire.testing.websocket import SocketClosed

CODES = {1003, 1009, 4400}
"""What a client may bring upon itself here."""
MOST_MESSAGES = 12


class Note(Message, package="fuzz"):
    text: str
    number: int = 0


class Notes(Service, package="fuzz"):
    @query
    async def get(self, text: str) -> Note:
        return Note(text)

    @query
    async def watch(self, to: int) -> AsyncIterator[Tracked[Note]]:
        for number in range(to):
            yield Tracked(str(number), Note("n", number))

    @mutation
    async def join(self, notes: AsyncIterator[Note]) -> str:
        return "+".join([note.text async for note in notes])

    @mutation
    async def mirror(self, notes: AsyncIterator[Note]) -> AsyncIterator[Note]:
        async for note in notes:
            yield note


APP = App(
    Notes(),
    graphql=GraphqlOptions(path=None),
    trpc=TrpcOptions(path=None),
    websocket=WebSocketOptions(max_calls=3, max_message_bytes=2048),
)
(JOIN,) = [method for method in Notes.__polywire__.methods if method.name == "Join"]


def fuzz_one(data: bytes) -> None:
    """data: the framing, then messages, each after its length in two bytes."""
    source = Source(data)
    name = source.one_of(list(FRAMINGS))
    messages: list[bytes] = []
    while source.left and len(messages) < MOST_MESSAGES:
        messages.append(source.take(source.number(2)))
    for message in messages:
        read(name, message)
    runner, client = bench()
    runner.run(lived(client, name, messages))


def read(name: str, message: bytes) -> None:
    framing = FRAMINGS[name]
    try:
        given = framing.read(message.decode() if framing.is_text else message)
    except (MalformedInput, UnicodeDecodeError):
        return
    assert type(given) is Received
    assert len(given.input) <= len(message)
    try:
        note = method_codec(JOIN, framing.format).decode_input(bytes(given.message))
    except (MalformedInput, InvalidInput):
        return
    assert type(note) is Note
    if framing.format is not Format.PROTOBUF:
        assert note == msgspec.convert({"text": note.text, "number": note.number}, Note)


@functools.cache
def bench() -> tuple[asyncio.Runner, TestClient]:
    """A loop and a server in it, for all inputs: they take longer to make than an input to try."""
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner, runner.run(TestClient(APP).__aenter__())


async def lived(client: TestClient, name: str, messages: list[bytes]) -> None:
    site = client.site
    async with client.websocket("/ws", subprotocols=[name]) as ws:
        for message in messages:
            try:
                ws.send(message.decode() if FRAMINGS[name].is_text else message)
            except UnicodeDecodeError:
                ws.send(message)
            assert site.open_calls <= 3
        await asyncio.sleep(0)
        ws.close(1000)
        try:
            while True:
                await ws.receive()
        except SocketClosed as closed:
            assert closed.code in CODES | {1000}
    while site.open_calls:  # noqa: ASYNC110 -- turns of the loop, no time
        await asyncio.sleep(0)
    assert not site.runtime.sockets
    assert site.runtime.pending.held_bytes == 0
