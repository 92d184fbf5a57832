"""Text of .proto files to what they declare; proto3, with every problem by file, line and column."""

from polywire.protofile.declarations import (
    Enum,
    EnumValue,
    Field,
    File,
    Message,
    Method,
    Oneof,
    Option,
    Place,
    ProtoError,
    Service,
)
from polywire.protofile.loading import load, load_folder, load_texts
from polywire.protofile.parser import parse
from polywire.protofile.resolve import FileSet

__all__ = [
    "Enum",
    "EnumValue",
    "Field",
    "File",
    "FileSet",
    "Message",
    "Method",
    "Oneof",
    "Option",
    "Place",
    "ProtoError",
    "Service",
    "load",
    "load_folder",
    "load_texts",
    "parse",
]
