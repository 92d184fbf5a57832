"""The endpoints of the contract: `/openapi.json`, the page that shows it, `/docs`, and `/asyncapi.json`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from polywire.contract.asyncapi import asyncapi
from polywire.contract.openapi import openapi
from polywire.protocols.docs_page import docs_headers, docs_page
from polywire.wire.headers import HeaderBlock

if TYPE_CHECKING:
    from polywire.http.exchange import Exchange
    from polywire.service.app import App

_VARY = ("vary", "accept-encoding")
_JSON = HeaderBlock([("content-type", "application/json"), ("cache-control", "no-cache"), _VARY])


def docs_endpoints(app: App) -> dict[str, Callable[[Exchange], None]]:
    """By path; each answers GET. Each document is made at the first request and kept."""

    @functools.cache
    def document() -> bytes:
        services = [service for service, _ in app.services]
        return msgspec.json.encode(openapi(services, title=app.name, version=app.version))

    @functools.cache
    def events() -> bytes:
        services = [service for service, _ in app.services]
        path = app.websocket_options.path
        return msgspec.json.encode(asyncapi(services, title=app.name, version=app.version, path=path))

    @functools.cache
    def headers() -> HeaderBlock:
        return HeaderBlock([*docs_headers(), _VARY])

    def show_document(exchange: Exchange) -> None:
        exchange.respond(200, _JSON, document(), (), None, True)

    def show_events(exchange: Exchange) -> None:
        exchange.respond(200, _JSON, events(), (), None, True)

    def show_page(exchange: Exchange) -> None:
        exchange.respond(200, headers(), docs_page(), (), None, True)

    return {"/openapi.json": show_document, "/asyncapi.json": show_events, "/docs": show_page}
