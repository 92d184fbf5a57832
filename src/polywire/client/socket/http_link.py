"""Calls over plain HTTP, where a WebSocket does not get through: `/rpc/pkg.Service/Method`.

Answers are waited for, streams come as server-sent events, and a topic whose events are held back on the way is polled.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import msgspec

from polywire.client.socket.calls import SocketCall
from polywire.client.socket.settings import SocketSettings
from polywire.client.target import Target
from polywire.codec import Format
from polywire.errors import TOO_LARGE, Code, FieldViolation, Internal, ResourceExhausted, RpcError, Unavailable
from polywire.protocols.grpc.status import error_told

if TYPE_CHECKING:
    import httpx

_MOST_CALLS: Final = 128
_MOST_EVENTS: Final = 100
"""Of a topic, that are asked for at a time."""
_PAUSE_S: Final = 1.0
"""Where there is no news and the server does not wait for any, as a cache on the way would not."""
_MOST_OF_PAGE: Final = 1000
"""What the server gives at most."""
_KEEP_ALIVE: Final = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
_MOST_BODY: Final = 4 * 1024 * 1024
"""Of a stream of our own, which is collected."""
_json = msgspec.json.Decoder().decode
_dump = msgspec.json.Encoder().encode


class HttpLink:
    """Each call is a request of its own; there is no connection that could be lost, only requests."""

    format = Format.PLAIN_JSON
    leaving = False

    def __init__(
        self,
        target: Target,
        settings: SocketSettings,
        token: Callable[[], Awaitable[str | None]],
        cut_off: Callable[[HttpLink, Exception], None],
        room: Callable[[], None],
    ) -> None:
        self.calls: dict[int, SocketCall] = {}
        self._target = target
        self._settings = settings
        self._token = token
        self._cut_off = cut_off
        self._room = room
        self._next_id = 1
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._bodies: dict[int, list[bytes]] = {}
        self._ended: dict[int, asyncio.Event] = {}
        self._client: httpx.AsyncClient | None = None
        self._closing: asyncio.Task[None] | None = None
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Its connections are closed."""

    async def open(self, token: str | None) -> None:
        """Look whether the server is there. Raises ImportError without httpx, httpx.HTTPError."""
        import httpx

        scheme = "http" if self._target.tls is None else "https"
        limits = httpx.Limits(max_connections=_MOST_CALLS, max_keepalive_connections=8)
        transport = httpx.AsyncHTTPTransport(
            verify=True if self._target.tls is None else self._target.tls,
            limits=limits,
            # A call may take as long as it likes; of a peer that is gone nothing else would tell.
            socket_options=_KEEP_ALIVE,
        )
        self._client = httpx.AsyncClient(
            base_url=f"{scheme}://{self._target.authority}",
            timeout=httpx.Timeout(None, connect=self._settings.connect_timeout_s),
            transport=transport,
            # Nothing is unpacked: how much comes is what is bounded.
            headers={"accept-encoding": "identity"},
        )
        status, _ = await self._answer(method="GET", url="/health/live")
        if status >= 500:
            raise ConnectionError(f"the server answers with {status}")

    @property
    def is_full(self) -> bool:
        return len(self.calls) >= _MOST_CALLS

    def start(self, call: SocketCall) -> None:
        id = self._next_id
        self._next_id += 1
        self.calls[id] = call
        self._ended[id] = asyncio.Event()
        self._bodies[id] = []
        call.begun(self, id, 1)
        task = self._tasks[id] = asyncio.get_running_loop().create_task(self._run(id, call))
        task.add_done_callback(lambda _: self._done(id))

    def _done(self, id: int) -> None:
        for table in (self._tasks, self._bodies, self._ended, self.calls):
            table.pop(id, None)
        self._room()

    def item(self, call: SocketCall, payload: bytes) -> None:
        body = self._bodies.get(call.id)
        if body is None:
            return
        body.append(payload)
        if sum(map(len, body)) > _MOST_BODY:
            call.fail(ResourceExhausted(f"a stream over HTTP has at most {_MOST_BODY} bytes"))
        call.credited(1)

    def end(self, call: SocketCall) -> None:
        ended = self._ended.get(call.id)
        if ended is not None:
            ended.set()

    def credit(self, call: SocketCall, count: int) -> None:
        """What is not read holds the response back."""

    def cancel(self, call: SocketCall) -> None:
        task = self._tasks.get(call.id)
        self.calls.pop(call.id, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def drained(self) -> None:
        """Everything is collected."""

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        client, self._client = self._client, None
        if client is None:
            self.gone.set_result(None)
        else:
            self._closing = asyncio.get_running_loop().create_task(self._close(client, [*self._tasks.values()]))

    async def _close(self, client: httpx.AsyncClient, tasks: list[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks)
        await client.aclose()
        self.gone.set_result(None)

    def abort(self) -> None:
        """There is nothing left to wait for."""

    # One call.

    async def _run(self, id: int, call: SocketCall) -> None:
        import httpx

        try:
            shape = call.method.shape
            if shape.client_streaming:
                await self._ended[id].wait()
            if shape.server_streaming:
                await self._stream(id, call)
            else:
                await self._unary(id, call)
        except httpx.ConnectError as error:
            if self.calls.get(id) is call:
                call.lost(seen=False)
            self._cut_off(self, error)
        except httpx.HTTPError:
            if self.calls.get(id) is call:
                call.lost(pause=True)
        except RpcError as error:
            if self.calls.get(id) is call:
                call.failed(error)
        except Exception as error:
            if self.calls.get(id) is call:
                problem = Internal("the server's answer is wrong")
                problem.__cause__ = error
                call.fail(problem)

    async def _headers_of(self, call: SocketCall) -> dict[str, str]:
        token = await self._token()
        said = {} if token is None else {"authorization": f"Bearer {token}"}
        return {**said, **call.terms.texts()}

    async def _request(self, id: int, call: SocketCall, accept: str) -> dict[str, Any]:
        headers = {**await self._headers_of(call), "accept": accept}
        if call.method.shape.client_streaming:
            headers["content-type"] = "application/x-ndjson"
            content = b"".join(payload + b"\n" for payload in self._bodies[id])
        else:
            headers["content-type"] = "application/json"
            content = call.payload(self.format) or b"{}"
        if call.terms.deadline is not None:
            headers["request-timeout"] = f"{max(0.001, call.terms.deadline - monotonic()):.3f}"
        if call.after is not None:
            headers["last-event-id"] = call.after
        return {"method": "POST", "url": f"/rpc/{call.method.full_name}", "headers": headers, "content": content}

    async def _answer(self, **request: Any) -> tuple[int, bytes]:
        """The status and the body of an answer. Raises ResourceExhausted for a body that is too long."""
        assert self._client is not None
        async with self._client.stream(**request) as answer:
            return answer.status_code, await self._whole(answer)

    async def _whole(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        async for part in answer.aiter_raw():
            body += part
            if len(body) > self._settings.max_message_bytes:
                raise self._too_large()
        return bytes(body)

    async def _lines(self, answer: httpx.Response) -> AsyncIterator[str]:
        rest, seen = bytearray(), 0
        async for part in answer.aiter_raw():
            rest += part
            while (end := rest.find(b"\n", seen)) >= 0:
                yield rest[:end].removesuffix(b"\r").decode()
                del rest[: end + 1]
                seen = 0
            seen = len(rest)
            if seen > self._settings.max_message_bytes:
                raise self._too_large()

    def _too_large(self) -> RpcError:
        limit = self._settings.max_message_bytes
        return ResourceExhausted(f"the server's answer is longer than {limit} bytes", reason=TOO_LARGE)

    async def _unary(self, id: int, call: SocketCall) -> None:
        status, body = await self._answer(**await self._request(id, call, "application/json"))
        if status >= 400:
            raise _error_of(status, body)
        if self.calls.get(id) is call:
            call.result(body, {})

    async def _stream(self, id: int, call: SocketCall) -> None:
        import httpx

        assert self._client is not None
        request = await self._request(id, call, "text/event-stream")
        # The server says something in every heartbeat.
        request["timeout"] = httpx.Timeout(None, read=self._settings.silence_s)
        topic = _topic_of(call)
        try:
            async with asyncio.timeout(None if topic is None else self._settings.greeting_timeout_s) as greeting:
                await self._listen(id, call, request, greeting)
        except TimeoutError:
            if topic is None or self.calls.get(id) is not call:
                return
            # Something on the way holds the events back.
            await self._poll(id, call, topic)

    async def _listen(self, id: int, call: SocketCall, request: dict[str, Any], greeting: asyncio.Timeout) -> None:
        assert self._client is not None
        async with self._client.stream(**request) as answer:
            if answer.status_code == 204:
                call.end({})
                return
            if answer.status_code >= 400:
                raise _error_of(answer.status_code, await self._whole(answer))
            async for event, position, data in self._events(self._lines(answer)):
                greeting.reschedule(None)
                if self.calls.get(id) is not call:
                    return
                if event == "failure":
                    raise _error_of(500, data)
                if event == "end":
                    call.end({})
                    return
                call.next(data, position)
                await call.has_room()
        raise Unavailable("the stream broke off")

    async def _poll(self, id: int, call: SocketCall, topic: str) -> None:
        """Ask a topic's history again and again; each time it is held until there is news."""
        asked = _json(call.payload(self.format) or b"{}")
        last = int(asked.pop("last", 0) or 0)
        position = call.after or asked.pop("after", None)
        asked.pop("after", None)
        if position is None:
            events, position = await self._latest(call, topic, asked, last)
            self._tell(call, {"events": events, "position": position})
        while self.calls.get(id) is call:
            await call.has_room()
            limit = max(1, min(call.room, _MOST_EVENTS))
            wait_s = self._settings.poll_wait_s
            asked_at = monotonic()
            page = await self._ask(call, topic, {**asked, "after": position, "limit": limit, "wait_s": wait_s})
            is_early = page["position"] == position and monotonic() - asked_at < wait_s / 2
            self._tell(call, page)
            position = page["position"]
            if is_early:
                await asyncio.sleep(_PAUSE_S)

    async def _latest(self, call: SocketCall, topic: str, asked: dict[str, Any], last: int) -> tuple[list[Any], str]:
        """The last of the history, whose end is where "from now on" begins. It is read from its start."""
        events: list[Any] = []
        after: dict[str, str] = {}
        while True:
            page = await self._ask(call, topic, {**asked, **after, "limit": _MOST_OF_PAGE})
            events = [*events, *page["events"]][-last:] if last else []
            if len(page["events"]) < _MOST_OF_PAGE:
                return events, page["position"]
            after = {"after": page["position"]}

    def _tell(self, call: SocketCall, page: dict[str, Any]) -> None:
        """The position comes last, as a greeting does: nothing before it is missing."""
        gap = page.get("gap")
        if gap:
            call.next(_dump({"position": "", "gap": gap}), None)
        for event in page["events"]:
            call.next(_dump(event), event["position"])
        call.next(_dump({"position": page["position"]}), page["position"])

    async def _ask(self, call: SocketCall, topic: str, asked: dict[str, Any]) -> dict[str, Any]:
        import httpx

        settings = self._settings
        headers = {**await self._headers_of(call), "content-type": "application/json"}
        timeout = httpx.Timeout(settings.connect_timeout_s, read=settings.poll_wait_s + settings.connect_timeout_s)
        url = f"/rpc/{topic}/History"
        status, body = await self._answer(method="POST", url=url, headers=headers, json=asked, timeout=timeout)
        if status >= 400:
            raise _error_of(status, body)
        page: dict[str, Any] = _json(body)
        return page

    async def _events(self, lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, str | None, bytes]]:
        """(event, id, data) of each event (WHATWG HTML §9.2.6)."""
        event, position = "", None
        data: list[str] = []
        size = 0
        async for line in lines:
            if not line:
                if data:
                    yield event, position, "\n".join(data).encode()
                event, position, data, size = "", None, [], 0
                continue
            size += len(line)
            if size > self._settings.max_message_bytes:
                raise self._too_large()
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name == "event":
                event = value
            elif name == "id":
                position = value


def _topic_of(call: SocketCall) -> str | None:
    """The service of the topic that it subscribes to."""
    service, _, name = call.method.full_name.partition("/")
    return service if service.startswith("topics.") and name == "Subscribe" else None


def _error_of(status: int, body: bytes) -> RpcError:
    """The error of an answer, or of the event that ends a stream."""
    try:
        told = _json(body)["error"]
        code = Code[told["code"]]
        message = str(told["message"])
        reason = told.get("reason")
        violations = [
            FieldViolation(str(one["field"]), str(one["reason"]))
            for one in told.get("details", ())
            if isinstance(one, dict) and one.keys() == {"field", "reason"}
        ]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        if status in (429, 502, 503, 504):
            return Unavailable(f"the server answers with {status}")
        return Internal(f"the server answers with {status} instead of a result")
    error = error_told(code, message, (), reason if isinstance(reason, str) else None, {})
    error.details = tuple(violations)
    return error
