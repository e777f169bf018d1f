"""What every source of batches has in common: `Source`, one pass over it (`BatchIterator`), and sources in memory.

A `Source` is only a description: nothing of the user runs before open(). A pass is open until it is closed, ends or fails, and its
resources are released then, once. Every pass gives non-empty record batches of one schema to plain code; an async iterable runs
on the event loop that the caller of open() names.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from sabot._conform import Conformer, column_names, positions, project
from sabot._errors import StateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sequence
    from typing import Any, Protocol, TypeVar

    T = TypeVar("T", covariant=True)

    class Driven(Protocol[T]):
        """Plain iteration over an async iterable; cut() ends a wait for it from any thread."""

        def __iter__(self) -> Iterator[T]: ...
        def __next__(self) -> T: ...
        def close(self) -> None: ...
        def cut(self) -> None: ...

    Drive = Callable[[Callable[[], AsyncIterable[Any]]], Driven[Any]]


class Progress:
    """How far a pass is, None where that is not known; the thread that reads sets it."""

    __slots__ = ("share",)

    def __init__(self) -> None:
        self.share: float | None = 0.0


class BatchIterator:
    """One pass over a source, for plain code. It closes itself when it ends or fails; `schema` is None until it is known."""

    __slots__ = ("_batches", "_close", "_conform", "_cut", "_progress")

    def __init__(
        self,
        batches: Iterator[pa.RecordBatch],
        conform: Conformer,
        close: Callable[[], object] | None = None,
        progress: Progress | None = None,
        cut: Callable[[], object] | None = None,
    ) -> None:
        self._progress = progress
        self._cut = cut
        self._batches: Iterator[pa.RecordBatch] | None = batches
        self._conform = conform
        self._close = close

    @property
    def schema(self) -> pa.Schema | None:
        """The schema of the source's batches, before columns are chosen."""
        return self._conform.schema

    @property
    def progress(self) -> float | None:
        """The share of the source that was read, from 0 to 1; None where its size is not known. Any thread may ask."""
        return None if self._progress is None else self._progress.share

    def __iter__(self) -> BatchIterator:
        return self

    def __next__(self) -> pa.RecordBatch:
        if self._batches is None:
            raise StopIteration
        try:
            return next(self._batches)
        except StopIteration:
            self.close()
            raise
        except BaseException as error:
            try:
                self.close()
            except Exception as second:
                error.add_note(f"closing the source failed too: {type(second).__name__}: {second}")
            raise

    def close(self) -> None:
        """Releases what the pass holds. Calling it again does nothing."""
        batches, self._batches = self._batches, None
        if batches is None:
            return
        close, self._close = self._close, None
        try:
            stop = getattr(batches, "close", None)
            if stop is not None:
                stop()
        finally:
            if close is not None:
                close()

    def cut(self) -> None:
        """From any thread: ends a wait for an async iterable, by CancelledError. Who reads still closes the pass."""
        if self._cut is not None:
            self._cut()

    def __enter__(self) -> BatchIterator:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Source:
    """A description of where batches come from. Subclasses say how a pass begins, in `_open`.

    schema: of every batch; None where only the first batch tells.
    bounded: True where it has an end; False where it was said to have none; None where nothing is known, which counts as
        unbounded, though it can simply be run to its end.
    replayable: whether it can be opened again; another open() of one that cannot raises StateError.
    rows: how many there are in all, where that is known without reading them.
    in_python: reading it may run user code.
    text: what explain() shows.
    """

    schema: pa.Schema | None = None
    bounded: bool | None = True
    replayable: bool = True
    rows: int | None = None
    in_python: bool = False

    def __init__(self, text: str) -> None:
        self.text = text
        self._opened = False
        self._lock = threading.Lock()

    def open(
        self, columns: Sequence[str] | None = None, drive: Drive | None = None
    ) -> BatchIterator:
        """Begins a pass.

        Parameters:
            columns: names of the columns wanted, in the order wanted; None for all of them.
            drive: iterates over what an async source has; None: on an event loop of its own.

        Raises:
            StateError: it was opened before, and can be read only once.
            UnknownColumnError: a name is no column; raised with the first batch where the schema is not known before.
        """
        self._begin(columns)
        return self._open(columns)

    def _open(self, columns: Sequence[str] | None) -> BatchIterator:
        raise NotImplementedError

    def _begin(self, columns: Sequence[str] | None) -> None:
        column_names(columns)
        if columns is not None and self.schema is not None:
            positions(columns, self.schema, self.text)
        if self.replayable:
            return
        with self._lock:
            opened, self._opened = self._opened, True
        if opened:
            raise StateError(self._once())

    def _once(self) -> str:
        """Why it cannot be opened again, and what to do."""
        return (
            f"{self.text} was read before and can be read only once: pass a function that makes it anew, "
            "or keep what collect() gave and use from_table"
        )

    def __repr__(self) -> str:
        return f"<{self.text}>"


class MemorySource(Source):
    """Tables and lists of batches: every pass reads the same objects, without a copy."""

    def __init__(
        self,
        text: str,
        batches: Sequence[pa.RecordBatch | pa.Table],
        schema: pa.Schema,
        batch_size: int | None = None,
        bounded: bool | None = True,
        declared: bool = True,
    ) -> None:
        super().__init__(text)
        self.schema = schema
        self.bounded = bounded
        self.rows = sum(batch.num_rows for batch in batches)
        self._pieces = batches
        self._batch_size = batch_size
        self._declared = declared

    def _open(self, columns: Sequence[str] | None) -> BatchIterator:
        conform = Conformer(self.text, self.schema, self._declared)
        progress = Progress()
        return BatchIterator(self._batches(conform, columns, progress), conform, progress=progress)

    def _batches(
        self, conform: Conformer, columns: Sequence[str] | None, progress: Progress
    ) -> Iterator[pa.RecordBatch]:
        choose = Chooser(columns, self.text)
        total, read = self.rows, 0
        for piece in self._pieces:
            whole: Iterable[pa.RecordBatch]
            if self._batch_size is None and isinstance(piece, pa.RecordBatch):
                whole = (piece,)  # each frame of Python on the way of a batch takes its time
            else:
                whole = cut(piece, self._batch_size)
            for batch in whole:
                batch = conform(batch)
                if rows := batch.num_rows:
                    read += rows
                    progress.share = read / (total or read)
                    yield batch if columns is None else choose(batch)


class Chooser:
    """Picks the wanted columns of the batches of one pass."""

    __slots__ = ("_columns", "_known", "_places", "_what")

    def __init__(self, columns: Sequence[str] | None, what: str) -> None:
        self._columns = columns
        self._what = what
        self._known = columns is None
        self._places: list[int] | None = None

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not self._known and self._columns is not None:
            self._places = positions(self._columns, batch.schema, self._what)
            self._known = True
        return project(batch, self._places)


def cut(piece: pa.RecordBatch | pa.Table, rows_max: int | None) -> Iterator[pa.RecordBatch]:
    """The batches of a batch or table, of at most `rows_max` rows each, without a copy."""
    if not piece.num_rows:
        yield pa.RecordBatch.from_pylist([], schema=piece.schema)
    elif isinstance(piece, pa.Table):
        yield from cast("Iterator[pa.RecordBatch]", piece.to_reader(max_chunksize=rows_max))
    elif rows_max is None or piece.num_rows <= rows_max:
        yield piece
    else:
        for start in range(0, piece.num_rows, rows_max):
            yield piece.slice(start, rows_max)
