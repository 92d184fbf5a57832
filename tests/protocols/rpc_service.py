"""One service for the tests of Connect and gRPC-Web."""

from __future__ import annotations

from collections.abc import AsyncIterator

from polywire import Int32, Message, NotFound, Service, current_call, mutation, query


class Word(Message):
    text: str
    times: Int32 = 0
    number_of_all: int = 0


class Words(Service, package="rpc"):
    @query
    async def echo(self, word: Word) -> Word:
        return word

    @mutation
    async def change(self, word: Word) -> Word:
        return word

    @mutation
    async def nothing(self) -> None: ...

    @query
    async def decorated(self) -> Word:
        call = current_call()
        call.response_metadata.add("x-cost", "3")
        call.response_metadata.add("trace-bin", b"\xff")
        call.trailers.add("x-rows", "7")
        call.trailers.add("sum-bin", b"\x00\x01")
        return Word("w")

    @query
    async def refused(self) -> Word:
        call = current_call()
        call.response_metadata.add("x-cost", "3")
        call.trailers.add("x-rows", "7")
        raise NotFound("no é", reason="NO_WORD", metadata={"Retry-After": "3"}, details=[Word("why", 2)])

    @query
    async def unsendable(self) -> Word:
        raise NotFound("secret", metadata={"x": "a\r\nb"})

    @query
    async def timeout(self) -> float | None:
        return current_call().timeout_s

    @query
    async def repeat(self, word: Word) -> AsyncIterator[Word]:
        for number in range(word.times):
            yield Word(word.text, number)

    @query
    async def breaks(self, word: Word) -> AsyncIterator[Word]:
        current_call().response_metadata.add("x-cost", "3")
        yield word
        current_call().trailers.add("x-rows", "1")
        raise NotFound("no more", reason="DRY", metadata={"x-left": "0"})

    @mutation
    async def join(self, words: AsyncIterator[Word]) -> Word:
        return Word(" ".join([word.text async for word in words]))

    @mutation
    async def mirror(self, words: AsyncIterator[Word]) -> AsyncIterator[Word]:
        async for word in words:
            yield word
