"""Batches first: one pipeline over data that ends and over data that does not, and what that costs and saves.

    .venv/bin/python examples/batch_first_examples.py

Five examples. Each checks what it says before it prints it, and gives its figures back.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sabot import Stream


def payments(first: int, count: int) -> pa.Table:
    """Rows `first` and following: an id, an amount from 100 to 1,099, a category."""
    ids = np.arange(first, first + count)
    amounts = 100.0 + ids % 1000
    return pa.table({"id": ids, "amount": amounts, "category": np.where(ids % 3 == 0, "A", "B")})


def with_fee(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.append_column("fee", pc.multiply(batch.column("amount"), 0.03))


def with_tax(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.append_column("tax", pc.multiply(batch.column("amount"), 0.10))


def create_pipeline(source: Stream) -> Stream:
    """Large payments with fee and tax. Nothing in it knows whether the source ends."""
    return (
        source.filter(lambda b: pc.greater(b.column("amount"), 500))
        .map(with_fee)
        .map(with_tax)
        .select("id", "amount", "fee", "tax")
    )


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def seconds_since(started: float) -> float:
    return time.perf_counter() - started


# --- 1


class BatchMode(NamedTuple):
    rows_read: int
    rows: int
    batches: int
    fees: float


def example_1_batch_mode() -> BatchMode:
    """A Parquet file ends, so the loop over the stream ends."""
    title("1. Batch mode: a source that ends")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "payments.parquet"
        pq.write_table(payments(0, 100_000), path)
        stream = Stream.from_parquet(path, batch_size=10_000)
        assert stream.is_bounded()
        started = time.perf_counter()
        rows, batches, fees = 0, 0, 0.0
        for batch in create_pipeline(stream):
            rows += batch.num_rows
            batches += 1
            fees += pc.sum(batch.column("fee")).as_py()
        seconds = seconds_since(started)
    print(f"100,000 rows in a file, {rows:,} of them above 500, in {batches} batches")
    print(f"the loop ended by itself after {seconds:.3f} s")
    return BatchMode(100_000, rows, batches, fees)


# --- 2


class StreamingMode(NamedTuple):
    rows: int
    batches: int
    seconds: float
    ids: list[int]
    closed: int


async def example_2_streaming_mode(seconds_max: float = 2.0) -> StreamingMode:
    """The same pipeline over an async source without end, on an event loop; it runs until the consumer has enough."""
    title("2. Streaming mode: a source without end")
    closed = 0

    async def network() -> AsyncIterator[pa.RecordBatch]:
        """A thousand rows every 10 ms, as a socket might give them."""
        nonlocal closed
        try:
            for first in itertools.count(0, 1000):
                yield payments(first, 1000).to_batches()[0]
                await asyncio.sleep(0.01)
        finally:
            closed += 1

    stream = Stream.from_batches(network())
    assert not stream.is_bounded()
    started = time.perf_counter()
    batches = 0
    ids: list[int] = []
    async with aclosing(aiter(create_pipeline(stream))) as results:
        async for batch in results:
            batches += 1
            ids += batch.column("id").to_pylist()
            if seconds_since(started) > seconds_max:
                break
    seconds = seconds_since(started)
    print(f"stopped after {seconds:.1f} s: {len(ids):,} rows in {batches} batches")
    print(f"the source would have gone on; leaving the loop closed it, {closed} time")
    return StreamingMode(len(ids), batches, seconds, ids, closed)


# --- 3


class SamePipeline(NamedTuple):
    bounded: pa.Table
    unbounded: pa.Table
    rows_taken: int


def example_3_same_pipeline() -> SamePipeline:
    """Bounded and unbounded form of one input: the same rows as far as both go."""
    title("3. One pipeline, two kinds of source")
    table = payments(0, 10_000)
    bounded = create_pipeline(Stream.from_table(table, batch_size=1000))
    result = bounded.collect()
    print(f"a table:        {result.num_rows:,} rows, and the end")

    def again_and_again() -> Iterator[pa.RecordBatch]:
        while True:
            yield from table.to_batches(max_chunksize=1000)

    endless = create_pipeline(Stream.from_batches_unbounded(again_and_again))
    first = endless.limit(result.num_rows).collect()
    assert first.equals(result)
    taken = 0
    for batch in itertools.islice(endless, 50):
        taken += batch.num_rows
    print(f"without an end: its first {first.num_rows:,} rows are equal to these, bit for bit")
    print(f"                another run was left after 50 batches, at {taken:,} rows")
    return SamePipeline(result, first, taken)


# --- 4


class BatchAndRecord(NamedTuple):
    batch_sum: int
    record_sum: int
    batch_seconds: float
    record_seconds: float


def example_4_batch_vs_record_api() -> BatchAndRecord:
    """The same sum by batches and by records(), measured."""
    title("4. Batches and records")
    rows = 100_000
    table = pa.table({"id": np.arange(rows), "value": 2 * np.arange(rows)})
    stream = Stream.from_table(table, batch_size=10_000)

    def doubled(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.append_column("doubled", pc.multiply(batch.column("value"), 2))

    def by_batches() -> int:
        return sum(pc.sum(batch.column("doubled")).as_py() for batch in stream.map(doubled))

    def by_records() -> int:
        return sum(record["value"] * 2 for record in stream.records())

    by_batches()  # the engine's threads start with the first run
    started = time.perf_counter()
    batch_sum = by_batches()
    batch_seconds = seconds_since(started)
    started = time.perf_counter()
    record_sum = by_records()
    record_seconds = seconds_since(started)
    assert batch_sum == record_sum
    print(f"batches:   {batch_seconds * 1e3:7.1f} ms for {rows:,} rows")
    print(f"records(): {record_seconds * 1e3:7.1f} ms for the same sum")
    print(f"here the batches were {record_seconds / batch_seconds:.0f} times as fast")
    return BatchAndRecord(batch_sum, record_sum, batch_seconds, record_seconds)


# --- 5


class ZeroCopy(NamedTuple):
    select_shares: bool
    map_shares: bool
    bytes_in: int
    bytes_shared: int
    bytes_copied: int


def span(column: pa.Array) -> tuple[int, int]:
    """Where the values that a column shows lie in memory: from, to."""
    width = column.type.bit_width // 8
    start = column.buffers()[1].address + column.offset * width
    return start, start + len(column) * width


def spans(batches: list[pa.RecordBatch], name: str) -> list[tuple[int, int]]:
    """The same for a column of many batches; neighbours are one."""
    joined: list[tuple[int, int]] = []
    for batch in batches:
        start, end = span(batch.column(name))
        if joined and joined[-1][1] == start:
            start, _ = joined.pop()
        joined.append((start, end))
    return joined


def example_5_zero_copy() -> ZeroCopy:
    """Which operators copy, told by the addresses of the columns before and after."""
    title("5. What is copied")
    rows = 1_000_000
    table = pa.table({name: np.arange(rows) + k * rows for k, name in enumerate("abcd")})
    stream = Stream.from_table(table, batch_size=100_000)
    start, end = span(table.column("a").chunk(0))

    selected = list(stream.select("a", "b"))
    select_shares = spans(selected, "a") == [(start, end)]
    print(f"the table's column a:    {start:#x} to {end:#x}, {end - start:,} bytes")
    print(f"after select:            {'the same memory' if select_shares else 'a copy'}")

    def doubled(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.append_column("doubled", pc.multiply(batch.column("a"), 2))

    mapped = list(stream.map(doubled))
    map_shares = spans(mapped, "a") == [(start, end)]
    print(f"after map adds a column: {'the same memory' if map_shares else 'a copy'}")

    kept = list(stream.select("a").filter(lambda b: pc.greater_equal(b.column("a"), 450_000)))
    sizes = [0, 0]
    for begin, to in spans(kept, "a"):
        sizes[start <= begin and to <= end] += to - begin
    copied, shared = sizes
    print(f"after filter:            {shared:,} bytes in the same memory: batches kept whole")
    print(f"                         {copied:,} bytes copied: the kept rows of the others")
    return ZeroCopy(select_shares, map_shares, end - start, shared, copied)


def main() -> None:
    print("Everything is a record batch; whether a run ends is the source's affair.")
    example_1_batch_mode()
    asyncio.run(example_2_streaming_mode())
    example_3_same_pipeline()
    example_4_batch_vs_record_api()
    example_5_zero_copy()


if __name__ == "__main__":
    main()
