"""The pages as they are served: they lead to what is there, and nothing that is not ours can run in them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from polywire.cli.load import load_app
from polywire.testing import TestClient
from tests.docs.pages import ROOT

PAGES = ROOT / "examples" / "atlas" / "pages"
NAMES = sorted(path.name for path in PAGES.iterdir())
HTML = [name for name in NAMES if name.endswith(".html")]
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TestClient]:
    monkeypatch.chdir(tmp_path)
    async with TestClient(load_app(str(ROOT / "examples" / "atlas" / "app.py") + ":app")) as client:
        yield client


async def test_they_are_sent_as_what_they_are(client: TestClient) -> None:
    for name in NAMES:
        answer = await client.get(f"/demo/{name}")
        assert (answer.status, answer.body) == (200, (PAGES / name).read_bytes())
        assert answer.headers["content-type"] == f"{TYPES[Path(name).suffix]}; charset=utf-8"
        assert "content-disposition" not in answer.headers


@pytest.mark.parametrize("name", HTML)
async def test_where_a_page_leads_to_there_is_something(client: TestClient, name: str) -> None:
    text = (PAGES / name).read_text()
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">' in text
    for target in set(re.findall(r'(?:href|src)="([^"]+)"', text)) - {"data:,"}:
        path = target if target.startswith("/") else f"/demo/{target}"
        assert (
            await client.get(path, headers=[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")])
        ).status == 200, target


async def test_the_first_page_leads_to_all(client: TestClient) -> None:
    cards = re.findall(r'class="card" href="([^"/]+)"', (PAGES / "index.html").read_text())
    assert sorted([*cards, "index.html"]) == HTML


@pytest.mark.parametrize("name", NAMES)
def test_nothing_makes_code_of_text(name: str) -> None:
    text = (PAGES / name).read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function| on\w+=| style=", text
    )


async def test_echo(client: TestClient) -> None:
    async with client.websocket("/echo") as ws:
        for message in ("", "☃ <b>", b"", b"\x00\xff", "x" * 100_000):
            ws.send(message)
            assert await ws.receive() == message
