"""What the extension calls back: errors, values of types it does not know, batch functions. Runs on the thread of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot._errors import (
    CastError,
    DataError,
    IntegerOverflowError,
    PlanError,
    SabotError,
    SchemaError,
    TypeMismatchError,
    by_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_TYPES = {
    "l": pa.int64(),
    "g": pa.float64(),
    "b": pa.bool_(),
    "u": pa.string(),
    "n": pa.null(),
}
_VALUES_MAX = 200  # characters of a row's values in a note

error_of_status = by_status


def error_of_run(status: int, message: str) -> SabotError:
    """The exception for a run that failed by itself: what does not fit then is data, and no longer a plan."""
    error = by_status(status, message)
    if isinstance(error, TypeMismatchError):
        return SchemaError(message)
    return DataError(message) if isinstance(error, PlanError) else error


class Place(NamedTuple):
    """Where a function stands in the plan: `text` as explain() shows it, and the columns that its arguments come from."""

    text: str
    name: str
    columns: tuple[str, ...]


class Binding(NamedTuple):
    """How the engine calls a function: positional arguments first, then those with names.

    `truth`: it is a filter's, so only whether a result is true is wanted.
    """

    function: Callable[..., object]
    positional_count: int
    keywords: tuple[str, ...] | None
    place: Place
    truth: bool


class Failure(NamedTuple):
    """A failed row or batch, kept until the engine knows which failure is the run's first."""

    op: int
    function_index: int
    source_row: int
    seq: int
    error: BaseException


class BatchBinding(NamedTuple):
    """A batch function in the plan."""

    function: Callable[[pa.RecordBatch], object]
    place: Place
    schema: pa.Schema | None
    is_filter: bool


def values_of(schema: object, array: object, rows: list[int] | None, count: int) -> list[object]:
    """The values of some rows of a column, as to_pylist() gives them; for one that Python cannot hold, the exception."""
    arrays = cast("Any", pa.Array)
    column: Any = arrays._import_from_c_capsule(schema, array)
    if rows is None:
        column = column.slice(0, count)
        try:
            return column.to_pylist()
        except Exception:
            rows = list(range(count))
    return [_value_of(column, row) for row in rows]


def _value_of(column: Any, row: int) -> object:
    try:
        return column[row].as_py()
    except Exception as error:
        return error


def column_of(values: list[object], format: str) -> pa.Array[Any]:
    """The column that a function's results make."""
    return pa.array(values, _TYPES[format])


def result_error(value: object, binding: Binding, format: str) -> CastError:
    """Why a function's result does not go into its column."""
    name, wanted = binding.place.name, _TYPES[format]
    kind = type(value).__name__
    shown = _cut(_text_of(value))
    if isinstance(value, int) and not isinstance(value, bool) and format in "lg":
        limit = "64 bits" if format == "l" else "a double exactly (beyond 2**53)"
        return IntegerOverflowError(f"{name} returned {shown}, which does not fit {limit}")
    if isinstance(value, str) and format == "u":
        return CastError(f"{name} returned {shown}, which UTF-8 cannot hold")
    return CastError(f"{name} returned {kind} {shown}, but its column is {wanted}")


def _text_of(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return f"(an object of class {type(value).__name__}, whose repr fails)"


def annotate(
    error: BaseException,
    binding: Binding,
    op: int,
    function_index: int,
    seq: int,
    source_row: int,
    values: tuple[object, ...],
) -> Failure:
    """Adds the place and the row's values to an exception."""
    place = binding.place
    pairs = zip(place.columns, values, strict=False)  # fewer where a value could not be made
    shown = _cut(", ".join(f"{name}={_text_of(value)}" for name, value in pairs))
    row = f"row {source_row}" if source_row >= 0 else "a row"
    error.add_note(f"in {place.text}: operator {op}, batch {seq}, {row}: {shown}")
    return Failure(op, function_index, source_row, seq, error)


def find_failure(
    failures: list[Failure], op: int, function_index: int, source_row: int, seq: int, message: str
) -> BaseException:
    """The exception of the failure that the engine names as the run's first."""
    for failure in failures:
        if (
            failure[:2] == (op, function_index)
            and failure.seq == seq
            and (function_index < 0 or failure.source_row == source_row)
        ):
            return failure.error
    return SabotError(message)


def rows_buffer(rows: Any) -> tuple[object, int, int]:
    """The memory of an int64 array without nulls, at which of its values the array begins, and how many it has."""
    return rows.buffers()[1], rows.offset, len(rows)


def call_batch(
    binding: BatchBinding,
    batch: pa.RecordBatch,
    op: int,
    seq: int,
    first_row: int,
    last_row: int,
    failures: list[Failure],
) -> pa.RecordBatch | pa.Array[Any] | None:
    """Runs a batch function; None when it failed (the failure is kept)."""
    try:
        result = binding.function(batch)
        if binding.is_filter:
            return _mask_of(result, batch)
        return batch_of(result, binding.place.name, binding.schema)
    except Exception as error:
        rows = f"rows {first_row} to {last_row}" if first_row >= 0 and last_row >= 0 else "rows"
        error.add_note(f"in {binding.place.text}: operator {op}, batch {seq}, {rows}")
        failures.append(Failure(op, -1, first_row, seq, error))
        return None


def _mask_of(result: Any, batch: pa.RecordBatch) -> Any:
    mask: Any = result
    if isinstance(result, pa.ChunkedArray):
        chunked: Any = cast("Any", result)
        mask = chunked.combine_chunks()
    elif not isinstance(result, pa.Array):
        if not hasattr(result, "__array__"):
            raise DataError(
                f"the filter function returned {type(result).__name__}, not a Boolean array"
            )
        mask = cast("Any", pa.array(result))
    if not pa.types.is_boolean(mask.type):
        raise DataError(f"the filter function returned an array of {mask.type}, not of bool")
    if len(mask) != batch.num_rows:
        raise DataError(
            f"the filter function returned {len(mask)} values for {batch.num_rows} rows"
        )
    return mask


def batch_of(result: Any, name: str, wanted: pa.Schema | None) -> pa.RecordBatch:
    """The batch that a batch function gave, whichever of the allowed forms it has."""
    if result is None:
        raise DataError(
            f"{name} returned None; a map function returns a batch (an empty one to drop its rows)"
        )
    if isinstance(result, dict):
        result = pa.RecordBatch.from_pydict(cast("dict[str, Any]", result))
    if isinstance(result, pa.Table):
        batches = result.combine_chunks().to_batches()
        if len(batches) > 1:
            raise DataError(f"{name} returned more text than one batch holds; return fewer rows")
        result = batches[0] if batches else pa.RecordBatch.from_pylist([], schema=result.schema)
    if not isinstance(result, pa.RecordBatch):
        hint = ""
        if isinstance(result, (bool, int, float, str)):
            hint = "; for a new column use with_columns(name=fn)"
        raise DataError(
            f"{name} returned {type(result).__name__}; a map function returns a "
            f"RecordBatch, a Table or a dict of arrays{hint}"
        )
    if wanted is not None and not result.schema.equals(wanted):
        result = _fit(result, wanted, name)
    return result


def _fit(batch: pa.RecordBatch, wanted: pa.Schema, name: str) -> pa.RecordBatch:
    """A batch whose null columns take the declared type; anything else that differs is an error."""
    if batch.schema.names != wanted.names:
        raise SchemaError(
            f"{name} returned columns {batch.schema.names}, declared are {wanted.names}"
        )
    for column, found, declared in zip(wanted.names, batch.schema.types, wanted.types, strict=True):
        if found != declared and not pa.types.is_null(found):
            raise SchemaError(
                f"{name} returned column {column!r} as {found}, declared is {declared}"
            )
    return batch.cast(wanted)


def _cut(text: str) -> str:
    return text if len(text) <= _VALUES_MAX else text[: _VALUES_MAX - 1] + "…"
