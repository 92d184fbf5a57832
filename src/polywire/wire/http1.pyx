# cython: boundscheck=False, wraparound=False
"""The HTTP/1.1 server engine (RFC 9112), bytes in and bytes out: the dialect of `wire/sink.py`.

Requests form a pipeline, a list linked by `_next` from `_first` (whose answer goes out now) to `_last` (whose body may
still arrive). Input moves through these states; a request that cannot be understood is answered and ends in CLOSED:

    START ── request line ──▶ FIELDS ── empty line ──┬─ no body ───────────────────────────────▶ START
      ▲                                              ├─ asks for a tunnel ─▶ OFFERED ─ 101 ────▶ LEFT, to the tunnel
      │                                              │                          └─ not taken up ▶ START
      │                                              ├─ length ──▶ LENGTH ── all of it ────────▶ START
      │                                              └─ chunked ─▶ CHUNK_LINE ─▶ CHUNK ─▶ CHUNK_END ─▶ CHUNK_LINE …
      └── CLOSED instead, where the connection does not persist          └─ size 0 ─▶ TRAILERS ──▶ START

Parsing never calls out. It stops where the layer above must act first (pipeline full, no body credit, enough for one
batch, a tunnel that is neither taken up nor declined); the rest of the input waits in `_buffer`, and `want_read` says
that it suffices. While the peer does not read, or more than `high_water_bytes` wait to be sent, no request is begun or
handed up; a body that the layer above gives credit for goes on.
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
from polywire.wire.tunnel cimport Tunnel

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
    OFFERED
    LEFT
    CLOSED

cdef enum Event:
    READABLE
    WRITABLE
    GONE
    REFUSED

cdef enum Coding:
    # How the body of a response is marked off.
    UNSTARTED
    NO_BODY
    COUNTED
    CHUNKED
    UNTIL_CLOSE

cdef enum:
    # Body bytes of an already answered request that are read and dropped to keep the connection.
    DRAIN_BYTES = 524288
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
include "http1_pipeline.pxi"


cdef class Http1Connection(Http1Pipeline):
    """One connection's server side. Not thread-safe; see `wire/sink.py` for what a driver owes.

    on_request: called with each `Http1Request` whose head is complete, in order.
    limits: an `HttpLimits`. common: fields of every final response.
    scheme: "https" under TLS; what a request target in absolute form says about it is not believed.
    on_refused: attribute, see `wire/sink.py`.
    """

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
    def successor(self):
        """The tunnel, once every answer before it is out: the driver goes on with that, after `leave`."""
        return self._tunnel if self._is_left() and self._out is None else None

    def leave(self):
        """Let go of the tunnel, with what has come for it."""
        cdef Tunnel tunnel = self._tunnel
        cdef bytes rest = PyBytes_FromStringAndSize(<const char*>self._buffer + self._start, self._filled)
        self._tunnel = None
        self._first._connection = None
        self._first = self._last = None
        self._pipelined = 0
        self._drop()
        self._on_request = self.on_output = self.on_refused = None
        if self._paused:
            tunnel.pause_writing()
        if self._shutting:
            tunnel.shutdown()
        if rest:
            tunnel.receive_data(rest)
        if self._eof:
            tunnel.receive_eof()

    @property
    def want_read(self):
        if self._state >= LEFT:
            return self._state == CLOSED and not self._closing
        return not self._turn and not self._is_blocked()

    @property
    def open_requests(self):
        return self._pipelined + (1 if self._turn else 0)

    @property
    def awaiting_head(self):
        return (self._state == FIELDS or (self._state == START and self._filled > 0)) and self.want_read

    @property
    def awaiting_body(self):
        cdef Http1Request request = self._incoming
        if not LENGTH <= self._state <= TRAILERS or request._expecting:
            return False
        return (request.closed or not request._untimed) and self.want_read

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
        cdef bint was_held, own_turn = False
        if self._turn and not self._inside:
            self._turn -= 1
            if self._turn == 0:
                self._work(b"")
                # This was a turn of its own: what is left may go on in the next.
                own_turn = True
                self._turn = min(self._turn, 1)
        self._woken = False
        if self._is_left():
            self._queue(self._tunnel.take_output())
        out = self._out
        if self._more is not None:
            out = b"".join(self._more)
            self._more = None
        if out is None:
            out = b""
        self._out = None
        was_held = self._unsent_bytes >= self._high_water
        self._unsent_bytes -= PyBytes_GET_SIZE(out)
        first = self._first
        if first is not None and not self._paused:
            first.buffered_out_bytes = 0
            if first._full:
                first._full = False
                if first._receiver is not None and not self._tell(first._receiver, WRITABLE):
                    self._give_up(first)
        if was_held and not self._turn and not self._is_held() and self._is_waited_for():
            # Not at once: the transport may be about to say that it has enough.
            self._turn = 1 if own_turn else 2
        if self._turn:
            self._wake()
        return out

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
        elif self.awaiting_head or self.awaiting_body:
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
        self._on_request = self.on_output = self.on_refused = None

    cdef int _work(self, bytes data) except -1:
        """Parse, hand up, and again as long as answers given at once make room."""
        cdef Py_ssize_t before
        self._inside = True
        self._turn = 0
        self._batch_left = self._max_batch
        try:
            self._take_in(data)
            self._hand_up()
            while self._filled:
                before = self._filled
                self._take_in(None)
                if self._filled == before:
                    break
                self._hand_up()
            if self._filled and self._batch_left <= 0 and not self._is_held():
                self._turn = 2
            elif self._eof and not (self._filled and self._is_blocked()):
                self._meet_eof()
                self._hand_up()
        finally:
            self._inside = False
        return 0
