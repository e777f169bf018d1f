"""A chain of the engine's operators over one source, and one run of it.

`Chain` binds operators to a schema. `run_chain` is a stage of a run: it opens the source, gives it to the engine and takes out what
comes, batch by batch, with the rows of the source. A table is read by the engine itself; for the pieces of any other source it asks.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import chain as chained
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from sabot import _config, _core
from sabot._derive import Derived
from sabot._engine import session
from sabot._errors import PlanError, SabotError, StateError, suggest
from sabot._guards import tracing_active
from sabot._piece import Piece, arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from sabot._batches import BatchIterator, Source
    from sabot._function import Scalar
    from sabot._lane import BatchBinding, Binding
    from sabot._run import RunContext, Stops

    Operator = Callable[["Chain"], "Chain"]

_TIERS = {"auto": 0, "interpreter": 1, "native": 2}
_DUMPS = ("plan", "ir", "llvm", "asm")


class Step(NamedTuple):
    """One scalar function of the plan, with the place errors name."""

    scalar: Scalar
    binding: Binding


class Chain(NamedTuple):
    """Operators bound to a source's schema. Each operator gives a new one."""

    plan: _core.Plan
    steps: tuple[Step, ...] = ()
    batches: Mapping[int, BatchBinding] = {}
    ops: int = 0

    @property
    def schema(self) -> pa.Schema | None:
        """What comes out; None where only the first batch tells."""
        capsule = self.plan.schema()
        if capsule is None:
            return None
        return pa.Schema._import_from_c_capsule(capsule)  # pyright: ignore[reportPrivateUsage]

    def then(
        self, plan: _core.Plan, steps: tuple[Step, ...] = (), batch: BatchBinding | None = None
    ) -> Chain:
        """The chain with one more operator, which is the last of `plan`."""
        batches = self.batches if batch is None else {**self.batches, self.ops: batch}
        return Chain(plan, self.steps + steps, batches, self.ops + 1)


class TableSource(NamedTuple):
    """A table as a source: the engine reads it without Python."""

    table: pa.Table
    batch_size: int | None

    bounded = True

    @property
    def text(self) -> str:
        return f"TABLE {self.table.num_rows} rows"

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema


def _open(source: Source | Derived, context: RunContext) -> Generator[Piece] | _Numbered:
    """Opens a source, now, and gives its pieces."""
    if isinstance(source, Derived):
        return source.open(context)
    return _Numbered(source.open(drive=context.drive), context.stops)


class _Numbered:
    """The batches of an opened source with their places in it."""

    __slots__ = ("_batches", "_row", "_stops")

    def __init__(self, batches: BatchIterator, stops: Stops) -> None:
        self._batches = batches
        self._row = 0
        self._stops = stops
        stops.add(batches.cut)

    def __iter__(self) -> _Numbered:
        return self

    def __next__(self) -> Piece:
        self._stops.check()
        batch = next(self._batches)
        row = self._row
        self._row = row + batch.num_rows
        return Piece(batch, row)

    def close(self) -> None:
        self._stops.remove(self._batches.cut)
        self._batches.close()


def begin(source: TableSource | Source | Derived, schema: pa.Schema) -> Chain:
    """A chain without operators yet."""
    return Chain(_core.Plan(session(), source.text, schema))


def operators_before(source: TableSource | Source | Derived) -> int:
    """How many operators of a stream stand before one that reads this source."""
    if not isinstance(source, Derived):
        return 0
    return 1 + sum(parent.operator_count for parent in source.parents)


def run_chain(
    context: RunContext,
    source: TableSource | Source | Derived,
    chain: Chain | None,
    pending: Sequence[Operator],
    rows: bool = True,
) -> Generator[Piece]:
    """One pass over a source through the operators of a chain.

    Parameters:
        chain: None where only the source's first batch tells its schema; the operators are `pending` then.
        rows: whether somebody wants to know each piece's rows where they do not follow each other.
    """
    if isinstance(source, TableSource):
        assert chain is not None
        reader = source.table.to_reader(max_chunksize=source.batch_size)
        yield from _run(context, source, reader, chain, rows)
        return
    opened = _open(source, context)
    try:
        pieces: Iterator[Piece] = opened
        if chain is None:
            first = next(pieces, None)
            if first is None:
                return
            chain = begin(source, first.batch.schema)
            for add in pending:
                chain = add(chain)
            pieces = chained([first], pieces)
        yield from _run(context, source, pieces, chain, rows)
    finally:
        opened.close()


def _run(
    context: RunContext,
    source: TableSource | Source | Derived,
    feed: pa.RecordBatchReader | Iterator[Piece],
    chain: Chain,
    rows: bool,
) -> Generator[Piece]:
    _dump(chain)
    if not chain.ops:  # batches stay as the source cut them
        for piece in _numbered(feed) if isinstance(feed, pa.RecordBatchReader) else feed:
            context.stops.check()
            if piece.batch.num_rows:
                yield piece
        return
    changed = _changed(chain)
    run = _start(chain, feed, changed, operators_before(source), rows)
    context.stops.add(run.cancel)
    try:
        while (made := run.next()) is not None:
            yield _piece(*made) if rows else Piece(made[0])
    finally:
        context.stops.remove(run.cancel)
        context.reports.append(_finish(run, changed))


def _numbered(batches: Iterable[pa.RecordBatch]) -> Generator[Piece]:
    row = 0
    for batch in batches:
        yield Piece(batch, row)
        row += batch.num_rows


def _piece(batch: pa.RecordBatch, rows: int | bytes) -> Piece:
    """rows: as the engine gives them: the first, which the others follow, or all of them."""
    if isinstance(rows, int):
        return Piece(batch, rows)
    buffers = [None, arrow.py_buffer(rows)]
    numbers = arrow.Array.from_buffers(arrow.int64(), batch.num_rows, buffers)
    return Piece(batch, numbers[0].as_py(), numbers)


def _changed(chain: Chain) -> dict[int, str]:
    """Functions that this run interprets, and why."""
    traced = tracing_active()
    changed: dict[int, str] = {}
    for index, step in enumerate(chain.steps):
        guards = step.scalar.captured.guards
        name = guards.changed() if guards is not None else None
        if name is not None:
            changed[index] = f"rebound: {name}"
        elif traced:
            changed[index] = "tracing"
    return changed


def _start(
    chain: Chain,
    feed: pa.RecordBatchReader | Iterator[Piece],
    changed: dict[int, str],
    first_operator: int,
    rows: bool,
) -> _core.Run:
    return _core.Run(
        chain.plan,
        feed,
        tuple(step.binding for step in chain.steps),
        dict(chain.batches),
        int(_config.get("threads")),
        int(_config.get("morsel_rows")),
        _TIERS[str(_config.get("tier"))],
        [index in changed for index in range(len(chain.steps))],
        chain.ops,
        first_operator,
        rows,
    )


def _finish(run: _core.Run, changed: dict[int, str]) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(run.report())
    except StateError:
        report = {"functions": []}
    for index, function in enumerate(report["functions"]):
        if index in changed:
            function["interpreted"] = changed[index]
    run.close()
    return report


def _dump(chain: Chain) -> None:
    text = os.environ.get("SABOT_DUMP", "")
    wanted = [part for part in text.split(",") if part]
    for part in wanted:
        if part not in _DUMPS:
            raise PlanError(f"SABOT_DUMP={text!r}: there is no {part!r}{suggest(part, _DUMPS)}")
    if "plan" in wanted:
        print(chain.plan.explain(), file=sys.stderr)
    for step in chain.steps:
        for part in wanted:
            if part != "plan" and step.scalar.core.compiled:
                print(f"--- {part} of {step.scalar.captured.name}", file=sys.stderr)
                try:
                    print(step.scalar.core.text(part), file=sys.stderr)
                except SabotError as error:  # without a code generator
                    print(error, file=sys.stderr)
