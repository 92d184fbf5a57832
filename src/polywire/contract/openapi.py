"""OpenAPI 3.1 from the tables: what REST answers, in the words of its readers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from polywire.contract.examples import Examples, NoExampleError
from polywire.contract.json_schema import REF_PREFIX, Components, Schema
from polywire.contract.reach import named_types
from polywire.errors import Code
from polywire.schema.types import Cardinality, Field, Kind, Method, ResultForm, Route, ServiceType

BODY_VERBS = frozenset({"POST", "PUT", "PATCH"})
"""Fields that are not in the path are in the body with these, in the query with all others."""

_VERBS = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"})
"""The verbs that a path item can say (OpenAPI 3.1 §4.8.9); a route with another one is not listed."""

_STRUCTURED = (Kind.MESSAGE, Kind.UNION)

_ERROR_FIELDS: Schema = {
    "code": {"type": "string", "enum": [code.name for code in Code if code], "description": "The canonical code."},
    "reason": {"type": "string", "description": "The service's own stable word, `USER_NOT_FOUND`."},
    "details": {
        "type": "array",
        "items": {"anyOf": [{"$ref": "#/components/schemas/polywire.FieldViolation"}, {"type": "object"}]},
    },
    "request_id": {"type": "string", "description": "The same as in the server's log."},
}

_ERRORS: dict[str, Schema] = {
    "polywire.FieldViolation": {
        "type": "object",
        "description": "One bad field of a request.",
        "properties": {
            "field": {"type": "string", "description": 'Its path, `address.city`; "" is the whole body.'},
            "reason": {"type": "string", "description": "What is wrong with it."},
        },
        "required": ["field", "reason"],
    },
    "polywire.ErrorBody": {
        "type": "object",
        "description": "What went wrong.",
        "properties": {
            **_ERROR_FIELDS,
            "message": {"type": "string", "description": "For people."},
        },
        "required": ["code", "message", "details", "request_id"],
    },
    "polywire.Error": {
        "type": "object",
        "properties": {"error": {"$ref": "#/components/schemas/polywire.ErrorBody"}},
        "required": ["error"],
    },
    "polywire.Problem": {
        "type": "object",
        "description": "The same error as RFC 9457 has it; sent when `Accept` asks for it.",
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "default": "about:blank"},
            "title": {"type": "string"},
            "status": {"type": "integer", "description": "The response's own status."},
            "detail": {"type": "string"},
            **_ERROR_FIELDS,
        },
        "required": ["type", "title", "status", "detail", "code", "details", "request_id"],
    },
}

_ERROR_RESPONSE: dict[str, Any] = {
    "description": "An error: the envelope, or a problem where `Accept` asks for one.",
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/polywire.Error"}},
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/polywire.Problem"}},
    },
}

_RESUMING: dict[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The `id` of the last event seen: the stream goes on after it. Browsers send it by themselves.",
    "schema": {"type": "string"},
}


def openapi(
    services: Sequence[ServiceType], *, title: str, version: str, description: str = "", server_url: str | None = None
) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these services: every route, and under its tag every method that has none.

    server_url: where the service answers; None: where the document was found.
    Raises SchemaError when two different types carry one full name.
    """
    components = Components(named_types(services))
    paths: dict[str, dict[str, Any]] = {}
    templates: dict[str, _Template] = {}
    for method in (method for service in services for method in service.methods):
        for index, route in enumerate(route for route in method.routes if route.verb.upper() in _VERBS):
            template = _Template.of(route)
            template = templates.setdefault(template.shape, template)
            suffix = "" if index == 0 else f"_{index + 1}"
            operation = _operation(method, route, template, components, suffix)
            paths.setdefault(template.text, {})[route.verb.lower()] = operation
    info = {"title": title, "version": version}
    if description:
        info["description"] = description
    document: dict[str, Any] = {"openapi": "3.1.0", "info": info}
    if server_url is not None:
        document["servers"] = [{"url": server_url}]
    document["tags"] = [_tag(service, components) for service in services]
    document["paths"] = paths
    document["components"] = {
        "schemas": {**used([document["tags"], paths], components.schemas()), **_ERRORS},
        "responses": {"polywire.Error": _ERROR_RESPONSE},
    }
    return document


@dataclass(frozen=True)
class _Template:
    """A path as OpenAPI writes it. Two that differ only in the parameters' names are one path there."""

    text: str
    shape: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, route: Route) -> _Template:
        # `{path*}` takes the rest of the path, which OpenAPI cannot say: it becomes an ordinary parameter.
        segments = [
            "{" + segment[1:-1].removesuffix("*") + "}" if segment.startswith("{") else segment
            for segment in route.template.split("/")
        ]
        shape = "/".join("{}" if segment.startswith("{") else segment for segment in segments)
        names = tuple(segment[1:-1] for segment in segments if segment.startswith("{"))
        return cls("/".join(segments), shape, names)


def _operation(
    method: Method, route: Route, template: _Template, components: Components, suffix: str
) -> dict[str, Any]:
    in_path = set(route.parameters)
    rest = [field for field in method.input.fields if field.name not in in_path]
    by_name = {field.name: field for field in method.input.fields}
    parameters = [
        _parameter(by_name[name], "path", shown, components)
        for name, shown in zip(route.parameters, template.names, strict=True)
    ]
    body: dict[str, Any] | None = None
    if method.shape.client_streaming:
        body = _stream_body(method, components)
    elif route.verb.upper() in BODY_VERBS:
        body = _body(method, rest, components)
    else:
        parameters += [_parameter(field, "query", field.name, components) for field in rest]
    if method.tracked:
        parameters.append(_RESUMING)
    operation: dict[str, Any] = {
        "operationId": f"{method.service}.{method.name}{suffix}",
        "tags": [method.service],
        "summary": _summary(method.description) or method.name,
    }
    if method.description:
        operation["description"] = method.description
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = body
    operation["responses"] = {
        str(_status(method)): _success(method, components),
        "default": {"$ref": "#/components/responses/polywire.Error"},
    }
    operation["x-rpc"] = _rpc(method)
    return operation


def _parameter(field: Field, place: str, name: str, components: Components) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": place, "required": place == "path" or field.required}
    if field.doc:
        parameter["description"] = field.doc
    schema = components.of_field(field, documented=True)
    schema.pop("description", None)
    if field.cardinality is Cardinality.MAP or field.type.kind in _STRUCTURED:
        parameter["content"] = {"application/json": {"schema": schema}}
    else:
        parameter["schema"] = schema
    if place == "path" or field.required:
        with suppress(NoExampleError):
            parameter["example"] = Examples().of_field(field)
    return parameter


def _body(method: Method, fields: list[Field], components: Components) -> dict[str, Any] | None:
    if not fields:
        return None
    whole = len(fields) == len(method.input.fields)
    media: dict[str, Any] = {"schema": components.ref(method.input) if whole else components.object_of(fields)}
    with suppress(NoExampleError):
        media["example"] = Examples().of_fields(fields)
    return {"required": any(field.required for field in fields), "content": {"application/json": media}}


def _stream_body(method: Method, components: Components) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": components.ref(method.input)}
    with suppress(NoExampleError):
        media["example"] = Examples().of_fields(method.input.fields)
    return {"required": True, "description": "One JSON value a line.", "content": {"application/x-ndjson": media}}


def _status(method: Method) -> int:
    return method.status or (204 if method.result_form is ResultForm.EMPTY else 200)


def _success(method: Method, components: Components) -> dict[str, Any]:
    if method.result_form is ResultForm.EMPTY and not method.shape.server_streaming:
        return {"description": "Done; there is nothing to say."}
    media: dict[str, Any] = {"schema": _result(method, components)}
    with suppress(NoExampleError):
        fields = method.output.fields
        wrapped = method.result_form is ResultForm.WRAPPED
        media["example"] = Examples().of_field(fields[0]) if wrapped else Examples().of_fields(fields)
    if method.shape.server_streaming:
        return {
            "description": "A stream: one JSON value a line, or server-sent events where `Accept` asks for them.",
            "content": {
                "application/x-ndjson": media,
                "text/event-stream": {
                    "schema": {
                        "type": "string",
                        "description": "The same values, one in each `data:`, then an event `end` or `failure`.",
                    }
                },
            },
        }
    return {"description": "Success.", "content": {"application/json": media}}


def _result(method: Method, components: Components) -> Schema:
    if method.result_form is ResultForm.WRAPPED:
        return components.of_field(method.output.fields[0])
    return components.ref(method.output)


def _rpc(method: Method) -> dict[str, Any]:
    """The same method for the RPC protocols; the docs page makes a grpcurl command of it."""
    rpc: dict[str, Any] = {"path": method.path.removeprefix("/"), "shape": method.shape.value}
    with suppress(NoExampleError):
        rpc["example"] = Examples(proto=True).of_fields(method.input.fields)
    return rpc


def _tag(service: ServiceType, components: Components) -> dict[str, Any]:
    """A service; `x-rpc-methods` are those that no route leads to."""
    tag: dict[str, Any] = {"name": service.full_name}
    if service.doc:
        tag["description"] = service.doc
    methods = []
    for method in service.methods:
        if any(route.verb.upper() in _VERBS for route in method.routes):
            continue
        entry: dict[str, Any] = {"name": method.name, **_rpc(method), "input": components.ref(method.input)}
        entry["output"] = components.ref(method.output)
        if method.description:
            entry["description"] = method.description
        methods.append(entry)
    if methods:
        tag["x-rpc-methods"] = methods
    return tag


def _summary(doc: str) -> str:
    """The first paragraph's first sentence, without its full stop."""
    paragraph = " ".join(doc.strip().split("\n\n")[0].split())
    return paragraph.split(". ")[0].removesuffix(".")


def used(mentions: object, schemas: dict[str, Schema]) -> dict[str, Schema]:
    """The schemas that `mentions` leads to, in their own order: wrappers and split requests appear nowhere."""
    names: set[str] = set()
    pending: list[object] = [mentions]
    while pending:
        match pending.pop():
            case dict() as mapping:
                pending.extend(mapping.values())
            case list() as items:
                pending.extend(items)
            case str() as text if text.startswith(REF_PREFIX):
                name = text.removeprefix(REF_PREFIX)
                if name in schemas and name not in names:
                    names.add(name)
                    pending.append(schemas[name])
    return {name: schema for name, schema in schemas.items() if name in names}
