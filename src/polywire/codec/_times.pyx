# cython: boundscheck=False, wraparound=False, cdivision=True, binding=False
"""`datetime` and `timedelta` to and from seconds and RFC 3339 text. Every failure is a ValueError with the reason."""

from cpython.datetime cimport (
    PyDateTime_Check, PyDelta_Check, datetime, datetime_new, import_datetime, timedelta_new,
)
from libc.stdint cimport int64_t, uint8_t

from datetime import timezone

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* length) except NULL

import_datetime()

cdef object UTC = timezone.utc
cdef int64_t LOWEST = -62135596800   # 0001-01-01T00:00:00Z
cdef int64_t HIGHEST = 253402300799  # 9999-12-31T23:59:59Z
cdef int64_t LONGEST = 315576000000  # google.protobuf.Duration


cdef inline int64_t days_of(int64_t year, int month, int day) noexcept:
    """Days since 1970-01-01 of a proleptic Gregorian date (years counted from March, in eras of 400)."""
    cdef int64_t era, of_era, of_year
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


cdef object timestamp_from_parts(int64_t seconds, int micros):
    cdef int64_t days, rest, era, of_era, year_of_era, of_year, shifted, year, month, day
    if not LOWEST <= seconds <= HIGHEST:
        raise ValueError("timestamp out of range")
    shifted = seconds - LOWEST
    days = shifted // 86400 + 306  # since 0000-03-01
    rest = shifted % 86400
    era = days // 146097
    of_era = days - era * 146097
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    return datetime_new(<int>year, <int>month, <int>day, <int>(rest // 3600), <int>(rest // 60 % 60), <int>(rest % 60), micros, UTC)


cdef int timestamp_to_parts(object value, int64_t* seconds, int* micros) except -1:
    cdef object moment = value
    if not PyDateTime_Check(value):
        raise ValueError(f"expected datetime, got {type(value).__name__}")
    if moment.tzinfo is not UTC:
        if moment.utcoffset() is None:
            raise ValueError("expected a datetime with an offset, got a naive one")
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise ValueError("timestamp out of range") from None
    seconds[0] = (
        days_of((<datetime>moment).year, (<datetime>moment).month, (<datetime>moment).day) * 86400
        + (<datetime>moment).hour * 3600 + (<datetime>moment).minute * 60 + (<datetime>moment).second
    )
    micros[0] = (<datetime>moment).microsecond
    return 0


cdef inline uint8_t* digits(uint8_t* out, int64_t value, int count) noexcept:
    cdef int i
    for i in range(count - 1, -1, -1):
        out[i] = 48 + <uint8_t>(value % 10)
        value //= 10
    return out + count


cdef int timestamp_to_text(object value, uint8_t* out) except -1:
    """RFC 3339 in UTC with Z and no, three or six decimals; at most 27 bytes. Returns how many."""
    cdef object moment = value
    cdef uint8_t* p = out
    cdef int micros
    cdef int64_t seconds
    if not PyDateTime_Check(value):
        raise ValueError(f"expected datetime, got {type(value).__name__}")
    if moment.tzinfo is not UTC:
        timestamp_to_parts(value, &seconds, &micros)
        moment = timestamp_from_parts(seconds, micros)
    micros = (<datetime>moment).microsecond
    p = digits(p, (<datetime>moment).year, 4)
    p[0] = c"-"
    p = digits(p + 1, (<datetime>moment).month, 2)
    p[0] = c"-"
    p = digits(p + 1, (<datetime>moment).day, 2)
    p[0] = c"T"
    p = digits(p + 1, (<datetime>moment).hour, 2)
    p[0] = c":"
    p = digits(p + 1, (<datetime>moment).minute, 2)
    p[0] = c":"
    p = digits(p + 1, (<datetime>moment).second, 2)
    if micros:
        p[0] = c"."
        p = digits(p + 1, micros, 6) if micros % 1000 else digits(p + 1, micros // 1000, 3)
    p[0] = c"Z"
    return <int>(p + 1 - out)


cdef inline int number(const char* text, int count) noexcept:
    """So many digits, or -1."""
    cdef int value = 0, i
    for i in range(count):
        if not c"0" <= text[i] <= c"9":
            return -1
        value = value * 10 + text[i] - 48
    return value


cdef int DAYS[13]
DAYS[:] = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


cdef object timestamp_from_text(object text):
    """RFC 3339 §5.6 with an offset; decimals below microseconds (nine at most) are cut, leap seconds are refused."""
    cdef Py_ssize_t length
    cdef const char* s = PyUnicode_AsUTF8AndSize(text, &length)
    cdef int year, month, day, hour, minute, second, micros = 0, scale = 100000, place = 19, sign, hours, minutes
    cdef int64_t seconds
    reason = "expected a timestamp such as 2026-01-31T12:00:00Z"
    if length < 20 or length > 35 or s[4] != c"-" or s[7] != c"-" or s[10] not in b"Tt" or s[13] != c":" or s[16] != c":":
        raise ValueError(reason)
    year, month, day = number(s, 4), number(s + 5, 2), number(s + 8, 2)
    hour, minute, second = number(s + 11, 2), number(s + 14, 2), number(s + 17, 2)
    if year < 0 or month < 0 or day < 0 or hour < 0 or minute < 0 or second < 0:
        raise ValueError(reason)
    if s[place] == c".":
        place += 1
        while place < 29 and c"0" <= s[place] <= c"9":
            micros += (s[place] - 48) * scale
            scale //= 10
            place += 1
        if place == 20:
            raise ValueError(reason)
    if length == place + 1 and s[place] in b"Zz":
        sign, hours, minutes = 1, 0, 0
    elif length == place + 6 and s[place] in b"+-" and s[place + 3] == c":":
        sign = 1 if s[place] == c"+" else -1
        hours, minutes = number(s + place + 1, 2), number(s + place + 4, 2)
        if not (0 <= hours <= 23 and 0 <= minutes <= 59):
            raise ValueError(reason)
    elif length == place:
        raise ValueError("expected an offset at the end of the timestamp, such as Z or +01:00")
    else:
        raise ValueError(reason)
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= DAYS[month] and hour <= 23 and minute <= 59 and second <= 59):
        raise ValueError("no such date or time")
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        raise ValueError("no such date or time")
    seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - sign * (hours * 3600 + minutes * 60)
    return timestamp_from_parts(seconds, micros)


cdef object duration_from_parts(int64_t seconds, int64_t nanos):
    """As google.protobuf.Duration says: both parts of one sign; nanoseconds are cut to microseconds towards zero."""
    if not -LONGEST <= seconds <= LONGEST or not -999999999 <= nanos <= 999999999:
        raise ValueError("duration out of range")
    if (seconds > 0 and nanos < 0) or (seconds < 0 and nanos > 0):
        raise ValueError("seconds and nanos of a duration must have one sign")
    return timedelta_new(<int>(seconds // 86400), <int>(seconds % 86400), <int>(nanos // 1000))


cdef int duration_to_parts(object value, int64_t* seconds, int* nanos) except -1:
    if not PyDelta_Check(value):
        raise ValueError(f"expected timedelta, got {type(value).__name__}")
    seconds[0] = <int64_t>value.days * 86400 + <int64_t>value.seconds
    nanos[0] = <int>value.microseconds * 1000
    if seconds[0] < 0 and nanos[0]:  # a timedelta's lower parts are never negative, a Duration's follow its sign
        seconds[0] += 1
        nanos[0] -= 1000000000
    if not -LONGEST <= seconds[0] <= LONGEST:
        raise ValueError("duration out of range")
    return 0
