# cython: boundscheck=False, wraparound=False, binding=False
"""Values from the text of a URL: one path or query value by its field's kind, and a message from its path alone."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.math cimport isfinite
from libc.stdint cimport int64_t

from polywire.codec._buffer cimport Trail
from polywire.codec._tables cimport *

import re

from polywire.codec._json_read import ABSENT

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* length) except NULL

cdef object FLOAT_TEXT = re.compile(r"-?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,4})?").fullmatch


cdef object short_int(object text):
    """An int of at most nine digits, which fits every kind but a sign; None: read it the careful way."""
    cdef Py_ssize_t length, i
    cdef const char* s = PyUnicode_AsUTF8AndSize(text, &length)
    cdef int64_t value = 0
    if not 1 <= length <= 9 or (s[0] == c"0" and length > 1):
        return None
    for i in range(length):
        if not c"0" <= s[i] <= c"9":
            return None
        value = value * 10 + (s[i] - 48)
    return value


cdef object one_value(FieldTable field, int kind, object text):
    cdef double real
    if kind == STRING:
        return text
    if INT32 <= kind <= UINT64:
        found = short_int(text)
        return int_from_text(kind, text) if found is None else found
    if kind == BOOL:
        if text == "true" or text == "1":
            return True
        if text == "false" or text == "0":
            return False
        raise ValueError("expected true or false")
    if kind == FLOAT or kind == DOUBLE:
        if FLOAT_TEXT(text) is None:
            raise ValueError("expected a number")
        real = float(text)
        if kind == FLOAT:
            real = <float>real
        if not isfinite(real):
            raise ValueError("out of range for a float")
        return real
    if kind == ENUM:
        found = field.enum.plain_by_text.get(text)
        if found is None and field.enum.plain_by_number:
            number = short_int(text.removeprefix("-"))
            if number is not None:
                found = field.enum.plain_by_number.get(-number if text[0] == "-" else number)
        if found is None:
            raise ValueError(one_of(field.enum.plain))
        return found
    if kind == MESSAGE or kind == UNION:
        raise ValueError("a message cannot be a parameter")
    return from_text(field, kind, text, False)


def value_from_text(FieldTable field not None, str text not None):
    """One value (for lists and maps an element, its constraints checked). Raises ValueError with the reason."""
    value = one_value(field, field.kind, text)
    if field.cardinality != SINGLE and field.bounds is not None:
        reason = field.bounds.broken(value)
        if reason is not None:
            raise ValueError(reason)
    return value


def key_from_text(FieldTable field not None, str text not None):
    """A map's key. Raises ValueError with the reason."""
    return one_value(field.key_field, field.map_key, text)


cdef class PathBinder:
    """Messages whose fields come from a path: `names` are the fields of its variables, in order."""

    cdef MessageTable table
    cdef tuple fields

    def __init__(self, message, names):
        self.table = message_table(message)
        self.fields = tuple([self.table.field_by_name[name] for name in names])

    cdef object read(self, FieldTable field, object text, Trail* trail):
        step(trail, 0, field)
        try:
            return one_value(field, field.kind, text)
        except ValueError as error:
            raise invalid(trail, 1, str(error)) from None

    def bind(self, list texts not None):
        """The message; what the path does not give has its default or is refused as required."""
        cdef Trail trail
        cdef FieldTable field
        cdef PyObject* few[INLINE_FIELDS]
        cdef PyObject** values = few
        cdef int i, count = self.table.count
        self.check(texts)
        if count > INLINE_FIELDS:
            values = <PyObject**>PyMem_Calloc(count, sizeof(PyObject*))
            if values == NULL:
                raise MemoryError
        for i in range(count):
            values[i] = NULL
        try:
            for i in range(len(self.fields)):
                field = <FieldTable>self.fields[i]
                value = self.read(field, texts[i], &trail)
                Py_XDECREF(values[field.arg])
                Py_INCREF(value)
                values[field.arg] = <PyObject*>value
            return self.table.finish(values, &trail, 0, PLAIN)
        finally:
            for i in range(count):
                Py_XDECREF(values[i])
            if values != few:
                PyMem_Free(values)

    def given(self, list texts not None):
        """The slots for `JsonReader.bind`: the path's values in their places, ABSENT in the others."""
        cdef Trail trail
        cdef FieldTable field
        cdef int i
        self.check(texts)
        slots = [ABSENT] * self.table.count
        for i in range(len(self.fields)):
            field = <FieldTable>self.fields[i]
            slots[field.arg] = self.read(field, texts[i], &trail)
        return slots

    cdef int check(self, list texts) except -1:
        if len(texts) != len(self.fields):
            raise ValueError(f"{len(self.fields)} path values wanted, {len(texts)} given")
        return 0
