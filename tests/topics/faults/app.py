"""What the fault run serves: `polywire serve tests/topics/faults/app.py:app`.

Environment:
FAULTS_DB: the file of the topics' history; default: none, a broker in memory.
"""

from __future__ import annotations

import os

from polywire import App, History, Int32, Message, Service, Topic, query
from polywire.topics import MemoryBroker, SqliteBroker


class Tick(Message):
    number: Int32
    text: str


class Clock(Service, package="faults"):
    @query("GET /ready")
    async def ready(self) -> bool:
        return True


def text_of(number: int) -> str:
    """Of some length, so that frames of all sizes are cut."""
    return "é" * (number * 37 % 400)


KEPT = History(count=1_000_000, max_bytes=1 << 30)
ticks = Topic("ticks.{lane}", Tick, history=KEPT, publishable=True)
crowds = Topic("crowds.{lane}", Tick, history=KEPT, publishable=True, presence=True)
path = os.environ.get("FAULTS_DB")
app = App(Clock(), topics=[ticks, crowds], broker=SqliteBroker(path) if path else MemoryBroker())
TOPICS = {"ticks": ticks, "crowds": crowds}
SERVICES = {bound.type.full_name: type(bound.instance) for bound in app.services}
METHODS = {f"{bound.type.full_name}/{method.name}": method for bound in app.services for method in bound.type.methods}
