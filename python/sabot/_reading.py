"""Where a stream's batches come from: the `from_...` methods of `Stream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sabot._chain import TableSource
from sabot._errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sabot._batches import Source
    from sabot._stream import Stream


def _stream(source: TableSource | Source) -> Stream:
    from sabot._stream import Stream

    return Stream(source)


class Reading:
    """The sources of `Stream`. None of them reads anything before the stream runs, but for the schema of files."""

    __slots__ = ()

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
        return _stream(TableSource(table, batch_size))

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

        return _stream(_sources.from_batches(source, schema, bounded))

    @staticmethod
    def from_batches_bounded(source: object, schema: pa.Schema | None = None) -> Stream:
        """A stream over batches that is said to have an end; see `from_batches`."""
        from sabot import _sources

        return _stream(_sources.from_batches_bounded(source, schema))

    @staticmethod
    def from_batches_unbounded(source: object, schema: pa.Schema | None = None) -> Stream:
        """A stream over batches that is said to have no end; see `from_batches`."""
        from sabot import _sources

        return _stream(_sources.from_batches_unbounded(source, schema))

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

        return _stream(_sources.from_dicts(rows, schema, batch_size))

    from_pylist = from_dicts

    @staticmethod
    def from_arrow(obj: object) -> Stream:
        """A stream over anything that offers `__arrow_c_stream__` or `__arrow_c_array__`, without a copy."""
        from sabot import _sources

        return _stream(_sources.from_arrow(obj))

    @staticmethod
    def from_pandas(df: object) -> Stream:
        """A stream over a pandas DataFrame."""
        from sabot import _sources

        return _stream(_sources.from_pandas(df))

    @staticmethod
    def from_polars(df: object) -> Stream:
        """A stream over a Polars DataFrame or LazyFrame."""
        from sabot import _sources

        return _stream(_sources.from_polars(df))

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

        return _stream(_files.from_parquet(path, columns, filters, batch_size, schema))

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

        return _stream(_files.from_csv(path, columns, batch_size, schema))

    @staticmethod
    def from_json(
        path: object,
        columns: list[str] | None = None,
        batch_size: int | None = None,
        schema: pa.Schema | None = None,
    ) -> Stream:
        """A stream over files of one JSON object a line; parameters and errors are those of `from_csv`."""
        from sabot import _files

        return _stream(_files.from_json(path, columns, batch_size, schema))

    @staticmethod
    def from_ipc(
        path: object,
        columns: list[str] | None = None,
        batch_size: int | None = None,
        schema: pa.Schema | None = None,
    ) -> Stream:
        """A stream over Arrow IPC (Feather) files; parameters and errors are those of `from_parquet`."""
        from sabot import _files

        return _stream(_files.from_ipc(path, columns, batch_size, schema))
