"""`BaseOperator`, and one pass of an operator over its batches."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot._checks import check_schema
from sabot._conform import Conformer
from sabot._errors import DataError, PlanError
from sabot._lane import batch_of
from sabot._piece import Piece
from sabot.operators._upstream import OtherUpstream, SourceUpstream

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Callable,
        Generator,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from sabot._derive import Transform
    from sabot._run import RunContext


class BaseOperator:
    """Maps record batches to record batches. Subclass it and write `process_batch` to make an operator of your own.

    The contract:

    * `process_batch` takes a `pyarrow.RecordBatch` and gives one; None, or one without rows, emits nothing. No operator sees
      single rows: `Stream.records()` takes batches apart outside of the operators.
    * Whether a pass ends is the source's affair. `for` and `async for` run the same `process_batch`, over a source that ends and
      over one that does not.
    * An operator is a plain iterable over its source: a list can be passed over again, a second pass over a generator is empty.
      A pass that is broken off or cancelled closes the source, once.
    * Columns that are not touched are not copied.

    Parameters:
        source: what it reads: another operator, a `Stream`, an iterable or async iterable of record batches, or a function that
            makes one. None: only `process_batch` is called, by you or by a stream (`Stream.apply`).
        schema: of what it gives, which is checked; None: the first batch tells.

    A subclass with keyed state sets `_stateful = True` and `_key_columns`, or overrides the methods that tell them.

    Raises:
        PlanError: a source that gives no batches.

    >>> import pyarrow as pa
    >>> class Total(BaseOperator):
    ...     _stateful = True
    ...     total = 0
    ...     def process_batch(self, batch):
    ...         self.total += sum(batch["v"].to_pylist())
    ...         return pa.record_batch({"total": [self.total]})
    >>> batches = [pa.record_batch({"v": [1, 2]}), pa.record_batch({"v": [3]})]
    >>> [batch["total"].to_pylist() for batch in Total(batches)]
    [[3], [6]]
    """

    _upstreams: tuple[OtherUpstream | SourceUpstream, ...] = ()
    _schema: pa.Schema | None = None
    _stateful: bool = False
    _key_columns: Sequence[str] = ()
    _parallelism_hint: int = 1

    def __init__(self, source: object = None, schema: pa.Schema | None = None) -> None:
        check_schema(schema)
        self._schema = schema
        if source is not None:
            self._upstreams = (self._reads(source),)

    def __init_subclass__(cls) -> None:
        for base in cls.__bases__:
            if base.__dict__.get("__final__"):
                raise TypeError(f"{base.__name__} cannot be subclassed; subclass BaseOperator")
        super().__init_subclass__()

    # --- what subclasses write

    def process_batch(
        self, batch: pa.RecordBatch
    ) -> pa.RecordBatch | pa.Table | Mapping[str, Any] | None:
        """What becomes of one batch: a RecordBatch, Table or dict of arrays; None for nothing. Here: the batch itself."""
        return batch

    def get_schema(self) -> pa.Schema | None:
        """The schema of what it gives; None while only the first batch can tell."""
        return self._schema

    def is_stateful(self) -> bool:
        """Whether a batch's result depends on the batches before it."""
        return self._stateful

    def get_partition_keys(self) -> list[str]:
        """The columns by whose values its state is kept apart; empty: it has none, or one for all rows."""
        return list(self._key_columns)

    def get_parallelism_hint(self) -> int:
        """How many of it would be worth running side by side. A stream runs one, in order, whatever the hint."""
        return self._parallelism_hint

    def requires_shuffle(self) -> bool:
        """Whether rows of equal keys must come to the same operator, where several run side by side."""
        return self.is_stateful() and bool(self.get_partition_keys())

    def get_operator_name(self) -> str:
        """Its name in plans and in the notes of errors."""
        return type(self).__name__

    # --- passes

    def __iter__(self) -> Generator[pa.RecordBatch]:
        """One pass over the source, for plain code; it ends where the source does."""
        if not self._upstreams:
            return
        one = self._pass(self.get_operator_name(), self.get_schema())
        for upstream in self._upstreams:
            with closing(upstream.batches()) as batches:
                for batch in batches:
                    with closing(one.made(batch)) as made:
                        yield from made

    async def __aiter__(self) -> AsyncGenerator[pa.RecordBatch]:
        """One pass over the source, for the running event loop, which gets its turn between two batches.

        `process_batch` and a plain source run on the loop's own thread: one that waits holds the loop up. A `Stream` as the
        source reads on a thread of its own.
        """
        if not self._upstreams:
            return
        one = self._pass(self.get_operator_name(), self.get_schema())
        for upstream in self._upstreams:
            async with aclosing(upstream.batches_async()) as batches:
                async for batch in batches:
                    with closing(one.made(batch)) as made:
                        for count, result in enumerate(made):
                            if count:
                                await asyncio.sleep(0)
                            yield result

    # --- what the operators of this package write otherwise

    def _results(self, batch: pa.RecordBatch) -> Iterable[object]:
        """All results of one batch."""
        return (self.process_batch(batch),)

    def _output(self, schema: pa.Schema | None) -> pa.Schema | None:
        """The schema of the results for batches of `schema`. Raises PlanError where it cannot work on those."""
        return self.get_schema()

    def _pass(self, place: str, schema: pa.Schema | None) -> Pass:
        return Pass(self._results, self.get_operator_name(), place, schema)

    def _reads(self, source: object) -> OtherUpstream | SourceUpstream:
        from sabot._stream import Stream

        if isinstance(source, BaseOperator):
            return OtherUpstream(source, source.get_schema())
        if isinstance(source, Stream):
            return OtherUpstream(source, source.schema)
        return SourceUpstream(source, type(self).__name__)

    def _known(self) -> pa.Schema | None:
        """The schema of what it reads."""
        return self._upstreams[0].schema if self._upstreams else None

    # --- as a stage of a stream

    def _stage(self, schema: pa.Schema | None) -> Stage:
        name = self.get_operator_name()
        if self._upstreams:
            raise PlanError(
                f"apply({name}): it has a source of its own, so it would never see this stream; make it with source=None"
            )
        output = self._output(schema)
        check_schema(output)

        def transform(inputs: Sequence[Iterator[Piece]], context: RunContext) -> Iterator[Piece]:
            one = self._pass(f"APPLY {name}", output)
            for piece in inputs[0]:
                with closing(one.made(piece.batch)) as made:
                    for batch in made:
                        yield piece if batch is piece.batch else Piece(batch)

        return Stage(f"APPLY {name}", output, transform)


class Stage(NamedTuple):
    """An operator as `Stream.apply` puts it into a plan."""

    text: str
    schema: pa.Schema | None
    transform: Transform


def stage(op: object, schema: pa.Schema | None) -> Stage:
    """An operator without a source as a stage that reads batches of `schema` (None: not known before the run).

    Raises:
        PlanError: it is no operator, or has a source.
    """
    if isinstance(op, BaseOperator):
        return op._stage(schema)  # pyright: ignore[reportPrivateUsage]
    given, hint = type(op).__name__, ""
    if isinstance(op, type):
        given = "a class"
        hint = f": {op.__name__}() makes one" if issubclass(op, BaseOperator) else ""
    elif callable(op):
        hint = "; map takes functions"
    raise PlanError(
        f"apply takes an object of a subclass of sabot.operators.BaseOperator, not {given}{hint}"
    )


class Pass:
    """Checks and counts the results of one pass of an operator, and says in errors where it was."""

    __slots__ = ("_conform", "_name", "_number", "_place", "_results", "_row", "_schema")

    def __init__(
        self,
        results: Callable[[pa.RecordBatch], Iterable[object]],
        name: str,
        place: str,
        schema: pa.Schema | None,
    ) -> None:
        self._results = results
        self._name = name
        self._place = place
        self._schema = schema
        self._conform = Conformer(place, schema)
        self._number = 0
        self._row = 0

    def made(self, batch: pa.RecordBatch) -> Generator[pa.RecordBatch]:
        """The results of the next batch that have rows."""
        number, row = self._number, self._row
        self._number += 1
        self._row += batch.num_rows
        try:
            for result in self._results(batch):
                if result is not None:
                    found = given(result, self._name, self._schema)
                    if found.num_rows:
                        yield self._conform(found)
        except Exception as error:
            rows = f"rows {row} to {row + batch.num_rows - 1} of its input"
            error.add_note(f"in {self._place}: batch {number}, {rows}")
            raise


def given(result: object, name: str, schema: pa.Schema | None) -> pa.RecordBatch:
    """The batch that process_batch gave, whichever of the allowed forms it has."""
    if not isinstance(result, pa.RecordBatch | pa.Table | dict):
        if inspect.iscoroutine(result):
            result.close()
        raise DataError(
            f"{name}.process_batch returned {type(result).__name__}; it returns a RecordBatch, a Table or a dict of "
            "arrays, or None to emit nothing"
        )
    return batch_of(cast("Any", result), name, schema)


def check_batch(batch: object) -> None:
    """Refuses what process_batch does not take."""
    if not isinstance(batch, pa.RecordBatch):
        raise DataError(f"process_batch takes a pyarrow.RecordBatch, not {type(batch).__name__}")
