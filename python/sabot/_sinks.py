"""Batches into files: `write_parquet`, `write_csv`, `write_json`, `write_ipc`.

All four take batches and a schema (None: that of the first batch), read them to the end or to the first error, and close the
iterator exactly once. A file appears whole or not at all; so does a folder, except that an unbounded stream, which has no
end, adds one whole file after another. File objects and fsspec URLs have no rename: what is written there before an error
stays, without the end that would make it a valid Parquet or IPC file, unless the file system of the URL can discard it.

A folder holds `part-00000.parquet` and so on, with `partition_by` under `key=value` (Hive's layout; names and values are
percent-encoded, null is `__HIVE_DEFAULT_PARTITION__`), as pyarrow.dataset reads it back. A folder is written when
`partition_by` or a `roll_*` is given, the path ends in `/`, or a folder is there. Overwriting one replaces it as a whole, and
is refused if it holds anything else than such files.

Threads: `roll_seconds` uses one thread more, so that a file is finished on time even if the next batch never comes.
"""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from sabot._errors import (
    DataError,
    PlanError,
    SchemaError,
    StateError,
    UnboundedError,
    suggest,
)
from sabot._folders import Folder, Plan, Roll
from sabot._optional import need
from sabot._place import NewFile, exists_error, sweep
from sabot._results import WriteResult
from sabot._writers import (
    CsvFormat,
    IpcFormat,
    JsonFormat,
    ParquetFormat,
    schema_difference,
    text_codec,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from sabot._folders import Mode
    from sabot._writers import Format, Writer

    Target: TypeAlias = str | os.PathLike[str] | Any

_MODES = ("overwrite", "append", "error")


# --- the four


def write_parquet(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema | None,
    path: Target,
    *,
    mode: Mode = "overwrite",
    compression: str | None = "zstd",
    row_group_size: int | None = None,
    partition_by: str | Sequence[str] | None = None,
    bounded: bool = True,
    roll_rows: int | None = None,
    roll_bytes: int | None = None,
    roll_seconds: float | None = None,
) -> WriteResult:
    """Writes batches to a Parquet file, or to a folder of them.

    Parameters:
        batches: read to the end; closed once, also after an error.
        schema: of the batches; None takes that of the first.
        path: a file or folder, an fsspec URL, or a binary file object.
        mode: "overwrite"; "append" adds rows to a file (which is written anew) or files to a folder; "error" if there
            is something.
        compression: "zstd", "snappy", "gzip", "brotli", "lz4" or "none".
        row_group_size: most rows of a row group; None: up to 131,072 rows or 64 MiB.
        partition_by: columns whose values become folders.
        bounded: False for a stream without end, which needs a roll_* setting.
        roll_rows: rows of a file, exactly; the last has fewer.
        roll_bytes: about how large a file may become.
        roll_seconds: how long a file may be written to.

    Raises:
        PlanError: settings that do not go together, a folder that holds other files.
        TypeMismatchError: a column's type that the format cannot hold.
        TargetExistsError: mode="error" and something is there.
        SchemaError: a batch with another schema; append to a file with another schema.
        OSError: the file system's; what was there before stays.
    """
    with _reading(batches) as rows:
        _positive("row_group_size", row_group_size)
        plan = _plan(
            ParquetFormat(compression, row_group_size),
            path,
            mode,
            partition_by,
            bounded,
            (roll_rows, roll_bytes, roll_seconds),
        )
        return _write(rows, schema, plan)


def write_csv(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema | None,
    path: Target,
    *,
    mode: Mode = "overwrite",
    compression: str | None = "infer",
    separator: str = ",",
    include_header: bool = True,
    partition_by: str | Sequence[str] | None = None,
    bounded: bool = True,
    roll_rows: int | None = None,
    roll_bytes: int | None = None,
    roll_seconds: float | None = None,
) -> WriteResult:
    """Writes batches to a CSV file, or to a folder of them; null is an empty field, an empty string is `""`.

    Parameters:
        compression: "gzip", "bz2", "zstd", "lz4", "brotli" or "none"; "infer" goes by the end of the path.
        separator: the character between fields.
        include_header: whether the first line has the columns' names.

    The others, and errors, are those of `write_parquet`.
    """
    with _reading(batches) as rows:
        codec = text_codec(compression, _text_of(path))
        plan = _plan(
            CsvFormat(codec, separator, include_header),
            path,
            mode,
            partition_by,
            bounded,
            (roll_rows, roll_bytes, roll_seconds),
        )
        return _write(rows, schema, plan)


def write_json(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema | None,
    path: Target,
    *,
    mode: Mode = "overwrite",
    compression: str | None = "infer",
    partition_by: str | Sequence[str] | None = None,
    bounded: bool = True,
    roll_rows: int | None = None,
    roll_bytes: int | None = None,
    roll_seconds: float | None = None,
) -> WriteResult:
    """Writes batches as JSON, one object a line, or to a folder of such files.

    Dates and times are ISO 8601 strings (with a time zone: in UTC), decimals strings, durations counts of their unit, maps
    lists of `{"key": ..., "value": ...}`. NaN and infinities are a DataError: JSON has none. A file without rows is empty
    and has no schema. The parameters, and errors, are those of `write_csv`.
    """
    with _reading(batches) as rows:
        codec = text_codec(compression, _text_of(path))
        plan = _plan(
            JsonFormat(codec),
            path,
            mode,
            partition_by,
            bounded,
            (roll_rows, roll_bytes, roll_seconds),
        )
        return _write(rows, schema, plan)


def write_ipc(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema | None,
    path: Target,
    *,
    mode: Mode = "overwrite",
    format: Literal["file", "stream"] = "file",
    compression: str | None = None,
    partition_by: str | Sequence[str] | None = None,
    bounded: bool = True,
    roll_rows: int | None = None,
    roll_bytes: int | None = None,
    roll_seconds: float | None = None,
) -> WriteResult:
    """Writes batches to an Arrow IPC file, or to a folder of them; every type is kept.

    Parameters:
        format: "file" (with a footer; also called Feather) or "stream".
        compression: "lz4", "zstd" or None.

    The others, and errors, are those of `write_parquet`.
    """
    with _reading(batches) as rows:
        plan = _plan(
            IpcFormat(compression, format),
            path,
            mode,
            partition_by,
            bounded,
            (roll_rows, roll_bytes, roll_seconds),
        )
        return _write(rows, schema, plan)


# --- what was asked for


def _plan(
    format: Format,
    path: Target,
    mode: str,
    by: str | Sequence[str] | None,
    bounded: bool,
    roll: tuple[int | None, int | None, float | None],
) -> Plan:
    if not isinstance(mode, str) or mode not in _MODES:  # pyright: ignore
        raise PlanError(f"mode={mode!r} is not known{suggest(str(mode), _MODES)}")
    for name, value in zip(("roll_rows", "roll_bytes", "roll_seconds"), roll, strict=True):
        _positive(name, value)
    keys: Any = () if by is None else (by,) if isinstance(by, str) else by
    if not isinstance(keys, (tuple, list)) or not all(isinstance(key, str) for key in keys):
        raise PlanError(f"partition_by={by!r}: it is a name of a column or a list of them")
    keys = tuple(keys)
    if len(set(keys)) < len(keys):
        raise PlanError(f"partition_by={list(keys)}: a column is named twice")
    plan = Plan(format, _target(path), mode, keys, Roll(*roll), bounded)  # pyright: ignore
    if not bounded and not plan.roll:
        raise UnboundedError(
            "an unbounded stream never finishes one file: add roll_rows=, roll_bytes= or roll_seconds=, "
            "or limit(n)"
        )
    if not isinstance(plan.path, str) or "://" in plan.path:
        folder = "partition_by" if keys else "roll_rows, roll_bytes and roll_seconds"
        if keys or plan.roll:
            raise PlanError(f"{folder} need a local folder, not {path!r}")
        if mode == "append" or (mode == "error" and not isinstance(plan.path, str)):
            raise PlanError(f"mode={mode!r} needs a local path, not {path!r}")
    return plan


def _positive(name: str, value: float | None) -> None:
    given: Any = value
    if given is None:
        return
    kinds = (int, float) if name == "roll_seconds" else int
    if not isinstance(given, kinds) or isinstance(given, bool) or not given > 0:
        raise PlanError(f"{name}={value!r}: it is a number above 0")


def _text_of(path: Target) -> str | None:
    return os.fspath(path) if isinstance(path, (str, os.PathLike)) else None  # pyright: ignore


def _target(path: Target) -> Any:
    """A local path with links resolved (a file's link stays and leads to the new file), a URL, or a file object."""
    if isinstance(path, (str, os.PathLike)):
        text: object = os.fspath(path)  # pyright: ignore
        if not isinstance(text, str):
            raise PlanError(f"the path is {path!r}, not text")
        if not text:
            raise PlanError("the path is empty")
        try:
            usable = b"\0" not in os.fsencode(text)
        except UnicodeEncodeError:
            usable = False
        if not usable:
            raise PlanError(f"no file can have the name {text!r}")
        if text.startswith("file://"):
            text = unquote(urlsplit(text).path)
        if "://" in text:
            return text
        end = "/" if text.endswith("/") else ""
        return os.path.realpath(text).rstrip("/") + end
    if callable(getattr(path, "write", None)):
        if getattr(path, "closed", False) is True:
            raise StateError(f"the file object {path!r} is closed")
        if isinstance(path, io.TextIOBase):
            raise PlanError(f"{path!r} is open for text; a sink writes bytes, as to io.BytesIO()")
        return path
    raise PlanError(f"a sink is a path, a URL or a file open for writing, not {path!r}")


# --- what arrives


class _Rows:
    """The batches, each with the columns of the schema; that of the first where none was given."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches: Any = iter(batches)
        self._closed = False
        self.schema: pa.Schema | None = None
        self._first: pa.RecordBatch | None = None

    def begin(self, schema: pa.Schema | None) -> pa.Schema:
        """The schema; asks for the first batch only if there is none."""
        if schema is None:
            self._first = next(self._batches, None)
            schema = pa.schema([]) if self._first is None else self._first.schema
        self.schema = schema
        return schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        assert self.schema is not None
        number = 0
        batch, self._first = self._first, None
        while True:
            if batch is None:
                batch = next(self._batches, None)
            if batch is None:
                return
            batch = _conform(batch, self.schema, number)
            if batch.num_rows:
                yield batch
            number += 1
            batch = None

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            close = getattr(self._batches, "close", None)
            if close is not None:
                close()


def _conform(batch: pa.RecordBatch, schema: pa.Schema, number: int) -> pa.RecordBatch:
    given: Any = batch
    if not isinstance(given, pa.RecordBatch):
        raise DataError(f"batch {number} is a {type(given).__name__}, not a pyarrow.RecordBatch")
    if batch.schema.equals(schema):
        return batch
    if batch.schema.names == schema.names and batch.schema.types == schema.types:
        return pa.RecordBatch.from_arrays(batch.columns, schema=schema)
    raise SchemaError(f"batch {number}: {schema_difference(schema, batch.schema)}")


@contextmanager
def _reading(batches: Iterable[pa.RecordBatch]) -> Generator[_Rows]:
    rows = _Rows(batches)
    try:
        yield rows
    except BaseException as first:
        try:
            rows.close()
        except Exception as error:
            first.add_note(f"closing the source failed too: {error!r}")
        raise
    rows.close()


# --- one file


def _write(rows: _Rows, given: pa.Schema | None, plan: Plan) -> WriteResult:
    if isinstance(plan.path, str) and "://" not in plan.path:
        if plan.by or plan.roll or plan.path.endswith("/") or os.path.isdir(plan.path):
            plan = plan._replace(path=plan.path.rstrip("/") or "/")
            return _write_folder(rows, given, plan)
        if os.path.exists(plan.path) and not os.path.isfile(plan.path):  # a pipe, a device
            with open(plan.path, "wb", buffering=0) as file:
                return _write_through(rows, given, plan, file)._replace(files=(plan.path,))
        return _write_file(rows, given, plan)
    if isinstance(plan.path, str):
        return _write_url(rows, given, plan)
    return _write_through(rows, given, plan, plan.path)


def _pump(rows: _Rows, writer: Writer) -> int:
    """Everything into one writer, which it finishes; gives the number of rows. The source is closed first."""
    count = 0
    try:
        for batch in rows:
            writer.write(batch)
            count += batch.num_rows
        rows.close()
        writer.finish()
    except BaseException:
        writer.abort()
        raise
    return count


def _write_file(rows: _Rows, given: pa.Schema | None, plan: Plan) -> WriteResult:
    sweep(os.path.dirname(plan.path) or ".")
    file = NewFile(plan.path, replace=plan.mode != "error")
    try:
        schema = rows.begin(given)
        plan.format.check(schema)
        appends = plan.mode == "append" and _has_content(plan.path)
        count = _pump(rows, plan.format.open(file.sink, schema, plan.path if appends else None))
        size = file.commit(unchanged=appends)
    except BaseException as error:
        file.abandon()
        _add_place(error, plan.path)
        raise
    return WriteResult(count, (plan.path,), size)


def _add_place(error: BaseException, path: str) -> None:
    """Arrow's errors of the file system do not name the file."""
    if isinstance(error, OSError) and error.filename is None:
        error.add_note(f"while writing {path!r}")


def _has_content(path: str) -> bool:
    try:
        return os.path.getsize(path) > 0
    except FileNotFoundError:
        return False


class _Gate:
    """A file object as a sink: counts the bytes, is never closed, and can be shut so that no more arrive."""

    closed = False

    def __init__(self, file: Any) -> None:
        self._file = file
        self._shut = False
        self.size = 0

    def write(self, data: Any) -> int:
        if self._shut:
            return len(data)
        view = memoryview(data).cast("B")
        while view:
            written = self._file.write(view)
            done = len(view) if written is None else written
            self.size += done
            view = view[done:]
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        flush = getattr(self._file, "flush", None)
        if flush is not None and not self._shut:
            flush()

    def close(self) -> None:
        self.closed = True

    def shut(self) -> None:
        self._shut = True


def _write_through(rows: _Rows, given: pa.Schema | None, plan: Plan, file: Any) -> WriteResult:
    gate: Any = _Gate(file)
    schema = rows.begin(given)
    plan.format.check(schema)
    sink = pa.PythonFile(gate, mode="w")
    writer = plan.format.open(sink, schema, None)
    count = 0
    try:
        for batch in rows:
            writer.write(batch)
            count += batch.num_rows
        rows.close()
        writer.finish()
        sink.flush()
    except BaseException:
        gate.shut()
        writer.abort()
        raise
    return WriteResult(count, (), gate.size)


def _write_url(rows: _Rows, given: pa.Schema | None, plan: Plan) -> WriteResult:
    library = need("fsspec", f"a URL such as {plan.path!r}")
    # A file system of our own: a transaction is a state of the whole of it.
    system, path = library.core.url_to_fs(plan.path, skip_instance_cache=True)
    if plan.mode == "error" and system.exists(path):
        raise exists_error(plan.path)
    system.start_transaction()
    try:
        with system.open(path, "wb") as file:
            result = _write_through(rows, given, plan, file)
    except BaseException:
        system.transaction.complete(commit=False)
        raise
    system.end_transaction()
    return result._replace(files=(plan.path,))


# --- a folder


def _write_folder(rows: _Rows, given: pa.Schema | None, plan: Plan) -> WriteResult:
    path, extension = plan.path, plan.format.extension
    if os.path.exists(path) and not os.path.isdir(path):
        raise PlanError(f"{path!r} is a file; a folder is needed there: remove it first")
    sweep(os.path.dirname(path) or ".")
    if os.path.isdir(path):
        sweep(path)
        if plan.mode == "error" and os.listdir(path):
            raise exists_error(path)
        if plan.mode == "overwrite":
            _check_only_parts(path, extension)
    folder = Folder(plan)
    try:
        schema = rows.begin(given)
        folder.begin(schema)
        for batch in rows:
            folder.write(batch)
        rows.close()
        return folder.finish()
    except BaseException as error:
        folder.abort()
        _add_place(error, path)
        raise


def _check_only_parts(path: str, extension: str) -> None:
    """What is replaced must be such a folder: a wrong path must not cost somebody's files."""
    start = "." + extension.split(".")[1]
    for folder, _, names in os.walk(path):
        for name in names:
            if start not in name and not name.startswith(("_", ".")):
                other = os.path.join(folder, name)
                raise PlanError(
                    f"{path!r} is not replaced: it holds {other!r}, which is no {start} file. Choose another "
                    'path, mode="append", or remove it yourself'
                )
