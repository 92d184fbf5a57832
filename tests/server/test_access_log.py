"""Lines of the access log: complete, in batches, and harmless."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from polywire.runtime.call import Peer
from polywire.server.access_log import AccessLog
from polywire.server.logs import JsonFormatter, TextFormatter
from polywire.wire.headers import Headers


class Finished:
    method = "GET"
    path = "/v1/users/42"
    version = "1.1"
    status = 200
    started_ns = 1_000_000
    sent_body_bytes = 61
    peer = Peer("192.0.2.1", 5000)
    request_id = "abc-1"
    headers = Headers([("user-agent", "curl/8")])

    def __init__(self, **changed: Any) -> None:
        vars(self).update(changed)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def log_to(descriptor: int, **options: Any) -> AccessLog:
    return AccessLog(descriptor, asyncio.get_running_loop(), clock_ns=lambda: 3_500_000, wall=lambda: 0.5, **options)


async def test_a_line_says_everything(pipe: tuple[int, int]) -> None:
    log = log_to(pipe[1])
    log.record(Finished())  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert json.loads(os.read(pipe[0], 4096)) == {
        "ts": "1970-01-01T00:00:00.500Z",
        "level": "info",
        "method": "GET",
        "path": "/v1/users/42",
        "status": 200,
        "duration_ms": 2.5,
        "bytes": 61,
        "version": "1.1",
        "peer": "192.0.2.1:5000",
        "request_id": "abc-1",
        "user_agent": "curl/8",
    }


async def test_one_write_for_a_turn(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_to(pipe[1])
    writes: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, data: writes.append(bytes(data)) or len(data))
    for number in range(3):
        log.record(Finished(status=200 + number))  # type: ignore[arg-type]
    assert writes == []
    await asyncio.sleep(0)
    assert len(writes) == 1
    assert [json.loads(line)["status"] for line in writes[0].splitlines()] == [200, 201, 202]


HOSTILE = ["/a\nb", "/\x1b[31m", "/\x7f", "/\x9b31m", "/\u2028", '/"\\', "/" + "x" * 5000, "/\udc80"]


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("text", [False, True])
async def test_hostile_text_stays_on_its_line(pipe: tuple[int, int], path: str, text: bool) -> None:
    log = log_to(pipe[1], text=text)
    log.record(Finished(path=path, headers=Headers([("user-agent", path.encode().decode("latin-1"))])  # type: ignore[arg-type]
                        if path.isprintable() else Headers()))  # fmt: skip
    await asyncio.sleep(0)
    line = os.read(pipe[0], 65536)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert len(line) < 4000
    assert not any(byte < 32 or byte == 127 for byte in line[:-1])
    assert "\x9b" not in line.decode()
    if not text:
        assert json.loads(line)["path"].startswith("/")


async def test_a_line_that_cannot_be_made_costs_no_other(pipe: tuple[int, int]) -> None:
    log = log_to(pipe[1])
    log.record(Finished(path=None))  # type: ignore[arg-type]
    log.record(Finished())  # type: ignore[arg-type]
    await asyncio.sleep(0)
    lines = [json.loads(line) for line in os.read(pipe[0], 4096).splitlines()]
    assert lines[0] == {"level": "error", "message": "access log line lost: TypeError"}
    assert lines[1]["status"] == 200


@pytest.mark.parametrize("text", [False, True])
async def test_a_shared_log_is_written_in_pieces_of_whole_lines(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, text: bool
) -> None:
    """What other processes write to the same pipe must not come in between."""
    log = log_to(pipe[1], shared=True, text=text)
    pieces: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, data: pieces.append(bytes(data)) or len(data))
    for number in range(100):
        log.record(Finished(path=f"/{number}"))  # type: ignore[arg-type]
    log.record(Finished(path="/" + "\u2028" * 5000, method="\x01" * 5000))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert all(len(piece) <= 4096 and piece.endswith(b"\n") for piece in pieces)
    assert sum(piece.count(b"\n") for piece in pieces) == 101
    assert len(pieces) < 20


async def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    log = log_to(pipe[1])
    os.close(pipe[0])
    log.record(Finished())  # type: ignore[arg-type]
    log.flush()


@pytest.mark.parametrize(("status", "level"), [(200, "info"), (404, "info"), (500, "error")])
async def test_level(pipe: tuple[int, int], status: int, level: str) -> None:
    log = log_to(pipe[1])
    log.record(Finished(status=status))  # type: ignore[arg-type]
    log.flush()
    assert json.loads(os.read(pipe[0], 4096))["level"] == level


async def test_text_has_colour_only_where_asked(pipe: tuple[int, int]) -> None:
    for color in (False, True):
        log = log_to(pipe[1], text=True, color=color)
        log.record(Finished())  # type: ignore[arg-type]
        log.flush()
        line = os.read(pipe[0], 4096)
        assert (b"\x1b[32m200\x1b[0m" in line) is color
        assert b"GET     /v1/users/42 " in line


async def test_ipv6_peers_are_bracketed(pipe: tuple[int, int]) -> None:
    log = log_to(pipe[1])
    log.record(Finished(peer=Peer("2001:db8::1", 9)))  # type: ignore[arg-type]
    log.flush()
    assert json.loads(os.read(pipe[0], 4096))["peer"] == "[2001:db8::1]:9"


def raised() -> logging.LogRecord:
    try:
        raise KeyError("x")
    except KeyError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("polywire", logging.ERROR, "", 0, "%s failed", ("a.B/C",), info)
    record.request_id = "abc-1"
    record.method = "a.B/C"
    return record


def test_logged_exceptions_carry_the_request_id_as_json() -> None:
    line = JsonFormatter().format(raised())
    assert "\n" not in line
    told = json.loads(line)
    assert (told["level"], told["message"], told["request_id"]) == ("error", "a.B/C failed", "abc-1")
    assert "KeyError: 'x'" in told["exception"]


def test_logged_exceptions_carry_the_request_id_as_text() -> None:
    first, *rest = TextFormatter(color=False).format(raised()).splitlines()
    assert first.endswith("error    a.B/C failed (request abc-1)")
    assert rest[-1] == "KeyError: 'x'"


def test_what_a_caller_sent_makes_no_lines_of_its_own() -> None:
    record = logging.LogRecord("a", logging.ERROR, "", 0, "bad name %s", ("x\n2026 ERROR fake \x1b[31m",), None)
    assert TextFormatter(color=False).format(record).endswith(r"bad name x\n2026 ERROR fake \x1b[31m")
