# Part of http2_client.pyx: one request and its answer, seen from the client.

cdef inline void set_field(nghttp2_nv* nv, bytes name, bytes value, uint8_t flags) noexcept:
    nv.name = <uint8_t*>PyBytes_AS_STRING(name)
    nv.namelen = PyBytes_GET_SIZE(name)
    nv.value = <uint8_t*>PyBytes_AS_STRING(value)
    nv.valuelen = PyBytes_GET_SIZE(value)
    nv.flags = flags


@cython.final
cdef class RequestHead:
    """The fields that many requests begin with, checked and laid out once."""

    cdef nghttp2_nv* fields
    cdef Py_ssize_t count
    cdef readonly tuple pairs

    def __cinit__(self, method, scheme, authority, path, pairs=()):
        # HeaderBlock knows what a name and a value may be; pseudo-fields have the values of ordinary ones.
        pseudo = HeaderBlock([("m", method), ("s", scheme), ("a", authority), ("p", path)]).pairs
        self.pairs = (
            (b":method", pseudo[0][1]), (b":scheme", pseudo[1][1]),
            (b":authority", pseudo[2][1]), (b":path", pseudo[3][1]),
            *HeaderBlock(pairs).pairs,
        )
        self.count = len(self.pairs)
        self.fields = <nghttp2_nv*>PyMem_Malloc(self.count * sizeof(nghttp2_nv))
        if self.fields == NULL:
            raise MemoryError
        for i, (name, value) in enumerate(self.pairs):
            set_field(&self.fields[i], name, value, NO_COPY)

    def __dealloc__(self):
        PyMem_Free(self.fields)

    def __repr__(self):
        return f"RequestHead({self.pairs!r})"


@cython.final
@cython.freelist(128)
cdef class ClientStream:
    """One request and its answer. Made by `Http2ClientConnection.open` only."""

    cdef Http2ClientConnection connection  # None once nghttp2 has closed the stream
    cdef ClientStream before, after

    cdef readonly int32_t id
    cdef readonly int status
    cdef readonly Headers headers, trailers
    cdef readonly bint ended, closed
    cdef readonly Py_ssize_t buffered_in_bytes, buffered_out_bytes
    cdef public object receiver
    cdef int changes
    cdef int64_t gone_code

    # The head or trailers while they are read.
    cdef Headers reading
    cdef int read_status
    cdef Py_ssize_t head_bytes, head_fields
    cdef int continuations

    # The answer's body: a bytes object with room to spare, and how much the peer has no credit back for yet.
    cdef PyObject* body
    cdef Py_ssize_t body_room, uncredited

    # The request: the chunk being sent, those behind it, and what nghttp2 points to until the head is sent.
    cdef bint head_sent, out_ended, out_finished, deferred, blocked
    cdef bytes chunk
    cdef Py_ssize_t chunk_sent
    cdef list more
    cdef Py_ssize_t more_taken
    cdef RequestHead kept_head
    cdef tuple kept_extra

    def __dealloc__(self):
        Py_XDECREF(self.body)

    # -- the answer's body

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
        cdef Py_ssize_t count = min(count_bytes, self.uncredited)
        if self.closed or self.ended or self.connection is None or count <= 0:
            return
        self.uncredited -= count
        nghttp2_session_consume_stream(self.connection.session, self.id, count)
        if nghttp2_session_want_write(self.connection.session):
            self.connection.touch()

    # -- the request's body

    def send_data(self, bytes data not None):
        if self.closed or self.connection is None or PyBytes_GET_SIZE(data) == 0:
            return True
        if self.out_ended:
            raise RuntimeError("send_data belongs before send_end")
        self.queue(data)
        self.resume()
        if self.buffered_out_bytes > self.connection.high_water:
            self.blocked = True
            return False
        return True

    cdef int queue(self, bytes data) except -1:
        if self.chunk is None:
            self.chunk = data
        elif self.more is None:
            self.more = [data]
        else:
            self.more.append(data)
        self.buffered_out_bytes += PyBytes_GET_SIZE(data)
        return 0

    def send_end(self):
        if self.closed or self.connection is None or self.out_ended:
            return
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
        self.closed = True
        self.receiver = None
        self.connection.touch()

    cdef int copy_out(self, uint8_t* to, Py_ssize_t count) except -1:
        """Move `count` bytes of the request's body out of its chunks."""
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
        return f"<ClientStream {self.id}>"
