"""Part of websocket.pyx: the payload of compressed messages (RFC 7692 §7.2).

Without context takeover nothing outlives a message, so all connections share one state each way: a window and its
tables are 40 kB to read and 270 kB to write. Messages are worked on whole and in one go, so no two are in it at once.
"""

cdef extern from *:
    """
    #include <stdint.h>
    /* Of an empty block, which every message ends with and none sends (§7.2.1). */
    static const uint8_t PW_TAIL[4] = {0, 0, 0xFF, 0xFF};
    """
    const uint8_t[4] PW_TAIL

cdef extern from "zlib.h":
    ctypedef struct z_stream:
        const uint8_t* next_in
        unsigned int avail_in
        uint8_t* next_out
        unsigned int avail_out
        int data_type

    int deflateInit2(z_stream*, int, int, int, int, int)
    int deflateReset(z_stream*)
    int deflate(z_stream*, int)
    int deflateEnd(z_stream*)
    unsigned long deflateBound(z_stream*, unsigned long)
    int inflateInit2(z_stream*, int)
    int inflateReset(z_stream*)
    int inflate(z_stream*, int)
    int inflateEnd(z_stream*)
    int inflateGetDictionary(z_stream*, uint8_t*, unsigned int*)
    int inflateSetDictionary(z_stream*, const uint8_t*, unsigned int)
    int Z_OK, Z_BUF_ERROR, Z_STREAM_END, Z_SYNC_FLUSH, Z_DEFLATED, Z_DEFAULT_STRATEGY

cdef enum:
    LEVEL = 1  # the next ones save a tenth more bytes of JSON and take twice the time
    SHARED_MEMORY = 8  # 2^(8+9) bytes of hash tables, besides the window's 2^17
    OWN_MEMORY = 5  # 16 kB, one for each connection that keeps its context
    WIDEST = 15
    AT_BOUNDARY = 128  # of data_type: between two blocks
    WINDOW_BYTES = 32768
    TAIL_BYTES = 4
    MOST_KEPT = 65536  # of the room, between messages
    MOST_ENDS = 8  # in one message, where one is enough: each costs us a copy of the window and its sender two bytes


cdef uint8_t* scratch = NULL  # what is made, until it is known how large it is
cdef Py_ssize_t scratch_bytes = 0


cdef int reserve(Py_ssize_t size) except -1:
    """Room for `size` bytes; what is in it stays."""
    global scratch, scratch_bytes
    cdef void* grown
    if size > scratch_bytes:
        grown = PyMem_Realloc(scratch, size)
        if grown == NULL:
            raise MemoryError
        scratch = <uint8_t*>grown
        scratch_bytes = size
    return 0


cdef bytes taken(Py_ssize_t size):
    """The first `size` bytes made; the room goes where it was for a large message."""
    global scratch, scratch_bytes
    cdef bytes out = None if size < 0 else PyBytes_FromStringAndSize(<const char*>scratch, size)
    if scratch_bytes > MOST_KEPT:
        PyMem_Free(scratch)
        scratch = NULL
        scratch_bytes = 0
    return out


@cython.final
cdef class Deflater:
    cdef z_stream stream
    cdef bint keeps_context

    def __cinit__(self, int window_bits, bint keeps_context):
        self.keeps_context = keeps_context
        memory = OWN_MEMORY if keeps_context else SHARED_MEMORY
        if deflateInit2(&self.stream, LEVEL, Z_DEFLATED, -window_bits, memory, Z_DEFAULT_STRATEGY) != Z_OK:
            raise MemoryError

    def __dealloc__(self):
        deflateEnd(&self.stream)

    cdef bytes deflated(self, const uint8_t* p, Py_ssize_t size):
        """A message's payload, without the tail."""
        cdef Py_ssize_t room = deflateBound(&self.stream, size) + 16
        cdef Py_ssize_t done = 0
        if not self.keeps_context:
            deflateReset(&self.stream)
        self.stream.next_in = <uint8_t*>p
        self.stream.avail_in = size
        while True:
            reserve(room)
            self.stream.next_out = scratch + done
            self.stream.avail_out = room - done
            deflate(&self.stream, Z_SYNC_FLUSH)
            done = room - self.stream.avail_out
            if self.stream.avail_out:
                return taken(done - TAIL_BYTES)
            room *= 2


@cython.final
cdef class Inflater:
    cdef z_stream stream
    cdef bint keeps_context
    cdef bint too_large  # that was what went wrong
    cdef Py_ssize_t worked  # bytes of windows copied for the last message, which nothing of its size shows

    def __cinit__(self, int window_bits, bint keeps_context):
        self.keeps_context = keeps_context
        if inflateInit2(&self.stream, -window_bits) != Z_OK:
            raise MemoryError

    def __dealloc__(self):
        inflateEnd(&self.stream)

    cdef bytes inflated(self, const uint8_t* p, Py_ssize_t size, Py_ssize_t limit):
        """A message; None where it is larger than `limit`, of which no more than that is ever held, or broken."""
        cdef Py_ssize_t done = self.inflate(p, size, limit)
        return taken(done)

    cdef Py_ssize_t inflate(self, const uint8_t* p, Py_ssize_t size, Py_ssize_t limit) except -2:
        cdef Py_ssize_t room = min(limit + 1, max(1024, 4 * size))
        cdef Py_ssize_t done = 0
        cdef bint in_tail = False
        cdef int result
        cdef int ends = 0
        self.too_large = False
        self.worked = 0
        if not self.keeps_context:
            inflateReset(&self.stream)
        self.stream.next_in = <uint8_t*>p
        self.stream.avail_in = size
        while True:
            reserve(room)
            self.stream.next_out = scratch + done
            self.stream.avail_out = room - done
            result = inflate(&self.stream, Z_SYNC_FLUSH)
            done = room - self.stream.avail_out
            if done > limit:
                self.too_large = True
                return -1
            if result == Z_STREAM_END:
                # A block that says it is the last one (§7.2.3.4): others may follow all the same.
                ends += 1
                if ends > MOST_ENDS:
                    return -1
                self.begin_again()
            elif result != Z_OK and result != Z_BUF_ERROR:
                return -1
            if self.stream.avail_out == 0:
                room = min(limit + 1, 2 * room)
            elif self.stream.avail_in == 0:
                if in_tail:
                    break
                in_tail = True
                self.stream.next_in = <uint8_t*>PW_TAIL
                self.stream.avail_in = TAIL_BYTES
        return done if self.stream.data_type & AT_BOUNDARY else -1

    cdef int begin_again(self) except -1:
        cdef uint8_t[WINDOW_BYTES] window
        cdef unsigned int size = 0
        if inflateGetDictionary(&self.stream, window, &size) != Z_OK:
            size = 0
        inflateReset(&self.stream)
        if size:
            inflateSetDictionary(&self.stream, window, size)
        self.worked += size
        return 0


cdef Inflater shared_inflater = None
cdef dict shared_deflaters = {}  # by the bits of their windows, of which there are seven


cdef Inflater inflater_for(object agreed):
    global shared_inflater
    if agreed.peer_keeps_context:
        return Inflater(agreed.peer_window_bits, True)
    if shared_inflater is None:
        # The widest window reads what was written with any.
        shared_inflater = Inflater(WIDEST, False)
    return shared_inflater


cdef Deflater deflater_for(object agreed):
    cdef Deflater found
    if agreed.own_keeps_context:
        return Deflater(agreed.own_window_bits, True)
    found = shared_deflaters.get(agreed.own_window_bits)
    if found is None:
        found = shared_deflaters[agreed.own_window_bits] = Deflater(agreed.own_window_bits, False)
    return found
