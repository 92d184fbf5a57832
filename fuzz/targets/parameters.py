"""REST requests: path values, a query string and a body into a method's input."""

from __future__ import annotations

from fuzz.source import Source
from polywire.codec import request_binder
from polywire.codec.json import Profile, json_reader, json_writer
from polywire.errors import InvalidInput, MalformedInput
from polywire.schema.types import MessageType, Route
from tests.codec.tables import EVERYTHING, USER, method
from tests.codec.test_parameters import SEARCH
from tests.codec.test_protobuf_oracle import same

ROUTES: list[tuple[MessageType, Route]] = [
    (SEARCH, Route("GET", "/s/{id}", ("id",))),
    (EVERYTHING, Route("GET", "/e", ())),
    (EVERYTHING, Route("DELETE", "/e/{at}/{price}/{status}", ("at", "price", "status"))),
    (USER, Route("POST", "/users", ())),
    (USER, Route("PUT", "/users/{id}", ("id",))),
]
BINDERS = [(message, route, request_binder(method(message, USER), route)) for message, route in ROUTES]


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    message, route, bind = source.one_of(BINDERS)
    texts = [source.take(source.byte() % 40).decode("utf-8", "replace") for _ in route.parameters]
    query = source.take(source.number(2) % 2048).decode("latin-1")
    body = source.rest()
    try:
        value = bind(texts, query, body)
    except (InvalidInput, MalformedInput):
        return
    assert isinstance(value, message.cls)
    assert not body or route.verb in ("POST", "PUT")
    written = json_writer(message, Profile.PLAIN).encode(value)
    assert same(json_reader(message, Profile.PLAIN).decode(written), value)
