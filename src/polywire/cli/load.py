"""Finding the application that a command line names."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polywire.service.app import App

DEFAULT_NAME = "app"


class LoadError(Exception):
    """The application cannot be had; the text says why and what to do."""


def load_app(target: str | None) -> App:
    """The App that `target` names: `module:name`, `file.py:name`, either without the name, or None for the demo.

    A function without required arguments in its place is called. Raises LoadError; what the user's own code raises
    while it is imported is raised as it is.
    """
    where, name = split_target(str(demo_path()) if target is None else target)
    try:
        module = _import_file(Path(where)) if _is_path(where) else _import_module(where)
    except ModuleNotFoundError as error:
        if target is None and error.name == "sqlalchemy":
            raise LoadError("the demo needs SQLAlchemy: pip install 'polywire[demo]'") from error
        raise
    return _as_app(_attribute(module, where, name), f"{where}:{name}")


def split_target(target: str) -> tuple[str, str]:
    """`module:name` in two; the name is `app` where none is given. Raises LoadError for an empty half."""
    where, colon, name = target.rpartition(":")
    if not colon:
        where, name = target, DEFAULT_NAME
    if not where or not name:
        raise LoadError(f"{target!r} does not name an application; write module:name or path/to/file.py:name")
    return where, name


def demo_path() -> Path:
    """The demo in the source tree that this package runs from, or below the current directory. Raises LoadError."""
    tree = Path(__file__).resolve().parents[3]
    for root in (tree, Path.cwd()):
        path = root / "examples" / "atlas" / "app.py"
        if path.is_file():
            return path
    raise LoadError(
        "the demo (examples/atlas) comes with the source tree, not with the installed package; "
        "run this in a clone of polywire, or name your own application: polywire serve module:app"
    )


def _is_path(where: str) -> bool:
    return where.endswith(".py") or os.sep in where


def _import_file(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise LoadError(f"no file {path}{_similar(path.name, [other.name for other in path.parent.glob('*.py')])}")
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    _put_on_path(str(root))
    name = ".".join(parts)
    if len(parts) > 1:
        return importlib.import_module(name.removesuffix(".__init__"))
    # By its path, so that a file called like an installed module is still the file that was asked for; and then under
    # another name, so that whoever means the installed one still gets that.
    if name in sys.stdlib_module_names or name in sys.modules:
        name = f"{name}_app"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a .py file always has a loader"
    assert spec.loader is not None, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import_module(name: str) -> ModuleType:
    _put_on_path(os.getcwd())
    if not all(part.isidentifier() for part in name.split(".")):
        raise LoadError(f"{name!r} is not the name of a module; for a file write its whole path, ending in .py")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise  # the module is there; something that it imports is not
        here = [path.stem for path in Path.cwd().glob("*.py")]
        here += [path.parent.name for path in Path.cwd().glob("*/__init__.py")]
        raise LoadError(
            f"no module {error.name!r} in {os.getcwd()} or among the installed ones{_similar(error.name, here)}"
        ) from error


def _put_on_path(directory: str) -> None:
    if directory not in sys.path:
        sys.path.insert(0, directory)


def _attribute(module: ModuleType, where: str, name: str) -> Any:
    value: Any = module
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            apps = _apps_in(module)
            if apps:
                hint = f"; it has {', '.join(apps)}: polywire serve {where}:{apps[0]}"
            else:
                hint = _similar(part, [known for known in dir(value) if not known.startswith("_")])
                hint = hint or f"; put one there: {name} = App(YourService())"
            raise LoadError(f"{where} has no {name!r}{hint}") from None
    return value


def _apps_in(module: ModuleType) -> list[str]:
    from polywire.service.app import App

    return [name for name, value in vars(module).items() if isinstance(value, App)]


def _as_app(value: Any, what: str) -> App:
    from polywire.service.app import App
    from polywire.service.service import Service

    if isinstance(value, Service) or (inspect.isclass(value) and issubclass(value, Service)):
        raise LoadError(f"{what} is a service, not an App; wrap it: app = App({_name_of(value)}(…))")
    if not isinstance(value, App) and callable(value):
        value = _call_factory(value, what)
    if not isinstance(value, App):
        raise LoadError(f"{what} is of type {type(value).__name__}, not a polywire App")
    return value


def _call_factory(factory: Any, what: str) -> Any:
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise LoadError(f"{what} is called to make the App, but {error}; give its arguments defaults") from None
    made = factory()
    if inspect.iscoroutine(made):
        made.close()
        raise LoadError(f"{what} is an async function; make the App in a plain one, and connect in App's start hooks")
    return made


def _name_of(value: Any) -> str:
    cls = value if inspect.isclass(value) else type(value)
    return str(cls.__name__)


def _similar(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""
