"""The page at GraphQL's path: who gets it, and that nothing but its own script can run in it."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from polywire import App
from polywire.protocols.graphql import explorer
from polywire.protocols.graphql.explorer import MODULES, explorer_headers, explorer_page
from polywire.service.options import GraphqlOptions
from polywire.testing import TestClient
from tests.protocols.graphql.library import Library

BROWSER = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8")
FILES = Path(explorer.__file__).parent


def between(start: str, end: str) -> list[str]:
    return re.findall(f"{start}(.*?){end}", explorer_page().decode(), re.DOTALL)


async def test_browsers_get_the_page_and_others_the_answer() -> None:
    async with TestClient(App(Library())) as client:
        page = await client.get("/graphql", headers=[BROWSER])
        assert (page.status, page.body) == (200, explorer_page())
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["vary"] == "accept, accept-encoding"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        with_query = await client.get("/graphql?query={authors{id}}", headers=[BROWSER])
        assert with_query.body == page.body
        assert (await client.get("/graphql?query={__typename}")).json() == {"data": {"__typename": "Query"}}
        posted = await client.post("/graphql", json={"query": "{__typename}"}, headers=[BROWSER])
        assert posted.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "options",
    [
        GraphqlOptions(explorer=False),
        GraphqlOptions(documents={"a": "{__typename}"}, only_documents=True),
    ],
)
async def test_no_page(options: GraphqlOptions) -> None:
    async with TestClient(App(Library(), graphql=options)) as client:
        answer = await client.get("/graphql?query={__typename}", headers=[BROWSER])
        assert answer.json() == {"data": {"__typename": "Query"}}


def test_the_policy_names_exactly_what_is_inline() -> None:
    policy = dict(explorer_headers())["content-security-policy"]
    for kind, tag in (("style", "<style>"), ("script", '<script type="module">')):
        (text,) = between(tag, f"</{kind}>")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_the_page_needs_no_other_host_and_makes_no_markup_of_text() -> None:
    page = explorer_page().decode()
    assert not re.findall(r"https?://[a-z]", page)
    assert not re.findall(r'(?:src|href)="(?!#|data:,)', page)
    assert not re.findall(r"<[^>]+\s(?:style|on[a-z]+)=", page.partition("<script")[0])
    for sink in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "@import",
        "url(",
    ):
        assert sink not in page.replace("new URL(", "")


def test_the_modules_are_one_script() -> None:
    assert sorted(MODULES) == sorted(file.stem for file in FILES.glob("*.js"))
    script = explorer._script()
    assert not re.findall(r"^(?:import|export)\b", script, re.MULTILINE)
    names = re.findall(r"^(?:async )?(?:const|let|function|class) (\w+)", script, re.MULTILINE)
    assert len(names) == len(set(names)), "two modules have a name in common"
    known: set[str] = set()
    for name in MODULES:
        imported = set(re.findall(r'from "\./(\w+)\.js";', (FILES / f"{name}.js").read_text()))
        assert imported <= known
        known.add(name)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_what_the_script_makes_of_documents(tmp_path: Path) -> None:
    for file in FILES.glob("*.js"):
        shutil.copy(file, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(Path(__file__).with_name("explorer_checks.js"), tmp_path)
    ran = subprocess.run(
        ["node", "explorer_checks.js"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
