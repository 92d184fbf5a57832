"""A calls B, B calls C, and one deadline holds for all of it: what B takes, C no longer has."""

import asyncio
from typing import Annotated

from atlas.locked import LOCK
from polywire import Channel, Doc, Message, Service, Unavailable, connect, current_call, query

DEADLINE_S = 5.0
"""Of a call to A, where its caller does not ask for less."""


class CallRequest(Message):
    pass


class Hop(Message):
    service: str
    remaining_s: Annotated[float | None, Doc("Seconds that it had left when it was called; null: it had no deadline.")]


class Hops(Message):
    hops: Annotated[list[Hop], Doc("In the order of the calls.")]


class Link:
    """The way to the next service: a channel to the server at `url`, open between the app's start and stop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._channel: Channel | None = None

    async def open(self) -> None:
        self._channel = connect(self.url)
        await self._channel.__aenter__()

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    @property
    def channel(self) -> Channel:
        if self._channel is None:
            raise Unavailable("the way to the next service is not open")
        return self._channel


class C(Service, package="chain", lock=LOCK):
    """The last of the chain."""

    @query("GET /v1/chain/c", graphql="chainC")
    async def call(self, request: CallRequest) -> Hops:
        """How long it has.

        Three at most: lint: allow unbounded-list.
        """
        return Hops([hop("C")])


class B(Service, package="chain", lock=LOCK):
    """Takes its time, then calls C. work_s: how much, in seconds."""

    def __init__(self, link: Link, work_s: float = 4.0) -> None:
        self.link = link
        self.work_s = work_s

    @query("GET /v1/chain/b", graphql="chainB")
    async def call(self, request: CallRequest) -> Hops:
        """How long it had, and how long C had.

        Three at most: lint: allow unbounded-list.
        """
        here = hop("B")
        await asyncio.sleep(self.work_s)
        after = await self.link.channel.client(C).call(request)
        return Hops([here, *after.hops])


class A(Service, package="chain", lock=LOCK):
    """Where the chain begins."""

    def __init__(self, link: Link) -> None:
        self.link = link

    @query("GET /v1/chain", deadline_s=DEADLINE_S, graphql="chain")
    async def call(self, request: CallRequest) -> Hops:
        """How long each had. At the deadline all of them stop.

        Three at most: lint: allow unbounded-list.
        """
        here = hop("A")
        after = await self.link.channel.client(B).call(request)
        return Hops([here, *after.hops])


def hop(service: str) -> Hop:
    return Hop(service, current_call().remaining_s())
