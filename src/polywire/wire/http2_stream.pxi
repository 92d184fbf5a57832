# Part of http2.pyx: one request and its answer.

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

    cdef readonly object method, target, tunnel
    cdef public object scheme, authority
    cdef readonly Headers headers, trailers
    cdef readonly bint has_body, ended, closed
    cdef readonly int64_t content_length
    cdef readonly Py_ssize_t buffered_in_bytes, buffered_out_bytes
    cdef public object receiver
    cdef public bint body_timed

    # The head while it is read, and what became of it.
    cdef Py_ssize_t head_bytes, head_fields
    cdef int continuations, refused_status
    cdef bint has_authority, is_head, head_done, dispatched
    cdef int changes

    # Request body: a bytes object with room to spare, and how much the peer has no credit back for yet.
    cdef PyObject* body
    cdef Py_ssize_t body_room, uncredited
    cdef Py_ssize_t discarded  # after the answer
    cdef double heard  # when the peer last went on with the body, or was not expected to

    # Response: the chunk being sent, those behind it, and what nghttp2 points to.
    cdef bint responded, bodyless, out_ended, out_finished, deferred, blocked
    cdef bint tunnelled  # an accepted extended CONNECT: its two directions end on their own
    cdef bint unmoved  # nothing of the body has been sent since `reset_unread` last looked
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

    cdef bint is_awaited(self) noexcept:
        """Whether the peer owes body for which the answer waits and which it has credit to send."""
        return (
            self.dispatched and self.body_timed and not self.ended and not self.closed and not self.responded
            and self.buffered_in_bytes == 0
            and nghttp2_session_get_stream_local_window_size(self.connection.session, self.id) > 0
            and nghttp2_session_get_local_window_size(self.connection.session) > 0
        )

    cdef bint is_discarded(self) noexcept:
        """Whether the answer is out, and the peer has not ended its request."""
        return self.out_finished and not self.ended and not self.tunnelled

    cdef bint is_given_up(self, double limit_s) except -1:
        """Whether the peer has not gone on for so long, in which case the stream is reset."""
        cdef Http2Connection c = self.connection
        if not self.is_awaited() and not self.is_discarded():
            self.heard = c.now
            return False
        if c.now - self.heard < limit_s:
            return False
        self.heard = c.now
        if self.is_discarded():
            self.stop_peer()
        else:
            nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, self.id, NGHTTP2_CANCEL)
            c.lose(self)
        return True

    cdef bint is_unfinished(self) noexcept:
        """Whether the layer above has something to lose with the stream."""
        return not self.out_finished or (self.tunnelled and not self.ended)

    def take(self):
        cdef PyObject* body
        if self.buffered_in_bytes == 0 or self.body == NULL:
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

    cdef void answered_early(self) noexcept:
        """The answer is whole, and the rest of the request is not needed (RFC 9113 §8.1).

        RST_STREAM at once is allowed, but makes curl and others lose the answer that they have not read yet. So the
        rest is discarded, as much as one window holds; only a peer that goes on is told to stop.
        """
        cdef Py_ssize_t unread = self.uncredited
        self.leave()
        self.receiver = None
        self.uncredited = 0
        Py_XDECREF(self.body)
        self.body = NULL
        self.buffered_in_bytes = self.body_room = 0
        self.discard(unread)
        if self.connection.stage != SERVING:
            self.stop_peer()

    cdef void discard(self, Py_ssize_t length) noexcept:
        self.discarded += length
        if self.discarded <= self.connection.most_discarded:
            nghttp2_session_consume(self.connection.session, self.id, length)
            return
        nghttp2_session_consume_connection(self.connection.session, length)
        if self.discarded - length <= self.connection.most_discarded:
            self.stop_peer()

    cdef void stop_peer(self) noexcept:
        nghttp2_submit_rst_stream(self.connection.session, NGHTTP2_FLAG_NONE, self.id, NGHTTP2_NO_ERROR)

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
                self.connection.unsent += length
            self.out_ended = True
            self.submit(status, block, extra, length, length != 0)
        else:
            if length:
                self.chunk = body
                self.buffered_out_bytes = length
                self.connection.unsent += length
            self.out_ended = True
            self.kept_trailers = laid_out(trailers)
            self.submit(status, block, extra, -1, True)

    def send_head(self, int status, HeaderBlock block not None, tuple extra not None=()):
        if self.closed or self.connection is None:
            return self
        if self.responded:
            raise RuntimeError("the response was already started")
        if status == 101:
            raise ValueError("HTTP/2 has no 101 (RFC 9113 §8.6)")
        self.bodyless = self.is_head or status == 204 or status == 304
        self.tunnelled = self.tunnel is not None and 200 <= status < 300
        self.submit(status, block, extra, -1, not self.bodyless)
        return self

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
        self.connection.unsent += PyBytes_GET_SIZE(data)
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
        self.connection.unsent -= count
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
