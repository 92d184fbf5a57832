"""The tables of docs/websocket.md say what the code says."""

from __future__ import annotations

import dataclasses

from polywire.http import websocket
from polywire.protocols.graphql import sockets as graphql
from polywire.protocols.websocket import messages
from polywire.protocols.websocket.contract import envelopes
from polywire.service.options import WebSocketOptions
from tests.docs.pages import ROOT, table

PAGE = ROOT / "docs" / "websocket.md"
PROTOCOL = ROOT / "docs" / "websocket-protocol.md"
OF_THE_ENGINE = {1002, 1007, 1009, 1013}


def test_close_codes() -> None:
    told = [int(code.strip("`")) for code, *_ in table(PAGE, "close codes")]
    found = {
        value for module in (websocket, graphql, messages) for value in vars(module).values() if type(value) is int
    }
    assert told == sorted({code for code in found if 1000 < code < 5000} | OF_THE_ENGINE)


def test_limits() -> None:
    told = [(name.strip("`"), default.strip("`")) for name, default, _ in table(PAGE, "limits")]
    assert told == [(field.name, repr(field.default)) for field in dataclasses.fields(websocket.WebSocketLimits)]


def test_options() -> None:
    told = [(name.strip("`"), default.strip("`")) for name, default, *_ in table(PAGE, "websocket options")]
    assert told == [(field.name, repr(field.default)) for field in dataclasses.fields(WebSocketOptions)]


def test_envelopes() -> None:
    _, _, rest = PROTOCOL.read_text().partition("```protobuf\n")
    assert rest.partition("```")[0] == envelopes()
