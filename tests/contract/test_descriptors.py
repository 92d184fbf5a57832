from __future__ import annotations

import pathlib
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_tools import protoc

from polywire.contract.descriptors import file_descriptors
from polywire.contract.proto import proto_texts
from polywire.schema.errors import SchemaError
from polywire.schema.types import Cardinality, Kind, MessageType, ServiceType

from .tables import EMPTY, ITEM, SHOP, field, message, method, of


def service(package: str, *methods: Any) -> ServiceType:
    return ServiceType("S", package, f"{package}.S", methods)


def compiled(texts: dict[str, str], folder: pathlib.Path) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    """What protoc makes of these files."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    out = folder / "set.bin"
    well_known = pathlib.Path(protoc.__file__).parent / "_proto"
    assert protoc.main(["protoc", f"-I{folder}", f"-I{well_known}", f"--descriptor_set_out={out}", *texts]) == 0
    return {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file}


def test_text_and_descriptors_are_equal(tmp_path: pathlib.Path) -> None:
    files = file_descriptors([SHOP])
    assert [file.name for file in files] == ["common.proto", "shop/v1.proto"]
    by_protoc = compiled(proto_texts([SHOP]), tmp_path)
    for file in files:
        assert file == by_protoc[file.name]


def test_upb_takes_them() -> None:
    pool = descriptor_pool.DescriptorPool()
    default: Any = descriptor_pool.Default()
    for name in ("timestamp", "duration", "empty"):
        path = f"google/protobuf/{name}.proto"
        __import__(f"google.protobuf.{name}_pb2")
        pool.AddSerializedFile(default.FindFileByName(path).serialized_pb)
    for file in file_descriptors([SHOP]):
        pool.AddSerializedFile(file.SerializeToString())
    item = pool.FindMessageTypeByName("shop.v1.Item")
    assert [one.name for one in item.fields] == [one.name for one in ITEM.fields]
    assert item.fields_by_name["note"].has_presence
    assert not item.fields_by_name["name"].has_presence
    assert item.fields_by_name["created_at"].message_type.full_name == "google.protobuf.Timestamp"
    assert item.fields_by_name["prices_by_shop"].message_type.GetOptions().map_entry
    assert [value.name for value in pool.FindEnumTypeByName("shop.v1.Status").values] == [
        "STATUS_UNSPECIFIED",
        "STATUS_ACTIVE",
        "STATUS_GONE",
    ]
    assert [one.name for one in pool.FindMessageTypeByName("shop.v1.Shape").oneofs] == ["kind"]
    chat = pool.FindServiceByName("shop.v1.Shop").FindMethodByName("Chat")
    assert chat.client_streaming
    assert chat.server_streaming


def test_text_carries_the_docs() -> None:
    text = proto_texts([SHOP])["shop/v1.proto"]
    assert "// Sells things.\nservice Shop {" in text
    assert (
        "  // One item. By its number.\n  //\n  // HTTP: GET /v1/items/{id}\n  // HTTP: GET /items/{id}\n"
        "  rpc GetItem(.shop.v1.GetItemRequest) returns (.shop.v1.Item) {\n"
        "    option idempotency_level = NO_SIDE_EFFECTS;\n  }\n"
    ) in text
    assert "// A thing\n// that is sold.\nmessage Item {" in text
    assert '  reserved 20, 22;\n  reserved "colour", "weight";\n  // Its number.\n  int32 id = 1;\n' in text


def test_nested_types_stand_in_their_message(tmp_path: pathlib.Path) -> None:
    inner = message("p.Outer.Inner", field("x", 1, Kind.STRING))
    outer = message("p.Outer", field("inner", 1, of(inner), explicit_presence=True))
    services = [service("p", method("Get", EMPTY, outer))]
    (file,) = file_descriptors(services)
    assert file.package == "p"
    assert [one.name for one in file.message_type] == ["Outer"]
    assert [one.name for one in file.message_type[0].nested_type] == ["Inner"]
    assert compiled(proto_texts(services), tmp_path)["p.proto"] == file


def test_names_of_oneofs_give_way(tmp_path: pathlib.Path) -> None:
    twin = message(
        "p.M",
        field("_x", 1, Kind.STRING),
        field("x", 2, Kind.STRING, explicit_presence=True, required=False, nullable=True),
    )
    services = [service("p", method("Get", EMPTY, twin))]
    (file,) = file_descriptors(services)
    assert [one.name for one in file.message_type[0].oneof_decl] == ["X_x"]
    assert compiled(proto_texts(services), tmp_path)["p.proto"] == file


def test_packages_in_a_circle_are_refused() -> None:
    a = message("a.M")
    b = MessageType("M", "b.M", type("M", (), {}), (field("m", 1, of(a)),))
    object.__setattr__(a, "fields", (field("m", 1, of(b)),))
    with pytest.raises(SchemaError, match=r"a\.proto -> b\.proto -> a\.proto.*import each other"):
        file_descriptors([service("a", method("Get", EMPTY, a))])


def test_no_package(tmp_path: pathlib.Path) -> None:
    services = [ServiceType("S", "", "S", (method("Get", EMPTY, message("M")),))]
    (file,) = file_descriptors(services)
    assert file.name == "default.proto"
    assert compiled(proto_texts(services), tmp_path)["default.proto"] == file


@pytest.mark.parametrize("name", ["id", "user_id", "a_1b", "x__y", "trailing_", "camelCase"])
def test_derived_names_follow_protoc(name: str, tmp_path: pathlib.Path) -> None:
    table = message("p.M", field(name, 1, Kind.STRING, cardinality=Cardinality.MAP, map_key=Kind.STRING))
    services = [service("p", method("Get", EMPTY, table))]
    assert compiled(proto_texts(services), tmp_path)["p.proto"] == file_descriptors(services)[0]
