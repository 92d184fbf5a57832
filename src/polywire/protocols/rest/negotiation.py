"""What a REST caller accepts, and how long it waits. Header texts repeat, so answers are kept by text, boundedly."""

from __future__ import annotations

import math

from polywire.errors import MalformedInput
from polywire.http.text_cache import text_cached

EVENT_STREAM = "text/event-stream"
NDJSON = "application/x-ndjson"
NDJSON_NAMES = (NDJSON, "application/ndjson", "application/jsonl")
"""No name is registered; these are in use."""


@text_cached
def accepts_json(accept: str) -> bool:
    """Whether `Accept` (RFC 9110 §12.5.1) lets us answer in JSON."""
    return max(weight(accept, "application/json"), weight(accept, "application/problem+json")) > 0


@text_cached
def accepted_stream(accept: str) -> str | None:
    """The form of a stream that `Accept` prefers: `text/event-stream` only where it is named; None: neither."""
    events = weight(accept, EVENT_STREAM)
    lines = max(weight(accept, name) for name in NDJSON_NAMES)
    if EVENT_STREAM in accept.lower() and events > 0 and events >= lines:
        return EVENT_STREAM
    return NDJSON if lines > 0 else None


@text_cached
def is_ndjson(content_type: str) -> bool:
    """Whether a request body is declared as newline-delimited JSON."""
    return content_type.partition(";")[0].strip().lower() in NDJSON_NAMES


@text_cached
def accepts_problem(accept: str) -> bool:
    """Whether `Accept` names `application/problem+json` and does not prefer plain JSON to it."""
    if "application/problem+json" not in accept.lower():
        return False
    problem = weight(accept, "application/problem+json")
    return problem > 0 and problem >= weight(accept, "application/json")


def weight(accept: str, media_type: str) -> float:
    """The q of the most specific range that matches; 0.0 where none does."""
    kind = media_type.split("/")[0]
    best = (-1, 0.0)
    for item in accept.split(","):
        name, *parameters = [part.strip().lower() for part in item.split(";")]
        if name == media_type:
            precision = 2
        elif name == f"{kind}/*":
            precision = 1
        elif name == "*/*":
            precision = 0
        else:
            continue
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    quality = min(1.0, max(0.0, float(value)))
                except ValueError:
                    quality = 0.0
        if precision > best[0]:
            best = (precision, quality)
    return best[1]


@text_cached
def is_json(content_type: str) -> bool:
    """Whether a request body is declared as JSON: `application/json`, or a `+json` type, in UTF-8."""
    name, *parameters = [part.strip().lower() for part in content_type.split(";")]
    if name != "application/json" and not (name.startswith("application/") and name.endswith("+json")):
        return False
    charsets = [value.strip('"') for key, _, value in (part.partition("=") for part in parameters) if key == "charset"]
    return all(charset in ("utf-8", "utf8", "us-ascii") for charset in charsets)


@text_cached
def timeout_s(header: str) -> float:
    """Seconds from a `Request-Timeout` header. Raises MalformedInput for anything but a positive decimal number."""
    text = header.strip()
    if len(text) > 16 or not text.replace(".", "", 1).isdigit() or not text.isascii():
        raise MalformedInput("request-timeout must be a number of seconds, such as 2.5")
    seconds = float(text)
    if not math.isfinite(seconds) or seconds <= 0:
        raise MalformedInput("request-timeout must be more than 0 seconds")
    return seconds
