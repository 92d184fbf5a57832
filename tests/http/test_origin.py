from __future__ import annotations

import pytest

from polywire.http.exchange import Exchange
from polywire.http.origin import is_cross_origin
from polywire.testing import MemorySink


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://api.example.com"}, True),
        ({"origin": "http://api.example.com"}, False),
        ({"origin": "https://API.example.com"}, False),
        ({"origin": "http://api.example.com:8080"}, True),
        ({"origin": "http://evil.example"}, True),
        ({"origin": "http://api.example.com.evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
    ],
)
async def test_who_made_the_request(headers: dict[str, str], foreign: bool) -> None:
    sink = MemorySink("POST", "/", [("host", "api.example.com"), *headers.items()])
    assert is_cross_origin(Exchange(sink, None)) is foreign
