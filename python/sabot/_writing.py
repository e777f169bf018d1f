"""Where a stream's rows go: the methods of `Stream` that run it to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sabot._errors import PlanError, UnboundedError, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from sabot._batches import Source
    from sabot._chain import TableSource
    from sabot._derive import Derived
    from sabot._records import Records
    from sabot._results import WriteResult
    from sabot._stream import Stream


class Writing:
    """The sinks of `Stream`, over what it gives when it is iterated."""

    __slots__ = ()

    if TYPE_CHECKING:
        _source: TableSource | Source | Derived

        @property
        def schema(self) -> pa.Schema | None: ...
        def _batches(self, *, calls_user: bool = False) -> Generator[pa.RecordBatch]: ...

    def collect(self) -> pa.Table:
        """Runs the stream and gives everything as one table.

        Raises:
            Whatever a function raises at the first failing row, with a note that names the row.
            CastError, IntegerOverflowError: a function's result does not fit its column.
            UnboundedError: the source was said to have no end.
        """
        self._need_end("collect")
        schema = self.schema
        batches = list(self._batches())
        if schema is None:
            schema = batches[0].schema if batches else pa.schema([])
        return pa.Table.from_batches(batches, schema=schema)

    to_table = collect

    def count(self) -> int:
        """Runs the stream and gives the number of rows."""
        self._need_end("count")
        return sum(batch.num_rows for batch in self._batches())

    def foreach(self, fn: Callable[[pa.RecordBatch], object]) -> None:
        """Runs the stream and calls a function with each batch."""
        from sabot import _outputs

        _outputs.foreach(self._batches(calls_user=True), fn)

    def records(self) -> Records:
        """The rows as dicts, for `for` and for `async for`."""
        from sabot._records import Records

        return Records(cast("Stream", self))

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

        return self._write(_sinks.write_parquet, path, options)

    def to_csv(self, path: Any, **options: Any) -> WriteResult:
        """Runs the stream into a CSV file; options: mode, compression, separator, include_header and those of `to_parquet`."""
        from sabot import _sinks

        return self._write(_sinks.write_csv, path, options)

    def to_json(self, path: Any, **options: Any) -> WriteResult:
        """Runs the stream into a file of one JSON object a line; options: mode, compression and those of `to_parquet`."""
        from sabot import _sinks

        return self._write(_sinks.write_json, path, options)

    def to_ipc(self, path: Any, **options: Any) -> WriteResult:
        """Runs the stream into an Arrow IPC file; options: mode, compression and those of `to_parquet`."""
        from sabot import _sinks

        return self._write(_sinks.write_ipc, path, options)

    def _write(self, write: Any, path: Any, options: dict[str, Any]) -> WriteResult:
        known = [name for name in write.__kwdefaults__ if name != "bounded"]
        for name in options:
            if name not in known:
                what = write.__name__.replace("write", "to")
                raise PlanError(f"{what} has no option {name!r}{suggest(name, known)}")
        bounded = self._source.bounded is not False
        return write(self._batches(), self.schema, path, bounded=bounded, **options)

    def _need_end(self, what: str) -> None:
        if self._source.bounded is False:
            raise UnboundedError(
                f"{what} needs the end of the stream, and its source {self._source.text} was said to have none; "
                "limit(n) gives one"
            )
