"""Whose word is taken for whom they speak, and which hosts may be asked for: decided once a connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from polywire.http.forwarded import (
    Client,
    Fields,
    TrustedNetworks,
    authority_host,
    forwarded_client,
    x_forwarded_client,
)
from polywire.runtime.call import Peer
from polywire.server.settings import ServerSettings
from polywire.wire.headers import HeaderBlock

Read = Callable[[Fields, TrustedNetworks], Client | None]
_READERS: dict[str, Read] = {"forwarded": forwarded_client, "x-forwarded": x_forwarded_client}

_MISDIRECTED = HeaderBlock([("content-type", "text/plain; charset=utf-8")])


class Policy(NamedTuple):
    """What the settings say of it, read once a server."""

    trusted: TrustedNetworks
    read: Read | None
    hosts: Hosts | None

    @classmethod
    def of(cls, settings: ServerSettings) -> Policy:
        trusted = TrustedNetworks(settings.trusted_proxies)
        read = _READERS.get(settings.forwarded_header) if settings.trusted_proxies else None
        return cls(trusted, read, Hosts(settings.allowed_hosts) if settings.allowed_hosts else None)

    def trusts(self, peer: Peer) -> bool:
        """Whether `peer`, the other end of a connection or whoever a PROXY header named, is a trusted proxy."""
        if peer.port == 0 and peer.via is None:
            return self.trusted.unix  # over TCP a peer has a port
        return self.trusted.has(peer.address)

    def requests_from(self, peer: Peer, on_request: Callable[[Peer, Any], None]) -> Callable[[Any], None]:
        """What takes the requests (sinks) of one connection and hands them to `on_request`."""
        if self.hosts is not None:
            on_request = partial(_guarded, self.hosts, on_request)
        if self.read is not None and self.trusts(peer):
            return partial(_forwarded, self.read, self.trusted, peer, on_request)
        return partial(on_request, peer)


class Hosts:
    """Names of hosts, without port; `*.example.org` stands for all below it, not for `example.org`."""

    def __init__(self, names: tuple[str, ...]) -> None:
        lower = [name.lower().rstrip(".") for name in names]
        self._names = frozenset(name for name in lower if not name.startswith("*."))
        self._suffixes = tuple(name[1:] for name in lower if name.startswith("*."))

    def allow(self, authority: str) -> bool:
        host = authority_host(authority)
        return host in self._names or (bool(self._suffixes) and host.endswith(self._suffixes))


def _forwarded(
    read: Read, trusted: TrustedNetworks, proxy: Peer, on_request: Callable[[Peer, Any], None], sink: Any
) -> None:
    client = read(sink.headers, trusted)
    if client is None:
        on_request(proxy, sink)
        return
    if client.scheme is not None:
        sink.scheme = client.scheme
    if client.authority is not None:
        sink.authority = client.authority
    peer = proxy if client.address is None else Peer(client.address, client.port, via=proxy)
    on_request(peer, sink)


def _guarded(hosts: Hosts, on_request: Callable[[Peer, Any], None], peer: Peer, sink: Any) -> None:
    if hosts.allow(sink.authority):
        on_request(peer, sink)
    else:
        sink.respond(421, _MISDIRECTED, b"this server does not answer for the host that was asked\n")
