# cython: boundscheck=False, wraparound=False
"""A WebSocket that is open: between the tunnel of an exchange and whoever takes its messages."""

import asyncio
import logging

from cpython.object cimport PyObject

from polywire.wire.tunnel cimport Tunnel

from polywire.http.exchange import Exchange, Gone
from polywire.wire.websocket import WebSocketEngine

logger = logging.getLogger("polywire")

cdef int PING = 9
cdef int PONG = 10
cdef int NORMAL = 1000
cdef int ABNORMAL = 1006
cdef int INTERNAL_ERROR = 1011
# Of the IANA registry of close codes.
cdef int TRY_AGAIN_LATER = 1013
# What `reset` says of a peer that does not end (RFC 9113 §7).
cdef int CANCEL = 8

cdef object on_exchange_writable = Exchange.on_writable
cdef object on_exchange_gone = Exchange.on_gone


cdef class WebSocket(Link):
    """One WebSocket that is open, of the server's end: the receiver of its tunnel. In one loop, never from other threads.

    The peer gets credit for what has been taken: while it is paused, nothing more is read.
    """

    def __init__(self, exchange, limits, listener, int status, block, deflate, turns):
        self.exchange = exchange
        self.frames = WebSocketEngine(limits.max_message_bytes, deflate=deflate)
        self.shares_frames = deflate is None
        self.turns = None if deflate is None else turns
        self.close_timeout_s = limits.close_timeout_s
        self.listener = listener
        exchange.writer = self
        exchange.start(status, block)
        self.sink = exchange.sink
        self.tunnel = self.sink if type(self.sink) is Tunnel else None
        self.sink.receiver = self
        self.sink.body_timed = False
        self.sink.grant(0)
        if self.sink.buffered_in_bytes or self.sink.ended:
            # Of a peer on HTTP/2 that did not wait for the answer: it is not told of again. Our owner is not ready yet.
            asyncio.get_running_loop().call_soon(self.readable)

    @property
    def engine(self):
        return self.frames

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
        return self.write(self.frames.encode(message))

    def frame(self, message):
        """The frame of a message, for `send_frame`."""
        return self.frames.encode(message)

    def send_frame(self, bytes frame):
        """As `send`, of what `frame` made, on this socket or on another one; where `shares_frames` of both."""
        return self.put(frame)

    cdef PyObject* next_link(self) noexcept:
        return <PyObject*>self.tunnel

    cdef bint put(self, bytes frame) except -1:
        if self.closing is not None or self.over:
            return False
        return self.write(frame)

    cdef bint write(self, bytes data) except -1:
        """What `Exchange.write` does: once for each message its call would show, and a look at the exchange does."""
        self.sent_bytes += len(data)
        if self.tunnel.send(data) if self.tunnel is not None else self.sink.send_data(data):
            return True
        self.exchange._blocked = True
        return False

    def ping(self):
        """Ask whether the peer lives: `heard` grows with its answer. Not where it takes nothing in any case."""
        if self.closing is None and not self.over and not self.exchange._blocked:
            self.write(self.frames.ping())

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

    # What the engine below tells.

    def on_readable(self):
        self.readable()

    def on_writable(self):
        on_exchange_writable(self.exchange)
        if self.resumes:
            self.resume()

    def on_gone(self):
        exchange = self.exchange
        # First, so that what is ended hears of that rather than of Gone.
        exchange._on_gone = self.gone
        on_exchange_gone(exchange)

    # Its end.

    def close(self, int code=NORMAL, str reason=""):
        """Begin the closing handshake (RFC 6455 §7.1.2); `on_closed` comes with the peer's answer, or after a while.

        Does nothing where it is closing already. Raises ValueError for a code that is never sent.
        """
        if self.closing is not None or self.over:
            return
        self.write(self.frames.closing(code, reason))
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
        if self.reading or self.awaits_turn:
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
        cdef Frames frames = self.frames
        sink = self.sink
        while not self.is_paused and not self.over:
            if self.queued:
                self.take(self.queued.pop())
                continue
            failure = frames.failure
            if failure is not None:
                self.fail(failure[0], failure[1])
                return 0
            if self.turns is not None and not self.has_turn and (frames.waiting or not self.turns.is_open):
                # Much was unpacked, here or elsewhere: others have their turn before there is more.
                self.awaits_turn = True
                self.turns.wait(self.go_on)
                return 0
            if self.tunnel is not None:
                part = self.tunnel.taken()
            else:
                part = sink.take()
                if part:
                    sink.grant(len(part))
            if not part:
                if sink.ended:
                    self.gone()
                return 0
            self.heard += 1
            self.receive(part)
        return 0

    cdef bint count(self) except -1:
        """Have the listener count what is kept of a message that is not whole; False: it may not be kept."""
        cdef Py_ssize_t kept = self.frames.kept()
        if not self.listener.on_unfinished(self, kept - <Py_ssize_t>self.counted):
            return False
        self.counted = kept
        return True

    def go_on(self):
        self.awaits_turn = False
        self.has_turn = True
        if self.frames.waiting and not self.over:
            self.receive(b"")
        self.readable()
        self.has_turn = False

    cdef int receive(self, bytes data) except -1:
        cdef list found = self.frames.receive_data(data)
        cdef bint fits = self.frames.kept() == <Py_ssize_t>self.counted or self.count()
        if self.turns is not None:
            self.has_turn = False
            self.turns.spend(self.frames.inflated)
        # A read that ends in the middle of a frame may have brought nothing at all.
        if found and self.mailbox is not None and self.closing is None and all_messages(found):
            self.mailbox.receive(self, found)
        else:
            found.reverse()
            self.queued = found
        if not fits:
            self.fail(TRY_AGAIN_LATER, "too many messages are unfinished")
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
                self.listener.on_message(self, one)
            return 0
        opcode, payload = one
        if opcode == PING:
            # One who takes nothing gets no pongs either: they would pile up.
            if self.closing is None and not self.exchange._blocked:
                self.write(self.frames.pong(payload))
        elif opcode != PONG:
            self.closed_by_peer(payload[0], payload[1])
        return 0

    cdef int closed_by_peer(self, int code, str reason) except -1:
        if self.closing is None:
            self.write(self.frames.closing(code, ""))
        else:
            code, reason = self.closing
        return self.ended(code, reason)

    cdef int fail(self, int code, str reason) except -1:
        if self.closing is None:
            self.write(self.frames.closing(code, reason))
        return self.ended(code, reason)

    def abandon(self):
        """The peer has not answered our close in time."""
        self.close_timer = None
        self.ended(self.closing[0], self.closing[1])

    cpdef gone(self):
        """The peer says nothing more; in the middle of a closing handshake that does."""
        if self.over:
            self.stop_waiting()
        elif self.closing is None:
            self.ended(ABNORMAL, "")
        else:
            self.ended(self.closing[0], self.closing[1])

    cdef int ended(self, int code, str reason) except -1:
        if self.over:
            return 0
        self.over = True
        self.queued = None
        self.frames.forget()
        if self.counted:
            self.count()
        self.stop_waiting()
        sink = self.sink
        if not sink.closed:
            self.exchange.finish()
            if not sink.closed and not sink.ended:
                self.wait_for_peer(self.break_off)
        listener = self.listener
        # They refer to what refers to this: it must go now, not when the collector comes.
        self.listener = self.mailbox = None
        listener.on_closed(self, code, reason)
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
