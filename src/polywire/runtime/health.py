"""One registry of health checks behind `/health`, readiness probes and `grpc.health.v1`.

Checks run concurrently, each under its own time-out, on demand; a result is kept for a second and shared by everybody
who asks meanwhile, so that a storm of probes costs a dependency one look. What a failed check said is only logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from polywire.service.app import HealthCheck

logger = logging.getLogger("polywire.health")

FAILED = "check failed"
TIMED_OUT = "timed out"
CACHE_S = 1.0


class State(enum.Enum):
    """Where the process is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class ServingStatus(enum.IntEnum):
    """`grpc.health.v1.HealthCheckResponse.ServingStatus`, by its numbers."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class CheckResult:
    ok: bool
    latency_ms: float
    error: str | None = None
    """Generic text, safe to show to anybody; None where the check passed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What all checks said in one run."""

    state: State
    timestamp: str
    """RFC 3339, UTC."""
    uptime_s: float
    dependencies: dict[str, CheckResult] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Every dependency passed."""
        return all(result.ok for result in self.dependencies.values())

    @property
    def ready(self) -> bool:
        """Requests should be sent here: serving, and healthy."""
        return self.state is State.SERVING and self.healthy


class Health:
    """The health of one process.

    checks: the app's; names must be unique. services: full names that `service_status` knows.
    environment, version: shown in the report. clock, wall: monotonic and Unix seconds, given by tests.
    """

    def __init__(
        self,
        checks: Iterable[HealthCheck] = (),
        *,
        services: Iterable[str] = (),
        environment: str = "",
        version: str = "",
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.environment = environment
        self.version = version
        self._checks: dict[str, HealthCheck] = {}
        for check in checks:
            self.add_check(check)
        self._services = frozenset(services)
        self._clock = clock
        self._wall = wall
        self._started = clock()
        self._state = State.STARTING
        self._callbacks: list[Callable[[], None]] = []
        self._results: dict[str, CheckResult] = {}
        self._results_at: float | None = None
        self._run: asyncio.Task[None] | None = None
        self._hanging: set[str] = set()

    def add_check(self, check: HealthCheck) -> None:
        """Register one more check. Raises ValueError where the name is taken."""
        if check.name in self._checks:
            raise ValueError(f"health check {check.name!r} is registered twice; give one of them another name")
        self._checks[check.name] = check

    @property
    def state(self) -> State:
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self._tell()

    @property
    def serving(self) -> bool:
        """State and last known results together, without looking again."""
        return self._state is State.SERVING and all(result.ok for result in self._results.values())

    def service_status(self, full_name: str) -> ServingStatus:
        """The status of `user.UserService`, or for "" of the server, as last known; `await report()` renews it."""
        if full_name and full_name not in self._services:
            return ServingStatus.SERVICE_UNKNOWN
        return ServingStatus.SERVING if self.serving else ServingStatus.NOT_SERVING

    def service_names(self) -> list[str]:
        """The full names that `service_status` knows, sorted."""
        return sorted(self._services)

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on the loop whenever `state` or `serving` changes; returns a function that ends it."""
        self._callbacks.append(callback)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._callbacks.remove(callback)

        return stop

    def cached_report(self) -> Report | None:
        """The last report while it is fresh (a second), or at once where there is nothing to check; else None."""
        if self._checks and (self._results_at is None or self._clock() - self._results_at >= CACHE_S):
            return None
        return self._report()

    async def report(self) -> Report:
        """Run the checks, or share a run that is under way or fresh. Cancelling a caller does not end the run."""
        cached = self.cached_report()
        if cached is not None:
            return cached
        if self._run is None:
            self._run = asyncio.get_running_loop().create_task(self._run_checks(), name="polywire health checks")
        await asyncio.shield(self._run)
        return self._report()

    async def close(self) -> None:
        """End a run that is under way. Waits for the async checks to be cancelled, not for hanging threads."""
        if self._run is not None:
            self._run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._run

    def _report(self) -> Report:
        stamp = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Report(self._state, stamp, round(self._clock() - self._started, 3), dict(self._results))

    async def _run_checks(self) -> None:
        try:
            checks = list(self._checks.values())
            results = await asyncio.gather(*[self._run_check(check) for check in checks])
            before = self.serving
            self._results = {check.name: result for check, result in zip(checks, results, strict=True)}
            self._results_at = self._clock()
            if self.serving is not before:
                self._tell()
        finally:
            self._run = None

    async def _run_check(self, check: HealthCheck) -> CheckResult:
        started = self._clock()
        error: str | None = None
        try:
            async with asyncio.timeout(check.timeout_s):
                outcome = await self._start(check)
            if outcome is False:
                error = FAILED
        except TimeoutError:
            error = TIMED_OUT
            logger.warning("health check %r did not answer within %g s", check.name, check.timeout_s)
        except (Exception, asyncio.CancelledError) as failure:
            task = asyncio.current_task()
            if isinstance(failure, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            # A check may also await something that was cancelled: that is its failure, not the end of the run.
            error = FAILED
            logger.warning("health check %r failed", check.name, exc_info=True)
        return CheckResult(error is None, round((self._clock() - started) * 1000, 3), error)

    async def _start(self, check: HealthCheck) -> Any:
        if inspect.iscoroutinefunction(check.function):
            return await check.function()
        if check.name in self._hanging:
            raise TimeoutError
        outcome = await self._in_thread(check)
        return await outcome if inspect.isawaitable(outcome) else outcome

    def _in_thread(self, check: HealthCheck) -> Awaitable[Any]:
        """A daemon thread for one run: a pool's threads would be joined at exit, however long a check hangs."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._hanging.add(check.name)

        def finish(value: Any, error: BaseException | None) -> None:
            self._hanging.discard(check.name)
            if future.done():
                return
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        def run() -> None:
            value, error = None, None
            try:
                value = check.function()
            except BaseException as caught:
                error = caught if isinstance(caught, Exception) else RuntimeError(repr(caught))
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(finish, value, error)

        threading.Thread(target=run, name=f"polywire health {check.name}", daemon=True).start()
        return future

    def _tell(self) -> None:
        for callback in list(self._callbacks):
            try:
                callback()
            except Exception:
                logger.exception("a health callback failed")
