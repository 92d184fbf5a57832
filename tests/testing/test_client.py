"""The client that users test their services with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

import pytest
from msgspec import Meta

from polywire import (
    App,
    Code,
    FieldViolation,
    Int32,
    Internal,
    InvalidInput,
    Message,
    NotFound,
    ResourceExhausted,
    RpcError,
    Service,
    Unauthenticated,
    Unimplemented,
    current_call,
    mutation,
    query,
)
from polywire.codec import WrongResult
from polywire.runtime.call import Peer
from polywire.testing import TestClient


class Item(Message):
    number: Int32


class Items(Service, package="shop"):
    def __init__(self) -> None:
        self.running = 0
        self.entered = asyncio.Event()

    @query("GET /items/{number}")
    async def get(self, number: Int32, tag: str = "") -> Item:
        if not number:
            raise NotFound(
                "no item 0: 100% gone é",
                reason="NO_ITEM",
                details=[FieldViolation("number", "is 0")],
                metadata={"Retry-After": "3"},
            )
        return Item(number)

    @query("GET /raw")
    async def raw(self, text: str = "", other: str = "") -> str:
        return f"{text}|{other}"

    @mutation("POST /items", "PUT /items", "PATCH /items")
    async def put(self, item: Item) -> Item:
        return item

    @mutation("DELETE /items/{number}")
    async def delete(self, number: Int32) -> None: ...

    @query
    async def maybe(self, there: bool) -> Int32 | None:
        return 7 if there else None

    @query
    async def limited(self, count: Annotated[Int32, Meta(le=10)]) -> Int32:
        return count

    @query
    async def fails(self, code: str) -> None:
        raise RpcError("told to", code=Code[code])

    @query
    async def who(self) -> list[str]:
        call = current_call()
        return [call.peer.address, call.metadata.get("authorization") or "nobody", str(call.timeout_s)]

    @query("GET /hangs")
    async def hangs(self) -> None:
        self.running += 1
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.running -= 1

    @query
    async def count(self, up_to: Int32) -> AsyncIterator[Item]:
        self.running += 1
        try:
            for number in range(up_to):
                yield Item(number)
                await asyncio.sleep(0)
            if up_to > 2:
                raise NotFound("no more")
        finally:
            self.running -= 1

    @mutation
    async def total(self, items: AsyncIterator[Item]) -> Int32:
        return sum([item.number async for item in items])


@pytest.fixture
def service() -> Items:
    return Items()


@pytest.fixture
async def client(service: Items) -> AsyncIterator[TestClient]:
    async with TestClient(App(service)) as client:
        yield client


async def test_http(client: TestClient) -> None:
    answer = await client.get("/items/1")
    assert (answer.status, answer.json(), answer.text) == (200, {"number": 1}, '{"number":1}')
    for verb in (client.post, client.put, client.patch):
        assert (await verb("/items", json={"number": 2})).json() == {"number": 2}
    assert (await client.delete("/items/1")).status == 204
    assert (await client.get("/items/0")).status == 404


async def test_parameters(client: TestClient) -> None:
    assert (await client.get("/raw", params={"text": "a&b é"})).json() == "a&b é|"
    assert (await client.get("/raw?text=a", params=[("other", "b")])).json() == "a|b"


async def test_raw_bodies_and_headers(client: TestClient) -> None:
    answer = await client.post("/items", body=b'{"number": 3}', headers=[("Content-Type", "application/json")])
    assert answer.json() == {"number": 3}
    assert (await client.post("/items", json=None)).status == 422, "null is a body too"


async def test_grpc(client: TestClient) -> None:
    assert await client.grpc("shop.Items/Get", {"number": 1}) == Item(1)
    assert await client.grpc("shop.Items/Put", Item(2)) == Item(2)
    assert await client.grpc("shop.Items/Delete", {"number": 1}) is None
    assert await client.grpc("shop.Items/Maybe", {"there": True}) == 7
    assert await client.grpc("shop.Items/Maybe", {"there": False}) is None
    assert await client.grpc("shop.Items/Total", [Item(1), {"number": 2}]) == 3
    assert await client.grpc("shop.Items/Total") == 0


async def test_what_goes_beside_the_message(client: TestClient) -> None:
    assert await client.grpc("shop.Items/Who") == ["127.0.0.1", "nobody", "30.0"]
    metadata = [("authorization", "Bearer x")]
    assert await client.grpc("shop.Items/Who", metadata=metadata, timeout_s=0.25) == ["127.0.0.1", "Bearer x", "0.25"]
    assert (await client.grpc("shop.Items/Who", timeout_s=5000))[2] == "5000.0"
    async with TestClient(client.app, peer=Peer("10.0.0.1", 1)) as other:
        assert (await other.grpc("shop.Items/Who"))[0] == "10.0.0.1"


async def test_errors_have_everything(client: TestClient) -> None:
    with pytest.raises(NotFound) as caught:
        await client.grpc("shop.Items/Get", {"number": 0})
    error = caught.value
    assert (error.code, error.message, error.reason) == (Code.NOT_FOUND, "no item 0: 100% gone é", "NO_ITEM")
    assert error.details == (FieldViolation("number", "is 0"),)
    assert error.metadata is not None
    assert error.metadata["retry-after"] == "3"


@pytest.mark.parametrize("code", list(Code)[1:])
async def test_errors_have_their_class(client: TestClient, code: Code) -> None:
    with pytest.raises(RpcError) as caught:
        await client.grpc("shop.Items/Fails", {"code": code.name})
    assert type(caught.value).code is code
    assert caught.value.reason is None


async def test_what_breaks_a_constraint_is_for_the_service_to_refuse(client: TestClient) -> None:
    assert await client.grpc("shop.Items/Limited", {"count": 10}) == 10
    for request in ({"count": 11}, {"count": "x"}):
        with pytest.raises(InvalidInput) as caught:
            await client.grpc("shop.Items/Limited", request)
        assert caught.value.reason == "INVALID"
        assert [detail.field for detail in caught.value.details] == ["count"]
    with pytest.raises(InvalidInput):
        await client.grpc("shop.Items/Total", [Item(1), {"number": "x"}])


async def test_another_message_is_the_tests_mistake(client: TestClient) -> None:
    with pytest.raises(WrongResult, match="expected LimitedRequest, got Item"):
        await client.grpc("shop.Items/Limited", Item(1))


async def test_a_stream_comes_as_it_is_made(client: TestClient, service: Items) -> None:
    numbers = []
    async for item in client.grpc_stream("shop.Items/Count", {"up_to": 2}):
        assert service.running == 1
        numbers.append(item.number)
    assert (numbers, service.running) == ([0, 1], 0)


async def test_a_stream_raises_after_its_items(client: TestClient) -> None:
    items = client.grpc_stream("shop.Items/Count", {"up_to": 3})
    assert [(await anext(items)).number for _ in range(3)] == [0, 1, 2]
    with pytest.raises(NotFound):
        await anext(items)


async def test_a_stream_closed_early_cancels_the_call(client: TestClient, service: Items) -> None:
    async with aclosing(client.grpc_stream("shop.Items/Count", {"up_to": 1000})) as items:
        async for item in items:
            if item.number == 3:
                break
        (call,) = client.site.runtime.suspended
    assert call.task is not None
    await asyncio.wait({call.task})
    assert service.running == 0


async def test_one_answer_means_one(client: TestClient) -> None:
    for up_to in (0, 2):
        with pytest.raises(Internal, match=f"with {up_to} messages"):
            await client.grpc("shop.Items/Count", {"up_to": up_to})


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
async def test_cancelled_it_hangs_up(client: TestClient, service: Items, protocol: str) -> None:
    waiting = client.get("/hangs") if protocol == "rest" else client.grpc("shop.Items/Hangs")
    task = asyncio.ensure_future(waiting)
    await service.entered.wait()
    (call,) = client.site.runtime.suspended
    task.cancel()
    await asyncio.wait({task})
    if call.task is not None:
        await asyncio.wait({call.task})
    assert service.running == 0


async def test_a_method_that_is_not_there(client: TestClient) -> None:
    with pytest.raises(LookupError, match=r"there is no method 'shop.Items/Nothing'; there are shop.Items/Get, "):
        await client.grpc("shop.Items/Nothing")


async def test_the_size_of_a_message_is_limited() -> None:
    async with TestClient(App(Items(), max_request_bytes=10)) as client:
        with pytest.raises(ResourceExhausted):
            await client.grpc("shop.Items/Get", {"number": 1, "tag": "x" * 20})


async def test_interceptors_and_what_http_says() -> None:
    async def refuse(call: object, proceed: object) -> None:
        raise Unauthenticated("no")

    async with TestClient(App(Items(), interceptors=[refuse])) as client:
        with pytest.raises(Unauthenticated):
            await client.grpc("shop.Items/Get", {"number": 1})
        assert (await client.get("/items/1")).status == 401
        with pytest.raises(Unimplemented):
            await client.grpc("shop.Items/Get", {"number": 1}, metadata=[("grpc-encoding", "snappy")])


async def test_hooks_run_around_the_block() -> None:
    log: list[str] = []
    app = App(Items())
    app.on_start(lambda: log.append("start"))
    app.on_stop(lambda: log.append("stop"))
    async with TestClient(app):
        log.append("block")
    assert log == ["start", "block", "stop"]


async def test_a_start_that_fails_is_raised_and_what_started_is_stopped() -> None:
    log: list[str] = []
    app = App(Items())

    @app.on_start
    def fail() -> None:
        raise OSError("no database")

    app.on_stop(lambda: log.append("stop"))
    with pytest.raises(OSError, match="no database"):
        await TestClient(app).__aenter__()
    assert log == ["stop"]


async def test_the_block_leaves_no_call_behind(service: Items) -> None:
    before = asyncio.all_tasks()
    async with TestClient(App(service)) as client:
        sink = client.open("GET", "/hangs")
        assert service.running == 1
    assert (await sink.answer()).status == 503
    assert service.running == 0
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
