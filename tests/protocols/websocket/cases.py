"""Messages from a client, and what the server answers: the same in every framing, written as JSON."""

from __future__ import annotations

from typing import Any

CALLS: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = [
    (
        "a result",
        [{"type": "call", "id": 1, "method": "desk.Desk/Get", "input": {"text": "naïve", "number": 5}}],
        [{"type": "result", "id": 1, "message": {"text": "naïve", "number": 5, "data": ""}}],
    ),
    (
        "no input, a bare result",
        [{"type": "call", "id": 9007199254740991, "method": "desk.Desk/Bare"}],
        [{"type": "result", "id": 9007199254740991, "message": 7}],
    ),
    (
        "no result",
        [{"type": "call", "id": 1, "method": "desk.Desk/Nothing", "unknown": []}],
        [{"type": "result", "id": 1}],
    ),
    (
        "an id again, once it is free",
        [{"type": "call", "id": 1, "method": "desk.Desk/Bare"}, {"type": "call", "id": 1, "method": "desk.Desk/Bare"}],
        [{"type": "result", "id": 1, "message": 7}, {"type": "result", "id": 1, "message": 7}],
    ),
    (
        "metadata there and back",
        [{"type": "call", "id": 1, "method": "desk.Desk/Told", "input": {"name": "k"}, "metadata": {"K": "v"}}],
        [
            {
                "type": "result",
                "id": 1,
                "message": "v",
                "metadata": {"said": "before, twice", "after-bin": "AP8"},
            }
        ],
    ),
    (
        "an error",
        [{"type": "call", "id": 3, "method": "desk.Desk/Fails"}],
        [
            {
                "type": "error",
                "id": 3,
                "code": "NOT_FOUND",
                "reason": "NOTE_NOT_FOUND",
                "message": "no such note",
                "details": [
                    {"field": "text", "reason": "is not there"},
                    {"type": "Note", "text": "x", "number": 1, "data": ""},
                ],
                "metadata": {"retry-after": "3"},
            }
        ],
    ),
    (
        "no such method",
        [{"type": "call", "id": 3, "method": "desk.Desk/Gone"}],
        [{"type": "error", "id": 3, "code": "UNIMPLEMENTED", "message": "there is no method 'desk.Desk/Gone'"}],
    ),
    (
        "a wrong input",
        [{"type": "call", "id": 3, "method": "desk.Desk/Get", "input": {"text": "x", "number": 101}}],
        [
            {
                "type": "error",
                "id": 3,
                "code": "INVALID_ARGUMENT",
                "reason": "INVALID",
                "message": "number: must be at most 100",
                "details": [{"field": "number", "reason": "must be at most 100"}],
            }
        ],
    ),
    (
        "a time-out that is none",
        [{"type": "call", "id": 3, "method": "desk.Desk/Bare", "timeout_s": 0}],
        [
            {
                "type": "error",
                "id": 3,
                "code": "INVALID_ARGUMENT",
                "reason": "MALFORMED",
                "message": "timeout_s must be above 0",
            }
        ],
    ),
    (
        "a deadline",
        [{"type": "call", "id": 3, "method": "desk.Desk/Waits", "timeout_s": 0.01}],
        [{"type": "error", "id": 3, "code": "DEADLINE_EXCEEDED", "message": "the deadline has passed"}],
    ),
    (
        "a cancellation",
        [{"type": "call", "id": 3, "method": "desk.Desk/Waits"}, {"type": "cancel", "id": 3}],
        [{"type": "error", "id": 3, "code": "CANCELLED", "message": "the caller cancelled the call"}],
    ),
    (
        "a stream",
        [{"type": "call", "id": 3, "method": "desk.Desk/Count", "input": {"to": 2}}],
        [
            {"type": "next", "id": 3, "message": 0},
            {"type": "next", "id": 3, "message": 1},
            {"type": "end", "id": 3},
        ],
    ),
    (
        "a stream with positions, from one on",
        [{"type": "call", "id": 3, "method": "desk.Desk/Positions", "input": {"to": 2}, "after": "1"}],
        [
            {"type": "next", "id": 3, "message": {"text": "n", "number": 2, "data": ""}, "position": "2"},
            {"type": "end", "id": 3},
        ],
    ),
    (
        "a stream in",
        [
            {"type": "call", "id": 3, "method": "desk.Desk/Join"},
            {"type": "next", "id": 3, "message": {"text": "a"}},
            {"type": "next", "id": 3, "message": {"text": "b"}},
            {"type": "end", "id": 3},
        ],
        [{"type": "result", "id": 3, "message": "a+b"}],
    ),
    (
        "streams both ways",
        [
            {"type": "call", "id": 3, "method": "desk.Desk/Mirror"},
            {"type": "next", "id": 3, "message": {"text": "a"}},
            {"type": "end", "id": 3},
        ],
        [
            {"type": "next", "id": 3, "message": {"text": "a", "number": 0, "data": ""}},
            {"type": "end", "id": 3},
        ],
    ),
    (
        "calls side by side",
        [
            {"type": "call", "id": 1, "method": "desk.Desk/Mirror"},
            {"type": "call", "id": 2, "method": "desk.Desk/Bare"},
            {"type": "end", "id": 1},
        ],
        [{"type": "result", "id": 2, "message": 7}, {"type": "end", "id": 1}],
    ),
    (
        "what is over may be spoken of",
        [
            {"type": "next", "id": 4, "message": {"text": "a"}},
            {"type": "end", "id": 4},
            {"type": "cancel", "id": 4},
            {"type": "credit", "id": 4, "count": 1},
            {"type": "ping"},
        ],
        [{"type": "pong"}],
    ),
    (
        "a hello that nobody asked for",
        [
            {"type": "hello", "token": "t"},
            {"type": "call", "id": 1, "method": "desk.Desk/Told", "input": {"name": "authorization"}},
        ],
        [
            {
                "type": "result",
                "id": 1,
                "message": "Bearer t",
                "metadata": {"said": "before, twice", "after-bin": "AP8"},
            }
        ],
    ),
]
