"""A service with a method for everything that clients of real servers come across."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Annotated, Any

from msgspec import Meta

from polywire import (
    App,
    FieldViolation,
    Int32,
    InvalidArgument,
    Message,
    NotFound,
    Service,
    Tracked,
    UInt64,
    Unavailable,
    WebSocket,
    current_call,
    mutation,
    query,
)

SECRET = "secret internals of lab"
Count = Annotated[Int32, Meta(ge=0, le=100)]


class Item(Message):
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    count: Count = 0
    tags: list[str] = []


class Blob(Message):
    text: str = ""
    data: bytes = b""


class Size(Message):
    text: Int32
    data: Int32


class Numbers(Message):
    ratio: float = 0.0
    big: UInt64 = 0
    small: Int32 = 0


class Node(Message):
    child: Node | None = None


class Lab(Service, package="lab"):
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As if nobody had called yet."""
        self.running = 0
        self.cancelled = 0
        self.release = threading.Event()
        self.seen: list[Any] = []

    @query("GET /items/{name}")
    async def get_item(self, name: str, count: Count = 0) -> Item:
        if name == "missing":
            raise NotFound("no such item: 100% «gone»\n", reason="ITEM_NOT_FOUND")
        return Item(name, count)

    @mutation("POST /items", status=201)
    async def create_item(self, item: Item) -> Item:
        if item.name == "bad":
            raise InvalidArgument("told to fail", reason="BAD_NAME", details=[FieldViolation("item.name", "is bad")])
        self.seen.append(item.name)
        return item

    @mutation("PUT /items/{name}")
    async def replace_item(self, name: str, count: Count) -> Item:
        return Item(name, count)

    @mutation("PATCH /items/{name}")
    def patch_item(self, name: str, count: Count | None = None) -> Item:
        return Item(name, 7 if count is None else count)

    @mutation("DELETE /items/{name}")
    async def delete_item(self, name: str) -> None:
        self.seen.append(name)

    @query("GET /text/{size}")
    async def text(self, size: Int32) -> Blob:
        return Blob(text="x" * size)

    @query("GET /later/{size}")
    async def later(self, size: Int32) -> Blob:
        """As `text`, but from a handler that suspends."""
        await asyncio.sleep(0.01)
        return Blob(text="x" * size)

    @mutation("POST /size")
    async def size(self, blob: Blob) -> Size:
        return Size(len(blob.text), len(blob.data))

    @mutation("POST /numbers")
    async def numbers(self, numbers: Numbers) -> Numbers:
        return numbers

    @mutation("POST /tree")
    async def tree(self, node: Node) -> Size:
        depth = 0
        at: Node | None = node
        while at is not None:
            at = at.child
            depth += 1
        return Size(depth, 0)

    @query("GET /beside")
    async def beside(self) -> Item:
        """Sends back what came beside the message: in the head, and in the trailers."""
        call = current_call()
        call.response_metadata.add("seen-text", call.metadata.get("given") or "nothing")
        call.trailers.add("last-words", "bye")
        for value in call.metadata.get_binary("given-bin"):
            call.response_metadata.add("seen-bin", value)
            call.trailers.add("last-bin", value[::-1])
        return Item("beside")

    @query("GET /hangs")
    async def hangs(self) -> Item:
        self.running += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        raise AssertionError("unreachable")

    @query("GET /hangs-in-thread")
    def hangs_in_thread(self) -> Item:
        self.running += 1
        try:
            self.release.wait(10)
        finally:
            self.running -= 1
        return Item("late")

    @query("GET /raises")
    async def raises(self) -> Item:
        raise ZeroDivisionError(SECRET)

    @query("GET /raises-in-thread")
    def raises_in_thread(self) -> Item:
        raise KeyError(SECRET)

    @query("GET /raises-late")
    async def raises_late(self) -> Item:
        await asyncio.sleep(0)
        raise OSError(2, SECRET, "/etc/lab.conf")

    @query("GET /wrong")
    async def wrong(self) -> Item:
        return Item(name=SECRET.encode())  # type: ignore[arg-type]

    @query("GET /stream/{count}")
    async def stream(self, count: Int32, size: Int32 = 1) -> AsyncIterator[Blob]:
        self.running += 1
        try:
            for _ in range(count):
                yield Blob(text="x" * size)
        finally:
            self.running -= 1

    @query("GET /stream-raises")
    async def stream_raises(self) -> AsyncIterator[Blob]:
        yield Blob(text="one")
        raise ZeroDivisionError(SECRET)

    @query("GET /stream-fails")
    async def stream_fails(self) -> AsyncIterator[Blob]:
        yield Blob(text="one")
        details = [FieldViolation("blob.text", "is bad")]
        raise InvalidArgument("told to fail in the middle", reason="BAD_BLOB", details=details)

    @query("GET /stream-waits")
    async def stream_waits(self) -> AsyncIterator[Blob]:
        """Sends one, and nothing more."""
        self.running += 1
        try:
            yield Blob(text="one")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    @query("GET /watch")
    async def watch(self) -> AsyncIterator[Tracked[Item]]:
        """Four items, of which nobody gets more than two at once."""
        after = current_call().resume_after
        self.seen.append(after)
        first = int(after or 0) + 1
        for number in range(first, 5):
            if number == first + 2:
                raise Unavailable("come again")
            yield Tracked(str(number), Item(f"item {number}"))

    @mutation("POST /total")
    async def total(self, blobs: AsyncIterator[Blob]) -> Size:
        self.running += 1
        try:
            text = data = 0
            async for blob in blobs:
                text += len(blob.text)
                data += len(blob.data)
            return Size(text, data)
        finally:
            self.running -= 1

    @mutation("POST /first")
    async def first(self, blobs: AsyncIterator[Blob]) -> Blob:
        """Answers the first, whatever may follow."""
        return await anext(aiter(blobs))

    @mutation
    async def announce(self, blobs: AsyncIterator[Blob]) -> AsyncIterator[Blob]:
        """As `echo`, but says that it is there before it reads anything, and adds trailers."""
        call = current_call()
        call.response_metadata.add("seen-text", "early")
        call.send_metadata()
        call.trailers.add("last-words", "bye")
        async for blob in blobs:
            yield blob

    @mutation("POST /echo")
    async def echo(self, blobs: AsyncIterator[Blob]) -> AsyncIterator[Blob]:
        self.running += 1
        try:
            async for blob in blobs:
                yield blob
        finally:
            self.running -= 1


MOST_ECHOED_BYTES = 200_000


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def make_app(lab: Lab, **options: Any) -> App:
    app = App(lab, thread_pool_size=2, sse_retry_s=None, **options)
    app.websocket("/echo", max_message_bytes=MOST_ECHOED_BYTES, deflate="no_context_takeover")(echo)
    app.websocket("/echo-kept", max_message_bytes=MOST_ECHOED_BYTES, deflate="context_takeover")(echo)
    return app
