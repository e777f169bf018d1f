"""Rows that are dicts, gathered to record batches.

To make Python values Arrow's holds the interpreter's lock, and many Python objects at once are long in going and make the
collector of garbage look at all of them; an event loop that shares the interpreter would feel both. Therefore `STEP_ROWS` rows at
a time become Arrow's, and their objects go, also while the types of the columns are not known yet: what the steps tell of a
type is put together as `pa.array` would tell it from all values.
"""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from time import thread_time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.types as pt

from sabot._conform import arrow, common_type
from sabot._errors import IntegerOverflowError, SchemaError
from sabot._rows import describe
from sabot._values import Gently, Kept, Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP_ROWS = 1024  # at most; fewer where they take long
_NESTED_ROWS = 128  # of nested values, of which the next may be far larger than the last
_NESTED: set[type] = {list, tuple, dict}
# Values, and their types, that come back from Arrow such that it infers the same of them, alone or beside others.
_CLASSES: set[type] = {
    type(None),
    bool,
    int,
    float,
    str,
    bytes,
    list,
    tuple,
    dict,
    datetime.date,
    datetime.datetime,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
}
_PLAIN = {
    pa.null(),
    pa.bool_(),
    pa.int64(),
    pa.float64(),
    pa.string(),
    pa.binary(),
    pa.date32(),
    pa.timestamp("us"),
    pa.time64("us"),
    pa.duration("us"),
}
_CONVERSION_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)


class _Misfit(NamedTuple):
    """The first row of some that does not fit, and the error that says so."""

    row: int
    error: Exception


class DictItems:
    """Items that are rows; every `rows_max` of them make a batch. The first batch fixes the columns and their types."""

    __slots__ = (
        "_columns",
        "_count",
        "_declared",
        "_first",
        "_names",
        "_pace",
        "_rows",
        "_rows_max",
        "_schema",
    )

    def __init__(self, schema: pa.Schema | None, rows_max: int) -> None:
        self._schema = schema
        self._declared = schema is not None
        self._rows_max = rows_max
        self._pace = Pace(STEP_ROWS)
        self._rows: list[object] = []
        self._count = 0  # rows of the batch in the columns
        self._first = 0  # number of the batch's first row
        self._names: list[str] | None = None
        self._columns: list[_Known] | list[_Inferred] = []
        if schema is not None:
            self._fix(schema)

    @property
    def at_once(self) -> int:
        return min(self._rows_max, STEP_ROWS)

    def feed(self, item: object) -> tuple[pa.RecordBatch, ...]:
        self._rows.append(item)
        count = self._count + len(self._rows)
        if count >= self._rows_max:
            return self.finish()
        if len(self._rows) >= self._pace.rows:
            self._step()
        return ()

    def finish(self) -> tuple[pa.RecordBatch, ...]:
        if self._rows:
            self._step()
        return (self.batch(),) if self._count else ()

    def batch(self) -> pa.RecordBatch:
        """The rows so far, of which there may be none; the next ones make another batch."""
        count, self._count = self._count, 0
        arrays = [column.end() for column in self._columns]
        self._first += count
        if self._schema is None:
            pairs = zip(self._names or [], arrays, strict=True)
            self._fix(arrow.schema([(name, array.type) for name, array in pairs]))
        if not arrays:
            # Without a column, only the rows of a struct tell how many there are.
            empty = cast("pa.StructArray", pa.array([{}] * count, pa.struct([])))
            return pa.RecordBatch.from_struct_array(empty)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _fix(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._names = schema.names
        self._columns = [_Known(field, self._declared) for field in schema]

    def _step(self) -> None:
        began = thread_time()
        rows, self._rows = self._rows, []
        first = self._first + self._count
        if self._names is None:
            self._names = _names(rows[0], first)
            self._columns = [_Inferred(name, first) for name in self._names]
        lists, misfit = _lists(rows, self._names, self._schema, self._declared, first, self._first)
        for column, values in zip(self._columns, lists, strict=True):
            found = column.add(values, first)
            if found is not None and (misfit is None or found.row < misfit.row):
                misfit = found
        if misfit is not None:
            raise misfit.error
        self._count += len(rows)
        self._pace.took(len(rows), thread_time() - began)


def batch_of_dicts(rows: Sequence[object], schema: pa.Schema | None) -> pa.RecordBatch:
    """A batch of rows that all have the same keys; with a schema, a key that is missing is a null.

    Parameters:
        schema: of the batch; None: it is inferred from the rows.

    Raises:
        SchemaError: a row is no mapping, has another set of keys, or a value of another type than its column.
        IntegerOverflowError: an int does not fit 64 bits.
    """
    items = DictItems(schema, len(rows) + 1)
    for row in rows:
        items.feed(row)
    given = items.finish()
    return given[0] if given else items.batch()


def column_of_values(name: str, values: list[object]) -> pa.Array[Any]:
    """A column of values, of the type that they tell.

    Raises:
        SchemaError, IntegerOverflowError: as of `batch_of_dicts`.
    """
    column = _Inferred(name, 0)
    column.add(values, 0)
    return column.end()


def _lists(
    rows: list[object],
    names: list[str],
    schema: pa.Schema | None,
    declared: bool,
    first: int,
    batch_first: int,
) -> tuple[list[list[object]], _Misfit | None]:
    """The values of each column, of the rows before one that has not the columns' keys.

    Parameters:
        first: number of the first row.
        batch_first: number of the one whose keys are the columns.
    """
    wanted = dict.fromkeys(names)
    columns: list[list[object]] = [[] for _ in names]
    for number, row in enumerate(rows, first):
        try:
            values = _checked(row, wanted, number, declared, schema, batch_first)
        except SchemaError as error:
            return columns, _Misfit(number, error)
        for column, name in zip(columns, names, strict=True):
            column.append(values.get(name))
    return columns, None


def _checked(
    row: object,
    wanted: dict[str, None],
    number: int,
    declared: bool,
    schema: pa.Schema | None,
    batch_first: int,
) -> Mapping[object, object]:
    if not isinstance(row, Mapping):
        raise SchemaError(f"row {number} is {describe(row)}, not a dict")
    values = cast("Mapping[object, object]", row)
    if values.keys() != wanted.keys():
        _check_keys(values, wanted, number, declared, schema, batch_first)
    return values


def _names(row: object, first: int) -> list[str]:
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


class _Known:
    """A column whose type is known."""

    __slots__ = ("_arrays", "_declared", "_field", "_pace")

    def __init__(self, field: pa.Field[Any], declared: bool) -> None:
        self._field = field
        self._declared = declared
        self._pace = Pace(_NESTED_ROWS if pt.is_nested(field.type) else STEP_ROWS)
        self._arrays: list[pa.Array[Any]] = []

    def add(self, values: list[object], first: int) -> _Misfit | None:
        """More values, of rows from number `first` on."""
        name, kind = self._field.name, self._field.type
        misfit: _Misfit | None = None
        try:
            array = _joined([arrow.array(part, kind) for part in self._pace.parts(values)], kind)
        except _CONVERSION_ERRORS as error:
            given = Gently(values)
            error = _failure(given, kind) or error
            misfit = _misfit(name, given, kind, self._declared, first, error)
            array = arrow.array(given.head(misfit.row - first), kind)
        if not self._field.nullable and array.null_count:
            row = first + array.is_null().index(True).as_py()
            text = f"row {row}: column {name!r} is null, in the schema it is not null"
            return _Misfit(row, SchemaError(text))
        self._arrays.append(array)
        return misfit

    def end(self) -> pa.Array[Any]:
        """The batch's column."""
        arrays, self._arrays = self._arrays, []
        return _joined(arrays, self._field.type)


class _Inferred:
    """A column whose values tell its type: that of `pa.array` of all of them.

    Only where the types of the steps do not tell the type of all, or a step by itself is refused, the values are kept, and all of
    them together decide.
    """

    __slots__ = ("_arrays", "_first", "_kept", "_kind", "_name", "_originals", "_pace")

    def __init__(self, name: str, first: int) -> None:
        self._name = name
        self._first = first
        self._pace = Pace(STEP_ROWS)
        self._arrays: list[pa.Array[Any]] = []
        # Of arrays that do not tell ints from floats or times, digits of decimals, or objects that stand for a time zone.
        self._originals: dict[int, list[object]] = {}
        self._kind: pa.DataType = pa.null()
        self._kept: Kept | None = None

    def add(self, values: list[object], first: int) -> _Misfit | None:
        """More values; which of them does not fit is told at the end."""
        for part in self._pace.parts(values):
            if self._kept is None and not self._takes(part):
                self._keep()
            if self._kept is not None:
                self._kept.add(part)
        return None

    def _takes(self, part: list[object]) -> bool:
        classes = {type(value) for value in part}
        if not classes.isdisjoint(_NESTED):
            self._pace.limit(_NESTED_ROWS)
        if not classes <= _CLASSES:
            return False
        try:
            array = arrow.array(part)
        except _CONVERSION_ERRORS:
            return False
        kind = common_type(self._kind, array.type)
        # Among bytes Arrow would encode a str.
        if kind is None or (kind == pa.binary() and str in classes):
            return False
        plain = _plain(kind)
        if not plain and pt.is_nested(kind):
            return False
        self._kind = kind
        if not plain or len(classes - {type(None)}) > 1:
            self._originals[len(self._arrays)] = part
        self._arrays.append(array)
        return True

    def _keep(self) -> Kept:
        """The values so far, or others that Arrow makes the same of, are kept from here on."""
        self._kept = Kept()
        for number, array in enumerate(self._arrays):
            if number in self._originals:
                self._kept.add(self._originals[number])
            else:
                self._kept.add_array(array)
        self._arrays, self._originals = [], {}
        return self._kept

    def end(self) -> pa.Array[Any]:
        """The batch's column."""
        kept = self._kept
        if kept is None:
            try:
                return _joined([widened(array, self._kind) for array in self._arrays], self._kind)
            except _CONVERSION_ERRORS:  # such as an int that no float is
                kept = self._keep()
        try:
            return self._all(kept)
        finally:
            kept.clear()

    def _all(self, values: Kept) -> pa.Array[Any]:
        name = self._name
        try:
            array = cast("pa.Array[Any]", arrow.array(values))
        except _CONVERSION_ERRORS as error:
            raise _misfit(name, values, None, False, self._first, error).error from None
        if array.type == pa.binary():
            for row, value in enumerate(values, self._first):
                if isinstance(value, str):
                    text = describe(value)
                    raise SchemaError(
                        f"row {row}: column {name!r} is {text}, other rows have bytes"
                    )
        return array


def _plain(kind: Any) -> bool:
    if pt.is_list(kind):
        return _plain(kind.value_type)
    if pt.is_struct(kind):
        return all(_plain(field.type) for field in kind)
    return kind in _PLAIN


def widened(array: Any, kind: Any) -> Any:
    """An array that `pa.array` made, as it would have made it of the common type of its own and others."""
    if array.type.equals(kind):
        return array
    if pt.is_list(kind) and pt.is_list(array.type):
        values = widened(array.values, kind.value_type)
        return arrow.ListArray.from_arrays(array.offsets, values, kind, mask=array.is_null())
    if pt.is_struct(kind) and pt.is_struct(array.type):
        given = {field.name: array.field(k) for k, field in enumerate(array.type)}
        parts = [
            widened(given[field.name], field.type)
            if field.name in given
            else pa.nulls(len(array), field.type)
            for field in kind
        ]
        return arrow.StructArray.from_arrays(parts, fields=list(kind), mask=array.is_null())
    return array.cast(kind)


def _joined(arrays: list[pa.Array[Any]], kind: pa.DataType) -> pa.Array[Any]:
    if len(arrays) == 1:
        return arrays[0]
    return arrow.concat_arrays(arrays) if arrays else arrow.array([], kind)


def _misfit(
    name: str,
    values: Gently,
    kind: pa.DataType | None,
    declared: bool,
    first: int,
    error: BaseException,
) -> _Misfit:
    """The first row whose value does not go into its column.

    Parameters:
        values: which Arrow refused, all together.
        first: row of the first of them.
    """
    low, high = 0, len(values)  # the first `low` values convert, the first `high` do not
    # Most often the one behind which Arrow asked for no other.
    guesses = [values.asked + 1, values.asked]
    while high - low > 1:
        middle = guesses.pop() if guesses else (low + high) // 2
        if not low < middle < high:
            continue
        found = _failure(values.head(middle), kind)
        if found is None:
            low = middle
        else:
            high, error = middle, found
    row = first + high - 1
    where = f"row {row}: column {name!r}"
    value = values[high - 1]
    if isinstance(error, OverflowError):
        text = f"{where} is {describe(value)}, which does not fit 64 bits"
        return _Misfit(row, IntegerOverflowError(text))
    reason = str(error).split("\n", 1)[0].rstrip(".")
    if kind is None:
        before = (
            "" if low == 0 else f", and is {arrow.array(values.head(low)).type} in the rows before"
        )
        text = f"{where} is {describe(value)}{before} ({reason}); declare schema="
        return _Misfit(row, SchemaError(text))
    fix = "" if declared else "; the first rows fixed that: declare schema="
    text = f"{where} is {describe(value)}, in the schema it is {kind} ({reason}){fix}"
    return _Misfit(row, SchemaError(text))


def _failure(values: Gently, kind: pa.DataType | None) -> BaseException | None:
    try:
        arrow.array(values, kind)
    except _CONVERSION_ERRORS as error:
        return error
    return None
