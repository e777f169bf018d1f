"""What the extension calls back: errors, values of types it does not know, batch functions. Runs on the thread of the run."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot import _config
from sabot._conform import Conformer, conformed
from sabot._errorlog import cut, pairs_text, row_text, text_of
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
from sabot._values import python_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot import _core
    from sabot._by_rows import RowMap
    from sabot._capture import Refusal
    from sabot._deadletter import DeadLetter
    from sabot._errorlog import StageLog
    from sabot._form_bind import Lowered
    from sabot._function import Scalar

TYPES: dict[str, pa.DataType] = {
    "c": pa.int8(),
    "C": pa.uint8(),
    "s": pa.int16(),
    "S": pa.uint16(),
    "i": pa.int32(),
    "I": pa.uint32(),
    "L": pa.uint64(),
    "f": pa.float32(),
    "l": pa.int64(),
    "g": pa.float64(),
    "b": pa.bool_(),
    "u": pa.string(),
    "n": pa.null(),
}
ON_ERROR = ("raise", "null", "skip")  # by the numbers that the extension knows

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

    `truth`: it is a filter's, so only whether a result is true is wanted. `on_error`: what a failed row does, by ON_ERROR. `skip_nulls`:
    a null argument gives null without a call. `path`, `log`, `dead_letter`: where failed rows are recorded; the last two of one run.
    `keys`: the names of its results, where there are several. `pure`: it was declared so. `ahead`: computes many rows at once, given their
    columns, and gives Ellipsis for those that are to be called.
    """

    function: Callable[..., object]
    positional_count: int
    keywords: tuple[str, ...] | None
    place: Place
    truth: bool
    on_error: int = 0
    skip_nulls: bool = False
    path: str | None = None
    log: StageLog | None = None
    dead_letter: DeadLetter | None = None
    keys: tuple[str, ...] = ()
    pure: bool = False
    ahead: Callable[[list[pa.Array[Any]]], list[object]] | None = (
        None  # the extension knows its place
    )


class Failure(NamedTuple):
    """A failed row or batch, kept until the engine knows which failure is the run's first. `last_row`: of the batch."""

    op: int
    function_index: int
    source_row: int
    seq: int
    error: BaseException
    log: StageLog | None = None
    last_row: int = -1


def _as_it_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


_LOG = Binding._fields.index("log")


class BatchBinding(NamedTuple):
    """A batch function in the plan; `conform` brings what it gives in one run to one schema."""

    function: Callable[[pa.RecordBatch], object]
    place: Place
    schema: pa.Schema | None
    is_filter: bool
    on_error: int = 0
    path: str | None = None
    log: StageLog | None = None
    dead_letter: DeadLetter | None = None
    conform: Callable[[pa.RecordBatch], pa.RecordBatch] = _as_it_is
    rows: RowMap | None = None  # of a record function
    label: str | None = None  # what explain() shows, where that is not the place's name
    pure: bool = False  # declared so
    told: bool = False  # the schema is what the function's text tells
    refusal: Refusal | None = None  # why native code does not compute it
    form: Scalar | None = None  # its row function, if that can be told
    lowered: Lowered | None = None  # how native code computes it
    refusing: _core.Function | None = None  # the part of its row function that is not compiled
    arrays: tuple[str, ...] | None = None  # it is a function of arrays, of these columns
    numba: str | None = None  # "": Numba computes it; a text: why it does not; None: it was not to


def values_of(schema: object, array: object, rows: list[int] | None, count: int) -> list[object]:
    """The values of some rows of a column, as to_pylist() gives them; for one that Python cannot hold, the exception."""
    arrays = cast("Any", pa.Array)
    column: Any = arrays._import_from_c_capsule(schema, array)
    if rows is None:
        column = column.slice(0, count)
        try:
            return list(chain.from_iterable(python_lists(column)))
        except Exception:
            rows = list(range(count))
    return [_value_of(column, row) for row in rows]


def computed_ahead(
    ahead: Callable[[list[pa.Array[Any]]], list[object]],
    columns: list[tuple[object, object]],
    rows: list[int] | None,
    count: int,
) -> list[object]:
    """What a binding computes of some rows at once. The columns are borrowed."""
    arrays = cast("Any", pa.Array)
    given: list[pa.Array[Any]] = []
    for schema, array in columns:
        column: Any = arrays._import_from_c_capsule(schema, array)
        given.append(
            column.slice(0, count) if rows is None else column.take(pa.array(rows, pa.int64()))
        )
    return ahead(given)


def _value_of(column: Any, row: int) -> object:
    try:
        return column[row].as_py()
    except Exception as error:
        return error


def column_of(values: list[object], format: str) -> pa.Array[Any]:
    """The column that a function's results make."""
    return pa.array(values, TYPES[format])


def result_error(value: object, binding: Binding, format: str, result: int = -1) -> CastError:
    """Why a function's result does not go into its column. result: which of several it is, or -1."""
    name, wanted = binding.place.name, TYPES[format]
    if result >= 0:
        name = f"{name}[{binding.keys[result]!r}]"
    kind = type(value).__name__
    shown = cut(text_of(value))
    if isinstance(value, int) and not isinstance(value, bool) and format in "lg":
        limit = "64 bits" if format == "l" else "a double exactly (beyond 2**53)"
        return IntegerOverflowError(f"{name} returned {shown}, which does not fit {limit}")
    if isinstance(value, str) and format == "u":
        return CastError(f"{name} returned {shown}, which UTF-8 cannot hold")
    return CastError(f"{name} returned {kind} {shown}, but its column is {wanted}")


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
    shown = pairs_text(place.columns, values)
    row = f"row {source_row}" if source_row >= 0 else "a row"
    error.add_note(f"in {place.text}: operator {op}, batch {seq}, {row}: {shown}")
    return Failure(op, function_index, source_row, seq, error, binding.log, source_row)


def record_row(
    error: BaseException,
    binding: Binding,
    op: int,
    function_index: int,
    seq: int,
    source_row: int,
    values: tuple[object, ...],
) -> None:
    """Records a failed row that does not end the run."""
    assert binding.log is not None
    columns = binding.place.columns
    binding.log.add(
        error,
        binding.place.text,
        lambda: pairs_text(columns, values),
        (op, function_index, seq, source_row),
        binding.dead_letter,
    )


def recording(binding: Any, log: StageLog) -> Any:
    """A binding, of rows or of batches, as one run uses it.

    Raises:
        OSError: its dead letter cannot be written.
    """
    path = (binding.path or _config.get("dead_letter")) if binding.on_error else None
    if isinstance(binding, BatchBinding) and not binding.is_filter:
        rows = binding.rows.fresh() if binding.rows is not None else None
        conform = Conformer(binding.place.text, binding.schema, told=binding.told)
        binding = binding._replace(conform=conform, rows=rows)
    dead_letter = log.log.dead_letter(str(path)) if path else None
    if isinstance(binding, Binding):  # _replace takes two microseconds
        return Binding._make((*binding[:_LOG], log, dead_letter, *binding[_LOG + 2 :]))
    return binding._replace(log=log, dead_letter=dead_letter)


def record_batch(
    error: BaseException,
    binding: BatchBinding,
    op: int,
    seq: int,
    rows: Sequence[int],
    batch: pa.RecordBatch,
) -> None:
    """Records every row of a failed batch that does not end the run."""
    assert binding.log is not None
    for index, row in enumerate(rows):
        binding.log.add(
            error,
            binding.place.text,
            lambda index=index: row_text(batch, index),
            (op, -1, seq, row),
            binding.dead_letter,
        )


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
            if failure.log is not None:
                failure.log.end_at(seq, failure.last_row)
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
    source_rows: int | bytes,
    failures: list[Failure],
) -> Any:
    """Runs a batch function; None when it failed (the failure is kept), False to drop the batch (its rows are recorded)."""
    if binding.rows is not None:
        numbers = row_numbers(source_rows, batch.num_rows)
        return binding.rows(binding, batch, (op, seq), numbers, failures)
    try:
        return binding.conform(batch_of(binding.function(batch), binding.place.name, None))
    except Exception as error:
        return _batch_failed(error, binding, batch, op, seq, source_rows, failures)


def filter_mask(
    result: object,
    error: BaseException | None,
    binding: BatchBinding,
    batch: pa.RecordBatch,
    op: int,
    seq: int,
    source_rows: int | bytes,
    failures: list[Failure],
) -> Any:
    """The mask of what a filter's function returned, or raised, where it is no mask already; None and False as of call_batch."""
    if error is None:
        try:
            return mask_of(result, batch)
        except Exception as raised:
            error = raised
    return _batch_failed(error, binding, batch, op, seq, source_rows, failures)


def _batch_failed(
    error: BaseException,
    binding: BatchBinding,
    batch: pa.RecordBatch,
    op: int,
    seq: int,
    source_rows: int | bytes,
    failures: list[Failure],
) -> bool | None:
    numbers = row_numbers(source_rows, batch.num_rows)
    if binding.on_error:
        record_batch(error, binding, op, seq, numbers, batch)
        return False
    first, last = (numbers[0], numbers[-1]) if len(numbers) else (-1, -1)
    rows = f"rows {first} to {last}" if first >= 0 and last >= 0 else "rows"
    error.add_note(f"in {binding.place.text}: operator {op}, batch {seq}, {rows}")
    failures.append(Failure(op, -1, first, seq, error, binding.log, last))
    return None


def row_numbers(rows: int | bytes, count: int) -> Sequence[int]:
    """The source's rows of a batch's rows: from the first, or from all of them as int64; -1 where they are not known."""
    if isinstance(rows, bytes):
        return memoryview(rows).cast("q")
    return range(rows, rows + count) if rows >= 0 else [-1] * count


def mask_of(result: Any, batch: pa.RecordBatch) -> Any:
    mask: Any = result
    if isinstance(result, pa.ChunkedArray):
        chunked: Any = cast("Any", result)
        mask = chunked.combine_chunks()
    elif not isinstance(result, pa.Array):
        if not hasattr(result, "__array__") or isinstance(result, type):
            raise DataError(
                f"the filter function returned {type(result).__name__}, not a Boolean array"
            )
        mask = cast("Any", pa.array(result))
    if pa.types.is_null(mask.type):
        mask = pa.nulls(len(mask), pa.bool_())
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
        what = f"{name} returned a batch that does not fit the schema"
        result = conformed(result, wanted, lambda found: f"{what}: {'; '.join(found)}")
    return result
