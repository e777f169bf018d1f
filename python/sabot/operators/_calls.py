"""A user's function as an operator object calls it.

Kinds are those of `Stream`, told once for a schema. A function of batches is called directly; one of another kind runs as in
`Stream`: a stream over one batch, bound once for each thread.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sabot._capture import capture
from sabot._errors import PlanError
from sabot._expr import Column
from sabot._function import Scalar, bind
from sabot._lane import BatchBinding
from sabot._staged import called_by, is_async
from sabot._strategy import CompilationStrategy, pattern_of, strategy_of
from sabot._stream import Stream
from sabot._udf import Options, Udf, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MINE = ("on_error", "max_concurrency", "use_process", "dead_letter")
_NONE = Options()


def uncompiled(fn: Any) -> Any:
    """A function that is not compiled.

    Raises:
        PlanError: its udf wants it compiled.
    """
    plain, options = unwrap(fn)
    if options.compile == "require":
        raise PlanError(
            'vectorized=True leaves its function alone, and its udf says compile="require"'
        )
    return Udf(plain, options._replace(compile="off")) if callable(plain) else fn


def strategy_for(fn: Any) -> CompilationStrategy:
    """What is worth doing with a function; SKIP where its udf says that it is not compiled."""
    plain, options = unwrap(fn)
    if options.compile == "off":
        return CompilationStrategy.SKIP
    return strategy_of(pattern_of(capture(called_by(plain)), options.kind))


class Calls:
    """How one function is called, told again when the schema of the batches changes.

    operator: the method of Stream that it would be given to.
    """

    def __init__(
        self, fn: object, owner: object, operator: str, add: Callable[[Stream], Stream]
    ) -> None:
        who = type(owner).__name__
        if not (callable(fn) or (operator == "filter" and isinstance(fn, Column))):
            raise PlanError(f"{who} takes a function, not {type(fn).__name__}")
        plain, options = unwrap(fn)
        for name in _MINE:
            if getattr(options, name) != getattr(_NONE, name):
                raise PlanError(
                    f"{who} calls its function itself, so {name}= of its udf would have no effect; use Stream.{operator}"
                )
        if isinstance(plain, type):
            raise PlanError(
                f"{who} takes a function or an object that is called, and {plain.__name__} is a class: {plain.__name__}(...) "
                f"makes one; Stream.{operator} builds one for each worker"
            )
        called = called_by(plain)
        if is_async(called):
            raise PlanError(
                f"{who} calls its function itself and does not await; Stream.{operator} awaits"
            )
        self.name = str(getattr(plain, "__name__", type(plain).__name__))
        self._fn: Any = fn if called is plain else Udf(plain.__call__, options)
        self._operator = operator
        self._add = add
        self._told: tuple[pa.Schema, _Runs | None] | None = None
        self.compiled = False  # what is run, for the latest schema

    def runs(self, schema: pa.Schema) -> _Runs | None:
        """None where the function takes a batch and is called with it; else what runs it.

        Raises:
            PlanError: as the method of Stream does.
        """
        told = self._told
        if told is None or not told[0].equals(schema):
            bound = None
            if not isinstance(self._fn, Column):
                bound = bind(self._fn, schema, self._operator)
            direct = isinstance(bound, BatchBinding) and bound.rows is None
            self.compiled = isinstance(bound, Scalar) and bound.core.compiled
            told = self._told = (schema, None if direct else _Runs(schema, self._add))
        return told[1]


class _Runs:
    """Runs of a stream over one batch, on whichever thread."""

    def __init__(self, schema: pa.Schema, add: Callable[[Stream], Stream]) -> None:
        self._schema = schema
        self._add = add
        self._local = threading.local()
        self._stream()

    def _stream(self) -> tuple[list[Sequence[pa.RecordBatch]], Stream]:
        held: list[Sequence[pa.RecordBatch]] = [()]
        source = Stream.from_batches(lambda: held[0], self._schema)
        self._local.made = made = (held, self._add(source))
        return made

    def __call__(self, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
        found = getattr(self._local, "made", None)
        held, stream = found if found is not None else self._stream()
        held[0] = (batch,)
        try:
            return list(stream)
        finally:
            held[0] = ()


def rows_where(batch: pa.RecordBatch, mask: Any) -> pa.RecordBatch:
    """The rows of a batch for which a mask is true; the batch itself where it is true for all."""
    if mask.true_count == batch.num_rows:
        return batch
    try:
        return batch.filter(mask)
    except pa.ArrowNotImplementedError:  # a type such as string_view, whose rows the engine takes
        name = "mask"
        while name in batch.schema.names:
            name += "_"
        wide = cast("Any", batch.append_column(name, mask))
        kept = list(Stream.from_batches([wide]).filter(Column(name)))
        return together(kept, wide.slice(0, 0)).select(list(range(batch.num_columns)))


def together(batches: list[pa.RecordBatch], empty: pa.RecordBatch | None) -> Any:
    """Their rows in one batch; `empty` where there are none."""
    if len(batches) == 1:
        return batches[0]
    return cast("Any", pa).concat_batches(batches) if batches else empty
