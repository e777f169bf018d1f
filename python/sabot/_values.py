"""Arrow values as Python objects, a little at a time: making them holds the interpreter's lock, which an event loop may wait for."""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROWS_FIRST = 16
_ROWS_MAX = 8192
_SHORT_S = 0.0005  # less than this: the next list is twice as long
_LONG_S = 0.002


def python_lists(data: Any) -> Iterator[list[Any]]:
    """The values of an array, or the rows of a batch as dicts, in lists that take about a millisecond each.

    >>> import pyarrow as pa
    >>> [len(some) for some in python_lists(pa.array(range(100)))]
    [16, 32, 52]
    """
    count, start, at_once = len(data), 0, _ROWS_FIRST
    while start < count:
        began = thread_time()
        values = data.slice(start, at_once).to_pylist()
        took = thread_time() - began
        yield values
        start += at_once
        if took < _SHORT_S:
            at_once = min(at_once * 2, _ROWS_MAX)
        elif took > _LONG_S:
            at_once = max(at_once // 2, 1)
