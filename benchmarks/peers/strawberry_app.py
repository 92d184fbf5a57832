"""The users and their orders in Strawberry."""

import strawberry
from strawberry.asgi import GraphQL

from benchmarks.peers.schema import AGE, EMAIL, NAME


@strawberry.type
class Order:
    id: int
    total: float
    status: str


ORDERS = [Order(id=id, total=9.5, status="PAID") for id in range(1, 11)]


@strawberry.type
class User:
    id: int
    name: str
    email: str
    age: int | None

    @strawberry.field
    async def orders(self, last: int) -> list[Order]:
        return ORDERS[-last:]


@strawberry.type
class Query:
    @strawberry.field
    async def user(self, id: int) -> User | None:
        return User(id=id, name=NAME, email=EMAIL, age=AGE)


graphql = GraphQL(strawberry.Schema(query=Query))


async def app(scope: dict, receive: object, send: object) -> None:
    if scope["type"] == "http":
        await graphql(scope, receive, send)
