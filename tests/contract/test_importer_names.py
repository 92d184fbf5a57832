"""`contract import` of names that mean something else in Python, and of files that would like to be code."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from polywire import App, Service
from polywire.codec import Format, message_codec
from polywire.contract.importer import import_proto
from polywire.contract.importer.modules import import_files
from polywire.contract.importer.routes import Routes
from polywire.protofile import Option, load_texts
from polywire.schema import SchemaError, message_type
from polywire.schema.types import MethodKind
from polywire.service.routes import parse_route
from tests.protofile.oracle import pool_of

PROTOS = Path(__file__).parent / "protos"
FILE = "names/names.proto"
PACKAGE = "imported_names"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("names")
    (folder / PACKAGE).mkdir()
    for name, text in import_proto([PROTOS / FILE], [PROTOS]).modules.items():
        (folder / PACKAGE / name).write_text(text)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(f"{PACKAGE}.names_names_pb")
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def pool() -> DescriptorPool:
    return pool_of(FILE, PROTOS)


def full(descriptor: Descriptor, depth: int = 2) -> Message:
    """A message with every field set; of a oneof, the first."""
    message = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if field.containing_oneof is not None and message.WhichOneof(field.containing_oneof.name):
            continue
        _set(message, field, depth)
    return message


def _set(message: Any, field: FieldDescriptor, depth: int) -> None:
    is_message = field.message_type is not None
    if is_message and field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        key = 7 if field.message_type.fields_by_name["key"].cpp_type != FieldDescriptor.CPPTYPE_STRING else "k"
        if value.message_type is not None and depth == 0:
            return
        if value.message_type is not None:
            getattr(message, field.name)[key].CopyFrom(full(value.message_type, depth - 1))
        else:
            getattr(message, field.name)[key] = _scalar(value)
    elif is_message:
        if depth == 0:
            return
        inner = full(field.message_type, depth - 1)
        if field.is_repeated:
            getattr(message, field.name).append(inner)
        else:
            getattr(message, field.name).CopyFrom(inner)
    elif field.is_repeated:
        getattr(message, field.name).extend([_scalar(field)] * 2)
    else:
        setattr(message, field.name, _scalar(field))


def _scalar(field: FieldDescriptor) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return b"ab" if field.type == FieldDescriptor.TYPE_BYTES else "ab"
        case FieldDescriptor.CPPTYPE_BOOL:
            return True
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return 1.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return field.enum_type.values[-1].number
        case _:
            return 3000  # A datetime has microseconds, and no nanoseconds.


@pytest.mark.parametrize(
    ("python", "proto"),
    [
        ("A", "A"),
        ("A.AMessage", "A.A"),
        ("EmptyMessage", "Empty"),
        ("Int32Message", "Int32"),
        ("listMessage", "list"),
        ("MessageMessage", "Message"),
        ("MutationMessage", "Mutation"),
    ],
)
def test_the_same_bytes(module: Any, pool: DescriptorPool, python: str, proto: str) -> None:
    theirs = full(pool.FindMessageTypeByName(f"names.v1.{proto}"))
    ours = module
    for part in python.split("."):
        ours = getattr(ours, part)
    codec = message_codec(message_type(ours), Format.PROTOBUF)
    wire = theirs.SerializeToString(deterministic=True)
    assert codec.encode(codec.decode(wire)) == wire
    assert codec.encode(codec.decode(b"")) == b""


def test_every_service_can_be_served_by_its_own_paths(module: Any, pool: DescriptorPool) -> None:
    services = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Service)]
    for base in services[1:]:
        App(type(f"Our{base.__name__}", (base,), {})())
        told = base.__polywire__
        theirs = pool.FindServiceByName(told.full_name)
        assert [method.name for method in told.methods] == [method.name for method in theirs.methods]
    assert [base.__polywire__.full_name for base in services[1:]] == ["names.v1.Empties", "names.v1.Query"]


def test_what_is_called_otherwise_is_told() -> None:
    notes = [note.partition(": ")[2] for note in import_proto([PROTOS / FILE], [PROTOS]).notes]
    assert "Empty is called EmptyMessage in Python, and in reflection" in notes
    assert "f_private is called f_private2 in Python, and in JSON" in notes


QUOTES = 'a"""b\\' + "\\\"'''{x}\x00\x0c\u2028"
HOSTILE = {
    "comments": "\n".join(
        f"{indent}// {line}"
        for indent in ("", "  ")
        for line in ('"""', "\\", '"""; import os #', "\x00", "\u2028x", "{0}")
    ),
    "a route": 'get: "/a\\"); import os; (\\""',
    "a route with a line break": 'get: "/a\\nimport os"',
    "a route that is none": 'get: "nowhere"',
    "a route twice in a path": 'get: "/{id}/{id}"',
    "a route with a variable that is no field": 'get: "/{nothing}"',
    "a route with a message in its path": 'get: "/{inner}"',
    "a route of another method": 'get: "/taken"',
    "bindings that are none": 'get: "/a" additional_bindings: 5',
    "a rule that is a list": "get: [1, 2] body: 7",
}


def text_with(comment: str = "", rule: str = "") -> str:
    return f"""{comment}
syntax = "proto3";
package a;
import "google/api/annotations.proto";
{comment}
message M {{
{comment}
  string id = 1; {comment}
  M inner = 2;
}}
{comment}
enum E {{ {comment}
  NO = 0;
}}
{comment}
service S {{
  rpc First(M) returns (M) {{ option (google.api.http) = {{ post: "/taken" body: "*" }}; }}
  rpc Taken(E2) returns (M) {{ option (google.api.http) = {{ get: "/taken" }}; }}
{comment}
  rpc Get(E2) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}
}}
message E2 {{ string id = 1; }}
"""


@pytest.mark.parametrize("what", HOSTILE)
def test_what_a_file_says_does_not_become_code(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = HOSTILE[what]
    text = text_with(comment=hostile) if what == "comments" else text_with(rule=hostile)
    modules = import_files(load_texts({"a.proto": text})).modules
    assert_declares_only(modules["a_pb.py"])
    # The class of the service checks its routes.
    (tmp_path / "a_pb.py").write_text(modules["a_pb.py"])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "a_pb", raising=False)
    assert importlib.import_module("a_pb").S.__polywire__.full_name == "a.S"
    monkeypatch.delitem(sys.modules, "a_pb")


def test_a_field_of_another_name_keeps_its_place_in_a_path() -> None:
    text = text_with(rule='get: "/v1/{class}"').replace(
        "message E2 { string id = 1; }", "message E2 { string class = 1; }"
    )
    assert '@query("GET /v1/{class_}")' in import_files(load_texts({"a.proto": text})).modules["a_pb.py"]


def test_an_idempotent_method_is_told_so() -> None:
    head = (
        'syntax = "proto3"; message M {} service S { rpc G(M) returns (M) { option idempotency_level = IDEMPOTENT; } }'
    )
    assert "@mutation(idempotent=True)" in import_files(load_texts({"a.proto": head})).modules["a_pb.py"]


@pytest.mark.parametrize(
    "name", ["x; import os.proto", "1.proto", "ä.proto", 'q".proto', "a-b.proto", "class.proto", "\n.proto"]
)
def test_names_of_files_do_not_become_code(name: str) -> None:
    head = 'syntax = "proto3";'
    files = load_texts({name: f"{head} package b; message B {{}}", "b": f"{head} package c; message C {{}}"})
    modules = import_files(files).modules
    assert len(modules) == 3
    for module, text in modules.items():
        assert module.removesuffix(".py").isidentifier()
        assert_declares_only(text)


def test_files_of_one_name_in_python_are_two_modules() -> None:
    head = 'syntax = "proto3";'
    texts = {"a-b.proto": f"{head} message A {{}}", "a_b.proto": f'{head} import "a-b.proto"; message B {{ A a = 1; }}'}
    modules = import_files(load_texts(texts)).modules
    assert sorted(modules) == ["__init__.py", "a_b_pb.py", "a_b_pb2.py"]
    assert "a: Annotated[a_b_pb.A | None" in modules["a_b_pb2.py"]


PIECES = ["/", "a", "{b}", "{b*}", "{c}", "..", ".", "{", "}", "*", ":", '"', "\\", "%41", "%", "\n", "é", "{_x}", "''"]


@given(st.lists(st.sampled_from(PIECES), max_size=6))
def test_a_path_is_taken_as_services_take_it(pieces: list[str]) -> None:
    template = "/" + "".join(pieces)
    files = load_texts(
        {"a.proto": f'syntax = "proto3"; message M {{ {FIELDS} }} service S {{ rpc G(M) returns (M); }}'}
    )
    method = files.files["a.proto"].services[0].methods[0]
    method.options = (Option("(google.api.http)", {"get": template.replace("*}", "=**}")}, method.place),)
    _, routes, _ = Routes(files).of(method)
    try:
        known = parse_route(f"GET {template}", MethodKind.QUERY, "").template
    except SchemaError:
        known = None
    # What only google.api.http has is left out before.
    if known is None or not any(mark in known for mark in ("*", ":", "=")):
        assert routes == ([f"GET {known}"] if known else [])


FIELDS = "string a = 1; string b = 2; string c = 3;"
DECLARATIONS = (ast.ImportFrom, ast.Import, ast.ClassDef, ast.AnnAssign, ast.Assign, ast.Pass, ast.Raise)
CALLS = {"query", "mutation", "Unimplemented", "FieldNumber"}
MODULES = {"__future__", "collections.abc", "datetime", "typing", "polywire", "polywire.schema", "enum"}


def assert_declares_only(text: str) -> None:
    """Classes, annotated fields, numbers, docs: nothing that does anything."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            assert node.func.id in CALLS
        elif isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= MODULES
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1 or node.module in MODULES
        elif isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant)
        elif isinstance(node, ast.stmt):
            assert isinstance(node, (*DECLARATIONS, ast.FunctionDef, ast.AsyncFunctionDef)), ast.dump(node)
