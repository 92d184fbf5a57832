"""Files that people leave here: sent and fetched as streams, and fetched in parts from `GET /v1/files/{name}`.

Their names are the server's. What is still being sent has a name that begins with a dot, which nobody is given.
"""

import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, BinaryIO

from msgspec import Meta

from atlas.locked import LOCK
from atlas.threads import in_thread
from polywire import Doc, Int64, Message, NotFound, ResourceExhausted, Service, mutation, query

MIB = 1024 * 1024
CHUNK_BYTES = 64 * 1024
LEFT_OVER_S = 3600
"""After this an upload that does not grow is one of a process that was killed."""

FileName = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]


class UploadChunk(Message):
    data: bytes


class UploadResult(Message):
    name: FileName
    size: Annotated[Int64, Doc("In bytes.")]
    sha256: Annotated[str, Doc("In hexadecimal.")]


class DownloadChunk(Message):
    data: bytes


class Files(Service, package="files", lock=LOCK):
    """Keeps files in a directory.

    most_bytes: of one file; most_bytes_in_all: of all that are in the directory, about; most_uploads: at once.
    """

    def __init__(
        self,
        directory: Path,
        *,
        most_bytes: int = 64 * MIB,
        most_bytes_in_all: int = 1024 * MIB,
        most_uploads: int = 100,
    ) -> None:
        self.directory = directory
        self.most_bytes = most_bytes
        self.most_bytes_in_all = most_bytes_in_all
        self.most_uploads = most_uploads
        self._uploads = 0
        self._kept_bytes = 0
        """Of whole files: as last looked up, and what was kept since."""
        self._coming_bytes = 0
        """Of the uploads that are under way in this process."""

    def open(self) -> None:
        """Makes the directory, and removes what a process that was killed has left half-written."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for path in self.directory.glob(".upload-*"):
            if path.stat().st_mtime < time.time() - LEFT_OVER_S:
                path.unlink(missing_ok=True)

    @mutation("POST /v1/files", status=201, idle_s=60)
    async def upload(self, chunks: AsyncIterator[UploadChunk]) -> UploadResult:
        """Keeps a file under a name that it gives; nothing of it where the stream does not come to its end."""
        if self._uploads >= self.most_uploads:
            raise ResourceExhausted(f"{self._uploads} files are being sent already", reason="TOO_MANY_UPLOADS")
        self._uploads += 1
        try:
            return await self._keep(chunks)
        finally:
            self._uploads -= 1

    @query("GET /v1/files/{name}/chunks")
    async def download(self, name: FileName, offset: Annotated[Int64, Meta(ge=0)] = 0) -> AsyncIterator[DownloadChunk]:
        """A file, from `offset` on, in pieces of 64 KiB."""
        try:
            file = await in_thread(look_at, self.directory / name, undo=close)
        except FileNotFoundError:
            raise NotFound(f"no file {name}", reason="FILE_NOT_FOUND") from None
        try:
            await in_thread(file.seek, offset)
            while data := await in_thread(file.read, CHUNK_BYTES):
                yield DownloadChunk(data)
        finally:
            file.close()

    async def _keep(self, chunks: AsyncIterator[UploadChunk]) -> UploadResult:
        name = uuid.uuid4().hex
        part = self.directory / f".upload-{name}"
        self._kept_bytes = await in_thread(self._measure)
        writing = Writing()
        size = 0
        try:
            writing.file = await in_thread(create, part, undo=close)
            waiting = bytearray()
            async for chunk in chunks:
                size += len(chunk.data)
                self._coming_bytes += len(chunk.data)
                self._check(size)
                waiting += chunk.data
                if len(waiting) >= CHUNK_BYTES:
                    await in_thread(writing.write, bytes(waiting))
                    waiting.clear()
            await in_thread(writing.write, bytes(waiting))
            await in_thread(writing.close)
            # On the loop: no cancellation can come between this and the answer.
            os.replace(part, self.directory / name)
            self._kept_bytes += size
        except BaseException:
            part.unlink(missing_ok=True)
            writing.close()
            raise
        finally:
            self._coming_bytes -= size
        return UploadResult(name, size, writing.digest.hexdigest())

    def _check(self, size: int) -> None:
        if size > self.most_bytes:
            raise ResourceExhausted(f"a file can have {self.most_bytes} bytes", reason="FILE_TOO_LARGE")
        if self._kept_bytes + self._coming_bytes > self.most_bytes_in_all:
            raise ResourceExhausted("there is no room left for files", reason="STORAGE_FULL")

    def _measure(self) -> int:
        used = 0
        with os.scandir(self.directory) as entries:
            for entry in entries:
                # Another upload may end in the meantime.
                with suppress(FileNotFoundError):
                    if not entry.name.startswith("."):
                        used += entry.stat(follow_symlinks=False).st_size
        return used


class Writing:
    """A file that is being written, and the digest of what is in it."""

    def __init__(self) -> None:
        self.file: BinaryIO | None = None
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        assert self.file is not None
        self.file.write(data)
        self.digest.update(data)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


def create(path: Path) -> BinaryIO:
    return path.open("xb")


def look_at(path: Path) -> BinaryIO:
    return path.open("rb")


def close(file: BinaryIO) -> None:
    file.close()
