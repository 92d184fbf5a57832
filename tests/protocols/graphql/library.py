"""Authors, books and their readers: a service with resolvers of every kind, which counts what it is asked."""

from __future__ import annotations

import asyncio
import enum
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any

from msgspec import Meta

from polywire import ID, Int32, Message, NotFound, Service, Tracked, current_call, mutation, query, resolve


class Genre(enum.Enum):
    NOVEL = "novel"
    POEMS = "poems"


class Author(Message):
    id: Annotated[Int32, ID]
    name: str
    friend: Author | None = None


class Book(Message):
    id: Annotated[Int32, ID]
    title: str
    genre: Genre
    author: Author
    scores: dict[str, int] = {}


class Review(Message):
    text: str


class Item(Message, union=True):
    pass


class Printed(Item):
    pages: Int32


class Spoken(Item):
    minutes: Int32


class Marks(Message):
    best: Annotated[Int32, Meta(ge=1, le=5)]
    all: Annotated[list[Annotated[Int32, Meta(ge=1)]], Meta(min_length=2)]
    code: Annotated[str, Meta(pattern="^[A-Z]+$")] | None


class Sought(Message):
    text: Annotated[str, Meta(min_length=1)]
    genre: Genre | None = None
    limit: Annotated[Int32, Meta(ge=1, le=100)] = 10


def author(id: int) -> Author:
    return Author(id, f"Author {id}")


def book(id: int) -> Book:
    return Book(id, f"Book {id}", Genre.NOVEL, author(id % 3))


class Library(Service, package="library"):
    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.selections: dict[str, Any] = {}
        self.methods: list[str] = []
        self.gate = asyncio.Event()
        self.waiting = 0
        self.shelf = [author(id) for id in range(5)]
        self.open_streams = 0
        self.stream_closed = asyncio.Event()
        self.sent = 0

    def _note(self, name: str) -> None:
        self.asked[name] += 1
        call = current_call()
        self.selections[name] = call.selection
        self.methods.append(call.method.full_name)

    async def _pass(self) -> None:
        self.waiting += 1
        await self.gate.wait()

    @query(graphql="author")
    async def get_author(self, id: Annotated[Int32, ID, Meta(ge=0)]) -> Author:
        """One author."""
        self._note("author")
        if id > 1000:
            raise NotFound(f"no author {id}", reason="AUTHOR_NOT_FOUND")
        return author(id)

    @query
    async def authors(self, count: Int32 = 3) -> list[Author]:
        self._note("authors")
        return [author(id) for id in range(count)]

    @query
    async def shelved(self) -> list[Author]:
        """The service's own list, which others change."""
        return self.shelf

    @query
    async def slow(self, name: str) -> str:
        await self._pass()
        return name

    @query
    async def item(self, spoken: bool = False) -> Item:
        return Spoken(90) if spoken else Printed(300)

    @query
    async def seek(self, what: Sought) -> list[Book]:
        self._note("seek")
        return [book(id) for id in range(min(what.limit, 3))]

    @query
    async def wrong(self) -> Author:
        return Author("one", 2)  # type: ignore[arg-type]

    @query
    async def nobody(self) -> Author:
        return None  # type: ignore[return-value]

    @query
    async def marks(self, above: bool = False) -> Marks:
        return Marks(6 if above else 5, [1] if above else [1, 2], "ABC")

    @query
    async def broken(self) -> str:
        raise RuntimeError("the password is secret")

    @mutation
    async def add(self, title: str) -> Book:
        self._note("add")
        await asyncio.sleep(0)
        self.methods.append(f"added {title}")
        return Book(1, title, Genre.POEMS, author(1), {"a": 1})

    @mutation
    async def burn(self, id: Int32) -> None:
        if id == 13:
            raise NotFound("no book 13")

    @query
    async def watch(self, count: Int32) -> AsyncIterator[Author]:
        for id in range(count):
            yield author(id)

    @query
    async def watch_fails(self) -> AsyncIterator[Author]:
        yield author(1)
        raise NotFound("no more authors")

    @query
    async def watch_for_ever(self) -> AsyncIterator[Author]:
        self.open_streams += 1
        try:
            yield author(1)
            await asyncio.get_running_loop().create_future()
        finally:
            self.open_streams -= 1
            self.stream_closed.set()

    @query
    async def watch_much(self) -> AsyncIterator[Author]:
        """More than a caller is sent who does not read."""
        for id in range(200):
            self.sent += 1
            yield Author(id, "x" * 1000)

    @query
    async def watch_tracked(self) -> AsyncIterator[Tracked[Author]]:
        yield Tracked("a", author(1))

    @resolve(Author)
    async def books(self, authors: list[Author], first: Annotated[Int32, Meta(ge=1)] = 2) -> list[list[Book]]:
        self._note("books")
        return [[book(author.id * 10 + place) for place in range(first)] for author in authors]

    @resolve(Book)
    async def reviews(self, books: list[Book]) -> list[list[Review]]:
        self._note("reviews")
        return [[Review(f"of {book.id}")] for book in books]

    @resolve(Author)
    async def motto(self, author: Author) -> str | None:
        self._note("motto")
        if author.id == 1:
            raise NotFound("no motto", reason="NO_MOTTO")
        return f"motto {author.id}"

    @resolve(Author)
    async def born(self, author: Author) -> Int32:
        """May not be null, and is wrong of author 2."""
        if author.id == 2:
            raise NotFound("unknown")
        return 1900 + author.id

    @resolve(Author)
    async def late(self, author: Author) -> Int32:
        await self._pass()
        return author.id

    @resolve(Author)
    async def short(self, authors: list[Author]) -> list[Int32]:
        return [1]

    @resolve(Author, graphql="self")
    async def itself(self, author: Author) -> Author:
        return author

    @resolve(Author)
    async def selves(self, authors: list[Author]) -> list[list[Author]]:
        return [[author] for author in authors]
