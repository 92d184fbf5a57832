# cython: boundscheck=False, wraparound=False, binding=False
"""The schema's tables compiled to C structures, and what every codec over them shares: building a Struct from its
slots, defaults and constraints, and the path of an error."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int32_t, uint8_t, uint32_t

from polywire.codec._times cimport timestamp_from_text

from msgspec import UNSET as _UNSET

from polywire.codec import text as _text
from polywire.codec.results import WrongResult
from polywire.errors import FieldViolation, InvalidInput
from polywire.schema import types
from polywire.schema.message import Message

cdef extern from "Python.h":
    PyObject* PyObject_Vectorcall(PyObject* callable, PyObject** args, size_t count, PyObject* names)

cdef extern from *:
    """
    #include "structmember.h"
    /* Python 3.11 does not let a class in Python inherit vectorcall, since __call__ might be assigned to it later; 3.12
       does. Without it a Message is made three times slower than the Struct that it is. */
    static void pw_inherit_vectorcall(PyTypeObject *type) {
    #if PY_VERSION_HEX < 0x030C0000
        if (type->tp_call == type->tp_base->tp_call
                && type->tp_vectorcall_offset == type->tp_base->tp_vectorcall_offset
                && PyType_HasFeature(type->tp_base, Py_TPFLAGS_HAVE_VECTORCALL)) {
            type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
            PyType_Modified(type);
        }
    #endif
    }
    /* The offset of an object slot (a Struct's field), or -1 for any other attribute. */
    static Py_ssize_t pw_slot_offset(PyObject *descriptor) {
        PyMemberDef *member;
        if (!Py_IS_TYPE(descriptor, &PyMemberDescr_Type)) return -1;
        member = ((PyMemberDescrObject *)descriptor)->d_member;
        return member->type == T_OBJECT_EX ? member->offset : -1;
    }
    """
    Py_ssize_t pw_slot_offset(object descriptor)
    void pw_inherit_vectorcall(PyTypeObject* type)

cdef object MESSAGE_META = type(Message)
pw_inherit_vectorcall(<PyTypeObject*>MESSAGE_META)

assert [int(kind) for kind in types.Kind] == list(range(BOOL, DATE + 1))
assert [int(one) for one in types.Cardinality] == [SINGLE, LIST, MAP]

cdef object UNSET = _UNSET
cdef tuple EXPECTED = (
    "", "bool", "int", "int", "int", "int", "float", "float", "str", "bytes", "", "", "", "datetime", "timedelta",
    "Decimal", "UUID", "date",
)
cdef tuple ZEROS = (None, False, 0, 0, 0, 0, 0.0, 0.0, "", b"")


# --- errors ---

cdef object message_path(Trail* trail, int count):
    """`address.tags[2]`, `scores["a"]`."""
    cdef int i
    parts = []
    for i in range(count):
        name = (<FieldTable>trail.steps[i].field).name
        if trail.steps[i].key != NULL:
            name = f'{name}["{<object>trail.steps[i].key}"]'
        elif trail.steps[i].index >= 0:
            name = f"{name}[{trail.steps[i].index}]"
        parts.append(name)
    return ".".join(parts)


cdef object invalid(Trail* trail, int count, str reason):
    path = message_path(trail, count)
    return InvalidInput(f"{path}: {reason}" if path else reason, (FieldViolation(path, reason),))


cdef object wrong(MessageTable root, Trail* trail, int count, str reason):
    path = message_path(trail, count)
    return WrongResult(f"{root.name}.{path}: {reason}" if path else f"{root.name}: {reason}")


cdef object unset(MessageTable table, FieldTable field):
    return WrongResult(f"{table.name}.{field.name}: not set")


cdef object expected(FieldTable field):
    if field.kind == ENUM:
        return field.enum.cls.__name__
    if field.kind == MESSAGE:
        return field.message.cls.__name__
    if field.kind == UNION:
        return "one of " + ", ".join(field.union.tags)
    return EXPECTED[field.kind]


# --- constraints ---

cdef int check_bounds(Bounds bounds, object value, Trail* trail, int count) except -1:
    reason = bounds.broken(value)
    if reason is not None:
        raise invalid(trail, count, reason)
    return 0


# --- text ---

cdef object from_text(FieldTable field, int kind, object text, bint proto):
    """A value of a kind that JSON and query strings carry as text. Raises ValueError with the reason."""
    if kind == TIMESTAMP:
        return timestamp_from_text(text)
    if kind == DURATION:
        return _text.proto_duration_from_text(text) if proto else _text.iso_duration_from_text(text)
    if kind == DECIMAL:
        return _text.decimal_from_text(text)
    if kind == UUID:
        return _text.uuid_from_text(text)
    if kind == DATE:
        return _text.date_from_text(text)
    if kind == BYTES:
        return _text.bytes_from_text(text)
    if kind == ENUM:
        found = (field.enum.proto_by_text if proto else field.enum.plain_by_text).get(text)
        if found is None:
            raise ValueError(one_of(field.enum.proto_names if proto else field.enum.plain))
        return found
    raise ValueError(f"expected {expected(field)}, got a string")


cdef object one_of(tuple allowed):
    """Names the choices, at most 20 of them."""
    more = ", …" if len(allowed) > 20 else ""
    return "expected one of " + ", ".join([str(one) for one in allowed[:20]]) + more


cdef object int_from_text(int kind, object text):
    """A decimal integer as JSON writes it, within its kind's range. Raises ValueError with the reason."""
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isdecimal() and digits.isascii()) or (digits[0] == "0" and len(digits) > 1):
        raise ValueError("expected an integer")
    if len(digits) > 20:
        raise ValueError(range_reason(kind))
    value = int(text)
    low, high = RANGES[kind]
    if not low <= value <= high:
        raise ValueError(range_reason(kind))
    return value


RANGES = {
    INT32: (-(2**31), 2**31 - 1),
    INT64: (-(2**63), 2**63 - 1),
    UINT32: (0, 2**32 - 1),
    UINT64: (0, 2**64 - 1),
}


cpdef str range_reason(int kind):
    return ("out of range for a 32-bit integer", "out of range for a 64-bit integer",
            "out of range for an unsigned 32-bit integer", "out of range for an unsigned 64-bit integer")[kind - INT32]


# --- tables ---

cdef class EnumTable:
    def __cinit__(self, object enum_type):
        cdef int i
        values = enum_type.values
        self.cls = enum_type.cls
        self.count = len(values)
        self.members = tuple([one.value for one in values])
        self.names = tuple([one.name for one in values])
        self.proto_names = tuple([one.proto_name for one in values])
        self.plain = tuple([plain_value(one) for one in values])
        self.numbers = <int32_t*>PyMem_Malloc(sizeof(int32_t) * max(1, self.count))
        if self.numbers == NULL:
            raise MemoryError
        for i in range(self.count):
            self.numbers[i] = values[i].number
        self.unspecified = (values[0].proto_name.removesuffix(values[0].name) if values else "") + "UNSPECIFIED"
        by_name = {one.name: one.value for one in values}
        self.plain_by_text = {**by_name, **{v: m for v, m in zip(self.plain, self.members) if type(v) is str}}
        self.plain_by_number = {v: m for v, m in zip(self.plain, self.members) if type(v) is int}
        self.proto_by_text = {**by_name, **{one.proto_name: one.value for one in values}}

    def __dealloc__(self):
        PyMem_Free(self.numbers)

    cdef int position(self, object member) noexcept:
        """Where a member stands, -1 if it is none. By identity: enum members are singletons, and hashing one is slow."""
        cdef int i
        for i in range(self.count):
            if self.members[i] is member:
                return i
        return -1

    cdef object by_number(self, int32_t number):
        cdef int i
        for i in range(self.count):
            if self.numbers[i] == number:
                return self.members[i]
        return None


cdef object plain_value(object one):
    """What plain JSON writes for an enum value: its value where that is text or an integer, else its name."""
    value = one.value.value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return one.name


cdef class UnionTable:
    cdef int position(self, object value) noexcept:
        """Which member's class the value has, -1 if none."""
        cdef int i
        for i in range(self.count):
            if type(value) is (<FieldTable>self.fields[i]).message.cls:
                return i
        return -1


cdef class FieldTable:
    pass


cdef class MessageTable:
    def __dealloc__(self):
        PyMem_Free(self.numbers)

    cdef FieldTable find(self, uint32_t number, int* cursor):
        """The field of that number or None. `cursor` is where the last one was: most input is in order."""
        cdef int low = cursor[0], high = self.count - 1, middle
        if low <= high and self.numbers[low] == number:
            return <FieldTable>self.by_number[low]
        if low + 1 <= high and self.numbers[low + 1] == number:
            cursor[0] = low + 1
            return <FieldTable>self.by_number[low + 1]
        low = 0
        while low <= high:
            middle = (low + high) >> 1
            if self.numbers[middle] < number:
                low = middle + 1
            elif self.numbers[middle] > number:
                high = middle - 1
            else:
                cursor[0] = middle
                return <FieldTable>self.by_number[middle]
        return None

    cdef object finish(self, PyObject** values, Trail* trail, int depth, int mode):
        """The message of these slots (in the order of the constructor's arguments; NULL: not sent).

        Fills in what was not sent and checks constraints. The slots stay the caller's to release.
        """
        cdef int i, how
        cdef FieldTable field
        cdef PyObject* made
        cdef bint sent
        for i in range(self.count):
            sent = values[i] != NULL
            field = <FieldTable>self.fields[i]
            if not sent:
                how = field.absent[mode]
                if how == ABSENT_VALUE:
                    value = field.absent_proto if mode == PROTO else field.absent_plain
                elif how == ABSENT_LIST:
                    value = []
                elif how == ABSENT_DICT:
                    value = {}
                elif how == ABSENT_FACTORY:
                    value = field.factory()
                else:
                    step(trail, depth, field)
                    raise invalid(trail, depth + 1, "required")
                Py_INCREF(value)
                values[i] = <PyObject*>value
            if self.has_bounds and (sent or field.required):
                value = <object>values[i]
                if value is not None and value is not UNSET:
                    step(trail, depth, field)
                    if field.cardinality != SINGLE:
                        if field.container_bounds is not None:
                            check_bounds(field.container_bounds, value, trail, depth + 1)
                    elif field.bounds is not None:
                        check_bounds(field.bounds, value, trail, depth + 1)
        try:
            made = PyObject_Vectorcall(
                <PyObject*>self.cls, values, self.positional,
                <PyObject*>self.keyword_names if self.keyword_names is not None else NULL,
            )
            return adopt(made)
        except ValueError as error:  # `__post_init__` refuses, as msgspec reads it
            raise invalid(trail, depth, str(error) or "not valid") from None


cdef inline object adopt(PyObject* made):
    """Takes over a new reference; NULL: the pending exception."""
    return pw_adopt(made)


cdef extern from *:
    """
    static inline PyObject *pw_adopt(PyObject *made) { return made; }
    """
    object pw_adopt(PyObject* made)


cdef dict TABLES = {}  # from MessageType; as many as there are message types


cpdef MessageTable message_table(object type):
    """The compiled table of a MessageType, made once. Messages may refer to each other in cycles."""
    found = TABLES.get(type)
    if found is None:
        made = {}
        found = compile_message(type, made)
        TABLES.update(made)
    return found


cdef MessageTable compile_message(object type, dict made):
    cdef MessageTable table
    cdef int i
    found = TABLES.get(type) or made.get(type)
    if found is not None:
        return found
    table = MessageTable.__new__(MessageTable)
    made[type] = table
    table.name = type.name
    table.type = type
    table.cls = type.cls
    names = table.cls.__struct_fields__
    declared = {field.name: field for field in type.fields}
    if set(names) != set(declared) or len(declared) != len(type.fields):
        raise TypeError(f"the fields of {type.full_name} are not those of its class: {sorted(set(names) ^ set(declared))}")
    table.count = len(names)
    table.positional = len(table.cls.__match_args__)
    table.keyword_names = names[table.positional:] or None
    table.fields = tuple([compile_field(declared[name], place, table.cls, made) for place, name in enumerate(names)])
    table.by_number = tuple(sorted(table.fields, key=_number_of))
    table.numbers = <uint32_t*>PyMem_Malloc(sizeof(uint32_t) * max(1, table.count))
    if table.numbers == NULL:
        raise MemoryError
    for i in range(table.count):
        table.numbers[i] = (<FieldTable>table.by_number[i]).number
    table.has_bounds = any([has_bounds(field) for field in table.fields])
    table.field_by_name = {field.name: field for field in table.fields}
    return table


def _number_of(FieldTable field):
    return field.number


cdef bint has_bounds(FieldTable field):
    return field.bounds is not None or field.container_bounds is not None


cdef FieldTable bare_field(object name, int kind, int number):
    cdef FieldTable field = FieldTable.__new__(FieldTable)
    field.name = name
    field.json_name = name
    set_keys(field)
    field.kind = kind
    field.cardinality = SINGLE
    field.number = number
    field.offset = -1
    field.explicit = True
    field.required = True
    set_tag(field)
    return field


cdef void set_keys(FieldTable field):
    """Names are identifiers: nothing in them needs an escape."""
    field.plain_utf8 = field.name.encode()
    field.json_utf8 = field.json_name.encode()
    field.plain_key = b'"' + field.plain_utf8 + b'":'
    field.json_key = b'"' + field.json_utf8 + b'":'


cdef void set_tag(FieldTable field):
    cdef uint32_t tag
    field.packed = field.cardinality == LIST and wire_type(field.kind) != 2
    tag = field.number << 3 | (2 if field.packed or field.cardinality == MAP else wire_type(field.kind))
    field.tag_length = 0
    while tag >= 128:
        field.tag[field.tag_length] = <uint8_t>(tag | 128)
        field.tag_length += 1
        tag >>= 7
    field.tag[field.tag_length] = <uint8_t>tag
    field.tag_length += 1


cdef FieldTable compile_field(object declared, int place, object cls, dict made):
    cdef FieldTable field = FieldTable.__new__(FieldTable)
    type = declared.type
    field.name = declared.name
    field.json_name = declared.json_name
    set_keys(field)
    field.kind = type.kind
    field.cardinality = declared.cardinality
    field.number = declared.number
    field.arg = place
    field.offset = slot_offset(cls, declared.name)
    field.explicit = declared.explicit_presence or (
        field.cardinality == SINGLE and field.kind in (MESSAGE, UNION, TIMESTAMP, DURATION)
    )
    field.nullable = declared.nullable
    field.required = declared.required
    field.unset = declared.default is UNSET
    field.deferred = field.cardinality == SINGLE and field.kind in (MESSAGE, UNION, TIMESTAMP, DURATION)
    if declared.map_key is not None:
        field.map_key = declared.map_key
        field.key_field = bare_field(declared.name, field.map_key, 1)
    if type.message is not None:
        field.message = compile_message(type.message, made)
    if type.enum is not None:
        field.enum = EnumTable(type.enum)
    if type.union is not None:
        field.union = compile_union(type.union, made)
    if field.cardinality == SINGLE:
        # A schema may keep a single value's bounds in either place; both hold.
        field.bounds = bounds_of(type.constraints if type.constraints is not None else declared.constraints)
    else:
        field.bounds = bounds_of(type.constraints)
        field.container_bounds = bounds_of(declared.constraints)
    set_tag(field)
    set_absent(field, declared)
    return field


cdef Bounds bounds_of(object constraints):
    if constraints is None or constraints == types.Constraints():
        return None
    return Bounds(constraints)


cdef Py_ssize_t slot_offset(object cls, object name):
    for base in cls.__mro__:
        if name in base.__dict__:
            return pw_slot_offset(base.__dict__[name])
    return -1


cdef void set_absent(FieldTable field, object declared):
    cdef int mode
    for mode in (PROTO, PLAIN):
        if not declared.required:
            set_default(field, mode, declared)
        elif mode == PROTO and field.nullable:
            field.absent[mode] = ABSENT_VALUE
        elif mode == PROTO and field.cardinality == SINGLE:
            set_zero(field)
        else:
            field.absent[mode] = ABSENT_ERROR
        if mode == PROTO and field.cardinality != SINGLE and not field.nullable and not field.unset:
            # Lists and maps have no presence: absent is empty, whatever the default.
            field.absent[mode] = ABSENT_LIST if field.cardinality == LIST else ABSENT_DICT


cdef void set_default(FieldTable field, int mode, object declared):
    field.factory = declared.default_factory
    if field.factory is list:
        field.absent[mode] = ABSENT_LIST
    elif field.factory is dict:
        field.absent[mode] = ABSENT_DICT
    elif field.factory is not None:
        field.absent[mode] = ABSENT_FACTORY
    elif isinstance(declared.default, (list, dict)):
        field.factory = declared.default.copy
        field.absent[mode] = ABSENT_FACTORY
    else:
        field.absent[mode] = ABSENT_VALUE
        if mode == PROTO:
            field.absent_proto = declared.default
        else:
            field.absent_plain = declared.default


cdef void set_zero(FieldTable field):
    """What implicit presence makes of a required field that was not sent; kinds without a zero are refused."""
    zero = ZEROS[field.kind] if field.kind <= BYTES else None
    if field.kind == ENUM:
        zero = field.enum.by_number(0)
    if zero is None or (field.explicit and field.kind != ENUM):
        field.absent[PROTO] = ABSENT_ERROR
    else:
        field.absent[PROTO] = ABSENT_VALUE
        field.absent_proto = zero


cdef UnionTable compile_union(object union, dict made):
    cdef UnionTable table
    cdef FieldTable field
    found = made.get(union)
    if found is not None:
        return found
    table = UnionTable.__new__(UnionTable)
    made[union] = table
    members = sorted(union.members, key=_member_number)
    table.cls = union.cls
    table.name = union.name
    table.count = len(members)
    table.numbers = tuple([member.number for member in members])
    table.names = tuple([member.name for member in members])
    table.json_names = tuple([camel(member.name) for member in members])
    table.tags = tuple([member.tag for member in members])
    fields = []
    for member in members:
        field = bare_field(member.name, MESSAGE, member.number)
        field.message = compile_message(member.message, made)
        fields.append(field)
    table.fields = tuple(fields)
    return table


def _member_number(member):
    return member.number


cdef object camel(object name):
    """protobuf's json_name: an underscore goes, the letter after it is upper case."""
    head, *rest = name.split("_")
    return head + "".join([part[:1].upper() + part[1:] for part in rest])
