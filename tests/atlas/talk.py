"""Both halves of a gRPC stream, held by a test: what is said when, and what is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from polywire.codec import Format, method_codec
from polywire.protocols.grpc.status import read_status
from polywire.protocols.rpc.framing import frame, read_prefix
from polywire.testing import TestClient


class Talk:
    """A call of a streaming method that stays open until `end` or `leave`."""

    def __init__(self, client: TestClient, method: str) -> None:
        table = next(m for service, _ in client.app.services for m in service.methods if m.full_name == method)
        codec = method_codec(table, Format.PROTOBUF)
        self._encode, self._decode = codec.encode_input, codec.decode_result
        self._buffer = bytearray()
        headers = [("content-type", "application/grpc"), ("te", "trailers")]
        self.sink = client.open("POST", table.path, headers=headers, version="2", more=True)

    def say(self, *messages: Any) -> None:
        self.sink.feed(b"".join(frame(self._encode(message)) for message in messages))

    def end(self) -> None:
        self.sink.feed(b"", end=True)

    def leave(self) -> None:
        self.sink.leave()

    async def hear(self) -> Any:
        """The next message; None at the end. Raises the error that the stream ends with."""
        async with asyncio.timeout(30):
            while len(self._buffer) < 5 or len(self._buffer) < 5 + read_prefix(self._buffer, 1 << 30).length:
                part = await self.sink.received()
                if not part:
                    answer = await self.sink.answer()
                    error = read_status(answer.trailers if "grpc-status" in answer.trailers else answer.headers)
                    if error is not None:
                        raise error
                    return None
                self._buffer += part
        end = 5 + read_prefix(self._buffer, 1 << 30).length
        message = self._decode(bytes(self._buffer[5:end]))
        del self._buffer[:end]
        return message

    async def rest(self) -> list[Any]:
        heard = []
        while (message := await self.hear()) is not None:
            heard.append(message)
        return heard


async def until(condition: Callable[[], bool]) -> None:
    """Raises TimeoutError if it does not happen within 30 s."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 -- what a task leaves behind tells nobody that it is gone
            await asyncio.sleep(0.001)


def left_behind() -> list[str]:
    """Tasks that the services have made, and that are not over."""
    code = [getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks()]
    files = [one.co_filename for one in code if one is not None]
    return [file for file in files if "examples/atlas/" in file or file.endswith("asyncio/threads.py")]


async def nothing_is_left(client: TestClient) -> None:
    """Raises TimeoutError while a call or a task of a service goes on."""
    await until(lambda: client.site.open_calls == 0 and not left_behind())
