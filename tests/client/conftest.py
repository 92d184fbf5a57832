"""Servers to call: polywire's own, and one on grpcio that knows nothing of polywire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.client.foreign import ForeignLab, serving
from tests.live.server import Live


@pytest.fixture
async def foreign() -> AsyncIterator[ForeignLab]:
    """grpcio's asyncio server in the test's own loop."""
    lab = ForeignLab()
    async with serving(lab):
        yield lab


@pytest.fixture(params=["polywire", "grpcio"])
def url(request: pytest.FixtureRequest) -> str:
    """Where `lab.Lab` is served, by either."""
    if request.param == "polywire":
        live: Live = request.getfixturevalue("live")
        return f"http://{live.authority}"
    foreign: ForeignLab = request.getfixturevalue("foreign")
    return foreign.url
