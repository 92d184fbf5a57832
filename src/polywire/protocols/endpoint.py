"""What a protocol's room hands to the site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from polywire.http.exchange import Exchange

Endpoint = Callable[[Exchange], None]
"""Answers an exchange, whatever happens: by a response, or by starting a call that will."""


class ProtocolServer:
    """Base of what answers an app's services in one protocol: says where."""

    dialects: Mapping[str, Mapping[str, Endpoint]] = {}
    """By the exact content type of the request, then by path; "" answers all other paths."""

    def routes(self) -> Iterable[tuple[str, str, Endpoint]]:
        """(path template, verb, endpoint) of each route."""
        return ()

    def websockets(self) -> Iterable[tuple[str, Endpoint]]:
        """(path, endpoint) of each place that takes up WebSockets."""
        return ()
