"""The run: who sees what, and whether that was every message once and in order."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from .people import COMES_BACK_BY_ITSELF, FEEDS, PROTOCOLS, Publisher, ServerProcess, Subscriber
from .proxy import Proxy

_CATCH_UP_S = 30.0


@dataclass
class Settings:
    """seconds: of cutting and killing. rate: messages a second to each feed. cut_s: how long a connection lasts."""

    seconds: float = 10.0
    subscribers: int = 200
    forgetful: int = 0
    """Of them, where they see that they are cut off: who come back without a position."""
    rate: float = 20.0
    cut_s: float = 3.0
    kills: int = 2
    durable: bool = True
    seed: int = 1


@dataclass
class Outcome:
    published: dict[str, int] = field(default_factory=dict)
    """Messages by feed."""
    delivered: int = 0
    connects: Counter[str] = field(default_factory=Counter)
    """By protocol."""
    cuts: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    """Of publishers, after a cut."""
    faults: dict[str, str] = field(default_factory=dict)
    """By subscriber: the first thing that was not as it should be."""


def verdict(numbers: list[int], count: int) -> str | None:
    """What is wrong where 0 to count - 1 should be, once each and in order."""
    for place, number in enumerate(numbers):
        if number > place:
            return f"{place} is missing"
        if number < place:
            return f"{number} came again"
    if len(numbers) < count:
        return f"{len(numbers)} is missing, and all behind it"
    return None if len(numbers) == count else f"{count} was never published"


async def run(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    random = Random(settings.seed)
    with tempfile.TemporaryDirectory() as directory:
        database = str(Path(directory) / "topics.db") if settings.durable else None
        server = ServerProcess(_free_port(), database)
        proxy = Proxy(server.port, settings.cut_s, random)
        await server.start()
        await proxy.start()
        try:
            return await _run(settings, server, proxy, random, tell)
        finally:
            await proxy.stop()
            await server.end()


async def _run(
    settings: Settings, server: ServerProcess, proxy: Proxy, random: Random, tell: Callable[[str], None]
) -> Outcome:
    publishers = {feed: Publisher(feed, proxy.port, settings.rate) for feed in FEEDS}
    subscribers = _subscribers(settings, proxy.port, random)
    stop = asyncio.Event()

    def all_seen() -> bool:
        return all(one.forgets or one.numbers[-1:] == [publishers[one.feed].count - 1] for one in subscribers)

    async with asyncio.TaskGroup() as group:
        listening = [
            group.create_task(one.run(lambda one=one: publishers[one.feed].count))  # type: ignore[misc]
            for one in subscribers
        ]
        async with asyncio.timeout(20):
            for one in subscribers:
                await one.greeted.wait()
        tell(f"{len(subscribers)} subscribers are there")
        publishing = [group.create_task(one.run(stop)) for one in publishers.values()]
        proxy.begin()
        for kill in range(settings.kills + 1):
            for _ in range(steps := max(1, round(settings.seconds / (settings.kills + 1)))):
                await asyncio.sleep(settings.seconds / (settings.kills + 1) / steps)
                delivered = sum(len(one.numbers) for one in subscribers)
                published = sum(one.count for one in publishers.values())
                tell(f"{published} published, {delivered} delivered, {dict(proxy.cuts)}")
            if kill < settings.kills:
                await server.kill()
                await asyncio.sleep(random.uniform(0, 0.5))
                await server.start()
                tell("the server was killed, and is there again")
        proxy.cutting = False
        stop.set()
        await asyncio.gather(*publishing)
        tell("everything is published")
        end = asyncio.get_running_loop().time() + _CATCH_UP_S
        while not all_seen() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 -- of many
            await asyncio.sleep(0.05)
        tell("everything is delivered" if all_seen() else "something is missing")
        await asyncio.sleep(0.3)  # for what comes twice
        for task in listening:
            task.cancel()
    return _outcome(subscribers, list(publishers.values()), proxy)


def _subscribers(settings: Settings, port: int, random: Random) -> list[Subscriber]:
    names = list(PROTOCOLS)
    return [
        Subscriber(
            name := names[number % len(names)],
            FEEDS[number // len(names) % len(FEEDS)],
            port,
            random,
            forgets=number < settings.forgetful and name not in COMES_BACK_BY_ITSELF,
        )
        for number in range(settings.subscribers)
    ]


def _outcome(subscribers: list[Subscriber], publishers: list[Publisher], proxy: Proxy) -> Outcome:
    outcome = Outcome(cuts=proxy.cuts, retries=sum(one.retries for one in publishers))
    counts = {one.feed: one.count for one in publishers}
    for publisher in publishers:
        outcome.published[publisher.feed.path] = publisher.count
        if publisher.faults:
            outcome.faults[f"publisher of {publisher.feed.path}"] = publisher.faults[0]
    for number, one in enumerate(subscribers):
        outcome.delivered += len(one.numbers)
        outcome.connects[one.protocol] += one.connects
        fault = (one.faults or [verdict(one.numbers, counts[one.feed])])[0]
        if fault is not None:
            outcome.faults[f"{number}: {one.protocol} of {one.feed.path}"] = fault
    return outcome


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port
