"""What a file may cost, and files that are made to cost more."""

from __future__ import annotations

import contextlib
import sys
import tracemalloc
from pathlib import Path

import pytest

from polywire.protofile import ProtoError, load, load_texts, parse
from polywire.protofile.tokens import MOST_BYTES

HEAD = 'syntax = "proto3";\n'
REFUSED = {
    "other syntaxes": ('syntax = "proto2";', "a.proto:1:10: 'proto2' is not read; only proto3 is"),
    "no syntax": ("message A {}", "a.proto:1:1: no syntax means proto2"),
    "editions": ('edition = "2023";', "a.proto:1:1: editions are not read yet"),
    "an empty file": ("", "a.proto:1:1: no syntax means proto2"),
    "values within values": (f"{HEAD}option a = {'{a' * 33}", "a.proto:2:76: values are more than 32 deep"),
    "lists within lists": (f"{HEAD}option a = {{a: {'[' * 33}", "a.proto:2:17: expected a value"),
    "a long dotted name": (f"{HEAD}package a{'.a' * 100};", "a.proto:2:9: a name has more than 100 parts"),
    "a long option": (f"{HEAD}option a{'.a' * 100} = 1;", "a.proto:2:8: an option's name has more than 32 parts"),
    "a long name": (f"{HEAD}message {'a' * 513} {{}}", "a.proto:2:9: aaaa"),
    "a long number": (f"{HEAD}message A {{ int32 a = {'1' * 31}; }}", "a.proto:2:23: a field's number is out of range"),
}


@pytest.mark.parametrize(("text", "problem"), REFUSED.values(), ids=list(REFUSED))
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(ProtoError) as caught:
        parse(text, "a.proto")
    assert str(caught.value).startswith(problem)
    assert len(str(caught.value)) < 200


def many(kind: str, count: int) -> str:
    """A file with `count` of something."""
    numbers = range(1, count + 1)
    names = [f'"a{n}"' for n in numbers]
    fields = "".join(f"int32 a{n} = {2 * n};" for n in numbers)
    return (
        HEAD
        + {
            "reserved numbers": f"message A {{ reserved {', '.join(str(2 * n + 1) for n in numbers)}; {fields} }}",
            "reserved names": f"message A {{ reserved {', '.join(names).replace('a', 'b')}; {fields} }}",
            "values of a value": f"option go_package = {{ {'a: 1 ' * count} }};",
            "messages": "".join(f"message A{n} {{ A{n + 1} a = 1; }}" for n in range(count)) + f"message A{count} {{}}",
            "enums": "".join(f"enum E{n} {{ A{n} = 0; B{n} = 1; }}" for n in numbers),
            "imports": "".join(f'import "google/protobuf/any.proto"; // {n}\n' for n in numbers),
            "comments": "// a\n" * count + "/**/" * count,
            "strings": f"option go_package = {' '.join(names)};",
        }[kind]
    )


KINDS = (
    "reserved numbers",
    "reserved names",
    "values of a value",
    "messages",
    "enums",
    "imports",
    "comments",
    "strings",
)


def lines_run(text: str) -> int:
    """Lines of Python that reading it runs: steps are counted, not timed."""
    lines = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with contextlib.suppress(ProtoError):
            load_texts({"a.proto": text})
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_in_proportion_to_the_text(kind: str) -> None:
    assert lines_run(many(kind, 800)) < 2.2 * lines_run(many(kind, 400))


def test_what_declares_nothing_takes_no_memory() -> None:
    text = HEAD + ";" * 200_000
    tracemalloc.start()
    try:
        parse(text, "a.proto")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_text(HEAD + " " * MOST_BYTES)
    with pytest.raises(ProtoError, match=r"^a\.proto:1:1: a\.proto is larger than 4194304 bytes$"):
        load([tmp_path / "a.proto"])
    with pytest.raises(ProtoError, match="larger than 4194304"):
        parse(HEAD + " " * MOST_BYTES, "a.proto")


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_bytes(HEAD.encode() + b"// caf\xe9\n")
    with pytest.raises(ProtoError, match=r"^a\.proto:2:7: the file is not UTF-8$"):
        load([tmp_path / "a.proto"])


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_text(f"{HEAD}message A {{}}", encoding="utf-8-sig")
    assert str(load([tmp_path / "a.proto"]).messages["A"].place) == "a.proto:2:9"


def chain(length: int) -> dict[str, str]:
    """Files that import each the next one, twice over by a public import."""
    texts = {f"{n}.proto": f'{HEAD}import public "{n + 1}.proto"; message A{n} {{}}' for n in range(length)}
    return texts | {f"{length}.proto": f"{HEAD}message A{length} {{}}"}


def test_a_long_chain_of_imports() -> None:
    files = load_texts(chain(900) | {"x.proto": f'{HEAD}import "0.proto"; message X {{ A900 a = 1; }}'})
    assert files.owner("A900") == "900.proto"


def test_too_many_files() -> None:
    with pytest.raises(ProtoError, match="more than 1000 files are imported"):
        load_texts({"x.proto": f'{HEAD}import "0.proto";'} | chain(1001))


@pytest.mark.parametrize("name", ["../a.proto", "/etc/passwd", "a//b.proto", "./a.proto", "a\\\\b.proto", "a\\0b", ""])
def test_imports_stay_within_the_roots(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.proto").write_text(HEAD)
    (tmp_path / "in" / "x.proto").write_text(f'{HEAD}import "{name}";')
    with pytest.raises(ProtoError, match=r"^x\.proto:2:8: .* is no path within the roots$"):
        load([tmp_path / "in" / "x.proto"])


def test_a_missing_file_is_the_callers() -> None:
    with pytest.raises(FileNotFoundError):
        load([Path("/nowhere/a.proto")])
