"""One text that many edit: whatever they do at once, they end with the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from atlas.services import document as document_module
from atlas.services.document import Change, Documents, Edit, difference
from polywire import App
from polywire.errors import Code, RpcError
from polywire.testing import TestClient
from tests.atlas.talk import Talk, nothing_is_left, until

METHOD = "document.Documents/Edit"
LETTERS = "abcXYZ 🙂☃ä\n"


class Writer:
    """An editor as the page is one: it takes changes of the text that it has, and leaves those of an older one out."""

    def __init__(self, client: TestClient, name: str = "notes") -> None:
        self.talk = Talk(client, METHOD)
        self.talk.say(Edit(document=name))
        self.text = ""
        self.edits = 0
        self.editors = 0
        self.left_out = 0

    async def take(self) -> Change:
        change = await self.talk.hear()
        assert isinstance(change, Change)
        self.editors = change.editors
        if change.edits == self.edits:
            end = change.position + change.delete
            assert 0 <= change.position <= end <= len(self.text)
            self.text = self.text[: change.position] + change.insert + self.text[end:]
            self.talk.say(Edit(made=change.number))
        else:
            self.left_out += 1
        return change

    async def take_all(self) -> None:
        while True:
            await self.take()

    def edit(self, position: int, delete: int, insert: str) -> None:
        self.text = self.text[:position] + insert + self.text[position + delete :]
        self.edits += 1
        self.talk.say(Edit(position=position, delete=delete, insert=insert))


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(App(Documents())) as client:
        yield client
        await nothing_is_left(client)


async def writers(client: TestClient, count: int, name: str = "notes") -> list[Writer]:
    found = [Writer(client, name) for _ in range(count)]
    for writer in found:
        while writer.editors < count:
            await writer.take()
    return found


async def leave(*all_writers: Writer) -> None:
    for writer in all_writers:
        writer.talk.leave()


async def test_what_one_writes_the_other_reads(client: TestClient) -> None:
    one, two = await writers(client, 2)
    one.edit(0, 0, "hello 🙂 world")
    await two.take()
    assert two.text == "hello 🙂 world"
    two.edit(6, 1, "big")
    await one.take()
    assert one.text == "hello big world"
    late = Writer(client)
    change = await late.take()
    assert (change.number, change.position, change.delete, change.insert) == (1, 0, 0, "hello big world")
    assert late.editors == 3
    await leave(one, two, late)


async def test_edits_at_once_are_merged(client: TestClient) -> None:
    one, two = await writers(client, 2)
    one.edit(0, 0, "ab")
    await two.take()
    # Neither has seen what the other does.
    one.edit(1, 0, "111")
    two.edit(1, 1, "B")
    two.edit(2, 0, "222")
    async with asyncio.timeout(10):
        while not one.text == two.text == "a111B222":
            taking = [asyncio.ensure_future(writer.take()) for writer in (one, two) if writer.text != "a111B222"]
            await asyncio.wait(taking, return_when=asyncio.FIRST_COMPLETED)
            for task in taking:
                task.cancel()
            await asyncio.wait(taking)
    await leave(one, two)


@pytest.mark.parametrize("seed", range(8))
async def test_all_end_with_the_same_text(client: TestClient, seed: int) -> None:
    chance = random.Random(seed)
    all_writers = await writers(client, 3)
    taking = [asyncio.create_task(writer.take_all()) for writer in all_writers]
    for _ in range(60):
        writer = chance.choice(all_writers)
        position = chance.randint(0, len(writer.text))
        delete = min(chance.randint(0, 4), len(writer.text) - position)
        writer.edit(position, delete, "".join(chance.choices(LETTERS, k=chance.randint(0, 5))))
        for _ in range(chance.choice((0, 0, 1, 5))):
            await asyncio.sleep(0)

    def all_have(text: str) -> bool:
        return all(writer.text == text for writer in all_writers)

    # Every one has all edits in what it sees: the last to come tells so.
    for number, writer in enumerate(all_writers):
        writer.edit(0, 0, f"<{number}>")
    await until(lambda: all(all(f"<{n}>" in one.text for n in range(3)) for one in all_writers) and _same(all_writers))
    late = Writer(client)
    await late.take()
    assert all_have(late.text)
    assert all(not task.done() for task in taking)
    for task in taking:
        task.cancel()
    await asyncio.wait(taking)
    await leave(*all_writers, late)


def _same(all_writers: list[Writer]) -> bool:
    return len({writer.text for writer in all_writers}) == 1


async def test_a_change_that_met_an_edit_is_left_out(client: TestClient) -> None:
    one, two = await writers(client, 2)
    one.edit(0, 0, "ab")
    await two.take()
    one.edit(2, 0, "c")
    await asyncio.sleep(0)
    two.edit(0, 0, "0")
    while two.text != "0abc":
        await two.take()
    assert two.left_out == 1
    await leave(one, two)


async def test_a_change_that_never_was_cannot_be_made(client: TestClient) -> None:
    one, two = await writers(client, 2)
    one.talk.say(Edit(made=7), Edit(made=2**31 - 1))
    one.edit(0, 0, "ab")
    await two.take()
    assert two.text == "ab"
    await leave(one, two)


async def test_documents_are_apart(client: TestClient) -> None:
    one, other = Writer(client, "one"), Writer(client, "other")
    for writer in (one, other):
        await writer.take()
    one.edit(0, 0, "here")
    late = Writer(client, "other")
    await late.take()
    assert late.text == ""
    await leave(one, other, late)


async def test_who_leaves_is_told_and_the_text_stays(client: TestClient) -> None:
    one, two = await writers(client, 2)
    two.edit(0, 0, "kept")
    await one.take()
    two.talk.end()
    assert await two.talk.rest() == []
    await one.take()
    assert (one.editors, one.text) == (1, "kept")
    await leave(one)


async def failure(talk: Talk) -> tuple[Code, str | None]:
    with pytest.raises(RpcError) as caught:
        await talk.rest()
    return caught.value.code, caught.value.reason


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], (Code.INVALID_ARGUMENT, "NO_DOCUMENT")),
        ([Edit()], (Code.INVALID_ARGUMENT, "NO_DOCUMENT")),
        ([Edit(document="notes"), Edit(position=1)], (Code.INVALID_ARGUMENT, "BEYOND_TEXT")),
        ([Edit(document="notes"), Edit(delete=2**31 - 1)], (Code.INVALID_ARGUMENT, "BEYOND_TEXT")),
        ([Edit(document="notes"), *[Edit(insert="x" * 15_000)] * 2], (Code.RESOURCE_EXHAUSTED, "TOO_LONG")),
    ],
)
async def test_what_is_refused(client: TestClient, edits: list[Edit], expected: tuple[Code, str]) -> None:
    talk = Talk(client, METHOD)
    talk.say(*edits)
    talk.end()
    assert await failure(talk) == expected
    # Nobody else suffers.
    writer = Writer(client)
    assert (await writer.take()).editors == 1
    await leave(writer)


async def test_so_many_editors_and_no_more(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_module, "MOST_EDITORS", 2)
    one, two = await writers(client, 2)
    assert await failure(Writer(client).talk) == (Code.RESOURCE_EXHAUSTED, "TOO_MANY_EDITORS")
    await leave(one, two)


async def test_so_many_documents_and_no_more(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_module, "MOST_DOCUMENTS", 2)
    one, two = Writer(client, "one"), Writer(client, "two")
    for writer in (one, two):
        await writer.take()
        writer.edit(0, 0, "kept")
    assert await failure(Writer(client, "three").talk) == (Code.RESOURCE_EXHAUSTED, "TOO_MANY_DOCUMENTS")
    two.talk.end()
    await two.talk.rest()
    three = Writer(client, "three")
    await three.take()
    late = Writer(client, "one")
    await late.take()
    assert late.text == "kept"
    await leave(one, three, late)


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("", "", (0, 0, "")),
        ("", "ab", (0, 0, "ab")),
        ("ab", "", (0, 2, "")),
        ("aa", "aaa", (2, 0, "a")),
        ("aaa", "aa", (2, 1, "")),
        ("abc", "aXc", (1, 1, "X")),
        ("🙂b", "🙂☃b", (1, 0, "☃")),
    ],
)
def test_difference(old: str, new: str, change: tuple[int, int, str]) -> None:
    assert difference(old, new) == change
