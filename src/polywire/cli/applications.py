"""The application that a command works on, and what is said where it cannot be had."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from polywire.cli.load import LoadError, load_app
from polywire.cli.terminal import complain

if TYPE_CHECKING:
    from polywire.service.app import App


def load_or_complain(target: str | None) -> App | None:
    """The App that a command line names; None where there is none, and then it has been said why."""
    from polywire.schema.errors import SchemaError

    try:
        return load_app(target)
    except LoadError as error:
        complain(str(error))
    except SchemaError as error:
        print_users_error(error)
    except Exception as error:
        print_users_error(error)
        complain(f"{target or 'the demo'} cannot be imported: see above")
    return None


def print_users_error(error: Exception) -> None:
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
