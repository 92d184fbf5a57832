"""`python -m tests.topics.faults --seconds 60`: the fault run, with what happens in it."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

import uvloop

from .run import Settings, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.topics.faults", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of cutting and killing (default: 60)")
    parser.add_argument("--subscribers", type=int, default=200)
    parser.add_argument("--forgetful", type=int, default=0, help="of them, who come back without a position")
    parser.add_argument("--rate", type=float, default=20.0, help="messages a second to each of five topics")
    parser.add_argument("--cut-seconds", type=float, default=3.0, help="how long a connection lasts on average")
    parser.add_argument("--kills", type=int, default=6, help="of the server")
    parser.add_argument("--memory", action="store_true", help="with a broker that forgets")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    settings = Settings(
        given.seconds,
        given.subscribers,
        given.forgetful,
        given.rate,
        given.cut_seconds,
        given.kills,
        not given.memory,
        given.seed,
    )
    began = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(
            run(settings, lambda text: print(f"{time.monotonic() - began:5.1f} s  {text}", flush=True))
        )
    print(f"published: {outcome.published}, sent again after a cut: {outcome.retries}")
    print(f"delivered: {outcome.delivered} messages to {settings.subscribers} subscribers")
    print(f"cuts: {dict(outcome.cuts)}, kills: {settings.kills}")
    for protocol, count in outcome.connects.items():
        print(f"  {protocol}: connected {count} times")
    for who, fault in outcome.faults.items():
        print(f"FAULT {who}: {fault}")
    print("every subscriber has seen every message once and in order" if not outcome.faults else "NOT as it should be")
    return 1 if outcome.faults else 0


sys.exit(main())
