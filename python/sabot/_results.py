"""What sinks give back."""

from __future__ import annotations

from typing import NamedTuple


class WriteResult(NamedTuple):
    """What was written: rows, the files' paths in the order they were finished, and their bytes."""

    rows: int
    files: tuple[str, ...]
    bytes: int
