"""What an idle HTTP/1.1 connection costs the server: resident memory of so many that have been served one request each.

python -m benchmarks.idle [CONNECTIONS]
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.servers import free_port

ROOT = Path(__file__).parents[1]
REQUEST = b"GET /v1/users/42 HTTP/1.1\r\nhost: localhost\r\nuser-agent: idle\r\naccept: */*\r\n\r\n"
WARM = 200
"""Connections before the first look, so that pools and caches exist."""


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def served(port: int, count: int) -> list[socket.socket]:
    """Open connections, each of which has had one answer."""
    opened = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port), 5)
        client.sendall(REQUEST)
        if not client.recv(65536).startswith(b"HTTP/1.1 200 "):
            raise RuntimeError("the server did not answer 200")
        opened.append(client)
    return opened


def main(count: int) -> None:
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("polywire")),
        "serve",
        "benchmarks/polywire_app.py:app",
        "--port",
        str(port),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"}
    ) as server:
        try:
            until = time.monotonic() + 20
            while True:
                with suppress(OSError):
                    clients = served(port, WARM)
                    break
                if time.monotonic() > until:
                    raise RuntimeError("the server does not start")
                time.sleep(0.05)
            time.sleep(0.5)
            before = resident_bytes(server.pid)
            clients += served(port, count)
            time.sleep(1)
            after = resident_bytes(server.pid)
            print(f"{(after - before) / count:.0f} bytes an idle connection, {count} of them")
            for client in clients:
                client.close()
        finally:
            server.terminate()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
