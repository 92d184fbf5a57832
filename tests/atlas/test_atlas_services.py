from __future__ import annotations

import json
import time
from typing import Any

import pytest

from atlas.services.hello import Greeter, HelloRequest
from atlas.services.users import UserService
from atlas.services.weather import CLIMATES, warmth_at
from atlas.store import UserStore
from polywire.errors import Code, RpcError
from polywire.schema.types import Shape
from polywire.testing import TestClient

ALICE = {"id": 42, "name": "Alice", "email": "alice@example.com", "age": 30, "roles": ["admin", "member"]}


def numbers(service: type[Any], method: str) -> tuple[dict[str, int], dict[str, int]]:
    (found,) = [one for one in service.__polywire__.methods if one.name == method]
    return (
        {field.name: field.number for field in found.input.fields},
        {field.name: field.number for field in found.output.fields},
    )


async def rest(client: TestClient, verb: str, target: str, body: Any = None) -> tuple[int, Any]:
    answer = await (client.request(verb, target) if body is None else client.request(verb, target, json=body))
    return answer.status, json.loads(answer.body) if answer.body else None


USER = {"id": 1, "name": 2, "email": 3, "age": 4, "roles": 5}


def test_names_and_numbers_are_the_contract() -> None:
    reply = {"message": 1, "server_id": 2, "timestamp": 3}
    assert numbers(Greeter, "SayHello") == ({"name": 1, "language": 2, "metadata": 3}, reply)
    assert Greeter.__polywire__.full_name == "hello.Greeter"
    assert numbers(UserService, "GetUser") == ({"id": 1}, USER)
    assert numbers(UserService, "CreateUser") == ({"name": 1, "email": 2, "age": 3}, USER)
    assert numbers(UserService, "ListUsers") == ({"page_size": 1, "page_token": 2}, USER)
    shapes = {method.name: method.shape for method in UserService.__polywire__.methods}
    assert shapes["ListUsers"] is Shape.SERVER_STREAM


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Hey, Bob!"),
        ("es", "¡Hola, Bob!"),
        ("fr", "Salut, Bob!"),
        ("de", "Hallo, Bob!"),
        ("xx", "Hey, Bob!"),
        ("", "Hey, Bob!"),
    ],
)
async def test_greetings(language: str, text: str) -> None:
    reply = await Greeter().say_hello(HelloRequest("Bob", language))
    assert reply.message == text
    assert reply.server_id
    assert abs(reply.timestamp - time.time()) < 5


async def test_a_name_is_a_name_and_no_format() -> None:
    assert (await Greeter().say_hello(HelloRequest("{0.__class__}"))).message == "Hey, {0.__class__}!"


async def test_weather(client: TestClient) -> None:
    status, weather = await rest(client, "GET", "/v1/weather/lon")
    assert status == 200
    assert set(weather) == {"temperature", "humidity", "description", "timestamp"}
    assert abs(weather["temperature"] - CLIMATES["LON"].temperature) <= 5
    _, extended = await rest(client, "GET", "/v1/weather/LON?extended=true")
    assert extended["description"].startswith("light rain, ")
    status, error = await rest(client, "GET", "/v1/weather/XXX")
    assert (status, error["error"]["reason"]) == (404, "CITY_NOT_FOUND")


def test_afternoons_are_warm() -> None:
    assert warmth_at(15 * 3600, 0) == pytest.approx(1)
    assert warmth_at(3 * 3600, 0) == pytest.approx(-1)
    assert warmth_at(3 * 3600, 180) == pytest.approx(1)


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_user_42(client: TestClient, prefix: str) -> None:
    assert await rest(client, "GET", f"{prefix}/users/42") == (200, ALICE)


async def test_the_life_of_a_user(client: TestClient) -> None:
    status, made = await rest(client, "POST", "/v1/users", {"name": "Bob", "email": "bob@example.com"})
    assert status == 201
    assert made == {"id": made["id"], "name": "Bob", "email": "bob@example.com", "age": None, "roles": ["member"]}
    target = f"/v1/users/{made['id']}"
    assert await rest(client, "GET", target) == (200, made)
    status, changed = await rest(client, "PATCH", target, {"age": 40})
    assert (status, changed) == (200, {**made, "age": 40})
    assert await rest(client, "DELETE", target) == (204, None)
    for verb, body in (("GET", None), ("DELETE", None), ("PATCH", {"age": 1})):
        status, error = await rest(client, verb, target, body)
        assert (status, error["error"]["code"], error["error"]["reason"]) == (404, "NOT_FOUND", "USER_NOT_FOUND")


async def test_an_address_that_is_taken(client: TestClient) -> None:
    for verb, target in (("POST", "/v1/users"), ("PATCH", "/v1/users/1")):
        status, error = await rest(client, verb, target, {"name": "Eve", "email": "alice@example.com"})
        assert (status, error["error"]["code"], error["error"]["reason"]) == (409, "ALREADY_EXISTS", "EMAIL_TAKEN")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "alice"),
        ("email", "alice@example"),
        ("email", "a b@example.com"),
        ("email", "a@b@example.com"),
        ("email", "alice@example.com\n"),
        ("email", "@example.com"),
        ("email", "alice@-.x"),
        ("email", f"{'a' * 250}@example.com"),
        ("email", 7),
        ("name", ""),
        ("name", "x" * 101),
        ("name", "B\0b"),
        ("email", "b\0b@example.com"),
        ("age", -1),
        ("age", 151),
        ("age", "old"),
    ],
)
async def test_bad_fields_are_named(client: TestClient, field: str, value: Any) -> None:
    body = {"name": "Bob", "email": "bob@example.com", field: value}
    status, error = await rest(client, "POST", "/v1/users", body)
    assert status == 422
    assert [detail["field"] for detail in error["error"]["details"]] == [field]


async def test_pages(client: TestClient) -> None:
    status, page = await rest(client, "GET", "/v1/users")
    assert status == 200
    assert ([user["id"] for user in page["users"]], page["total"]) == (list(range(1, 21)), 100)
    assert page["next_offset"] == 20
    _, last = await rest(client, "GET", "/users?offset=95&limit=10")
    assert ([user["id"] for user in last["users"]], last["next_offset"]) == ([96, 97, 98, 99, 100], None)
    _, admins = await rest(client, "GET", "/v1/users?role=admin")
    assert (admins["users"], admins["total"]) == ([ALICE], 1)
    status, _ = await rest(client, "GET", "/v1/users?role=a%00b")
    assert status == 422


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "offset=-1"])
async def test_a_limit_always_applies(client: TestClient, query: str) -> None:
    status, _ = await rest(client, "GET", f"/v1/users?{query}")
    assert status == 422


@pytest.mark.parametrize(
    ("size", "token", "ids"),
    [
        (0, "", range(1, 101)),
        (3, "", range(1, 4)),
        (3, "40", range(41, 44)),
        (0, "98", range(99, 101)),
        (1000, "", range(1, 101)),
    ],
)
async def test_the_stream_of_users(store: UserStore, size: int, token: str, ids: range) -> None:
    users = [user async for user in UserService(store).list_users(size, token)]
    assert [user.id for user in users] == list(ids)


async def test_the_stream_goes_on_beyond_one_look(store: UserStore) -> None:
    more = [store.create("Bob", f"bob{number}@example.com", None).id for number in range(150)]
    users = [user async for user in UserService(store).list_users(220)]
    assert [user.id for user in users] == [*range(1, 101), *more[:120]]


async def test_the_same_over_grpc(client: TestClient) -> None:
    user = await client.grpc("user.UserService/GetUser", {"id": 42})
    assert (user.name, user.email, user.age, user.roles) == ("Alice", "alice@example.com", 30, ["admin", "member"])
    made = await client.grpc("user.UserService/CreateUser", {"name": "Bob", "email": "bob@example.com"})
    await client.grpc("user.UserService/DeleteUser", {"id": made.id})
    with pytest.raises(RpcError) as caught:
        await client.grpc("user.UserService/GetUser", {"id": made.id})
    assert caught.value.code is Code.NOT_FOUND
    reply = await client.grpc("hello.Greeter/SayHello", {"name": "Bob", "language": "es"})
    assert reply.message == "¡Hola, Bob!"
    weather = await client.grpc("weather.WeatherService/GetWeather", {"city_code": "SYD"})
    assert weather.description == "sunny"
    users = [user async for user in client.grpc_stream("user.UserService/ListUsers", {"page_size": 3})]
    assert [user.id for user in users] == [1, 2, 3]
