"""Directories whose files are served: GET and HEAD, whole or in parts, whatever the HTTP version."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from typing import Final, NamedTuple

from polywire.errors import (
    PRECONDITION_FAILED,
    RANGE_NOT_SATISFIABLE,
    FailedPrecondition,
    Internal,
    MalformedInput,
    NotFound,
    OutOfRange,
    RpcError,
)
from polywire.http.conditional import Outcome, evaluate, http_date, range_applies
from polywire.http.exchange import INTERNAL_ERROR, Exchange, Gone
from polywire.http.files import ServedFile, content_headers, path_segments
from polywire.http.ranges import Part, parts_of
from polywire.protocols.rest.errors import respond_error
from polywire.runtime.pool import ThreadPool
from polywire.service.app import FileRoute
from polywire.wire.headers import HeaderBlock

logger = logging.getLogger("polywire")

CHUNK_BYTES: Final = 128 * 1024
"""Read at a time: what one download holds is this and what its exchange has queued, which is no more than the same."""
_CANCEL: Final = 8
"""RFC 9113 §7."""


class _ShrunkError(Exception):
    """The file ends before what its answer has promised."""


class Piece(NamedTuple):
    """Text to send, then a part of the file."""

    prefix: bytes
    part: Part


class FileServer:
    """The files of one `app.files(...)`.

    They are opened and read in the runtime's threads: a disk or a network file system may take its time, and no
    descriptor of a file tells when it would. Ends, and closes the file, when the peer leaves.
    """

    def __init__(self, route: FileRoute, pool: ThreadPool) -> None:
        self.route = route
        self._directory = os.path.abspath(route.directory)
        self._pool = pool
        self._prefix_chars = len(route.template) - len("{path*}")
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self) -> None:
        """Raises NotADirectoryError where there is no directory to serve."""
        if not os.path.isdir(self._directory):
            raise NotADirectoryError(f"app.files({self.route.path!r}): {self._directory} is no directory")

    def __call__(self, exchange: Exchange) -> None:
        """Answer GET or HEAD."""
        segments = path_segments(exchange.path[self._prefix_chars :])
        if exchange.sink.has_body:
            respond_error(exchange, MalformedInput(f"{exchange.method} takes no body here"))
        elif segments is None:
            respond_error(exchange, _not_found())
        else:
            task = asyncio.get_running_loop().create_task(self._serve(exchange, segments))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            exchange.watch(lambda: _stop(task))

    async def close(self) -> None:
        """Break off what is still being sent, and wait until its files are closed."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, exchange: Exchange, segments: list[str]) -> None:
        file = ServedFile()
        try:
            if not await self._pool.run(file.open, self._directory, segments):
                raise _not_found()
            await self._answer(exchange, file, content_headers(segments[-1], trusted=self.route.trusted))
        except Gone:
            pass
        except asyncio.CancelledError:
            # The peer has left, which makes this nothing, or the server stops.
            exchange.reset(_CANCEL)
            raise
        except Exception as error:
            self._broken(exchange, error)
        finally:
            file.close()

    def _broken(self, exchange: Exchange, error: Exception) -> None:
        name = f"{exchange.method} {exchange.path!r:.200}"
        extra = {"request_id": exchange.request_id}
        answer: RpcError = Internal("internal error")
        if isinstance(error, RpcError):
            answer = error
        elif isinstance(error, _ShrunkError):
            logger.warning("%s broken off: %s (request %s)", name, error, exchange.request_id, extra=extra)
        else:
            logger.error("%s failed (request %s)", name, exchange.request_id, exc_info=error, extra=extra)
        if exchange.status:
            # Its length is out already: only an end that is none can tell that the rest is missing.
            exchange.reset(INTERNAL_ERROR)
        else:
            respond_error(exchange, answer)

    async def _answer(self, exchange: Exchange, file: ServedFile, about: list[tuple[str, str]]) -> None:
        validators, size = file.validators, file.size
        kept = [("accept-ranges", "bytes"), ("cache-control", "no-cache"), ("etag", validators.etag or "")]
        if validators.modified_s is not None:
            kept.append(("last-modified", http_date(validators.modified_s)))
        outcome = evaluate(exchange.method, exchange.headers, validators)
        if outcome is Outcome.FAILED:
            raise FailedPrecondition("the file is not as the request demands", reason=PRECONDITION_FAILED)
        if outcome is Outcome.NOT_MODIFIED:
            exchange.respond(304, HeaderBlock(kept), b"")
            return
        wanted = exchange.headers.get("range")
        parts = None
        if wanted is not None and exchange.method == "GET" and range_applies(exchange.headers, validators, time.time()):
            parts = parts_of(wanted, size)
            if parts == []:
                raise OutOfRange(
                    f"the file has {size} bytes",
                    reason=RANGE_NOT_SATISFIABLE,
                    metadata={"content-range": f"bytes */{size}", "accept-ranges": "bytes"},
                )
        status = 206
        suffix = b""
        if parts is None:
            status, pieces = 200, [Piece(b"", Part(0, size))]
        elif len(parts) == 1:
            pieces = [Piece(b"", parts[0])]
            kept.append(("content-range", parts[0].content_range(size)))
        else:
            about, pieces, suffix = _multipart(about, parts, size)
        length = sum(len(piece.prefix) + piece.part.end - piece.part.start for piece in pieces) + len(suffix)
        block = HeaderBlock([*about, *kept, ("content-length", str(length))])
        exchange.start(status, block, ((b"x-request-id", exchange.request_id.encode()),))
        if exchange.method != "HEAD":
            for piece in pieces:
                await self._send(exchange, file, piece)
            if suffix:
                exchange.write(suffix)
        exchange.finish()

    async def _send(self, exchange: Exchange, file: ServedFile, piece: Piece) -> None:
        data = piece.prefix
        position, end = piece.part
        if file.whole is not None:
            if not exchange.write(data + file.whole[position:end]):
                await exchange.drain()
            return
        while position < end:
            read: bytes = await self._pool.run(file.read, position, min(CHUNK_BYTES, end - position))
            if not read:
                raise _ShrunkError(f"the file has shrunk, it ends before byte {position} of {end}")
            position += len(read)
            if not exchange.write(data + read if data else read):
                await exchange.drain()
            data = b""


def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()


def _multipart(
    about: list[tuple[str, str]], parts: list[Part], size: int
) -> tuple[list[tuple[str, str]], list[Piece], bytes]:
    """The fields, the pieces and the last words of a `multipart/byteranges` (RFC 9110 §14.6)."""
    boundary = secrets.token_hex(16)
    (_, media_type), *others = about
    fields = [("content-type", f"multipart/byteranges; boundary={boundary}"), *others]
    pieces = []
    delimiter = f"--{boundary}\r\n"
    for part in parts:
        head = f"{delimiter}content-type: {media_type}\r\ncontent-range: {part.content_range(size)}\r\n\r\n"
        pieces.append(Piece(head.encode(), part))
        delimiter = f"\r\n--{boundary}\r\n"
    return fields, pieces, f"\r\n--{boundary}--\r\n".encode()


def _not_found() -> NotFound:
    return NotFound("there is no such file", reason="FILE_NOT_FOUND")
