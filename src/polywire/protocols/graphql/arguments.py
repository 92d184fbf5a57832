"""A field's arguments: coerced as GraphQL says, then read as plain JSON, which holds them to what the service says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from graphql import FieldNode, GraphQLField, ValueNode, VariableNode, Visitor, is_non_null_type, visit
from graphql.execution.values import VariableValues
from graphql.pyutils import Undefined
from graphql.utilities import coerce_input_literal
from msgspec.structs import astuple

from polywire.codec import Format, method_codec
from polywire.contract.graphql import MethodField
from polywire.errors import FieldViolation, InvalidInput
from polywire.protocols.graphql.leaves import Convert, field_in, message_in, plain_object
from polywire.schema.names import lower_camel
from polywire.schema.types import Field

_encode = msgspec.json.Encoder().encode
_IMMUTABLE = frozenset({bool, bytes, float, int, str, type(None)})
_STEP = re.compile(r"\[.*?\]|[^.\[]+")

MakeInput = Callable[[dict[str, Any]], Any]
"""From the variables: the method's input. Raises InvalidInput."""


class Given:
    """The arguments that one field of a query gives."""

    def __init__(self, field: MethodField, node: FieldNode, core: GraphQLField) -> None:
        self._method = field.method
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        self._values: dict[str, ValueNode] = {
            argument.name: given[argument.name] for argument in field.arguments if argument.name in given
        }
        self._type_of = {name: argument.type for name, argument in core.args.items()}
        self._fields: dict[str, tuple[Field, Convert | None]] = {
            argument.name: (argument.field, field_in(argument.field))
            for argument in field.arguments
            if argument.field is not None
        }
        self._whole = field.arguments[0].name if field.method.arguments is None and field.arguments else None
        """The argument that is the input itself."""

    def coerced(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The arguments by their names in GraphQL (GraphQL §6.4.1), without defaults. Raises InvalidInput."""
        found = {}
        for name, value in self._values.items():
            if isinstance(value, VariableNode):
                if value.name.value in variables:
                    found[name] = variables[value.name.value]
                    if found[name] is None and is_non_null_type(self._type_of[name]):
                        raise _invalid(name, "must not be null")
                continue
            result = coerce_input_literal(value, self._type_of[name], VariableValues({}, variables))
            if result is Undefined:
                raise _invalid(name, "does not fit its type")
            found[name] = result
        return found

    def maker(self) -> MakeInput:
        """What makes the input: decoded anew for each call, as a handler may change it."""
        decode = self._decoder()
        if any(_has_variables(value) for value in self._values.values()):
            return self._quick_maker(decode) or (lambda variables: decode(self._text(variables)))
        try:
            constant = self._text({}) if self._values else b""
            made = decode(constant)
        except InvalidInput:
            return lambda variables: decode(self._text(variables))
        if all(type(value) in _IMMUTABLE for value in astuple(made)):
            copied = made.__copy__
            return lambda variables: copied()
        return lambda variables: decode(constant)

    def _quick_maker(self, decode: Callable[[bytes], Any]) -> MakeInput | None:
        """Where each argument is a variable whose value is plain JSON as it is."""
        known: list[tuple[str, str]] = []
        for name, value in self._values.items():
            if not isinstance(value, VariableNode) or name not in self._fields or self._fields[name][1] is not None:
                return None
            known.append((value.name.value, self._fields[name][0].name))

        def make(variables: dict[str, Any]) -> Any:
            plain = {}
            for variable, name in known:
                value = variables.get(variable)
                if value is None:
                    return decode(self._text(variables))
                plain[name] = value
            return decode(_json(plain))

        return make

    def _text(self, variables: dict[str, Any]) -> bytes:
        given = self.coerced(variables)
        if self._whole is not None:
            return _json(message_in(self._method.input)(given[self._whole]))
        return _json(plain_object(self._fields, given))

    def _decoder(self) -> Callable[[bytes], Any]:
        decode = method_codec(self._method, Format.PLAIN_JSON).decode_input
        whole = self._whole

        def named(text: bytes) -> Any:
            try:
                return decode(text)
            except InvalidInput as error:
                raise _told(error, whole) from None

        return named


def _json(plain: Any) -> bytes:
    try:
        return _encode(plain)
    except (OverflowError, UnicodeEncodeError):
        # A number beyond 64 bits in a scalar that takes any, or half of a character.
        raise InvalidInput("an argument cannot be said in JSON") from None


def _told(error: InvalidInput, whole: str | None) -> InvalidInput:
    """The error with the names that the caller knows."""
    violations = []
    for one in error.details:
        steps = [step if step.startswith("[") else lower_camel(step) for step in _STEP.findall(one.field)]
        path = ".".join(([whole] if whole else []) + steps).replace(".[", "[")
        violations.append(FieldViolation(path, one.reason))
    text = "; ".join(f"{one.field}: {one.reason}" if one.field else one.reason for one in violations)
    return InvalidInput(text or error.message, tuple(violations))


def _invalid(argument: str, reason: str) -> InvalidInput:
    return InvalidInput(f"{argument}: {reason}", (FieldViolation(argument, reason),))


def _has_variables(value: ValueNode) -> bool:
    found = False

    class Finder(Visitor):
        def enter_variable(self, *_: Any) -> None:
            nonlocal found
            found = True

    visit(value, Finder())
    return found
