"""What an operator object reads, opened for plain code or for an event loop.

A source may be an operator or a `Stream`, which run themselves, or batches from outside. What can be read once is opened once: later
passes are empty, as those of a plain iterator. Whoever opens a pass closes it, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol, cast

from sabot import _sources
from sabot._conform import Conformer
from sabot._errors import PlanError
from sabot._rows import BatchItems, is_batch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    import pyarrow as pa


class Running(Protocol):
    """An operator or a stream."""

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...
    def __aiter__(self) -> AsyncIterator[pa.RecordBatch]: ...


class OtherUpstream:
    """An operator or a stream as what another operator reads; `schema`: of its batches, None where only the first tells."""

    __slots__ = ("_running", "schema")

    def __init__(self, running: Running, schema: pa.Schema | None) -> None:
        self._running = running
        self.schema = schema

    def batches(self) -> Generator[pa.RecordBatch]:
        """One pass for plain code."""
        opened: Any = iter(self._running)
        try:
            yield from opened
        finally:
            if (close := getattr(opened, "close", None)) is not None:
                close()

    async def batches_async(self) -> AsyncGenerator[pa.RecordBatch]:
        """One pass for the running event loop, which gets its turn between two batches."""
        opened: Any = aiter(self._running)
        try:
            async for batch in opened:
                yield batch
        finally:
            if (close := getattr(opened, "aclose", None)) is not None:
                await close()


class SourceUpstream:
    """Batches from outside, checked as those of a stream: none is empty, all have the columns of the first."""

    __slots__ = ("_given", "_is_async", "_opened", "_source")

    def __init__(self, given: object, reader: str) -> None:
        if isinstance(given, str | bytes) or not (
            is_batch(given) or isinstance(given, Iterable | AsyncIterable)
        ):
            hint = ""
            if callable(given):
                hint = "; call it, or give Stream.from_batches(it), which makes a new pass by a new call"
            raise PlanError(
                f"{reader} reads record batches: its source is an operator, a Stream, an iterable or an async iterable, "
                f"not {type(given).__name__}{hint}"
            )
        self._given: Any = cast("Any", given)
        self._source = _sources.from_batches(self._given)
        self._is_async = _only_async(self._given)
        self._opened = False

    @property
    def schema(self) -> pa.Schema | None:
        """The schema of the batches; None where only the first tells."""
        return self._source.schema

    def batches(self) -> Generator[pa.RecordBatch]:
        """One pass for plain code; an async source runs on an event loop of its own."""
        if self._spent():
            return
        with self._source.open() as opened:
            yield from opened

    def batches_async(self) -> AsyncGenerator[pa.RecordBatch]:
        """One pass for the running event loop, on which the source runs; other tasks get their turn between two batches."""
        return self._from_async() if self._is_async else self._from_plain()

    async def _from_plain(self) -> AsyncGenerator[pa.RecordBatch]:
        with closing(self.batches()) as opened:
            for batch in opened:
                yield batch
                await asyncio.sleep(0)

    async def _from_async(self) -> AsyncGenerator[pa.RecordBatch]:
        if self._spent():
            return
        source = self._source
        items, conform = BatchItems(source.text), Conformer(source.text, source.schema)
        opened: Any = aiter(self._given)
        try:
            async for item in opened:
                for batch in items.feed(item):
                    batch = conform(batch)
                    if batch.num_rows:
                        yield batch
                await asyncio.sleep(0)  # one that never waits would keep the loop
        finally:
            if (close := getattr(opened, "aclose", None)) is not None:
                await close()

    def _spent(self) -> bool:
        if self._source.replayable:
            return False
        opened, self._opened = self._opened, True
        return opened


def _only_async(given: object) -> bool:
    return isinstance(given, AsyncIterable) and not isinstance(given, Iterable)
