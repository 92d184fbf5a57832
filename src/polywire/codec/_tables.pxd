from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint8_t, uint32_t

from polywire.codec._bounds cimport Bounds
from polywire.codec._buffer cimport Trail

cdef object UNSET

# Kind and Cardinality of polywire.schema.types, as C constants; _tables.pyx checks that they agree.
cdef enum:
    BOOL = 1
    INT32 = 2
    INT64 = 3
    UINT32 = 4
    UINT64 = 5
    FLOAT = 6
    DOUBLE = 7
    STRING = 8
    BYTES = 9
    ENUM = 10
    MESSAGE = 11
    UNION = 12
    TIMESTAMP = 13
    DURATION = 14
    DECIMAL = 15
    UUID = 16
    DATE = 17

cdef enum:
    SINGLE = 1
    LIST = 2
    MAP = 3

# Encoding of polywire.schema.types.
cdef enum:
    VARINT = 0
    ZIGZAG = 1
    FIXED = 2

cdef enum:
    MAX_DEPTH = 100     # nested messages, as in the protobuf runtimes
    INLINE_FIELDS = 24  # slots of a message with up to so many fields live on the C stack

# What a field becomes that was not sent.
cdef enum:
    ABSENT_ERROR = 0
    ABSENT_VALUE = 1
    ABSENT_FACTORY = 2
    ABSENT_LIST = 3
    ABSENT_DICT = 4

# How strict a decoder is about fields that were not sent.
cdef enum:
    PROTO = 0   # protobuf and its JSON mapping: implicit zeros
    PLAIN = 1   # plain JSON: required means required

cdef inline void step(Trail* trail, int depth, FieldTable field) noexcept:
    trail.steps[depth].field = <PyObject*>field
    trail.steps[depth].index = -1
    trail.steps[depth].key = NULL

cdef class EnumTable:
    cdef object cls
    cdef int count
    cdef tuple members          # Python members, by position
    cdef tuple names
    cdef tuple proto_names
    cdef tuple plain            # what plain JSON writes: str or int
    cdef int32_t* numbers
    cdef str unspecified        # the proto name of the generated zero
    cdef dict plain_by_text
    cdef dict proto_by_text
    cdef dict plain_by_number
    cdef int position(self, object member) noexcept
    cdef object by_number(self, int32_t number)

cdef class UnionTable:
    cdef object cls
    cdef readonly str name
    cdef int count
    cdef tuple numbers, names, json_names, tags
    cdef tuple fields           # one FieldTable of kind MESSAGE for each member
    cdef int position(self, object value) noexcept

cdef class FieldTable:
    cdef readonly str name
    cdef readonly str json_name
    cdef bytes plain_key, json_key  # '"name":' in either JSON profile
    cdef bytes plain_utf8, json_utf8  # the same without quotes and colon
    cdef readonly int kind
    cdef readonly int cardinality
    cdef readonly int map_key
    cdef int encoding               # of an integer
    cdef int wire                   # the wire type of one value
    cdef readonly int arg           # place among the constructor's arguments
    cdef Py_ssize_t offset          # of the slot in the Struct; -1: read by name
    cdef readonly uint32_t number
    cdef uint8_t tag[8]
    cdef int tag_length
    cdef bint packed                # a list of numbers
    cdef bint explicit
    cdef readonly bint nullable
    cdef readonly bint required
    cdef readonly bint unset        # msgspec.UNSET is a value: not sent (`Patch`)
    cdef bint deferred              # a single submessage: its occurrences are merged before it is read
    cdef int absent[2]              # by PROTO, PLAIN
    cdef object absent_proto, absent_plain    # the value of ABSENT_VALUE, by mode
    cdef object factory
    cdef Bounds bounds              # of a single value, or of an element
    cdef Bounds container_bounds    # of the list or map itself
    cdef readonly MessageTable message
    cdef EnumTable enum
    cdef UnionTable union
    cdef FieldTable key_field       # of a map: a field of the key's kind

cdef class MessageTable:
    cdef readonly str name
    cdef readonly object type       # the MessageType
    cdef readonly object cls
    cdef readonly int count
    cdef readonly tuple fields      # in the order of the constructor's arguments
    cdef readonly tuple by_number
    cdef uint32_t* numbers          # of by_number
    cdef bint has_bounds
    cdef bint is_any                # google.protobuf.Any, which has a JSON of its own
    cdef Py_ssize_t positional
    cdef tuple keyword_names
    cdef readonly dict field_by_name
    cdef FieldTable find(self, uint32_t number, int* cursor)
    cdef object finish(self, PyObject** values, Trail* trail, int depth, int mode)

cdef object unset(MessageTable table, FieldTable field)

cdef inline object read_slot(MessageTable table, object value, FieldTable field):
    """The attribute of an instance of `table.cls` (the caller has checked that), straight from its slot."""
    cdef PyObject* found
    if field.offset < 0:
        return getattr(value, field.name)
    found = (<PyObject**>((<char*><PyObject*>value) + field.offset))[0]
    if found == NULL:
        raise unset(table, field)
    return <object>found

cdef inline int wire_type(int kind, int encoding) noexcept:
    """Of one value (https://protobuf.dev/programming-guides/encoding)."""
    if encoding == FIXED:
        return 1 if kind == INT64 or kind == UINT64 else 5
    if kind == FLOAT:
        return 5
    if kind == DOUBLE:
        return 1
    return 0 if kind <= UINT64 or kind == ENUM else 2

cdef object message_path(Trail* trail, int count)
cdef object invalid(Trail* trail, int count, str reason)
cdef object wrong(MessageTable root, Trail* trail, int count, str reason)
cdef object expected(FieldTable field)
cdef int check_bounds(Bounds bounds, object value, Trail* trail, int count) except -1
cdef object from_text(FieldTable field, int kind, object text, bint proto)
cdef object one_of(tuple allowed)
cdef object int_from_text(int kind, object text)
cpdef MessageTable message_table(object type)
