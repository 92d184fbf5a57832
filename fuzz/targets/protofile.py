"""Texts of .proto files: they hold together, and what is found can be told again, or there is one place to blame."""

from __future__ import annotations

from polywire.protofile import FileSet, ProtoError, load_texts
from polywire.protofile.parser import SCALARS
from polywire.protofile.resolve import all_messages


def fuzz_one(data: bytes) -> None:
    head, _, other = data.decode("utf-8", "replace").partition("\0")
    texts = {"a.proto": f'syntax = "proto3";{head}', "b.proto": f'syntax = "proto3";{other}'}
    try:
        files = load_texts(texts)
    except ProtoError as error:
        text = texts.get(error.place.file, "")
        assert 1 <= error.place.line <= text.count("\n") + 1
        assert error.place.column >= 1
        assert len(str(error)) < 5000
        return
    _hold_together(files)


def _hold_together(files: FileSet) -> None:
    for file in files.files.values():
        for message in all_messages(file.messages):
            assert files.messages[message.full_name] is message
            assert files.owner(message.full_name) == file.name
            numbers = [field.number for field in message.fields]
            assert len(numbers) == len(set(numbers))
            types = [files.type_of(field) for field in message.fields]
            assert all(not isinstance(type_, str) or type_ in SCALARS for type_ in types)
            assert {field.oneof for field in message.fields} - {None} == {one.name for one in message.oneofs}
        for service in file.services:
            for method in service.methods:
                assert all(end in files.messages for end in files.ends[id(method)])
