"""`user.UserService` as a protobuf file, built in memory: no peer needs protoc or generated code beside it."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "user.UserService"
NAME, EMAIL, AGE = "Alice", "alice@example.com", 30

_Field = descriptor_pb2.FieldDescriptorProto


def _message(file: descriptor_pb2.FileDescriptorProto, name: str, *fields: tuple[str, int]) -> None:
    message = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields, 1):
        repeated = kind == _Field.TYPE_MESSAGE
        message.field.add(
            name=field,
            json_name=field,
            number=number,
            type=kind,
            label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
            type_name=".user.User" if repeated else None,
        )


FILE = descriptor_pb2.FileDescriptorProto(name="user.proto", package="user", syntax="proto3")
_message(FILE, "GetUserRequest", ("id", _Field.TYPE_INT32))
_message(FILE, "GetUsersRequest", ("count", _Field.TYPE_INT32))
_message(
    FILE,
    "User",
    ("id", _Field.TYPE_INT32),
    ("name", _Field.TYPE_STRING),
    ("email", _Field.TYPE_STRING),
    ("age", _Field.TYPE_INT32),
)
_message(FILE, "UserList", ("users", _Field.TYPE_MESSAGE))
_message(FILE, "Moment", ("started_ns", _Field.TYPE_INT64), ("stopped_ns", _Field.TYPE_INT64))

_pool = descriptor_pool.DescriptorPool()
_pool.Add(FILE)


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"user.{name}"))


GetUserRequest = _class("GetUserRequest")
GetUsersRequest = _class("GetUsersRequest")
User = _class("User")
UserList = _class("UserList")
Moment = _class("Moment")
