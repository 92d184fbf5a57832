# cython: boundscheck=False, wraparound=False
"""What an HTTP/1.1 connection becomes when an Upgrade is taken up: bytes both ways, each closed by its own side.

`Tunnel` is the sink and the engine in one (see `wire/sink.py`): nothing of HTTP is left, so that an open one costs little
memory and few steps.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.string cimport memcpy


cdef class Driver(Link):
    cdef int flush_soon(self) except -1:
        raise NotImplementedError


cdef class Tunnel(Link):
    """The connection of one request, `Sink` for the layer above and engine for the driver. Made by its request only.

    most_held: `max_buffered_body_bytes`; while so much and more was not taken, nothing more is read.
    """

    def __cinit__(self, request, Py_ssize_t most_held, Py_ssize_t high_water):
        self.method = request.method
        self.target = request.target
        self.headers = request.headers
        self.scheme = request.scheme
        self.authority = request.authority
        self.receiver = request.receiver
        self.credit = self.most_held = most_held
        self.high_water = high_water

    # What the layer above sees.

    version = "1.1"
    tunnel = "websocket"
    trailers = None
    has_body = True
    content_length = -1
    successor = None

    @property
    def body_timed(self):
        return False

    @body_timed.setter
    def body_timed(self, timed):
        pass  # nobody times it

    def take(self):
        """All bytes received and not yet taken. Gives no credit."""
        cdef object body = self.body
        if body is None:
            return b""
        self.body = None
        self.buffered_in_bytes = 0
        return body if type(body) is bytes else bytes(body)

    cdef PyObject* next_link(self) noexcept:
        return <PyObject*>self.driver

    cdef bytes taken(self):
        """What `take` gives, with the credit for it given back."""
        cdef bytes part = self.take()
        cdef bint was_full = self.credit <= 0
        if not self.ended:
            self.credit = self.most_held
            if was_full:
                self.wake()
        return part

    def grant(self, Py_ssize_t count_bytes):
        """Let so many more bytes be read, as far as `max_buffered_body_bytes`."""
        cdef int64_t before = self.credit
        if self.closed or self.ended:
            return
        self.credit = min(before + max(count_bytes, 0), self.most_held)
        if before <= 0 < self.credit:
            self.wake()

    def respond(self, status, block, body, extra=(), trailers=None):
        """Raises RuntimeError: it has been answered."""
        if not self.closed:
            raise RuntimeError("the response has been started already")

    def send_head(self, status, block, extra=()):
        """Raises RuntimeError: it has been answered."""
        if not self.closed:
            raise RuntimeError("the response has been started already")
        return self

    def send_data(self, bytes data not None):
        """Queue bytes; False: `high_water_bytes` are waiting, go on after on_writable."""
        return self.send(data)

    cdef bint send(self, bytes data) except -1:
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
        if self.closed or self.sent_end:
            return True
        if length:
            self.buffered_out_bytes += length
            if self.out is None:
                self.out = data
            elif self.more is None:
                self.more = [self.out, data]
            else:
                self.more.append(data)
            self.wake()
        self.full = self.buffered_out_bytes >= self.high_water
        return not self.full

    def send_end(self, trailers=None):
        """Close our direction; what the peer still sends is received."""
        if self.closed or self.sent_end:
            return
        self.sent_end = True
        if self.ended or self.shutting:
            self.close()
        self.wake()

    def reset(self, code):
        """End the connection. `code` has no place here."""
        if not self.closed:
            self.close()
            self.body = None
            self.buffered_in_bytes = 0
            self.wake()

    # What the driver sees.

    awaiting_head = False
    on_refused = None
    last_activity_marker = 1

    @property
    def on_output(self):
        return self.callback

    @on_output.setter
    def on_output(self, callback):
        self.callback = callback
        self.driver = callback if isinstance(callback, Driver) else None

    @property
    def want_close(self):
        return self.closing and self.out is None

    @property
    def want_eof(self):
        return self.sent_end and not self.closed and self.out is None

    @property
    def want_read(self):
        return not self.closing and self.credit > 0

    @property
    def open_requests(self):
        return 0 if self.closed else 1

    @property
    def awaiting_body(self):
        return self.sent_end and not self.closed and self.credit > 0

    def receive_data(self, bytes data not None):
        self.feed(data)

    cdef int feed(self, bytes data) except -1:
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data), before
        if self.closing or self.ended or not length:
            return 0
        self.credit -= length
        self.buffered_in_bytes += length
        if self.body is None:
            self.body = data
        else:
            if type(self.body) is bytes:
                self.body = bytearray(self.body)
            before = PyByteArray_GET_SIZE(self.body)
            PyByteArray_Resize(self.body, before + length)
            memcpy(PyByteArray_AS_STRING(self.body) + before, PyBytes_AS_STRING(data), length)
        self.inside = True
        try:
            if not self.tell_readable():
                self.tell_gone()
        finally:
            self.inside = False
        return 0

    def receive_eof(self):
        """The peer sends nothing more."""
        if self.closing or self.ended:
            return
        self.ended = True
        if not self.tell_readable():
            self.tell_gone()
        elif self.sent_end and not self.closed:
            self.close()
        self.wake()

    def data_to_send(self):
        return self.take_output()

    cdef bytes take_output(self):
        cdef bytes out = self.out
        self.told = False
        if self.more is not None:
            out = b"".join(self.more)
            self.more = None
        self.out = None
        if not self.paused:
            self.buffered_out_bytes = 0
            if self.full:
                self.full = False
                if not self.tell_writable():
                    self.tell_gone()
        return b"" if out is None else out

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        self.wake()

    def shutdown(self):
        """The layer above ends it; then the peer's end is not waited for."""
        self.shutting = True
        if self.sent_end and not self.closed:
            self.close()
        self.wake()

    def timeout(self):
        """The peer has not closed its direction after ours."""
        if self.sent_end and not self.closed:
            self.tell_gone()
            self.wake()

    def connection_lost(self):
        self.tell_gone()
        self.closing = True
        self.out = self.more = None
        self.on_output = None

    # Ends.

    cdef int close(self) except -1:
        """Both ways are closed, once what is queued is written; what has been received may still be taken."""
        self.closed = self.closing = True
        self.receiver = None
        return 0

    cdef int tell_gone(self) except -1:
        cdef object receiver = self.receiver
        if self.closed:
            return 0
        self.close()
        self.body = None
        self.buffered_in_bytes = 0
        if receiver is not None:
            tell(receiver)
        return 0

    # What the layer above is told. It may fail: that goes to sys.unraisablehook, and ends the connection.

    cdef bint tell_readable(self) noexcept:
        if self.receiver is not None:
            self.receiver.on_readable()
        return True

    cdef bint tell_writable(self) noexcept:
        if self.receiver is not None:
            self.receiver.on_writable()
        return True

    cdef int wake(self) except -1:
        """Tell the driver, once, that a flush is due: for output, or because what the engine wants may have changed."""
        if self.inside or self.told:
            return 0
        if self.driver is not None:
            self.told = True
            return self.driver.flush_soon()
        if self.callback is not None:
            self.told = True
            self.callback()
        return 0


cdef bint tell(object receiver) noexcept:
    receiver.on_gone()
    return True
