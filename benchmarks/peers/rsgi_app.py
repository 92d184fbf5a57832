"""Granian's own interface without a framework: what its server alone can do."""

from typing import Any
from urllib.parse import parse_qs

import msgspec

PREFIX = "/v1/users/"
HEADERS = [("content-type", "application/json")]
encode = msgspec.json.encode


class User(msgspec.Struct):
    id: int
    name: str
    email: str
    age: int


async def app(scope: Any, protocol: Any) -> None:
    path: str = scope.path
    if path.startswith(PREFIX):
        user = User(int(path[len(PREFIX) :]), "Alice", "alice@example.com", 30)
        protocol.response_bytes(200, HEADERS, encode(user))
    else:
        count = int(parse_qs(scope.query_string)["count"][0])
        users = [User(i, "Alice", "alice@example.com", 30) for i in range(1, count + 1)]
        protocol.response_bytes(200, HEADERS, encode({"users": users}))
