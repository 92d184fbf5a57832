# Part of _json_write.pyx: numbers and strings as JSON has them.

cdef inline uint8_t* put_unsigned(uint8_t* p, uint64_t value) noexcept:
    cdef uint8_t reverse[20]
    cdef int count = 0
    while True:
        reverse[count] = 48 + <uint8_t>(value % 10)
        value //= 10
        count += 1
        if value == 0:
            break
    while count:
        count -= 1
        p[0] = reverse[count]
        p += 1
    return p


cdef inline uint8_t* put_signed(uint8_t* p, int64_t value) noexcept:
    if value < 0:
        p[0] = c"-"
        return put_unsigned(p + 1, <uint64_t>0 - <uint64_t>value)
    return put_unsigned(p, <uint64_t>value)


cdef int put_raw(Writer* w, const char* data, Py_ssize_t length) except -1:
    need(w, length + 32)
    memcpy(w.pos, data, length)
    w.pos += length
    return 0


cdef int put_string(Writer* w, object text) except -1:
    """A JSON string; what need not be escaped is copied in runs. Room for 32 bytes is left."""
    cdef Py_ssize_t length, i
    cdef const uint8_t* s = <const uint8_t*>PyUnicode_AsUTF8AndSize(text, &length)
    cdef uint8_t* p
    cdef uint8_t c
    cdef uint64_t eight, quote, slash, found
    need(w, length + 40)
    p = w.pos
    p[0] = c'"'
    p += 1
    i = 0
    while i < length:
        if length - i >= 8:
            memcpy(&eight, s + i, 8)
            # A bit where one of eight bytes is below 0x20, a quote or a backslash (or follows one that is).
            quote = eight ^ <uint64_t>0x2222222222222222
            slash = eight ^ <uint64_t>0x5C5C5C5C5C5C5C5C
            found = ((eight - <uint64_t>0x2020202020202020) & ~eight) | ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash)
            if not found & <uint64_t>0x8080808080808080:
                memcpy(p, &eight, 8)
                p += 8
                i += 8
                continue
        c = s[i]
        if not ESCAPED[c]:
            p[0] = c
            p += 1
            i += 1
            continue
        w.pos = p
        need(w, length - i + 46)
        p = w.pos
        p[0] = c"\\"
        if c == c'"' or c == c"\\":
            p[1] = c
            p += 2
        elif c == c"\n" or c == c"\r" or c == c"\t":
            p[1] = c"n" if c == c"\n" else c"r" if c == c"\r" else c"t"
            p += 2
        else:
            memcpy(p + 1, "u00", 3)
            p[4] = HEX[c >> 4]
            p[5] = HEX[c & 15]
            p += 6
        i += 1
    p[0] = c'"'
    w.pos = p + 1
    return 0


cdef int put_ascii(Writer* w, object text) except -1:
    """Quoted text that needs no escapes."""
    cdef Py_ssize_t length
    cdef const char* s = PyUnicode_AsUTF8AndSize(text, &length)
    need(w, 32)
    w.pos[0] = c'"'
    w.pos += 1
    put_raw(w, s, length)
    w.pos[0] = c'"'
    w.pos += 1
    return 0


cdef int put_double(Writer* w, double value) except -1:
    """The shortest text that reads back as the same number."""
    cdef int places
    cdef double scaled
    cdef int64_t whole, rest, power = 1
    if (1e-4 <= value < 1e9) or (-1e9 < value <= -1e-4):
        # Up to six decimals and fifteen digits: a decimal so short is the only one of its length that reads back.
        for places in range(7):
            scaled = value * POWERS[places]
            whole = <int64_t>(scaled + (0.5 if value > 0 else -0.5))
            if <double>whole / POWERS[places] == value:
                if value < 0:
                    w.pos[0] = c"-"
                    w.pos += 1
                    whole = -whole
                rest = whole % power
                w.pos = put_unsigned(w.pos, <uint64_t>(whole // power))
                w.pos[0] = c"."
                w.pos += 1
                while power > 10 and rest < power // 10:
                    w.pos[0] = c"0"
                    w.pos += 1
                    power //= 10
                w.pos = put_unsigned(w.pos, <uint64_t>rest)
                return 0
            power *= 10
    text = repr(value).encode()
    return put_raw(w, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))


cdef int put_float(Writer* w, double value) except -1:
    """A binary32 by the shortest text that reads back as the same binary32."""
    cdef float single = <float>value
    cdef int digits
    if not isfinite(single):
        raise ValueError("out of range for a 32-bit float")
    for digits in range(6, 10):
        # The text may not exceed the largest binary32, even where it would be rounded back to it: peers refuse that.
        text = f"{<double>single:.{digits}g}"
        shortest = float(text)
        if <float><double>shortest == single and abs(shortest) <= LARGEST:
            return put_double(w, shortest)
    return put_double(w, single)
