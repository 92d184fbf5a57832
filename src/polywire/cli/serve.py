"""What `polywire serve` does."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polywire.cli.load import LoadError, load_app
from polywire.cli.terminal import complain, wants_color

if TYPE_CHECKING:
    from polywire.cli.reload import Child
    from polywire.server.serve import Served, Server
    from polywire.server.settings import ServerSettings
    from polywire.service.app import App

USAGE_ERROR = 2
"""The exit code for what the user must change first, as click's own."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of the command, checked by click; what they mean stands there."""

    host: str = "127.0.0.1"
    port: int = 8000
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_only: bool = False
    reload: bool = False
    access_log: bool = True
    log_format: str | None = None
    max_request_bytes: int | None = None
    max_connections: int = 16_384
    deadline: float | None = None
    idle_seconds: float = 75.0
    drain_seconds: float | None = None
    pre_stop_seconds: float = 0.0
    environment: str | None = None


def serve_app(target: str | None, options: ServeOptions) -> int:
    """Serve until a signal; returns the exit code. What is wrong with the target or the options is printed."""
    from polywire.cli import reload

    if not options.reload:
        return _serve(target, options, None)
    child = reload.this_child()
    if child is None:
        return reload.supervise(target, options.host, options.port)
    return _serve(target, options, child)


def _serve(target: str | None, options: ServeOptions, child: Child | None) -> int:
    app = _load(target)
    if child is not None:
        child.report_files()
    if app is None:
        return USAGE_ERROR
    _override(app, options)

    from polywire.server import logs
    from polywire.server.listener import ListenError
    from polywire.server.serve import run
    from polywire.server.tls import TlsError

    text = sys.stderr.isatty() if options.log_format is None else options.log_format == "text"
    logs.configure(text=text, color=wants_color(sys.stderr))
    try:
        settings = _settings(app, options, child)
    except ValueError as error:
        complain(str(error))
        return USAGE_ERROR

    def on_started(server: Server) -> None:
        if child is not None:
            child.report_files()
            child.end_with_parent()
        if child is None or child.first:
            _print_banner(app, target, options, server.port)

    try:
        return run(
            lambda: _make_site(app, options),
            settings,
            sockets=None if child is None else child.sockets(),
            on_started=on_started,
        )
    except (ListenError, TlsError) as error:
        complain(str(error))
        return USAGE_ERROR
    except Exception as error:
        _print_users_error(error)
        complain("the application could not be started: see above")
        return USAGE_ERROR


def _load(target: str | None) -> App | None:
    from polywire.schema.errors import SchemaError

    try:
        return load_app(target)
    except LoadError as error:
        complain(str(error))
    except SchemaError as error:
        _print_users_error(error)
    except Exception as error:
        _print_users_error(error)
        complain(f"{target or 'the demo'} cannot be imported: see above")
    return None


def _print_users_error(error: Exception) -> None:
    """The traceback without the frames of how we got there, which say nothing to the user.

    Where the error arose in polywire itself, and is not about a declaration of theirs, all of it is shown.
    """
    from polywire.schema.errors import SchemaError

    told = traceback.TracebackException.from_exception(error)
    users = [frame for frame in told.stack if not _is_machinery(frame.filename)]
    if isinstance(error, (SchemaError, SyntaxError)) or (told.stack and users and users[-1] is told.stack[-1]):
        told.stack = traceback.StackSummary.from_list(users)
    print("".join(told.format()), end="", file=sys.stderr, flush=True)


def _is_machinery(path: str) -> bool:
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return path.startswith((ours + os.sep, "<frozen")) or f"{os.sep}importlib{os.sep}" in path


def _override(app: App, options: ServeOptions) -> None:
    if options.max_request_bytes is not None:
        app.max_request_bytes = options.max_request_bytes
    if options.deadline is not None:
        app.default_deadline_s = options.deadline
    if options.environment is not None:
        app.environment = options.environment


def _settings(app: App, options: ServeOptions, child: Child | None) -> ServerSettings:
    from polywire.server.settings import ServerSettings

    drain_s = app.drain_s if options.drain_seconds is None else options.drain_seconds
    return ServerSettings(
        host=options.host,
        port=options.port,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        clear_text=not options.tls_only,
        max_connections=options.max_connections,
        idle_timeout_s=options.idle_seconds,
        drain_s=drain_s if child is None else min(drain_s, child.drain_s),
        pre_stop_s=options.pre_stop_seconds if child is None else 0.0,
    )


def _make_site(app: App, options: ServeOptions) -> Served:
    """Called within the loop that serves."""
    import asyncio

    from polywire.protocols.site import Site
    from polywire.server.access_log import AccessLog

    if not options.access_log:
        return Site(app)
    text = sys.stdout.isatty() if options.log_format is None else options.log_format == "text"
    log = AccessLog(sys.stdout.fileno(), asyncio.get_running_loop(), text=text, color=wants_color(sys.stdout))
    return Site(app, [log.record])


def _print_banner(app: App, target: str | None, options: ServeOptions, port: int) -> None:
    from polywire.cli.banner import banner

    try:
        text = banner(
            [service.type for service in app.services],
            options.host,
            port,
            tls=options.tls_cert is not None,
            what=Path(target).name if target else "the demo, atlas",
            color=wants_color(sys.stderr),
        )
    except Exception:  # a greeting is not worth a server that does not start
        logging.getLogger("polywire").exception("the start-up text could not be made")
        return
    print(text, file=sys.stderr, flush=True)
