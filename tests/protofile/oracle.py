"""What protoc says of the same text."""

from __future__ import annotations

import importlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_tools import protoc

GOOGLE = Path(grpc_tools.__file__).parent / "_proto"
APIS = Path(importlib.import_module("google.api.annotations_pb2").__file__ or "").parents[2]
_PLACE = re.compile(r"^(?:[^:\n]*/)?([\w./]+\.proto):(\d+):(\d+): ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Refusal:
    said: str

    @property
    def places(self) -> set[tuple[int, int]]:
        """(line, column) of each complaint."""
        return {(int(line), int(column)) for _, line, column in _PLACE.findall(self.said)}


def compiled(files: Mapping[str, str], name: str, folder: Path) -> descriptor_pb2.FileDescriptorProto | Refusal:
    """The descriptor of one of some files, with its source's places and comments; or why there is none."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    with tempfile.TemporaryDirectory() as out:
        result = Path(out) / "set"
        includes = [f"-I{root}" for root in (folder, GOOGLE, APIS)]
        code, said = _run(["protoc", *includes, "--include_source_info", f"--descriptor_set_out={result}", name], out)
        if code != 0:
            return Refusal(said)
        found = descriptor_pb2.FileDescriptorSet.FromString(result.read_bytes())
    return found.file[0]


def _run(arguments: list[str], folder: str) -> tuple[int, str]:
    """protoc is C++ in this process, and writes to the descriptor of standard error."""
    complaints = Path(folder) / "complaints"
    kept = os.dup(2)
    try:
        with complaints.open("wb") as file:
            os.dup2(file.fileno(), 2)
            code: int = protoc.main(arguments)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    return code, complaints.read_text(errors="replace")


def pool_of(name: str, root: Path) -> DescriptorPool:
    """A file and what it imports, as protobuf's own runtime has them."""
    with tempfile.TemporaryDirectory() as out:
        result = Path(out) / "set"
        includes = [f"-I{folder}" for folder in (root, GOOGLE, APIS)]
        code, said = _run(["protoc", *includes, "--include_imports", f"--descriptor_set_out={result}", name], out)
        assert code == 0, said
        found = descriptor_pb2.FileDescriptorSet.FromString(result.read_bytes())
    pool = DescriptorPool()
    for file in found.file:
        pool.Add(file)
    return pool
