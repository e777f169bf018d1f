"""How one file of each format is read: its schema, and its batches in order, never more than a row group or a block at once."""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot._errors import DataError, PlanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sabot._paths import FileRef

_BLOCK_BYTES = 1 << 20
_READ_BYTES = 1 << 16
BATCH_ROWS = 65536


class Request(NamedTuple):
    """What is wanted of a file.

    columns: names, in the file's order; None for all. A reader may give more of them, and in another order.
    schema: what the columns are to be; None: what the file says.
    check: called with the file's schema, before its first batch; raises where that does not fit. `names_only`: its types are
        only guesses.
    filter: an expression; row groups that it drops whole may be left out.
    read: called with the share of the file that was read; None where that is not known.
    """

    columns: list[str] | None
    schema: pa.Schema | None
    check: Callable[[pa.Schema, bool], None]
    read: Callable[[float | None], None]
    batch_size: int | None = None
    filter: Any = None


class Format(NamedTuple):
    """A format of files: its name, how the schema is read (None: the file is empty), and how the batches are."""

    name: str
    schema: Callable[[FileRef], pa.Schema | None]
    batches: Callable[[FileRef, Request], Iterator[pa.RecordBatch | pa.Table]]
    needs_seek: bool = False


def _load(name: str) -> Any:
    # These modules load slowly, and a program that reads no files does without them.
    return importlib.import_module(f"pyarrow.{name}")


# --- Parquet


def _parquet_file(file: Any, buffer_size: int = 0) -> Any:
    return _load("parquet").ParquetFile(file, pre_buffer=False, buffer_size=buffer_size)


def _parquet_schema(ref: FileRef) -> pa.Schema:
    with ref.opened() as file, ref.naming():
        return _parquet_file(file).schema_arrow


def parquet_rows(ref: FileRef) -> int:
    """The number of rows, as the file's footer tells it."""
    with ref.opened() as file, ref.naming():
        return int(_parquet_file(file).metadata.num_rows)


def _parquet_batches(ref: FileRef, request: Request) -> Iterator[pa.RecordBatch]:
    with ref.opened() as file, ref.naming():
        check_seekable(PARQUET, ref)
        # A local file's columns are read as they are decoded. Of a distant one each read may take a way there and back.
        local = isinstance(file, pa.OSFile)
        reader = _parquet_file(file, _READ_BYTES if local else 0)
        request.check(reader.schema_arrow, False)
        groups = _groups(file, reader, request)
        rows = sum(reader.metadata.row_group(group).num_rows for group in groups)
        done = 0
        for group in groups:
            # One row group at a time, on this thread, without reading ahead: the memory that a file needs has a bound.
            for batch in reader.iter_batches(
                batch_size=request.batch_size or BATCH_ROWS,
                row_groups=[group],
                columns=request.columns,
                use_threads=False,
            ):
                done += batch.num_rows
                request.read(done / rows)
                yield batch


def _groups(file: Any, reader: Any, request: Request) -> list[int]:
    """The row groups whose statistics do not rule out that the filter keeps a row."""
    everything = list(range(reader.num_row_groups))
    if request.filter is None or len(everything) == 0:
        return everything
    try:
        fragment = _load("dataset").ParquetFileFormat().make_fragment(file)
        kept = fragment.subset(filter=request.filter, schema=reader.schema_arrow).row_groups
        return sorted(int(group.id) for group in kept)
    except pa.ArrowException:
        # Statistics of a type that the filter cannot compare; the filter itself runs on what is read.
        return everything


# --- CSV


def _csv_reader(file: Any, types: pa.Schema | None, columns: list[str] | None) -> Any:
    csv = _load("csv")
    convert = csv.ConvertOptions(
        column_types={} if types is None else dict(zip(types.names, types.types, strict=True)),
        include_columns=columns,
    )
    try:
        return csv.open_csv(
            file,
            read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            convert_options=convert,
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return None
        raise


def _csv_schema(ref: FileRef) -> pa.Schema | None:
    with ref.opened(decompress=True) as file, ref.naming():
        reader = _csv_reader(file, None, None)
        if reader is None:
            return None
        with reader:
            return reader.schema


def _csv_batches(ref: FileRef, request: Request) -> Iterator[pa.RecordBatch]:
    columns = request.columns
    if columns is not None and not ref.borrowed:
        # Which columns there are is told by reading all of them; one block is enough.
        with ref.opened(decompress=True) as file, ref.naming():
            reader = _csv_reader(file, request.schema, None)
            if reader is None:
                return
            with reader:
                request.check(reader.schema, True)
                columns = columns or reader.schema.names[:1]
    else:
        columns = None
    with ref.opened(decompress=True) as file, ref.naming():
        reader = _csv_reader(file, request.schema, columns)
        if reader is None:
            return
        with reader:
            if columns is None:
                request.check(reader.schema, True)
            for number, batch in enumerate(reader):
                # The reader is many blocks ahead.
                request.read(ref.share(file, (number + 1) * _BLOCK_BYTES))
                yield batch


# --- JSON


def _json_blocks(ref: FileRef, file: Any) -> Iterator[bytes]:
    """The file in pieces that end with a line."""
    pieces: list[bytes] = []
    first = True
    while data := cast("bytes", file.read(_BLOCK_BYTES)):
        if first and data.strip():
            first = False
            if data.lstrip().startswith(b"["):
                raise DataError(
                    f"{ref.name} holds one array; from_json reads one object a line "
                    "(from_dicts(json.load(file)) takes an array of objects)"
                )
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join((*pieces, data[:end]))
            pieces.clear()
        if end < len(data):
            pieces.append(data[end:])
    if pieces:
        yield b"".join(pieces)


def _json_table(block: bytes, schema: pa.Schema | None, unexpected: str) -> pa.Table:
    json = _load("json")
    return json.read_json(
        pa.BufferReader(block),
        read_options=json.ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior=unexpected
        ),
    )


def _json_schema(ref: FileRef) -> pa.Schema | None:
    with ref.opened(decompress=True) as file, ref.naming():
        for block in _json_blocks(ref, file):
            if block.strip():
                return _json_table(block, None, "infer").schema
    return None


def _json_batches(ref: FileRef, request: Request) -> Iterator[pa.Table]:
    schema, unexpected = request.schema, "error"
    if schema is not None and request.columns is not None:
        wanted = [field for field in schema if field.name in request.columns]
        schema, unexpected = pa.schema(wanted or [schema.field(0)]), "ignore"
    with ref.opened(decompress=True) as file, ref.naming():
        line = 1
        for block in _json_blocks(ref, file):
            if not block.strip():
                line += block.count(b"\n")
                continue
            if schema is None:
                schema = _json_table(block, None, "infer").schema
                request.check(schema, True)
            request.read(ref.share(file))
            try:
                yield _json_table(block, schema, unexpected)
            except pa.ArrowInvalid as error:
                last = line + block.rstrip().count(b"\n")
                lines = f"lines {line} to {last}" if last > line else f"line {line}"
                _explain_json(block, schema, request)
                raise DataError(f"{ref.name}, {lines}: {error}") from error
            line += block.count(b"\n")


def _explain_json(block: bytes, schema: pa.Schema, request: Request) -> None:
    """Raises the error that names the columns which the first block had not; returns where that is not the reason."""
    try:
        given = _json_table(block, None, "infer").schema
    except pa.ArrowException:
        return
    if set(given.names) - set(schema.names):
        kinds = dict(zip(given.names, given.types, strict=True))
        fields = [field for field in schema if field.name not in kinds]
        request.check(pa.schema([*given, *fields]), True)


# --- Arrow IPC


def _ipc_reader(file: Any, columns: list[str] | None) -> Any:
    ipc = _load("ipc")
    is_file = False
    if file.seekable():
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
    make = ipc.open_file if is_file else ipc.open_stream
    reader = make(file, options=ipc.IpcReadOptions(use_threads=False))
    if columns is None or not is_file:
        return reader
    places = [reader.schema.get_field_index(name) for name in columns]
    if -1 in places or not places:
        return reader
    return make(file, options=ipc.IpcReadOptions(use_threads=False, included_fields=places))


def _ipc_schema(ref: FileRef) -> pa.Schema:
    with ref.opened() as file, ref.naming():
        return _ipc_reader(file, None).schema


def _ipc_batches(ref: FileRef, request: Request) -> Iterator[pa.RecordBatch]:
    with ref.opened() as file, ref.naming():
        if request.columns is not None and not ref.borrowed:
            request.check(_ipc_reader(file, None).schema, False)
            file.seek(0)
            reader = _ipc_reader(file, request.columns)
        else:
            reader = _ipc_reader(file, None)
            request.check(reader.schema, False)
        if hasattr(reader, "get_batch"):
            for number in range(reader.num_record_batches):
                request.read((number + 1) / reader.num_record_batches)
                yield reader.get_batch(number)
        else:
            for batch in reader:
                request.read(ref.share(file))
                yield batch


PARQUET = Format("PARQUET", _parquet_schema, _parquet_batches, needs_seek=True)
CSV = Format("CSV", _csv_schema, _csv_batches)
JSON = Format("JSON", _json_schema, _json_batches)
IPC = Format("IPC", _ipc_schema, _ipc_batches)


def check_seekable(format: Format, ref: FileRef) -> None:
    """Refuses a file object that cannot seek, where the format needs it."""
    borrowed = ref.borrowed
    if format.needs_seek and borrowed is not None and borrowed.seekable is False:
        raise PlanError(
            f"{ref.name} cannot seek, which {format.name} needs: io.BytesIO(file.read()) can"
        )
