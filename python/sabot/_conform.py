"""Schemas of a stream's batches: which change is accepted, which columns are wanted, and the errors that say what is not.

A stream's schema is fixed before its first batch or by it. A later batch has the same columns in the same order; a column of
type null becomes any type, and a column whose every value the fixed type can hold is widened. Everything else is refused.
"""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import pyarrow as pa
import pyarrow.types as pt

from sabot._errors import PlanError, SchemaError, UnknownColumnError, suggest

arrow: Any = pa  # the stubs refuse some of what its functions take

# The bits that a whole number of a type needs at most, and the whole numbers that a float type holds without a gap.
_SIGNED: dict[pa.DataType, int] = {pa.int8(): 7, pa.int16(): 15, pa.int32(): 31, pa.int64(): 63}
_UNSIGNED: dict[pa.DataType, int] = {
    pa.uint8(): 8,
    pa.uint16(): 16,
    pa.uint32(): 32,
    pa.uint64(): 64,
}
_FLOATS: dict[pa.DataType, int] = {pa.float16(): 11, pa.float32(): 24, pa.float64(): 53}
_DECIMAL128_DIGITS_MAX, _DECIMAL_DIGITS_MAX = 38, 76
_TIME_UNITS = {"s": 0, "ms": 1, "us": 2, "ns": 3}


def widens(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether every value of type `given` is a value of type `wanted`; null widens to every type.

    >>> widens(pa.int32(), pa.float64()), widens(pa.int64(), pa.float64())
    (True, False)
    """
    if given.equals(wanted) or pt.is_null(given):
        return True
    return (
        _widens_number(given, wanted)
        or _widens_text(given, wanted)
        or _widens_time(given, wanted)
        or _widens_nested(given, wanted)
    )


def _widens_number(given: pa.DataType, wanted: pa.DataType) -> bool:
    if given in _UNSIGNED:
        bits = _UNSIGNED[given]
        return bits <= max(_UNSIGNED.get(wanted, 0), _SIGNED.get(wanted, 0), _FLOATS.get(wanted, 0))
    if given in _SIGNED:
        return _SIGNED[given] <= max(_SIGNED.get(wanted, 0), _FLOATS.get(wanted, 0))
    if given in _FLOATS:
        return _FLOATS[given] <= _FLOATS.get(wanted, 0)
    if pt.is_decimal(given) and pt.is_decimal(wanted):
        # The stubs do not narrow through is_decimal.
        one, other = cast("Any", given), cast("Any", wanted)
        whole = int(one.precision) - int(one.scale)
        return (
            given.bit_width <= wanted.bit_width
            and one.scale <= other.scale
            and whole <= int(other.precision) - int(other.scale)
        )
    return False


def _text_rank(kind: pa.DataType) -> tuple[str, int] | None:
    """What a type of bytes holds, and how far its offsets reach: small, view, large."""
    for family, small, large in (
        ("text", pt.is_string, pt.is_large_string),
        ("bytes", pt.is_binary, pt.is_large_binary),
    ):
        if small(kind):
            return family, 0
        if large(kind):
            return family, 2
    name = str(kind)
    if name in ("string_view", "binary_view"):
        return ("text" if name == "string_view" else "bytes"), 1
    return ("bytes", -1) if pt.is_fixed_size_binary(kind) else None


def _widens_text(given: pa.DataType, wanted: pa.DataType) -> bool:
    one, other = _text_rank(given), _text_rank(wanted)
    return one is not None and other is not None and one[0] == other[0] and one[1] < other[1]


def _widens_time(given: pa.DataType, wanted: pa.DataType) -> bool:
    if pt.is_date32(given):
        return pt.is_date64(wanted)
    if pt.is_time(given) and pt.is_time(wanted):
        # A time of day fits at every unit; timestamps and durations reach less far at a finer one.
        one, other = cast("Any", given), cast("Any", wanted)
        return _TIME_UNITS[one.unit] <= _TIME_UNITS[other.unit]
    return False


def _widens_nested(given: pa.DataType, wanted: pa.DataType) -> bool:
    one, other = cast("Any", given), cast("Any", wanted)
    if pt.is_struct(given) and pt.is_struct(wanted):
        fields = [(one.field(k), other.field(k)) for k in range(one.num_fields)]
        return one.num_fields == other.num_fields and all(
            a.name == b.name and _widens_field(a, b) for a, b in fields
        )
    if pt.is_map(given) and pt.is_map(wanted):
        return widens(one.key_type, other.key_type) and widens(one.item_type, other.item_type)
    if pt.is_list(given) or pt.is_fixed_size_list(given):
        lists = pt.is_large_list(wanted) or pt.is_list(wanted)
    elif pt.is_large_list(given):
        lists = pt.is_large_list(wanted)
    else:
        lists = False
    if pt.is_fixed_size_list(given) and pt.is_fixed_size_list(wanted):
        lists = one.list_size == other.list_size
    if lists:
        return _widens_field(one.value_field, other.value_field)
    if pt.is_dictionary(given) and pt.is_dictionary(wanted):
        return (
            one.ordered == other.ordered
            and widens(one.index_type, other.index_type)
            and widens(one.value_type, other.value_type)
        )
    return False


def _widens_field(given: pa.Field[Any], wanted: pa.Field[Any]) -> bool:
    return (wanted.nullable or not given.nullable) and widens(given.type, wanted.type)


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that `pa.array` infers of values of two inferred types together; None where the types alone do not tell.

    >>> common_type(pa.list_(pa.int64()), pa.list_(pa.float64()))
    ListType(list<item: double>)
    """
    if one.equals(other) or pt.is_null(other):
        return one
    if pt.is_null(one):
        return other
    a, b = cast("Any", one), cast("Any", other)
    if {a, b} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pt.is_list(a) and pt.is_list(b):
        item = common_type(a.value_type, b.value_type)
        return None if item is None else pa.list_(item)
    if pt.is_struct(a) and pt.is_struct(b):
        return _common_struct(a, b)
    if pt.is_decimal(a) and pt.is_decimal(b):
        scale = max(a.scale, b.scale)
        precision = max(a.precision - a.scale, b.precision - b.scale) + scale
        if precision > _DECIMAL_DIGITS_MAX:
            return None
        make = pa.decimal128 if precision <= _DECIMAL128_DIGITS_MAX else pa.decimal256
        return cast("pa.DataType", make(precision, scale))
    return None


def _common_struct(one: Any, other: Any) -> pa.DataType | None:
    kinds: dict[str, pa.DataType] = {field.name: field.type for field in one}
    for field in other:
        kind = common_type(kinds.get(field.name, pa.null()), field.type)
        if kind is None:
            return None
        kinds[field.name] = kind
    return cast("pa.DataType", arrow.struct(list(kinds.items())))


def differences(given: pa.Schema, wanted: pa.Schema) -> list[str]:
    """What keeps batches of schema `given` from a stream of schema `wanted`, column by column; empty where nothing does."""
    found: list[str] = []
    for name in wanted.names:
        if name not in given.names:
            kind = wanted.types[wanted.names.index(name)]
            found.append(f"column {name!r} ({kind}) is missing")
    for name, kind in zip(given.names, given.types, strict=True):
        if name not in wanted.names:
            found.append(f"column {name!r} ({kind}) is not in the schema")
    if found:
        return found
    if given.names != wanted.names:
        here, there = ", ".join(given.names), ", ".join(wanted.names)
        return [f"the columns are {here}, in the schema they are {there}"]
    return [
        f"column {name!r} is {one}, in the schema it is {other}"
        for name, one, other in zip(wanted.names, given.types, wanted.types, strict=True)
        if not widens(one, other)
    ]


def conformed(
    batch: pa.RecordBatch, schema: pa.Schema, message: Callable[[list[str]], str]
) -> pa.RecordBatch:
    """A batch with a schema: null columns take its types, others are widened without loss.

    Raises:
        SchemaError: it cannot have the schema; `message` says so, given what keeps it from that.
    """
    found = differences(batch.schema, schema)
    if found:
        raise SchemaError(message(found))
    columns = [
        _conformed_column(field, column, message)
        for field, column in zip(schema, batch.columns, strict=True)
    ]
    if not columns:
        return batch
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _conformed_column(
    field: pa.Field[Any], column: pa.Array[Any], message: Callable[[list[str]], str]
) -> pa.Array[Any]:
    if not field.nullable and column.null_count:
        raise SchemaError(
            message([f"column {field.name!r} has nulls, in the schema it is not null"])
        )
    if column.type.equals(field.type):
        return column
    if pt.is_null(column.type):
        return cast("pa.Array[Any]", pa.nulls(len(column), field.type))
    try:
        return cast("pa.Array[Any]", column.cast(field.type))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        problem = f"column {field.name!r} is {column.type}, in the schema it is {field.type}"
        raise SchemaError(message([f"{problem} ({error})"])) from error


def _ints_as_floats(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with its int64 columns as the doubles of a schema, where these are the same numbers."""
    if batch.schema.names != schema.names:
        return batch
    columns: list[Any] = []
    for column, kind in zip(batch.columns, schema.types, strict=True):
        made: Any = column
        if pt.is_int64(column.type) and pt.is_float64(kind):
            with contextlib.suppress(pa.ArrowInvalid):  # beyond 2**53: conformed() says so
                made = made.cast(kind)
        columns.append(made)
    return pa.RecordBatch.from_arrays(columns, schema.names)


class Conformer:
    """Brings every batch of one pass to one schema, which is given or is that of the first batch.

    >>> to = Conformer("a list", pa.schema([("a", pa.int64())]))
    >>> to(pa.record_batch({"a": pa.array([1], pa.int8())})).schema.field("a").type
    DataType(int64)
    """

    __slots__ = ("_declared", "_seen", "_told", "_what", "schema")

    def __init__(
        self, what: str, schema: pa.Schema | None, declared: bool = True, told: bool = False
    ) -> None:
        self.schema = schema
        self._told = (
            told  # by what a function computes: floats may come as ints, where a batch has no other
        )
        self._what = what
        self._declared = declared and schema is not None
        self._seen = 0

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with the fixed schema: itself where it has it. Raises SchemaError where it cannot have it."""
        number = self._seen
        self._seen += 1
        if self.schema is None:
            self.schema = batch.schema
            return batch
        if batch.schema.equals(self.schema, check_metadata=True):
            return batch
        if self._told:
            batch = _ints_as_floats(batch, self.schema)
        return conformed(batch, self.schema, lambda found: self._message(number, found))

    def _message(self, number: int, found: list[str]) -> str:
        fix = (
            "" if self._declared else "; the first batch fixed the schema: declare it with schema="
        )
        return f"batch {number} of {self._what} does not fit the schema: {'; '.join(found)}{fix}"


def column_names(columns: object) -> list[str] | None:
    """The names that were asked for; None for all columns. Raises PlanError where they are no names, or one comes twice."""
    if columns is None:
        return None
    if isinstance(columns, str):
        raise PlanError(f"columns={columns!r}: it is a list of names, such as [{columns!r}]")
    if not isinstance(columns, Sequence) or isinstance(columns, bytes | bytearray | memoryview):
        raise PlanError(f"columns={columns!r}: it is a list of names")
    names: list[str] = []
    for name in cast("Sequence[object]", columns):
        if not isinstance(name, str):
            raise PlanError(f"columns={columns!r}: a column's name is a str, not {name!r}")
        if name in names:
            raise PlanError(f"columns={columns!r}: {name!r} is wanted twice")
        names.append(name)
    return names


def positions(columns: Sequence[str], schema: pa.Schema, what: str) -> list[int]:
    """Where the wanted columns stand in a schema.

    Raises:
        UnknownColumnError: one is not there.
        PlanError: several columns have that name, or it is wanted twice.
    """
    found: list[int] = []
    names = schema.names
    for name in column_names(columns) or []:
        if name not in names:
            raise UnknownColumnError(f"{what} has no column {name!r}{suggest(name, names)}")
        if names.count(name) > 1:
            raise PlanError(f"{what} has {names.count(name)} columns named {name!r}")
        found.append(names.index(name))
    return found


def project(batch: pa.RecordBatch, places: list[int] | None) -> pa.RecordBatch:
    """The columns of a batch at some places; all of them where `places` is None."""
    return batch if places is None else batch.select(places)


def project_schema(schema: pa.Schema, columns: Sequence[str] | None, what: str) -> pa.Schema:
    """The schema of some columns of a schema."""
    if columns is None:
        return schema
    fields = [schema.field(place) for place in positions(columns, schema, what)]
    return arrow.schema(fields, schema.metadata)
