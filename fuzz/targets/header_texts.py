"""The small grammars in header values: time-outs, Accept and its kin, content types, ids, gRPC's status message."""

from __future__ import annotations

import contextlib
import math

from polywire.errors import InvalidArgument, MalformedInput, Unimplemented
from polywire.http.compression import CODINGS, choose_coding
from polywire.protocols.connect.errors import timeout_s as connect_timeout_s
from polywire.protocols.grpc import status, timeout
from polywire.protocols.rest import negotiation
from polywire.protocols.rpc import framing
from polywire.request_id import request_id

LONGEST_GRPC_S = 99999999 * 3600.0


def fuzz_one(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        assert 0.0 <= timeout.timeout_s(text) <= LONGEST_GRPC_S
        assert text.isascii()
        assert len(text) <= 9
    except InvalidArgument:
        pass
    with contextlib.suppress(InvalidArgument):
        assert connect_timeout_s(text) == int(text.encode("ascii")) / 1000
        assert len(text) <= 10
    try:
        seconds = negotiation.timeout_s(text)
        assert math.isfinite(seconds)
        assert seconds > 0
    except MalformedInput:
        pass
    # A problem is what is preferred; where it is preferred, JSON of some kind is accepted.
    assert not negotiation.accepts_problem(text) or negotiation.accepts_json(text)
    assert negotiation.accepts_json(text + ", */*") or "json" in text.lower() or "*" in text
    negotiation.is_json(text)
    assert not negotiation.is_json(text + "; charset=utf-16")
    assert choose_coding(text) in (None, *CODINGS)
    given = request_id(text)
    assert 0 < len(given) <= 128
    assert given.isascii()
    assert given.isprintable()
    framing.accepted_coding(text)
    with contextlib.suppress(Unimplemented):
        framing.check_coding(text, "grpc-encoding", "grpc-accept-encoding")
    sent = status.percent_encode(text)
    assert all(0x20 <= octet <= 0x7E for octet in sent)
    assert status.percent_decode(sent.decode()) == text
    status.percent_decode(text)
