"""The streams of Greeter, WeatherService and UserService, in memory."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from atlas.services import users as users_module
from atlas.services.hello import Greeter, HelloRequest
from atlas.services.users import ChatMessage, UserService
from atlas.services.weather import GetWeatherRequest, WeatherResponse, WeatherService
from atlas.store import UserStore
from polywire import App
from polywire.errors import Code, RpcError
from polywire.schema.types import Shape
from polywire.testing import TestClient
from tests.atlas.talk import Talk, nothing_is_left, until

SHAPES = {
    "hello.Greeter/SayHelloStream": Shape.SERVER_STREAM,
    "hello.Greeter/Chat": Shape.BIDI_STREAM,
    "weather.WeatherService/SubscribeWeather": Shape.SERVER_STREAM,
    "weather.WeatherService/ReportBatch": Shape.CLIENT_STREAM,
    "weather.WeatherService/WeatherChat": Shape.BIDI_STREAM,
    "user.UserService/ListUsers": Shape.SERVER_STREAM,
    "user.UserService/UploadUsers": Shape.CLIENT_STREAM,
    "user.UserService/Chat": Shape.BIDI_STREAM,
}


@pytest.fixture
async def quick(store: UserStore) -> AsyncIterator[TestClient]:
    """The services without their pauses; nothing may be left of a call."""
    async with TestClient(App(Greeter(0), WeatherService(0), UserService(store))) as client:
        yield client
        await nothing_is_left(client)
        assert room(client).members == set()


def room(client: TestClient) -> Any:
    service = client.app.services[-1].instance
    assert isinstance(service, UserService)
    return service.room


async def failure(awaitable: Any) -> tuple[Code, str | None]:
    with pytest.raises(RpcError) as caught:
        await awaitable
    return caught.value.code, caught.value.reason


def test_shapes_and_numbers_are_the_contract() -> None:
    methods = {m.full_name: m for s in (Greeter, WeatherService, UserService) for m in s.__polywire__.methods}
    assert {name: methods[name].shape for name in SHAPES} == SHAPES

    def numbers(message: Any) -> dict[str, int]:
        return {field.name: field.number for field in message.fields}

    for name in ("GetWeather", "SubscribeWeather", "WeatherChat"):
        method = methods[f"weather.WeatherService/{name}"]
        assert method.input.full_name == "weather.GetWeatherRequest"
        assert numbers(method.input) == {"city_code": 1, "extended": 2}
        assert numbers(method.output) == {"temperature": 1, "humidity": 2, "description": 3, "timestamp": 4}
    upload = methods["user.UserService/UploadUsers"]
    assert upload.input is methods["user.UserService/CreateUser"].input
    assert (upload.input.full_name, numbers(upload.input)) == (
        "user.CreateUserRequest",
        {"name": 1, "email": 2, "age": 3},
    )
    chat = methods["user.UserService/Chat"]
    assert chat.input is chat.output
    assert (chat.input.full_name, numbers(chat.input)) == ("user.ChatMessage", {"user": 1, "text": 2, "timestamp": 3})


async def test_five_greetings(quick: TestClient) -> None:
    replies = [r async for r in quick.grpc_stream("hello.Greeter/SayHelloStream", {"name": "Bob"})]
    assert [reply.message for reply in replies] == [f"Hey Bob, message {number} of 5" for number in range(1, 6)]
    assert all(reply.server_id and reply.timestamp for reply in replies)


async def test_greetings_are_a_second_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert len([reply async for reply in Greeter().say_hello_stream(HelloRequest("Bob"))]) == 5
    assert slept == [1.0] * 4


async def test_a_greeting_for_each_who_comes(quick: TestClient) -> None:
    talk = Talk(quick, "hello.Greeter/Chat")
    for language, text in (("es", "¡Hola, Bob!"), ("", "Hey, Bob!")):
        talk.say(HelloRequest("Bob", language))
        assert (await talk.hear()).message == text
    talk.end()
    assert await talk.hear() is None


async def test_the_weather_goes_on_until_nobody_listens(quick: TestClient) -> None:
    stream = quick.grpc_stream("weather.WeatherService/SubscribeWeather", {"city_code": "SYD"})
    heard = [await anext(stream) for _ in range(20)]
    assert {weather.description for weather in heard} == {"sunny"}
    await stream.aclose()


async def test_reports_are_averaged(quick: TestClient) -> None:
    reports = [WeatherResponse(10.0, 50.0, "", 5), WeatherResponse(20.0, 70.0, "", 3)]
    average = await quick.grpc("weather.WeatherService/ReportBatch", reports)
    assert average == WeatherResponse(15.0, 60.0, "average of 2 reports", 5)
    big = [WeatherResponse(1e308, 0.0, "", 0)] * 3
    assert (await quick.grpc("weather.WeatherService/ReportBatch", big)).temperature == pytest.approx(1e308)


async def test_reports_that_have_no_average(quick: TestClient) -> None:
    method = "weather.WeatherService/ReportBatch"
    assert await failure(quick.grpc(method, [])) == (Code.INVALID_ARGUMENT, "NO_REPORTS")
    for value in (math.nan, math.inf):
        report = WeatherResponse(value, 0.0, "", 0)
        assert await failure(quick.grpc(method, [report])) == (Code.INVALID_ARGUMENT, "NOT_FINITE")


async def test_weather_for_each_city_that_is_asked_for(quick: TestClient) -> None:
    talk = Talk(quick, "weather.WeatherService/WeatherChat")
    talk.say(GetWeatherRequest("SYD"))
    assert (await talk.hear()).description == "sunny"
    talk.say(GetWeatherRequest("lon", True))
    assert (await talk.hear()).description.startswith("light rain, ")
    talk.say(GetWeatherRequest("XXX"))
    assert await failure(talk.hear()) == (Code.NOT_FOUND, "CITY_NOT_FOUND")


async def test_an_upload_of_users(quick: TestClient, store: UserStore) -> None:
    users = [
        {"name": "Bob", "email": "bob@example.com"},
        {"name": "Eve", "email": "Alice@example.com"},
        {"name": "Bob", "email": "bob@example.com"},
        {"name": "Carol", "email": "carol@example.com", "age": 50},
    ]
    summary = await quick.grpc("user.UserService/UploadUsers", users)
    assert (summary.created, summary.skipped) == (2, 2)
    assert [(problem.index, problem.reason) for problem in summary.problems] == [(1, "EMAIL_TAKEN"), (2, "EMAIL_TAKEN")]
    assert store.page(None, 0, 1)[1] == 102


async def test_an_upload_stops_at_the_first_that_is_no_user(quick: TestClient, store: UserStore) -> None:
    users = [{"name": "Bob", "email": "bob@example.com"}, {"name": "Eve", "email": "nobody"}]
    assert await failure(quick.grpc("user.UserService/UploadUsers", users)) == (Code.INVALID_ARGUMENT, "INVALID")
    assert store.page(None, 0, 1)[1] == 101


async def test_an_upload_is_bounded(quick: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users_module, "MOST_UPLOADED", 2)
    monkeypatch.setattr(users_module, "MOST_PROBLEMS", 1)
    taken = {"name": "Eve", "email": "alice@example.com"}
    summary = await quick.grpc("user.UserService/UploadUsers", [taken] * 2)
    assert (summary.skipped, len(summary.problems)) == (2, 1)
    call = quick.grpc("user.UserService/UploadUsers", [taken] * 3)
    assert await failure(call) == (Code.RESOURCE_EXHAUSTED, "TOO_MANY_USERS")


async def test_everybody_hears_everything_in_one_order(quick: TestClient) -> None:
    alice, bob = (Talk(quick, "user.UserService/Chat") for _ in range(2))
    await until(lambda: len(room(quick).members) == 2)
    alice.say(ChatMessage("Alice", "hello", timestamp=7))
    first = [await talk.hear() for talk in (alice, bob)]
    assert first[0] == first[1]
    assert (first[0].user, first[0].text) == ("Alice", "hello")
    assert first[0].timestamp > 1_700_000_000, "the time is the server's"
    alice.say(*(ChatMessage("Alice", str(number)) for number in range(20)))
    bob.say(*(ChatMessage("Bob", str(number)) for number in range(20)))
    heard = [[await talk.hear() for _ in range(40)] for talk in (alice, bob)]
    assert heard[0] == heard[1]
    for name in ("Alice", "Bob"):
        assert [m.text for m in heard[0] if m.user == name] == [str(number) for number in range(20)]
    alice.end()
    assert await alice.rest() == []
    bob.say(ChatMessage("Bob", "alone"))
    assert (await bob.hear()).text == "alone"
    bob.leave()


async def test_who_comes_later_hears_what_is_said_then(quick: TestClient) -> None:
    alice = Talk(quick, "user.UserService/Chat")
    alice.say(ChatMessage("Alice", "early"))
    await alice.hear()
    bob = Talk(quick, "user.UserService/Chat")
    await until(lambda: len(room(quick).members) == 2)
    alice.say(ChatMessage("Alice", "late"))
    assert (await bob.hear()).text == "late"
    alice.leave()
    bob.leave()


async def test_one_who_says_its_last_has_heard_itself(quick: TestClient) -> None:
    said = [{"user": "Alice", "text": str(number)} for number in range(1000)]
    heard = [m.text async for m in quick.grpc_stream("user.UserService/Chat", said)]
    assert heard == [message["text"] for message in said]


async def test_one_who_does_not_read_is_let_go(quick: TestClient) -> None:
    slow, fast = (Talk(quick, "user.UserService/Chat") for _ in range(2))
    slow.sink.paused = True
    await until(lambda: len(room(quick).members) == 2)
    text = "x" * 4000
    for _ in range(300):
        fast.say(ChatMessage("Bob", text))
        assert (await fast.hear()).text == text
    slow.sink.resume()
    slow.sink.paused = False
    assert await failure(slow.rest()) == (Code.RESOURCE_EXHAUSTED, "SLOW_CONSUMER")
    fast.leave()


async def test_a_room_is_full_some_day(quick: TestClient) -> None:
    room(quick)._most_members = 1
    alice = Talk(quick, "user.UserService/Chat")
    await until(lambda: len(room(quick).members) == 1)
    assert await failure(Talk(quick, "user.UserService/Chat").hear()) == (Code.RESOURCE_EXHAUSTED, "ROOM_FULL")
    alice.leave()
    await until(lambda: not room(quick).members)
    assert [m.text async for m in quick.grpc_stream("user.UserService/Chat", [{"user": "B", "text": "x"}])] == ["x"]


@pytest.mark.parametrize("message", [{"user": "", "text": "x"}, {"user": "A", "text": "x" * 4001}])
async def test_what_may_not_be_said_ends_the_chat(quick: TestClient, message: dict[str, str]) -> None:
    stream = quick.grpc_stream("user.UserService/Chat", [message])
    assert await failure(anext(stream)) == (Code.INVALID_ARGUMENT, "INVALID")


async def test_over_rest(quick: TestClient) -> None:
    lines = b'{"user": "Alice", "text": "hello"}\n{"user": "Alice", "text": "again"}\n'
    ndjson = [("content-type", "application/x-ndjson")]
    answer = await quick.post("/v1/users/chat", body=lines, headers=ndjson)
    assert answer.status == 200
    assert [line.partition('"text":')[2][:7] for line in answer.text.splitlines()] == ['"hello"', '"again"']
    answer = await quick.get("/v1/users/stream", params={"page_size": "3"})
    assert len(answer.text.splitlines()) == 3
    answer = await quick.post("/v1/users/batch", body=b'{"name": "Bob", "email": "bob@example.com"}', headers=ndjson)
    assert answer.json()["created"] == 1
