"""`polywire …` as a process, and calls to it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from typing import Any


class Process:
    """`polywire …` in the project, its standard error read line by line."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "polywire.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.seen: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.lines.put(line)
        self.lines.put(None)

    def until(self, pattern: str) -> re.Match[str]:
        """The first further line that matches."""
        while True:
            line = self.lines.get(timeout=15)
            assert line is not None, f"it ended before {pattern!r}: {''.join(self.seen)}"
            self.seen.append(line)
            found = re.search(pattern, line)
            if found:
                return found

    def url(self) -> str:
        return self.until(r"on (http\S+)")[1]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(10)

    def output(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.read()

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(5)
            self.popen.kill()
        self.popen.wait()
        self.reader.join(5)
        for stream in (self.popen.stdout, self.popen.stderr):
            assert stream is not None
            stream.close()


Start = Callable[..., Process]


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return json.load(answer)
