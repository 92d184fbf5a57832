"""For whom a trusted proxy speaks: `Forwarded` (RFC 7239) and the older `X-Forwarded-*`, read from the right.

Each proxy appends whom it was asked by, so only the right end of such a list is known to be true: it is walked
leftwards past the addresses of trusted proxies, and the first other one is the client. What stands further left was
written by that client, and is not even looked at.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 -- RFC 9110 §5.6.2
_PAIR = re.compile(rf'[ \t]*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")[ \t]*')
_NODE = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[0-9.]+|unknown|_[\w.-]+)(?::([0-9]{1,5}|_[\w.-]+))?", re.ASCII | re.IGNORECASE
)
"""RFC 7239 §6."""
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]{1,255})(?::[0-9]{1,5})?")
"""RFC 3986 §3.2.2, without a user."""
_SCHEMES = frozenset({"http", "https"})

UNIX = "unix"
"""Among trusted networks: whoever connects by Unix socket."""


class Fields(Protocol):
    """What is needed of a request's header fields."""

    def get_all(self, name: str, /) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Client:
    """Whom the trusted proxies speak for. None: they do not say."""

    address: str | None
    """IP address, an identifier that begins with "_" (RFC 7239 §6.3), or "" where it is unknown to them."""
    port: int
    """0 where it is not said."""
    scheme: str | None
    """`http` or `https`."""
    authority: str | None


class TrustedNetworks:
    """Networks (`10.0.0.0/8`, `::1`), or `unix`, whose word is taken. Raises ValueError for what is no network."""

    __slots__ = ("_networks", "unix")

    def __init__(self, names: Iterable[str]) -> None:
        networks = []
        self.unix = False
        for name in names:
            if name == UNIX:
                self.unix = True
                continue
            try:
                networks.append(ipaddress.ip_network(name))
            except ValueError as error:
                raise ValueError(f"{name!r} is no network: {error}; write 10.0.0.0/8, ::1 or unix") from None
        self._networks = tuple(networks)

    def has(self, address: str) -> bool:
        """Whether the IP address lies in one of them; an IPv4 address written as IPv6 is an IPv4 address."""
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        found = parsed if mapped is None else mapped
        return any(found in network for network in self._networks)


def forwarded_client(fields: Fields, trusted: TrustedNetworks) -> Client | None:
    """The client by `Forwarded` (RFC 7239); None where the field is absent, or malformed and ignored whole."""
    try:
        chosen: dict[str, str] | None = None
        for element in _elements(fields.get_all("forwarded")):
            chosen = element
            if not trusted.has(_node(element["for"])[0] if "for" in element else ""):
                break
        if chosen is None:
            return None
        address, port = _node(chosen["for"]) if "for" in chosen else (None, 0)
        return Client(address, port, _scheme(chosen.get("proto")), _authority(chosen.get("host")))
    except ValueError:
        return None


def x_forwarded_client(fields: Fields, trusted: TrustedNetworks) -> Client | None:
    """The client by X-Forwarded-For, -Proto and -Host; None where all are absent, or one is malformed.

    -Proto and -Host have one value, which the last proxy has set, or one for each address.
    """
    hops = _listed(fields, "x-forwarded-for")
    schemes = _listed(fields, "x-forwarded-proto")
    hosts = _listed(fields, "x-forwarded-host")
    if not hops and not schemes and not hosts:
        return None
    try:
        address: str | None = None
        port = at = 0
        for seen, hop in enumerate(reversed(hops)):
            address, port = _hop(hop)
            at = seen
            if not trusted.has(address):
                break
        scheme = _scheme(_matching(schemes, at, len(hops)))
        return Client(address, port, scheme, _authority(_matching(hosts, at, len(hops))))
    except ValueError:
        return None


def authority_host(authority: str) -> str:
    """The host of an authority in lower case, without its port and a last dot; IPv6 addresses keep their brackets."""
    host, colon, port = authority.rpartition(":")
    if not colon or not port.isdigit():
        host = authority.removesuffix(":")
    return host.lower().rstrip(".")


def _elements(values: list[str]) -> Iterator[dict[str, str]]:
    """The elements of a Forwarded field, the last first. Raises ValueError."""
    for value in reversed(values):
        yield from reversed(_parse(value))


def _parse(value: str) -> list[dict[str, str]]:
    elements: list[dict[str, str]] = []
    pairs: dict[str, str] = {}
    at = 0
    while True:
        found = _PAIR.match(value, at)
        if found is not None:
            name, token, quoted = found.groups()
            name = name.lower()
            if name in pairs:
                raise ValueError("a parameter is given twice")
            pairs[name] = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            at = found.end()
        else:
            while value[at : at + 1] in (" ", "\t"):
                at += 1
        end = value[at : at + 1]
        if end in ("", ","):
            if pairs:
                elements.append(pairs)
                pairs = {}
            if not end:
                return elements
        elif end != ";":
            raise ValueError("no separator where one is due")
        at += 1


def _node(text: str) -> tuple[str, int]:
    found = _NODE.fullmatch(text)
    if found is None:
        raise ValueError("no node name")
    name, port = found.groups()
    number = int(port) if port is not None and port[0] != "_" else 0
    if number > 65535:
        raise ValueError("no port")
    if name.lower() == "unknown":
        return "", number
    if name[0] == "_":
        return name, number
    return _ip(name), number


def _ip(text: str) -> str:
    """The usual form of an IPv4 address or an IPv6 address in brackets. Raises ValueError."""
    if text[0] == "[":
        return str(ipaddress.IPv6Address(text[1:-1]))
    return str(ipaddress.IPv4Address(text))


def _hop(text: str) -> tuple[str, int]:
    """One of X-Forwarded-For, which no standard describes: IPv6 stands there without brackets too."""
    if text.count(":") > 1 and text[0] != "[":
        if "%" in text:
            raise ValueError("a scope, in which Python takes any text")
        return str(ipaddress.IPv6Address(text)), 0
    return _node(text)


def _listed(fields: Fields, name: str) -> list[str]:
    return [part.strip(" \t") for value in fields.get_all(name) for part in value.split(",")]


def _matching(values: list[str], at: int, hops: int) -> str | None:
    """The value that belongs to the hop `at`, counted from the right."""
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    if len(values) != hops:
        raise ValueError("neither one value nor one for each hop")
    return values[-1 - at]


def _scheme(text: str | None) -> str | None:
    if text is None:
        return None
    if text.lower() not in _SCHEMES:
        raise ValueError("neither http nor https")
    return text.lower()


def _authority(text: str | None) -> str | None:
    if text is not None and _HOST.fullmatch(text) is None:
        raise ValueError("no host")
    return text
