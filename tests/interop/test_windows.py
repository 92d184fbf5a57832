"""Flow control with the windows that clients have by default, 65,535 bytes, and answers far above them."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from h2.settings import SettingCodes

from tests.live.http2 import framed, h2_client
from tests.live.server import Live, until

STREAMS = 64


@pytest.mark.parametrize("path", ["/text", "/later"])
@pytest.mark.parametrize("size", [32_768, 65_535, 65_536, 300_000])
def test_every_stream_of_a_small_window_gets_all(live: Live, path: str, size: int) -> None:
    with h2_client(live) as client:
        streams = [client.begin("GET", f"{path}/{size + number}", end=True) for number in range(STREAMS)]
        lengths = [len(client.wait(stream).body) for stream in streams]
        assert lengths == [size + number + len('{"text":"","data":""}') for number in range(STREAMS)]


@pytest.mark.parametrize("name", ["Text", "Later"])
def test_every_call_of_a_small_window_gets_all(live: Live, name: str) -> None:
    head = [("content-type", "application/grpc"), ("te", "trailers")]
    with h2_client(live) as client:
        streams = []
        for _ in range(STREAMS):
            streams.append(client.begin("POST", f"/lab.Lab/{name}", head))
            client.send(streams[-1], framed(b"\x08\xe0\xa7\x12"), end=True)  # size 300,000
        replies = [client.wait(stream) for stream in streams]
        assert {(len(reply.body), reply.trailers["grpc-status"]) for reply in replies} == {(300_009, "0")}


@pytest.mark.parametrize("path", ["/text", "/later"])
def test_a_client_that_reads_nothing_for_a_while_gets_all_in_the_end(live: Live, path: str) -> None:
    """Its windows are wide open, so what fills up is the socket, and writing pauses; it goes on asking meanwhile."""
    with h2_client(live) as client:
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
        client.h2.increment_flow_control_window(2**30)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        streams = [client.begin("GET", f"{path}/{300_000 + number}", end=True) for number in range(STREAMS)]
        until(lambda: len(live.finished) == STREAMS)
        for number in range(STREAMS):
            client.h2.ping(b"12345678")
            streams.append(client.begin("GET", f"{path}/{number}", end=True))
        lengths = [len(client.wait(stream).body) - len('{"text":"","data":""}') for stream in streams]
        assert lengths == [*range(300_000, 300_000 + STREAMS), *range(STREAMS)]


def h2load(live: Live, path: str, *options: str) -> str:
    run = subprocess.run(
        ["h2load", "-n", "200", "-c", "2", "-m", "64", *options, f"http://{live.authority}{path}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return run.stdout


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
@pytest.mark.parametrize("bits", ["16", "14", "30"])
@pytest.mark.parametrize("path", ["/text/300000", "/later/300000"])
def test_h2load(live: Live, path: str, bits: str) -> None:
    said = h2load(live, path, "-w", bits, "-W", bits)
    assert re.search(r"requests: 200 total, 200 started, 200 done, 200 succeeded, 0 failed", said), said


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
@pytest.mark.parametrize("bits", ["16", "14", "30"])
def test_h2load_of_grpc(live: Live, tmp_path: Path, bits: str) -> None:
    """Once seen: each of 64 streams stood still after exactly 32,768 bytes."""
    body = tmp_path / "body"
    body.write_bytes(framed(b"\x08\xc0\xb8\x02"))  # size 40,000
    head = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    said = h2load(live, "/lab.Lab/Text", "-d", str(body), *head, "-w", bits, "-W", bits)
    assert "200 succeeded, 0 failed" in said, said
