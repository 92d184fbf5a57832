"""One file with everything, changed here and there: protoc and we read the same of it, or both refuse it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given, settings
from hypothesis import strategies as st

from polywire.protofile import FileSet, ProtoError, load_texts
from tests.protofile.cases import EVERYTHING
from tests.protofile.descriptors import descriptor_of, plain
from tests.protofile.oracle import Refusal, compiled

TEXT = f'syntax = "proto3";{EVERYTHING}'
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|[A-Za-z_]\w*|0x[0-9A-F]+|[0-9]+|\s+|.', re.DOTALL)
TOKENS = _TOKEN.findall(TEXT)
SOLID = [index for index, token in enumerate(TOKENS) if not token.isspace()]
OTHERS = [
    *sorted({token for token in TOKENS if not token.isspace() and token[:1] != "/"}),
    *(
        "required",
        "group",
        "extensions",
        "max",
        "to",
        "-1",
        "19500",
        "inf",
        "1.5",
        "''",
        '"a" "b"',
        "stream",
        "package",
    ),
    *("public", "weak", "0", "2", "536870911", "// x\n", "/* x */", "edition"),
]
LEFT_OPEN = re.compile(r'option "a\.b\.|Option "\((?:rules|many|top)\)|parsing option value|aggregate value')
"""What protoc says of the values of custom options, which we do not hold to their types."""

edits = st.lists(
    st.tuples(
        st.sampled_from(["drop", "double", "replace", "insert", "swap", "cut"]),
        st.sampled_from(SOLID),
        st.sampled_from(SOLID),
        st.sampled_from(OTHERS),
    ),
    min_size=1,
    max_size=2,
)


def edited(changes: list[tuple[str, int, int, str]]) -> str:
    tokens = list(TOKENS)
    for how, at, other, token in changes:
        match how:
            case "drop":
                tokens[at] = ""
            case "double":
                tokens[at] += f" {tokens[at]}"
            case "replace":
                tokens[at] = token
            case "insert":
                tokens[at] += f" {token}"
            case "swap":
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case "cut":
                tokens[at : at + other % 12] = [""] * len(tokens[at : at + other % 12])
    return "".join(tokens)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutations")


@given(edits)
@settings(max_examples=500, deadline=None)
def test_read_alike_or_refused_alike(folder: Path, changes: list[tuple[str, int, int, str]]) -> None:
    text = edited(changes)
    theirs = compiled({"x.proto": text}, "x.proto", folder)
    ours = read(text)
    if isinstance(theirs, FileDescriptorProto) and isinstance(ours, FileSet):
        assert descriptor_of(ours.files["x.proto"], ours) == plain(theirs)
    elif isinstance(theirs, Refusal) and isinstance(ours, FileSet):
        assert LEFT_OPEN.search(theirs.said), theirs.said
    else:
        assert isinstance(theirs, Refusal), ours


def read(text: str) -> FileSet | ProtoError:
    try:
        return load_texts({"x.proto": text})
    except ProtoError as error:
        return error
