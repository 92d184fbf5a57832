"""How long a handler outlives its caller: from RST_STREAM leaving the client to the handler's `finally`.

Both sides read CLOCK_MONOTONIC, which is one clock for all processes of a machine. The server is one that serves
`costs.Costs`, and is kept busy by somebody else meanwhile.

    python -m benchmarks.cancel PORT wait|flood --seconds 3
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import time
from typing import Any

from benchmarks.answers import frame as enveloped
from benchmarks.frames import DATA, Client, ConnectionFailed
from benchmarks.peers import schema

WAITING = 10
"""Calls that wait at once; they are cancelled one by one."""
RUNNING_BYTES = 65_536
"""What a stream has brought when it is cancelled."""
PACE_S = 0.02
"""At most so long between two resets, half of it in the mean: a server may take 200 a second for an attack."""
LIMIT_S = 5.0


class Canceller:
    """One connection, whose calls never end by themselves."""

    def __init__(self, port: int) -> None:
        self.stopped_after_ms: list[float] = []
        self._client = Client(port)
        self._ids = itertools.count(1)

    def waiting(self) -> None:
        """Cancel calls whose handlers are suspended."""
        ids = [next(self._ids) for _ in range(WAITING)]
        streams = {id: self._client.call("/costs.Costs/Wait", _request(id)) for id in ids}
        self._look(ids, "started_ns")
        sent: dict[int, int] = {}
        for id, stream in streams.items():
            _pause()
            sent[id] = self._send_reset(stream)
        self._note(sent)

    def running(self) -> None:
        """Cancel a stream that is being produced and read as fast as both can."""
        id = next(self._ids)
        stream = self._client.call("/costs.Costs/Flood", _request(id))
        self._client.flush()
        _pause()
        brought = 0
        while brought < RUNNING_BYTES:
            frames = self._client.read()
            brought += sum(len(payload) for kind, _, of, payload in frames if kind == DATA and of == stream)
        self._note({id: self._send_reset(stream)})

    def _send_reset(self, stream: int) -> int:
        self._client.reset(stream)
        sent = time.monotonic_ns()
        self._client.flush()
        return sent

    def _note(self, sent: dict[int, int]) -> None:
        for id, moment in self._look(list(sent), "stopped_ns").items():
            self.stopped_after_ms.append((moment - sent[id]) / 1e6)

    def _look(self, ids: list[int], what: str) -> dict[int, int]:
        """Ask until it has happened to all of them; when."""
        until = time.monotonic() + LIMIT_S
        while True:
            asked = {self._client.call("/costs.Costs/Look", _request(id)): id for id in ids}
            self._client.flush()
            moments: dict[int, Any] = {
                asked[stream]: schema.Moment.FromString(body[5:]) for stream, body in self._client.bodies(asked).items()
            }
            found = {id: int(getattr(moment, what)) for id, moment in moments.items()}
            if all(found.values()):
                return found
            if time.monotonic() > until:
                raise ConnectionFailed(f"{what} of a handler did not come within {LIMIT_S:.0f} s")


def _pause() -> None:
    """Some while that is not in step with the load."""
    time.sleep(random.uniform(0, PACE_S))  # noqa: S311 - no secret


def _request(id: int) -> bytes:
    return enveloped(schema.GetUserRequest(id=id).SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=("wait", "flood"))
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    canceller = Canceller(options.port)
    once = canceller.waiting if options.kind == "wait" else canceller.running
    end = time.monotonic() + options.seconds
    try:
        while time.monotonic() < end or not canceller.stopped_after_ms:
            once()
    except (ConnectionFailed, OSError) as error:
        sys.exit(f"{options.kind}: {error}")
    print(json.dumps(canceller.stopped_after_ms))


if __name__ == "__main__":
    main()
