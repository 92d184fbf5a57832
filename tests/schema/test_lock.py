"""The committed contract as a lock: numbers that were given stay, whatever becomes of the classes."""

from __future__ import annotations

import enum
import importlib
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from polywire import App, Message, SchemaError, Service, contract_lock, mutation
from polywire.contract.proto import proto_texts
from polywire.schema.lock import lock_of

CONTRACT = """
syntax = "proto3";
package shop;
message User { int32 id = 1; string name = 2; string email = 5; reserved 3, 7 to 8; reserved "fax"; Status status = 9; }
enum Status { STATUS_UNSPECIFIED = 0; STATUS_OPEN = 1; STATUS_DONE = 4; reserved 2; reserved "STATUS_LOST"; }
message Shape { oneof shape { Circle circle = 2; Square square = 1; } }
message Circle { double radius = 1; }
message Square { double side = 1; }
message SaveRequest { User user = 2; string note = 1; }
message ListRequest { int32 limit = 3; }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "contract").mkdir()
    (tmp_path / "contract" / "shop.proto").write_text(CONTRACT)
    return tmp_path / "contract"


def numbers(texts: dict[str, str], message: str) -> dict[str, int]:
    """Name -> number of what stands in one message or enum of what would be written."""
    _, _, body = next(text for text in texts.values() if f" {message} {{" in text).partition(f" {message} {{")
    lines = body.partition("\n}")[0].splitlines()
    declared = [line.strip().rstrip(";").partition("//")[0] for line in lines if " = " in line]
    return {left.split()[-1]: int(right.split()[0]) for left, right in (line.split(" = ", 1) for line in declared)}


def reserved(texts: dict[str, str], message: str) -> list[str]:
    _, _, body = next(text for text in texts.values() if f" {message} {{" in text).partition(f" {message} {{")
    return [line.strip() for line in body.partition("\n}")[0].splitlines() if "reserved" in line]


def test_every_kind_of_number_is_kept(folder: Path) -> None:
    class Status(enum.Enum):
        DONE = "done"
        NEW = "new"
        OPEN = "open"

    class Shape(Message, union=True):
        pass

    class Square(Shape):
        side: float

    class Circle(Shape):
        radius: float

    class Triangle(Shape):
        base: float

    class User(Message):
        phone: str  # New, and first.
        email: str
        status: Status
        id: int
        shape: Shape

    lock = lock_of(folder)

    class UserService(Service, package="shop", lock=lock):
        @mutation
        async def save(self, user: User, urgent: bool, note: str) -> None: ...

    class ListService(Service, package="shop", lock=lock):
        @mutation
        async def list(self, after: str, limit: int) -> User: ...

    texts = proto_texts([UserService.__polywire__, ListService.__polywire__])
    assert numbers(texts, "User") == {"id": 1, "email": 5, "status": 9, "phone": 10, "shape": 11}
    assert reserved(texts, "User") == ["reserved 2, 3, 7, 8;", 'reserved "fax", "name";']
    assert numbers(texts, "Status") == {"STATUS_UNSPECIFIED": 0, "STATUS_OPEN": 1, "STATUS_DONE": 4, "STATUS_NEW": 5}
    assert reserved(texts, "Status") == ["reserved 2;", 'reserved "STATUS_LOST";']
    assert numbers(texts, "Shape") == {"square": 1, "circle": 2, "triangle": 3}
    assert numbers(texts, "SaveRequest") == {"note": 1, "user": 2, "urgent": 3}
    assert numbers(texts, "ListRequest") == {"limit": 3, "after": 4}


def test_what_was_written_locks_the_same_numbers(folder: Path) -> None:
    """A field that goes leaves its number and its name behind, through as many contracts as there are."""

    def written(*names: str) -> dict[str, str]:
        user = type("User", (Message,), {"__annotations__": dict.fromkeys(names, str), "__module__": __name__})

        class UserService(Service, package="shop", lock=lock_of(folder)):
            @mutation
            async def save(self, request: user) -> None: ...  # type: ignore[valid-type]

        texts = proto_texts([UserService.__polywire__])
        for name, text in texts.items():
            (folder / name).write_text(text)
        return texts

    (folder / "shop.proto").unlink()
    assert numbers(written("a", "b", "c"), "User") == {"a": 1, "b": 2, "c": 3}
    assert numbers(written("c", "a", "d"), "User") == {"a": 1, "c": 3, "d": 4}
    assert numbers(written("d", "e"), "User") == {"d": 4, "e": 5}
    texts = written("f", "d")
    assert numbers(texts, "User") == {"d": 4, "f": 6}
    assert reserved(texts, "User") == ["reserved 1, 2, 3, 5;", 'reserved "a", "b", "c", "e";']
    with pytest.raises(SchemaError, match="'b' belonged to something removed"):
        written("b", "d")


def module_in(folder: Path, name: str) -> ModuleType:
    (folder / f"{name}.py").write_text(
        'from polywire import contract_lock\nLOCK = contract_lock("contract")\n',
    )
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_folder_is_beside_the_module(folder: Path) -> None:
    assert module_in(folder.parent, "beside").LOCK.numbers["shop.Circle"] == {"radius": 1}


def test_no_folder_locks_nothing(tmp_path: Path) -> None:
    assert lock_of(tmp_path / "nowhere") == module_in(tmp_path, "alone").LOCK
    assert lock_of(tmp_path / "nowhere").numbers == {}


def test_a_contract_in_an_archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = folder.parent / "app.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("zipped_shop/__init__.py", "")
        zipped.writestr("zipped_shop/app.py", 'from polywire import contract_lock\nLOCK = contract_lock("contract")\n')
        zipped.writestr("zipped_shop/contract/deep/shop.proto", CONTRACT)
    monkeypatch.syspath_prepend(archive)
    try:
        assert importlib.import_module("zipped_shop.app").LOCK.numbers["shop.Circle"] == {"radius": 1}
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "zipped_shop"]:
            del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("message A { int32 a = 1 }", r"/contract/shop\.proto:1:44: expected ';'"),
        ('import "other.proto";', r"/contract/shop\.proto:1:27: there is no file 'other\.proto'"),
        (
            "message A { reserved 1 to 9999, 10000 to 10002; }",
            r"/contract/shop\.proto:1:28: A reserves more than 10000 numbers",
        ),
        ("message A { reserved 1 to max; }", r"/contract/shop\.proto:1:28: A reserves more than 10000 numbers"),
    ],
)
def test_a_broken_contract_is_told_by_line_and_column(folder: Path, text: str, problem: str) -> None:
    (folder / "shop.proto").write_text(f'syntax = "proto3"; {text}')
    with pytest.raises(SchemaError, match=problem):
        contract_lock(folder)


def test_one_lock_serves_an_app_of_several_services(folder: Path) -> None:
    class User(Message):
        email: str

    lock = contract_lock(folder)

    class OneService(Service, package="shop", lock=lock):
        @mutation
        async def one(self, request: User) -> None: ...

    class TwoService(Service, package="shop", lock=lock):
        @mutation
        async def two(self, request: User) -> None: ...

    App(OneService(), TwoService())
    assert numbers(proto_texts([OneService.__polywire__, TwoService.__polywire__]), "User") == {"email": 5}
