from polywire.wire.tunnel cimport Driver


cdef class Receiver(Driver):
    cdef int receive(self, bytes data) except -1


cdef class Poller:
    cdef object loop
    cdef int fd
    cdef char* buffer
    cdef SocketTransport first

    cdef int watch(self, SocketTransport transport, unsigned int events) except -1


cdef class SocketTransport:
    cdef Poller poller
    cdef SocketTransport following, before
    cdef object protocol
    cdef Receiver receiver
    # What the socket has not taken yet: a deque of bytes, the first one from `sent` on, `unsent` bytes in all.
    cdef object backlog
    cdef Py_ssize_t unsent, sent
    cdef int fd
    # What epoll has been asked for.
    cdef unsigned int asked
    cdef unsigned char is_watched, reads, is_held, has_ended, ends, closing, is_lost

    cdef int put(self, bytes data) except -1
    cdef int ready(self, unsigned int events) except -1
    cdef int read(self) except -1
    cdef int flush(self) except -1
    cdef int ask(self) except -1
    cdef int unwatch(self) except -1
    cdef object problem(self)
    cdef int lose(self, object error) except -1
    cdef int close_socket(self) except -1
