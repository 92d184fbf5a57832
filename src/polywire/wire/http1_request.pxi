"""Part of http1.pyx: one request and its answer."""


cdef inline char* put(char* to, const char* text, Py_ssize_t length) noexcept:
    memcpy(to, text, length)
    return to + length


cdef inline char* put_bytes(char* to, bytes data) noexcept:
    return put(to, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef char* put_decimal(char* to, uint64_t value) noexcept:
    cdef char digits[20]
    cdef int at = 20
    while True:
        at -= 1
        digits[at] = <char>(48 + value % 10)
        value //= 10
        if value == 0:
            break
    return put(to, digits + at, 20 - at)


cdef char* put_chunk_size(char* to, uint64_t value) noexcept:
    cdef char digits[16]
    cdef int at = 16
    while True:
        at -= 1
        digits[at] = HEX[value & 15]
        value >>= 4
        if value == 0:
            break
    return put(put(to, digits + at, 16 - at), b"\r\n", 2)


cdef bytes lay_out(
    bytes line, bytes fields, tuple extra, bytes common, const char* framing, Py_ssize_t framed, bytes body, bytes after
):
    """One message, or its head, in one allocation."""
    cdef Py_ssize_t total = PyBytes_GET_SIZE(line) + PyBytes_GET_SIZE(fields) + PyBytes_GET_SIZE(common) + framed
    cdef bytes name, value
    for name, value in extra:
        total += PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value) + 4
    if body is not None:
        total += PyBytes_GET_SIZE(body)
    if after is not None:
        total += PyBytes_GET_SIZE(after)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, total)
    cdef char* to = PyBytes_AS_STRING(out)
    to = put_bytes(to, line)
    to = put_bytes(to, fields)
    for name, value in extra:
        to = put(put_bytes(to, name), b": ", 2)
        to = put(put_bytes(to, value), b"\r\n", 2)
    to = put_bytes(to, common)
    to = put(to, framing, framed)
    if body is not None:
        to = put_bytes(to, body)
    if after is not None:
        put_bytes(to, after)
    return out


cdef bytes status_line(int status):
    if not 100 <= status <= 599:
        raise ValueError(f"status {status} is not between 100 and 599")
    return <bytes>LINES[status]


cdef int64_t declared_length(HeaderBlock block, tuple extra) except -2:
    """The content-length among the fields of a streamed response, -1 without one."""
    for name, value in block.pairs + extra:
        if name == b"content-length":
            return int(value)
    return -1


@cython.freelist(64)
cdef class Http1Request:
    """One request and the way to answer it: `Sink` over HTTP/1.1."""

    cdef readonly str method, target, tunnel
    cdef public str scheme, authority
    cdef readonly Headers headers, trailers
    cdef readonly int64_t content_length
    cdef readonly Py_ssize_t buffered_in_bytes, buffered_out_bytes
    cdef readonly bint has_body, ended, closed
    cdef Http1Connection _connection
    cdef Http1Request _next
    cdef object _receiver
    cdef object _body  # bytes, or a bytearray once there is more than one piece
    cdef list _held  # output that waits for the answers before it
    cdef int64_t _credit  # body bytes that the peer may still send unread
    cdef int64_t _owed_bytes  # of a COUNTED response
    cdef int _minor
    cdef Coding _coding
    cdef bint _persist  # the connection outlives this exchange
    cdef bint _offered  # on_request was called
    cdef bint _expecting  # the peer waits for 100 (Continue)
    cdef bint _invited  # … and the layer above wants the body
    cdef bint _done  # the answer is complete
    cdef bint _full  # send_data returned False
    cdef bint _untimed  # the body may take its time

    @property
    def version(self):
        return "1.1" if self._minor else "1.0"

    @property
    def body_timed(self):
        return not self._untimed

    @body_timed.setter
    def body_timed(self, bint timed):
        self._untimed = not timed

    @property
    def receiver(self):
        return self._receiver

    @receiver.setter
    def receiver(self, receiver):
        if self.closed:
            return
        self._receiver = receiver
        if receiver is not None:
            self._invite()

    def take(self):
        """All body bytes received and not yet taken. Gives no flow-control credit."""
        cdef object body = self._body
        if body is None:
            self._invite()
            return b""
        self._body = None
        self.buffered_in_bytes = 0
        return body if type(body) is bytes else bytes(body)

    def grant(self, Py_ssize_t count_bytes):
        """Let `count_bytes` more body bytes be read, as far as `max_buffered_body_bytes`; 0 only asks for the body."""
        cdef int64_t before = self._credit
        if self.closed or self.ended:
            return
        self._invite()
        self._credit = min(before + max(count_bytes, 0), self._connection._max_body)
        if before <= 0 < self._credit:
            self._connection._go_on()

    def respond(
        self,
        int status,
        HeaderBlock block not None,
        bytes body not None,
        tuple extra not None=(),
        HeaderBlock trailers=None,
    ):
        """The whole response at once; content-length, and connection where it matters, are added.

        Trailers make it chunked; an HTTP/1.0 peer gets none. `block` and `extra` hold no framing fields.
        Raises ValueError for a status outside 200 to 599, RuntimeError after send_head.
        """
        cdef Http1Connection connection = self._connection
        cdef char framing[128]
        cdef char* to = framing
        cdef bytes line = status_line(status), after = None
        if self.closed:
            return
        if self._coding != UNSTARTED:
            raise RuntimeError("the response has been started already")
        if status < 200:
            raise ValueError("an interim response has no body: use send_head")
        self._decide(True)
        if status == 204 or status == 304:
            body = None
        elif trailers is not None and self._minor:
            to = put(to, b"transfer-encoding: chunked\r\n", 28)
            after = b"0\r\n" + trailers.h1_lines + b"\r\n"
        else:
            to = put_decimal(put(to, b"content-length: ", 16), PyBytes_GET_SIZE(body))
            to = put(to, b"\r\n", 2)
        to = put(self._put_connection(to), b"\r\n", 2)
        if self.method == "HEAD":
            body = after = None
        elif after is not None and PyBytes_GET_SIZE(body):
            to = put_chunk_size(to, PyBytes_GET_SIZE(body))
            after = b"\r\n" + after
        self._send(
            lay_out(
                line, block.h1_lines, extra, connection._common.block.h1_lines, framing, to - framing, body, after
            )
        )
        self._finish()

    def send_head(self, int status, HeaderBlock block not None, tuple extra not None=()):
        """Start a streamed response, or send an interim one (1xx, dropped for HTTP/1.0).

        101 (Switching Protocols) takes up the `tunnel` that the request asks for, with the fields that say so, and
        returns the sink of that; any other status this one.
        Raises ValueError for 101 where it asks for none and for what is no status, RuntimeError where a final head was
        sent already.
        """
        cdef Http1Connection connection = self._connection
        cdef char framing[128]
        cdef char* to = framing
        cdef bytes line = status_line(status), common = b""
        cdef Tunnel tunnel = None
        if self.closed:
            return self
        if self._coding != UNSTARTED:
            raise RuntimeError("the response has been started already")
        if status == 101:
            if self.tunnel is None:
                raise ValueError("101 (Switching Protocols) is not an answer to an ordinary request")
            common = connection._common.block.h1_lines
            to = put_bytes(put(to, b"connection: upgrade\r\nupgrade: ", 30), self.tunnel.encode())
            to = put(to, b"\r\n", 2)
            self._coding = UNTIL_CLOSE
            self._persist = False
        elif status >= 200:
            common = connection._common.block.h1_lines
            self._decide(False)
            self._owed_bytes = declared_length(block, extra)
            if self.method == "HEAD" or status == 204 or status == 304:
                self._coding = NO_BODY
            elif self._owed_bytes >= 0:
                self._coding = COUNTED
            elif self._minor:
                self._coding = CHUNKED
                to = put(to, b"transfer-encoding: chunked\r\n", 28)
            else:
                self._coding = UNTIL_CLOSE
                self._persist = False
            to = self._put_connection(to)
        elif self._minor == 0:
            return self
        elif status == 100:
            self._expecting = False
        to = put(to, b"\r\n", 2)
        self._send(lay_out(line, block.h1_lines, extra, common, framing, to - framing, None, None))
        if status == 101:
            tunnel = connection._open_tunnel(self)
        connection._wake()
        return self if tunnel is None else tunnel

    def send_data(self, bytes data not None):
        """Queue body bytes; False: `high_water_bytes` are waiting, go on after on_writable.

        Raises RuntimeError before send_head, ValueError for more than the declared content-length; the
        connection is broken off then, for its framing is lost.
        """
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
        cdef char size[24]
        cdef char* to
        cdef bytes out
        if self.closed:
            return True
        if self._coding == UNSTARTED:
            raise RuntimeError("send_data before send_head")
        if length and self._coding != NO_BODY:
            if self._coding == CHUNKED:
                to = put_chunk_size(size, length)
                if length < SPLICE_BYTES:
                    out = PyBytes_FromStringAndSize(NULL, (to - size) + length + 2)
                    put(put_bytes(put(PyBytes_AS_STRING(out), size, to - size), data), b"\r\n", 2)
                    self._send(out)
                else:
                    self._send(PyBytes_FromStringAndSize(size, to - size))
                    self._send(data)
                    self._send(b"\r\n")
            else:
                if self._coding == COUNTED:
                    if length > self._owed_bytes:
                        self._break_off()
                        raise ValueError("the body is longer than its content-length")
                    self._owed_bytes -= length
                self._send(data)
            self._connection._wake()
        self._full = self.buffered_out_bytes >= self._connection._high_water
        return not self._full

    def send_end(self, HeaderBlock trailers=None):
        """End the streamed response; trailers go to HTTP/1.1 peers of a chunked one.

        Raises RuntimeError before send_head, ValueError where the declared content-length was not reached.
        """
        if self.closed:
            return
        if self._coding == UNSTARTED:
            raise RuntimeError("send_end before send_head")
        if self._coding == COUNTED and self._owed_bytes:
            self._break_off()
            raise ValueError("the body is shorter than its content-length")
        if self._coding == CHUNKED:
            self._send(LAST_CHUNK if trailers is None else b"0\r\n" + trailers.h1_lines + b"\r\n")
        self._finish()

    def reset(self, int code):
        """Break the exchange off: the connection closes after the answers before this one. `code` has no place here."""
        if not self.closed:
            self._break_off()

    cdef int _break_off(self) except -1:
        self._persist = False
        self._finish()
        return 0

    cdef int _decide(self, bint whole) except -1:
        """Whether the connection persists, as far as is known now; a `whole` response ends the exchange."""
        cdef Http1Connection connection = self._connection
        if self._expecting:
            # Without 100 (Continue) nobody knows whether the body follows (RFC 9110 §10.1.1).
            self._expecting = False
            self._persist = False
        elif whole and not self.ended and connection._state == LENGTH and connection._left > DRAIN_BYTES:
            self._persist = False
        elif self.tunnel is not None:
            connection._decline_tunnel(self)
        return 0

    cdef char* _put_connection(self, char* to) noexcept:
        if not self._persist:
            return put(to, b"connection: close\r\n", 19)
        if self._minor == 0:
            return put(to, b"connection: keep-alive\r\n", 24)
        return to

    cdef int _invite(self) except -1:
        """Ask for the body with 100 (Continue), but not before on_request had its chance to refuse at once."""
        if not self._expecting:
            return 0
        self._invited = True
        if self._offered and not self.closed:
            self._expecting = False
            self._send(CONTINUE_RESPONSE)
            self._connection._wake()
        return 0

    cdef int _feed(self, bytes piece) except -1:
        cdef Py_ssize_t length = PyBytes_GET_SIZE(piece), before
        self._expecting = False
        self._credit -= length
        self.buffered_in_bytes += length
        if self._body is None:
            self._body = piece
            return 0
        if type(self._body) is bytes:
            self._body = bytearray(self._body)
        before = PyByteArray_GET_SIZE(self._body)
        PyByteArray_Resize(self._body, before + length)
        memcpy(PyByteArray_AS_STRING(self._body) + before, PyBytes_AS_STRING(piece), length)
        return 0

    cdef int _send(self, bytes data) except -1:
        self.buffered_out_bytes += PyBytes_GET_SIZE(data)
        self._connection._unsent_bytes += PyBytes_GET_SIZE(data)
        if self._connection._first is self:
            self._connection._queue(data)
        elif self._held is None:
            self._held = [data]
        else:
            self._held.append(data)
        return 0

    cdef int _finish(self) except -1:
        """The answer is complete: what follows of the body is the connection's to drop."""
        cdef Http1Connection connection = self._connection
        self._decide(True)
        self._done = True
        self._close()
        connection._advance()
        connection._wake()
        return 0

    cdef int _close(self) except -1:
        self.closed = True
        self._receiver = None
        self._body = None
        self.buffered_in_bytes = 0
        return 0
