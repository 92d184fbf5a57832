"""websockets on uvloop: an echo at /echo and /deflate, and a broadcast to all at /news of what /publish asks for."""

from __future__ import annotations

import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.peers.pace import message, paced

subscribers: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    assert connection.request is not None
    if connection.request.path == "/news":
        subscribers.add(connection)
        try:
            await connection.wait_closed()
        finally:
            subscribers.discard(connection)
    elif connection.request.path == "/publish":
        number = 0
        async for order in connection:
            async for _ in paced(str(order)):
                number += 1
                broadcast(subscribers, message(number))
    else:
        async for text in connection:
            await connection.send(text)


async def main(port: int) -> None:
    async with serve(handle, "127.0.0.1", port, backlog=4096) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
