"""Dead letters: every failed row of a run in a Parquet file that appears whole when the run ends.

Rows are in the order of the source as long as no more than `WINDOW_ROWS` of them fail ahead of one another; the same goes
for taking rows out again.

Threads: as `sabot._errorlog`, under whose lock rows are added. Memory: up to twice the window.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyarrow as pa

from sabot._errorlog import SCHEMA, Entry, StageLog
from sabot._place import NewFile, sweep
from sabot._writers import ParquetFormat

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_ROWS = 50_000


class DeadLetter:
    """One file being written. `commit` puts it in its place."""

    def __init__(self, path: str) -> None:
        sweep(os.path.dirname(path))
        self._file = NewFile(path, replace=True, mode=0o600)
        self._pending: list[Entry] = []
        self._error: Exception | None = None
        try:
            self._writer = ParquetFormat("zstd", None).open(self._file.sink, SCHEMA, None)
        except BaseException:
            self._file.abandon()
            raise

    def add(self, entry: Entry) -> None:
        """Takes one more row. What fails in writing is raised by `commit`: it is no failure of the row."""
        self._pending.append(entry)
        if len(self._pending) >= 2 * WINDOW_ROWS:
            self._pending.sort()
            try:
                if self._error is None:
                    self._write(self._pending[:WINDOW_ROWS])
            except Exception as error:
                self._error = error
            del self._pending[:WINDOW_ROWS]

    def filter(self, wanted: Callable[[StageLog, int, int], bool]) -> None:
        """Takes out rows that are not written yet."""
        self._pending = [
            entry for entry in self._pending if wanted(entry.stage, entry.place, entry.seq)
        ]

    def commit(self) -> None:
        """Writes what is left and puts the file in its place; what was there stays when that fails.

        Raises:
            OSError: the file system's.
        """
        try:
            if self._error is not None:
                raise self._error
            self._pending.sort()
            self._write(self._pending)
            self._writer.finish()
            self._file.commit()
        except BaseException:
            self._writer.abort()
            self._file.abandon()
            raise

    def _write(self, entries: list[Entry]) -> None:
        rows = [entry.row._asdict() for entry in entries]
        self._writer.write(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
