# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The HTTP/2 client engine (RFC 9113) on libnghttp2: requests out, answers in; the server's is `polywire.wire.http2`.

As in the server's, nothing above the engine runs within nghttp2: callbacks note which streams changed, and `deliver`
tells their receivers once nghttp2 has returned. The connection links every stream that nghttp2 still knows, because
nghttp2 holds bare pointers to it; request heads are handed over without a copy, so the stream keeps them until sent.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy

from polywire.wire.headers cimport HeaderBlock, Headers, intern_name
from polywire.wire.nghttp2 cimport *

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject** string, Py_ssize_t size) except -1

cdef enum:
    # A flush is cut here, so that one connection does not hold the loop for long; the rest comes with the next call.
    OUTPUT_BYTES = 256 * 1024
    FRAME_BYTES = 16384 + 9
    # Unsent control frames while the transport is paused, beyond which reading pauses too.
    QUEUED_FRAMES = 256
    # Every frame of a request excuses this many control frames of the server: those give credit and probe.
    FRAMES_EXCUSED = 3
    MOST_EXCUSED = 4096
    BOMB_GLITCHES = 64
    MAX_CONTINUATIONS = 8

cdef enum:
    HEAD = 1
    READABLE = 2
    END = 4
    GONE = 8
    WRITABLE = 16

LOST = -1
REFUSED = NGHTTP2_REFUSED_STREAM
cdef int64_t LOST_CODE = -1
cdef uint8_t NO_COPY = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE

# One flush is laid out here; the GIL is held and nothing above runs until it has become a bytes object.
cdef uint8_t* SCRATCH = <uint8_t*>malloc(OUTPUT_BYTES + 2 * FRAME_BYTES)
cdef Py_ssize_t scratch_used = 0


include "http2_client_stream.pxi"
include "http2_client_callbacks.pxi"


@cython.final
cdef class Http2ClientConnection:
    """One HTTP/2 connection, client side; see the .pyi for each method."""

    cdef object __weakref__
    cdef nghttp2_session* session
    cdef public object on_output
    cdef public double now
    cdef readonly Py_ssize_t open_streams, pings_answered
    cdef readonly bint settled
    cdef readonly int64_t goaway_code
    cdef Py_ssize_t max_streams, max_header_bytes, max_headers, max_glitches, high_water, low_water

    cdef ClientStream first, current
    cdef list changed
    cdef bint inside, delivering, announced, paused, dying, eof
    cdef uint32_t failure
    cdef int continuations
    cdef double second_started
    cdef Py_ssize_t glitches, excused

    def __cinit__(self, limits):
        cdef nghttp2_settings_entry settings[3]
        for name in ("max_buffered_body_bytes", "max_connection_window_bytes"):
            if not 0 < getattr(limits, name) < 2**31:
                raise ValueError(f"{name} must fit a window (RFC 9113 §6.9.1: at most 2**31-1)")
        self.max_streams = limits.max_concurrent_streams
        self.max_header_bytes = limits.max_header_bytes
        self.max_headers = limits.max_headers
        self.max_glitches = limits.max_glitches
        self.high_water = limits.high_water_bytes
        self.low_water = limits.low_water_bytes
        self.goaway_code = -1
        self.changed = []
        if nghttp2_session_client_new2(&self.session, CALLBACKS, <void*>self, OPTIONS) != 0:
            raise MemoryError
        settings[0].settings_id = NGHTTP2_SETTINGS_ENABLE_PUSH
        settings[0].value = 0
        settings[1].settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE
        settings[1].value = limits.max_buffered_body_bytes
        settings[2].settings_id = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE
        settings[2].value = limits.max_header_bytes
        if nghttp2_submit_settings(self.session, NGHTTP2_FLAG_NONE, settings, 3) != 0:
            raise MemoryError
        if nghttp2_session_set_local_window_size(
            self.session, NGHTTP2_FLAG_NONE, 0, limits.max_connection_window_bytes
        ) != 0:
            raise MemoryError

    def __dealloc__(self):
        if self.session != NULL:
            nghttp2_session_del(self.session)

    # -- what the layer above calls

    @property
    def draining(self):
        return self.session == NULL or self.dying or self.eof or not nghttp2_session_check_request_allowed(self.session)

    @property
    def room(self):
        cdef Py_ssize_t most
        if self.draining:
            return 0
        most = nghttp2_session_get_remote_settings(self.session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        return max(0, min(most, self.max_streams) - self.open_streams)

    def open(
        self, receiver, RequestHead head not None, tuple extra not None=(), bytes body not None=b"", bint end=True
    ):
        cdef nghttp2_nv stack[48]
        cdef nghttp2_nv* nv = stack
        cdef nghttp2_data_provider provider
        cdef Py_ssize_t extras = len(extra)
        cdef Py_ssize_t i
        cdef ClientStream st
        cdef bytes name, value
        if self.room <= 0:
            raise RuntimeError("the connection takes no more requests now: look at `room` first")
        st = ClientStream.__new__(ClientStream)
        st.connection = self
        st.receiver = receiver
        st.kept_head = head
        st.kept_extra = extra
        if PyBytes_GET_SIZE(body):
            st.queue(body)
        st.out_ended = end
        if head.count + extras > 48:
            nv = <nghttp2_nv*>PyMem_Malloc((head.count + extras) * sizeof(nghttp2_nv))
            if nv == NULL:
                raise MemoryError
        try:
            memcpy(nv, head.fields, head.count * sizeof(nghttp2_nv))
            for i in range(extras):
                name, value = extra[i]
                set_field(nv + head.count + i, name, value, NO_COPY | NGHTTP2_NV_FLAG_NO_INDEX)
            provider.source.ptr = <void*>st
            provider.read_callback = read_body
            st.id = nghttp2_submit_request(
                self.session, NULL, nv, head.count + extras, NULL if end and st.chunk is None else &provider, <void*>st
            )
        finally:
            if nv != stack:
                PyMem_Free(nv)
        if st.id < 0:
            raise RuntimeError(f"nghttp2 did not take the request: error {st.id}")
        st.after = self.first
        if self.first is not None:
            self.first.before = st
        self.first = st
        self.open_streams += 1
        self.touch()
        return st

    def ping(self):
        if self.session == NULL or self.dying:
            return
        nghttp2_submit_ping(self.session, NGHTTP2_FLAG_NONE, NULL)
        self.touch()

    # -- what the driver calls

    def receive_data(self, data):
        cdef bytes raw = data if type(data) is bytes else bytes(data)
        cdef ssize_t result
        if self.session == NULL or self.dying:
            return
        self.inside = True
        try:
            result = nghttp2_session_mem_recv(
                self.session, <const uint8_t*>PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw)
            )
            if result < 0:
                self.fail(
                    self.failure if self.failure
                    else NGHTTP2_INTERNAL_ERROR if result == NGHTTP2_ERR_NOMEM
                    else NGHTTP2_ENHANCE_YOUR_CALM
                )
            self.deliver()
        except BaseException:
            if self.session != NULL:
                self.fail(NGHTTP2_INTERNAL_ERROR)
            raise
        finally:
            self.inside = False

    def receive_eof(self):
        if self.session == NULL:
            return
        self.eof = True
        self.lose_all()
        self.deliver()
        self.touch()

    def data_to_send(self):
        cdef bytes out
        self.announced = False
        if self.session == NULL or self.paused:
            return b""
        self.inside = True
        try:
            out = self.serialize()
            if not nghttp2_session_want_read(self.session) and self.first is not None:
                self.lose_all()
            self.deliver()
        finally:
            self.inside = False
        return out

    @property
    def want_close(self):
        if self.session == NULL or self.eof:
            return True
        return not nghttp2_session_want_write(self.session) and not nghttp2_session_want_read(self.session)

    @property
    def want_read(self):
        if self.session == NULL or self.dying or self.eof or not nghttp2_session_want_read(self.session):
            return False
        return not self.paused or nghttp2_session_get_outbound_queue_size(self.session) < QUEUED_FRAMES

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        if self.session != NULL and nghttp2_session_want_write(self.session):
            self.touch()

    def close(self, uint32_t code=0):
        if self.session == NULL or self.dying:
            return
        self.fail(code)
        self.deliver()
        self.touch()

    def connection_lost(self):
        cdef nghttp2_session* session = self.session
        if session == NULL:
            return
        self.lose_all()
        self.session = NULL
        nghttp2_session_del(session)
        while self.first is not None:
            self.unlink(self.first)
        self.current = None
        self.on_output = None
        self.deliver()

    # -- within

    cdef int touch(self) except -1:
        """Output may have appeared: tell the driver, once until it flushes."""
        if self.inside or self.announced or self.paused or self.on_output is None:
            return 0
        self.announced = True
        self.on_output()
        return 0

    cdef int refuse(self, uint32_t code) noexcept:
        self.failure = code
        return NGHTTP2_ERR_CALLBACK_FAILURE

    cdef int strike(self, int glitches) noexcept:
        """Count control frames of this second that no request excuses; a failure once there are too many."""
        if self.excused > 0 and glitches == 1:
            self.excused -= 1
            return 0
        if self.now - self.second_started >= 1.0:
            self.second_started = self.now
            self.glitches = 0
        self.glitches += glitches
        return self.refuse(NGHTTP2_ENHANCE_YOUR_CALM) if self.glitches > self.max_glitches else 0

    cdef int note(self, ClientStream st, int change) except -1:
        if not st.closed and st.receiver is not None:
            if st.changes == 0:
                self.changed.append(st)
            st.changes |= change
        return 0

    cdef int end(self, ClientStream st) except -1:
        st.ended = True
        return self.note(st, END)

    cdef int lose(self, ClientStream st, int64_t code) except -1:
        """The stream is over. Where its answer is not whole, that is told."""
        if not st.closed:
            if not st.ended:
                st.gone_code = code
                self.note(st, GONE)
            st.closed = True
        return 0

    cdef int lose_all(self) except -1:
        """nghttp2 may still point to the streams: they stay linked until it is gone."""
        cdef ClientStream st = self.first
        while st is not None:
            # What has not left us yet has not reached anybody: RFC 9113 §8.7 in spirit.
            self.lose(st, LOST_CODE if st.head_sent else NGHTTP2_REFUSED_STREAM)
            st = st.after
        return 0

    cdef void unlink(self, ClientStream st) noexcept:
        self.open_streams -= 1
        if self.current is st:
            self.current = None
        if st.after is not None:
            st.after.before = st.before
        if st.before is not None:
            st.before.after = st.after
        else:
            self.first = st.after
        st.before = st.after = None
        st.connection = None
        st.chunk = st.more = None
        st.kept_head = None
        st.kept_extra = None
        if st.changes == 0:
            st.receiver = None

    cdef int fail(self, uint32_t code) except -1:
        """GOAWAY is the last thing sent, and nothing more is read."""
        nghttp2_session_terminate_session(self.session, code)
        self.dying = True
        return self.lose_all()

    cdef bytes serialize(self):
        """What nghttp2 has to send, at most OUTPUT_BYTES and a frame."""
        global scratch_used
        cdef const uint8_t* frame
        cdef ssize_t length
        scratch_used = 0
        while scratch_used < OUTPUT_BYTES:
            length = nghttp2_session_mem_send(self.session, &frame)
            if length > 0:
                memcpy(SCRATCH + scratch_used, frame, length)
                scratch_used += length
            elif length < 0:
                self.dying = True
                raise MemoryError
            else:
                break
        return PyBytes_FromStringAndSize(<const char*>SCRATCH, scratch_used)

    cdef int deliver(self) except -1:
        cdef ClientStream st
        if self.delivering:
            return 0
        self.delivering = True
        try:
            while self.changed:
                batch = self.changed
                self.changed = []
                for st in batch:
                    if not self.tell(st):
                        st.reset(NGHTTP2_INTERNAL_ERROR)
        finally:
            self.delivering = False
        return 0

    cdef bint tell(self, ClientStream st) noexcept:
        """Tell a receiver what has changed. What it raises goes to sys.unraisablehook and costs that stream only.

        It may reset the stream at any of these; then it is told nothing more.
        """
        cdef int changes = st.changes
        receiver = st.receiver
        st.changes = 0
        if receiver is None:
            return True
        if changes & HEAD:
            receiver.on_head(st.status, st.headers)
        if changes & READABLE and st.receiver is not None:
            receiver.on_readable()
        if changes & END and st.receiver is not None:
            st.receiver = None
            receiver.on_end(st.trailers)
            if not st.closed and not st.out_finished:
                # RFC 9113 §8.1: the answer is whole, and nobody needs the rest of the request.
                st.reset(NGHTTP2_NO_ERROR)
            return True
        if changes & GONE and st.receiver is not None:
            st.receiver = None
            receiver.on_gone(st.gone_code)
            return True
        if changes & WRITABLE and st.receiver is not None:
            receiver.on_writable()
        return True
