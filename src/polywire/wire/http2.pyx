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
from libc.string cimport memcmp, memcpy

from polywire.wire.headers cimport CommonHeaders, HeaderBlock, Headers, intern_name
from polywire.wire.nghttp2 cimport *

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject** string, Py_ssize_t size) except -1

cdef enum:
    # A flush is cut here, so that one connection does not hold the loop for long; the rest comes with the next call.
    OUTPUT_BYTES = 256 * 1024
    FRAME_BYTES = 16384 + 9
    # Unsent control frames and response heads while the transport is paused, beyond which reading pauses too.
    QUEUED_FRAMES = 256
    # Every DATA or HEADERS frame sent excuses this many PINGs or WINDOW_UPDATEs: gRPC clients probe the bandwidth
    # with a PING per answer, and simple clients give credit back frame by frame. What is saved up is bounded.
    FRAMES_EXCUSED = 3
    MOST_EXCUSED = 4096
    # What a head that is too large costs of `max_glitches`; several times too large is an HPACK bomb.
    REFUSED_GLITCHES = 8
    BOMB_GLITCHES = 64
    BOMB_FACTOR = 4
    MAX_CONTINUATIONS = 8

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


cdef inline void set_field(
    nghttp2_nv* nv, const char* name, size_t name_length, const char* value, size_t value_length, uint8_t flags
) noexcept:
    nv.name = <uint8_t*>name
    nv.namelen = name_length
    nv.value = <uint8_t*>value
    nv.valuelen = value_length
    nv.flags = flags


@cython.final
cdef class FieldArray:
    """A HeaderBlock as nghttp2 wants it, pointing into the block's own bytes."""

    cdef nghttp2_nv* fields
    cdef Py_ssize_t count
    cdef bint has_length
    cdef tuple pairs

    def __cinit__(self, tuple pairs):
        self.pairs = tuple([pair for pair in pairs if pair[0] not in CONNECTION_FIELDS])
        self.count = len(self.pairs)
        self.has_length = False
        self.fields = <nghttp2_nv*>PyMem_Malloc(max(self.count, 1) * sizeof(nghttp2_nv))
        if self.fields == NULL:
            raise MemoryError
        for i, (name, value) in enumerate(self.pairs):
            set_field(
                &self.fields[i], PyBytes_AS_STRING(name), len(name), PyBytes_AS_STRING(value), len(value), NO_COPY
            )
            if name == b"content-length":
                self.has_length = True

    def __dealloc__(self):
        PyMem_Free(self.fields)


cdef inline FieldArray laid_out(HeaderBlock block):
    if block.h2_block is None:
        block.h2_block = FieldArray(block.pairs)
    return <FieldArray>block.h2_block


cdef inline bint is_length(bytes name) noexcept:
    return PyBytes_GET_SIZE(name) == 14 and memcmp(PyBytes_AS_STRING(name), b"content-length", 14) == 0


@cython.final
@cython.freelist(128)
cdef class Http2Stream:
    """One request and its answer; implements `Sink`. Made by `Http2Connection` only."""

    cdef Http2Connection connection  # None once nghttp2 has closed the stream
    cdef Http2Stream before, after
    cdef int32_t id

    cdef readonly object method, scheme, authority, target, tunnel
    cdef readonly Headers headers, trailers
    cdef readonly bint has_body, ended, closed
    cdef readonly int64_t content_length
    cdef readonly Py_ssize_t buffered_in_bytes, buffered_out_bytes
    cdef public object receiver

    # The head while it is read, and what became of it.
    cdef Py_ssize_t head_bytes, head_fields
    cdef int continuations, refused_status
    cdef bint has_authority, is_head, dispatched
    cdef int changes

    # Request body: a bytes object with room to spare, and how much the peer has no credit back for yet.
    cdef PyObject* body
    cdef Py_ssize_t body_room, uncredited

    # Response: the chunk being sent, those behind it, and what nghttp2 points to.
    cdef bint responded, bodyless, out_ended, out_finished, deferred, blocked
    cdef bytes chunk
    cdef Py_ssize_t chunk_sent
    cdef list more
    cdef Py_ssize_t more_taken
    cdef FieldArray kept_block, kept_common, kept_trailers
    cdef tuple kept_extra
    cdef char length_digits[20]

    def __dealloc__(self):
        Py_XDECREF(self.body)

    @property
    def version(self):
        return "2"

    # -- request body

    cdef int append(self, const uint8_t* data, Py_ssize_t length) except -1:
        cdef Py_ssize_t used = self.buffered_in_bytes
        cdef Py_ssize_t room
        if self.body == NULL:
            fresh = PyBytes_FromStringAndSize(NULL, length)
            Py_INCREF(fresh)
            self.body = <PyObject*>fresh
            self.body_room = length
        elif used + length > self.body_room:
            room = max(used + length, 2 * self.body_room)
            self.body_room = 0  # a failed resize leaves no object behind
            _PyBytes_Resize(&self.body, room)
            self.body_room = room
        memcpy(<uint8_t*>PyBytes_AS_STRING(<object>self.body) + used, data, length)
        self.buffered_in_bytes = used + length
        self.uncredited += length
        return 0

    def take(self):
        cdef PyObject* body
        if self.buffered_in_bytes == 0:
            return b""
        if self.buffered_in_bytes < self.body_room:
            _PyBytes_Resize(&self.body, self.buffered_in_bytes)
        taken = <object>self.body
        body = self.body
        self.body = NULL
        self.body_room = 0
        self.buffered_in_bytes = 0
        Py_XDECREF(body)
        return taken

    def grant(self, Py_ssize_t count_bytes):
        if self.closed or self.connection is None:
            return
        self.credit(min(count_bytes, self.uncredited))
        if nghttp2_session_want_write(self.connection.session):
            self.connection.touch()

    cdef void credit(self, Py_ssize_t count) noexcept:
        if count <= 0:
            return
        self.uncredited -= count
        if self.ended or self.closed:
            # Nobody needs this stream's window any more; the connection's is shared with the streams to come.
            nghttp2_session_consume_connection(self.connection.session, count)
        else:
            nghttp2_session_consume(self.connection.session, self.id, count)

    # -- response

    cdef int submit(
        self, int status, HeaderBlock block, tuple extra, Py_ssize_t length, bint with_body
    ) except -1:
        """One HEADERS frame; `length` is the content-length to add, -1 for none."""
        cdef nghttp2_nv stack[48]
        cdef nghttp2_nv* nv = stack
        cdef nghttp2_data_provider provider
        cdef FieldArray first = laid_out(block)
        cdef FieldArray common = laid_out(self.connection.common.block)
        cdef Py_ssize_t extras = len(extra)
        cdef Py_ssize_t count = 1
        cdef Py_ssize_t i
        cdef int result
        cdef bytes name, value
        cdef bint informational = status < 200
        if status < 100 or status > 999:
            raise ValueError(f"status {status} is not a three-digit number (RFC 9110 §15)")
        if extras + first.count + common.count + 2 > 48:
            nv = <nghttp2_nv*>PyMem_Malloc((extras + first.count + common.count + 2) * sizeof(nghttp2_nv))
            if nv == NULL:
                raise MemoryError
        try:
            set_field(nv, b":status", 7, &STATUS_DIGITS[3 * status], 3, NO_COPY)
            memcpy(nv + count, first.fields, first.count * sizeof(nghttp2_nv))
            count += first.count
            for i in range(extras):
                name, value = extra[i]
                set_field(
                    nv + count, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name),
                    PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), NO_COPY | NGHTTP2_NV_FLAG_NO_INDEX,
                )
                count += 1
                if length >= 0 and is_length(name):
                    length = -1
            if informational:
                # The final head follows before these may be serialized: let nghttp2 copy them.
                for i in range(1, count):
                    nv[i].flags = NGHTTP2_NV_FLAG_NO_INDEX
                result = nghttp2_submit_headers(
                    self.connection.session, NGHTTP2_FLAG_NONE, self.id, NULL, nv, count, NULL
                )
            else:
                memcpy(nv + count, common.fields, common.count * sizeof(nghttp2_nv))
                count += common.count
                if length >= 0 and not first.has_length:
                    i = 20
                    while True:
                        i -= 1
                        self.length_digits[i] = 48 + length % 10
                        length //= 10
                        if length == 0:
                            break
                    set_field(nv + count, b"content-length", 14, &self.length_digits[i], 20 - i, NO_COPY)
                    count += 1
                self.kept_block = first
                self.kept_common = common
                self.kept_extra = extra
                self.responded = True
                provider.source.ptr = <void*>self
                provider.read_callback = read_body
                result = nghttp2_submit_response(
                    self.connection.session, self.id, nv, count, &provider if with_body else NULL
                )
        finally:
            if nv != stack:
                PyMem_Free(nv)
        if result != 0:
            raise RuntimeError(f"nghttp2 did not take the head: error {result}")
        self.connection.touch()
        return 0

    def respond(
        self, int status, HeaderBlock block not None, bytes body not None, tuple extra not None=(),
        HeaderBlock trailers=None,
    ):
        cdef Py_ssize_t length = PyBytes_GET_SIZE(body)
        if self.closed or self.connection is None:
            return
        if self.responded:
            raise RuntimeError("the response was already started")
        if status < 200:
            raise ValueError(f"status {status} is not final: send it with send_head")
        if status == 204 or status == 304:
            self.submit(status, block, extra, -1, False)
        elif self.is_head:
            self.submit(status, block, extra, length if trailers is None else -1, False)
        elif trailers is None:
            if length:
                self.chunk = body
                self.buffered_out_bytes = length
            self.out_ended = True
            self.submit(status, block, extra, length, length != 0)
        else:
            if length:
                self.chunk = body
                self.buffered_out_bytes = length
            self.out_ended = True
            self.kept_trailers = laid_out(trailers)
            self.submit(status, block, extra, -1, True)

    def send_head(self, int status, HeaderBlock block not None, tuple extra not None=()):
        if self.closed or self.connection is None:
            return
        if self.responded:
            raise RuntimeError("the response was already started")
        if status == 101:
            raise ValueError("HTTP/2 has no 101 (RFC 9113 §8.6)")
        self.bodyless = self.is_head or status == 204 or status == 304
        self.submit(status, block, extra, -1, not self.bodyless)

    def send_data(self, bytes data not None):
        if self.closed or self.connection is None or self.bodyless or PyBytes_GET_SIZE(data) == 0:
            return True
        if not self.responded or self.out_ended:
            raise RuntimeError("send_data belongs between send_head and send_end")
        if self.chunk is None:
            self.chunk = data
        elif self.more is None:
            self.more = [data]
        else:
            self.more.append(data)
        self.buffered_out_bytes += PyBytes_GET_SIZE(data)
        self.resume()
        if self.buffered_out_bytes > self.connection.high_water:
            self.blocked = True
            return False
        return True

    def send_end(self, HeaderBlock trailers=None):
        if self.closed or self.connection is None or self.bodyless:
            return
        if not self.responded or self.out_ended:
            raise RuntimeError("send_end belongs after send_head, once")
        if trailers is not None:
            self.kept_trailers = laid_out(trailers)
        self.out_ended = True
        self.resume()

    cdef int resume(self) except -1:
        if self.deferred:
            self.deferred = False
            nghttp2_session_resume_data(self.connection.session, self.id)
        return self.connection.touch()

    def reset(self, uint32_t code):
        if self.closed or self.connection is None:
            return
        nghttp2_submit_rst_stream(self.connection.session, NGHTTP2_FLAG_NONE, self.id, code)
        self.leave()
        self.credit(self.uncredited)
        self.receiver = None
        self.connection.touch()

    cdef void leave(self) noexcept:
        """From here on the layer above can do nothing with the exchange."""
        if not self.closed:
            self.closed = True
            if self.dispatched:
                self.connection.open_requests -= 1

    cdef int copy_out(self, uint8_t* to, Py_ssize_t count) except -1:
        """Move `count` bytes of the response's body out of its chunks."""
        cdef Py_ssize_t part
        self.buffered_out_bytes -= count
        while count:
            part = min(count, PyBytes_GET_SIZE(self.chunk) - self.chunk_sent)
            memcpy(to, PyBytes_AS_STRING(self.chunk) + self.chunk_sent, part)
            to += part
            count -= part
            self.chunk_sent += part
            if self.chunk_sent == PyBytes_GET_SIZE(self.chunk):
                self.chunk_sent = 0
                if self.more is None:
                    self.chunk = None
                else:
                    self.chunk = self.more[self.more_taken]
                    self.more_taken += 1
                    if self.more_taken == len(self.more):
                        self.more = None
                        self.more_taken = 0
                    elif self.more_taken == 64:
                        del self.more[:64]
                        self.more_taken = 0
        return 0

    def __repr__(self):
        return f"<Http2Stream {self.id} {self.method} {self.target}>"


# -- what nghttp2 calls; a callback that fails returns NGHTTP2_ERR_CALLBACK_FAILURE (-902), with a Python exception
# set or with the connection's `calm` saying that the peer went too far

cdef inline Http2Stream known(Http2Connection c, int32_t stream_id):
    cdef void* found
    if c.current is not None and c.current.id == stream_id:
        return c.current
    found = nghttp2_session_get_stream_user_data(c.session, stream_id)
    return None if found == NULL else <Http2Stream>found


cdef int on_begin_frame(nghttp2_session* session, const nghttp2_frame_hd* hd, void* user) except -902:
    cdef Http2Connection c = <Http2Connection>user
    if hd.type == NGHTTP2_PING or hd.type == NGHTTP2_WINDOW_UPDATE:
        if hd.type == NGHTTP2_PING and hd.flags & NGHTTP2_FLAG_ACK:
            return 0
        if c.excused > 0:
            c.excused -= 1
            return 0
        return c.strike(1, 0)
    if hd.type == NGHTTP2_PRIORITY or (hd.type == NGHTTP2_SETTINGS and not hd.flags & NGHTTP2_FLAG_ACK):
        return c.strike(1, 0)
    if hd.type == NGHTTP2_CONTINUATION and c.current is not None:
        c.current.continuations += 1
        if c.current.continuations > MAX_CONTINUATIONS:
            c.calm = True
            return NGHTTP2_ERR_CALLBACK_FAILURE
    return 0


cdef int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) except -902:
    cdef Http2Connection c = <Http2Connection>user
    cdef Http2Stream st
    cdef nghttp2_extpri turn
    if frame.headers.cat != NGHTTP2_HCAT_REQUEST:
        st = known(c, frame.hd.stream_id)
        if st is not None:
            st.trailers = Headers.__new__(Headers)
            st.head_bytes = st.head_fields = st.continuations = 0
        c.current = st
        return 0
    st = Http2Stream.__new__(Http2Stream)
    st.id = frame.hd.stream_id
    st.connection = c
    st.method = st.scheme = st.authority = st.target = ""
    st.content_length = -1
    st.headers = Headers.__new__(Headers)
    st.after = c.first
    if c.first is not None:
        c.first.before = st
    c.first = st
    c.current = st
    nghttp2_session_set_stream_user_data(session, st.id, <void*>st)
    # Streams take turns unless the request's `priority` field says otherwise (RFC 9218 §10): a client that does not
    # speak of priorities is mostly an RPC client, whose calls have nothing to do with one another.
    turn.urgency = 3
    turn.inc = 1
    nghttp2_session_change_extpri_stream_priority(session, st.id, &turn, 0)
    return 0


cdef int on_header(
    nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_length,
    const uint8_t* value, size_t value_length, uint8_t flags, void* user,
) except -902:
    cdef Http2Connection c = <Http2Connection>user
    cdef Http2Stream st = c.current
    if st is None:
        return 0
    st.head_bytes += name_length + value_length + 32
    st.head_fields += 1
    if st.head_bytes > c.max_header_bytes or st.head_fields > c.max_headers:
        return too_large(c, st)
    if st.trailers is not None:
        st.trailers.add(intern_name(name, name_length), PyUnicode_DecodeLatin1(<const char*>value, value_length, NULL))
        return 0
    if name_length and name[0] == 58:
        if name_length == 5:
            if <Py_ssize_t>value_length > c.max_target_bytes:
                st.refused_status = 414
            else:
                st.target = PyUnicode_DecodeLatin1(<const char*>value, value_length, NULL)
        elif name_length == 7 and name[1] == 109:
            st.method = intern_name(value, value_length)
            st.is_head = value_length == 4 and memcmp(value, b"HEAD", 4) == 0
        elif name_length == 7:
            st.scheme = intern_name(value, value_length)
        elif name_length == 10:
            st.authority = PyUnicode_DecodeLatin1(<const char*>value, value_length, NULL)
            st.has_authority = True
        elif name_length == 9:
            st.tunnel = intern_name(value, value_length)
        return 0
    if name_length == 14 and memcmp(name, b"content-length", 14) == 0:
        st.content_length = 0
        for i in range(value_length):  # nghttp2 lets nothing through but digits that fit
            st.content_length = st.content_length * 10 + value[i] - 48
    st.headers.add(intern_name(name, name_length), PyUnicode_DecodeLatin1(<const char*>value, value_length, NULL))
    return 0


cdef int too_large(Http2Connection c, Http2Stream st) except? -902:
    """Stop storing; a head that is merely too large is answered, one that keeps growing is not even decoded on."""
    cdef bint bomb = (
        st.trailers is not None
        or st.head_bytes // BOMB_FACTOR > c.max_header_bytes
        or st.head_fields // BOMB_FACTOR > c.max_headers
    )
    if not bomb:
        if st.refused_status == 0:
            st.refused_status = 431
        return 0
    nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, st.id, NGHTTP2_ENHANCE_YOUR_CALM)
    if c.strike(BOMB_GLITCHES, 0):
        return NGHTTP2_ERR_CALLBACK_FAILURE
    # nghttp2 goes on to inflate the block, which keeps the table right, but checks and reports no more of it.
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE


cdef int on_frame_recv(nghttp2_session* session, const nghttp2_frame* frame, void* user) except -902:
    cdef Http2Connection c = <Http2Connection>user
    cdef Http2Stream st
    cdef uint8_t kind = frame.hd.type
    if kind == NGHTTP2_HEADERS:
        st = known(c, frame.hd.stream_id)
        if st is None:
            return 0
        if frame.headers.cat == NGHTTP2_HCAT_REQUEST:
            st.ended = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0
            st.has_body = not st.ended
            return head_complete(c, st)
        st.ended = True
        c.note(st, READABLE)
    elif kind == NGHTTP2_DATA:
        if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
            st = known(c, frame.hd.stream_id)
            if st is not None:
                st.ended = True
                c.note(st, READABLE)
        elif frame.hd.length <= frame.data.padlen:
            return c.strike(1, 0)
    elif kind == NGHTTP2_RST_STREAM:
        return c.strike(0, 1)
    elif kind == NGHTTP2_PING:
        if (
            c.stage == NOTICE_SENT
            and frame.hd.flags & NGHTTP2_FLAG_ACK
            and memcmp(frame.ping.opaque_data, DRAIN_PING, 8) == 0
        ):
            c.go_away()
    return 0


cdef int head_complete(Http2Connection c, Http2Stream st) except? -902:
    host = st.headers.get("host")
    if not st.has_authority:
        if host is not None:
            st.authority = host
    elif host is not None and host.lower() != st.authority.lower() and st.refused_status == 0:
        st.refused_status = 400  # RFC 9113 §8.3.1: two names for the host, one of them made to be missed
    if st.target == "" and st.refused_status == 0:
        st.refused_status = 501  # CONNECT without :protocol asks for a proxy
    elif st.refused_status == 0 and st.target[0] != "/" and st.target != "*":
        st.refused_status = 400  # nghttp2 looks at the form only where the scheme is http or https
    c.ready.append(st)
    if st.refused_status:
        return c.strike(REFUSED_GLITCHES, 0)
    c.last_activity_marker += 1
    return 0


cdef int on_data_chunk(
    nghttp2_session* session, uint8_t flags, int32_t stream_id, const uint8_t* data, size_t length, void* user
) except -902:
    cdef Http2Connection c = <Http2Connection>user
    cdef Http2Stream st = known(c, stream_id)
    if st is None or st.closed or st.refused_status:
        nghttp2_session_consume_connection(session, length)
        return 0
    st.append(data, length)
    c.note(st, READABLE)
    return 0


cdef int on_stream_close(nghttp2_session* session, int32_t stream_id, uint32_t code, void* user) except -902:
    cdef Http2Connection c = <Http2Connection>user
    cdef Http2Stream st = known(c, stream_id)
    if st is None:
        return 0
    if not st.closed and not st.out_finished:
        c.note(st, GONE)
    c.unlink(st)
    return 0


cdef int on_frame_send(nghttp2_session* session, const nghttp2_frame* frame, void* user) except -902:
    cdef Http2Connection c = <Http2Connection>user
    cdef Http2Stream st
    if frame.hd.type == NGHTTP2_DATA or frame.hd.type == NGHTTP2_HEADERS:
        if c.excused < MOST_EXCUSED:
            c.excused += FRAMES_EXCUSED
        if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
            st = known(c, frame.hd.stream_id)
            if st is not None:
                st.out_finished = True
                if not st.ended:
                    # RFC 9113 §8.1: the answer is whole, the rest of the request is not needed.
                    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, st.id, NGHTTP2_NO_ERROR)
    elif frame.hd.type == NGHTTP2_RST_STREAM:
        if frame.rst_stream.error_code == NGHTTP2_REFUSED_STREAM:
            c.strike(1, 0)  # it cost little, and an honest client may not know the limit yet
        elif frame.rst_stream.error_code != NGHTTP2_NO_ERROR:
            c.strike(0, 1)
    return 0


cdef int on_frame_not_send(nghttp2_session* session, const nghttp2_frame* frame, int error, void* user) except -902:
    if frame.hd.type == NGHTTP2_HEADERS and error == NGHTTP2_ERR_FRAME_SIZE_ERROR:
        # A response head over nghttp2's 64 KiB: without this the stream would stay open for ever.
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_INTERNAL_ERROR)
    return 0


cdef ssize_t read_body(
    nghttp2_session* session, int32_t stream_id, uint8_t* buffer, size_t room, uint32_t* flags,
    nghttp2_data_source* source, void* user,
) noexcept:
    cdef Http2Connection c = <Http2Connection>user
    cdef Http2Stream st = <Http2Stream>source.ptr
    cdef Py_ssize_t length = min(<Py_ssize_t>room, st.buffered_out_bytes)
    if c.control_only:
        return NGHTTP2_ERR_PAUSE
    if length == st.buffered_out_bytes:
        if st.out_ended:
            flags[0] = NGHTTP2_DATA_FLAG_EOF
            if st.kept_trailers is not None:
                flags[0] |= NGHTTP2_DATA_FLAG_NO_END_STREAM
                nghttp2_submit_trailer(session, stream_id, st.kept_trailers.fields, st.kept_trailers.count)
        elif length == 0:
            st.deferred = True
            return NGHTTP2_ERR_DEFERRED
    if length:
        flags[0] |= NGHTTP2_DATA_FLAG_NO_COPY
    return length


cdef int send_data(
    nghttp2_session* session, nghttp2_frame* frame, const uint8_t* head, size_t length, nghttp2_data_source* source,
    void* user,
) except -902:
    """A DATA frame straight into the scratch buffer; a pause after it once that is full."""
    global scratch_used
    cdef Http2Connection c = <Http2Connection>user
    cdef Http2Stream st = <Http2Stream>source.ptr
    memcpy(SCRATCH + scratch_used, head, 9)
    st.copy_out(SCRATCH + scratch_used + 9, length)
    scratch_used += 9 + length
    if st.blocked and st.buffered_out_bytes <= c.low_water:
        st.blocked = False
        c.note(st, WRITABLE)
    return NGHTTP2_ERR_PAUSE if scratch_used >= OUTPUT_BYTES else 0


cdef nghttp2_session_callbacks* CALLBACKS
cdef nghttp2_option* OPTIONS
if nghttp2_session_callbacks_new(&CALLBACKS) != 0 or nghttp2_option_new(&OPTIONS) != 0 or SCRATCH == NULL:
    raise MemoryError
nghttp2_session_callbacks_set_on_begin_frame_callback(CALLBACKS, <nghttp2_on_begin_frame_callback>on_begin_frame)
nghttp2_session_callbacks_set_on_begin_headers_callback(CALLBACKS, <nghttp2_on_begin_headers_callback>on_begin_headers)
nghttp2_session_callbacks_set_on_header_callback(CALLBACKS, <nghttp2_on_header_callback>on_header)
nghttp2_session_callbacks_set_on_frame_recv_callback(CALLBACKS, <nghttp2_on_frame_recv_callback>on_frame_recv)
nghttp2_session_callbacks_set_on_data_chunk_recv_callback(CALLBACKS, <nghttp2_on_data_chunk_recv_callback>on_data_chunk)
nghttp2_session_callbacks_set_on_stream_close_callback(CALLBACKS, <nghttp2_on_stream_close_callback>on_stream_close)
nghttp2_session_callbacks_set_on_frame_send_callback(CALLBACKS, <nghttp2_on_frame_send_callback>on_frame_send)
nghttp2_session_callbacks_set_on_frame_not_send_callback(
    CALLBACKS, <nghttp2_on_frame_not_send_callback>on_frame_not_send
)
nghttp2_session_callbacks_set_send_data_callback(CALLBACKS, <nghttp2_send_data_callback>send_data)
nghttp2_option_set_no_auto_window_update(OPTIONS, 1)
nghttp2_option_set_no_closed_streams(OPTIONS, 1)


@cython.final
cdef class Http2Connection:
    """One HTTP/2 connection, server side; see `polywire.wire.sink` for the dialect and the .pyi for each method."""

    cdef object __weakref__
    cdef nghttp2_session* session
    cdef CommonHeaders common
    cdef object on_request
    cdef public object on_output
    cdef public double now
    cdef readonly Py_ssize_t open_requests, last_activity_marker
    cdef Py_ssize_t max_header_bytes, max_headers, max_target_bytes, max_glitches, max_resets, high_water, low_water

    cdef Http2Stream first, current
    cdef list ready, changed
    cdef bytes held
    cdef bint inside, delivering, announced, paused, control_only, calm, dying, eof
    cdef int stage
    cdef double second_started
    cdef Py_ssize_t glitches, resets, excused

    def __cinit__(self, on_request, limits, CommonHeaders common not None):
        cdef nghttp2_settings_entry settings[5]
        self.on_request = on_request
        self.common = common
        self.max_header_bytes = limits.max_header_bytes
        self.max_headers = limits.max_headers
        self.max_target_bytes = limits.max_target_bytes
        self.max_glitches = limits.max_glitches
        self.max_resets = limits.max_resets
        self.high_water = limits.high_water_bytes
        self.low_water = limits.low_water_bytes
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
                self.fail(
                    NGHTTP2_PROTOCOL_ERROR if result == NGHTTP2_ERR_BAD_CLIENT_MAGIC
                    else NGHTTP2_ENHANCE_YOUR_CALM if self.calm or result == NGHTTP2_ERR_FLOODED
                    else NGHTTP2_INTERNAL_ERROR
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
        self.announced = False
        if self.session == NULL or self.paused:
            return b""
        self.inside = True
        try:
            out = self.serialize()
            self.held = None
            if not nghttp2_session_want_read(self.session) and self.first is not None:
                self.lose_all()
            self.deliver()
        finally:
            self.inside = False
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

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        if self.session != NULL and (self.held is not None or nghttp2_session_want_write(self.session)):
            self.touch()

    def shutdown(self):
        if self.session == NULL or self.dying:
            return
        if self.stage == SERVING:
            self.stage = NOTICE_SENT
            nghttp2_submit_shutdown_notice(self.session)
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
        self.on_output = None
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

    cdef int strike(self, int glitches, int resets) noexcept:
        """Count suspicious frames and resets of this second; NGHTTP2_ERR_CALLBACK_FAILURE once there are too many."""
        if self.now - self.second_started >= 1.0:
            self.second_started = self.now
            self.glitches = self.resets = 0
        self.glitches += glitches
        self.resets += resets
        if self.glitches > self.max_glitches or self.resets > self.max_resets:
            self.calm = True
            return NGHTTP2_ERR_CALLBACK_FAILURE
        return 0

    cdef int note(self, Http2Stream st, int change) except -1:
        if st.dispatched and not st.closed and st.receiver is not None:
            if st.changes == 0:
                self.changed.append(st)
            st.changes |= change
        return 0

    cdef int lose(self, Http2Stream st) except -1:
        if not st.out_finished:
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
        st.chunk = st.more = None
        st.kept_block = st.kept_common = st.kept_trailers = None
        st.kept_extra = None
        if not st.changes & GONE:
            st.receiver = None

    cdef int fail(self, uint32_t code) except -1:
        """Connection error: GOAWAY is the last thing sent, and nothing more is read."""
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
        if self.delivering:
            return 0
        self.delivering = True
        try:
            while self.ready or self.changed:
                batch = self.ready
                if batch:
                    self.ready = []
                    for st in batch:
                        if not self.dispatch(st):
                            st.reset(NGHTTP2_INTERNAL_ERROR)
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
        if changes & READABLE:
            receiver.on_readable()
        if changes & WRITABLE and not st.closed:
            receiver.on_writable()
        return True
