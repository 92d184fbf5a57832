"""uvloop and httptools with nothing above them: about the most that Python can do on HTTP/1.1."""

from __future__ import annotations

import asyncio
import sys
from typing import cast
from urllib.parse import parse_qs

import httptools
import msgspec
import uvloop

PREFIX = b"/v1/users/"
encode = msgspec.json.encode


class User(msgspec.Struct):
    id: int
    name: str
    email: str
    age: int


def answer(url: bytes) -> bytes:
    if url.startswith(PREFIX):
        return encode(User(int(url[len(PREFIX) :]), "Alice", "alice@example.com", 30))
    count = int(parse_qs(url.partition(b"?")[2])[b"count"][0])
    return encode({"users": [User(i, "Alice", "alice@example.com", 30) for i in range(1, count + 1)]})


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)
        self.url = b""

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_message_complete(self) -> None:
        body = answer(self.url)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
