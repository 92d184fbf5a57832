"""Finding an application by its name, and saying what to do where there is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from polywire.cli import load
from polywire.cli.load import LoadError, load_app
from polywire.service import App

FOUND = ["users:app", "users", "users.py", "users.py:app", "./users.py:app", "users:make", "users.py:make"]


@pytest.mark.parametrize("target", FOUND)
def test_found(project: Path, target: str) -> None:
    app = load_app(target)
    assert isinstance(app, App)
    assert app.services[0].type.full_name == "user.UserService"


MISSING = [
    ("user:app", "no module 'user' in .*; did you mean users\\?"),
    ("user.py", "no file .*user.py; did you mean users.py"),
    ("users:ap", "users has no 'ap'; it has app: polywire serve users:app"),
    ("users:number", "users:number is of type int, not a polywire App"),
    ("users:service", "users:service is a service, not an App; wrap it: app = App\\(UserService\\(…\\)\\)"),
    ("users:UserService", "is a service, not an App"),
    ("users:needs", "users:needs is called to make the App, but missing a required argument: 'dsn'"),
    ("users:slow", "users:slow is an async function"),
    ("users:", "'users:' does not name an application; write module:name"),
    (":app", "does not name an application"),
    ("us-ers:app", "'us-ers' is not the name of a module"),
    ("empty", "empty has no 'app'; put one there: app = App\\(YourService\\(\\)\\)"),
    ("near:ap", "near has no 'ap'; did you mean apt\\?"),
]


@pytest.mark.parametrize(("target", "message"), MISSING)
def test_missing(project: Path, target: str, message: str) -> None:
    (project / "empty.py").write_text("")
    (project / "near.py").write_text("apt = 1")
    with pytest.raises(LoadError, match=message):
        load_app(target)


def test_a_file_in_a_package_is_imported_by_its_whole_name(project: Path) -> None:
    package = project / "shop" / "api"
    package.mkdir(parents=True)
    (project / "shop" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "names.py").write_text("NAME = 'shop'")
    text = (project / "users.py").read_text()
    (package / "app.py").write_text("from .names import NAME\n" + text)
    assert load_app("shop/api/app.py").services[0].instance.__module__ == "shop.api.app"


def test_a_file_may_be_called_like_an_installed_module(project: Path) -> None:
    (project / "users.py").rename(project / "json.py")
    assert isinstance(load_app("json.py"), App)
    assert sys.modules["json"] is json


def test_what_the_module_raises_is_not_hidden(project: Path) -> None:
    (project / "broken.py").write_text("import nowhere_to_be_found")
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        load_app("broken")
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        load_app("broken.py")


def test_the_demo_is_found_below_the_current_directory(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "__file__", "/nowhere/at/all/src/polywire/cli/load.py")
    with pytest.raises(LoadError, match=r"the demo .* comes with the source tree"):
        load.demo_path()
    demo = project / "examples" / "atlas"
    demo.mkdir(parents=True)
    (demo / "app.py").write_text((project / "users.py").read_text())
    assert load.demo_path() == demo / "app.py"
    assert isinstance(load_app(None), App)
