"""The committed contract of the demo: what is written now is what is there, and nothing breaks anybody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from graphql import (
    assert_valid_schema,
    build_client_schema,
    build_schema,
    get_introspection_query,
    lexicographic_sort_schema,
    print_schema,
)
from openapi_spec_validator import OpenAPIV31SpecValidator

from polywire.cli.commands import cli
from polywire.cli.load import load_app
from polywire.protofile import load
from polywire.testing import TestClient
from tests.docs.pages import ROOT

CONTRACT = ROOT / "examples" / "atlas" / "contract"
APP = str(ROOT / "examples" / "atlas" / "app.py") + ":app"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_is_what_would_be_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["contract", "write", APP, "--to", str(tmp_path / "now")])
    assert result.exit_code == 0, result.output
    written = {path.name: path.read_text() for path in (tmp_path / "now").iterdir()}
    kept = {path.name: path.read_text() for path in CONTRACT.iterdir()}
    assert written == kept, "run polywire contract write examples/atlas/app.py:app"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["check", APP, "--verbose"], f"nothing breaks against {CONTRACT}\n"),
        (["lint", APP], "nothing to regret\n"),
        (["lint", str(CONTRACT)], "nothing to regret\n"),
    ],
    ids=lambda command: command[0] if isinstance(command, list) else "",
)
def test_nothing_is_found(command: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, ["contract", *command])
    assert (result.exit_code, result.output) == (0, said)


async def test_it_is_what_is_served() -> None:
    document = json.loads((CONTRACT / "openapi.json").read_text())
    OpenAPIV31SpecValidator(document).validate()
    schema = build_schema((CONTRACT / "schema.graphql").read_text())
    assert_valid_schema(schema)
    async with TestClient(load_app(APP)) as client:
        assert (await client.get("/openapi.json")).json() == document
        answer = await client.post("/graphql", json={"query": get_introspection_query()})
    served = build_client_schema(answer.json()["data"])
    # The client's one has what introspection tells: types, fields and arguments, in the same words.
    assert print_schema(lexicographic_sort_schema(served)) == print_schema(lexicographic_sort_schema(schema))


def test_the_running_services_have_the_numbers_of_the_contract() -> None:
    services = [service.type for service in load_app(APP).services]
    files = load(sorted(CONTRACT.glob("*.proto")))
    for service in services:
        for method in service.methods:
            for message in (method.input, method.output):
                if message.full_name in files.messages:
                    kept = {field.name: field.number for field in files.messages[message.full_name].fields}
                    assert {field.name: field.number for field in message.fields} == kept
