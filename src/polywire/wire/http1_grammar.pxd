"""The syntax of an HTTP/1.1 request head (RFC 9112 §2 to §7), as inline functions over pointers.

Nothing here keeps state or allocates. A function returns a `Problem`; its number is an index into
`http1_text.PROBLEMS`, where each has its status and its text. Line lengths never count the CRLF.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

cdef extern from *:
    """
    /* RFC 9110 §5.6.2 tchar is bit 1, RFC 3986 §3.2.2 reg-name is bit 2, request-target is bit 4 (VCHAR without "#"),
       field-content without controls is bit 8. */
    #define PW_TOKEN 1
    #define PW_HOST 2
    #define PW_TARGET 4
    #define PW_VALUE 8
    static const unsigned char pw_class[256] = {
        [9] = 8, [32] = 8,
        ['!'] = 15, ['"'] = 12, ['#'] = 9, ['$'] = 15, ['%'] = 15, ['&'] = 15, ['\\''] = 15, ['('] = 14, [')'] = 14,
        ['*'] = 15, ['+'] = 15, [','] = 14, ['-'] = 15, ['.'] = 15, ['/'] = 12, ['0' ... '9'] = 15, [':'] = 12,
        [';'] = 14, ['<'] = 12, ['='] = 14, ['>'] = 12, ['?'] = 12, ['@'] = 12, ['A' ... 'Z'] = 15, ['['] = 12,
        ['\\\\'] = 12, [']'] = 12, ['^'] = 13, ['_'] = 15, ['`'] = 13, ['a' ... 'z'] = 15, ['{'] = 12, ['|'] = 13,
        ['}'] = 12, ['~'] = 15, [128 ... 255] = 8,
    };
    """
    const uint8_t* classes "pw_class"
    enum:
        TOKEN "PW_TOKEN"
        HOST "PW_HOST"
        TARGET "PW_TARGET"
        VALUE "PW_VALUE"

cdef enum Problem:
    FINE = 0
    BAD_REQUEST_LINE
    BAD_METHOD
    BAD_TARGET
    BAD_VERSION
    BAD_LINE_END
    BAD_FIELD_NAME
    BAD_FIELD_VALUE
    FOLDED_FIELD
    NO_HOST
    BAD_HOST
    BAD_CONTENT_LENGTH
    BOTH_LENGTHS
    BAD_TRANSFER_CODING
    CODING_IN_1_0
    BAD_CHUNK
    ENDED_EARLY
    TOO_SLOW
    TARGET_TOO_LONG
    UNKNOWN_EXPECTATION
    FIELDS_TOO_LARGE
    UNKNOWN_TRANSFER_CODING
    NO_CONNECT
    UNKNOWN_VERSION

cdef enum:
    LONGEST_METHOD = 32
    LONGEST_CHUNK_SIZE = 16
    LONGEST_EXTENSION = 1024

cdef enum Expectation:
    NOTHING = 0
    CONTINUE = 1
    SOMETHING_ELSE = 2

cdef struct RequestLine:
    Py_ssize_t method_length
    Py_ssize_t target_length
    int minor

cdef struct FieldLine:
    Py_ssize_t name_length
    Py_ssize_t value_start
    Py_ssize_t value_length

cdef struct Framing:
    # What the fields of one head say about the message and its connection; content_length is -1 where there is none.
    int64_t content_length
    int hosts
    int transfer_codings
    int chunked
    int close
    int keep_alive
    int upgrade
    int websocket
    int expectation


cdef inline bint all_of(const uint8_t* p, Py_ssize_t n, uint8_t kind) noexcept:
    cdef Py_ssize_t i
    for i in range(n):
        if not classes[p[i]] & kind:
            return False
    return True


cdef inline bint is_word(const uint8_t* p, Py_ssize_t n, const char* word, Py_ssize_t length) noexcept:
    """Compares without case; `word` is lower-case and p holds no controls."""
    cdef Py_ssize_t i
    if n != length:
        return False
    for i in range(n):
        if (p[i] | 32) != <uint8_t>word[i]:
            return False
    return True


cdef inline bint is_value(const uint8_t* p, Py_ssize_t n) noexcept:
    """RFC 9110 §5.5: no control but HTAB. Eight bytes at a time; a block with a byte below 32, or a DEL, is looked at singly."""
    cdef uint64_t word, low, delete
    cdef Py_ssize_t i = 0
    while i + 8 <= n:
        memcpy(&word, p + i, 8)
        low = (word - <uint64_t>0x2020202020202020) & ~word
        delete = word ^ <uint64_t>0x7F7F7F7F7F7F7F7F
        delete = (delete - <uint64_t>0x0101010101010101) & ~delete
        if (low | delete) & <uint64_t>0x8080808080808080 and not all_of(p + i, 8, VALUE):
            return False
        i += 8
    return all_of(p + i, n - i, VALUE)


cdef inline Problem parse_request_line(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t longest_target, RequestLine* out
) noexcept:
    """method SP request-target SP HTTP-version (RFC 9112 §3); the target stands at method_length + 1."""
    cdef Py_ssize_t i = 0
    cdef const uint8_t* version
    while i < n and classes[p[i]] & TOKEN:
        i += 1
    if i == 0 or i > LONGEST_METHOD or i == n or p[i] != 32:
        return BAD_METHOD
    out.method_length = i
    i += 1
    while i < n and classes[p[i]] & TARGET:
        i += 1
    out.target_length = i - out.method_length - 1
    if out.target_length > longest_target:
        return TARGET_TOO_LONG
    if out.target_length == 0 or i == n or p[i] != 32:
        return BAD_TARGET if i < n and p[i] != 32 else BAD_REQUEST_LINE
    version = p + i + 1
    if n - i - 1 != 8 or memcmp(version, b"HTTP/", 5) != 0 or version[6] != 46:
        return BAD_VERSION
    if not 48 <= version[5] <= 57 or not 48 <= version[7] <= 57:
        return BAD_VERSION
    if version[5] != 49:
        return UNKNOWN_VERSION
    out.minor = 0 if version[7] == 48 else 1  # a higher one is the highest we know (RFC 9110 §2.5)
    return FINE


cdef inline Problem parse_field_line(const uint8_t* p, Py_ssize_t n, FieldLine* out) noexcept:
    """field-name ":" OWS field-value OWS (RFC 9112 §5): no space before the colon, no line folding."""
    cdef Py_ssize_t i = 0, end = n
    while i < n and classes[p[i]] & TOKEN:
        i += 1
    if i == 0 or i == n or p[i] != 58:
        return FOLDED_FIELD if i == 0 and (p[0] == 32 or p[0] == 9) else BAD_FIELD_NAME
    out.name_length = i
    i += 1
    while i < n and (p[i] == 32 or p[i] == 9):
        i += 1
    while end > i and (p[end - 1] == 32 or p[end - 1] == 9):
        end -= 1
    if not is_value(p + i, end - i):
        return BAD_FIELD_VALUE
    out.value_start = i
    out.value_length = end - i
    return FINE


cdef inline bint is_authority(const uint8_t* p, Py_ssize_t n) noexcept:
    """uri-host [":" port] (RFC 9110 §7.2) without userinfo; empty is for the caller to judge."""
    cdef Py_ssize_t i = 0
    if n and p[0] == 91:
        i = 1
        while i < n and (classes[p[i]] & HOST or p[i] == 58):
            i += 1
        if i < 3 or i == n or p[i] != 93:
            return False
        i += 1
    else:
        while i < n and classes[p[i]] & HOST:
            i += 1
    if i == n:
        return True
    if i == 0 or p[i] != 58 or n - i > 6:
        return False
    i += 1
    while i < n and 48 <= p[i] <= 57:
        i += 1
    return i == n


cdef inline Py_ssize_t next_element(const uint8_t* p, Py_ssize_t n, Py_ssize_t* at) noexcept:
    """The length of the list element (RFC 9110 §5.6.1) at or after p[at], which is moved to its start; -1 for none."""
    cdef Py_ssize_t start = at[0], end
    while start < n and (p[start] == 32 or p[start] == 9 or p[start] == 44):
        start += 1
    at[0] = end = start
    while end < n and p[end] != 44:
        end += 1
    while end > start and (p[end - 1] == 32 or p[end - 1] == 9):
        end -= 1
    return end - start if end > start else -1


cdef inline void note_connection(const uint8_t* p, Py_ssize_t n, Framing* framing) noexcept:
    """The options of one Connection field (RFC 9110 §7.6.1): a list of tokens without case."""
    cdef Py_ssize_t at = 0, length
    while True:
        length = next_element(p, n, &at)
        if length < 0:
            return
        if is_word(p + at, length, b"close", 5):
            framing.close = 1
        elif is_word(p + at, length, b"keep-alive", 10):
            framing.keep_alive = 1
        elif is_word(p + at, length, b"upgrade", 7):
            framing.upgrade = 1
        at += length


cdef inline void note_upgrade(const uint8_t* p, Py_ssize_t n, Framing* framing) noexcept:
    """The protocols of one Upgrade field (RFC 9110 §7.8); all but websocket are ignored, h2c too (RFC 9113 §3.1)."""
    cdef Py_ssize_t at = 0, length
    while True:
        length = next_element(p, n, &at)
        if length < 0:
            return
        if is_word(p + at, length, b"websocket", 9):
            framing.websocket = 1
        at += length


cdef inline Problem note_coding(const uint8_t* p, Py_ssize_t n, Framing* framing) noexcept:
    """RFC 9112 §6.1: exactly "chunked". Known names before a final chunked are 501; all else cannot be framed: 400."""
    cdef Py_ssize_t start = 0, end
    framing.transfer_codings += 1
    if framing.transfer_codings > 1:
        return BAD_TRANSFER_CODING
    if is_word(p, n, b"chunked", 7):
        framing.chunked = 1
        return FINE
    while True:
        while start < n and (p[start] == 32 or p[start] == 9):
            start += 1
        end = start
        while end < n and classes[p[end]] & TOKEN:
            end += 1
        if end == n:
            return UNKNOWN_TRANSFER_CODING if is_word(p + start, end - start, b"chunked", 7) else BAD_TRANSFER_CODING
        if end == start or is_word(p + start, end - start, b"chunked", 7):
            return BAD_TRANSFER_CODING
        while end < n and (p[end] == 32 or p[end] == 9):
            end += 1
        if end == n or p[end] != 44:
            return BAD_TRANSFER_CODING
        start = end + 1


cdef inline Problem note_length(const uint8_t* p, Py_ssize_t n, Framing* framing) noexcept:
    """RFC 9112 §6.3: one decimal number up to 2**62, never repeated, not even with the same value."""
    cdef int64_t length = 0
    cdef Py_ssize_t i
    if framing.content_length >= 0 or n == 0 or n > 19:
        return BAD_CONTENT_LENGTH
    for i in range(n):
        # The 19th digit could overflow: what stands before it must leave room.
        if not 48 <= p[i] <= 57 or length > (<int64_t>1 << 62) // 10:
            return BAD_CONTENT_LENGTH
        length = length * 10 + (p[i] - 48)
    if length > <int64_t>1 << 62:
        return BAD_CONTENT_LENGTH
    framing.content_length = length
    return FINE


cdef inline Problem note_field(
    const uint8_t* name, Py_ssize_t n, const uint8_t* value, Py_ssize_t length, Framing* framing
) noexcept:
    """Keeps what a field says about framing and connection; nearly all fields leave by their length."""
    if n == 4:
        if is_word(name, n, b"host", 4):
            framing.hosts += 1
            if framing.hosts > 1 or not is_authority(value, length):
                return BAD_HOST
    elif n == 6:
        if is_word(name, n, b"expect", 6):
            if framing.expectation == NOTHING and is_word(value, length, b"100-continue", 12):
                framing.expectation = CONTINUE
            else:
                framing.expectation = SOMETHING_ELSE
    elif n == 7:
        if is_word(name, n, b"upgrade", 7):
            note_upgrade(value, length, framing)
    elif n == 10:
        if is_word(name, n, b"connection", 10):
            note_connection(value, length, framing)
    elif n == 14:
        if is_word(name, n, b"content-length", 14):
            return note_length(value, length, framing)
    elif n == 17:
        if is_word(name, n, b"transfer-encoding", 17):
            return note_coding(value, length, framing)
    return FINE


cdef inline Problem judge_framing(const Framing* framing, int minor) noexcept:
    """What only the whole head can tell (RFC 9112 §3.2, §6.1; RFC 9110 §10.1.1)."""
    if framing.transfer_codings:
        if minor == 0:
            return CODING_IN_1_0
        if framing.content_length >= 0:
            return BOTH_LENGTHS
    if minor and not framing.hosts:
        return NO_HOST
    if minor and framing.expectation == SOMETHING_ELSE:
        return UNKNOWN_EXPECTATION
    return FINE


cdef inline Problem parse_chunk_line(const uint8_t* p, Py_ssize_t n, int64_t* size, Py_ssize_t* extension) noexcept:
    """chunk-size [ chunk-ext ] (RFC 9112 §7.1): 1 to 16 hexadecimal digits, up to 2**62; no space before ";"."""
    cdef uint64_t value = 0
    cdef uint8_t c
    cdef Py_ssize_t i = 0
    while i < n:
        c = p[i]
        if 48 <= c <= 57:
            c -= 48
        elif 97 <= (c | 32) <= 102:
            c = (c | 32) - 87
        else:
            break
        if i == LONGEST_CHUNK_SIZE:
            return BAD_CHUNK
        value = value << 4 | c
        i += 1
    extension[0] = n - i
    if i == 0 or value > <uint64_t>1 << 62 or extension[0] > LONGEST_EXTENSION:
        return BAD_CHUNK
    if i < n and (p[i] != 59 or not is_value(p + i, n - i)):
        return BAD_CHUNK
    size[0] = <int64_t>value
    return FINE
