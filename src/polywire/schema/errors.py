"""The one error of a service that is declared wrongly."""

from __future__ import annotations


class SchemaError(TypeError):
    """A message or a service cannot be offered as it is declared.

    Raised while classes are defined (or the `App` is made), never while serving. The text says where
    (`module.Class.field`), what is wrong, and what to write instead.
    """

    def __init__(self, where: str, problem: str, instead: str = "") -> None:
        super().__init__(f"{where}: {problem}" + (f"; {instead}" if instead else ""))
        self.where = where
        self.problem = problem
        self.instead = instead
