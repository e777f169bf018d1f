"""A chain of the engine's operators over one source, and one run of it.

`Chain` binds operators to a schema. `run_chain` is a stage of a run: it opens the source, gives it to the engine and takes out what
comes, batch by batch, with the rows of the source. A table is read by the engine itself; for the pieces of any other source it asks.
"""

from __future__ import annotations

import sys
from contextlib import closing
from functools import lru_cache
from itertools import chain as chained
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from sabot import _config, _core
from sabot._decisions import of_run
from sabot._derive import Derived
from sabot._engine import session
from sabot._errors import PlanError, SabotError, StateError, suggest
from sabot._guards import watched
from sabot._lane import recording
from sabot._piece import Piece, arrow
from sabot._rebound import watch
from sabot._stage import RunReport, metered

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from sabot._batches import BatchIterator, Source
    from sabot._config import RunSettings
    from sabot._errorlog import StageLog
    from sabot._function import Scalar
    from sabot._lane import BatchBinding, Binding
    from sabot._rebound import Watch
    from sabot._run import RunContext, Stops
    from sabot._stage import Stage

    Operator = Callable[["Chain"], "Chain"]

TIERS = {"auto": 0, "interpreter": 1, "native": 2}
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
        return self.plan.schema()

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
    def rows(self) -> int:
        return self.table.num_rows

    @property
    def text(self) -> str:
        return f"TABLE {self.rows} rows"

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema


class _Feed:
    """One pass over a source as the engine reads it: a reader or pieces, their schema, and how to close it."""

    def __init__(
        self, source: TableSource | Source | Derived, context: RunContext, stage: Stage
    ) -> None:
        self._stage = stage
        self._pieces: Generator[Piece] | _Numbered | None = None
        self.schema = source.schema
        self.input: pa.RecordBatchReader | Iterator[Piece]
        if isinstance(source, TableSource):
            reader = source.table.to_reader(max_chunksize=source.batch_size)
            if context.watch is None and not context.sized:
                self.input = reader
                return
            total = max(1, source.rows)
            stage.share = lambda: stage.read.rows / total
            self._pieces = numbered(reader)
        else:
            self._pieces = _open(source, context, stage)
        self.input = metered(self._pieces, stage.read, context.sized)
        if self.schema is None:
            first = next(self.input, None)
            if first is not None:
                self.schema = first.batch.schema
                self.input = chained([first], self.input)

    @property
    def pieces(self) -> Iterator[Piece]:
        """What the engine would read."""
        if isinstance(self.input, pa.RecordBatchReader):
            return numbered(self.input)
        return self.input

    def close(self) -> None:
        if self._pieces is not None:
            self._pieces.close()
        if self._stage.share is not None:
            self._stage.share = _all_of_it


def _all_of_it() -> float:
    return 1.0


def numbered(batches: Iterable[pa.RecordBatch]) -> Generator[Piece]:
    """Batches of which the first has row 0 of the source."""
    row = 0
    for batch in batches:
        yield Piece(batch, row)
        row += batch.num_rows


def _open(
    source: Source | Derived, context: RunContext, stage: Stage
) -> Generator[Piece] | _Numbered:
    """Opens a source, now, and gives its pieces."""
    if isinstance(source, Derived):
        pieces = source.open(context, stage)
        # What several streams give has no one source, so it counts as one.
        return pieces if len(source.parents) == 1 else _renumbered(pieces)
    batches = source.open(drive=context.drive)
    stage.share = lambda: batches.progress
    return _Numbered(batches, context.stops)


def _renumbered(pieces: Generator[Piece]) -> Generator[Piece]:
    with closing(pieces):
        yield from numbered(piece.batch for piece in pieces)


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
    stage: Stage,
    source: TableSource | Source | Derived,
    chain: Chain | None,
    pending: Sequence[Operator],
) -> Generator[Piece]:
    """One pass over a source through the operators of a chain.

    Parameters:
        stage: what it counts.
        chain: None where only the source's first batch tells its schema; the operators are `pending` then.
    """
    feed = _Feed(source, context, stage)
    owner = chain if chain is not None else pending
    log = context.errors.stage(source, owner, _same_row)
    try:
        if chain is None:
            if feed.schema is None:
                return
            chain = begin(source, feed.schema)
            for add in pending:
                chain = add(chain)
            stage.chain = chain
        settings = _config.for_run()
        if settings.dump:
            _dump(chain, settings.dump)
        if chain.ops or settings.full:
            place = _Place(operators_before(source), source.bounded is not True, settings, source)
            yield from _run(context, stage, chain, feed.input, log, place)
            return
        for piece in feed.pieces:  # batches stay as the source cut them
            context.stops.check()
            if piece.batch.num_rows:
                yield piece
    finally:
        feed.close()


def _same_row(row: int) -> int:
    """The source's row of a row of a stage's input: the engine knows rows by those of the source."""
    return row


class _Place(NamedTuple):
    """Where an engine run stands: behind how many operators, whether its input may be silent for ever, the settings, and the input."""

    first_operator: int
    prompt: bool
    settings: RunSettings
    source: TableSource | Source | Derived


def _run(
    context: RunContext,
    stage: Stage,
    chain: Chain,
    feed: pa.RecordBatchReader | Iterator[Piece],
    log: StageLog,
    place: _Place,
) -> Generator[Piece]:
    changed = _changed(chain)
    told = of_run(chain, changed, place.settings.tier)
    if told is not None:  # code of the user's has run, which may have changed more
        changed.update(_changed(chain))
    number_rows = stage is not context.root  # nobody asks for rows behind the last stage
    functions: Sequence[Binding] = [
        step.binding._replace(ahead=None) if index in changed else step.binding
        for index, step in enumerate(chain.steps)
    ]
    if context.watch is not None:
        functions = _counted(chain, changed, stage)
    watched = watch(chain, place.source, changed, context.consumer_runs)
    run = _start(chain, feed, functions, changed, log, place, number_rows, watched)
    stage.run = run
    context.stops.add(run.cancel)
    try:
        while (made := run.next()) is not None:
            if told is not None:
                told.look(run.report)
            yield _piece(*made) if number_rows else Piece(made[0])
    finally:
        context.stops.remove(run.cancel)
        stage.run = None
        stage.report = _finish(run, changed, log)
        context.reports.append(stage.report)
        if told is not None:
            told.end(stage.report)


def _piece(batch: pa.RecordBatch, rows: int | bytes) -> Piece:
    """rows: as the engine gives them: the first, which the others follow, or all of them."""
    if isinstance(rows, int):
        return Piece(batch, rows)
    buffers = [None, arrow.py_buffer(rows)]
    numbers = arrow.Array.from_buffers(arrow.int64(), batch.num_rows, buffers)
    return Piece(batch, numbers[0].as_py(), numbers)


def _changed(chain: Chain) -> dict[int, str]:
    """Functions that this run interprets, and why."""
    seen = watched()
    changed: dict[int, str] = {}
    for index, step in enumerate(chain.steps):
        guards = step.scalar.captured.guards
        name = guards.changed() if guards is not None else None
        if name is not None:
            changed[index] = f"rebound: {name}"
        elif seen is not None:
            changed[index] = seen
    return changed


def _counted(chain: Chain, changed: dict[int, str], stage: Stage) -> list[Binding]:
    """The functions, of which those that CPython runs count their calls, without a frame of their own in tracebacks."""
    functions: list[Binding] = []
    calls: dict[int, Callable[[], int]] = {}
    for index, step in enumerate(chain.steps):
        binding = step.binding._replace(ahead=None) if index in changed else step.binding
        if index in changed or not step.scalar.core.compiled:
            counting = lru_cache(maxsize=0)(binding.function)
            binding = binding._replace(function=counting)
            calls[index] = _calls_of(counting)
        functions.append(binding)
    stage.calls = calls
    return functions


def _calls_of(counting: Any) -> Callable[[], int]:
    return lambda: counting.cache_info().misses


def _start(
    chain: Chain,
    feed: pa.RecordBatchReader | Iterator[Piece],
    functions: Sequence[Binding],
    changed: dict[int, str],
    log: StageLog,
    place: _Place,
    number_rows: bool,
    watched: Watch,
) -> _core.Run:
    return _core.Run(
        chain.plan,
        feed,
        tuple(recording(binding, log) for binding in functions),
        {op: recording(binding, log) for op, binding in chain.batches.items()},
        place.settings.threads,
        place.settings.morsel_rows,
        TIERS[place.settings.tier],
        [index in changed for index in range(len(chain.steps))],
        chain.ops,
        place.first_operator,
        number_rows,
        place.settings.full,
        place.prompt or watched.in_step,
        watched.guard,
    )


def _finish(run: _core.Run, changed: dict[int, str], log: StageLog) -> RunReport:
    try:
        text = run.report()
    except StateError:
        text = None
    run.close()
    return RunReport(text, changed, log)


def _dump(chain: Chain, text: str) -> None:
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
