"""Part of http1.pyx: from bytes to requests."""


cdef class Http1Input:
    """The reading half of a connection: its states are those of the module's docstring, its limits an `HttpLimits`."""

    cdef readonly long long last_activity_marker
    cdef readonly str scheme
    cdef Py_ssize_t _max_target, _max_header_bytes, _max_headers, _max_body, _max_pipeline, _max_batch
    cdef State _state
    cdef uint8_t* _buffer
    cdef Py_ssize_t _start, _filled, _capacity
    cdef Py_ssize_t _scanned  # bytes of an unfinished line known to hold no LF
    cdef Framing _framing
    cdef Py_ssize_t _header_bytes, _headers, _extension_bytes
    cdef int64_t _left  # of the body, or of the chunk
    cdef int64_t _drained
    cdef int _blank_lines
    cdef Http1Request _incoming  # its head or its body is arriving
    cdef str _host
    cdef Py_ssize_t _pipelined  # requests whose answer is not complete or waits for its turn
    cdef Py_ssize_t _batch_left  # requests that may still be parsed in this turn
    cdef Http1Request _readable  # to be told of more body
    cdef Py_ssize_t _unsent_bytes  # of answers, whether their turn has come or not
    cdef Py_ssize_t _high_water
    cdef bint _paused, _shutting

    def __dealloc__(self):
        PyMem_Free(self._buffer)

    # What the connection does for its input.

    cdef int _append(self, Http1Request request) except -1:
        """A request has its place among the answers."""
        raise NotImplementedError

    cdef int _fail(self, int problem) except -1:
        """Answer what is arriving with an error and read nothing more."""
        raise NotImplementedError

    cdef int _end_input(self) except -1:
        """Read nothing more; what is in the pipeline is still answered."""
        raise NotImplementedError

    cdef inline bint _is_held(self) noexcept:
        """Whether the peer must read before another request is begun or handed up."""
        return self._paused or self._unsent_bytes >= self._high_water

    # The rest of the input.

    cdef int _take_in(self, bytes data) except -1:
        cdef const uint8_t* p
        cdef Py_ssize_t n, used
        if data is not None:
            if self._state == CLOSED:
                return 0
            p = <const uint8_t*>PyBytes_AS_STRING(data)
            n = PyBytes_GET_SIZE(data)
            if self._filled:
                self._keep(p, n)
            else:
                used = self._parse(p, n, data)
                if used < n and self._state != CLOSED:
                    self._keep(p + used, n - used)
                return 0
        if self._filled:
            used = self._parse(self._buffer + self._start, self._filled, None)
            self._start += used
            self._filled -= used
            if self._filled <= 0 or self._state == CLOSED:
                self._drop()
        return 0

    cdef int _keep(self, const uint8_t* p, Py_ssize_t n) except -1:
        """Append to the rest of the input; the space in front is used again once it is the greater part."""
        cdef Py_ssize_t wanted
        cdef void* grown
        if n == 0 or self._state == CLOSED:
            return 0
        if self._start > self._filled:
            memmove(self._buffer, self._buffer + self._start, self._filled)
            self._start = 0
        wanted = self._start + self._filled + n
        if wanted > self._capacity:
            wanted = max(wanted, 2 * self._capacity, 256)
            grown = PyMem_Realloc(self._buffer, wanted)
            if grown == NULL:
                raise MemoryError
            self._buffer = <uint8_t*>grown
            self._capacity = wanted
        memcpy(self._buffer + self._start + self._filled, p, n)
        self._filled += n
        return 0

    cdef void _drop(self) noexcept:
        PyMem_Free(self._buffer)
        self._buffer = NULL
        self._start = self._filled = self._capacity = self._scanned = 0

    # Lines and bodies.

    cdef Py_ssize_t _parse(self, const uint8_t* p, Py_ssize_t n, bytes whole) except -1:
        """Consume what can be of p[:n] and return how much; `whole` is the object that p points into, if it is one."""
        cdef Py_ssize_t at = 0, length
        cdef const uint8_t* end
        cdef int problem
        while at < n:
            if self._state == LENGTH or self._state == CHUNK:
                length = self._parse_body(p + at, n - at, whole if at == 0 else None)
                if length == 0:
                    break
                at += length
                continue
            if self._state == CHUNK_END:
                # Two bytes, so no line: what is not CRLF is wrong at once.
                if p[at] != 13 or (n - at > 1 and p[at + 1] != 10):
                    self._fail(BAD_CHUNK)
                if n - at == 1 or self._state == CLOSED:
                    break
                at += 2
                self._state = CHUNK_LINE
                continue
            if self._state == START and (
                self._pipelined >= self._max_pipeline or self._batch_left <= 0 or self._is_held()
            ):
                break
            if self._state >= OFFERED:
                break
            end = <const uint8_t*>memchr(p + at + self._scanned, 10, n - at - self._scanned)
            if end == NULL:
                self._scanned = n - at
                problem = self._judge_length(p + at, n - at)
                if problem != FINE:
                    self._fail(problem)
                break
            self._scanned = 0
            length = end - (p + at)
            if length == 0 or (end - 1)[0] != 13:
                problem = BAD_LINE_END
            else:
                problem = self._judge_length(p + at, length)
                if problem == FINE:
                    problem = self._parse_line(p + at, length - 1)
            at += length + 1
            if problem != FINE:
                self._fail(problem)
        return at

    cdef int _judge_length(self, const uint8_t* line, Py_ssize_t n) noexcept:
        """Whether a line, complete or not, is too long already; n counts its CR but no LF."""
        if self._state == START:
            if n > LONGEST_METHOD + 1 + self._max_target + REQUEST_LINE_REST:
                return BAD_METHOD if memchr(line, 32, LONGEST_METHOD + 1) == NULL else TARGET_TOO_LONG
        elif self._state == CHUNK_LINE:
            if n > LONGEST_CHUNK_SIZE + LONGEST_EXTENSION + 1:
                return BAD_CHUNK
        elif n > 1 and self._header_bytes + n + 1 > self._max_header_bytes:
            return FIELDS_TOO_LARGE
        return FINE

    cdef int _parse_line(self, const uint8_t* line, Py_ssize_t n) except -1:
        cdef int problem
        cdef Py_ssize_t extension
        cdef int64_t size
        if self._state == FIELDS:
            if n == 0:
                return self._end_head()
            return self._parse_field(line, n, self._incoming.headers, False)
        if self._state == START:
            if n == 0:
                self._blank_lines += 1
                return FINE if self._blank_lines <= MAX_BLANK_LINES else BAD_LINE_END
            return self._begin(line, n)
        if self._state == CHUNK_LINE:
            problem = parse_chunk_line(line, n, &size, &extension)
            if problem != FINE:
                return problem
            self._extension_bytes += extension
            if self._extension_bytes > MAX_EXTENSION_BYTES:
                return BAD_CHUNK
            self._left = size
            self._header_bytes = self._headers = 0
            self._state = CHUNK if size else TRAILERS
            return FINE
        if n == 0:
            self._end_body()
            return FINE
        if self._incoming.trailers is None:
            self._incoming.trailers = Headers.__new__(Headers)
        return self._parse_field(line, n, self._incoming.trailers, True)

    cdef int _begin(self, const uint8_t* line, Py_ssize_t n) except -1:
        """A request line."""
        cdef RequestLine parts
        cdef int problem = parse_request_line(line, n, self._max_target, &parts)
        if problem != FINE:
            return problem
        cdef Http1Request request = Http1Request.__new__(Http1Request)
        request.method = intern_name(line, parts.method_length)
        request.headers = Headers.__new__(Headers)
        request.scheme = self.scheme
        request._minor = parts.minor
        self._incoming = request
        self._framing = Framing(-1, 0, 0, 0, 0, 0, 0, 0, 0)
        self._header_bytes = self._headers = self._blank_lines = 0
        self._state = FIELDS
        return self._set_target(request, line + parts.method_length + 1, parts.target_length)

    cdef int _set_target(self, Http1Request request, const uint8_t* p, Py_ssize_t n) except -1:
        """The four forms of RFC 9112 §3.2."""
        cdef Py_ssize_t start, end
        request.authority = ""
        if p[0] == 47:
            if request.method == "CONNECT":
                return BAD_TARGET
            request.target = PyUnicode_DecodeLatin1(<const char*>p, n, NULL)
            return FINE
        if request.method == "CONNECT":
            return NO_CONNECT if memchr(p, 58, n) != NULL and is_authority(p, n) else BAD_TARGET
        if n == 1 and p[0] == 42:
            request.target = "*"
            return FINE if request.method == "OPTIONS" else BAD_TARGET
        if n > 7 and is_word(p, 7, b"http://", 7):
            start = 7
        elif n > 8 and is_word(p, 8, b"https://", 8):
            start = 8
        else:
            return BAD_TARGET
        end = start
        while end < n and p[end] != 47 and p[end] != 63:
            end += 1
        if end == start or p[start] == 58 or not is_authority(p + start, end - start):
            return BAD_TARGET
        request.authority = PyUnicode_DecodeLatin1(<const char*>p + start, end - start, NULL)
        if end == n:
            request.target = "*" if request.method == "OPTIONS" else "/"
        elif p[end] == 63:
            request.target = "/" + PyUnicode_DecodeLatin1(<const char*>p + end, n - end, NULL)
        else:
            request.target = PyUnicode_DecodeLatin1(<const char*>p + end, n - end, NULL)
        return FINE

    cdef int _parse_field(self, const uint8_t* line, Py_ssize_t n, Headers into, bint trailing) except -1:
        cdef FieldLine parts
        cdef int problem
        cdef const uint8_t* value
        cdef Py_ssize_t known
        self._header_bytes += n + 2
        self._headers += 1
        if self._headers > self._max_headers:
            return FIELDS_TOO_LARGE
        problem = parse_field_line(line, n, &parts)
        if problem != FINE:
            return problem
        value = line + parts.value_start
        name = intern_lower(line, parts.name_length)
        if trailing:
            if may_trail(name):
                into.add(name, PyUnicode_DecodeLatin1(<const char*>value, parts.value_length, NULL))
            return FINE
        if parts.name_length == 4 and self._is_host(line, value, parts.value_length):
            # The same host on every request of a connection: neither checked nor decoded again.
            self._framing.hosts += 1
            text = self._host
        else:
            problem = note_field(line, parts.name_length, value, parts.value_length, &self._framing)
            if problem != FINE:
                return problem
            text = PyUnicode_DecodeLatin1(<const char*>value, parts.value_length, NULL)
        known = PyDict_Size(into._values)
        PyDict_SetDefault(into._values, name, text)
        if PyDict_Size(into._values) == known:
            into.add(name, text)
        return FINE

    cdef bint _is_host(self, const uint8_t* name, const uint8_t* value, Py_ssize_t n) noexcept:
        return (
            self._host is not None
            and self._framing.hosts == 0
            and len(self._host) == n
            and is_word(name, 4, b"host", 4)
            and memcmp(PyUnicode_1BYTE_DATA(self._host), value, n) == 0
        )

    cdef int _end_head(self) except -1:
        cdef Http1Request request = self._incoming
        cdef Framing* framing = &self._framing
        cdef int problem = judge_framing(framing, request._minor)
        if problem != FINE:
            return problem
        if framing.hosts:
            if request.authority:
                # The target's authority wins (RFC 9112 §3.2.2).
                request.headers._values["host"] = request.authority
            else:
                self._host = request.authority = request.headers._values["host"]
        request._persist = not framing.close and (request._minor == 1 or framing.keep_alive) and not self._shutting
        request.content_length = framing.content_length
        request.has_body = framing.chunked or framing.content_length > 0
        request.ended = not request.has_body
        request._credit = self._max_body
        request._expecting = request.has_body and request._minor == 1 and framing.expectation == CONTINUE
        self.last_activity_marker += 1
        self._batch_left -= 1
        self._append(request)
        if request.has_body:
            self._left = framing.content_length
            self._drained = self._extension_bytes = 0
            self._state = CHUNK_LINE if framing.chunked else LENGTH
        elif framing.websocket and framing.upgrade and request._minor and request._persist and request.method == "GET":
            request.tunnel = "websocket"
            self._state = OFFERED
        else:
            self._end_message()
        return FINE

    cdef Py_ssize_t _parse_body(self, const uint8_t* p, Py_ssize_t n, bytes whole) except -1:
        """Body bytes into the request, as far as its credit goes, or away where it was answered already."""
        cdef Http1Request request = self._incoming
        n = min(n, self._left)
        if request.closed:
            self._drained += n
            if self._drained > DRAIN_BYTES:
                self._end_input()
                return 0
        else:
            n = min(n, request._credit)
            if n <= 0:
                return 0
            if whole is None or PyBytes_GET_SIZE(whole) != n:
                whole = PyBytes_FromStringAndSize(<const char*>p, n)
            request._feed(whole)
            if request._offered:
                self._readable = request
        self._left -= n
        if self._left == 0:
            if self._state == CHUNK:
                self._state = CHUNK_END
            else:
                self._end_body()
        return n

    cdef int _end_body(self) except -1:
        cdef Http1Request request = self._incoming
        request.ended = True
        request._expecting = False
        if request._offered and not request.closed:
            self._readable = request
        return self._end_message()

    cdef int _end_message(self) except -1:
        self._state = START if self._incoming._persist else CLOSED
        self._incoming = None
        return 0
