"""What has changed between two sets of .proto files, and whom it breaks."""

from __future__ import annotations

from collections.abc import Iterator

from polywire.contract.breaking.changes import CODE, GRAPHQL, JSON, REST, WIRE, Change
from polywire.contract.breaking.messages import MessageComparison
from polywire.contract.rpc_options import is_query, routes_of
from polywire.protofile import File, FileSet, Method, Service
from polywire.protofile.builtin import BUILTIN
from polywire.protofile.resolve import all_messages


def proto_changes(old: FileSet, new: FileSet) -> list[Change]:
    """Every difference that matters to somebody, in the order of the old text, then what was added.

    Where either side has just one package that the other has not, it is taken for the same package under a new name,
    so that `shop.v1` can be held against `shop.v2`.
    """
    return list(_Comparison(old, new).changes())


class _Comparison:
    def __init__(self, old: FileSet, new: FileSet) -> None:
        self._old = old
        self._new = new
        self._renamed = _renamed_package(old, new)
        self._files = {file.package: file for file in _own(new)}
        self._services = {service.full_name: service for file in _own(new) for service in file.services}
        self._messages = MessageComparison(old, new, self._now)

    def _now(self, full_name: str) -> str:
        """What the new contract calls it."""
        if self._renamed is not None:
            before, after = self._renamed
            if before and full_name.startswith(f"{before}."):
                return f"{after}{full_name[len(before) :]}".removeprefix(".")
            if not before and not full_name.startswith("google."):
                return f"{after}.{full_name}"
        return full_name

    def changes(self) -> Iterator[Change]:
        for name in self._old.wanted:
            file = self._old.files[name]
            if self._renamed is not None and file.package == self._renamed[0]:
                yield self._moved(file)
            for service in file.services:
                yield from self._service(service)
            for message in all_messages(file.messages):
                yield from self._messages.message(message)
            for enum in [*file.enums, *(enum for message in all_messages(file.messages) for enum in message.enums)]:
                yield from self._messages.enum(enum)
        yield from self._added()

    def _moved(self, file: File) -> Change:
        assert self._renamed is not None
        before, after = (name or "none" for name in self._renamed)
        return Change(
            "package-changed",
            f"{file.name}:1:1",
            file.package or file.name,
            f"the package was {before} and is {after}",
            {WIRE: "methods are called by their package", CODE: "everything generated has another name"},
            f"{self._files[self._renamed[1]].name}:1:1",
        )

    # Services

    def _service(self, old: Service) -> Iterator[Change]:
        new = self._services.get(self._now(old.full_name))
        if new is None:
            yield Change("service-removed", str(old.place), old.full_name, "the service is gone", _gone_breaks(old))
            return
        methods = {method.name: method for method in new.methods}
        for method in old.methods:
            subject = f"{old.full_name}/{method.name}"
            now = methods.get(method.name)
            if now is None:
                yield Change("method-removed", str(method.place), subject, "the method is gone", _gone_breaks(method))
            else:
                yield from self._method(method, now, subject)
        known = {method.name for method in old.methods}
        for method in new.methods:
            if method.name not in known:
                subject = f"{new.full_name}/{method.name}"
                yield Change("method-added", str(method.place), subject, "the method is new", {}, str(method.place))

    def _method(self, old: Method, new: Method, subject: str) -> Iterator[Change]:
        place, now = str(old.place), str(new.place)
        (old_input, old_output), (new_input, new_output) = self._old.ends[id(old)], self._new.ends[id(new)]
        for what, before, after in (("request", old_input, new_input), ("response", old_output, new_output)):
            if self._now(before) == after:
                continue
            breaks = {CODE: f"the generated method has another {what}"}
            if not self._messages.is_alike(before, after):
                breaks = {WIRE: "the fields differ", JSON: "the fields differ", **breaks}
            yield Change(
                f"method-{what}-changed", place, subject, f"its {what} was {before} and is {after}", breaks, now
            )
            yield from self._messages.replaced(before, after)
        for what, was, is_ in (
            ("request", old.client_streaming, new.client_streaming),
            ("response", old.server_streaming, new.server_streaming),
        ):
            if was != is_:
                breaks = {
                    WIRE: "calls are framed otherwise",
                    CODE: "the generated method has another form",
                    REST: "the body has another form",
                }
                if what == "response":
                    breaks[GRAPHQL] = "streams are subscriptions"
                problem = f"its {what} was {_stream(was)} and is {_stream(is_)}"
                yield Change("method-streaming-changed", place, subject, problem, breaks, now)
        if is_query(old) != is_query(new):
            yield _kind_changed(old, new, subject)
        yield from _routes(old, new, subject)

    def _added(self) -> Iterator[Change]:
        services = {self._now(one.full_name) for name in self._old.wanted for one in self._old.files[name].services}
        for file in _own(self._new):
            for service in file.services:
                if service.full_name not in services:
                    place = str(service.place)
                    yield Change("service-added", place, service.full_name, "the service is new", {}, place)
        yield from self._messages.added()


def _kind_changed(old: Method, new: Method, subject: str) -> Change:
    place, now = str(old.place), str(new.place)
    if is_query(new):
        problem = "it was a mutation and is a query"
        breaks = {
            JSON: "tRPC clients send a query by GET",
            GRAPHQL: "its field is in Query now, where documents look in Mutation",
        }
    else:
        problem = "it was a query and is a mutation"
        breaks = {
            JSON: "clients of Connect and tRPC that send it by GET are refused",
            GRAPHQL: "its field is in Mutation now, where documents look in Query",
        }
    return Change("method-kind-changed", place, subject, problem, breaks, now)


def _routes(old: Method, new: Method, subject: str) -> Iterator[Change]:
    before, after = routes_of(old), routes_of(new)
    kept = {(verb, _shape(path)): path for verb, path in after}
    for verb, path in before:
        now = kept.get((verb, _shape(path)))
        if now is None:
            hint = f"; it answers at {', '.join(' '.join(route) for route in after)}" if after else ""
            breaks = {REST: "the path is not found, or belongs to another method"}
            yield Change(
                "route-removed",
                str(old.place),
                subject,
                f"the route {verb} {path} is gone{hint}",
                breaks,
                str(new.place),
            )
    known = {(verb, _shape(path)) for verb, path in before}
    for verb, path in after:
        if (verb, _shape(path)) not in known:
            problem = f"the route {verb} {path} is new"
            yield Change("route-added", str(new.place), subject, problem, {}, str(new.place))


def _shape(path: str) -> str:
    """Names of parameters make no other route."""
    return "/".join(
        "{*}" if part.endswith("*}") else "{}" if part.startswith("{") else part for part in path.split("/")
    )


def _gone_breaks(old: Service | Method) -> dict[str, str]:
    methods = old.methods if isinstance(old, Service) else [old]
    breaks = {WIRE: "calls end as UNIMPLEMENTED", JSON: "calls are not found", CODE: "it is no longer generated"}
    if any(routes_of(method) for method in methods):
        routes = [" ".join(route) for method in methods for route in routes_of(method)]
        breaks[REST] = f"{', '.join(routes)} is not found"
    return {**breaks, GRAPHQL: "documents with its field are refused"}


def _stream(streams: bool) -> str:
    return "a stream" if streams else "one message"


def _own(files: FileSet) -> list[File]:
    return [file for name, file in files.files.items() if name not in BUILTIN]


def _renamed_package(old: FileSet, new: FileSet) -> tuple[str, str] | None:
    before = {old.files[name].package for name in old.wanted}
    after = {new.files[name].package for name in new.wanted}
    gone, come = before - after, after - before
    return (gone.pop(), come.pop()) if len(gone) == 1 and len(come) == 1 else None
