"""Arrow values as Python objects and the other way, a little at a time: it holds the interpreter's lock, which an event loop may
wait for.
"""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROWS_FIRST = 16
_ROWS_MAX = 8192
_SHORT_S = 0.0005  # less than this: the next list is twice as long
_LONG_S = 0.002


class Gently:
    """Values for `pa.array`, which holds the interpreter for a whole list and lets go of it between the items of anything else.

    >>> import pyarrow as pa
    >>> pa.array(Gently([1, 2])).to_pylist()
    [1, 2]
    """

    __slots__ = ("_count", "_values")

    def __init__(self, values: list[Any], count: int | None = None) -> None:
        """count: the first so many."""
        self._values = values
        self._count = len(values) if count is None else count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        if index >= self._count:
            raise IndexError(index)
        return self._values[index]


class Pace:
    """How many rows take about a millisecond, from a few on.

    rows_max: never more than these.
    """

    __slots__ = ("_rows_max", "rows")

    def __init__(self, rows_max: int = _ROWS_MAX) -> None:
        self.rows = min(_ROWS_FIRST, rows_max)
        self._rows_max = rows_max

    def took(self, rows: int, spent_s: float) -> None:
        """So many rows took this long."""
        if spent_s > _LONG_S:
            self.rows = max(rows // 2, 1)
        elif spent_s < _SHORT_S and rows >= self.rows:
            self.rows = min(rows * 2, self._rows_max)

    def parts(self, values: list[Any]) -> Iterator[list[Any]]:
        """The values in lists, each of which whoever takes it is done with when asking for the next."""
        start = 0
        while start < len(values):
            part = values[start : start + self.rows]
            began = thread_time()
            yield part
            self.took(len(part), thread_time() - began)
            start += len(part)


def python_lists(data: Any) -> Iterator[list[Any]]:
    """The values of an array, or the rows of a batch as dicts, in lists that take about a millisecond each.

    >>> import pyarrow as pa
    >>> [len(some) for some in python_lists(pa.array(range(100)))]
    [16, 32, 52]
    """
    count, start, pace = len(data), 0, Pace()
    while start < count:
        began = thread_time()
        values = data.slice(start, pace.rows).to_pylist()
        start += len(values)
        pace.took(len(values), thread_time() - began)
        yield values
