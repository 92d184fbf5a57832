# cython: boundscheck=False, wraparound=False
"""The HTTP/1.1 server engine (RFC 9112), bytes in and bytes out: the dialect of `wire/sink.py`.

Requests form a pipeline, a list linked by `_next` from `_first` (whose answer goes out now) to `_last` (whose body may
still arrive). Input moves through these states; a request that cannot be understood is answered and ends in CLOSED:

    START ── request line ──▶ FIELDS ── empty line ──┬─ no body ───────────────────────────────▶ START
      ▲                                              ├─ length ──▶ LENGTH ── all of it ────────▶ START
      │                                              └─ chunked ─▶ CHUNK_LINE ─▶ CHUNK ─▶ CHUNK_END ─▶ CHUNK_LINE …
      └── CLOSED instead, where the connection does not persist          └─ size 0 ─▶ TRAILERS ──▶ START

Parsing never calls out. It stops where the layer above must act first (pipeline full, no body credit, enough for one
batch) or the peer does not read; the rest of the input waits in `_buffer`, and `want_read` says that it suffices.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Size
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memmove

from polywire.wire.headers cimport CommonHeaders, HeaderBlock, Headers, intern_lower, intern_name
from polywire.wire.http1_grammar cimport (
    BAD_CHUNK,
    BAD_LINE_END,
    BAD_METHOD,
    BAD_TARGET,
    CONTINUE,
    ENDED_EARLY,
    FIELDS_TOO_LARGE,
    FINE,
    LONGEST_CHUNK_SIZE,
    LONGEST_EXTENSION,
    LONGEST_METHOD,
    NO_CONNECT,
    TARGET_TOO_LONG,
    TOO_SLOW,
    FieldLine,
    Framing,
    RequestLine,
    is_authority,
    is_word,
    judge_framing,
    note_field,
    parse_chunk_line,
    parse_field_line,
    parse_request_line,
)

from polywire.wire.http1_text import PROBLEMS, STATUS_LINES, error_body, may_trail

cdef extern from "Python.h":
    PyObject* PyDict_SetDefault(object, object, object) except NULL
    const char* PyUnicode_1BYTE_DATA(object)

cdef enum State:
    START
    FIELDS
    LENGTH
    CHUNK_LINE
    CHUNK
    CHUNK_END
    TRAILERS
    CLOSED

cdef enum Coding:
    # How the body of a response is marked off.
    UNSTARTED
    NO_BODY
    COUNTED
    CHUNKED
    UNTIL_CLOSE

cdef enum:
    # Body bytes of an already answered request that are read and dropped to keep the connection.
    DRAIN_BYTES = 65536
    # Empty lines forgiven before a request (RFC 9112 §2.2).
    MAX_BLANK_LINES = 2
    # Chunk extensions of one body, all together: they carry nothing, so they may not cost much.
    MAX_EXTENSION_BYTES = 16384
    # Streamed data from this size on is queued as it is, not copied between its chunk marks.
    SPLICE_BYTES = 16384
    # " HTTP/1.1" and the CR.
    REQUEST_LINE_REST = 10

cdef list LINES = STATUS_LINES
cdef bytes CONTINUE_RESPONSE = b"HTTP/1.1 100 Continue\r\n\r\n"
cdef bytes LAST_CHUNK = b"0\r\n\r\n"
cdef HeaderBlock ERROR_BLOCK = HeaderBlock([("content-type", "application/json")])
cdef const char* HEX = b"0123456789abcdef"


include "http1_request.pxi"
include "http1_input.pxi"


cdef class Http1Connection(Http1Input):
    """One connection's server side. Not thread-safe; see `wire/sink.py` for what a driver owes.

    on_request: called with each `Http1Request` whose head is complete, in order.
    limits: an `HttpLimits`. common: fields of every final response.
    scheme: "https" under TLS; what a request target in absolute form says about it is not believed.
    """

    cdef public object on_output
    cdef object _on_request
    cdef CommonHeaders _common
    cdef Py_ssize_t _high_water
    # The pipeline.
    cdef Http1Request _first, _last, _next_up
    cdef list _gone
    # Output.
    cdef bytes _out
    cdef list _more
    cdef bint _inside, _woken, _eof, _closing
    cdef int _turn  # 1: data_to_send takes up the rest of the input; 2: the one after does, so that others come in between

    def __cinit__(self, on_request, limits, CommonHeaders common not None, str scheme="http"):
        self._on_request = on_request
        self._common = common
        self.scheme = scheme
        self._max_target = limits.max_target_bytes
        self._max_header_bytes = limits.max_header_bytes
        self._max_headers = limits.max_headers
        self._max_body = limits.max_buffered_body_bytes
        self._max_pipeline = limits.max_concurrent_streams
        self._max_batch = limits.max_requests_per_batch
        self._high_water = limits.high_water_bytes
        self._state = START

    # What the driver sees.

    @property
    def want_close(self):
        return self._closing and self._out is None

    @property
    def want_read(self):
        if self._state == CLOSED:
            return not self._closing
        return not self._paused and not self._turn and not self._is_blocked()

    @property
    def open_requests(self):
        return self._pipelined + (1 if self._turn else 0)

    @property
    def awaiting_head(self):
        return (self._state == FIELDS or (self._state == START and self._filled > 0)) and self.want_read

    @property
    def awaiting_body(self):
        return LENGTH <= self._state <= TRAILERS and not self._incoming._expecting and self.want_read

    def receive_data(self, bytes data not None):
        """Parse all that can be, then call on_request, on_readable and on_gone; b"" only goes on with what is there."""
        if self._inside:
            self._keep(<const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        else:
            self._work(data)

    def receive_eof(self):
        """The peer sends nothing more: complete requests are still answered, then the connection closes."""
        self._eof = True
        self._work(b"")
        self._wake()

    def data_to_send(self):
        """Everything to write now, b"" if nothing. It may call on_output: where more follows in a later turn."""
        cdef bytes out
        cdef Http1Request first
        if self._turn and not self._inside:
            self._turn -= 1
            if self._turn == 0:
                self._work(b"")
                # This was a turn of its own: what is left may go on in the next.
                self._turn = min(self._turn, 1)
        self._woken = False
        out = self._out
        if self._more is not None:
            out = b"".join(self._more)
            self._more = None
        self._out = None
        first = self._first
        if first is not None and not self._paused:
            first.buffered_out_bytes = 0
            if first._full:
                first._full = False
                if first._receiver is not None:
                    first._receiver.on_writable()
        if self._turn:
            self._wake()
        return b"" if out is None else out

    def pause_writing(self):
        self._paused = True

    def resume_writing(self):
        self._paused = False
        self._go_on()

    def shutdown(self):
        """Let what has begun end, then close; the last answer says so if its head is not out yet."""
        self._shutting = True
        if self._state == START and not self._filled or self._pipelined and self._state <= FIELDS:
            self._end_input()
        elif self._state >= LENGTH and self._incoming is not None:
            self._incoming._persist = False
            if self._incoming.closed and self._first is None:
                self._close()
        self._wake()

    def timeout(self):
        """The peer did not go on with its request: 408 in its place, or only the end where none has begun."""
        if self._state == CLOSED:
            return
        if self._state == START and not self._filled:
            if not self._pipelined:
                self._close()
        elif self.want_read:
            self._fail(TOO_SLOW)
            self._work(b"")
        self._wake()

    def connection_lost(self):
        """Every open sink is told on_gone; the engine is of no use any more."""
        self._close()
        self._out = None
        self._more = None
        if not self._inside:
            self._work(b"")
        self._on_request = None
        self.on_output = None

    # Turns.

    cdef int _wake(self) except -1:
        """Tell the driver, once, that a flush is due: for output, or because want_read or want_close may have changed."""
        if not self._inside and not self._woken and self.on_output is not None:
            self._woken = True
            self.on_output()
        return 0

    cdef int _go_on(self) except -1:
        """Something that held the input back is gone; what waits is taken up in the driver's next turn, not in a handler's."""
        if not self._inside:
            if self._filled and not self._turn:
                self._turn = 1
            self._wake()
        return 0

    cdef int _work(self, bytes data) except -1:
        """Parse, hand up, and again as long as answers given at once make room."""
        cdef Py_ssize_t before
        self._inside = True
        self._turn = 0
        self._batch_left = self._max_batch
        try:
            self._take_in(data)
            self._hand_up()
            while self._filled and not self._paused:
                before = self._filled
                self._take_in(None)
                if self._filled == before:
                    break
                self._hand_up()
            if self._filled and self._batch_left <= 0 and not self._paused:
                self._turn = 2
            elif self._eof and not (self._filled and (self._paused or self._is_blocked())):
                self._meet_eof()
                self._hand_up()
        finally:
            self._inside = False
        return 0

    cdef bint _is_blocked(self) noexcept:
        """Whether the layer above must act before more input is of use."""
        if self._state == START:
            return self._pipelined >= self._max_pipeline
        if self._state == LENGTH or self._state == CHUNK:
            return not self._incoming.closed and self._incoming._credit <= 0
        return False

    cdef int _hand_up(self) except -1:
        cdef Http1Request request
        while self._next_up is not None:
            request = self._next_up
            self._next_up = request._next
            if request.closed:
                continue
            self._on_request(request)
            request._offered = True
            if request._invited:
                request._invite()
        request = self._readable
        if request is not None:
            self._readable = None
            if request._receiver is not None:
                request._receiver.on_readable()
        if self._gone is not None:
            gone = self._gone
            self._gone = None
            for receiver in gone:
                receiver.on_gone()
        return 0

    # The end.

    cdef int _end_input(self) except -1:
        """No further request is read: what is in the pipeline is answered, the last with `connection: close`."""
        self._state = CLOSED
        self._incoming = None
        self._drop()
        if self._last is None:
            self._close()
        else:
            self._last._persist = False
        return 0

    cdef int _meet_eof(self) except -1:
        if self._state == CLOSED:
            return 0
        if self._state >= LENGTH and not self._incoming.closed:
            return self._fail(ENDED_EARLY)
        # A head that was cut off is not worth an answer (RFC 9112 §8).
        return self._end_input()

    cdef int _fail(self, int problem) except -1:
        """Answer what is arriving with an error, after the answers before it, and close."""
        cdef Http1Request request = self._incoming
        cdef int status
        if self._state == START or self._state == FIELDS:
            if request is None:
                request = Http1Request.__new__(Http1Request)
                request.method = ""
                request._minor = 1
            self._append(request)
        elif request.closed or request._coding != UNSTARTED:
            # Too late for an answer of ours: what stands in the pipeline still goes out, then the connection ends.
            self._tell_gone(request)
            self._end_input()
            if not request._done:
                request._break_off()
            return 0
        self._end_input()
        receiver = request._receiver
        status, code, message = PROBLEMS[problem]
        request._expecting = False
        request.respond(status, ERROR_BLOCK, error_body(code, message))
        if receiver is not None:
            self._add_gone(receiver)
        return 0

    # The pipeline.

    cdef int _append(self, Http1Request request) except -1:
        request._connection = self
        if self._last is None:
            self._first = request
        else:
            self._last._next = request
        self._last = request
        if self._next_up is None:
            self._next_up = request
        self._pipelined += 1
        return 0

    cdef int _advance(self) except -1:
        """Let the answers out whose turn has come."""
        cdef Http1Request request = self._first
        cdef bint was_full = self._pipelined >= self._max_pipeline
        while request is not None and request._done:
            self._first = request._next
            if self._first is None:
                self._last = None
            self._pipelined -= 1
            if not request._persist:
                request._next = None
                request._connection = None
                self._close()
                return 0
            request._next = None
            request._connection = None
            request = self._first
            if request is not None and request._held is not None:
                for data in request._held:
                    self._queue(data)
                request._held = None
        if was_full and self._filled:
            self._go_on()
        return 0

    cdef int _tell_gone(self, Http1Request request) except -1:
        if not request.closed:
            if request._receiver is not None:
                self._add_gone(request._receiver)
            request._close()
        return 0

    cdef int _add_gone(self, object receiver) except -1:
        if self._gone is None:
            self._gone = []
            if not self._inside:
                self._turn = 1
        self._gone.append(receiver)
        return 0

    cdef int _close(self) except -1:
        """The end of the connection, once what is queued is written: whatever is still in the pipeline is gone."""
        cdef Http1Request request = self._first, following
        self._closing = True
        self._state = CLOSED
        self._incoming = self._readable = self._next_up = self._first = self._last = None
        self._pipelined = 0
        self._drop()
        while request is not None:
            following = request._next
            request._next = None
            self._tell_gone(request)
            request._connection = None
            request = following
        return 0

    # Output.

    cdef int _queue(self, bytes data) except -1:
        if self._out is None:
            self._out = data
        elif self._more is None:
            self._more = [self._out, data]
        else:
            self._more.append(data)
        return 0
