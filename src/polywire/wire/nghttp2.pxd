"""The part of libnghttp2's API that the engine uses; nothing newer than 1.52 is needed."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

cdef extern from "nghttp2/nghttp2.h":
    ctypedef struct nghttp2_session:
        pass
    ctypedef struct nghttp2_session_callbacks:
        pass
    ctypedef struct nghttp2_option:
        pass
    ctypedef struct nghttp2_frame_hd:
        size_t length
        int32_t stream_id
        uint8_t type
        uint8_t flags
    ctypedef struct nghttp2_data:
        size_t padlen
    ctypedef struct nghttp2_headers:
        int cat
    ctypedef struct nghttp2_rst_stream:
        uint32_t error_code
    ctypedef struct nghttp2_ping:
        uint8_t opaque_data[8]
    ctypedef struct nghttp2_goaway:
        int32_t last_stream_id
        uint32_t error_code
    ctypedef union nghttp2_frame:
        nghttp2_frame_hd hd
        nghttp2_data data
        nghttp2_headers headers
        nghttp2_rst_stream rst_stream
        nghttp2_ping ping
        nghttp2_goaway goaway
    ctypedef struct nghttp2_nv:
        uint8_t* name
        uint8_t* value
        size_t namelen
        size_t valuelen
        uint8_t flags
    ctypedef struct nghttp2_settings_entry:
        int32_t settings_id
        uint32_t value
    ctypedef struct nghttp2_extpri:
        uint32_t urgency
        int inc
    ctypedef union nghttp2_data_source:
        void* ptr
    ctypedef ssize_t (*nghttp2_data_source_read_callback)(
        nghttp2_session*, int32_t, uint8_t*, size_t, uint32_t*, nghttp2_data_source*, void*)
    ctypedef struct nghttp2_data_provider:
        nghttp2_data_source source
        nghttp2_data_source_read_callback read_callback

    ctypedef int (*nghttp2_on_begin_frame_callback)(nghttp2_session*, const nghttp2_frame_hd*, void*)
    ctypedef int (*nghttp2_on_begin_headers_callback)(nghttp2_session*, const nghttp2_frame*, void*)
    ctypedef int (*nghttp2_on_header_callback)(
        nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t, const uint8_t*, size_t, uint8_t, void*)
    ctypedef int (*nghttp2_on_frame_recv_callback)(nghttp2_session*, const nghttp2_frame*, void*)
    ctypedef int (*nghttp2_on_data_chunk_recv_callback)(
        nghttp2_session*, uint8_t, int32_t, const uint8_t*, size_t, void*)
    ctypedef int (*nghttp2_on_stream_close_callback)(nghttp2_session*, int32_t, uint32_t, void*)
    ctypedef int (*nghttp2_on_frame_send_callback)(nghttp2_session*, const nghttp2_frame*, void*)
    ctypedef int (*nghttp2_on_frame_not_send_callback)(nghttp2_session*, const nghttp2_frame*, int, void*)
    ctypedef int (*nghttp2_send_data_callback)(
        nghttp2_session*, nghttp2_frame*, const uint8_t*, size_t, nghttp2_data_source*, void*)

    ctypedef int (*nghttp2_unpack_extension_callback)(nghttp2_session*, void**, const nghttp2_frame_hd*, void*)

    int nghttp2_session_callbacks_new(nghttp2_session_callbacks**)
    void nghttp2_session_callbacks_set_on_begin_frame_callback(
        nghttp2_session_callbacks*, nghttp2_on_begin_frame_callback)
    void nghttp2_session_callbacks_set_on_begin_headers_callback(
        nghttp2_session_callbacks*, nghttp2_on_begin_headers_callback)
    void nghttp2_session_callbacks_set_on_header_callback(nghttp2_session_callbacks*, nghttp2_on_header_callback)
    void nghttp2_session_callbacks_set_on_invalid_header_callback(
        nghttp2_session_callbacks*, nghttp2_on_header_callback)
    void nghttp2_session_callbacks_set_on_frame_recv_callback(
        nghttp2_session_callbacks*, nghttp2_on_frame_recv_callback)
    void nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        nghttp2_session_callbacks*, nghttp2_on_data_chunk_recv_callback)
    void nghttp2_session_callbacks_set_on_stream_close_callback(
        nghttp2_session_callbacks*, nghttp2_on_stream_close_callback)
    void nghttp2_session_callbacks_set_on_frame_send_callback(
        nghttp2_session_callbacks*, nghttp2_on_frame_send_callback)
    void nghttp2_session_callbacks_set_on_frame_not_send_callback(
        nghttp2_session_callbacks*, nghttp2_on_frame_not_send_callback)
    void nghttp2_session_callbacks_set_send_data_callback(nghttp2_session_callbacks*, nghttp2_send_data_callback)

    void nghttp2_session_callbacks_set_unpack_extension_callback(
        nghttp2_session_callbacks*, nghttp2_unpack_extension_callback)

    int nghttp2_option_new(nghttp2_option**)
    void nghttp2_option_set_no_auto_window_update(nghttp2_option*, int)
    void nghttp2_option_set_no_closed_streams(nghttp2_option*, int)
    void nghttp2_option_set_user_recv_extension_type(nghttp2_option*, uint8_t)

    int nghttp2_session_server_new2(
        nghttp2_session**, const nghttp2_session_callbacks*, void*, const nghttp2_option*)
    int nghttp2_session_client_new2(
        nghttp2_session**, const nghttp2_session_callbacks*, void*, const nghttp2_option*)
    void nghttp2_session_del(nghttp2_session*)
    # -902 is NGHTTP2_ERR_CALLBACK_FAILURE, with an exception set where the callback raised one.
    ssize_t nghttp2_session_mem_recv(nghttp2_session*, const uint8_t*, size_t) except? -902
    ssize_t nghttp2_session_mem_send(nghttp2_session*, const uint8_t**) except? -902
    int nghttp2_session_want_read(nghttp2_session*)
    int nghttp2_session_want_write(nghttp2_session*)
    size_t nghttp2_session_get_outbound_queue_size(nghttp2_session*)
    int32_t nghttp2_session_get_last_proc_stream_id(nghttp2_session*)
    int nghttp2_session_terminate_session(nghttp2_session*, uint32_t)
    int nghttp2_session_set_local_window_size(nghttp2_session*, uint8_t, int32_t, int32_t)
    int32_t nghttp2_session_get_stream_local_window_size(nghttp2_session*, int32_t)
    int32_t nghttp2_session_get_local_window_size(nghttp2_session*)
    int nghttp2_session_consume(nghttp2_session*, int32_t, size_t)
    int nghttp2_session_consume_connection(nghttp2_session*, size_t)
    int nghttp2_session_consume_stream(nghttp2_session*, int32_t, size_t)
    int nghttp2_session_check_request_allowed(nghttp2_session*)
    uint32_t nghttp2_session_get_remote_settings(nghttp2_session*, int32_t)
    void* nghttp2_session_get_stream_user_data(nghttp2_session*, int32_t)
    int nghttp2_session_set_stream_user_data(nghttp2_session*, int32_t, void*)
    int nghttp2_session_resume_data(nghttp2_session*, int32_t)
    int nghttp2_session_change_extpri_stream_priority(nghttp2_session*, int32_t, const nghttp2_extpri*, int)
    int nghttp2_submit_settings(nghttp2_session*, uint8_t, const nghttp2_settings_entry*, size_t)
    int32_t nghttp2_submit_request(
        nghttp2_session*, const void*, const nghttp2_nv*, size_t, const nghttp2_data_provider*, void*)
    int nghttp2_submit_response(
        nghttp2_session*, int32_t, const nghttp2_nv*, size_t, const nghttp2_data_provider*)
    int nghttp2_submit_headers(
        nghttp2_session*, uint8_t, int32_t, const void*, const nghttp2_nv*, size_t, void*)
    int nghttp2_submit_trailer(nghttp2_session*, int32_t, const nghttp2_nv*, size_t)
    int nghttp2_submit_rst_stream(nghttp2_session*, uint8_t, int32_t, uint32_t)
    int nghttp2_submit_ping(nghttp2_session*, uint8_t, const uint8_t*)
    int nghttp2_submit_shutdown_notice(nghttp2_session*)
    int nghttp2_submit_goaway(nghttp2_session*, uint8_t, int32_t, uint32_t, const uint8_t*, size_t)

    enum:
        NGHTTP2_DATA
        NGHTTP2_HEADERS
        NGHTTP2_PRIORITY
        NGHTTP2_RST_STREAM
        NGHTTP2_SETTINGS
        NGHTTP2_PUSH_PROMISE
        NGHTTP2_PING
        NGHTTP2_GOAWAY
        NGHTTP2_WINDOW_UPDATE
        NGHTTP2_CONTINUATION
        NGHTTP2_FLAG_NONE
        NGHTTP2_FLAG_END_STREAM
        NGHTTP2_FLAG_ACK
        NGHTTP2_HCAT_REQUEST
        NGHTTP2_NV_FLAG_NO_INDEX
        NGHTTP2_NV_FLAG_NO_COPY_NAME
        NGHTTP2_NV_FLAG_NO_COPY_VALUE
        NGHTTP2_DATA_FLAG_EOF
        NGHTTP2_DATA_FLAG_NO_END_STREAM
        NGHTTP2_DATA_FLAG_NO_COPY
        NGHTTP2_SETTINGS_ENABLE_PUSH
        NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS
        NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE
        NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE
        NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL
        NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES
        NGHTTP2_NO_ERROR
        NGHTTP2_PROTOCOL_ERROR
        NGHTTP2_INTERNAL_ERROR
        NGHTTP2_REFUSED_STREAM
        NGHTTP2_CANCEL
        NGHTTP2_ENHANCE_YOUR_CALM
        NGHTTP2_ERR_PAUSE
        NGHTTP2_ERR_DEFERRED
        NGHTTP2_ERR_FRAME_SIZE_ERROR
        NGHTTP2_ERR_NOMEM
        NGHTTP2_ERR_BAD_CLIENT_MAGIC
        NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
        NGHTTP2_ERR_CALLBACK_FAILURE
        NGHTTP2_ERR_CANCEL

cdef extern from *:
    """
    /* Newer than 1.52, but backported to it by distributions: called where it is there. */
    extern void nghttp2_option_set_stream_reset_rate_limit(
        nghttp2_option *option, uint64_t burst, uint64_t rate) __attribute__((weak));
    static inline void no_reset_rate_limit(nghttp2_option *option) {
        if (nghttp2_option_set_stream_reset_rate_limit) {
            nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
        }
    }
    """
    void no_reset_rate_limit(nghttp2_option*) nogil
