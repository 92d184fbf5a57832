"""Topics in a SQLite file: what the loop's thread must not wait for."""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from polywire.topics.broker import History

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS broker (epoch TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS topics (
  topic TEXT PRIMARY KEY, last INTEGER NOT NULL, count INTEGER NOT NULL, age_s REAL, max_bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
  topic TEXT NOT NULL, offset INTEGER NOT NULL, at REAL NOT NULL, data BLOB NOT NULL, PRIMARY KEY (topic, offset)
);
CREATE TABLE IF NOT EXISTS ids (
  topic TEXT NOT NULL, id TEXT NOT NULL, offset INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (topic, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ids_at ON ids (at);
"""


class Stored(NamedTuple):
    """A topic without its messages."""

    topic: str
    offset: int
    history: History


class Loaded(NamedTuple):
    """A topic as the file has it, in order."""

    topic: Stored
    messages: list[tuple[int, float, bytes]]
    """Offset, when, data."""
    ids: list[tuple[str, int, float]]
    """Dedupe id, offset, when."""


class Batch(NamedTuple):
    """What one commit writes."""

    messages: list[tuple[str, int, float, bytes | None, str | None]]
    """Topic, offset, when, data (None: not kept), dedupe id."""
    topics: list[Stored]
    trims: dict[str, int]
    """By topic the oldest offset that is kept."""
    ids_since: float
    """Dedupe ids from before are forgotten."""


class Store:
    """The file. All of it is called in one thread.

    epoch: of a file that is new. Raises RuntimeError where another process has the file, or it is something else.
    """

    def __init__(self, path: str, epoch: str) -> None:
        db = self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
        try:
            # Alone: another process would count on its own.
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(_TABLES)
            db.execute("BEGIN EXCLUSIVE")
            found = db.execute("SELECT epoch FROM broker").fetchone()
            if found is None:
                db.execute("INSERT INTO broker VALUES (?)", (epoch,))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            db.close()
            raise RuntimeError(f"{path} cannot be the file of a SqliteBroker: {error}") from error
        self.epoch: str = epoch if found is None else found[0]

    def close(self) -> None:
        self._db.close()

    def load(self, topic: str, ids_since: float) -> Loaded | None:
        """None: nothing was ever published to it."""
        db = self._db
        row = db.execute("SELECT last, count, age_s, max_bytes FROM topics WHERE topic = ?", (topic,)).fetchone()
        if row is None:
            return None
        last, count, age_s, max_bytes = row
        messages = db.execute(
            "SELECT offset, at, data FROM messages WHERE topic = ? AND offset > ? ORDER BY offset",
            (topic, last - count),
        ).fetchall()
        ids = db.execute(
            "SELECT id, offset, at FROM ids WHERE topic = ? AND at > ? ORDER BY offset", (topic, ids_since)
        ).fetchall()
        return Loaded(Stored(topic, last, History(count, age_s, max_bytes)), messages, ids)

    def commit(self, batch: Batch) -> None:
        """Write all of it durably, or nothing. Raises sqlite3.Error."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(
                "INSERT INTO messages VALUES (?, ?, ?, ?)",
                [(topic, offset, at, data) for topic, offset, at, data, _ in batch.messages if data is not None],
            )
            db.executemany(
                "INSERT OR REPLACE INTO ids VALUES (?, ?, ?, ?)",
                [(topic, id, offset, at) for topic, offset, at, _, id in batch.messages if id is not None],
            )
            db.executemany(
                "INSERT OR REPLACE INTO topics VALUES (?, ?, ?, ?, ?)",
                [(topic, offset, h.count, h.age_s, h.max_bytes) for topic, offset, h in batch.topics],
            )
            db.executemany("DELETE FROM messages WHERE topic = ? AND offset < ?", batch.trims.items())
            db.execute("DELETE FROM ids WHERE at <= ?", (batch.ids_since,))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
