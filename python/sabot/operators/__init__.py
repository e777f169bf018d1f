"""Operators as objects: for direct use over any iterable of record batches, and to write one's own.

Every operator maps record batches to record batches; none sees single rows. Whether a pass ends is the source's affair: the same
operator runs over a list and over a source that never ends, by `for` and by `async for`.

>>> import pyarrow as pa, pyarrow.compute as pc
>>> from sabot.operators import FilterOperator, SelectOperator
>>> batch = pa.record_batch({"id": [1, 2, 3], "v": [5, 50, 500]})
>>> large = FilterOperator([batch], lambda b: pc.greater(b.column("v"), 10))
>>> [b.to_pydict() for b in SelectOperator(large, ["id"])]
[{'id': [2, 3]}]
"""

from sabot.operators._base import BaseOperator
from sabot.operators._transform import (
    FilterOperator,
    FlatMapOperator,
    MapOperator,
    SelectOperator,
    UnionOperator,
)

__all__ = [
    "BaseOperator",
    "FilterOperator",
    "FlatMapOperator",
    "MapOperator",
    "SelectOperator",
    "UnionOperator",
]
