"""Services that are refused when they are defined; the error says where and what to write instead."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from polywire import App, Int32, Message, SchemaError, Service, Tracked, mutation, query
from polywire.service.operations import OPERATION


class User(Message):
    id: Int32
    name: str


class Deep(Message):
    user: User
    tags: list[str]


def define(*functions: Callable[..., Any], **keywords: Any) -> type[Service]:
    return type(Service)("Sample", (Service,), {f.__name__: f for f in functions}, **keywords)


@query
def no_self() -> None: ...
@query
def no_result(self): ...  # type: ignore[no-untyped-def]
@query
def no_type(self, a) -> None: ...  # type: ignore[no-untyped-def]
@query
def star(self, *ids: int) -> None: ...
@query
def stars(self, **ids: int) -> None: ...
@query
def positional(self, id: int, /) -> None: ...
@query
def bad_parameter(self, id: int | str) -> None: ...
@query
def bad_result(self) -> tuple[int, int]: ...
@query
def bad_default(self, id: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013
@query
def none_list(self) -> list[int] | None: ...
@query
def unknown(self, id: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
@query
def sync_stream(self) -> Iterator[User]: ...
@query
def sync_yields(self) -> User:  # type: ignore[misc]
    yield User(1, "")


@query
def plain_yields(self) -> AsyncIterator[User]:  # type: ignore[misc]
    yield User(1, "")


@query
async def async_yields(self) -> User:  # type: ignore[misc]
    yield User(1, "")


@query
async def stream_of_what(self) -> AsyncIterator: ...  # type: ignore[type-arg]
@query
async def stream_of_none(self) -> AsyncIterator[None]: ...
@query
async def bare_tracked(self) -> AsyncIterator[Tracked]: ...  # type: ignore[type-arg]
@query
async def tracked_none(self) -> AsyncIterator[Tracked[None]]: ...
@query
async def tracked_alone(self) -> Tracked[User]: ...
@query
async def bare_tracked_alone(self) -> Tracked: ...  # type: ignore[type-arg]
@query
async def tracked_list(self) -> list[Tracked[User]]: ...
@mutation
async def tracked_in(self, a: AsyncIterator[Tracked[User]]) -> None: ...
@query(idle_s=5)
async def idle_unary(self) -> User: ...
@mutation
async def two_streams(self, a: AsyncIterator[User], b: int) -> None: ...
@mutation
async def scalar_stream(self, a: AsyncIterator[int]) -> None: ...
@mutation
def plain_stream(self, a: AsyncIterator[User]) -> None: ...
@mutation(status=204)
def body_of_204(self) -> User: ...
@mutation(idempotent=True)
async def idempotent_stream(self, a: AsyncIterator[User]) -> None: ...
@query(name="get user")
def bad_name(self) -> None: ...
@query
def camel_clash(self, user_id: int, userId: int) -> None: ...  # noqa: N803


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (no_self, r"Sample.no_self: it does not take self; write `def no_self\(self, ...\)`"),
        (no_result, "Sample.no_result: it does not say what it returns.*-> None"),
        (no_type, r"Sample.no_type\(a\): it has no type; write `a: str`"),
        (star, r"Sample.star\(ids\): .*write them out"),
        (stars, r"Sample.stars\(ids\): .*write them out"),
        (positional, r"Sample.positional\(id\): .*take the `/` out"),
        (bad_parameter, r"Sample.bad_parameter\(id\): int \| str is an open union"),
        (bad_result, r"Sample.bad_result, result: .*write list\[...\]"),
        (bad_default, r"Sample.bad_default\(id\): the default None .*add `\| None`"),
        (none_list, "Sample.none_list, result: .*None from an empty one"),
        (unknown, r"Sample.unknown\(id\): .*'Nowhere', which is not defined"),
        (sync_stream, r"a stream is asynchronous; write `async def` and `-> AsyncIterator\[...\]`"),
        (sync_yields, "it yields, but is no `async def`"),
        (async_yields, r"its result is no stream; write `-> AsyncIterator\[...\]`"),
        (stream_of_what, r"does not say what it yields; write AsyncIterator\[User\]"),
        (stream_of_none, "yield a Message"),
        (bare_tracked, r"Sample.bare_tracked: Tracked does not say of what; write AsyncIterator\[Tracked\[User\]\]"),
        (tracked_none, "yield a Message"),
        (plain_yields, "Sample.plain_yields: it yields, but is no `async def`; write `async def`"),
        (tracked_alone, r"only an item of a stream has a position; write AsyncIterator\[Tracked\[User\]\]"),
        (bare_tracked_alone, "only an item of a stream has a position"),
        (tracked_list, r"Sample.tracked_list: only an item of a stream .* write AsyncIterator\[Tracked\[User\]\]"),
        (tracked_in, "the stream 'a' is not one of messages"),
        (idle_unary, "Sample.idle_unary: idle_s is for streams; limit a single answer by deadline_s"),
        (two_streams, "the stream 'a' stands alone"),
        (scalar_stream, "the stream 'a' is not one of messages"),
        (plain_stream, "write `async def plain_stream`"),
        (body_of_204, "status=204 has no body"),
        (idempotent_stream, "one request and one answer"),
        (bad_name, "'get user' is no name for a method"),
        (camel_clash, "both 'userId' in proto JSON"),
    ],
)
def test_methods(function: Callable[..., Any], text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        define(function)


@pytest.mark.parametrize(
    ("decorate", "text"),
    [
        (lambda f: query(status=404)(f), "status=404 is no success.*NotFound"),
        (lambda f: query(deadline_s=0)(f), "deadline_s=0 leaves no time"),
        (lambda f: query(idle_s=0)(f), "@query: idle_s=0 leaves no time"),
        (lambda f: mutation(idle_s=-1.5)(f), "@mutation: idle_s=-1.5 leaves no time"),
        (lambda f: query(idle_s=float("inf"))(f), "idle_s=inf leaves no time"),
        (lambda f: query(on_disconnect="ignore")(f), 'write "cancel" or "finish"'),
        (lambda f: query("GET /a", 5)(f), "the route 5 is no string"),
        (lambda f: query(mutation(f)), "decorated twice"),
        (lambda f: query(staticmethod(f)), "takes self"),
        (lambda f: mutation(property(f)), "takes self"),
        (lambda f: query(User), "a class is no method"),
        (lambda f: query("GET /a")(5), "takes self"),
    ],
)
def test_decorators(decorate: Callable[..., Any], text: str) -> None:
    def function(self: Any) -> None: ...

    with pytest.raises(SchemaError, match=text):
        decorate(function)


@pytest.mark.parametrize(
    ("kind", "route", "text"),
    [
        (query, "POST /users", "use GET, or @mutation"),
        (mutation, "GET /users", "use POST, PUT, PATCH or DELETE, or @query"),
        (query, "HEAD /users", "answered by itself"),
        (mutation, "OPTIONS /users", "answered by itself"),
        (query, "FETCH /users", "no known verb; begin it with GET"),
        (query, "get /users", "write GET"),
        (query, "/users", 'has no verb; write "GET /users"'),
        (query, "", "no known verb"),
        (query, "GET", "does not start with a slash"),
        (query, "GET users", 'does not start with a slash; "GET /users"'),
        (query, "GET /users/", "ends in a slash; leave it off"),
        (query, "GET /users//x", "two slashes together"),
        (query, "GET /users/u{id}", "half a parameter"),
        (query, "GET /users/{id", "half a parameter"),
        (query, "GET /users/{}", "half a parameter"),
        (query, "GET /users/{id:int}", "half a parameter"),
        (query, "GET /users/../x", "resolve away"),
        (query, "GET /users?id={id}", "half a parameter|cannot hold"),
        (query, "GET /users?all", "query string by themselves"),
        (query, "GET /us ers", "cannot hold"),
        (query, "GET /users/50%", "cannot hold"),
        (query, "GET /größe", "percent-encode"),
        (query, "GET /{id*}/users", "rest of the path .*move it to the end"),
        (query, "GET /{id}/{id}", "{id} is twice"),
        (query, "GET /{user_id}", r"{user_id} in .* is no parameter \(there are: id\)"),
    ],
)
def test_routes(kind: Any, route: str, text: str) -> None:
    def function(self: Any, id: Int32) -> None: ...

    with pytest.raises(SchemaError, match=text) as caught:
        define(kind(route)(function))
    assert caught.value.where.endswith("Sample.function")


def test_what_a_route_cannot_carry() -> None:
    def deep(self: Any, deep: Deep, ids: list[int], data: bytes) -> None: ...
    def stream(self: Any, users: AsyncIterator[User]) -> None: ...

    def refuse(kind: Any, route: str, function: Any, text: str) -> None:
        @functools.wraps(function)
        async def copy(*_: object) -> None: ...

        with pytest.raises(SchemaError, match=text):
            define(kind(route)(copy))

    refuse(query, "GET /{ids}", deep, "{ids} .* is no scalar")
    refuse(mutation, "POST /{deep}", deep, "{deep} .* is no scalar")
    refuse(mutation, "POST /{data}", deep, "{data} .* is no scalar")
    refuse(query, "GET /", deep, "'deep' is no scalar, and a GET")
    refuse(mutation, "POST /{users}", stream, "use POST with a path of no parameters")
    refuse(query, "GET /users", stream, r'write @mutation\("POST /users"\), or leave the route out')
    refuse(query, "POST /users", stream, r'write @mutation\("POST /users"\), or leave the route out')
    refuse(query, "GET /users/{id}", stream, r'write @mutation\("POST /..."\)')


def test_several_routes_and_the_rest_of_a_path() -> None:
    @query("GET /v1/files/{path*}", "GET /files/{path*}", "GET /")
    def read(self: Any, path: str) -> bytes: ...

    (method,) = define(read).__polywire__.methods
    assert [(r.verb, r.template, r.parameters) for r in method.routes] == [
        ("GET", "/v1/files/{path*}", ("path",)),
        ("GET", "/files/{path*}", ("path",)),
        ("GET", "/", ()),
    ]


def _named(name: str, decorator: Any) -> Callable[..., Any]:
    def function(self: Any, id: Int32, name: str = "") -> None: ...

    function.__name__ = name
    return decorator(function)


@pytest.mark.parametrize(
    ("functions", "text"),
    [
        (
            [_named("a", query("GET /u/{id}")), _named("b", query("GET /u/{name}"))],
            r"Sample.b: the route 'GET /u/{name}' is that of 'a' too",
        ),
        ([_named("a", query("GET /u", "GET /u"))], "is that of 'a' too"),
        ([_named("get_x", query), _named("getX", query)], "'get_x' is called GetX too; give one a name="),
    ],
)
def test_clashes_within_a_service(functions: list[Any], text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        define(*functions)


def test_routes_that_only_look_alike() -> None:
    functions = [
        _named("a", query("GET /u/{id}")),
        _named("b", mutation("DELETE /u/{id}")),
        _named("c", query("GET /u/me")),
        _named("d", query("GET /u/{name*}")),
    ]
    assert len(define(*functions).__polywire__.methods) == 4


@pytest.mark.parametrize(
    ("keywords", "text"), [({"package": "a b"}, "no protobuf package"), ({"name": "my service"}, "cannot be said")]
)
def test_class_keywords(keywords: dict[str, str], text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        define(**keywords)


def test_decorators_leave_the_function_as_it_is() -> None:
    def function(self: Any) -> None: ...

    assert query(function) is function
    assert hasattr(function, OPERATION)


class _Offer(Service):
    @query("GET /offer")
    def get(self) -> None: ...


class _Same(Service, name="_Offer"):
    @query
    def other(self) -> None: ...


class _SameRoute(Service):
    @query("GET /offer")
    def find(self) -> None: ...


class _SameRequest(Service):
    @query
    def get(self) -> None: ...


class _NoMethods(Service):
    pass


class _OwnRoute(Service):
    @query("GET /health/live")
    def live(self) -> None: ...


class Clash(Message):
    pass


class _Clash(Service, name="Clash"):
    @query
    def clash(self) -> Clash: ...


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: App(), r"write App\(UserService\(...\)\)"),
        (lambda: App(_Offer), r"_Offer is a class; write App\(_Offer\(...\)\)"),  # type: ignore[arg-type]
        (lambda: App(object()), "is no service"),  # type: ignore[arg-type]
        (lambda: App(Service()), "is no service"),
        (lambda: App(_NoMethods()), "_NoMethods: it offers no method"),
        (lambda: App(_Offer(), _Offer()), r"_Offer: .*_Offer is called _Offer too; give one another package="),
        (lambda: App(_Offer(), _Same()), r"_Same: .*_Offer is called _Offer too"),
        (lambda: App(_Offer(), _SameRoute()), r"_SameRoute.find: the route 'GET /offer' is that of .*_Offer.get too"),
        (lambda: App(_Offer(), _SameRequest()), r"_SameRequest.get: GetRequest is .*_Offer.get too.*another name="),
        (lambda: App(_OwnRoute()), "_OwnRoute.live: the route 'GET /health/live' is one of polywire's own"),
        (lambda: App(_Clash()), r"_Clash: the message .*\.Clash is called Clash, as the service is; rename one"),
    ],
)
def test_apps(make: Callable[[], App], text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        make()
