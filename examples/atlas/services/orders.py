"""What users buy, and what they think of it."""

import enum
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from atlas.catalogue import PRODUCTS
from atlas.locked import LOCK
from atlas.orders import OrderStore
from atlas.room import Room
from atlas.selected import is_selected
from atlas.services.users import User, UserId, not_found
from atlas.tables import EventRow, OrderRow
from atlas.threads import in_thread
from polywire import ID, Doc, Int32, InvalidArgument, Message, NotFound, Service, mutation, query, resolve

OrderId = Annotated[Int32, ID]
Quantity = Annotated[Int32, Meta(ge=1, le=1000)]
Last = Annotated[Int32, Meta(ge=1, le=100)]


class OrderStatus(enum.Enum):
    PENDING = "PENDING"
    PAID = "PAID"
    SHIPPED = "SHIPPED"
    CANCELLED = "CANCELLED"


class OrderItem(Message):
    product_name: str
    quantity: Int32


class Order(Message):
    id: OrderId
    total: Decimal
    status: OrderStatus
    items: list[OrderItem]


class Review(Message):
    rating: Annotated[Int32, Doc("From 1 to 5.")]
    comment: str


class Event(Message):
    id: Int32
    kind: Annotated[str, Doc("`user.created`, `order.placed`, `order.shipped` and so on.")]
    subject: Annotated[Int32, Doc("The id of what it happened to.")]
    at: datetime


class EventPage(Message):
    events: list[Event]
    next_after_id: Annotated[Int32 | None, Doc("What to go on after; null where there is no more.")]


class OrderService(Service, package="orders", lock=LOCK):
    """Looks after orders."""

    def __init__(self, store: OrderStore) -> None:
        self.store = store
        self._rooms: dict[int, Room[Order]] = {}
        """By user: who watches that user's orders."""

    @resolve(User)
    def orders(self, users: list[User], last: Last | None = None) -> list[list[Order]]:
        """A user's orders, the oldest first; `last` leaves out all but the last ones."""
        with_items = is_selected("items")
        found = self.store.of_users([user.id for user in users], last, with_items=with_items)
        return [[order(row, with_items) for row in rows] for rows in found]

    @resolve(User)
    def reviews(self, users: list[User], first: Annotated[Int32, Meta(ge=1, le=100)] = 10) -> list[list[Review]]:
        """What a user wrote, the oldest first."""
        found = self.store.reviews_of_users([user.id for user in users], first)
        return [[Review(row.rating, row.comment) for row in rows] for rows in found]

    @query("GET /v1/users/{user_id}/orders", "GET /users/{user_id}/orders")
    def list_orders(self, user_id: UserId, last: Last = 20) -> list[Order]:
        """The last orders of a user, the oldest first."""
        (rows,) = self.store.of_users([user_id], last, with_items=True)
        return [order(row) for row in rows]

    @query("GET /v1/users/{user_id}/orders/{id}", "GET /users/{user_id}/orders/{id}")
    def get_order(self, user_id: UserId, id: OrderId) -> Order:
        """One order of a user."""
        return order(found(id, self.store.get(user_id, id)))

    @mutation("POST /v1/users/{user_id}/orders", "POST /users/{user_id}/orders", status=201)
    async def place_order(self, user_id: UserId, product_id: Int32, quantity: Quantity = 1) -> Order:
        """Orders a product."""
        if product_id not in PRODUCTS:
            raise InvalidArgument(f"no product {product_id}", reason="PRODUCT_NOT_FOUND")
        row = await in_thread(self.store.place, user_id, product_id, quantity)
        if row is None:
            raise not_found(user_id)
        return self._tell(row)

    @mutation("PATCH /v1/users/{user_id}/orders/{id}", "PATCH /users/{user_id}/orders/{id}")
    async def set_order_status(self, user_id: UserId, id: OrderId, status: OrderStatus) -> Order:
        """Moves an order on."""
        return self._tell(found(id, await in_thread(self.store.set_status, user_id, id, status.value)))

    @mutation("DELETE /v1/users/{user_id}/orders/{id}", "DELETE /users/{user_id}/orders/{id}")
    async def cancel_order(self, user_id: UserId, id: OrderId) -> None:
        """Cancels an order; it stays to be seen, as CANCELLED."""
        await self.set_order_status(user_id, id, OrderStatus.CANCELLED)

    @query("GET /v1/users/{user_id}/orders/updates", graphql="orderUpdated")
    async def watch_orders(self, user_id: UserId) -> AsyncIterator[Order]:
        """Every order of a user as it is placed or changes, from now on. Within one process."""
        room = self._rooms.setdefault(user_id, Room())
        try:
            async for changed in room.listen():
                yield changed
        finally:
            if not room.members:
                self._rooms.pop(user_id, None)

    @query("GET /v1/events", "GET /events")
    def list_events(
        self, after_id: Annotated[Int32, Meta(ge=0)] = 0, limit: Annotated[Int32, Meta(ge=1, le=100)] = 50
    ) -> EventPage:
        """What has happened, the oldest first: `after_id` is the last one that was seen."""
        rows = self.store.events_after(after_id, limit)
        return EventPage([event(row) for row in rows], rows[-1].id if len(rows) == limit else None)

    def _tell(self, row: OrderRow) -> Order:
        changed = order(row)
        room = self._rooms.get(row.user_id)
        if room is not None:
            room.say(changed)
        return changed


def order(row: OrderRow, with_items: bool = True) -> Order:
    rows = row.items if with_items else []
    items = [OrderItem(PRODUCTS[item.product_id].name, item.quantity) for item in rows]
    return Order(row.id, Decimal(row.total_cents).scaleb(-2), OrderStatus(row.status), items)


def event(row: EventRow) -> Event:
    return Event(row.id, row.kind, row.subject, row.at.replace(tzinfo=UTC))


def found(id: int, row: OrderRow | None) -> OrderRow:
    if row is None:
        raise NotFound(f"no order {id}", reason="ORDER_NOT_FOUND")
    return row
