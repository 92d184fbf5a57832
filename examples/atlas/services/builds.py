"""Builds that are made up: their state follows from the time since they began."""

import asyncio
import enum
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from atlas.locked import LOCK
from polywire import Doc, Int32, Message, NotFound, Service, Tracked, current_call, mutation, query

logger = logging.getLogger("atlas.events")

MOST_BUILDS = 1000


class BuildState(enum.Enum):
    QUEUED = "queued"
    FETCHING = "fetching"
    COMPILING = "compiling"
    TESTING = "testing"
    PASSED = "passed"


STATES = tuple(BuildState)


class Build(Message):
    id: Int32
    project: str


class BuildStatus(Message):
    id: Int32
    state: BuildState
    percent: Int32
    timestamp: Annotated[int, Doc("Unix time in seconds when this state began.")]


@dataclass
class Begun:
    at: float
    """On the monotonic clock."""
    timestamp: float


class Builds(Service, package="builds", lock=LOCK):
    """Builds projects, and says how far it is.

    step_s: seconds that a build stays in each state. The last 1000 builds are remembered.
    """

    def __init__(self, step_s: float = 1.0) -> None:
        self.step_s = step_s
        self._begun: dict[int, Begun] = {}
        self._next_id = 1

    @mutation("POST /v1/builds", status=201)
    async def start_build(self, project: Annotated[str, Meta(min_length=1, max_length=100)]) -> Build:
        """Begins to build a project."""
        build = Build(self._next_id, project)
        self._next_id += 1
        logger.info("build %d begun", build.id)
        self._begun[build.id] = Begun(time.monotonic(), time.time())
        if len(self._begun) > MOST_BUILDS:
            del self._begun[next(iter(self._begun))]
        return build

    @query("GET /v1/builds/{id}/status")
    async def watch_build(self, id: Int32) -> AsyncIterator[Tracked[BuildStatus]]:
        """Each state of a build, those that it has gone through as well; ends when the build does."""
        begun = self._begun.get(id)
        if begun is None:
            raise NotFound(f"no build {id}", reason="BUILD_NOT_FOUND")
        resumed = current_call().resume_after or ""
        seen = STATES.index(BuildState(resumed)) + 1 if resumed in {state.value for state in STATES} else 0
        for number, state in list(enumerate(STATES))[seen:]:
            due = begun.at + number * self.step_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            percent = 100 * number // (len(STATES) - 1)
            timestamp = int(begun.timestamp + number * self.step_s)
            yield Tracked(state.value, BuildStatus(id, state, percent, timestamp))
