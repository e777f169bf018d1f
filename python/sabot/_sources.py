"""The sources of streams: `from_table`, `from_batches`, `from_parquet` and so on give a `Source`; nothing of the user runs yet."""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import inspect
import io
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sabot._batches import BatchIterator, Chooser, MemorySource, Source
from sabot._bridge import Gathered, OnLoop, iterate_on_loop
from sabot._conform import Conformer
from sabot._dicts import DictItems, batch_of_dicts
from sabot._errors import DataError, PlanError, TypeMismatchError
from sabot._files import from_csv, from_ipc, from_json, from_parquet
from sabot._rows import (
    BatchItems,
    check_schema,
    check_size,
    class_of,
    describe,
    is_batch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._batches import Drive
    from sabot._rows import Items

__all__ = [
    "BatchIterator",
    "Source",
    "from_arrow",
    "from_batches",
    "from_batches_bounded",
    "from_batches_unbounded",
    "from_csv",
    "from_dicts",
    "from_ipc",
    "from_json",
    "from_pandas",
    "from_parquet",
    "from_polars",
    "from_pylist",
    "from_table",
    "iterate_sync",
]

DICTS_BATCH_ROWS = 65536


class IterableSource(Source):
    """Batches, or rows, from an iterable or async iterable of the user's, or from a function that makes one."""

    in_python = True

    def __init__(
        self,
        text: str,
        get: Callable[[], object],
        items: Callable[[], Items],
        schema: pa.Schema | None,
        bounded: bool | None,
        replayable: bool,
        declared: bool = True,
    ) -> None:
        super().__init__(text)
        self.schema = schema
        self.bounded = bounded
        self.replayable = replayable
        self._get = get
        self._items = items
        self._declared = declared

    def open(
        self, columns: Sequence[str] | None = None, drive: Drive | None = None
    ) -> BatchIterator:
        self._begin(columns)
        found, items = self._found(), self._items()
        conform = Conformer(self.text, self.schema, self._declared)
        choose = Chooser(columns, self.text)
        if isinstance(found, Iterable):
            try:
                iterator = iter(found)
            except TypeError as error:  # such as an array without dimensions
                text = f"{self.text} gave {describe(found)}, which is no iterable"
                raise DataError(f"{text}: {error}") from error
            pieces = _pieces(iterator, items, conform, choose)
            return BatchIterator(pieces, conform, getattr(iterator, "close", None))
        driven = (drive or iterate_on_loop)(lambda: Gathered(found, items.at_once))
        pieces = _pieces(chain.from_iterable(driven), items, conform, choose)
        return BatchIterator(pieces, conform, driven.close, cut=driven.cut)

    def _found(self) -> Iterable[object] | AsyncIterable[object]:
        found = self._get()
        if isinstance(found, AsyncIterable | Iterable) and not isinstance(found, str | bytes):
            return cast("Iterable[object] | AsyncIterable[object]", found)
        if inspect.iscoroutine(found):
            found.close()
            raise DataError(
                f"{self.text} gave a coroutine; an async function that makes batches yields them, "
                "it does not return them"
            )
        raise DataError(f"{self.text} gave {describe(found)}, which is no iterable of batches")


def _pieces(
    iterator: Iterator[object], items: Items, conform: Conformer, choose: Chooser
) -> Iterator[pa.RecordBatch]:
    for item in iterator:
        for batch in items.feed(item):
            batch = conform(batch)
            if batch.num_rows:
                yield choose(batch)
    for batch in items.finish():
        yield choose(conform(batch))


def iterate_sync(source: AsyncIterable[Any]) -> OnLoop[Any]:
    """Plain iteration over an async iterable, which runs on an event loop of its own in a helper thread.

    Parameters:
        source: any async iterable.

    Returns:
        An iterator with close(): it cancels the iterable where it waits, which is then closed on its loop, once.

    >>> async def numbers():
    ...     yield 1
    >>> list(iterate_sync(numbers()))
    [1]
    """
    return iterate_on_loop(lambda: source)


# --- tables and batches


def from_table(table: pa.Table | pa.RecordBatch, batch_size: int | None = None) -> Source:
    """A source over a table: bounded, replayable, without a copy.

    Parameters:
        table: a `pyarrow.Table` or `RecordBatch`.
        batch_size: most rows of a batch; None keeps the table's own chunks.

    Raises:
        PlanError: not a table, or a batch size below 1.

    >>> [batch.num_rows for batch in from_table(pa.table({"a": [1, 2, 3]}), 2).open()]
    [2, 1]
    """
    given = cast("object", table)
    if not isinstance(given, pa.Table | pa.RecordBatch):
        raise PlanError(
            f"from_table takes a pyarrow.Table, not {class_of(given)}{_arrow_hint(given)}"
        )
    check_size(batch_size)
    return MemorySource(f"TABLE {table.num_rows} rows", [table], table.schema, batch_size)


def from_batches(
    source: object, schema: pa.Schema | None = None, bounded: bool | None = None
) -> Source:
    """A source over record batches: a list of them, an iterable, an async iterable, or a function that returns one of these.

    A list, a reader and an object with `__arrow_c_stream__` are bounded, whatever else was not declared counts as unbounded. An
    iterator, a generator and a reader can be read once; a function is called anew for every pass.

    Parameters:
        source: gives `pyarrow.RecordBatch`es, Tables, or objects of other libraries that offer Arrow's C interface. Each has the
            columns of the first, in its order.
        schema: of the batches; columns of type null, or of a type that it widens, are brought to it. None: the first batch tells.
        bounded: True: it has an end; False: it has none.

    Raises:
        PlanError: the source, or an item of the list, is nothing of the kind.
        SchemaError: from a pass, where a batch does not fit the schema.
        DataError: from a pass, where an item is no batch.

    >>> batch = pa.record_batch({"a": [1, 2]})
    >>> source = from_batches(lambda: (batch for _ in range(3)))
    >>> sum(b.num_rows for b in source.open()), sum(b.num_rows for b in source.open())
    (6, 6)
    """
    check_schema(schema)
    _check_bounded(bounded)
    if isinstance(source, list | tuple):
        return _from_list(list(cast("Sequence[object]", source)), schema, bounded)
    if is_batch(source):
        return _arrow_source(source, schema, True if bounded is None else bounded, "BATCHES")
    return _iterable_source(source, schema, bounded)


def from_batches_bounded(source: object, schema: pa.Schema | None = None) -> Source:
    """`from_batches` for what has an end: usually a list."""
    return from_batches(source, schema, bounded=True)


def from_batches_unbounded(source: object, schema: pa.Schema | None = None) -> Source:
    """`from_batches` for what has no end: usually a function that returns a generator, so that it can be run again."""
    return from_batches(source, schema, bounded=False)


def from_arrow(obj: object) -> Source:
    """A source over Arrow data of any library: bounded, without a copy.

    Parameters:
        obj: a `pyarrow.Table`, `RecordBatch` or `RecordBatchReader`, or any object with `__arrow_c_stream__` or
            `__arrow_c_array__`. A reader can be read once; other objects export their data for every pass.

    Raises:
        PlanError: it is nothing of the kind.
    """
    if not is_batch(obj):
        raise PlanError(
            f"from_arrow takes a Table, a RecordBatch, a reader or an object with __arrow_c_stream__, not {class_of(obj)}"
        )
    return _arrow_source(obj, None, True, "ARROW")


def from_dicts(
    rows: object, schema: pa.Schema | None = None, batch_size: int = DICTS_BATCH_ROWS
) -> Source:
    """A source over rows that are dicts, all with the same keys.

    A list is converted at once, so its schema is known and what does not fit is told here; later changes of it are not seen. Of
    an iterable, an async iterable or a function that returns one, the first `batch_size` rows fix the schema.

    Parameters:
        rows: the rows.
        schema: the columns and their types; a key that is missing in a row is null then.
        batch_size: most rows of a batch; an iterable's rows are gathered until so many are there, or it ends.

    Raises:
        SchemaError: a row is no dict, has other keys than the first, or a value of another type; it names the row.
        IntegerOverflowError: an int does not fit 64 bits.
        PlanError: `rows` is no iterable, or the batch size is below 1.

    >>> from_dicts([{"a": 1, "b": "x"}, {"a": None, "b": "y"}]).schema.names
    ['a', 'b']
    """
    check_schema(schema)
    check_size(batch_size, optional=False)
    if isinstance(rows, list | tuple):
        given = cast("Sequence[object]", rows)
        batch = batch_of_dicts(given, schema)
        return MemorySource(f"DICTS {len(given)} rows", [batch], batch.schema, batch_size)
    if isinstance(rows, Mapping) or is_batch(rows):
        raise PlanError(
            f"from_dicts takes rows, each a dict, not {class_of(rows)}{_arrow_hint(rows)}"
        )
    return _iterable_source(rows, schema, None, "DICTS", lambda: DictItems(schema, batch_size))


from_pylist = from_dicts


def from_pandas(df: object) -> Source:
    """A source over a pandas DataFrame, converted at once as `pyarrow.Table.from_pandas` does: an index with values is a column.

    Raises:
        PlanError: it is no DataFrame.
        TypeMismatchError: a column holds values that no Arrow type holds together.
    """
    if not _is_from(df, "pandas") or type(df).__name__ != "DataFrame":
        hint = "; .to_frame() makes one" if type(df).__name__ == "Series" else ""
        raise PlanError(f"from_pandas takes a pandas.DataFrame, not {class_of(df)}{hint}")
    try:
        table = pa.Table.from_pandas(cast("Any", df))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise TypeMismatchError(f"from_pandas: {', '.join(map(str, error.args))}") from error
    return MemorySource(f"PANDAS {table.num_rows} rows", [table], table.schema)


def from_polars(df: object) -> Source:
    """A source over a Polars DataFrame, or a LazyFrame, which is collected at the beginning of every pass.

    Raises:
        PlanError: it is neither.
    """
    kind = type(df).__name__
    frame = cast("Any", df)
    if _is_from(df, "polars") and kind == "DataFrame":
        table = cast("pa.Table", frame.to_arrow())
        return MemorySource(f"POLARS {table.num_rows} rows", [table], table.schema)
    if _is_from(df, "polars") and kind == "LazyFrame":
        empty = cast("pa.Table", frame.clear().collect().to_arrow())

        def collect() -> list[object]:
            return [frame.collect().to_arrow()]

        return IterableSource(
            "POLARS lazy frame",
            collect,
            lambda: BatchItems("a lazy frame"),
            empty.schema,
            bounded=True,
            replayable=True,
        )
    hint = "; .to_frame() makes one" if kind == "Series" else ""
    raise PlanError(f"from_polars takes a polars DataFrame or LazyFrame, not {class_of(df)}{hint}")


# --- how they are made


def _from_list(items: list[object], schema: pa.Schema | None, bounded: bool | None) -> Source:
    text = f"BATCHES list of {len(items)}"
    known = [item for item in items if isinstance(item, pa.RecordBatch | pa.Table)]
    if len(known) == len(items) and (known or schema is not None):
        wanted = known[0].schema if schema is None else schema
        return MemorySource(
            text,
            known,
            wanted,
            bounded=bounded is not False,
            declared=schema is not None,
        )
    for number, item in enumerate(items):
        if not is_batch(item):
            hint = "; from_dicts takes rows" if isinstance(item, Mapping) else ""
            raise PlanError(f"item {number} of the list is {class_of(item)}, not a batch{hint}")
    return IterableSource(
        text,
        lambda: items,
        lambda: BatchItems("the list"),
        schema,
        bounded is not False,
        replayable=True,
    )


def _arrow_source(obj: Any, schema: pa.Schema | None, bounded: bool, word: str) -> Source:
    if isinstance(obj, pa.Table | pa.RecordBatch):
        text = f"{word} {obj.num_rows} rows"
        return MemorySource(text, [obj], schema or obj.schema, bounded=bounded)
    text = f"{word} {type(obj).__name__}"
    if isinstance(obj, pa.RecordBatchReader):
        known, replayable = obj.schema, False
    else:
        known, replayable = _exported_schema(obj), True
    return IterableSource(
        text,
        (lambda: obj) if isinstance(obj, pa.RecordBatchReader) else (lambda: [obj]),
        lambda: BatchItems(text),
        schema or known,
        bounded,
        replayable,
        declared=schema is not None,
    )


def _exported_schema(obj: Any) -> pa.Schema | None:
    """The schema that an object of another library offers without its data; None where it does not."""
    if not hasattr(obj, "__arrow_c_schema__"):
        return None
    try:
        return pa.schema(obj)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise PlanError(f"{class_of(obj)} holds no table: {error}") from error


def _iterable_source(
    source: object,
    schema: pa.Schema | None,
    bounded: bool | None,
    word: str = "BATCHES",
    items: Callable[[], Items] | None = None,
) -> Source:
    if isinstance(source, io.IOBase):
        raise PlanError(f"{class_of(source)} is a file; from_csv, from_parquet and so on read one")
    replayable = True
    name = getattr(source, "__name__", None)
    if isinstance(source, Iterable) and not isinstance(source, str | bytes | Mapping):
        replayable = not hasattr(source, "__next__")
    elif isinstance(source, AsyncIterable):
        replayable = not hasattr(source, "__anext__")
    elif callable(source) and not isinstance(source, type):
        name = f"{name or type(source).__name__}()"
    else:
        raise PlanError(
            f"{'from_dicts' if word == 'DICTS' else 'from_batches'} takes a list, an iterable, an async iterable "
            f"or a function that returns one, not {class_of(source)}"
        )
    kind = type(source).__name__.replace("_", " ")
    text = f"{word} {name if callable(source) else kind + (f' {name}' if name else '')}"
    return IterableSource(
        text,
        cast("Callable[[], object]", source)
        if callable(source)
        else lambda: cast("object", source),
        items if items is not None else lambda: BatchItems(text),
        schema,
        bounded,
        replayable,
        declared=schema is not None,
    )


def _check_bounded(bounded: object) -> None:
    if bounded is not None and not isinstance(bounded, bool):
        raise PlanError(f"bounded={bounded!r}: it is True, False or None")


def _is_from(value: object, package: str) -> bool:
    return type(value).__module__.partition(".")[0] == package


def _arrow_hint(value: object) -> str:
    if _is_from(value, "pandas"):
        return "; from_pandas takes it"
    if _is_from(value, "polars"):
        return "; from_polars takes it"
    if is_batch(value):
        return "; from_arrow takes it"
    if isinstance(value, list | tuple):
        return "; from_batches takes a list of batches, from_dicts one of rows"
    return ""
