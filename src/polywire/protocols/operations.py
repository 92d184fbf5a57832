"""The plain HTTP endpoints of operations: `/health`, `/health/live`, `/health/ready`, `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from polywire.runtime.health import Health, Report
from polywire.runtime.metrics import CONTENT_TYPE, Metrics
from polywire.wire.headers import HeaderBlock

if TYPE_CHECKING:
    from polywire.http.exchange import Exchange

_JSON = HeaderBlock([("content-type", "application/json"), ("cache-control", "no-store")])
_METRICS = HeaderBlock([("content-type", CONTENT_TYPE), ("cache-control", "no-store")])


Endpoint = Callable[["Exchange"], None]


class Operations:
    """The endpoints over one `Health` and one `Metrics`."""

    def __init__(self, health: Health, metrics: Metrics) -> None:
        self._health = health
        self._metrics = metrics
        self._waiting: set[asyncio.Task[None]] = set()

    def endpoints(self) -> dict[str, Endpoint]:
        """By path; each answers GET."""
        return {
            "/health": self.health,
            "/health/live": self.live,
            "/health/ready": self.ready,
            "/metrics": self.metrics,
        }

    def health(self, exchange: Exchange) -> None:
        """Everything known: 200, or 503 where a dependency fails or the process is not serving."""
        self._with_report(exchange, self._send_health)

    def ready(self, exchange: Exchange) -> None:
        """200 while requests should be sent here; 503 while starting, draining or unhealthy."""
        self._with_report(exchange, self._send_ready)

    def live(self, exchange: Exchange) -> None:
        """200 as long as the loop runs: that it answers is the answer. No dependency is looked at."""
        exchange.respond(200, _JSON, b'{"status":"ok"}')

    def metrics(self, exchange: Exchange) -> None:
        """The counters of this process, or of all workers where there are several; 503 if those cannot be asked."""
        gather = self._metrics.gather
        if gather is None:
            exchange.respond(200, _METRICS, self._metrics.render())
        else:
            self._keep(asyncio.get_running_loop().create_task(self._gather_then(exchange, gather)))

    async def _gather_then(self, exchange: Exchange, gather: Callable[[], Awaitable[bytes | None]]) -> None:
        text = await gather()
        if text is None:
            # A part of the sum would look as if counters had gone down.
            exchange.respond(503, _JSON, b'{"status":"unavailable"}')
        else:
            exchange.respond(200, _METRICS, text)

    async def close(self) -> None:
        """Wait for probes that are being answered. Their time is bounded by the checks' time-outs."""
        if self._waiting:
            await asyncio.wait(self._waiting)

    def _with_report(self, exchange: Exchange, send: Callable[[Exchange, Report], None]) -> None:
        report = self._health.cached_report()
        if report is not None:
            send(exchange, report)
            return
        self._keep(asyncio.get_running_loop().create_task(self._report_then(exchange, send)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _report_then(self, exchange: Exchange, send: Callable[[Exchange, Report], None]) -> None:
        send(exchange, await self._health.report())

    def _send_health(self, exchange: Exchange, report: Report) -> None:
        dependencies = {}
        for name, result in report.dependencies.items():
            shown: dict[str, Any] = {"status": "ok" if result.ok else "failed", "latency_ms": result.latency_ms}
            if result.error is not None:
                shown["error"] = result.error
            dependencies[name] = shown
        body = {
            "status": _status(report),
            "timestamp": report.timestamp,
            "uptime_s": report.uptime_s,
            "environment": self._health.environment,
            "version": self._health.version,
            "dependencies": dependencies,
        }
        exchange.respond(200 if report.ready else 503, _JSON, msgspec.json.encode(body))

    def _send_ready(self, exchange: Exchange, report: Report) -> None:
        exchange.respond(200 if report.ready else 503, _JSON, msgspec.json.encode({"status": _status(report)}))


def _status(report: Report) -> str:
    return "ok" if report.ready else "unavailable"
