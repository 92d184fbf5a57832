"""The demo over both of its databases.

PostgreSQL takes part where ATLAS_TEST_DATABASE_URL names a database, `postgresql://postgres@127.0.0.1/atlas_test`: each
test has a schema of its own in it, which is dropped again.
"""

from __future__ import annotations

import os
import pathlib
import sys
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import create_engine, text

from polywire import App
from polywire.testing import TestClient

EXAMPLES = str(pathlib.Path(__file__).parents[2] / "examples")
if EXAMPLES not in sys.path:
    sys.path.insert(0, EXAMPLES)

from atlas.orders import OrderStore  # noqa: E402
from atlas.services.hello import Greeter  # noqa: E402
from atlas.services.orders import OrderService  # noqa: E402
from atlas.services.repositories import Repositories  # noqa: E402
from atlas.services.users import UserService  # noqa: E402
from atlas.services.weather import WeatherService  # noqa: E402
from atlas.store import UserStore, database_url  # noqa: E402

TEST_DATABASE = "ATLAS_TEST_DATABASE_URL"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """Where an empty database is."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'atlas.db'}"
        return
    if TEST_DATABASE not in os.environ:
        pytest.skip(f"{TEST_DATABASE} names no PostgreSQL")
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    base = database_url(os.environ[TEST_DATABASE])
    schema = f"atlas_{uuid.uuid4().hex}"
    engine = create_engine(base)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        own = base.update_query_dict({"options": f"-csearch_path={schema}"})
        yield own.render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


@pytest.fixture
def store(url: str) -> Iterator[UserStore]:
    store = UserStore(url)
    store.open()
    yield store
    store.close()


@pytest.fixture
async def client(store: UserStore) -> AsyncIterator[TestClient]:
    orders = OrderService(OrderStore(store.engine))
    app = App(Greeter(), WeatherService(), UserService(store), orders, Repositories())
    async with TestClient(app) as client:
        yield client
