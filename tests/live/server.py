"""A server in a thread of its own, and the account that it must give of itself at the end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvloop

from polywire.protocols.site import Site
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings

from .service import Lab, make_app

PATIENT_S = 5.0
_LOOKS = 20
"""At what is left behind, until a collection may help: after a long run one takes a third of a second."""
QUICK = {"tick_s": 0.02, "half_close_s": 0.1, "linger_s": 0.3, "drain_s": 2.0}
"""Settings under which a test need not wait for what is left to be noticed."""

# libuv opens a pipe for signals with the first loop of a process and keeps it.
uvloop.new_event_loop().close()


class Live:
    """A running server. Its loop runs in another thread, so that clients may block."""

    def __init__(self, lab: Lab, app: dict[str, Any], settings: dict[str, Any]) -> None:
        self.lab = lab
        self.finished: list[int] = []
        """Status of every exchange, once it has ended."""
        self.complaints: list[dict[str, Any]] = []
        """What reached the loop's exception handler."""
        self.records: list[logging.LogRecord] = []
        """What was logged as an error."""
        self._app = make_app(lab, **app)
        self._settings = ServerSettings(**{"port": 0, **QUICK, **settings})
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._draining = False
        self._thread = threading.Thread(target=self._main, name="live server")

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def open_calls(self) -> int:
        return self._site.open_calls

    @property
    def open_connections(self) -> int:
        return self._server.open_connections

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(PATIENT_S)
        if self._failure is not None:
            raise self._failure

    def drain(self) -> None:
        """Begin to stop as on SIGTERM: calls under way may end."""
        self._draining = True
        self._loop.call_soon_threadsafe(self._stop.set)

    def stop(self) -> None:
        if not self._draining:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENT_S)
        assert not self._thread.is_alive(), "the server does not stop"
        if self._failure is not None:
            raise self._failure

    def tasks(self) -> set[asyncio.Task[Any]]:
        """The tasks of the server's loop, but for the one that runs it."""
        return {task for task in asyncio.all_tasks(self._loop) if task is not self._own}

    @contextmanager
    def checked(self, errors: int = 0) -> Iterator[None]:
        """The body must leave nothing behind once its clients have left, and log so many errors.

        No open call, connection or task, no descriptor more than before, nothing in the loop's exception handler.
        """
        before = descriptors()
        self.lab.reset()
        self.finished.clear()
        self.records.clear()
        yield
        self.lab.release.set()
        end = time.monotonic() + PATIENT_S
        looks = 0
        while not self.is_quiet() or descriptors() - before:
            left = f"{self.open_calls} calls, {self.open_connections} connections, tasks {self.tasks()}"
            assert time.monotonic() < end, f"left behind: {left}, descriptors {descriptors() - before}"
            looks += 1
            if looks % _LOOKS == 0:
                gc.collect()  # grpcio closes its connections when its channels are freed
            time.sleep(0.005)
        assert self.lab.running == 0
        assert self.complaints == []
        assert len(self.records) == errors, [record.getMessage() for record in self.records]

    def is_quiet(self) -> bool:
        """No call, connection or task is open."""
        return not self.open_calls and not self.open_connections and not self.tasks()

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        task = asyncio.current_task()
        assert task is not None
        self._own = task
        self._stop = asyncio.Event()
        self._site = Site(self._app, [lambda exchange: self.finished.append(exchange.status)])
        self._server = Server(self._site, self._settings)
        await self._server.start()
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            await (self._server.drain() if self._draining else self._server.abort())


@contextmanager
def serve(*, errors: int = 0, app: dict[str, Any] | None = None, **settings: Any) -> Iterator[Live]:
    """A server for a while; what is done with it is `checked`.

    app: options of the App. settings: of the server. errors: how many errors it may log, and must.
    """
    before = descriptors()
    with _running(Live(Lab(), app or {}, settings)) as live, live.checked(errors):
        yield live
    until(lambda: not descriptors() - before)


@contextmanager
def serve_many() -> Iterator[Live]:
    """A server for many tests, each of which must be `checked`."""
    with _running(Live(Lab(), {}, {})) as live:
        yield live


@contextmanager
def _running(live: Live) -> Iterator[Live]:
    logged = Records(live.records)
    logger = logging.getLogger("polywire")
    logger.addHandler(logged)
    live.start()
    try:
        yield live
    finally:
        live.lab.release.set()
        live.stop()
        logger.removeHandler(logged)


class Records(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.ERROR)
        self.records = records

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def until(condition: Callable[[], Any], within_s: float = PATIENT_S) -> None:
    """Wait for what happens in another thread. Raises AssertionError if it does not."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def descriptors() -> set[tuple[str, str]]:
    """The open descriptors of this process, and what each is; without /dev/null, which grpcio opens once and keeps."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add((name, os.readlink(f"/proc/self/fd/{name}")))
        except FileNotFoundError:
            continue
    return {(name, target) for name, target in found if target != "/dev/null"}
