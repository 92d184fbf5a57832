from __future__ import annotations

import pathlib
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from polywire import App
from polywire.testing import TestClient

EXAMPLES = str(pathlib.Path(__file__).parents[2] / "examples")
if EXAMPLES not in sys.path:
    sys.path.insert(0, EXAMPLES)

from atlas.services.hello import Greeter  # noqa: E402
from atlas.services.users import UserService  # noqa: E402
from atlas.services.weather import WeatherService  # noqa: E402
from atlas.store import UserStore  # noqa: E402


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[UserStore]:
    store = UserStore(f"sqlite:///{tmp_path / 'atlas.db'}")
    store.open()
    yield store
    store.close()


@pytest.fixture
async def client(store: UserStore) -> AsyncIterator[TestClient]:
    async with TestClient(App(Greeter(), WeatherService(), UserService(store))) as client:
        yield client
