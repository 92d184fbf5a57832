# cython: boundscheck=False, wraparound=False
"""What every read and every write of a connection goes through: the drivers' hot path, and the queue of who has output."""

import logging
from collections import deque

from cpython.bytes cimport PyBytes_GET_SIZE

logger = logging.getLogger("polywire.server")

# Engines give long output in pieces: after one of this size it is worth asking for more.
cdef Py_ssize_t LONG = 65536
cdef double TURN_S = 0.001


cdef class FlushQueue:
    """Who has something to write: each is flushed once in the next turn of the loop, or in a later one where many have.

    Streams make their next messages while the last ones are written, and each connection could go on with that for as
    long as its peer reads: without a bound to a turn, a cancellation or another caller's request would wait.

    clock: monotonic seconds.
    """

    cdef object loop, clock, due
    cdef bint flushing

    def __init__(self, loop, clock):
        self.loop = loop
        self.clock = clock
        self.due = deque()

    def __len__(self):
        return len(self.due)

    cpdef int add(self, driver) except -1:
        """Flush a driver soon."""
        self.due.append(driver)
        if not self.flushing:
            self.flushing = True
            self.loop.call_soon(self.flush)
        return 0

    def flush(self):
        """Flush for a millisecond, then let the loop look at its sockets."""
        cdef object due = self.due
        cdef object driver
        cdef double until = self.clock() + TURN_S
        while due:
            driver = due.popleft()
            try:
                driver.flush()
            except Exception:
                logger.exception("a connection failed while it was written to; it is aborted")
                driver.abort()
            if <double>self.clock() >= until:
                break
        if due:
            self.loop.call_soon(self.flush)
        else:
            self.flushing = False


cdef class Flow:
    """Bytes from a transport to an engine and back: the base of `server.connection.Driver`, which does all the rest.

    In a class of Python it would be a third of what an echo costs.
    """

    cdef public object _engine, _transport
    cdef FlushQueue queue
    # A flush has been asked for.
    cdef public bint _flush_due
    # Something has come since the last tick.
    cdef public bint _heard
    # The transport reads.
    cdef public bint _reading
    # The peer sends nothing more, and we do not.
    cdef public bint _peer_done, _half_closed
    # What was seen at the last tick, and since when it has been so; see `server.connection`.
    cdef public long long _marker, _unsent_bytes
    cdef public double _idle_since, _stalled_since, _retires_at
    cdef public object _awaited_since
    cdef object hub
    # The engine is HTTP/1.1's, which may leave the connection to a tunnel that either side ends by itself.
    cdef bint tunnels

    def _begin(self, hub, transport, engine, double retires_at, bint tunnels):
        self.hub = hub
        self.tunnels = tunnels
        self._marker = engine.last_activity_marker
        self._idle_since = self._stalled_since = hub.now
        self._retires_at = retires_at
        self._transport = transport
        self._engine = engine
        self._reading = True
        self.queue = hub.queue
        engine.on_output = self._on_output

    def data_received(self, data):
        cdef object engine = self._engine
        cdef bytes out
        if engine is None:
            return
        self._heard = True
        engine.receive_data(data)
        out = engine.data_to_send()
        if out:
            self._transport.write(out)
            if PyBytes_GET_SIZE(out) >= LONG:
                self._on_output()
        if engine.want_close or <bint>engine.want_read != self._reading:
            self._settle(engine)

    cpdef _on_output(self):
        if not self._flush_due:
            self._flush_due = True
            self.queue.add(self)

    def flush(self):
        """Write what the engine has to send, then do as it wants."""
        cdef object engine = self._engine
        cdef bytes out
        self._flush_due = False
        if engine is None:
            return
        out = engine.data_to_send()
        if out:
            self._transport.write(out)
            if PyBytes_GET_SIZE(out) >= LONG and not self.tunnels:
                # The rest in a turn of its own: a stream fills up what its peer takes, for as long as that has credit.
                # HTTP/1.1 gives all that it has, and what it leaves for another turn is to let others come first.
                self._on_output()
        if self.tunnels and not self._half_closed and engine.want_eof:
            self._half_close(engine)
        if engine.want_close or self._peer_done or <bint>engine.want_read != self._reading:
            self._settle(engine)

    def tick(self, double now):
        """Look at the time-outs. With HTTP/1.1 there is nearly always nothing to time, and only marks are renewed."""
        cdef object engine = self._engine
        if engine is None:
            return
        if (
            self.tunnels
            and self._reading
            and not self._peer_done
            and not self._unsent_bytes
            and self._awaited_since is None
            and now < self._retires_at
            and self.hub.draining_since is None
            and engine.open_requests
            and not engine.awaiting_head
            and not engine.awaiting_body
            and not self._transport.get_write_buffer_size()
        ):
            self._heard = False
            self._stalled_since = self._idle_since = now
            self._marker = engine.last_activity_marker
            return
        self._look(now)
