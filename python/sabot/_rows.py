"""Items of an iterable turned into record batches: batch objects of any library, or dicts that are gathered to batches."""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

import pyarrow as pa

from sabot._conform import arrow
from sabot._errors import DataError, IntegerOverflowError, PlanError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_STEP_ROWS = 1024  # values made Arrow's in one step
_VALUE_MAX = 60  # characters of a value in a message
_CONVERSION_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)


class Items(Protocol):
    """What one pass makes of the items of its iterable.

    at_once: how many items may be waited for before any of them is looked at.
    """

    @property
    def at_once(self) -> int: ...

    def feed(self, item: object) -> Iterable[pa.RecordBatch]:
        """The batches that are complete with another item."""
        ...

    def finish(self) -> Iterable[pa.RecordBatch]:
        """The batches that are left at the end."""
        ...


def is_batch(item: object) -> bool:
    """Whether `batches_of` takes an object."""
    return not isinstance(item, type) and (
        isinstance(item, pa.RecordBatch | pa.Table)
        or hasattr(item, "__arrow_c_array__")
        or hasattr(item, "__arrow_c_stream__")
    )


def batches_of(item: Any) -> Iterator[pa.RecordBatch]:
    """The batches of a RecordBatch, a Table or an object that offers Arrow's C interface; an empty one keeps its schema."""
    if isinstance(item, pa.RecordBatch):
        yield item
        return
    from sabot._stream import Stream

    if isinstance(item, Stream):  # as an Arrow stream it would give only the text of an error
        yield from item
        return
    if isinstance(item, pa.Table):
        schema, pieces = item.schema, iter(item.to_batches())
    else:
        try:
            if hasattr(item, "__arrow_c_array__"):
                batch = pa.record_batch(item)
                batch.validate()
                schema, pieces = batch.schema, iter((batch,))
            else:
                reader = pa.RecordBatchReader.from_stream(item)
                schema, pieces = reader.schema, iter(reader)
        except ValueError as error:
            if not isinstance(error, pa.ArrowException) and "PyCapsule" not in str(error):
                raise
            raise DataError(f"{class_of(item)} holds no table: {error}") from error
        except pa.ArrowException as error:
            raise DataError(f"{class_of(item)} holds no table: {error}") from error
    empty = True
    try:
        for batch in pieces:
            empty = False
            batch.validate()
            yield batch
    except pa.ArrowException as error:
        raise DataError(f"{class_of(item)} failed: {error}") from error
    if empty:
        yield pa.RecordBatch.from_pylist([], schema=schema)


class BatchItems:
    """Items that are batches."""

    __slots__ = ("_count", "_what")

    at_once = 1

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0

    def feed(self, item: object) -> Iterator[pa.RecordBatch]:
        if not is_batch(item):
            hint = "; from_dicts takes rows" if isinstance(item, Mapping) else ""
            raise DataError(
                f"item {self._count} of {self._what} is {describe(item)}, not a record batch{hint}"
            )
        self._count += 1
        return batches_of(item)

    def finish(self) -> tuple[pa.RecordBatch, ...]:
        return ()


class DictItems:
    """Items that are rows; every `rows_max` of them make a batch. The first batch fixes the columns and their types.

    Once these are known, rows become Arrow's in small steps: few of them are Python's at a time.
    """

    __slots__ = ("_count", "_declared", "_first", "_parts", "_rows", "_rows_max", "_schema")

    def __init__(self, schema: pa.Schema | None, rows_max: int) -> None:
        self._schema = schema
        self._declared = schema is not None
        self._rows_max = rows_max
        self._rows: list[object] = []
        self._parts: list[pa.RecordBatch] = []
        self._count = 0  # rows in the parts
        self._first = 0  # number of the first of `_rows`

    @property
    def at_once(self) -> int:
        return min(self._rows_max, _STEP_ROWS)

    def feed(self, item: object) -> tuple[pa.RecordBatch, ...]:
        self._rows.append(item)
        count = self._count + len(self._rows)
        if count >= self._rows_max:
            return self.finish()
        if self._schema is not None and len(self._rows) >= _STEP_ROWS:
            self._step(self._schema)
        return ()

    def finish(self) -> tuple[pa.RecordBatch, ...]:
        if self._rows:
            self._step(self._schema)
        parts, self._parts, self._count = self._parts, [], 0
        if len(parts) > 1:
            return (arrow.concat_batches(parts),)
        return tuple(parts)

    def _step(self, schema: pa.Schema | None) -> None:
        rows, self._rows = self._rows, []
        batch = batch_of_dicts(rows, schema, self._declared, self._first)
        self._first += len(rows)
        self._count += len(rows)
        self._schema = batch.schema
        self._parts.append(batch)


def batch_of_dicts(
    rows: Sequence[object], schema: pa.Schema | None, declared: bool, first: int = 0
) -> pa.RecordBatch:
    """A batch of rows that all have the same keys; with a declared schema, a key that is missing is a null.

    Parameters:
        schema: of the batch; None: it is inferred from the rows.
        declared: whether the user gave the schema.
        first: number of the first row, for messages.

    Raises:
        SchemaError: a row is no mapping, has another set of keys, or a value of another type than its column.
        IntegerOverflowError: an int does not fit 64 bits.
    """
    names = _names(rows, schema, first)
    wanted = dict.fromkeys(names)
    columns: list[list[object]] = [[] for _ in names]
    for number, row in enumerate(rows, first):
        if not isinstance(row, Mapping):
            raise SchemaError(f"row {number} is {describe(row)}, not a dict")
        values = cast("Mapping[object, object]", row)
        if values.keys() != wanted.keys():
            _check_keys(values, wanted, number, declared, schema, first)
        for column, name in zip(columns, names, strict=True):
            column.append(values.get(name))
    arrays = [
        column_of_values(name, values, None if schema is None else schema.field(k), declared, first)
        for k, (name, values) in enumerate(zip(names, columns, strict=True))
    ]
    if schema is None:
        schema = pa.schema([(name, a.type) for name, a in zip(names, arrays, strict=True)])
    if not names:
        # Without a column, only the rows of a struct tell how many there are.
        empty = cast("pa.StructArray", pa.array([{}] * len(rows), pa.struct([])))
        return pa.RecordBatch.from_struct_array(empty)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _names(rows: Sequence[object], schema: pa.Schema | None, first: int) -> list[str]:
    if schema is not None:
        return schema.names
    row = rows[0] if rows else {}
    if not isinstance(row, Mapping):
        raise SchemaError(f"row {first} is {describe(row)}, not a dict")
    names = list(cast("Mapping[object, object]", row))
    for name in names:
        if not isinstance(name, str):
            raise SchemaError(f"row {first} has the key {describe(name)}; a column's name is a str")
    return cast("list[str]", names)


def _check_keys(
    row: Mapping[object, object],
    wanted: dict[str, None],
    number: int,
    declared: bool,
    schema: pa.Schema | None,
    first: int,
) -> None:
    other = "the schema" if schema is not None else f"row {first}"
    extra = [key for key in row if key not in wanted]
    if extra:
        raise SchemaError(f"row {number} has {_listed(extra)}, which {other} has not")
    missing = [name for name in wanted if name not in row]
    if missing and not declared:
        raise SchemaError(
            f"row {number} has no {_listed(missing)}, which {other} has: "
            "give None, or declare schema=, which makes it null"
        )


def _listed(names: list[Any]) -> str:
    return ", ".join(repr(name) for name in names[:5]) + (", …" if len(names) > 5 else "")


def column_of_values(
    name: str, values: list[object], field: pa.Field[Any] | None, declared: bool, first: int
) -> pa.Array[Any]:
    """A column of values, of the field's type or of the one that they tell; see `batch_of_dicts`."""
    kind = None if field is None else field.type
    try:
        array = _array(values, kind)
    except _CONVERSION_ERRORS as error:
        raise _conversion_error(name, values, kind, declared, first, error) from None
    if field is not None and not field.nullable and array.null_count:
        row = first + next(k for k, value in enumerate(values) if value is None)
        raise SchemaError(f"row {row}: column {name!r} is null, in the schema it is not null")
    if kind is None and array.type == pa.binary():
        # Arrow would encode a str among bytes.
        for k, value in enumerate(values):
            if isinstance(value, str):
                raise SchemaError(
                    f"row {first + k}: column {name!r} is {describe(value)}, other rows have bytes"
                )
    return array


def _array(values: list[object], kind: pa.DataType | None) -> pa.Array[Any]:
    """`pa.array`, which holds the interpreter's lock, in steps that an event loop does not feel."""
    parts = [values[k : k + _STEP_ROWS] for k in range(0, len(values), _STEP_ROWS)]
    if kind is None and len(parts) > 1:
        kinds = {arrow.infer_type(part) for part in parts} - {pa.null()}
        # Types that differ between the steps are found by all values together.
        kind = kinds.pop() if len(kinds) == 1 else None
    if kind is None or len(parts) <= 1:
        return cast("pa.Array[Any]", arrow.array(values, kind))
    return arrow.concat_arrays([arrow.array(part, kind) for part in parts])


def _conversion_error(
    name: str,
    values: list[object],
    kind: pa.DataType | None,
    declared: bool,
    first: int,
    error: BaseException,
) -> SchemaError | IntegerOverflowError:
    """The error that names the first row whose value does not go into its column."""
    low, high = 0, len(values)  # the first `low` values convert, the first `high` do not
    while high - low > 1:
        middle = (low + high) // 2
        found = _failure(values[:middle], kind)
        if found is None:
            low = middle
        else:
            high, error = middle, found
    where = f"row {first + high - 1}: column {name!r}"
    value = values[high - 1]
    if isinstance(error, OverflowError):
        return IntegerOverflowError(f"{where} is {describe(value)}, which does not fit 64 bits")
    reason = str(error).split("\n", 1)[0].rstrip(".")
    if kind is None:
        before = "" if low == 0 else f", and is {arrow.array(values[:low]).type} in the rows before"
        return SchemaError(f"{where} is {describe(value)}{before} ({reason}); declare schema=")
    fix = "" if declared else "; the first rows fixed that: declare schema="
    return SchemaError(f"{where} is {describe(value)}, in the schema it is {kind} ({reason}){fix}")


def _failure(values: list[object], kind: pa.DataType | None) -> BaseException | None:
    try:
        arrow.array(values, kind)
    except _CONVERSION_ERRORS as error:
        return error
    return None


def describe(value: object) -> str:
    """A value and its class, cut short."""
    try:
        text = repr(value)
    except Exception:
        text = "(its repr fails)"
    if len(text) > _VALUE_MAX:
        text = text[: _VALUE_MAX - 1] + "…"
    return f"{type(value).__name__} {text}"


def class_of(value: object) -> str:
    """A value's class with its package."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    return kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"


def check_size(batch_size: object, optional: bool = True) -> None:
    """Refuses what is no number of rows."""
    if batch_size is None and optional:
        return
    if type(batch_size) is bool or not isinstance(batch_size, int) or not 1 <= batch_size < 2**63:
        raise PlanError(f"batch_size={batch_size!r}: it is a whole number from 1 on, below 2**63")


def check_schema(schema: object) -> None:
    """Refuses what is no schema."""
    if schema is not None and not isinstance(schema, pa.Schema):
        raise PlanError(f"schema={describe(schema)}: it is a pyarrow.Schema, as pa.schema() makes")
