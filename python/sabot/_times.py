"""Dates and datetimes as constants of compiled code: exact ones, without a zone or with one of fixed offset."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from typing import TypeGuard

# As they are where this module is first imported: a class that a test library puts in their place is not exact.
_DATE, _DATETIME, _ZONE = dt.date, dt.datetime, dt.timezone
_FIRST_DAY = _DATE(1970, 1, 1).toordinal()
_EPOCH = _DATETIME(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)
_OF_DATES = ("year", "month", "day")
_OF_STAMPS = (*_OF_DATES, "hour", "minute", "second", "microsecond", "fold")


def is_time(value: object) -> TypeGuard[dt.date]:
    """Whether a value is an exact date, or an exact datetime whose zone, if it has one, is a `datetime.timezone`."""
    kind = type(value)
    if kind is _DATE:
        return True
    if kind is not _DATETIME:
        return False
    zone = cast("dt.datetime", value).tzinfo
    return zone is None or type(zone) is _ZONE


def number_of(value: dt.date) -> tuple[str, int]:
    """A name of `_blob.TIMES`, and days or microseconds since 1970."""
    if not isinstance(value, _DATETIME):
        return "DATE", value.toordinal() - _FIRST_DAY
    offset = value.utcoffset()
    since = value.replace(tzinfo=None) - _EPOCH
    if offset is None:
        return "STAMP", since // _MICROSECOND
    return "AWARE", (since - offset) // _MICROSECOND


def attribute(value: object, name: str) -> int | None:
    """A part of a date or datetime; None where it has none of that name, or is neither."""
    if not is_time(value):
        return None
    names = _OF_STAMPS if isinstance(value, _DATETIME) else _OF_DATES
    return getattr(value, name) if name in names else None
