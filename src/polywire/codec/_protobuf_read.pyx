# cython: boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Protobuf to Structs, in one pass. Every length is checked against what is there before anything is allocated."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from polywire.codec._tables cimport *
from polywire.codec._times cimport duration_from_parts, timestamp_from_parts

from polywire.errors import InvalidInput, MalformedInput

cdef struct Piece:
    const uint8_t* data
    Py_ssize_t length


cdef object malformed(Reader* r, const uint8_t* p, str reason):
    return MalformedInput(f"malformed protobuf: {reason} at byte {p - r.start + r.shift}")


include "_protobuf_read_tokens.pxi"


cdef object number_value(Reader* r, FieldTable field, uint64_t value, int depth):
    """The Python value of a varint; None for an enum's unspecified zero."""
    cdef int kind = field.kind
    if kind == INT32:
        return <int32_t>value
    if kind == INT64:
        return <int64_t>value
    if kind == BOOL:
        return value != 0
    if kind == UINT32:
        return <uint32_t>value
    if kind == UINT64:
        return value
    found = field.enum.by_number(<int32_t>value)
    if found is None and <int32_t>value != 0:
        raise invalid(&r.trail, depth + 1, f"unknown value {<int32_t>value} of {field.enum.cls.__name__}")
    return found


cdef const uint8_t* read_scalar(
    Reader* r, FieldTable field, const uint8_t* p, const uint8_t* end, int depth, PyObject** out
) except NULL:
    """One value that is not a submessage, of the wire type its kind has. A new reference in `out`, NULL for an absent one."""
    cdef uint64_t number
    cdef double real
    cdef float single
    cdef Py_ssize_t length
    cdef int kind = field.kind
    value = None
    if field.encoding == FIXED:
        length = 4 if field.wire == 5 else 8
        if end - p < length:
            raise malformed(r, p, "truncated number")
        number = 0
        memcpy(&number, p, length)
        p += length
        value = number_value(r, field, number, depth)
    elif kind <= UINT64 or kind == ENUM:
        p = varint(r, p, end, &number)
        if field.encoding == ZIGZAG:
            if kind == INT32:
                number = <uint32_t>number
            number = (number >> 1) ^ (0 - (number & 1))
        value = number_value(r, field, number, depth)
    elif kind == FLOAT:
        if end - p < 4:
            raise malformed(r, p, "truncated number")
        memcpy(&single, p, 4)
        value = <double>single
        p += 4
    elif kind == DOUBLE:
        if end - p < 8:
            raise malformed(r, p, "truncated number")
        memcpy(&real, p, 8)
        value = real
        p += 8
    else:
        p = read_length(r, p, end, &length)
        if kind == BYTES:
            value = PyBytes_FromStringAndSize(<const char*>p, length)
        else:
            try:
                value = PyUnicode_DecodeUTF8(<const char*>p, length, NULL)
            except UnicodeDecodeError as error:
                length = error.start
                raise malformed(r, p + length, f"{field.name} is not UTF-8") from None
            if kind != STRING:
                value = None if not length else text_value(r, field, value, depth)
        p += length
    if value is None:
        out[0] = NULL
    else:
        Py_INCREF(value)
        out[0] = <PyObject*>value
    return p


cdef object text_value(Reader* r, FieldTable field, object text, int depth):
    try:
        return from_text(field, field.kind, text, True)
    except ValueError as error:
        raise invalid(&r.trail, depth + 1, str(error)) from None


cdef object read_parts(Reader* r, FieldTable field, const uint8_t* p, const uint8_t* end, int depth):
    """A google.protobuf.Timestamp or Duration: seconds = 1, nanos = 2."""
    cdef int64_t seconds = 0
    cdef int32_t nanos = 0
    cdef uint64_t value
    cdef uint32_t number
    cdef int wire
    if depth >= MAX_DEPTH:
        raise malformed(r, p, f"messages nested deeper than {MAX_DEPTH}")
    while p < end:
        p = read_tag(r, p, end, &number, &wire)
        if number <= 2 and wire == 0:
            p = varint(r, p, end, &value)
            if number == 1:
                seconds = <int64_t>value
            else:
                nanos = <int32_t>value
        else:
            p = skip(r, p, end, number, wire, depth + 1)
    try:
        if field.kind == DURATION:
            return duration_from_parts(seconds, nanos)
        if not 0 <= nanos <= 999999999:
            raise ValueError("nanos of a timestamp must be from 0 to 999999999")
        return timestamp_from_parts(seconds, nanos // 1000)
    except ValueError as error:
        raise invalid(&r.trail, depth + 1, str(error)) from None


cdef object read_union(Reader* r, FieldTable field, const uint8_t* p, const uint8_t* end, int depth):
    """A oneof wrapper: the last member wins; one that comes again in a row is merged with itself. None if it is empty."""
    cdef UnionTable union = field.union
    cdef uint32_t number
    cdef int wire, i, at = -1
    cdef Py_ssize_t length, first = 0
    cdef list chunks = []
    if depth >= MAX_DEPTH:
        raise malformed(r, p, f"messages nested deeper than {MAX_DEPTH}")
    while p < end:
        p = read_tag(r, p, end, &number, &wire)
        i = -1
        if wire == 2:
            for i in range(union.count):
                if <uint32_t>union.numbers[i] == number:
                    break
            else:
                i = -1
        if i < 0:
            p = skip(r, p, end, number, wire, depth + 1)
            continue
        p = read_length(r, p, end, &length)
        if at != i:
            if at >= 0:
                discard_member(r, <FieldTable>union.fields[at], joined(r, chunks, first, depth), first, depth)
                chunks.clear()
            first = p - r.start + r.shift
        at = i
        chunks.append(PyBytes_FromStringAndSize(<const char*>p, length))
        p += length
    if at < 0:
        return None
    return read_joined(r, <FieldTable>union.fields[at], joined(r, chunks, first, depth), first, depth + 1)


cdef int discard_member(Reader* r, FieldTable member, bytes data, Py_ssize_t first, int depth) except -1:
    """An overwritten oneof member must be well-formed all the same."""
    try:
        read_joined(r, member, data, first, depth + 1)
    except InvalidInput:
        pass
    return 0


cdef bytes joined(Reader* r, list chunks, Py_ssize_t first, int depth):
    """The occurrences of a field as one. Each must be whole: what one leaves open the next must not close."""
    cdef const uint8_t* start = r.start
    cdef Py_ssize_t shift = r.shift
    cdef const uint8_t* p
    cdef const uint8_t* end
    cdef uint32_t number
    cdef int wire
    cdef bytes chunk
    if len(chunks) == 1:
        return <bytes>chunks[0]
    r.shift = first
    try:
        for chunk in chunks:
            p = r.start = <const uint8_t*>PyBytes_AS_STRING(chunk)
            end = p + PyBytes_GET_SIZE(chunk)
            while p < end:
                p = read_tag(r, p, end, &number, &wire)
                p = skip(r, p, end, number, wire, depth)
    finally:
        r.start = start
        r.shift = shift
    return b"".join(chunks)


cdef object read_joined(Reader* r, FieldTable field, bytes data, Py_ssize_t first, int depth):
    step(&r.trail, depth, field)
    return read_at(r, field, data, first, depth)


cdef object read_at(Reader* r, FieldTable field, bytes data, Py_ssize_t first, int depth):
    """A submessage from bytes of their own, the joined occurrences of a field; `first` is where they began."""
    cdef const uint8_t* start = r.start
    cdef Py_ssize_t shift = r.shift
    r.start = <const uint8_t*>PyBytes_AS_STRING(data)
    r.shift = first
    try:
        return read_submessage(r, field, r.start, r.start + PyBytes_GET_SIZE(data), depth)
    finally:
        r.start = start
        r.shift = shift


cdef object read_submessage(Reader* r, FieldTable field, const uint8_t* p, const uint8_t* end, int depth):
    if field.kind == MESSAGE:
        return read_message(r, field.message, p, end, depth + 1)
    if field.kind == UNION:
        return read_union(r, field, p, end, depth)
    return read_parts(r, field, p, end, depth)


cdef const uint8_t* read_element(
    Reader* r, FieldTable field, const uint8_t* p, const uint8_t* end, int depth, PyObject** out
) except NULL:
    """One element of a list or one value of a map, its constraints checked: nothing may be absent here."""
    cdef Py_ssize_t length
    out[0] = NULL
    if field.kind == MESSAGE or UNION <= field.kind <= DURATION:
        p = read_length(r, p, end, &length)
        value = read_submessage(r, field, p, p + length, depth)
        if value is not None:
            Py_INCREF(value)
            out[0] = <PyObject*>value
        p += length
    else:
        p = read_scalar(r, field, p, end, depth, out)
    if out[0] == NULL:
        raise invalid(&r.trail, depth + 1, "required")
    return p


cdef const uint8_t* read_list(
    Reader* r, FieldTable field, list items, const uint8_t* p, const uint8_t* end, int wire, int depth
) except NULL:
    """The next element, or a packed run of them."""
    cdef Py_ssize_t length
    cdef const uint8_t* stop
    cdef PyObject* made
    if wire == 2 and field.packed:
        p = read_length(r, p, end, &length)
        stop = p + length
    else:
        stop = p + 1
    while p < stop:
        r.trail.steps[depth].index = len(items)
        p = read_element(r, field, p, stop if wire == 2 and field.packed else end, depth, &made)
        value = <object>made
        Py_XDECREF(made)
        if field.bounds is not None:
            check_bounds(field.bounds, value, &r.trail, depth + 1)
        items.append(value)
    return p


cdef int read_entry(
    Reader* r, FieldTable field, dict entries, const uint8_t* p, const uint8_t* end, int depth
) except -1:
    """One entry of a map: a message of key = 1, value = 2. The last entry of a key wins.

    An entry with an unknown field is read and dropped, as upb does.
    """
    cdef bint unknown = False
    cdef uint32_t number
    cdef int wire
    cdef PyObject* made = NULL
    cdef list chunks = []
    cdef Py_ssize_t length = 0, first = 0
    cdef bint deferred = field.kind == MESSAGE or UNION <= field.kind <= DURATION
    if depth >= MAX_DEPTH:
        raise malformed(r, p, f"messages nested deeper than {MAX_DEPTH}")
    key = None
    value = None
    while p < end:
        p = read_tag(r, p, end, &number, &wire)
        if number == 1 and wire == field.key_field.wire:
            p = read_scalar(r, field.key_field, p, end, depth, &made)
            key = <object>made
            Py_XDECREF(made)
        elif number == 2 and wire == field.wire:
            if deferred:
                p = read_length(r, p, end, &length)
                first = first or p - r.start + r.shift
                chunks.append(PyBytes_FromStringAndSize(<const char*>p, length))
                p += length
            else:
                p = read_scalar(r, field, p, end, depth, &made)
                value = None
                if made != NULL:
                    value = <object>made
                    Py_XDECREF(made)
        else:
            p = skip(r, p, end, number, wire, depth + 1)
            unknown = True
    if key is None:
        key = False if field.map_key == BOOL else "" if field.map_key == STRING else 0
    r.trail.steps[depth].key = <PyObject*>key
    if deferred:
        value = read_at(r, field, b"".join(chunks), first, depth)
    elif value is None:
        value = zero_of(field)
    if value is None:
        raise invalid(&r.trail, depth + 1, "required")
    if field.bounds is not None:
        check_bounds(field.bounds, value, &r.trail, depth + 1)
    if not unknown:
        entries[key] = value
    r.trail.steps[depth].key = NULL
    return 0


cdef object zero_of(FieldTable field):
    """The value of a map entry that has none; None where the kind has no zero."""
    if field.kind == BOOL:
        return False
    if field.kind <= UINT64:
        return 0
    if field.kind <= DOUBLE:
        return 0.0
    if field.kind == STRING:
        return ""
    if field.kind == BYTES:
        return b""
    return field.enum.by_number(0) if field.kind == ENUM else None


cdef int read_fields(
    Reader* r, MessageTable table, const uint8_t* p, const uint8_t* end, int depth, PyObject** values, Piece* pieces
) except -1:
    """Every field of a message into its slots. Single submessages wait in `pieces`: a repeated one is merged by joining."""
    cdef uint32_t number
    cdef int wire, cursor = 0, i
    cdef Py_ssize_t length
    cdef FieldTable field
    cdef PyObject* made
    cdef bint waiting = False
    while p < end:
        p = read_tag(r, p, end, &number, &wire)
        field = table.find(number, &cursor)
        if field is None:
            p = skip(r, p, end, number, wire, depth)
            continue
        step(&r.trail, depth, field)
        i = field.arg
        if field.cardinality == SINGLE:
            if wire != field.wire:
                p = skip(r, p, end, number, wire, depth)
            elif field.deferred:
                p = read_length(r, p, end, &length)
                if pieces[i].data == NULL:
                    pieces[i].data = p
                    pieces[i].length = length
                else:
                    if values[i] == NULL:
                        chunks = [PyBytes_FromStringAndSize(<const char*>pieces[i].data, pieces[i].length)]
                        Py_INCREF(chunks)
                        values[i] = <PyObject*>chunks
                    (<list>values[i]).append(PyBytes_FromStringAndSize(<const char*>p, length))
                p += length
                waiting = True
            else:
                p = read_scalar(r, field, p, end, depth, &made)
                if values[i] != NULL:
                    Py_XDECREF(values[i])
                values[i] = made
        elif field.cardinality == LIST:
            if wire != field.wire and not (wire == 2 and field.packed):
                p = skip(r, p, end, number, wire, depth)
                continue
            if values[i] == NULL:
                items = []
                Py_INCREF(items)
                values[i] = <PyObject*>items
            p = read_list(r, field, <list>values[i], p, end, wire, depth)
        else:
            if wire != 2:
                p = skip(r, p, end, number, wire, depth)
                continue
            if values[i] == NULL:
                entries = {}
                Py_INCREF(entries)
                values[i] = <PyObject*>entries
            p = read_length(r, p, end, &length)
            read_entry(r, field, <dict>values[i], p, p + length, depth)
            p += length
    if waiting:
        for i in range(table.count):
            if pieces[i].data != NULL:
                settle(r, <FieldTable>table.fields[i], &values[i], &pieces[i], depth)
    return 0


cdef int settle(Reader* r, FieldTable field, PyObject** slot, Piece* piece, int depth) except -1:
    """Reads a single submessage once all its occurrences are known."""
    step(&r.trail, depth, field)
    if slot[0] == NULL:
        value = read_submessage(r, field, piece.data, piece.data + piece.length, depth)
    else:
        first = piece.data - r.start + r.shift
        value = read_joined(r, field, joined(r, <list>slot[0], first, depth), first, depth)
        Py_XDECREF(slot[0])
        slot[0] = NULL
    if value is not None:
        Py_INCREF(value)
        slot[0] = <PyObject*>value
    return 0


cdef object read_message(Reader* r, MessageTable table, const uint8_t* p, const uint8_t* end, int depth):
    cdef PyObject* values[INLINE_FIELDS]
    cdef Piece pieces[INLINE_FIELDS]
    cdef int i
    if depth > MAX_DEPTH:
        raise malformed(r, p, f"messages nested deeper than {MAX_DEPTH}")
    if table.count > INLINE_FIELDS:
        return read_wide(r, table, p, end, depth)
    memset(values, 0, sizeof(PyObject*) * table.count)
    memset(pieces, 0, sizeof(Piece) * table.count)
    try:
        read_fields(r, table, p, end, depth, values, pieces)
        return table.finish(values, &r.trail, depth, PROTO)
    finally:
        for i in range(table.count):
            Py_XDECREF(values[i])


cdef object read_wide(Reader* r, MessageTable table, const uint8_t* p, const uint8_t* end, int depth):
    """read_message for more fields than are worth keeping on the C stack."""
    cdef PyObject** values = <PyObject**>PyMem_Calloc(table.count, sizeof(PyObject*))
    cdef Piece* pieces = <Piece*>PyMem_Calloc(table.count, sizeof(Piece))
    cdef int i
    try:
        if values == NULL or pieces == NULL:
            raise MemoryError
        read_fields(r, table, p, end, depth, values, pieces)
        return table.finish(values, &r.trail, depth, PROTO)
    finally:
        if values != NULL:
            for i in range(table.count):
                Py_XDECREF(values[i])
        PyMem_Free(values)
        PyMem_Free(pieces)
