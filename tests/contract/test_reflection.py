from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from polywire.errors import Code
from polywire.protocols.grpc.reflection import reflection_services
from polywire.schema.types import Shape

from .tables import SHOP

SERVICES = [SHOP]


async def ask(service: Any, *questions: dict[str, Any]) -> list[Any]:
    request = type(service).__polywire__.methods[0].input.cls

    async def stream() -> AsyncIterator[Any]:
        for question in questions:
            yield request(**question)

    return [answer async for answer in service.server_reflection_info(stream())]


def files(answer: Any) -> list[FileDescriptorProto]:
    return [FileDescriptorProto.FromString(data) for data in answer.file_descriptor_response.file_descriptor_proto]


@pytest.fixture(scope="module", params=[0, 1], ids=["v1", "v1alpha"])
def service(request: pytest.FixtureRequest) -> Any:
    return reflection_services(SERVICES)[request.param]


def test_the_published_names_and_numbers() -> None:
    for service, package in zip(
        reflection_services([]), ("grpc.reflection.v1", "grpc.reflection.v1alpha"), strict=True
    ):
        (method,) = service.__polywire__.methods
        assert method.path == f"/{package}.ServerReflection/ServerReflectionInfo"
        assert method.shape is Shape.BIDI_STREAM
        assert {field.name: field.number for field in method.input.fields} == {
            "host": 1,
            "file_by_filename": 3,
            "file_containing_symbol": 4,
            "file_containing_extension": 5,
            "all_extension_numbers_of_type": 6,
            "list_services": 7,
        }
        assert {field.name: field.number for field in method.output.fields} == {
            "valid_host": 1,
            "original_request": 2,
            "file_descriptor_response": 4,
            "all_extension_numbers_response": 5,
            "list_services_response": 6,
            "error_response": 7,
        }


async def test_lists_every_service_and_itself(service: Any) -> None:
    (answer,) = await ask(service, {"host": "h", "list_services": ""})
    assert [one.name for one in answer.list_services_response.service] == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "shop.v1.Shop",
    ]
    assert answer.valid_host == "h"
    assert answer.original_request.list_services == ""


async def test_answers_in_order_on_one_stream(service: Any) -> None:
    answers = await ask(service, {"list_services": "*"}, {"file_by_filename": "common.proto"}, {})
    assert answers[0].list_services_response is not None
    assert [file.name for file in files(answers[1])] == ["common.proto"]
    assert answers[2].error_response.error_code == Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "symbol",
    ["shop.v1.Shop", "shop.v1.Shop.GetItem", "shop.v1.Item", "shop.v1.Status", "shop.v1.Item.LabelsEntry"],
)
async def test_a_file_comes_with_all_its_imports(service: Any, symbol: str) -> None:
    (answer,) = await ask(service, {"file_containing_symbol": symbol})
    found = files(answer)
    assert found[0].name == "shop/v1.proto"
    assert sorted(file.name for file in found[1:]) == [
        "common.proto",
        "google/protobuf/duration.proto",
        "google/protobuf/empty.proto",
        "google/protobuf/timestamp.proto",
    ]
    pool = descriptor_pool.DescriptorPool()
    for file in found[1:] + found[:1]:
        pool.Add(file)
    assert pool.FindServiceByName("shop.v1.Shop")


@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("google.protobuf.Timestamp", "google/protobuf/timestamp.proto"),
        ("common.Money", "common.proto"),
        ("grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"),
        ("grpc.reflection.v1alpha.ErrorResponse", "grpc/reflection/v1alpha/reflection.proto"),
        ("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"),
    ],
)
async def test_symbols_of_other_files(service: Any, symbol: str, file: str) -> None:
    (answer,) = await ask(service, {"file_containing_symbol": symbol})
    assert files(answer)[0].name == file


@pytest.mark.parametrize(
    "question",
    [
        {"file_by_filename": "../etc/passwd"},
        {"file_by_filename": ""},
        {"file_containing_symbol": "shop.v1.Nothing"},
        {"file_containing_symbol": ""},
        {"all_extension_numbers_of_type": "shop.v1.Status"},
    ],
)
async def test_what_is_unknown_is_not_found(service: Any, question: dict[str, Any]) -> None:
    (answer,) = await ask(service, question)
    assert answer.error_response.error_code == Code.NOT_FOUND
    assert answer.file_descriptor_response is None


async def test_no_message_has_extensions(service: Any) -> None:
    (answer,) = await ask(service, {"all_extension_numbers_of_type": "shop.v1.Item"})
    assert answer.all_extension_numbers_response.base_type_name == "shop.v1.Item"
    assert answer.all_extension_numbers_response.extension_number == []


async def test_health_is_shown_with_its_published_enum(service: Any) -> None:
    (answer,) = await ask(service, {"file_containing_symbol": "grpc.health.v1.Health"})
    pool = descriptor_pool.DescriptorPool()
    pool.Add(files(answer)[0])
    status = pool.FindMessageTypeByName("grpc.health.v1.HealthCheckResponse").fields_by_name["status"]
    assert [(value.name, value.number) for value in status.enum_type.values] == [
        ("UNKNOWN", 0),
        ("SERVING", 1),
        ("NOT_SERVING", 2),
        ("SERVICE_UNKNOWN", 3),
    ]
