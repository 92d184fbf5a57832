"""Tables made by hand, so that the contracts are tested without the reader of annotations."""

from __future__ import annotations

import enum
from typing import Any

from polywire.schema.names import lower_camel
from polywire.schema.types import (
    Cardinality,
    Constraints,
    EnumType,
    EnumValue,
    Field,
    Kind,
    MessageType,
    Method,
    MethodKind,
    ResultForm,
    Route,
    ServiceType,
    Shape,
    Type,
    UnionMember,
    UnionType,
)


def field(name: str, number: int, type_: Kind | Type, **options: Any) -> Field:
    return Field(name, lower_camel(name), number, type_ if isinstance(type_, Type) else Type(type_), **options)


def message(full_name: str, *fields: Field, **options: Any) -> MessageType:
    name = full_name.rpartition(".")[2]
    return MessageType(name, full_name, type(name, (), {}), fields, **options)


def of(table: MessageType | EnumType | UnionType) -> Type:
    if isinstance(table, MessageType):
        return Type(Kind.MESSAGE, message=table)
    if isinstance(table, EnumType):
        return Type(Kind.ENUM, enum=table)
    return Type(Kind.UNION, union=table)


def method(name: str, input_: MessageType, output: MessageType, *routes: str, **options: Any) -> Method:
    made = []
    for route in routes:
        verb, template = route.split(" ")
        names = tuple(part[1:-1].removesuffix("*") for part in template.split("/") if part.startswith("{"))
        made.append(Route(verb, template, names))
    options.setdefault("kind", MethodKind.QUERY)
    options.setdefault("shape", Shape.UNARY)
    options.setdefault("result_form", ResultForm.MESSAGE)
    return Method(
        name=name,
        python_name=name.lower(),
        service=options.pop("service", "shop.v1.Shop"),
        input=input_,
        output=output,
        arguments=None,
        routes=tuple(made),
        **options,
    )


class Status(enum.Enum):
    ACTIVE = "active"
    GONE = "gone"


STATUS = EnumType(
    "Status",
    "shop.v1.Status",
    Status,
    (EnumValue("ACTIVE", "STATUS_ACTIVE", 1, Status.ACTIVE), EnumValue("GONE", "STATUS_GONE", 2, Status.GONE)),
    doc="Whether it is sold.",
    reserved=(3, 5),
    reserved_names=("STATUS_OLD", "STATUS_STALE"),
)

EMPTY = message("google.protobuf.Empty", generated=True)
MONEY = message("common.Money", field("amount", 1, Kind.DECIMAL), field("currency", 2, Kind.STRING))
CIRCLE = message("shop.v1.Circle", field("radius", 1, Kind.DOUBLE))
SQUARE = message("shop.v1.Square", field("side", 1, Kind.DOUBLE))
SHAPE = UnionType(
    "Shape",
    "shop.v1.Shape",
    object,
    (UnionMember("circle", "Circle", 1, CIRCLE), UnionMember("square", "Square", 2, SQUARE)),
    doc="Its outline.",
    reserved=(3,),
    reserved_names=("line",),
)

ITEM = message(
    "shop.v1.Item",
    field("id", 1, Kind.INT32, is_id=True, doc="Its number."),
    field("name", 2, Type(Kind.STRING, constraints=Constraints(min_length=1, max_length=80, pattern="^[A-Za-z ]+$"))),
    field("price", 3, of(MONEY), explicit_presence=True),
    field("status", 4, of(STATUS), required=False, default=Status.ACTIVE, explicit_presence=True),
    field("stock_count", 5, Type(Kind.UINT32, constraints=Constraints(le=1000))),
    field("note", 6, Kind.STRING, required=False, explicit_presence=True, nullable=True),
    field("tags", 7, Kind.STRING, cardinality=Cardinality.LIST, constraints=Constraints(max_length=5)),
    field("prices_by_shop", 8, of(MONEY), cardinality=Cardinality.MAP, map_key=Kind.INT64),
    field("labels", 9, Kind.STRING, cardinality=Cardinality.MAP, map_key=Kind.STRING),
    field("created_at", 10, Kind.TIMESTAMP, explicit_presence=True),
    field("lifetime", 11, Kind.DURATION, required=False, explicit_presence=True, nullable=True),
    field("shape", 12, of(SHAPE), required=False, explicit_presence=True, nullable=True),
    field("data", 13, Kind.BYTES),
    field("uuid", 14, Kind.UUID),
    field("day", 15, Kind.DATE),
    field("big", 16, Type(Kind.INT64, constraints=Constraints(gt=0, lt=10, multiple_of=3))),
    field("unsigned", 17, Kind.UINT64, required=False, default=7, explicit_presence=True),
    field("ratio", 18, Kind.FLOAT),
    field("flag", 19, Kind.BOOL),
    field("x", 21, of(STATUS), cardinality=Cardinality.LIST),
    reserved=(20, 22),
    reserved_names=("colour", "weight"),
    doc="A thing\nthat is sold.",
)
GET = message("shop.v1.GetItemRequest", ITEM.fields[0], generated=True)
LIST_ITEMS = message(
    "shop.v1.ListItemsRequest",
    field("status", 1, of(STATUS), required=False, nullable=True, explicit_presence=True),
    field("limit", 2, Type(Kind.INT32, constraints=Constraints(ge=1, le=100)), required=False, default=20),
    field("tags", 3, Kind.STRING, cardinality=Cardinality.LIST, required=False, default_factory=list),
    generated=True,
)
RENAME = message("shop.v1.RenameItemRequest", field("id", 1, Kind.INT32), field("name", 2, Kind.STRING), generated=True)
NAMES = message("shop.v1.NamesResponse", field("values", 1, Kind.STRING, cardinality=Cardinality.LIST), generated=True)

SHOP = ServiceType(
    "Shop",
    "shop.v1",
    "shop.v1.Shop",
    (
        method("GetItem", GET, ITEM, "GET /v1/items/{id}", "GET /items/{id}", doc="One item. By its number."),
        method("ListItems", LIST_ITEMS, ITEM, "GET /v1/items", shape=Shape.SERVER_STREAM),
        method("CreateItem", ITEM, ITEM, "POST /v1/items", kind=MethodKind.MUTATION, status=201, idempotent=True),
        method("RenameItem", RENAME, ITEM, "PUT /v1/items/{id}", kind=MethodKind.MUTATION),
        method(
            "DeleteItem", GET, EMPTY, "DELETE /v1/items/{id}", kind=MethodKind.MUTATION, result_form=ResultForm.EMPTY
        ),
        method("Names", EMPTY, NAMES, "GET /v1/names", result_form=ResultForm.WRAPPED),
        method("Upload", ITEM, EMPTY, "POST /v1/upload", shape=Shape.CLIENT_STREAM, result_form=ResultForm.EMPTY),
        method("Chat", ITEM, ITEM, shape=Shape.BIDI_STREAM, doc="Both ways."),
    ),
    doc="Sells things.",
)
