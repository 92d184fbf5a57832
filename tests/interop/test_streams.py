"""Streams of every shape, by clients of others against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from tests.live import protos
from tests.live.http2 import h2_client
from tests.live.server import Live, serve, until
from tests.live.wire import connected

from .calls import both, request, stream, upload

NDJSON = "application/x-ndjson"
CURL = ["curl", "--silent", "--show-error", "--no-buffer", "--noproxy", "*", "--max-time", "10"]
by_version = pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])

Blob = protos.message("Blob")


def values(lines: list[str]) -> list[str]:
    return [json.loads(line)["text"] for line in lines]


# curl


def curl(*arguments: str, stdin: str | None = None) -> str:
    return subprocess.run([*CURL, *arguments], check=True, capture_output=True, text=True, input=stdin).stdout


@by_version
def test_curl_reads_lines(live: Live, version: str) -> None:
    said = curl(version, f"http://{live.authority}/stream/3?size=2", "--write-out", "%{http_code} %{content_type}")
    *lines, told = said.split("\n")
    assert (values(lines), told) == (["xx"] * 3, f"200 {NDJSON}")


@by_version
def test_curl_reads_events(live: Live, version: str) -> None:
    said = curl(version, "-H", "accept: text/event-stream", f"http://{live.authority}/stream/1")
    assert said == 'data: {"text":"x","data":""}\n\nevent: end\nid: :end\ndata: {}\n\n'


@by_version
def test_curl_sees_an_error_in_the_middle(live: Live, version: str) -> None:
    first, last, rest = curl(version, f"http://{live.authority}/stream-fails").split("\n")
    assert (json.loads(first)["text"], rest) == ("one", "")
    assert json.loads(last)["error"]["reason"] == "BAD_BLOB"


@by_version
def test_curl_sends_lines(live: Live, version: str) -> None:
    lines = "".join(f'{{"text": "{"x" * size}"}}\n' for size in range(100))
    told = curl(
        *(version, "-T", "-", "-X", "POST", "-H", f"content-type: {NDJSON}", f"http://{live.authority}/total"),
        stdin=lines,
    )
    assert json.loads(told)["text"] == sum(range(100))


@by_version
def test_curl_that_is_stopped_stops_the_handler(live: Live, version: str) -> None:
    with subprocess.Popen(
        [*CURL, version, f"http://{live.authority}/stream-waits"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert values([process.stdout.readline()]) == ["one"]
        process.terminate()
        until(lambda: live.lab.cancelled == 1)
    assert live.lab.running == 0


# Both ways at once, which neither curl 7.88 (`-T .` sleeps on once there was nothing to send) nor httpx can


def test_http1_sends_and_reads_by_turns(live: Live) -> None:
    with connected(live) as opened, opened.makefile("rb") as answer:
        head = f"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-type: {NDJSON}\r\ntransfer-encoding: chunked\r\n\r\n"
        opened.sendall(head.encode())
        for number, word in enumerate(("one", "two", "six")):
            opened.sendall(f'10\r\n{{"text": "{word}"}}\n\r\n'.encode())
            if not number:
                assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
                while answer.readline() != b"\r\n":
                    pass
            size = int(answer.readline(), 16)
            assert values([answer.read(size).decode()]) == [word]
            assert answer.read(2) == b"\r\n"
        opened.sendall(b"0\r\n\r\n")
        assert answer.read(5) == b"0\r\n\r\n"


def test_http2_sends_and_reads_by_turns(live: Live) -> None:
    with h2_client(live) as client:
        number = client.begin("POST", "/echo", [("content-type", NDJSON), ("accept", "text/event-stream")])
        reply = client.replies[number]
        for word in ("one", "two", "three"):
            reply.body = b""
            client.send(number, f'{{"text": "{word}"}}\n'.encode())
            while not reply.body.endswith(b"\n\n"):
                assert client.receive()
            assert reply.body == f'data: {{"text":"{word}","data":""}}\n\n'.encode()
        reply.body = b""
        client.h2.end_stream(number)
        client.flush()
        assert client.wait(number).body == b"event: end\nid: :end\ndata: {}\n\n"


SLOW = b"POST /size HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{"


def test_a_stream_may_say_nothing_for_longer_than_a_body_may() -> None:
    """Another caller's body, which stops in the middle, tells when that time is over."""
    with serve(body_timeout_s=0.1) as live, connected(live) as opened, connected(live) as slow:
        head = f"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-type: {NDJSON}\r\ntransfer-encoding: chunked\r\n\r\n"
        opened.sendall(head.encode())
        until(lambda: live.lab.running == 1)
        slow.sendall(SLOW)
        assert slow.recv(65536).startswith(b"HTTP/1.1 408 ")
        opened.sendall(b'10\r\n{"text": "one"}\n\r\n0\r\n\r\n')
        answer = b""
        while not answer.endswith(b"\r\n0\r\n\r\n"):
            part = opened.recv(65536)
            assert part, "it was closed"
            answer += part
        assert b'{"text":"one"' in answer


def test_over_http2_too() -> None:
    with serve(body_timeout_s=0.1) as live, h2_client(live) as client, h2_client(live) as other:
        number = client.begin("POST", "/echo", [("content-type", NDJSON)])
        until(lambda: live.lab.running == 1)
        slow = other.begin("POST", "/size", [("content-type", "application/json")])
        other.send(slow, b"{")
        with contextlib.suppress(ConnectionError):
            other.wait(slow)
        client.send(number, b'{"text": "one"}\n', end=True)
        assert values([client.wait(number).body.decode()]) == ["one"]


# httpx


def test_httpx_reads_lines(client: httpx.Client) -> None:
    with client.stream("GET", "/stream/1000?size=100") as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, NDJSON)
        assert answer.headers["x-request-id"]
        assert values(list(answer.iter_lines())) == ["x" * 100] * 1000


@pytest.mark.parametrize("http2", [False, True])
def test_httpx_leaves_in_the_middle(live: Live, http2: bool) -> None:
    """Over HTTP/2 it leaves a stream with its connection only."""
    with (
        httpx.Client(base_url=f"http://{live.authority}", http1=not http2, http2=http2, trust_env=False) as client,
        client.stream("GET", "/stream-waits") as answer,
    ):
        assert values([next(answer.iter_lines())]) == ["one"]
        assert live.lab.running == 1
    until(lambda: live.lab.cancelled == 1)


def test_httpx_gets_its_deadline(client: httpx.Client, live: Live) -> None:
    with client.stream("GET", "/stream-waits", headers={"request-timeout": "0.1"}) as answer:
        first, last = answer.iter_lines()
    assert values([first]) == ["one"]
    assert json.loads(last)["error"]["code"] == "DEADLINE_EXCEEDED"
    until(lambda: live.lab.cancelled == 1)


def test_httpx_goes_on_after_a_position(client: httpx.Client, live: Live) -> None:
    """Which comes in UTF-8, as browsers send it. This one is a 3, in Arabic."""
    headers = {b"accept": b"text/event-stream", b"last-event-id": "٣".encode()}
    with client.stream("GET", "/watch", headers=headers) as answer:
        assert answer.read().decode().startswith('id: 4\ndata: {"name":"item 4"')
    assert live.lab.seen == ["٣"]


def test_httpx_sends_lines(client: httpx.Client) -> None:
    def lines() -> Iterator[bytes]:
        for size in range(200):
            yield json.dumps({"text": "x" * size}).encode() + b"\n"

    answer = client.post("/total", content=lines(), headers={"content-type": NDJSON})
    assert (answer.status_code, answer.json()["text"]) == (200, sum(range(200)))


def test_httpx_sends_what_cannot_be_read(client: httpx.Client) -> None:
    answer = client.post("/total", content=iter([b'{"text": "a"}\n', b"{]\n"]), headers={"content-type": NDJSON})
    assert (answer.status_code, answer.json()["error"]["reason"]) == (400, "MALFORMED")
    answer = client.post("/total", content=b"{}", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["reason"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


# grpcio, blocking


class Sending:
    """Messages that a test sends one by one; a request iterator of grpcio."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def send(self, text: str) -> None:
        self._queue.put(Blob(text=text))

    def half_close(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._queue.get, None)


def test_by_turns_and_half_close(channel: grpc.Channel) -> None:
    sending = Sending()
    call = both(channel, "Echo")(iter(sending), timeout=10)
    for word in ("one", "two", "three"):
        sending.send(word)
        assert next(call).text == word
    sending.half_close()
    assert list(call) == []
    assert call.code() is grpc.StatusCode.OK


def test_metadata_comes_before_the_first_message_and_trailers_after_the_last(channel: grpc.Channel) -> None:
    sending = Sending()
    call = both(channel, "Announce")(iter(sending), timeout=10)
    assert ("seen-text", "early") in call.initial_metadata(), "though nothing has been sent yet"
    sending.send("one")
    assert next(call).text == "one"
    sending.half_close()
    assert list(call) == []
    assert ("last-words", "bye") in call.trailing_metadata()


def test_cancelling_in_the_middle(channel: grpc.Channel, live: Live) -> None:
    call = stream(channel, "StreamWaits")(request("StreamWaits"), timeout=10)
    assert next(call).text == "one"
    call.cancel()
    until(lambda: live.lab.cancelled == 1)
    assert live.lab.running == 0
    assert call.code() is grpc.StatusCode.CANCELLED


def test_a_deadline_in_the_middle(channel: grpc.Channel, live: Live) -> None:
    call = stream(channel, "StreamWaits")(request("StreamWaits"), timeout=0.3)
    assert next(call).text == "one"
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: live.lab.cancelled == 1)


def test_the_server_may_finish_first(channel: grpc.Channel) -> None:
    sending = Sending()
    sending.send("first")
    sending.send("second")
    try:
        assert upload(channel, "First")(iter(sending), timeout=10).text == "first"
    finally:
        sending.half_close()


def test_an_error_in_the_middle_has_its_details(channel: grpc.Channel) -> None:
    call = stream(channel, "StreamFails")(request("StreamFails"), timeout=10)
    assert next(call).text == "one"
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    error = caught.value
    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "told to fail in the middle")
    status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    info, bad = ErrorInfo(), BadRequest()
    assert [detail.Unpack(info) or detail.Unpack(bad) for detail in status.details] == [True, True]
    assert (info.reason, bad.field_violations[0].field) == ("BAD_BLOB", "blob.text")


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.NoCompression])
def test_messages_are_compressed_one_by_one(channel: grpc.Channel, compression: grpc.Compression) -> None:
    """Small ones are not: the flag is the message's own."""
    sizes = [0, 1, 100_000, 1, 5000, 0]
    sent = iter([Blob(text="x" * size) for size in sizes])
    received = list(both(channel, "Echo")(sent, timeout=10, compression=compression))
    assert [len(one.text) for one in received] == sizes


# grpcio, asyncio


async def until_true(condition: Any) -> None:
    await asyncio.to_thread(until, condition)


async def test_aio_by_turns_and_half_close(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority) as channel:
        call = both(channel, "Announce")(timeout=10)
        assert ("seen-text", "early") in tuple(await call.initial_metadata())
        for word in ("one", "two"):
            await call.write(Blob(text=word))
            assert (await call.read()).text == word
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
        assert ("last-words", "bye") in tuple(await call.trailing_metadata())


async def test_aio_cancels_what_it_sends(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority) as channel:
        call = both(channel, "Echo")(timeout=10)
        await call.write(Blob(text="one"))
        assert (await call.read()).text == "one"
        assert live.lab.running == 1
        call.cancel()
        await until_true(lambda: live.lab.running == 0)


async def test_aio_gets_its_deadline(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority) as channel:
        call = stream(channel, "StreamWaits")(request("StreamWaits"), timeout=0.3)
        assert (await call.read()).text == "one"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until_true(lambda: live.lab.cancelled == 1)


async def test_aio_sends_more_than_is_read(live: Live) -> None:
    """The answer comes while messages are still being written."""
    stop = asyncio.Event()

    async def blobs() -> AsyncIterator[Any]:
        for number in range(1000):
            yield Blob(text=f"{number} {'x' * 1000}")
            if number == 10:
                await stop.wait()

    async with grpc.aio.insecure_channel(live.authority) as channel:
        answer = await upload(channel, "First")(blobs(), timeout=10)
        stop.set()
        assert answer.text.startswith("0 ")


# A browser

PAGE = """<script>
const seen = [];
const source = new EventSource("http://AUTHORITY/watch");
source.onmessage = event => seen.push(`${event.lastEventId}=${JSON.parse(event.data).name}`);
source.addEventListener("failure", event => seen.push(JSON.parse(event.data).error.code));
source.addEventListener("end", () => seen.push("end"));
source.onerror = () => {
    if (source.readyState == EventSource.CLOSED)
        fetch("http://AUTHORITY/items/" + encodeURIComponent(seen.join(",")), {method: "DELETE"});
};
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_an_event_source_comes_again_and_stops_at_the_end(tmp_path: Path) -> None:
    """It waits some seconds before it comes again; the last time it is told 204."""
    page = tmp_path / "page.html"
    switches = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    # A file has an origin of its own, which nobody can list.
    with serve(app={"origins": "*"}) as live:
        page.write_text(PAGE.replace("AUTHORITY", live.authority))
        process = subprocess.Popen(
            ["chromium", *switches, page.as_uri()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            until(lambda: len(live.lab.seen) == 3, 60)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        assert live.lab.seen[:2] == [None, "2"]
        assert live.lab.seen[2] == "1=item 1,2=item 2,UNAVAILABLE,3=item 3,4=item 4,end"
        assert live.finished.count(204) == 3, "to who has seen the end, to the preflight and to the report"
