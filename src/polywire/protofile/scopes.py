"""Which name means what where: protobuf's scopes, over all files."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from polywire.protofile.declarations import Place, ProtoError


class Scopes:
    """Names by the scope that they stand in, so that they cost what the files say and not how deep they say it."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, str]] = {}
        """Full name of a scope -> its names -> the file of each."""
        self._inner: set[str] = set()
        """Full names of messages, enums and services: what has names within it."""
        self._packages: dict[str, str] = {}
        """Every package and those around it -> the file that names it first."""
        self._visible: Mapping[str, str] = {}
        self._visible_packages: set[str] = set()

    def claim(self, scope: str, name: str, file: str, place: Place, *, is_scope: bool = False) -> None:
        """Take a name. Raises ProtoError where something else is called so. is_scope: it has names within it."""
        names = self._files.setdefault(scope, {})
        other = names.get(name) or self._packages.get(_joined(scope, name))
        if other is not None:
            where = "" if other == file else f" in {other}"
            raise ProtoError(place, f"{_joined(scope, name):.200} is declared{where} already")
        names[name] = file
        if is_scope:
            self._inner.add(_joined(scope, name))

    def enter_package(self, package: str, file: str, place: Place) -> None:
        """Raises ProtoError where something else is called so."""
        for outer in _outward(package):
            scope, _, name = outer.rpartition(".")
            if other := self._files.get(scope, {}).get(name):
                raise ProtoError(place, f"{outer} is declared in {other}, and is no package there")
            self._packages.setdefault(outer, file)

    def file_of(self, full_name: str) -> str:
        scope, _, name = full_name.rpartition(".")
        return self._files[scope][name]

    def see(self, visible: Mapping[str, str]) -> None:
        """From now on look up what is in these files, given with their packages."""
        self._visible = visible
        self._visible_packages = {outer for package in visible.values() for outer in _outward(package)}

    def look_up(self, name: str, scope: str, place: Place, wanted: Callable[[str], bool] | None = None) -> str:
        """The full name that is meant by one within a scope. The innermost scope that has its first part decides.

        wanted: what else is called so is passed over; None: nothing is.
        Raises ProtoError where nothing is called so in the files that are seen.
        """
        if name.startswith("."):
            return self._declared(name[1:], name[1:], place)
        first, _, rest = name.partition(".")
        hidden = ""
        while True:
            head = _joined(scope, first)
            file = self._files.get(scope, {}).get(first)
            if file is not None and file not in self._visible:
                hidden, file = hidden or f"{head} is declared in {file}, which is not imported", None
            if rest:
                if (file is not None and head in self._inner) or head in self._visible_packages:
                    return self._declared(f"{head}.{rest}", name, place)
            elif file is not None and (wanted is None or wanted(head)):
                return head
            if not scope:
                raise ProtoError(place, hidden or f"{name:.200} is not declared")
            scope = scope.rpartition(".")[0]

    def _declared(self, full_name: str, name: str, place: Place) -> str:
        scope, _, last = full_name.rpartition(".")
        file = self._files.get(scope, {}).get(last)
        if file is None:
            raise ProtoError(place, f"{name:.200} is not declared")
        if file not in self._visible:
            raise ProtoError(place, f"{full_name:.200} is declared in {file}, which is not imported")
        return full_name


def _joined(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name


def _outward(package: str) -> list[str]:
    """`a.b.c`, `a.b`, `a`."""
    found = []
    while package:
        found.append(package)
        package = package.rpartition(".")[0]
    return found
