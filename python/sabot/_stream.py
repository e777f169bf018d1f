"""Stream: lazy dataflow over Arrow record batches."""

from __future__ import annotations

import json
import os
import sys
from itertools import chain as chained
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot import _config, _core
from sabot._checks import check_names, check_rows, check_same, check_schema, known
from sabot._engine import session
from sabot._errors import (
    PlanError,
    SabotError,
    StateError,
    UnboundedError,
    suggest,
)
from sabot._function import Scalar, bind
from sabot._guards import tracing_active
from sabot._lane import import_batch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping

    from sabot._batches import BatchIterator, Source
    from sabot._derive import Derived, Transform
    from sabot._lane import BatchBinding, Binding
    from sabot._pump import LoopOpener, Pumped
    from sabot._records import Records
    from sabot._results import WriteResult

_TIERS = {"auto": 0, "interpreter": 1, "native": 2}
_DUMPS = ("plan", "ir", "llvm", "asm")


class LastRun(NamedTuple):
    """What the latest run of a stream did: `report` has rows, rows that left and the tier, function by function."""

    report: dict[str, Any]


class _Step(NamedTuple):
    """One scalar function of the plan, with the place errors name."""

    scalar: Scalar
    binding: Binding


class _Chain(NamedTuple):
    """Operators bound to a source's schema. Each operator gives a new one."""

    plan: _core.Plan
    steps: tuple[_Step, ...] = ()
    batches: Mapping[int, BatchBinding] = {}
    ops: int = 0

    @property
    def schema(self) -> pa.Schema | None:
        capsule = self.plan.schema()
        if capsule is None:
            return None
        return pa.Schema._import_from_c_capsule(capsule)  # pyright: ignore[reportPrivateUsage]

    def then(
        self, plan: _core.Plan, steps: tuple[_Step, ...] = (), batch: BatchBinding | None = None
    ) -> _Chain:
        batches = self.batches if batch is None else {**self.batches, self.ops: batch}
        return _Chain(plan, self.steps + steps, batches, self.ops + 1)


class _Table(NamedTuple):
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


class _Feed:
    """One pass over a source as the engine reads it: a reader, what failed in the source, and how to close it."""

    def __init__(self, source: _Table | Source | Derived, opener: LoopOpener | None) -> None:
        self.failure: BaseException | None = None
        self.reader: pa.RecordBatchReader | None = None
        self._batches: BatchIterator | Pumped | None = None
        if isinstance(source, _Table):
            self.reader = source.table.to_reader(max_chunksize=source.batch_size)
            return
        self._batches = _open(source, opener)
        first: list[pa.RecordBatch] = []
        schema = source.schema
        if schema is None:
            first = [batch for batch in [next(self._batches, None)] if batch is not None]
            schema = first[0].schema if first else None
        if schema is not None:
            self.reader = pa.RecordBatchReader.from_batches(
                schema, chained(first, self._read(self._batches))
            )

    def _read(self, batches: BatchIterator | Pumped) -> Generator[pa.RecordBatch]:
        # The reader would keep only the text of an exception.
        try:
            yield from batches
        except BaseException as error:
            self.failure = error
            raise

    def close(self) -> None:
        try:
            if self._batches is not None:
                self._batches.close()
        finally:
            self.reader = None  # it holds this object, unseen by the collector


def _open(source: Source | Derived, opener: LoopOpener | None) -> BatchIterator | Pumped:
    parents = getattr(source, "runs", None)
    if parents is not None:
        return cast("Derived", source).open(opener)
    source = cast("Source", source)
    return source.open() if opener is None else opener.open(source)


class Stream:
    """A lazy chain of operators over record batches. Building one runs nothing; `collect()` and iteration do.

    >>> import pyarrow as pa
    >>> from sabot import Stream
    >>> t = pa.table({"a": [1, 2, 3]})
    >>> Stream.from_table(t).with_columns(y=lambda a: a * 2).collect()["y"].to_pylist()
    [2, 4, 6]
    """

    __slots__ = ("_chain", "_last", "_pending", "_source")

    def __init__(
        self,
        source: _Table | Source | Derived,
        chain: _Chain | None = None,
        pending: tuple[Callable[[_Chain], _Chain], ...] = (),
    ) -> None:
        self._source = source
        self._pending = pending
        self._last: LastRun | None = None
        if chain is None and source.schema is not None:
            chain = _Chain(_core.Plan(session(), source.text, source.schema))
        self._chain = chain

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
        return Stream(_Table(table, batch_size))

    @staticmethod
    def from_batches(
        source: object, schema: pa.Schema | None = None, bounded: bool | None = None
    ) -> Stream:
        """A stream over record batches.

        Parameters:
            source: a list, an iterable, an async iterable, or a function that makes one (then the stream can be run
                again and again).
            schema: of every batch; None takes that of the first.
            bounded: whether it has an end; None: lists have, all else counts as unbounded.
        """
        from sabot import _sources

        return Stream(_sources.from_batches(source, schema, bounded))

    @staticmethod
    def from_batches_bounded(source: object, schema: pa.Schema | None = None) -> Stream:
        """A stream over batches that is said to have an end; see `from_batches`."""
        from sabot import _sources

        return Stream(_sources.from_batches_bounded(source, schema))

    @staticmethod
    def from_batches_unbounded(source: object, schema: pa.Schema | None = None) -> Stream:
        """A stream over batches that is said to have no end; see `from_batches`."""
        from sabot import _sources

        return Stream(_sources.from_batches_unbounded(source, schema))

    @staticmethod
    def from_dicts(
        rows: Iterable[Mapping[str, Any]], schema: pa.Schema | None = None, batch_size: int = 65536
    ) -> Stream:
        """A stream over rows given as dicts, one column a key.

        Parameters:
            rows: dicts with the same keys.
            schema: of the columns; None takes the types of the first `batch_size` rows.
            batch_size: rows of a batch.

        Raises:
            DataError: a row that does not fit, naming it.
        """
        from sabot import _sources

        return Stream(_sources.from_dicts(rows, schema, batch_size))

    from_pylist = from_dicts

    @staticmethod
    def from_arrow(obj: object) -> Stream:
        """A stream over anything that offers `__arrow_c_stream__` or `__arrow_c_array__`, without a copy."""
        from sabot import _sources

        return Stream(_sources.from_arrow(obj))

    @staticmethod
    def from_pandas(df: object) -> Stream:
        """A stream over a pandas DataFrame."""
        from sabot import _sources

        return Stream(_sources.from_pandas(df))

    @staticmethod
    def from_polars(df: object) -> Stream:
        """A stream over a Polars DataFrame or LazyFrame."""
        from sabot import _sources

        return Stream(_sources.from_polars(df))

    @staticmethod
    def from_parquet(
        path: object,
        columns: list[str] | None = None,
        filters: object = None,
        batch_size: int | None = None,
        schema: pa.Schema | None = None,
    ) -> Stream:
        """A stream over Parquet files, row group by row group; never more than one of them is in memory.

        Parameters:
            path: a path, glob, directory (its key=value folders are columns), file object, fsspec URL, or a list of these.
            columns: names of the columns to read; None for all.
            filters: keeps the rows for which it is true: a list of (column, operator, value), or a pyarrow expression.
            batch_size: most rows of a batch.
            schema: of the files' columns; None takes the first file's.

        Raises:
            PlanError: no such file, an unknown column.
            SchemaError: files whose columns do not fit each other.
        """
        from sabot import _files

        return Stream(_files.from_parquet(path, columns, filters, batch_size, schema))

    @staticmethod
    def from_csv(
        path: object,
        columns: list[str] | None = None,
        batch_size: int | None = None,
        schema: pa.Schema | None = None,
    ) -> Stream:
        """A stream over CSV files with a line of names, read block by block; the first block tells the types.

        Parameters and errors are those of `from_parquet`; a value that is not of its column's type is a DataError.
        """
        from sabot import _files

        return Stream(_files.from_csv(path, columns, batch_size, schema))

    @staticmethod
    def from_json(
        path: object,
        columns: list[str] | None = None,
        batch_size: int | None = None,
        schema: pa.Schema | None = None,
    ) -> Stream:
        """A stream over files of one JSON object a line; parameters and errors are those of `from_csv`."""
        from sabot import _files

        return Stream(_files.from_json(path, columns, batch_size, schema))

    @staticmethod
    def from_ipc(
        path: object,
        columns: list[str] | None = None,
        batch_size: int | None = None,
        schema: pa.Schema | None = None,
    ) -> Stream:
        """A stream over Arrow IPC (Feather) files; parameters and errors are those of `from_parquet`."""
        from sabot import _files

        return Stream(_files.from_ipc(path, columns, batch_size, schema))

    # --- operators in the engine

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

        def add(chain: _Chain) -> _Chain:
            schema = chain.schema
            scalars: list[Scalar] = []
            for fn in columns.values():
                bound = bind(fn, schema, "with_columns")
                assert isinstance(bound, Scalar)
                scalars.append(bound)
            plan = chain.plan.with_columns(list(columns), [scalar.core for scalar in scalars])
            steps = tuple(
                _Step(scalar, scalar.binding(f"WITH {name} = "))
                for name, scalar in zip(columns, scalars, strict=True)
            )
            return chain.then(plan, steps=steps)

        return self._then(add)

    def filter(self, fn: Callable[..., object]) -> Stream:
        """Keeps the rows for which a function is true; None and null drop the row.

        Parameters:
            fn: a scalar function (parameters are column names), of which the truth of its result counts, or a batch
                function that gives a Boolean array of the batch's length.
        """

        def add(chain: _Chain) -> _Chain:
            bound = bind(fn, chain.schema, "filter")
            if isinstance(bound, Scalar):
                step = _Step(bound, bound.binding("FILTER ", truth=True))
                return chain.then(chain.plan.filter(bound.core), steps=(step,))
            return chain.then(chain.plan.batch(bound.place.name, None, True), batch=bound)

        return self._then(add)

    def map(
        self, fn: Callable[[pa.RecordBatch], object], schema: pa.Schema | None = None
    ) -> Stream:
        """Replaces each batch by what a batch function makes of it; it runs in CPython, batch by batch, in order.

        Parameters:
            fn: takes a `pyarrow.RecordBatch`, gives a RecordBatch, a Table or a dict of arrays. None is an error.
            schema: what it gives; without it `schema` is None until the first batch.
        """
        check_schema(schema)

        def add(chain: _Chain) -> _Chain:
            bound = bind(fn, chain.schema, "map", schema)
            assert not isinstance(bound, Scalar)
            return chain.then(chain.plan.batch(bound.place.name, schema, False), batch=bound)

        return self._then(add)

    def select(self, *columns: str) -> Stream:
        """Keeps the named columns, in this order.

        Raises:
            UnknownColumnError: a name is no column.
        """

        check_names("select", columns, None)

        def add(chain: _Chain) -> _Chain:
            check_names("select", columns, chain.schema)
            return chain.then(chain.plan.select(list(columns)))

        return self._then(add)

    def drop(self, *columns: str) -> Stream:
        """Leaves the named columns out.

        Raises:
            UnknownColumnError: a name is no column.
        """

        check_names("drop", columns, None)

        def add(chain: _Chain) -> _Chain:
            schema = known(chain.schema, "drop")
            check_names("drop", columns, schema)
            kept = [name for name in schema.names if name not in columns]
            return chain.then(chain.plan.select(kept))

        return self._then(add)

    def _then(self, add: Callable[[_Chain], _Chain]) -> Stream:
        if self._chain is None:
            return Stream(self._source, None, (*self._pending, add))
        return Stream(self._source, add(self._chain))

    # --- operators on whole batches

    def rename(self, **columns: str) -> Stream:
        """Gives columns other names: old="new".

        Raises:
            UnknownColumnError: a name is no column.
            PlanError: two columns would have one name, or the columns are not known before the run.
        """
        from sabot import _derive

        if not columns:
            raise PlanError('rename needs old="new"')
        check_names("rename", columns.values(), None)
        schema = known(self.schema, "rename")
        check_names("rename", columns, schema)
        names = [columns.get(name, name) for name in schema.names]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise PlanError(f"rename gives two columns the name {min(twice)!r}")
        given: Any = schema
        fields: list[Any] = [
            field.with_name(name) for field, name in zip(given, names, strict=True)
        ]
        text = "RENAME " + ", ".join(f"{old} to {new}" for old, new in columns.items())
        return self._derived(text, _derive.rename(names), pa.schema(fields, given.metadata))

    def limit(self, n: int) -> Stream:
        """The first n rows; a stream with a limit has an end. Functions before it may have seen later rows of the same batches."""
        from sabot import _derive

        check_rows("limit", n, 0)
        return self._derived(f"LIMIT {n}", _derive.limit(n), self.schema, bounded=True)

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
        fn: Callable[[pa.RecordBatch], Iterable[object]],
        schema: pa.Schema | None = None,
    ) -> Stream:
        """Replaces each batch by all the batches that a function gives for it; it runs in CPython, in order.

        Parameters:
            fn: takes a `pyarrow.RecordBatch`, gives an iterable of what `map` functions give; it may be a generator.
            schema: what it gives; without it `schema` is None until the first batch.
        """
        from sabot import _derive

        check_schema(schema)
        given = cast("object", fn)
        if not callable(given):
            raise PlanError(f"flat_map takes a function, not {type(given).__name__}")
        name = str(getattr(fn, "__name__", type(fn).__name__))
        return self._derived(f"FLAT_MAP {name}(batch)", _derive.flat_map(fn, name, schema), schema)

    def union(self, *streams: Stream) -> Stream:
        """The rows of this stream, then those of the others, in the order of the arguments.

        Raises:
            PlanError: schemas that differ, showing how.
            UnboundedError: a stream that is not bounded, but for the last.
        """
        from sabot import _derive

        parents = (self, *streams)
        for stream in cast("tuple[object, ...]", streams):
            if not isinstance(stream, Stream):
                raise PlanError(f"union takes streams, not {type(stream).__name__}")
        for stream in parents[:-1]:
            if not stream.is_bounded():
                raise UnboundedError(
                    "union reads its inputs one after the other, so all but the last must have an end, and "
                    f"{stream._source.text} is not known to have one; limit(n) gives one, bounded=True says so"
                )
        schema = known(self.schema, "union")
        for stream in streams:
            check_same(schema, known(stream.schema, "union"))
        runs = tuple(parent._batches for parent in parents)
        bounded = parents[-1]._source.bounded
        return Stream(_derive.Derived("UNION", schema, bounded, parents, runs, _derive.union))

    def _derived(
        self,
        text: str,
        transform: Transform,
        schema: pa.Schema | None,
        bounded: bool | None = None,
    ) -> Stream:
        from sabot import _derive

        if bounded is None:
            bounded = self._source.bounded
        return Stream(_derive.Derived(text, schema, bounded, (self,), (self._batches,), transform))

    # --- looking

    @property
    def schema(self) -> pa.Schema | None:
        """The schema of the result; None while the first batch must tell it."""
        return self._chain.schema if self._chain is not None else None

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
        return _outputs.describe(iter(self), self.schema)

    # --- running

    def __iter__(self) -> Generator[pa.RecordBatch]:
        """Runs the stream and gives its batches in order."""
        return self._batches(None)

    def __aiter__(self) -> AsyncGenerator[pa.RecordBatch]:
        """Runs the stream on a thread of its own and gives its batches to the running event loop, at most two ahead.

        An async source runs on that loop.
        """
        from sabot._pump import run_async

        return run_async(self._batches)

    def _batches(self, opener: LoopOpener | None) -> Generator[pa.RecordBatch]:
        feed = _Feed(self._source, opener)
        run: _core.Run | None = None
        changed: dict[int, str] = {}
        chain = self._chain
        try:
            if feed.reader is None:
                self._last = LastRun({"functions": []})
                return
            if chain is None:
                chain = _Chain(_core.Plan(session(), self._source.text, feed.reader.schema))
                for add in self._pending:
                    chain = add(chain)
            self._dump(chain)
            if not chain.ops:  # batches stay as the source cut them
                self._last = LastRun({"functions": []})
                yield from (batch for batch in feed.reader if batch.num_rows)
                return
            changed = self._changed(chain)
            run = _run(chain, feed.reader, changed)
            while (pair := run.next()) is not None:
                yield import_batch(pair)
        except Exception:
            if feed.failure is None:
                raise
        finally:
            try:
                if run is not None:
                    self._finish(run, changed)
            finally:
                feed.close()
        if feed.failure is not None:
            raise feed.failure  # outside of the handler: its own cause and context stay

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The result for anything that reads Arrow streams; the stream runs as it is read."""
        schema = known(self.schema, "__arrow_c_stream__")
        reader: Any = pa.RecordBatchReader.from_batches(schema, iter(self))
        return reader.__arrow_c_stream__(requested_schema)

    def collect(self) -> pa.Table:
        """Runs the stream and gives everything as one table.

        Raises:
            Whatever a function raises at the first failing row, with a note that names the row.
            CastError, IntegerOverflowError: a function's result does not fit its column.
            UnboundedError: the source was said to have no end.
        """
        self._need_end("collect")
        schema = self.schema
        batches = list(self)
        if schema is None:
            schema = batches[0].schema if batches else pa.schema([])
        return pa.Table.from_batches(batches, schema=schema)

    to_table = collect

    def count(self) -> int:
        """Runs the stream and gives the number of rows."""
        self._need_end("count")
        return sum(batch.num_rows for batch in self)

    def foreach(self, fn: Callable[[pa.RecordBatch], object]) -> None:
        """Runs the stream and calls a function with each batch."""
        from sabot import _outputs

        _outputs.foreach(iter(self), fn)

    def records(self) -> Records:
        """The rows as dicts, for `for` and for `async for`."""
        from sabot._records import Records

        return Records(self)

    iter_rows = records

    def to_pandas(self) -> Any:
        """Runs the stream and gives a pandas DataFrame."""
        from sabot import _outputs

        return _outputs.to_pandas(self.collect())

    def to_polars(self) -> Any:
        """Runs the stream and gives a Polars DataFrame."""
        from sabot import _outputs

        return _outputs.to_polars(self.collect())

    def to_numpy(self) -> dict[str, Any]:
        """Runs the stream and gives each column as a NumPy array."""
        from sabot import _outputs

        return _outputs.to_numpy(self.collect())

    def to_parquet(self, path: Any, **options: Any) -> WriteResult:
        """Runs the stream into a Parquet file, or a folder of them, which appear whole or not at all.

        Parameters:
            path: a file, a folder, an fsspec URL or a file object.
            options: mode="overwrite" | "append" | "error", compression, row_group_size, partition_by, roll_rows, roll_bytes,
                roll_seconds; a stream without end needs one of the last three.

        Raises:
            PlanError: options that do not go together; OSError: the file system's. What was there before stays then.
        """
        from sabot import _sinks

        return _sinks.write_parquet(iter(self), self.schema, path, **self._ending(), **options)

    def to_csv(self, path: Any, **options: Any) -> WriteResult:
        """Runs the stream into a CSV file; options: mode, compression, separator, include_header and those of `to_parquet`."""
        from sabot import _sinks

        return _sinks.write_csv(iter(self), self.schema, path, **self._ending(), **options)

    def to_json(self, path: Any, **options: Any) -> WriteResult:
        """Runs the stream into a file of one JSON object a line; options: mode, compression and those of `to_parquet`."""
        from sabot import _sinks

        return _sinks.write_json(iter(self), self.schema, path, **self._ending(), **options)

    def to_ipc(self, path: Any, **options: Any) -> WriteResult:
        """Runs the stream into an Arrow IPC file; options: mode, compression and those of `to_parquet`."""
        from sabot import _sinks

        return _sinks.write_ipc(iter(self), self.schema, path, **self._ending(), **options)

    def _ending(self) -> dict[str, bool]:
        return {"bounded": self._source.bounded is not False}

    def _need_end(self, what: str) -> None:
        if self._source.bounded is False:
            raise UnboundedError(
                f"{what} needs the end of the stream, and its source {self._source.text} was said to have none; "
                "limit(n) gives one"
            )

    @staticmethod
    def _changed(chain: _Chain) -> dict[int, str]:
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

    def _dump(self, chain: _Chain) -> None:
        text = os.environ.get("SABOT_DUMP", "")
        wanted = [part for part in text.split(",") if part]
        for part in wanted:
            if part not in _DUMPS:
                raise PlanError(f"SABOT_DUMP={text!r}: there is no {part!r}{suggest(part, _DUMPS)}")
        if "plan" in wanted:
            print(self.explain(), file=sys.stderr)
        for step in chain.steps:
            for part in wanted:
                if part != "plan" and step.scalar.core.compiled:
                    print(f"--- {part} of {step.scalar.captured.name}", file=sys.stderr)
                    try:
                        print(step.scalar.core.text(part), file=sys.stderr)
                    except SabotError as error:  # without a code generator
                        print(error, file=sys.stderr)

    def __repr__(self) -> str:
        return f"<sabot.Stream\n{self.explain()}\n>"


def _run(chain: _Chain, reader: pa.RecordBatchReader, changed: dict[int, str]) -> _core.Run:
    return _core.Run(
        chain.plan,
        reader,
        tuple(step.binding for step in chain.steps),
        dict(chain.batches),
        int(_config.get("threads")),
        int(_config.get("morsel_rows")),
        _TIERS[str(_config.get("tier"))],
        [index in changed for index in range(len(chain.steps))],
    )
