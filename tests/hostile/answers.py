"""What every answer to bad input must be: an error of its protocol that tells nothing of the inside."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.live.http2 import Reply
from tests.live.service import SECRET
from tests.live.wire import Answer

_INSIDE = re.compile(
    r"Traceback|File \"|\.pyx?\b|/site-packages|/polywire|0x[0-9a-f]{6,}"
    r"|\b[A-Z][A-Za-z]+(?:Error|Exception)\b|polywire\.\w+|<class |object at"
)


def leaks(text: str) -> list[str]:
    """What in `text` comes from the inside: tracebacks, names of exceptions, paths of files, and our secret."""
    return [match[0] for match in _INSIDE.finditer(text)] + ([SECRET] if SECRET in text else [])


def check_envelope(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """A REST error: its status, and the envelope with its code and a message. Returns what is in the envelope."""
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json"), answer
    assert leaks(f"{answer.headers} {answer.body.decode()}") == []
    error: dict[str, Any] = json.loads(answer.body)["error"]
    assert error["code"] == code
    assert error["message"]
    return error


def check_status(reply: Reply, code: int) -> str:
    """A gRPC error: HTTP 200, its grpc-status and a message. Returns the message."""
    assert reply.reset is None
    assert (reply.head[":status"], reply.grpc_status) == ("200", str(code)), reply
    assert leaks(reply.everything) == []
    assert reply.body == b""
    message = reply.head.get("grpc-message", reply.trailers.get("grpc-message", ""))
    assert message
    return message
