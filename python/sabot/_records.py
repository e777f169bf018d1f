"""Rows of a stream as dicts, for plain code and for event loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sabot._outputs import aiter_rows, iter_rows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from sabot._stream import Stream


class Records:
    """What `Stream.records()` gives; each iteration runs the stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __iter__(self) -> Generator[dict[str, Any]]:
        return iter_rows(iter(self._stream))

    def __aiter__(self) -> AsyncGenerator[dict[str, Any]]:
        return aiter_rows(self._stream)
