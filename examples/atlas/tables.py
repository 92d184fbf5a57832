"""The tables of the demo, and what is in them at first."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import DateTime, ForeignKey, Identity, Index, String, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from atlas.catalogue import PRODUCTS

SEEDED_USERS = 100
STATUSES = ("PENDING", "PAID", "SHIPPED", "CANCELLED")
_OPENED = datetime(2026, 1, 5, 9)


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


class OrderRow(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(Identity(start=10_001), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(20))
    total_cents: Mapped[int]
    items: Mapped[list["ItemRow"]] = relationship(
        lazy="raise", order_by="ItemRow.number", cascade="all, delete-orphan", passive_deletes=True
    )

    __table_args__ = (Index("orders_of_user", "user_id", "id"), {"sqlite_autoincrement": True})


class ItemRow(Base):
    __tablename__ = "order_items"

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int]
    quantity: Mapped[int]


class ReviewRow(Base):
    __tablename__ = "reviews"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    rating: Mapped[int]
    comment: Mapped[str] = mapped_column(String(1000))


class EventRow(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject: Mapped[int]
    at: Mapped[datetime] = mapped_column(DateTime())
    """UTC."""

    __table_args__ = ({"sqlite_autoincrement": True},)


def seeds() -> Iterator[list[Base]]:
    """A hundred users, of whom number 42 is Alice; then what refers to them: three orders each, two reviews, events."""
    users = [
        UserRow(
            id=number,
            name=f"User {number}",
            email=f"user{number}@example.com",
            age=18 + number % 60,
            role_rows=[RoleRow(role="member")],
        )
        for number in range(1, SEEDED_USERS + 1)
    ]
    alice = users[41]
    alice.name, alice.email, alice.age = "Alice", "alice@example.com", 30
    alice.role_rows.append(RoleRow(role="admin"))
    yield [*users]
    rest: list[Base] = []
    products = list(PRODUCTS)
    for number in range(3 * SEEDED_USERS):
        chosen = [products[(number + step * 7) % len(products)] for step in range(1 + number % 3)]
        items = [ItemRow(number=at, product_id=product, quantity=1 + at) for at, product in enumerate(chosen)]
        total = sum(PRODUCTS[item.product_id].price_cents * item.quantity for item in items)
        user = 1 + number % SEEDED_USERS
        rest.append(OrderRow(id=1 + number, user_id=user, status=STATUSES[number % 3], total_cents=total, items=items))
        rest.append(EventRow(kind="order.placed", subject=1 + number, at=_OPENED + timedelta(hours=number)))
    for user in range(1, SEEDED_USERS + 1):
        for number, comment in enumerate(("Came sooner than promised.", "As described.")):
            rest.append(ReviewRow(user_id=user, number=number, rating=5 - (user + number) % 3, comment=comment))
    yield rest
