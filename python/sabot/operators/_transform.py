"""The operators of `Stream` that work batch by batch, as objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast, final

from sabot._auto import AutoCompiled
from sabot._checks import check_same, check_schema
from sabot._conform import arrow, column_names, positions
from sabot._derive import made_batches
from sabot._errors import PlanError
from sabot._lane import batch_of, mask_of
from sabot._strategy import CompilationStrategy
from sabot._udf import Udf, unwrap
from sabot.operators._base import BaseOperator, check_batch
from sabot.operators._calls import Calls, rows_where, strategy_for, together, uncompiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from sabot._expr import Column


@final
class MapOperator(BaseOperator):
    """Replaces each batch by what a function makes of it: RecordBatch in, RecordBatch out.

    Parameters:
        source: as for `BaseOperator`.
        map_func: a batch function, as `Stream.map` takes it: gives a RecordBatch, a Table or a dict of arrays. Unlike there,
            None emits nothing. Native code computes it where it has a form of rows (docs/compile.md), and gives what it gives.
        vectorized: the function works on whole columns already and is left alone: what `udf(compile="off")` says.
        schema: of what the function gives; None: the first batch tells.

    Raises:
        PlanError: a scalar function; that is for `Stream.with_columns`.

    >>> import pyarrow as pa
    >>> double = MapOperator(None, lambda b: {"v": pa.compute.multiply(b.column("v"), 2)})
    >>> double.process_batch(pa.record_batch({"v": [1, 2]}))["v"].to_pylist()
    [2, 4]
    """

    def __init__(
        self,
        source: object,
        map_func: Callable[[pa.RecordBatch], object],
        vectorized: bool = False,
        schema: pa.Schema | None = None,
    ) -> None:
        super().__init__(source, schema)
        if not isinstance(cast("object", vectorized), bool):
            raise PlanError(f"vectorized={vectorized!r}: it is True or False")
        fn: Any = uncompiled(map_func) if vectorized else map_func
        self._fn: Callable[[pa.RecordBatch], object] = fn
        self._calls = Calls(fn, self, "map", lambda stream: stream.map(fn, schema))
        self._strategy = strategy_for(fn)
        self._auto: AutoCompiled | None = None
        if self._strategy in (CompilationStrategy.NJIT, CompilationStrategy.VECTORIZE):
            plain, options = unwrap(fn)
            # Used where the columns tell that it takes a batch.
            given = Udf(plain, options._replace(kind="batch"))
            self._auto = AutoCompiled(given, of_dicts=True)
        self._status = "pending"
        self._output(self._known())

    def process_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """What the function makes of a batch; None where it gives None."""
        check_batch(batch)
        runs = self._calls.runs(batch.schema)
        if runs is not None:
            self._status = "compiled" if self._calls.compiled else "interpreted"
            return together(runs(batch), None)
        self._status = "interpreted"
        result = self._fn(batch) if self._auto is None else self._by_rows(self._auto, batch)
        return None if result is None else batch_of(result, self._calls.name, self._schema)

    def _by_rows(self, auto: AutoCompiled, batch: pa.RecordBatch) -> object:
        try:
            return cast("object", auto(batch))
        finally:
            self._status = "compiled" if auto.whole().compiled else "interpreted"

    @property
    def compile_status(self) -> Literal["pending", "compiled", "interpreted"]:
        """Whether native code computes the latest batch's types; "pending" before the first batch, which tells the types."""
        return cast("Any", self._status)

    @property
    def is_compiled(self) -> bool:
        """Whether native code computes batches of the latest one's types. Where a row cannot be done exactly, Python does its batch."""
        return self._status == "compiled"

    @property
    def compilation_strategy(self) -> CompilationStrategy:
        """What is worth doing with the function, as `UdfCompiler.choose_strategy` says; SKIP where it is not to be compiled."""
        return self._strategy

    def _output(self, schema: pa.Schema | None) -> pa.Schema | None:
        if schema is not None:
            self._calls.runs(schema)
        return self._schema


@final
class FilterOperator(BaseOperator):
    """Keeps the rows of each batch for which a predicate is true; null drops the row.

    Parameters:
        source: as for `BaseOperator`.
        predicate: what `Stream.filter` takes: a batch function that gives a Boolean array, or a scalar function, whose
            parameters are columns.
        schema: of the batches, which is checked.

    Raises:
        UnknownColumnError: a parameter of the predicate is no column.

    >>> import pyarrow as pa
    >>> batch = pa.record_batch({"a": [1, 2, 3], "s": ["x", "y", "z"]})
    >>> FilterOperator(None, lambda a: a != 2).process_batch(batch)["s"].to_pylist()
    ['x', 'z']
    """

    def __init__(
        self,
        source: object,
        predicate: Callable[..., object] | Column,
        schema: pa.Schema | None = None,
    ) -> None:
        super().__init__(source, schema)
        self._fn: Any = predicate
        self._calls = Calls(predicate, self, "filter", lambda stream: stream.filter(predicate))
        self._output(self._known())

    def process_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that the predicate keeps; a batch of which it keeps all comes back as it is."""
        check_batch(batch)
        runs = self._calls.runs(batch.schema)
        if runs is not None:
            kept = together(runs(batch), batch.slice(0, 0))
        else:
            kept = rows_where(batch, mask_of(self._fn(batch), batch))
        return batch_of(kept, self.get_operator_name(), self._schema)

    def get_schema(self) -> pa.Schema | None:
        """The schema of the source, where it is known."""
        return self._output(self._known())

    def _output(self, schema: pa.Schema | None) -> pa.Schema | None:
        if schema is not None:
            self._calls.runs(schema)
        return self._schema if self._schema is not None else schema


@final
class SelectOperator(BaseOperator):
    """Keeps the named columns of each batch, in this order; nothing is copied.

    Parameters:
        source: as for `BaseOperator`.
        columns: names of columns.
        schema: of what it gives, which is checked.

    Raises:
        UnknownColumnError: a name is no column; with the first batch, where the columns are not known before.
        PlanError: no list of names, or a name twice.

    >>> import pyarrow as pa
    >>> batch = pa.record_batch({"a": [1], "b": [2], "c": [3]})
    >>> SelectOperator(None, ["c", "a"]).process_batch(batch).schema.names
    ['c', 'a']
    """

    def __init__(
        self, source: object, columns: Sequence[str], schema: pa.Schema | None = None
    ) -> None:
        super().__init__(source, schema)
        names = column_names(columns)
        if names is None:
            raise PlanError("SelectOperator takes a list of names of columns, not None")
        self._columns = names
        self._places: tuple[pa.Schema, list[int]] | None = None
        self._output(self._known())

    def process_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with these columns only, without a copy."""
        check_batch(batch)
        chosen = batch.select(self._places_in(batch.schema))
        return batch_of(chosen, self.get_operator_name(), self._schema)

    def get_schema(self) -> pa.Schema | None:
        """The schema of what it gives, where the columns of the source are known."""
        return self._output(self._known())

    def _output(self, schema: pa.Schema | None) -> pa.Schema | None:
        if schema is None:
            return self._schema
        places = self._places_in(schema)
        if self._schema is not None:
            return self._schema
        given: Any = schema
        return arrow.schema([given.field(place) for place in places], schema.metadata)

    def _places_in(self, schema: pa.Schema) -> list[int]:
        known = self._places
        if known is None or not known[0].equals(schema):
            known = self._places = (schema, positions(self._columns, schema, "the batch"))
        return known[1]


@final
class FlatMapOperator(BaseOperator):
    """Replaces each batch by all the batches that a function gives for it.

    Parameters:
        source: as for `BaseOperator`.
        flat_map_func: what `Stream.flat_map` takes: a function of a batch that gives an iterable of batches, or yields them.
        schema: of what the function gives; None: the first batch tells.

    >>> import pyarrow as pa
    >>> halves = FlatMapOperator([pa.record_batch({"a": [1, 2, 3]})], lambda b: [b.slice(0, 1), b.slice(1)])
    >>> [batch.num_rows for batch in halves]
    [1, 2]
    """

    def __init__(
        self,
        source: object,
        flat_map_func: Callable[[pa.RecordBatch], Iterable[object]],
        schema: pa.Schema | None = None,
    ) -> None:
        super().__init__(source, schema)
        self._fn: Callable[[pa.RecordBatch], Iterable[object]] = flat_map_func
        self._calls = Calls(
            flat_map_func, self, "flat_map", lambda stream: stream.flat_map(flat_map_func, schema)
        )
        self._output(self._known())

    def process_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """All that the function gives for a batch, in one batch; None where it gives nothing."""
        check_batch(batch)
        return together(list(self._results(batch)), None)

    def _results(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        runs = self._calls.runs(batch.schema)
        if runs is not None:
            yield from runs(batch)
            return
        yield from made_batches(self._fn(batch), self._calls.name, self._schema)

    def _output(self, schema: pa.Schema | None) -> pa.Schema | None:
        if schema is not None:
            self._calls.runs(schema)
        return self._schema


@final
class UnionOperator(BaseOperator):
    """The batches of several sources, one source after the other, in the order of the arguments.

    Parameters:
        sources: each as for `BaseOperator`; all have the same columns.
        schema: of the batches, which is checked.

    Raises:
        PlanError: no source, or sources whose columns are known to differ.

    >>> import pyarrow as pa
    >>> one, other = pa.record_batch({"a": [1]}), pa.record_batch({"a": [2]})
    >>> [batch["a"].to_pylist() for batch in UnionOperator([one], [other])]
    [[1], [2]]
    """

    def __init__(self, *sources: object, schema: pa.Schema | None = None) -> None:
        super().__init__(None, schema)
        if not sources or any(source is None for source in sources):
            raise PlanError("UnionOperator needs the sources that it joins")
        check_schema(schema)
        self._upstreams = tuple(self._reads(source) for source in sources)
        known = [one.schema for one in self._upstreams if one.schema is not None]
        for other in known[1:]:
            check_same(known[0], other)

    def get_schema(self) -> pa.Schema | None:
        """The schema of the first source, where it is known."""
        return self._schema if self._schema is not None else self._known()
