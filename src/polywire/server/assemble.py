"""From an App to a site with the endpoints of operations."""

from __future__ import annotations

from collections.abc import Iterable

from polywire.http.exchange import Observer
from polywire.protocols.site import Site
from polywire.server.endpoints import Operations
from polywire.service.app import App


def make_site(app: App, observers: Iterable[Observer] = ()) -> Site:
    """A site for `app` that answers `/health`, `/health/live`, `/health/ready` and `/metrics` too.

    observers: told of every finished exchange, such as `AccessLog.record`.
    Raises ValueError where the app has a route on one of these paths.
    """
    site = Site(app)
    site.observers.extend(observers)
    for path, endpoint in Operations(site.health, site.metrics).endpoints().items():
        site.add_endpoint("GET", path, endpoint)
    return site
