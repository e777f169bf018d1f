"""Arrow values as Python objects and the other way, a little at a time: it holds the interpreter's lock, which an event loop may
wait for.
"""

from __future__ import annotations

import datetime
import decimal
import io
import pickle
import zoneinfo
from bisect import bisect_right
from time import thread_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROWS_FIRST = 16
_ROWS_MAX = 8192
_SHORT_S = 0.0005  # less than this: the next list is twice as long
_LONG_S = 0.002
_PART_BYTES = 1 << 16  # of a part of an array, which are Python objects in a millisecond or so
_NESTED: set[type] = {list, tuple, dict}
_PACKED = {
    datetime.date,
    datetime.datetime,
    datetime.time,
    datetime.timedelta,
    datetime.timezone,
    zoneinfo.ZoneInfo,
    decimal.Decimal,
}


class Gently:
    """Values for `pa.array`, which holds the interpreter for a whole list and lets go of it between the items of anything else.

    asked: the place of the value that was asked for last.

    >>> import pyarrow as pa
    >>> pa.array(Gently([1, 2])).to_pylist()
    [1, 2]
    """

    __slots__ = ("_count", "_values", "asked")

    def __init__(self, values: list[Any], count: int | None = None) -> None:
        """count: the first so many."""
        self._values = values
        self._count = len(values) if count is None else count
        self.asked = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        if index >= self._count:
            raise IndexError(index)
        self.asked = index
        return self._values[index]

    def head(self, count: int) -> Gently:
        """The first so many of them."""
        return Gently(self._values, count)


class Kept(Gently):
    """Values that are kept until all are there, as few objects: the collector of garbage looks at every list and dict, again and again.

    Lists and dicts of plain values are bytes or parts of Arrow arrays, and are objects again while they are asked for. What a
    class of the user's made stays as it is.

    >>> kept = Kept()
    >>> kept.add([{"a": [1]}, None])
    >>> kept.add([2.5])
    >>> len(kept), [kept[k] for k in range(3)], list(kept.head(1))
    (3, [{'a': [1]}, None, 2.5], [{'a': [1]}])
    """

    __slots__ = ("_ends", "_parts", "_start", "_stop")

    def __init__(self) -> None:
        super().__init__([])
        self._parts: list[Any] = []
        self._ends: list[int] = []  # of each part
        self._start = self._stop = 0  # of the part whose values are in `_values`

    def add(self, part: list[Any]) -> None:
        """More values: few, which it may keep."""
        self._add(_packed(part), len(part))

    def add_array(self, array: Any) -> None:
        """The values that the array has as Python objects."""
        rows = max(len(array) * _PART_BYTES // max(array.nbytes, _PART_BYTES), 1)
        for start in range(0, len(array), rows):
            part = array.slice(start, rows)
            self._add(part, len(part))

    def _add(self, part: Any, count: int) -> None:
        self._parts.append(part)
        self._count += count
        self._ends.append(self._count)

    def __getitem__(self, index: int) -> Any:
        if index >= self._count:
            raise IndexError(index)
        self.asked = index
        if not self._start <= index < self._stop:
            place = bisect_right(self._ends, index)
            self._stop = self._ends[place]
            self._values = _unpacked(self._parts[place])
            self._start = self._stop - len(self._values)
        return self._values[index - self._start]

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(self._count))

    def head(self, count: int) -> Kept:
        first = Kept()
        first._parts, first._ends, first._count = self._parts, self._ends, count
        return first

    def clear(self) -> None:
        """All of them go, not at once: many objects are long in going."""
        self._count = self._start = self._stop = 0
        self._values = []
        while self._parts:
            self._parts.pop()
        self._ends.clear()


class _Packer(pickle.Pickler):
    """Packs values of classes that nobody made but Python."""

    def reducer_override(self, obj: Any, /) -> Any:
        if type(obj) not in _PACKED:
            raise pickle.PicklingError
        return NotImplemented


def _packed(part: list[Any]) -> list[Any] | bytes:
    """Values with lists and dicts among them as bytes; others, and those that bytes do not hold, as they are."""
    if _NESTED.isdisjoint(map(type, part)):
        return part
    file = io.BytesIO()
    try:
        _Packer(file, 5).dump(part)
    except (pickle.PicklingError, RecursionError):
        return part
    return file.getvalue()


def _unpacked(part: Any) -> list[Any]:
    if isinstance(part, bytes):
        return pickle.loads(part)
    return part if isinstance(part, list) else part.to_pylist()  # pyright: ignore[reportUnknownVariableType]


class Pace:
    """How many rows take about a millisecond, from a few on.

    rows_max: never more than these.
    """

    __slots__ = ("_rows_max", "rows")

    def __init__(self, rows_max: int = _ROWS_MAX) -> None:
        self.rows = min(_ROWS_FIRST, rows_max)
        self._rows_max = rows_max

    def limit(self, rows_max: int) -> None:
        """Never more than these from here on."""
        self._rows_max = min(rows_max, self._rows_max)
        self.rows = min(self.rows, self._rows_max)

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
