"""The grammar of proto3 (https://protobuf.dev/reference/protobuf/proto3-spec), one function a rule."""

from __future__ import annotations

from typing import Any, Final

from polywire.protofile.declarations import (
    Enum,
    EnumValue,
    Field,
    File,
    Import,
    Message,
    Method,
    Oneof,
    Option,
    Place,
    ProtoError,
    Service,
)
from polywire.protofile.tokens import Token, string_value, tokens

MAX_NUMBER: Final = 2**29 - 1
_MAX_ENUM: Final = 2**31 - 1
_DEEPEST: Final = 32
"""protoc's own limit on messages within messages."""
_INTEGERS: Final = frozenset(sign + kind for sign in ("", "u", "s") for kind in ("int32", "int64")) | frozenset(
    sign + kind for sign in ("", "s") for kind in ("fixed32", "fixed64")
)
_KEYS: Final = _INTEGERS | {"bool", "string"}
SCALARS: Final = _KEYS | {"double", "float", "bytes"}


def parse(text: str, name: str) -> File:
    """What a file declares; its imports are not followed, its types not looked up. Raises ProtoError."""
    return _Parser(tokens(text, name), name).file()


class _Parser:
    def __init__(self, found: list[Token], name: str) -> None:
        self._tokens = found
        self._at = 0
        self._file = File(name)

    # Tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _fail(self, expected: str, token: Token | None = None) -> ProtoError:
        token = token or self._next
        found = "the end of the file" if token.kind == "end" else repr(token.text[:40])
        return ProtoError(token.place, f"expected {expected}, found {found}")

    def _is(self, text: str) -> bool:
        return self._next.text == text and self._next.kind in ("symbol", "name")

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> Token:
        if not self._is(text):
            raise self._fail(repr(text))
        return self._take()

    def _name(self, what: str) -> Token:
        if self._next.kind != "name":
            raise self._fail(what)
        return self._take()

    def _string(self) -> str:
        if self._next.kind != "string":
            raise self._fail("a string")
        parts = []
        while self._next.kind == "string":
            parts.append(string_value(self._take()))
        return "".join(parts)

    def _int(self, what: str, least: int, most: int) -> int:
        first = self._next
        sign = -1 if self._accept("-") else 1
        if self._next.kind != "int":
            raise self._fail(what)
        text = self._take().text
        base = 16 if text[:2] in ("0x", "0X") else 8 if len(text) > 1 and text[0] == "0" else 10
        if len(text) > 30:
            raise ProtoError(first.place, f"{what} is out of range")
        try:
            value = sign * int(text, base)
        except ValueError:
            raise ProtoError(first.place, f"{text!r} is no number") from None
        if not least <= value <= most:
            raise ProtoError(first.place, f"{what} must be from {least} to {most}, not {value}")
        return value

    def _dotted(self, what: str) -> tuple[str, Place]:
        place = self._next.place
        text = "." if self._accept(".") else ""
        text += self._name(what).text
        while self._accept("."):
            text += "." + self._name(what).text
        return text, place

    # Statements

    def file(self) -> File:
        self._syntax()
        seen_package = False
        while self._next.kind != "end":
            token = self._next
            if self._accept(";"):
                continue
            if token.kind != "name":
                raise self._fail("a declaration")
            match token.text:
                case "package":
                    if seen_package:
                        raise ProtoError(token.place, "there are two packages")
                    seen_package = True
                    self._take()
                    self._file.package, _ = self._dotted("the package's name")
                    self._expect(";")
                case "import":
                    self._import()
                case "option":
                    self._option_statement()
                case "message":
                    self._file.messages.append(self._message(self._file.package, 1))
                case "enum":
                    self._file.enums.append(self._enum(self._file.package))
                case "service":
                    self._file.services.append(self._service())
                case "extend":
                    self._skip_extend()
                case _:
                    raise self._fail("message, enum, service, import, option or package")
        return self._file

    def _syntax(self) -> None:
        first = self._next
        self._file.doc = first.doc
        if self._is("edition"):
            raise ProtoError(first.place, 'editions are not read yet; write syntax = "proto3"')
        if not self._accept("syntax"):
            raise ProtoError(first.place, 'no syntax means proto2, which is not read; write syntax = "proto3"')
        self._expect("=")
        place = self._next.place
        syntax = self._string()
        if syntax != "proto3":
            raise ProtoError(place, f"{syntax!r:.40} is not read; only proto3 is")
        self._expect(";")

    def _import(self) -> None:
        self._take()
        is_public = self._accept("public")
        if not is_public:
            self._accept("weak")
        place = self._next.place
        name = self._string()
        self._expect(";")
        if any(one.name == name for one in self._file.imports):
            raise ProtoError(place, f"{name!r:.100} is imported twice")
        self._file.imports.append(Import(name, place, is_public))

    def _option_statement(self) -> Option:
        self._expect("option")
        option = self._option()
        self._expect(";")
        return option

    def _option(self) -> Option:
        place = self._next.place
        name = self._option_part()
        while self._accept("."):
            name += "." + self._option_part()
        self._expect("=")
        return Option(name, self._constant(0), place)

    def _option_part(self) -> str:
        if not self._accept("("):
            return self._name("an option's name").text
        name, _ = self._dotted("an extension's name")
        self._expect(")")
        return f"({name.removeprefix('.')})"

    def _constant(self, depth: int) -> Any:
        token = self._next
        if token.kind == "string":
            return self._string()
        if self._is("{"):
            return self._aggregate(depth + 1)
        sign = -1 if self._accept("-") else 1
        if sign > 0:
            self._accept("+")
        number = self._next
        if number.kind == "int":
            return sign * self._int("a number", 0, 2**64)
        if number.kind == "float":
            return sign * float(self._take().text.rstrip("f"))
        if number.kind == "name":
            text = self._take().text
            if text in ("inf", "nan"):
                return sign * float(text)
            if sign < 0:
                raise self._fail("a number", number)
            return {"true": True, "false": False}.get(text, text)
        raise self._fail("a value", number)

    def _aggregate(self, depth: int) -> dict[str, Any]:
        """A message in text format, `{ get: "/v1/users" }`."""
        if depth > _DEEPEST:
            raise ProtoError(self._next.place, f"values are more than {_DEEPEST} deep")
        close = ">" if self._accept("<") else "}"
        if close == "}":
            self._expect("{")
        value: dict[str, Any] = {}
        while not self._accept(close):
            if self._accept("["):
                name = self._dotted("a name")[0]
                while self._accept("/"):
                    name += "/" + self._dotted("a name")[0]
                self._expect("]")
            else:
                name = self._name("a field's name").text
            if self._is("{") or self._is("<"):
                item: Any = self._aggregate(depth + 1)
            else:
                self._expect(":")
                item = self._text_value(depth)
            for one in item if isinstance(item, list) else [item]:
                known = value.get(name)
                if known is None:
                    value[name] = [one] if isinstance(item, list) else one
                elif isinstance(known, list):
                    known.append(one)
                else:
                    value[name] = [known, one]
            if not self._accept(","):
                self._accept(";")
        return value

    def _text_value(self, depth: int) -> Any:
        if self._is("{") or self._is("<"):
            return self._aggregate(depth + 1)
        if not self._accept("["):
            return self._constant(depth)
        items: list[Any] = []
        while not self._accept("]"):
            items.append(self._aggregate(depth + 1) if self._is("{") or self._is("<") else self._constant(depth))
            if not self._is("]"):
                self._expect(",")
        return items

    def _bracketed(self) -> tuple[Option, ...]:
        if not self._accept("["):
            return ()
        options = [self._option()]
        while self._accept(","):
            options.append(self._option())
        self._expect("]")
        return tuple(options)

    # Messages

    def _message(self, scope: str, depth: int) -> Message:
        doc = self._expect("message").doc
        token = self._name("the message's name")
        if depth > _DEEPEST:
            raise ProtoError(token.place, f"messages are more than {_DEEPEST} deep")
        message = Message(token.text, _joined(scope, token.text), token.place, doc=doc)
        self._expect("{")
        while not self._accept("}"):
            self._member(message, depth)
        return message

    def _member(self, message: Message, depth: int) -> None:
        token = self._next
        if self._accept(";"):
            return
        if token.kind == "name" and self._tokens[self._at + 1].kind != "symbol":
            # What a keyword begins has a name behind it; a field of a type called so has one too, and is told apart by
            # what follows that.
            after = self._tokens[self._at + 2].text
            if token.text == "message" and after == "{":
                message.messages.append(self._message(message.full_name, depth + 1))
                return
            if token.text == "enum" and after == "{":
                message.enums.append(self._enum(message.full_name))
                return
            if token.text == "oneof" and after == "{":
                self._oneof(message)
                return
            if token.text == "extend" and after in ("{", "."):
                self._skip_extend()
                return
            if token.text == "option":
                self._option_statement()
                return
            if token.text == "reserved":
                self._reserved(message.reserved, message.reserved_names, 1, MAX_NUMBER)
                return
            if token.text == "extensions":
                raise ProtoError(token.place, "extensions are proto2's")
        elif token.text == "option" and self._tokens[self._at + 1].text == "(":
            self._option_statement()
            return
        message.fields.append(self._field(None))

    def _field(self, oneof: str | None) -> Field:
        first = self._next
        label = ""
        if first.text in ("optional", "repeated", "required"):
            label = self._take().text
            if label == "required":
                raise ProtoError(first.place, "required is proto2's")
            if oneof is not None:
                raise ProtoError(first.place, f"a field of a oneof is not {label}")
        key: str | None = None
        if self._is("map") and self._tokens[self._at + 1].text == "<":
            if label or oneof is not None:
                raise ProtoError(first.place, "a map is neither repeated nor optional, and in no oneof")
            key, type_, type_place = self._map()
        else:
            type_, type_place = self._dotted("a field's type")
        if type_ == "group":
            raise ProtoError(first.place, "groups are proto2's")
        token = self._name("the field's name")
        self._expect("=")
        number = self._int("a field's number", 1, MAX_NUMBER)
        options = self._bracketed()
        self._expect(";")
        return Field(token.text, number, type_, token.place, label, key, options, oneof, first.doc, type_place)

    def _map(self) -> tuple[str, str, Place]:
        self._take()
        self._expect("<")
        token = self._name("the type of a map's keys")
        if token.text not in _KEYS:
            raise ProtoError(token.place, f"{token.text} cannot be a map's key: an integer, bool or string can")
        self._expect(",")
        type_, place = self._dotted("the type of a map's values")
        self._expect(">")
        return token.text, type_, place

    def _oneof(self, message: Message) -> None:
        doc = self._take().doc
        token = self._name("the oneof's name")
        message.oneofs.append(Oneof(token.text, token.place, doc))
        self._expect("{")
        empty = True
        while not self._accept("}"):
            if self._is("option"):
                self._option_statement()
            elif not self._accept(";"):
                message.fields.append(self._field(token.text))
                empty = False
        if empty:
            raise ProtoError(token.place, "a oneof has at least one field")

    def _reserved(self, ranges: list[tuple[int, int]], names: list[str], least: int, most: int) -> None:
        self._take()
        while True:
            if self._next.kind == "string":
                names.append(self._string())
            else:
                start = end = self._int("a reserved number", least, most)
                if self._accept("to"):
                    place = self._next.place
                    end = most if self._accept("max") else self._int("a reserved number", least, most)
                    if end < start:
                        raise ProtoError(place, f"the range {start} to {end} has no number in it")
                ranges.append((start, end))
            if not self._accept(","):
                break
        self._expect(";")

    def _enum(self, scope: str) -> Enum:
        doc = self._expect("enum").doc
        token = self._name("the enum's name")
        enum = Enum(token.text, _joined(scope, token.text), token.place, doc=doc)
        self._expect("{")
        while not self._accept("}"):
            if self._accept(";"):
                continue
            following = self._tokens[self._at + 1].text
            if self._is("option") and following != "=":
                option = self._option_statement()
                if option.name == "allow_alias":
                    enum.allow_alias = option.value is True
            elif self._is("reserved") and following != "=":
                self._reserved(enum.reserved, enum.reserved_names, -_MAX_ENUM - 1, _MAX_ENUM)
            else:
                value = self._name("a value's name")
                self._expect("=")
                number = self._int("a value's number", -_MAX_ENUM - 1, _MAX_ENUM)
                self._bracketed()
                self._expect(";")
                enum.values.append(EnumValue(value.text, number, value.place, value.doc))
        return enum

    # Services

    def _service(self) -> Service:
        doc = self._expect("service").doc
        token = self._name("the service's name")
        service = Service(token.text, _joined(self._file.package, token.text), token.place, doc=doc)
        self._expect("{")
        while not self._accept("}"):
            if self._accept(";"):
                continue
            if self._is("option"):
                self._option_statement()
            elif self._is("rpc"):
                service.methods.append(self._method())
            else:
                raise self._fail("rpc or option")
        return service

    def _method(self) -> Method:
        doc = self._take().doc
        token = self._name("the method's name")
        client, input_, input_place = self._end_of_method()
        self._expect("returns")
        server, output, output_place = self._end_of_method()
        options: list[Option] = []
        if self._accept("{"):
            while not self._accept("}"):
                if not self._accept(";"):
                    options.append(self._option_statement())
            self._accept(";")
        else:
            self._expect(";")
        return Method(
            token.text, input_, output, token.place, client, server, tuple(options), doc, input_place, output_place
        )

    def _end_of_method(self) -> tuple[bool, str, Place]:
        self._expect("(")
        streams = self._is("stream") and self._tokens[self._at + 1].text not in (")", ".")
        if streams:
            self._take()
        elif self._is("stream") and self._tokens[self._at + 1].text == ".":
            # `stream .shop.User`, or a message in a package `stream`: only the gap tells, and protoc takes the first.
            self._take()
            streams = True
        name, place = self._dotted("a message's name")
        self._expect(")")
        return streams, name, place

    def _skip_extend(self) -> None:
        """Options of other tools' own: read for their form, and for nothing else."""
        self._take()
        self._dotted("what is extended")
        self._expect("{")
        while not self._accept("}"):
            if not self._accept(";"):
                self._field(None)


def _joined(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name
