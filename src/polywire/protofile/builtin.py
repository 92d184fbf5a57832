"""The files that protobuf and `google.api` bring, as far as services refer to them: names, numbers and types."""

from __future__ import annotations

from typing import Final

_WRAPPERS = "".join(
    f"message {name}Value {{ {type_} value = 1; }}\n"
    for name, type_ in (
        ("Double", "double"),
        ("Float", "float"),
        ("Int64", "int64"),
        ("UInt64", "uint64"),
        ("Int32", "int32"),
        ("UInt32", "uint32"),
        ("Bool", "bool"),
        ("String", "string"),
        ("Bytes", "bytes"),
    )
)
_BODIES: dict[str, tuple[str, str]] = {
    "google/protobuf/timestamp.proto": ("google.protobuf", "message Timestamp { int64 seconds = 1; int32 nanos = 2; }"),
    "google/protobuf/duration.proto": ("google.protobuf", "message Duration { int64 seconds = 1; int32 nanos = 2; }"),
    "google/protobuf/empty.proto": ("google.protobuf", "message Empty {}"),
    "google/protobuf/any.proto": ("google.protobuf", "message Any { string type_url = 1; bytes value = 2; }"),
    "google/protobuf/field_mask.proto": ("google.protobuf", "message FieldMask { repeated string paths = 1; }"),
    "google/protobuf/wrappers.proto": ("google.protobuf", _WRAPPERS),
    "google/protobuf/struct.proto": (
        "google.protobuf",
        "message Struct { map<string, Value> fields = 1; }"
        "message Value { oneof kind { NullValue null_value = 1; double number_value = 2; string string_value = 3;"
        " bool bool_value = 4; Struct struct_value = 5; ListValue list_value = 6; } }"
        "enum NullValue { NULL_VALUE = 0; }"
        "message ListValue { repeated Value values = 1; }",
    ),
    "google/protobuf/descriptor.proto": ("google.protobuf", "message MethodOptions {} message FieldOptions {}"),
    "google/api/http.proto": ("google.api", "message HttpRule {}"),
    "google/api/annotations.proto": ("google.api", ""),
}
BUILTIN: Final = {name: f'syntax = "proto3"; package {package}; {body}' for name, (package, body) in _BODIES.items()}
"""By the names that they are imported by."""
