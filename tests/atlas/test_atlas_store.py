from __future__ import annotations

import pathlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from atlas.store import EmailTaken, UserStore, database_url
from atlas.tables import SEEDED_USERS, Base


def test_seeds(store: UserStore) -> None:
    alice = store.get(42)
    assert alice is not None
    assert (alice.name, alice.email, alice.age, alice.roles) == ("Alice", "alice@example.com", 30, ["admin", "member"])
    assert store.page(None, 0, 1)[1] == 100


def test_is_filled_once_only(store: UserStore) -> None:
    assert store.delete(42)
    store.open()
    assert store.get(42) is None
    assert store.page(None, 0, 1)[1] == 99


def test_several_may_start_at_once(url: str) -> None:
    stores = [UserStore(url) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(UserStore.open, stores))
    assert stores[0].page(None, 0, 1)[1] == 100
    for store in stores:
        store.close()


def test_what_is_written_is_there_for_the_next_process(url: str) -> None:
    first = UserStore(url)
    first.open()
    made = first.create("Bob", "bob@example.com", None)
    first.close()
    second = UserStore(url)
    second.open()
    row = second.get(made.id)
    assert row is not None
    assert (row.name, row.email, row.age, row.roles) == ("Bob", "bob@example.com", None, ["member"])
    second.close()


@pytest.mark.parametrize("email", ["alice@example.com", "ALICE@Example.com"])
def test_an_address_is_taken_once(store: UserStore, email: str) -> None:
    with pytest.raises(EmailTaken):
        store.create("Eve", email, None)
    with pytest.raises(EmailTaken):
        store.update(1, {"email": email})
    assert store.update(42, {"email": email}) is not None


def test_a_race_for_one_address_has_one_winner(store: UserStore) -> None:
    def attempt(_: int) -> bool:
        try:
            store.create("Bob", "bob@example.com", None)
        except EmailTaken:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_update_leaves_the_rest(store: UserStore) -> None:
    row = store.update(42, {"name": "Alicia"})
    assert row is not None
    assert (row.name, row.email, row.age, row.roles) == ("Alicia", "alice@example.com", 30, ["admin", "member"])
    assert store.update(0, {"name": "x"}) is None


def test_delete_takes_the_roles_along_and_no_id_comes_back(store: UserStore) -> None:
    made = store.create("Bob", "bob@example.com", None)
    assert store.delete(made.id)
    assert not store.delete(made.id)
    assert store.page("member", 0, 1)[1] == 100
    assert store.create("Bob", "bob@example.com", None).id > made.id


def test_pages(store: UserStore) -> None:
    rows, total = store.page(None, 40, 3)
    assert ([row.id for row in rows], total) == ([41, 42, 43], 100)
    rows, total = store.page("admin", 0, 10)
    assert ([row.id for row in rows], total) == ([42], 1)
    assert store.page("nobody", 0, 10) == ([], 0)
    assert store.page(None, 1000, 10) == ([], 100)
    assert [row.id for row in store.after(98, 10)] == [99, 100]


def test_a_user_deleted_in_the_middle_of_an_update_is_gone(store: UserStore) -> None:
    deleted: list[bool] = []

    @event.listens_for(store.engine, "before_cursor_execute")
    def interfere(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE"):
            deleted.append(store.delete(42))

    assert store.update(42, {"name": "Alicia"}) is None
    assert deleted == [True]
    assert store.get(42) is None


def test_seeds_leave_room_for_new_users(store: UserStore) -> None:
    made = [store.create("Bob", f"bob{number}@example.com", None).id for number in range(3)]
    assert made == list(range(made[0], made[0] + 3))
    assert made[0] > SEEDED_USERS


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql://host/name", "postgresql+psycopg"),
        ("postgres://host/name", "postgresql+psycopg"),
        ("postgresql+asyncpg://host/name", "postgresql+asyncpg"),
        ("sqlite:///atlas.db", "sqlite"),
    ],
)
def test_the_driver_need_not_be_said(given: str, driver: str) -> None:
    assert database_url(given).drivername == driver


def test_sqlite_is_set_up(tmp_path: pathlib.Path) -> None:
    store = UserStore(f"sqlite:///{tmp_path / 'atlas.db'}")
    with store.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")
        }
        assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}
    store.close()


def test_the_tables_can_be_said_in_postgresql() -> None:
    dialect = postgresql.dialect()
    users = Base.metadata.tables["users"]
    text = str(CreateTable(users).compile(dialect=dialect))
    assert "GENERATED BY DEFAULT AS IDENTITY (START WITH 1001)" in text
    (index,) = users.indexes
    assert "UNIQUE INDEX users_email ON users (lower(email))" in str(CreateIndex(index).compile(dialect=dialect))
