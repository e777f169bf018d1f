"""Batches on their way between two stages of a stream, with the rows of the source that they hold."""

from __future__ import annotations

from collections import deque
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


class _Span(NamedTuple):
    """Rows [start, end) of a stage's input; `row` and `rows` as in Piece."""

    start: int
    end: int
    row: int
    rows: Any


class Places:
    """Where in the source the rows of a stage's input are. Of the input the latest batches are known.

    direct: the input is the source, or counts as one. threads: of the engine, which has some batches for each under way.
    """

    def __init__(self, direct: bool, threads: int) -> None:
        self._direct = direct
        self._spans: deque[_Span] = deque(maxlen=4 * threads + 16)
        self._end = 0

    def add(self, piece: Piece) -> None:
        """The next batch of the input."""
        start, count = self._end, piece.batch.num_rows
        self._end = end = start + count
        if self._direct or not count:
            return
        last = self._spans[-1] if self._spans else None
        if (
            last is not None
            and last.rows is None
            and piece.rows is None
            and (piece.row == last.row + start - last.start if last.row >= 0 else piece.row < 0)
        ):
            self._spans[-1] = last._replace(end=end)
        else:
            self._spans.append(_Span(start, end, piece.row, piece.rows))

    def source_row(self, row: int) -> int:
        """The source's row for one of the input; -1: not known."""
        if self._direct or row < 0:
            return row
        span = self._find(row)
        if span is None or span.row < 0:
            return -1
        place = row - span.start
        return span.row + place if span.rows is None else span.rows[place].as_py()

    def piece(self, batch: pa.RecordBatch, rows: int | bytes) -> Piece:
        """A batch that was made of one batch of the input.

        rows: the rows of the input that it holds, as the engine gives them: the first, or all as int64.
        """
        numbers: Any = None
        first = -1
        if isinstance(rows, int):
            first = rows
        elif batch.num_rows:
            buffers = [None, pa.py_buffer(rows)]
            numbers = arrow.Array.from_buffers(arrow.int64(), batch.num_rows, buffers)
            first = numbers[0].as_py()
        if self._direct or first < 0:
            return Piece(batch, first, numbers)
        span = self._find(first)
        if span is None or span.row < 0:
            return Piece(batch)
        if span.rows is not None:
            place = first - span.start
            if numbers is None:
                numbers = span.rows.slice(place, batch.num_rows)
            else:
                numbers = span.rows.take(_shifted(numbers, -span.start))
            return Piece(batch, numbers[0].as_py(), numbers)
        shift = span.row - span.start
        return Piece(batch, first + shift, None if numbers is None else _shifted(numbers, shift))

    def _find(self, row: int) -> _Span | None:
        for span in reversed(self._spans):
            if span.start <= row < span.end:
                return span
        return None


def _shifted(numbers: Any, shift: int) -> Any:
    import pyarrow.compute as pc

    call: Any = pc
    return numbers if shift == 0 else call.add(numbers, shift)


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
