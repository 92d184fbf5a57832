# Part of http2.pyx: what nghttp2 calls while it parses and while it serializes. A callback that fails returns
# NGHTTP2_ERR_CALLBACK_FAILURE (-902), with a Python exception set, or with `calm` or `fault` saying what the peer did.

cdef enum:
    # Every request, and every DATA or HEADERS frame sent, excuses this many PINGs or WINDOW_UPDATEs: gRPC clients open
    # each stream with two of the latter and probe the bandwidth with a PING per answer, and simple clients give credit
    # back frame by frame. What is saved up is bounded.
    FRAMES_EXCUSED = 3
    MOST_EXCUSED = 4096
    # What a head that is too large costs of `max_glitches`; several times too large is an HPACK bomb.
    REFUSED_GLITCHES = 8
    BOMB_GLITCHES = 64
    BOMB_FACTOR = 4
    # What a stream that is reset before anybody saw it costs of `max_resets`.
    RAPID_RESETS = 8
    MAX_CONTINUATIONS = 8


cdef inline Http2Stream known(Http2Connection c, int32_t stream_id):
    cdef void* found
    if c.current is not None and c.current.id == stream_id:
        return c.current
    found = nghttp2_session_get_stream_user_data(c.session, stream_id)
    return None if found == NULL else <Http2Stream>found


cdef inline void excuse(Http2Connection c) noexcept:
    c.early_pings = 0
    if c.excused < MOST_EXCUSED:
        c.excused += FRAMES_EXCUSED


cdef int strike(Http2Connection c, int glitches, int resets) noexcept:
    """Count suspicious frames and resets of this second; NGHTTP2_ERR_CALLBACK_FAILURE once there are too many."""
    if c.now - c.second_started >= 1.0:
        c.second_started = c.now
        c.glitches = c.resets = 0
    c.glitches += glitches
    c.resets += resets
    if c.glitches > c.max_glitches or c.resets > c.max_resets:
        c.calm = True
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return 0


cdef int pinged(Http2Connection c) noexcept:
    """Police PINGs as gRPC's servers do: too many that are early, and that nothing excuses, end the connection."""
    cdef bint early = c.now - c.last_ping < c.min_ping_interval_s
    c.last_ping = c.now
    if not early:
        c.last_activity_marker += 1
        if c.early_pings:
            c.early_pings -= 1
        return 0
    if c.excused > 0:
        c.excused -= 1
        return 0
    c.early_pings += 1
    if c.early_pings > c.max_early_pings:
        c.calm = True
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return strike(c, 1, 0)


cdef int on_begin_frame(nghttp2_session* session, const nghttp2_frame_hd* hd, void* user) except -902:
    cdef Http2Connection c = <Http2Connection>user
    if hd.type == NGHTTP2_HEADERS:
        if c.unclaimed and c.stage != DRAINING and strike(c, 1, 0):
            return NGHTTP2_ERR_CALLBACK_FAILURE  # the block before this was for a stream that is closed or refused
        c.unclaimed = True
        return 0
    if hd.type == NGHTTP2_PING and hd.flags & NGHTTP2_FLAG_ACK:
        if c.pings_out:
            c.pings_out -= 1
            return 0
        return strike(c, 1, 0)
    if hd.type == NGHTTP2_PING:
        return pinged(c)
    if hd.type == NGHTTP2_WINDOW_UPDATE or hd.type > NGHTTP2_CONTINUATION:
        if c.excused > 0:
            c.excused -= 1
            return 0
        return strike(c, 1, 0)
    if hd.type == NGHTTP2_PRIORITY and hd.stream_id == 0:
        c.fault = NGHTTP2_PROTOCOL_ERROR  # RFC 9113 §6.3; nghttp2 does not look, for the frame means nothing any more
        return NGHTTP2_ERR_CALLBACK_FAILURE
    if hd.type == NGHTTP2_PRIORITY or hd.type == NGHTTP2_SETTINGS or hd.type == NGHTTP2_GOAWAY:
        return strike(c, 1, 0)
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
    c.unclaimed = False
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
    st.body_timed = True
    st.heard = c.now
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
            if memchr(value, 64, value_length) != NULL and st.refused_status == 0:
                st.refused_status = 400  # RFC 9113 §8.3.1: no user is named here
        elif name_length == 9:
            st.tunnel = intern_name(value, value_length)
        return 0
    if name_length == 14 and memcmp(name, b"content-length", 14) == 0:
        st.content_length = 0
        for i in range(value_length):  # nghttp2 lets nothing through but digits that fit
            st.content_length = st.content_length * 10 + value[i] - 48
    st.headers.add(intern_name(name, name_length), PyUnicode_DecodeLatin1(<const char*>value, value_length, NULL))
    return 0


cdef int on_invalid_header(
    nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_length,
    const uint8_t* value, size_t value_length, uint8_t flags, void* user,
) except -902:
    # RFC 9113 §8.2.1: the request is malformed. nghttp2 would leave out the field and go on.
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE


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
    if strike(c, BOMB_GLITCHES, 0):
        return NGHTTP2_ERR_CALLBACK_FAILURE
    # nghttp2 goes on to inflate the block, which keeps the table right, but checks and reports no more of it.
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE


cdef int ignore_extension(
    nghttp2_session* session, void** payload, const nghttp2_frame_hd* hd, void* user
) except -902:
    # Frames of unknown types, PRIORITY_UPDATE among them (RFC 9113 §5.5, RFC 9218 §7). nghttp2 would not tell of them,
    # and `on_begin_frame` would not count them, if nobody unpacked them.
    return NGHTTP2_ERR_CANCEL


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
            return strike(c, 1, 0)
    elif kind == NGHTTP2_RST_STREAM:
        st = known(c, frame.hd.stream_id)
        if st is not None:
            # gRPC's clients reset what was answered before they had ended it: that request has had its cost.
            if st.is_discarded():
                return 0
            # One taken back with the same read that brought it is what rapid reset consists of (CVE-2023-44487): an
            # honest caller rarely thinks better of it so soon.
            return strike(c, 0, 1 if st.dispatched else RAPID_RESETS)
        if c.excused > 0:
            c.excused -= 1
            return 0
        return strike(c, 0, 1)
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
    st.head_done = True
    c.ready.append(st)
    if st.refused_status:
        return strike(c, REFUSED_GLITCHES, 0)
    excuse(c)
    c.last_activity_marker += 1
    return 0


cdef int on_data_chunk(
    nghttp2_session* session, uint8_t flags, int32_t stream_id, const uint8_t* data, size_t length, void* user
) except -902:
    cdef Http2Connection c = <Http2Connection>user
    cdef Http2Stream st = known(c, stream_id)
    if st is not None:
        st.heard = c.now
        if st.is_discarded():
            st.discard(length)
            return 0
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
    if not st.closed and st.is_unfinished():
        c.note(st, GONE)
    c.unlink(st)
    return 0


cdef int on_frame_send(nghttp2_session* session, const nghttp2_frame* frame, void* user) except -902:
    cdef Http2Connection c = <Http2Connection>user
    cdef Http2Stream st
    if frame.hd.type == NGHTTP2_DATA or frame.hd.type == NGHTTP2_HEADERS:
        excuse(c)
        if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
            st = known(c, frame.hd.stream_id)
            if st is not None:
                st.out_finished = True
                if st.is_discarded():
                    st.answered_early()
    elif frame.hd.type == NGHTTP2_RST_STREAM:
        # A refused stream cost little, and an honest client may not know the limit yet: `on_begin_frame` counts it.
        if (
            frame.rst_stream.error_code != NGHTTP2_REFUSED_STREAM
            and frame.rst_stream.error_code != NGHTTP2_NO_ERROR
        ):
            strike(c, 0, 1)
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
    st.unmoved = False
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
nghttp2_session_callbacks_set_on_invalid_header_callback(CALLBACKS, <nghttp2_on_header_callback>on_invalid_header)
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
# `max_resets` counts better: it knows which resets come of our own early answers, and ends with the right code.
no_reset_rate_limit(OPTIONS)
nghttp2_session_callbacks_set_unpack_extension_callback(CALLBACKS, <nghttp2_unpack_extension_callback>ignore_extension)
for _type in range(10, 256):
    nghttp2_option_set_user_recv_extension_type(OPTIONS, _type)
