"""Clients of others, closed before the server gives account of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from tests.live.server import Live

from .calls import IDENTITY


@pytest.fixture
def channel(live: Live) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(live.authority) as channel:
        yield channel


@pytest.fixture
def plain(live: Live) -> Iterator[grpc.Channel]:
    """A channel without compression."""
    with grpc.insecure_channel(live.authority, IDENTITY) as channel:
        yield channel


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def client(live: Live, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """httpx in clear text, HTTP/2 by prior knowledge."""
    http2 = request.param == "HTTP/2"
    options: dict[str, Any] = {"http1": not http2, "http2": http2, "trust_env": False}
    with httpx.Client(base_url=f"http://{live.authority}", **options) as client:
        yield client
        version = client.get("/items/a").http_version
        assert version == request.param
