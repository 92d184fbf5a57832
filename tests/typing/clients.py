"""A client has the types of its service: `mypy --strict` checks this file, nothing runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

import polywire
from polywire import Int32, Message, Service, mutation, query


class Song(Message):
    title: str


class Songs(Service):
    @query
    async def get_song(self, id: Int32, loud: bool = False) -> Song:
        return Song("")

    @query
    async def list_songs(self) -> AsyncIterator[Song]:
        yield Song("")

    @mutation
    async def upload_songs(self, songs: AsyncIterator[Song]) -> int:
        return 0

    @mutation
    async def sing(self, songs: AsyncIterator[Song]) -> AsyncIterator[Song]:
        async for song in songs:
            yield song


async def use(songs_to_send: AsyncIterator[Song]) -> None:
    async with polywire.connect("http://127.0.0.1:8000", timeout_s=1.0) as channel:
        songs = channel.client(Songs, metadata={"from": "here"})
        assert_type(songs, Songs)
        with polywire.call_options(timeout_s=0.5, compression="gzip") as got:
            assert_type(await songs.get_song(1, loud=True), Song)
        assert_type(got.trailers.get("a"), str | None)
        async for song in songs.list_songs():
            assert_type(song, Song)
        assert_type(await songs.upload_songs(songs_to_send), int)
        async for song in songs.sing(songs_to_send):
            assert_type(song, Song)
        await songs.get_song("1")  # type: ignore[arg-type]
        await songs.get_song()  # type: ignore[call-arg]
