"""A whole contract: the files of `contract/`, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from polywire.contract.asyncapi import asyncapi
from polywire.contract.openapi import openapi
from polywire.contract.proto import proto_texts
from polywire.contract.sdl import sdl_text
from polywire.contract.typescript import typescript_text
from polywire.protofile import FileSet, load_texts
from polywire.schema.types import ServiceType

OPENAPI: Final = "openapi.json"
ASYNCAPI: Final = "asyncapi.json"
GRAPHQL: Final = "schema.graphql"
TYPESCRIPT: Final = "router.ts"
KINDS: Final = ("proto", "openapi", "asyncapi", "graphql", "typescript")

PROTO_HEAD: Final = "// Written by `polywire contract write`. It keeps the numbers that stand here.\n"
"""How a file that may be replaced or removed is told from one that somebody wrote."""


def contract_texts(
    services: Sequence[ServiceType],
    *,
    title: str,
    version: str,
    kinds: Sequence[str] = KINDS,
    websocket_path: str | None = "/ws",
) -> dict[str, str]:
    """The text of each file by its name, the same for the same services.

    title, version: of the application, for OpenAPI and AsyncAPI. kinds: of KINDS, which files.
    websocket_path: where the polywire WebSocket protocol answers; None: nowhere.
    Raises SchemaError where a contract cannot say it.
    """
    texts: dict[str, str] = {}
    if "proto" in kinds:
        texts |= {name: PROTO_HEAD + text for name, text in proto_texts(services).items()}
    if "openapi" in kinds:
        document = openapi(services, title=title, version=version)
        texts[OPENAPI] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if "asyncapi" in kinds:
        document = asyncapi(services, title=title, version=version, path=websocket_path)
        texts[ASYNCAPI] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if "graphql" in kinds:
        texts[GRAPHQL] = sdl_text(services)
    if "typescript" in kinds:
        texts[TYPESCRIPT] = typescript_text(services)
    return texts


def proto_set(texts: Mapping[str, str]) -> FileSet:
    """The .proto files among the texts of a contract."""
    return load_texts({name: text for name, text in texts.items() if name.endswith(".proto")})


def proto_paths(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.proto"))
