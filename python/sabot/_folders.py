"""A folder of files, written in one go: parts, rolled by rows, bytes or time, under `key=value` where partitioned.

Of a bounded stream the files are gathered in a folder of their own, which takes the place of the old one at the end, or whose
files are then moved into it (append). Of an unbounded stream each goes to its place when it is complete; the old folder is
replaced when the first batch arrives.

Threads: `roll_seconds` uses one thread more, so that a file is finished on time even if the next batch never comes; a lock
keeps it and the writer apart. Memory: at most `_OPEN_MAX` files are open, and hold `_HELD_SIZE_MAX` bytes together.
"""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

import pyarrow as pa

from sabot._errors import DataError, PlanError, TypeMismatchError, suggest
from sabot._place import NewFile, NewFolder, move_new, sweep, sync_folder
from sabot._results import WriteResult
from sabot._writers import nbytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sabot._writers import Format, Writer

    Mode: TypeAlias = Literal["overwrite", "append", "error"]

_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_OPEN_MAX = 128  # part files open at a time
_HELD_SIZE_MAX = 256 << 20  # bytes that the open files may hold in memory together
_STAGED = ".sabot-new"  # end of a file's name until it is moved into a folder that is read
_PART = re.compile(r"part-(\d{5,})\.")


class Roll(NamedTuple):
    rows: int | None
    bytes: int | None
    seconds: float | None

    def __bool__(self) -> bool:
        return self != (None, None, None)


class Plan(NamedTuple):
    """Everything about a write but the batches."""

    format: Format
    path: Any
    mode: Mode
    by: tuple[str, ...]
    roll: Roll
    bounded: bool


class _Part:
    """One file of a folder while it is written."""

    def __init__(self, file: NewFile, writer: Writer) -> None:
        self.file = file
        self.writer = writer
        self.rows = 0
        self.began = time.monotonic()


class Folder:
    """The files of one write into a folder. `begin`, `write` and `finish`, or `abort`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._schema = pa.schema([])  # of the files: without the partition columns
        self._splitter: Splitter | None = None
        self._lock = threading.RLock()
        self._open: OrderedDict[str, _Part] = OrderedDict()
        self._next: dict[str, int] = {}
        self._rows = 0
        self._bytes = 0
        self._held = 0  # bytes written since the writers were last known to hold none
        self._files: list[tuple[str, str]] = []  # subfolder and name
        self._inside = plan.mode == "append" and os.path.isdir(plan.path)
        self._staging: NewFolder | None = None
        self._base = plan.path
        if plan.bounded or not self._inside:
            self._staging = NewFolder(plan.path, inside=self._inside)
            self._base = self._staging.path
        self._clock: Clock | None = None

    def begin(self, schema: pa.Schema) -> None:
        """Checks the schema, before the first batch."""
        self._plan.format.check(schema)
        self._whole = schema
        self._schema = schema
        if self._plan.by and len(schema):
            self._splitter = Splitter(schema, self._plan.by)
            self._schema = self._splitter.rest
        if self._plan.roll.seconds is not None:
            self._clock = Clock(self._lock, self._roll_late, self._plan.roll.seconds)

    def write(self, batch: pa.RecordBatch) -> None:
        with self._lock:
            if self._clock is not None:
                self._clock.check()
            if not self._plan.bounded and self._staging is not None:
                self._go_direct()
            self._rows += batch.num_rows
            if self._splitter is None:
                self._write_to("", batch)
                return
            for sub, rows in self._splitter.split(batch):
                self._write_to(sub, rows)

    def _go_direct(self) -> None:
        assert self._staging is not None
        self._staging.commit(replace=self._plan.mode == "overwrite")
        self._staging = None
        self._base = self._plan.path

    def _write_to(self, sub: str, batch: pa.RecordBatch) -> None:
        roll = self._plan.roll
        while batch.num_rows:
            part = self._part(sub)
            room = batch.num_rows if roll.rows is None else roll.rows - part.rows
            piece = batch.slice(0, room)
            batch = batch.slice(piece.num_rows)
            part.writer.write(piece)
            part.rows += piece.num_rows
            self._held += nbytes(piece)
            if self._held > _HELD_SIZE_MAX:
                self._flush()
            full = roll.rows is not None and part.rows >= roll.rows
            if full or (roll.bytes is not None and part.writer.size() >= roll.bytes):
                self._finish(sub)

    def _flush(self) -> None:
        """Empties the writers' memory: each holds little, all together do not."""
        for part in self._open.values():
            part.writer.flush()
        self._held = 0

    def _part(self, sub: str) -> _Part:
        part = self._open.get(sub)
        if part is not None:
            self._open.move_to_end(sub)
            return part
        while len(self._open) >= _OPEN_MAX:
            self._finish(next(iter(self._open)))
        folder = os.path.join(self._base, sub) if sub else self._base
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise DataError(f"a folder {sub!r} cannot be made: {error.strerror}") from error
        if self._staging is None and sub not in self._next:
            sweep(folder)
        while True:
            try:
                file = NewFile(os.path.join(folder, self._name(sub)), replace=False)
                break
            except FileExistsError:
                continue
        try:
            part = _Part(file, self._plan.format.open(file.sink, self._schema, None))
        except BaseException:
            file.abandon()
            raise
        self._open[sub] = part
        return part

    def _name(self, sub: str) -> str:
        """The name of the next file of a subfolder."""
        number = self._next.get(sub)
        if number is None:
            number = _next_number(os.path.join(self._plan.path, sub)) if self._inside else 0
        self._next[sub] = number + 1
        staged = _STAGED if self._inside and self._staging is not None else ""
        return f"part-{number:05}{self._plan.format.extension}{staged}"

    def _finish(self, sub: str) -> None:
        part = self._open.pop(sub)
        try:
            part.writer.finish()
        except BaseException:
            part.writer.abort()
            part.file.abandon()
            raise
        try:
            self._bytes += part.file.commit()
        except BaseException:
            part.file.abandon()
            raise
        self._files.append((sub, os.path.basename(part.file.target)))

    def _roll_late(self, now: float) -> None:
        """Finishes the files that have been open for long enough; under the lock, on the clock's thread."""
        seconds = self._plan.roll.seconds
        assert seconds is not None
        for sub in [sub for sub, part in self._open.items() if now - part.began >= seconds]:
            self._finish(sub)

    def finish(self) -> WriteResult:
        """Ends all files and puts them in their places."""
        if self._clock is not None:
            self._clock.stop()
            self._clock.check()
        if not self._files and not self._open:
            self._write_empty()
        while self._open:
            self._finish(next(iter(self._open)))
        if self._staging is not None:
            if self._inside:
                self._move_in(self._staging)
            else:
                self._sync_all(self._staging.path)
                self._staging.commit(replace=self._plan.mode == "overwrite")
        files = tuple(os.path.join(self._plan.path, sub, name) for sub, name in self._files)
        return WriteResult(self._rows, files, self._bytes)

    def _write_empty(self) -> None:
        """No rows: one file with the whole schema, also the partition columns, unless one adds to what is there."""
        if self._inside and os.listdir(self._plan.path):
            return
        self._schema = self._whole
        self._part("")

    def _move_in(self, staging: NewFolder) -> None:
        for index, (sub, name) in enumerate(self._files):
            folder = os.path.join(self._plan.path, sub)
            os.makedirs(folder, exist_ok=True)
            name = name.removesuffix(_STAGED)
            while True:
                try:
                    move_new(
                        os.path.join(staging.path, *self._files[index]), os.path.join(folder, name)
                    )
                    break
                except FileExistsError:  # another writer was faster
                    name = f"part-{_next_number(folder):05}{self._plan.format.extension}"
            self._files[index] = (sub, name)
        self._sync_all(self._plan.path)
        staging.close()

    def _sync_all(self, base: str) -> None:
        for sub in {above for part, _ in self._files for above in _above(part)}:
            sync_folder(os.path.join(base, sub) if sub else base)

    def abort(self) -> None:
        """Drops what is not in its place."""
        if self._clock is not None:
            self._clock.stop()
        for part in self._open.values():
            part.writer.abort()
            part.file.abandon()
        self._open.clear()
        if self._staging is not None:
            self._staging.close()


def _above(sub: str) -> list[str]:
    parts = sub.split("/") if sub else []
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]


def _next_number(folder: str) -> int:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return 0
    found = [int(match[1]) for name in names if (match := _PART.match(name))]
    return max(found, default=-1) + 1


class Clock:
    """Calls `late(now)` under a lock every so often, on a thread of its own; `check` raises what that raised."""

    def __init__(self, lock: threading.RLock, late: Any, seconds: float) -> None:
        self._lock = lock
        self._late = late
        self._every = min(seconds / 4, 1.0)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sabot-roll", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            with self._lock:
                if self._error is not None or self._stop.is_set():
                    return
                try:
                    self._late(time.monotonic())
                except BaseException as error:
                    self._error = error

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


# --- partitions


class Splitter:
    """Cuts batches by the values of the partition columns."""

    def __init__(self, schema: pa.Schema, by: tuple[str, ...]) -> None:
        for name in by:
            if name not in schema.names:
                raise PlanError(
                    f"partition_by: there is no column {name!r}{suggest(name, schema.names)}"
                )
            type_ = schema.field(name).type
            if not _partitions(type_):
                raise TypeMismatchError(
                    f"partition_by: column {name!r} is {type_}, which has no text for a folder's name: cast it"
                )
        self._by = by
        self._keep = [index for index, field in enumerate(schema) if field.name not in by]
        if not self._keep:
            raise PlanError("partition_by names every column: nothing is left for the files")
        metadata: Any = schema.metadata
        self.rest = pa.schema([schema.field(index) for index in self._keep], metadata)

    def split(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        """The folder and the rows of each combination of values, in the order of their first rows."""
        keys = [self._text(batch, name) for name in self._by]
        names = [f"k{index}" for index in range(len(keys))]
        table = pa.table([*keys, pa.array(range(batch.num_rows), pa.int64())], [*names, "row"])
        groups = table.group_by(names, use_threads=False).aggregate([("row", "list")])
        rest = pa.RecordBatch.from_arrays(
            [batch.column(index) for index in self._keep], schema=self.rest
        )
        for index in range(groups.num_rows):
            values = [groups.column(name)[index].as_py() for name in names]
            sub = "/".join(
                f"{quote(name, safe='')}={self._folder(name, value)}"
                for name, value in zip(self._by, values, strict=True)
            )
            rows: Any = groups.column("row_list")[index]
            whole = groups.num_rows == 1
            yield sub, rest if whole else rest.take(rows.values)

    @staticmethod
    def _text(batch: pa.RecordBatch, name: str) -> pa.Array:
        column: pa.Array = batch.column(name)
        if isinstance(column, pa.DictionaryArray):
            column = column.dictionary_decode()
        return column.cast(pa.string())

    @staticmethod
    def _folder(name: str, value: str | None) -> str:
        if value is None:
            return _NULL_PARTITION
        if value == _NULL_PARTITION:
            raise DataError(
                f"partition_by: column {name!r} has {value!r}, which stands for null in folders"
            )
        return quote(value, safe="")


def _partitions(type_: pa.DataType) -> bool:
    if isinstance(type_, pa.DictionaryType):
        type_ = type_.value_type
    types = pa.types
    return (
        types.is_integer(type_)
        or types.is_boolean(type_)
        or types.is_string(type_)
        or types.is_large_string(type_)
        or type_ == pa.string_view()
        or types.is_date(type_)
        or types.is_timestamp(type_)
        or types.is_time(type_)
        or types.is_decimal(type_)
        or types.is_floating(type_)
        or types.is_null(type_)
    )
