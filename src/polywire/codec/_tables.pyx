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
assert [int(one) for one in types.Encoding] == [VARINT, ZIGZAG, FIXED]

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


include "_tables_compile.pxi"
