"""Errors, time-outs and versions as the Connect protocol has them (https://connectrpc.com/docs/protocol)."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from polywire.codec import Format, message_codec
from polywire.errors import Code, InvalidArgument, RpcError
from polywire.http.text_cache import text_cached
from polywire.protocols.rpc.details import Packed, error_details, pack
from polywire.schema import Message, message_type

_encode = msgspec.json.Encoder().encode
_NAMES = {code: code.name.lower() for code in Code} | {Code.CANCELLED: "canceled"}


def error_json(error: RpcError, domain: str) -> dict[str, Any]:
    """The error as an object. domain: of the ErrorInfo, the service's full name."""
    told: dict[str, Any] = {"code": _NAMES[Code(error.code)]}
    if error.message:
        told["message"] = error.message
    details = [_detail(detail) for detail in error_details(error, domain)]
    if details:
        told["details"] = details
    return told


def encode_error(error: RpcError, domain: str) -> bytes:
    return _encode(error_json(error, domain))


def _detail(detail: Message) -> dict[str, Any]:
    packed = pack(detail)
    told: dict[str, Any] = {
        "type": packed.type_url.rpartition("/")[2],
        "value": base64.b64encode(packed.value).rstrip(b"=").decode(),
    }
    if not isinstance(detail, Packed):
        told["debug"] = msgspec.Raw(message_codec(message_type(type(detail)), Format.PROTO_JSON).encode(detail))
    return told


@text_cached
def timeout_s(text: str) -> float:
    """Seconds of `Connect-Timeout-Ms`. Raises InvalidArgument unless it is 1 to 10 digits."""
    if not (1 <= len(text) <= 10 and text.isascii() and text.isdigit()):
        raise InvalidArgument("connect-timeout-ms must be 1 to 10 digits")
    return int(text) / 1000


def check_version(version: str | None, is_required: bool, field: str, expected: str = "1") -> None:
    """Raises InvalidArgument for another version than the only one, and for none where it is required."""
    if version is None:
        if is_required:
            raise InvalidArgument(f'{field} is required here; send "{expected}"')
    elif version != expected:
        raise InvalidArgument(f'{field} must be "{expected}", not {version[:32]!r}')
