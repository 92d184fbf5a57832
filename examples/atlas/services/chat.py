"""Rooms to talk in: what is said is a topic, so it reaches every protocol at once, with history and presence."""

import re
import time
from typing import Annotated
from urllib.parse import unquote

from msgspec import Meta

from atlas.locked import LOCK
from polywire import Call, Doc, History, InvalidArgument, Invoke, Message, Service, Topic, mutation

Name = Annotated[str, Meta(min_length=1, max_length=40)]
ROOM = "[a-z0-9-]{1,40}"
Room = Annotated[str, Meta(pattern=f"^{ROOM}$")]
Text = Annotated[str, Meta(min_length=1, max_length=2000)]


class RoomMessage(Message):
    user: str
    text: str
    timestamp: Annotated[float, Doc("Unix time in seconds.")]


class Typist(Message):
    user: str


class Said(Message):
    position: Annotated[str, Doc("Of the message, in the room's topic.")]


rooms = Topic("rooms.{room}", RoomMessage, history=History(count=200, age_s=86400), presence=True)
typing = Topic("typing.{room}", Typist, slow="keep_latest")


@rooms.authorize
@typing.authorize
async def allow(call: Call, action: str, parameters: dict[str, str]) -> None:
    """Everybody may listen, in rooms that may be."""
    if not is_room(parameters["room"]):
        raise InvalidArgument("a room is named by up to 40 small letters, digits and hyphens", reason="BAD_ROOM")


def is_room(name: str) -> bool:
    return re.fullmatch(ROOM, name) is not None


async def named(call: Call, proceed: Invoke) -> object:
    """The demo has no passwords: callers say in the metadata `user` who they are, and are shown to others as that.

    Percent-encoded, since headers are ASCII.
    """
    name = call.metadata.get("user")
    if name and call.principal is None:
        call.principal = unquote(name)[:40]
    return await proceed(call)


class ChatService(Service, package="chat", lock=LOCK):
    """Says things in rooms; `topics.Rooms` is where they are heard."""

    @mutation("POST /v1/rooms/{room}/messages", status=201)
    async def say(
        self,
        room: Room,
        user: Name,
        text: Text,
        key: Annotated[str, Meta(max_length=100), Doc("With the same key it is said once.")] = "",
    ) -> Said:
        """Says something to everybody in a room."""
        message = RoomMessage(user, text, time.time())
        return Said(str(await rooms.publish(message, room=room, dedupe_id=f"{user}:{key}" if key else None)))

    @mutation("POST /v1/rooms/{room}/typing")
    async def type(self, room: Room, user: Name) -> None:
        """Tells a room that somebody is typing."""
        await typing.publish(Typist(user), room=room)
