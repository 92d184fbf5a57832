"""`polywire contract` as it is typed."""

from __future__ import annotations

import json
import os
import pty
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
FIXTURES = Path(__file__).parents[1] / "contract" / "fixtures"
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
    (tmp_path / "contract").rename(tmp_path / "kept")
    first = contract(tmp_path, "check", "users.py:app")
    assert first.returncode == 2
    said = "there is no contract in contract; `polywire contract write users.py:app` writes the first one"
    assert first.stderr == f"error: {said}\n"


def test_what_breaks_nobody_ends_with_0_and_says_what_to_do(tmp_path: Path) -> None:
    app(tmp_path)
    contract(tmp_path, "write", "users.py:app")
    assert contract(tmp_path, "check", "users.py:app").stdout == "nothing breaks against contract\n"
    app(tmp_path, f"{FIELDS}\n    city: str = ''")
    checked = contract(tmp_path, "check", "users.py:app")
    assert checked.returncode == 0
    assert checked.stdout.splitlines()[1:] == ["`polywire contract write` brings the folder up to date"]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("user_int64", "user_string", "21:9: user_int64.GetUserRequest.user_id: "),
        ("user_string", "user", "18:10: user_string.GetUserRequest.id: "),
        ("user_int64", "user", "21:9: user_int64.GetUserRequest.user_id: "),
    ],
)
def test_the_shapes_of_user_service_break_each_other(old: str, new: str, place: str) -> None:
    checked = contract(FIXTURES, "check", "--from", f"{old}.proto", "--to", f"{new}.proto")
    assert checked.returncode == 1
    assert f"\n{old}.proto:{place}" in checked.stdout
    found = json.loads(contract(FIXTURES, "check", "--from", f"{old}.proto", "--to", f"{new}.proto", "--json").stdout)
    assert f"{len(found)} breaking changes" in checked.stdout
    assert {one["file"] for one in found} == {f"{old}.proto"}
    assert all(one["line"] and one["column"] and one["breaks"] for one in found)


def test_a_contract_that_cannot_be_read_is_told_by_its_place(tmp_path: Path) -> None:
    app(tmp_path)
    contract(tmp_path, "write", "users.py:app")
    proto = tmp_path / "contract" / "user.proto"
    kept = proto.read_bytes()
    proto.write_bytes(kept + b"message {\n")
    line = kept.count(b"\n") + 1
    told = f"contract/user.proto:{line}:9: expected the message's name, found '{{'"
    for command in ("write", "check", "lint"):
        refused = contract(tmp_path, command, "users.py:app")
        assert refused.returncode == 2
        assert told in refused.stderr
    assert contract(tmp_path, "lint", "contract").stderr == f"error: {told}\n"
    proto.write_bytes(kept)
    (tmp_path / "contract" / "openapi.json").write_text("{")
    assert contract(tmp_path, "check", "users.py:app").stderr.startswith("error: contract/openapi.json:1:2: ")


def test_a_terminal_gets_colour_and_a_file_none(tmp_path: Path) -> None:
    app(tmp_path, path="getUser")
    assert "\x1b" not in contract(tmp_path, "lint", "users.py:app").stdout
    outer, inner = pty.openpty()
    try:
        with os.fdopen(inner, "wb") as terminal:
            subprocess.run(
                [sys.executable, "-m", "polywire.cli", "contract", "lint", "users.py:app"],
                cwd=tmp_path,
                env={**{key: value for key, value in os.environ.items() if key != "NO_COLOR"}, "TERM": "xterm"},
                stdout=terminal,
                timeout=60,
                check=False,
            )
            shown = os.read(outer, 65536).decode()
    finally:
        os.close(outer)
    assert "\x1b[31mverb-in-path\x1b[0m" in shown


def test_the_folder_says_what_the_application_lints_away(tmp_path: Path) -> None:
    app(tmp_path, path="getUser")
    source = tmp_path / "users.py"
    docs = '"""One.\n\n        An old path: lint: allow verb-in-path.\n        """\n        ...'
    source.write_text(source.read_text().replace("-> User: ...", f"-> User:\n        {docs}"))
    contract(tmp_path, "write", "users.py:app")
    proto = tmp_path / "contract" / "user.proto"
    for target in ("users.py:app", "contract", "contract/user.proto"):
        assert contract(tmp_path, "lint", target).returncode == 0
    assert contract(tmp_path, "import", "contract/user.proto").returncode == 0
    # The routes are read beside it.
    assert '@query("GET /v1/getUser/{id}")' in (tmp_path / "user_pb.py").read_text()
    proto.write_text(proto.read_text().replace("  // lint: allow verb-in-path\n", ""))
    for target in ("contract", "contract/user.proto"):
        found = contract(tmp_path, "lint", target)
        assert found.returncode == 1
        assert found.stdout.startswith("contract/user.proto:")
    (tmp_path / "empty").mkdir()
    nothing = contract(tmp_path, "lint", "empty")
    assert (nothing.returncode, nothing.stderr) == (2, "error: there is no .proto file in empty\n")


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
    assert broken.stderr.startswith("error: pets.proto:2:31: expected ';'")


@pytest.mark.parametrize("command", ["write", "check", "lint", "import"])
def test_help_teaches(tmp_path: Path, command: str) -> None:
    shown = contract(tmp_path, command, "--help")
    assert shown.returncode == 0
    assert len(shown.stdout.splitlines()) > 10
