# Part of _json_read.pyx: values, and lists and maps of them.

cdef int refuse(Reader* r, int depth, str wanted) except -1:
    """A value of another kind than wanted. Looks at all of it first: what is not JSON at all is malformed."""
    cdef const uint8_t* begin = r.p
    skip(r, depth)
    r.p = begin
    raise invalid(&r.trail, depth + 1, f"expected {wanted}, got {describe(r)}")


cdef object read_int(Reader* r, FieldTable field, int kind, int depth):
    """A number without a fraction, or the same in quotes."""
    cdef Number number
    cdef double top
    cdef bint quoted = r.p[0] == c'"'
    cdef const uint8_t* begin = r.p
    if quoted:
        r.p += 1
        if not is_digit(r.p[1 if r.p[0] == c"-" else 0]):
            r.p = begin
            read_string(r)
            raise invalid(&r.trail, depth + 1, "expected an integer, got a string")
    elif r.p[0] != c"-" and not is_digit(r.p[0]):
        refuse(r, depth, "an integer")
    try:
        read_number(r, &number)
    except MalformedInput:
        if not quoted:
            raise
        r.p = begin
    if quoted:
        if r.p == begin or r.p[0] != c'"':
            r.p = begin
            read_string(r)
            raise invalid(&r.trail, depth + 1, "expected an integer, got a string")
        r.p += 1
    if not number.whole and (r.proto or not quoted):
        top = 18446744073709551616.0 if kind == UINT64 else 9223372036854775808.0
        if not isfinite(number.real) or floor(number.real) != number.real:
            raise invalid(&r.trail, depth + 1, "expected an integer, got a fraction")
        if not -top <= number.real < top:
            raise invalid(&r.trail, depth + 1, range_reason(kind))
        number.magnitude = <uint64_t>(-number.real if number.negative else number.real)
    elif not number.whole:
        raise invalid(&r.trail, depth + 1, "expected an integer, got a string")
    if number.large or not in_range(kind, number.negative, number.magnitude):
        raise invalid(&r.trail, depth + 1, range_reason(kind))
    if number.negative:
        return <int64_t>(<uint64_t>0 - number.magnitude)
    return number.magnitude if number.magnitude >> 63 else <int64_t>number.magnitude


cdef inline bint in_range(int kind, bint negative, uint64_t magnitude) noexcept:
    if kind == INT32:
        return magnitude <= (<uint64_t>1 << 31) - (0 if negative else 1)
    if kind == INT64:
        return magnitude <= (<uint64_t>1 << 63) - (0 if negative else 1)
    if negative and magnitude:
        return False
    return kind == UINT64 or magnitude <= 0xFFFFFFFF


cdef object read_float(Reader* r, FieldTable field, int depth):
    """A number; in the proto mapping also in quotes. What overflows to an infinity is refused."""
    cdef Number number
    cdef double real
    cdef const uint8_t* begin = r.p
    cdef bint quoted = r.p[0] == c'"'
    if quoted:
        if not r.proto:
            refuse(r, depth, "a number")
        text = read_string(r)
        if r.p - begin - 2 != len(text) or not text or text[0] not in "-0123456789":
            raise invalid(&r.trail, depth + 1, "expected a finite number, got a string")
        r.p = begin + 1
        try:
            read_number(r, &number)
        except MalformedInput:
            r.p = begin
        if r.p == begin or r.p[0] != c'"':
            raise invalid(&r.trail, depth + 1, "expected a finite number, got a string")
        r.p += 1
    else:
        if r.p[0] != c"-" and not is_digit(r.p[0]):
            refuse(r, depth, "a number")
        read_number(r, &number)
    if number.whole and not number.large:
        real = -(<double>number.magnitude) if number.negative else <double>number.magnitude
    else:
        real = number.real
    if field.kind == FLOAT:
        real = <float>real
    if not isfinite(real):
        raise invalid(&r.trail, depth + 1, "out of range for a float")
    return real


cdef object read_bool(Reader* r, int depth):
    if r.p[0] == c"t":
        literal(r, "true", 4)
        return True
    if r.p[0] == c"f":
        literal(r, "false", 5)
        return False
    refuse(r, depth, "a boolean")


cdef object read_enum(Reader* r, FieldTable field, int depth):
    """By name or, where it has one, number. None for the unspecified zero of the proto mapping."""
    cdef EnumTable table = field.enum
    if r.p[0] == c'"':
        text = read_string(r)
        found = (table.proto_by_text if r.proto else table.plain_by_text).get(text)
        if found is None and not (r.proto and text == table.unspecified):
            raise invalid(&r.trail, depth + 1, one_of(table.proto_names if r.proto else table.plain))
        return found
    if r.p[0] != c"-" and not is_digit(r.p[0]) or not (r.proto or table.plain_by_number):
        refuse(r, depth, "a string")
    number = read_int(r, field, INT32, depth)
    found = table.by_number(number) if r.proto else table.plain_by_number.get(number)
    if found is None and not (r.proto and number == 0):
        raise invalid(&r.trail, depth + 1, one_of(table.proto_names if r.proto else table.plain))
    return found


cdef object read_value(Reader* r, FieldTable field, int depth):
    """One value that is not null. None: an enum's unspecified zero or an empty oneof, as good as absent."""
    cdef int kind = field.kind
    cdef uint8_t c
    if kind == STRING:
        if r.p[0] != c'"':
            refuse(r, depth, "a string")
        return read_string(r)
    if INT32 <= kind <= UINT64:
        return read_int(r, field, kind, depth)
    if kind == MESSAGE:
        return read_message(r, field.message, depth + 1)
    if kind == BOOL:
        return read_bool(r, depth)
    if kind <= DOUBLE:
        return read_float(r, field, depth)
    if kind == ENUM:
        return read_enum(r, field, depth)
    if kind == UNION:
        return read_oneof(r, field, depth) if r.proto else read_tagged(r, field, depth)
    c = r.p[0]
    if kind == DECIMAL and not r.proto and (c == c"-" or is_digit(c)):
        return decimal_number(r, field, depth)
    if c != c'"':
        refuse(r, depth, "a string")
    text = read_string(r)
    try:
        return from_text(field, kind, text, r.proto)
    except ValueError as error:
        raise invalid(&r.trail, depth + 1, str(error)) from None


cdef object decimal_number(Reader* r, FieldTable field, int depth):
    """A decimal as a JSON number, digit by digit: it never passes through a float."""
    cdef const uint8_t* begin = r.p
    cdef Number number
    read_number(r, &number)
    try:
        return from_text(field, DECIMAL, begin[:r.p - begin].decode("ascii"), False)
    except ValueError as error:
        raise invalid(&r.trail, depth + 1, str(error)) from None


cdef object read_any(Reader* r, FieldTable field, int depth):
    """A field's whole value; None is JSON's null or an absent one."""
    cdef uint8_t c = blank(r)
    if c == c"n":
        literal(r, "null", 4)
        if not field.nullable and not r.proto:
            raise invalid(&r.trail, depth + 1, "expected a value, got null")
        return None
    if field.cardinality == SINGLE:
        return read_value(r, field, depth)
    if field.cardinality == LIST:
        return read_list(r, field, depth)
    return read_map(r, field, depth)


cdef object read_element(Reader* r, FieldTable field, int depth):
    """One element of a list or value of a map, its constraints checked: nothing may be absent here."""
    if blank(r) == c"n":
        literal(r, "null", 4)
        raise invalid(&r.trail, depth + 1, "expected a value, got null")
    value = read_value(r, field, depth)
    if value is None:
        raise invalid(&r.trail, depth + 1, "required")
    if field.bounds is not None:
        check_bounds(field.bounds, value, &r.trail, depth + 1)
    return value


cdef object read_list(Reader* r, FieldTable field, int depth):
    cdef list items = []
    cdef Py_ssize_t at = 0
    if r.p[0] != c"[":
        refuse(r, depth, "an array")
    r.p += 1
    if blank(r) == c"]":
        r.p += 1
        return items
    while True:
        r.trail.steps[depth].index = at
        items.append(read_element(r, field, depth))
        at += 1
        if not more(r, c"]"):
            r.trail.steps[depth].index = -1
            return items


cdef object read_map(Reader* r, FieldTable field, int depth):
    cdef dict entries = {}
    if r.p[0] != c"{":
        refuse(r, depth, "an object")
    r.p += 1
    if blank(r) == c"}":
        r.p += 1
        return entries
    while True:
        text = read_key(r)
        r.trail.steps[depth].key = <PyObject*>text
        key = map_key(r, field, text, depth)
        if key in entries:
            raise invalid(&r.trail, depth + 1, "given twice")
        entries[key] = read_element(r, field, depth)
        r.trail.steps[depth].key = NULL
        if not more(r, c"}"):
            return entries


cdef object map_key(Reader* r, FieldTable field, object text, int depth):
    if field.map_key == STRING:
        return text
    if field.map_key == BOOL:
        if text == "true" or text == "false":
            return text == "true"
        raise invalid(&r.trail, depth + 1, "expected true or false as the key")
    try:
        return int_from_text(field.map_key, text)
    except ValueError as error:
        raise invalid(&r.trail, depth + 1, f"key: {error}") from None


cdef object read_oneof(Reader* r, FieldTable field, int depth):
    """The proto form of a union: an object with the member's name; None if there is none."""
    cdef UnionTable union = field.union
    cdef FieldTable inner
    cdef int i
    found = None
    if r.p[0] != c"{":
        refuse(r, depth, "an object")
    if depth >= MAX_DEPTH:
        raise malformed(r, f"nested deeper than {MAX_DEPTH}")
    r.p += 1
    if blank(r) == c"}":
        r.p += 1
        return None
    while True:
        key = read_key(r)
        for i in range(union.count):
            if key == union.json_names[i] or key == union.names[i]:
                break
        else:
            i = -1
        if i < 0:
            skip(r, depth + 1)
        elif blank(r) == c"n":
            literal(r, "null", 4)
        else:
            if found is not None:
                raise invalid(&r.trail, depth + 1, "more than one of " + ", ".join(union.json_names))
            inner = <FieldTable>union.fields[i]
            step(&r.trail, depth + 1, inner)
            found = read_message(r, inner.message, depth + 2)
        if not more(r, c"}"):
            return found


cdef object read_tagged(Reader* r, FieldTable field, int depth):
    """The plain form of a union: the member's own object with its class in `type`, wherever that stands."""
    cdef UnionTable union = field.union
    cdef const uint8_t* begin = r.p
    cdef int i
    if r.p[0] != c"{":
        refuse(r, depth, "an object")
    if depth >= MAX_DEPTH:
        raise malformed(r, f"nested deeper than {MAX_DEPTH}")
    r.p += 1
    tag = None
    while blank(r) != c"}":
        if read_key(r) == "type":
            if blank(r) != c'"':
                refuse(r, depth, 'a string in "type"')
            tag = read_string(r)
            break
        skip(r, depth + 1)
        if not more(r, c"}"):
            break
    for i in range(union.count):
        if tag == union.tags[i]:
            r.p = begin
            return read_message(r, (<FieldTable>union.fields[i]).message, depth + 1)
    raise invalid(&r.trail, depth + 1, '"type": expected one of ' + ", ".join(union.tags))
