"""What streams do over gRPC alone: initial metadata by itself, and where an error stands then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from polywire import App, Message, NotFound, Service, Tracked, current_call, mutation, query
from polywire.protocols.rpc.framing import frame
from polywire.testing import MemorySink, TestClient


class Word(Message):
    text: str


W = frame(b"\x0a\x01w")


class Early(Service, package="early"):
    def __init__(self) -> None:
        self.go = asyncio.Event()

    @query
    async def words(self, fail: bool = False) -> AsyncIterator[Word]:
        await self._announce()
        if fail:
            raise NotFound("nothing")
        yield Word("w")

    @mutation
    async def join(self, words: AsyncIterator[Word]) -> Word:
        await self._announce()
        return Word("".join([word.text async for word in words]))

    @query
    async def unary(self) -> Word:
        await self._announce()
        return Word("w")

    @query
    async def resumed(self) -> AsyncIterator[Tracked[Word]]:
        yield Tracked("p2", Word(current_call().resume_after or "nowhere"))

    async def _announce(self) -> None:
        call = current_call()
        call.response_metadata.add("x-color", "red")
        call.send_metadata()
        call.send_metadata()
        call.response_metadata.add("x-late", "lost")
        await self.go.wait()


@pytest.fixture
def service() -> Early:
    return Early()


@pytest.fixture
async def client(service: Early) -> AsyncIterator[TestClient]:
    async with TestClient(App(service)) as client:
        yield client


def call(client: TestClient, method: str, body: bytes = frame(b"")) -> MemorySink:
    headers = [("content-type", "application/grpc"), ("te", "trailers")]
    return client.open("POST", f"/early.Early/{method}", headers=headers, body=body, version="2")


@pytest.mark.parametrize(("method", "body"), [("Words", frame(b"")), ("Join", W)])
async def test_metadata_goes_out_before_the_first_message(
    client: TestClient, service: Early, method: str, body: bytes
) -> None:
    sink = call(client, method, body)
    assert sink._answer.status == 200
    assert sink._answer.headers["x-color"] == "red"
    assert not sink.closed
    service.go.set()
    answer = await sink.answer()
    assert (answer.body, answer.trailers["grpc-status"]) == (W, "0")
    assert "x-late" not in answer.headers


async def test_then_an_error_stands_in_the_trailers(client: TestClient, service: Early) -> None:
    sink = call(client, "Words", frame(b"\x08\x01"))
    assert sink._answer.headers["x-color"] == "red"
    service.go.set()
    answer = await sink.answer()
    assert "grpc-status" not in answer.headers
    assert (answer.trailers["grpc-status"], answer.trailers["grpc-message"]) == ("5", "nothing")
    assert "x-request-id" in answer.trailers


async def test_a_unary_call_sends_it_with_the_answer(client: TestClient, service: Early) -> None:
    sink = call(client, "Unary")
    assert sink._answer.status == 0
    service.go.set()
    answer = await sink.answer()
    assert (answer.headers["x-color"], answer.headers["x-late"], answer.body) == ("red", "lost", W)


async def test_a_caller_may_say_where_to_go_on_but_gets_no_positions(client: TestClient) -> None:
    stream = client.grpc_stream("early.Early/Resumed", metadata=[("last-event-id", "p1")])
    assert [word async for word in stream] == [Word("p1")]
