"""Unix sockets to listen on: their files outlive programs, so each is looked at before it is taken."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat


class ListenError(Exception):
    """The address cannot be listened on; the text says why and what to do."""


def open_unix_socket(path: str, mode: int) -> socket.socket:
    """A stream socket bound to `path`, not listening yet; `mode` are its file's permissions. Raises ListenError.

    A socket file on which nobody answers is replaced; one that is in use, or any other kind of file, is not.
    """
    _make_way(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.bind(path)
        # Until it listens nobody can connect, so that there is no moment with other permissions.
        os.chmod(path, mode)
    except OSError as error:
        listening.close()
        raise ListenError(_explain(error, path)) from error
    except BaseException:
        listening.close()
        raise
    return listening


def remove_socket_file(path: str) -> None:
    """Remove the file of a Unix socket that has been closed, unless somebody answers on it, such as a worker."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode) and not _answers(path):
            os.unlink(path)


def _make_way(path: str) -> None:
    try:
        found = os.lstat(path)
    except OSError:
        return  # not there, or bind says what is wrong
    if not stat.S_ISSOCK(found.st_mode):
        raise ListenError(f"{path} exists and is no socket; move it away, or choose another path: --uds")
    try:
        if _answers(path):
            raise ListenError(f"{path} is in use by another program; stop it, or choose another path: --uds")
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(_explain(error, path)) from error


def _answers(path: str) -> bool:
    """Whether a program listens on the socket file. Raises OSError where that cannot be found out."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            pass  # its backlog is full
    return True


def _explain(error: OSError, path: str) -> str:
    if error.errno is None:  # the socket module's own check, before any system call
        return f"the path {path} is too long for a socket: about 100 bytes is the most; choose another: --uds"
    if error.errno == errno.ENOENT:
        return f"the directory of {path} does not exist; make it first"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no permission to make or replace {path}; choose another path: --uds"
    return f"cannot listen on {path}: {error.strerror}"
