"""Texts of .proto files: they hold together and become Python that only declares, or there is one place to blame."""

from __future__ import annotations

import ast

from polywire.contract.importer.modules import import_files
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
    for module in import_files(files).modules.values():
        _only_declares(module)


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


def _only_declares(module: str) -> None:
    for node in ast.walk(ast.parse(module)):
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            assert node.func.id in ("query", "mutation", "Unimplemented", "FieldNumber")
        elif isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant)
