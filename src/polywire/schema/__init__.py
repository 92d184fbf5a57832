"""Annotations read once into frozen tables; everybody else consumes only the tables."""

from __future__ import annotations

from polywire.schema.errors import SchemaError
from polywire.schema.lock import contract_lock
from polywire.schema.message import Message
from polywire.schema.numbers import ContractLock
from polywire.schema.patch import Patch
from polywire.schema.reader import message_type, union_type
from polywire.schema.scalars import (
    ID,
    Doc,
    FieldNumber,
    Fixed32,
    Fixed64,
    Float32,
    Int32,
    Int64,
    SFixed32,
    SFixed64,
    SInt32,
    SInt64,
    UInt32,
    UInt64,
)
from polywire.schema.types import (
    Cardinality,
    Constraints,
    EnumType,
    EnumValue,
    Field,
    Kind,
    MessageType,
    Method,
    MethodKind,
    ResultForm,
    Route,
    ServiceType,
    Shape,
    Type,
    UnionMember,
    UnionType,
)
from polywire.schema.well_known import EMPTY, Empty

__all__ = [
    "EMPTY",
    "ID",
    "Cardinality",
    "Constraints",
    "ContractLock",
    "Doc",
    "Empty",
    "EnumType",
    "EnumValue",
    "Field",
    "FieldNumber",
    "Fixed32",
    "Fixed64",
    "Float32",
    "Int32",
    "Int64",
    "Kind",
    "Message",
    "MessageType",
    "Method",
    "MethodKind",
    "Patch",
    "ResultForm",
    "Route",
    "SFixed32",
    "SFixed64",
    "SInt32",
    "SInt64",
    "SchemaError",
    "ServiceType",
    "Shape",
    "Type",
    "UInt32",
    "UInt64",
    "UnionMember",
    "UnionType",
    "contract_lock",
    "message_type",
    "union_type",
]
