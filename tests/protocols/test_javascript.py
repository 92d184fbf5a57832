"""The JavaScript client, as it is served: one module, its types, and how long they may be kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polywire import App, Service, query
from polywire.protocols import javascript
from polywire.protocols.javascript import MODULES, script, types
from polywire.runtime.metrics import package_version
from polywire.testing import TestClient
from tests.docs.pages import ROOT, table

FILES = Path(javascript.__file__).parent
TYPES = {"/polywire.js": "text/javascript; charset=utf-8", "/polywire.d.ts": "application/typescript; charset=utf-8"}


class ThingService(Service, package="thing"):
    @query
    async def run(self) -> None: ...


def client() -> TestClient:
    return TestClient(App(ThingService()))


@pytest.mark.parametrize(("path", "body"), [("/polywire.js", script()), ("/polywire.d.ts", types())])
async def test_it_is_served_with_its_type_and_a_tag(path: str, body: bytes) -> None:
    async with client() as http:
        answer = await http.get(path)
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["content-type"] == TYPES[path]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "public, no-cache"
        again = await http.get(path, headers=[("if-none-match", answer.headers["etag"])])
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", answer.headers["etag"])
        assert (await http.get(path, headers=[("if-none-match", '"another"')])).status == 200


@pytest.mark.parametrize("path", TYPES)
async def test_under_its_version_it_is_for_good(path: str) -> None:
    async with client() as http:
        answer = await http.get(f"{path}?v={package_version()}")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        # An address of another version must not keep this one.
        assert (await http.get(f"{path}?v=0")).headers["cache-control"] == "public, no-cache"


async def test_it_is_compressed() -> None:
    async with client() as http:
        answer = await http.get("/polywire.js", headers=[("accept-encoding", "gzip")])
        assert answer.headers["content-encoding"] == "gzip"
        assert len(answer.body) * 2 < len(script())


def test_one_module_stands_for_all() -> None:
    text = script().decode()
    assert package_version() in text.splitlines()[0]
    assert not re.findall(r"^import ", text, re.MULTILINE), "nothing is loaded from anywhere else"
    assert re.findall(r"^export (.*)", text, re.MULTILINE) == [
        "const connect = (url, options) => new Client(url, options);",
        "class Client extends EventTarget {",
        "{ PolywireError };",
    ]


def test_modules_import_those_before_them_and_share_no_name() -> None:
    assert sorted(MODULES) == sorted(path.stem for path in FILES.glob("*.js"))
    names: list[str] = []
    for position, module in enumerate(MODULES):
        text = (FILES / f"{module}.js").read_text()
        imported = set(re.findall(r'^import .* from "\./(\w+)\.js";$', text, re.MULTILINE))
        assert imported <= set(MODULES[:position]), module
        names += re.findall(r"^(?:export )?(?:async )?(?:const|let|class|function\*?) (\w+)", text, re.MULTILINE)
    assert len(names) == len(set(names)) > len(MODULES)


def test_its_page_tells_the_defaults() -> None:
    text = (FILES / "client.js").read_text()
    (line,) = re.findall(r"^const TRANSPORTS = { (.*) };$", text, re.MULTILINE)
    transports = re.findall(r"(\w+): \w+Transport", line)
    (body,) = re.findall(r"^const DEFAULTS = {\n(.*?)^};", text, re.MULTILINE | re.DOTALL)
    defaults = dict(re.findall(r"^  (\w+): (.*),$", body, re.MULTILINE))
    defaults["transports"] = "[" + ", ".join(f'"{name}"' for name in transports) + "]"
    told = {
        name.strip("`"): default.strip("`") for name, default, _ in table(ROOT / "docs" / "javascript.md", "options")
    }
    assert told == defaults
    declared = re.findall(
        r"^  (\w+)\?:", types().decode().split("interface ClientOptions")[1].split("\n}")[0], re.MULTILINE
    )
    assert {*declared} == {*told, "WebSocket", "fetch"}


def test_close_codes_are_taken_as_the_page_has_them() -> None:
    (listed,) = re.findall(r"FINAL_CODES = new Set\(\[(.*)\]\)", (FILES / "connection.js").read_text())
    final = {int(code) for code in listed.split(",")}
    told = {int(code.strip("`")): back for code, _, back in table(ROOT / "docs" / "websocket.md", "close codes")}
    assert {code for code, back in told.items() if back in ("no", "with another token")} <= final
    assert not final & {code for code, back in told.items() if back in ("yes", "later")}
