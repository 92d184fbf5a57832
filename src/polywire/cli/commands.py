"""The commands and their options; what they do is imported when they run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from polywire.cli.contract_commands import contract
from polywire.cli.values import WorkersType

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
  polywire contract write users:app   .proto, OpenAPI, GraphQL and TypeScript, to be committed
  polywire contract check users:app   what would break whom, before it is released
"""


@click.group(help=_ROOT_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="polywire", message="polywire %(version)s")
def cli() -> None:
    """The group itself does nothing."""


cli.add_command(contract)


def _option(*names: str, env: str, help: str, **settings: Any) -> Callable[[F], F]:
    """An option that the environment can give too, as `POLYWIRE_<env>`."""
    return click.option(*names, envvar=f"POLYWIRE_{env}", show_envvar=True, show_default=True, help=help, **settings)


def _listed(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """The words of an option that has several, with commas between."""
    return tuple(word.strip() for word in (value or "").split(",") if word.strip())


@cli.command(short_help="Serve an application on one port, for every protocol.")
@click.argument("app", required=False, envvar="POLYWIRE_APP")
@_option("--host", env="HOST", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for every interface.")
@_option("--port", env="PORT", default=8000, type=click.IntRange(0, 65535), help="TCP port; 0: any that is free.")
@_option("--uds", env="UDS", type=click.Path(), help="Path of a Unix socket to listen on instead of host and port.")
@_option("--tls-cert", env="TLS_CERT", type=click.Path(), help="Certificate chain, PEM. Turns TLS on.")
@_option("--tls-key", env="TLS_KEY", type=click.Path(), help="Its private key, PEM, unless it is in the same file.")
@_option("--tls-only", env="TLS_ONLY", is_flag=True, help="With TLS: do not answer clear text on the same port.")
@_option("--tls-client-ca", env="TLS_CLIENT_CA", type=click.Path(), help="Authorities of client certificates, PEM.")
@_option(
    "--tls-client-auth",
    env="TLS_CLIENT_AUTH",
    type=click.Choice(["none", "optional", "required"]),
    help="Whether clients must show a certificate.  [default: required with --tls-client-ca, else none]",
)
@_option(
    "--trusted-proxies",
    env="TRUSTED_PROXIES",
    callback=_listed,
    help="Networks, with commas between, whose word is taken for whom they speak: 10.0.0.0/8,unix.",
)
@_option(
    "--forwarded-header",
    env="FORWARDED_HEADER",
    type=click.Choice(["x-forwarded", "forwarded", "none"]),
    default="x-forwarded",
    help="Header in which trusted proxies say it.",
)
@_option(
    "--proxy-protocol",
    env="PROXY_PROTOCOL",
    is_flag=True,
    help="Connections begin with a PROXY header, version 1 or 2.",
)
@_option("--allowed-hosts", env="ALLOWED_HOSTS", callback=_listed, help="Names that may be asked for.  [default: any]")
@_option(
    "--workers",
    env="WORKERS",
    type=WorkersType(),
    metavar="N|auto",
    default=1,
    help="Processes that serve, each on a core of its own; auto: one for each core.",
)
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
@_option(
    "--set",
    env="SET",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other limit or time-out of docs/serving.md; again for more. The variable holds several, by spaces.",
)
def serve(app: str | None, **options: object) -> None:
    """Serve APP on one port: HTTP/1.1, HTTP/2 and, with a certificate, TLS.

    \b
    APP is one of
      module:name       an App in a module that Python can import
      path/to/file.py   the same in a file; `:name` may follow
      module            where the name is `app`
    and may name a function that returns the App. Without APP the demo is served.

    Every option can also be set by the environment variable named with it, APP by POLYWIRE_APP. SIGTERM or Ctrl-C lets
    open calls end first; a second one does not wait. SIGHUP reads certificates again. With --workers, SIGUSR2 replaces
    the workers one by one, by such as have the application's new code.
    """
    from polywire.cli.serve import ServeOptions, serve_app

    sys.exit(serve_app(app, ServeOptions(**options)))  # type: ignore[arg-type]  # click has checked them
