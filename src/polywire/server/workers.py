"""`--workers`: a parent that forks workers onto listening sockets, and replaces them.

The parent imports no application, has no event loop and no thread: a replacement gets new code, and a fork is safe. Its
sockets stay open for as long as it lives, so that a connection that waits in one outlives the worker it was meant for.

    slot: sockets ──▶ serving ── SIGUSR2: `coming` is forked, says ready, takes its place ──▶ leaving ──▶ gone
                         └── it dies: another is forked at once; later and later where they die young
"""

from __future__ import annotations

import collections
import contextlib
import gc
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from polywire.server import worker as topics
from polywire.server.channel import Channel, ChannelError, Message
from polywire.server.tally import Tally
from polywire.server.unix import remove_socket_file
from polywire.server.worker import Ready, Seat

logger = logging.getLogger("polywire.server")

FAILED = 2
"""The exit code where the workers cannot be started, as a single process has for it."""
_YOUNG_S = 10.0
"""A worker that dies before this age counts as a failure of its start."""
_BACK_OFF_S = 30.0
"""The longest pause before another is tried; the first is none, the second 1 s, then twice as long each time."""
_START_S = 120.0
"""For a replacement to become ready."""
_CUT_S = 5.0
"""For workers that were told not to wait, and beyond what a drain may take, before they are killed."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)


@dataclass(slots=True, eq=False)
class Worker:
    """One process, from its fork until it has been waited for."""

    pid: int
    channel: Channel
    born: float
    ready: bool = False
    hung_up: bool = False
    """SIGHUP came during its life, that is, after it has got its certificates from the fork."""
    drain_s: float = 30.0
    kill_at: float | None = None


@dataclass(slots=True, eq=False)
class Slot:
    """The place of one worker, and its sockets."""

    sockets: Sequence[socket.socket]
    serving: Worker | None = None
    coming: Worker | None = None
    fork_at: float | None = None
    failures: int = 0
    leaving: list[Worker] = field(default_factory=list)

    def workers(self) -> Iterator[Worker]:
        if self.serving is not None:
            yield self.serving
        if self.coming is not None:
            yield self.coming
        yield from self.leaving


class Workers:
    """The parent's loop.

    sockets: one set for each worker, bound; owned from here on. pre_stop_s: as in the settings.
    on_started: called once, with the start-up text of the first worker, when all serve.
    on_hangup: what the parent itself does at SIGHUP, before the workers are sent it.
    """

    def __init__(
        self,
        sockets: Sequence[Sequence[socket.socket]],
        *,
        pre_stop_s: float = 0.0,
        on_started: Callable[[str], None],
        on_hangup: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = [Slot(own) for own in sockets]
        self._pre_stop_s = pre_stop_s
        self._on_started = on_started
        self._on_hangup = on_hangup
        self._clock = clock
        self._tally = Tally()
        self._banner = ""
        self._started = False
        self._stopping = False
        self._code = 0
        self._rolling: collections.deque[Slot] = collections.deque()
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._old_handlers: dict[int, object] = {}

    def run(self) -> int | Seat:
        """Be the parent: the exit code, at the end. In each worker that is forked: its seat, at once."""
        self._take_signals()
        # Pages of objects that are frozen are not written to by a worker's collector, and so stay shared.
        gc.collect()
        gc.freeze()
        self._slots[0].fork_at = self._clock()  # alone, so that what is wrong is said once
        while True:
            now = self._clock()
            for slot in self._slots:
                if slot.fork_at is not None and slot.fork_at <= now:
                    slot.fork_at = None
                    seat = self._fork(slot)
                    if seat is not None:
                        return seat
            if self._stopping and not any(True for slot in self._slots for _ in slot.workers()):
                self._leave_signals()
                return self._code
            self._wait()

    # Signals and waiting.

    def _take_signals(self) -> None:
        self._wake = socket.socketpair()
        for end in self._wake:
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake[1].fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            self._old_handlers[number] = signal.signal(number, lambda *_: None)

    def _leave_signals(self) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() itself gave
        assert self._wake is not None, "called after _take_signals"
        for end in self._wake:
            end.close()

    def _wait(self) -> None:
        """Sleep until something happens, and see to it."""
        assert self._wake is not None, "called after _take_signals"
        poll = select.poll()
        poll.register(self._wake[0], select.POLLIN)
        found: dict[int, tuple[Slot, Worker]] = {}
        for slot in self._slots:
            for worker in slot.workers():
                descriptor = worker.channel.fileno()
                if descriptor >= 0:
                    found[descriptor] = slot, worker
                    poll.register(descriptor, select.POLLIN | (select.POLLOUT if worker.channel.wants_write else 0))
        due = self._due()
        for descriptor, event in poll.poll(None if due is None else max(0.0, due - self._clock()) * 1000 + 1):
            if descriptor in found:
                slot, worker = found[descriptor]
                if event & select.POLLOUT:
                    worker.channel.flush()
                if event & ~select.POLLOUT:
                    self._hear(slot, worker)
        with contextlib.suppress(BlockingIOError):
            for number in self._wake[0].recv(4096):
                self._on_signal(number)
        self._reap()
        now = self._clock()
        self._tally.tick(now)
        for slot in self._slots:
            for worker in slot.workers():
                if worker.kill_at is not None and now >= worker.kill_at:
                    worker.kill_at = None
                    logger.error("worker %d does not come to an end, or to a start: killing it", worker.pid)
                    _kill(worker, signal.SIGKILL)
        self._roll()

    def _due(self) -> float | None:
        times = [self._tally.due, *(slot.fork_at for slot in self._slots)]
        times += [worker.kill_at for slot in self._slots for worker in slot.workers()]
        return min((at for at in times if at is not None), default=None)

    def _on_signal(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop()
        elif number == signal.SIGHUP:
            self._on_hangup()
            for slot in self._slots:
                for worker in slot.workers():
                    # One that is still starting has no handler yet; it is sent its own when it is ready.
                    worker.hung_up = True
                    if worker.ready:
                        _kill(worker, signal.SIGHUP)
        elif number == signal.SIGUSR2 and not self._stopping:
            if self._started:
                logger.info("replacing the workers one by one")
                self._rolling = collections.deque(self._slots)
                for slot in self._slots:
                    if slot.fork_at is not None:
                        slot.fork_at = self._clock()  # the new code may be what ends its failures
            else:
                logger.warning("the workers are still starting: nothing to replace")

    # The life of a worker.

    def _fork(self, slot: Slot) -> Seat | None:
        """Fork a worker; None in the parent. Where the machine has none to give, it is tried again later.

        Raises OSError for that before all serve.
        """
        try:
            return self._try_to_fork(slot)
        except OSError as error:
            if not self._started:
                raise
            pause_s = self._later(slot, young=True)
            logger.error("no worker can be started (%s): trying again in %g s", error, pause_s)
            return None

    def _try_to_fork(self, slot: Slot) -> Seat | None:
        ours, theirs = socket.socketpair()
        # A signal that comes just after the fork must not be written to our wake-up socket by the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._leave_signals()
                for number in _SIGNALS:
                    # Terminals and service managers signal all alike; a worker is told by its parent.
                    quiet = number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
                    signal.signal(number, _ignored if quiet else signal.SIG_DFL)
        except OSError:
            ours.close()
            theirs.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if pid == 0:
            ours.close()
            for other in self._slots:
                for worker in other.workers():
                    worker.channel.close()
                if other is not slot:
                    for opened in other.sockets:
                        opened.close()
            return Seat(Channel(theirs), list(slot.sockets))
        theirs.close()
        now = self._clock()
        slot.coming = Worker(pid, Channel(ours), now, kill_at=now + _START_S if self._started else None)
        self._tally.join(pid, slot.coming.channel)
        return None

    def _hear(self, slot: Slot, worker: Worker) -> None:
        try:
            messages = worker.channel.receive()
        except ChannelError as error:
            worker.channel.close()
            if worker.kill_at is None:
                # Its end follows as a rule; without a channel it can be told nothing any more.
                worker.kill_at = self._clock() + _CUT_S
            logger.debug("channel of worker %d: %s", worker.pid, error)
            return
        for message in messages:
            try:
                self._on_message(slot, worker, message)
            except msgspec.MsgspecError as error:
                logger.error("worker %d sent what no worker sends (%s): killing it", worker.pid, error)
                _kill(worker, signal.SIGKILL)
                return

    def _on_message(self, slot: Slot, worker: Worker, message: Message) -> None:
        if message.topic.startswith("metrics."):
            self._tally.receive(worker.pid, message, self._clock())
        elif message.topic == topics.READY:
            self._on_ready(slot, worker, msgspec.msgpack.decode(message.body, type=Ready))
        elif message.topic == topics.DEAF:
            if self._stopping:
                self._close(slot)
            elif worker is slot.serving:
                # Somebody else told it to end.
                self._retire(slot, worker)
                slot.serving = None
                if slot.coming is None:
                    slot.fork_at = self._clock()

    def _on_ready(self, slot: Slot, worker: Worker, told: Ready) -> None:
        worker.ready, worker.drain_s, worker.kill_at = True, told.drain_s, None
        if worker.hung_up:
            _kill(worker, signal.SIGHUP)
        if self._stopping:
            return
        if slot.serving is not None:
            slot.serving.channel.send(topics.RETIRE)
            self._retire(slot, slot.serving)
        slot.serving, slot.coming = worker, None
        self._banner = self._banner or told.banner
        if self._started:
            logger.info("worker %d serves", worker.pid)
        elif all(one.serving is not None for one in self._slots):
            self._started = True
            self._on_started(self._banner)
        else:
            for one in self._slots:
                if one.serving is None and one.coming is None:
                    one.fork_at = self._clock()

    def _retire(self, slot: Slot, worker: Worker) -> None:
        worker.kill_at = self._clock() + worker.drain_s + _CUT_S
        slot.leaving.append(worker)

    def _reap(self) -> None:
        for slot in self._slots:
            for worker in list(slot.workers()):
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
                if pid:
                    if worker.channel.fileno() >= 0:
                        self._hear(slot, worker)  # its last words
                    worker.channel.close()
                    self._tally.leave(worker.pid, self._clock())
                    self._on_end(slot, worker, os.waitstatus_to_exitcode(status))

    def _on_end(self, slot: Slot, worker: Worker, code: int) -> None:
        if worker in slot.leaving:
            slot.leaving.remove(worker)
            if self._stopping and code:
                self._code = 1
            return
        was_serving = worker is slot.serving
        if was_serving:
            slot.serving = None
        else:
            slot.coming = None
        if self._stopping:
            if code and worker.ready:
                self._code = self._code or 1
            if slot.serving is None:
                self._close(slot)
        elif not self._started:
            self._stop(code if code > 0 else FAILED)
            if code != FAILED:  # with which a worker ends that has said itself what is wrong
                logger.error("worker %d ended while the first workers started (%s)", worker.pid, _said(code))
        elif not was_serving and slot.serving is not None:
            self._rolling.clear()
            logger.error("the replacement %d did not come up (%s): the old workers go on", worker.pid, _said(code))
        else:
            self._replace(slot, worker, code)

    def _replace(self, slot: Slot, worker: Worker, code: int) -> None:
        pause_s = self._later(slot, young=not worker.ready or self._clock() - worker.born < _YOUNG_S)
        logger.error(
            "worker %d died (%s): starting another%s", worker.pid, _said(code), f" in {pause_s:g} s" if pause_s else ""
        )

    def _later(self, slot: Slot, *, young: bool) -> float:
        """Plan the slot's next worker; the pause in seconds."""
        slot.failures = slot.failures + 1 if young else 1
        pause_s = 0.0 if slot.failures == 1 else min(2.0 ** (slot.failures - 2), _BACK_OFF_S)
        if slot.coming is None:
            slot.fork_at = self._clock() + pause_s
        return pause_s

    def _roll(self) -> None:
        """Go on replacing: one slot at a time, the old one's end included, so that memory is for one more at most."""
        while self._rolling:
            if any(slot.coming is not None or slot.leaving or slot.fork_at is not None for slot in self._slots):
                return
            self._rolling.popleft().fork_at = self._clock()
            return

    def _stop(self, code: int = 0) -> None:
        """Drain all workers; the second time, wait no longer."""
        now = self._clock()
        if self._stopping:
            for slot in self._slots:
                for worker in slot.workers():
                    worker.channel.send(topics.CUT)
                    worker.kill_at = now + _CUT_S
            return
        self._stopping, self._code = True, code
        self._rolling.clear()
        for slot in self._slots:
            slot.fork_at = None
            if slot.serving is None:
                self._close(slot)
            for worker in slot.workers():
                worker.channel.send(topics.STOP)
                _kill(worker, signal.SIGTERM)
                if worker.kill_at is None:
                    worker.kill_at = now + self._pre_stop_s + worker.drain_s + _CUT_S

    def _close(self, slot: Slot) -> None:
        """Nobody accepts from these sockets any more: callers are refused from now on."""
        for opened in slot.sockets:
            name = opened.getsockname() if opened.fileno() >= 0 else None
            opened.close()
            if isinstance(name, str):
                remove_socket_file(name)


def _ignored(_number: int, _frame: object) -> None:
    """Does nothing, and unlike SIG_IGN is not handed on to programs that the application starts."""


def _kill(worker: Worker, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker.pid, number)


def _said(code: int) -> str:
    return f"exit code {code}" if code >= 0 else _signal_name(-code)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
