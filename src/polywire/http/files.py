"""Files of a directory, opened so that no name leads out of it, and what HTTP says of them. Blocking: for threads."""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import os
import stat
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar
from urllib.parse import quote, unquote_to_bytes

from polywire.http.conditional import Validators

T = TypeVar("T")

_MOST_SEGMENTS = 32
_SMALL_BYTES = 16 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A FIFO would hold its opener up, and a terminal could become ours.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ABSENT = frozenset({errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV, errno.EINVAL, errno.EILSEQ})
"""Symbolic links, names that no file can have, sockets and devices without a driver."""
_OCTETS: Final = "application/octet-stream"
_TYPES = mimetypes.MimeTypes()
"""The standard library's own table: the machine's would make answers differ from host to host."""
# RFC 9239 §6; application/javascript before Python 3.12.
_TYPES.add_type("text/javascript", ".js")
_TYPES.add_type("text/javascript", ".mjs")
_TYPES.add_type("text/markdown", ".md")
_TYPES.add_type("image/webp", ".webp")
_TYPES.add_type("image/avif", ".avif")
_TYPES.add_type("font/woff2", ".woff2")
_OF_CODINGS = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_SHOWN = frozenset({"text/plain", "text/csv", "application/json"})
"""What a browser may show, beside pictures, sound and films: nothing in them runs with the rights of our origin."""
_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
"""What a browser needs to show a picture or a film by itself, and nothing that runs (CSP Level 3)."""
_RUN = frozenset({"text/javascript", "application/javascript", "application/wasm"})


class ServedFile:
    """A regular file that is open for reading.

    Its descriptor is closed once: by `close`, or, where a thread works with it at that time, by that thread at its end.
    """

    def __init__(self) -> None:
        self.size = 0
        """In bytes, when it was opened."""
        self.validators = Validators(None)
        self.whole: bytes | None = None
        """Of a small file everything in it, read as it was opened: that saves another way to a thread and back."""
        self._fd = -1
        self._busy = False
        self._closed = False
        self._lock = threading.Lock()

    def open(self, directory: str, segments: Sequence[str]) -> bool:
        """Open what the segments lead to within the directory; False: no file is there, or none that may be read.

        Symbolic links below the directory are not followed, so none can lead out of it. Raises OSError where the
        machine fails: too many descriptors, say.
        """
        return self._use(lambda: self._open(directory, segments)) or False

    def read(self, position: int, length: int) -> bytes:
        """Up to `length` bytes from `position` on; fewer where the file ends. Raises OSError."""
        return self._use(lambda: os.pread(self._fd, length, position)) or b""

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._shut()

    def _open(self, directory: str, segments: Sequence[str]) -> bool:
        fd = -1
        try:
            fd = os.open(directory, _DIRECTORY)
            for segment in segments[:-1]:
                parent, fd = fd, os.open(segment, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                os.close(parent)
            parent, fd = fd, os.open(segments[-1], _FILE, dir_fd=fd)
            os.close(parent)
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return False
            self.size = found.st_size
            self.validators = _validators(found)
            if found.st_size <= _SMALL_BYTES:
                whole = os.pread(fd, found.st_size, 0)
                self.whole = whole if len(whole) == found.st_size else None
            self._fd, fd = fd, -1
            return True
        except OSError as error:
            if isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError)) or error.errno in _ABSENT:
                return False
            raise
        finally:
            if fd >= 0:
                os.close(fd)

    def _use(self, work: Callable[[], T]) -> T | None:
        with self._lock:
            if self._closed:
                return None
            self._busy = True
        try:
            return work()
        finally:
            with self._lock:
                self._busy = False
                if self._closed:
                    self._shut()

    def _shut(self) -> None:
        if self._fd >= 0 and not self._busy:
            os.close(self._fd)
            self._fd = -1


def path_segments(path: str) -> list[str] | None:
    """The names in a path as it was sent, `a/b%20c`; None where it can name no file that is served.

    So are: empty names, `.` and `..`, names that begin with a dot, slashes and control characters that were
    percent-encoded, text that is not UTF-8, and more than 32 names.
    """
    parts = path.split("/", _MOST_SEGMENTS)
    if len(parts) > _MOST_SEGMENTS:
        return None
    names = []
    for part in parts:
        try:
            name = unquote_to_bytes(part.encode("latin-1")).decode()
        except UnicodeError:
            return None
        if not name or name[0] == "." or "/" in name or not _is_printed(name):
            return None
        names.append(name)
    return names


def content_headers(name: str, *, trusted: bool) -> list[tuple[str, str]]:
    """The fields that say what a file is, by its name alone.

    trusted: nobody but the application's makers put it there. Otherwise a browser may show what cannot run; the rest
    it is told to save, and scripts are not sent as such, so that no page can load them.
    """
    guessed, coding = _TYPES.guess_type(f"x/{name}")
    media_type = _OCTETS if guessed is None else guessed
    if coding is not None:
        # What is stored compressed is sent as that: its coding is not ours to undo.
        media_type = _OF_CODINGS.get(coding, _OCTETS)
    headers = [("x-content-type-options", "nosniff")]
    if not trusted:
        if media_type in _RUN:
            media_type = _OCTETS
        headers.append(("content-security-policy", _POLICY))
        if not _is_shown(media_type):
            headers.append(("content-disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}"))
    if media_type.startswith("text/"):
        media_type += "; charset=utf-8"
    return [("content-type", media_type), *headers]


def _is_shown(media_type: str) -> bool:
    kind = media_type.partition("/")[0]
    return media_type in _SHOWN or kind in ("audio", "video") or (kind == "image" and media_type != "image/svg+xml")


def _is_printed(name: str) -> bool:
    return all(ord(character) >= 32 and ord(character) != 127 for character in name)


def _validators(found: os.stat_result) -> Validators:
    # Whoever replaces a file in place of another, or writes into it, changes one of these.
    state = f"{found.st_dev}-{found.st_ino}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"
    digest = hashlib.blake2b(state.encode(), digest_size=12).hexdigest()
    return Validators(f'"{digest}"', int(found.st_mtime))
