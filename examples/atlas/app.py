"""Atlas: `polywire serve examples/atlas/app.py:app`.

ATLAS_DATABASE_URL says where the users are kept: `postgresql://user:password@host/name` takes the extra `postgres`;
default: the SQLite file atlas.db in the working directory.
"""

import logging
import os

from atlas.services.hello import Greeter
from atlas.services.users import UserService
from atlas.services.weather import WeatherService
from atlas.store import THREADS, UserStore
from polywire import App

logger = logging.getLogger("atlas")

store = UserStore(os.environ.get("ATLAS_DATABASE_URL", "sqlite:///atlas.db"))
app = App(Greeter(), WeatherService(), UserService(store), name="atlas", version="1.0.0", thread_pool_size=THREADS)


@app.on_start
def open_store() -> None:
    logger.info("users are kept in %s", store.url.render_as_string(hide_password=True))
    store.open()


@app.on_stop
def close_store() -> None:
    store.close()


@app.check("database")
def database() -> None:
    store.check()
