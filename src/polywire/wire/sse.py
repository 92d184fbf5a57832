"""Server-sent events as bytes (WHATWG HTML §9.2.5)."""

from __future__ import annotations

COMMENT = b":\n\n"
"""Says nothing to a reader, and keeps proxies from cutting a silent stream."""
END_ID = ":end"
"""The id of a finite stream's last event: a browser that connects again with it is answered 204, and stops (§9.2.3)."""


def event(data: bytes, *, name: str | None = None, id: str | None = None) -> bytes:
    """One event. data: without line breaks, such as compact JSON. name, id: one line each."""
    head = "" if name is None else f"event: {name}\n"
    if id is not None:
        head = f"{head}id: {id}\n"
    return b"%sdata: %s\n\n" % (head.encode(), data)


def retry(seconds: float) -> bytes:
    """Tell the browser how long to wait before it connects again."""
    return b"retry: %d\n\n" % round(seconds * 1000)
