"""Record functions of `map` and `flat_map` in CPython: what one call gives as columns, and batches made row by row where the engine
cannot.

Threads: that of the run. Failed rows end the run, or are recorded, one by one, as the engine does it with its rows.
"""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.types as pt

from sabot._conform import arrow
from sabot._dicts import column_of_values
from sabot._errorlog import row_text
from sabot._errors import CastError, DataError, IntegerOverflowError, SabotError, SchemaError
from sabot._rows import describe
from sabot._values import python_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from sabot._derive import Transform
    from sabot._lane import BatchBinding, Failure
    from sabot._piece import Piece
    from sabot._returns import Given
    from sabot._run import RunContext
    from sabot._stream import Stream

    Row: TypeAlias = dict[str, object]

_ROWS_MAX = 65536  # records that are gathered to a batch, or more by those of one row
_CONVERSION_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)


def record_of(result: object, name: str) -> Mapping[str, object]:
    """What a record function returned, by column.

    Raises:
        DataError: it is no dict, dataclass or NamedTuple.
    """
    if isinstance(result, dict):
        return cast("Mapping[str, object]", result)
    fields: Any = getattr(type(result), "_fields", None)
    if isinstance(result, tuple) and isinstance(fields, tuple):
        return dict(zip(cast("tuple[str, ...]", fields), cast("Any", result), strict=True))
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return {one.name: getattr(result, one.name) for one in dataclasses.fields(result)}
    hint = ""
    if result is None:
        hint = "; to drop rows use filter"
    elif isinstance(result, (bool, int, float, str)):
        hint = "; for a new column use with_columns(name=fn)"
    raise DataError(
        f"{name} returned {describe(result)}; a map function of a row returns a dict, dataclass or NamedTuple{hint}"
    )


def results_of(
    fn: Callable[[Row], object], name: str, given: Given
) -> Callable[[Row], tuple[object, ...]]:
    """The function with the results that are computed as a tuple; what is passed on is not looked at."""
    results = given.results
    names = frozenset(given.names)
    wanted = frozenset(results) & names

    def call(row: Row) -> tuple[object, ...]:
        record = record_of(fn(row), name)
        if not wanted <= record.keys() <= names:
            raise _other_keys(record, name, given.names, wanted)
        return tuple(map(record.get, results))

    return call


def _other_keys(
    record: Mapping[str, object], name: str, names: Sequence[str], wanted: frozenset[str]
) -> DataError:
    more = [key for key in record if key not in names]
    less = [key for key in names if key not in record and key in wanted]
    what = f"has no {_listed(less)}" if less else f"has {_listed(more)} too"
    return DataError(
        f"{name} returned a record that {what}: every row gives the columns {_listed(names)}"
    )


def _listed(names: Sequence[object]) -> str:
    return ", ".join(map(repr, names[:8])) + (", …" if len(names) > 8 else "")


class _Gathered(NamedTuple):
    """What rows gave: records, the row of the batch that each is of, and the rows that failed."""

    records: list[Row]
    origins: list[int]
    failed: dict[int, BaseException]


class RowMap:
    """A record function over batches, for one run.

    Columns that are passed on are the batch's own. The types of the others are those of `schema`; without it those of the first batch
    that has rows, by `pyarrow.array`'s rules.
    """

    def __init__(
        self, fn: Callable[[Row], object], name: str, given: Given | None, schema: pa.Schema | None
    ) -> None:
        self._fn = fn
        self._name = name
        self._given = given
        self._schema = schema
        self._passed = given.passed if given is not None else {}
        self._names = None if given is None else given.names
        if schema is not None:
            self._names = tuple(schema.names)

    def fresh(self) -> RowMap:
        """The same for another run."""
        return RowMap(self._fn, self._name, self._given, self._schema)

    def __call__(
        self,
        binding: BatchBinding,
        batch: pa.RecordBatch,
        place: tuple[int, int],
        rows: Sequence[int],
        failures: list[Failure],
    ) -> Any:
        """The batch that comes of a batch; None when a row ended the run, which `failures` says then; False where none is left of it.

        place: the operator's number and the batch's. rows: of the source, -1 where one is not known.
        """
        failed: dict[int, BaseException] = {}
        records = self._records(batch, failed, binding.on_error != 0)
        made: Any = False
        try:
            made = self._made(batch, records, failed, binding.on_error)
        except SabotError as error:  # of all rows together
            failed = {0: error}
            binding = binding._replace(on_error=0)
        if failed and not binding.on_error:
            index = min(failed)
            failures.append(_failure(binding, batch, place, rows[index], index, failed[index]))
            return None
        for index in sorted(failed):
            _record(binding, batch, place, rows[index], index, failed[index])
        return made

    def _records(
        self, batch: pa.RecordBatch, failed: dict[int, BaseException], goes_on: bool
    ) -> list[Row | None]:
        """What the function gives for each row; None for those that failed, and for those behind where it stopped."""
        records: list[Row | None] = []
        for index, row in enumerate(_rows_of(batch)):
            try:
                if isinstance(row, Exception):
                    raise row
                records.append(self._checked(self._fn(row)))
            except Exception as error:
                failed[index] = error
                records.append(None)
                if not goes_on:
                    break
        return records + [None] * (batch.num_rows - len(records))

    def _checked(self, result: object) -> Row:
        """A row's record, with the columns that all rows have."""
        record = record_of(result, self._name)
        if self._names is None:
            for key in record:
                if type(cast("object", key)) is not str:
                    raise DataError(
                        f"{self._name} returned a record with the key {describe(key)}; a column's name is a str"
                    )
            if not record:
                raise DataError(f"{self._name} returned a record without columns")
            self._names = tuple(record)
        if record.keys() != dict.fromkeys(self._names).keys():
            raise _other_keys(record, self._name, self._names, frozenset(self._names))
        return cast("Row", record)

    def flattened(
        self, binding: BatchBinding, piece: Piece, number: int
    ) -> Iterator[pa.RecordBatch]:
        """All rows that a function of `flat_map` gives for the rows of a piece; what fails ends it behind the rows before.

        A row that is skipped is skipped whole.
        """
        batch = piece.batch
        rows = [piece.source_row(index) for index in range(batch.num_rows)]
        given = _Gathered([], [], {})
        for index, row in enumerate(_rows_of(batch)):
            try:
                if isinstance(row, Exception):
                    raise row
                records = [self._checked(one) for one in _records_of(self._fn(row), self._name)]
            except Exception as error:
                given.failed[index] = error
                if not binding.on_error:
                    break
                continue
            given.records.extend(records)
            given.origins.extend([index] * len(records))
            if len(given.records) >= _ROWS_MAX:
                yield from self._flushed(binding, batch, number, rows, given)
                given = _Gathered([], [], {})
        yield from self._flushed(binding, batch, number, rows, given)

    def _flushed(
        self,
        binding: BatchBinding,
        batch: pa.RecordBatch,
        number: int,
        rows: Sequence[int],
        given: _Gathered,
    ) -> Iterator[pa.RecordBatch]:
        """What was gathered as a batch; then the failures among it."""
        records, origins, failed = given
        try:
            columns = self._fitting(records, origins, failed)
        except SabotError as error:  # of all rows together
            error.add_note(f"in {binding.place.text}: batch {number}")
            raise
        if not binding.on_error and failed:
            first = min(failed)
            count = sum(origin < first for origin in origins)
            if count:
                columns = self._fitting(records[:count], origins[:count], failed)
                yield self._batch(columns, batch.schema)
            failure = _failure(binding, batch, (0, number), rows[first], first, failed[first])
            assert binding.log is not None
            binding.log.end_at(number, rows[first])
            raise failure.error
        for index in sorted(failed):
            _record(binding, batch, (0, number), rows[index], index, failed[index])
        if failed:
            kept = [k for k, origin in enumerate(origins) if origin not in failed]
            records, origins = [records[k] for k in kept], [origins[k] for k in kept]
            columns = self._fitting(records, origins, failed)
        if records:
            yield self._batch(columns, batch.schema)

    def _fitting(
        self, records: Sequence[Row], origins: Sequence[int], failed: dict[int, BaseException]
    ) -> dict[str, Any]:
        """The columns of records; rows whose records do not fit are added to `failed`."""
        columns: dict[str, Any] = {}
        for name in self._names or ():
            wrong: dict[int, BaseException] = {}
            columns[name] = self._column(name, [one[name] for one in records], wrong)
            for k, error in wrong.items():
                failed.setdefault(origins[k], error)
        return columns

    def _batch(self, columns: dict[str, Any], given: pa.Schema) -> pa.RecordBatch:
        if self._schema is None:
            fields = [pa.field(name, column.type) for name, column in columns.items()]
            self._schema = pa.schema(fields, cast("Any", given.metadata))
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=self._schema)

    # Columns

    def _made(
        self,
        batch: pa.RecordBatch,
        records: list[Row | None],
        failed: dict[int, BaseException],
        on_error: int,
    ) -> pa.RecordBatch | bool:
        """The columns of the rows that did not fail; those whose values do not fit are added to `failed`."""
        names = self._names
        if names is None:  # no row came to its end
            if failed and on_error == 1:
                raise SchemaError(
                    f"{self._name} failed in every row of its first batch, so its columns are not known; declare schema="
                )
            return False
        columns: dict[str, Any] = {}
        for name in names:
            if name not in self._passed:
                values = [None if one is None else one[name] for one in records]
                columns[name] = self._column(name, values, failed)
        if failed and on_error == 0:
            return False
        if self._schema is None:
            self._schema = self._told(batch, columns)
        places: list[int | None] = [
            None if index in failed else index for index in range(len(records))
        ]
        for name, source in self._passed.items():
            column: Any = batch.column(source)
            lost = failed and on_error == 1
            columns[name] = column.take(pa.array(places, pa.int64())) if lost else column
        arrays = [columns[name] for name in names]
        made = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        if failed and on_error == 2:
            made = made.take(pa.array([one for one in places if one is not None], pa.int64()))
        return made

    def _told(self, batch: pa.RecordBatch, columns: dict[str, Any]) -> pa.Schema:
        given: Any = batch.schema
        fields: list[pa.Field[Any]] = [
            given.field(self._passed[name]).with_name(name).with_nullable(True)
            if name in self._passed
            else pa.field(name, columns[name].type)
            for name in self._names or ()
        ]
        return pa.schema(fields, given.metadata)

    def _column(self, name: str, values: list[object], failed: dict[int, BaseException]) -> Any:
        """The values as a column; of rows that have failed they are None."""
        if self._schema is None:
            return column_of_values(name, values)
        field = self._schema.field(name)
        title = f"{self._name}[{name!r}]"
        for index, value in enumerate(values):
            if index in failed:
                continue
            if (error := _misfit(title, value, field)) is not None:
                failed[index] = error
                values[index] = None
        try:
            return arrow.array(values, field.type)
        except _CONVERSION_ERRORS:
            return _one_by_one(title, values, field.type, failed)


def _one_by_one(
    title: str, values: list[object], kind: pa.DataType, failed: dict[int, BaseException]
) -> Any:
    """A column some of whose values pyarrow does not take."""
    for index, value in enumerate(values):
        try:
            arrow.array([value], kind)
        except _CONVERSION_ERRORS as error:
            reason = str(error).split("\n", 1)[0]
            failed.setdefault(
                index,
                CastError(
                    f"{title} returned {describe(value)}, but its column is {kind} ({reason})"
                ),
            )
            values[index] = None
    return arrow.array(values, kind)


def _failure(
    binding: BatchBinding,
    batch: pa.RecordBatch,
    place: tuple[int, int],
    source_row: int,
    index: int,
    error: BaseException,
) -> Failure:
    """A row's failure that ends the run, with where it was."""
    from sabot._lane import Failure

    op, seq = place
    row = f"row {source_row}" if source_row >= 0 else "a row"
    error.add_note(
        f"in {binding.place.text}: operator {op}, batch {seq}, {row}: {row_text(batch, index)}"
    )
    return Failure(op, -1, source_row, seq, error, binding.log, source_row)


def _record(
    binding: BatchBinding,
    batch: pa.RecordBatch,
    place: tuple[int, int],
    source_row: int,
    index: int,
    error: BaseException,
) -> None:
    """Records a row that failed and does not end the run."""
    assert binding.log is not None
    binding.log.add(
        error,
        binding.place.text,
        lambda: row_text(batch, index),
        (place[0], -1, place[1], source_row),
        binding.dead_letter,
    )


def flat_map(given: BatchBinding, parent: Stream) -> Transform:
    """All rows that a record function gives for each row of the parent."""

    def transform(inputs: Sequence[Iterator[Piece]], context: RunContext) -> Iterator[Piece]:
        from sabot._lane import recording
        from sabot._piece import Piece

        log = context.errors.stage(parent, transform, lambda row: row)
        binding: BatchBinding = recording(given, log)
        assert binding.rows is not None
        for number, piece in enumerate(inputs[0]):
            for batch in binding.rows.flattened(binding, piece, number):
                yield Piece(batch)

    return transform


def _records_of(made: object, name: str) -> Iterator[object]:
    """The records of what a function of `flat_map` returned; a generator is closed with them."""
    single = isinstance(made, (Mapping, str, bytes)) or hasattr(made, "_fields")
    if single or not isinstance(made, Iterable):
        hint = "; no rows are an empty list" if made is None else ""
        raise DataError(
            f"{name} returned {describe(made)}; a flat_map function of a row returns an iterable of dicts, such as a list, "
            f"or yields them{hint}"
        )
    records = iter(cast("Iterable[object]", made))
    try:
        yield from records
    finally:
        if (close := getattr(records, "close", None)) is not None:
            close()


def _rows_of(batch: pa.RecordBatch) -> Iterator[Row | Exception]:
    """The rows as dicts; for one with a value that Python cannot hold, the exception."""
    try:
        yield from list(chain.from_iterable(python_lists(batch)))
        return
    except Exception:
        pass
    for index in range(batch.num_rows):
        try:
            yield batch.slice(index, 1).to_pylist()[0]
        except Exception as error:
            yield error


def _misfit(title: str, value: object, field: pa.Field[Any]) -> CastError | None:
    """Why a value that pyarrow would take is no value of a column; None where it is, or pyarrow says."""
    kind = field.type
    is_bool = isinstance(value, bool)
    if value is None:
        wrong = not field.nullable
    elif pt.is_integer(kind):
        wrong = is_bool or isinstance(value, float)
    elif pt.is_floating(kind):
        if isinstance(value, int) and not is_bool and abs(value) > 2**53:
            return IntegerOverflowError(
                f"{title} returned {describe(value)}, which does not fit a double exactly (beyond 2**53)"
            )
        wrong = is_bool
    else:
        wrong = pt.is_string(kind) and not isinstance(value, str)
    if not wrong:
        return None
    wanted = f"{kind}, not null" if value is None else str(kind)
    return CastError(f"{title} returned {describe(value)}, but its column is {wanted}")
