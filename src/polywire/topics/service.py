"""The ordinary service by which callers reach a topic, so that no protocol knows of topics."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta

from polywire.runtime.call import Call, current_call
from polywire.schema.names import lower_camel, snake
from polywire.schema.scalars import Doc, Int32
from polywire.service.operations import OPERATION, mutation, query
from polywire.service.service import Service
from polywire.service.tracked import Tracked
from polywire.topics.broker import Page, Position, Publication, What
from polywire.topics.events import GAP_OF, PACKAGE, Gap, Members, Published

if TYPE_CHECKING:
    from polywire.topics.topic import Topic

MOST_EVENTS: Final = 1_000
LONGEST_WAIT_S: Final = 60.0
_ANSWER_S: Final = 0.5
"""Left of a call's time for the answer of a long poll."""
_MOST_MEMBERS: Final = 10_000
Given = tuple[Any, ...]
"""A field's type, and its default where it has one."""
_AFTER: Final[Given] = (Annotated[str | None, Doc("A position, to go on after; without it from now on.")], None)
_LAST: Final[Given] = (Annotated[Int32, Meta(ge=0), Doc("Without `after`: so many of the history first.")], 0)
_FROM: Final[Given] = (Annotated[str | None, Doc("A position, to go on after; without it from the oldest on.")], None)
_LIMIT: Final[Given] = (Annotated[Int32, Meta(ge=1, le=MOST_EVENTS)], 100)
_WAIT_S: Final[Given] = (
    Annotated[float, Meta(ge=0, le=LONGEST_WAIT_S), Doc("Where there is nothing: seconds to wait for news.")],
    0.0,
)
_DEDUPE_ID: Final[Given] = (Annotated[str | None, Doc("With the same one a message is published only once.")], None)


def user_of(call: Call) -> str:
    """Who calls, as members are told it; "" where the app does not know."""
    return "" if call.principal is None else str(call.principal)


def topic_service(topic: Topic[Any]) -> type[Service]:
    """The service of a topic, read like every other."""
    path = topic.template.path
    name = topic.name
    field = lower_camel(snake(name))
    answers = TopicCalls(topic)
    make = partial(_method, topic)
    methods: dict[str, Any] = {
        "subscribe": make(
            query(f"GET {path}", graphql=field),
            answers.subscribe,
            f"Subscribe{name}Request",
            {"after": _AFTER, "last": _LAST},
            AsyncIterator[Tracked[topic.event]],  # type: ignore[name-defined]
            "Messages as they are published.",
        ),
        "history": make(
            query(f"GET {path}/history", graphql=f"{field}History"),
            answers.history,
            f"{name}HistoryRequest",
            {"after": _FROM, "limit": _LIMIT, "wait_s": _WAIT_S},
            topic.page,
            "What the history keeps after a position, the oldest first.",
        ),
    }
    if topic.has_presence:
        methods["members"] = make(
            query(f"GET {path}/members", graphql=f"{field}Members"),
            answers.members,
            f"{name}MembersRequest",
            {},
            Members,
            "Who subscribes now, 10,000 at most: lint: allow unbounded-list.",
        )
    if topic.publishable:
        methods["publish"] = make(
            mutation(f"POST {path}", graphql=f"publish{name}"),
            answers.publish,
            f"Publish{name}Request",
            {"data": (topic.data,), "dedupe_id": _DEDUPE_ID},
            Published,
            "Publish a message.",
        )
    namespace = {
        "__module__": topic.module,
        "__qualname__": topic.name,
        "__doc__": f"The topic {topic.template.text}.",
        **methods,
    }

    # A class statement could not take a name that is only known now.
    cls: type[Service] = types.new_class(
        topic.name, (Service,), {"package": PACKAGE, "name": topic.name}, lambda own: own.update(namespace)
    )
    return cls


def _method(
    topic: Topic[Any],
    decorate: Callable[[Any], Any],
    answer: Callable[[Call, Any], Any],
    request_name: str,
    others: dict[str, Given],
    result: Any,
    doc: str,
) -> Any:
    """One of the methods, which takes the topic's parameters, and others with their types and defaults."""
    kind = Parameter.POSITIONAL_OR_KEYWORD
    fields: dict[str, Given] = {**dict.fromkeys(topic.template.parameters, (str,)), **others}
    parameters = [
        Parameter(name, kind, annotation=hint, default=default[0] if default else Parameter.empty)
        for name, (hint, *default) in fields.items()
    ]

    async def method(self: Service, *values: Any) -> Any:
        return await answer(current_call(), dict(zip(fields, values, strict=True)))

    method.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter("self", kind), *sorted(parameters, key=lambda one: one.default is not Parameter.empty)],
        return_annotation=result,
    )
    method.__doc__ = doc
    decorate(method)
    # Its own name: the requests of all topics are in one package.
    setattr(method, OPERATION, replace(getattr(method, OPERATION), request=request_name))
    return method


class TopicCalls:
    """What the methods do."""

    def __init__(self, topic: Topic[Any]) -> None:
        self._topic = topic
        self._names = topic.template.parameters

    def _parameters(self, given: dict[str, Any]) -> dict[str, str]:
        return {name: given[name] for name in self._names}

    async def subscribe(self, call: Call, given: dict[str, Any]) -> Any:
        parameters = self._parameters(given)
        after = given["after"] if call.resume_after is None else call.resume_after
        await self._topic.check(call, "subscribe", parameters)
        call.subscribes = True
        return self._topic.stream(parameters, after, given["last"], user_of(call), tracked=True)

    async def history(self, call: Call, given: dict[str, Any]) -> Any:
        parameters = self._parameters(given)
        text, limit, wait_s = given["after"], given["limit"], given["wait_s"]
        await self._topic.check(call, "history", parameters)
        topic = self._topic.template.topic(parameters)
        after = None if text is None else Position.parse(text)
        page = await self._topic.broker.history(topic, after, limit)
        if wait_s and not page.publications and page.lost is None:
            # Whoever is told UNAVAILABLE instead of nothing asks again with the same position.
            call.subscribes = True
            left = call.remaining_s()
            await self._news(topic, page.position, wait_s if left is None else min(wait_s, left - _ANSWER_S))
            page = await self._topic.broker.history(topic, page.position, limit)
        if page.lost is None:
            first = page.publications[0].offset if page.publications else 0
            call.response_metadata.add("etag", f'W/"{first}-{page.position}"')
        return self._page(page, text)

    async def _news(self, topic: str, after: Position, wait_s: float) -> None:
        """Return when there is something after a position, or when the time is over."""
        news = asyncio.Event()

        def deliver(batch: Sequence[Publication]) -> None:
            if any(one.what is What.MESSAGE for one in batch):
                news.set()

        subscription = await self._topic.broker.subscribe(topic, after, deliver)
        try:
            if subscription.backlog or subscription.lost is not None or wait_s <= 0:
                return
            async with asyncio.timeout(wait_s):
                await news.wait()
        except TimeoutError:
            pass
        finally:
            await subscription.close()

    def _page(self, page: Page, after: str | None) -> Any:
        conversion = self._topic.conversion
        gap = None if page.lost is None else Gap(after or "", GAP_OF[page.lost])
        return self._topic.page([conversion.event(one) for one in page.publications], str(page.position), gap)

    async def members(self, call: Call, given: dict[str, Any]) -> Members:
        parameters = self._parameters(given)
        await self._topic.check(call, "presence", parameters)
        found = await self._topic.broker.members(self._topic.template.topic(parameters), _MOST_MEMBERS)
        return Members([self._topic.members_of(data) for data in found])

    async def publish(self, call: Call, given: dict[str, Any]) -> Published:
        parameters = self._parameters(given)
        await self._topic.check(call, "publish", parameters)
        position = await self._topic.publish(given["data"], dedupe_id=given["dedupe_id"], **parameters)
        return Published(str(position))
