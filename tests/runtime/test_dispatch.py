"""What becomes of a call: its result, its errors, and who stands around it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from polywire import (
    App,
    Code,
    Internal,
    Message,
    NotFound,
    RpcError,
    Service,
    Unauthenticated,
    Unavailable,
    current_call,
    query,
)
from polywire.runtime.call import Call
from polywire.runtime.metrics import Metrics
from polywire.runtime.runtime import Runtime
from polywire.service import Invoke
from tests.runtime.harness import Bench, Carried, Started, running


class Text(Message):
    value: str


def plainly(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    """A decorator that hides that the function is async."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    return wrapper


class Handlers(Service, package="test"):
    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.calls: list[Any] = []

    @query
    async def join(self, first: str, second: str, third: str = "c") -> str:
        return first + second + third

    @query
    async def keywords(self, first: str, *, second: str, third: str = "c") -> str:
        return first + second + third

    @query
    def keywords_in_a_thread(self, *, first: str, second: str = "b") -> str:
        return first + second

    @query
    async def message(self, request: Text) -> str:
        return request.value

    @query
    async def message_by_keyword(self, *, request: Text) -> str:
        return request.value

    @query
    async def nothing(self) -> None:
        self.calls.append(current_call())

    @query
    @plainly
    async def hidden(self, value: str) -> str:
        await asyncio.sleep(0)
        return value

    @query
    async def suspends(self) -> str:
        await self.go.wait()
        return "went on"

    @query
    async def missing(self) -> str:
        raise NotFound("no such thing", reason="THING")

    @query
    async def raises(self, name: str) -> str:
        raise RAISED[name]

    @query
    async def raises_later(self, name: str) -> str:
        await self.go.wait()
        raise RAISED[name]


RAISED: dict[str, BaseException] = {
    "plain": ZeroDivisionError("secret"),
    "cancelled": asyncio.CancelledError("secret"),
    "group": BaseExceptionGroup("secret", [ValueError("secret"), asyncio.CancelledError()]),
    "base": BaseException("secret"),
    "stop": StopAsyncIteration("secret"),
}


@pytest.mark.parametrize(
    ("method", "fields", "expected"),
    [
        ("join", {"first": "a", "second": "b"}, "abc"),
        ("join", {"first": "a", "second": "b", "third": "d"}, "abd"),
        ("keywords", {"first": "a", "second": "b"}, "abc"),
        ("keywords", {"first": "a", "second": "b", "third": "d"}, "abd"),
        ("keywords_in_a_thread", {"first": "a"}, "ab"),
        ("message", {"value": "a"}, "a"),
        ("message_by_keyword", {"value": "a"}, "a"),
        ("hidden", {"value": "a"}, "a"),
        ("nothing", {}, None),
    ],
)
async def test_arguments_and_results(method: str, fields: dict[str, str], expected: Any) -> None:
    async with running(Handlers()) as bench:
        assert await bench.run(method, **fields) == expected


async def test_one_that_never_suspends_is_over_at_once() -> None:
    async with running(Handlers()) as bench:
        started = bench.start("join", first="a", second="b")
        assert started.told == [("abc", None)]
        assert started.call.answered
        assert started.call.task is None
        assert not bench.runtime.suspended


async def test_what_comes_when_the_server_stops_is_refused() -> None:
    """It ended as INTERNAL."""
    service = Handlers()
    async with running(service) as bench:
        waiting = bench.start("suspends")
        stopping = asyncio.create_task(bench.runtime.stop())
        await asyncio.sleep(0)
        late = [bench.start("suspends"), bench.start("join", first="a", second="b")]
        await stopping
        late.append(bench.start("join", first="a", second="b"))
        for one in (waiting, *late):
            with pytest.raises(Unavailable, match="the server is shutting down"):
                await one.outcome()


async def test_one_that_suspends_is_counted_until_it_ends() -> None:
    service = Handlers()
    async with running(service) as bench:
        started = bench.start("suspends")
        assert bench.runtime.suspended.keys() == {started.call}
        assert not started.told
        service.go.set()
        assert await started.outcome() == "went on"
        assert not bench.runtime.suspended


async def test_the_handler_finds_its_call() -> None:
    service = Handlers()
    async with running(service) as bench:
        started = bench.start("nothing")
        assert service.calls == [started.call]
        with pytest.raises(LookupError):
            current_call()


async def test_an_rpc_error_is_told_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async with running(Handlers()) as bench:
        with pytest.raises(NotFound, match="no such thing"):
            await bench.run("missing")
    assert not caplog.records, "what is meant for the caller is no failure"


@pytest.mark.parametrize("method", ["raises", "raises_later"])
@pytest.mark.parametrize("name", RAISED)
async def test_anything_else_is_internal_and_goes_to_the_log(
    method: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = Handlers()
    async with running(service) as bench:
        started = bench.start(method, name=name)
        service.go.set()
        with pytest.raises(Internal) as caught:
            await started.outcome()
        await started.ended()
    assert caught.value.message == "internal error"
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is RAISED[name]
    assert started.call.request_id in record.getMessage()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("suspends", [False, True])
def test_the_process_is_told_to_end_and_the_caller_that_it_failed(kind: type[BaseException], suspends: bool) -> None:
    class Ending(Service):
        @query
        async def end(self) -> None:
            if suspends:
                await asyncio.sleep(0)
            raise kind

    told: list[Any] = []

    async def main() -> None:
        async with running(Ending()) as bench:
            started = bench.make("end")
            started.call.input = started.call.method.input.cls()
            told.append(started.told)
            bench.dispatch(started)
            await started.outcome()

    def run() -> None:
        with asyncio.Runner() as runner:
            # A task that ends the process is never asked for its exception.
            runner.get_loop().set_exception_handler(lambda loop, context: None)
            runner.run(main())

    with pytest.raises(kind):
        run()
    (((value, error),),) = told
    assert value is None
    assert isinstance(error, Internal)


async def test_what_the_protocol_cannot_encode_is_told_again_as_internal(caplog: pytest.LogCaptureFixture) -> None:
    """A result of the wrong type, or an error with details or metadata that cannot be sent."""
    for method in ("nothing", "missing"):
        async with running(Handlers()) as bench:
            started = bench.make(method)
            started.call.input = started.call.method.input.cls()
            told: list[RpcError | None] = []

            def done(call: Call, value: Any, error: RpcError | None, told: list[RpcError | None] = told) -> None:
                told.append(error)
                if len(told) == 1:
                    raise TypeError("secret")

            bench.runtime.dispatch(started.call, done)
            assert [type(error) for error in told] == [NotFound if method == "missing" else type(None), Internal]
            assert count_of(bench, method, Code.INTERNAL) == 1
    assert len(caplog.records) == 2


async def test_a_rejected_call_never_reaches_its_handler() -> None:
    service = Handlers()
    async with running(service) as bench:
        started = bench.make("nothing")
        bench.runtime.reject(started.call, NotFound("refused"), started.done)
        with pytest.raises(NotFound):
            await started.outcome()
    assert not service.calls
    assert started.call.answered


async def test_outside_of_a_started_runtime_a_call_is_refused_plainly() -> None:
    runtime = Runtime(App(Handlers()), Metrics())
    ((service, instance),) = runtime.app.services
    (method,) = [one for one in service.methods if one.name == "Nothing"]
    call = Call(runtime.bind(method, instance, "test"), Carried())
    with pytest.raises(RuntimeError, match="has not been started"):
        runtime.dispatch(call, Started(call).done)


# Interceptors


class Recording:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    async def __call__(self, call: Call, proceed: Invoke) -> Any:
        self.log.append(f"{self.name} in")
        try:
            return await proceed(call)
        finally:
            self.log.append(f"{self.name} out")


async def refuse(call: Call, proceed: Invoke) -> Any:
    raise Unauthenticated("who is it?")


async def answer_itself(call: Call, proceed: Invoke) -> Any:
    return "from the interceptor"


async def shout(call: Call, proceed: Invoke) -> Any:
    return (await proceed(call)).upper()


async def change_input(call: Call, proceed: Invoke) -> Any:
    call.input = type(call.input)("x", "y", "z")
    return await proceed(call)


async def replace_errors(call: Call, proceed: Invoke) -> Any:
    try:
        return await proceed(call)
    except NotFound:
        return "found after all"


def plain(call: Call, proceed: Invoke) -> Any:
    return proceed(call)


def plain_and_final(call: Call, proceed: Invoke) -> Any:
    assert current_call() is call
    return "plainly"


def plain_refusal(call: Call, proceed: Invoke) -> Any:
    raise Unauthenticated("who is it?")


async def test_the_first_interceptor_is_the_outermost() -> None:
    log: list[str] = []
    async with running(Handlers(), interceptors=[Recording("a", log), Recording("b", log)]) as bench:
        assert await bench.run("join", first="1", second="2") == "12c"
    assert log == ["a in", "b in", "b out", "a out"]


async def test_a_short_circuit_reaches_nobody_further_in() -> None:
    log: list[str] = []
    interceptors = [Recording("outer", log), refuse, Recording("inner", log)]
    service = Handlers()
    async with running(service, interceptors=interceptors) as bench:
        with pytest.raises(Unauthenticated):
            await bench.run("nothing")
    assert log == ["outer in", "outer out"]
    assert not service.calls


@pytest.mark.parametrize(
    ("interceptor", "method", "fields", "expected"),
    [
        (answer_itself, "missing", {}, "from the interceptor"),
        (shout, "join", {"first": "a", "second": "b"}, "ABC"),
        (change_input, "join", {"first": "a", "second": "b"}, "xyz"),
        (replace_errors, "missing", {}, "found after all"),
        (plain, "join", {"first": "a", "second": "b"}, "abc"),
        (plain_and_final, "missing", {}, "plainly"),
        (functools.partial(Recording("partial", []).__call__), "join", {"first": "a", "second": "b"}, "abc"),
    ],
)
async def test_an_interceptor_changes_what_it_likes(
    interceptor: Any, method: str, fields: dict[str, str], expected: str
) -> None:
    async with running(Handlers(), interceptors=[interceptor]) as bench:
        assert await bench.run(method, **fields) == expected


async def test_a_plain_function_refuses_within_the_call() -> None:
    async with running(Handlers(), interceptors=[plain_refusal]) as bench:
        with pytest.raises(Unauthenticated):
            await bench.run("nothing")


def test_an_interceptor_of_another_signature_is_refused_with_its_app() -> None:
    async def wrong(call: Call) -> Any:
        raise AssertionError("unreachable")

    with pytest.raises(ValueError, match=r"write async def f\(call, proceed\)"):
        App(Handlers(), interceptors=[wrong])  # type: ignore[list-item]


# on_done


@pytest.mark.parametrize("method", ["nothing", "missing"])
async def test_on_done_is_told_once_also_after_one_that_raises(method: str, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []

    async with running(Handlers()) as bench:
        started = bench.make(method)
        started.call.input = started.call.method.input.cls()

        def fails(call: Call, error: RpcError | None) -> None:
            raise ValueError("of a callback")

        started.call.on_done(fails)
        started.call.on_done(lambda call, error: told.append((call, type(error), started.call.answered)))
        bench.dispatch(started)
    error = NotFound if method == "missing" else type(None)
    assert told == [(started.call, error, True)]
    assert started.told, "the caller was answered all the same"
    assert [record.message for record in caplog.records] == [f"on_done of test.Handlers/{method.title()} failed"]


def count_of(bench: Bench, method: str, code: Code) -> int:
    name = f'method="test.Handlers/{method.title()}",protocol="test",code="{code.name}"'
    (line,) = [line for line in bench.runtime.metrics.render().decode().splitlines() if name in line]
    return int(line.rpartition(" ")[2])


async def test_calls_are_counted_by_code() -> None:
    async with running(Handlers()) as bench:
        bench.start("nothing")
        bench.start("nothing")
        bench.start("missing")
        rejected = bench.make("nothing")
        bench.runtime.reject(rejected.call, NotFound("refused"), rejected.done)
        assert count_of(bench, "nothing", Code.OK) == 2
        assert count_of(bench, "missing", Code.NOT_FOUND) == 1
        assert count_of(bench, "nothing", Code.NOT_FOUND) == 1
