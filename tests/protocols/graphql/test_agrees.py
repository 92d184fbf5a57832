"""Planned execution agrees with graphql-core's executor, whatever the services give."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from typing import Any

import pytest
from graphql import execute_sync, parse, validate
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from polywire.service.options import GraphqlOptions
from tests.protocols.graphql.engine import serving
from tests.protocols.graphql.made import Asked, Made

WIDE = GraphqlOptions(
    max_characters=10**7,
    max_tokens=10**6,
    max_breadth=10**6,
    max_aliases=10**6,
    max_root_fields=10**6,
    max_depth=100,
    max_cost=2**60,
    max_errors=10**6,
)


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    """What the services do wrong is logged."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.integers(0, 2**32))
def test_data_and_errors_are_those_of_graphql_core(seed: int) -> None:
    rnd = random.Random(seed)
    made = Made(rnd)
    schema = made.core()
    asked = [Asked(schema, rnd) for _ in range(5)]
    valid = [one for one in asked if not validate(schema, parse(one.text))]
    assume(valid)

    async def ours() -> list[Any]:
        async with serving(made.service(), graphql=WIDE) as engine:
            return [await engine.run(one.text, **one.variables) for one in valid]

    for one, answer in zip(valid, asyncio.run(ours()), strict=True):
        reference = execute_sync(schema, parse(one.text), variable_values=one.variables).formatted
        assert answer["data"] == reference["data"], one.text
        told, expected = errors(answer), errors(reference)
        # It stops at the first error beneath what becomes null, here all are told.
        assert expected <= told, one.text
        nulls = {null(answer["data"], path) for _, path in told}
        assert nulls == {null(reference["data"], path) for _, path in expected}, one.text


def errors(answer: Any) -> set[tuple[str, tuple[str | int, ...]]]:
    """Message and path of each error; where a value is wrong, graphql-core says more than is told here."""
    return {
        (error["message"] if error["message"].startswith("no ") else "internal error", tuple(error["path"]))
        for error in answer.get("errors", ())
    }


def null(data: Any, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where the null stands that an error at `path` led to."""
    for depth, step in enumerate(path):
        if data is None:
            return path[:depth]
        data = data[step]
    assert data is None, path
    return path


def test_the_order_of_fields_is_that_of_the_query() -> None:
    async def run() -> None:
        made = Made(random.Random(1))
        async with serving(made.service()) as engine:
            answer = await engine.run("{b: __typename a: __typename c: __typename ... {d: __typename} b: __typename}")
            assert json.dumps(answer["data"]) == '{"b": "Query", "a": "Query", "c": "Query", "d": "Query"}'

    asyncio.run(run())
