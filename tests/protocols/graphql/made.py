"""Services made at random, queries made at random for them, and graphql-core's executor over the same values.

Every message has a number `k`, and what a method gives follows from its name, its argument `n` and the `k` of the
message that it resolves a field of: a value of its type, None, an object that is of no type, or an error. So two
executors can be asked the same.
"""

from __future__ import annotations

import asyncio
import enum
import random
import typing
from typing import Annotated, Any, Optional

from graphql import (
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_leaf_type,
)

from polywire import ID, Int32, Message, NotFound, Service, query, resolve
from polywire.contract.sdl import sdl_text
from polywire.schema.message import MessageMeta


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


LEAVES: dict[Any, list[Any]] = {
    Int32: [0, -(2**31), 7],
    int: [2**62, -1],
    str: ["", 'a"b\\c\n', "{__proto__}", "é\u2028😀"],
    bool: [True, False],
    float: [0.5, 1e300, -0.0],
    Annotated[Int32, ID]: [42],
    Colour: [Colour.RED, Colour.GREEN],
}
WRONG = object()


class Made:
    """One random service. names: of its methods and resolvers in Python."""

    def __init__(self, rnd: random.Random) -> None:
        self._rnd = rnd
        self._seed = rnd.getrandbits(32)
        self.union = MessageMeta("Either", (Message,), {"__module__": __name__, "__qualname__": "Either"}, union=True)
        self.messages: list[MessageMeta] = []
        for number in range(rnd.randint(2, 4)):
            self.messages.append(self._message(f"M{number}", Message))
        members = [self._message(f"U{number}", self.union) for number in range(2)]
        self._results: dict[str, Any] = {}
        self._batched: dict[str, bool] = {}
        namespace: dict[str, Any] = {"__module__": __name__, "__qualname__": "Made"}
        for number in range(rnd.randint(1, 4)):
            self._method(namespace, f"q{number}", None)
        for number in range(rnd.randint(0, 5)):
            self._method(namespace, f"r{number}", rnd.choice([*self.messages, *members]))
        self._method(namespace, "q9", None, self.messages[0])
        self.service: type[Service] = type(Service)("Made", (Service,), namespace, package="made")

    def _message(self, name: str, base: type) -> MessageMeta:
        rnd = self._rnd
        hints: dict[str, Any] = {"k": Int32}
        for number in range(rnd.randint(1, 4)):
            hints[f"f_{number}"] = self._hint(recursive=name)
        namespace = {"__module__": __name__, "__qualname__": name, "__annotations__": hints}
        return MessageMeta(name, (base,), namespace)

    def _hint(self, recursive: str = "") -> Any:
        rnd = self._rnd
        one = rnd.choice([*LEAVES, *self.messages, *self.messages])
        if not recursive:
            one = rnd.choice([one, self.union])
        form = rnd.choice(["one", "list", "optional"])
        return {"one": one, "list": list[one], "optional": Optional[one]}[form]  # type: ignore[valid-type] # noqa: UP045

    def _method(self, namespace: dict[str, Any], name: str, parent: Any, result: Any = None) -> None:
        rnd = self._rnd
        hint = result or self._hint()
        self._results[name] = hint
        suspends, batched = rnd.random() < 0.3, rnd.random() < 0.5
        made = self

        async def root(self: Any, n: int) -> Any:
            if suspends:
                await asyncio.sleep(0)
            return made.outcome(name, 0, n)

        async def one(self: Any, of: Any, n: int) -> Any:
            if suspends:
                await asyncio.sleep(0)
            return made.outcome(name, of.k, n)

        async def many(self: Any, of: list[Any], n: int) -> Any:
            if suspends:
                await asyncio.sleep(0)
            return [made.outcome(name, each.k, n) for each in of]

        function: Any = root if parent is None else many if batched else one
        function.__name__ = name
        function.__qualname__ = f"Made.{name}"
        function.__defaults__ = (3,)
        function.__annotations__ = {"n": Int32, "return": list[hint] if function is many else hint}
        if parent is not None:
            function.__annotations__["of"] = list[parent] if batched else parent
        self._batched[name] = batched and parent is not None
        namespace[name] = query(function) if parent is None else resolve(parent)(function)

    def outcome(self, name: str, k: int, n: int) -> Any:
        """What a method gives, or raises; a batched one raises for none of its objects."""
        rnd = random.Random(f"{self._seed} {name} {k} {n}")
        chance = rnd.random()
        if chance < 0.08 and not self._batched[name]:
            raise NotFound(f"no {name}")
        if chance < 0.14:
            return None
        if chance < 0.18:
            return WRONG
        return self.value(self._results[name], rnd, 0.04)

    def value(self, hint: Any, rnd: random.Random, wrong: float) -> Any:
        if rnd.random() < wrong:
            return rnd.choice([None, WRONG])
        if hint in LEAVES:
            return rnd.choice(LEAVES[hint])
        if getattr(hint, "__origin__", None) is list:
            return [self.value(hint.__args__[0], rnd, wrong / 2) for _ in range(rnd.randint(0, 3))]
        if not isinstance(hint, type):
            inner = next(one for one in hint.__args__ if one is not type(None))
            inner = next((leaf for leaf in LEAVES if leaf == inner), inner)
            return None if rnd.random() < 0.3 else self.value(inner, rnd, wrong)
        if hint is self.union:
            hint = rnd.choice(self.union.__polywire_union_members__ or [])
        fields = {"k": rnd.randint(0, 3)}
        table = hint.__polywire_hints__
        fields |= {name: self.value(each, rnd, wrong) for name, each in table.items() if name != "k"}
        return hint(**fields)

    def core(self) -> GraphQLSchema:
        """The schema with resolvers that graphql-core calls."""
        schema = build_schema(sdl_text([self.service.__polywire__]))
        for type_ in schema.type_map.values():
            if isinstance(type_, GraphQLUnionType):
                type_.resolve_type = _type_name
            if not isinstance(type_, GraphQLObjectType) or type_.name.startswith("__"):
                continue
            for name, field in type_.fields.items():
                field.resolve = self._resolver(name, field)
        return schema

    def _resolver(self, name: str, field: GraphQLField) -> Any:
        if name in self._results:

            def call(parent: Any, info: Any, n: int) -> Any:
                value = self.outcome(name, 0 if parent is None else parent.k, n)
                if value is None and parent is None and type(None) not in typing.get_args(self._results[name]):
                    # A field of the root may be null, but not by what its method gives.
                    return _Wrong()
                return shown(field.type, value)

            return call
        attribute = "k" if name == "k" else f"f_{name[1:]}"
        return lambda parent, info: shown(field.type, getattr(parent, attribute))


def _type_name(value: Any, info: Any, type_: Any) -> str:
    return type(value).__name__


def shown(type_: GraphQLOutputType, value: Any) -> Any:
    """A value as graphql-core's types of this schema take it: theirs of wide integers and enums are names and texts."""
    named = get_named_type(type_)
    if isinstance(value, list):
        return [shown(named, one) for one in value]
    if value is WRONG:
        return _Wrong()
    if isinstance(value, enum.Enum):
        return value.name
    if named.name == "Int64" and value is not None:
        return str(value)
    return value


class _Wrong(Exception):
    """What graphql-core takes for an error wherever it finds it."""

    def __init__(self) -> None:
        super().__init__("internal error")


class Asked:
    """A random query of a schema, and variables for it."""

    def __init__(self, schema: GraphQLSchema, rnd: random.Random) -> None:
        self._schema = schema
        self._rnd = rnd
        self._used: dict[str, str] = {}
        self._fragments: list[str] = []
        assert schema.query_type is not None
        selected = self._selection(schema.query_type, 0)
        declared = ", ".join(f"${name}: {type_}" for name, type_ in self._used.items())
        self.text = f"query Q{f'({declared})' if declared else ''} {selected} {' '.join(self._fragments)}"
        self.variables: dict[str, Any] = {}
        for name, type_ in self._used.items():
            if type_ == "Boolean!":
                self.variables[name] = rnd.random() < 0.5
            elif type_ == "Int!" or rnd.random() < 0.6:
                self.variables[name] = rnd.randint(0, 2)

    def _selection(self, type_: Any, depth: int) -> str:
        rnd = self._rnd
        parts = []
        for _ in range(rnd.randint(1, 4)):
            roll = rnd.random()
            if isinstance(type_, GraphQLUnionType):
                member = rnd.choice(type_.types)
                parts.append(
                    f"{self._field('__typename')}"
                    if roll < 0.2
                    else f"... on {member.name} {self._directive()} {self._selection(member, depth)}"
                )
            elif roll < 0.1:
                parts.append(self._field("__typename"))
            elif roll < 0.2:
                parts.append(f"... {self._directive()} {self._selection(type_, depth)}")
            elif roll < 0.3 and len(self._fragments) < 5:
                name = f"F{len(self._fragments)}"
                place = len(self._fragments)
                self._fragments.append("")
                self._fragments[place] = f"fragment {name} on {type_.name} {self._selection(type_, depth)}"
                parts.append(f"...{name} {self._directive()}")
                if rnd.random() < 0.3:
                    parts.append(f"...{name}")
            else:
                parts.append(self._of(type_, depth))
        return "{" + " ".join(parts) + "}"

    def _of(self, type_: GraphQLObjectType, depth: int) -> str:
        rnd = self._rnd
        choices = [
            name for name, field in type_.fields.items() if depth < 4 or is_leaf_type(get_named_type(field.type))
        ]
        name = rnd.choice(choices)
        field = type_.fields[name]
        named = get_named_type(field.type)
        arguments = self._arguments(field)
        # Fields of one key must be the same, also where the types differ: the key says all that they may differ in.
        key = "".join(each if each.isalnum() else "_" for each in f"{type_.name}_{name}{arguments}")
        below = "" if is_leaf_type(named) else self._selection(named, depth + 1)
        return f"{key}: {name}{arguments} {self._directive()} {below}"

    def _arguments(self, field: GraphQLField) -> str:
        if "n" not in field.args:
            return ""
        choice = self._rnd.randint(0, 3)
        if choice == 0:
            return ""
        if choice == 1:
            return f"(n: {self._rnd.randint(0, 2)})"
        name, type_ = self._rnd.choice([("i", "Int!"), ("j", "Int"), ("l", "Int = 1")])
        if name == "j" and not isinstance(field.args["n"].type, GraphQLNonNull):
            type_ = "Int"
        self._used[name] = type_
        return f"(n: ${name})"

    def _field(self, name: str) -> str:
        return f"{self._rnd.choice(['', 't: '])}{name} {self._directive()}"

    def _directive(self) -> str:
        roll = self._rnd.random()
        if roll > 0.2:
            return ""
        name = self._rnd.choice(["skip", "include"])
        value = self._rnd.choice(["true", "false", "$x", "$y"])
        if value.startswith("$"):
            self._used[value[1:]] = "Boolean!"
        return f"@{name}(if: {value})"
