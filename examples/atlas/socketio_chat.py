"""The chat's rooms for socket.io clients, by python-socketio mounted beside the services.

Events: `join` {room, user} is acknowledged with {} or {error}, `say` {text} with {position} or {error}; `message`
{user, text, timestamp} is what anybody says in the room, over whatever protocol.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import socketio

from atlas.services.chat import ChatService, is_room, rooms
from polywire import RpcError, Unavailable

MOST_QUEUED = 100
"""Packets that wait for a client, of whom python-socketio itself would keep any number."""
LOOK_AGAIN_S = 0.1
HISTORY = 20
"""Messages that one who joins gets of what was said before."""


class SocketioChat:
    """What is mounted, and its clients."""

    def __init__(self, chat: ChatService) -> None:
        self._chat = chat
        # Origins are looked at before anything that is mounted is asked.
        self._server: Any = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=[], max_http_buffer_size=65536)
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._joined: dict[str, tuple[str, str]] = {}
        self._server.on("join", self._join)
        self._server.on("say", self._say)
        self._server.on("disconnect", self._left)
        self.app: Any = socketio.ASGIApp(self._server)

    async def close(self) -> None:
        for task in self._listening.values():
            task.cancel()
        if self._listening:
            await asyncio.wait(self._listening.values())

    async def _join(self, sid: str, data: Any) -> dict[str, Any]:
        room, user = _texts(data, "room", "user")
        if not is_room(room) or not 0 < len(user) <= 40:
            return {"error": "join takes a room (small letters, digits, hyphens) and a user"}
        self._stop(sid)
        self._joined[sid] = (room, user)
        self._listening[sid] = asyncio.create_task(self._listen(sid, room, user))
        return {}

    async def _say(self, sid: str, data: Any) -> dict[str, Any] | None:
        if self._queued(sid) > MOST_QUEUED:
            await self._server.disconnect(sid)
            return None
        (text,) = _texts(data, "text")
        joined = self._joined.get(sid)
        if joined is None or not text:
            return {"error": "join a room first" if joined is None else "say takes a text"}
        try:
            said = await self._chat.say(joined[0], joined[1], text)
        except RpcError as error:
            return {"error": error.message}
        return {"position": said.position}

    async def _left(self, sid: str, *reason: Any) -> None:
        self._stop(sid)

    def _stop(self, sid: str) -> None:
        self._joined.pop(sid, None)
        task = self._listening.pop(sid, None)
        if task is not None:
            task.cancel()

    def _queued(self, sid: str) -> int:
        """Packets that wait for a client to take them."""
        client = self._server.eio.sockets.get(self._server.manager.eio_sid_from_sid(sid, "/"))
        return 0 if client is None else client.queue.qsize()

    async def _listen(self, sid: str, room: str, user: str) -> None:
        try:
            await self._follow(sid, room, user)
        except Unavailable:
            # Too slow: the topic keeps no more for it.
            self._listening.pop(sid, None)
            await self._server.disconnect(sid)

    async def _follow(self, sid: str, room: str, user: str) -> None:
        async with aclosing(rooms.subscribe(room=room, last=HISTORY, member=user)) as events:
            async for event in events:
                while self._queued(sid) > MOST_QUEUED:  # noqa: ASYNC110 -- python-socketio tells no event of it
                    await asyncio.sleep(LOOK_AGAIN_S)
                if event.data is not None:
                    said = event.data
                    message = {"user": said.user, "text": said.text, "timestamp": said.timestamp}
                    await self._server.emit("message", message, to=sid)


def _texts(data: Any, *names: str) -> list[str]:
    """Those members of what came, "" where one is no text or too long."""
    found = [data.get(name) if isinstance(data, dict) else None for name in names]
    return [one if isinstance(one, str) and len(one) <= 2000 else "" for one in found]
