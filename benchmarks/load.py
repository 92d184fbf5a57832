"""The load: wrk for HTTP/1.1, h2load for HTTP/2 and gRPC, and what they report."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answers import request_body
from benchmarks.contenders import ROOT, Row
from benchmarks.servers import cores, pinned

LATENCY_RUN_S = 1
"""h2load tells no percentiles; a second, short run logs every request."""


class LoadFailed(Exception):
    """A run in which not every answer was right."""


@dataclass(frozen=True)
class Measured:
    per_second: float
    """Requests; of streams, messages."""
    p50_ms: float | None
    """None where single requests are not timed."""
    p99_ms: float | None
    per_cpu_s: float | None = None
    """The same for each second of a core that the server took; None where that is not measured."""


def run(row: Row, port: int, seconds: int, answer_bytes: int) -> Measured:
    """Load the server for so many seconds. `answer_bytes` is the length of a right answer's body.

    Raises LoadFailed where an answer was missing, not 2xx, or without its message.
    """
    url = f"http://127.0.0.1:{port}{row.target}"
    if not row.is_http2:
        return _wrk(row, url, seconds)
    if row.protocol == "grpc-chat":
        return _pingpong(row, port, seconds)
    with tempfile.TemporaryDirectory() as folder:
        per_second = _h2load(row, url, seconds, answer_bytes, Path(folder), log=None)
        if row.protocol == "grpc-list":
            return Measured(per_second, None, None)
        log = Path(folder) / "log"
        _h2load(row, url, min(seconds, LATENCY_RUN_S), answer_bytes, Path(folder), log)
        latencies_us = sorted(int(line.rsplit("\t", 1)[1]) for line in log.read_text().splitlines())
    return Measured(per_second, _percentile(latencies_us, 0.50) / 1000, _percentile(latencies_us, 0.99) / 1000)


def _percentile(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def tool(command: tuple[str, ...], seconds: float, *, pin: bool = True) -> str:
    """Run a load of so many seconds, on the load's core unless told otherwise; what it prints.

    Raises LoadFailed where it fails, or has not ended long after its time.
    """
    try:
        finished = subprocess.run(
            pinned(command, cores()[1] if pin else None),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"{command[0]} does not end") from None
    if finished.returncode:
        raise LoadFailed(f"{command[0]}: {finished.stderr.strip() or finished.stdout.strip()}")
    return finished.stdout


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise LoadFailed(f"{pattern!r} is not in: {text}")
    return float(found[1])


def _milliseconds(pattern: str, text: str) -> float:
    found = re.search(pattern + r"\s+([\d.]+)(us|ms|s)\b", text)
    if found is None:
        raise LoadFailed(f"{pattern!r} is not in: {text}")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def _wrk(row: Row, url: str, seconds: int) -> Measured:
    command: tuple[str, ...] = ("wrk", "-t1", f"-c{row.connections}", f"-d{seconds}s", "--latency")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if row.content_type:
            script.write(f'wrk.method = "POST"\nwrk.headers["content-type"] = "{row.content_type}"\n')
            script.write(f"wrk.body = {_lua(request_body(row))}\n")
            script.flush()
            command += ("-s", script.name)
        out = tool((*command, url), seconds)
    for trouble in ("Non-2xx", "Socket errors"):
        if trouble in out:
            raise LoadFailed(next(line.strip() for line in out.splitlines() if trouble in line))
    return Measured(_number(r"Requests/sec:\s+([\d.]+)", out), _milliseconds("50%", out), _milliseconds("99%", out))


def _lua(text: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in text) + '"'


def _pingpong(row: Row, port: int, seconds: int) -> Measured:
    options = ("--path", row.target, "--connections", str(row.connections), "--streams", str(row.streams))
    command = (sys.executable, "-m", "benchmarks.pingpong", str(port), *options, "--seconds", str(seconds))
    return Measured(_number(r"(\d+) messages/s", tool(command, seconds).replace(",", "")), None, None)


def _h2load(row: Row, url: str, seconds: int, answer_bytes: int, folder: Path, log: Path | None) -> float:
    command: tuple[str, ...] = ("h2load", "-t1", f"-c{row.connections}", f"-m{row.streams}", f"-D{seconds}")
    if row.content_type:
        body = folder / "body"
        body.write_bytes(request_body(row))
        command += ("-d", str(body), "-H", f"content-type: {row.content_type}", "-H", "te: trailers")
    if log is not None:
        command += (f"--log-file={log}",)
    out = tool((*command, url), seconds)
    done = _number(r"(\d+) done", out)
    good = _number(r"status codes: (\d+) 2xx", out)
    data_bytes = _number(r"\((\d+)\) data", out)
    cut_off = row.protocol == "grpc-list"  # slow servers finish few streams; those that the end cut off count as well
    if not (done or cut_off) or good < done or _number(r"(\d+) failed", out) or _number(r"(\d+) errored", out):
        raise LoadFailed(re.sub(r"\s+", " ", out[out.find("requests:") :])[:300])
    if cut_off:
        return data_bytes / (answer_bytes / row.count) / seconds
    # gRPC puts its errors in trailers, which h2load does not read; but an error carries no message.
    if data_bytes < done * answer_bytes:
        raise LoadFailed(f"{data_bytes:.0f} bytes in {done:.0f} answers of {answer_bytes} bytes: some are errors")
    return _number(r"finished in [\d.]+m?s, ([\d.]+) req/s", out)
