"""The tables of the pages say what the code says: options, defaults, limits, mappings."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import inspect
import json
import re
import types
import uuid
from collections.abc import Callable
from typing import Any, Literal

import pytest

from polywire import errors, mutation, query, schema
from polywire.cli.commands import cli
from polywire.codec import Format, message_codec
from polywire.contract.lint import RULES
from polywire.contract.proto import proto_texts
from polywire.errors import Code, RpcError
from polywire.protocols.rest.errors import STATUS_OF_REASON, status_of
from polywire.schema import Message, SchemaError, message_type
from polywire.schema.message import MessageMeta
from polywire.server.access_log import Line
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings
from polywire.service import App, Service
from polywire.service.options import GraphqlOptions
from polywire.testing import TestClient
from polywire.wire.limits import HttpLimits
from tests.docs.pages import ROOT, blocks, table

MESSAGES, SERVICES, ERRORS, SERVING, GRAPHQL, CONTRACTS = (
    ROOT / "docs" / f"{name}.md" for name in ("messages", "services", "errors", "serving", "graphql-http", "contracts")
)


def code(cell: str) -> str:
    """What stands in backticks; "" for an empty cell."""
    return cell.strip("`")


# serving.md


def test_options_of_the_command() -> None:
    told = [(code(option), code(variable), code(default)) for option, variable, default, _ in table(SERVING, "options")]
    real = []
    for parameter in cli.commands["serve"].params:
        given = parameter.to_info_dict()["default"]
        default = "" if given is None or "Sentinel" in repr(given) else str(given)
        name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.opts[0].upper()
        real.append((name, parameter.envvar, default))
    assert told == real


def test_limits_and_settings() -> None:
    told = {code(name): code(default) for name, default, *_ in table(SERVING, "limits")}
    fields = [*dataclasses.fields(HttpLimits), *dataclasses.fields(ServerSettings)]
    real = {field.name: repr(field.default) for field in fields if field.name != "limits"}
    (others,) = re.findall(r"^The other settings are (.*?)\.$", SERVING.read_text(), re.MULTILINE | re.DOTALL)
    unlisted = set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", others, flags=re.DOTALL)))
    assert told == {name: default for name, default in real.items() if name not in unlisted}
    assert unlisted <= real.keys()


async def test_metrics() -> None:
    class Thing(Service, package="docs.metrics"):
        @query("GET /thing")
        async def thing(self) -> None: ...

    server = Server(App(Thing()), ServerSettings(port=0))
    await server.start()
    try:
        async with TestClient(App(Thing())) as client:
            await client.get("/thing")
            # The second has the calls, the first what only a listening server has.
            text = server.site.metrics.render().decode() + (await client.get("/metrics")).text
    finally:
        await server.abort()
    labels: dict[str, set[str]] = {}
    for name, found in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        labels.setdefault(base, set()).update(re.findall(r"(\w+)=\"", found))
    assert {code(name): set(re.findall(r"`(\w+)`", cell)) for name, cell, _ in table(SERVING, "metrics")} == labels


def test_fields_of_the_access_log() -> None:
    assert [code(name) for name, _ in table(SERVING, "log")] == list(Line.__struct_fields__)


# services.md


@pytest.mark.parametrize(
    ("mark", "functions"), [("app", [App.__init__]), ("operations", [query, mutation])], ids=["app", "operations"]
)
def test_options_of_the_code(mark: str, functions: list[Callable[..., Any]]) -> None:
    real = {
        name: repr(parameter.default)
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert {code(name): code(default).replace('"', "'") for name, default, _ in table(SERVICES, mark)} == real


# graphql-http.md


def test_options_of_graphql() -> None:
    told = {code(name): code(default) for name, default, _ in table(GRAPHQL, "graphql")}
    assert told == {field.name: repr(field.default) for field in dataclasses.fields(GraphqlOptions)}


# errors.md


def test_codes() -> None:
    told = [tuple(code(cell) for cell in row) for row in table(ERRORS, "codes")]
    classes = {cls.code: cls for cls in RpcError.__subclasses__() if cls.__module__ == errors.__name__}
    real = [(classes[c].__name__, c.name, str(status_of(classes[c]())), str(int(c))) for c in Code if c is not Code.OK]
    assert told == real


def test_reasons() -> None:
    rows = [[code(cell) for cell in row[:3]] for row in table(ERRORS, "reasons")]
    for reason, name, status in rows:
        assert status_of(RpcError(code=Code[name], reason=reason)) == int(status)
    listed = {(Code[name], reason) for reason, name, _ in rows}
    assert STATUS_OF_REASON.keys() <= listed
    source = "".join(path.read_text() for path in (ROOT / "src" / "polywire").rglob("*.py"))
    given = {*re.findall(r'reason="([A-Z_]+)"', source), *re.findall(r'^([A-Z_]+) = "\1"$', source, re.MULTILINE)}
    assert {reason for reason, *_ in rows} == given - {"USER_NOT_FOUND"}


# messages.md

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
KEY = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The names that the page has: those of its declarations, and what it speaks of."""
    module = types.ModuleType("docs_messages_tables")
    names = vars(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, module.__name__, module)
        for block in blocks(MESSAGES):
            if block.language == "python" and (block.file or "Payment(" in block.code):
                source = block.code.partition("\n\n\nclass Till")[0]
                exec(compile(source, str(MESSAGES), "exec", dont_inherit=True), names)  # noqa: S102 -- our own page
        names.update({name: getattr(schema, name) for name in schema.__all__}, Any=Any, Literal=Literal)
        yield names


def values(page: dict[str, Any]) -> dict[str, Any]:
    """What the examples of the table stand for, by annotation."""
    return {
        "bool": True,
        **dict.fromkeys(("Int32", "Int64", "int", "UInt32", "UInt64"), 42),
        **dict.fromkeys(("Float32", "float"), 1.5),
        "str": "text",
        "bytes": b"\xfb\xff",
        "datetime.datetime": AT,
        "datetime.timedelta": datetime.timedelta(seconds=1.5),
        "datetime.date": AT.date(),
        "decimal.Decimal": decimal.Decimal("1.50"),
        "uuid.UUID": KEY,
        "Status": page["Status"].GONE,
        "Address": page["Address"]("a", "b"),
        "Payment": page["Cash"](5),
        "list[str]": ["a"],
        "dict[str, Int32]": {"a": 1},
    }


def with_field(page: dict[str, Any], annotation: str, **default: Any) -> MessageMeta:
    namespace = {"__module__": "docs_messages_tables", "__annotations__": {"field": eval(annotation, page)}, **default}  # noqa: S307
    return MessageMeta("Sample", (Message,), namespace)


def proto_of(cls: MessageMeta) -> str:
    """The type that .proto gives to the field."""

    async def run(self: Any, sample: Any) -> None: ...

    run.__annotations__ = {"sample": cls, "return": None}
    service = type(Service)("Sampler", (Service,), {"run": query(run)}, package="shop")
    (text,) = [text for text in proto_texts([service.__polywire__]).values() if "message Sample {" in text]
    found = re.search(r"message Sample \{\n\s+(.*) field = 1;", text)
    assert found is not None
    return found[1]


def test_types(page: dict[str, Any]) -> None:
    examples = values(page)
    seen = set()
    for cell, proto, plain, proto_json, _ in table(MESSAGES, "types"):
        for annotation in re.findall(r"`([^`]+)`", cell.partition(" (")[0]):
            seen.add(annotation)
            cls = with_field(page, annotation)
            assert proto_of(cls) == code(proto)
            sample = cls(examples[annotation])
            for format, expected in ((Format.PLAIN_JSON, plain), (Format.PROTO_JSON, proto_json)):
                codec = message_codec(message_type(cls), format)
                assert codec.encode(sample).decode() == f'{{"field":{code(expected)}}}'
                assert codec.decode(codec.encode(sample)) == sample
    assert seen == examples.keys()


def test_mistakes(page: dict[str, Any]) -> None:
    for declared, told in table(MESSAGES, "mistakes"):
        name, annotation, default = re.fullmatch(r"(\w+): (.*?)(?: = (.*))?", code(declared)).groups()  # type: ignore[union-attr]
        namespace: dict[str, Any] = {"__module__": "shop", "__annotations__": {name: eval(annotation, page)}}  # noqa: S307
        if default is not None:
            namespace[name] = eval(default, page)  # noqa: S307
        with pytest.raises(SchemaError) as caught:
            message_type(MessageMeta("Sample", (Message,), namespace))
        assert str(caught.value) == f"{caught.value.where}: {told}"


def test_presence(page: dict[str, Any]) -> None:
    for declared, as_json, protobuf in table(MESSAGES, "presence"):
        annotation, _, default = code(declared).partition(": ")[2].partition(" = ")
        cls = with_field(page, annotation, **({"field": eval(default, page)} if default else {}))  # noqa: S307
        assert proto_of(cls).startswith("optional ") is protobuf.startswith("`optional`;")
        for cell, format, nothing in ((as_json, Format.PLAIN_JSON, b"{}"), (protobuf, Format.PROTOBUF, b"")):
            codec = message_codec(message_type(cls), format)
            if cell.startswith("must be there"):
                with pytest.raises(errors.InvalidInput, match="field: required"):
                    codec.decode(nothing)
            else:
                assert codec.decode(nothing).field == eval(code(cell.partition(" means ")[2]))  # noqa: S307
        if "null" in as_json:
            assert message_codec(message_type(cls), Format.PLAIN_JSON).decode(b'{"field":null}').field is None


# contracts.md


def test_rules_of_the_lint() -> None:
    assert {code(rule): asks for rule, asks in table(CONTRACTS, "lint")} == RULES


def test_rules_of_the_check() -> None:
    told = {name for rules, _ in table(CONTRACTS, "rules") for name in re.findall(r"`([a-z-]+)`", rules)}
    source = "".join(path.read_text() for path in (ROOT / "src/polywire/contract/breaking").glob("*.py"))
    real = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source))
    real = {name for name in real if not name.endswith("-added")} | {
        "method-request-changed",
        "method-response-changed",
    }
    assert told == real


# interop.md


def test_versions_of_the_foreign_clients() -> None:
    packages = json.loads((ROOT / "interop" / "package-lock.json").read_text())["packages"]
    told = {code(name): version for name, version, _ in table(ROOT / "docs" / "interop.md", "clients")}
    assert told == {name: packages[f"node_modules/{name}"]["version"] for name in told}
