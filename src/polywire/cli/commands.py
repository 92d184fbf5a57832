"""The commands and their options; what they do is imported when they run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_ROOT_HELP = """One typed Python service, every protocol, one port.

\b
  # users.py
  from polywire import App, Int32, Message, Service, query
\b
  class User(Message):
      id: Int32
      name: str
\b
  class UserService(Service, package="user"):
      @query("GET /v1/users/{id}")
      async def get_user(self, id: Int32) -> User:
          return User(id=id, name="Alice")
\b
  app = App(UserService())

\b
  polywire serve users:app            serve it, and say how to call it
  polywire serve --reload users.py    the same, again after every change
  polywire serve                      the demo
"""


@click.group(help=_ROOT_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="polywire", message="polywire %(version)s")
def cli() -> None:
    """The group itself does nothing."""


def _option(*names: str, env: str, help: str, **settings: Any) -> Callable[[F], F]:
    """An option that the environment can give too, as `POLYWIRE_<env>`."""
    return click.option(*names, envvar=f"POLYWIRE_{env}", show_envvar=True, show_default=True, help=help, **settings)


@cli.command(short_help="Serve an application on one port, for every protocol.")
@click.argument("app", required=False, envvar="POLYWIRE_APP")
@_option("--host", env="HOST", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for every interface.")
@_option("--port", env="PORT", default=8000, type=click.IntRange(0, 65535), help="TCP port; 0: any that is free.")
@_option("--tls-cert", env="TLS_CERT", type=click.Path(), help="Certificate chain, PEM. Turns TLS on.")
@_option("--tls-key", env="TLS_KEY", type=click.Path(), help="Its private key, PEM, unless it is in the same file.")
@_option("--tls-only", env="TLS_ONLY", is_flag=True, help="With TLS: do not answer clear text on the same port.")
@_option("--reload", env="RELOAD", is_flag=True, help="Start again when a source file changes. For development.")
@_option(
    "--access-log/--no-access-log", env="ACCESS_LOG", default=True, help="One line per answer, to standard output."
)
@_option(
    "--log-format",
    env="LOG_FORMAT",
    type=click.Choice(["json", "text"]),
    help="Form of all logs.  [default: text on a terminal, else json]",
)
@_option(
    "--max-request-bytes",
    env="MAX_REQUEST_BYTES",
    type=click.IntRange(1),
    help="Largest message accepted.  [default: the App's, 4 MiB]",
)
@_option("--max-connections", env="MAX_CONNECTIONS", type=click.IntRange(1), default=16_384, help="Open at once.")
@_option(
    "--deadline",
    env="DEADLINE",
    type=click.FloatRange(0, min_open=True),
    help="Seconds a call may take where neither its caller nor its method says.  [default: the App's, 30]",
)
@_option(
    "--idle-seconds", env="IDLE_SECONDS", default=75.0, type=click.FloatRange(1), help="Keep-alive without a request."
)
@_option(
    "--drain-seconds",
    env="DRAIN_SECONDS",
    type=click.FloatRange(0),
    help="For open calls, at the end.  [default: the App's, 30]",
)
@_option(
    "--pre-stop-seconds",
    env="PRE_STOP_SECONDS",
    default=0.0,
    type=click.FloatRange(0),
    help="Accept this long after readiness fails, until balancers have noticed.",
)
@_option("--environment", env="ENVIRONMENT", help="A word for /health: production.")
def serve(app: str | None, **options: object) -> None:
    """Serve APP on one port: HTTP/1.1, HTTP/2 and, with a certificate, TLS.

    \b
    APP is one of
      module:name       an App in a module that Python can import
      path/to/file.py   the same in a file; `:name` may follow
      module            where the name is `app`
    and may name a function that returns the App. Without APP the demo is served.

    Every option can also be set by the environment variable named with it, APP by POLYWIRE_APP. SIGTERM or Ctrl-C lets
    open calls end first; a second one does not wait.
    """
    from polywire.cli.serve import ServeOptions, serve_app

    sys.exit(serve_app(app, ServeOptions(**options)))  # type: ignore[arg-type]  # click has checked them
