"""Rows that failed in a run that went on: counted, the first of them kept."""

from __future__ import annotations

import threading
from typing import NamedTuple

import pyarrow as pa

KEPT_MAX = 10_000
SCHEMA = pa.schema(
    [
        ("operator", pa.string()),
        ("source", pa.string()),
        ("row", pa.int64()),
        ("error", pa.string()),
        ("message", pa.string()),
        ("inputs", pa.string()),
    ]
)


class ErrorRow(NamedTuple):
    """A failed row: the operator's place, the source as explain() shows it, the row in it, the exception's class and text, the inputs."""

    operator: str
    source: str
    row: int | None
    error: str
    message: str
    inputs: str


class ErrorLog:
    """The failed rows of one run, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[ErrorRow] = []
        self.total = 0

    def add(self, row: ErrorRow) -> None:
        """Counts a failed row, and keeps it if there is room."""
        with self._lock:
            self.total += 1
            if len(self._rows) < KEPT_MAX:
                self._rows.append(row)

    def table(self) -> pa.Table:
        """The first 10,000 rows that failed, in the order of the source as far as it is known."""
        with self._lock:
            rows = list(self._rows)
        return pa.Table.from_pylist([row._asdict() for row in rows], schema=SCHEMA)
