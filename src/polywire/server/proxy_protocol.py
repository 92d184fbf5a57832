"""The PROXY header, versions 1 and 2, with which a balancer says whose connection it passes on.

By "The PROXY protocol", versions 1 & 2, of HAProxy (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt).
"""

from __future__ import annotations

import ipaddress
import re
import struct
from dataclasses import dataclass

MAX_V1_BYTES = 107
"""§2.1: with both longest addresses and the CRLF."""
MAX_V2_BYTES = 4096
"""The length field could say 65551; what balancers add about their TLS fits into a tenth of this."""

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V1 = b"PROXY "
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6, _UNIX_STREAM = 0x00, 0x11, 0x21, 0x31
_ADDRESS_BYTES = {0x0: 0, 0x1: 12, 0x2: 36, 0x3: 216}
"""By the address family, the upper half of its byte."""


class ProxyError(ValueError):
    """The bytes are no PROXY header; §2: the connection is closed."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A complete header."""

    length_bytes: int
    """How much of the connection it takes; what follows belongs to the client."""
    source: tuple[str, int] | None
    """The client's address and port (a path and 0 for a Unix socket); None: the real peer stays, because the balancer
    speaks for itself (LOCAL) or does not know (UNKNOWN, UNSPEC, or a transport that is not ours)."""


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """The header that `data` begins with; None: all of `data` belongs to one that is not complete yet.

    Raises ProxyError as soon as it cannot become one, for lengths above the limits before those bytes are there.
    """
    if data.startswith(_SIGNATURE[: len(data)]):
        return _parse_v2(data)
    if data.startswith(_V1[: len(data)]):
        return _parse_v1(data)
    raise ProxyError("no PROXY header")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, MAX_V1_BYTES)
    if end < 0:
        if len(data) >= MAX_V1_BYTES:
            raise ProxyError(f"no end of the line within {MAX_V1_BYTES} bytes")
        return None
    # Latin-1 takes every byte; what is not ASCII fits nowhere below.
    line = data[len(_V1) : end].decode("latin-1")
    words = line.split(" ")
    length = end + 2
    if words[0] == "UNKNOWN":
        return ProxyHeader(length, None)  # §2.1: whatever else the line says is ignored
    # An address of the world has no scope (RFC 4007 §11), in which Python takes any text.
    if len(words) != 5 or words[0] not in ("TCP4", "TCP6") or "%" in line:
        raise ProxyError("neither TCP4, TCP6 nor UNKNOWN with what belongs to it")
    _, source, target, *ports = words
    form = ipaddress.IPv4Address if words[0] == "TCP4" else ipaddress.IPv6Address
    try:
        address = str(form(source))
        form(target)
    except ValueError as error:
        raise ProxyError("no address") from error
    if not all(_PORT.fullmatch(port) and int(port) <= 65535 for port in ports):
        raise ProxyError("no port")
    return ProxyHeader(length, (address, int(ports[0])))


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) > 12 and data[12] not in (_LOCAL, _PROXY):
        raise ProxyError("neither LOCAL nor PROXY of version 2")
    if len(data) > 13 and (data[13] >> 4 > 3 or data[13] & 0xF > 2):
        raise ProxyError("unknown address family or transport")
    if len(data) < 16:
        return None
    length = 16 + int.from_bytes(data[14:16], "big")
    if length > MAX_V2_BYTES:
        raise ProxyError(f"longer than {MAX_V2_BYTES} bytes")
    command, kind = data[12], data[13]
    if command == _PROXY and length - 16 < _ADDRESS_BYTES[kind >> 4]:
        raise ProxyError("too short for its addresses")
    if len(data) < length:
        return None
    return ProxyHeader(length, None if command == _LOCAL else _source(kind, data))


def _source(kind: int, data: bytes) -> tuple[str, int] | None:
    if kind == _TCP4:
        return str(ipaddress.IPv4Address(data[16:20])), struct.unpack_from(">H", data, 24)[0]
    if kind == _TCP6:
        return str(ipaddress.IPv6Address(data[16:32])), struct.unpack_from(">H", data, 48)[0]
    if kind == _UNIX_STREAM:
        return data[16:124].partition(b"\x00")[0].decode("utf-8", "backslashreplace"), 0
    return None
