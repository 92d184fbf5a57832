"""`Topic`: what is published and subscribed to, declared once."""

from __future__ import annotations

import inspect
import secrets
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from polywire.codec import Format, message_codec
from polywire.errors import InvalidArgument
from polywire.schema.errors import SchemaError
from polywire.schema.message import Message, MessageMeta
from polywire.schema.reader import message_type
from polywire.tasks.eager import CURRENT_CALL
from polywire.topics.broker import Broker, Deliver, History, Position, Subscription
from polywire.topics.conversion import Conversion
from polywire.topics.events import PACKAGE, Member, event_class, history_class
from polywire.topics.memory import MemoryBroker
from polywire.topics.names import ANY, Template
from polywire.topics.service import topic_service, user_of
from polywire.topics.stream import TopicStream

if TYPE_CHECKING:
    from polywire.runtime.call import Call
    from polywire.service.service import Service

T = TypeVar("T", bound=Message)
Action = Literal["subscribe", "publish", "history", "presence"]
Authorize = Callable[["Call", Action, dict[str, str]], Awaitable[None]]
_SLOW: Final = ("disconnect", "drop_oldest", "keep_latest")


class Topic(Generic[T]):
    """A topic, or as many as its parameters have values.

        prices = Topic("prices.{symbol}", Tick, history=History(count=1000, age_s=3600))
        app = App(Market(), topics=[prices])

    Callers reach it by the service `topics.Prices` over every protocol; see `App` and docs/topics.md.

    template: segments between dots, `{name}` is a parameter. data: the message that is published.
    history: what is kept for those who come back; None: nothing, they are told a gap.
    presence: those who subscribe are members, whom others see join and leave.
    queue: messages that wait for a subscriber who does not take them; then, by slow: "disconnect" ends the subscription
    as UNAVAILABLE (SLOW_CONSUMER), from which one comes back with a position; "drop_oldest" drops those that have
    waited longest; "keep_latest" keeps only the newest of each topic from the first that waits on. What is dropped is
    told by a gap.
    publishable: callers may publish, too.
    name: of the service; default: from the fixed segments.

    Raises SchemaError for a template or a name that will not do, ValueError for an option out of range.
    """

    def __init__(
        self,
        template: str,
        data: type[T],
        *,
        history: History | None = None,
        presence: bool = False,
        queue: int = 256,
        slow: Literal["disconnect", "drop_oldest", "keep_latest"] = "disconnect",
        publishable: bool = False,
        name: str | None = None,
    ) -> None:
        if not isinstance(data, MessageMeta) or data is Message or data.__polywire_union_members__ is not None:
            raise SchemaError(f"Topic({template!r})", f"{data!r} is no message", "declare a Message for what is sent")
        if queue < 1:
            raise ValueError(f"queue={queue!r} must be 1 or more")
        if slow not in _SLOW:
            raise ValueError(f"slow={slow!r} must be one of {', '.join(_SLOW)}")
        self.template = Template(template)
        self.data = data
        self.kept = history or History()
        self.has_presence = presence
        self.queue = queue
        self.slow = slow
        self.publishable = publishable
        self.name = name or self.template.service_name
        self.module = sys._getframe(1).f_globals.get("__name__", __name__)
        self.event: Any = event_class(self.name, data, self.module)
        """The message that subscribers get."""
        self.page: Any = history_class(self.name, self.event, self.module)
        self._authorize: Authorize | None = None
        self._broker: Broker | None = None

    def authorize(self, function: Authorize, /) -> Authorize:
        """Decorates who decides over callers: it raises an RpcError to refuse. From Python everything is allowed.

        Called as `await function(call, action, parameters)`; the action is "subscribe", "publish", "history" or
        "presence", a parameter of a subscription to a pattern is `*`.
        """
        if not inspect.iscoroutinefunction(function):
            raise TypeError("@topic.authorize is for `async def f(call, action, parameters)`")
        self._authorize = function
        return function

    async def check(self, call: Call, action: Action, parameters: dict[str, str]) -> None:
        """Raises what the topic's `authorize` raises."""
        if self._authorize is not None:
            await self._authorize(call, action, parameters)

    async def publish(self, data: T, *, dedupe_id: str | None = None, **parameters: str) -> Position:
        """Publish a message to one topic; its position, once it is accepted.

        dedupe_id: makes it safe to publish again: with the same id it is published once.
        Raises TypeError for a message or parameters that are not the topic's, RuntimeError before an App has it, and
        what the broker raises.
        """
        if type(data) is not self.data:
            raise TypeError(f"{self.template.text} takes {self.data.__name__}, not {type(data).__name__}")
        if dedupe_id is not None and not 0 < len(dedupe_id) <= 200:
            raise InvalidArgument("dedupe_id must have 1 to 200 characters")
        topic = self.template.topic(self._values(parameters))
        return await self._bound.publish(topic, self._encode(data), self.kept, dedupe_id=dedupe_id)

    def subscribe(
        self, *, after: Position | str | None = None, last: int = 0, member: str | None = None, **parameters: str
    ) -> TopicStream[Any]:
        """The events of a topic, from now on; of many where a parameter is `*`.

        after: a position: go on after it, as far as the history goes. last: without `after`, as many messages of the
        history come first. member: the `user` that others see, where the topic has presence; default: the caller's
        principal, and outside of a call nobody is seen.
        Raises TypeError, InvalidArgument, RuntimeError, as `publish`; nothing is subscribed to until the first event is
        asked for. A method may return it.
        """
        text = None if after is None else str(after)
        call = CURRENT_CALL.get(None)
        if call is not None:
            # What a caller streams itself is not sent again by going on elsewhere.
            call.subscribes = call.method.tracked and not call.method.shape.client_streaming
            if member is None:
                member = user_of(call)
        return self.stream(self._values(parameters), text, last, member, tracked=False)

    def stream(
        self, values: dict[str, str], after: str | None, last: int, member: str | None, *, tracked: bool
    ) -> TopicStream[Any]:
        """As `subscribe`. member: None: nobody is seen. tracked: iterated, it gives each event as `Tracked`."""
        if last < 0:
            raise InvalidArgument("last must be 0 or more")
        topic = self.template.topic(values, may_be_pattern=True)
        broker = self._bound
        is_pattern = ANY in values.values()
        position = None if after is None or is_pattern else Position.parse(after)

        async def open_(stream: TopicStream[Any]) -> Subscription:
            if is_pattern:
                return await broker.subscribe_pattern(topic, stream.deliver)
            if self.has_presence and member is not None:
                return await self._join(broker, topic, position, last, stream.deliver, member)
            return await broker.subscribe(topic, position, stream.deliver, last=last)

        conversion = self._pattern_conversion if is_pattern else self._conversion
        return TopicStream(open_, conversion, after or "", self.queue, self.slow, tracked)

    async def _join(
        self, broker: Broker, topic: str, position: Position | None, last: int, deliver: Deliver, user: str
    ) -> Membership:
        subscription = await broker.subscribe(topic, position, deliver, last=last)
        session = secrets.token_urlsafe(12)
        try:
            member = Member(session, user, datetime.now(UTC))
            await broker.join(topic, session, self._member.encode(member))
        except BaseException:
            await subscription.close()
            raise
        return Membership(subscription, broker, topic, session)

    # For the app

    def default_broker(self) -> Broker:
        return MemoryBroker()

    def bind(self, broker: Broker, /) -> Service:
        """Publish by this broker from now on; the service by which callers reach the topic."""
        self._broker = broker
        return self.service()

    @cached_property
    def service(self) -> type[Service]:
        """What callers reach the topic by; clients are made of it."""
        return topic_service(self)

    @property
    def broker(self) -> Broker:
        return self._bound

    @property
    def _bound(self) -> Broker:
        if self._broker is None:
            raise RuntimeError(f"the topic {self.template.text!r} has no broker yet; write App(..., topics=[...])")
        return self._broker

    def _values(self, parameters: dict[str, str]) -> dict[str, str]:
        if parameters.keys() != set(self.template.parameters):
            raise TypeError(f"{self.template.text} takes {', '.join(self.template.parameters) or 'no parameters'}")
        return parameters

    @cached_property
    def _conversion(self) -> Conversion:
        return Conversion(self.event, self._codec.decode, self._member.decode, resumable=True)

    @cached_property
    def _pattern_conversion(self) -> Conversion:
        return Conversion(self.event, self._codec.decode, self._member.decode, resumable=False)

    @property
    def conversion(self) -> Conversion:
        return self._conversion

    @cached_property
    def _codec(self) -> Any:
        return message_codec(message_type(self.data, PACKAGE), Format.PROTOBUF)

    @cached_property
    def _member(self) -> Any:
        return message_codec(message_type(Member), Format.PROTOBUF)

    @cached_property
    def _encode(self) -> Callable[[T], bytes]:
        encode: Callable[[T], bytes] = self._codec.encode
        return encode

    def members_of(self, data: bytes) -> Member:
        """What `join` was given."""
        member: Member = self._member.decode(data)
        return member


class Membership:
    """A subscription whose end is also the end of a membership."""

    def __init__(self, subscription: Subscription, broker: Broker, topic: str, session: str) -> None:
        self.position = subscription.position
        self.lost = subscription.lost
        self.backlog = subscription.backlog
        self._subscription = subscription
        self._broker = broker
        self._topic = topic
        self._session = session

    async def close(self) -> None:
        await self._subscription.close()
        await self._broker.leave(self._topic, self._session)
