"""Atlas: `polywire serve examples/atlas/app.py:app`.

Environment:
ATLAS_DATABASE_URL: where the users are kept; `postgresql://user:password@host/name` takes the extra `postgres`.
Default: the SQLite file atlas.db in the working directory.
ATLAS_FILES: the directory of uploaded files; default: atlas-files in the working directory.
ATLAS_URL: of this server, where the services of the chain call each other; default: http://127.0.0.1:8000.
`polywire serve` without an application sets it to where it serves.
ATLAS_ORIGINS: of pages that may call besides the server's own, `https://app.example.com`, with spaces between them.
ATLAS_LOG: the log that is written, and followed by `logs.Logs/Tail`; default: atlas.log in the working directory.
"""

import logging
import os
from pathlib import Path

from atlas.orders import OrderStore
from atlas.services.builds import Builds
from atlas.services.chain import A, B, C, Link
from atlas.services.chat import ChatService, named, rooms, typing
from atlas.services.document import Documents
from atlas.services.echo import echo
from atlas.services.files import Files
from atlas.services.hello import Greeter
from atlas.services.logs import Logs
from atlas.services.market import Market, confirmations, stocks
from atlas.services.messages import Messages
from atlas.services.orders import OrderService
from atlas.services.repositories import Repositories
from atlas.services.users import UserService
from atlas.services.weather import WeatherService
from atlas.socketio_chat import SocketioChat
from atlas.store import THREADS, UserStore
from polywire import App

logger = logging.getLogger("atlas")
events = logging.getLogger("atlas.events")
"""What everybody may read: it is written to the log that is followed."""

store = UserStore(os.environ.get("ATLAS_DATABASE_URL", "sqlite:///atlas.db"))
files = Files(Path(os.environ.get("ATLAS_FILES", "atlas-files")).absolute())
logs = Logs(Path(os.environ.get("ATLAS_LOG", "atlas.log")).absolute())
chat = ChatService()
market = Market()
link = Link(os.environ.get("ATLAS_URL", "http://127.0.0.1:8000"))
app = App(
    Greeter(),
    WeatherService(),
    UserService(store),
    OrderService(OrderStore(store.engine)),
    Repositories(),
    files,
    logs,
    Builds(),
    A(link),
    B(link),
    C(),
    chat,
    market,
    Messages(),
    Documents(),
    topics=[rooms, typing, stocks, confirmations],
    interceptors=[named],
    name="atlas",
    version="1.0.0",
    thread_pool_size=THREADS,
    # Some streams have no end to wait for.
    drain_s=5.0,
    origins=os.environ.get("ATLAS_ORIGINS", "").split(),
)
socketio_chat = SocketioChat(chat)
app.mount("/socket.io", socketio_chat.app)
app.files("/demo", Path(__file__).parent / "pages", trusted=True)
app.files("/v1/files", files.directory)
# As long as the longest that the Autobahn suite sends.
app.websocket("/echo", max_message_bytes=16 * 1024 * 1024, deflate="no_context_takeover")(echo)

log_handler = logging.FileHandler(logs.path, encoding="utf-8", delay=True)
log_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))


@app.on_start
def open_log() -> None:
    events.addHandler(log_handler)
    events.setLevel(logging.INFO)
    events.info("atlas has started")


@app.on_start
def open_store() -> None:
    logger.info("users are kept in %s", store.url.render_as_string(hide_password=True))
    store.open()


@app.on_start
def open_files() -> None:
    files.open()


app.on_start(link.open)
app.on_start(market.open)
app.on_stop(market.close)
app.on_stop(socketio_chat.close)


@app.on_stop
def close_store() -> None:
    store.close()


app.on_stop(link.close)


@app.on_stop
def close_log() -> None:
    events.info("atlas has stopped")
    events.removeHandler(log_handler)
    log_handler.close()


@app.check("database")
def database() -> None:
    store.check()
