"""One text that many edit at once; pycrdt (Yjs) merges what they do.

Each editor has a replica here, which is the text as that editor has seen it. Its edits are made on the replica and
merged into the document. What others have done goes to it as one change of its text, and becomes part of its replica
when it says that it has made it: a change that meets an edit on the way was computed for a text that is no more, so the
editor leaves it out, and gets another one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta
from pycrdt import Doc as CrdtDoc
from pycrdt import Text as CrdtText

from atlas.locked import LOCK
from polywire import Doc, Int32, InvalidArgument, Message, ResourceExhausted, Service, mutation

MOST_CHARACTERS = 20_000
MOST_DOCUMENTS = 100
MOST_EDITORS = 50


class Edit(Message):
    """What an editor says: first which document, then edits of its text and which changes it has made."""

    document: Annotated[str, Meta(pattern="^[a-z0-9-]{0,40}$")] = ""
    position: Annotated[Int32, Meta(ge=0), Doc("In characters (code points).")] = 0
    delete: Annotated[Int32, Meta(ge=0), Doc("How many characters from there on.")] = 0
    insert: Annotated[str, Meta(max_length=MOST_CHARACTERS)] = ""
    made: Annotated[Int32, Meta(ge=0), Doc("The number of a change that was made; 0: this is an edit.")] = 0


class Change(Message):
    """What an editor is to make of its text, unless it has edited since."""

    number: Int32
    edits: Annotated[Int32, Doc("How many of the editor's edits are in the text that this is a change of.")]
    position: Int32
    delete: Int32
    insert: str
    editors: Annotated[Int32, Doc("Who have the document open.")]


def text_of(doc: "CrdtDoc[CrdtText]") -> CrdtText:
    return doc.get("text", type=CrdtText)


class SharedText:
    """A document, and who edits it."""

    def __init__(self) -> None:
        self.doc: CrdtDoc[CrdtText] = CrdtDoc()
        text_of(self.doc)
        self.editors: set[Editor] = set()

    def tell(self) -> None:
        for editor in self.editors:
            editor.news.set()


class Editor:
    """One of them: its replica, and the change that is on its way."""

    def __init__(self, shared: SharedText) -> None:
        self.shared = shared
        self.news = asyncio.Event()
        self.news.set()
        self._seen: CrdtDoc[CrdtText] = CrdtDoc()
        text_of(self._seen)
        self._edits = 0
        self._number = 0
        self._on_the_way: tuple[int, bytes] | None = None
        self._told_editors = 0

    def take(self, edit: Edit) -> None:
        """Raises InvalidArgument for an edit beyond the text."""
        if edit.made:
            if self._on_the_way is not None and self._on_the_way[0] == edit.made:
                self._seen.apply_update(self._on_the_way[1])
                self._on_the_way = None
                self.news.set()
            return
        text = text_of(self._seen)
        now = str(text)
        end = edit.position + edit.delete
        if end > len(now):
            raise InvalidArgument("the edit goes beyond the text", reason="BEYOND_TEXT")
        if len(now) - edit.delete + len(edit.insert) > MOST_CHARACTERS:
            raise ResourceExhausted(f"a document has at most {MOST_CHARACTERS} characters", reason="TOO_LONG")
        # Yjs counts bytes here.
        begin = len(now[: edit.position].encode())
        with self._seen.transaction():
            if edit.delete:
                del text[begin : begin + len(now[edit.position : end].encode())]
            if edit.insert:
                text.insert(begin, edit.insert)
        self._edits += 1
        self._on_the_way = None
        self.shared.doc.apply_update(self._seen.get_update(self.shared.doc.get_state()))
        self.shared.tell()

    def change(self) -> Change | None:
        """What is to be told now; None: nothing, or something is on its way already."""
        if self._on_the_way is not None:
            return None
        update = self.shared.doc.get_update(self._seen.get_state())
        ahead: CrdtDoc[CrdtText] = CrdtDoc()
        ahead.apply_update(self._seen.get_update())
        ahead.apply_update(update)
        old, new = str(text_of(self._seen)), str(text_of(ahead))
        if old == new and self._number and self._told_editors == len(self.shared.editors):
            return None
        self._number += 1
        self._on_the_way = (self._number, update)
        self._told_editors = len(self.shared.editors)
        position, delete, insert = difference(old, new)
        return Change(self._number, self._edits, position, delete, insert, self._told_editors)


def difference(old: str, new: str) -> tuple[int, int, str]:
    """One change that makes `new` of `old`: where, how many characters go, what comes in their place."""
    begin, most = 0, min(len(old), len(new))
    while begin < most and old[begin] == new[begin]:
        begin += 1
    end = 0
    while end < most - begin and old[-1 - end] == new[-1 - end]:
        end += 1
    return begin, len(old) - begin - end, new[begin : len(new) - end]


class Documents(Service, package="document", lock=LOCK):
    """Texts that are edited together; the hundred that were opened last are kept."""

    def __init__(self) -> None:
        self._documents: OrderedDict[str, SharedText] = OrderedDict()

    @mutation
    async def edit(self, edits: AsyncIterator[Edit]) -> AsyncIterator[Change]:
        """Opens the document that the first message names; the first change is the whole of its text."""
        first = await anext(edits, None)
        if first is None or not first.document:
            raise InvalidArgument("the first message names the document", reason="NO_DOCUMENT")
        shared = self._open(first.document)
        if len(shared.editors) >= MOST_EDITORS:
            raise ResourceExhausted(f"{MOST_EDITORS} have it open already", reason="TOO_MANY_EDITORS")
        editor = Editor(shared)
        shared.editors.add(editor)
        shared.tell()
        taking = asyncio.create_task(_take_all(editor, edits))
        taking.add_done_callback(lambda _: editor.news.set())
        try:
            while not taking.done():
                await editor.news.wait()
                editor.news.clear()
                change = editor.change()
                if change is not None and not taking.done():
                    yield change
            taking.result()
        finally:
            taking.cancel()
            shared.editors.discard(editor)
            shared.tell()

    def _open(self, name: str) -> SharedText:
        shared = self._documents.setdefault(name, SharedText())
        self._documents.move_to_end(name)
        if len(self._documents) > MOST_DOCUMENTS:
            unused = next((key for key, one in self._documents.items() if not one.editors), None)
            if unused is None or unused == name:
                del self._documents[name]
                raise ResourceExhausted(f"{MOST_DOCUMENTS} documents are open already", reason="TOO_MANY_DOCUMENTS")
            del self._documents[unused]
        return shared


async def _take_all(editor: Editor, edits: AsyncIterator[Edit]) -> None:
    async for edit in edits:
        editor.take(edit)
