"""The four file formats, each as a writer of record batches: Parquet, CSV, newline-delimited JSON, Arrow IPC.

A format knows which types it holds (`check`, before anything is written) and opens a writer on a sink. To append to a file
means to write its old content again, then the new: the new file takes the place of the old one whole.

Threads: a writer belongs to one thread at a time. Memory: a Parquet writer holds at most one row group, of at most
`_GROUP_SIZE_MAX` bytes unless `row_group_size` says otherwise; a JSON writer the text of `_JSON_ROWS` rows.
"""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, cast

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sabot._errors import DataError, PlanError, SchemaError, TypeMismatchError, suggest
from sabot._json import encode, joined, json_array, json_text, json_type

pc: Any = pyarrow.compute  # its stubs lack some functions

if TYPE_CHECKING:
    from collections.abc import Iterable

_GROUP_ROWS = 1 << 17
_GROUP_SIZE_MAX = 64 << 20
_JSON_ROWS = 8192
_COPY_SIZE = 1 << 20
_SAMPLE_ROWS = 8192


class Writer(Protocol):
    """One open file. `finish` or `abort` ends it; the sink stays open."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def size(self) -> int:
        """About how many bytes the file would have if it ended now."""
        ...

    def flush(self) -> None:
        """Writes what is held in memory."""
        ...

    def finish(self) -> None: ...

    def abort(self) -> None: ...


class Format(Protocol):
    """How a kind of file is written."""

    name: str
    extension: str

    def check(self, schema: pa.Schema) -> None:
        """Raises TypeMismatchError for the first column that cannot be held."""
        ...

    def open(self, sink: Any, schema: pa.Schema, old: str | None) -> Writer:
        """Starts a file, with what the file `old` has in it if given."""
        ...


def nbytes(batch: pa.RecordBatch) -> int:
    """The bytes a batch refers to; for types that cannot say, those of its buffers."""
    try:
        return batch.nbytes
    except (pa.ArrowException, NotImplementedError):
        return batch.get_total_buffer_size()


def same_columns(old: pa.Schema, new: pa.Schema, path: str) -> None:
    """Raises SchemaError unless rows of `new` can follow rows of `old`."""
    if not old.equals(new):
        difference = schema_difference(old, new)
        raise SchemaError(f"rows cannot be appended to {path!r}: {difference}")


def schema_difference(there: pa.Schema, given: pa.Schema) -> str:
    """What two schemas differ in, in words."""
    parts: list[str] = []
    names = set(given.names)
    missing = [name for name in there.names if name not in names]
    more = [name for name in given.names if name not in set(there.names)]
    if missing:
        parts.append(f"missing {', '.join(map(repr, missing))}")
    if more:
        parts.append(f"not expected {', '.join(map(repr, more))}")
    for field in there:
        if field.name in names and given.names.count(field.name) == 1:
            other = given.field(field.name)
            if other.type != field.type:
                parts.append(f"{field.name!r} is {other.type}, not {field.type}")
            elif other.nullable != field.nullable:
                words = ("cannot be null", "can be null")
                parts.append(
                    f"{field.name!r} {words[other.nullable]}, there it {words[field.nullable]}"
                )
    return "; ".join(parts) or f"the columns come as {given.names}, not {there.names}"


def _codec(compression: str | None, known: Iterable[str]) -> Any:
    """The codec's name, checked; None: not compressed."""
    if compression is None:
        return None
    name = str(compression).lower()
    names = [*known]
    if name in ("none", "uncompressed"):
        return None
    if name not in names:
        raise PlanError(
            f"compression={compression!r} is not known here{suggest(name, [*names, 'none'])}"
        )
    return name


# --- Parquet


class ParquetFormat:
    """Parquet; the Arrow schema is kept in the file."""

    name = "Parquet"
    extension = ".parquet"

    def __init__(self, compression: str | None, row_group_size: int | None) -> None:
        known = ("snappy", "gzip", "brotli", "zstd", "lz4")
        self._codec = _codec(compression, known) or "none"
        self._rows = row_group_size

    def check(self, schema: pa.Schema) -> None:
        for field in schema:
            one = pa.schema([field.with_nullable(True)])
            try:
                writer = pq.ParquetWriter(pa.BufferOutputStream(), one)
            except (pa.ArrowException, NotImplementedError) as error:
                raise TypeMismatchError(
                    f"column {field.name!r} is {field.type}, which Parquet cannot hold: "
                    "cast or drop it, or write Arrow IPC"
                ) from error
            writer.close()

    def open(self, sink: Any, schema: pa.Schema, old: str | None) -> Writer:
        writer = _ParquetOut(sink, schema, self._codec, self._rows)
        if old is not None:
            try:
                with pq.ParquetFile(old) as file:
                    same_columns(file.schema_arrow, _as_read(schema), old)
                    for batch in file.iter_batches():
                        writer.write(_as_given(batch, schema))
            except BaseException:
                writer.abort()
                raise
        return writer


def _as_read(schema: pa.Schema) -> pa.Schema:
    """A schema as it comes back from a file: some types do not, as seconds, which become milliseconds."""
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, schema).close()
    return pq.read_schema(pa.BufferReader(sink.getvalue()))


def _as_given(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns: list[Any] = []
    for column, field in zip(batch.columns, schema, strict=True):
        given: Any = column
        if isinstance(field.type, pa.DictionaryType) and given.type != field.type:
            given = given.dictionary_encode()
        columns.append(given if given.type == field.type else given.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _ParquetOut:
    """Gathers batches to row groups: a batch is no reason for a row group of its own."""

    def __init__(self, sink: Any, schema: pa.Schema, codec: Any, rows: int | None) -> None:
        self._sink = sink
        self._schema = schema
        self._codec = codec
        self._writer: Any = None  # until the first rows tell how they are best kept
        self._group_rows = rows or _GROUP_ROWS
        self._group_size = _GROUP_SIZE_MAX if rows is None else None
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._size = 0

    def write(self, batch: pa.RecordBatch) -> None:
        while batch.num_rows:
            piece = batch.slice(0, self._group_rows - self._rows)
            batch = batch.slice(piece.num_rows)
            self._held.append(piece)
            self._rows += piece.num_rows
            self._size += nbytes(piece)
            full = self._group_size is not None and self._size >= self._group_size
            if full or self._rows == self._group_rows:
                self.flush()

    def flush(self) -> None:
        if self._held:
            held, self._held, self._rows, self._size = self._held, [], 0, 0
            table = pa.Table.from_batches(held, self._schema)
            self._begin(table)
            self._writer.write_table(table, row_group_size=self._group_rows)

    def _begin(self, first: pa.Table) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._sink,
                self._schema,
                compression=self._codec,
                use_dictionary=_with_dictionary(first),
            )

    def size(self) -> int:
        return self._sink.tell() + self._size

    def finish(self) -> None:
        self.flush()
        self._begin(self._schema.empty_table())
        self._writer.close()

    def abort(self) -> None:
        if self._writer is None:
            return
        try:
            self._writer.close()
        except Exception:
            self._writer.is_open = False  # or it would try again when it is collected


def _with_dictionary(table: pa.Table) -> Any:
    """The columns that a file keeps as a dictionary and numbers into it: all but numbers and times of which few repeat.

    A dictionary of such makes writing several times slower, and the file no smaller.
    """
    plain = {
        field.name
        for field, column in zip(table.schema, table.columns, strict=True)
        if _is_number(field.type) and not _repeats(column.slice(0, _SAMPLE_ROWS))
    }
    if not plain:
        return True
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, table.schema).close()
    leaves = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    paths = [leaves.column(k).path for k in range(len(leaves))]
    return [path for path in paths if path not in plain]


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind)


def _repeats(sample: pa.ChunkedArray[Any]) -> bool:
    return len(sample) < _SAMPLE_ROWS or pc.count_distinct(sample).as_py() * 2 <= len(sample)


# --- text: CSV and JSON


def text_codec(compression: str | None, path: str | None) -> Any:
    """The codec of a text file; "infer" tells it from the file's name."""
    if not isinstance(compression, str) or compression != "infer":
        return _codec(compression, ("gzip", "bz2", "zstd", "lz4", "brotli"))
    for end, name in _CODEC_OF_NAME.items():
        if path is not None and path.endswith(end):
            return name
    return None


_CODEC_OF_NAME = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4", ".br": "brotli"}


class _Compressed:
    """A sink, compressed or not, that can be finished without closing what is below it."""

    def __init__(self, sink: Any, codec: Any) -> None:
        self._raw = sink
        below: Any = _Open(sink)
        self.sink: Any = sink if codec is None else pa.CompressedOutputStream(below, codec)

    def size(self) -> int:
        return self._raw.tell()

    def finish(self) -> None:
        if self.sink is not self._raw:
            self.sink.close()

    def abort(self) -> None:
        with suppress(OSError, pa.ArrowException):
            self.finish()


class _Open:
    """Passes bytes on to a sink and does not pass on that it is closed."""

    closed = False

    def __init__(self, sink: Any) -> None:
        self._sink = sink

    def write(self, data: Any) -> int:
        self._sink.write(data)
        return len(data)

    def flush(self) -> None:
        self._sink.flush()

    def close(self) -> None:
        self.closed = True


def _copy_text(old: str, codec: Any, sink: Any) -> None:
    """Copies the text of a file and ends its last line."""
    last = b"\n"
    with pa.input_stream(old, compression=codec) as source:
        while data := source.read(_COPY_SIZE):
            sink.write(data)
            last = data[-1:]
    if last != b"\n":
        sink.write(b"\n")


def _empty_text(old: str, codec: Any) -> bool:
    with pa.input_stream(old, compression=codec) as source:
        return not source.read(1)


class CsvFormat:
    """CSV as RFC 4180 has it; null is an empty field, an empty string is `""`."""

    name = "CSV"

    def __init__(self, codec: Any, separator: str, header: bool) -> None:
        given: Any = separator
        if not isinstance(given, str) or len(given) != 1 or given in '"\r\n\0' or ord(given) > 127:
            raise PlanError(f"separator={separator!r}: it is one ASCII character, not a quote")
        if not isinstance(cast("object", header), bool):
            raise PlanError(f"include_header={header!r}: it is True or False")
        self._codec = codec
        self._separator = separator
        self._header = header
        self.extension = ".csv" + _end_of_codec(codec)

    def check(self, schema: pa.Schema) -> None:
        for field in schema:
            if _csv_type(field.type) is None:
                raise TypeMismatchError(
                    f"column {field.name!r} is {field.type}, which CSV cannot hold: "
                    "cast it to string, drop it, or write Parquet or JSON"
                )

    def open(self, sink: Any, schema: pa.Schema, old: str | None) -> Writer:
        if old is not None and _empty_text(old, self._codec):
            old = None
        if old is not None and self._header:
            self._check_header(old, schema)
        out = _Compressed(sink, self._codec)
        try:
            if old is not None:
                _copy_text(old, self._codec, out.sink)
            options = pa_csv.WriteOptions(
                include_header=self._header and old is None, delimiter=self._separator
            )
            return _CsvOut(out, schema, options)
        except BaseException:
            out.abort()
            raise

    def _check_header(self, old: str, schema: pa.Schema) -> None:
        with pa.input_stream(old, compression=self._codec) as source:
            options = pa_csv.ParseOptions(delimiter=self._separator, newlines_in_values=True)
            file: Any = source
            with pa_csv.open_csv(file, parse_options=options) as reader:
                there = reader.schema.names
        if there != schema.names:
            raise SchemaError(
                f"rows cannot be appended to {old!r}: its header names {there}, not {schema.names}"
            )


def _end_of_codec(codec: Any) -> str:
    return next((end for end, name in _CODEC_OF_NAME.items() if name == codec), "")


def _csv_type(type_: pa.DataType) -> pa.DataType | None:
    """What a column is cast to before it is written; None: CSV does not hold it."""
    if isinstance(type_, pa.DictionaryType):
        return _csv_type(type_.value_type)
    if pa.types.is_run_end_encoded(type_):
        return _csv_type(type_.value_type)
    if type_ == pa.string_view():
        return pa.large_string()
    if _is_binary(type_):
        return pa.large_string()
    if isinstance(type_, pa.BaseExtensionType) or pa.types.is_nested(type_):
        return None
    return None if pa.types.is_interval(type_) else type_


def _is_binary(type_: pa.DataType) -> bool:
    types = pa.types
    return (
        types.is_binary(type_)
        or types.is_large_binary(type_)
        or types.is_fixed_size_binary(type_)
        or type_ == pa.binary_view()
    )


class _CsvOut:
    def __init__(self, out: _Compressed, schema: pa.Schema, options: Any) -> None:
        self._out = out
        plain: list[Any] = [(field.name, _csv_type(field.type)) for field in schema]
        self._schema = pa.schema(plain)
        self._writer: Any = pa_csv.CSVWriter(out.sink, self._schema, write_options=options)
        self._row = 0

    def write(self, batch: pa.RecordBatch) -> None:
        columns = [
            self._text(name, column) if _is_binary(column.type) else plain_array(column, type_)
            for name, column, type_ in zip(
                self._schema.names, batch.columns, self._schema.types, strict=True
            )
        ]
        self._row += batch.num_rows
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def _text(self, name: str, column: Any) -> pa.Array:
        try:
            return column.cast(pa.large_binary()).cast(pa.large_string())
        except pa.ArrowInvalid:
            for row, value in enumerate(column.to_pylist(), self._row):
                try:
                    (value or b"").decode()
                except UnicodeDecodeError:
                    raise DataError(
                        f"column {name!r} has bytes that are no UTF-8 in row {row}, which CSV cannot hold: "
                        "encode them as text, or write Parquet"
                    ) from None
            raise

    def size(self) -> int:
        return self._out.size()

    def flush(self) -> None:
        pass  # nothing is held

    def finish(self) -> None:
        self._writer.close()
        self._out.finish()

    def abort(self) -> None:
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._out.abort()


def plain_array(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """An array as another type, dictionaries and runs written out."""
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
        return plain_array(array, type_)
    if pa.types.is_run_end_encoded(array.type):
        return plain_array(pc.run_end_decode(array), type_)
    return array if array.type == type_ else array.cast(type_)


class JsonFormat:
    """JSON, one object a line.

    Dates and times are ISO 8601 strings, decimals strings, durations counts of their unit, maps lists of key and value.
    """

    name = "JSON"

    def __init__(self, codec: Any) -> None:
        self._codec = codec
        self.extension = ".jsonl" + _end_of_codec(codec)

    def check(self, schema: pa.Schema) -> None:
        seen: set[str] = set()
        for field in schema:
            if json_type(field.type) is None:
                raise TypeMismatchError(
                    f"column {field.name!r} is {field.type}, which JSON cannot hold: "
                    "cast it to string, drop it, or write Parquet"
                )
            if field.name in seen:
                raise SchemaError(f"two columns are named {field.name!r}: rename one for JSON")
            seen.add(field.name)

    def open(self, sink: Any, schema: pa.Schema, old: str | None) -> Writer:
        out = _Compressed(sink, self._codec)
        if old is not None:
            try:
                _copy_text(old, self._codec, out.sink)
            except BaseException:
                out.abort()
                raise
        return _JsonOut(out, schema)


class _JsonOut:
    def __init__(self, out: _Compressed, schema: pa.Schema) -> None:
        self._out = out
        self._names = schema.names
        self._row = 0

    def write(self, batch: pa.RecordBatch) -> None:
        for start in range(0, batch.num_rows, _JSON_ROWS):
            self._write(batch.slice(start, _JSON_ROWS))

    def _write(self, batch: pa.RecordBatch) -> None:
        parts: list[Any] = []
        try:
            for name, column in zip(self._names, batch.columns, strict=True):
                parts += [("," if parts else "{") + encode(name) + ":", json_text(column)]
        except ValueError:
            columns = [json_array(column) for column in batch.columns]
            error = self._not_finite(columns)
            if error is None:
                raise
            raise error from None
        if parts:
            # The bytes of a text column without nulls lie one after the other: they are the lines.
            lines: Any = joined([*parts, "}\n"])
            self._out.sink.write(lines.buffers()[2])
        else:
            self._out.sink.write(b"{}\n" * batch.num_rows)
        self._row += batch.num_rows

    def _not_finite(self, columns: list[list[Any]]) -> DataError | None:
        for name, column in zip(self._names, columns, strict=True):
            for row, value in enumerate(column):
                if _has_not_finite(value):
                    return DataError(
                        f"column {name!r} has {value!r} in row {self._row + row}, which JSON cannot "
                        "hold: make it null, or write Parquet or CSV"
                    )
        return None

    def size(self) -> int:
        return self._out.size()

    def flush(self) -> None:
        pass  # nothing is held

    def finish(self) -> None:
        self._out.finish()

    def abort(self) -> None:
        self._out.abort()


def _has_not_finite(value: Any) -> bool:
    stack = [value]
    while stack:
        inner = stack.pop()
        if isinstance(inner, float) and not math.isfinite(inner):
            return True
        if isinstance(inner, dict):
            stack.extend(inner.values())
        elif isinstance(inner, list):
            stack.extend(inner)
    return False


# --- Arrow IPC


class IpcFormat:
    """Arrow IPC, as a file (with a footer, for random access) or as a stream; it holds every type."""

    name = "Arrow IPC"

    def __init__(self, compression: str | None, layout: str) -> None:
        self._codec = _codec(compression, ("lz4", "zstd"))
        if not isinstance(cast("object", layout), str) or layout not in ("file", "stream"):
            raise PlanError(f'format={layout!r}: it is "file" or "stream"')
        self._file = layout == "file"
        self.extension = ".arrow" if self._file else ".arrows"

    def check(self, schema: pa.Schema) -> None:
        pass

    def open(self, sink: Any, schema: pa.Schema, old: str | None) -> Writer:
        writer = _IpcOut(sink, schema, self._codec, self._file)
        if old is not None:
            try:
                self._copy(old, schema, writer)
            except BaseException:
                writer.abort()
                raise
        return writer

    def _copy(self, old: str, schema: pa.Schema, writer: _IpcOut) -> None:
        with pa.memory_map(old) as source:
            if self._file:
                with pa.ipc.open_file(source) as reader:
                    same_columns(reader.schema, schema, old)
                    for index in range(reader.num_record_batches):
                        writer.write(reader.get_batch(index))
            else:
                with pa.ipc.open_stream(source) as reader:
                    same_columns(reader.schema, schema, old)
                    for batch in reader:
                        writer.write(batch)


class _IpcOut:
    """A file has one dictionary a column, which may only grow; a stream may replace it."""

    def __init__(self, sink: Any, schema: pa.Schema, codec: Any, file: bool) -> None:
        self._sink = sink
        self._schema = schema
        options = pa.ipc.IpcWriteOptions(compression=codec, emit_dictionary_deltas=file)
        make = pa.ipc.new_file if file else pa.ipc.new_stream
        self._writer: Any = make(sink, schema, options=options)
        self._file = file
        self._dictionaries: dict[int, pa.Array] = {}

    def write(self, batch: pa.RecordBatch) -> None:
        columns: list[pa.Array] = batch.columns
        if self._file:
            columns = [self._grown(index, column) for index, column in enumerate(columns)]
        batch = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        try:
            self._writer.write_batch(batch)
        except pa.ArrowInvalid as error:
            if "ictionary" not in str(error):
                raise
            raise DataError(
                "a dictionary inside another type changes between batches, which an Arrow IPC "
                'file cannot hold: write format="stream", or decode the column'
            ) from error

    def _grown(self, index: int, column: pa.Array) -> pa.Array:
        """A dictionary column with indices into all that was in its column's dictionaries so far."""
        if not isinstance(column, pa.DictionaryArray):
            return column
        known = self._dictionaries.get(index)
        mine = column.dictionary
        if known is None or known.equals(mine):
            self._dictionaries[index] = mine
            return column
        new = mine.filter(pc.invert(pc.is_in(mine, value_set=known)))
        grown = pa.concat_arrays([known, new.unique()]) if len(new) else known
        self._dictionaries[index] = grown
        place = pc.index_in(mine, value_set=grown)
        indices = pc.take(place, column.indices)
        type_: Any = column.type
        try:
            indices = indices.cast(type_.index_type)
        except pa.ArrowInvalid as error:
            name = self._schema.field(index).name
            raise DataError(
                f"the dictionaries of column {name!r} have {len(grown)} values together, more than "
                f'{type_.index_type} can count: write format="stream", or widen the indices'
            ) from error
        return pa.DictionaryArray.from_arrays(indices, grown, ordered=type_.ordered)

    def size(self) -> int:
        return self._sink.tell()

    def flush(self) -> None:
        pass  # nothing is held

    def finish(self) -> None:
        self._writer.close()

    def abort(self) -> None:
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
