"""AsyncAPI 3.0 from the tables: what the polywire WebSocket protocol says, message by message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polywire.contract.json_schema import Components, Schema
from polywire.contract.openapi import used
from polywire.contract.reach import named_types
from polywire.errors import Code
from polywire.schema.types import Method, ResultForm, ServiceType

_TEXT: Schema = {"type": "string"}
_ID: Schema = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1, "description": "Of the call, by the client."}
_COUNT: Schema = {"type": "integer", "minimum": 1, "description": "Items that may be sent beside those before."}
_METADATA: Schema = {"type": "object", "additionalProperties": _TEXT, "description": "What goes along with it."}
_POSITION: Schema = {"type": "string", "description": "To go on after, by `after` of a later call."}
_CALL: Schema = {
    "timeout_s": {"type": "number", "exclusiveMinimum": 0, "description": "Seconds that the call may take."},
    "metadata": _METADATA,
}
_CREDIT: Schema = {"type": "integer", "minimum": 1, "default": 256, "description": "Items that the server may send."}
_ERROR: Schema = {
    "code": {"type": "string", "enum": [code.name for code in Code if code]},
    "reason": {"type": "string", "description": "The service's own stable word."},
    "message": {"type": "string", "description": "For people."},
    "details": {"type": "array", "items": {"type": "object"}},
    "request_id": {"type": "string", "description": "The same as in the server's log."},
    "metadata": _METADATA,
}
_WELCOME: Schema = {
    "version": {"type": "integer", "const": 1},
    "session": {"type": "string", "description": "Of this socket."},
    "server": {"type": "string", "description": "Of the process."},
    "app": {"type": "object", "properties": {"name": _TEXT, "version": _TEXT}},
    "capabilities": {"type": "array", "items": _TEXT},
    "heartbeat_s": {"type": "number", "description": "Seconds; the server pings twice in each where it hears nothing."},
    "limits": {
        "type": "object",
        "properties": {
            "message_bytes": {"type": "integer", "description": "Of one message."},
            "calls": {"type": "integer", "description": "Under way at once."},
            "credit": {"type": "integer", "description": "Items of a client stream before the server gives credit."},
        },
    },
}

_SOCKET = "socket"
_RECEIVED = ("hello", "ping")
_SENT = ("welcome", "pong", "goingAway", "refused")
_DOC = "docs/websocket-protocol.md of polywire says it in prose; MessagePack and protobuf carry the same messages."


def asyncapi(
    services: Sequence[ServiceType], *, title: str, version: str, path: str | None = "/ws", host: str | None = None
) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of these services: a channel for the socket, and one for each method called over it.

    path: where the protocol answers; None: nowhere, so that there is no channel. host: `example.com:443`; None: where
    the document was found. Raises SchemaError when two different types carry one full name.
    """
    document: dict[str, Any] = {"asyncapi": "3.0.0", "info": {"title": title, "version": version, "description": _DOC}}
    if host is not None:
        document["servers"] = {"default": {"host": host, "protocol": "wss"}}
    document["defaultContentType"] = "application/json"
    if path is None:
        return document
    components = Components(named_types(services))
    messages = dict(_COMMON)
    channels: dict[str, Any] = {
        _SOCKET: _channel(path, "The socket itself", {name: name for name in _RECEIVED + _SENT})
    }
    operations: dict[str, Any] = {
        "open": _operation("receive", _SOCKET, ["hello"], ["welcome", "refused"], "Open a socket"),
        "ping": _operation("receive", _SOCKET, ["ping"], ["pong"], "Ask whether the server lives"),
        "goAway": _operation("send", _SOCKET, ["goingAway"], [], "The server goes"),
    }
    for service in services:
        for method in service.methods:
            name = f"{method.service}.{method.name}"
            asked, told = _of_method(method, name, components)
            messages |= {each: message for each, message in {**asked, **told}.items() if each not in _COMMON}
            short = {each.rpartition(".")[2]: each for each in (*asked, *told)}
            channels[name] = _channel(path, name, short)
            by_full = {full: each for each, full in short.items()}
            operation = _operation(
                "receive", name, [by_full[each] for each in asked], [by_full[each] for each in told], method.name
            )
            operation["tags"] = [{"name": method.service}]
            if method.description:
                operation["description"] = method.description
            operation["x-rpc"] = {"path": method.path.removeprefix("/"), "shape": method.shape.value}
            operations[name] = operation
    document["channels"] = channels
    document["operations"] = operations
    document["components"] = {"messages": messages, "schemas": used(messages, components.schemas())}
    return document


def _channel(path: str, title: str, messages: dict[str, str]) -> dict[str, Any]:
    return {
        "address": path,
        "title": title,
        "messages": {short: {"$ref": f"#/components/messages/{full}"} for short, full in messages.items()},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }


def _operation(action: str, channel: str, messages: list[str], replies: list[str], title: str) -> dict[str, Any]:
    ref = {"$ref": f"#/channels/{channel}"}
    operation: dict[str, Any] = {"action": action, "channel": ref, "title": title}
    operation["messages"] = [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]
    if replies:
        operation["reply"] = {
            "channel": ref,
            "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in replies],
        }
    return operation


def _message(title: str, kind: str, properties: Schema, optional: Sequence[str] = ()) -> dict[str, Any]:
    members = {"type": {"type": "string", "const": kind}, **properties}
    required = [name for name in members if name not in optional]
    return {"title": title, "payload": {"type": "object", "properties": members, "required": required}}


_COMMON: dict[str, dict[str, Any]] = {
    "hello": _message("Who is there", "hello", {"token": _TEXT}, ("token",)),
    "welcome": _message("What the server says first", "welcome", _WELCOME),
    "ping": _message("Whether the server lives", "ping", {}),
    "pong": _message("It does", "pong", {}),
    "goingAway": _message("Connect anew", "going_away", {"reconnect_s": {"type": "number", "minimum": 0}}),
    "refused": _message("The socket is closed", "error", _ERROR, ("reason", "details", "metadata")),
    "cancel": _message("End the call", "cancel", {"id": _ID}),
    "finish": _message("The end of the client's stream", "end", {"id": _ID}),
    "credit": _message("More items may be sent", "credit", {"id": _ID, "count": _COUNT}),
    "end": _message("The end of the stream", "end", {"id": _ID, "metadata": _METADATA}, ("metadata",)),
    "error": _message("The call has failed", "error", {"id": _ID, **_ERROR}, ("reason", "details", "metadata")),
}


def _of_method(method: Method, name: str, components: Components) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the client may send of such a call, and what the server, by the messages' names."""
    properties: Schema = {"id": _ID, "method": {"type": "string", "const": method.path.removeprefix("/")}, **_CALL}
    optional = ["timeout_s", "metadata", "credit", "after"]
    if not method.shape.client_streaming:
        properties["input"] = components.ref(method.input)
        if not any(field.required for field in method.input.fields):
            optional.append("input")
    if method.shape.server_streaming:
        properties["credit"] = _CREDIT
    if method.tracked:
        properties["after"] = {"type": "string", "description": "The position to go on after."}
    asked = {f"{name}.call": _message(f"Call {name}", "call", properties, optional)}
    if method.shape.client_streaming:
        item = {"id": _ID, "message": components.ref(method.input)}
        asked[f"{name}.item"] = _message("An item of the client's stream", "next", item)
        asked["finish"] = _COMMON["finish"]
    asked["cancel"] = _COMMON["cancel"]
    told: dict[str, Any] = {}
    if method.shape.server_streaming:
        told[f"{name}.next"] = _next(method, components)
        told["end"] = _COMMON["end"]
    else:
        told[f"{name}.result"] = _result(method, components)
    if method.shape.server_streaming:
        asked["credit"] = _COMMON["credit"]
    if method.shape.client_streaming:
        told["credit"] = _COMMON["credit"]
    told["error"] = _COMMON["error"]
    return asked, told


def _next(method: Method, components: Components) -> dict[str, Any]:
    item = {"id": _ID, "message": _value(method, components)}
    if method.tracked:
        item["position"] = _POSITION
    return _message("An item of the stream", "next", item)


def _result(method: Method, components: Components) -> dict[str, Any]:
    result = {"id": _ID, "message": _value(method, components), "metadata": _METADATA}
    if method.result_form is ResultForm.EMPTY:
        del result["message"]
    return _message("The result", "result", result, ("metadata",))


def _value(method: Method, components: Components) -> Schema:
    if method.result_form is ResultForm.WRAPPED:
        return components.of_field(method.output.fields[0])
    return components.ref(method.output)
