"""Streams and event loops: how long the loop waits, how soon and where a source is closed, what can be read again."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import random
import threading
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from support import SLACK, TIERS, Trouble

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

GAP_S = 0.02 * SLACK
CLOSE_S = 0.2 * SLACK
ROWS = 100_000
SCHEMA = pa.schema([("a", pa.int64())])
TABLE = pa.table({"a": pa.array(range(ROWS)), "t": [f"t{k % 1000}" for k in range(ROWS)]})
FEW = TABLE.slice(0, 10)
NARROW = TABLE.set_column(0, "a", TABLE["a"].cast(pa.int32()))
NESTED = pa.table(
    {"l": [list(range(20))] * 20_000, "s": [{"x": k, "t": "a\nb"} for k in range(20_000)]}
)

OBJECTS = pa.table(
    {
        "m": pa.array(
            [[("a", k), ("b", k)] for k in range(50_000)], pa.map_(pa.string(), pa.int64())
        ),
        "d": pa.array(range(50_000)).cast(pa.decimal128(24, 2)),
        "b": pa.array([b"%d" % k for k in range(50_000)]),
    }
)


def wait_until(condition, limit_s=5.0):
    until = time.monotonic() + limit_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.002)
    return condition()


def helpers():
    return [t for t in threading.enumerate() if t.name.startswith("sabot-")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert wait_until(lambda: not helpers()), helpers()


# --- the loop is not kept waiting


def interpreted(a) -> int:
    return len(repr(a))


def interpreted_list(l) -> int:  # noqa: E741
    return len(repr(l))


def plain():
    yield from TABLE.to_batches(max_chunksize=10_000)


async def awaited():
    for batch in TABLE.to_batches(max_chunksize=10_000):
        yield batch


def slow_to_begin():
    time.sleep(0.2)
    return plain()


def slow_to_begin_async():
    time.sleep(0.2)
    return awaited()


async def rows_of_dicts():  # never waits
    for k in range(50_000):
        yield {"a": k, "t": "x"}


def rows_of_rows():  # the type of a column is known from all of them only
    for k in range(70_000):
        row = {f"k{k // 1024 % 5}": k, "y": {"u": k, "v": [1.5]}}
        yield {"s": row, "l": [] if k // 1024 % 2 else [k] * 5, "x": k if k < 40_000 else k + 0.5}


def rows_that_fit_not():  # the first batch fails near its end
    for k in range(65_000):
        yield {"s": {"x": k, "y": {"u": k, "v": [1.5] * 5}, "l": [k] * 5}}
    yield {"s": {"x": "no", "y": None, "l": []}}


def long_lists_that_fit_not():
    yield from rows_of_long_lists()
    yield {"l": ["x"]}


def rows_of_long_lists():
    for k in range(1500):
        yield {"l": [k] * 2000}


async def drained(stream):
    return sum([batch.num_rows async for batch in stream])


async def refused(stream):
    with pytest.raises(sb.SchemaError, match="row [0-9]+: column"):
        await drained(stream)
    return True


async def in_pandas(table):
    return len(await asyncio.to_thread(Stream.from_table(table).to_pandas))


async def counted(stream):
    count = 0
    async for _ in stream.records():
        count += 1
    return count


def in_json(folder):
    path = folder / "n.jsonl"
    Stream.from_table(pa.concat_tables([NESTED] * 3)).to_json(path)
    return path


def in_file(folder):
    path = folder / "x.parquet"
    pq.write_table(TABLE, path)
    return path


HEAVY = {
    "compiled": lambda d: drained(Stream.from_table(TABLE).with_columns(y=lambda a: a * 2 + 1)),
    "interpreted": lambda d: drained(Stream.from_table(TABLE).with_columns(y=interpreted)),
    "interpreted lists": lambda d: drained(
        Stream.from_table(NESTED).with_columns(y=interpreted_list)
    ),
    "map": lambda d: drained(
        Stream.from_table(TABLE).map(lambda b: b.append_column("z", pc.add(b["a"], 1)))
    ),
    "parquet": lambda d: drained(Stream.from_parquet(in_file(d)).filter(lambda a: a > 5)),
    "records": lambda d: counted(Stream.from_table(TABLE.slice(0, 50_000))),
    "records of lists": lambda d: counted(Stream.from_table(NESTED)),
    "rows of dicts": lambda d: drained(Stream.from_dicts(rows_of_dicts)),
    "rows of rows": lambda d: drained(Stream.from_dicts(rows_of_rows)),
    "rows of long lists": lambda d: drained(Stream.from_dicts(rows_of_long_lists)),
    "rows that do not fit": lambda d: refused(Stream.from_dicts(rows_that_fit_not)),
    "long lists that do not fit": lambda d: refused(Stream.from_dicts(long_lists_that_fit_not)),
    "nested JSON": lambda d: drained(Stream.from_json(in_json(d))),
    "nested, to pandas": lambda d: in_pandas(pa.concat_tables([NESTED] * 3)),
    "maps and decimals, to pandas": lambda d: in_pandas(OBJECTS),
    "slow to begin": lambda d: drained(Stream.from_batches(slow_to_begin)),
    "slow to begin, async": lambda d: drained(Stream.from_batches(slow_to_begin_async)),
    "union": lambda d: drained(
        Stream.from_batches(awaited)
        .union(Stream.from_batches(plain).filter(lambda a: a >= 0), Stream.from_table(TABLE))
        .rebatch(100_000)
    ),
    "widened": lambda d: drained(Stream.from_batches([NARROW] * 3, TABLE.schema)),
    "sink in a thread": lambda d: asyncio.to_thread(
        Stream.from_table(TABLE).with_columns(y=interpreted).to_parquet, d / "y.parquet"
    ),
    "nested JSON in a thread": lambda d: asyncio.to_thread(
        Stream.from_table(NESTED).to_json, d / "n.jsonl"
    ),
}


async def longest_gap(work):
    """How long another task of the loop waited at most while some work was done."""
    worst, done = 0.0, False

    async def tick():
        nonlocal worst
        last = time.perf_counter()
        while not done:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            worst = max(worst, now - last)
            last = now

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.005)
    result = await work
    done = True
    await ticking
    return worst, result


@pytest.mark.parametrize("name", HEAVY)
def test_the_loop_is_never_blocked(name, tmp_path):
    gaps = []
    gc.collect()
    gc.freeze()  # what the tests hold is not looked through
    for _ in range(5):  # what other programs do on this machine is not the engine's
        gap, result = asyncio.run(longest_gap(HEAVY[name](tmp_path)))
        assert result
        gaps.append(gap)
        if gap < GAP_S:
            break
    gc.unfreeze()
    assert min(gaps) < GAP_S, gaps


def test_a_function_that_makes_the_source_runs_under_the_consumers_context_once():
    name = contextvars.ContextVar("name", default=0)
    seen = []

    def make():
        seen.append((name.get(), threading.get_ident()))
        return agen() if len(seen) % 2 else iter([pa.record_batch({"a": [name.get()]})])

    async def agen():
        assert threading.get_ident() == threading.main_thread().ident
        yield pa.record_batch({"a": [name.get()]})

    async def main():
        name.set(7)
        stream = Stream.from_batches(make, SCHEMA).filter(lambda a: a > 0)
        for _ in range(4):
            assert [row async for row in stream.records()] == [{"a": 7}]

    asyncio.run(main())
    assert [value for value, _ in seen] == [7] * 4
    assert threading.get_ident() not in {thread for _, thread in seen}


# --- closing


class Log:
    """A source of one kind that notes how it is driven and closed."""

    def __init__(self, wait_s=0.0, rows=10):
        self.wait_s, self.rows = wait_s, rows
        self.asked = 0
        self.driven, self.closed = set(), []

    def _batch(self):
        self.asked += 1
        self.driven.add(threading.get_ident())
        first = self.asked * self.rows
        return pa.record_batch({"a": list(range(first, first + self.rows))})

    def generator(self):
        try:
            while True:
                batch = self._batch()
                time.sleep(self.wait_s)
                yield batch
        finally:
            self.closed.append(threading.get_ident())

    async def agenerator(self):
        try:
            while True:
                batch = self._batch()
                await asyncio.sleep(self.wait_s)
                yield batch
        finally:
            await asyncio.sleep(0)
            self.closed.append(threading.get_ident())

    def iterator(self):
        return Iterator(self)

    def aiterator(self):
        return AsyncIterator(self)

    def union(self):
        other = Stream.from_batches(lambda: iter(()), SCHEMA)
        return Stream.from_batches(self.generator, SCHEMA).union(other)

    def aunion(self):
        other = Stream.from_batches(lambda: iter(()), SCHEMA)
        return Stream.from_batches(self.agenerator, SCHEMA).union(other)

    def stream(self, kind):
        if kind.endswith("union"):
            return getattr(self, kind)()
        if kind == "generator object":
            return Stream.from_batches(self.generator(), SCHEMA)
        if kind == "hidden":
            return Stream.from_batches(lambda: self.agenerator(), SCHEMA)
        return Stream.from_batches(getattr(self, kind), SCHEMA)


class Iterator:
    def __init__(self, log):
        self.log = log

    def __iter__(self):
        return self

    def __next__(self):
        batch = self.log._batch()
        time.sleep(self.log.wait_s)
        return batch

    def close(self):
        self.log.closed.append(threading.get_ident())


class AsyncIterator:
    def __init__(self, log):
        self.log = log

    def __aiter__(self):
        return self

    async def __anext__(self):
        batch = self.log._batch()
        await asyncio.sleep(self.log.wait_s)
        return batch

    async def aclose(self):
        await asyncio.sleep(0)
        self.log.closed.append(threading.get_ident())


KINDS = (
    "generator",
    "generator object",
    "iterator",
    "agenerator",
    "aiterator",
    "hidden",
    "union",
    "aunion",
)


def slow(a) -> int:
    time.sleep(0.01)
    return len(repr(a))


FORMS = {
    "as it is": lambda s: s,
    "compiled": lambda s: s.filter(lambda a: a >= 0).rebatch(3),
    "slow function": lambda s: s.with_columns(y=slow),
    "map": lambda s: s.map(lambda batch: batch),
}


def leave_for(stream, how):
    if how == "break":
        for _ in stream:
            break
    elif how == "error":
        with pytest.raises(Trouble):
            for _ in stream:
                raise Trouble("mine", 1)
    elif how == "limit":
        stream.limit(1).collect()
    elif how == "records":
        for _ in stream.records():
            break
    else:
        running = iter(stream)
        next(running)
        if how == "close":
            running.close()
        del running
        gc.collect()


async def leave_async_for(stream, how):
    if how == "break":
        async for _ in stream:
            break
    elif how == "error":
        with pytest.raises(Trouble):
            async for _ in stream:
                raise Trouble("mine", 1)
    elif how == "limit":
        async for _ in stream.limit(1):
            pass
    elif how == "records":
        async for _ in stream.records():
            break
    elif how == "close":
        async with contextlib.aclosing(aiter(stream)) as running:
            await anext(running)
    else:
        running = aiter(stream)
        await anext(running)
        del running
        gc.collect()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_whoever_has_enough_closes_the_source_once(kind, form):
    for how in ("break", "error", "limit", "records", "close", "drop"):
        log = Log()
        leave_for(FORMS[form](log.stream(kind)), how)
        assert wait_until(lambda: len(log.closed) == 1, CLOSE_S), how
        assert set(log.closed) == log.driven, how


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_whoever_awaits_and_has_enough_closes_the_source_once(kind, form):
    async def main(how):
        log = Log(wait_s=0.001)
        await leave_async_for(FORMS[form](log.stream(kind)), how)
        until = time.monotonic() + CLOSE_S
        while not log.closed and time.monotonic() < until:
            await asyncio.sleep(0.001)
        asked = log.asked
        await asyncio.sleep(0.005)
        assert (len(log.closed), log.asked) == (1, asked), how
        assert set(log.closed) == log.driven, how
        on_loop = log.driven == {threading.get_ident()}
        assert on_loop == (kind in ("agenerator", "aiterator", "hidden", "aunion")), how

    for how in ("break", "error", "limit", "records", "close", "drop"):
        asyncio.run(main(how))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_cancel_closes_the_source_once(kind, form):
    async def consume(stream):
        async for _ in stream.records():
            pass

    async def main(after_s):
        log = Log(wait_s=0.002)
        task = asyncio.create_task(consume(FORMS[form](log.stream(kind))))
        await asyncio.sleep(after_s)
        while not log.asked:
            await asyncio.sleep(0.001)
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not log.closed and time.monotonic() - began < CLOSE_S:
            await asyncio.sleep(0.001)
        assert len(log.closed) == 1
        assert set(log.closed) == log.driven

    for after_s in (0, 0.005, 0.02):
        asyncio.run(main(after_s))


def long_loop(a):
    total = 0
    for k in range(2_000_000_000):
        total += k % (a + 2)
    return total


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("kind", ["generator", "agenerator", "union"])
def test_a_cancel_ends_a_long_loop_in_the_engine(kind, tier):
    async def main():
        log = Log(rows=1)
        task = asyncio.create_task(drained(log.stream(kind).with_columns(y=long_loop)))
        while not log.asked:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not log.closed and time.monotonic() - began < CLOSE_S:
            await asyncio.sleep(0.001)
        assert (len(log.closed), set(log.closed)) == (1, log.driven)

    with sb.config(tier=tier):
        asyncio.run(main())


def test_a_cancel_ends_a_slow_function_between_two_rows():
    async def main():
        log = Log(rows=1000)
        task = asyncio.create_task(drained(log.stream("generator").with_columns(y=slow)))
        await asyncio.sleep(0.05)
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not log.closed and time.monotonic() - began < CLOSE_S:
            await asyncio.sleep(0.001)
        assert (len(log.closed), set(log.closed)) == (1, log.driven)

    asyncio.run(main())


def test_a_file_is_closed(tmp_path):
    path = in_file(tmp_path)

    def is_open():
        links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
        return any(os.path.exists(link) and os.readlink(link) == str(path) for link in links)

    stream = Stream.from_parquet(path, batch_size=1000)
    for how in ("break", "error", "limit", "records", "close", "drop"):
        leave_for(stream, how)
        assert not is_open()
        asyncio.run(leave_async_for(stream, how))
        assert wait_until(lambda: not is_open())


def test_leaving_at_random_moments():
    rng = random.Random(1)
    descriptors = len(os.listdir("/proc/self/fd"))

    async def main(log, stream):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rng.random() * 0.006):
                async for _ in stream:
                    if rng.random() < 0.2:
                        break
        until = time.monotonic() + CLOSE_S
        while log.asked > 0 and not log.closed and time.monotonic() < until:
            await asyncio.sleep(0.001)

    logs = []
    for _ in range(100):
        log = Log(wait_s=rng.choice([0, 0, 0.001]))
        logs.append(log)
        log.kind = rng.choice(KINDS)
        stream = log.stream(log.kind)
        asyncio.run(main(log, FORMS[rng.choice(["as it is", "compiled", "map"])](stream)))
    opened = [log for log in logs if log.asked]
    assert len(opened) > 50
    wait_until(lambda: all(len(log.closed) == 1 for log in opened))
    assert [(log.kind, log.closed) for log in opened if len(log.closed) != 1] == []
    assert all(set(log.closed) == log.driven for log in opened)
    assert wait_until(lambda: not helpers())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2


# --- reading again


def kinds_of_source(folder):
    """(makes the stream, whether it can be read again)"""
    path = folder / "few.parquet"
    pq.write_table(FEW, path)
    batches = FEW.to_batches(max_chunksize=4)

    def function():
        return iter(batches)

    async def afunction():
        for batch in batches:
            yield batch

    rows = [{"a": 1}, {"a": 2}]
    return {
        "table": (lambda: Stream.from_table(FEW), True),
        "list": (lambda: Stream.from_batches(batches), True),
        "iterable": (lambda: Stream.from_batches(dict.fromkeys(range(0)).keys()), True),
        "generator": (lambda: Stream.from_batches(function()), False),
        "function": (lambda: Stream.from_batches(function), True),
        "async generator": (lambda: Stream.from_batches(afunction()), False),
        "async function": (lambda: Stream.from_batches(afunction), True),
        "hidden": (lambda: Stream.from_batches(lambda: afunction()), True),
        "reader": (lambda: Stream.from_arrow(FEW.to_reader()), False),
        "dicts": (lambda: Stream.from_dicts(rows), True),
        "dict generator": (lambda: Stream.from_dicts(iter(rows)), False),
        "parquet": (lambda: Stream.from_parquet(path), True),
        "stream": (lambda: Stream.from_arrow(Stream.from_table(FEW)), True),
    }


async def read_async(stream):
    return pa.Table.from_batches([batch async for batch in stream], stream.schema)


@pytest.mark.parametrize("form", ["as it is", "compiled", "map"])
def test_what_can_be_read_again(form, tmp_path):
    runs = (Stream.collect, lambda stream: asyncio.run(read_async(stream)))
    for name, (make, again) in kinds_of_source(tmp_path).items():
        for first in runs:
            for second in runs:
                stream = FORMS[form](make())
                if name == "iterable" and stream.schema is None:
                    assert stream.count() == stream.count() == 0
                    continue
                got = first(stream) if stream.schema is not None else stream.collect()
                if again:
                    assert second(stream.limit(10**9)).num_rows == got.num_rows
                    continue
                with pytest.raises(
                    sb.StateError, match="was read before and can be read only once: "
                ):
                    second(stream)
                with pytest.raises(sb.StateError, match="pass a function that makes it anew"):
                    stream.limit(1).collect()


def test_two_of_one_source_that_can_be_read_once():
    generator = Stream.from_batches(iter(TABLE.to_batches()))
    with pytest.raises(sb.StateError, match="can be read only once"):
        generator.union(generator).collect()
