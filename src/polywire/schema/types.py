"""The frozen tables that one reading of a service produces.

Everybody but the reader consumes only these: codecs, contracts and protocols never look at an annotation.
Tables are made once, before serving, and never change afterwards; messages may refer to each other in cycles.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from polywire.schema.docs import without_lint


class Kind(enum.IntEnum):
    """What a single value is, whatever the protocol."""

    BOOL = 1
    INT32 = 2
    INT64 = 3
    UINT32 = 4
    UINT64 = 5
    FLOAT = 6
    """IEEE 754 binary32."""
    DOUBLE = 7
    STRING = 8
    BYTES = 9
    ENUM = 10
    MESSAGE = 11
    UNION = 12
    TIMESTAMP = 13
    """`datetime`, aware, sent as UTC; `google.protobuf.Timestamp`."""
    DURATION = 14
    """`timedelta`; `google.protobuf.Duration`."""
    DECIMAL = 15
    """`decimal.Decimal`, a string on the wire."""
    UUID = 16
    """`uuid.UUID`, a string on the wire."""
    DATE = 17
    """`datetime.date`, an ISO 8601 string on the wire."""


class Encoding(enum.IntEnum):
    """How protobuf writes an integer; nothing but its bytes depends on it."""

    VARINT = 0
    ZIGZAG = 1
    """`sint32`, `sint64`: short for negative numbers too."""
    FIXED = 2
    """`fixed32`, `sfixed64` and the like: 4 or 8 bytes."""


class Cardinality(enum.IntEnum):
    SINGLE = 1
    LIST = 2
    MAP = 3


class Shape(enum.Enum):
    """How many messages go each way."""

    UNARY = "unary"
    SERVER_STREAM = "server_stream"
    CLIENT_STREAM = "client_stream"
    BIDI_STREAM = "bidi_stream"

    @property
    def client_streaming(self) -> bool:
        return self in (Shape.CLIENT_STREAM, Shape.BIDI_STREAM)

    @property
    def server_streaming(self) -> bool:
        return self in (Shape.SERVER_STREAM, Shape.BIDI_STREAM)


class MethodKind(enum.Enum):
    QUERY = "query"
    """Safe and idempotent: may be a GET, cached, retried."""
    MUTATION = "mutation"


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a value must satisfy beyond its kind; None means no such bound. Lengths count characters, bytes or items."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class EnumValue:
    name: str
    """As declared in Python, `ACTIVE`."""
    proto_name: str
    """Prefixed by the enum's name as proto3 style asks, `STATUS_ACTIVE`."""
    number: int
    """In protobuf; 0 is the generated `X_UNSPECIFIED`, which no Python value has."""
    value: Any
    """The Python member."""


@dataclass(frozen=True, slots=True)
class EnumType:
    name: str
    full_name: str
    cls: type[enum.Enum]
    values: tuple[EnumValue, ...]
    doc: str = ""
    reserved: tuple[int, ...] = ()
    reserved_names: tuple[str, ...] = ()
    """As protobuf has them, `STATUS_GONE`."""


@dataclass(frozen=True, slots=True)
class UnionMember:
    name: str
    """The oneof field's name, snake_case of the class."""
    tag: str
    """The value of the `type` field in plain JSON: the class name."""
    number: int
    message: MessageType


@dataclass(frozen=True, slots=True, eq=False)
class UnionType:
    """A sealed base and its members: a oneof wrapper message in protobuf, a tagged union in JSON."""

    name: str
    full_name: str
    cls: type[Any]
    members: tuple[UnionMember, ...] = field(repr=False)
    doc: str = ""
    reserved: tuple[int, ...] = ()
    reserved_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Type:
    """One value's type: its kind, and the table behind it where the kind has one."""

    kind: Kind
    message: MessageType | None = field(default=None, repr=False)
    enum: EnumType | None = None
    union: UnionType | None = field(default=None, repr=False)
    constraints: Constraints | None = None
    encoding: Encoding = Encoding.VARINT


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    name: str
    """As declared: the plain JSON name, the protobuf name and the Python attribute."""
    json_name: str
    """lowerCamelCase: the proto JSON and GraphQL name."""
    number: int
    type: Type
    """Of the element, for lists and map values."""
    cardinality: Cardinality = Cardinality.SINGLE
    map_key: Kind | None = None
    """BOOL, INT32, INT64, UINT32, UINT64 or STRING for maps; else None."""
    explicit_presence: bool = False
    """proto3 `optional`: absent and default are told apart. Always true for single messages and unions."""
    nullable: bool = False
    """`T | None`: None is a value; null in JSON, absent in protobuf."""
    required: bool = True
    """No default: must be there in JSON and GraphQL; in protobuf an implicit zero."""
    default: Any = None
    """The default where not required; for a factory, what it makes (use `make_default`)."""
    default_factory: Callable[[], Any] | None = None
    constraints: Constraints | None = None
    """On the list or map itself (item counts); an element's are in `type`."""
    is_id: bool = False
    """Declared as an id: `ID` in GraphQL."""
    doc: str = ""

    def make_default(self) -> Any:
        return self.default if self.default_factory is None else self.default_factory()

    @property
    def may_be_unset(self) -> bool:
        """`T | UnsetType`: left out where the value is `msgspec.UNSET`."""
        return self.default is msgspec.UNSET


@dataclass(frozen=True, slots=True, eq=False)
class MessageType:
    name: str
    full_name: str
    """`package.Name`."""
    cls: type[Any]
    """The `Message` subclass that values are instances of; for `<Method>Request` and wrappers a generated one."""
    fields: tuple[Field, ...] = field(repr=False)
    """In the order of declaration."""
    reserved: tuple[int, ...] = ()
    doc: str = ""
    generated: bool = False
    """Made from a method's arguments or result, not written by the user."""
    reserved_names: tuple[str, ...] = ()
    """Of fields that were removed: they are never used again."""


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP method and path template, `GET /v1/users/{id}`."""

    verb: str
    template: str
    parameters: tuple[str, ...]
    """Field names in the template, in order. `{path*}` takes the rest of the path and may only come last."""


class ResultForm(enum.Enum):
    """How a method's Python result becomes a protobuf message."""

    MESSAGE = "message"
    """The result is the message."""
    EMPTY = "empty"
    """None: an empty message, 204 in REST."""
    WRAPPED = "wrapped"
    """A scalar, list, map, enum, union or optional: field `value` (`values` for lists, maps) of a generated message."""


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    name: str
    """UpperCamelCase, `GetUser`."""
    python_name: str
    service: str
    """The service's full name, `user.UserService`."""
    kind: MethodKind
    shape: Shape
    input: MessageType
    """Of each message, for client streams."""
    output: MessageType
    """Of each message, for server streams; the wrapper where the form is WRAPPED."""
    result_form: ResultForm
    arguments: tuple[str, ...] | None
    """Field names to pass as keyword arguments; None: the input itself is the one argument (a message or a stream)."""
    stream_argument: str | None = None
    """The name of the parameter that takes the stream, for client streams."""
    routes: tuple[Route, ...] = ()
    status: int | None = None
    """REST status of success; None: 200, or 204 for EMPTY."""
    idempotent: bool = False
    """Takes an idempotency key; queries never need one."""
    deadline_s: float | None = None
    """The method's own default deadline in seconds; None: the app's."""
    idle_s: float | None = None
    """How long a stream may stand still, in seconds; None: the app's."""
    tracked: bool = False
    """Each item of the streamed result is a `Tracked`: its position and its value."""
    finish_on_disconnect: bool = False
    is_async: bool = True
    """False: a plain function, run in the thread pool."""
    function: Callable[..., Any] = field(default=lambda: None, repr=False)
    """The undecorated function, taking self first."""
    doc: str = ""
    """As it was written, so that a .proto tells the lint what it tells it; others get `description`."""
    graphql_name: str = ""
    """Of the field in GraphQL: of Query, Mutation or Subscription, or of what it resolves."""
    resolves: MessageType | None = None
    """The message of which this is a field in GraphQL; None: a method that is called."""
    batched: bool = False
    """A resolver that takes a list of messages, and gives a list with the field of each, in their order."""
    event: str | None = None
    """The name of a stream's events over SSE; None: they have none."""

    @property
    def description(self) -> str:
        """What it does, for people."""
        return without_lint(self.doc)

    @property
    def full_name(self) -> str:
        """`user.UserService/GetUser`."""
        return f"{self.service}/{self.name}"

    @property
    def path(self) -> str:
        """`/user.UserService/GetUser`, where the RPC protocols answer."""
        return f"/{self.service}/{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class ServiceType:
    name: str
    package: str
    full_name: str
    methods: tuple[Method, ...]
    doc: str = ""
    resolvers: tuple[Method, ...] = ()
    """What it adds to messages in GraphQL; nobody can call these."""
