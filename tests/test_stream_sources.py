"""Sources of streams: each with a small plan, read again or once, from plain code and from an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import io
import json
import subprocess
import sys
import threading
import time
import traceback

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import SLACK, THREADS, TIERS, Trouble

import sabot as sb
from sabot import Stream
from sabot._errors import UnboundedError

pytestmark = pytest.mark.api

SCHEMA = pa.schema([("a", pa.int64()), ("t", pa.string())])
ROWS = [{"a": k, "t": f"t{k}"} for k in range(10)]
TABLE = pa.Table.from_pylist(ROWS, schema=SCHEMA)
BATCHES = TABLE.to_batches(max_chunksize=4)
CLOSE_S = 0.2 * SLACK
BLOCKED_S = 0.02 * SLACK


class Log:
    """A generator function that notes how far it was asked, and where it was closed."""

    def __init__(self, count=100, rows=10, wait_s=0.0):
        self.count, self.rows, self.wait_s = count, rows, wait_s
        self.asked = 0
        self.closed = []
        self.driven = set()

    def batch(self, k):
        return pa.record_batch({"a": list(range(k * self.rows, (k + 1) * self.rows))})

    def sync(self):
        try:
            for k in range(self.count):
                self.asked += 1
                self.driven.add(threading.get_ident())
                time.sleep(self.wait_s)
                yield self.batch(k)
        finally:
            self.closed.append(threading.get_ident())

    async def agen(self):
        try:
            for k in range(self.count):
                self.asked += 1
                self.driven.add(threading.get_ident())
                await asyncio.sleep(self.wait_s)
                yield self.batch(k)
        finally:
            self.closed.append(threading.get_ident())


def values(stream, name="a"):
    return stream.collect()[name].to_pylist()


def in_files(folder):
    stream = Stream.from_table(TABLE)
    for kind in ("parquet", "csv", "json", "ipc"):
        getattr(stream, f"to_{kind}")(str(folder / f"x.{kind}"))


def file_object():
    target = io.BytesIO()
    pq.write_table(TABLE, target)
    target.seek(0)
    return target


async def agen_of_batches():
    for batch in BATCHES:
        yield batch


def sources(folder):
    in_files(folder)
    return {
        "table": lambda: Stream.from_table(TABLE),
        "table cut": lambda: Stream.from_table(TABLE, 3),
        "list": lambda: Stream.from_batches(BATCHES),
        "list of tables": lambda: Stream.from_batches([TABLE, TABLE.slice(0, 0)]),
        "bounded": lambda: Stream.from_batches_bounded(BATCHES),
        "generator": lambda: Stream.from_batches(iter(BATCHES)),
        "generator, schema": lambda: Stream.from_batches(iter(BATCHES), SCHEMA),
        "function": lambda: Stream.from_batches(lambda: iter(BATCHES)),
        "async": lambda: Stream.from_batches(agen_of_batches()),
        "async function": lambda: Stream.from_batches(agen_of_batches, SCHEMA),
        "function of async": lambda: Stream.from_batches(lambda: agen_of_batches()),
        "dicts": lambda: Stream.from_dicts(ROWS, batch_size=3),
        "pylist": lambda: Stream.from_pylist(iter(ROWS), SCHEMA),
        "arrow": lambda: Stream.from_arrow(TABLE),
        "reader": lambda: Stream.from_arrow(TABLE.to_reader()),
        "polars": lambda: Stream.from_polars(polars.from_arrow(TABLE)).map(
            lambda batch: batch.cast(SCHEMA), SCHEMA
        ),
        "stream": lambda: Stream.from_arrow(Stream.from_table(TABLE)),
        "parquet": lambda: Stream.from_parquet(folder / "x.parquet"),
        "csv": lambda: Stream.from_csv(str(folder / "x.csv")),
        "json": lambda: Stream.from_json(str(folder / "*.json")),
        "ipc": lambda: Stream.from_ipc([str(folder / "x.ipc")], batch_size=2),
        "file object": lambda: Stream.from_parquet(file_object()),
    }


def plan(stream):
    return stream.filter(lambda a: a % 2 == 1).with_columns(y=lambda a: a * 10).select("t", "y")


EXPECTED = [{"t": f"t{k}", "y": k * 10} for k in range(1, 10, 2)]


async def gathered(stream):
    return [row async for row in stream.records()]


def test_every_source_with_a_small_plan(tmp_path):
    for name, make in sources(tmp_path).items():
        for tier in TIERS:
            for threads in THREADS:
                with sb.config(tier=tier, threads=threads):
                    assert plan(make()).collect().to_pylist() == EXPECTED, name
                    assert asyncio.run(gathered(plan(make()))) == EXPECTED, name
        rebatched = make().skip(3).rebatch(5)
        assert [batch.num_rows for batch in rebatched] == [5, 2], name
        assert values(make().limit(5)) == list(range(5)), name


def test_columns_of_files(tmp_path):
    in_files(tmp_path)
    for kind in ("parquet", "csv", "json", "ipc"):
        read = getattr(Stream, f"from_{kind}")
        assert read(str(tmp_path / f"x.{kind}"), columns=["t"]).schema.names == ["t"]
        with pytest.raises(sb.UnknownColumnError, match="'tt'; did you mean 't'"):
            read(str(tmp_path / f"x.{kind}"), columns=["tt"])
    kept = Stream.from_parquet(str(tmp_path / "x.parquet"), filters=[("a", ">", 7)])
    assert values(kept) == [8, 9]


def test_pandas():
    if importlib.util.find_spec("pandas"):
        import pandas

        frame = pandas.DataFrame({"a": [1, 2]})
        assert values(Stream.from_pandas(frame)) == [1, 2]
        assert Stream.from_pandas(frame).to_pandas().equals(frame)
    else:
        with pytest.raises(ImportError, match="to_pandas needs pandas: pip install pandas"):
            Stream.from_table(TABLE).to_pandas()
    with pytest.raises(sb.PlanError, match="from_pandas takes a pandas.DataFrame, not"):
        Stream.from_pandas(TABLE)


def test_other_libraries():
    stream = plan(Stream.from_batches(lambda: iter(BATCHES), SCHEMA))
    assert pa.table(stream).to_pylist() == EXPECTED
    assert stream.to_polars().to_dicts() == EXPECTED
    assert polars.DataFrame(stream).to_dicts() == EXPECTED
    assert duckdb.sql("select sum(y), count(*) from stream").fetchall() == [(250, 5)]
    assert stream.select("y").to_numpy()["y"].tolist() == [10, 30, 50, 70, 90]
    lazy = Stream.from_polars(polars.LazyFrame({"a": [1, 2]}).filter(polars.col("a") > 1))
    assert values(lazy) == values(lazy) == [2]


# --- again, or once


def test_what_can_be_read_again_is_read_again(tmp_path):
    once = {"generator", "generator, schema", "async", "pylist", "reader", "file object"}
    for name, make in sources(tmp_path).items():
        stream = plan(make())
        assert stream.collect().to_pylist() == EXPECTED, name
        if name == "file object":
            continue
        if name not in once:
            assert stream.collect().to_pylist() == EXPECTED, name
            continue
        for again in (stream, stream.limit(1)):
            with pytest.raises(sb.StateError, match="was read before and can be read only once"):
                again.collect()
            with pytest.raises(sb.StateError, match="was read before and can be read only once"):
                asyncio.run(gathered(again))


def test_building_runs_nothing():
    def fail():
        raise AssertionError

    log = Log()
    for source in (fail, log.sync, log.agen):
        stream = Stream.from_batches(source).filter(lambda a: a > 0).limit(3).rebatch(2)
        stream.explain()
        iter(stream)
    assert (log.asked, log.closed) == (0, [])


# --- schemas


def test_operators_that_wait_for_the_first_batch():
    stream = Stream.from_batches(lambda: iter(BATCHES))
    assert stream.schema is None
    later = plan(stream).drop("t")
    assert later.schema is None
    assert later.explain() == (
        "4 operators, bound when the first batch arrives\n"
        "└─ BATCHES <lambda>()   columns as the first batch has them\n"
    )
    assert values(later, "y") == [10, 30, 50, 70, 90]
    with pytest.raises(sb.UnknownColumnError, match="there is no column 'aa'; did you mean 'a'"):
        stream.select("aa").collect()
    with pytest.raises(sb.UnknownColumnError, match=r"no column 'aa' \(did you mean 'a'\?\)"):
        stream.filter(lambda aa, t: aa > 0).collect()


def test_a_failing_bind_closes_the_source():
    log = Log()
    with pytest.raises(sb.UnknownColumnError):
        Stream.from_batches(log.sync).select("nothing").collect()
    assert (log.asked, len(log.closed)) == (1, 1)


def test_schema_changes():
    first = pa.record_batch({"a": pa.array([1], pa.int64())})
    null = pa.record_batch({"a": pa.nulls(1)})
    small = pa.record_batch({"a": pa.array([7], pa.int8())})
    other = pa.record_batch({"a": ["x"]})
    assert values(Stream.from_batches(iter([first, null, small]))) == [1, None, 7]
    with pytest.raises(sb.SchemaError, match="column 'a' is string, in the schema it is int64"):
        Stream.from_batches(iter([first, other])).collect()


def test_empty_sources():
    empty = SCHEMA.empty_table()
    for stream in (
        Stream.from_table(empty),
        Stream.from_batches([], SCHEMA),
        Stream.from_batches(lambda: iter([]), SCHEMA),
        Stream.from_batches(lambda: iter([*empty.to_batches(), BATCHES[0].slice(0, 0)]), SCHEMA),
        Stream.from_dicts([], SCHEMA),
    ):
        stream = plan(stream)
        for last in (stream, stream.limit(3), stream.skip(1), stream.rebatch(2)):
            got = last.collect()
            assert (got.num_rows, got.schema.names) == (0, ["t", "y"])
        assert list(stream) == []
    unknown = Stream.from_batches(lambda: iter([])).select("nothing")
    assert unknown.collect() == pa.schema([]).empty_table()
    assert unknown.last_run.report == {"functions": []}
    assert unknown.count() == 0


def test_a_declared_schema_is_known_whatever_comes_before():
    def twice(batch):
        return batch.set_column(0, "a", pa.array([2 * a for a in batch.column(0).to_pylist()]))

    for batches in ([BATCHES[0], BATCHES[1]], []):
        source = Stream.from_batches(lambda batches=batches: iter(batches))
        stream = source.filter(lambda batch: batch.column(0).is_valid()).map(twice, schema=SCHEMA)
        assert source.schema is None
        assert stream.schema == SCHEMA
        stream = stream.with_columns(y=lambda a: a + 0.5).filter(lambda a: a > 2).drop("t")
        assert stream.schema == pa.schema([("a", pa.int64()), ("y", pa.float64())])
        got = stream.collect()
        assert got.schema == stream.schema
        wanted = [2 * a for batch in batches for a in batch.column(0).to_pylist() if a > 1]
        assert got["a"].to_pylist() == wanted
        assert got["y"].to_pylist() == [a + 0.5 for a in wanted]
        with pytest.raises(sb.UnknownColumnError):
            stream.select("t")
        assert stream.map(twice).schema is None
        assert stream.map(twice).select("a").schema is None


# --- errors of sources


def failing(after):
    yield from BATCHES[:after]
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise Trouble("one", 2) from error


async def afailing(after):
    for batch in failing(after):
        yield batch


@pytest.mark.parametrize("make", [failing, afailing])
def test_exceptions_of_sources_arrive_as_they_are(make):
    for after in (0, 1, 2):
        source = lambda: make(after)
        for stream in (
            Stream.from_batches(source, SCHEMA),
            Stream.from_batches(source),
            plan(Stream.from_batches(source)).rebatch(100).limit(50),
            Stream.from_batches(source).flat_map(lambda batch: [batch]),
        ):
            for run in (stream.collect, lambda: asyncio.run(gathered(stream))):
                for threads in THREADS:
                    with sb.config(threads=threads), pytest.raises(Trouble) as caught:
                        run()
                    error = caught.value
                    assert (type(error), error.args, error.extra) == (Trouble, ("one", 2), "kept")
                    assert type(error.__cause__) is KeyError
                    frames = traceback.extract_tb(error.__traceback__)
                    assert "raise Trouble" in frames[-1].line


def test_what_comes_before_a_failure_is_given():
    got = []
    with pytest.raises(Trouble):
        for batch in Stream.from_batches(lambda: failing(2)):
            got.append(batch.num_rows)
    assert got == [4, 4]


def test_an_interrupt_in_a_source():
    def source():
        yield BATCHES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stream.from_batches(source).collect()


def test_a_failing_row_is_counted_over_the_whole_source():
    def fn(a) -> int:
        return [a].pop() // (a - 8)

    for threads in THREADS:
        with sb.config(threads=threads):
            for source in (BATCHES, lambda: iter(BATCHES), agen_of_batches):
                stream = Stream.from_batches(source).with_columns(y=fn)
                with pytest.raises(ZeroDivisionError) as caught:
                    stream.collect()
                assert "batch 2, row 8: a=8" in caught.value.__notes__[0]


# --- ends


def test_bounded_and_not():
    log = Log()
    declared = Stream.from_batches_unbounded(log.sync)
    assert not declared.is_bounded()
    for sink in ("collect", "to_table", "count", "describe", "to_polars", "to_numpy"):
        with pytest.raises(UnboundedError, match=r"was said to have none; limit\(n\) gives one"):
            getattr(declared.filter(lambda a: a > 1).rebatch(3), sink)()
    assert log.asked == 0
    assert declared.limit(15).count() == 15
    assert not Stream.from_batches(log.sync).is_bounded()
    assert Stream.from_batches(log.sync).count() == 1000
    for stream in (Stream.from_table(TABLE), Stream.from_batches(BATCHES), declared.limit(1)):
        assert stream.is_bounded()
        assert plan_bounded(stream)
    assert Stream.from_batches(log.sync, bounded=True).is_bounded()


def plan_bounded(stream):
    return all(s.is_bounded() for s in (stream.skip(1), stream.rebatch(2), stream.limit(2)))


def test_the_bounded_form_is_the_unbounded_one_stopped_at_the_same_row():
    log = Log(20)
    batches = [log.batch(k) for k in range(20)]

    def steps(stream):
        return stream.filter(lambda a: a % 3).with_columns(y=lambda a: a * 2).skip(5).rebatch(7)

    for tier in TIERS:
        for threads in THREADS:
            with sb.config(tier=tier, threads=threads):
                for rows in (0, 1, 9, 10, 11, 95, 200, 500):
                    bounded = Stream.from_batches_bounded(batches).limit(rows)
                    schema = batches[0].schema
                    unbounded = Stream.from_batches_unbounded(Log(10**9).sync, schema).limit(rows)
                    if rows > 200:
                        unbounded = unbounded.limit(200)
                    assert steps(bounded).collect() == steps(unbounded).collect()


# --- closing


def test_limit_stops_the_source():
    for threads in THREADS:
        with sb.config(threads=threads):
            for rows, asked in ((0, 0), (1, 1), (10, 1), (11, 2), (25, 3)):
                log = Log()
                assert Stream.from_batches(log.sync).limit(rows).count() == rows
                assert log.asked == asked
                assert len(log.closed) == (asked > 0)


def test_break_error_and_collector_close_the_source_once():
    for threads in THREADS:
        with sb.config(threads=threads):
            for steps in (lambda s: s, lambda s: s.rebatch(3).skip(1).flat_map(lambda b: [b])):
                log = Log()
                running = iter(steps(Stream.from_batches(log.sync)))
                next(running)
                running.close()
                assert log.closed == [threading.get_ident()]

                log = Log()
                with pytest.raises(ZeroDivisionError):
                    steps(Stream.from_batches(log.sync)).with_columns(y=lambda a: a // 0).collect()
                assert len(log.closed) == 1

                log = Log()
                running = iter(steps(Stream.from_batches(log.sync)))
                next(running)
                del running
                gc.collect()
                assert len(log.closed) == 1

                log = Log(wait_s=0.001)
                running = iter(steps(Stream.from_batches(log.agen)))
                next(running)
                running.close()
                assert len(log.closed) == 1
                assert log.driven == set(log.closed) != {threading.get_ident()}


def wait_until(condition, limit_s):
    until = time.monotonic() + limit_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.002)
    return condition()


FORMS = [lambda s: s, lambda s: s.filter(lambda a: a >= 0).rebatch(3).limit(10**6)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["sync", "agen"])
def test_async_break_closes_the_source_once(kind, form):
    async def main():
        log = Log(wait_s=0.001)
        async with contextlib.aclosing(aiter(form(Stream.from_batches(getattr(log, kind))))) as s:
            async for _ in s:
                break
        began = time.monotonic()
        while not log.closed and time.monotonic() - began < CLOSE_S:
            await asyncio.sleep(0.002)
        assert len(log.closed) == 1
        assert set(log.closed) == log.driven
        assert (log.driven == {threading.get_ident()}) == (kind == "agen")
        asked = log.asked
        await asyncio.sleep(0.02)
        assert (log.asked, len(log.closed)) == (asked, 1)

    asyncio.run(main())


@pytest.mark.parametrize("form", FORMS)
def test_cancel_closes_an_async_source_where_it_waits(form):
    async def main():
        log = Log(wait_s=60)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                async for _ in form(Stream.from_batches(log.agen)):
                    pass
        assert time.monotonic() - began < 0.05 + CLOSE_S
        # What waits inside an async generator of the stream is ended by the cancel itself.
        assert log.closed == [threading.get_ident()]

    asyncio.run(main())


def test_cancel_while_a_plain_source_blocks():
    log = Log(wait_s=0.3 * SLACK)

    async def main():
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                async for _ in Stream.from_batches(log.sync):
                    pass
        assert time.monotonic() - began < 0.05 + 0.2 + BLOCKED_S

    asyncio.run(main())
    assert wait_until(lambda: len(log.closed) == 1, 0.6 * SLACK)
    assert set(log.closed) == log.driven


def test_what_closing_a_source_raises_arrives(monkeypatch):
    monkeypatch.setattr("sabot._bridge.BLOCKED_S_MAX", 5)

    def source():
        try:
            while True:
                yield BATCHES[0]
        finally:
            raise Trouble("closing", 1)

    async def asource():
        try:
            while True:
                yield BATCHES[0]
        finally:
            raise Trouble("closing", 2)

    async def main(make):
        running = aiter(Stream.from_batches(make))
        await anext(running)
        await running.aclose()

    for make in (source, asource):
        running = iter(Stream.from_batches(make))
        next(running)
        with pytest.raises(Trouble):
            running.close()
        with pytest.raises(Trouble):
            asyncio.run(main(make))


def test_a_loop_that_ends_before_its_streams():
    log = Log(wait_s=60)

    async def main():
        running = aiter(Stream.from_batches(log.agen).rebatch(1))
        waiting = asyncio.ensure_future(anext(running))
        await asyncio.sleep(0.02)
        return running, waiting

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < CLOSE_S
    assert len(log.closed) == 1


def test_an_async_source_may_use_what_belongs_to_the_loop():
    async def main():
        queue: asyncio.Queue = asyncio.Queue()

        async def source():
            while (batch := await queue.get()) is not None:
                yield batch

        async def fill():
            for batch in BATCHES:
                await asyncio.sleep(0.005)
                await queue.put(batch)
            await queue.put(None)

        filling = asyncio.create_task(fill())
        assert await gathered(plan(Stream.from_batches(source()))) == EXPECTED
        await filling

    asyncio.run(main())


def test_queues_of_async_sources_are_bounded():
    async def main():
        log = Log()
        running = aiter(Stream.from_batches(log.agen))
        await anext(running)
        await asyncio.sleep(0.05)
        asked = log.asked
        assert asked < 12
        await asyncio.sleep(0.05)
        assert log.asked == asked
        await running.aclose()
        assert len(log.closed) == 1

    asyncio.run(main())


# --- the event loop


def slow(batch: pa.RecordBatch):
    until = time.monotonic() + 0.05
    while time.monotonic() < until:
        sum(range(100))
    return batch


def test_the_loop_is_never_blocked():
    async def main():
        gaps, done = [], False

        async def tick():
            last = time.monotonic()
            while not done:
                await asyncio.sleep(0.001)
                now = time.monotonic()
                gaps.append(now - last)
                last = now

        ticking = asyncio.create_task(tick())
        logs = [Log(4, wait_s=0.05), Log(4, wait_s=0.01)]
        schema = logs[0].batch(0).schema
        one = Stream.from_batches(logs[0].sync).filter(lambda a: a >= 0)
        two = Stream.from_batches(logs[1].agen).map(slow, schema)
        got = await asyncio.gather(gathered(one), gathered(two))
        done = True
        await ticking
        assert [[row["a"] for row in rows] for rows in got] == [list(range(40))] * 2
        assert max(gaps) < BLOCKED_S

    asyncio.run(main())


def test_two_streams_in_one_loop_run_side_by_side():
    async def main():
        order = []

        async def consume(name, stream):
            async for _ in stream:
                order.append(name)

        streams = [Stream.from_batches(Log(5, wait_s=0.03).sync) for _ in range(2)]
        began = time.monotonic()
        await asyncio.gather(*(consume(k, s) for k, s in enumerate(streams)))
        assert time.monotonic() - began < 0.3 * SLACK
        assert sorted(order) == [0] * 5 + [1] * 5
        assert order[:5] != [0] * 5

    asyncio.run(main())


def test_one_stream_consumed_twice_at_once():
    async def main():
        stream = plan(Stream.from_batches(agen_of_batches, SCHEMA).limit(10))
        assert await asyncio.gather(gathered(stream), gathered(stream)) == [EXPECTED] * 2

    asyncio.run(main())


def test_records():
    stream = plan(Stream.from_batches(BATCHES))
    assert list(stream.records()) == list(stream.iter_rows()) == EXPECTED
    log = Log()
    for row in Stream.from_batches(log.sync).records():
        assert row == {"a": 0}
        break
    gc.collect()
    assert (log.asked, len(log.closed)) == (1, 1)


HOLDS = """
import json, sys
import pyarrow as pa
import sabot as sb
from sabot import Stream

def slow(k):
    total = 0.0
    for j in range(4000):
        total += (k + j) * 0.5
    return total

with sb.config(threads=int(sys.argv[2])):
    stream = Stream.from_parquet(sys.argv[1]).with_columns(y=slow)
    rows = sum(batch.num_rows for batch in stream)
print(json.dumps([rows, pa.default_memory_pool().max_memory()]))
"""


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_small_row_groups_are_not_read_far_ahead(threads, tmp_path):
    rows, groups = 4000, 60
    group = pa.table({"k": range(rows), **{f"c{k}": [k / 7] * rows for k in range(60)}})
    path = tmp_path / "t.parquet"
    with pq.ParquetWriter(path, group.schema, use_dictionary=False) as writer:
        for _ in range(groups):
            writer.write_table(group)
    command = [sys.executable, "-c", HOLDS, str(path), str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    given, peak = json.loads(done.stdout)
    assert given == rows * groups
    # What may wait, the one that is read, the one that was given out, and one that is on its way between.
    assert peak < (max(threads + 2, (4 << 20) / group.nbytes) + 3) * group.nbytes


@pytest.mark.parametrize("threads", [2, 8])
def test_only_what_workers_need_is_read_ahead(threads):
    """Batches that are large and slow to compute: 26 were read ahead for eight workers before there was a bound."""
    text = pa.array(["x" * (1 << 17)] * 8)  # 1 MiB
    batch = pa.record_batch([pa.array(range(8)), text], names=["k", "text"])
    pulled = given = most = 0

    def source():
        nonlocal pulled, most
        for _ in range(60):
            pulled += 1
            most = max(most, pulled - given // 8)
            yield batch

    def slow(k):
        total = 0.0
        for j in range(2_000_000):
            total += (k + j) * 0.5
        return total

    with sb.config(threads=threads):
        reader = pa.RecordBatchReader.from_batches(batch.schema, source())
        for piece in Stream.from_arrow(reader).with_columns(y=slow):
            given += piece.num_rows
    assert given == 60 * 8
    # Those that may wait, and the one that is pulled.
    assert most <= max(threads + 2, 4) + 1
