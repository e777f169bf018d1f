"""Stream: lazy dataflow over Arrow record batches."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot import _config, _core
from sabot._engine import session
from sabot._errors import PlanError, SabotError, StateError, UnknownColumnError, suggest
from sabot._function import Scalar, bind
from sabot._guards import tracing_active
from sabot._lane import import_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sabot._lane import BatchBinding, Binding

_TIERS = {"auto": 0, "interpreter": 1, "native": 2}
_DUMPS = ("plan", "ir", "llvm", "asm")


class LastRun(NamedTuple):
    """What the latest run of a stream did: `report` has rows, rows that left and the tier, function by function."""

    report: dict[str, Any]


class _Step(NamedTuple):
    """One scalar function of the plan, with the place errors name."""

    scalar: Scalar
    binding: Binding


class Stream:
    """A lazy chain of operators over record batches. Building one runs nothing; `collect()` and iteration do.

    >>> import pyarrow as pa
    >>> from sabot import Stream
    >>> t = pa.table({"a": [1, 2, 3]})
    >>> Stream.from_table(t).with_columns(y=lambda a: a * 2).collect()["y"].to_pylist()
    [2, 4, 6]
    """

    __slots__ = ("_batch_functions", "_batch_size", "_last", "_ops", "_plan", "_steps", "_table")

    def __init__(
        self,
        table: pa.Table,
        batch_size: int | None,
        plan: _core.Plan,
        steps: tuple[_Step, ...] = (),
        batch_functions: dict[int, BatchBinding] | None = None,
        ops: int = 0,
    ) -> None:
        self._table = table
        self._batch_size = batch_size
        self._plan = plan
        self._steps = steps
        self._batch_functions = batch_functions or {}
        self._ops = ops
        self._last: LastRun | None = None

    # --- sources

    @staticmethod
    def from_table(table: pa.Table, batch_size: int | None = None) -> Stream:
        """A stream over a table, bounded, without a copy; it can be run again and again.

        Parameters:
            table: a `pyarrow.Table` or `RecordBatch`.
            batch_size: most rows of a batch; None keeps the table's own chunks.

        Raises:
            PlanError: not a table, a batch size below 1, or a column type that the engine cannot carry.
        """
        given = cast("object", table)
        if isinstance(given, pa.RecordBatch):
            table = pa.Table.from_batches([given])
        elif not isinstance(given, pa.Table):
            raise PlanError(f"from_table takes a pyarrow.Table, not {type(given).__name__}")
        size = cast("object", batch_size)
        if size is not None and (
            not isinstance(size, int) or isinstance(size, bool) or not 1 <= size < 2**63
        ):
            raise PlanError(f"batch_size={size!r}: it is a whole number from 1 to 2**63-1")
        text = f"TABLE {table.num_rows} rows"
        return Stream(table, batch_size, _core.Plan(session(), text, table.schema))

    # --- operators

    def with_columns(self, **columns: Callable[..., object]) -> Stream:
        """Adds columns, or replaces those of the same name, each computed by a scalar function.

        Parameters:
            columns: name=function; the function's parameters are names of columns, null arrives as None, it gives one
                value a row.

        Raises:
            UnknownColumnError: a parameter is no column and has no default.
            TypeMismatchError: a function's returns have no common type.
            PlanError: a result's type cannot be told (add a return annotation).
        """
        if not columns:
            raise PlanError("with_columns needs name=function")
        schema = self.schema
        scalars: list[Scalar] = []
        for fn in columns.values():
            bound = bind(fn, schema, "with_columns")
            assert isinstance(bound, Scalar)
            scalars.append(bound)
        plan = self._plan.with_columns(list(columns), [scalar.core for scalar in scalars])
        steps = tuple(
            _Step(scalar, scalar.binding(f"WITH {name} = "))
            for name, scalar in zip(columns, scalars, strict=True)
        )
        return self._then(plan, steps=steps)

    def filter(self, fn: Callable[..., object]) -> Stream:
        """Keeps the rows for which a function is true; None and null drop the row.

        Parameters:
            fn: a scalar function (parameters are column names), of which the truth of its result counts, or a batch
                function that gives a Boolean array of the batch's length.
        """
        bound = bind(fn, self.schema, "filter")
        if isinstance(bound, Scalar):
            plan = self._plan.filter(bound.core)
            return self._then(plan, steps=(_Step(bound, bound.binding("FILTER ", truth=True)),))
        return self._then(self._plan.batch(bound.place.name, None, True), batch=bound)

    def map(
        self, fn: Callable[[pa.RecordBatch], object], schema: pa.Schema | None = None
    ) -> Stream:
        """Replaces each batch by what a batch function makes of it; it runs in CPython, batch by batch, in order.

        Parameters:
            fn: takes a `pyarrow.RecordBatch`, gives a RecordBatch, a Table or a dict of arrays. None is an error.
            schema: what it gives; without it `schema` is None until the first batch.
        """
        given = cast("object", schema)
        if given is not None and not isinstance(given, pa.Schema):
            raise PlanError(f"schema= takes a pyarrow.Schema, not {type(given).__name__}")
        bound = bind(fn, self.schema, "map", schema)
        assert not isinstance(bound, Scalar)
        return self._then(self._plan.batch(bound.place.name, schema, False), batch=bound)

    def select(self, *columns: str) -> Stream:
        """Keeps the named columns, in this order.

        Raises:
            UnknownColumnError: a name is no column.
        """
        schema = self.schema
        for name in columns:
            if schema is not None and name not in schema.names:
                raise UnknownColumnError(
                    f"there is no column {name!r}{suggest(name, schema.names)}"
                )
        return self._then(self._plan.select(list(columns)))

    def _then(
        self, plan: _core.Plan, steps: tuple[_Step, ...] = (), batch: BatchBinding | None = None
    ) -> Stream:
        batches = self._batch_functions
        if batch is not None:
            batches = {**batches, self._ops: batch}
        return Stream(
            self._table, self._batch_size, plan, self._steps + steps, batches, self._ops + 1
        )

    # --- looking

    @property
    def schema(self) -> pa.Schema | None:
        """The schema of the result; None while a map without `schema=` leaves it open."""
        capsule = self._plan.schema()
        if capsule is None:
            return None
        return pa.Schema._import_from_c_capsule(capsule)  # pyright: ignore[reportPrivateUsage]

    def explain(self) -> str:
        """The operators, last first, with how each function runs and why."""
        return self._plan.explain()

    @property
    def last_run(self) -> LastRun | None:
        """What the latest run of this stream did; None before the first."""
        return self._last

    # --- running

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Runs the stream and gives its batches in order."""
        run, changed = self._start()
        try:
            while (pair := run.next()) is not None:
                yield import_batch(pair)
        finally:
            self._finish(run, changed)

    def collect(self) -> pa.Table:
        """Runs the stream and gives everything as one table.

        Raises:
            Whatever a function raises at the first failing row, with a note that names the row.
            CastError, IntegerOverflowError: a function's result does not fit its column.
        """
        schema = self.schema
        batches = list(self)
        if schema is None:
            schema = batches[0].schema if batches else pa.schema([])
        return pa.Table.from_batches(batches, schema=schema)

    to_table = collect

    def count(self) -> int:
        """Runs the stream and gives the number of rows."""
        return sum(batch.num_rows for batch in self)

    def _start(self) -> tuple[_core.Run, dict[int, str]]:
        traced = tracing_active()
        changed: dict[int, str] = {}
        for index, step in enumerate(self._steps):
            guards = step.scalar.captured.guards
            name = guards.changed() if guards is not None else None
            if name is not None:
                changed[index] = f"rebound: {name}"
            elif traced:
                changed[index] = "tracing"
        self._dump()
        run = _core.Run(
            self._plan,
            self._table.to_reader(max_chunksize=self._batch_size),
            tuple(step.binding for step in self._steps),
            self._batch_functions,
            int(_config.get("threads")),
            int(_config.get("morsel_rows")),
            _TIERS[str(_config.get("tier"))],
            [index in changed for index in range(len(self._steps))],
        )
        return run, changed

    def _finish(self, run: _core.Run, changed: dict[int, str]) -> None:
        try:
            report: dict[str, Any] = json.loads(run.report())
        except StateError:
            report = {"functions": []}
        for index, function in enumerate(report["functions"]):
            if index in changed:
                function["interpreted"] = changed[index]
        self._last = LastRun(report)
        run.close()

    def _dump(self) -> None:
        text = os.environ.get("SABOT_DUMP", "")
        wanted = [part for part in text.split(",") if part]
        for part in wanted:
            if part not in _DUMPS:
                raise PlanError(f"SABOT_DUMP={text!r}: there is no {part!r}{suggest(part, _DUMPS)}")
        if "plan" in wanted:
            print(self.explain(), file=sys.stderr)
        for step in self._steps:
            for part in wanted:
                if part != "plan" and step.scalar.core.compiled:
                    print(f"--- {part} of {step.scalar.captured.name}", file=sys.stderr)
                    try:
                        print(step.scalar.core.text(part), file=sys.stderr)
                    except SabotError as error:  # without a code generator
                        print(error, file=sys.stderr)

    def __repr__(self) -> str:
        return f"<sabot.Stream\n{self.explain()}\n>"
