"""`auto_compile` of functions that are called with NumPy arrays: the same bits, dtype and kind of array as they give.

What a function does with arrays of some dtypes is read as of a stream's function of arrays (`_arrays`). Only what ends in a new array of
its own is computed, so that nobody can tell the result's memory from that of the function itself.
"""

from __future__ import annotations

import json
import logging
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot import _config, _core
from sabot._arrays import Arrays, as_batch, columns_taken
from sabot._engine import session
from sabot._errors import PlanError
from sabot._form_bind import formed, stages_of
from sabot._form_values import NoFormError
from sabot._function import Scalar
from sabot._guards import watched
from sabot._lane import BatchBinding, Place
from sabot._piece import arrow
from sabot._run_once import run_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from sabot._capture import Captured
    from sabot._udf import Options

_log = logging.getLogger("sabot.compile")
_FROM_C: Any = cast("Any", pa.Array)._import_from_c
_ROWS_AT_ONCE = 2048
_PIECE_ROWS = 65536
_FEW_ROWS = 32  # of functions without loops, of which a call of the function costs less
_SKIPS_MAX = 64  # calls that are the function's own behind those that were given up
_TRIES = 2
_BOUND_MAX = 16  # combinations of dtypes
_KINDS = "iufb"


class _LeftError(Exception):
    """A row cannot be computed exactly."""


def _give_up(batch: pa.RecordBatch) -> None:
    raise _LeftError


_HOST = BatchBinding(_give_up, Place("CALL", "", ()), None, is_filter=False)


class _Times:
    """Which of two ways takes less time for arrays of about one length: each is tried twice. least: ns of a call, and of native code."""

    def __init__(self) -> None:
        self.least = [2**62, 2**62]
        self._tried = [0, 0]

    def choose(self) -> bool:
        """Whether the next call is native code's."""
        if min(self._tried) < _TRIES:
            return self._tried[1] <= self._tried[0]
        return self.least[1] <= self.least[0]

    def add(self, native: bool, ns: int) -> bool:
        """Adds a time; whether that decides."""
        if min(self._tried) >= _TRIES:
            return False
        self._tried[native] += 1
        self.least[native] = min(self.least[native], ns)
        return min(self._tried) == _TRIES


class _Bound(NamedTuple):
    """A function for arrays of some dtypes. plan: of a run; spot: of few rows at once, or None.
    few: so many rows are the function's own. whole: they are computed together. times: by the lengths' numbers of bits, of what NumPy
    computes well by itself; else None.
    """

    scalar: Scalar
    schema: Any
    plan: _core.Plan
    spot: _core.Plan | None
    type: Any
    few: int
    whole: bool
    times: dict[int, _Times] | None


class ByArrays:
    """A function that is called with arrays of one length."""

    def __init__(self, fn: Callable[..., Any], captured: Captured, options: Options) -> None:
        self._fn = fn
        self._captured = captured
        self._options = options
        self._bound: dict[tuple[Any, ...], _Bound | None] = {}
        self._skips = 0
        self._missed = 0

    def __call__(self, values: tuple[Any, ...]) -> Any:
        """What the function gives for these arguments, of which the first is an array."""
        kind = cast("Any", type)(values[0])
        rows = values[0].shape[0] if values[0].ndim == 1 else 0
        for value in values:
            if value.__class__ is not kind or value.shape != (rows,) or rows == 0:
                return self._fn(*values)
        if self._skips > 0 or _config.get("compile") == "off":
            self._skips -= self._skips > 0
            return self._fn(*values)
        key = tuple(value.dtype for value in values)
        if key not in self._bound:
            if len(self._bound) >= _BOUND_MAX:
                self._bound.clear()
            self._bound[key] = self._bind(key)
        bound = self._bound.get(key)
        if bound is None or rows <= bound.few:
            return self._fn(*values)
        if bound.times is None:
            return self._native(bound, values, rows)
        times = bound.times.setdefault(rows.bit_length(), _Times())
        native = times.choose()
        start = perf_counter_ns()
        given = self._native(bound, values, rows) if native else self._fn(*values)
        if times.add(native, perf_counter_ns() - start):
            self._tell(times, rows)
        return given

    def _tell(self, times: _Times, rows: int) -> None:
        name, (by_call, by_native) = self._captured.name, times.least
        how = "by native code" if times.choose() else "by NumPy"
        _log.info(
            "%s of %d rows %s: %d us, by NumPy %d us",
            name,
            rows,
            how,
            by_native // 1000,
            by_call // 1000,
        )

    def _native(self, bound: _Bound, values: tuple[Any, ...], rows: int) -> Any:
        """What native code gives; what the function itself gives where a row leaves."""
        try:
            made = self._run(bound, [arrow.array(value) for value in values], rows)
        except _LeftError:
            self._missed = min(self._missed + 1, 6)
            self._skips = min(2**self._missed, _SKIPS_MAX)
            return self._fn(*values)
        self._missed = 0
        given: Any = made.to_numpy(zero_copy_only=False)
        return given if given.flags.writeable else given.copy()

    def _run(self, bound: _Bound, columns: list[Any], rows: int) -> Any:
        """The result, as a column.

        Raises:
            _LeftError: a row left.
        """
        source = arrow.RecordBatch.from_arrays(columns, schema=bound.schema)
        usual = all(_config.get(name) == "auto" for name in ("compile", "validate"))
        tier = str(_config.get("tier"))
        if bound.spot is not None and rows <= _ROWS_AT_ONCE and usual and tier != "interpreter":
            made = None if watched() else bound.spot.compute(source, _FROM_C, bound.type)
            if made is not None:
                return made
        pieces = [source]
        if rows > 2 * _PIECE_ROWS and not bound.whole:
            pieces = [source.slice(k, _PIECE_ROWS) for k in range(0, rows, _PIECE_ROWS)]
        feed = [(piece, 0, None) for piece in pieces]
        tier = "native" if tier == "auto" else tier
        parts = run_once(
            bound.scalar, bound.plan, feed, rows=rows, tier=tier, operators=1, by_batch={0: _HOST}
        )
        made = [part.column(0) for part in parts]
        return made[0] if len(made) == 1 else arrow.concat_arrays(made)

    # Binding

    def _bind(self, dtypes: tuple[Any, ...]) -> _Bound | None:
        """What computes arrays of these dtypes; None: the function itself."""
        if any(one.kind not in _KINDS or not one.isnative for one in dtypes):
            return None
        try:
            return self._bind_form(dtypes)
        except NoFormError as error:
            refusal = error.refusal
            place = f" (line {refusal.line})" if refusal.line else ""
            why = f"{refusal.detail or refusal.code}{place}"
        except PlanError as error:
            why = str(error)
        _log.debug("%s of arrays is not compiled: %s", self._captured.name, why)
        return None

    def _bind_form(self, dtypes: tuple[Any, ...]) -> _Bound | None:
        captured, options = self._captured, self._options
        names = [p.name for p in captured.params or () if p.kind == "positional"][: len(dtypes)]
        if captured.blob is None or len(names) < len(dtypes):
            raise PlanError(captured.refusals[0].code if captured.refusals else "other arguments")
        read = arrow.schema(
            [
                (name, arrow.from_numpy_dtype(dtype))
                for name, dtype in zip(names, dtypes, strict=True)
            ]
        )
        column = "result"
        while column in names:
            column += "'"
        arrays = Arrays(self._fn, column, {}, None)
        wrapped = as_batch(captured, arrays, read, columns_taken(captured, arrays, read))
        form, made, core, told, _ = formed(wrapped, read, options, False)
        assert captured.node is not None
        if told is None:
            reasons: list[dict[str, Any]] = json.loads(core.report())["reasons"]
            raise PlanError("; ".join(one["message"] for one in reasons) or 'compile="off"')
        if not form.fresh:
            raise NoFormError(captured.node, "a result that is no new array")
        stages, refusing = stages_of(wrapped, form, read, options.compile == "off")
        if refusing is not None or not core.compiled:
            raise PlanError("a part of it is not compiled")
        scalar = Scalar(made, core, len(core.params), None, "", told=True, options=options)
        source = _core.Plan(session(), "CALL", read)
        plan = source.lowered("", core, False, [None], [column], stages)
        # A run without batches makes native code, and waits for it.
        run_once(scalar, plan, [], rows=0, tier="native", operators=1, by_batch={0: _HOST})
        facts: dict[str, Any] = json.loads(core.report())
        if facts["native"] == "ready":
            _log.info("compiled %s in %.1f ms", captured.name, facts["compile_ms"])
        spot = None
        if form.kind != "whole" and not stages:
            spot = source.map(core, [None], [column])
        by_items = form.kind == "array"
        few = _FEW_ROWS if by_items and not form.calls else 0
        type = told.types[-1]
        whole = form.kind == "whole"
        return _Bound(scalar, read, plan, spot, type, few, whole, {} if by_items else None)
