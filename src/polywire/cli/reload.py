"""`--reload`: a parent that watches source files and starts the server again when one changes.

The parent holds the listening sockets, so that callers wait through a restart instead of being refused. Parent and
child are joined by a socket pair: the child reports on it which files it has loaded, and ends when the parent is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from polywire.cli.terminal import DIM, complain, paint, wants_color

_ENVIRONMENT = "_POLYWIRE_RELOAD"
_POLL_S = 0.5
_DRAIN_S = 1.0
_KILL_AFTER_S = 5.0

Snapshot = dict[str, int]
"""Modification times in ns by path."""


@dataclass(frozen=True, slots=True)
class Child:
    """The server's side, in the process that the parent started."""

    link: socket.socket
    listening: tuple[int, ...]
    first: bool
    """Nothing was served before by this parent."""
    drain_s: float = _DRAIN_S

    def sockets(self) -> list[socket.socket]:
        """The parent's listening sockets."""
        return [socket.socket(fileno=descriptor) for descriptor in self.listening]

    def report_files(self) -> None:
        """Tell the parent what to watch: the source files of all modules loaded that are not an installation's."""
        with contextlib.suppress(OSError):
            self.link.sendall(json.dumps(source_files()).encode() + b"\n")

    def end_with_parent(self) -> None:
        """From now on, drain when the parent is gone. Called in the running loop."""
        import asyncio

        loop = asyncio.get_running_loop()

        def on_readable() -> None:
            loop.remove_reader(self.link)
            os.kill(os.getpid(), signal.SIGTERM)

        self.link.setblocking(False)
        loop.add_reader(self.link, on_readable)


def this_child() -> Child | None:
    """The child that this process is; None in any other."""
    given = os.environ.pop(_ENVIRONMENT, None)
    if given is None:
        return None
    told = json.loads(given)
    return Child(socket.socket(fileno=told["link"]), tuple(told["listening"]), told["first"])


def source_files() -> list[str]:
    """Python files of the modules loaded now, without the standard library and what is installed."""
    installed = tuple(
        {os.path.realpath(path) + os.sep for path in (sys.prefix, sys.base_prefix, os.path.dirname(os.__file__))}
    )
    found = set()
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and path.endswith(".py"):
            real = os.path.realpath(path)
            if not real.startswith(installed):
                found.add(real)
    return sorted(found)


def snapshot(files: set[str]) -> Snapshot:
    """The state of `files` and of every other Python file beside them, so that a new one counts as a change."""
    state: Snapshot = {}
    for directory in {os.path.dirname(path) for path in files}:
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    state[entry.path] = entry.stat().st_mtime_ns
    return state


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Paths that were written, added or removed, sorted."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def supervise(target: str | None, host: str, port: int, uds: str | None = None) -> int:
    """Be the parent until a signal; returns the last child's exit code."""
    from polywire.server.listener import ListenError, open_sockets
    from polywire.server.settings import ServerSettings
    from polywire.server.unix import remove_socket_file

    settings = ServerSettings(host=host, port=port, uds=uds)
    try:
        sockets = open_sockets(settings)
        for opened in sockets:
            opened.listen(settings.backlog)
    except ListenError as error:
        complain(str(error))
        return 2
    except OSError as error:
        complain(f"cannot listen on {uds or f'{host}:{port}'}: {error.strerror}")
        return 2
    try:
        return _Supervisor(sockets, _files_of(target)).run()
    finally:
        for opened in sockets:
            opened.close()
        if uds is not None:
            remove_socket_file(uds)


def _files_of(target: str | None) -> set[str]:
    """What to watch before a child has said anything: the file named, or those in the current directory."""
    where = (target or "").partition(":")[0]
    path = Path(where) if where.endswith(".py") else Path.cwd() / "*.py"
    return {str(path.resolve())}


class _Supervisor:
    def __init__(self, sockets: list[socket.socket], files: set[str]) -> None:
        self._sockets = sockets
        self._files = files
        self._stopping = False
        self._child: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._heard = b""
        self._served = False

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        while True:
            code = self._serve_once()
            if self._stopping:
                return code

    def _on_signal(self, number: int, _frame: object) -> None:
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _serve_once(self) -> int:
        """Start a child; when a file has changed or a signal came, see it end. Its exit code."""
        state = snapshot(self._files)
        child = self._spawn()
        said = False
        while not self._stopping:
            if self._listen():
                # What it loads is watched from now on; what changed while it was loading is a change too.
                later = snapshot(self._files)
                state = {path: state.get(path, at) for path, at in later.items()}
            changed = changes(state, snapshot(self._files))
            if changed:
                _note(f"{', '.join(os.path.relpath(path) for path in changed[:3])} changed: starting again")
                break
            if child.poll() is not None and not said:
                said = True
                _note("waiting for a change")
        return self._end(child)

    def _spawn(self) -> subprocess.Popen[bytes]:
        ours, theirs = socket.socketpair()
        listening = [opened.fileno() for opened in self._sockets]
        told = json.dumps({"link": theirs.fileno(), "listening": listening, "first": not self._served})
        # Its own process group: Ctrl-C reaches the parent alone, which passes it on once.
        self._child = subprocess.Popen(  # noqa: S603 -- our own command line once more
            [sys.executable, "-m", "polywire.cli", *sys.argv[1:]],
            env={**os.environ, _ENVIRONMENT: told},
            pass_fds=[theirs.fileno(), *listening],
            process_group=0,
        )
        theirs.close()
        self._link, self._heard = ours, b""
        return self._child

    def _listen(self) -> bool:
        """Wait a while for the child to report; whether it did."""
        link = self._link
        if link is None:
            time.sleep(_POLL_S)
            return False
        if not select.select([link], [], [], _POLL_S)[0]:
            return False
        data = link.recv(1 << 20)
        if not data:
            link.close()
            self._link = None
            return False
        *complete, self._heard = (self._heard + data).split(b"\n")
        for line in complete:
            self._files |= set(json.loads(line))
            self._served = True
        return bool(complete)

    def _end(self, child: subprocess.Popen[bytes]) -> int:
        if child.poll() is None and not self._stopping:
            child.terminate()
        try:
            code = child.wait(None if self._stopping else _KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        if self._link is not None:
            self._link.close()
            self._link = None
        return code


def _note(text: str) -> None:
    print(paint(f"reload: {text}", DIM, color=wants_color(sys.stderr)), file=sys.stderr, flush=True)
