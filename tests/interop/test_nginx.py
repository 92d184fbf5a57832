"""nginx in front, with the configurations that docs/serving.md shows."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest

import polywire
from tests.conftest import Certificate

from .who import METHOD, Who, serve_who

NGINX = shutil.which("nginx")
SERVING = Path(__file__).parents[2] / "docs" / "serving.md"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

_MAIN = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
load_module modules/ngx_stream_module.so;
events {{ worker_connections 64; }}
"""
_HTTP = """
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {shown}
}}
"""


def shown(name: str, replaced: dict[str, str]) -> str:
    """A configuration of the page, with names of this machine's in place of the example's."""
    found = re.search(rf"<!-- {name}: .*?-->\n```nginx\n(.*?)```\n<!-- /{name} -->", SERVING.read_text(), re.DOTALL)
    assert found is not None
    text = found[1]
    for example, ours in replaced.items():
        assert example in text, example
        text = text.replace(example, ours)
    return text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return int(opened.getsockname()[1])


@contextmanager
def running(directory: Path, configure: Callable[[int], str]) -> Iterator[int]:
    """nginx with a configuration for the port it is given; tried again where another program takes the port first."""
    for _ in range(5):
        port = free_port()
        path = directory / "nginx.conf"
        path.write_text(_with_module(_MAIN.format(directory=directory)) + configure(port))
        process = subprocess.Popen(
            [str(NGINX), "-p", str(directory), "-c", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            if _answers(port, process):
                yield port
                return
            assert process.stdout is not None
            said = process.stdout.read().decode()
            if 'unknown directive "stream"' in said:
                pytest.skip("nginx has no stream module")
            assert "Address already in use" in said, said
        finally:
            process.terminate()
            process.communicate(timeout=10)
    pytest.fail("no port could be had")


def _with_module(main: str) -> str:
    """Debian has the stream module beside nginx; elsewhere it is built in or missing, which `nginx -t` then says."""
    if Path("/usr/lib/nginx/modules/ngx_stream_module.so").exists():
        return main.replace("modules/ngx_stream_module.so", "/usr/lib/nginx/modules/ngx_stream_module.so")
    return "\n".join(line for line in main.splitlines() if not line.startswith("load_module")) + "\n"


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.01)
            continue
        return True
    return False


@pytest.fixture(scope="module")
def front(localhost: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of nginx with TLS, before a server on a Unix socket."""
    directory = tmp_path_factory.mktemp("nginx")
    uds = str(directory / "who.sock")

    def configure(port: int) -> str:
        return _HTTP.format(
            directory=directory,
            shown=shown(
                "nginx",
                {
                    "listen 443 ": f"listen 127.0.0.1:{port} ",
                    "/run/users.sock": uds,
                    " cert.pem": f" {localhost.cert}",
                    " key.pem": f" {localhost.key}",
                },
            ),
        )

    with serve_who(uds=uds, trusted_proxies=("unix",)), running(directory, configure) as port:
        yield port


@pytest.mark.parametrize("http2", [True, False])
def test_rest(front: int, localhost: Certificate, http2: bool) -> None:
    import ssl

    context = ssl.create_default_context(cafile=localhost.cert)
    with httpx.Client(verify=context, http2=http2, trust_env=False) as client:
        for _ in range(5):
            told = client.get(f"https://localhost:{front}/who", headers={"x-forwarded-for": "1.1.1.1"}).json()
            assert (told["address"], told["via"]) == ("127.0.0.1", "unix")


def test_grpc(front: int, localhost: Certificate) -> None:
    trust = grpc.ssl_channel_credentials(Path(localhost.cert).read_bytes())
    with grpc.secure_channel(f"localhost:{front}", trust) as channel:
        for _ in range(5):
            assert b"127.0.0.1" in channel.unary_unary(METHOD)(b"", timeout=10)
        with pytest.raises(grpc.RpcError) as refusal:
            channel.unary_unary("/who.Who/Nothing")(b"", timeout=10)
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_events_come_as_they_are_sent(front: int, localhost: Certificate) -> None:
    import ssl

    context = ssl.create_default_context(cafile=localhost.cert)
    with (
        httpx.Client(verify=context, trust_env=False, timeout=10) as client,
        client.stream("GET", f"https://localhost:{front}/ticks", headers={"accept": "text/event-stream"}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        # The stream does not end: what is read here has not waited for more.
        data = next(line for line in answer.iter_lines() if line.startswith("data:"))
        assert json.loads(data[5:])["address"] == "127.0.0.1"


async def test_websockets(front: int, localhost: Certificate) -> None:
    only = polywire.SocketSettings(transports=("websocket",))
    url = f"wss://localhost:{front}"
    async with polywire.connect_websocket(url, ca_file=localhost.cert, settings=only) as channel:
        who = channel.client(Who)
        assert (await who.am()).address == "127.0.0.1"
        # An item comes as it is sent, and not when there are more.
        ticks = who.ticks()
        assert (await anext(ticks)).address == "127.0.0.1"
        await ticks.aclose()  # type: ignore[attr-defined]


def test_connections_passed_on_with_a_proxy_header(localhost: Certificate, tmp_path: Path) -> None:
    settings = {"trusted_proxies": ("127.0.0.0/8",), "proxy_protocol": True}
    with serve_who(tls_cert=localhost.cert, tls_key=localhost.key, **settings) as server:

        def configure(port: int) -> str:
            text = shown(
                "nginx-stream",
                {"listen 443;": f"listen 127.0.0.1:{port};", "10.0.0.5:8000": f"127.0.0.1:{server.port}"},
            )
            return f"stream {{ {text} }}"

        with running(tmp_path, configure) as port:
            done = subprocess.run(
                ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "10", "--cacert", localhost.cert,
                 f"https://localhost:{port}/who"],
                check=True, capture_output=True,
            )  # fmt: skip
            told = json.loads(done.stdout)
            assert (told["address"], told["via"], told["version"]) == ("127.0.0.1", "127.0.0.1", "TLSv1.3")
