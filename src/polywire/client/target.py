"""Where a channel leads, and the TLS to get there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Target:
    """host and port; path: of a Unix socket, or of a WebSocket's endpoint; tls: None in clear."""

    scheme: str
    authority: str
    host: str = ""
    port: int = 0
    path: str | None = None
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path and not self.host else f"{self.scheme}://{self.authority}"


def read_socket_target(url: str, *, tls: ssl.SSLContext | None = None, ca_file: str | None = None) -> Target:
    """`ws://host:port` or `wss://host:port`, with the endpoint's path if it is not /ws. Raises as `read_target`."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{url!r} leads nowhere: write ws://host:port or wss://host:port")
    if parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{url!r} has more than a host, a port, a path and a query")
    path = (parts.path if parts.path not in ("", "/") else "/ws") + (f"?{parts.query}" if parts.query else "")
    if any(not "!" <= character <= "~" for character in path):
        raise ValueError(f"{url!r}: percent-encode what is not ASCII")
    if parts.scheme == "ws":
        if tls is not None or ca_file is not None:
            raise ValueError(f"{url!r} is in clear text; with certificates, write wss://")
        return Target("ws", parts.netloc, parts.hostname, parts.port or 80, path)
    context = _context(ca_file, None, None) if tls is None else tls
    context.set_alpn_protocols(["http/1.1"])
    return Target("wss", parts.netloc, parts.hostname, parts.port or 443, path, context)


def read_target(
    url: str,
    *,
    tls: ssl.SSLContext | None = None,
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
) -> Target:
    """`http://host:port`, `https://host:port` or `unix:/path`. Raises ValueError for anything else.

    Raises OSError and ssl.SSLError for certificates that cannot be read.
    """
    given = [option for option in (tls, ca_file, cert_file, key_file) if option is not None]
    if url.startswith("unix:"):
        path = url.removeprefix("unix://") if url.startswith("unix://") else url.removeprefix("unix:")
        if not path or given:
            raise ValueError(f"{url!r}: write unix:/path, without TLS")
        return Target("http", "localhost", path=path)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} leads nowhere: write http://host:port, https://host:port or unix:/path")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{url!r} has more than a host and a port; gRPC's paths are those of its services")
    if parts.scheme == "http":
        if given:
            raise ValueError(f"{url!r} is in clear text; with certificates, write https://")
        return Target("http", parts.netloc, parts.hostname, parts.port or 80)
    if tls is not None and len(given) > 1:
        raise ValueError("give tls, or the files to make it of, not both")
    context = _context(ca_file, cert_file, key_file) if tls is None else tls
    context.set_alpn_protocols(["h2"])
    return Target("https", parts.netloc, parts.hostname, parts.port or 443, tls=context)


def _context(ca_file: str | None, cert_file: str | None, key_file: str | None) -> ssl.SSLContext:
    if key_file is not None and cert_file is None:
        raise ValueError("key_file belongs to a cert_file")
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context
