"""A directory with an application in it, as a user would have one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.processes import Process, Start

USERS = """
from polywire import App, Int32, Message, Service, mutation, query


class User(Message):
    id: Int32
    name: str


class UserService(Service, package="user"):
    @mutation("POST /v1/users")
    async def create_user(self, name: str, email: str) -> User:
        return User(id=1, name=name)

    @query("GET /v1/users/{id}")
    async def get_user(self, id: Int32) -> User:
        return User(id=id, name="Alice")

    @query("GET /v1/search")
    async def search(self, name: str, limit: Int32 = 10) -> User:
        return User(id=1, name=name)


app = App(UserService())
service = UserService()


def make() -> App:
    return App(UserService())


def needs(dsn: str) -> App:
    return App(UserService())


async def slow() -> App:
    return App(UserService())


number = 3
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, with users.py; modules imported from it are forgotten afterwards."""
    (tmp_path / "users.py").write_text(USERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def start(project: Path) -> Iterator[Start]:
    """`start("users:app", "--port", "0", POLYWIRE_X="…")`: `polywire serve` in the project, ended with the test."""
    started: list[Process] = []

    def serve(*arguments: str, **environment: str) -> Process:
        started.append(Process(("serve", *arguments), environment))
        return started[-1]

    yield serve
    for process in started:
        process.close()
