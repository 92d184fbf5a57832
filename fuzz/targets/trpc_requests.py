"""What tRPC callers send: query strings, the inputs of batches, positions in inputs."""

from __future__ import annotations

import json

from fuzz.source import Source
from polywire.errors import InvalidArgument
from polywire.protocols.trpc.requests import batch_inputs, last_event_id, query_fields

KNOWN = {"batch", "input", "connectionParams", "lastEventId", "Last-Event-Id"}


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    kind, count = source.byte() % 3, source.byte() % 8
    rest = source.rest()
    if kind == 0:
        try:
            fields = query_fields(rest.decode("latin-1"))
        except InvalidArgument:
            return
        assert fields.keys() <= KNOWN
        assert sum(map(len, fields.values())) <= len(rest)
    elif kind == 1:
        try:
            inputs = batch_inputs(rest, count)
        except InvalidArgument:
            return
        assert len(inputs) == count
        try:
            given = json.loads(rest) if rest else {}
        except UnicodeDecodeError:
            # Each input is decoded by its call, which refuses it.
            return
        for place, one in enumerate(inputs):
            # As `json` reads it, or nothing where there is none.
            assert (one != b"") is (str(place) in given)
            assert one == b"" or json.loads(one) == given[str(place)]
    else:
        told = last_event_id(rest)
        assert told is None or len(told) <= len(rest)
