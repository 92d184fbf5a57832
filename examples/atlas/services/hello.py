"""Greets people in their language."""

import os
import time
from typing import Annotated

from msgspec import field

from polywire import Doc, Message, Service, query

GREETINGS = {"en": "Hey, {}!", "es": "¡Hola, {}!", "fr": "Salut, {}!", "de": "Hallo, {}!"}


class HelloRequest(Message):
    name: str
    language: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


class HelloReply(Message):
    message: str
    server_id: str
    timestamp: Annotated[int, Doc("Unix time in seconds.")]


class Greeter(Service, package="hello"):
    """Says hello."""

    @query
    async def say_hello(self, request: HelloRequest) -> HelloReply:
        """Greets by name, in English where the language is not known."""
        greeting = GREETINGS.get(request.language, GREETINGS["en"])
        return HelloReply(greeting.format(request.name), server_id=f"atlas-{os.getpid()}", timestamp=int(time.time()))
