"""What NumPy does with whole arrays between the phases of a compiled batch function.

It is called as the function calls it, with the same arrays, so it gives the same bits. Where it would warn or fails, where a column has
nulls, and where what it gives is not what it gave when the function was compiled, there is no answer: the batch is the function's own.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from sabot._piece import arrow

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sabot._form_parts import WholeCall


class Between(NamedTuple):
    """What stands behind a phase.

    calls: each with the places of its arrays in the phase's result. dtypes: of these as NumPy's; None: Arrow's. types: of the columns that
    the calls make. one: they have one row.
    """

    calls: Sequence[tuple[WholeCall, tuple[int, ...]]]
    dtypes: Sequence[Any]
    types: Sequence[pa.DataType]
    one: bool

    def made(self, batch: Any) -> pa.RecordBatch | None:
        """The columns that NumPy makes of a phase's result; None: it may say something about it."""
        numpy: Any = sys.modules["numpy"]
        arrays: list[Any] = []
        for place, dtype in enumerate(self.dtypes):
            column = batch.column(place)
            if dtype is None:
                arrays.append(column)
                continue
            if column.null_count:
                return None
            arrays.append(column.to_numpy(zero_copy_only=False))
            if arrays[-1].dtype != dtype:
                return None
        made: list[Any] = []
        # Where it would say something, it is the function itself that has to make it do so.
        loud = {kind: how if how == "ignore" else "raise" for kind, how in numpy.geterr().items()}
        try:
            with numpy.errstate(**loud):
                for call, places in self.calls:
                    given = [arrays[place] for place in places] or [batch]
                    if call.fits is not None and not call.fits(given[0]):
                        return None
                    made.append(call.make(given))
        except Exception:
            return None  # the function itself will say what it is
        columns: list[Any] = []
        for value, (call, _), type_ in zip(made, self.calls, self.types, strict=True):
            kind: Any = numpy.generic if self.one else numpy.ndarray
            rows = () if self.one else (batch.num_rows,)
            if not isinstance(value, kind) or value.dtype != call.dtype or value.shape != rows:
                return None
            columns.append(arrow.array(numpy.atleast_1d(value), type_))
        return arrow.RecordBatch.from_arrays(columns, names=[call.column for call, _ in self.calls])
