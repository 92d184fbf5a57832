"""Orders, reviews and events, and what a query over GraphQL costs in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from atlas.store import UserStore
from polywire.testing import TestClient

ITEMS = [("Fountain pen", 1), ("Scissors", 2), ("Ruler", 3)]
ORDER = {
    "id": 42,
    "total": "53.40",
    "status": "SHIPPED",
    "items": [{"product_name": name, "quantity": quantity} for name, quantity in ITEMS],
}


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The SQL statements that run within."""
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def graphql(client: TestClient, query: str, **variables: Any) -> Any:
    answer = await client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status == 200
    return answer.json()


@pytest.mark.parametrize("base", ["/v1/users", "/users"])
async def test_orders_over_rest(client: TestClient, base: str) -> None:
    orders = (await client.get(f"{base}/42/orders?last=2")).json()
    assert [order["id"] for order in orders] == [142, 242]
    assert (await client.get(f"{base}/42/orders/42")).json() == ORDER
    placed = await client.post(f"{base}/42/orders", json={"product_id": 2, "quantity": 3})
    assert (placed.status, placed.json()["total"], placed.json()["status"]) == (201, "87.00", "PENDING")
    id = placed.json()["id"]
    assert (await client.delete(f"{base}/42/orders/{id}")).status == 204
    assert (await client.get(f"{base}/42/orders/{id}")).json()["status"] == "CANCELLED"


@pytest.mark.parametrize(
    ("verb", "target", "body", "expected"),
    [
        ("POST", "/v1/users/42/orders", {"product_id": 99}, (400, "PRODUCT_NOT_FOUND")),
        ("POST", "/v1/users/4242/orders", {"product_id": 1}, (404, "USER_NOT_FOUND")),
        ("POST", "/v1/users/42/orders", {"product_id": 1, "quantity": 0}, (422, "INVALID")),
        ("GET", "/v1/users/42/orders/1", None, (404, "ORDER_NOT_FOUND")),
        ("DELETE", "/v1/users/42/orders/1", None, (404, "ORDER_NOT_FOUND")),
    ],
)
async def test_what_is_refused(client: TestClient, verb: str, target: str, body: Any, expected: Any) -> None:
    answer = await (client.request(verb, target, json=body) if body else client.request(verb, target))
    assert (answer.status, answer.json()["error"]["reason"]) == expected


async def test_events_are_read_by_keyset(client: TestClient) -> None:
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = (await client.get(f"/v1/events?after_id={after}&limit=100")).json()
        seen += [event["id"] for event in page["events"]]
        after = page["next_after_id"]
    assert seen == sorted(set(seen))
    assert len(seen) == 300
    await client.post("/users", json={"name": "Bob", "email": "bob@example.com"})
    (new,) = (await client.get(f"/events?after_id={seen[-1]}")).json()["events"]
    assert new["kind"] == "user.created"


async def test_a_user_with_orders_and_reviews(client: TestClient) -> None:
    query = """query($id: ID!) { user(id: $id) {
        name email orders(last: 3) { id total status items { productName quantity } }
        reviews(first: 1) { rating comment }
    } }"""
    user = (await graphql(client, query, id="42"))["data"]["user"]
    assert user["email"] == "alice@example.com"
    assert [order["id"] for order in user["orders"]] == ["42", "142", "242"]
    assert user["orders"][0]["items"] == [{"productName": name, "quantity": quantity} for name, quantity in ITEMS]
    assert user["reviews"] == [{"rating": 5, "comment": "Came sooner than promised."}]


@pytest.mark.parametrize(
    ("fields", "statements"),
    [
        ("id name", 1),
        ("id orders { id total }", 2),
        ("id roles orders { id }", 3),
        ("id orders { items { productName } } reviews { rating }", 4),
    ],
)
async def test_a_hundred_users_cost_a_statement_for_each_table_that_is_selected(
    client: TestClient, store: UserStore, fields: str, statements: int
) -> None:
    await graphql(client, "{ users(limit: 1) { id } }")
    with counted(store.engine) as ran:
        answer = await graphql(client, f"{{ users(limit: 100) {{ {fields} }} }}")
    assert "errors" not in answer
    assert len(answer["data"]["users"]) == 100
    assert len(ran) == statements


async def test_an_account_by_graphql(client: TestClient) -> None:
    created = await graphql(
        client,
        "mutation($input: CreateUserRequestInput!) { createUser(input: $input) { id name age } }",
        input={"name": "Bob", "email": "bob@example.com"},
    )
    assert created["data"]["createUser"] == {"id": created["data"]["createUser"]["id"], "name": "Bob", "age": None}
    again = await graphql(
        client,
        'mutation { createUser(input: {name: "Bob", email: "bob@example.com"}) { id } }',
    )
    (error,) = again["errors"]
    assert (error["extensions"]["code"], error["extensions"]["reason"]) == ("ALREADY_EXISTS", "EMAIL_TAKEN")
    assert error["path"] == ["createUser"]


async def test_a_graph_three_levels_deep_in_one_query(client: TestClient) -> None:
    answer = await graphql(
        client,
        """{ repository(id: "polywire") { description pullRequests(first: 2) {
            title reviews { verdict } commits { message checks { name state } }
        } } }""",
    )
    pulls = answer["data"]["repository"]["pullRequests"]
    assert [pull["title"] for pull in pulls] == ["Answer over one more protocol", "Bound the queue"]
    assert [review["verdict"] for review in pulls[1]["reviews"]] == ["COMMENTED", "CHANGES_REQUESTED"]
    assert pulls[0]["commits"][2]["checks"][1] == {"name": "test", "state": "RUNNING"}


async def test_the_same_graph_over_rest_takes_five_calls(client: TestClient) -> None:
    repository = (await client.get("/v1/repositories/polywire")).json()
    pull = (await client.get(f"/v1/repositories/{repository['id']}/pulls")).json()[0]
    reviews = (await client.get(f"/v1/pulls/{pull['id']}/reviews")).json()
    commit = (await client.get(f"/v1/pulls/{pull['id']}/commits")).json()[2]
    checks = (await client.get(f"/v1/commits/{commit['id']}/checks")).json()
    assert reviews[1]["verdict"] == "APPROVED"
    assert checks[1]["state"] == "RUNNING"


async def test_a_user_by_trpc(client: TestClient) -> None:
    answer = await client.get("/trpc/user.getUser", params={"input": '{"id":42}'})
    assert answer.json()["result"]["data"]["name"] == "Alice"
    created = await client.post("/trpc/user.createUser", json={"name": "Bob", "email": "bob@example.com"})
    assert created.json()["result"]["data"]["name"] == "Bob"
