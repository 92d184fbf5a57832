"""Kinds that travel as text: decimals, UUIDs, dates, durations, bytes in base64.

Each reader takes exactly what its standard writes and raises ValueError with the reason; leniency here would become
part of the contract.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

MAX_DECIMAL_CHARACTERS = 512
MAX_DURATION_SECONDS = 315_576_000_000
"""`google.protobuf.Duration`: about 10,000 years."""

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_DURATION = re.compile(
    r"(-?)P(?:([0-9]{1,9})W)?(?:([0-9]{1,10})D)?"
    r"(?:T(?:([0-9]{1,12})H)?(?:([0-9]{1,14})M)?(?:([0-9]{1,15})(?:\.([0-9]{1,9}))?S)?)?"
)
_PROTO_DURATION = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s")


def decimal_from_text(text: str) -> Decimal:
    """A finite decimal; exponents have at most four digits, so that arithmetic on it stays cheap."""
    if len(text) > MAX_DECIMAL_CHARACTERS or _DECIMAL.fullmatch(text) is None:
        raise ValueError("expected a decimal number")
    return Decimal(text)


def uuid_from_text(text: str) -> UUID:
    """RFC 9562 §4, with or without the hyphens."""
    if _UUID.fullmatch(text) is None:
        raise ValueError("expected a UUID")
    return UUID(text)


def date_from_text(text: str) -> date:
    """ISO 8601 calendar date, `2026-01-31`."""
    if _DATE.fullmatch(text) is None:
        raise ValueError("expected a date such as 2026-01-31")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("no such date") from None


def iso_duration_from_text(text: str) -> timedelta:
    """ISO 8601 duration without years and months, `P1DT2.5S`; digits below microseconds are cut."""
    match = _ISO_DURATION.fullmatch(text)
    if match is None or text[-1] in "PT":
        raise ValueError("expected a duration such as PT1.5S")
    sign, weeks, days, hours, minutes, seconds, fraction = match.groups()
    try:
        value = timedelta(
            weeks=int(weeks or 0),
            days=int(days or 0),
            hours=int(hours or 0),
            minutes=int(minutes or 0),
            seconds=int(seconds or 0),
            microseconds=_microseconds(fraction),
        )
    except OverflowError:
        raise ValueError("duration out of range") from None
    return _in_range(-value if sign else value)


def iso_duration_to_text(value: timedelta) -> str:
    sign, seconds, micros = _split(value)
    days, seconds = divmod(seconds, 86_400)
    text = f"{sign}P{days}D" if days else f"{sign}P"
    if seconds or micros or not days:
        text += f"T{seconds}{_fraction(micros)}S"
    return text


def proto_duration_from_text(text: str) -> timedelta:
    """The proto3 JSON form, `-1.5s`; digits below microseconds are cut."""
    match = _PROTO_DURATION.fullmatch(text)
    if match is None:
        raise ValueError("expected a duration such as 1.5s")
    sign, seconds, fraction = match.groups()
    if int(seconds) > MAX_DURATION_SECONDS:
        raise ValueError("duration out of range")
    value = timedelta(seconds=int(seconds), microseconds=_microseconds(fraction))
    return _in_range(-value if sign else value)


def proto_duration_to_text(value: timedelta) -> str:
    sign, seconds, micros = _split(value)
    return f"{sign}{seconds}{_fraction(micros)}s"


def bytes_from_text(text: str) -> bytes:
    """Base64 in the standard or the URL alphabet (RFC 4648 §4, §5), with or without padding."""
    try:
        data = text.rstrip("=") if len(text) % 4 == 0 else text
        if "-" in data or "_" in data:
            data = data.replace("-", "+").replace("_", "/")
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("expected base64") from None


def _microseconds(fraction: str | None) -> int:
    return int(fraction.ljust(6, "0")[:6]) if fraction else 0


def _in_range(value: timedelta) -> timedelta:
    if abs(value.days) > MAX_DURATION_SECONDS // 86_400:
        raise ValueError("duration out of range")
    return value


def _split(value: timedelta) -> tuple[str, int, int]:
    sign = ""
    if value.days < 0:
        sign, value = "-", -value
    return sign, value.days * 86_400 + value.seconds, value.microseconds


def _fraction(micros: int) -> str:
    """Nothing, three or six digits, as the proto3 JSON mapping writes them."""
    if not micros:
        return ""
    return f".{micros // 1000:03d}" if micros % 1000 == 0 else f".{micros:06d}"
