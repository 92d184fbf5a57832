"""`grpc.reflection.v1.ServerReflection` and its elder `v1alpha`, as ordinary services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from polywire.contract.descriptors import file_descriptors
from polywire.contract.files import proto_files
from polywire.errors import Code
from polywire.protocols.grpc.health import HealthService, as_published
from polywire.schema import FieldNumber, Int32, Message
from polywire.schema.types import ServiceType
from polywire.service import Service, mutation

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto


class Index:
    """The files behind a set of services, and which of them declares what.

    The files are made at the first question: most servers are never asked, and the imports take time and memory.
    """

    def __init__(self, services: Sequence[ServiceType]) -> None:
        """Raises SchemaError where no .proto can say these services."""
        proto_files(services)
        self._services = tuple(services)

    @property
    def service_names(self) -> list[str]:
        return sorted(service.full_name for service in self._services)

    def with_imports(self, name: str) -> list[bytes] | None:
        """The file and everything it imports, each once, itself first; None where there is no such file."""
        if name not in self._files:
            return None
        order = [name]
        for one in order:
            order += [other for other in self._files[one].dependency if other not in order]
        return [self._files[one].SerializeToString() for one in order]

    def file_of(self, symbol: str) -> str | None:
        """The name of the file that declares a service, method, message or enum."""
        return self._symbols.get(symbol)

    def is_message(self, name: str) -> bool:
        return name in self._messages

    @cached_property
    def _files(self) -> dict[str, FileDescriptorProto]:
        files = {file.name: file for file in file_descriptors(self._services)}
        for file in list(files.values()):
            if file.package == "grpc.health.v1":
                as_published(file)
            for name in file.dependency:
                if name not in files:
                    files[name] = _well_known(name)
        return files

    @cached_property
    def _symbols(self) -> dict[str, str]:
        return {symbol: file.name for file in self._files.values() for symbol, _ in _declared(file)}

    @cached_property
    def _messages(self) -> frozenset[str]:
        return frozenset(
            symbol for file in self._files.values() for symbol, is_message in _declared(file) if is_message
        )


def _well_known(name: str) -> FileDescriptorProto:
    """One of protobuf's own files, `google/protobuf/timestamp.proto`; those that polywire uses import no others."""
    import importlib

    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    return FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)


def _declared(file: FileDescriptorProto) -> Iterable[tuple[str, bool]]:
    """(full name, whether it is a message) of everything in a file."""
    prefix = f"{file.package}." if file.package else ""
    for service in file.service:
        yield prefix + service.name, False
        for method in service.method:
            yield f"{prefix}{service.name}.{method.name}", False
    for enum in file.enum_type:
        yield prefix + enum.name, False
    for message in file.message_type:
        yield from _declared_in(message, prefix)


def _declared_in(message: DescriptorProto, prefix: str) -> Iterable[tuple[str, bool]]:
    yield prefix + message.name, True
    for enum in message.enum_type:
        yield f"{prefix}{message.name}.{enum.name}", False
    for nested in message.nested_type:
        yield from _declared_in(nested, f"{prefix}{message.name}.")


def reflection_services(services: Sequence[ServiceType]) -> tuple[Service, Service]:
    """The two reflection services, v1 and v1alpha, about `services`, health and themselves.

    Raises SchemaError where no .proto can say these services: packages that import each other, one name for two types.
    """
    kinds = [_define("grpc.reflection.v1"), _define("grpc.reflection.v1alpha")]
    builtin = [HealthService.__polywire__, *(kind.__polywire__ for kind in kinds)]
    index = Index(list({service.full_name: service for service in (*services, *builtin)}.values()))
    first, second = (kind(index) for kind in kinds)
    return first, second


def _define(package: str) -> Any:
    """The service of one version: the two are alike but for their package.

    The members of a oneof are optional fields here, which have the same bytes.
    """

    class ExtensionRequest(Message, package=package):
        containing_type: str = ""
        extension_number: Int32 = 0

    class ServerReflectionRequest(Message, package=package):
        host: str = ""
        file_by_filename: Annotated[str | None, FieldNumber(3)] = None
        file_containing_symbol: Annotated[str | None, FieldNumber(4)] = None
        file_containing_extension: Annotated[ExtensionRequest | None, FieldNumber(5)] = None
        all_extension_numbers_of_type: Annotated[str | None, FieldNumber(6)] = None
        list_services: Annotated[str | None, FieldNumber(7)] = None

    class FileDescriptorResponse(Message, package=package):
        file_descriptor_proto: list[bytes]

    class ExtensionNumberResponse(Message, package=package):
        base_type_name: str
        extension_number: list[Int32]

    class ServiceResponse(Message, package=package):
        name: str = ""

    class ListServiceResponse(Message, package=package):
        service: list[ServiceResponse]

    class ErrorResponse(Message, package=package):
        error_code: Int32 = 0
        error_message: str = ""

    class ServerReflectionResponse(Message, package=package):
        valid_host: str = ""
        original_request: ServerReflectionRequest | None = None
        file_descriptor_response: Annotated[FileDescriptorResponse | None, FieldNumber(4)] = None
        all_extension_numbers_response: Annotated[ExtensionNumberResponse | None, FieldNumber(5)] = None
        list_services_response: Annotated[ListServiceResponse | None, FieldNumber(6)] = None
        error_response: Annotated[ErrorResponse | None, FieldNumber(7)] = None

    class ServerReflection(Service, package=package):
        """Describes the services of this server to tools that know none of them."""

        def __init__(self, index: Index) -> None:
            self._index = index

        @mutation
        async def server_reflection_info(
            self, requests: AsyncIterator[ServerReflectionRequest]
        ) -> AsyncIterator[ServerReflectionResponse]:
            """One answer to each question, in order."""
            async for request in requests:
                response = ServerReflectionResponse(request.host, request)
                self._answer(request, response)
                yield response

        def _answer(self, request: ServerReflectionRequest, response: ServerReflectionResponse) -> None:
            if request.file_by_filename is not None:
                self._give_file(request.file_by_filename, f"no file {request.file_by_filename}", response)
            elif request.file_containing_symbol is not None:
                symbol = request.file_containing_symbol
                self._give_file(self._index.file_of(symbol), f"no symbol {symbol}", response)
            elif request.file_containing_extension is not None:
                response.error_response = ErrorResponse(Code.NOT_FOUND.value, "proto3 messages have no extensions")
            elif request.all_extension_numbers_of_type is not None:
                name = request.all_extension_numbers_of_type
                if self._index.is_message(name):
                    response.all_extension_numbers_response = ExtensionNumberResponse(name, [])
                else:
                    response.error_response = ErrorResponse(Code.NOT_FOUND.value, f"no message {name}")
            elif request.list_services is not None:
                names = [ServiceResponse(name) for name in self._index.service_names]
                response.list_services_response = ListServiceResponse(names)
            else:
                response.error_response = ErrorResponse(Code.INVALID_ARGUMENT.value, "the request asks for nothing")

        def _give_file(self, name: str | None, missing: str, response: ServerReflectionResponse) -> None:
            files = None if name is None else self._index.with_imports(name)
            if files is None:
                response.error_response = ErrorResponse(Code.NOT_FOUND.value, missing)
            else:
                response.file_descriptor_response = FileDescriptorResponse(files)

    return ServerReflection
