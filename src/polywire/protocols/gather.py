"""Gathering the one message of a call, under the call's deadline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from polywire.errors import RpcError
from polywire.http.exchange import INTERNAL_ERROR, Exchange
from polywire.runtime.call import Call
from polywire.runtime.runtime import Done, Runtime


def gather(
    runtime: Runtime,
    call: Call,
    exchange: Exchange,
    limit_bytes: int,
    then: Callable[[Call, bytes], None],
    refuse: Callable[[Call, RpcError], None],
    done: Done,
) -> None:
    """`exchange.collect` for a call: neither `then` nor `refuse` is called any more once its deadline has passed.

    A caller that leaves before its message is whole ends the call as CANCELLED.
    """
    exchange.collect(limit_bytes, then, refuse, call, runtime.pending, runtime.turns)
    if exchange.gathering is not None:
        runtime.await_input(call, done)
        exchange.watch(partial(runtime.abandon, call))


def take_turn(
    runtime: Runtime,
    call: Call,
    exchange: Exchange,
    body: bytes,
    then: Callable[[Call, bytes], None],
    refuse: Callable[[Call, RpcError], None],
    done: Done,
) -> None:
    """Call then(call, body), which decompresses the message of a body that is here, once it is its turn.

    Meanwhile the call is as one whose message is still on its way.
    """
    if runtime.turns.is_open:
        then(call, body)
        return
    try:
        runtime.pending.hold(len(body))
    except RpcError as error:
        refuse(call, error)
        return

    def go_on() -> None:
        runtime.pending.release(len(body))
        if call.answered:
            return
        try:
            then(call, body)
        except Exception:
            exchange.reset(INTERNAL_ERROR)
            raise

    runtime.turns.wait(go_on)
    runtime.await_input(call, done)
    exchange.watch(partial(runtime.abandon, call))
