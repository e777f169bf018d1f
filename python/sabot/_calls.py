"""The calls of one user function: of rows, of batches. The same code runs in this process's threads and in worker processes.

Nothing here knows of threads, order or places in the source; what fails is handed back with its position.
"""

from __future__ import annotations

from array import array
from itertools import accumulate, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from sabot._errors import DataError
from sabot._lane import Binding, Place, batch_of, mask_of, result_error
from sabot._udf import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

_EXACT_DOUBLE_MAX = 2**53
_TEXT_MAX = 2**31 - 1  # bytes of a string column
_INT64 = range(-(2**63), 2**63)


class Work(NamedTuple):
    """What one function of a stage does; everything in it can be sent to a worker process.

    target: the function, an object with `__call__`, or a class whose object is to be built.
    operator: the method that it was given to. kind: "scalar" or "batch".
    columns: what its arguments come from: `positional` of them by position, the others by the names `keywords`.
    result: the type of a new column. schema: what a map or flat_map function gives, where that was declared.
    skip_nulls: a null argument gives null without a call. may_be_dropped: by a function before it, so that a failing row ends nothing yet.
    batch_size: rows that a worker takes at once; None: as they take time.
    """

    target: Any
    operator: str
    kind: str
    place: Place
    columns: tuple[str, ...] = ()
    positional: int = 0
    keywords: tuple[str, ...] = ()
    result: Any = None
    schema: Any = None
    on_error: str = "raise"
    skip_nulls: bool = False
    dead_letter: str | None = None
    may_be_dropped: bool = False
    batch_size: int | None = None


class Outcome(NamedTuple):
    """What a range of rows gave, or a batch, which counts as one row.

    result: a value or null for each row, as far as it went; what a batch function gave, None if it failed.
    failures: positions and exceptions, ascending. fatal: the last of them ends the run.
    """

    result: Any
    failures: list[tuple[int, BaseException]]
    fatal: bool


def arguments(work: Work, batch: pa.RecordBatch) -> Sequence[tuple[Any, ...]]:
    """The arguments of each row; an exception stands for a value that Python cannot hold."""
    columns = [_values(batch.column(name)) for name in work.columns]
    return list(zip(*columns, strict=True)) if columns else list(repeat((), batch.num_rows))


def _values(column: Any) -> list[Any]:
    try:
        return column.to_pylist()
    except Exception:
        return [_value(value) for value in column]


def _value(value: Any) -> Any:
    try:
        return value.as_py()
    except Exception as error:
        return error


def call_row(fn: Callable[..., Any], work: Work, args: tuple[Any, ...]) -> Any:
    """One call with the values of a row; of an async function, what is to be awaited."""
    for value in args:
        if isinstance(value, BaseException):
            raise value
    if not work.keywords:
        return fn(*args)
    count = work.positional
    return fn(*args[:count], **dict(zip(work.keywords, args[count:], strict=True)))


def is_skipped(work: Work, args: tuple[Any, ...]) -> bool:
    """Whether a row has a null result without a call."""
    return work.skip_nulls and any(value is None for value in args)


def call_rows(
    fn: Callable[..., Any], work: Work, batch: pa.RecordBatch, stopped: Callable[[], bool]
) -> Outcome:
    """Calls a function for each row, until one ends the run or nobody wants the rest."""
    values: list[Any] = []
    failures: list[tuple[int, BaseException]] = []
    for position, args in enumerate(arguments(work, batch)):
        if stopped():
            break
        try:
            skipped = is_skipped(work, args)
            values.append(checked(None if skipped else call_row(fn, work, args), work))
        except BaseException as error:  # handed to the run
            failures.append((position, error))
            if is_fatal(error, work):
                return Outcome(column(values, work), failures, True)
            values.append(None)
    return Outcome(column(values, work), failures, False)


def is_fatal(error: BaseException, work: Work) -> bool:
    """Whether a failed row ends the run, or its task, at once."""
    if not isinstance(error, Exception):
        return True
    return work.on_error == "raise" and not work.may_be_dropped


def column(values: list[Any], work: Work) -> Any:
    """The column of checked results; of a filter, its mask.

    pa.array() would import pandas, which takes a new worker process longer than all else.
    """
    wanted: Any = pa.bool_() if work.operator == "filter" else work.result
    count = len(values)
    buffers: list[Any] = [
        _bitmap(value is not None for value in values) if None in values else None
    ]
    if wanted == pa.null():
        return pa.nulls(count)
    if wanted == pa.string():
        texts = [b"" if value is None else value.encode() for value in values]
        ends = accumulate(map(len, texts), initial=0)
        whole = b"".join(texts)
        if len(whole) > _TEXT_MAX:
            raise DataError(
                f"{work.place.name} returned more text for {count} rows than one batch holds; rebatch to fewer rows"
            )
        buffers += [pa.py_buffer(array("i", ends)), pa.py_buffer(whole)]
    elif wanted == pa.bool_():
        buffers.append(_bitmap(bool(value) for value in values))
    else:
        code = "q" if wanted == pa.int64() else "d"
        buffers.append(
            pa.py_buffer(array(code, [0 if value is None else value for value in values]))
        )
    return pa.Array.from_buffers(wanted, count, buffers)


def _bitmap(flags: Iterable[bool]) -> Any:
    data = bytes(flags)
    flagged: Any = pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])
    return flagged.cast(pa.bool_()).buffers()[1]


def checked(value: Any, work: Work) -> Any:
    """A result as its column takes it, by the rules of the engine's own rows; of a filter, its truth."""
    if work.operator == "filter":
        return value is not None and bool(value)
    if value is None:
        return None
    format = FORMATS[work.result]
    if not _fits(value, format):
        raise result_error(value, Binding(work.target, 0, None, work.place, False), format)
    if format == "g":
        return float(value)
    return int(value) if format == "l" else value


def _fits(value: Any, format: str) -> bool:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if format == "l":
        return is_int and int(value) in _INT64
    if format == "g":
        return isinstance(value, float) or (is_int and abs(int(value)) <= _EXACT_DOUBLE_MAX)
    if format == "b":
        return isinstance(value, bool)
    return format == "u" and isinstance(value, str) and _is_utf8(value)


def _is_utf8(value: str) -> bool:
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def call_batch(fn: Callable[..., Any], work: Work, batch: pa.RecordBatch) -> Outcome:
    """Calls a function of a whole batch."""
    try:
        return Outcome(batch_result(fn(batch), work, batch), [], False)
    except BaseException as error:  # handed to the run
        return Outcome(None, [(0, error)], is_fatal(error, work))


def batch_result(result: Any, work: Work, batch: pa.RecordBatch) -> Any:
    """What a batch function gave: a batch, or a filter's mask."""
    if work.operator == "filter":
        return mask_of(result, batch)
    return batch_of(result, work.place.name, None)


def item_result(item: Any, work: Work, count: int) -> pa.RecordBatch:
    """One of the batches that an async flat_map function gave."""
    if item is None:
        raise DataError(f"{work.place.name} gave None as its batch {count}; leave it out")
    return batch_of(item, work.place.name, None)


def items(fn: Callable[..., Any], work: Work, batch: pa.RecordBatch) -> Generator[pa.RecordBatch]:
    """The batches that a flat_map function gives, as they are asked for; a generator is closed with them."""
    from sabot._derive import made_batches

    yield from made_batches(fn(batch), work.place.name, None)
