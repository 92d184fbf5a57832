"""`contract import`: what is made of a .proto file speaks with grpcio's code of the same file, byte for byte."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc_tools
import pytest
from click.testing import CliRunner
from google.protobuf import empty_pb2, json_format
from grpc_tools import protoc

from polywire import App
from polywire.cli.commands import cli
from polywire.codec import Format, message_codec
from polywire.contract.importer import import_proto
from polywire.protofile import ProtoError
from polywire.schema import message_type
from polywire.testing import TestClient
from tests.client.servers import running

PROTOS = Path(__file__).parent / "protos"
SHOP = PROTOS / "shop" / "shop.proto"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, Any]]:
    """The imported module, and protoc's two."""
    folder = tmp_path_factory.mktemp("imported")
    package = folder / "imported_shop"
    package.mkdir()
    result = CliRunner().invoke(cli, ["contract", "import", str(SHOP), "--root", str(PROTOS), "--to", str(package)])
    assert result.exit_code == 0, result.output
    google = Path(grpc_tools.__file__).parent / "_proto"
    apis = Path(importlib.import_module("google.api.annotations_pb2").__file__ or "").parents[2]
    for file in ("shop/types.proto", "shop/shop.proto"):
        arguments = [f"-I{PROTOS}", f"-I{google}", f"-I{apis}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
        assert protoc.main(["protoc", *arguments, str(PROTOS / file)]) == 0
    sys.path.insert(0, str(folder))
    before = set(sys.modules)
    try:
        yield (
            importlib.import_module("imported_shop.shop_shop_pb"),
            importlib.import_module("shop.shop_pb2"),
            importlib.import_module("shop.shop_pb2_grpc"),
        )
    finally:
        sys.path.remove(str(folder))
        # Others call their modules `shop` as well.
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in ("shop", "imported_shop"):
                del sys.modules[name]


FULL = {
    "id": -1,
    "number": "-9000000000",
    "small": 4294967295,
    "big": "18446744073709551615",
    "delta": -2147483648,
    "far": "-9223372036854775808",
    "f32": 4294967295,
    "f64": "18446744073709551615",
    "s32": -5,
    "s64": "-6",
    "paid": True,
    "blob": "AAEC",
    "note": "",
    "count": 0,
    "deltas": [0, -1, 1, 2147483647],
    "marks": ["0", "1"],
    "items": {
        "a": {
            "name": "pen",
            "price": {"currency": "EUR", "units": "-3", "nanos": -7},
            "sizes": [{"width": 1.5, "height": 0.25, "unit": "UNIT_MM"}, {}],
            "since": "2026-01-02T03:04:05.000006Z",
        }
    },
    "names": {"-1": "x", "7": ""},
    "status": "STATUS_SENT",
    "color": "DARK",
    "history": ["STATUS_OPEN"],
    "cash": {"currency": "CHF"},
    "took": "1.500s",
    "alias": "Bob",
    "class": "first",
    "size": {"width": 2.0},
    "parent": {"id": 2, "free": False},
}


ORDERS: list[Any] = [FULL, {}, {"color": "GREEN"}, {"card": ""}, {"parent": {"parent": {}}}]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_the_same_bytes_both_ways(made: tuple[Any, Any, Any], order: Any) -> None:
    ours, theirs, _ = made
    wire = json_format.ParseDict(order, theirs.Order()).SerializeToString(deterministic=True)
    codec = message_codec(message_type(ours.Order), Format.PROTOBUF)
    assert codec.encode(codec.decode(wire)) == wire


def make_service(ours: Any) -> Any:
    class Orders(ours.OrderService):  # type: ignore[misc, name-defined]
        async def get_order(self, request: Any) -> Any:
            return ours.Order(id=request.id, delta=-request.id)

        async def put_order(self, request: Any) -> Any:
            return request

        async def forget(self, request: Any) -> None:
            return None

        async def watch(self, request: Any) -> AsyncIterator[Any]:
            for number in range(request.id):
                yield ours.Order(id=number, far=-number)

        async def upload(self, requests: Any) -> Any:
            return ours.Orders([order async for order in requests])

        async def mirror(self, requests: Any) -> AsyncIterator[Any]:
            async for order in requests:
                yield order

    return Orders()


async def test_grpcio_calls_every_shape(made: tuple[Any, Any, Any]) -> None:
    ours, theirs, stubs = made
    full = json_format.ParseDict(FULL, theirs.Order())
    async with running(make_service(ours)) as url, grpc.aio.insecure_channel(url.removeprefix("http://")) as channel:
        stub = stubs.OrderServiceStub(channel)
        assert await stub.GetOrder(theirs.GetOrderRequest(id=7)) == theirs.Order(id=7, delta=-7)
        assert await stub.PutOrder(full) == full
        assert (await stub.Forget(theirs.GetOrderRequest())).ByteSize() == 0
        assert [one.far async for one in stub.Watch(theirs.GetOrderRequest(id=3))] == [0, -1, -2]
        assert list((await stub.Upload(iter([full, full]))).orders) == [full, full]
        assert [one async for one in stub.Mirror(iter([full, theirs.Order()]))] == [full, theirs.Order()]
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Reset(empty_pb2.Empty())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_grpcio_sees_the_bytes_that_it_would_have_written(made: tuple[Any, Any, Any]) -> None:
    ours, theirs, _ = made
    wires = [json_format.ParseDict(order, theirs.Order()).SerializeToString(deterministic=True) for order in ORDERS]
    async with running(make_service(ours)) as url, grpc.aio.insecure_channel(url.removeprefix("http://")) as channel:
        # Without serializers a call takes and gives what stands on the wire.
        put = channel.unary_unary("/shop.v1.OrderService/PutOrder")
        assert [await put(wire) for wire in wires] == wires
        mirror = channel.stream_stream("/shop.v1.OrderService/Mirror")
        assert [wire async for wire in mirror(iter(wires))] == wires
        upload = channel.stream_unary("/shop.v1.OrderService/Upload")
        orders = theirs.Orders(orders=map(theirs.Order.FromString, wires))
        assert await upload(iter(wires)) == orders.SerializeToString(deterministic=True)


async def test_its_routes_answer(made: tuple[Any, Any, Any]) -> None:
    ours, _, _ = made
    async with TestClient(App(make_service(ours))) as client:
        for path in ("/v1/orders/7", "/orders/7"):
            assert (await client.get(path)).json()["delta"] == -7
        assert (await client.put("/v1/orders/8", json={"paid": True})).json()["paid"] is True


def test_what_cannot_be_said_is_told() -> None:
    notes = import_proto([SHOP], [PROTOS]).notes
    told = [note.partition(": ")[2] for note in notes]
    assert "class is called class_ in Python, and in JSON" in told
    assert any("Color is an open enum" in note for note in told)
    assert any("/v1/{order.id=orders/*} is left out" in note for note in told)
    assert all(note.startswith("shop/") for note in notes)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("message A { int32 a = 1 }", "x.proto:2:25: expected ';', found '}'"),
        ("message A { Nope a = 1; }", "x.proto:2:13: Nope is not declared"),
        ("message A { int32 a = 1; int32 b = 1; }", "x.proto:2:32: b has the number 1 of a"),
        ("enum E { A = 1; }", "x.proto:2:10: the first value of E must be 0 in proto3"),
        ('import "nope.proto";', "x.proto:2:8: there is no file 'nope.proto'"),
        ("message A { reserved 1; int32 a = 1; }", "x.proto:2:31: a has the number 1, which is reserved"),
    ],
)
def test_a_broken_file_is_told_by_line_and_column(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "x.proto"
    file.write_text(f'syntax = "proto3";\n{text}\n')
    with pytest.raises(ProtoError) as caught:
        import_proto([file])
    assert str(caught.value).startswith(problem)


def test_the_routes_of_our_own_comments(tmp_path: Path) -> None:
    text = (
        'syntax = "proto3"; package a; message M { string id = 1; }\n'
        "service S {\n  // Says it.\n  //\n  // HTTP: GET /v1/m/{id*}\n"
        "  rpc Get(M) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; }\n}\n"
    )
    (tmp_path / "a.proto").write_text(text)
    found = import_proto([tmp_path / "a.proto"])
    assert found.notes == []
    assert '@query("GET /v1/m/{id*}")' in found.modules["a_pb.py"]
    assert '"""Says it."""' in found.modules["a_pb.py"]
