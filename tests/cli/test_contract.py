"""`polywire contract` as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

APP = """
from polywire import App, Int32, Message, Service, contract_lock, query

class User(Message):
    {fields}

class UserService(Service, package="user", lock=contract_lock("contract")):
    @query("GET /v1/{path}/{{id}}")
    async def get_user(self, id: Int32) -> User: ...

app = App(UserService())
"""
FIELDS = "id: Int32\n    name: str\n    email: str"


def contract(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polywire.cli", "contract", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def app(folder: Path, fields: str = FIELDS, path: str = "users") -> None:
    (folder / "users.py").write_text(APP.format(fields=fields, path=path))


def test_numbers_are_kept_and_those_of_the_removed_reserved(tmp_path: Path) -> None:
    app(tmp_path)
    first = contract(tmp_path, "write", "users.py:app")
    assert (first.returncode, first.stderr) == (0, "")
    proto = tmp_path / "contract" / "user.proto"
    assert "string email = 3;" in proto.read_text()
    app(tmp_path, "email: str\n    id: Int32\n    city: str = ''")
    assert contract(tmp_path, "write", "users.py:app").returncode == 0
    text = proto.read_text()
    assert "string email = 3;" in text
    assert "int32 id = 1;" in text
    assert "string city = 4;" in text
    assert "reserved 2" in text
    before = {path.name: path.read_bytes() for path in (tmp_path / "contract").iterdir()}
    assert contract(tmp_path, "write", "users.py:app").returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "contract").iterdir()} == before


def test_a_breaking_change_is_named_by_place_and_ends_with_1(tmp_path: Path) -> None:
    app(tmp_path)
    contract(tmp_path, "write", "users.py:app")
    clean = contract(tmp_path, "check", "users.py:app")
    assert clean.returncode == 0
    app(tmp_path, "id: Int32\n    name: str", "people")
    broken = contract(tmp_path, "check", "users.py:app", "--json")
    assert broken.returncode == 1
    changes = json.loads(broken.stdout)
    subjects = {change["subject"] for change in changes}
    assert "user.User.email" in subjects
    assert any("/v1/users/{id}" in str(change) for change in changes)
    assert contract(tmp_path, "check", "nothing.py:app").returncode == 2


def test_lint(tmp_path: Path) -> None:
    app(tmp_path)
    assert contract(tmp_path, "lint", "users.py:app").returncode == 0
    app(tmp_path, path="getUser")
    found = contract(tmp_path, "lint", "users.py:app", "--json")
    assert found.returncode == 1
    assert [one["rule"] for one in json.loads(found.stdout)] == ["verb-in-path"]
    assert contract(tmp_path, "lint", "users.py:app", "--ignore", "verb-in-path").returncode == 0
    assert contract(tmp_path, "lint", "users.py:app", "--ignore", "nothing").returncode == 2


def test_import(tmp_path: Path) -> None:
    proto = tmp_path / "pets.proto"
    proto.write_text('syntax = "proto3";\npackage pets;\nmessage Pet { string name = 1; }\n')
    assert contract(tmp_path, "import", "pets.proto").returncode == 0
    made = tmp_path / "pets_pb.py"
    assert "class Pet(Message" in made.read_text()
    made.write_text("# mine\n")
    assert contract(tmp_path, "import", "pets.proto").returncode == 1
    assert made.read_text() == "# mine\n"
    assert contract(tmp_path, "import", "pets.proto", "--force").returncode == 0
    proto.write_text('syntax = "proto3";\nmessage Pet { string name = 1 }\n')
    broken = contract(tmp_path, "import", "pets.proto", "--force")
    assert broken.returncode == 1
    assert "pets.proto:2:31: expected ';'" in broken.stderr


@pytest.mark.parametrize("command", ["write", "check", "lint", "import"])
def test_help_teaches(tmp_path: Path, command: str) -> None:
    shown = contract(tmp_path, command, "--help")
    assert shown.returncode == 0
    assert len(shown.stdout.splitlines()) > 10
