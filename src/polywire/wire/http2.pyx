# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The HTTP/2 server engine (RFC 9113, RFC 8441) on libnghttp2; the dialect is that of `polywire.wire.sink`.

libnghttp2 calls back while it parses and while it serializes. Nothing above the engine runs in there: callbacks
only note which streams are ready or changed, and `deliver` tells the layer above once nghttp2 has returned.

Who keeps what alive: the connection links every stream that nghttp2 still knows, because nghttp2 holds bare pointers
to it; the link is cut when nghttp2 closes the stream. Header fields are handed to nghttp2 without a copy, and
serialized only in `data_to_send`, so the stream also keeps its header blocks until then.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport malloc
from libc.string cimport memchr, memcmp, memcpy

from polywire.wire.headers cimport CommonHeaders, HeaderBlock, Headers, intern_name
from polywire.wire.nghttp2 cimport *

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject** string, Py_ssize_t size) except -1

cdef enum:
    # A flush is cut here, so that one connection does not hold the loop for long; the rest comes with the next call.
    OUTPUT_BYTES = 64 * 1024
    FRAME_BYTES = 16384 + 9
    # Unsent control frames and response heads while the transport is paused, beyond which reading pauses too.
    QUEUED_FRAMES = 256

cdef enum:
    READABLE = 1
    WRITABLE = 2
    GONE = 4

cdef enum:
    SERVING = 0
    NOTICE_SENT = 1
    DRAINING = 2

cdef uint8_t NO_COPY = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE
cdef const char* DRAIN_PING = b"pw-drain"
cdef const char* ALIVE_PING = b"pw-alive"
cdef const char* TOO_MANY_PINGS = b"too_many_pings"
cdef HeaderBlock NOTHING = HeaderBlock()
# RFC 9113 §8.2.2: these speak of an HTTP/1.1 connection; a block that also serves HTTP/1.1 may hold them.
cdef frozenset CONNECTION_FIELDS = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)

# One flush is laid out here; the GIL is held and nothing above runs until it has become a bytes object.
cdef uint8_t* SCRATCH = <uint8_t*>malloc(OUTPUT_BYTES + 2 * FRAME_BYTES)
cdef Py_ssize_t scratch_used = 0
cdef char STATUS_DIGITS[3000]
for _status in range(100, 1000):
    STATUS_DIGITS[3 * _status] = 48 + _status // 100
    STATUS_DIGITS[3 * _status + 1] = 48 + _status // 10 % 10
    STATUS_DIGITS[3 * _status + 2] = 48 + _status % 10


include "http2_stream.pxi"
include "http2_callbacks.pxi"


@cython.final
cdef class Http2Connection:
    """One HTTP/2 connection, server side; see `polywire.wire.sink` for the dialect and the .pyi for each method."""

    cdef object __weakref__
    cdef nghttp2_session* session
    cdef CommonHeaders common
    cdef object on_request
    cdef public object on_output, on_refused
    cdef public double now
    cdef readonly Py_ssize_t open_requests, last_activity_marker
    cdef Py_ssize_t most_discarded
    cdef Py_ssize_t max_header_bytes, max_headers, max_target_bytes, max_glitches, max_resets, high_water, low_water
    cdef Py_ssize_t max_unsent, max_early_pings
    cdef double min_ping_interval_s

    cdef Http2Stream first, current
    cdef list ready, changed
    cdef bytes held
    cdef bint inside, delivering, announced, paused, control_only, calm, dying, eof
    cdef bint unclaimed  # a HEADERS frame has begun, and nghttp2 has not said for which request
    cdef int stage
    cdef uint32_t fault  # the code of a connection error that a callback has found
    cdef double second_started, last_ping
    cdef Py_ssize_t glitches, resets, excused
    cdef Py_ssize_t early_pings, pings_out
    cdef Py_ssize_t unsent  # bytes of all answers that wait

    def __cinit__(self, on_request, limits, CommonHeaders common not None):
        cdef nghttp2_settings_entry settings[5]
        self.on_request = on_request
        self.common = common
        self.max_header_bytes = limits.max_header_bytes
        self.max_headers = limits.max_headers
        self.max_target_bytes = limits.max_target_bytes
        self.max_glitches = limits.max_glitches
        self.most_discarded = limits.max_buffered_body_bytes
        self.max_resets = limits.max_resets
        self.high_water = limits.high_water_bytes
        self.low_water = limits.low_water_bytes
        self.max_unsent = limits.max_unsent_bytes
        self.max_early_pings = limits.max_early_pings
        self.min_ping_interval_s = limits.min_ping_interval_s
        self.last_ping = -limits.min_ping_interval_s
        self.ready = []
        self.changed = []
        if nghttp2_session_server_new2(&self.session, CALLBACKS, <void*>self, OPTIONS) != 0:
            raise MemoryError
        settings[0].settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS
        settings[0].value = limits.max_concurrent_streams
        settings[1].settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE
        settings[1].value = limits.max_buffered_body_bytes
        settings[2].settings_id = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE
        settings[2].value = limits.max_header_bytes
        settings[3].settings_id = NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL
        settings[3].value = 1
        # RFC 9218 §2.1: no dependency tree, so that PRIORITY frames cost nothing.
        settings[4].settings_id = NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES
        settings[4].value = 1
        if nghttp2_submit_settings(self.session, NGHTTP2_FLAG_NONE, settings, 5) != 0:
            raise ValueError("max_buffered_body_bytes must fit a window (RFC 9113 §6.9.1: at most 2**31-1)")
        if nghttp2_session_set_local_window_size(
            self.session, NGHTTP2_FLAG_NONE, 0, limits.max_connection_window_bytes
        ) != 0:
            raise ValueError("max_connection_window_bytes must fit a window (RFC 9113 §6.9.1)")

    def __dealloc__(self):
        if self.session != NULL:
            nghttp2_session_del(self.session)

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
                # What is left is `calm` and the floods that nghttp2 sees itself.
                self.fail(
                    self.fault if self.fault
                    else NGHTTP2_PROTOCOL_ERROR if result == NGHTTP2_ERR_BAD_CLIENT_MAGIC
                    else NGHTTP2_INTERNAL_ERROR if result == NGHTTP2_ERR_NOMEM
                    else NGHTTP2_ENHANCE_YOUR_CALM
                )
            elif self.ready and nghttp2_session_want_write(self.session):
                self.settle()
            self.deliver()
        except BaseException:
            if self.session != NULL:
                self.fail(NGHTTP2_INTERNAL_ERROR)
            raise
        finally:
            self.inside = False

    def receive_eof(self):
        cdef Http2Stream st = self.first
        self.eof = True
        while st is not None:
            if not st.ended and not st.closed:
                nghttp2_submit_rst_stream(self.session, NGHTTP2_FLAG_NONE, st.id, NGHTTP2_CANCEL)
                self.lose(st)
            st = st.after
        self.deliver()
        self.touch()

    def data_to_send(self):
        cdef bytes out
        cdef bint told
        self.announced = False
        if self.session == NULL or self.paused:
            return b""
        self.inside = True
        try:
            out = self.serialize()
            self.held = None
            if not nghttp2_session_want_read(self.session) and self.first is not None:
                self.lose_all()
            told = bool(self.changed) or (bool(self.ready) and self.unsent <= self.max_unsent)
            self.deliver()
        finally:
            self.inside = False
        if told and self.session != NULL and nghttp2_session_want_write(self.session):
            self.touch()
        return out

    @property
    def want_close(self):
        if self.session == NULL:
            return True
        if self.held is not None or nghttp2_session_want_write(self.session):
            return False
        if self.eof and self.open_requests == 0:
            return True
        return not nghttp2_session_want_read(self.session)

    @property
    def want_read(self):
        if self.session == NULL or self.dying or self.eof or not nghttp2_session_want_read(self.session):
            return False
        if not self.paused:
            return True
        return (
            nghttp2_session_get_outbound_queue_size(self.session) < QUEUED_FRAMES
            and (self.held is None or PyBytes_GET_SIZE(self.held) < OUTPUT_BYTES)
        )

    @property
    def awaiting_head(self):
        cdef Http2Stream st = self.first
        while st is not None:
            if not st.head_done and not st.closed:
                return True
            st = st.after
        return False

    @property
    def awaiting_body(self):
        cdef Http2Stream st = self.first
        while st is not None:
            if st.is_awaited():
                return True
            st = st.after
        return False

    def timeout(self):
        if self.awaiting_head:
            self.close(NGHTTP2_PROTOCOL_ERROR)

    def reset_stalled(self, double limit_s):
        cdef Http2Stream st = self.first
        cdef bint found = False
        if self.session == NULL or self.dying:
            return
        while st is not None:
            found |= st.is_given_up(limit_s)
            st = st.after
        if found:
            self.deliver()
            self.touch()

    def ping(self):
        if self.session == NULL or self.dying:
            return
        self.pings_out += 1
        nghttp2_submit_ping(self.session, NGHTTP2_FLAG_NONE, <const uint8_t*>ALIVE_PING)
        self.touch()

    def reset_unread(self):
        cdef Http2Stream st = self.first
        cdef Http2Stream after
        if self.session == NULL or self.dying or self.paused:
            return
        while st is not None:
            after = st.after
            if st.out_ended and not st.closed and st.buffered_out_bytes:
                if st.unmoved:
                    st.reset(NGHTTP2_CANCEL)
                st.unmoved = True
            st = after

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        if self.session != NULL and (self.held is not None or nghttp2_session_want_write(self.session)):
            self.touch()

    def shutdown(self):
        if self.session == NULL or self.dying:
            return
        cdef Http2Stream st = self.first
        if self.stage == SERVING:
            while st is not None:
                if st.out_finished and not st.ended:
                    st.stop_peer()
                st = st.after
            self.stage = NOTICE_SENT
            nghttp2_submit_shutdown_notice(self.session)
            self.pings_out += 1
            nghttp2_submit_ping(self.session, NGHTTP2_FLAG_NONE, <const uint8_t*>DRAIN_PING)
        elif self.stage == NOTICE_SENT:
            self.go_away()
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
        self.ready.clear()
        self.current = self.held = None
        self.on_output = self.on_refused = None
        self.deliver()
        self.on_request = None

    # -- within

    cdef int settle(self) except -1:
        """Serialize the control frames now: a stream that nghttp2 has just decided to reset looks open until then.

        Without this a client could have requests run and reset by the server's own doing ("MadeYouReset").
        """
        self.control_only = True
        try:
            self.held = self.serialize() or None
        finally:
            self.control_only = False
        if not nghttp2_session_want_read(self.session):
            self.ready.clear()
            self.lose_all()
        return 0

    cdef int touch(self) except -1:
        """Output may have appeared: tell the driver, once until it flushes."""
        if self.inside or self.announced or self.paused or self.on_output is None:
            return 0
        self.announced = True
        self.on_output()
        return 0

    cdef int note(self, Http2Stream st, int change) except -1:
        if st.dispatched and not st.closed and st.receiver is not None:
            if st.changes == 0:
                self.changed.append(st)
            st.changes |= change
        return 0

    cdef int lose(self, Http2Stream st) except -1:
        if st.is_unfinished():
            self.note(st, GONE)
        st.leave()
        return 0

    cdef int lose_all(self) except -1:
        """nghttp2 may still point to the streams: they stay linked until it is gone."""
        cdef Http2Stream st = self.first
        while st is not None:
            self.lose(st)
            st = st.after
        return 0

    cdef void unlink(self, Http2Stream st) noexcept:
        st.leave()
        if self.session != NULL:
            st.credit(st.uncredited)
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
        self.unsent -= st.buffered_out_bytes
        st.buffered_out_bytes = 0
        st.chunk = st.more = None
        st.kept_block = st.kept_common = st.kept_trailers = None
        st.kept_extra = None
        if st.changes == 0:
            st.receiver = None

    cdef int fail(self, uint32_t code) except -1:
        """Connection error: GOAWAY is the last thing sent, and nothing more is read."""
        if self.early_pings > self.max_early_pings:
            # gRPC's clients look for these words, and ping half as often from then on.
            nghttp2_submit_goaway(
                self.session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(self.session), code,
                <const uint8_t*>TOO_MANY_PINGS, 14,
            )
        nghttp2_session_terminate_session(self.session, code)
        self.dying = True
        self.ready.clear()
        return self.lose_all()

    cdef int go_away(self) except -1:
        """The second GOAWAY: streams up to the last one seen are finished, later ones are not taken."""
        self.stage = DRAINING
        nghttp2_submit_goaway(
            self.session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(self.session),
            NGHTTP2_NO_ERROR, NULL, 0,
        )
        return 0

    cdef bytes serialize(self):
        """What nghttp2 has to send, after what was held back before; at most OUTPUT_BYTES and a frame."""
        global scratch_used
        cdef const uint8_t* frame
        cdef ssize_t length
        scratch_used = 0
        if self.held is not None:
            if PyBytes_GET_SIZE(self.held) >= OUTPUT_BYTES:
                return self.held
            scratch_used = PyBytes_GET_SIZE(self.held)
            memcpy(SCRATCH, PyBytes_AS_STRING(self.held), scratch_used)
        while scratch_used < OUTPUT_BYTES:
            length = nghttp2_session_mem_send(self.session, &frame)
            if length > 0:
                memcpy(SCRATCH + scratch_used, frame, length)
                scratch_used += length
            elif length < 0:
                self.dying = True
                raise MemoryError
            elif self.calm and not self.dying:
                self.fail(NGHTTP2_ENHANCE_YOUR_CALM)
            else:
                break
        return PyBytes_FromStringAndSize(<const char*>SCRATCH, scratch_used)

    cdef int deliver(self) except -1:
        cdef Http2Stream st
        cdef Py_ssize_t at
        if self.delivering:
            return 0
        self.delivering = True
        try:
            while self.changed or (self.ready and self.unsent <= self.max_unsent):
                batch = self.ready
                if batch and self.unsent <= self.max_unsent:
                    self.ready = []
                    for at, st in enumerate(batch):
                        if not self.dispatch(st):
                            st.reset(NGHTTP2_INTERNAL_ERROR)
                        if self.unsent > self.max_unsent:
                            self.ready = batch[at + 1 :] + self.ready
                            break
                batch = self.changed
                if batch:
                    self.changed = []
                    for st in batch:
                        if not self.tell(st):
                            st.reset(NGHTTP2_INTERNAL_ERROR)
        finally:
            self.delivering = False
        return 0

    cdef bint dispatch(self, Http2Stream st) noexcept:
        """Hand one request up. An exception from above goes to sys.unraisablehook and costs that stream only."""
        if st.closed:
            return True
        if st.refused_status:
            st.respond(st.refused_status, NOTHING, b"")
            if self.on_refused is not None:
                self.on_refused(st, st.refused_status, 0)
            return True
        st.dispatched = True
        self.open_requests += 1
        self.on_request(st)
        return True

    cdef bint tell(self, Http2Stream st) noexcept:
        """Tell a stream's receiver what has changed; exceptions as in `dispatch`."""
        cdef int changes = st.changes
        receiver = st.receiver
        st.changes = 0
        if receiver is None:
            return True
        if changes & GONE:
            st.receiver = None
            receiver.on_gone()
            return True
        if st.connection is None:
            st.receiver = None
        if changes & READABLE:
            receiver.on_readable()
        if changes & WRITABLE and not st.closed:
            receiver.on_writable()
        return True
