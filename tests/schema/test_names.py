"""One name in every spelling."""

import pytest

from polywire.schema.names import lower_camel, snake, upper_camel, upper_snake


@pytest.mark.parametrize(
    ("name", "spelt"), [("a", "a"), ("user_id", "userId"), ("a_b_c", "aBC"), ("line_2", "line2"), ("userID", "userID")]
)
def test_lower_camel(name: str, spelt: str) -> None:
    assert lower_camel(name) == spelt


@pytest.mark.parametrize(("name", "spelt"), [("get_user", "GetUser"), ("get", "Get"), ("get_v2_user", "GetV2User")])
def test_upper_camel(name: str, spelt: str) -> None:
    assert upper_camel(name) == spelt


@pytest.mark.parametrize(
    ("name", "spelt"), [("Circle", "circle"), ("OrderStatus", "order_status"), ("HTTPRoute", "http_route")]
)
def test_snake(name: str, spelt: str) -> None:
    assert snake(name) == spelt
    assert upper_snake(name) == spelt.upper()
