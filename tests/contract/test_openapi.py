from __future__ import annotations

import enum
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from polywire.contract.openapi import openapi
from polywire.schema.errors import SchemaError
from polywire.schema.types import EnumType, EnumValue, Kind, ServiceType, Shape

from .tables import CIRCLE, EMPTY, ITEM, SHOP, STATUS, field, message, method, of


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi([SHOP], title="Shop", version="1.2.3", description="All of it.")


def service(*methods: Any) -> ServiceType:
    return ServiceType("Shop", "shop.v1", "shop.v1.Shop", methods)


def test_is_valid_openapi_and_json(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(json.loads(json.dumps(document))).validate()
    assert document["info"] == {"title": "Shop", "version": "1.2.3", "description": "All of it."}


def test_every_route_has_an_operation_with_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = {
        f"{verb.upper()} {path}": operation["operationId"]
        for path, item in document["paths"].items()
        for verb, operation in item.items()
    }
    assert ids == {
        "GET /v1/items/{id}": "shop.v1.Shop.GetItem",
        "GET /items/{id}": "shop.v1.Shop.GetItem_2",
        "GET /v1/items": "shop.v1.Shop.ListItems",
        "POST /v1/items": "shop.v1.Shop.CreateItem",
        "PUT /v1/items/{id}": "shop.v1.Shop.RenameItem",
        "DELETE /v1/items/{id}": "shop.v1.Shop.DeleteItem",
        "GET /v1/names": "shop.v1.Shop.Names",
        "POST /v1/upload": "shop.v1.Shop.Upload",
    }


def test_texts(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/items/{id}"]["get"]
    assert operation["summary"] == "One item"
    assert operation["description"] == "One item. By its number."
    assert operation["tags"] == ["shop.v1.Shop"]
    assert document["tags"][0]["name"] == "shop.v1.Shop"
    assert document["tags"][0]["description"] == "Sells things."


def test_a_method_without_a_route_stands_under_its_tag(document: dict[str, Any]) -> None:
    (method_,) = document["tags"][0]["x-rpc-methods"]
    assert method_["path"] == "shop.v1.Shop/Chat"
    assert method_["shape"] == "bidi_stream"


def test_parameters(document: dict[str, Any]) -> None:
    (id_,) = document["paths"]["/v1/items/{id}"]["get"]["parameters"]
    assert id_ == {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "Its number.",
        "schema": {"type": "integer", "format": "int32"},
        "example": 42,
    }
    parameters = {item["name"]: item for item in document["paths"]["/v1/items"]["get"]["parameters"]}
    assert parameters["limit"]["schema"] == {
        "type": "integer",
        "format": "int32",
        "minimum": 1,
        "maximum": 100,
        "default": 20,
    }
    assert not parameters["limit"]["required"]
    assert parameters["tags"]["schema"] == {"type": "array", "items": {"type": "string"}, "default": []}
    assert parameters["status"]["schema"] == {"anyOf": [{"$ref": "#/components/schemas/Status"}, {"type": "null"}]}


def test_bodies_hold_what_the_path_does_not(document: dict[str, Any]) -> None:
    whole = document["paths"]["/v1/items"]["post"]["requestBody"]["content"]["application/json"]
    assert whole["schema"] == {"$ref": "#/components/schemas/Item"}
    part = document["paths"]["/v1/items/{id}"]["put"]["requestBody"]
    assert part["required"] is True
    assert part["content"]["application/json"] == {
        "schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        "example": {"name": "Alice"},
    }
    assert "requestBody" not in document["paths"]["/v1/items/{id}"]["delete"]
    assert "RenameItemRequest" not in document["components"]["schemas"]


def test_responses(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert set(paths["/v1/items"]["post"]["responses"]) == {"201", "default"}
    assert "content" not in paths["/v1/items/{id}"]["delete"]["responses"]["204"]
    names = paths["/v1/names"]["get"]["responses"]["200"]["content"]["application/json"]
    assert names == {"schema": {"type": "array", "items": {"type": "string"}}, "example": ["text"]}
    assert set(paths["/v1/items"]["get"]["responses"]["200"]["content"]) == {
        "application/x-ndjson",
        "text/event-stream",
    }
    (sent,) = paths["/v1/upload"]["post"]["requestBody"]["content"].items()
    assert sent[0] == "application/x-ndjson"
    assert sent[1]["example"] == paths["/v1/items"]["post"]["requestBody"]["content"]["application/json"]["example"]
    error = document["components"]["responses"]["polywire.Error"]["content"]
    assert set(error) == {"application/json", "application/problem+json"}


def test_properties(document: dict[str, Any]) -> None:
    item = document["components"]["schemas"]["Item"]
    properties = item["properties"]
    assert item["description"] == "A thing\nthat is sold."
    assert properties["name"] == {"type": "string", "minLength": 1, "maxLength": 80, "pattern": "^[A-Za-z ]+$"}
    assert properties["status"] == {"$ref": "#/components/schemas/Status", "default": "active"}
    assert properties["note"] == {"type": ["string", "null"]}
    assert properties["stock_count"] == {"type": "integer", "format": "uint32", "minimum": 0, "maximum": 1000}
    assert properties["tags"] == {"type": "array", "items": {"type": "string"}, "maxItems": 5}
    assert properties["prices_by_shop"] == {
        "type": "object",
        "additionalProperties": {"$ref": "#/components/schemas/Money"},
        "propertyNames": {"pattern": "^-?[0-9]+$"},
    }
    assert properties["big"] == {
        "type": "integer",
        "format": "int64",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 10,
        "multipleOf": 3,
    }
    formats = {name: schema["format"] for name, schema in properties.items() if "format" in schema}
    assert formats == {
        "id": "int32",
        "stock_count": "uint32",
        "created_at": "date-time",
        "lifetime": "duration",
        "data": "byte",
        "uuid": "uuid",
        "day": "date",
        "big": "int64",
        "unsigned": "uint64",
        "ratio": "float",
    }
    assert item["required"] == [field.name for field in ITEM.fields if field.required]
    assert document["components"]["schemas"]["Status"]["enum"] == ["active", "gone"]


def test_unions_are_tagged(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Shape"]["oneOf"] == [
        {"$ref": "#/components/schemas/Shape.Circle"},
        {"$ref": "#/components/schemas/Shape.Square"},
    ]
    assert schemas["Shape"]["discriminator"]["mapping"]["Circle"] == "#/components/schemas/Shape.Circle"
    validator = Draft202012Validator({"$ref": "#/components/schemas/Shape", "components": {"schemas": schemas}})
    assert validator.is_valid({"type": "Circle", "radius": 1})
    assert not validator.is_valid({"radius": 1})
    assert not validator.is_valid({"type": "Square", "radius": 1})


def test_examples_satisfy_their_schemas(document: dict[str, Any]) -> None:
    seen = 0
    for path, item in document["paths"].items():
        for operation in item.values():
            media = [
                *operation.get("parameters", ()),
                *operation.get("requestBody", {}).get("content", {}).values(),
                *operation["responses"].get("200", {}).get("content", {}).values(),
            ]
            for one in media:
                if "example" in one:
                    seen += 1
                    (
                        Draft202012Validator({**one["schema"], "components": document["components"]}).validate(
                            one["example"]
                        ),
                        path,
                    )
    assert seen >= 8


def test_names_that_clash_are_written_in_full() -> None:
    other = message("other.Item", field("x", 1, Kind.STRING))
    both = message("shop.v1.Both", field("a", 1, of(other)), field("b", 2, of(ITEM)))
    document = openapi([service(method("GetBoth", EMPTY, both, "GET /both"))], title="t", version="1")
    schemas = document["components"]["schemas"]
    assert {"other.Item", "shop.v1.Item", "Both"} <= set(schemas)
    assert "Item" not in schemas
    OpenAPIV31SpecValidator(document).validate()


def test_two_types_of_one_full_name_are_refused() -> None:
    twin = message("shop.v1.Circle", field("x", 1, Kind.STRING))
    both = message("shop.v1.Both", field("a", 1, of(twin)), field("b", 2, of(CIRCLE)))
    with pytest.raises(SchemaError, match=r"shop\.v1\.Circle"):
        openapi([service(method("GetBoth", EMPTY, both, "GET /both"))], title="t", version="1")


def test_templates_that_differ_in_names_only_are_one_path() -> None:
    by_id = message("shop.v1.A", field("id", 1, Kind.INT32))
    by_name = message("shop.v1.B", field("item", 1, Kind.INT32))
    document = openapi(
        [service(method("Get", by_id, EMPTY, "GET /x/{id}"), method("Drop", by_name, EMPTY, "DELETE /x/{item}"))],
        title="t",
        version="1",
    )
    assert list(document["paths"]) == ["/x/{id}"]
    assert document["paths"]["/x/{id}"]["delete"]["parameters"][0]["name"] == "id"
    OpenAPIV31SpecValidator(document).validate()


def test_a_stream_that_tells_positions_takes_one_back() -> None:
    made = method("Tail", EMPTY, ITEM, "GET /tail", shape=Shape.SERVER_STREAM, tracked=True)
    document = openapi([service(made)], title="t", version="1")
    OpenAPIV31SpecValidator(document).validate()
    (parameter,) = document["paths"]["/tail"]["get"]["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("Last-Event-ID", "header", False)


def test_a_rest_of_path_parameter_is_an_ordinary_one() -> None:
    file = message("shop.v1.File", field("path", 1, Kind.STRING))
    document = openapi([service(method("Get", file, EMPTY, "GET /files/{path*}"))], title="t", version="1")
    assert list(document["paths"]) == ["/files/{path}"]


def test_messages_may_contain_themselves() -> None:
    fields: list[Any] = [field("name", 1, Kind.STRING)]
    node = message("shop.v1.Node")
    fields.append(field("next", 2, of(node), required=False, nullable=True, explicit_presence=True))
    object.__setattr__(node, "fields", tuple(fields))
    document = openapi([service(method("Get", EMPTY, node, "GET /node"))], title="t", version="1")
    assert set(document["components"]["schemas"]) >= {"Node"}


def test_an_enum_alone_is_a_query_parameter() -> None:
    wanted = message("shop.v1.Wanted", field("status", 1, of(STATUS)))
    document = openapi([service(method("Get", wanted, EMPTY, "GET /w"))], title="t", version="1")
    (parameter,) = document["paths"]["/w"]["get"]["parameters"]
    assert parameter["schema"] == {"$ref": "#/components/schemas/Status"}
    assert parameter["example"] == "active"


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        ({"A": "a", "B": "b"}, {"type": "string", "enum": ["a", "b"]}),
        ({"A": 1, "B": 2}, {"type": "integer", "enum": [1, 2]}),
        ({"A": object(), "B": True}, {"type": "string", "enum": ["A", "B"]}),
        ({"A": "a", "B": 2}, {"type": ["integer", "string"], "enum": ["a", 2]}),
    ],
)
def test_enums_are_written_as_plain_json_has_them(values: dict[str, Any], schema: dict[str, Any]) -> None:
    cls = enum.Enum("Kind", values)  # type: ignore[misc]
    members = tuple(EnumValue(one.name, one.name, at, one) for at, one in enumerate(cls, 1))
    table = EnumType("Kind", "shop.v1.Kind", cls, members)
    wanted = message("shop.v1.Wanted", field("kind", 1, of(table)))
    document = openapi([service(method("Get", EMPTY, wanted, "GET /w"))], title="t", version="1")
    assert document["components"]["schemas"]["Kind"] == schema
