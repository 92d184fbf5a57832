# cython: boundscheck=False, wraparound=False
"""Sockets of the server, without a handle of the loop's for each: one epoll of our own, which the loop watches.

What a loop keeps for a socket is ten times what it takes, and what 5,000 of them touch in a fan-out does not fit into the
processor's caches. Where there is no epoll (`Poller` says so), the loop's own transports do.
"""

import logging
import os
from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, EINTR, errno

from polywire.wire.tunnel cimport Driver

logger = logging.getLogger("polywire.server")

cdef extern from *:
    """
    #include <sys/types.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <unistd.h>
    #include <errno.h>
    #ifdef __linux__
    #include <sys/epoll.h>
    #define POLYWIRE_EPOLL 1
    #else
    #include <stdint.h>
    typedef union { void* ptr; } epoll_data_t;
    struct epoll_event { uint32_t events; epoll_data_t data; };
    #define POLYWIRE_EPOLL 0
    #define EPOLLIN 1
    #define EPOLLOUT 4
    #define EPOLLERR 8
    #define EPOLLHUP 16
    #define EPOLL_CLOEXEC 0
    #define EPOLL_CTL_ADD 1
    #define EPOLL_CTL_DEL 2
    #define EPOLL_CTL_MOD 3
    #define MSG_NOSIGNAL 0
    static int epoll_create1(int flags) { errno = ENOSYS; return -1; }
    static int epoll_ctl(int epfd, int op, int fd, struct epoll_event* event) { errno = ENOSYS; return -1; }
    static int epoll_wait(int epfd, struct epoll_event* events, int most, int timeout) { errno = ENOSYS; return -1; }
    #endif
    """
    const bint POLYWIRE_EPOLL
    const unsigned int EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP
    const int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, MSG_NOSIGNAL, SHUT_WR, SOL_SOCKET, SO_ERROR
    ctypedef union epoll_data_t:
        void* ptr
    struct epoll_event:
        unsigned int events
        epoll_data_t data
    struct iovec:
        void* iov_base
        size_t iov_len
    ctypedef unsigned int socklen_t
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int most, int timeout)
    Py_ssize_t recv(int fd, void* buffer, size_t length, int flags)
    Py_ssize_t send(int fd, const void* data, size_t length, int flags)
    Py_ssize_t writev(int fd, const iovec* parts, int count)
    int shutdown(int fd, int how)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* length)
    int close_fd "close"(int fd)

cdef enum:
    # Sockets that have their turn before the loop does anything else.
    MOST_EVENTS = 128
    MOST_PARTS = 64
    READ_BYTES = 262144
    # asyncio's own marks, after which a protocol is told to pause and to go on.
    HIGH_WATER = 65536
    LOW_WATER = 16384


cdef object error_of(int number):
    """The right kind of OSError."""
    return OSError(number, os.strerror(number))


cdef class Receiver(Driver):
    """A protocol that is handed what comes without a call of Python; any other has `data_received`."""

    cdef int receive(self, bytes data) except -1:
        raise NotImplementedError


cdef class Poller:
    """The sockets of one loop. Raises OSError where there is no epoll, or no descriptor left for one."""

    def __cinit__(self, loop):
        self.loop = loop
        self.fd = epoll_create1(EPOLL_CLOEXEC)
        if self.fd < 0:
            raise error_of(errno)
        self.buffer = <char*>PyMem_Malloc(READ_BYTES)
        if self.buffer == NULL:
            raise MemoryError
        loop.add_reader(self.fd, self.turn)

    def __dealloc__(self):
        if self.fd >= 0:
            close_fd(self.fd)
        PyMem_Free(self.buffer)

    def close(self):
        """Close every socket that is still open."""
        if self.fd < 0:
            return
        self.loop.remove_reader(self.fd)
        while self.first is not None:
            self.first.drop()
        close_fd(self.fd)
        self.fd = -1

    def turn(self):
        """Read and write what can be, of a bounded number of sockets; epoll lets others come first the next time."""
        cdef epoll_event events[MOST_EVENTS]
        cdef int count = epoll_wait(self.fd, events, MOST_EVENTS, 0)
        cdef SocketTransport transport
        for at in range(count):
            # It is in the list of those that are open: what is lost leaves that in a later turn of the loop.
            transport = <SocketTransport>events[at].data.ptr
            if transport.is_watched:
                transport.ready(events[at].events)

    cdef int watch(self, SocketTransport transport, unsigned int events) except -1:
        """Raises OSError."""
        cdef epoll_event event
        event.events = events
        event.data.ptr = <void*>transport
        if epoll_ctl(self.fd, EPOLL_CTL_MOD if transport.is_watched else EPOLL_CTL_ADD, transport.fd, &event) < 0:
            raise error_of(errno)
        transport.is_watched = True
        transport.asked = events
        return 0


cdef class SocketTransport:
    """What `asyncio.Transport` is, of a stream socket that is connected and does not block; it owns the descriptor.

    Data is sent within `write` as far as the socket takes it. Unlike the loop's own, it notices that the peer is gone
    (RST, or no answer to the kernel's probes) while it does not read.
    """

    def __cinit__(self):
        self.fd = -1

    def __init__(self, Poller poller not None, int fd, protocol):
        """Raises OSError; the descriptor is still the caller's then."""
        self.poller = poller
        self.fd = fd
        self.reads = True
        self.set_protocol(protocol)
        try:
            poller.watch(self, EPOLLIN)
        except OSError:
            self.fd = -1
            raise
        self.following = poller.first
        if self.following is not None:
            self.following.before = self
        poller.first = self

    def __dealloc__(self):
        if self.fd >= 0:
            close_fd(self.fd)

    # As a transport.

    def get_extra_info(self, name, default=None):
        return default

    def set_protocol(self, protocol):
        self.protocol = protocol
        self.receiver = protocol if isinstance(protocol, Receiver) else None

    def get_protocol(self):
        return self.protocol

    def is_closing(self):
        return self.closing

    def is_reading(self):
        return self.reads

    def can_write_eof(self):
        return True

    def get_write_buffer_size(self):
        return self.unsent

    def pause_reading(self):
        if self.reads:
            self.reads = False
            self.ask()

    def resume_reading(self):
        if not self.reads and not self.closing:
            self.reads = True
            self.ask()

    def write(self, bytes data not None):
        """Send, or keep for later; nothing after `close` and `abort`. Raises RuntimeError after `write_eof`."""
        self.put(data)

    def write_eof(self):
        """Half-close it once everything is sent. Raises OSError where the peer has reset it."""
        if self.ends or self.closing:
            return
        self.ends = True
        if not self.unsent and shutdown(self.fd, SHUT_WR) < 0:
            raise error_of(errno)

    def close(self):
        """Close it once everything is sent; nothing more is read."""
        if self.closing:
            return
        self.closing = True
        self.reads = False
        if self.unsent:
            self.ask()
        else:
            self.lose(None)

    def abort(self):
        """Close it; what is not sent yet never is."""
        self.lose(None)

    # What happens to it.

    cdef int put(self, bytes data) except -1:
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data), count = 0
        if self.closing or self.is_lost or not length:
            return 0
        if self.ends:
            raise RuntimeError("nothing can be written after write_eof")
        if not self.unsent:
            count = send(self.fd, PyBytes_AS_STRING(data), length, MSG_NOSIGNAL)
            if count == length:
                return 0
            if count < 0:
                if errno != EAGAIN and errno != EINTR:
                    return self.lose(error_of(errno))
                count = 0
            self.sent = count
            if self.backlog is None:
                self.backlog = deque()
        self.backlog.append(data)
        self.unsent += length - count
        self.ask()
        if self.unsent > HIGH_WATER and not self.is_held:
            self.is_held = True
            self.protocol.pause_writing()
        return 0

    cdef int ready(self, unsigned int events) except -1:
        """What epoll has seen. A failure of the protocol ends its connection."""
        try:
            if events & EPOLLOUT and self.unsent:
                self.flush()
            if events & (EPOLLIN | EPOLLERR | EPOLLHUP) and not self.is_lost:
                if self.reads and not self.has_ended:
                    self.read()
                elif events & EPOLLERR or (events & EPOLLHUP and not self.ends):
                    self.lose(self.problem())
                elif events & EPOLLHUP:
                    # Both sides have ended it, and what came before the end waits to be read: there is no news in that.
                    self.unwatch()
        except Exception as error:
            context = {"message": "a connection failed", "exception": error, "protocol": self.protocol}
            self.poller.loop.call_exception_handler(context)
            self.lose(error)
        return 0

    cdef int read(self) except -1:
        cdef Py_ssize_t count = recv(self.fd, self.poller.buffer, READ_BYTES, 0)
        cdef bytes data
        if count > 0:
            data = PyBytes_FromStringAndSize(self.poller.buffer, count)
            if self.receiver is not None:
                self.receiver.receive(data)
            else:
                self.protocol.data_received(data)
        elif count == 0:
            self.has_ended = True
            if self.protocol.eof_received():
                self.ask()
            else:
                self.close()
        elif errno != EAGAIN and errno != EINTR:
            self.lose(error_of(errno))
        return 0

    cdef int flush(self) except -1:
        cdef iovec parts[MOST_PARTS]
        cdef object backlog = self.backlog
        cdef int count = 0
        cdef Py_ssize_t skip = self.sent, sent, length
        cdef bytes data
        for data in backlog:
            parts[count].iov_base = PyBytes_AS_STRING(data) + skip
            parts[count].iov_len = PyBytes_GET_SIZE(data) - skip
            skip = 0
            count += 1
            if count == MOST_PARTS:
                break
        sent = writev(self.fd, parts, count)
        if sent < 0:
            if errno != EAGAIN and errno != EINTR:
                self.lose(error_of(errno))
            return 0
        self.unsent -= sent
        sent += self.sent
        while backlog:
            length = PyBytes_GET_SIZE(<bytes>backlog[0])
            if sent < length:
                break
            sent -= length
            backlog.popleft()
        self.sent = sent
        if not self.unsent:
            self.backlog = None
            self.ask()
            if self.ends and shutdown(self.fd, SHUT_WR) < 0:
                return self.lose(error_of(errno))
            if self.closing:
                return self.lose(None)
        if self.is_held and self.unsent <= LOW_WATER:
            self.is_held = False
            self.protocol.resume_writing()
        return 0

    cdef int ask(self) except -1:
        """Have epoll tell what there is a use for."""
        cdef unsigned int events = 0
        if self.is_lost:
            return 0
        if self.reads and not self.has_ended:
            events |= EPOLLIN
        if self.unsent:
            events |= EPOLLOUT
        if events != self.asked or (events and not self.is_watched):
            self.poller.watch(self, events)
        return 0

    cdef int unwatch(self) except -1:
        if self.is_watched:
            self.is_watched = False
            epoll_ctl(self.poller.fd, EPOLL_CTL_DEL, self.fd, NULL)
        return 0

    cdef object problem(self):
        """Why it is lost."""
        cdef int number = 0
        cdef socklen_t length = sizeof(number)
        getsockopt(self.fd, SOL_SOCKET, SO_ERROR, &number, &length)
        return error_of(number) if number else ConnectionResetError("the peer is gone")

    cdef int lose(self, error) except -1:
        """It is over; the protocol is told in the next turn of the loop, and the socket closed then."""
        if self.is_lost:
            return 0
        self.is_lost = self.closing = True
        self.reads = False
        self.backlog = None
        self.unsent = 0
        self.unwatch()
        self.poller.loop.call_soon(self.finish, error)
        return 0

    def finish(self, error):
        if self.fd < 0:
            return
        try:
            self.protocol.connection_lost(error)
        finally:
            self.close_socket()

    def drop(self):
        """Close the socket at once; nobody is told."""
        self.is_lost = self.closing = True
        self.unwatch()
        self.close_socket()

    cdef int close_socket(self) except -1:
        cdef SocketTransport before = self.before, following = self.following
        close_fd(self.fd)
        self.fd = -1
        if before is not None:
            before.following = following
        else:
            self.poller.first = following
        if following is not None:
            following.before = before
        self.before = self.following = None
        self.protocol = self.receiver = None
        return 0


EPOLL = POLYWIRE_EPOLL
"""Whether there is one here."""
