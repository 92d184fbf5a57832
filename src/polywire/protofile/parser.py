"""The grammar of proto3 (https://protobuf.dev/reference/protobuf/proto3-spec), one function a rule."""

from __future__ import annotations

from typing import Final

from polywire.protofile.declarations import (
    Enum,
    EnumValue,
    Extension,
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
from polywire.protofile.tokens import Token
from polywire.protofile.values import OptionReader

MAX_NUMBER: Final = 2**29 - 1
_MAX_ENUM: Final = 2**31 - 1
_DEEPEST: Final = 31
"""protoc's own limit on messages within messages."""
_LONGEST_NAME: Final = 512
_INTEGERS: Final = frozenset(sign + kind for sign in ("", "u", "s") for kind in ("int32", "int64")) | frozenset(
    sign + kind for sign in ("", "s") for kind in ("fixed32", "fixed64")
)
_KEYS: Final = _INTEGERS | {"bool", "string"}
SCALARS: Final = _KEYS | {"double", "float", "bytes"}
PACKABLE: Final = SCALARS - {"string", "bytes"}


def parse(text: str, name: str) -> File:
    """What a file declares; its imports are not followed, its types not looked up. Raises ProtoError."""
    parser = _Parser(text, name)
    file = parser.file()
    # The package may stand behind what is in it.
    return _Parser(text, name, file.package).file() if parser.was_late else file


class _Parser(OptionReader):
    def __init__(self, text: str, name: str, package: str = "") -> None:
        super().__init__(text, name)
        self._file = File(name, package)
        self.was_late = False
        """Whether something was named before its package was known."""

    def file(self) -> File:
        self._syntax()
        file = self._file
        options: list[Option] = []
        while self._next.kind != "end":
            token = self._next
            if self._accept(";"):
                continue
            if token.kind != "name":
                raise self._fail("a declaration")
            match token.text:
                case "package":
                    self._package()
                case "import":
                    self._import()
                case "option":
                    options.append(self._option_statement())
                case "message":
                    file.messages.append(self._message(file.package, 1))
                case "enum":
                    file.enums.append(self._enum(file.package))
                case "service":
                    file.services.append(self._service())
                case "extend":
                    self._extend(file.package, file.extensions)
                case _:
                    raise self._fail("message, enum, service, import, option or package")
        file.options = tuple(options)
        return file

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

    def _package(self) -> None:
        place = self._take().place
        if self._file.package_place is not None:
            raise ProtoError(place, "there are two packages")
        file = self._file
        self.was_late = bool(file.messages or file.enums or file.services or file.extensions)
        file.package, file.package_place = self._dotted("the package's name", absolute=False)
        self._expect(";")

    def _import(self) -> None:
        self._take()
        is_public = self._accept("public")
        if not is_public:
            self._accept("weak")
        place = self._next.place
        name = self._string()
        self._expect(";")
        self._file.imports.append(Import(name, place, is_public))

    # Messages

    def _message(self, scope: str, depth: int) -> Message:
        doc = self._expect("message").doc
        token = self._name("the message's name")
        if depth > _DEEPEST:
            raise ProtoError(token.place, f"messages are more than {_DEEPEST} deep")
        message = Message(token.text, _joined(scope, token), token.place, doc=doc)
        options: list[Option] = []
        self._expect("{")
        while not self._accept("}"):
            match self._next.text:
                case ";":
                    self._take()
                case "message":
                    message.messages.append(self._message(message.full_name, depth + 1))
                case "enum":
                    message.enums.append(self._enum(message.full_name))
                case "oneof":
                    self._oneof(message)
                case "extend":
                    self._extend(message.full_name, message.extensions)
                case "option":
                    options.append(self._option_statement())
                case "reserved":
                    self._reserved(message.reserved, message.reserved_names, 1, MAX_NUMBER)
                case "extensions":
                    raise ProtoError(self._next.place, "extensions are proto2's")
                case _:
                    message.fields.append(self._field(None))
        message.options = tuple(options)
        return message

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
        type_, type_place = self._dotted("a field's type")
        if type_ == "map" and self._is("<"):
            if label or oneof is not None:
                raise ProtoError(first.place, "a map is neither repeated nor optional, and in no oneof")
            key, type_, type_place = self._map()
        elif type_ == "group":
            raise ProtoError(first.place, "groups are proto2's")
        token = self._name("the field's name")
        self._expect("=")
        number = self._int("a field's number", 1, MAX_NUMBER)
        options = self._bracketed()
        doc = self._end(first)
        return Field(token.text, number, type_, token.place, label, key, options, oneof, doc, type_place)

    def _end(self, first: Token) -> str:
        """What is said of a declaration of one line, above or behind it."""
        remark = self._expect(";").remark
        return first.doc or remark

    def _map(self) -> tuple[str, str, Place]:
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
        options: list[Option] = []
        self._expect("{")
        empty = True
        while not self._accept("}"):
            if self._is("option"):
                options.append(self._option_statement())
            else:
                message.fields.append(self._field(token.text))
                empty = False
        if empty:
            raise ProtoError(token.place, "a oneof has at least one field")
        message.oneofs.append(Oneof(token.text, token.place, tuple(options), doc))

    def _extend(self, scope: str, found: list[Extension]) -> None:
        self._take()
        extendee, place = self._dotted("what is extended")
        self._expect("{")
        if self._is("}"):
            raise self._fail("a field")
        while not self._accept("}"):
            field = self._field(None)
            if field.map_key is not None:
                raise ProtoError(field.place, "an option is no map")
            found.append(Extension(field, f"{scope}.{field.name}" if scope else field.name, extendee, place))

    def _reserved(self, ranges: list[tuple[int, int]], names: list[str], least: int, most: int) -> None:
        self._take()
        reads_names = self._next.kind == "string"
        while True:
            if reads_names:
                names.append(self._string())
            else:
                ranges.append(self._range(least, most))
            if not self._accept(","):
                break
        self._expect(";")

    def _range(self, least: int, most: int) -> tuple[int, int]:
        start = end = self._int("a reserved number", least, most)
        if self._accept("to"):
            place = self._next.place
            end = most if self._accept("max") else self._int("a reserved number", least, most)
            if end < start:
                raise ProtoError(place, f"the range {start} to {end} has no number in it")
        return start, end

    def _enum(self, scope: str) -> Enum:
        doc = self._expect("enum").doc
        token = self._name("the enum's name")
        enum = Enum(token.text, _joined(scope, token), token.place, doc=doc)
        options: list[Option] = []
        self._expect("{")
        while not self._accept("}"):
            if self._accept(";"):
                continue
            if self._is("option"):
                options.append(self._option_statement())
            elif self._is("reserved"):
                self._reserved(enum.reserved, enum.reserved_names, -_MAX_ENUM - 1, _MAX_ENUM)
            else:
                value = self._name("a value's name")
                self._expect("=")
                number = self._int("a value's number", -_MAX_ENUM - 1, _MAX_ENUM)
                of_value = self._bracketed()
                enum.values.append(EnumValue(value.text, number, value.place, of_value, self._end(value)))
        enum.options = tuple(options)
        return enum

    # Services

    def _service(self) -> Service:
        doc = self._expect("service").doc
        token = self._name("the service's name")
        service = Service(token.text, _joined(self._file.package, token), token.place, doc=doc)
        options: list[Option] = []
        self._expect("{")
        while not self._accept("}"):
            if self._accept(";"):
                continue
            if self._is("option"):
                options.append(self._option_statement())
            elif self._is("rpc"):
                service.methods.append(self._method())
            else:
                raise self._fail("rpc or option")
        service.options = tuple(options)
        return service

    def _method(self) -> Method:
        first = self._take()
        token = self._name("the method's name")
        client, input_, input_place = self._end_of_method()
        self._expect("returns")
        server, output, output_place = self._end_of_method()
        options: list[Option] = []
        doc = first.doc
        if self._accept("{"):
            while not self._accept("}"):
                if not self._accept(";"):
                    options.append(self._option_statement())
        else:
            doc = self._end(first)
        return Method(
            token.text, input_, output, token.place, client, server, tuple(options), doc, input_place, output_place
        )

    def _end_of_method(self) -> tuple[bool, str, Place]:
        self._expect("(")
        # A message named `stream` would need a dot before it: protoc reads the word so, too.
        streams = self._accept("stream")
        name, place = self._dotted("a message's name")
        if name in SCALARS:
            raise ProtoError(place, f"{name} is no message")
        self._expect(")")
        return streams, name, place


def _joined(scope: str, token: Token) -> str:
    name = f"{scope}.{token.text}" if scope else token.text
    if len(name) > _LONGEST_NAME:
        raise ProtoError(token.place, f"{name[:40]}... with its scope has more than {_LONGEST_NAME} characters")
    return name
