"""The services in TypeScript: an interface for each message, and `AppRouter` for @trpc/client.

Values are plain JSON: integers of 64 bits are numbers, dates and decimals strings, bytes base64. What is sent may leave
out what has a default; what comes has everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from polywire.contract.reach import NamedType
from polywire.contract.trpc import procedure_name, procedures, router_name
from polywire.schema.names import upper_camel
from polywire.schema.types import (
    Cardinality,
    EnumType,
    Field,
    Kind,
    MessageType,
    Method,
    MethodKind,
    ResultForm,
    ServiceType,
    Shape,
    Type,
    UnionType,
)
from polywire.schema.walk import reachable

_NUMBERS = frozenset({Kind.INT32, Kind.INT64, Kind.UINT32, Kind.UINT64, Kind.FLOAT, Kind.DOUBLE})
_HEAD = """\
import type {
  TRPCBuiltRouter,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
  TRPCSubscriptionProcedure,
} from "@trpc/server";

/** What an error tells beside its message. */
export interface ErrorData {
  /** tRPC's name of the error: `NOT_FOUND`. */
  code: string;
  httpStatus: number;
  /** The canonical code: `ALREADY_EXISTS`. */
  status: string;
  path?: string;
  /** The service's own stable string: `USER_NOT_FOUND`. */
  reason?: string;
  /** The fields that are wrong, and whatever else the service tells. */
  details?: Array<{ field: string; reason: string } | Record<string, unknown>>;
  requestId: string;
}

export interface ErrorShape {
  message: string;
  code: number;
  data: ErrorData;
}
"""


def typescript_text(services: Sequence[ServiceType]) -> str:
    """One module. Raises SchemaError where two services would be one router."""
    return _Module(services).text()


class _Module:
    def __init__(self, services: Sequence[ServiceType]) -> None:
        self._services = services
        carried = list(procedures(services).values())
        self._out = reachable([method.output for method in carried])
        self._in = reachable([method.input for method in carried])
        self._names: dict[str, str] = {}
        taken: set[str] = {"AppRouter", "ErrorData", "ErrorShape"}
        for table in {**self._out, **self._in}.values():
            package = table.full_name.rpartition(".")[0]
            name = table.name if table.name not in taken else upper_camel(package.replace(".", "_")) + table.name
            taken.add(name)
            self._names[table.full_name] = name

    def text(self) -> str:
        blocks = [_HEAD.rstrip()]
        for table in self._out.values():
            if not _is_wrapper(table):
                blocks.append("\n".join(self._declaration(table, is_input=False)))
        for name, table in self._in.items():
            if (name not in self._out or not isinstance(table, EnumType)) and not _is_wrapper(table):
                blocks.append("\n".join(self._declaration(table, is_input=True)))
        blocks.append("\n".join(self._router()))
        return "\n\n".join(blocks) + "\n"

    def _name(self, table: NamedType, is_input: bool) -> str:
        name = self._names[table.full_name]
        both = table.full_name in self._out and table.full_name in self._in
        return f"{name}Input" if is_input and both and not isinstance(table, EnumType) else name

    def _declaration(self, table: NamedType, *, is_input: bool) -> Iterator[str]:
        name = self._name(table, is_input)
        yield from _comment(table.doc)
        if isinstance(table, EnumType):
            yield f"export type {name} = {' | '.join(json.dumps(value.value.value) for value in table.values)};"
            return
        if isinstance(table, UnionType):
            members = (
                f"({{ type: {json.dumps(member.tag)} }} & {self._name(member.message, is_input)})"
                for member in table.members
            )
            yield f"export type {name} = {' | '.join(members)};"
            return
        yield f"export interface {name} {{"
        for one in table.fields:
            yield from (f"  {line}" for line in _comment(one.doc))
            yield f"  {self._member(one, is_input)};"
        yield "}"

    def _member(self, one: Field, is_input: bool) -> str:
        mark = "?" if one.may_be_unset or (is_input and (not one.required or one.nullable)) else ""
        return f"{one.name}{mark}: {self._type(one, is_input)}"

    def _type(self, one: Field, is_input: bool) -> str:
        written = self._single(one.type, is_input)
        if one.is_id and is_input and one.type.kind in _NUMBERS:
            written = "number | string"
        if one.cardinality is Cardinality.LIST:
            written = f"Array<{written}>"
        elif one.cardinality is Cardinality.MAP:
            written = f"Record<string, {written}>"
        return f"{written} | null" if one.nullable else written

    def _single(self, type_: Type, is_input: bool) -> str:
        table = type_.message or type_.union or type_.enum
        if table is not None:
            return self._name(table, is_input)
        if type_.kind is Kind.BOOL:
            return "boolean"
        return "number" if type_.kind in _NUMBERS else "string"

    def _router(self) -> Iterator[str]:
        yield "/** Give it to `createTRPCClient<AppRouter>`. */"
        yield "export type AppRouter = TRPCBuiltRouter<"
        yield "  { ctx: object; meta: object; errorShape: ErrorShape; transformer: false },"
        yield "  {"
        for service in self._services:
            methods = [method for method in service.methods if not method.shape.client_streaming]
            if not methods:
                continue
            yield from (f"    {line}" for line in _comment(service.doc))
            yield f"    {router_name(service)}: {{"
            for method in methods:
                yield from (f"      {line}" for line in _comment(method.description))
                yield f"      {procedure_name(method)}: {self._procedure(method)};"
            yield "    };"
        yield "  }"
        yield ">;"

    def _procedure(self, method: Method) -> str:
        output = self._output(method)
        if method.shape is Shape.SERVER_STREAM:
            kind = "TRPCSubscriptionProcedure"
            item = f"{{ id: string; data: {output} }}" if method.tracked else output
            output = f"AsyncIterable<{item}, void, unknown>"
        else:
            kind = "TRPCQueryProcedure" if method.kind is MethodKind.QUERY else "TRPCMutationProcedure"
        return f"{kind}<{{ input: {self._input(method)}; output: {output}; meta: object }}>"

    def _input(self, method: Method) -> str:
        if not method.input.fields:
            return "void"
        if method.arguments is None:
            written = self._name(method.input, True)
        else:
            written = f"{{ {'; '.join(self._member(one, True) for one in method.input.fields)} }}"
        optional = all(not one.required or one.nullable for one in method.input.fields)
        return f"{written} | void" if optional else written

    def _output(self, method: Method) -> str:
        if method.result_form is ResultForm.EMPTY:
            return "void"
        if method.result_form is ResultForm.MESSAGE:
            return self._name(method.output, False)
        return self._type(method.output.fields[0], False)


def _is_wrapper(table: NamedType) -> bool:
    """Made of a method's arguments or result, which are written out where they are."""
    return isinstance(table, MessageType) and table.generated


def _comment(doc: str) -> Iterable[str]:
    lines = [line.rstrip() for line in doc.strip().replace("*/", "*\\/").splitlines()]
    if len(lines) > 1:
        return ["/**", *(f" * {line}".rstrip() for line in lines), " */"]
    return [f"/** {line} */" for line in lines]
