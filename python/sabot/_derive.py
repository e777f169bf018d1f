"""Operators on whole batches between two runs of the engine: each is a source that reads other streams.

They keep the order of rows and cut or join batches without copying rows where Arrow allows it. A stream that has one reads its
input by a run of its own, so what stands before and after it overlaps in time but is not fused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot._batches import BatchIterator
from sabot._conform import Conformer
from sabot._errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from sabot._pump import LoopOpener, Run
    from sabot._stream import Stream

    Transform = Callable[[Sequence[Iterator[pa.RecordBatch]]], Iterator[pa.RecordBatch]]


class Derived(NamedTuple):
    """Batches made from those of other streams.

    parents: as explain() shows them; `runs` begins a run of each.
    """

    text: str
    schema: pa.Schema | None
    bounded: bool | None
    parents: tuple[Stream, ...]
    runs: tuple[Run, ...]
    transform: Transform

    def open(self, opener: LoopOpener | None) -> BatchIterator:
        """Begins a run of every parent, with sources opened by `opener`."""
        conform = Conformer(self.text, self.schema, declared=False)
        return BatchIterator(self._pieces(conform, opener), conform)

    def _pieces(self, conform: Conformer, opener: LoopOpener | None) -> Generator[pa.RecordBatch]:
        with ExitStack() as open_runs:
            inputs = [open_runs.enter_context(closing(run(opener))) for run in self.runs]
            for batch in self.transform(inputs):
                if batch.num_rows:
                    yield conform(batch)


def limit(rows: int) -> Transform:
    """The first rows; what comes after is not asked for."""

    def transform(inputs: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        left = rows
        while left > 0:
            batch = next(inputs[0], None)
            if batch is None:
                return
            yield batch.slice(0, left)
            left -= batch.num_rows

    return transform


def skip(rows: int) -> Transform:
    """All but the first rows."""

    def transform(inputs: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        left = rows
        for batch in inputs[0]:
            yield batch.slice(min(left, batch.num_rows))
            left = max(0, left - batch.num_rows)

    return transform


def rebatch(rows: int) -> Transform:
    """Batches of exactly this many rows; the last has what is left."""

    def transform(inputs: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        held: list[pa.RecordBatch] = []
        count = 0
        for batch in inputs[0]:
            while count + batch.num_rows >= rows:
                part = batch.slice(0, rows - count)
                batch = batch.slice(part.num_rows)
                yield _joined([*held, part])
                held, count = [], 0
            if batch.num_rows:
                held.append(batch)
                count += batch.num_rows
        if held:
            yield _joined(held)

    return transform


def rename(names: Sequence[str]) -> Transform:
    """The same columns under other names."""

    def transform(inputs: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        for batch in inputs[0]:
            yield batch.rename_columns(list(names))

    return transform


def union(inputs: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    """One input after the other."""
    for batches in inputs:
        yield from batches


def flat_map(
    fn: Callable[[pa.RecordBatch], object], name: str, schema: pa.Schema | None
) -> Transform:
    """All batches that a function gives for each batch."""

    def transform(inputs: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(inputs[0]):
            try:
                yield from _made(fn(batch), name, schema)
            except Exception as error:
                error.add_note(f"in FLAT_MAP {name}(batch): batch {number}")
                raise

    return transform


def _made(made: object, name: str, schema: pa.Schema | None) -> Iterator[pa.RecordBatch]:
    """The batches of what a flat_map function returned; a generator is closed with them."""
    from sabot._lane import batch_of

    whole: tuple[Any, ...] = (pa.RecordBatch, pa.Table, Mapping, str, bytes)
    if isinstance(made, whole) or not isinstance(made, Iterable):
        raise DataError(
            f"{name} returned {type(made).__name__}; a flat_map function returns an iterable of batches, "
            "such as a list, or yields them"
        )
    pieces = iter(cast("Iterable[object]", made))
    try:
        for count, piece in enumerate(pieces):
            if piece is None:
                raise DataError(f"{name} gave None as its batch {count}; leave it out")
            yield batch_of(piece, name, schema)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    arrow: Any = pa  # its stubs lack the function
    return arrow.concat_batches(batches)
