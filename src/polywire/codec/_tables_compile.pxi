# Part of _tables.pyx: tables made from those of the schema.

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
    table.is_any = table.type.full_name == "google.protobuf.Any"
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
    field.wire = wire_type(field.kind, field.encoding)
    field.packed = field.cardinality == LIST and field.wire != 2
    tag = field.number << 3 | (2 if field.packed or field.cardinality == MAP else field.wire)
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
    field.encoding = type.encoding
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
