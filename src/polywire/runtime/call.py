"""One invocation, whatever the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from polywire.errors import Code, RpcError
from polywire.runtime.metadata import Metadata, MutableMetadata
from polywire.tasks.eager import CURRENT_CALL

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from polywire.runtime._outlet import SharedOutlet
    from polywire.runtime.binding import Binding
    from polywire.schema.types import Method


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Who the peer has proved to be by its client certificate, which an authority that we trust has signed."""

    common_name: str | None
    """Of the subject."""
    dns: tuple[str, ...]
    """Subject alternative names, by their kind (RFC 5280 §4.2.1.6)."""
    uris: tuple[str, ...]
    """`spiffe://…` among them."""
    emails: tuple[str, ...]
    ips: tuple[str, ...]
    serial: str
    """In hexadecimal, upper case."""
    sha256: str
    """Fingerprint of the certificate, in hexadecimal, lower case."""
    not_after: datetime
    """When it expires, UTC."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of the connection, or for whom a trusted proxy there speaks."""

    address: str
    """IP address, or path of a Unix socket (`unix` where it has none); "" where unknown."""
    port: int = 0
    tls_version: str | None = None
    """`TLSv1.3`; None in clear."""
    tls_cipher: str | None = None
    server_name: str | None = None
    """The name that the peer asked for in its TLS handshake (SNI)."""
    identity: TlsIdentity | None = None
    """None where it showed no certificate; always so where the server does not ask for one."""
    via: Peer | None = None
    """The trusted proxy on whose word address and port are believed: the other end of the connection; None: no proxy.
    Where it spoke in the request (`Forwarded`) TLS and identity are its own, and stand there."""


UNKNOWN_PEER = Peer("")


class Carrier(Protocol):
    """What brings a call, of whatever protocol; an `Exchange` is one."""

    headers: Any
    """`Metadata`."""
    peer: Any
    """A `Peer`."""
    started_ns: int
    """When it came, on the monotonic clock."""

    @property
    def request_id(self) -> str: ...

    def inform(self, status: int, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        """Send an interim answer (RFC 9110 §15.2); without effect once the answer has begun."""


class Selection(Protocol):
    """The fields that a caller selects of a value, by their names in GraphQL: `"orders" in call.selection`."""

    def __contains__(self, name: object) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def __getitem__(self, name: str) -> Selection:
        """What is selected of that field in turn; empty where it has no fields. Raises KeyError where it is not."""

    def get(self, name: str) -> Selection | None:
        """As `[name]`; None where the field is not selected."""

    @property
    def arguments(self) -> list[dict[str, Any]]:
        """Of the field whose selection this is, by their names in GraphQL, as far as they were given.

        One for each time that it is selected: a query may ask for a field twice, by two aliases.
        """


class Call:
    """One invocation of a method, from its decoded input to its outcome. It never knows the exchange that carries it.

    input: the request message, or an async iterator of messages for client streams.
    timeout_s: how long it may take from `started_ns` (monotonic) on, in seconds; None: for ever.
    task: the asyncio task while the handler is suspended; None before and after, and where it never suspends.
    """

    input: Any = None
    principal: Any = None
    """Who is calling, set by whatever authenticates."""
    task: asyncio.Task[Any] | None = None
    answered = False
    cancel_code: Code | None = None
    failure: RpcError | None = None
    """What it ends with since it was stopped by `fail`."""
    state: Any = None
    """For the protocol that made the call; nobody else looks at it."""
    done: Callable[[Call, Any, RpcError | None], None]
    """Set when the call is dispatched or rejected."""
    timer_slot: int | None = None
    parent: Any = None
    """Of a field that a service resolves in GraphQL: the message whose field it is, or the list of them."""
    selection: Selection | None = None
    """What the caller selects of the result, over GraphQL; None over other protocols, and where it has no fields."""
    subscribes = False
    """It follows a topic, and its caller can go on elsewhere: it need not be waited for when the server goes."""
    outlet: SharedOutlet | None = None
    """Where batches that many streams send alike go straight out, where the protocol has such a way."""
    moved = 0
    """Messages of a stream so far, both ways; counted where it has an idle time-out."""
    still: tuple[int, float]
    """`moved` when it was last seen to change, and when that was; kept where the stream has an idle time-out."""
    send_head: Callable[[Call], None] | None = None
    """Set by protocols whose streams can send what comes before the first message by itself. Called with the call, so
    that it need not refer to it: a call must go when it ends, not when the collector comes."""
    _resume_after: str | None = None
    _response_metadata: MutableMetadata | None = None
    _trailers: MutableMetadata | None = None
    _callbacks: list[Callable[[Call, RpcError | None], None]] | None = None

    def __init__(self, binding: Binding, carrier: Carrier) -> None:
        # Defaults stand in the class: this runs for every call.
        self.binding = binding
        self.metadata: Metadata = carrier.headers
        """What the caller sent beside the message."""
        self.peer = carrier.peer
        self.started_ns = carrier.started_ns
        self.timeout_s = binding.timeout_s
        self._carrier = carrier

    @property
    def request_id(self) -> str:
        """The caller's, or one of ours: the same that the access log and the answer tell."""
        return self._carrier.request_id

    @property
    def deadline(self) -> float | None:
        """When the call must be over, on the loop's monotonic clock in seconds; None: never."""
        return None if self.timeout_s is None else self.started_ns / 1e9 + self.timeout_s

    def limit_time(self, timeout_s: float) -> None:
        """Take over the time-out that the caller asked for, in seconds; the method's own stays the upper bound."""
        bound = self.binding.method.deadline_s
        self.timeout_s = timeout_s if bound is None or timeout_s < bound else bound

    @property
    def method(self) -> Method:
        return self.binding.method

    @property
    def protocol(self) -> str:
        """`rest`, `grpc` and so on."""
        return self.binding.protocol

    @property
    def response_metadata(self) -> MutableMetadata:
        """Sent before the answer: response headers, gRPC initial metadata. Changes after the first byte are lost."""
        if self._response_metadata is None:
            self._response_metadata = MutableMetadata()
        return self._response_metadata

    @property
    def trailers(self) -> MutableMetadata:
        """Sent after the answer where the protocol has trailers."""
        if self._trailers is None:
            self._trailers = MutableMetadata()
        return self._trailers

    @property
    def resume_after(self) -> str | None:
        """The position of the last item that the caller has seen, to go on after; None: from the beginning.

        It is what an earlier `Tracked` item told, or whatever a caller made up: text of the `last-event-id` field, in
        UTF-8 (WHATWG HTML §9.2.3).
        """
        if self._resume_after is not None:
            return self._resume_after
        told = self.metadata.get("last-event-id")
        if told is None or told.isascii():
            return told
        try:
            return told.encode("latin-1").decode()
        except UnicodeError:
            return told

    def send_metadata(self) -> None:
        """Send `response_metadata` now, before the first message of a stream; the caller learns that it was accepted.

        Does nothing where it has been sent, or where the protocol sends it only with the answer. From then on an error
        can no longer be an HTTP status.
        """
        if self.send_head is not None:
            self.send_head(self)

    def early_hints(self, *links: str) -> None:
        """Send 103 Early Hints (RFC 8297) with a Link field for each text, `</style.css>; rel=preload; as=style`.

        For answers that take a while, over REST; may be called several times. Does nothing over other protocols, to
        HTTP/1.0, and once the answer has begun. Raises ValueError for text that a field cannot hold.
        """
        hints = MutableMetadata(("link", link) for link in links)
        if self.binding.protocol == "rest" and not self.answered:
            self._carrier.inform(103, hints.wire_items())

    def remaining_s(self) -> float | None:
        """Seconds until the deadline, not below 0; None: no deadline."""
        deadline = self.deadline
        return None if deadline is None else max(0.0, deadline - monotonic())

    def cancel(self, code: Code = Code.CANCELLED) -> None:
        """Stop the handler; the call ends with `code`. Does nothing once the call is over or has not suspended."""
        if self.task is None or self.task.done():
            return
        if self.cancel_code is None:
            self.cancel_code = code
        self.task.cancel()

    def fail(self, error: RpcError) -> None:
        """Stop the handler, as `cancel` does; the call ends with `error`."""
        if self.cancel_code is None:
            self.failure = error
        self.cancel(error.code)

    def on_done(self, callback: Callable[[Call, RpcError | None], None]) -> None:
        """Call callback(call, error) when the answer is known; error is None for success. Called once, in the loop."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)


def current_call() -> Call:
    """The call that the running handler (or anything it started) belongs to. Raises LookupError outside of one."""
    call: Call | None = CURRENT_CALL.get(None)
    if call is None:
        raise LookupError("this runs outside of every call")
    return call
