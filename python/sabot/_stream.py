"""Stream: lazy dataflow over Arrow record batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sabot._arrays import as_batch_function, takes_arrays, with_arrays
from sabot._batches import Source
from sabot._chain import Step, TableSource, begin, operators_before, run_chain
from sabot._checks import check_names, check_rows, check_same, check_schema, known
from sabot._derive import Derived
from sabot._errors import PlanError
from sabot._expr import Applied, Column, as_filter, name_of, project, with_references
from sabot._function import Scalar, batch_rows, bind, takes_rows
from sabot._lane import BatchBinding
from sabot._reading import Reading
from sabot._rebound import calls_of
from sabot._run import LastRun, RunContext
from sabot._stage import Stage, metered
from sabot._staged import has_stage, staged
from sabot._writing import Writing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable

    from sabot._chain import Chain, Operator
    from sabot._concurrent import CallStage
    from sabot._derive import Transform
    from sabot._gpus import Need
    from sabot._piece import Piece
    from sabot._profile import Profile
    from sabot._rebound import Calls
    from sabot._udf import Udf
    from sabot.operators import BaseOperator


class _Map:
    """Adds a map. schema: what it was said to give. by_batch: it takes batches of any columns; without a schema only its first one tells
    what it gives.
    """

    __slots__ = ("_add", "by_batch", "schema")

    def __init__(self, add: Operator, schema: pa.Schema | None, by_batch: bool) -> None:
        self._add = add
        self.schema = schema
        self.by_batch = by_batch

    def __call__(self, chain: Chain) -> Chain:
        return self._add(chain)


class Stream(Reading, Writing):
    """A lazy chain of operators over record batches. Building one runs nothing; `collect()` and iteration do.

    Batches first: every operator takes record batches and gives record batches. `records()` takes them apart at the very end, for
    whoever wants rows; by batches the same is done many times faster. Whether iteration ends is the source's affair: the same
    plan runs over a table (`for`, to its end) and over a source without end (`for` or `async for`, until it is left). Columns
    that an operator does not change are not copied. See docs/batch-first.md.

    >>> import pyarrow as pa
    >>> from sabot import Stream
    >>> t = pa.table({"a": [1, 2, 3]})
    >>> Stream.from_table(t).with_columns(y=lambda a: a * 2).collect()["y"].to_pylist()
    [2, 4, 6]
    """

    __slots__ = ("_chain", "_last", "_pending", "_source", "_told")

    def __init__(
        self,
        source: TableSource | Source | Derived,
        chain: Chain | None = None,
        pending: tuple[Operator, ...] = (),
        told: Chain | None = None,
    ) -> None:
        if not isinstance(cast("object", source), TableSource | Source | Derived):
            hint = "Stream.from_table(...), from_batches and so on make streams"
            raise PlanError(f"Stream takes no {type(source).__name__}: {hint}")
        self._source = source
        self._pending = pending
        self._last: LastRun | None = None
        if chain is None and source.schema is not None:
            chain = begin(source, source.schema)
        self._chain = chain
        # Of `pending`, those behind the last map with a schema, bound to that: what they give is known before the run.
        self._told = told

    # --- operators in the engine

    def with_columns(self, **columns: Callable[..., object] | Column | Applied) -> Stream:
        """Adds columns, or replaces those of the same name, each computed by a scalar function or taken from another.

        Parameters:
            columns: name=function; the function's parameters are names of columns, null arrives as None, it gives one
                value a row. Or name=col("other"), or name=apply(function, col("a"), ...). All of them see the columns that come in.
                Here as in the other methods a function may be `async def`, and a class with `__call__`, of which each worker
                builds one object; see `udf`.

        Raises:
            UnknownColumnError: a parameter is no column and has no default.
            TypeMismatchError: a function's returns have no common type.
            PlanError: a result's type cannot be told (add a return annotation).
        """
        if not columns:
            raise PlanError("with_columns needs name=function")
        if any(takes_arrays(fn) for fn in columns.values()):
            return with_arrays(self, columns, _with_array)
        if (stage := staged(self, "with_columns", columns)) is not None:
            return stage.stream._from_stage(stage)
        if any(isinstance(given, Column) for given in columns.values()):
            return self._then(with_references(columns, _with_functions))
        return self._then(lambda chain: _with_functions(chain, columns))

    def filter(self, fn: Callable[..., object] | Column | Applied) -> Stream:
        """Keeps the rows for which a function is true; None and null drop the row.

        Parameters:
            fn: a scalar function (parameters are column names), of which the truth of its result counts, or a batch
                function that gives a Boolean array of the batch's length, a Boolean column, as col("name"), or what `apply` gives.
        """

        if takes_arrays(fn):
            fn = as_batch_function(fn, None)
        if (stage := staged(self, "filter", {"": fn})) is not None:
            return stage.stream._from_stage(stage)
        stream = self._cut_for(fn, "filter")

        def add(chain: Chain) -> Chain:
            if isinstance(fn, Column):
                bound = as_filter(fn, chain.schema)
            else:
                bound = bind(fn, chain.schema, "filter")
            if isinstance(bound, Scalar):
                step = Step(bound, bound.binding("FILTER ", truth=True))
                return chain.then(chain.plan.filter(bound.core), steps=(step,))
            return _with_batch(chain, bound, "FILTER ")

        return stream._then(add)

    def map(self, fn: Callable[..., object], schema: pa.Schema | None = None) -> Stream:
        """Replaces each batch by what a batch function makes of it, or each row by what a record function gives.

        Parameters:
            fn: takes a `pyarrow.RecordBatch`, gives a RecordBatch, a Table or a dict of arrays; None is an error. It runs in CPython,
                batch by batch, in order. Or it takes a row as a dict (`row["a"]`, `{**row}`) and gives a dict, a dataclass or a
                NamedTuple: its keys are the columns, nothing else is left, and every path gives the same ones. That is compiled where
                the text tells the keys; columns that are only passed on keep their type and are not copied.
            schema: what it gives; without it `schema` is None until the first batch, but for compiled functions of rows.

        Raises:
            TypeMismatchError: the paths of a record function give different columns, or kinds that no type holds.
            PlanError: a function that gives one value a row, which is for with_columns.

        >>> import pyarrow as pa
        >>> from sabot import Stream
        >>> t = pa.table({"a": [1, 2], "who": ["x", "y"]})
        >>> Stream.from_table(t).map(lambda row: {"who": row["who"], "more": row["a"] + 1}).collect().to_pylist()
        [{'who': 'x', 'more': 2}, {'who': 'y', 'more': 3}]
        """
        check_schema(schema)
        if (stage := staged(self, "map", {"": fn}, schema)) is not None:
            return stage.stream._from_stage(stage)

        def add(chain: Chain) -> Chain:
            bound = bind(fn, chain.schema, "map", schema)
            if isinstance(bound, Scalar):
                assert bound.given is not None
                plan = chain.plan.map(bound.core, *bound.given.columns())
                return chain.then(plan, steps=(Step(bound, bound.binding("MAP ")),))
            return _with_batch(chain, bound, "MAP ")

        return self._cut_for(fn, "map")._then(_Map(add, schema, by_batch=not takes_rows(fn)))

    def select(self, *columns: str | Column) -> Stream:
        """Keeps the named columns, in this order.

        Raises:
            UnknownColumnError: a name is no column.
            PlanError: a column is named twice.
        """
        names = check_names("select", map(name_of, columns), None)
        if twice := {name for name in names if names.count(name) > 1}:
            raise PlanError(f"select names column {min(twice)!r} more than once")

        def add(chain: Chain) -> Chain:
            check_names("select", names, chain.schema)
            return chain.then(chain.plan.select(names))

        return self._then(add)

    def drop(self, *columns: str | Column) -> Stream:
        """Leaves the named columns out.

        Raises:
            UnknownColumnError: a name is no column.
        """
        names = check_names("drop", map(name_of, columns), None)

        def add(chain: Chain) -> Chain:
            schema = known(chain.schema, "drop")
            check_names("drop", names, schema)
            kept = [name for name in schema.names if name not in names]
            return chain.then(chain.plan.select(kept))

        return self._then(add)

    def _then(self, add: Callable[[Chain], Chain]) -> Stream:
        """Adds an operator; after a map whose columns only its first batch tells, one that is bound to these."""
        by_batch = isinstance(add, _Map) and add.by_batch
        if self._chain is None:
            last = self._pending[-1] if self._pending else None
            untold = isinstance(last, _Map) and last.by_batch and last.schema is None
            if not by_batch and untold:
                return self._after_first_batch()._then(add)
            return Stream(self._source, None, (*self._pending, add), self._told_after(add))
        if not by_batch and self._chain.schema is None:
            return self._after_first_batch()._then(add)
        return Stream(self._source, add(self._chain))

    def _told_after(self, add: Operator) -> Chain | None:
        if isinstance(add, _Map) and add.schema is not None:
            return begin(self._source, add.schema)
        if isinstance(add, _Map) and add.by_batch:
            return None
        return add(self._told) if self._told is not None else None

    def rename(self, mapping: Mapping[str, str] | None = None, /, **columns: str) -> Stream:
        """Gives columns other names: old="new", or a dict of them.

        Raises:
            UnknownColumnError: a name is no column.
            PlanError: two columns would have one name, or the columns are not known before the run.
        """
        given = cast("object", {} if mapping is None else mapping)
        if not isinstance(given, Mapping):
            raise PlanError(f"rename takes a mapping of names, not {type(given).__name__}")
        renamed: dict[str, str] = {**cast("Mapping[str, str]", given), **columns}
        if not renamed:
            raise PlanError('rename needs old="new"')
        check_names("rename", [*renamed, *renamed.values()], None)

        def add(chain: Chain) -> Chain:
            schema = known(chain.schema, "rename")
            check_names("rename", renamed, schema)
            names = [renamed.get(name, name) for name in schema.names]
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise PlanError(f"rename gives two columns the name {min(twice)!r}")
            return project(chain, schema.names, names)

        return self._then(add)

    # --- operators on whole batches

    def limit(self, n: int) -> Stream:
        """The first n rows; a stream with a limit has an end. Functions before it may have seen later rows of the same batches."""
        from sabot import _derive

        check_rows("limit", n, 0)
        limit = self._derived(f"LIMIT {n}", _derive.limit(n), self.schema, bounded=True)
        return Stream(cast("Derived", limit._source)._replace(rows_max=n))

    take = limit
    head = limit

    def skip(self, n: int) -> Stream:
        """All rows but the first n."""
        from sabot import _derive

        check_rows("skip", n, 0)
        return self._derived(f"SKIP {n}", _derive.skip(n), self.schema)

    def rebatch(self, rows: int) -> Stream:
        """The same rows in batches of exactly so many; the last has what is left."""
        from sabot import _derive

        check_rows("rebatch", rows, 1)
        return self._derived(f"REBATCH {rows}", _derive.rebatch(rows), self.schema)

    def flat_map(
        self,
        fn: Callable[..., Iterable[object]],
        schema: pa.Schema | None = None,
    ) -> Stream:
        """Replaces each batch, or row, by all that a function gives for it; it runs in CPython, in order.

        Parameters:
            fn: takes a `pyarrow.RecordBatch`, gives an iterable of what `map` functions give; it may be a generator. Or it takes a row
                as a dict and gives an iterable of dicts, dataclasses or NamedTuples that all have the same keys.
            schema: what it gives; without it `schema` is None until the first batch.
        """
        from sabot import _derive

        check_schema(schema)
        given = cast("object", fn)
        if not callable(given):
            raise PlanError(f"flat_map takes a function, not {type(given).__name__}")
        if (stage := staged(self, "flat_map", {"": fn}, schema)) is not None:
            return stage.stream._from_stage(stage)
        bound = bind(fn, self.schema, "flat_map", schema)
        assert not isinstance(bound, Scalar)
        if bound.rows is not None:
            from sabot import _by_rows

            text = bound.label or bound.place.text
            return self._derived(
                text, _by_rows.flat_map(bound, self), schema, opaque=not bound.pure
            )
        stream = self._cut_for(fn, "flat_map")
        transform = _derive.flat_map(bound, stream)
        return stream._derived(bound.place.text, transform, schema, opaque=not bound.pure)

    def union(self, *streams: Stream) -> Stream:
        """The rows of this stream and those of the others.

        Where all of them are bounded they follow each other, in the order of the arguments. Where one is not (a generator, say,
        of which nobody said that it ends), the batches of all come as they arrive, those of each in its order: every input then
        runs, with its functions, on a thread of its own, an async source on the event loop that consumes. An error of one
        comes behind what was there before it, and ends all.

        Parameters:
            streams: with the columns of this one, in its order and of its types.

        Raises:
            PlanError: schemas that differ, showing how; where the first batch must tell one, a SchemaError when it arrives.
        """
        from sabot import _merge

        parents = (self, *streams)
        schema: pa.Schema | None = None
        for stream in cast("tuple[object, ...]", parents):
            if not isinstance(stream, Stream):
                raise PlanError(f"union takes streams, not {type(stream).__name__}")
            if schema is None:
                schema = stream.schema
            elif stream.schema is not None:
                check_same(schema, stream.schema)
        ends = [stream._source.bounded for stream in parents]
        bounded = False if False in ends else None if None in ends else True
        text = f"UNION {'in order' if bounded else 'as they arrive'}"
        made = Stream(_merge.Union(text, schema, bounded, parents, _merge.union(schema)))
        if needs := made.gpus:
            from sabot import _gpus

            _gpus.check("union", needs)
        return made

    def apply(self, op: BaseOperator) -> Stream:
        """Gives each batch to the `process_batch` of an operator object, in order; None emits nothing.

        What the object keeps between batches it also keeps from one run to the next.

        Parameters:
            op: without a source; its `get_schema()` is that of the result, None leaves it to the first batch.

        Raises:
            PlanError: no operator, or one with a source.
        """
        from sabot.operators._base import stage

        text, schema, transform = stage(op, self.schema)
        return self._derived(text, transform, schema, opaque=True)

    def _cut_for(self, fn: object, operator: str) -> Stream:
        """This stream, in batches of as many rows as a batch function wants."""
        rows = batch_rows(fn, self.schema, operator)
        return self if rows is None else self.rebatch(rows)

    def _from_stage(self, stage: CallStage) -> Stream:
        needs = stage.gpus
        if needs:
            from sabot import _gpus

            _gpus.check(stage.names, (*self.gpus, *needs))
        return self._derived(stage.text, stage.run, stage.schema, opaque=stage.opaque, gpus=needs)

    def _after_first_batch(self) -> Stream:
        from sabot import _derive

        return self._derived("BATCHES", _derive.passed, None)

    def _derived(
        self,
        text: str,
        transform: Transform,
        schema: pa.Schema | None,
        bounded: bool | None = None,
        opaque: bool = False,
        gpus: tuple[Need, ...] = (),
    ) -> Stream:

        if bounded is None:
            bounded = self._source.bounded
        return Stream(Derived(text, schema, bounded, (self,), transform, opaque=opaque, gpus=gpus))

    # --- looking

    @property
    def schema(self) -> pa.Schema | None:
        """The schema of the result; None while the first batch must tell it."""
        chain = self._chain if self._chain is not None else self._told
        return chain.schema if chain is not None else None

    def is_bounded(self) -> bool:
        """Whether the stream has an end; one that nobody declared, such as a generator, counts as having none."""
        return self._source.bounded is True

    def explain(self) -> str:
        """The operators, last first, with how each function runs and why."""
        if self._chain is None:
            text = f"{self._source.text}   columns as the first batch has them"
            depth = 0
            count = len(self._pending)
            if count:
                what = "1 operator" if count == 1 else f"{count} operators"
                text = f"{what}, bound when the first batch arrives\n└─ {text}"
                depth = 1
        else:
            text, depth = self._chain.plan.explain().rstrip("\n"), self._chain.ops
        parents: tuple[Stream, ...] = getattr(self._source, "parents", ())
        lines = [text]
        for number, parent in enumerate(parents):
            last = number == len(parents) - 1
            first, *rest = parent.explain().rstrip("\n").split("\n")
            margin = " " * 3 * depth
            lines.append(f"{margin}{'└─' if last else '├─'} {first}")
            lines += [f"{margin}{' ' if last else '│'}  {line}" for line in rest]
        return "\n".join(lines) + "\n"

    @property
    def last_run(self) -> LastRun | None:
        """What the latest run of this stream did; None before the first."""
        return self._last

    def show(self, n: int = 10) -> None:
        """Prints the first n rows as a table."""
        from sabot import _outputs

        check_rows("show", n, 0)
        head = self.limit(n + 1).collect()
        total = head.num_rows if head.num_rows <= n else None
        print(_outputs.show(head, total, n), end="")

    def describe(self) -> pa.Table:
        """Count, nulls, mean, deviation, extremes and quartiles of each column, over all rows."""
        from sabot import _outputs

        self._need_end("describe")
        return _outputs.describe(self._batches(), self.schema)

    def profile(self) -> Profile:
        """Runs the stream to its end, drops the rows, and tells what each operator did; printing it shows a table.

        Raises:
            As collect() does.
        """
        self._need_end("profile")
        context = RunContext(shared=False, sized=True)
        for _ in self._run(context):
            pass
        return LastRun(context).profile

    # --- running

    def __iter__(self) -> Generator[pa.RecordBatch]:
        """Runs the stream and gives its batches in order."""
        return self._run(RunContext())

    def __aiter__(self) -> AsyncGenerator[pa.RecordBatch]:
        """Runs the stream on a thread of its own and gives its batches to the running event loop, at most two ahead.

        Async sources and async functions run on that loop.
        """
        from sabot._pump import run_async

        return run_async(self._run)

    def _batches(self, *, calls_user: bool = False) -> Generator[pa.RecordBatch]:
        """The same for a sink, which takes them all; calls_user: and calls user code with them."""
        return self._run(RunContext(shared=False, consumer_runs=calls_user))

    def _run(self, context: RunContext) -> Generator[pa.RecordBatch]:
        root = self.stage()
        context.consumer_runs = context.consumer_runs or self.calls.opaque
        context.begin(root)
        try:
            with context.errors:
                pieces = self.pieces(context, root)
                try:
                    if context.watch is not None:
                        yield from context.batches(pieces)
                    else:
                        for piece in pieces:
                            yield piece[0]
                finally:
                    pieces.close()
        finally:
            context.end()
            self._last = LastRun(context)

    @property
    def origin(self) -> str:
        """The source whose rows it has, as explain() shows it; of several, what joins them."""
        source = self._source
        return source.origin if isinstance(source, Derived) else source.text

    @property
    def root(self) -> object:
        """That source itself."""
        source = self._source
        return source.root if isinstance(source, Derived) else source

    def stage(self) -> Stage:
        """What a run of the stream counts."""
        source = self._source
        if isinstance(source, Derived):
            inputs = [parent.stage() for parent in source.parents]
            return Stage(source.text, self._chain, inputs, rows_max=source.rows_max)
        return Stage(source.text, self._chain, rows_total=source.rows)

    @property
    def source(self) -> TableSource | Source | Derived:
        """What its first operator reads."""
        return self._source

    @property
    def calls(self) -> Calls:
        """What user code its operators have, those of the streams that it reads counted in."""
        return calls_of(self._source, self._chain)

    @property
    def gpus(self) -> tuple[Need, ...]:
        """What the workers of its functions need at the same time, those of the streams that it reads counted in."""
        source = self._source
        if not isinstance(source, Derived):
            return ()
        inputs = [parent.gpus for parent in source.parents]
        if source.bounded and len(inputs) > 1:  # they follow each other
            inputs = [max(inputs, key=lambda needs: sum(one.workers * one.gpus for one in needs))]
        return (*(need for needs in inputs for need in needs), *source.gpus)

    @property
    def operator_count(self) -> int:
        """How many operators it has, those of the streams that it reads counted in."""
        own = self._chain.ops if self._chain is not None else len(self._pending)
        return own + operators_before(self._source)

    def pieces(self, context: RunContext, stage: Stage) -> Generator[Piece]:
        """The stream as a stage of a run, which may be that of another stream."""
        run = run_chain(context, stage, self._source, self._chain, self._pending)
        try:
            yield from metered(run, stage.given, context.sized)
        finally:
            run.close()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The result for anything that reads Arrow streams; the stream runs as it is read."""
        schema = known(self.schema, "__arrow_c_stream__")
        reader: Any = pa.RecordBatchReader.from_batches(schema, iter(self))
        return reader.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"<sabot.Stream\n{self.explain()}\n>"


def _with_array(stream: Stream, fn: Udf) -> Stream:
    """A function of arrays, as one of batches, behind a stream."""
    if has_stage(fn):
        known = stream.schema
        bound = bind(fn, known, "map") if known is not None else None
        return stream.map(fn, bound.schema if isinstance(bound, BatchBinding) else None)

    def add(chain: Chain) -> Chain:
        bound = bind(fn, chain.schema, "map")
        assert isinstance(bound, BatchBinding)
        return _with_batch(chain, bound, "")

    return stream._cut_for(fn, "map")._then(add)  # pyright: ignore[reportPrivateUsage]


def _with_batch(chain: Chain, bound: BatchBinding, operator: str) -> Chain:
    """A batch function behind a chain, by its row function where it is compiled."""
    lowered = bound.lowered
    if lowered is None:
        schema = None if bound.is_filter else bound.schema
        label = bound.label or bound.place.name
        return chain.then(chain.plan.batch(label, schema, bound.is_filter), batch=bound)
    core = lowered.scalar.core
    schema = None if bound.is_filter else bound.schema
    plan = chain.plan.lowered(
        lowered.label, core, bound.is_filter, *lowered.columns, lowered.stages, schema
    )
    step = Step(lowered.scalar, lowered.scalar.binding(operator))
    return chain.then(plan, steps=(step,), batch=bound)


def _with_functions(chain: Chain, columns: dict[str, Any]) -> Chain:
    schema = chain.schema
    scalars: list[Scalar] = []
    for fn in columns.values():
        bound = bind(fn, schema, "with_columns")
        assert isinstance(bound, Scalar)
        scalars.append(bound)
    plan = chain.plan.with_columns(list(columns), [scalar.core for scalar in scalars])
    steps = tuple(
        Step(scalar, scalar.binding(f"WITH {name} = "))
        for name, scalar in zip(columns, scalars, strict=True)
    )
    return chain.then(plan, steps=steps)
