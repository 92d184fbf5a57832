"""Users in a database: SQLite or PostgreSQL, the same SQLAlchemy code for both.

Every method is one transaction and blocks; the services call them from the thread pool.
"""

import sqlite3
import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    URL,
    Engine,
    create_engine,
    delete,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, raiseload, selectinload
from sqlalchemy.orm.exc import StaleDataError

from atlas.tables import Base, EventRow, RoleRow, UserRow, seeds

THREADS = 32


class EmailTaken(Exception):
    """Another user has this e-mail address."""


def database_url(text: str) -> URL:
    """The URL of a database. PostgreSQL goes by psycopg where no driver is named."""
    url = make_url(text)
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


class UserStore:
    """All access to the database at `url`: `sqlite:///atlas.db`, `postgresql://host/name`."""

    def __init__(self, url: str) -> None:
        self.url = database_url(url)
        # A connection for each thread that may ask for one; they are opened when they are first needed.
        self.engine = create_engine(self.url, pool_size=THREADS, max_overflow=0, pool_pre_ping=True)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _set_up_sqlite)

    def open(self) -> None:
        """Makes the tables and fills them, if that has not been done; several processes may do it at once."""
        with Session(self.engine) as session, session.begin():
            _wait_for_other_starters(session, self.engine)
            Base.metadata.create_all(session.connection())
            if session.scalar(select(func.count()).select_from(UserRow)) == 0:
                for rows in seeds():
                    session.add_all(rows)
                    session.flush()

    def close(self) -> None:
        self.engine.dispose()

    def check(self) -> None:
        """Raises where the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(select(1))

    def get(self, id: int) -> UserRow | None:
        with Session(self.engine) as session:
            return session.get(UserRow, id)

    def create(self, name: str, email: str, age: int | None) -> UserRow:
        """Raises EmailTaken."""
        row = UserRow(name=name, email=email, age=age, role_rows=[RoleRow(role="member")])
        with Session(self.engine, expire_on_commit=False) as session:
            session.add(row)
            _flush(session)
            session.add(happened("user.created", row.id))
            _commit(session)
            return row

    def update(self, id: int, changes: dict[str, Any]) -> UserRow | None:
        """Sets the columns named in `changes`; None where there is no such user. Raises EmailTaken."""
        with Session(self.engine, expire_on_commit=False) as session:
            row = session.get(UserRow, id)
            if row is not None:
                for column, value in changes.items():
                    setattr(row, column, value)
                try:
                    _commit(session)
                except StaleDataError:
                    # Somebody has deleted it in between.
                    return None
            return row

    def delete(self, id: int) -> bool:
        """False where there is no such user."""
        with Session(self.engine) as session, session.begin():
            return bool(session.scalar(delete(UserRow).where(UserRow.id == id).returning(UserRow.id)))

    def page(self, role: str | None, offset: int, limit: int) -> tuple[list[UserRow], int]:
        """Users in the order of their ids, and how many there are in all."""
        wanted = select(UserRow)
        if role is not None:
            wanted = wanted.where(UserRow.role_rows.any(RoleRow.role == role))
        with Session(self.engine) as session:
            total = session.scalar(select(func.count()).select_from(wanted.subquery()))
            rows = session.scalars(wanted.order_by(UserRow.id).offset(offset).limit(limit))
            return list(rows), total or 0

    def having(self, role: str | None, limit: int, *, with_roles: bool) -> list[UserRow]:
        """The first users of a role, in one statement; their roles by a second one if they are asked for."""
        loading = selectinload if with_roles else raiseload
        wanted = select(UserRow).options(loading(UserRow.role_rows)).order_by(UserRow.id).limit(limit)
        if role is not None:
            wanted = wanted.where(UserRow.role_rows.any(RoleRow.role == role))
        with Session(self.engine) as session:
            return list(session.scalars(wanted))

    def after(self, id: int, limit: int) -> list[UserRow]:
        """Users with higher ids: pages that stay right while others come and go."""
        with Session(self.engine) as session:
            return list(session.scalars(select(UserRow).where(UserRow.id > id).order_by(UserRow.id).limit(limit)))


def happened(kind: str, subject: int) -> EventRow:
    """An entry of the log that `/v1/events` shows; it is added in the transaction of what has happened."""
    return EventRow(kind=kind, subject=subject, at=datetime.now(UTC).replace(tzinfo=None))


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise EmailTaken from error


def _commit(session: Session) -> None:
    try:
        session.commit()
    except IntegrityError as error:
        # Of all that a service lets through, only the unique index on addresses can object.
        raise EmailTaken from error


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 5000")
    _use_wal(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Readers and the writer do not wait for each other. Of two that start at once SQLite refuses one at once."""
    until = time.monotonic() + 5
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.01)
        else:
            return


def _wait_for_other_starters(session: Session, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        session.execute(text("BEGIN IMMEDIATE"))
    elif engine.dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext('atlas'))"))
