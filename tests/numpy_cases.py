"""Row functions that give NumPy's scalars, run by compiled code and by CPython, where a warning of NumPy counts as "has to leave"."""

import math
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
from support import cell

from sabot import _core
from sabot._capture import capture
from sabot._engine import session
from sabot._lane import Binding, Place

LEFT = object()
TIER = {"interpreter": 1, "native": 2}


class Kernel:
    """A function of columns that gives a tuple of one item, compiled as one result."""

    def __init__(self, source: str, schema: pa.Schema, **names: object) -> None:
        self.source = source
        self.fn: Any = cell(source, np=np, math=math, **names)["f"]
        captured = capture(self.fn)
        assert captured.blob is not None, captured.refusals
        self.core = _core.Function(session(), captured.blob, schema, False, ["out"])
        self.schema = schema

    def rows(self, table: pa.Table, tier: str) -> list[object]:
        """What compiled code gives; LEFT for a row that left it."""
        plan = _core.Plan(session(), "test", self.schema).map(self.core, [None], ["out"])
        columns = tuple(column for _, column in self.core.params)
        place = Place("f", "f", columns)
        left = Binding(lambda *args: (None,), len(columns), None, place, False, keys=("out",))
        run = _core.Run(plan, table, (left,), {}, 1, 0, TIER[tier], [False], 1)
        try:
            parts = []
            while (made := run.next()) is not None:
                parts.append(made[0].column(0))
            self.report = run.report()
        finally:
            run.close()
        column = pa.chunked_array(parts)
        self.type = column.type
        return [LEFT if value is None else value for value in column.to_pylist()]

    def answers(self, table: pa.Table) -> list[object]:
        """What CPython gives; LEFT where it warns or raises."""
        out: list[object] = []
        for row in zip(*[table[name].to_pylist() for _, name in self.core.params], strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    out.append(self.fn(*row)[0])
                except Exception:
                    out.append(LEFT)
        return out


def is_same(compiled: object, answer: object) -> bool:
    """Equal as the values of one column: NaN is NaN, zeros have signs."""
    if isinstance(answer, np.generic):
        answer = answer.item()
    if isinstance(compiled, bool) or isinstance(answer, bool):
        return compiled is answer
    if isinstance(compiled, float):
        answer = float(answer)  # pyright: ignore[reportArgumentType]
        if compiled != compiled:
            return answer != answer
        return compiled == answer and math.copysign(1, compiled) == math.copysign(1, answer)
    return type(compiled) is type(answer) and compiled == answer
