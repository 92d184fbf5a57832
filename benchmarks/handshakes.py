"""TLS handshakes a second of one server, with a P-256 certificate: full, and resumed by a ticket.

    .venv/bin/python -m benchmarks.handshakes [seconds]

Two figures for each version. "in memory": both sides by OpenSSL in this process, no sockets, time split evenly between
them; what the library allows. "connections": TCP connections to a server in a process of its own, one after another
from each of four threads, each with one request; the clients' own handshakes run on the other cores, if there are any.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from polywire import App, Service, query
from polywire.server.serve import Server, run
from polywire.server.settings import ServerSettings
from polywire.server.tls import server_context

_THREADS = 4
_REQUEST = b"GET /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
_VERSIONS = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)


class Nothing(Service, package="handshakes"):
    @query("GET /nothing")
    async def nothing(self) -> None: ...


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory() as directory:
        cert, key = _certificate(Path(directory))
        settings = ServerSettings(port=0, tls_cert=cert, tls_key=key, clear_text=False)
        child, port = _serve(settings)
        try:
            for version in _VERSIONS:
                client = ssl.create_default_context(cafile=cert)
                client.minimum_version = client.maximum_version = version
                for resumed in (False, True):
                    what = f"{version.name}, {'resumed' if resumed else 'full':8}"
                    alone = _in_memory(settings, client, resumed, seconds)
                    print(f"{what} in memory   {alone:8.0f}/s of both sides, {500_000 / alone:6.0f} µs of the server's")
                    print(f"{what} connections {_over_tcp(port, client, resumed, seconds):8.0f}/s")
        finally:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)


def _certificate(directory: Path) -> tuple[str, str]:
    cert, key = str(directory / "cert.pem"), str(directory / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def _serve(settings: ServerSettings) -> tuple[int, int]:
    """A server in a child: its process id and port."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        from polywire.protocols.site import Site

        def say_port(server: Server) -> None:
            os.write(writing, str(server.port).encode())

        os._exit(run(lambda: Site(App(Nothing())), settings, on_started=say_port))
    return child, int(os.read(reading, 16))


def _in_memory(settings: ServerSettings, client: ssl.SSLContext, resumed: bool, seconds: float) -> float:
    server = server_context(settings)
    assert server is not None
    session = _shake(client, server, None).session if resumed else None
    return _rate(lambda: _shake(client, server, session), seconds)


def _shake(client: ssl.SSLContext, server: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLObject:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(back, there, server_hostname="localhost", session=session)
    theirs = server.wrap_bio(there, back, server_side=True)
    waiting = [ours, theirs]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    theirs.write(b"x")
    ours.read(1)  # and the tickets before it
    return ours


def _over_tcp(port: int, client: ssl.SSLContext, resumed: bool, seconds: float) -> float:
    session = _connect(port, client, None)[0] if resumed else None
    rates: list[float] = []

    def once() -> None:
        assert _connect(port, client, session)[1] == resumed

    threads = [threading.Thread(target=lambda: rates.append(_rate(once, seconds))) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def _connect(
    port: int, client: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool | None]:
    opened = socket.create_connection(("127.0.0.1", port), 10)
    # Else the request would wait for the server to acknowledge the handshake's last flight, 40 ms late.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with client.wrap_socket(opened, server_hostname="localhost", session=session) as secured:
        secured.sendall(_REQUEST)
        while secured.recv(65536):
            pass
        return secured.session, secured.session_reused


def _rate(once: Callable[[], object], seconds: float) -> float:
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        once()
        count += 1
    return count / spent


if __name__ == "__main__":
    main()
