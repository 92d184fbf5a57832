"""protoc reads what we read, to the same descriptors, and refuses what we refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from polywire.protofile import ProtoError, load, load_texts
from polywire.protofile.builtin import BUILTIN
from tests.protofile.cases import READ, REFUSED
from tests.protofile.descriptors import descriptor_of, plain
from tests.protofile.oracle import APIS, GOOGLE, Refusal, compiled

HEAD = 'syntax = "proto3";\n'


def theirs(text: str, folder: Path) -> FileDescriptorProto:
    found = compiled({"x.proto": text}, "x.proto", folder)
    assert isinstance(found, FileDescriptorProto), found.said
    return found


@pytest.mark.parametrize("text", READ.values(), ids=list(READ))
def test_the_same_descriptors(text: str, tmp_path: Path) -> None:
    files = load_texts({"x.proto": HEAD + text})
    assert descriptor_of(files.files["x.proto"], files) == plain(theirs(HEAD + text, tmp_path))


@pytest.mark.parametrize("text", list(REFUSED))
def test_refused_by_both(text: str, tmp_path: Path) -> None:
    refusal = compiled({"x.proto": HEAD + text}, "x.proto", tmp_path)
    assert isinstance(refusal, Refusal)
    with pytest.raises(ProtoError) as caught:
        load([tmp_path / "x.proto"], [tmp_path])
    place, problem = REFUSED[text]
    assert str(caught.value).startswith(f"x.proto:{place}: {problem}")


FILES = {
    "user.proto": 'package shop; import "types/all.proto"; message User { Money m = 1; types.Kind k = 2; }',
    "types/all.proto": 'package shop; import public "types/money.proto"; import "types/hidden.proto";',
    "types/money.proto": 'package shop; import public "types/kind.proto"; message Money { types.Kind kind = 1; }',
    "types/kind.proto": "package shop.types; enum Kind { KIND_NONE = 0; }",
    "types/hidden.proto": "package shop; message Hidden {}",
}
BROKEN = {
    "what is not imported": (
        {"user.proto": FILES["user.proto"].replace("Money m", "Hidden m")},
        "user.proto:2:56: shop.Hidden is declared",
    ),
    "a name that two files have": (
        {"types/hidden.proto": "package shop; message Money {}"},
        "types/hidden.proto:2:23: shop.Money is declared in types/money.proto",
    ),
    "a package where another file has a message": (
        {"types/hidden.proto": "package shop.Money; message M {}"},
        "types/hidden.proto:2:9: shop.Money is declared in types/money.proto",
    ),
    "a circle": (
        {"types/kind.proto": FILES["types/kind.proto"] + 'import "user.proto";'},
        "types/kind.proto:2:56: files import each other in a circle: user.proto -> types/all.proto",
    ),
    "an error within an import": ({"types/kind.proto": "enum { }"}, "types/kind.proto:2:6: expected the enum's name"),
    "a hidden name beside a seen one": ({}, ""),
}


@pytest.mark.parametrize(("changed", "problem"), BROKEN.values(), ids=list(BROKEN))
def test_several_files(changed: dict[str, str], problem: str, tmp_path: Path) -> None:
    texts = {name: HEAD + text for name, text in (FILES | changed).items()}
    found = compiled(texts, "user.proto", tmp_path)
    if not problem:
        files = load([tmp_path / "user.proto"], [tmp_path])
        assert isinstance(found, FileDescriptorProto)
        assert descriptor_of(files.files["user.proto"], files) == plain(found)
        assert files.wanted == ["user.proto"]
        return
    assert isinstance(found, Refusal)
    with pytest.raises(ProtoError) as caught:
        load([tmp_path / "user.proto"], [tmp_path])
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("root", [GOOGLE, APIS], ids=["protobuf", "google"])
def test_files_that_others_wrote(root: Path, tmp_path: Path) -> None:
    read = 0
    for path in sorted(root.rglob("*.proto")):
        if 'syntax = "proto3"' not in (text := path.read_text()) or "edition" in text.partition("package")[0]:
            continue
        name = path.relative_to(root).as_posix()
        found = compiled({}, name, tmp_path)
        files = load([path], [root, GOOGLE])
        assert isinstance(found, FileDescriptorProto), name
        assert descriptor_of(files.files[name], files) == plain(found), name
        read += 1
    assert read > 5


def test_what_is_built_in_is_as_protobuf_has_it(tmp_path: Path) -> None:
    """Names, numbers and types; of descriptor.proto, only that its options are there."""
    for name in BUILTIN.keys() - {"google/protobuf/descriptor.proto"}:
        files = load_texts({"x.proto": f'{HEAD}import "{name}";'})
        found = compiled({}, name, tmp_path)
        assert isinstance(found, FileDescriptorProto), name
        assert descriptor_of(files.files[name], files) == plain(found), name
