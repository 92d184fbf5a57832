"""Orders, reviews and the log of what happened, in the database of the users.

Every method is one transaction and blocks; the services call them from the thread pool.
"""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Engine, Select, func, select
from sqlalchemy.orm import Session, raiseload, selectinload

from atlas.catalogue import PRODUCTS
from atlas.store import happened
from atlas.tables import EventRow, ItemRow, OrderRow, ReviewRow, UserRow

R = TypeVar("R", OrderRow, ReviewRow)
_WHOLE = selectinload(OrderRow.items)


class OrderStore:
    """All access to orders, reviews and events; `UserStore.open` has made the tables."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of_users(self, user_ids: Sequence[int], last: int | None, *, with_items: bool) -> list[list[OrderRow]]:
        """The last orders of each user, the oldest first: one statement, and one more if the items are asked for."""
        wanted = select(OrderRow).where(OrderRow.user_id.in_(user_ids)).order_by(OrderRow.id)
        if last is not None:
            place = func.row_number().over(partition_by=OrderRow.user_id, order_by=OrderRow.id.desc())
            placed = select(OrderRow.id, place.label("place")).where(OrderRow.user_id.in_(user_ids)).subquery()
            wanted = wanted.join(placed, placed.c.id == OrderRow.id).where(placed.c.place <= last)
        wanted = wanted.options(_WHOLE if with_items else raiseload(OrderRow.items))
        with Session(self._engine) as session:
            return _by_user(user_ids, session.scalars(wanted).all())

    def reviews_of_users(self, user_ids: Sequence[int], first: int) -> list[list[ReviewRow]]:
        """The first reviews of each user, in one statement."""
        wanted = (
            select(ReviewRow)
            .where(ReviewRow.user_id.in_(user_ids), ReviewRow.number < first)
            .order_by(ReviewRow.user_id, ReviewRow.number)
        )
        with Session(self._engine) as session:
            return _by_user(user_ids, session.scalars(wanted).all())

    def get(self, user_id: int, id: int) -> OrderRow | None:
        with Session(self._engine) as session:
            return session.scalar(_one(user_id, id))

    def place(self, user_id: int, product_id: int, quantity: int) -> OrderRow | None:
        """A new order; None where there is no such user. Raises KeyError for an unknown product."""
        price_cents = PRODUCTS[product_id].price_cents
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            if session.get(UserRow, user_id, with_for_update={"read": True}) is None:
                return None
            items = [ItemRow(number=0, product_id=product_id, quantity=quantity)]
            row = OrderRow(user_id=user_id, status="PENDING", total_cents=price_cents * quantity, items=items)
            session.add(row)
            session.flush()
            session.add(happened("order.placed", row.id))
            return row

    def set_status(self, user_id: int, id: int, status: str) -> OrderRow | None:
        """The order as it is then; None where there is none."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            row = session.scalar(_one(user_id, id))
            if row is not None and row.status != status:
                row.status = status
                session.add(happened(f"order.{status.lower()}", id))
            return row

    def events_after(self, id: int, limit: int) -> list[EventRow]:
        """What happened after an event, by keyset: right and quick however far one has read."""
        with Session(self._engine) as session:
            return list(session.scalars(select(EventRow).where(EventRow.id > id).order_by(EventRow.id).limit(limit)))


def _one(user_id: int, id: int) -> Select[OrderRow]:
    return select(OrderRow).where(OrderRow.id == id, OrderRow.user_id == user_id).options(_WHOLE)


def _by_user(user_ids: Sequence[int], rows: Sequence[R]) -> list[list[R]]:
    found: dict[int, list[R]] = {id: [] for id in user_ids}
    for row in rows:
        found[row.user_id].append(row)
    return [found[id] for id in user_ids]
