"""Sources that read files: one stream out of one file or many, of one schema, in the order of their names."""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sabot._batches import BatchIterator, Chooser, Progress, Source, cut
from sabot._conform import Conformer, arrow, column_names, differences, positions, project_schema
from sabot._errors import (
    DataError,
    PlanError,
    SchemaError,
    TypeMismatchError,
    UnknownColumnError,
    suggest,
)
from sabot._formats import CSV, IPC, JSON, PARQUET, Request, check_seekable, parquet_rows
from sabot._paths import resolve, title
from sabot._rows import check_schema, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sabot._formats import Format
    from sabot._paths import FileRef

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")
_NO_MATCH = re.compile(r"No match for FieldRef\.Name\((.*?)\)")


class FileSource(Source):
    """Files of one format. The schema is the declared one, or that of the first file that is not empty; the rest must fit it."""

    def __init__(
        self,
        format: Format,
        source: object,
        columns: Sequence[str] | None,
        batch_size: int | None,
        schema: pa.Schema | None,
        filters: object = None,
    ) -> None:
        check_size(batch_size)
        check_schema(schema)
        self._refs = resolve(source)
        super().__init__(f"{format.name} {title(source, self._refs)}")
        self._format = format
        self._batch_size = batch_size
        self._declared = schema is not None
        self._first = "the declared schema"
        self._columns = column_names(columns)
        borrowed = [ref.borrowed for ref in self._refs if ref.borrowed is not None]
        for ref in self._refs:
            check_seekable(format, ref)
        self.replayable = all(file.seekable is not False for file in borrowed)
        self._files_schema = schema
        if schema is None and all(file.trusted and file.seekable for file in borrowed):
            self._files_schema = self._read_schema()
        self._keys = self._key_fields()
        self._filter = None if filters is None else _expression(filters)
        self._filter_columns: list[str] = []
        full = self._full(self._files_schema)
        if full is not None:
            self.schema = project_schema(full, self._columns, self.text)
            if self._filter is not None:
                self._filter_columns = _columns_of(self._filter, full, self.text)
        if len(self._refs) == 1 and format is PARQUET and self._filter is None and full is not None:
            self.rows = parquet_rows(self._refs[0])

    # --- the schema

    def _read_schema(self) -> pa.Schema:
        for ref in self._refs:
            found = self._format.schema(ref)
            if found is not None:
                _check_text(found, ref)
                self._first = f"that of {ref.name}"
                return found
        what = self._refs[0].name if len(self._refs) == 1 else "every file"
        raise DataError(f"{what} is empty, so nothing tells the columns: declare schema=")

    def _key_fields(self) -> list[pa.Field[Any]]:
        """The columns that the folders' names give: int64 where every value is a whole number, otherwise string."""
        values: dict[str, list[str | None]] = {}
        for ref in self._refs:
            for key, value in ref.keys:
                values.setdefault(key, []).append(value)
        known = set() if self._files_schema is None else set(self._files_schema.names)
        fields: list[pa.Field[Any]] = []
        for key, found in values.items():
            if len(found) != len(self._refs):
                without = next(ref.name for ref in self._refs if key not in dict(ref.keys))
                raise PlanError(f"{without} is in no folder {key}=…, as other files are")
            if key in known:
                continue
            texts = [value for value in found if value is not None]
            whole = bool(texts) and all(_INTEGER.match(value) for value in texts)
            fields.append(pa.field(key, pa.int64() if whole else pa.string()))
        return fields

    def _full(self, files: pa.Schema | None) -> pa.Schema | None:
        if files is None:
            return None
        return arrow.schema([*files, *self._keys], files.metadata) if self._keys else files

    # --- a pass

    def _open(self, columns: Sequence[str] | None) -> BatchIterator:
        conform = Conformer(self.text, self.schema)
        wanted = self._columns if columns is None else list(columns)
        if columns is not None and self.schema is None and self._columns is not None:
            positions(columns, pa.schema([(name, pa.null()) for name in self._columns]), self.text)
        progress = Progress()
        return BatchIterator(self._batches(wanted, conform, progress), conform, progress=progress)

    def _batches(
        self, wanted: list[str] | None, known: Conformer, progress: Progress
    ) -> Iterator[pa.RecordBatch]:
        fixed = _Fixed(self._files_schema, self._first, self._declared)
        choose = Chooser(wanted, self.text)
        for ref, before, part in _shares(self._refs):

            def read(share: float | None, before: float = before, part: float = part) -> None:
                progress.share = None if share is None else before + part * share

            read(0.0)
            for batch in self._file(ref, fixed, wanted, read):
                if self._filter is not None:
                    pieces = _filtered(batch, self._filter)
                else:
                    pieces = [batch]
                for piece in pieces:
                    if piece.num_rows:
                        yield choose(piece)
        progress.share = 1.0
        if known.schema is None:
            full = self._full(fixed.schema)
            if full is not None:
                known.schema = project_schema(full, self._columns, self.text)

    def _file(
        self,
        ref: FileRef,
        fixed: _Fixed,
        wanted: list[str] | None,
        progress: Callable[[float | None], None],
    ) -> Iterator[pa.RecordBatch]:
        """The batches of one file with the columns that the pass needs, conformed and no larger than wanted."""
        fixed.ref = ref
        read, names = self._names(fixed.schema, wanted)
        request = Request(read, fixed.schema, fixed.check, progress, self._batch_size, self._filter)
        conform: Conformer | None = None
        for piece in self._format.batches(ref, request):
            for batch in cut(piece, self._batch_size):
                if conform is None:
                    if names is None:
                        _, names = self._names(fixed.schema, wanted)
                    assert fixed.schema is not None
                    schema = (
                        fixed.schema
                        if names is None
                        else project_schema(fixed.schema, names, self.text)
                    )
                    conform = Conformer(ref.name, schema)
                if names is not None and batch.schema.names != names:
                    batch = batch.select(positions(names, batch.schema, ref.name))
                yield self._with_keys(conform(batch), ref)

    def _names(
        self, files: pa.Schema | None, wanted: list[str] | None
    ) -> tuple[list[str] | None, list[str] | None]:
        """The columns to read of a file, twice the same; None for all of them, or where they are not known yet."""
        if files is None or wanted is None:
            return None, None
        filter_columns = self._filter_columns
        full = self._full(files)
        assert full is not None
        if self._filter is not None and not filter_columns:
            filter_columns = _columns_of(self._filter, full, self.text)
        positions(wanted, full, self.text)
        needed = {*wanted, *filter_columns}
        names = [name for name in files.names if name in needed]
        return names, names

    def _with_keys(self, batch: pa.RecordBatch, ref: FileRef) -> pa.RecordBatch:
        if not self._keys:
            return batch
        values = dict(ref.keys)
        arrays = [_constant(values[field.name], field.type, batch.num_rows) for field in self._keys]
        schema = arrow.schema([*batch.schema, *self._keys], batch.schema.metadata)
        return pa.RecordBatch.from_arrays([*batch.columns, *arrays], schema=schema)


class _Fixed:
    """The schema of the files of one pass, and the check of each file against it."""

    def __init__(self, schema: pa.Schema | None, origin: str, declared: bool) -> None:
        self.schema = schema
        self.ref: FileRef | None = None
        self._origin = origin
        self._declared = declared

    def check(self, given: pa.Schema, names_only: bool) -> None:
        assert self.ref is not None
        _check_text(given, self.ref)
        if self.schema is None:
            self.schema = given
            self._origin = f"that of {self.ref.name}"
            return
        if names_only and given.names == self.schema.names:
            return
        found = differences(given, self.schema)
        if found:
            fix = "" if self._declared else "; declare it with schema="
            raise SchemaError(
                f"{self.ref.name} does not fit the schema, {self._origin}: {'; '.join(found)}{fix}"
            )


def _shares(refs: list[FileRef]) -> Iterator[tuple[FileRef, float, float]]:
    """Each file with the share of all bytes that lies before it, and its own; all alike where a size is not known."""
    sizes = [ref.size for ref in refs]
    weights = [1 if None in sizes else size or 0 for size in sizes]
    total, before = sum(weights) or 1, 0
    for ref, weight in zip(refs, weights, strict=True):
        yield ref, before / total, weight / total
        before += weight


def _check_text(schema: pa.Schema, ref: FileRef) -> None:
    for place in range(len(schema)):
        try:
            schema.field(place).name.encode()
        except UnicodeError:
            raise DataError(f"{ref.name}: the name of column {place} is not UTF-8") from None


def _constant(value: str | None, kind: pa.DataType, rows: int) -> pa.Array[Any]:
    if value is None:
        return arrow.nulls(rows, kind)
    scalar: Any = pa.scalar(int(value), kind) if kind == pa.int64() else pa.scalar(value, kind)
    return cast("pa.Array[Any]", pa.repeat(scalar, rows))


# --- filters


def _expression(filters: object) -> Any:
    dataset = importlib.import_module("pyarrow.dataset")
    if isinstance(filters, dataset.Expression):
        return filters
    if not isinstance(filters, list | tuple):
        raise PlanError(
            f"filters={filters!r}: it is a list of (column, operator, value), or a pyarrow expression"
        )
    try:
        return importlib.import_module("pyarrow.parquet").filters_to_expression(filters)
    except (pa.ArrowException, TypeError, ValueError, KeyError, IndexError) as error:
        raise PlanError(f"filters={filters!r}: {error}") from error


def _columns_of(expression: Any, schema: pa.Schema, what: str) -> list[str]:
    """The columns that an expression reads: those without which it does not bind."""
    _bind(expression, schema, what)
    found: list[str] = []
    for place, name in enumerate(schema.names):
        try:
            _scan(expression, schema.remove(place), [])
        except pa.ArrowInvalid:
            found.append(name)
    return found


def _bind(expression: Any, schema: pa.Schema, what: str) -> None:
    try:
        _scan(expression, schema, [])
    except pa.ArrowException as error:
        missing = _NO_MATCH.search(str(error))
        if missing is not None:
            name = missing.group(1)
            raise UnknownColumnError(
                f"filters: {what} has no column {name!r}{suggest(name, schema.names)}"
            ) from None
        raise TypeMismatchError(f"filters: {error}") from error


def _scan(expression: Any, schema: pa.Schema, batches: list[pa.RecordBatch]) -> Any:
    scanner = importlib.import_module("pyarrow.dataset").Scanner
    return scanner.from_batches(batches, schema=schema, filter=expression, use_threads=False)


def _filtered(batch: pa.RecordBatch, expression: Any) -> list[pa.RecordBatch]:
    table: pa.Table = _scan(expression, batch.schema, [batch]).to_table()
    return table.combine_chunks().to_batches()


# --- what users call


def from_parquet(
    path: object,
    columns: Sequence[str] | None = None,
    filters: object = None,
    batch_size: int | None = None,
    schema: pa.Schema | None = None,
) -> Source:
    """A source over Parquet files, read row group by row group: never more than one row group's columns are in memory.

    Parameters:
        path: a path, a glob (`**` goes through folders), a directory, a file object, an fsspec URL, or a list of these. A
            directory's files are read in the order of their names, without those that begin with a dot or an underscore; its
            key=value folders are columns, int64 where every value is a whole number, otherwise string.
        columns: names of the columns to read, in the order wanted; None for all.
        filters: keeps the rows for which it is true: a list of (column, operator, value), or a pyarrow expression. Row
            groups whose statistics rule it out are not read.
        batch_size: most rows of a batch; None is 65,536.
        schema: of the files' columns; None: that of the first file. A file may have a column of type null, or of a type that
            this one widens.

    Raises:
        MissingFileError: there is no such file, or none that matches; also a FileNotFoundError.
        UnknownColumnError: a name is no column.
        DataError: a file is not Parquet.
        SchemaError: from a pass, where a file does not fit the schema; it names the file, the columns and both types.
    """
    return FileSource(PARQUET, path, columns, batch_size, schema, filters)


def from_csv(
    path: object,
    columns: Sequence[str] | None = None,
    batch_size: int | None = None,
    schema: pa.Schema | None = None,
) -> Source:
    """A source over CSV files with a line of names, read block by block; .gz, .bz2, .zst and .lz4 are unpacked.

    Parameters:
        path, columns: as of `from_parquet`.
        batch_size: most rows of a batch; None: as many as there are in a block of 1 MiB.
        schema: of the files' columns; None: the first block tells, and is not asked again.

    Raises:
        As from_parquet does; DataError from a pass, where a value is not of its column's type.
    """
    return FileSource(CSV, path, columns, batch_size, schema)


def from_json(
    path: object,
    columns: Sequence[str] | None = None,
    batch_size: int | None = None,
    schema: pa.Schema | None = None,
) -> Source:
    """A source over files of one JSON object a line, read block by block; .gz, .bz2, .zst and .lz4 are unpacked.

    A key that an object has not is null; one that the schema has not is an error, unless `columns` are chosen.

    Parameters:
        path, columns, batch_size, schema: as of `from_csv`.

    Raises:
        As from_csv does.
    """
    return FileSource(JSON, path, columns, batch_size, schema)


def from_ipc(
    path: object,
    columns: Sequence[str] | None = None,
    batch_size: int | None = None,
    schema: pa.Schema | None = None,
) -> Source:
    """A source over files of Arrow's IPC format, also called Feather, in its file or its stream form.

    Parameters:
        path, columns, schema: as of `from_parquet`.
        batch_size: most rows of a batch; None keeps the file's own.

    Raises:
        As from_parquet does.
    """
    return FileSource(IPC, path, columns, batch_size, schema)
