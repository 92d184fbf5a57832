"""The log of what goes wrong: `logging` set up so that each record is one line with its request id."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import TextIO

import msgspec

from polywire.server.access_log import timestamp

_LEVEL_COLORS = {logging.WARNING: 33, logging.ERROR: 31, logging.CRITICAL: 31}


class JsonFormatter(logging.Formatter):
    """One JSON object per record: ts, level, logger, message, and where present request_id, method, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, str] = {
            "ts": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("request_id", "method"):
            value = getattr(record, name, None)
            if value is not None:
                line[name] = str(value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class TextFormatter(logging.Formatter):
    """Time, level, message, and the request id where the message does not say it; the traceback below."""

    def __init__(self, *, color: bool) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower():8}"
        code = _LEVEL_COLORS.get(record.levelno)
        if self._color and code is not None:
            level = f"\x1b[{code}m{level}\x1b[0m"
        text = f"{timestamp(record.created)[11:23]} {level} {_printable(record.getMessage())}"
        request_id = getattr(record, "request_id", None)
        if request_id is not None and request_id not in text:
            text += f" (request {request_id})"
        if record.exc_info:
            text += "\n" + "\n".join(_printable(line) for line in self.formatException(record.exc_info).split("\n"))
        return text


def _printable(text: str) -> str:
    """The text on one line: what a caller put into it must neither make lines of its own nor steer a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def configure(*, text: bool, color: bool, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send every logger's records to `stream` (None: standard error) unless the application has set up its own.

    An application that configured the root logger keeps its handlers: the log is then its affair.
    """
    root = logging.getLogger()
    if root.handlers:
        return
    root.addHandler(_handler(text, color, stream))
    root.setLevel(level)


@contextlib.contextmanager
def own(*, text: bool, color: bool) -> Iterator[None]:
    """Send what `polywire.server` logs to standard error meanwhile, and leave the root logger to the application.

    For a process that has no application yet: what it set up would look as if the application had.
    """
    logger = logging.getLogger("polywire.server")
    handler, level = _handler(text, color, None), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _handler(text: bool, color: bool, stream: TextIO | None) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(TextFormatter(color=color) if text else JsonFormatter())
    return handler
