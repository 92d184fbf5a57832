"""The quick way to an answer: a function made for one plan, that gives up where a value is not as it must be.

No text of a query gets into the source but keys, by `repr`; everything else is in the function's environment by a
made-up name.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from polywire.protocols.graphql.execution import Results, Slow
from polywire.protocols.graphql.nodes import Attribute, Introspected, Node, Output, Resolved, TypeName


def compile_node(root: Node) -> Callable[[None, list[Results]], Any]:
    """(None, each slot's results) -> the data. Raises Slow, and WrongValue of a leaf."""
    writer = _Writer()
    name = writer.node(root)
    source = "\n".join(writer.lines)
    exec(compile(source, "<graphql plan>", "exec"), writer.environment)  # noqa: S102 -- see above
    made: Callable[[None, list[Results]], Any] = writer.environment[name]
    return made


def _give_up() -> Any:
    raise Slow


def _give_up_on(value: Any, results: Any) -> Any:
    raise Slow


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.environment: dict[str, Any] = {
            "__builtins__": {each.__name__: each for each in (type, list, str, bool, int, float)}
        }
        self.environment |= {"give_up": _give_up, "give_up_on": _give_up_on}
        self._count = 0

    def _name(self, value: Any) -> str:
        self._count += 1
        name = f"e{self._count}"
        self.environment[name] = value
        return name

    def node(self, node: Node) -> str:
        """Writes the function of a node; its name."""
        made = self._object(node, "o")
        self._count += 1
        name = f"n{self._count}"
        self.lines.append(f"def {name}(o, r):\n return {made}")
        return name

    def _object(self, node: Node, one: str) -> str:
        """What is shown of the object that is called `one`."""
        return f"{{{', '.join(f'{entry.key!r}: {self._entry(entry, one)}' for entry in node.entries)}}}"

    def _entry(self, entry: Any, one: str) -> str:
        if isinstance(entry, TypeName):
            return repr(entry.name)
        if isinstance(entry, Introspected):
            return f"r[{entry.slot}].take({one})"
        if isinstance(entry, Resolved):
            return self._value(entry.output, f"r[{entry.slot}].take({one})")
        assert isinstance(entry, Attribute)
        if keyword.iskeyword(entry.attribute):
            return self._value(entry.output, f"{self._name(attrgetter(entry.attribute))}({one})")
        return self._value(entry.output, f"{one}.{entry.attribute}")

    def _value(self, output: Output, raw: str) -> str:
        if output.check is not None:
            raw = f"{self._name(output.check)}({raw})"
        had = f"(v := {raw})"
        # Where it may be None, that was looked at first.
        first = "v" if output.takes_none else had
        if output.is_list:
            written = f"([{self._single(output, 'x', 'x')} for x in v] if type({first}) is list else give_up())"
        else:
            written = self._single(output, first, "v")
        return f"(None if {had} is None else {written})" if output.takes_none else written

    def _single(self, output: Output, first: str, again: str) -> str:
        """One value. first: how it is had, once; again: its name from then on."""
        if output.leaf is not None:
            leaf, inline = self._name(output.leaf), output.inline
            if inline is None:
                return f"{leaf}({first})"
            holds = f" and {inline.holds.format(again)}" if inline.holds else ""
            return (
                f"({inline.shown.format(again)} if type({first}) is {inline.type.__name__}{holds} else {leaf}({again}))"
            )
        if len(output.children) == 1:
            ((cls, child),) = output.children.items()
            # Elements without objects in them are written in place: no deeper than that, as Python has a limit.
            in_place = again == "x" and _is_flat(child)
            made = self._object(child, again) if in_place else f"{self.node(child)}({again}, r)"
            return f"({made} if type({first}) is {self._name(cls)} else give_up())"
        children = {cls: self.node(child) for cls, child in output.children.items()}
        table = self._name({})
        self.lines.append(f"{table}.update({{{', '.join(f'{self._name(c)}: {f}' for c, f in children.items())}}})")
        return f"{table}.get(type({first}), give_up_on)({again}, r)"


def _is_flat(node: Node) -> bool:
    return all(
        isinstance(entry, TypeName)
        or (isinstance(entry, Attribute) and entry.output.leaf is not None and not entry.output.is_list)
        for entry in node.entries
    )
