"""`grpc.health.v1.Health` as an ordinary service over the process's one registry of checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from polywire.errors import NotFound, ResourceExhausted
from polywire.runtime.health import Health, ServingStatus, State
from polywire.schema import Int32, Message
from polywire.service import Service, query
from polywire.tasks.eager import CURRENT_CALL

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

MAX_LISTED = 100
"""health.proto: more services than this in a List are a RESOURCE_EXHAUSTED."""

_FIELD_TYPE_ENUM: Any = 14


class HealthCheckRequest(Message):
    service: str = ""
    """The full name of a service; "" is the whole server."""


class HealthCheckResponse(Message):
    status: Int32 = 0
    """A `ServingStatus`. An enum in health.proto, which has the same bytes; polywire's enums have no member 0."""


class HealthListRequest(Message):
    pass


class HealthListResponse(Message):
    statuses: dict[str, HealthCheckResponse]


class HealthService(Service, package="grpc.health.v1", name="Health"):
    """Says whether a service, or the whole server, takes calls.

    refresh_s: while somebody watches, the checks run this often, in seconds, as nothing else may run them.
    """

    def __init__(self, health: Health, *, refresh_s: float = 5.0) -> None:
        self._health = health
        self._refresh_s = refresh_s

    @query
    async def check(self, request: HealthCheckRequest) -> HealthCheckResponse:
        """The status now. An unknown service is NOT_FOUND."""
        await self._health.report()
        status = self._health.service_status(request.service)
        if status is ServingStatus.SERVICE_UNKNOWN:
            raise NotFound(f"no service {request.service}")
        return HealthCheckResponse(int(status))

    @query
    async def list(self, request: HealthListRequest) -> HealthListResponse:
        """The status of every service, and of the whole server under ""."""
        await self._health.report()
        names = ["", *self._health.service_names()]
        if len(names) > MAX_LISTED:
            raise ResourceExhausted(f"{len(names)} services, and a list takes {MAX_LISTED}")
        return HealthListResponse({name: HealthCheckResponse(int(self._health.service_status(name))) for name in names})

    @query
    async def watch(self, request: HealthCheckRequest) -> AsyncIterator[HealthCheckResponse]:
        """The status now, and again whenever it changes.

        An unknown service is SERVICE_UNKNOWN, and the stream stays open. It ends when the server drains, so that
        watchers do not hold it up; they come back by themselves.
        """
        call = CURRENT_CALL.get(None)
        if call is not None:
            # A worker that is replaced stays healthy to its end: its watchers are sent to the next one.
            call.subscribes = True
        changed = asyncio.Event()
        stop = self._health.on_change(changed.set)
        try:
            last: ServingStatus | None = None
            while True:
                changed.clear()
                await self._health.report()
                draining = self._health.state is State.DRAINING
                status = self._health.service_status(request.service)
                if status is not last:
                    last = status
                    yield HealthCheckResponse(int(status))
                if draining:
                    return
                try:
                    async with asyncio.timeout(self._refresh_s):
                        await changed.wait()
                except TimeoutError:
                    pass
        finally:
            stop()


def as_published(file: FileDescriptorProto) -> None:
    """Turns the status into the enum of the published health.proto, so that reflection's readers see its names."""
    response = next(message for message in file.message_type if message.name == "HealthCheckResponse")
    enum = response.enum_type.add(name="ServingStatus")
    for status in ServingStatus:
        enum.value.add(name=status.name, number=status.value)
    response.field[0].type = _FIELD_TYPE_ENUM
    response.field[0].type_name = ".grpc.health.v1.HealthCheckResponse.ServingStatus"
