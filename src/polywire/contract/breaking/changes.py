"""What a comparison of two contracts says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

WIRE: Final = "wire"
"""Messages in protobuf: gRPC, gRPC-Web, Connect."""
JSON: Final = "JSON"
"""Messages in JSON: Connect, gRPC with JSON, tRPC, and the bodies of REST."""
CODE: Final = "code"
"""Code that protoc or TypeScript makes of the contract, and what was written against it."""
REST: Final = "REST"
"""Paths, verbs, parameters and statuses."""
GRAPHQL: Final = "GraphQL"
"""Documents."""
ORDER: Final = (WIRE, JSON, CODE, REST, GRAPHQL)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. It breaks somebody, unless `breaks` is empty."""

    rule: str
    place: str
    """`user.proto:12:3`, where the old contract says it; of something added, where the new one does."""
    subject: str
    """What has changed: `user.GetUserRequest.id`."""
    problem: str
    breaks: Mapping[str, str] = field(default_factory=dict)
    """Whom, and why."""
    now: str = ""
    """Where the new contract says it; "" where it does not."""
