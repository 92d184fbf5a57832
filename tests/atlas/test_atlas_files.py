"""Uploads and downloads: what is kept, what is refused, and that nothing half-written stays."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atlas.services.files import CHUNK_BYTES, Files, UploadChunk
from polywire import App
from polywire.errors import Code, RpcError
from polywire.testing import TestClient
from tests.atlas.talk import Talk, nothing_is_left, until

UPLOAD, DOWNLOAD = "files.Files/Upload", "files.Files/Download"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
async def client(directory: Path) -> AsyncIterator[TestClient]:
    files = Files(directory, most_bytes=1_000_000, most_bytes_in_all=1_500_000)
    app = App(files)
    app.files("/v1/files", directory)
    app.on_start(files.open)
    async with TestClient(app) as client:
        yield client
        await nothing_is_left(client)
        assert [name for name in os.listdir(directory) if name.startswith(".")] == []


def chunks(data: bytes, size: int = 100_000) -> list[UploadChunk]:
    return [UploadChunk(data[at : at + size]) for at in range(0, len(data), size)]


async def failure(awaitable: Any) -> tuple[Code, str | None]:
    with pytest.raises(RpcError) as caught:
        await awaitable
    return caught.value.code, caught.value.reason


def test_numbers_are_the_contract() -> None:
    (upload,) = [method for method in Files.__polywire__.methods if method.name == "Upload"]
    assert upload.input.full_name == "files.UploadChunk"
    assert [(field.name, field.number) for field in upload.input.fields] == [("data", 1)]
    assert upload.output.full_name == "files.UploadResult"


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 500_001])
async def test_there_and_back(client: TestClient, size: int) -> None:
    data = os.urandom(size)
    result = await client.grpc(UPLOAD, chunks(data))
    assert (result.size, result.sha256) == (size, hashlib.sha256(data).hexdigest())
    parts = [part.data async for part in client.grpc_stream(DOWNLOAD, {"name": result.name})]
    assert b"".join(parts) == data
    assert all(0 < len(part) <= CHUNK_BYTES for part in parts)
    answer = await client.get(f"/v1/files/{result.name}")
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_parts(client: TestClient) -> None:
    result = await client.grpc(UPLOAD, chunks(b"0123456789", 3))
    answer = await client.get(f"/v1/files/{result.name}", headers=[("range", "bytes=2-4")])
    assert (answer.status, answer.body) == (206, b"234")
    rest = [p.data async for p in client.grpc_stream(DOWNLOAD, {"name": result.name, "offset": 7})]
    assert rest == [b"789"]
    assert [p async for p in client.grpc_stream(DOWNLOAD, {"name": result.name, "offset": 70})] == []


@pytest.mark.parametrize("name", ["0" * 32, "f" * 32])
async def test_no_such_file(client: TestClient, name: str) -> None:
    stream = client.grpc_stream(DOWNLOAD, {"name": name})
    assert await failure(anext(stream)) == (Code.NOT_FOUND, "FILE_NOT_FOUND")


@pytest.mark.parametrize("name", ["", "../secret", ".upload-" + "0" * 32, "0" * 32 + "\n", "0" * 33, "/etc/passwd"])
async def test_names_that_are_none(client: TestClient, name: str) -> None:
    stream = client.grpc_stream(DOWNLOAD, {"name": name})
    assert await failure(anext(stream)) == (Code.INVALID_ARGUMENT, "INVALID")


async def test_a_file_that_is_too_large(client: TestClient, directory: Path) -> None:
    call = client.grpc(UPLOAD, chunks(bytes(1_000_001)))
    assert await failure(call) == (Code.RESOURCE_EXHAUSTED, "FILE_TOO_LARGE")
    assert os.listdir(directory) == []
    assert (await client.grpc(UPLOAD, chunks(bytes(1_000_000)))).size == 1_000_000


async def test_all_of_them_are_bounded(client: TestClient, directory: Path) -> None:
    await client.grpc(UPLOAD, chunks(bytes(1_000_000)))
    call = client.grpc(UPLOAD, chunks(bytes(500_001)))
    assert await failure(call) == (Code.RESOURCE_EXHAUSTED, "STORAGE_FULL")
    assert (await client.grpc(UPLOAD, chunks(bytes(500_000)))).size == 500_000
    for name in os.listdir(directory):
        (directory / name).unlink()
    assert (await client.grpc(UPLOAD, chunks(bytes(1_000_000)))).size == 1_000_000


async def test_uploads_at_once_share_the_bound(client: TestClient) -> None:
    talks = [Talk(client, UPLOAD) for _ in range(2)]
    for talk in talks:
        talk.say(*chunks(bytes(700_000)))
    await until(lambda: used(client) >= 1_400_000)
    talks[0].say(*chunks(bytes(200_000)))
    assert await failure(talks[0].hear()) == (Code.RESOURCE_EXHAUSTED, "STORAGE_FULL")
    talks[1].end()
    assert (await talks[1].hear()).size == 700_000


async def test_uploads_at_once_are_bounded(client: TestClient, directory: Path) -> None:
    files = client.app.services[0].instance
    assert isinstance(files, Files)
    files.most_uploads = 1
    talk = Talk(client, UPLOAD)
    talk.say(*chunks(bytes(100_000)))
    await until(lambda: os.listdir(directory) != [])
    assert await failure(client.grpc(UPLOAD, chunks(b"x"))) == (Code.RESOURCE_EXHAUSTED, "TOO_MANY_UPLOADS")
    talk.leave()
    await until(lambda: os.listdir(directory) == [])
    assert (await client.grpc(UPLOAD, chunks(b"x"))).size == 1


def used(client: TestClient) -> int:
    files = client.app.services[0].instance
    assert isinstance(files, Files)
    return files._kept_bytes + files._coming_bytes


async def test_one_who_leaves_leaves_nothing(client: TestClient, directory: Path) -> None:
    talk = Talk(client, UPLOAD)
    talk.say(*chunks(bytes(300_000)))
    await until(lambda: sum(path.stat().st_size for path in directory.iterdir()) > 0)
    (part,) = os.listdir(directory)
    assert (await client.get(f"/v1/files/{part}")).status == 404
    talk.leave()
    await until(lambda: os.listdir(directory) == [])


def test_what_a_killed_process_has_left_is_removed(directory: Path) -> None:
    directory.mkdir()
    old, new = directory / f".upload-{'0' * 32}", directory / f".upload-{'1' * 32}"
    kept = directory / ("2" * 32)
    for path in (old, new, kept):
        path.write_bytes(b"x")
    for path in (old, kept):
        os.utime(path, (time.time() - 4000,) * 2)
    Files(directory).open()
    assert sorted(directory.iterdir()) == [new, kept]


async def test_a_download_that_is_left(client: TestClient, directory: Path) -> None:
    result = await client.grpc(UPLOAD, chunks(bytes(900_000)))
    stream = client.grpc_stream(DOWNLOAD, {"name": result.name})
    await anext(stream)
    await stream.aclose()
    await until(lambda: not any(is_open(path) for path in directory.iterdir()))


def is_open(path: Path) -> bool:
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{number}") == str(path):
                return True
        except FileNotFoundError:
            continue
    return False
