"""permessage-deflate (RFC 7692): what both ends of a WebSocket agree on in its handshake."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

NAME: Final = "permessage-deflate"
WIDEST_BITS: Final = 15
NARROWEST_BITS: Final = 9
"""RFC 7692 knows 8 too, which zlib cannot write."""
KEPT_BITS: Final = 12
"""Where we keep contexts: 4 kB windows cost a connection 50 kB, the widest more than 300 kB."""

_MOST_OFFERS = 16
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rf'\s*;\s*({_WORD})(?:\s*=\s*(?:({_WORD})|"({_WORD})"))?')
_EXTENSION = re.compile(rf"\s*({_WORD})((?:{_PARAMETER.pattern})*)\s*(?:,|$)")
_BITS = re.compile(r"8|9|1[0-5]")


class DeflateParameters(NamedTuple):
    """How each direction is compressed, from where one stands.

    keeps_context: a message may refer to those before it. window_bits: how far back, as a power of two.
    """

    own_window_bits: int = WIDEST_BITS
    own_keeps_context: bool = False
    peer_window_bits: int = WIDEST_BITS
    peer_keeps_context: bool = False


def offer(keep_context: bool) -> str:
    """A client's Sec-WebSocket-Extensions (RFC 7692 §7.1). keep_context: see `answer`."""
    if keep_context:
        return f"{NAME}; client_max_window_bits={KEPT_BITS}; server_max_window_bits={KEPT_BITS}"
    return f"{NAME}; client_no_context_takeover; server_no_context_takeover"


def answer(offers: str, keep_context: bool) -> tuple[str, DeflateParameters] | None:
    """What a server says to a client's Sec-WebSocket-Extensions; None: nothing in it can be agreed to.

    keep_context: let messages refer to those before them, which saves bytes and costs every connection memory.
    """
    for count, (name, parameters) in enumerate(_extensions(offers)):
        if count == _MOST_OFFERS:
            break
        if name == NAME and parameters is not None:
            agreed = _agree(parameters, keep_context)
            if agreed is not None:
                return agreed
    return None


def _agree(offered: dict[str, str | None], keep_context: bool) -> tuple[str, DeflateParameters] | None:
    own_keeps = peer_keeps = keep_context
    own_bits = peer_bits = WIDEST_BITS
    if keep_context:
        own_bits = KEPT_BITS
        if "client_max_window_bits" in offered:
            peer_bits = KEPT_BITS
    for name, value in offered.items():
        if name == "server_no_context_takeover" and value is None:
            own_keeps = False
        elif name == "client_no_context_takeover" and value is None:
            peer_keeps = False
        elif name == "server_max_window_bits" and value is not None and _BITS.fullmatch(value):
            own_bits = min(own_bits, int(value))
            if own_bits < NARROWEST_BITS:
                return None
        elif name == "client_max_window_bits" and (value is None or _BITS.fullmatch(value)):
            peer_bits = min(peer_bits, max(int(value or WIDEST_BITS), NARROWEST_BITS))
        else:
            return None
    said = [NAME]
    if not own_keeps:
        said.append("server_no_context_takeover")
    if not peer_keeps:
        said.append("client_no_context_takeover")
    # An offer that has it is accepted by saying it too (§7.1.2.1).
    if own_bits < WIDEST_BITS or "server_max_window_bits" in offered:
        said.append(f"server_max_window_bits={own_bits}")
    if "client_max_window_bits" in offered and peer_bits < WIDEST_BITS:
        said.append(f"client_max_window_bits={peer_bits}")
    return "; ".join(said), DeflateParameters(own_bits, own_keeps, peer_bits, peer_keeps)


def agreed(answered: str, keep_context: bool) -> DeflateParameters | None:
    """What a server has agreed to of our `offer`; None: to nothing.

    Raises ValueError where it is not what we have offered: the connection must fail then (RFC 7692 §7.1).
    """
    if not answered.strip():
        return None
    found = list(_extensions(answered))
    if len(found) != 1 or found[0][0] != NAME or found[0][1] is None:
        raise ValueError("the server agrees to an extension that was not offered")
    said = found[0][1]
    own_bits = peer_bits = KEPT_BITS if keep_context else WIDEST_BITS
    for name, value in said.items():
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                raise ValueError(f"{name} has no value")
        elif name in ("server_max_window_bits", "client_max_window_bits"):
            if not keep_context or value is None or not _BITS.fullmatch(value):
                raise ValueError(f"{name} was not offered like that")
            if name == "client_max_window_bits":
                own_bits = min(own_bits, int(value))
            else:
                peer_bits = min(peer_bits, int(value))
        else:
            raise ValueError(f"{name!r:.40} is no parameter of {NAME}")
    if own_bits < NARROWEST_BITS:
        raise ValueError(f"windows of 2^{own_bits} bytes cannot be written")
    if keep_context and "server_max_window_bits" not in said:
        raise ValueError("the server does not keep to server_max_window_bits")
    if not keep_context and "server_no_context_takeover" not in said:
        raise ValueError("the server does not keep to server_no_context_takeover")
    return DeflateParameters(
        own_bits,
        keep_context and "client_no_context_takeover" not in said,
        max(peer_bits, NARROWEST_BITS),
        keep_context and "server_no_context_takeover" not in said,
    )


def _extensions(field: str) -> Iterator[tuple[str, dict[str, str | None] | None]]:
    """(name, parameters) of each extension (RFC 6455 §9.1), None for parameters one of which comes twice.

    Ends where the field cannot be read.
    """
    at = 0
    while at < len(field) and (match := _EXTENSION.match(field, at)) is not None:
        at = match.end()
        parameters: dict[str, str | None] | None = {}
        for name, plain, quoted in _PARAMETER.findall(match[2]):
            if parameters is not None:
                parameters = None if name in parameters else {**parameters, name: plain or quoted or None}
        yield match[1], parameters
