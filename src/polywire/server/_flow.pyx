# cython: boundscheck=False, wraparound=False
"""What every read and every write of a connection goes through: the drivers' hot path, and the queue of who has output."""

import logging

from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM
from cpython.object cimport PyObject

from polywire.server._epoll cimport Receiver, SocketTransport
from polywire.tasks.ahead cimport fetch
from polywire.wire.tunnel cimport Tunnel

logger = logging.getLogger("polywire.server")

# Engines give long output in pieces: after one of this size it is worth asking for more.
cdef Py_ssize_t LONG = 65536
cdef double TURN_S = 0.001
# Tunnels that are written to between two looks at the clock, less one.
cdef int LIGHT_ONES = 7


cdef class FlushQueue:
    """Who has something to write: each is flushed once in the next turn of the loop, or in a later one where many have.

    Streams make their next messages while the last ones are written, and each connection could go on with that for as
    long as its peer reads: without a bound to a turn, a cancellation or another caller's request would wait.

    clock: monotonic seconds.
    """

    cdef object loop, clock
    # From `at` on: those before it have been flushed.
    cdef list due
    cdef Py_ssize_t at
    cdef bint flushing

    def __init__(self, loop, clock):
        self.loop = loop
        self.clock = clock
        self.due = []

    def __len__(self):
        return len(self.due) - self.at

    cpdef int add(self, driver) except -1:
        """Flush a driver soon."""
        self.due.append(driver)
        if not self.flushing:
            self.flushing = True
            self.loop.call_soon(self.flush)
        return 0

    def flush(self):
        """Flush for a millisecond, then let the loop look at its sockets."""
        cdef list due = self.due
        cdef object driver
        cdef double until = self.clock() + TURN_S
        cdef int light = 0
        while self.at < len(due):
            self.look_ahead(due)
            driver = due[self.at]
            due[self.at] = None
            self.at += 1
            try:
                if isinstance(driver, Flow):
                    # What a tunnel has is here, and only has to be written.
                    light = light + 1 if (<Flow>driver).tunnel is not None else 0
                    (<Flow>driver).write_out()
                else:
                    light = 0
                    driver.flush()
            except Exception:
                logger.exception("a connection failed while it was written to; it is aborted")
                driver.abort()
            if light & LIGHT_ONES:
                continue
            if <double>self.clock() >= until:
                break
        if self.at * 2 >= len(due):
            del due[: self.at]
            self.at = 0
        if due:
            self.loop.call_soon(self.flush)
        else:
            self.flushing = False

    cdef void look_ahead(self, list due) noexcept:
        """A write takes as long as it takes what the next one needs to come."""
        cdef Py_ssize_t next_one = self.at + 1
        cdef PyObject* driver
        if next_one + 1 < len(due):
            fetch(PyList_GET_ITEM(due, next_one + 1))
        if next_one < len(due):
            driver = PyList_GET_ITEM(due, next_one)
            if isinstance(<object>driver, Flow):
                fetch(<PyObject*>(<Flow>driver).tunnel)
                fetch(<PyObject*>(<Flow>driver).socket)


cdef class Flow(Receiver):
    """Bytes from a transport to an engine and back: the base of `server.connection.Driver`, which does all the rest.

    In a class of Python it would be a third of what an echo costs.
    """

    cdef public object _engine, _transport
    # The transport where it is our own.
    cdef SocketTransport socket
    cdef FlushQueue queue
    # A flush has been asked for.
    cdef public unsigned char _flush_due
    # Something has come since the last tick.
    cdef public unsigned char _heard
    # The transport reads.
    cdef public unsigned char _reading
    # The peer sends nothing more, and we do not.
    cdef public unsigned char _peer_done, _half_closed
    # It has been asked to end, as it is old.
    cdef public unsigned char _retiring
    # What was seen at the last tick, and since when it has been so; see `server.connection`.
    cdef public long long _marker, _unsent_bytes
    cdef public double _idle_since, _stalled_since, _retires_at
    cdef public object _awaited_since
    cdef public object _hub
    # The engine is HTTP/1.1's, which may leave the connection to a tunnel.
    cdef unsigned char tunnels
    # The engine, once it has.
    cdef Tunnel tunnel

    def _begin(self, hub, transport, engine, double retires_at, bint tunnels):
        self._hub = hub
        self.tunnels = tunnels
        self._marker = engine.last_activity_marker
        self._idle_since = self._stalled_since = hub.now
        self._retires_at = retires_at
        self._transport = transport
        self.socket = transport if isinstance(transport, SocketTransport) else None
        self._engine = engine
        self._reading = True
        self.queue = hub.queue
        engine.on_output = self

    def _follow(self, tunnel):
        """The engine has left the connection to its tunnel, which is the engine from now on."""
        self._engine = self.tunnel = tunnel
        tunnel.on_output = self

    def __call__(self):
        """The engine has something to send, or wants something else."""
        self.flush_soon()

    def data_received(self, bytes data):
        self.receive(data)

    cdef int receive(self, bytes data) except -1:
        cdef object engine = self._engine
        cdef Tunnel tunnel = self.tunnel
        cdef bytes out
        if engine is None:
            return 0
        self._heard = True
        if tunnel is not None:
            tunnel.feed(data)
            out = tunnel.take_output()
        else:
            if not self.tunnels:
                engine.now = self._hub.now
            engine.receive_data(data)
            out = engine.data_to_send()
        if out:
            self.write(out)
            if PyBytes_GET_SIZE(out) >= LONG:
                self.flush_soon()
        if self.wants_otherwise(engine):
            self._settle(engine)
        return 0

    cdef int write(self, bytes out) except -1:
        if self.socket is not None:
            return self.socket.put(out)
        self._transport.write(out)
        return 0

    cdef bint wants_otherwise(self, object engine) except -1:
        """The transport has to be closed, paused or resumed, or the engine to be followed by its tunnel."""
        cdef Tunnel tunnel = self.tunnel
        if tunnel is not None:
            return tunnel.closing or (tunnel.credit > 0) != self._reading or tunnel.sent_end
        return engine.want_close or not (engine.want_read and self._reading)

    cdef int flush_soon(self) except -1:
        if not self._flush_due:
            self._flush_due = True
            self.queue.add(self)
        return 0

    def flush(self):
        """Write what the engine has to send, then do as it wants."""
        self.write_out()

    cdef int write_out(self) except -1:
        cdef object engine = self._engine
        cdef bytes out
        self._flush_due = False
        if engine is None:
            return 0
        out = self.tunnel.take_output() if self.tunnel is not None else engine.data_to_send()
        if out:
            self.write(out)
            if PyBytes_GET_SIZE(out) >= LONG and not self.tunnels:
                # The rest in a turn of its own: a stream fills up what its peer takes, for as long as that has credit.
                # HTTP/1.1 gives all that it has, and what it leaves for another turn is to let others come first.
                self.flush_soon()
        if self._peer_done or self.wants_otherwise(engine):
            self._settle(engine)
        return 0

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
            and self._hub.draining_since is None
            and self.is_at_work()
            and not (self.socket.unsent if self.socket is not None else self._transport.get_write_buffer_size())
        ):
            self._heard = False
            self._stalled_since = self._idle_since = now
            self._marker = engine.last_activity_marker
            return
        self._look(now)

    cdef bint is_at_work(self) except -1:
        """Something is open, and nothing is waited for."""
        cdef object engine = self._engine
        if self.tunnel is not None:
            return not self.tunnel.closed and not self.tunnel.sent_end
        return engine.open_requests and not engine.awaiting_head and not engine.awaiting_body
