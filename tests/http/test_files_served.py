"""`app.files` in memory: answers, parts, conditions, and what happens in the middle."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes
from pathlib import Path

import pytest

from polywire import App, SchemaError, Service, query
from polywire.http.conditional import http_date
from polywire.protocols.files import CHUNK_BYTES
from polywire.testing import TestClient

BODY = bytes(range(256)) * 4


class Clock(Service, package="clock"):
    @query("GET /v1/clock/{zone}")
    async def time(self, zone: str) -> str:
        return zone


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "public"
    (directory / "sub").mkdir(parents=True)
    (directory / "data.bin").write_bytes(BODY)
    (directory / "empty.txt").write_bytes(b"")
    (directory / "sub" / "page.html").write_text("<script>1</script>")
    (directory / ".secret").write_text("s")
    (tmp_path / "outside.txt").write_text("s")
    (directory / "link.txt").symlink_to("../outside.txt")
    os.utime(directory / "data.bin", (1_000_000_000, 1_000_000_000))
    return directory


@pytest.fixture
async def client(directory: Path) -> AsyncIterator[TestClient]:
    app = App(Clock())
    app.files("/v1/files", directory)
    app.files("/static", directory, trusted=True)
    async with TestClient(app) as client:
        before = os.listdir("/proc/self/fd")
        yield client
        assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.parametrize("version", ["1.0", "1.1", "2"])
async def test_a_file(client: TestClient, version: str) -> None:
    answer = await client.request("GET", "/v1/files/data.bin", version=version)
    assert (answer.status, answer.body) == (200, BODY)
    headers = dict(answer.headers.items())
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-length"] == "1024"
    assert headers["accept-ranges"] == "bytes"
    assert headers["last-modified"] == http_date(1_000_000_000)
    assert headers["etag"].startswith('"')
    assert headers["cache-control"] == "no-cache"
    assert "x-request-id" in headers


async def test_its_head(client: TestClient) -> None:
    whole = dict((await client.get("/v1/files/data.bin")).headers.items())
    answer = await client.request("HEAD", "/v1/files/data.bin", headers=[("range", "bytes=0-1")])
    assert (answer.status, answer.body) == (200, b"")
    assert dict(answer.headers.items()) | {"x-request-id": ""} == whole | {"x-request-id": ""}


async def test_nothing_in_a_file(client: TestClient) -> None:
    answer = await client.get("/v1/files/empty.txt")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")


async def test_pages_are_saved_unless_they_are_trusted(client: TestClient) -> None:
    answer = await client.get("/v1/files/sub/page.html")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''page.html"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert answer.headers["content-security-policy"].endswith("; sandbox")
    assert answer.headers["x-content-type-options"] == "nosniff"
    answer = await client.get("/static/sub/page.html")
    assert answer.headers.get("content-disposition") is None
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        "missing.txt",
        "sub",
        "sub/",
        "",
        "../outside.txt",
        "%2e%2e/outside.txt",
        "..%2foutside.txt",
        "sub/../data.bin",
        "sub%2fpage.html",
        "link.txt",
        ".secret",
        "%2esecret",
        "data.bin%00",
        "data.bin%00.txt",
        "//etc/passwd",
        "x" * 300,
    ],
)
async def test_what_is_not_there(client: TestClient, path: str) -> None:
    answer = await client.get(f"/v1/files/{path}")
    assert answer.status == 404
    assert answer.json()["error"]["reason"] == "FILE_NOT_FOUND"


async def test_other_verbs_and_bodies(client: TestClient) -> None:
    answer = await client.post("/v1/files/data.bin", body=b"x")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (await client.request("GET", "/v1/files/data.bin", body=b"x")).status == 400
    assert (await client.request("OPTIONS", "/v1/files/data.bin")).headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("wanted", "told", "body"),
    [
        ("bytes=0-99", "bytes 0-99/1024", BODY[:100]),
        ("bytes=1000-", "bytes 1000-1023/1024", BODY[1000:]),
        ("bytes=-3", "bytes 1021-1023/1024", BODY[-3:]),
        ("bytes=0-1,2-3", "bytes 0-3/1024", BODY[:4]),
    ],
)
async def test_one_part(client: TestClient, wanted: str, told: str, body: bytes) -> None:
    answer = await client.get("/v1/files/data.bin", headers=[("range", wanted)])
    assert (answer.status, answer.body) == (206, body)
    assert answer.headers["content-range"] == told
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_several_parts(client: TestClient) -> None:
    answer = await client.get("/static/sub/page.html", headers=[("range", "bytes=0-1,-3,5-6")])
    assert answer.status == 206
    assert answer.headers.get("content-range") is None
    assert int(answer.headers["content-length"]) == len(answer.body)
    read = message_from_bytes(f"content-type: {answer.headers['content-type']}\r\n\r\n".encode() + answer.body)
    assert read.get_content_type() == "multipart/byteranges"
    assert read.defects == []
    parts = [(part["content-range"], part.get_content_type(), part.get_payload()) for part in read.get_payload()]  # type: ignore[union-attr, index]
    assert parts == [
        ("bytes 0-1/18", "text/html", "<s"),
        ("bytes 15-17/18", "text/html", "pt>"),
        ("bytes 5-6/18", "text/html", "pt"),
    ]


async def test_a_part_that_is_not_there(client: TestClient) -> None:
    answer = await client.get("/v1/files/data.bin", headers=[("range", "bytes=1024-")])
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */1024")
    assert answer.json()["error"]["reason"] == "RANGE_NOT_SATISFIABLE"


@pytest.mark.parametrize("wanted", ["lines=0-1", "bytes=x", "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 99, 2))])
async def test_what_cannot_be_made_of_it_gives_the_whole(client: TestClient, wanted: str) -> None:
    answer = await client.get("/v1/files/data.bin", headers=[("range", wanted)])
    assert (answer.status, answer.body) == (200, BODY)


async def test_conditions(client: TestClient) -> None:
    path = "/v1/files/data.bin"
    whole = await client.get(path)
    etag, date = whole.headers["etag"], whole.headers["last-modified"]

    async def status(*fields: tuple[str, str]) -> int:
        answer = await client.get(path, headers=fields)
        if answer.status == 304:
            assert answer.body == b""
            assert (answer.headers["etag"], answer.headers["cache-control"]) == (etag, "no-cache")
            assert answer.headers.get("content-type") is None
        return answer.status

    part = ("range", "bytes=0-0")
    assert await status(("if-none-match", etag)) == 304
    assert await status(("if-modified-since", date)) == 304
    assert await status(("if-none-match", '"other"'), ("if-modified-since", date)) == 200
    assert await status(("if-match", '"other"')) == 412
    assert await status(("if-match", etag), part) == 206
    assert await status(("if-unmodified-since", http_date(0))) == 412
    assert await status(part, ("if-none-match", etag)) == 304
    assert await status(part, ("if-range", etag)) == 206
    assert await status(part, ("if-range", date)) == 206
    assert await status(part, ("if-range", '"other"')) == 200
    assert await status(("range", "bytes=5000-"), ("if-range", '"other"')) == 200


async def test_a_slow_reader_holds_little(client: TestClient, directory: Path) -> None:
    size = 8 * CHUNK_BYTES + 5
    (directory / "big.bin").write_bytes(os.urandom(size))
    sink = client.open("GET", "/v1/files/big.bin", version="2")
    sink.paused = True
    taken = b""
    while len(taken) < size:
        part = await sink.received()
        assert 0 < len(part) <= CHUNK_BYTES
        taken += part
        await asyncio.sleep(0)
        assert sink.buffered_out_bytes <= CHUNK_BYTES
        sink.resume()
        sink.paused = True
    assert taken == (directory / "big.bin").read_bytes()
    await sink.answer()


async def test_a_reader_that_leaves_closes_the_file(client: TestClient, directory: Path) -> None:
    (directory / "big.bin").write_bytes(bytes(4 * CHUNK_BYTES))
    before = open_files(directory)
    sink = client.open("GET", "/v1/files/big.bin")
    sink.paused = True
    await sink.received()
    assert open_files(directory) == before + 1
    sink.leave()
    await until(lambda: open_files(directory) == before)


async def test_a_file_that_shrinks_breaks_off(
    client: TestClient, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = directory / "big.bin"
    path.write_bytes(bytes(4 * CHUNK_BYTES))
    sink = client.open("GET", "/v1/files/big.bin")
    sink.paused = True
    await sink.received()
    os.truncate(path, CHUNK_BYTES + 1)
    sink.resume()
    with pytest.raises(ConnectionResetError):
        await sink.answer()
    assert sink.reset_code == 2
    assert ["shrunk" in record.getMessage() for record in caplog.records] == [True]


async def test_a_file_that_grows_is_sent_as_it_was(client: TestClient, directory: Path) -> None:
    path = directory / "log.txt"
    path.write_bytes(b"x" * (2 * CHUNK_BYTES))
    sink = client.open("GET", "/v1/files/log.txt")
    sink.paused = True
    taken = len(await sink.received())
    with path.open("ab") as log:
        log.write(b"more")
    sink.resume()
    assert taken + len((await sink.answer()).body) == 2 * CHUNK_BYTES


async def test_what_fails_in_the_machine_is_not_told(
    client: TestClient, directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> bytes:
        raise OSError(5, "the disk at /dev/secret is broken")

    monkeypatch.setattr(os, "pread", fails)
    (directory / "big.bin").write_bytes(bytes(CHUNK_BYTES))
    with pytest.raises(ConnectionResetError):
        await client.get("/v1/files/big.bin")
    assert (await client.get("/v1/files/data.bin")).status == 500
    monkeypatch.undo()
    monkeypatch.setattr("polywire.http.files._validators", fails)
    answer = await client.get("/v1/files/data.bin")
    assert (answer.status, answer.json()["error"]["code"]) == (500, "INTERNAL")
    assert "secret" not in answer.text
    assert len(caplog.records) == 3


async def test_the_end_of_the_server_breaks_downloads_off(directory: Path) -> None:
    (directory / "big.bin").write_bytes(bytes(4 * CHUNK_BYTES))
    app = App(Clock())
    app.files("/v1/files", directory)
    before = open_files(directory)
    async with TestClient(app) as client:
        sink = client.open("GET", "/v1/files/big.bin")
        sink.paused = True
        await sink.received()
    assert open_files(directory) == before
    with pytest.raises(ConnectionResetError):
        await sink.answer()


async def test_at_the_root(directory: Path) -> None:
    app = App(Clock())
    app.files("/", directory, trusted=True)
    async with TestClient(app) as client:
        assert (await client.get("/data.bin")).body == BODY
        assert (await client.get("/sub/page.html")).status == 200
        assert (await client.get("/")).status == 404
        assert (await client.get("/v1/clock/utc")).json() == "utc"
        assert (await client.get("/health")).headers["content-type"] == "application/json"


async def test_a_directory_must_be_there_once_the_hooks_have_run(tmp_path: Path) -> None:
    app = App(Clock())
    app.files("/v1/files", tmp_path / "made")
    with pytest.raises(NotADirectoryError, match=r"app.files\('/v1/files'\).*is no directory"):
        async with TestClient(app):
            pass
    app.on_start((tmp_path / "made").mkdir)
    async with TestClient(app) as client:
        assert (await client.get("/v1/files/a")).status == 404


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("files", "does not start with a slash"),
        ("/v1//files", "two slashes"),
        ("/v1/{user}", "has a parameter"),
        ("/v1/../x", "clients resolve away"),
        ("/taken", "is taken already"),
        ("/taken/", "is taken already"),
    ],
)
def test_paths_that_are_refused(path: str, message: str, tmp_path: Path) -> None:
    app = App(Clock())
    app.files("/taken", tmp_path)
    with pytest.raises(SchemaError, match=message):
        app.files(path, tmp_path)


def test_a_route_of_a_service_is_not_taken_over(tmp_path: Path) -> None:
    class Rest(Service, package="rest"):
        @query("GET /v1/files/{name*}")
        async def file(self, name: str) -> str:
            return name

    with pytest.raises(SchemaError, match="is taken already"):
        App(Rest()).files("/v1/files", tmp_path)


def open_files(directory: Path) -> int:
    """Descriptors of this process that are files of the directory."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith(str(directory))
        except FileNotFoundError:
            continue
    return count


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- a descriptor tells nobody that it is closed
            await asyncio.sleep(0.001)
