"""What `polywire serve` does."""

from __future__ import annotations

import logging
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from polywire.cli.applications import load_or_complain, print_users_error
from polywire.cli.terminal import complain, wants_color

if TYPE_CHECKING:
    import ssl

    from polywire.cli.reload import Child
    from polywire.server.serve import Served, Server
    from polywire.server.settings import ServerSettings
    from polywire.server.worker import Seat
    from polywire.service.app import App
    from polywire.wire.limits import HttpLimits

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
    uds: str | None = None
    tls_client_ca: str | None = None
    tls_client_auth: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    forwarded_header: str = "x-forwarded"
    proxy_protocol: bool = False
    allowed_hosts: tuple[str, ...] = ()
    workers: int = 1
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
    set: tuple[str, ...] = ()


def serve_app(target: str | None, options: ServeOptions) -> int:
    """Serve until a signal; returns the exit code. What is wrong with the target or the options is printed."""
    try:
        _settings(None, options, None)
    except ValueError as error:
        complain(str(error))
        return USAGE_ERROR
    if options.workers > 1:
        if options.reload:
            complain("--reload is for development and starts one process; leave it or --workers out")
            return USAGE_ERROR
        return _serve_workers(target, options)
    if not options.reload:
        return _serve(target, options, None)
    from polywire.cli import reload

    child = reload.this_child()
    if child is None:
        return reload.supervise(target, options.host, options.port, options.uds)
    return _serve(target, options, child)


def _serve_workers(target: str | None, options: ServeOptions) -> int:
    """Be the parent of workers, and in each of them the worker. The application is imported in workers only."""
    from polywire.server import logs
    from polywire.server.listener import ListenError, open_socket_sets
    from polywire.server.tls import TlsError, reload_certificates, server_context
    from polywire.server.unix import remove_socket_file
    from polywire.server.workers import Workers

    try:
        settings = _settings(None, options, None)
        context = server_context(settings)
        sockets = open_socket_sets(settings, options.workers)
    except (ValueError, ListenError, TlsError) as error:
        complain(str(error))
        return USAGE_ERROR
    with logs.own(text=_is_text(options, sys.stderr), color=wants_color(sys.stderr)):
        outcome = Workers(
            sockets,
            pre_stop_s=settings.pre_stop_s,
            on_started=lambda text: print(text, file=sys.stderr, flush=True),
            on_hangup=lambda: reload_certificates(context, settings),
        ).run()
    if isinstance(outcome, int):
        if settings.uds is not None:
            remove_socket_file(settings.uds)  # a worker that was still leaving had it open when its sockets were closed
        return outcome
    return _serve(target, options, None, outcome, context)


def _serve(
    target: str | None,
    options: ServeOptions,
    child: Child | None,
    seat: Seat | None = None,
    context: ssl.SSLContext | None = None,
) -> int:
    if target is None:
        _tell_demo(options)
    app = load_or_complain(target)
    if child is not None:
        child.report_files()
    if app is None:
        return USAGE_ERROR
    _override(app, options)
    if options.workers > 1 and app.broker is not None and not app.broker.shared:
        complain(
            f"--workers {options.workers} with topics needs a broker that all processes share; "
            f"{type(app.broker).__name__} is each process's own: serve with one worker, or give App another broker="
        )
        return USAGE_ERROR

    from polywire.server import logs
    from polywire.server.listener import ListenError
    from polywire.server.serve import run
    from polywire.server.tls import TlsError

    logs.configure(text=_is_text(options, sys.stderr), color=wants_color(sys.stderr))
    try:
        settings = _settings(app, options, child)
    except ValueError as error:
        complain(str(error))
        return USAGE_ERROR

    def on_started(server: Server) -> None:
        if child is not None:
            child.report_files()
            child.end_with_parent()
        if seat is not None:
            seat.ready(_banner(app, target, options, server), server.drain_s)
        elif child is None or child.first:
            print(_banner(app, target, options, server), file=sys.stderr, flush=True)

    try:
        return run(
            lambda: _make_site(app, options),
            settings,
            sockets=child.sockets() if child is not None else None if seat is None else seat.sockets,
            on_started=on_started,
            context=context,
            seat=seat,
        )
    except (ListenError, TlsError) as error:
        complain(str(error))
        return USAGE_ERROR
    except Exception as error:
        print_users_error(error)
        complain("the application could not be started: see above")
        return USAGE_ERROR


def _tell_demo(options: ServeOptions) -> None:
    """Where it is to be called, for the demo calls itself; unless that is known already, or nobody knows the port."""
    from polywire.cli.banner import authority

    if options.uds is not None:
        os.environ.setdefault("ATLAS_URL", f"unix:{os.path.abspath(options.uds)}")
    elif options.port:
        scheme = "https" if options.tls_only else "http"
        os.environ.setdefault("ATLAS_URL", f"{scheme}://{authority(options.host, options.port)}")


def _override(app: App, options: ServeOptions) -> None:
    if options.max_request_bytes is not None:
        app.max_request_bytes = options.max_request_bytes
    if options.deadline is not None:
        app.default_deadline_s = options.deadline
    if options.environment is not None:
        app.environment = options.environment


def _is_text(options: ServeOptions, stream: TextIO) -> bool:
    return stream.isatty() if options.log_format is None else options.log_format == "text"


_WITH_OPTION = (
    *("host", "port", "uds", "tls_cert", "tls_key", "tls_client_ca", "tls_client_auth", "clear_text"),
    *("trusted_proxies", "forwarded_header", "proxy_protocol", "allowed_hosts"),
    *("max_connections", "idle_timeout_s", "drain_s", "pre_stop_s"),
)
"""Settings that `--set` leaves to their own options."""

_TYPED = {
    **{name: "--" + name.replace("_", "-") for name in _WITH_OPTION if "_" in name and name[-2:] != "_s"},
    **{"drain_s": "--drain-seconds", "pre_stop_s": "--pre-stop-seconds", "idle_timeout_s": "--idle-seconds"},
    "clear_text=False": "--tls-only",
}
"""The settings' names as options."""
_NAMES = re.compile(r"(?<![\w.'/-])(" + "|".join(sorted(_TYPED, reverse=True)) + r")(?![\w'-])")


def _settings(app: App | None, options: ServeOptions, child: Child | None) -> ServerSettings:
    """Raises ValueError. app: None in a parent, which never has it."""
    from polywire.cli.values import settings_of
    from polywire.wire.limits import HttpLimits

    others, limits = settings_of(options.set, _WITH_OPTION)
    try:
        return _make_settings(app, options, child, others, HttpLimits(**limits))
    except ValueError as error:
        # In the words of the command line, which are all that its user has seen.
        raise ValueError(_NAMES.sub(lambda found: _TYPED[found[0]], str(error))) from None


def _make_settings(
    app: App | None, options: ServeOptions, child: Child | None, others: dict[str, Any], limits: HttpLimits
) -> ServerSettings:
    from polywire.server.settings import ServerSettings

    drain_s = options.drain_seconds
    if drain_s is None and app is not None:
        drain_s = app.drain_s
    if child is not None:
        drain_s = child.drain_s if drain_s is None else min(drain_s, child.drain_s)
        others["drain_idle_s"] = 0.0  # a browser's idle connections must not hold up what was just written
    return ServerSettings(
        host=options.host,
        port=options.port,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        clear_text=not options.tls_only,
        uds=options.uds,
        tls_client_ca=options.tls_client_ca,
        tls_client_auth=options.tls_client_auth,
        trusted_proxies=options.trusted_proxies,
        forwarded_header=options.forwarded_header,
        proxy_protocol=options.proxy_protocol,
        allowed_hosts=options.allowed_hosts,
        max_connections=options.max_connections,
        idle_timeout_s=options.idle_seconds,
        drain_s=drain_s,
        pre_stop_s=options.pre_stop_seconds if child is None else 0.0,
        limits=limits,
        **others,
    )


def _make_site(app: App, options: ServeOptions) -> Served:
    """Called within the loop that serves."""
    import asyncio

    from polywire.protocols.site import Site
    from polywire.server.access_log import AccessLog

    if not options.access_log:
        return Site(app)
    log = AccessLog(
        sys.stdout.fileno(),
        asyncio.get_running_loop(),
        text=_is_text(options, sys.stdout),
        color=wants_color(sys.stdout),
        shared=options.workers > 1,
    )
    return Site(app, [log.record])


def _banner(app: App, target: str | None, options: ServeOptions, server: Server) -> str:
    from polywire.cli.banner import banner

    try:
        return banner(
            [service.type for service in app.services],
            options.host,
            server.port,
            tls=options.tls_cert is not None,
            client_certificate=server.settings.client_auth == "required",
            uds=options.uds,
            what=Path(target).name if target else "the demo, atlas",
            workers=options.workers,
            trpc=app.trpc.path,
            graphql=app.graphql.path,
            websocket=app.websocket_options.path,
            pages=None if target else "/demo/index.html",
            color=wants_color(sys.stderr),
        )
    except Exception:  # a greeting is not worth a server that does not start
        logging.getLogger("polywire").exception("the start-up text could not be made")
        return f"polywire serves on {options.uds or f'port {server.port}'}"
