"""`connect`: a server as seen by its callers."""

from __future__ import annotations

import ssl
from functools import partial
from types import TracebackType
from typing import TypeVar

from polywire.client.options import CallOptions, Compression, MetadataLike, make_options
from polywire.client.pool import Pool
from polywire.client.settings import ChannelSettings
from polywire.client.stubs import grpc_caller, make_stub
from polywire.client.target import Target, read_target
from polywire.service import Service

S = TypeVar("S", bound=Service)


class Channel:
    """Connections to one server, shared by all clients made of it; `async with connect(...) as channel:`.

    It belongs to the loop in which it is entered. Connections are opened by the first call that needs one, and again
    after they were lost.
    """

    def __init__(self, target: Target, settings: ChannelSettings, defaults: CallOptions) -> None:
        self._target = target
        self._settings = settings
        self._defaults = defaults
        self._pool: Pool | None = None

    async def __aenter__(self) -> Channel:
        if self._pool is not None:
            raise RuntimeError("a channel is entered once; connect again")
        self._pool = Pool(self._target, self._settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the calls that run with CANCELLED, and close the connections; no task or socket is left."""
        if self._pool is not None:
            await self._pool.close()

    def client(
        self,
        service: type[S],
        *,
        timeout_s: float | None = None,
        metadata: MetadataLike | None = None,
        compression: Compression | None = None,
        wait_for_ready: bool | None = None,
    ) -> S:
        """The service as if it were here: each method calls the server, and returns or raises what its handler did.

        `await` methods with one answer, also those that the service declares by plain `def`; `async for` the others.
        The other arguments hold for every call, as in `call_options`; None: as the channel says.

        Raises RuntimeError outside of `async with`.
        """
        if self._pool is None:
            raise RuntimeError("enter the channel first: async with polywire.connect(...) as channel")
        options = make_options(timeout_s, metadata, compression, wait_for_ready)
        return make_stub(service, partial(grpc_caller, self._pool, options.over(self._defaults)))

    def __repr__(self) -> str:
        return f"<Channel to {self._target}>"


def connect(
    url: str,
    *,
    tls: ssl.SSLContext | None = None,
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
    timeout_s: float | None = None,
    metadata: MetadataLike | None = None,
    compression: Compression | None = None,
    wait_for_ready: bool | None = None,
    settings: ChannelSettings | None = None,
) -> Channel:
    """A channel to a gRPC server; nothing is connected before the first call.

    url: `http://host:port`, `https://host:port` or `unix:/path`.
    tls: a context for https, whose ALPN is set to h2; or ca_file, who may sign the server's certificate (PEM; None: the
        system's), and cert_file and key_file, the client's own. None: the system's trust, no certificate.
    settings: of the connections; the other arguments hold for every call, as in `call_options`.

    Raises ValueError for a url or options that cannot be, OSError and ssl.SSLError for files that cannot be read.
    """
    target = read_target(url, tls=tls, ca_file=ca_file, cert_file=cert_file, key_file=key_file)
    options = make_options(timeout_s, metadata, compression, wait_for_ready)
    return Channel(target, ChannelSettings() if settings is None else settings, options)
