"""`connect_websocket`: a server as seen by callers who stay."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from polywire.client.options import CallOptions, MetadataLike, make_options, options_here
from polywire.client.remote import Remote
from polywire.client.socket.calls import SocketCall
from polywire.client.socket.session import Session
from polywire.client.socket.settings import SocketSettings, Token
from polywire.client.stubs import make_stub
from polywire.client.target import Target, read_socket_target
from polywire.schema.types import Method
from polywire.service import Service
from polywire.topics.topic import Topic

S = TypeVar("S", bound=Service)


class SocketChannel:
    """One connection to a server, kept up; `async with connect_websocket(...) as channel:`.

    It belongs to the loop in which it is entered, and connects with the first call.
    """

    def __init__(self, target: Target, settings: SocketSettings, token: Token, defaults: CallOptions) -> None:
        self._target = target
        self._settings = settings
        self._token = token
        self._defaults = defaults
        self._session: Session | None = None

    async def __aenter__(self) -> SocketChannel:
        if self._session is not None:
            raise RuntimeError("a channel is entered once; connect again")
        self._session = Session(self._target, self._settings, self._token)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the calls that run with CANCELLED; no task or socket is left."""
        if self._session is not None:
            await self._session.close()

    @property
    def transport(self) -> str | None:
        """By what calls go now, "websocket" or "http"; None while there is no connection."""
        return None if self._session is None else self._session.transport

    def client(
        self,
        service: type[S],
        *,
        timeout_s: float | None = None,
        metadata: MetadataLike | None = None,
        wait_for_ready: bool | None = None,
    ) -> S:
        """The service as if it were here, as `Channel.client` gives it.

        Streams of `Tracked` items outlive their connections: each item comes once and in order. Raises RuntimeError
        outside of `async with`.
        """
        options = make_options(timeout_s, metadata, None, wait_for_ready).over(self._defaults)
        return make_stub(service, partial(socket_caller, self._open, options))

    def subscribe(
        self, topic: Topic[Any], *, after: str | None = None, last: int = 0, **parameters: str
    ) -> Subscription:
        """The events of a topic of the server's, from now on or after a position, over any number of connections.

        topic: declared as the server does; it needs no App here. after, last: as of `Topic.subscribe`. Each event comes
        once and in order, or an event tells a `gap`. Raises TypeError for parameters that are not the topic's.
        """
        table = topic.service.__polywire__
        method = next(one for one in table.methods if one.python_name == "subscribe")
        value = method.input.cls(**parameters, after=after, last=last)
        options = options_here(self._defaults)
        return Subscription(partial(SocketCall, self._open, method, options, value, None))

    @property
    def _open(self) -> Session:
        if self._session is None:
            raise RuntimeError("enter the channel first: async with polywire.connect_websocket(...) as channel")
        return self._session

    def __repr__(self) -> str:
        return f"<SocketChannel to {self._target}>"


class Subscription:
    """The items of a call, `async for`. Dropped or closed before the end, it cancels the call.

    The call starts with the first item that is asked for. Awaited, it gives itself: methods may be declared either way.
    """

    def __init__(self, make: Callable[[], SocketCall]) -> None:
        self._make = make
        self._call: SocketCall | None = None

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Any:
        if self._call is None:
            self._call = self._make()
            self._call.session.start(self._call)
        return await self._call.read()

    def __await__(self) -> Generator[Any, None, Subscription]:
        return self
        yield

    @property
    def position(self) -> str | None:
        """Of the last item that was read, to go on after in another life; None before there was one."""
        return None if self._call is None else self._call.position

    async def aclose(self) -> None:
        """Cancel the call if it has not ended."""
        if self._call is not None:
            self._call.stop()

    def __del__(self) -> None:
        call = self._call
        if call is not None and not call.is_over and not call.session.loop.is_closed():
            call.session.loop.call_soon_threadsafe(call.stop)


def socket_caller(session: Session, defaults: CallOptions, method: Method) -> Callable[..., Any]:
    """Calls a method over a session."""
    remote = Remote(method, "http", "")
    shape = method.shape

    def prepared(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], SocketCall]:
        """What is said of the call here and now; it begins, and its time, when it is awaited."""
        value = remote.input(args, kwargs)
        make = partial(SocketCall, session, method, options_here(defaults))
        if not shape.client_streaming:
            return partial(make, value, None)
        if not hasattr(value, "__aiter__"):
            raise TypeError(f"{method.full_name} takes an asynchronous iterator, not {type(value).__name__}")
        return partial(make, None, aiter(value))

    if shape.server_streaming:

        def stream(*args: Any, **kwargs: Any) -> Subscription:
            return Subscription(prepared(args, kwargs))

        return stream

    async def run(make: Callable[[], SocketCall]) -> Any:
        call = make()
        session.start(call)
        return await call.one()

    def one(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        return run(prepared(args, kwargs))

    return one


def connect_websocket(
    url: str,
    *,
    token: Token = None,
    tls: ssl.SSLContext | None = None,
    ca_file: str | None = None,
    timeout_s: float | None = None,
    metadata: MetadataLike | None = None,
    wait_for_ready: bool | None = None,
    settings: SocketSettings | None = None,
) -> SocketChannel:
    """A channel over the polywire WebSocket protocol, which comes back by itself and goes on where it was.

    url: `ws://host:port` or `wss://host:port`, with the endpoint's path if it is not `/ws`.
    token: a bearer token, or what is awaited for one before each connection.
    tls: a context for wss, or ca_file, who may sign the server's certificate (PEM; None: the system's).
    settings: of the connection; the other arguments hold for every call, as in `call_options`.

    Where a WebSocket does not get through, calls go over HTTP (`SocketSettings.transports`).

    Raises ValueError for a url or options that cannot be, OSError and ssl.SSLError for files that cannot be read.
    """
    target = read_socket_target(url, tls=tls, ca_file=ca_file)
    options = make_options(timeout_s, metadata, None, wait_for_ready)
    return SocketChannel(target, SocketSettings() if settings is None else settings, token, options)
