"""Paths: literal, variable and rest segments, percent-encoding."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

from fuzz.source import Source
from polywire.errors import METHOD_NOT_ALLOWED, MalformedInput, NotFound, Unimplemented
from polywire.http.router import Router

TEMPLATES = [
    ("GET", "/"),
    ("GET", "/v1/users"),
    ("POST", "/v1/users"),
    ("GET", "/v1/users/{id}"),
    ("DELETE", "/v1/users/{id}"),
    ("GET", "/v1/users/live"),
    ("GET", "/v1/users/{id}/orders/{order}"),
    ("GET", "/v1/users/live/orders"),
    ("PUT", "/v1/{kind}/live"),
    ("GET", "/files/{path*}"),
]
VERBS = ["GET", "POST", "DELETE", "PUT", "HEAD", "BREW"]
router: Router[tuple[str, str]] = Router()
for _verb, _template in TEMPLATES:
    router.add(_verb, _template, (_verb, _template))


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    verb = source.one_of(VERBS)
    path = source.text()
    allowed = router.allowed(path) if path.startswith("/") else []
    try:
        (_, template), values = router.match(verb, path)
    except NotFound:
        assert not allowed
    except Unimplemented as error:
        assert error.reason == METHOD_NOT_ALLOWED
        assert verb not in allowed or verb in ("HEAD", "OPTIONS")
    except MalformedInput:
        assert "%" in path or not path.isascii()
    else:
        assert verb in allowed
        assert len(values) == template.count("{")
        # Back again: the values in their places are a path to the same target.
        filled, left = template, list(values)
        for name in [part.split("}")[0] for part in template.split("{")[1:]]:
            value = quote_from_bytes(left.pop(0).encode(), safe="/" if name.endswith("*") else "")
            filled = filled.replace("{" + name + "}", value, 1)
        again, _ = router.match(verb, filled)
        assert again == (verb, template) or "live" in filled
