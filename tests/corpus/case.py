"""What a case of the corpus is: a function and the columns that it reads."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

Random = np.random.Generator
NULLS = 0.02  # of each column's cells


class Column(NamedTuple):
    """How a column's values are made; `make(random, rows)`."""

    make: Callable[[Random, int], np.ndarray[Any, Any]]


class Case(NamedTuple):
    """A function, its columns by parameter name, and what it does with null: "pass" (it handles None) or "skip"."""

    name: str
    fn: Callable[..., Any]
    columns: dict[str, Column]
    nulls: str

    def table(self, rows: int, seed: int = 0, has_nulls: bool = True) -> pa.Table:
        """Clean data: the same for the same arguments."""
        random = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        arrays: dict[str, pa.Array] = {}
        for name, column in self.columns.items():
            values = column.make(random, rows)
            mask = random.random(rows) < NULLS if has_nulls else None
            arrays[name] = pa.array(values, mask=mask)
        return pa.table(arrays)


CASES: dict[str, Case] = {}
RECORDS: dict[str, Case] = {}  # functions of a row that give a row


def case(nulls: str = "skip", **columns: Column) -> Callable[..., Any]:
    """Puts a function into `CASES`."""

    def add(fn: Callable[..., Any]) -> Callable[..., Any]:
        assert fn.__name__ not in CASES, fn.__name__
        CASES[fn.__name__] = Case(fn.__name__, fn, columns, nulls)
        return fn

    return add


def record(**columns: Column) -> Callable[..., Any]:
    """Puts a function of a row into `RECORDS`."""

    def add(fn: Callable[..., Any]) -> Callable[..., Any]:
        assert fn.__name__ not in RECORDS, fn.__name__
        RECORDS[fn.__name__] = Case(fn.__name__, fn, columns, "pass")
        return fn

    return add


def ints(low: int, high: int) -> Column:
    """Integers, both ends included."""
    return Column(lambda random, rows: random.integers(low, high, rows, endpoint=True))


def reals(low: float, high: float, digits: int | None = None) -> Column:
    """Doubles; with `digits` as prices and measured values are written."""

    def make(random: Random, rows: int) -> np.ndarray[Any, Any]:
        values = random.uniform(low, high, rows)
        return values if digits is None else np.round(values, digits)

    return Column(make)


def normal(mean: float, deviation: float) -> Column:
    """Normally distributed doubles."""
    return Column(lambda random, rows: random.normal(mean, deviation, rows))


def flags(share: float = 0.5) -> Column:
    """Booleans, true in `share` of the rows."""
    return Column(lambda random, rows: random.random(rows) < share)


def choice(*values: int) -> Column:
    """One of some integers."""
    return Column(lambda random, rows: random.choice(np.array(values, np.int64), rows))


def days(first: str = "1950-01-01", last: str = "2049-12-31") -> Column:
    """Dates as integers, yyyymmdd."""

    def make(random: Random, rows: int) -> np.ndarray[Any, Any]:
        ends = np.array([first, last], "datetime64[D]").astype(np.int64)
        day = random.integers(ends[0], ends[1], rows, endpoint=True).astype("datetime64[D]")
        month = day.astype("datetime64[M]")
        year = month.astype("datetime64[Y]").astype(np.int64) + 1970
        number = month.astype(np.int64) % 12 + 1
        return year * 10000 + number * 100 + (day - month).astype(np.int64) + 1

    return Column(make)


def times() -> Column:
    """Times of day as integers, hhmm."""

    def make(random: Random, rows: int) -> np.ndarray[Any, Any]:
        minutes = random.integers(0, 24 * 60, rows)
        return minutes // 60 * 100 + minutes % 60

    return Column(make)
