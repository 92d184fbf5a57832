"""Users in a database: SQLite or PostgreSQL, the same SQLAlchemy code for both.

Every method is one transaction and blocks; the services call them from the thread pool.
"""

import sqlite3
import time
from typing import Any

from sqlalchemy import (
    URL,
    Engine,
    ForeignKey,
    Identity,
    Index,
    String,
    create_engine,
    delete,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.orm.exc import StaleDataError

SEEDED_USERS = 100
THREADS = 32


class EmailTaken(Exception):
    """Another user has this e-mail address."""


class Base(DeclarativeBase):
    pass


class UserRow(Base):
    __tablename__ = "users"

    # The seeds have the numbers below 1001 to themselves. (SQLite knows no identities and goes on after the last one.)
    id: Mapped[int] = mapped_column(Identity(start=1001), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(254))
    age: Mapped[int | None]
    role_rows: Mapped[list["RoleRow"]] = relationship(
        lazy="selectin", order_by="RoleRow.role", cascade="all, delete-orphan", passive_deletes=True
    )

    __table_args__ = ({"sqlite_autoincrement": True},)

    @property
    def roles(self) -> list[str]:
        return [row.role for row in self.role_rows]


# Two spellings of one address are one address.
Index("users_email", func.lower(UserRow.email), unique=True)


class RoleRow(Base):
    __tablename__ = "user_roles"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(40), primary_key=True, index=True)


def database_url(text: str) -> URL:
    """The URL of a database. PostgreSQL goes by psycopg where no driver is named."""
    url = make_url(text)
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


class UserStore:
    """All access to the database at `url`: `sqlite:///atlas.db`, `postgresql://host/name`."""

    def __init__(self, url: str) -> None:
        self.url = database_url(url)
        # A connection for each thread that may ask for one; they are opened when they are first needed.
        self._engine = create_engine(self.url, pool_size=THREADS, max_overflow=0, pool_pre_ping=True)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _set_up_sqlite)

    def open(self) -> None:
        """Makes the tables and fills them, if that has not been done; several processes may do it at once."""
        with Session(self._engine) as session, session.begin():
            _wait_for_other_starters(session, self._engine)
            Base.metadata.create_all(session.connection())
            if session.scalar(select(func.count()).select_from(UserRow)) == 0:
                session.add_all(_seeds())

    def close(self) -> None:
        self._engine.dispose()

    def check(self) -> None:
        """Raises where the database does not answer."""
        with self._engine.connect() as connection:
            connection.execute(select(1))

    def get(self, id: int) -> UserRow | None:
        with Session(self._engine) as session:
            return session.get(UserRow, id)

    def create(self, name: str, email: str, age: int | None) -> UserRow:
        """Raises EmailTaken."""
        row = UserRow(name=name, email=email, age=age, role_rows=[RoleRow(role="member")])
        with Session(self._engine, expire_on_commit=False) as session:
            session.add(row)
            _commit(session)
            return row

    def update(self, id: int, changes: dict[str, Any]) -> UserRow | None:
        """Sets the columns named in `changes`; None where there is no such user. Raises EmailTaken."""
        with Session(self._engine, expire_on_commit=False) as session:
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
        with Session(self._engine) as session, session.begin():
            return bool(session.scalar(delete(UserRow).where(UserRow.id == id).returning(UserRow.id)))

    def page(self, role: str | None, offset: int, limit: int) -> tuple[list[UserRow], int]:
        """Users in the order of their ids, and how many there are in all."""
        wanted = select(UserRow)
        if role is not None:
            wanted = wanted.where(UserRow.role_rows.any(RoleRow.role == role))
        with Session(self._engine) as session:
            total = session.scalar(select(func.count()).select_from(wanted.subquery()))
            rows = session.scalars(wanted.order_by(UserRow.id).offset(offset).limit(limit))
            return list(rows), total or 0

    def after(self, id: int, limit: int) -> list[UserRow]:
        """Users with higher ids: pages that stay right while others come and go."""
        with Session(self._engine) as session:
            return list(session.scalars(select(UserRow).where(UserRow.id > id).order_by(UserRow.id).limit(limit)))


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


def _seeds() -> list[UserRow]:
    rows = [
        UserRow(
            id=number,
            name=f"User {number}",
            email=f"user{number}@example.com",
            age=18 + number % 60,
            role_rows=[RoleRow(role="member")],
        )
        for number in range(1, SEEDED_USERS + 1)
    ]
    alice = rows[41]
    alice.name, alice.email, alice.age = "Alice", "alice@example.com", 30
    alice.role_rows.append(RoleRow(role="admin"))
    return rows
