# cython: boundscheck=False, wraparound=False
"""WebSocket frames (RFC 6455 §5), both ends: bytes in, messages out, and the other way round."""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import os

include "websocket_bytes.pxi"
include "websocket_deflate.pxi"

cdef enum:
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10
    FIN = 0x80
    RESERVED = 0x70
    COMPRESSED = 0x40  # the first of the reserved bits, where it has been agreed (RFC 7692 §6)
    MASKED = 0x80
    MOST_CONTROL = 125
    MOST_EMPTY = 16384  # frames of one message: nothing else bounds how many follow each other
    MOST_INFLATED = 1048576  # in one call, after which the rest waits
    SMALLEST_DEFLATED = 64
    LARGEST_DEFLATED = 1073741824


cdef class Frames:
    cdef Py_ssize_t kept(self) except -1:
        raise NotImplementedError

    cdef int forget(self) except -1:
        raise NotImplementedError

    cpdef list receive_data(self, bytes data):
        raise NotImplementedError

    cpdef bytes encode(self, object message):
        raise NotImplementedError

    cdef bytes ping(self):
        raise NotImplementedError

    cdef bytes pong(self, bytes payload):
        raise NotImplementedError

    cdef bytes closing(self, int code, str reason):
        raise NotImplementedError


@cython.final
cdef class WebSocketEngine(Frames):
    """One end of a WebSocket, from its handshake on.

    is_client: its frames are masked and those of its peer are not; else the other way round (§5.1).
    max_message_bytes: a longer message is refused (1009) before any of the frame that makes it too long is kept; of a
    compressed one no more than that is unpacked.
    deflate: how messages may be compressed, as agreed in the handshake (`DeflateParameters`); None: they may not.

    `receive_data` gives what has come: messages as str and bytes, pings and pongs as (9, payload) and (10, payload), the
    peer's close as (8, (code, reason)), 1005 where it gave none. Nothing comes after a close. Where the peer breaks the
    protocol, `failure` is (code, reason) from then on: what to close with (§7.4.1). Where `waiting`, much has been
    unpacked and more waits: call it again with b"", in another turn.
    """

    # Thousands are open at a time: small fields.
    cdef unsigned char is_client, fin
    cdef unsigned char packed  # that message is compressed
    cdef unsigned char opcode  # of that message
    cdef uint8_t key[4]
    cdef int utf8
    cdef int empty  # frames of it
    cdef int limit
    cdef Inflater inflater
    cdef Deflater deflater
    cdef bytes rest  # of a frame's head, or of a control frame; or what waits
    cdef bytearray message  # of the message that is not whole; None between messages
    cdef uint32_t need, at  # bytes that the frame still lacks, and where in it we are

    def __cinit__(self, Py_ssize_t max_message_bytes, *, bint is_client=False, object deflate=None):
        if not 0 < max_message_bytes < 2 ** 31:
            raise ValueError(f"max_message_bytes must be between 1 and {2 ** 31 - 1}, not {max_message_bytes}")
        self.limit = max_message_bytes
        self.is_client = is_client
        self.rest = b""
        if deflate is not None:
            self.inflater = inflater_for(deflate)
            self.deflater = deflater_for(deflate)

    @property
    def kept_bytes(self):
        """Of a message that is not whole."""
        return 0 if self.message is None else len(self.message)

    cpdef list receive_data(self, bytes data):
        cdef list found = []
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t taken
        if self.failure is not None or self.closed:
            return found
        self.waiting = False
        self.inflated = 0
        if self.rest:
            data = self.rest + data
            self.rest = b""
        while True:
            if self.need:
                at += self.take(<const uint8_t*>PyBytes_AS_STRING(data) + at, PyBytes_GET_SIZE(data) - at, found)
                if self.need or self.failure is not None:
                    break
                continue
            if at == PyBytes_GET_SIZE(data):
                break
            if self.inflated >= MOST_INFLATED:
                self.waiting = True
                self.rest = data[at:]
                break
            taken = self.begin(<const uint8_t*>PyBytes_AS_STRING(data) + at, PyBytes_GET_SIZE(data) - at, found)
            if self.failure is not None or self.closed:
                break
            if taken == 0:
                self.rest = data[at:]
                break
            at += taken
        if self.failure is not None:
            self.message = None
            self.rest = b""
            self.need = 0
        return found

    cdef Py_ssize_t begin(self, const uint8_t* p, Py_ssize_t size, list found) except -1:
        """A frame's head, and of a control frame all of it; how much was taken, 0 where more must come first."""
        cdef int opcode
        cdef Py_ssize_t head = 2
        cdef uint64_t length
        cdef bint masked, packed
        # What one byte shows to be wrong is told at once.
        if not self.check_first(p[0]) or size < 2:
            return 0
        opcode = p[0] & 0x0F
        masked = (p[1] & MASKED) != 0
        length = p[1] & 0x7F
        if masked == self.is_client:
            return self.fail(1002, "a frame of the server must not be masked" if masked else "a frame is not masked")
        if opcode >= CLOSE:
            if length > MOST_CONTROL:
                return self.fail(1002, "a control frame is longer than 125 bytes")
        elif length == 126:
            if size < 4:
                return 0
            length = (p[2] << 8) | p[3]
            head = 4
            if length < 126:
                return self.fail(1002, "a length is not in its shortest form")
        elif length == 127:
            if size < 10:
                return 0
            length = 0
            for i in range(8):
                length = (length << 8) | p[2 + i]
            head = 10
            if length < 65536 or length >> 63:
                return self.fail(1002, "a length is not in its shortest form, or its first bit is set")
        if masked:
            if size < head + 4:
                return 0
            memcpy(self.key, p + head, 4)
            head += 4
        if opcode >= CLOSE:
            if size < head + <Py_ssize_t>length:
                return 0
            self.control(opcode, self.unmasked(p + head, length, masked), found)
            return head + length
        packed = self.packed if opcode == CONTINUATION else (p[0] & COMPRESSED) != 0
        if length > self.most(packed) or self.kept() + length > self.most(packed):
            return self.too_large()
        self.fin = (p[0] & FIN) != 0
        if opcode != CONTINUATION:
            if self.fin and size >= head + <Py_ssize_t>length:
                # The usual case: a message in one frame that is here.
                self.deliver(opcode, packed, self.unmasked(p + head, length, masked), found)
                return head + length
            self.opcode = opcode
            self.packed = packed
            self.message = bytearray()
            self.utf8 = PW_OK
            self.empty = 0
        if length == 0:
            self.empty += 1
            if self.empty > MOST_EMPTY:
                return self.fail(1009, f"a message has more than {MOST_EMPTY} empty frames")
        self.need = length
        self.at = 0
        if length == 0:
            self.end_frame(found)
        return head

    cdef bint check_first(self, uint8_t first) except -1:
        cdef int opcode = first & 0x0F
        cdef int reserved = first & RESERVED
        if reserved == COMPRESSED and self.inflater is not None and (opcode == TEXT or opcode == BINARY):
            reserved = 0
        if reserved:
            self.fail(1002, "a reserved bit is set")
        elif opcode > PONG or (opcode > BINARY and opcode < CLOSE):
            self.fail(1002, "an opcode is not known")
        elif opcode >= CLOSE and not first & FIN:
            self.fail(1002, "a control frame is fragmented")
        elif opcode == CONTINUATION and self.message is None:
            self.fail(1002, "there is no message to continue")
        elif (opcode == TEXT or opcode == BINARY) and self.message is not None:
            self.fail(1002, "a message begins within another")
        else:
            return True
        return False

    cdef Py_ssize_t kept(self) except -1:
        return 0 if self.message is None else PyByteArray_GET_SIZE(self.message)

    cdef int forget(self) except -1:
        self.message = None
        return 0

    cdef Py_ssize_t take(self, const uint8_t* p, Py_ssize_t size, list found) except -1:
        """More of a data frame's payload; how much of it this was."""
        cdef Py_ssize_t count = size
        cdef Py_ssize_t had = PyByteArray_GET_SIZE(self.message)
        cdef uint8_t* to
        if count > <Py_ssize_t>self.need:
            count = self.need
        PyByteArray_Resize(self.message, had + count)
        to = <uint8_t*>PyByteArray_AS_STRING(self.message) + had
        if self.is_client:
            memcpy(to, p, count)
        else:
            pw_mask(to, p, count, self.key, self.at)
        self.at += count
        self.need -= count
        if self.opcode == TEXT and not self.packed:
            self.utf8 = pw_utf8(self.utf8, to, count)
            if self.utf8 == PW_BAD:
                self.fail(1007, "a text is not UTF-8")
                return count
        if self.need == 0:
            self.end_frame(found)
        return count

    cdef int end_frame(self, list found) except -1:
        if self.fin:
            whole = bytes(self.message)
            self.message = None
            self.deliver(self.opcode, self.packed, whole, found)
        return 0

    cdef int deliver(self, int opcode, bint packed, bytes payload, list found) except -1:
        """A message that is whole."""
        if packed:
            payload = self.inflater.inflated(
                <const uint8_t*>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), self.limit
            )
            if payload is None:
                return self.too_large() if self.inflater.too_large else self.fail(1007, "a message is not compressed as agreed")
            self.inflated += PyBytes_GET_SIZE(payload) + self.inflater.worked
        if opcode == BINARY:
            found.append(payload)
            return 0
        try:
            found.append(PyUnicode_DecodeUTF8(PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), NULL))
        except UnicodeDecodeError:
            self.fail(1007, "a text is not UTF-8")
        return 0

    cdef uint64_t most(self, bint packed) noexcept:
        """Bytes of a message as it is sent: what cannot be compressed grows a little."""
        return <uint64_t>self.limit + (self.limit >> 8) + 64 if packed else self.limit

    cdef int too_large(self) except -1:
        return self.fail(1009, f"a message is larger than {self.limit} bytes")

    cdef bytes unmasked(self, const uint8_t* p, Py_ssize_t size, bint masked):
        cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
        if masked:
            pw_mask(<uint8_t*>PyBytes_AS_STRING(out), p, size, self.key, 0)
        else:
            memcpy(PyBytes_AS_STRING(out), p, size)
        return out

    cdef int control(self, int opcode, bytes payload, list found) except -1:
        cdef int code = 1005
        cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(payload)
        if opcode != CLOSE:
            found.append((opcode, payload))
            return 0
        reason = ""
        if PyBytes_GET_SIZE(payload) == 1:
            return self.fail(1002, "a close has half a code")
        if PyBytes_GET_SIZE(payload):
            code = (p[0] << 8) | p[1]
            if not may_be_sent(code):
                return self.fail(1002, "a close has a code that nobody sends")
            try:
                reason = payload[2:].decode()
            except UnicodeDecodeError:
                return self.fail(1007, "the reason of a close is not UTF-8")
        self.closed = True
        self.message = None
        found.append((CLOSE, (code, reason)))
        return 0

    cdef int fail(self, int code, str reason) except -1:
        self.failure = (code, reason)
        return 0

    cpdef bytes encode(self, object message):
        """A message, str or bytes, in one frame. Raises TypeError for anything else, UnicodeEncodeError for half pairs."""
        cdef Py_ssize_t size = 0
        cdef const char* text
        if type(message) is str:
            text = PyUnicode_AsUTF8AndSize(message, &size)
            return self.encode_data(TEXT, <const uint8_t*>text, size)
        if type(message) is not bytes:
            raise TypeError(f"a message is str or bytes, not {type(message).__name__}")
        return self.encode_data(BINARY, <const uint8_t*>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))

    cdef bytes encode_data(self, int opcode, const uint8_t* p, Py_ssize_t size):
        cdef bytes small
        if self.deflater is not None and SMALLEST_DEFLATED <= size <= LARGEST_DEFLATED:
            small = self.deflater.deflated(p, size)
            # With a context the peer must see all that went into it.
            if PyBytes_GET_SIZE(small) < size or self.deflater.keeps_context:
                opcode |= COMPRESSED
                return encoded(opcode, <const uint8_t*>PyBytes_AS_STRING(small), PyBytes_GET_SIZE(small), self.is_client)
        return encoded(opcode, p, size, self.is_client)

    def encode_ping(self, bytes payload=b""):
        return self.encode_control(PING, payload)

    cdef bytes ping(self):
        return self.encode_control(PING, b"")

    def encode_pong(self, bytes payload=b""):
        return self.encode_control(PONG, payload)

    cdef bytes pong(self, bytes payload):
        return self.encode_control(PONG, payload)

    def encode_close(self, int code=1000, str reason=""):
        """A close; 1005 sends none of its code. Raises ValueError for a code that is never sent.

        The reason is cut to what fits, between two characters.
        """
        return self.closing(code, reason)

    cdef bytes closing(self, int code, str reason):
        if code == 1005:
            return self.encode_control(CLOSE, b"")
        if not may_be_sent(code):
            raise ValueError(f"{code} is never sent in a close")
        text = reason.encode()[: MOST_CONTROL - 2].decode(errors="ignore").encode()
        return self.encode_control(CLOSE, code.to_bytes(2, "big") + text)

    cdef bytes encode_control(self, int opcode, bytes payload):
        if PyBytes_GET_SIZE(payload) > MOST_CONTROL:
            raise ValueError("a control frame has at most 125 bytes")
        return encoded(opcode, <const uint8_t*>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), self.is_client)


cdef bint may_be_sent(int code) noexcept:
    """§7.4: 1004 to 1006 and 1015 never are; the registered ones to 1014, and 3000 to 4999."""
    return (1000 <= code <= 1003) or (1007 <= code <= 1014) or (3000 <= code <= 4999)


cdef bytes encoded(int opcode, const uint8_t* payload, Py_ssize_t size, bint mask):
    cdef Py_ssize_t head = 2 if size < 126 else (4 if size < 65536 else 10)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, head + (4 if mask else 0) + size)
    cdef uint8_t* p = <uint8_t*>PyBytes_AS_STRING(out)
    cdef bytes key
    cdef int bit = MASKED if mask else 0
    p[0] = FIN | opcode
    if size < 126:
        p[1] = bit | size
    elif size < 65536:
        p[1] = bit | 126
        p[2] = size >> 8
        p[3] = size & 0xFF
    else:
        p[1] = bit | 127
        for i in range(8):
            p[2 + i] = (<uint64_t>size >> (56 - 8 * i)) & 0xFF
    if mask:
        key = os.urandom(4)
        memcpy(p + head, PyBytes_AS_STRING(key), 4)
        pw_mask(p + head + 4, payload, size, <const uint8_t*>PyBytes_AS_STRING(key), 0)
    else:
        memcpy(p + head, payload, size)
    return out
