"""Operators on whole batches between two runs of the engine: each is a source that reads other streams.

They keep the order of rows and cut or join batches without copying rows where Arrow allows it. A stream that has one reads its
input by a run of its own, so what stands before and after it overlaps in time but is not fused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot._conform import Conformer
from sabot._errors import DataError
from sabot._piece import Piece, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from sabot._gpus import Need
    from sabot._lane import BatchBinding
    from sabot._run import RunContext
    from sabot._stage import Stage
    from sabot._stream import Stream

    Transform = Callable[[Sequence[Iterator[Piece]], RunContext], Iterator[Piece]]


class Derived(NamedTuple):
    """A source that makes its batches from those of other streams.

    parents: which, as explain() shows them. rows_max: it gives no more rows. opaque: it runs user code, in the order of the batches.
    gpus: what its workers need, while it runs.
    """

    text: str
    schema: pa.Schema | None
    bounded: bool | None
    parents: tuple[Stream, ...]
    transform: Transform
    rows_max: int | None = None
    opaque: bool = False
    gpus: tuple[Need, ...] = ()

    @property
    def origin(self) -> str:
        """The source whose rows it has, as explain() shows it; of several, what joins them."""
        return self.parents[0].origin if len(self.parents) == 1 else self.text

    @property
    def root(self) -> object:
        """That source itself."""
        return self.parents[0].root if len(self.parents) == 1 else self

    def open(self, context: RunContext, stage: Stage) -> Generator[Piece]:
        """The pieces of one run, none of them empty, all with one schema; stage: what reads them."""
        conform = Conformer(self.text, self.schema)
        with closing(self.begin(context, stage)) as made:
            for piece in made:
                batch = conform(piece.batch)
                if batch.num_rows:
                    yield piece._replace(batch=batch)

    def begin(self, context: RunContext, stage: Stage) -> Generator[Piece]:
        """Begins a run of every parent, in the same run as this."""
        with ExitStack() as opened:
            inputs = [
                opened.enter_context(closing(parent.pieces(context, below)))
                for parent, below in zip(self.parents, stage.inputs, strict=True)
            ]
            opened.callback(setattr, stage, "waiting", None)  # it may hold batches
            made = self.transform(inputs, context.at(stage))
            if (close := getattr(made, "close", None)) is not None:
                opened.callback(close)  # before its inputs
            yield from made


def passed(inputs: Sequence[Iterator[Piece]], context: RunContext) -> Iterator[Piece]:
    """One input as it is: what follows is bound to the schema of its first batch."""
    return inputs[0]


def limit(rows: int) -> Transform:
    """The first rows; what comes after is not asked for."""

    def transform(inputs: Sequence[Iterator[Piece]], context: RunContext) -> Iterator[Piece]:
        left = rows
        while left > 0:
            piece = next(inputs[0], None)
            if piece is None:
                return
            yield piece if piece.batch.num_rows <= left else piece.slice(0, left)
            left -= piece.batch.num_rows

    return transform


def skip(rows: int) -> Transform:
    """All but the first rows."""

    def transform(inputs: Sequence[Iterator[Piece]], context: RunContext) -> Iterator[Piece]:
        left = rows
        for piece in inputs[0]:
            yield piece.slice(min(left, piece.batch.num_rows)) if left else piece
            left = max(0, left - piece.batch.num_rows)

    return transform


def rebatch(rows: int) -> Transform:
    """Batches of exactly this many rows; the last has what is left."""

    def transform(inputs: Sequence[Iterator[Piece]], context: RunContext) -> Iterator[Piece]:
        held: list[Piece] = []
        count = 0
        for piece in inputs[0]:
            while count + piece.batch.num_rows >= rows:
                part = piece.slice(0, rows - count)
                piece = piece.slice(part.batch.num_rows)
                yield joined([*held, part])
                held, count = [], 0
            if piece.batch.num_rows:
                held.append(piece)
                count += piece.batch.num_rows
        if held:
            yield joined(held)

    return transform


def flat_map(given: BatchBinding, parent: Stream) -> Transform:
    """All batches that a function gives for each batch of the parent. What is skipped is skipped whole, so all of it is made first."""

    def transform(inputs: Sequence[Iterator[Piece]], context: RunContext) -> Iterator[Piece]:
        from sabot._lane import record_batch, recording

        log = context.errors.stage(parent, transform, lambda row: row)
        binding: BatchBinding = recording(given, log)
        for number, piece in enumerate(inputs[0]):
            try:
                made = binding.function(piece.batch)
                batches = map(binding.conform, made_batches(made, binding.place.name, None))
                if binding.on_error:
                    batches = iter(list(batches))
                for batch in batches:
                    yield Piece(batch)
            except Exception as error:
                count = piece.batch.num_rows
                rows = [piece.source_row(index) for index in range(count)]
                if binding.on_error:
                    record_batch(error, binding, 0, number, rows, piece.batch)
                    continue
                error.add_note(f"in {binding.place.text}: batch {number}")
                log.end_at(number, rows[-1] if rows else -1)
                raise

    return transform


def made_batches(made: object, name: str, schema: pa.Schema | None) -> Iterator[pa.RecordBatch]:
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
