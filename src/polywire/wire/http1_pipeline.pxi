"""Part of http1.pyx: the pipeline of requests, what the layer above is told of them, and their answers' way out."""


cdef class Http1Pipeline(Http1Input):
    """What stands between the input and the driver: requests in order, each with its answer."""

    cdef public object on_output, on_refused
    cdef object _on_request
    cdef CommonHeaders _common
    # The pipeline.
    cdef Http1Request _first, _last, _next_up
    cdef list _gone  # to be told so, as are `_refused` to `on_refused`
    cdef list _refused
    # Output.
    cdef bytes _out
    cdef list _more
    cdef bint _inside, _woken, _eof, _closing
    cdef Tunnel _tunnel
    cdef int _turn  # 1: data_to_send takes up the rest of the input; 2: the one after does, so that others come in between

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
            if not self._turn and self._is_waited_for():
                self._turn = 1
            self._wake()
        return 0

    cdef bint _is_waited_for(self) noexcept:
        """Whether there is something to go on with."""
        return self._filled > 0 or self._next_up is not None or (self._eof and self._state != CLOSED)

    cdef bint _is_blocked(self) noexcept:
        """Whether the layer above must act before more input is of use."""
        if self._state == START:
            return self._pipelined >= self._max_pipeline or self._is_held()
        if self._state == LENGTH or self._state == CHUNK:
            return not self._incoming.closed and self._incoming._credit <= 0
        return self._state == OFFERED and self._filled > 0

    # What the layer above is told. It may fail: that goes to sys.unraisablehook and costs the exchange only.

    cdef int _hand_up(self) except -1:
        cdef Http1Request request
        request = self._readable  # older than what is to be handed up
        if request is not None:
            self._readable = None
            if request._receiver is not None and not self._tell(request._receiver, READABLE):
                self._give_up(request)
        while self._next_up is not None and not self._is_held():
            request = self._next_up
            self._next_up = request._next
            if request.closed:
                continue
            if not self._dispatch(request):
                self._give_up(request)
            request._offered = True
            if request._invited:
                request._invite()
        if self._gone is not None:
            gone = self._gone
            self._gone = None
            for receiver in gone:
                self._tell(receiver, GONE)
        if self._refused is not None:
            refused = self._refused
            self._refused = None
            for refusal in refused:
                self._tell(refusal, REFUSED)
        return 0

    cdef bint _dispatch(self, Http1Request request) noexcept:
        self._on_request(request)
        return True

    cdef bint _tell(self, object whom, Event event) noexcept:
        if event == READABLE:
            whom.on_readable()
        elif event == WRITABLE:
            whom.on_writable()
        elif event == GONE:
            whom.on_gone()
        elif self.on_refused is not None:
            self.on_refused(*whom)
        return True

    cdef int _give_up(self, Http1Request request) except -1:
        """The layer above failed: 500 where nothing has been answered, else the end of the connection."""
        if request.closed:
            return 0
        if request._coding != UNSTARTED:
            self._tell_gone(request)
            request._break_off()
        else:
            self._refuse(request, 500, "INTERNAL", "internal error")
        return 0

    cdef int _refuse(self, Http1Request request, int status, str code, str message) except -1:
        """An answer of our own. Who has been handed the request is told on_gone, else `on_refused` is."""
        receiver = request._receiver
        cdef bytes body = error_body(code, message)
        request._expecting = False
        request.respond(status, ERROR_BLOCK, body)
        if receiver is not None:
            self._add_gone(receiver)
        elif not request._offered:
            if self._refused is None:
                self._refused = []
            self._refused.append((request, status, len(body)))
        return 0

    # Tunnels.

    cdef Tunnel _open_tunnel(self, Http1Request request):
        """What follows the request is the tunnel's."""
        self._state = LEFT
        self._incoming = None
        self._tunnel = Tunnel(request, self._max_body, self._high_water)
        self._tunnel.on_output = self._wake_up
        request._close()
        return self._tunnel

    def _wake_up(self):
        self._wake()

    cdef bint _is_left(self) noexcept:
        """Whether nothing but the tunnel is left."""
        return self._tunnel is not None and self._first is not None and self._first._next is None

    cdef int _decline_tunnel(self, Http1Request request) except -1:
        """Nobody took it up: the request was an ordinary one (RFC 9110 §7.8)."""
        if self._incoming is request:
            self._end_message()
            self._go_on()
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
        cdef Http1Request request = self._incoming
        if self._state == CLOSED:
            return 0
        if self._state == OFFERED:
            request._persist = False
            return 0
        if self._state == LEFT:
            return 0
        if self._state >= LENGTH and not self._incoming.closed:
            return self._fail(ENDED_EARLY)
        # A head that was cut off is not worth an answer (RFC 9112 §8).
        return self._end_input()

    cdef int _fail(self, int problem) except -1:
        """Answer what is arriving with an error, after the answers before it, and close."""
        cdef Http1Request request = self._incoming
        if self._state == START or self._state == FIELDS:
            if request is None:
                request = Http1Request.__new__(Http1Request)
                request.method = request.authority = ""
                request.headers = Headers.__new__(Headers)
                request.scheme = self.scheme
                request._minor = 1
            if request.target is None:
                request.target = ""
            self._append(request)
        elif request.closed or request._coding != UNSTARTED:
            # Too late for an answer of ours: what stands in the pipeline still goes out, then the connection ends.
            self._tell_gone(request)
            self._end_input()
            if not request._done:
                request._break_off()
            return 0
        self._end_input()
        status, code, message = PROBLEMS[problem]
        return self._refuse(request, status, code, message)

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
        if was_full:
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
        if self._tunnel is not None:
            if self._tunnel.receiver is not None:
                self._add_gone(self._tunnel.receiver)
            self._tunnel.close()
            self._tunnel = None
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
