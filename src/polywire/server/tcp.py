"""What the kernel is told about TCP, and what it tells."""

from __future__ import annotations

import asyncio
import select
import socket

PROBES = 4


def keep_alive(listening: socket.socket, silence_s: float | None) -> None:
    """Have the kernel look after connections accepted from `listening`, which inherit it (RFC 9293 §3.8.4).

    silence_s: until the first probe; then a probe each quarter of it, and after four without an answer the connection
    is lost. None: no probes.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, silence_s is not None)
    if silence_s is None:
        return
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)  # macOS has its own name
    if idle is not None:
        listening.setsockopt(socket.IPPROTO_TCP, idle, max(1, round(silence_s)))
    if hasattr(socket, "TCP_KEEPINTVL"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, round(silence_s / PROBES)))
    if hasattr(socket, "TCP_KEEPCNT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def is_lost(transport: asyncio.BaseTransport, *, half_closed: bool) -> bool:
    """Whether the kernel knows that the peer is gone, by RST or for want of answers to its probes.

    A transport that does not read is not told. half_closed: we have ended our direction, so that the peer's end of its
    own is no sign of that.
    """
    opened = transport.get_extra_info("socket")
    if opened is None or opened.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(opened.fileno(), 0)
    gone = select.POLLERR if half_closed else select.POLLERR | select.POLLHUP
    return any(events & gone for _, events in poll.poll(0))
