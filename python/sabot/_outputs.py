"""Results in other shapes: pandas, Polars, NumPy, rows as dicts, text to look at, statistics.

What takes batches closes the iterator exactly once, after its end or after an error. Everything here is plain functions of
tables and batches.
"""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false

from __future__ import annotations

import asyncio
import inspect
import threading
import unicodedata
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from sabot._errors import DataError, PlanError, SchemaError, TypeMismatchError
from sabot._frame import frame_of
from sabot._json import json_array
from sabot._optional import need
from sabot._values import python_lists
from sabot._writers import plain_array

pc: Any = pyarrow.compute  # its stubs lack some functions

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Callable,
        Generator,
        Iterable,
    )

_EXACT_FLOAT = 1 << 53
_CELL_WIDTH_MAX = 32
_WIDTH_MAX = 120
_STATISTICS = ("count", "null_count", "mean", "std", "min", "25%", "50%", "75%", "max")


# --- other libraries


def to_pandas(table: pa.Table, *, arrow_types: bool = False) -> Any:
    """A pandas DataFrame.

    Parameters:
        table: what to convert.
        arrow_types: columns keep their Arrow types (`pandas.ArrowDtype`); else they become NumPy's, where integers with
            nulls are floats and null is NaN.

    Raises:
        MissingLibraryError: pandas is not installed.
        DataError: an integer beside nulls is too large for a float to hold.
    """
    pandas = need("pandas", "to_pandas")
    if arrow_types:
        return table.to_pandas(types_mapper=pandas.ArrowDtype)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_integer(column.type) and column.null_count and column.type.bit_width == 64:
            ends: Any = pc.min_max(column).as_py()
            large = max(abs(end) for end in (ends["min"], ends["max"], 0) if end is not None)
            if large > _EXACT_FLOAT:
                raise DataError(
                    f"column {name!r} has nulls, which makes it floats in pandas, and {large}, which no float holds: "
                    "use arrow_types=True or fill the nulls"
                )
    if threading.active_count() == 1:  # nobody to wait for the interpreter
        return table.to_pandas()
    return frame_of(table, pandas)


def to_polars(table: pa.Table) -> Any:
    """A Polars DataFrame, without a copy where Polars can do that.

    Raises:
        MissingLibraryError: Polars is not installed.
        TypeMismatchError: a column's type that Polars does not have.
    """
    polars = need("polars", "to_polars")
    series: list[Any] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_run_end_encoded(column.type):
            chunks = [plain_array(chunk, column.type.value_type) for chunk in column.chunks]
            column = pa.chunked_array(chunks, column.type.value_type)
        try:
            series.append(polars.Series(name, polars.from_arrow(column)))
        except (Exception, polars.exceptions.PanicException) as error:
            raise TypeMismatchError(
                f"column {name!r} is {column.type}, which Polars does not have: cast or drop it"
            ) from error
    try:
        return polars.DataFrame(series)
    except polars.exceptions.DuplicateError as error:
        raise SchemaError(f"Polars has no two columns of one name: {error}") from error


def to_numpy(table: pa.Table, *, allow_objects: bool = False) -> dict[str, Any]:
    """The columns as NumPy arrays: numbers, truth values, dates and times; lists of a fixed size give two dimensions.

    Without a copy where the column is one chunk of numbers. Times with a zone are given in UTC.

    Parameters:
        table: what to convert.
        allow_objects: columns with nulls or of other types become arrays of Python objects; else they are errors.

    Raises:
        MissingLibraryError: NumPy is not installed.
        DataError: nulls, which NumPy's numbers do not have.
        TypeMismatchError: a type that NumPy does not have.
        SchemaError: two columns of one name.
    """
    numpy = need("numpy", "to_numpy")
    _check_names(table.schema)
    return {
        name: _numpy_column(numpy, name, column, allow_objects)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _numpy_column(numpy: Any, name: str, column: Any, objects: bool) -> Any:
    array: Any = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.nulls(0, array.type)
    if isinstance(array, pa.DictionaryArray) or pa.types.is_run_end_encoded(array.type):
        array = plain_array(array, array.type.value_type)
    nulls = array.null_count
    type_: Any = array.type
    size = 0
    if pa.types.is_fixed_size_list(type_) and not nulls:
        values = array.flatten()
        if _numpy_has(values.type) and not values.null_count:
            array, size = values, type_.list_size
    if _numpy_has(array.type) and not nulls:
        plain = array.to_numpy(zero_copy_only=False)
        return plain.reshape(-1, size) if size else plain
    if objects:
        given = numpy.empty(len(array), dtype=object)
        given[:] = array.to_pylist()
        return given
    if _numpy_has(type_):
        raise DataError(
            f"column {name!r} has {nulls} nulls, which {type_} in NumPy does not have: fill or drop them, "
            "or use allow_objects=True"
        )
    raise TypeMismatchError(
        f"column {name!r} is {type_}, which NumPy does not have: drop it, or use allow_objects=True"
    )


def _numpy_has(type_: Any) -> bool:
    types = pa.types
    return (
        types.is_integer(type_)
        or types.is_floating(type_)
        or types.is_boolean(type_)
        or types.is_timestamp(type_)
        or types.is_duration(type_)
        or types.is_date(type_)
    )


# --- rows


def _check_names(schema: pa.Schema) -> None:
    seen: set[str] = set()
    for name in schema.names:
        if name in seen:
            raise SchemaError(
                f"two columns are named {name!r}: rename one, a dict has room for one"
            )
        seen.add(name)


def _close(iterator: Any) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        close()


def foreach(batches: Iterable[pa.RecordBatch], fn: Callable[[pa.RecordBatch], object]) -> None:
    """Calls a function with each batch, in order."""
    if not callable(fn):
        raise PlanError(f"foreach takes a function, not {type(fn).__name__}")
    if inspect.iscoroutinefunction(fn):
        raise PlanError("foreach awaits nothing: use async for, which gives the batches")
    iterator = iter(batches)
    try:
        for batch in iterator:
            fn(batch)
    finally:
        _close(iterator)


def iter_rows(batches: Iterable[pa.RecordBatch]) -> Generator[dict[str, Any]]:
    """The rows as dicts of Python values, in order.

    Raises:
        SchemaError: two columns of one name.
    """
    iterator = iter(batches)
    try:
        for batch in iterator:
            _check_names(batch.schema)
            for rows in python_lists(batch):
                yield from rows
    finally:
        _close(iterator)


async def aiter_rows(batches: AsyncIterable[pa.RecordBatch]) -> AsyncGenerator[dict[str, Any]]:
    """The rows as dicts, from batches that arrive asynchronously; other tasks run every few milliseconds."""
    iterator: Any = aiter(batches)
    try:
        async for batch in iterator:
            _check_names(batch.schema)
            for rows in python_lists(batch):
                await asyncio.sleep(0)
                for row in rows:
                    yield row
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


# --- text to look at


def show(head: pa.Table, total: int | None, n: int = 10, *, width: int = _WIDTH_MAX) -> str:
    """The first rows as a text table: names, types, values, and how many more there are.

    Parameters:
        head: the first rows; one more than `n` is enough to tell that there are more.
        total: rows in all; None where that is not known.
        n: most rows to show.
        width: most characters of a line; columns that do not fit are named below.
    """
    shown = head.slice(0, n)
    columns = [
        [_cut(name), _cut(str(type_)), *map(_cut, _texts(column))]
        for name, type_, column in zip(
            shown.schema.names, shown.schema.types, shown.columns, strict=True
        )
    ]
    widths = [max(map(_columns_of, cells)) for cells in columns]
    fit, used = 0, 0
    while fit < len(columns) and (fit == 0 or used + 2 + widths[fit] <= width):
        used += widths[fit] + (2 if fit else 0)
        fit += 1
    lines: list[str] = []
    for row in range(2 + shown.num_rows if columns else 0):
        cells = [
            _pad(columns[index][row], widths[index], _is_number(shown.schema.types[index]))
            for index in range(fit)
        ]
        lines.append("  ".join(cells).rstrip())
    if columns:
        lines.insert(2, "  ".join("─" * widths[index] for index in range(fit)))
    lines.append(_rows_more(shown.num_rows, head.num_rows, total))
    if fit < len(columns):
        names = ", ".join(_cut(name) for name in shown.schema.names[fit:])
        more = len(columns) - fit
        lines.append(_cut(f"{_counted(more, 'column')} more: {names}", width))
    return "\n".join(lines) + "\n"


def _rows_more(shown: int, known: int, total: int | None) -> str:
    if total is not None:
        more = total - shown
        return _counted(total, "row") + (f", {more:,} more than shown" if more > 0 else "")
    return f"{_counted(shown, 'row')}, and more" if known > shown else _counted(shown, "row")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _is_number(type_: Any) -> bool:
    return pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)


def _texts(column: pa.ChunkedArray) -> list[str]:
    texts: list[str] = []
    for chunk in column.chunks:
        values: list[Any]
        if pa.types.is_temporal(chunk.type) and not pa.types.is_interval(chunk.type):
            values = _time_texts(chunk)
        elif pa.types.is_float32(chunk.type):  # 0.1, not the double that is nearest to that float
            shortest = chunk.cast(pa.string()).to_pylist()
            values = [None if text is None else float(text) for text in shortest]
        else:
            try:
                values = chunk.to_pylist()
            except ValueError:  # nanoseconds inside, which Python's times do not have
                values = json_array(chunk)
        texts.extend(map(_text, values))
    return texts


def _text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, (float, bytes, list, dict, tuple)) else str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _columns_of(text: str) -> int:
    """How many places a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _cut(text: str, width: int = _CELL_WIDTH_MAX) -> str:
    text = _text(text)
    if _columns_of(text) <= width:
        return text
    kept, used = 0, 1  # the mark takes one
    for c in text:
        used += _columns_of(c)
        if used > width:
            break
        kept += 1
    return text[:kept] + "…"


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - _columns_of(text))
    return space + text if right else text + space


# --- statistics


def describe(batches: Iterable[pa.RecordBatch], schema: pa.Schema | None) -> pa.Table:
    """Count, nulls, mean, standard deviation, minimum, quartiles and maximum of each column.

    The result has a column `statistic` and one for each column of the input: doubles for numbers and truth values, text for
    dates, times and strings (a string has neither mean nor quartiles), and of other types only the counts. A quartile is the
    value at the nearest rank. The standard deviation is that of a sample (n - 1). All of the data is held in memory.

    Raises:
        SchemaError: a column named `statistic`, or two of one name.
    """
    iterator = iter(batches)
    try:
        given = list(iterator)
    finally:
        _close(iterator)
    if schema is None:
        schema = given[0].schema if given else pa.schema([])
    table = pa.Table.from_batches(given, schema)
    _check_names(schema)
    if "statistic" in schema.names:
        raise SchemaError("a column is named 'statistic', as the first of the result: rename it")
    columns: dict[str, Any] = {"statistic": pa.array(_STATISTICS)}
    for name, column in zip(table.column_names, table.columns, strict=True):
        columns[name] = _describe_column(column)
    return pa.table(columns)


def _describe_column(column: Any) -> pa.Array:
    count, nulls = len(column) - column.null_count, column.null_count
    array: Any = pa.chunked_array(column.chunks, column.type).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.nulls(0, array.type)
    if isinstance(array, pa.DictionaryArray) or pa.types.is_run_end_encoded(array.type):
        array = plain_array(array, array.type.value_type)
        count, nulls = len(array) - array.null_count, array.null_count
    type_: Any = array.type
    types = pa.types
    if types.is_boolean(type_):
        values = array.cast(pa.uint8())
        ends: Any = pc.min_max(values).as_py()
        mean = pc.mean(values).as_py()
        numbers = [count, nulls, mean, None, ends["min"], None, None, None, ends["max"]]
        return pa.array(_floats(numbers), pa.float64())
    if _is_number(type_):
        return pa.array(_floats([count, nulls, *_describe_numbers(array)]), pa.float64())
    texts: list[str | None] = [str(count), str(nulls), *[None] * 7]
    array = array.drop_null()
    if types.is_temporal(type_) and not types.is_interval(type_):
        texts[2:] = _describe_times(array)
    elif types.is_string(type_) or types.is_large_string(type_) or type_ == pa.string_view():
        ends = pc.min_max(array.cast(pa.large_string())).as_py()
        texts[4], texts[8] = ends["min"], ends["max"]
    return pa.array(texts, pa.string())


def _floats(values: list[Any]) -> list[float | None]:
    return [None if value is None else float(value) for value in values]


def _describe_numbers(array: Any) -> list[Any]:
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    array = array.drop_null()
    if not len(array):
        return [None] * 7
    ends = pc.min_max(array).as_py()
    floats = array.cast(pa.float64(), safe=False)
    mean = pc.mean(floats).as_py()
    std = pc.stddev(floats, ddof=1).as_py()
    return [mean, std, ends["min"], *(value.as_py() for value in _quartiles(array)), ends["max"]]


def _quartiles(array: Any) -> list[Any]:
    """The values at a quarter, half and three quarters of the sorted array, at the nearest rank."""
    order = pc.sort_indices(array)
    last = len(array) - 1
    return [array[order[(last * quarter + 2) // 4].as_py()] for quarter in (1, 2, 3)]


def _describe_times(array: Any) -> list[str | None]:
    if not len(array):
        return [None] * 7
    type_ = array.type
    width = pa.int32() if type_.bit_width == 32 else pa.int64()
    counts = array.view(width)
    # As decimals: the sum of a few times in nanoseconds is beyond 64 bits.
    mean = int(pc.sum(counts.cast(pa.decimal128(19, 0))).as_py()) // len(counts)
    ends = pc.min_max(counts).as_py()
    low, middle, high = (value.as_py() for value in _quartiles(counts))
    values = [mean, ends["min"], low, middle, high, ends["max"]]
    texts = _time_texts(pa.array(values, width).view(type_))
    return [texts[0], None, *texts[1:]]


def _time_texts(array: Any) -> list[str | None]:
    """Dates and times as text."""
    if pa.types.is_duration(array.type):
        counts = array.cast(pa.int64()).to_pylist()
        return [None if count is None else f"{count} {array.type.unit}" for count in counts]
    return [None if text is None else text.replace("T", " ") for text in json_array(array)]
