"""Greets people in their language."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import field

from atlas.locked import LOCK
from polywire import Doc, Message, Service, mutation, query

GREETINGS = {"en": "Hey, {}!", "es": "¡Hola, {}!", "fr": "Salut, {}!", "de": "Hallo, {}!"}
STREAMED = 5


class HelloRequest(Message):
    name: str
    language: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


class HelloReply(Message):
    message: str
    server_id: str
    timestamp: Annotated[int, Doc("Unix time in seconds.")]


class Greeter(Service, package="hello", lock=LOCK):
    """Says hello."""

    def __init__(self, interval_s: float = 1.0) -> None:
        self.interval_s = interval_s

    @query
    async def say_hello(self, request: HelloRequest) -> HelloReply:
        """Greets by name, in English where the language is not known."""
        return greeting(request)

    @query
    async def say_hello_stream(self, request: HelloRequest) -> AsyncIterator[HelloReply]:
        """Five messages, a second apart."""
        for number in range(1, STREAMED + 1):
            if number > 1:
                await asyncio.sleep(self.interval_s)
            yield reply(f"Hey {request.name}, message {number} of {STREAMED}")

    @mutation("POST /v1/hello/chat")
    async def chat(self, requests: AsyncIterator[HelloRequest]) -> AsyncIterator[HelloReply]:
        """Greets each one when it comes."""
        async for request in requests:
            yield greeting(request)


def greeting(request: HelloRequest) -> HelloReply:
    return reply(GREETINGS.get(request.language, GREETINGS["en"]).format(request.name))


def reply(message: str) -> HelloReply:
    return HelloReply(message, server_id=f"atlas-{os.getpid()}", timestamp=int(time.time()))
