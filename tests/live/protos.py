"""Classes of Google's protobuf for the messages of a service, made from the contract that polywire writes."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, empty_pb2, message_factory

from polywire.contract.descriptors import file_descriptors

from .service import Lab

POOL = descriptor_pool.DescriptorPool()
POOL.AddSerializedFile(empty_pb2.DESCRIPTOR.serialized_pb)
for _file in file_descriptors([Lab.__polywire__]):
    POOL.Add(_file)


def message(name: str) -> Any:
    """The class of `lab.<name>`."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"lab.{name}"))


def method(name: str) -> tuple[str, Any, Any]:
    """(path, class of the request, class of the response) of a method of `lab.Lab`."""
    found = POOL.FindServiceByName("lab.Lab").methods_by_name[name]
    return (
        f"/lab.Lab/{name}",
        message_factory.GetMessageClass(found.input_type),
        message_factory.GetMessageClass(found.output_type),
    )
