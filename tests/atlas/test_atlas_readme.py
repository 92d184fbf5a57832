"""The commands that the README shows for the demo, given to the demo as it is served."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
AUTHORITY = "localhost:8000"
COMMANDS = [line for line in re.findall(r"^(?:curl|grpcurl) .*$", README, re.MULTILINE) if AUTHORITY in line]
SAID = {
    "v1/users/stream": ['{"id":1,"name":"User 1"', '{"id":100,'],
    "v1/weather/LON/updates": ['data: {"temperature":', "light rain"],
    "v1/logs/lines": ['{"text":"', "atlas has started"],
    "v1/chain": ['{"service":"A","remaining_s":4.', '{"service":"C","remaining_s":0.'],
    "api/stock-updates": ["event: stock-update", '"symbol":', "id: "],
    "api/messages?since=0": ["[]"],
    "v1/files": ['"size":5,"sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"'],
    "hello.Greeter/SayHelloStream": ["Hey Bob, message 1 of 5", "Hey Bob, message 5 of 5"],
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # The chain must be told the port before there is a server.
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("POLYWIRE_", "ATLAS_"))}
    with subprocess.Popen(
        [sys.executable, "-m", "polywire.cli", "serve", str(ROOT / "examples/atlas/app.py"), "--port", str(port)],
        cwd=tmp_path_factory.mktemp("atlas"),
        env={**clean, "ATLAS_URL": f"http://127.0.0.1:{port}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            while "on http://" not in said:
                line = process.stderr.readline()
                assert line, f"the demo ended: {said}"
                said += line
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate(timeout=20)
        assert process.returncode == 0


def command_for(part: str) -> str:
    (found,) = [line for line in COMMANDS if re.search(rf"{AUTHORITY}[/ ]{re.escape(part)}( |$)", line)]
    return found


def test_there_is_one_for_each_that_is_expected() -> None:
    assert sorted(map(command_for, SAID)) == sorted(COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize("part", SAID)
def test_what_the_demo_says(part: str, authority: str) -> None:
    words = shlex.split(command_for(part).replace(AUTHORITY, authority), comments=True)
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]}")
    with subprocess.Popen([*words, *(["--noproxy", "*"] if words[0] == "curl" else [])], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        said = ""
        try:
            while not all(text in said for text in SAID[part]):
                line = run.stdout.readline().decode()
                assert line, f"it ends without what was expected: {said}"
                said += line
        finally:
            run.kill()
