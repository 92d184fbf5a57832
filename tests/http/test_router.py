from __future__ import annotations

import pytest

from polywire.errors import METHOD_NOT_ALLOWED, Code, MalformedInput, NotFound, Unimplemented
from polywire.http.router import Router


@pytest.fixture
def router() -> Router[str]:
    router: Router[str] = Router()
    for verb, template in [
        ("GET", "/v1/users"),
        ("POST", "/v1/users"),
        ("GET", "/v1/users/{id}"),
        ("GET", "/v1/users/live"),
        ("DELETE", "/v1/users/{id}"),
        ("GET", "/v1/users/{id}/orders/{order}"),
        ("GET", "/v1/users/live/orders"),
        ("GET", "/files/{path*}"),
        ("GET", "/"),
    ]:
        router.add(verb, template, f"{verb} {template}")
    return router


@pytest.mark.parametrize(
    ("verb", "path", "target", "values"),
    [
        ("GET", "/", "GET /", []),
        ("GET", "/v1/users", "GET /v1/users", []),
        ("POST", "/v1/users", "POST /v1/users", []),
        ("GET", "/v1/users/42", "GET /v1/users/{id}", ["42"]),
        ("GET", "/v1/users/live", "GET /v1/users/live", []),
        ("DELETE", "/v1/users/live", "DELETE /v1/users/{id}", ["live"]),
        ("GET", "/v1/users/live/orders", "GET /v1/users/live/orders", []),
        ("GET", "/v1/users/live/orders/7", "GET /v1/users/{id}/orders/{order}", ["live", "7"]),
        ("GET", "/v1/users/a%20b", "GET /v1/users/{id}", ["a b"]),
        ("GET", "/v1/users/a%2Fb", "GET /v1/users/{id}", ["a/b"]),
        ("GET", "/v1/users/%C3%A9", "GET /v1/users/{id}", ["é"]),
        ("GET", "/files/a/b/c.txt", "GET /files/{path*}", ["a/b/c.txt"]),
    ],
)
def test_matches(router: Router[str], verb: str, path: str, target: str, values: list[str]) -> None:
    assert router.match(verb, path) == (target, values)


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/users/", "/v1/users//orders/1", "/v2/users", "/files", "//", "/v1/users/1/orders"]
)
def test_unknown_paths(router: Router[str], path: str) -> None:
    with pytest.raises(NotFound) as caught:
        router.match("GET", path)
    assert caught.value.reason == "NO_ROUTE"


def test_a_known_path_names_its_verbs(router: Router[str]) -> None:
    with pytest.raises(Unimplemented) as caught:
        router.match("PUT", "/v1/users/42")
    assert caught.value.code is Code.UNIMPLEMENTED
    assert caught.value.reason == METHOD_NOT_ALLOWED
    assert caught.value.metadata == {"allow": "DELETE, GET, HEAD, OPTIONS"}


def test_a_path_that_is_not_utf8_is_malformed(router: Router[str]) -> None:
    with pytest.raises(MalformedInput):
        router.match("GET", "/v1/users/%FF")


def test_one_shape_of_path_has_one_target(router: Router[str]) -> None:
    with pytest.raises(ValueError, match="taken"):
        router.add("GET", "/v1/users/{name}", "another")


def test_a_hostile_path_costs_no_more_than_the_tree(router: Router[str]) -> None:
    with pytest.raises(NotFound):
        router.match("GET", "/v1" * 4000)
