# Part of _protobuf_read.pyx: varints, tags, lengths, and fields to pass over.

cdef inline const uint8_t* varint(Reader* r, const uint8_t* p, const uint8_t* end, uint64_t* value) except NULL:
    if p < end and p[0] < 128:
        value[0] = p[0]
        return p + 1
    return long_varint(r, p, end, value)


cdef const uint8_t* long_varint(Reader* r, const uint8_t* p, const uint8_t* end, uint64_t* value) except NULL:
    cdef uint64_t found = 0
    cdef int i
    for i in range(10):
        if p + i >= end:
            raise malformed(r, p, "truncated varint")
        found |= <uint64_t>(p[i] & 127) << (7 * i)
        if p[i] < 128:  # bits of a tenth byte beyond the 64th are dropped
            value[0] = found
            return p + i + 1
    raise malformed(r, p, "varint longer than ten bytes")


cdef inline const uint8_t* read_tag(
    Reader* r, const uint8_t* p, const uint8_t* end, uint32_t* number, int* wire
) except NULL:
    cdef uint64_t tag
    cdef const uint8_t* after = varint(r, p, end, &tag)
    if tag > 0xFFFFFFFF or after - p > 5:
        raise malformed(r, p, "tag out of range")
    number[0] = <uint32_t>(tag >> 3)
    wire[0] = tag & 7
    if number[0] == 0:
        raise malformed(r, p, "field number 0")
    return after


cdef inline const uint8_t* read_length(
    Reader* r, const uint8_t* p, const uint8_t* end, Py_ssize_t* length
) except NULL:
    if p < end and p[0] < 128 and p[0] < end - p:
        length[0] = p[0]
        return p + 1
    return long_length(r, p, end, length)


cdef const uint8_t* long_length(
    Reader* r, const uint8_t* p, const uint8_t* end, Py_ssize_t* length
) except NULL:
    cdef uint64_t found
    cdef const uint8_t* after = varint(r, p, end, &found)
    if after - p > 5:
        raise malformed(r, p, "length longer than five bytes")
    if found > <uint64_t>(end - after):
        raise malformed(r, p, f"length {found} beyond the end")
    length[0] = <Py_ssize_t>found
    return after


cdef const uint8_t* skip(
    Reader* r, const uint8_t* p, const uint8_t* end, uint32_t number, int wire, int depth
) except NULL:
    """Over the value of an unknown field; groups are skipped to their end."""
    cdef uint64_t value
    cdef Py_ssize_t length
    cdef uint32_t inner
    cdef int inner_wire
    if wire == 0:
        return varint(r, p, end, &value)
    if wire == 1 or wire == 5:
        length = 8 if wire == 1 else 4
        if end - p < length:
            raise malformed(r, p, "truncated number")
        return p + length
    if wire == 2:
        p = read_length(r, p, end, &length)
        return p + length
    if wire != 3:
        raise malformed(r, p, "end of a group that was not begun" if wire == 4 else f"wire type {wire}")
    if depth >= MAX_DEPTH:
        raise malformed(r, p, f"messages nested deeper than {MAX_DEPTH}")
    while True:
        if p >= end:
            raise malformed(r, p, "truncated group")
        p = read_tag(r, p, end, &inner, &inner_wire)
        if inner_wire == 4:
            if inner != number:
                raise malformed(r, p, "end of another group")
            return p
        p = skip(r, p, end, inner, inner_wire, depth + 1)
