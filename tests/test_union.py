"""Union: bounded inputs in the order of the arguments, others as they arrive; errors, ends and schemas of both."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import itertools
import os
import random
import signal
import threading
import time

import pyarrow as pa
import pytest
from support import SLACK, THREADS, Trouble

import sabot as sb
from sabot import Stream
from sabot._errors import UnboundedError

pytestmark = pytest.mark.api

SCHEMA = pa.schema([("a", pa.int64())])
TABLE = pa.table({"a": list(range(10)), "t": [f"t{k}" for k in range(10)]})
CLOSE_S = 0.2 * SLACK


def numbers(first, rows=2):
    return pa.record_batch({"a": list(range(first, first + rows))})


def values(stream, name="a"):
    return stream.collect()[name].to_pylist()


class Feed:
    """Batches of 0, 1, 2 and so on above `base`, with waits; notes on which thread it was driven and closed."""

    def __init__(self, base=0, count=10**9, wait_s=0.0, fail_at=None, silent_at=None):
        self.base, self.count, self.wait_s = base, count, wait_s
        self.fail_at, self.silent_at = fail_at, silent_at
        self.asked = 0
        self.opened = 0
        self.closed = []
        self.driven = set()
        self.released = threading.Event()

    def _turn(self, k):
        self.asked += 1
        self.driven.add(threading.get_ident())
        if k == self.fail_at:
            raise Trouble("feed", self.base)

    def plain(self):
        self.opened += 1
        try:
            for k in range(self.count):
                self._turn(k)
                if k == self.silent_at:
                    self.released.wait()
                time.sleep(self.wait_s)
                yield numbers(self.base + 2 * k)
        finally:
            self.closed.append(threading.get_ident())

    async def awaited(self):
        self.opened += 1
        try:
            for k in range(self.count):
                self._turn(k)
                if k == self.silent_at:
                    await asyncio.sleep(3600)
                await asyncio.sleep(self.wait_s)
                yield numbers(self.base + 2 * k)
        finally:
            self.closed.append(threading.get_ident())

    def stream(self, kind, **options):
        return Stream.from_batches(getattr(self, kind), **{"schema": SCHEMA, **options})


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


async def gathered(stream):
    return [row["a"] async for row in stream.records()]


KINDS = ("plain", "awaited")

# --- bounded inputs


def test_bounded_inputs_follow_each_other():
    whole = Stream.from_table(TABLE)
    other = whole.filter(lambda a: a > 7)
    for threads in THREADS:
        with sb.config(threads=threads):
            for stream in (whole, Stream.from_table(TABLE, 3)):
                given = stream.limit(2).union(other, stream.skip(9), other.limit(0))
                assert values(given) == [0, 1, 8, 9, 9]
                assert given.is_bounded()
                twice = given.with_columns(a=lambda a: a * 2).union(given)
                assert values(twice) == [0, 2, 16, 18, 18, 0, 1, 8, 9, 9]
                assert values(stream.union()) == list(range(10))
                assert asyncio.run(gathered(given)) == [0, 1, 8, 9, 9]
    feeds = [Feed(100 * k, 3) for k in range(3)]
    one, two, three = (feed.stream("plain", bounded=True) for feed in feeds)
    running = iter(one.union(two, three))
    next(running)
    assert [feed.asked for feed in feeds] == [1, 0, 0]  # the others are not even opened
    running.close()
    assert [len(feed.closed) for feed in feeds] == [1, 0, 0]


def test_which_of_the_two_it_is():
    ends = {True: Stream.from_table(TABLE.select(["a"]))}
    ends[None] = Feed(count=1).stream("plain")
    ends[False] = Feed(count=1).stream("plain", bounded=False)
    for kinds in itertools.product(ends, repeat=3):
        first, *others = (ends[kind] for kind in kinds)
        given = first.union(*others)
        assert given.is_bounded() == all(kinds)
        how = "in order" if all(kinds) else "as they arrive"
        assert given.explain().startswith(f"UNION {how}  1 column\n├─ ")
        if False in kinds:
            with pytest.raises(UnboundedError, match=r"count needs the end.*limit\(n\) gives one"):
                given.count()
        else:
            assert sorted(values(given)) == sorted(
                itertools.chain.from_iterable(range(10) if kind else range(2) for kind in kinds)
            )
        assert given.limit(2).is_bounded()


# --- schemas


def test_schemas_that_differ():
    stream = Stream.from_table(TABLE)
    with pytest.raises(sb.PlanError) as caught:
        stream.union(Stream.from_table(pa.table({"a": [1.5], "u": ["x"]})))
    assert str(caught.value) == (
        "union needs equal schemas; they differ in 'a': int64 and double, 't': string and none, "
        "'u': none and string"
    )
    with pytest.raises(sb.PlanError, match="they differ in the order of columns"):
        stream.union(stream.select("t", "a"))
    strict = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    with pytest.raises(sb.PlanError, match="differ in 'a': int64 and int64 not null"):
        Stream.from_batches([], SCHEMA).union(Stream.from_batches([], strict))
    for wrong in (TABLE, None, [stream], "t"):
        with pytest.raises(sb.PlanError, match="union takes streams, not"):
            stream.union(wrong)


@pytest.mark.parametrize("bounded", [True, None])
def test_schemas_that_the_first_batches_tell(bounded):
    def deferred(*batches):
        return Stream.from_batches(lambda: iter(batches), bounded=bounded)

    ints, texts = numbers(0), pa.record_batch({"a": ["x"]})
    small = pa.record_batch({"a": pa.array([7], pa.int8())})
    nulls = pa.record_batch({"a": pa.nulls(1)})
    known = Stream.from_batches([ints])
    for one, two in ((deferred(ints), deferred(ints, nulls, small)), (deferred(ints), known)):
        given = one.union(two)
        assert given.schema == (None if two is not known else SCHEMA)
        assert sorted(values(given.filter(lambda a: a == 1))) == [1, 1]
    assert known.union(deferred()).collect().schema == SCHEMA
    assert deferred().union(deferred()).collect().num_rows == 0
    for other in (texts, small, nulls):
        kind = other.schema.field("a").type
        with pytest.raises(sb.SchemaError, match=f"'a': (int64 and {kind}|{kind} and int64)$"):
            deferred(ints).union(deferred(other)).collect()
        with pytest.raises(sb.SchemaError, match=f"'a': int64 and {kind}$"):
            known.limit(0).union(deferred(other)).collect()


# --- as they arrive


@pytest.mark.parametrize("kind", KINDS)
def test_a_silent_input_stalls_nobody(kind):
    silent, loud = Feed(0, silent_at=1), Feed(1000, 20)
    for stream in (
        silent.stream(kind).union(loud.stream("plain")),
        loud.stream("awaited").union(silent.stream(kind)),
        silent.stream(kind).union(Stream.from_table(TABLE.select(["a"])), loud.stream("plain")),
    ):
        for form in (lambda s: s, lambda s: s.filter(lambda a: a >= 0)):
            for run in (iter, take_async):
                seen = set()
                running = run(form(stream).records())
                for row in running:
                    seen.add(row["a"])
                    if seen.issuperset({0, 1, 1000, 1039}):
                        break
                silent.released.set()
                running.close()
                silent.released.clear()
    assert wait_until(lambda: len(silent.closed) == silent.opened == 12)
    assert wait_until(lambda: len(loud.closed) == loud.opened == 12)


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_are_not_kept_while_a_source_is_silent(threads):
    released = threading.Event()

    def source():
        for k in range(3):
            yield pa.record_batch({"a": pa.array(range(k, 150_000))})
        released.wait()

    with sb.config(threads=threads):
        running = iter(Stream.from_batches(source).filter(lambda a: a >= 0))
        rows = 0
        while rows < 449_997:
            rows += next(running).num_rows
        released.set()
        assert list(running) == []


def take_async(records):
    """Rows as an event loop gets them."""
    loop = asyncio.new_event_loop()
    rows = aiter(records)
    try:
        while True:
            try:
                yield loop.run_until_complete(anext(rows))
            except StopAsyncIteration:
                return
    finally:
        loop.run_until_complete(rows.aclose())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_behind_what_was_there(kind):
    good, bad = Feed(0, wait_s=0.001), Feed(1000, fail_at=3)
    for stream in (
        good.stream("plain").union(bad.stream(kind)),
        bad.stream(kind).union(good.stream("awaited")),
    ):
        for run in (iter, take_async):
            for form in (lambda s: s, lambda s: s.with_columns(y=lambda a: a)):
                seen = []
                with pytest.raises(Trouble) as caught:
                    seen.extend(row["a"] for row in run(form(stream).records()))
                assert caught.value.args == ("feed", 1000)
                assert [a for a in seen if a >= 1000] == list(range(1000, 1006))
    assert wait_until(lambda: len(good.closed) == good.opened == 8)
    assert len(bad.closed) == bad.opened == 8


def test_a_function_that_fails_in_one_input():
    stream = Feed(0, 3).stream("plain").with_columns(a=lambda a: 6 // (a - 4))
    with pytest.raises(ZeroDivisionError) as caught:
        Feed(0, silent_at=1).stream("awaited").union(stream).collect()
    assert caught.value.__notes__ == ["in WITH a = <lambda>(a): operator 0, batch 2, row 4: a=4"]


def test_queues_are_bounded():
    fast, slow = Feed(0), Feed(10**6, silent_at=0)
    for kind in KINDS:
        running = iter(fast.stream(kind).union(slow.stream("awaited")))
        next(running)
        assert wait_until(lambda: fast.asked >= 3)
        time.sleep(0.05)
        assert fast.asked < 12
        running.close()
        fast.asked = 0


@pytest.mark.parametrize("kind", KINDS)
def test_each_source_is_closed_once_where_it_is_driven(kind):
    for threads in THREADS:
        with sb.config(threads=threads):
            for form in (lambda s: s, lambda s: s.filter(lambda a: a >= 0).rebatch(3).limit(10**6)):
                feeds = [Feed(0), Feed(10**6, silent_at=2 if kind == "awaited" else None)]
                running = iter(form(feeds[0].stream("plain").union(feeds[1].stream(kind))))
                next(running)
                assert wait_until(lambda: all(feed.asked for feed in feeds))
                began = time.monotonic()
                running.close()
                assert time.monotonic() - began < CLOSE_S
                for feed in feeds:
                    assert feed.closed == list(feed.driven) != [threading.get_ident()]


def test_async_sources_run_on_the_consumers_loop():
    async def main():
        queue: asyncio.Queue = asyncio.Queue()

        async def source():
            while (batch := await queue.get()) is not None:
                yield batch

        feeds = [Feed(0, 5), Feed(100, 5, wait_s=0.001)]
        given = (
            feeds[0]
            .stream("awaited")
            .union(Stream.from_batches(source, SCHEMA), feeds[1].stream("plain"))
        )
        for batch in (numbers(50), None):
            queue.put_nowait(batch)
        assert sorted(await gathered(given)) == [*range(10), 50, 51, *range(100, 110)]
        assert feeds[0].closed == [threading.get_ident()]
        assert feeds[1].closed != [threading.get_ident()]

    asyncio.run(main())


@pytest.mark.parametrize("how", ["cancel", "break", "error", "drop"])
def test_ends_of_an_async_consumer(how):
    feeds = [Feed(0, wait_s=0.001), Feed(1000, silent_at=1), Feed(2000)]
    given = feeds[0].stream("plain").union(feeds[1].stream("awaited"), feeds[2].stream("awaited"))

    async def consume():
        if how == "break":
            async with contextlib.aclosing(aiter(given)) as running:
                async for _ in running:
                    if all(feed.asked for feed in feeds):
                        return
        async for _ in given:
            if how == "error":
                raise Trouble("mine", 1)
            if how == "drop":
                return

    async def main():
        task = asyncio.create_task(consume())
        if how == "cancel":
            while not all(feed.asked for feed in feeds):
                await asyncio.sleep(0.001)
            task.cancel()
        began = time.monotonic()
        with contextlib.suppress(asyncio.CancelledError, Trouble):
            await task
        while not all(len(feed.closed) == feed.opened for feed in feeds):
            await asyncio.sleep(0.001)
            assert time.monotonic() - began < CLOSE_S

    asyncio.run(main())
    assert [len(feed.closed) for feed in feeds] == [feed.opened for feed in feeds]
    assert all(set(feed.closed) == feed.driven for feed in feeds)


def test_a_source_inside_a_call_that_blocks_is_left_alone():
    blocked, other = Feed(0, silent_at=1), Feed(100)
    for run in (iter, take_async):
        running = run(blocked.stream("plain").union(other.stream("plain")).records())
        assert wait_until(lambda: next(running)["a"] >= 100 and blocked.asked >= 2, 30)
        began = time.monotonic()
        running.close()
        assert time.monotonic() - began < CLOSE_S
        assert (blocked.closed, len(other.closed)) == ([], 1)
        blocked.released.set()
        assert wait_until(lambda: len(blocked.closed) == 1)
        assert set(blocked.closed) == blocked.driven
        blocked, other = Feed(0, silent_at=1), Feed(100)


def test_limits_behind_and_between():
    feeds = [Feed(0), Feed(100), Feed(200)]
    one, two, three = (feed.stream("plain") for feed in feeds)
    assert len(values(one.union(two).limit(7).union(three.limit(5)).filter(lambda a: a >= 0))) == 12
    assert [len(feed.closed) for feed in feeds] == [1, 1, 1]
    nested = one.union(two.union(three).filter(lambda a: a >= 0)).limit(1)
    assert nested.count() == 1
    assert wait_until(lambda: all(len(feed.closed) == feed.opened for feed in feeds))


def test_a_dropped_iterator_closes_its_sources():
    feeds = [Feed(0), Feed(100)]
    running = iter(feeds[0].stream("plain").union(feeds[1].stream("awaited")))
    next(running)
    del running
    gc.collect()
    assert wait_until(lambda: all(len(feed.closed) == feed.opened for feed in feeds))


def test_what_closing_raises_arrives():
    def source():
        try:
            while True:
                yield numbers(0)
        finally:
            raise Trouble("closing", 1)

    running = iter(Stream.from_batches(source, SCHEMA).union(Feed().stream("awaited")))
    next(running)
    time.sleep(0.02)
    with pytest.raises(Trouble):
        running.close()


def test_the_consumers_context():
    name = contextvars.ContextVar("name", default=0)
    name.set(7)

    def source():
        yield pa.record_batch({"a": [name.get()]})

    async def asource():
        yield pa.record_batch({"a": [name.get()]})

    given = Stream.from_batches(source, SCHEMA).union(Stream.from_batches(asource, SCHEMA))
    assert values(given) == [7, 7]
    assert asyncio.run(gathered(given)) == [7, 7]


def test_an_interrupt_while_nothing_comes():
    feed = Feed(0, silent_at=0)
    main = threading.main_thread().ident
    timer = threading.Timer(0.05, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        values(feed.stream("awaited").union(feed.stream("awaited")))
    timer.join()
    assert wait_until(lambda: len(feed.closed) == feed.opened)


def test_reports_of_all_inputs_in_the_order_of_the_plan():
    one = Feed(0, 20, wait_s=0.0005).stream("plain").filter(lambda a: a > 3)
    two = Feed(0, 3).stream("awaited").with_columns(y=lambda a: a).select("a")
    given = one.union(two).with_columns(z=lambda a: a + 1)
    assert given.count() == 42
    functions = given.last_run.report["functions"]
    assert [function["rows"] for function in functions] == [40, 6, 42]


# --- at random


def run_at_random(seed):
    """One union with waits, failures and an early end that the seed tells; checks order, closing, and what was raised."""
    rng = random.Random(seed)
    feeds = [
        Feed(
            10_000 * k,
            rng.randrange(1, 8),
            wait_s=rng.choice([0, 0, 0.0005, 0.002]),
            fail_at=rng.choice([None, None, None, rng.randrange(5)]),
        )
        for k in range(rng.randrange(1, 5))
    ]
    streams = [feed.stream(rng.choice(KINDS), bounded=rng.choice([None, False])) for feed in feeds]
    streams = [
        stream.filter(lambda a: a >= 0) if rng.random() < 0.4 else stream for stream in streams
    ]
    given = streams[0].union(*streams[1:])
    if rng.random() < 0.3:
        given = given.with_columns(y=lambda a: a * 2)
    stop_after = rng.choice([None, None, 0, 1, 3, 8])
    seen, failed = [], False

    def plain():
        running = iter(given)
        for count, batch in enumerate(running):
            seen.extend(batch["a"].to_pylist())
            if count == stop_after:
                break
        running.close()

    async def awaited():
        async with contextlib.aclosing(aiter(given)) as running:
            count = 0
            async for batch in running:
                seen.extend(batch["a"].to_pylist())
                if count == stop_after:
                    break
                count += 1

    async def main():
        if rng.random() < 0.4:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rng.random() * 0.01):
                    await awaited()
        else:
            await awaited()

    began = time.monotonic()
    try:
        plain() if rng.random() < 0.5 else asyncio.run(main())
    except Trouble as error:
        failed = True
        assert any(feed.base == error.args[1] and feed.fail_at is not None for feed in feeds)
    assert time.monotonic() - began < 2 * SLACK
    assert wait_until(lambda: all(len(feed.closed) == feed.opened for feed in feeds)), seed
    for feed in feeds:
        mine = [a for a in seen if 0 <= a - feed.base < 10_000]
        assert mine == list(range(feed.base, feed.base + len(mine))), seed
        if stop_after is None and not failed and not mine:
            assert feed.fail_at is None or feed.opened <= 1
    return failed


def test_unions_at_random():
    before = len(os.listdir("/proc/self/fd"))
    failed = sum(run_at_random(seed) for seed in range(150))
    assert 10 < failed < 140
    assert wait_until(lambda: not helpers())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 2
