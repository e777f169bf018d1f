"""What CPython gives for a function over rows, and whether an engine's outcome equals it.

The oracle calls the function on each row, converts the value to the result type T and notes every failure of either. The
expected outcome of a run is then the values, or the first failure and its row. T is known from the grammar: int64, double
or bool when all returns are of that kind, double when ints and floats mix (an int is then converted when it is exact, up
to 2**53), null when nothing but None is returned. A typing that sees that only None can be returned where the grammar
does not may say null too; it must then say so for every column set of the function, and every value must be None.

Equality is by type, by bits (all NaN are one value, -0.0 and 0.0 are two), by position of nulls, and for failures by
exception type, arguments, cause and row. The row is read from the notes of the exception, where the engine says "row 17".
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

TYPES = {"i": pa.int64(), "f": pa.float64(), "b": pa.bool_(), "m": pa.float64(), "n": pa.null()}
EXACT_MAX = 2**53
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
ROW_NOTE = re.compile(r"\brow (\d+)\b")


@dataclass(frozen=True)
class Failure:
    """Why a row has no value: the function's own exception, or a value that T cannot hold (why: overflow, inexact or kind)."""

    why: str
    exception: BaseException | None = None
    value: object = None

    def __str__(self) -> str:
        if self.exception is not None:
            return f"{type(self.exception).__name__}{self.exception.args!r}"
        return f"{self.value!r} does not fit the result type ({self.why})"


@dataclass
class Expected:
    """Values row by row (whatever where a row fails) and the rows that fail."""

    values: list
    failures: dict[int, Failure]

    def first_failure(self) -> int | None:
        return min(self.failures) if self.failures else None


def convert(value: object, result: str) -> tuple[object, Failure | None]:
    """The value as T holds it, T given by the grammar's letter."""
    if value is None:
        return None, None
    kind = type(value)
    if result == "i" and kind is int:
        if INT64_MIN <= value <= INT64_MAX:
            return value, None
        return None, Failure("overflow", value=value)
    if result == "b" and kind is bool:
        return value, None
    if result in "fm":
        if kind is float:
            return value, None
        if kind is int and result == "m":
            if -EXACT_MAX <= value <= EXACT_MAX:
                return float(value), None
            return None, Failure("inexact", value=value)
    return None, Failure("kind", value=value)


def expect(fn: Callable, rows: Iterable[tuple], result: str, operator: str) -> Expected:
    """Every row through the running interpreter. For a filter the value is the truth of what the function gives."""
    values: list = []
    failures: dict[int, Failure] = {}
    add = values.append
    for row in rows:
        try:
            value = fn(*row)
            if operator == "filter":
                value = bool(value)
        except Exception as e:
            e.__traceback__ = None
            failures[len(values)] = Failure("raise", e)
            value = None
        add(value)
    if operator == "filter":
        return Expected(values, failures)
    exact = {"i": int, "f": float, "m": float, "b": bool}.get(result)
    for row, value in enumerate(values):
        if value is None or (type(value) is exact and exact is not int):
            continue
        values[row], failure = convert(value, result)
        if failure is not None:
            failures[row] = failure
    return Expected(values, failures)


# --- Arrow columns to lists, quickly ---------------------------------------------------------------------------------


def chunk_values(chunk: pa.Array) -> list:
    """What to_pylist() gives, read from the buffers."""
    n, offset, type_ = len(chunk), chunk.offset, chunk.type
    if n == 0:
        return []
    if pa.types.is_null(type_):
        return [None] * n
    valid, data = chunk.buffers()
    if pa.types.is_int64(type_):
        values = memoryview(data).cast("q")[offset : offset + n].tolist()
    elif pa.types.is_float64(type_):
        values = memoryview(data).cast("d")[offset : offset + n].tolist()
    elif pa.types.is_boolean(type_):
        values = bits(data, offset, n)
    else:
        return chunk.to_pylist()
    if valid is not None and chunk.null_count:
        values = [v if ok else None for v, ok in zip(values, bits(valid, offset, n), strict=True)]
    return values


def bits(buffer: pa.Buffer, offset: int, n: int) -> list[bool]:
    low, high = offset // 8, (offset + n + 7) // 8
    word = int.from_bytes(memoryview(buffer)[low:high], "little") >> (offset - 8 * low)
    return [c == "1" for c in reversed(f"{word & ((1 << n) - 1):0{n}b}")] if n else []


def column_values(column: pa.ChunkedArray) -> list:
    out: list = []
    for chunk in column.chunks:
        out += chunk_values(chunk)
    return out


def same_bits(got: list, want: list, kind: str) -> int | None:
    """The first row where the lists differ, by type and bits; None when they are equal."""
    if len(got) != len(want):
        return min(len(got), len(want))
    if kind not in "fm":
        if got == want:  # types are equal by the column's type
            return None
        return next(i for i, (g, w) in enumerate(zip(got, want, strict=True)) if g != w)
    if (
        None not in got
        and None not in want
        and array("d", got).tobytes() == array("d", want).tobytes()
    ):
        return None
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        if g is None or w is None:
            if g is not w:
                return i
        elif g != g or w != w:
            if g == g or w == w:
                return i
        elif g != w or (g == 0.0 and struct.pack("d", g) != struct.pack("d", w)):
            return i
    return None


# --- comparison ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mismatch:
    """One difference. `what` is a stable word that shrinking keeps: type, value, rows, missing, error, row, column."""

    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.what}: {self.text}"


def row_of(error: BaseException) -> int | None:
    """The source row that the notes of an exception name."""
    for note in getattr(error, "__notes__", ()):
        found = ROW_NOTE.search(note)
        if found:
            return int(found.group(1))
    return None


def describe(error: BaseException) -> str:
    notes = " / ".join(getattr(error, "__notes__", ()))
    return f"{type(error).__name__}{error.args!r} notes [{notes}]"


def compare_error(
    error: BaseException | None, row: int, failure: Failure, data_error: type
) -> Mismatch | None:
    if error is None:
        return Mismatch("missing", f"no error; CPython fails at row {row}: {failure}")
    wanted = failure.exception
    if wanted is not None:
        if type(error) is not type(wanted) or not same_args(error.args, wanted.args):
            return Mismatch(
                f"error {type(error).__name__}", f"{describe(error)}; CPython: row {row}, {failure}"
            )
        if error.__cause__ is not None:
            return Mismatch(
                f"error {type(error).__name__}",
                f"{describe(error)} has a cause, {error.__cause__!r}; CPython's has none",
            )
    elif not isinstance(error, data_error) or (
        failure.why == "overflow" and not isinstance(error, OverflowError)
    ):
        return Mismatch(
            f"error {type(error).__name__}",
            f"{describe(error)}; expected the data error of row {row}: {failure}",
        )
    found = row_of(error)
    if found != row:
        return Mismatch(
            "row", f"{describe(error)} names row {found}; CPython fails at row {row}: {failure}"
        )
    return None


def is_untold(error: BaseException | None) -> bool:
    """Whether a stream was refused because the type of a function's result is not known."""
    return type(error).__name__ == "PlanError" and "type cannot be told" in str(error)


def same_args(got: tuple, want: tuple) -> bool:
    return len(got) == len(want) and all(
        type(g) is type(w) and (g == w or g is w) for g, w in zip(got, want, strict=True)
    )


def compare(
    expected: Expected, result: str, operator: str, outcome: Any, table: pa.Table, data_error: type
) -> Mismatch | None:
    """The first difference between what CPython gives and an engine's outcome, or None.

    `table` is the input. Its column `_row` holds 0, 1, 2 … so that order and kept rows can be told; where it has a column
    `_keep`, the other rows were filtered out before and can neither fail nor come out.
    """
    kept = list(range(len(expected.values)))
    if "_keep" in table.column_names:
        kept = [i for i, keep in enumerate(column_values(table.column("_keep"))) if keep]
    row = next((i for i in kept if i in expected.failures), None) if expected.failures else None
    if is_untold(outcome.error) and len(expected.failures) == len(expected.values):
        return None  # a function that gives no row a value has no type
    if row is not None:
        return compare_error(outcome.error, row, expected.failures[row], data_error)
    if outcome.error is not None:
        return Mismatch(
            f"error {type(outcome.error).__name__}",
            f"{describe(outcome.error)}; CPython gives {len(kept)} values",
        )
    out: pa.Table = outcome.table
    names = table.column_names + (["y"] if operator == "with_columns" else [])
    if out.column_names != names:
        return Mismatch("column", f"columns {out.column_names}, expected {names}")
    if operator == "filter":
        kept = [i for i in kept if expected.values[i]]
    rows = column_values(out.column("_row"))
    if rows != kept:
        differ = sorted(set(rows) ^ set(kept))[:5]
        return Mismatch(
            "rows",
            f"{len(rows)} rows come out, not {len(kept)}, or in another order; not in both: {differ}",
        )
    if operator == "with_columns":
        found = compare_values(out.column("y"), [expected.values[i] for i in kept], kept, result)
        if found is not None:
            return found
    return compare_inputs(out, table, kept)


def compare_values(
    column: pa.ChunkedArray, want: list, rows: list[int], result: str
) -> Mismatch | None:
    if column.type == pa.null() and all(v is None for v in want):
        return None
    if column.type != TYPES[result]:
        return Mismatch("type", f"column type {column.type}, expected {TYPES[result]}")
    got = column_values(column)
    at = same_bits(got, want, result)
    if at is None:
        return None
    return Mismatch("value", f"row {rows[at]}: {got[at]!r}; CPython gives {want[at]!r}")


def compare_inputs(out: pa.Table, table: pa.Table, kept: list[int]) -> Mismatch | None:
    """Input columns come out as they went in."""
    for name in table.column_names:
        before, after = table.column(name), out.column(name)
        if before.type != after.type:
            return Mismatch(
                "column", f"input column {name} changed its type from {before.type} to {after.type}"
            )
        want = column_values(before)
        if len(kept) < len(want):
            want = [want[i] for i in kept]
        at = same_bits(column_values(after), want, "f" if pa.types.is_float64(before.type) else "i")
        if at is not None:
            return Mismatch("column", f"input column {name} changed at row {at}")
    return None
