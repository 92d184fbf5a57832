# cython: boundscheck=False, wraparound=False
"""A WebSocket that is open: between the tunnel of an exchange and whoever takes its messages."""

import asyncio
import logging

from polywire.http.exchange import Exchange, Gone
from polywire.wire.websocket import WebSocketEngine

logger = logging.getLogger("polywire")

cdef int PING = 9
cdef int PONG = 10
cdef int NORMAL = 1000
cdef int ABNORMAL = 1006
cdef int INTERNAL_ERROR = 1011
# What `reset` says of a peer that does not end (RFC 9113 §7).
cdef int CANCEL = 8

cdef object on_exchange_writable = Exchange.on_writable


cdef class WebSocket:
    """One WebSocket that is open, of the server's end. In one loop, never from other threads.

    The peer gets credit for what has been taken: while it is paused, nothing more is read.
    """

    cdef readonly object exchange
    # For the protocol that speaks over it.
    cdef public object state
    # Told instead of `on_message` where a read has brought nothing but messages: all of them at once.
    cdef public object on_messages
    # Reads that have brought something, a pong perhaps: whether the peer lives.
    cdef readonly Py_ssize_t heard
    # For the exchange, which asks for it when it is over.
    cdef readonly Py_ssize_t sent_bytes
    # A message has the same frame on all of them: nothing is compressed.
    cdef readonly bint shares_frames
    # Nothing is taken, and so nothing heard of the peer.
    cdef readonly bint is_paused
    # The code and reason that we have closed it with; None: we have not.
    cdef readonly tuple closing
    cdef readonly object engine
    cdef object sink, encode, on_message, on_closed, __weakref__
    cdef double close_timeout_s
    # It is paused until the peer has taken what is queued.
    cdef bint resumes
    cdef bint reading, over
    # In which more of what has come is unpacked.
    cdef object next_turn
    # What a read has brought and nobody has taken yet, the next one last.
    cdef list queued
    cdef object close_timer

    def __init__(self, exchange, limits, on_message, on_closed, int status, block, deflate):
        self.exchange = exchange
        self.sink = exchange.sink
        self.engine = WebSocketEngine(limits.max_message_bytes, deflate=deflate)
        self.encode = self.engine.encode
        self.shares_frames = deflate is None
        self.close_timeout_s = limits.close_timeout_s
        self.on_message = on_message
        self.on_closed = on_closed
        exchange.writer = self
        exchange.start(status, block)
        exchange.watch(self.gone)
        exchange.on_readable = self.readable
        exchange.on_writable = self.writable
        self.sink.receiver = exchange
        self.sink.body_timed = False
        self.sink.grant(0)
        if self.sink.buffered_in_bytes or self.sink.ended:
            # Of a peer on HTTP/2 that did not wait for the answer: it is not told of again. Our owner is not ready yet.
            asyncio.get_running_loop().call_soon(self.readable)

    @property
    def is_open(self):
        """Messages can be sent."""
        return self.closing is None and not self.over

    @property
    def is_blocked(self):
        """More is queued than the peer takes."""
        return self.exchange._blocked

    def send(self, message):
        """Queue a message; False: above the high-water mark, or closed: await `drained` before more."""
        if self.closing is not None or self.over:
            return False
        return self.write(<bytes>self.encode(message))

    def frame(self, message):
        """The frame of a message, for `send_frame`."""
        return self.encode(message)

    def send_frame(self, bytes frame):
        """As `send`, of what `frame` made, on this socket or on another one; where `shares_frames` of both."""
        if self.closing is not None or self.over:
            return False
        return self.write(frame)

    cdef bint write(self, bytes data) except -1:
        """What `Exchange.write` does: once for each message its call would show, and a look at the exchange does."""
        self.sent_bytes += len(data)
        if self.sink.send_data(data):
            return True
        self.exchange._blocked = True
        return False

    def ping(self):
        """Ask whether the peer lives: `heard` grows with its answer. Not where it takes nothing in any case."""
        if self.closing is None and not self.over and not self.exchange._blocked:
            self.write(self.engine.encode_ping())

    async def drained(self):
        """Wait until the peer has taken enough of what is queued. Returns at once where it has left."""
        if self.closing is None and not self.over:
            try:
                await self.exchange.drain()
                return
            except Gone:
                pass
        await asyncio.sleep(0)

    def pause(self):
        """Take no more messages until `resume`."""
        self.is_paused = True

    def pause_until_drained(self):
        """Take no more messages until the peer has taken what is queued for it: it asks faster than it reads."""
        self.is_paused = self.resumes = True

    cpdef resume(self):
        self.resumes = False
        if self.is_paused:
            self.is_paused = False
            self.readable()

    cpdef writable(self):
        on_exchange_writable(self.exchange)
        if self.resumes:
            self.resume()

    def close(self, int code=NORMAL, str reason=""):
        """Begin the closing handshake (RFC 6455 §7.1.2); `on_closed` comes with the peer's answer, or after a while.

        Does nothing where it is closing already. Raises ValueError for a code that is never sent.
        """
        if self.closing is not None or self.over:
            return
        self.write(self.engine.encode_close(code, reason))
        self.closing = (code, reason)
        # What the peer still sends is read on for its close to be found.
        self.is_paused = self.resumes = False
        self.wait_for_peer(self.abandon)
        self.readable()

    cdef int wait_for_peer(self, then) except -1:
        self.close_timer = asyncio.get_running_loop().call_later(self.close_timeout_s, then)
        return 0

    cpdef stop_waiting(self):
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = None

    cpdef readable(self):
        # What takes a message may pause, resume and close: the loop that called it goes on by itself.
        if self.reading or self.next_turn is not None:
            return
        self.reading = True
        try:
            self.read()
        except Exception:
            request_id = self.exchange.request_id
            logger.exception("a WebSocket failed (request %s)", request_id, extra={"request_id": request_id})
            self.fail(INTERNAL_ERROR, "internal error")
        finally:
            self.reading = False
        if self.over:
            self.drop()

    cdef int read(self) except -1:
        cdef bytes part
        sink = self.sink
        engine = self.engine
        while not self.is_paused and not self.over:
            if self.queued:
                self.take(self.queued.pop())
                continue
            failure = engine.failure
            if failure is not None:
                self.fail(failure[0], failure[1])
                return 0
            if engine.waiting:
                # Much was unpacked: others have their turn before there is more.
                self.next_turn = asyncio.get_running_loop().call_soon(self.go_on)
                return 0
            part = sink.take()
            if not part:
                if sink.ended:
                    self.gone()
                return 0
            sink.grant(len(part))
            self.heard += 1
            self.receive(part)
        return 0

    def go_on(self):
        self.next_turn = None
        if not self.over:
            self.receive(b"")
        self.readable()

    cdef int receive(self, bytes data) except -1:
        cdef list found = self.engine.receive_data(data)
        if self.on_messages is not None and self.closing is None and all_messages(found):
            self.on_messages(self, found)
            return 0
        found.reverse()
        self.queued = found
        return 0

    cdef int drop(self) except -1:
        """What comes after the end: the peer may not know of it yet."""
        part = self.sink.take()
        if part:
            self.sink.grant(len(part))
        if self.sink.ended:
            self.stop_waiting()
        return 0

    cdef int take(self, one) except -1:
        if type(one) is not tuple:
            if self.closing is None:
                self.on_message(self, one)
            return 0
        opcode, payload = one
        if opcode == PING:
            # One who takes nothing gets no pongs either: they would pile up.
            if self.closing is None and not self.exchange._blocked:
                self.write(self.engine.encode_pong(payload))
        elif opcode != PONG:
            self.closed_by_peer(payload[0], payload[1])
        return 0

    cdef int closed_by_peer(self, int code, str reason) except -1:
        if self.closing is None:
            self.write(self.engine.encode_close(code))
        else:
            code, reason = self.closing
        return self.ended(code, reason)

    cdef int fail(self, int code, str reason) except -1:
        if self.closing is None:
            self.write(self.engine.encode_close(code, reason))
        return self.ended(code, reason)

    def abandon(self):
        """The peer has not answered our close in time."""
        self.close_timer = None
        self.ended(self.closing[0], self.closing[1])

    cpdef gone(self):
        """The peer says nothing more; in the middle of a closing handshake that does."""
        if self.closing is None:
            self.ended(ABNORMAL, "")
        else:
            self.ended(self.closing[0], self.closing[1])

    cdef int ended(self, int code, str reason) except -1:
        if self.over:
            return 0
        self.over = True
        self.queued = None
        self.stop_waiting()
        sink = self.sink
        if not sink.closed:
            self.exchange.finish()
            if not sink.closed and not sink.ended:
                self.exchange.watch(self.stop_waiting)
                self.wait_for_peer(self.break_off)
        on_closed = self.on_closed
        # They refer to what refers to this: it must go now, not when the collector comes.
        self.on_message = self.on_closed = self.on_messages = None
        on_closed(self, code, reason)
        return 0

    def break_off(self):
        """The peer has not ended its side in time: it may send for ever."""
        self.close_timer = None
        self.exchange.reset(CANCEL)


cdef bint all_messages(list found) noexcept:
    for one in found:
        if type(one) is tuple:
            return False
    return True
