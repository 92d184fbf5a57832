"""The commands that the pages show, given to a server that runs as the pages say, on a free port."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.docs.pages import README, ROOT, Block, blocks, prose

SERVING = ROOT / "docs" / "serving.md"
ALICE = {"id": 42, "name": "Alice"}


def commands(page: Path) -> list[str]:
    """The lines of the shell blocks, without comments."""
    lines = [line for block in blocks(page) if block.language == "sh" for line in block.code.splitlines()]
    return [shlex.join(words) for words in (shlex.split(line, comments=True) for line in lines) if words]


def only(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


class Serving(NamedTuple):
    url: str
    authority: str


@contextlib.contextmanager
def served(command: str, directory: Path) -> Iterator[Serving]:
    """The server that `polywire serve …` starts, on a port that is free."""
    program, *arguments = shlex.split(command)
    assert program in ("polywire", ".venv/bin/polywire")
    with subprocess.Popen(
        [sys.executable, "-m", "polywire.cli", *arguments, "--port", "0"],
        cwd=directory,
        env={name: value for name, value in os.environ.items() if not name.startswith("POLYWIRE_")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            while (found := re.search(r"on (https?://(\S+))", said)) is None:
                line = process.stderr.readline()
                assert line, f"{command} ended: {said}"
                said += line
            yield Serving(found[1], found[2])
        finally:
            process.terminate()
            process.communicate(timeout=10)
        assert process.returncode == 0


def write(directory: Path, page: Path, file: str) -> None:
    (block,) = [block for block in blocks(page) if block.file == file]
    (directory / file).write_text(block.code)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """The service of the README, served as the README says."""
    directory = tmp_path_factory.mktemp("readme")
    write(directory, README, "users.py")
    with served(only([line for line in commands(README) if " serve " in line]), directory) as serving:
        yield serving


def run(command: str) -> str:
    return subprocess.run(shlex.split(command), check=True, capture_output=True, text=True, timeout=10).stdout


CALLS = [line for line in commands(README) if "127.0.0.1:8000" in line]


@pytest.mark.parametrize("command", CALLS, ids=[" ".join(command.split()[:2]) for command in CALLS])
def test_the_calls_of_the_readme(command: str, server: Serving) -> None:
    command = command.replace("127.0.0.1:8000", server.authority)
    program = command.split()[0]
    if program == "curl":
        assert alice(json.loads(run(command))) == ALICE
    elif program == "grpcurl":
        assert (json.loads(run(command)) if shutil.which("grpcurl") else by_grpcio(command)) == ALICE
    else:
        assert program == "xdg-open"
        with get(command.split()[1]) as answer:
            assert answer.headers["content-type"].startswith("text/html")


def alice(answer: dict[str, Any]) -> dict[str, Any]:
    """Her as REST says it, of what GraphQL (which was asked for her name alone) or tRPC has answered."""
    match answer:
        case {"data": {"getUser": user}}:
            return {"id": 42, **user}
        case {"result": {"data": user}}:
            return dict(user)
    return answer


def test_the_readme_calls_it_from_every_side() -> None:
    assert [call.split()[0] for call in CALLS] == [*["curl"] * 5, "grpcurl", *["xdg-open"] * 2]


def by_grpcio(command: str) -> dict[str, Any]:
    """What the grpcurl command does, where there is none: the body is the field `id`, number 1."""
    import grpc

    from polywire import Int32, Message
    from polywire.codec import Format, message_codec
    from polywire.schema import message_type

    class User(Message):
        id: Int32
        name: str

    *_, text, authority, method = shlex.split(command)
    codec = message_codec(message_type(User), Format.PROTOBUF)
    request = codec.encode(User(name="", **json.loads(text)))
    with grpc.insecure_channel(authority) as channel:
        user = codec.decode(channel.unary_unary(f"/{method}")(request, timeout=10))
    return {"id": user.id, "name": user.name}


def get(url: str, context: ssl.SSLContext | None = None) -> Any:
    request = urllib.request.Request(url, headers={"accept": "text/html,*/*;q=0.8"})  # noqa: S310
    return urllib.request.urlopen(request, timeout=10, context=context)  # noqa: S310


def test_the_paths_that_the_readme_names(server: Serving) -> None:
    paths = re.findall(r"`(/[a-z./]+)`", prose(README))
    assert {"/openapi.json", "/health", "/metrics"} <= set(paths)
    for path in paths:
        with get(server.url + path) as answer:
            assert answer.status == 200


def test_the_targets_that_the_readme_names() -> None:
    named = set(re.findall(r"(?:^|`)make (\w+)", README.read_text(), re.MULTILINE))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"serve", "test"} <= named <= targets


def test_the_commands_of_serving(tmp_path: Path) -> None:
    run_here = [line for line in commands(SERVING) if not line.startswith("polywire")]
    for line in run_here:
        subprocess.run(shlex.split(line), cwd=tmp_path, check=True, capture_output=True, timeout=20)
    write(tmp_path, README, "users.py")
    for line in commands(SERVING):
        if line in run_here:
            continue
        with served(line, tmp_path) as serving:
            secure = "--tls-cert" in line
            context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem")) if secure else None
            url = f"{serving.url}/v1/users/42".replace("https://127.0.0.1", "https://localhost")
            with get(url, context) as answer:
                assert json.load(answer) == ALICE
            assert serving.url.startswith("https:" if secure else "http:")


def test_a_block_knows_its_file() -> None:
    assert Block("python", "# users.py\nx = 1\n", 1).file == "users.py"
    assert Block("python", "x = 1\n", 1).file is None
