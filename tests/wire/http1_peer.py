"""The other side of an `Http1Connection` in tests: feeds bytes, records what the layer above is told."""

from __future__ import annotations

import re
from collections.abc import Callable

from polywire.wire.headers import CommonHeaders, HeaderBlock
from polywire.wire.http1 import Http1Connection, Http1Request
from polywire.wire.limits import HttpLimits
from polywire.wire.tunnel import Tunnel

TEXT = HeaderBlock([("content-type", "text/plain")])
COMMON = CommonHeaders(HeaderBlock([("server", "t")]))
EMPTY = HeaderBlock()


class Receiver:
    """Records what it is told, and collects the body as it arrives."""

    def __init__(self, sink: Http1Request, *, collect: bool = True) -> None:
        self.sink: Http1Request | Tunnel = sink
        self.collect = collect
        self.told: list[str] = []
        self.body = b""
        sink.receiver = self
        if collect:
            self.body = sink.take()
            sink.grant(len(self.body))

    def on_readable(self) -> None:
        self.told.append("readable")
        if self.collect:
            part = self.sink.take()
            self.body += part
            self.sink.grant(len(part))

    def on_writable(self) -> None:
        self.told.append("writable")

    def on_gone(self) -> None:
        self.told.append("gone")


class Peer:
    """An engine, the requests that it handed up, and what it wants to send.

    answer: called with each request; None leaves it open.
    listen: give each request a `Receiver`. collect: it reads the body.
    """

    def __init__(
        self,
        answer: Callable[[Http1Request], None] | None = None,
        limits: HttpLimits | None = None,
        *,
        listen: bool = True,
        collect: bool = True,
        scheme: str = "http",
    ) -> None:
        self.answer = answer
        self.listen = listen
        self.collect = collect
        self.requests: list[Http1Request] = []
        self.receivers: list[Receiver] = []
        self.outputs = 0
        self.engine: Http1Connection | Tunnel = Http1Connection(self.on_request, limits or HttpLimits(), COMMON, scheme)
        self.engine.on_output = self.on_output

    def on_request(self, sink: Http1Request) -> None:
        self.requests.append(sink)
        if self.listen:
            self.receivers.append(Receiver(sink, collect=self.collect))
        if self.answer is not None:
            self.answer(sink)

    def on_output(self) -> None:
        self.outputs += 1

    def send(self, data: bytes) -> bytes:
        self.engine.receive_data(data)
        return self.flush()

    def flush(self) -> bytes:
        """What a driver does in one turn: it goes on with the tunnel that the connection is left to."""
        out = self.engine.data_to_send()
        if isinstance(self.engine, Http1Connection) and (tunnel := self.engine.successor) is not None:
            self.engine.leave()
            self.engine = tunnel
            tunnel.on_output = self.on_output
            out += tunnel.data_to_send()
        return out

    def settle(self) -> bytes:
        """What a driver's further turns bring: as many flushes as the engine asks for."""
        out = b""
        while self.outputs:
            self.outputs = 0
            out += self.flush()
        return out

    def describe(self) -> list[tuple[object, ...]]:
        """All that the layer above can know of the requests, whatever the reads were."""
        return [
            (
                sink.method,
                sink.target,
                sink.authority,
                sink.version,
                sink.headers.items(),
                receiver.body,
                sink.ended,
                sink.trailers.items() if sink.trailers is not None else None,
                sink.content_length,
                sink.has_body,
                sink.tunnel,
            )
            for sink, receiver in zip(self.requests, self.receivers, strict=True)
        ]


def echo(sink: Http1Request) -> None:
    """Answers with the method and target at once."""
    sink.respond(200, TEXT, f"{sink.method} {sink.target}".encode())


def statuses(data: bytes) -> list[int]:
    """The status codes of the responses in `data`, whose bodies hold no status line."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def deliveries(data: bytes) -> list[list[bytes]]:
    """One message in every way that must not make a difference: whole, byte by byte, in halves."""
    middle = len(data) // 2
    return [[data], [data[i : i + 1] for i in range(len(data))], [data[:middle], data[middle:]]]
