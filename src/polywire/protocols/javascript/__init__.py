"""The JavaScript client: `/polywire.js`, one ES module made of those here, and `/polywire.d.ts`, its types.

Both are for good under the version of polywire, `/polywire.js?v=0.1.0`, and otherwise asked for anew by their tag.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from polywire.http.conditional import Outcome, Validators, evaluate
from polywire.protocols.scripts import asset, joined
from polywire.runtime.metrics import package_version
from polywire.wire.headers import HeaderBlock

if TYPE_CHECKING:
    from polywire.http.exchange import Exchange

MODULES = (
    "errors",
    "backoff",
    "feed",
    "call",
    "stream_call",
    "events",
    "websocket",
    "http",
    "polling",
    "link",
    "connection",
    "client",
)
"""Each imports those before it only."""
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "public, no-cache"


def javascript_endpoints() -> dict[str, Callable[[Exchange], None]]:
    """By path; each answers GET."""
    return {
        "/polywire.js": _endpoint("text/javascript; charset=utf-8", script),
        "/polywire.d.ts": _endpoint("application/typescript; charset=utf-8", types),
    }


@functools.cache
def script() -> bytes:
    """The client, as it is served."""
    head = f"// The JavaScript client of polywire {package_version()}; Apache-2.0.\n\n"
    return (head + joined(__name__, MODULES, exports=True)).encode()


@functools.cache
def types() -> bytes:
    """Its types."""
    return asset(__name__, "polywire.d.ts").encode()


def _endpoint(content_type: str, text: Callable[[], bytes]) -> Callable[[Exchange], None]:
    query = f"v={package_version()}"

    @functools.cache
    def answer(for_good: bool) -> tuple[Validators, HeaderBlock]:
        tag = f'W/"{hashlib.sha256(text()).hexdigest()[:32]}"'
        fields = [
            ("content-type", content_type),
            ("etag", tag),
            ("cache-control", _FOR_GOOD if for_good else _ASK_AGAIN),
            ("x-content-type-options", "nosniff"),
            ("vary", "accept-encoding"),
        ]
        return Validators(tag), HeaderBlock(fields)

    def serve(exchange: Exchange) -> None:
        validators, fields = answer(exchange.query == query)
        outcome = evaluate(exchange.method, exchange.headers, validators)
        if outcome is Outcome.PROCEED:
            exchange.respond(200, fields, text(), (), None, True)
        else:
            exchange.respond(304 if outcome is Outcome.NOT_MODIFIED else 412, fields, b"")

    return serve
