"""Batches on their way between two stages of a stream, with the rows of the source that they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

arrow: Any = pa  # its stubs lack some functions


class Piece(NamedTuple):
    """A batch, and where in the source its rows are.

    row: of its first row, counted from 0; the others follow it. -1: not known, since a function made new rows.
    rows: int64, of each row, where they do not follow each other; `row` is that of the first then.
    """

    batch: pa.RecordBatch
    row: int = -1
    rows: Any = None

    def slice(self, start: int, count: int | None = None) -> Piece:
        """Some of its rows, without a copy."""
        batch = self.batch.slice(start) if count is None else self.batch.slice(start, count)
        if self.rows is not None:
            rows = self.rows.slice(start, batch.num_rows)
            return Piece(batch, rows[0].as_py() if len(rows) else -1, rows)
        return Piece(batch, self.row + start if self.row >= 0 else -1)

    def source_row(self, index: int) -> int:
        """The source's row of one of its rows; -1: not known."""
        if self.rows is not None:
            return self.rows[index].as_py()
        return self.row + index if self.row >= 0 else -1


def joined(pieces: Sequence[Piece]) -> Piece:
    """All their rows in one batch."""
    if len(pieces) == 1:
        return pieces[0]
    batch = arrow.concat_batches([piece.batch for piece in pieces])
    first, end = pieces[0].row, 0
    together = True
    for number, piece in enumerate(pieces):
        together = together and piece.rows is None and (number == 0 or piece.row == end)
        end = piece.row + piece.batch.num_rows
    if any(piece.row < 0 for piece in pieces):
        return Piece(batch)
    if together:
        return Piece(batch, first)
    rows = pa.concat_arrays([_rows_of(piece) for piece in pieces])
    return Piece(batch, first, rows)


def _rows_of(piece: Piece) -> Any:
    if piece.rows is not None:
        return piece.rows
    return arrow.array(range(piece.row, piece.row + piece.batch.num_rows), arrow.int64())
