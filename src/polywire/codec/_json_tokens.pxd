from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from polywire.codec._buffer cimport Trail

cdef struct Reader:
    const uint8_t* start
    const uint8_t* p
    const uint8_t* end
    bint proto
    Trail trail

cdef struct Number:
    bint whole          # written without fraction and exponent
    bint negative
    bint large          # whole, but beyond 64 bits
    uint64_t magnitude  # where whole and not large
    double real         # where not whole, or large

cdef object malformed(Reader* r, str reason)
cdef object describe(Reader* r)
cdef int literal(Reader* r, const char* text, int length) except -1
cdef object read_string(Reader* r)
cdef int read_number(Reader* r, Number* number) except -1
cdef int skip(Reader* r, int depth) except -1
cdef object read_key(Reader* r)

cdef inline uint8_t blank(Reader* r) noexcept:
    """Over white space to the next byte, which is returned; 0 at the end."""
    cdef uint8_t c = r.p[0]
    while c == 32 or c == 10 or c == 13 or c == 9:
        r.p += 1
        c = r.p[0]
    return c

cdef inline const uint8_t* plain_run(const uint8_t* p, const uint8_t* end, uint64_t* seen) noexcept:
    """Over string bytes that stand for themselves; `seen` gathers their high bits."""
    cdef uint64_t eight, quote, slash
    while end - p >= 8:
        memcpy(&eight, p, 8)
        quote = eight ^ <uint64_t>0x2222222222222222
        slash = eight ^ <uint64_t>0x5C5C5C5C5C5C5C5C
        if (((eight - <uint64_t>0x2020202020202020) & ~eight) | ((quote - <uint64_t>0x0101010101010101) & ~quote) | ((slash - <uint64_t>0x0101010101010101) & ~slash)) & <uint64_t>0x8080808080808080:
            break
        seen[0] |= eight
        p += 8
    while p < end and p[0] >= 32 and p[0] != c'"' and p[0] != c"\\":
        seen[0] |= p[0]
        p += 1
    return p

cdef inline bint is_digit(uint8_t c) noexcept:
    return 48 <= c <= 57

cdef inline int colon(Reader* r) except -1:
    if blank(r) != c":":
        raise malformed(r, "expected a colon")
    r.p += 1
    return 0

cdef inline bint more(Reader* r, uint8_t close) except -1:
    """After a member: True over a comma, False over the closing bracket."""
    cdef uint8_t c = blank(r)
    if c == c",":
        r.p += 1
        return True
    if c != close:
        raise malformed(r, "unexpected end" if r.p >= r.end else f"expected a comma or {chr(close)}")
    r.p += 1
    return False
