"""Gathering the one message of a call, under the call's deadline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from polywire.errors import RpcError
from polywire.http.exchange import Exchange
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
    exchange.collect(limit_bytes, then, refuse, call)
    if exchange.gathering is not None:
        runtime.await_input(call, done)
        exchange.watch(partial(runtime.abandon, call))
