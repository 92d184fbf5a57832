# Part of http2_client.pyx: what nghttp2 calls while it parses and while it serializes. A callback that fails returns
# NGHTTP2_ERR_CALLBACK_FAILURE (-902), with a Python exception set or with `failure` saying what the server did.

cdef inline ClientStream known(Http2ClientConnection c, int32_t stream_id):
    cdef void* found
    if c.current is not None and c.current.id == stream_id:
        return c.current
    found = nghttp2_session_get_stream_user_data(c.session, stream_id)
    return None if found == NULL else <ClientStream>found


cdef int on_begin_frame(nghttp2_session* session, const nghttp2_frame_hd* hd, void* user) except -902:
    cdef Http2ClientConnection c = <Http2ClientConnection>user
    cdef uint8_t kind = hd.type
    if kind == NGHTTP2_DATA or kind == NGHTTP2_HEADERS:
        return 0
    if kind == NGHTTP2_CONTINUATION:
        c.continuations += 1
        return c.refuse(NGHTTP2_ENHANCE_YOUR_CALM) if c.continuations > MAX_CONTINUATIONS else 0
    if kind == NGHTTP2_PUSH_PROMISE:
        # RFC 9113 §8.4: we have said that we take none.
        return c.refuse(NGHTTP2_PROTOCOL_ERROR)
    if kind == NGHTTP2_PING or kind == NGHTTP2_SETTINGS:
        if hd.flags & NGHTTP2_FLAG_ACK:
            return 0
    return c.strike(1)


cdef int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) except -902:
    cdef Http2ClientConnection c = <Http2ClientConnection>user
    cdef ClientStream st = known(c, frame.hd.stream_id)
    c.current = st
    c.continuations = 0
    if st is not None:
        st.reading = Headers.__new__(Headers)
        st.head_bytes = st.head_fields = st.read_status = 0
    return 0


cdef int on_header(
    nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_length,
    const uint8_t* value, size_t value_length, uint8_t flags, void* user,
) except -902:
    cdef Http2ClientConnection c = <Http2ClientConnection>user
    cdef ClientStream st = c.current
    if st is None or st.reading is None:
        return 0
    st.head_bytes += name_length + value_length + 32
    st.head_fields += 1
    if st.head_bytes > c.max_header_bytes or st.head_fields > c.max_headers:
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, st.id, NGHTTP2_ENHANCE_YOUR_CALM)
        c.lose(st, NGHTTP2_ENHANCE_YOUR_CALM)
        if c.strike(BOMB_GLITCHES):
            return NGHTTP2_ERR_CALLBACK_FAILURE
        # nghttp2 goes on to inflate the block, which keeps the table right, but reports no more of it.
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
    if name_length and name[0] == 58:
        # nghttp2 lets nothing through but :status with three digits.
        st.read_status = 100 * (value[0] - 48) + 10 * (value[1] - 48) + value[2] - 48
        if st.read_status < 100:
            # RFC 9110 §15: no status; nghttp2 would take it for an interim answer, and the body for one without a head.
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, st.id, NGHTTP2_PROTOCOL_ERROR)
            c.lose(st, NGHTTP2_PROTOCOL_ERROR)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
        return 0
    st.reading.add(intern_name(name, name_length), PyUnicode_DecodeLatin1(<const char*>value, value_length, NULL))
    return 0


cdef int on_invalid_header(
    nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_length,
    const uint8_t* value, size_t value_length, uint8_t flags, void* user,
) except -902:
    # RFC 9113 §8.2.1: the answer is malformed. nghttp2 would leave out the field and go on.
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE


cdef int on_frame_recv(nghttp2_session* session, const nghttp2_frame* frame, void* user) except -902:
    cdef Http2ClientConnection c = <Http2ClientConnection>user
    cdef ClientStream st
    cdef uint8_t kind = frame.hd.type
    if kind == NGHTTP2_HEADERS:
        st = known(c, frame.hd.stream_id)
        if st is None or st.reading is None:
            return 0
        if st.status == 0:
            if st.read_status < 200:
                st.reading = None  # RFC 9110 §15.2: nothing that a call could use
                return c.strike(1)
            st.status = st.read_status
            st.headers = st.reading
            c.note(st, HEAD)
        else:
            st.trailers = st.reading
        st.reading = None
        if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
            c.end(st)
    elif kind == NGHTTP2_DATA:
        if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
            st = known(c, frame.hd.stream_id)
            if st is not None:
                c.end(st)
        elif frame.hd.length <= frame.data.padlen:
            return c.strike(1)
    elif kind == NGHTTP2_SETTINGS:
        if not frame.hd.flags & NGHTTP2_FLAG_ACK:
            c.settled = True
    elif kind == NGHTTP2_PING:
        if frame.hd.flags & NGHTTP2_FLAG_ACK:
            c.pings_answered += 1
    elif kind == NGHTTP2_GOAWAY:
        c.goaway_code = frame.goaway.error_code
    return 0


cdef int on_data_chunk(
    nghttp2_session* session, uint8_t flags, int32_t stream_id, const uint8_t* data, size_t length, void* user
) except -902:
    cdef Http2ClientConnection c = <Http2ClientConnection>user
    cdef ClientStream st = known(c, stream_id)
    # Only its own window holds a stream back. Were the connection's held too, answers that nobody reads could keep all
    # others from coming. What is kept unread stays bounded: by the number of streams, which is our choice.
    nghttp2_session_consume_connection(session, length)
    if st is None or st.closed:
        return 0
    st.append(data, length)
    c.note(st, READABLE)
    return 0


cdef int on_stream_close(nghttp2_session* session, int32_t stream_id, uint32_t code, void* user) except -902:
    cdef Http2ClientConnection c = <Http2ClientConnection>user
    cdef ClientStream st = known(c, stream_id)
    if st is None:
        return 0
    c.lose(st, code)
    c.unlink(st)
    return 0


cdef int on_frame_send(nghttp2_session* session, const nghttp2_frame* frame, void* user) except -902:
    cdef Http2ClientConnection c = <Http2ClientConnection>user
    cdef ClientStream st
    if frame.hd.type == NGHTTP2_HEADERS or frame.hd.type == NGHTTP2_DATA:
        if c.excused < MOST_EXCUSED:
            c.excused += FRAMES_EXCUSED
        st = known(c, frame.hd.stream_id)
        if st is None:
            return 0
        if frame.hd.type == NGHTTP2_HEADERS:
            st.head_sent = True
            st.kept_head = None
            st.kept_extra = None
        if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
            st.out_finished = True
    return 0


cdef ssize_t read_body(
    nghttp2_session* session, int32_t stream_id, uint8_t* buffer, size_t room, uint32_t* flags,
    nghttp2_data_source* source, void* user,
) noexcept:
    cdef ClientStream st = <ClientStream>source.ptr
    cdef Py_ssize_t length = min(<Py_ssize_t>room, st.buffered_out_bytes)
    if length == st.buffered_out_bytes:
        if st.out_ended:
            flags[0] = NGHTTP2_DATA_FLAG_EOF
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
    cdef Http2ClientConnection c = <Http2ClientConnection>user
    cdef ClientStream st = <ClientStream>source.ptr
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
nghttp2_session_callbacks_set_on_invalid_header_callback(CALLBACKS, <nghttp2_on_header_callback>on_invalid_header)
nghttp2_session_callbacks_set_on_frame_recv_callback(CALLBACKS, <nghttp2_on_frame_recv_callback>on_frame_recv)
nghttp2_session_callbacks_set_on_data_chunk_recv_callback(CALLBACKS, <nghttp2_on_data_chunk_recv_callback>on_data_chunk)
nghttp2_session_callbacks_set_on_stream_close_callback(CALLBACKS, <nghttp2_on_stream_close_callback>on_stream_close)
nghttp2_session_callbacks_set_on_frame_send_callback(CALLBACKS, <nghttp2_on_frame_send_callback>on_frame_send)
nghttp2_session_callbacks_set_send_data_callback(CALLBACKS, <nghttp2_send_data_callback>send_data)
nghttp2_option_set_no_auto_window_update(OPTIONS, 1)
