"""`app.files` on a socket, asked by curl."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from polywire import App, Service, query
from polywire.protocols.files import CHUNK_BYTES
from polywire.protocols.site import Site
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings


class Nothing(Service, package="nothing"):
    @query
    async def nothing(self) -> None: ...


SIZE = 40 * CHUNK_BYTES + 11


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "public"
    directory.mkdir()
    (directory / "big.bin").write_bytes(os.urandom(SIZE))
    (directory / "empty.txt").touch()
    (directory / "abc.txt").write_text("abcdefghij")
    return directory


@pytest.fixture
async def server(directory: Path) -> AsyncIterator[Server]:
    app = App(Nothing())
    app.files("/v1/files", directory)
    server = Server(Site(app), ServerSettings(port=0, tick_s=0.05))
    await server.start()
    yield server
    await server.abort()
    assert not any(open_in(directory))


async def curl(server: Server, version: str, name: str, *options: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20", version, *options),
        f"http://127.0.0.1:{server.port}/v1/files/{name}",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out


versions = pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge", "--http1.0"])


@versions
async def test_the_whole(server: Server, directory: Path, version: str) -> None:
    assert await curl(server, version, "big.bin") == (directory / "big.bin").read_bytes()
    assert await curl(server, version, "empty.txt", "-w", "%{http_code} %{size_download}") == b"200 0"


@versions
async def test_a_part(server: Server, directory: Path, version: str) -> None:
    part = await curl(server, version, "big.bin", "-r", "0-99")
    assert part == (directory / "big.bin").read_bytes()[:100]
    assert await curl(server, version, "abc.txt", "-r", "-3", "-w", "%{http_code}") == b"hij206"
    assert await curl(server, version, "abc.txt", "-r", "10-", "-o", "/dev/null", "-w", "%{http_code}") == b"416"


@versions
async def test_several_parts(server: Server, version: str) -> None:
    said = await curl(server, version, "abc.txt", "-r", "0-1,5-6", "-w", "%{content_type}")
    body, _, boundary = said.rpartition(b"multipart/byteranges; boundary=")
    assert body.split(b"--" + boundary)[1:] == [
        b"\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes 0-1/10\r\n\r\nab\r\n",
        b"\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes 5-6/10\r\n\r\nfg\r\n",
        b"--\r\n",
    ]


@versions
async def test_a_download_that_goes_on(server: Server, directory: Path, tmp_path: Path, version: str) -> None:
    whole = (directory / "big.bin").read_bytes()
    (tmp_path / "got").write_bytes(whole[:100_000])
    await curl(server, version, "big.bin", "--continue-at", "-", "-o", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == whole


@versions
async def test_the_head(server: Server, version: str) -> None:
    said = await curl(server, version, "big.bin", "--head")
    assert f"content-length: {SIZE}".encode() in said.lower()


async def test_only_what_is_new(server: Server, tmp_path: Path) -> None:
    options = ["--etag-save", str(tmp_path / "tag"), "--etag-compare", str(tmp_path / "tag"), "-w", "%{http_code}"]
    (tmp_path / "tag").touch()
    assert await curl(server, "--http1.1", "abc.txt", *options) == b"abcdefghij200"
    assert await curl(server, "--http1.1", "abc.txt", *options) == b"304"


@pytest.mark.parametrize("path", ["../secret", "%2e%2e/secret", "..%2fsecret"])
async def test_no_way_out(server: Server, directory: Path, path: str) -> None:
    (directory.parent / "secret").write_text("s")
    said = await curl(server, "--http1.1", path, "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}")
    assert said == b"404"


async def test_one_that_leaves_in_the_middle_leaves_no_file_open(server: Server, directory: Path) -> None:
    with (directory / "huge.bin").open("wb") as file:
        file.truncate(1 << 30)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=4096)
    writer.write(b"GET /v1/files/huge.bin HTTP/1.1\r\nhost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert any(open_in(directory))
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(5):
        while any(open_in(directory)):  # noqa: ASYNC110 -- a descriptor tells nobody that it is closed
            await asyncio.sleep(0.005)


def open_in(directory: Path) -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith(str(directory)):
            found.append(target)
    return found
