"""A topic as its callers see it over REST: subscribing, resuming, polling, members, publishing, who may what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from polywire import App, Call, History, Int32, Message, PermissionDenied, SchemaError, Service, Topic, Tracked, query
from polywire.testing import TestClient
from polywire.topics import Gap, GapReason


class Tick(Message):
    cents: Int32


class Market(Service, package="market"):
    @query("GET /open")
    async def is_open(self) -> bool:
        return True


def make(**options: Any) -> tuple[Topic[Tick], App]:
    topic = Topic("prices.{symbol}", Tick, **{"history": History(count=5), **options})
    return topic, App(Market(), topics=[topic])


def told(event: Any) -> Any:
    """What an event says, without its position."""
    value = event.value if hasattr(event, "value") else event
    (what,) = [(key, value[key]) for key in ("data", "gap", "joined", "left") if value[key] is not None] or [None]
    return what


async def test_a_subscription_greets_and_then_tells_what_is_published() -> None:
    prices, app = make()
    async with TestClient(app) as client, aclosing(client.events("GET", "/topics/prices/ACME")) as events:
        greeting = await anext(events)
        assert told(greeting) is None
        assert greeting.id == greeting.value["position"]
        position = await prices.publish(Tick(5), symbol="ACME")
        await prices.publish(Tick(6), symbol="OTHER")
        await prices.publish(Tick(7), symbol="ACME")
        first = await anext(events)
        assert (first.id, first.value["position"], first.value["topic"]) == (
            str(position),
            str(position),
            "prices.ACME",
        )
        assert told(first) == ("data", {"cents": 5})
        assert told(await anext(events)) == ("data", {"cents": 7})


async def test_last_event_id_resumes_and_wins_over_after() -> None:
    prices, app = make()
    async with TestClient(app) as client:
        positions = [str(await prices.publish(Tick(n), symbol="ACME")) for n in range(4)]
        events = client.events("GET", f"/topics/prices/ACME?after={positions[0]}", after=positions[1])
        async with aclosing(events):
            greeting = await anext(events)
            assert (greeting.id, told(greeting)) == (positions[1], None)
            assert [told(await anext(events)) for _ in range(2)] == [("data", {"cents": n}) for n in (2, 3)]
            await prices.publish(Tick(9), symbol="ACME")
            assert told(await anext(events)) == ("data", {"cents": 9})


async def test_what_is_no_longer_kept_is_a_gap_then_the_rest() -> None:
    prices, app = make(history=History(count=1))
    async with TestClient(app) as client:
        first, *_ = [str(await prices.publish(Tick(n), symbol="ACME")) for n in range(4)]
        for after, reason in ((first, "HISTORY_GONE"), ("other:9", "EPOCH_CHANGED")):
            async with aclosing(client.events("GET", "/topics/prices/ACME", after=after)) as events:
                assert told(await anext(events)) == ("gap", {"after": after, "reason": reason})
                assert told(await anext(events)) == ("data", {"cents": 3})


async def test_a_position_that_is_none_is_refused() -> None:
    _, app = make()
    async with TestClient(app) as client:
        for bad in ("x", "a:b", "a:-1", "a:01", "a:" + "9" * 30, "a b:1", ":1"):
            answer = await client.get("/topics/prices/ACME", params={"after": bad})
            assert (answer.status, "BAD_POSITION" in answer.text) == (400, True), bad
        assert (await client.get("/topics/prices/" + "x" * 201)).status == 422


async def test_a_pattern_is_live_only_and_says_so() -> None:
    prices, app = make()
    async with TestClient(app) as client:
        await prices.publish(Tick(1), symbol="ACME")
        async with aclosing(client.events("GET", "/topics/prices/*")) as events:
            greeting = await anext(events)
            assert (greeting.id, greeting.value["position"], told(greeting)) == (None, "", None)
            await prices.publish(Tick(2), symbol="A.B/é")
            await prices.publish(Tick(3), symbol="ACME")
            first, second = await anext(events), await anext(events)
            assert (told(first), first.id, first.value["topic"]) == (
                ("data", {"cents": 2}),
                None,
                "prices.A%2EB%2F%C3%A9",
            )
            assert (told(second), second.value["topic"]) == (("data", {"cents": 3}), "prices.ACME")
        async with aclosing(client.events("GET", "/topics/prices/*", after="a:1")) as events:
            assert told(await anext(events)) == ("gap", {"after": "a:1", "reason": "HISTORY_GONE"})
        assert (await client.get("/topics/prices/*/history")).status == 422


async def test_short_polling_reads_page_by_page() -> None:
    prices, app = make()
    async with TestClient(app) as client:
        for n in range(3):
            await prices.publish(Tick(n), symbol="ACME")
        page = (await client.get("/topics/prices/ACME/history?limit=2")).json()
        assert [told(event) for event in page["events"]] == [("data", {"cents": n}) for n in (0, 1)]
        page = (await client.get("/topics/prices/ACME/history", params={"after": page["position"]})).json()
        assert [told(event) for event in page["events"]] == [("data", {"cents": 2})]
        page = (await client.get("/topics/prices/ACME/history", params={"after": page["position"]})).json()
        assert (page["events"], page["gap"]) == ([], None)
        first = await client.get("/topics/prices/ACME/history")
        known = [("if-none-match", first.headers["etag"])]
        assert (await client.get("/topics/prices/ACME/history", headers=known)).status == 304
        await prices.publish(Tick(9), symbol="ACME")
        assert (await client.get("/topics/prices/ACME/history", headers=known)).status == 200
        for bad in ("/history?limit=0", "/history?limit=1001", "/history?wait_s=61", "/history?wait_s=-1", "?last=-1"):
            refused = await client.get(f"/topics/prices/ACME{bad}")
            (violation,) = refused.json()["error"]["details"]
            assert (refused.status, violation["field"]) == (422, bad.partition("?")[2].partition("=")[0])


async def test_a_long_poll_is_held_until_there_is_news() -> None:
    prices, app = make(presence=True)
    async with TestClient(app) as client:
        sink = client.open("GET", "/topics/prices/ACME/history?wait_s=60")
        async with aclosing(client.events("GET", "/topics/prices/ACME")) as events:
            await anext(events)
            assert told(await anext(events))[0] == "joined"
        assert not sink.status, "a member is no news"
        await prices.publish(Tick(7), symbol="ACME")
        page = (await sink.answer()).json()
        assert [told(event) for event in page["events"]] == [("data", {"cents": 7})]


async def test_a_long_poll_without_news_is_empty_and_leaves_nothing() -> None:
    _, app = make()
    async with TestClient(app) as client:
        page = (await client.get("/topics/prices/ACME/history?wait_s=0.01")).json()
        assert page["events"] == []
        assert not app.broker._logs  # type: ignore[union-attr]


async def test_members_are_told_and_listed() -> None:
    prices, app = make(presence=True)
    async with TestClient(app) as client, aclosing(prices.subscribe(symbol="ACME")) as from_here:
        await anext(from_here)
        async with aclosing(client.events("GET", "/topics/prices/ACME")) as watching:
            await anext(watching)
            own = told(await anext(watching))
            assert own[0] == "joined"
            async with aclosing(client.events("GET", "/topics/prices/ACME")) as other:
                await anext(other)
                joined = told(await anext(watching))
                members = (await client.get("/topics/prices/ACME/members")).json()["members"]
                assert members == [own[1], joined[1]]
            left = told(await anext(watching))
            assert left == ("left", joined[1])
        async for event in from_here:
            if event.left is not None and event.left.session == own[1]["session"]:
                break
        assert (await client.get("/topics/prices/ACME/members")).json()["members"] == []


async def test_members_from_python_have_a_name_or_are_not_seen() -> None:
    prices, app = make(presence=True)
    async with TestClient(app) as client, aclosing(prices.subscribe(symbol="ACME")) as watching:
        await anext(watching)
        async with aclosing(prices.subscribe(symbol="ACME", member="Alice")) as events:
            await anext(events)
            (member,) = (await client.get("/topics/prices/ACME/members")).json()["members"]
            assert member["user"] == "Alice"
            joined = (await anext(watching)).joined
            assert joined is not None
            assert joined.user == "Alice"
        left = (await anext(watching)).left
        assert left is not None
        assert left.session == joined.session
        assert (await client.get("/topics/prices/ACME/members")).json()["members"] == []


async def test_callers_publish_where_they_may() -> None:
    prices, app = make(publishable=True)
    async with TestClient(app) as client, aclosing(prices.subscribe(symbol="ACME")) as events:
        await anext(events)
        body = {"data": {"cents": 5}, "dedupe_id": "1"}
        answers = [await client.post("/topics/prices/ACME", json=body) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        event = await anext(events)
        assert (event.data, event.position) == (Tick(5), answers[0].json()["position"])
        assert (await client.post("/topics/prices/*", json=body)).status == 422
    _, app = make()
    async with TestClient(app) as client:
        assert (await client.post("/topics/prices/ACME", json=body)).status == 405


async def test_who_may_what_is_asked_for_each_action() -> None:
    prices, app = make(publishable=True, presence=True)
    asked = []

    @prices.authorize
    async def allow(call: Call, action: str, parameters: dict[str, str]) -> None:
        asked.append((action, parameters))
        if call.metadata.get("authorization") != "Bearer good":
            raise PermissionDenied("not yours")

    async with TestClient(app) as client:
        path = "/topics/prices/ACME"
        for at in ("", "/history", "/members"):
            assert (await client.get(path + at)).status == 403
        assert (await client.post(path, json={"data": {"cents": 1}})).status == 403
        assert [action for action, _ in asked] == ["subscribe", "history", "presence", "publish"]
        assert all(parameters == {"symbol": "ACME"} for _, parameters in asked)
        good = [("authorization", "Bearer good")]
        assert (await client.post(path, json={"data": {"cents": 1}}, headers=good)).status == 200
        async with aclosing(client.events("GET", path, headers=good)) as events:
            await anext(events)
        assert (await client.get("/topics/prices/*")).status == 403
        assert asked[-1] == ("subscribe", {"symbol": "*"})


async def test_a_method_of_the_users_own_may_return_a_subscription() -> None:
    prices = Topic("own.{symbol}", Tick, history=History(count=5))
    event = prices.event

    class Mine(Service, package="mine"):
        @query("GET /own")
        async def first(self) -> AsyncIterator[Tracked[event]]:  # type: ignore[valid-type]
            return prices.subscribe(symbol="ACME", last=1)

        @query("GET /plain")
        async def second(self) -> AsyncIterator[event]:  # type: ignore[valid-type]
            return prices.subscribe(symbol="ACME", last=1)

    async with TestClient(App(Mine(), topics=[prices])) as client:
        position = str(await prices.publish(Tick(4), symbol="ACME"))
        for path, has_id in (("/own", True), ("/plain", False)):
            async with aclosing(client.events("GET", path)) as events:
                id = position if has_id else None
                await anext(events)
                got = await anext(events)
                assert (told(got), got.id) == (("data", {"cents": 4}), id)
                live = str(await prices.publish(Tick(4), symbol="ACME"))
                got = await anext(events)
                assert (told(got), got.id) == (("data", {"cents": 4}), id and live)
                position = live


async def test_from_python_one_subscribes_and_resumes() -> None:
    prices, app = make()
    async with TestClient(app):
        first = await prices.publish(Tick(1), symbol="ACME")
        await prices.publish(Tick(2), symbol="ACME")
        async with aclosing(prices.subscribe(symbol="ACME", after=first)) as events:
            assert (await anext(events)).position == str(first)
            assert (await anext(events)).data == Tick(2)
            waiting = asyncio.create_task(anext(events))
            await asyncio.sleep(0)
            await prices.publish(Tick(3), symbol="ACME")
            assert (await waiting).data == Tick(3)
        async with aclosing(prices.subscribe(symbol="ACME", after="gone:1")) as events:
            assert (await anext(events)).gap == Gap("gone:1", GapReason.EPOCH_CHANGED)


async def test_what_is_not_the_topics_is_refused() -> None:
    prices = Topic("prices.{symbol}", Tick)
    with pytest.raises(RuntimeError, match="no broker yet"):
        await prices.publish(Tick(1), symbol="A")
    App(Market(), topics=[prices])
    with pytest.raises(TypeError, match="takes Tick, not str"):
        await prices.publish("x", symbol="A")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes symbol"):
        await prices.publish(Tick(1))
    with pytest.raises(TypeError, match="takes symbol"):
        prices.subscribe(symbol="A", other="B")


@pytest.mark.parametrize("template", ["", "{a}", "a..b", "A.b", "a.{b}.{b}", "a.{after}", "a.{b", "a.b*", "a b"])
def test_templates_that_will_not_do(template: str) -> None:
    with pytest.raises(SchemaError):
        Topic(template, Tick)


def test_names_and_paths() -> None:
    topic = Topic("chat-rooms.{room}.typing", Tick)
    assert (topic.name, topic.template.path) == ("ChatRoomsTyping", "/topics/chat-rooms/{room}/typing")
    topic = Topic("news", Tick, name="Breaking")
    (_, service) = App(Market(), topics=[topic]).services
    assert service.type.full_name == "topics.Breaking"
    assert [method.name for method in service.type.methods] == ["Subscribe", "History"]
    with pytest.raises(ValueError, match="queue=0"):
        Topic("a", Tick, queue=0)
    with pytest.raises(ValueError, match="slow='no'"):
        Topic("a", Tick, slow="no")  # type: ignore[arg-type]


async def test_topics_live_beside_each_other_in_every_contract() -> None:
    topics = [Topic(name, Tick, presence=True, publishable=True) for name in ("one.{a}", "two.{a}.{b}", "three")]
    async with TestClient(App(Market(), topics=topics)) as client:
        assert (await client.get("/openapi.json")).status == 200
        body = {"query": "{ __schema { subscriptionType { fields { name } } } }"}
        fields = (await client.post("/graphql", json=body)).json()["data"]["__schema"]["subscriptionType"]["fields"]
        assert [field["name"] for field in fields] == ["one", "two", "three"]
