"""Captured dates and datetimes beside columns of dates and timestamps: compiled functions against CPython, row by row."""

from __future__ import annotations

import datetime as dt
import random

import pyarrow as pa
import pytest
from support import TIERS, function_report

import sabot as sb
from sabot import Stream

FIRST, LAST = dt.date(2020, 2, 28), dt.date(2020, 3, 2)
NOON = dt.datetime(2020, 2, 29, 12, 0, 0, 123)
MARCH = dt.datetime(2020, 3, 1)
MARCH_UTC = dt.datetime(2020, 3, 1, tzinfo=dt.UTC)
MARCH_EAST = dt.datetime(2020, 3, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=5)))
HOLIDAYS = {dt.date(2020, 2, 29), dt.date(2020, 3, 1)}
SOME = (dt.date(2020, 2, 29), None, NOON)
RATES = {dt.date(2020, 2, 29): 0.5, LAST: 1.5}

OF_DATES = {
    "between": lambda t: FIRST <= t <= LAST,
    "in a set": lambda t: t in HOLIDAYS,
    "in a tuple": lambda t: t in SOME,
    "in a dict": lambda t: t not in RATES,
    "equal or not": lambda t: 1 if t == FIRST else 2 if t != LAST else 3,
    "looked up": lambda t: RATES.get(t, 0.0),
    "or none": lambda t: t is None or t > dt.date(2020, 3, 1),
    "never equal to a datetime": lambda t: t == MARCH or t == NOON,
    "beside a datetime": lambda t: t < NOON if t != FIRST else False,
    "chosen": lambda t: (FIRST if t is None else t) < LAST,
    "extremes": lambda t: max(t, FIRST) < LAST or min(t, FIRST, LAST) == FIRST,
    "parts": lambda t: FIRST.year + FIRST.month * LAST.day + NOON.microsecond if t else 0,
    "no such day": lambda t: t < dt.date(2020, 2, 29) or t > dt.date(2020, 2, 30),
    "items": lambda t: sum(t < day for day in (FIRST, LAST, dt.date(2020, 3, 1))),
}
OF_STAMPS = {
    "between": lambda t: NOON <= t < MARCH,
    "equal to no date": lambda t: t == dt.date(2020, 3, 1),
    "in a tuple": lambda t: t in SOME or t in (MARCH, MARCH_UTC),
    "beside a zone": lambda t: t < MARCH_UTC if t == NOON else t == MARCH_UTC,
    "written": lambda t: t >= dt.datetime(2020, 2, 29, 12, second=1),
}
OF_ZONES = {
    "between": lambda t: MARCH_UTC > t >= MARCH_EAST,
    "equal": lambda t: t == MARCH_EAST or t == MARCH_UTC,
    "equal to none without a zone": lambda t: t == MARCH,
    "beside none": lambda t: t < MARCH if t == MARCH_UTC else True,
    "written": lambda t: t >= dt.datetime(2020, 2, 29, 21, tzinfo=dt.UTC),
}
STAMPS = [dt.datetime(2020, 2, 29, 11, 59, 59) + k * dt.timedelta(seconds=0.5) for k in range(6)]
STAMPS += [NOON, MARCH, NOON + dt.timedelta(microseconds=1), dt.datetime.max, dt.datetime.min]


def outcome(fn, *args):
    try:
        return fn(*args)
    except (TypeError, ValueError):
        return None


def column(of_type, values):
    chance = random.Random(1)
    return pa.array([chance.choice([*values, None]) for _ in range(300)]).cast(of_type, safe=False)


DAYS = column(pa.date32(), [FIRST + dt.timedelta(days=k) for k in range(-2, 6)])
NAIVE = {unit: column(pa.timestamp(unit), STAMPS) for unit in ("s", "ms", "us")}
IN_ZONES = {
    zone: column(
        pa.timestamp("us", zone),
        [t + dt.timedelta(hours=h) for t in STAMPS[:9] for h in (0, 9, 10, 12)],
    )
    for zone in ("UTC", "+02:00")
}
CASES = [(f"date {name}", fn, DAYS) for name, fn in OF_DATES.items()]
CASES += [
    (f"{unit} {name}", fn, array) for unit, array in NAIVE.items() for name, fn in OF_STAMPS.items()
]
CASES += [
    (f"{zone} {name}", fn, array)
    for zone, array in IN_ZONES.items()
    for name, fn in OF_ZONES.items()
]


@pytest.mark.parametrize("tier", TIERS)
def test_captured_times_are_those_of_cpython(tier):
    for name, fn, array in CASES:
        table = pa.table({"t": array})
        with sb.config(tier=tier):
            stream = Stream.from_table(table).with_columns(y=sb.udf(fn, on_error="null"))
            made = stream.collect()["y"].to_pylist()
        report = function_report(stream)
        assert report["mode"] == "compiled", name
        assert list(map(repr, made)) == [repr(outcome(fn, t)) for t in array.to_pylist()], name
        assert sum(report["rows_left"].values()) < len(table), name


def test_an_equal_date_is_the_same_and_another_is_seen():
    day = dt.date(2020, 3, 1)
    fn = lambda t: t < day  # noqa: E731
    table = pa.table({"t": DAYS})
    stream = Stream.from_table(table).with_columns(y=sb.udf(fn, on_error="null"))
    for other in (dt.date(2020, 3, 1), dt.date(2020, 2, 28), dt.datetime(2020, 3, 1)):
        day = other
        made = stream.collect()["y"].to_pylist()
        assert made == [outcome(fn, t) for t in DAYS.to_pylist()]


class Day(dt.date):
    """Not exact: its comparisons may be anything."""


STRANGE = Day(2020, 3, 1)


@pytest.mark.parametrize(
    ("fn", "code"),
    [
        (lambda t: t < STRANGE, "captured"),
        (lambda t: t < dt.date(2020, 1, t), "syntax"),
        (lambda t: t if t else FIRST, "type"),
        (lambda t: FIRST + 1 if t else 0, "column_type"),
    ],
)
def test_what_is_not_compiled_says_so(fn, code):
    report = sb.explain(fn, pa.schema([("t", pa.date32())]))
    assert report.mode == "interpreted"
    assert report.reasons[0].code == code
