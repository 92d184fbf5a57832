"""The commands of `polywire contract` and their options; what they do is imported when they run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_HELP = """Contracts of an application: written, checked, linted, imported.

A contract is a folder that is committed beside the application and tells everybody else what it offers: .proto files,
openapi.json, asyncapi.json, schema.graphql and router.ts. It is also where the numbers of protobuf are kept:

\b
  from polywire import Service, contract_lock
\b
  LOCK = contract_lock("contract")
\b
  class UserService(Service, package="user", lock=LOCK): ...

\b
  polywire contract write users:app        bring the folder up to date
  polywire contract check users:app        what has changed since, and whom it breaks; exit code 1 if anybody
  polywire contract lint users:app         what would be regretted later
  polywire contract import users.proto     the other way: messages and a service from a .proto

APP is found as by `polywire serve`; without it, it is the demo.
"""


@click.group(help=_HELP, short_help="Write, check, lint and import contracts: .proto, OpenAPI, GraphQL, TypeScript.")
def contract() -> None:
    """The group itself does nothing."""


def _app(function: F) -> F:
    return click.argument("app", required=False, envvar="POLYWIRE_APP")(function)


def _json(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="For machines: a list of objects on standard output.")(
        function
    )


class _Kinds(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in some versions
    name = "kinds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        from polywire.contract.folder import KINDS

        kinds = tuple(word.strip() for word in str(value).split(",") if word.strip())
        unknown = [word for word in kinds if word not in KINDS]
        if unknown or not kinds:
            self.fail(f"{', '.join(unknown) or 'nothing'!r} is none of {', '.join(KINDS)}", param, ctx)
        return kinds


@contract.command(short_help="Write the contract of an application.")
@_app
@click.option("--to", "folder", type=click.Path(path_type=Path), help="The folder.  [default: contract, beside APP]")
@click.option(
    "--only",
    "kinds",
    type=_Kinds(),
    metavar="KIND,...",
    help="Of proto, openapi, asyncapi, graphql, typescript.  [default: all]",
)
@click.option("--force", is_flag=True, help="Replace .proto files that this command has not written, too.")
def write(app: str | None, folder: Path | None, kinds: tuple[str, ...] | None, force: bool) -> None:
    """Write what APP offers: one .proto a package, openapi.json, asyncapi.json, schema.graphql and router.ts.

    Numbers of the folder's .proto files are kept, and those of removed fields, values and members stay reserved. The
    service itself does that, by `lock=contract_lock("contract")`: what runs and what is written never differ. Where a
    service does not read the folder and would give another number, nothing is written.

    The same application gives the same bytes. Each file is replaced whole; where one cannot be read, none is.
    """
    from polywire.cli.contract_write import write_app

    sys.exit(write_app(app, folder, kinds, force))


@contract.command(short_help="Name what has changed since the contract was written, and whom it breaks.")
@_app
@click.option(
    "--against", type=click.Path(path_type=Path), help="The committed folder.  [default: contract, beside APP]"
)
@click.option("--from", "old", type=click.Path(path_type=Path), help="A .proto or a folder of them, as it was.")
@click.option("--to", "new", type=click.Path(path_type=Path), help="The same as it is to be; instead of APP.")
@click.option("-v", "--verbose", is_flag=True, help="Show the changes that break nobody, too.")
@_json
def check(
    app: str | None, against: Path | None, old: Path | None, new: Path | None, verbose: bool, as_json: bool
) -> None:
    """Hold the committed contract against APP as it is now, or two .proto files against each other.

    \b
      polywire contract check users:app
      polywire contract check --from old.proto --to new.proto

    Each change that breaks somebody is named with the place of the old declaration and of the new one, and with whom it
    breaks and why: wire (protobuf), JSON, code (generated, or written against it), REST, GraphQL. docs/contracts.md
    lists the rules.

    The exit code is 1 if anybody is broken, 0 if not, and 2 if there is nothing to compare.
    """
    from polywire.cli.contract_check import check_app, check_protos

    if old is not None or new is not None:
        if old is None or new is None or app is not None or against is not None:
            raise click.UsageError("--from and --to belong together, and stand without APP and --against")
        sys.exit(check_protos(old, new, verbose, as_json))
    sys.exit(check_app(app, against, verbose, as_json))


@contract.command(name="import", short_help="Make Python of .proto files: messages and abstract services.")
@click.argument("protos", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="X.PROTO...")
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Where imports are looked for; again for more.  [default: the folders of the files]",
)
@click.option("--to", "folder", default=".", show_default=True, type=click.Path(path_type=Path), help="The folder.")
@click.option("--force", is_flag=True, help="Replace files that are there and say something else.")
def import_(protos: tuple[Path, ...], roots: tuple[Path, ...], folder: Path, force: bool) -> None:
    """Make a Python module of each .proto and of what it imports: `user.proto` becomes `user_pb.py`.

    It has the messages, the enums, and of each service an abstract class to derive one's own from. What its clients
    send, made by protoc from the same file in any language, is understood byte for byte. `google.api.http` and our own
    comments become routes.

    What Python cannot say is printed, as file:line:column. Errors in the files are, too, and end with exit code 1.
    """
    from polywire.cli.contract_import import import_files

    sys.exit(import_files(protos, roots, folder, force))


@contract.command(name="lint", short_help="Name what would be regretted later.")
@click.argument("target", required=False, envvar="POLYWIRE_APP", metavar="[APP | X.PROTO | FOLDER]")
@click.option("--ignore", "ignored", multiple=True, metavar="RULE", help="Leave a rule out; again for more.")
@_json
def lint_(target: str | None, ignored: tuple[str, ...], as_json: bool) -> None:
    """Look over the contract of APP, or .proto files.

    \b
      verb-in-path     a path names things; what is done to them is the verb of HTTP
      deep-nesting     a path has at most three collections within each other
      effect-in-get    a GET, and every query, changes nothing
      unbounded-list   a list has a limit that its caller can set
      enum-zero        the first value of an enum is X_UNSPECIFIED (.proto)
      name-style       messages and methods UpperCamelCase, fields lower_snake_case (.proto)

    A declaration that knows better says `lint: allow unbounded-list` in its docs. The exit code is 1 if anything is
    found, 0 if not, and 2 if there is nothing to look at.
    """
    from polywire.cli.contract_lint import lint

    sys.exit(lint(target, ignored, as_json))
