"""Operators on an event loop: async and plain sources, turns for other tasks, and what ends a pass early."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sabot import Stream
from sabot.operators import (
    BaseOperator,
    FilterOperator,
    FlatMapOperator,
    MapOperator,
    SelectOperator,
    UnionOperator,
)

ROWS = 100


def one_batch(number):
    return pa.record_batch(
        {
            "id": pa.array(range(number * ROWS, (number + 1) * ROWS)),
            "value": pa.array([2 * j for j in range(ROWS)]),
        }
    )


async def async_batch_source(count=10):
    for number in range(count):
        yield one_batch(number)
        await asyncio.sleep(0.001)


def sync_batch_source(count=10):
    for number in range(count):
        yield one_batch(number)


def with_double(batch):
    return batch.append_column("doubled", pc.multiply(batch.column("value"), 2))


def large(batch):
    return pc.greater(batch.column("value"), 100)


def ids(batches):
    return [value for batch in batches for value in batch["id"].to_pylist()]


class Watched:
    """Batches without end, as a plain and as an async iterator, that counts how often it was closed."""

    def __init__(self, fails_at=None):
        self.given = 0
        self.closed = 0
        self.fails_at = fails_at

    def _next(self):
        if self.given == self.fails_at:
            raise ConnectionError("gone")
        self.given += 1
        return one_batch(self.given - 1)


class Plain(Watched):
    def __iter__(self):
        return self

    def __next__(self):
        return self._next()

    def close(self):
        self.closed += 1


class Async(Watched):
    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        return self._next()

    async def aclose(self):
        await asyncio.sleep(0)
        self.closed += 1


@pytest.mark.asyncio
async def test_async_iteration():
    operator = MapOperator(source=async_batch_source(), map_func=with_double)
    given = [batch async for batch in operator]
    assert len(given) == 10
    assert ids(given) == list(range(1000))
    assert all("doubled" in batch.schema.names for batch in given)


@pytest.mark.asyncio
async def test_sync_source_in_async():
    operator = FilterOperator(source=sync_batch_source(), predicate=large)
    given = [batch async for batch in operator]
    assert len(given) == 10
    assert ids(given) == [k for k in range(1000) if k % ROWS > 50]


def test_sync_iteration_unchanged():
    given = list(MapOperator(source=sync_batch_source(), map_func=lambda b: b))
    assert len(given) == 10
    assert ids(given) == list(range(1000))


def test_async_source_in_plain_code():
    operator = MapOperator(source=async_batch_source(), map_func=with_double)
    assert ids(operator) == list(range(1000))
    assert list(operator) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("make", [sync_batch_source, async_batch_source])
async def test_a_chain_of_operators(make):
    chain = SelectOperator(FilterOperator(MapOperator(make(), with_double), large), ["id"])
    assert ids([batch async for batch in chain]) == [k for k in range(1000) if k % ROWS > 50]


@pytest.mark.asyncio
@pytest.mark.parametrize("make", [sync_batch_source, async_batch_source])
async def test_a_stream_as_source(make):
    operator = MapOperator(Stream.from_batches(make()).filter(large), with_double)
    assert ids([batch async for batch in operator]) == [k for k in range(1000) if k % ROWS > 50]


@pytest.mark.asyncio
async def test_union_of_both_kinds():
    operator = UnionOperator(async_batch_source(2), sync_batch_source(3))
    assert ids([batch async for batch in operator]) == [*range(200), *range(300)]


@pytest.mark.asyncio
@pytest.mark.parametrize("source", [Plain, Async])
async def test_other_tasks_get_their_turn_between_batches(source):
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    # Nothing passes the filter but its hundredth batch, so only the operator itself can give turns.
    rare = FilterOperator(source(), lambda b: pc.equal(b.column("id"), 99 * ROWS))
    async with aclosing(aiter(rare)) as batches:
        assert ids([await anext(batches)]) == [9900]
    task.cancel()
    assert turns >= 99


@pytest.mark.asyncio
async def test_turns_between_the_batches_of_one_batch():
    turns = []

    async def other():
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    rows = FlatMapOperator([one_batch(0)], lambda b: (b.slice(k, 1) for k in range(b.num_rows)))
    assert len([batch async for batch in rows]) == ROWS
    task.cancel()
    assert len(turns) >= ROWS - 1


@pytest.mark.asyncio
async def test_functions_run_on_the_thread_of_the_loop():
    threads = set()

    def note(batch):
        threads.add(threading.get_ident())
        return batch

    for source in (sync_batch_source(), async_batch_source()):
        assert len([batch async for batch in MapOperator(source, note)]) == 10
    assert threads == {threading.get_ident()}


@pytest.mark.asyncio
@pytest.mark.parametrize("source", [Plain, Async])
async def test_break_closes_the_source_once(source):
    watched = source()
    chain = SelectOperator(MapOperator(watched, with_double), ["id"])
    count = 0
    async with aclosing(aiter(chain)) as batches:
        async for _ in batches:
            count += 1
            if count == 3:
                break
    assert (watched.given, watched.closed) == (3, 1)
    assert [batch async for batch in chain] == []
    assert (watched.given, watched.closed) == (3, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("source", [Plain, Async])
async def test_a_pass_that_is_dropped_closes_the_source_once(source):
    watched = source()

    async def consume():
        async for _ in MapOperator(watched, with_double):
            break

    await consume()
    for _ in range(10):
        await asyncio.sleep(0)
    assert watched.closed == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("source", [Plain, Async])
async def test_cancel_closes_the_source_once(source):
    watched = source()
    begun = asyncio.Event()

    async def consume():
        async with aclosing(aiter(MapOperator(watched, with_double))) as batches:
            async for _ in batches:
                begun.set()

    task = asyncio.create_task(consume())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watched.closed == 1


@pytest.mark.asyncio
async def test_cancel_reaches_a_source_that_waits():
    ended = []

    async def waiting():
        try:
            yield one_batch(0)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        finally:
            ended.append("closed")

    async def consume():
        return [batch async for batch in FilterOperator(waiting(), large)]

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(consume(), 0.05)
    assert ended == ["cancelled", "closed"]


@pytest.mark.asyncio
@pytest.mark.parametrize("source", [Plain, Async])
async def test_a_source_that_fails_is_closed_once(source):
    watched = source(fails_at=2)
    seen = []
    with pytest.raises(ConnectionError, match="gone") as caught:
        async for batch in MapOperator(watched, with_double):
            seen.append(batch)
    assert (len(seen), watched.closed) == (2, 1)
    assert getattr(caught.value, "__notes__", []) == []  # not the function's fault


def test_plain_break_closes_the_source_once():
    watched = Plain()
    operator = MapOperator(watched, with_double)
    for _ in operator:
        break
    assert (watched.given, watched.closed) == (1, 1)
    assert list(operator) == []
    assert (watched.given, watched.closed) == (1, 1)


def test_plain_code_closes_an_async_source_once():
    watched = Async()
    for batch in SelectOperator(MapOperator(watched, with_double), ["id"]):
        if batch["id"][0].as_py() == 2 * ROWS:
            break
    assert watched.closed == 1


@pytest.mark.asyncio
async def test_a_pass_that_was_never_begun_leaves_the_source_alone():
    watched = Async()
    operator = MapOperator(watched, with_double)
    await aiter(operator).aclose()
    assert (watched.given, watched.closed) == (0, 0)
    async for batch in operator:
        assert ids([batch]) == list(range(ROWS))
        break


@pytest.mark.asyncio
@pytest.mark.parametrize("source", [Plain, Async])
async def test_an_error_of_process_batch_says_where_and_closes_the_source(source):
    class Picky(BaseOperator):
        def process_batch(self, batch):
            if batch["id"][0].as_py() == 2 * ROWS:
                raise KeyError("two")
            return batch

    watched = source()
    seen = []
    with pytest.raises(KeyError) as caught:
        async for batch in Picky(watched):
            seen.append(batch)
    assert caught.value.__notes__ == ["in Picky: batch 2, rows 200 to 299 of its input"]
    assert (len(seen), watched.closed) == (2, 1)
