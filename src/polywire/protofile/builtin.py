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
_STRUCT = """
message Struct { map<string, Value> fields = 1; }
message Value {
  oneof kind {
    NullValue null_value = 1; double number_value = 2; string string_value = 3; bool bool_value = 4;
    Struct struct_value = 5; ListValue list_value = 6;
  }
}
enum NullValue { NULL_VALUE = 0; }
message ListValue { repeated Value values = 1; }
"""
_TYPE = """
import "google/protobuf/any.proto";
import "google/protobuf/source_context.proto";
enum Syntax { SYNTAX_PROTO2 = 0; SYNTAX_PROTO3 = 1; SYNTAX_EDITIONS = 2; }
message Type {
  string name = 1; repeated Field fields = 2; repeated string oneofs = 3; repeated Option options = 4;
  SourceContext source_context = 5; Syntax syntax = 6; string edition = 7;
}
message Field {
  enum Kind {
    TYPE_UNKNOWN = 0; TYPE_DOUBLE = 1; TYPE_FLOAT = 2; TYPE_INT64 = 3; TYPE_UINT64 = 4; TYPE_INT32 = 5;
    TYPE_FIXED64 = 6; TYPE_FIXED32 = 7; TYPE_BOOL = 8; TYPE_STRING = 9; TYPE_GROUP = 10; TYPE_MESSAGE = 11;
    TYPE_BYTES = 12; TYPE_UINT32 = 13; TYPE_ENUM = 14; TYPE_SFIXED32 = 15; TYPE_SFIXED64 = 16; TYPE_SINT32 = 17;
    TYPE_SINT64 = 18;
  }
  enum Cardinality {
    CARDINALITY_UNKNOWN = 0; CARDINALITY_OPTIONAL = 1; CARDINALITY_REQUIRED = 2; CARDINALITY_REPEATED = 3;
  }
  Kind kind = 1; Cardinality cardinality = 2; int32 number = 3; string name = 4; string type_url = 6;
  int32 oneof_index = 7; bool packed = 8; repeated Option options = 9; string json_name = 10;
  string default_value = 11;
}
message Enum {
  string name = 1; repeated EnumValue enumvalue = 2; repeated Option options = 3; SourceContext source_context = 4;
  Syntax syntax = 5; string edition = 6;
}
message EnumValue { string name = 1; int32 number = 2; repeated Option options = 3; }
message Option { string name = 1; Any value = 2; }
"""
_API = """
import "google/protobuf/source_context.proto";
import "google/protobuf/type.proto";
message Api {
  string name = 1; repeated Method methods = 2; repeated Option options = 3; string version = 4;
  SourceContext source_context = 5; repeated Mixin mixins = 6; Syntax syntax = 7; string edition = 8;
}
message Method {
  string name = 1; string request_type_url = 2; bool request_streaming = 3; string response_type_url = 4;
  bool response_streaming = 5; repeated Option options = 6; Syntax syntax = 7 [deprecated = true];
  string edition = 8 [deprecated = true];
}
message Mixin { string name = 1; string root = 2; }
"""
OPTIONS: Final = tuple(
    f"{owner}Options" for owner in ("File", "Message", "Field", "Oneof", "Enum", "EnumValue", "Service", "Method")
)
"""The messages that custom options extend; what they hold is in `options.py`."""
_HTTP = """
message Http { repeated HttpRule rules = 1; bool fully_decode_reserved_expansion = 2; }
message HttpRule {
  string selector = 1;
  oneof pattern {
    string get = 2; string put = 3; string post = 4; string delete = 5; string patch = 6; CustomHttpPattern custom = 8;
  }
  string body = 7; string response_body = 12; repeated HttpRule additional_bindings = 11;
}
message CustomHttpPattern { string kind = 1; string path = 2; }
"""
_ANNOTATIONS = """
import "google/api/http.proto";
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { HttpRule http = 72295728; }
"""
_BODIES: dict[str, tuple[str, str]] = {
    "google/protobuf/timestamp.proto": ("google.protobuf", "message Timestamp { int64 seconds = 1; int32 nanos = 2; }"),
    "google/protobuf/duration.proto": ("google.protobuf", "message Duration { int64 seconds = 1; int32 nanos = 2; }"),
    "google/protobuf/empty.proto": ("google.protobuf", "message Empty {}"),
    "google/protobuf/any.proto": ("google.protobuf", "message Any { string type_url = 1; bytes value = 2; }"),
    "google/protobuf/field_mask.proto": ("google.protobuf", "message FieldMask { repeated string paths = 1; }"),
    "google/protobuf/wrappers.proto": ("google.protobuf", _WRAPPERS),
    "google/protobuf/struct.proto": ("google.protobuf", _STRUCT),
    "google/protobuf/source_context.proto": ("google.protobuf", "message SourceContext { string file_name = 1; }"),
    "google/protobuf/type.proto": ("google.protobuf", _TYPE),
    "google/protobuf/api.proto": ("google.protobuf", _API),
    "google/protobuf/descriptor.proto": ("google.protobuf", "".join(f"message {name} {{}}\n" for name in OPTIONS)),
    "google/api/http.proto": ("google.api", _HTTP),
    "google/api/annotations.proto": ("google.api", _ANNOTATIONS),
}
BUILTIN: Final = {name: f'syntax = "proto3"; package {package}; {body}' for name, (package, body) in _BODIES.items()}
"""By the names that they are imported by."""
