"""Functions that run at the same time: async ones, threads, classes; order, errors, bounds, endings."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import random
import threading
import time
import traceback

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import SLACK, Trouble, run_python

import sabot as sb
from sabot import Stream, col, udf

pytestmark = pytest.mark.api

TEN = pa.table({"a": list(range(10))})
STEP_S = 0.1
THREAD_NAMES = ("sabot-call",)


def batches(table, rows):
    """A source of batches of exactly so many rows, which the engine does not cut."""
    return Stream.from_batches(table.to_batches(max_chunksize=rows), schema=table.schema)


def values(stream, name="y"):
    return stream.collect()[name].to_pylist()


def threads_of_calls():
    return [one for one in threading.enumerate() if one.name.startswith(THREAD_NAMES)]


def no_thread_is_left():
    until = time.monotonic() + 0.2 * SLACK
    while threads_of_calls() and time.monotonic() < until:
        time.sleep(0.01)
    return not threads_of_calls()


@pytest.fixture(autouse=True)
def threads_end():
    yield
    gc.collect()
    assert no_thread_is_left()


class Meter:
    """Counts how many are inside at once."""

    def __init__(self):
        self.now = self.most = self.calls = 0
        self.lock = threading.Lock()

    def __enter__(self):
        with self.lock:
            self.now += 1
            self.calls += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *exception):
        with self.lock:
            self.now -= 1


def slow_async(meter):
    async def slow(a) -> int:
        with meter:
            await asyncio.sleep(STEP_S)
        return a * 2

    return slow


def slow_plain(meter):
    def slow(a) -> int:
        with meter:
            time.sleep(STEP_S)
        return a * 2

    return slow


# --- gathering


@pytest.mark.parametrize("rows", [10, 1])
@pytest.mark.parametrize("make", [slow_async, slow_plain])
def test_ten_calls_at_once_take_as_long_as_one(make, rows):
    meter = Meter()
    fn = udf(make(meter), max_concurrency=10)
    started = time.perf_counter()
    assert values(batches(TEN, rows).with_columns(y=fn)) == [2 * k for k in range(10)]
    assert time.perf_counter() - started < SLACK * STEP_S
    assert (meter.calls, meter.most) == (10, 10)


@pytest.mark.parametrize("rows", [10, 3, 1])
@pytest.mark.parametrize("make", [slow_async, slow_plain])
def test_no_more_than_max_concurrency_at_once(make, rows):
    meter = Meter()
    fn = udf(make(meter), max_concurrency=3)
    assert values(batches(TEN, rows).with_columns(y=fn)) == [2 * k for k in range(10)]
    assert meter.most == 3


def test_async_without_udf_is_gathered():
    meter = Meter()
    started = time.perf_counter()
    assert values(Stream.from_table(TEN).with_columns(y=slow_async(meter))) == [
        2 * k for k in range(10)
    ]
    assert time.perf_counter() - started < SLACK * STEP_S
    assert meter.most == 10


def test_async_default_bound():
    meter = Meter()

    async def slow(a) -> int:
        with meter:
            await asyncio.sleep(0.01)
        return a

    table = pa.table({"a": list(range(300))})
    assert values(Stream.from_table(table).with_columns(y=slow)) == list(range(300))
    assert meter.most == 64


def test_order_is_kept_whatever_finishes_first():
    chance = random.Random(1)
    waits = [chance.random() * 0.02 for _ in range(200)]
    table = pa.table({"a": list(range(200))})

    async def later(a) -> int:
        await asyncio.sleep(waits[a])
        return a

    @udf(max_concurrency=8)
    def thread(a) -> int:
        time.sleep(waits[a] / 4)
        return a

    for rows in (200, 7, 1):
        assert values(batches(table, rows).with_columns(y=later)) == list(range(200))
        assert values(batches(table, rows).with_columns(y=thread)) == list(range(200))


def test_async_filter_map_flat_map():
    async def odd(a):
        await asyncio.sleep(0)
        return a % 2

    async def odd_batch(batch: pa.RecordBatch):
        await asyncio.sleep(0)
        return pc.equal(pc.bit_wise_and(batch["a"], 1), 1)

    async def twice(batch: pa.RecordBatch):
        await asyncio.sleep(0)
        return {"a": pc.multiply(batch["a"], 2)}

    async def halves(batch: pa.RecordBatch):
        for k in range(2):
            await asyncio.sleep(0)
            yield {"a": batch["a"], "half": [k] * batch.num_rows}

    async def as_list(batch: pa.RecordBatch):
        await asyncio.sleep(0)
        return [batch, batch]

    source = batches(TEN, 3)
    assert values(source.filter(odd), "a") == [1, 3, 5, 7, 9]
    assert values(source.filter(odd_batch), "a") == [1, 3, 5, 7, 9]
    assert values(source.map(twice), "a") == [2 * k for k in range(10)]
    assert values(source.flat_map(halves), "half") == [0, 0, 0, 1, 1, 1] * 3 + [0, 1]
    assert (
        values(source.flat_map(as_list), "a")
        == [0, 1, 2] * 2
        + [3, 4, 5] * 2
        + [
            6,
            7,
            8,
        ]
        * 2
        + [9] * 2
    )


def test_threads_in_filter_map_flat_map():
    many = {"max_concurrency": 3}
    source = batches(TEN, 3)

    def halves(batch: pa.RecordBatch):
        for k in range(2):
            yield {"a": batch["a"], "half": [k] * batch.num_rows}

    assert values(source.filter(udf(lambda a: a % 2, **many)), "a") == [1, 3, 5, 7, 9]
    assert values(source.filter(udf(lambda b: pc.greater(b.column("a"), 4), **many)), "a") == [
        5,
        6,
        7,
        8,
        9,
    ]
    assert values(source.map(udf(lambda b: b.slice(1), **many)), "a") == [1, 2, 4, 5, 7, 8]
    assert values(source.flat_map(udf(halves, **many)), "half") == [0, 0, 0, 1, 1, 1] * 3 + [0, 1]


def test_batches_run_at_the_same_time():
    meter = Meter()

    @udf(max_concurrency=5)
    def slow(batch: pa.RecordBatch):
        with meter:
            time.sleep(STEP_S)
        return batch

    async def slow_too(batch: pa.RecordBatch):
        with meter:
            await asyncio.sleep(STEP_S)
        return batch

    started = time.perf_counter()
    assert values(batches(TEN, 2).map(slow), "a") == list(range(10))
    assert meter.most == 5
    assert values(batches(TEN, 2).map(slow_too), "a") == list(range(10))
    assert meter.most == 5
    assert time.perf_counter() - started < SLACK * 2 * STEP_S


# --- loops


def test_on_the_consumers_loop():
    seen = []

    async def where(a) -> int:
        seen.append((asyncio.get_running_loop(), threading.current_thread()))
        await asyncio.sleep(0)
        return a

    async def consume():
        got = []
        async for batch in batches(TEN, 3).with_columns(y=where):
            got += batch["y"].to_pylist()
        assert {loop for loop, _ in seen} == {asyncio.get_running_loop()}
        assert {thread for _, thread in seen} == {threading.current_thread()}
        return got

    assert asyncio.run(consume()) == list(range(10))


def test_one_private_loop_for_all_functions_of_a_run():
    loops = []

    async def first(a) -> int:
        loops.append(asyncio.get_running_loop())
        return a

    async def second(y) -> bool:
        loops.append(asyncio.get_running_loop())
        return True

    stream = batches(TEN, 4).with_columns(y=first).filter(second)
    assert values(stream) == list(range(10))
    assert len(set(loops)) == 1
    assert loops[0].is_closed()
    values(stream)
    assert len(set(loops)) == 2


@pytest.mark.parametrize("rows", [10, 1])
def test_gathered_under_async_for(rows):
    meter = Meter()
    fn = udf(slow_async(meter), max_concurrency=10)

    async def consume():
        return [batch["y"].to_pylist() async for batch in batches(TEN, rows).with_columns(y=fn)]

    started = time.perf_counter()
    assert sum(asyncio.run(consume()), []) == [2 * k for k in range(10)]
    assert time.perf_counter() - started < SLACK * STEP_S
    assert meter.most == 10


def test_threads_under_async_for_leave_the_loop_free():
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def consume():
        ticking = asyncio.create_task(tick())
        stream = batches(TEN, 2).with_columns(y=udf(slow_plain(Meter()), max_concurrency=2))
        got = [value async for batch in stream for value in batch["y"].to_pylist()]
        ticking.cancel()
        return got

    assert asyncio.run(consume()) == [2 * k for k in range(10)]
    assert ticks > 5


def test_context_variables_are_the_consumers():
    who = contextvars.ContextVar("who", default="nobody")

    async def later(a) -> str:
        return who.get()

    @udf(max_concurrency=2)
    def thread(a) -> str:
        return who.get()

    who.set("me")
    stream = Stream.from_table(TEN).with_columns(x=later, y=thread)
    assert set(values(stream, "x")) == set(values(stream, "y")) == {"me"}


# --- columns


def test_functions_see_the_columns_that_come_in():
    async def later(a) -> int:
        return a + 100

    @udf(max_concurrency=2)
    def thread(a, b) -> int:
        return a + b

    table = pa.table({"a": [1, 2], "b": [10, 20], "c": ["x", "y"]})
    stream = Stream.from_table(table).with_columns(
        b=later, new=lambda a, b: a - b, a=lambda b: b * 2, sum=thread, copy=col("a")
    )
    assert stream.schema == stream.collect().schema
    assert stream.schema.names == ["a", "b", "c", "new", "sum", "copy"]
    assert stream.collect().to_pydict() == {
        "a": [20, 40],
        "b": [101, 102],
        "c": ["x", "y"],
        "new": [-9, -18],
        "sum": [11, 22],
        "copy": [1, 2],
    }


def test_nulls_types_and_defaults():
    table = pa.table({"i": [1, None], "x": [None, 0.5], "s": ["a", None], "p": [True, None]})

    async def whole(i) -> int:
        return i

    async def double(i, x) -> float:
        return i if x is None else x

    async def text(s) -> str:
        return s and s + "é"

    async def truth(p, missing=True) -> bool:
        return p

    async def nothing(i) -> None:
        return None

    stream = Stream.from_table(table).with_columns(a=whole, b=double, c=text, d=truth, e=nothing)
    types = [pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.null()]
    assert stream.schema.types[4:] == types
    assert stream.select("a", "b", "c", "d", "e").collect().to_pydict() == {
        "a": [1, None],
        "b": [1.0, 0.5],
        "c": ["aé", None],
        "d": [True, None],
        "e": [None, None],
    }


@pytest.mark.parametrize(
    ("returns", "value", "error"),
    [
        (pa.int64(), 1.5, sb.CastError),
        (pa.int64(), True, sb.CastError),
        (pa.int64(), 2**63, sb.IntegerOverflowError),
        (pa.float64(), 2**53 + 1, sb.IntegerOverflowError),
        (pa.float64(), "1", sb.CastError),
        (pa.bool_(), 1, sb.CastError),
        (pa.string(), "\ud800", sb.CastError),
        (pa.string(), b"x", sb.CastError),
        (pa.null(), 0, sb.CastError),
    ],
)
def test_a_value_of_another_kind_is_that_rows_error_as_in_the_engine(returns, value, error):
    got = {"value": value}

    def opaque(a):
        return got["value"] if a == 4 else None

    texts = []
    for options in ({}, {"max_concurrency": 2}):
        stream = Stream.from_table(TEN).with_columns(y=udf(opaque, returns=returns, **options))
        with pytest.raises(error) as caught:
            stream.collect()
        texts.append(str(caught.value))
        assert "row 4: a=4" in caught.value.__notes__[-1]
    assert texts[0] == texts[1]


def test_subclasses_of_kinds_are_taken():
    import enum

    class Colour(enum.IntEnum):
        RED = 3

    async def red(a) -> int:
        return Colour.RED

    assert values(Stream.from_table(TEN).with_columns(y=red)) == [3] * 10


def test_a_type_that_cannot_be_told_is_a_plan_error():
    async def untold(a):
        return a

    with pytest.raises(sb.PlanError, match="return annotation"):
        Stream.from_table(TEN).with_columns(y=untold)
    assert values(Stream.from_table(TEN).with_columns(y=udf(untold, returns=pa.int64()))) == list(
        range(10)
    )


def test_nulls_skip():
    called = []

    @udf(nulls="skip")
    async def later(a) -> int:
        called.append(a)
        return a

    @udf(nulls="skip", max_concurrency=2)
    def thread(a) -> int:
        called.append(a)
        return a

    table = pa.table({"a": [1, None, 3]})
    for fn in (later, thread):
        assert values(Stream.from_table(table).with_columns(y=fn)) == [1, None, 3]
    assert sorted(called) == [1, 1, 3, 3]


def test_columns_that_the_first_batch_tells():
    async def later(a) -> int:
        return a + 1

    stream = batches(TEN, 3).map(lambda batch: batch)
    assert stream.schema is None
    assert values(stream.with_columns(y=later)) == list(range(1, 11))
    assert values(stream.filter(later), "a") == list(range(10))
    with pytest.raises(sb.PlanError, match="not known before the run"):
        stream.with_columns(y=later, z=lambda a: a)
    with pytest.raises(sb.UnknownColumnError):
        values(stream.with_columns(y=udf(lambda a, q: 1, max_concurrency=2)))


def test_contradicting_options():
    async def later(a) -> int:
        return a

    for fn in (
        udf(later, use_process=True),
        udf(later, compile="require"),
        udf(lambda a: a, max_concurrency=2, compile="require"),
        udf(lambda b: b.slice(1), max_concurrency=2, on_error="null"),
    ):
        with pytest.raises(sb.PlanError):
            Stream.from_table(TEN).with_columns(y=fn)
    with pytest.raises(sb.PlanError):
        Stream.from_table(TEN).map(later)


# --- errors


def fails_at(rows, make):
    """A function that raises at some rows; the lower one, the later."""
    lowest = min(rows)

    def plain(a) -> int:
        if a in rows:
            time.sleep(0.05 if a == lowest else 0)
            raise Trouble("row", a)
        return a

    async def later(a) -> int:
        if a in rows:
            await asyncio.sleep(0.05 if a == lowest else 0)
            raise Trouble("row", a)
        return a

    return later if make == "async" else udf(plain, max_concurrency=4)


@pytest.mark.parametrize("make", ["async", "threads"])
@pytest.mark.parametrize("rows", [100, 7, 1])
def test_the_lowest_failing_row_is_the_error(make, rows):
    table = pa.table({"a": list(range(100))})
    stream = batches(table, rows).with_columns(y=fails_at({13, 14, 15, 20, 99}, make))
    got = []
    with pytest.raises(Trouble) as caught:
        for batch in stream:
            got += batch["y"].to_pylist()
    error = caught.value
    assert error.args == ("row", 13)
    assert error.extra == "kept"
    assert got == list(range(13))
    assert f"batch {13 // rows}, row 13: a=13" in error.__notes__[0]
    assert error.__notes__[0].startswith("in WITH y = ")
    frames = traceback.extract_tb(error.__traceback__)
    assert frames[-1].name in ("plain", "later")
    assert values(stream.limit(13)) == list(range(13))


def test_of_two_functions_the_lower_row_fails_and_at_one_row_the_first_function():
    async def at_seven(a) -> int:
        return 1 // (a - 7)

    @udf(max_concurrency=2)
    def at_five(a) -> int:
        if a >= 5:
            raise Trouble("b", a)
        return a

    async def at_five_too(a) -> int:
        raise (
            Trouble("c", a)
            if a == 5
            else KeyError(a)
            if a > 5
            else a and IndexError(0) or OSError()
        )

    stream = Stream.from_table(TEN).with_columns(x=at_seven, y=at_five)
    with pytest.raises(Trouble) as caught:
        stream.collect()
    assert caught.value.args == ("b", 5)
    with pytest.raises(OSError):
        Stream.from_table(TEN).with_columns(y=at_five, z=at_five_too).collect()


def test_an_error_of_the_input_comes_after_the_rows_before_it():
    def source():
        yield from TEN.to_batches(max_chunksize=2)
        raise Trouble("source", 0)

    async def later(a) -> int:
        await asyncio.sleep(0.01)
        return a

    got = []
    with pytest.raises(Trouble) as caught:
        for batch in Stream.from_batches(source, schema=TEN.schema).with_columns(y=later):
            got += batch["y"].to_pylist()
    assert got == list(range(10))
    assert caught.value.args == ("source", 0)


def test_batch_errors_name_the_batch_and_its_rows():
    @udf(max_concurrency=2)
    def bad(batch: pa.RecordBatch):
        if 6 in batch["a"].to_pylist():
            raise Trouble("x", 1)
        return batch

    got = []
    with pytest.raises(Trouble) as caught:
        for batch in batches(TEN, 3).map(bad):
            got += batch["a"].to_pylist()
    assert got == list(range(6))
    assert "in MAP bad(batch): operator 0, batch 2, rows 6 to 8" in caught.value.__notes__

    async def bad_flat(batch: pa.RecordBatch):
        yield batch
        if 6 in batch["a"].to_pylist():
            raise Trouble("x", 1)

    got = []
    with pytest.raises(Trouble) as caught:
        for batch in batches(TEN, 3).flat_map(bad_flat):
            got += batch["a"].to_pylist()
    assert got == list(range(9))
    assert "FLAT_MAP bad_flat(batch)" in caught.value.__notes__[-1]


@pytest.mark.parametrize("make", ["async", "threads"])
@pytest.mark.parametrize(("on_error", "left"), [("null", 10), ("skip", 8)])
def test_on_error(make, on_error, left):
    async def later(a) -> int:
        return 12 // (a % 5 - 3)

    def plain(a) -> int:
        return 12 // (a % 5 - 3)

    fn = later if make == "async" else plain
    stream = batches(TEN, 4).with_columns(
        y=udf(fn, on_error=on_error, max_concurrency=3), z=lambda a: a
    )
    table = stream.collect()
    assert table.num_rows == left
    expected = {k: None if k % 5 == 3 else 12 // (k % 5 - 3) for k in range(10)}
    if on_error == "skip":
        expected = {k: v for k, v in expected.items() if v is not None}
    assert dict(zip(table["a"].to_pylist(), table["y"].to_pylist())) == expected
    errors = stream.last_run.errors.to_pylist()
    assert [(row["row"], row["error"], row["inputs"]) for row in errors] == [
        (3, "ZeroDivisionError", "a=3"),
        (8, "ZeroDivisionError", "a=8"),
    ]
    assert stream.last_run.errors_total == 2


@pytest.mark.parametrize("on_error", ["null", "skip"])
def test_a_row_at_which_a_filter_fails_is_dropped(on_error):
    @udf(on_error=on_error, max_concurrency=2)
    def bad(a):
        return 12 // (a % 5 - 3)

    stream = batches(TEN, 4).filter(bad)
    assert values(stream, "a") == [0, 1, 2, 4, 5, 6, 7, 9]
    assert stream.last_run.errors["row"].to_pylist() == [3, 8]


def test_on_error_skip_of_a_batch_function_drops_its_batch():
    @udf(max_concurrency=2, on_error="skip")
    def bad(batch: pa.RecordBatch):
        if 4 in batch["a"].to_pylist():
            raise Trouble("x", 1)
        return batch

    stream = batches(TEN, 3).map(bad)
    assert values(stream, "a") == [0, 1, 2, 6, 7, 8, 9]
    assert stream.last_run.errors["row"].to_pylist() == [3, 4, 5]


# --- classes and objects


class Encoder:
    built = 0
    closed = 0
    building = threading.Event()

    def __init__(self):
        type(self).built += 1
        self.threads = set()

    def __call__(self, a) -> int:
        self.threads.add(threading.get_ident())
        time.sleep(0.002)
        return a + 1

    def close(self):
        type(self).closed += 1


@pytest.fixture
def encoder():
    return type("Encoder", (Encoder,), {"built": 0, "closed": 0, "__call__": Encoder.__call__})


@pytest.mark.parametrize("options", [None, {"max_concurrency": 4}])
def test_a_class_is_built_once_at_the_first_call_and_closed_at_the_end(encoder, options):
    fn = udf(encoder, **options) if options else encoder
    stream = batches(TEN, 3).with_columns(y=fn)
    assert encoder.built == 0
    assert values(stream) == list(range(1, 11))
    assert (encoder.built, encoder.closed) == (1, 1)
    for _ in stream:
        break
    assert (encoder.built, encoder.closed) == (2, 2)
    values(Stream.from_table(TEN.slice(0, 0)).with_columns(y=fn))
    assert (encoder.built, encoder.closed) == (2, 2)


def test_async_class_lives_on_the_loop():
    events = []

    class Client:
        def __init__(self):
            events.append(("built", asyncio.get_running_loop()))

        async def __call__(self, a) -> int:
            events.append(("called", asyncio.get_running_loop()))
            return a

        async def close(self):
            await asyncio.sleep(0)
            events.append(("closed", asyncio.get_running_loop()))

    assert values(Stream.from_table(TEN).with_columns(y=Client)) == list(range(10))
    assert [event for event, _ in events] == ["built", *["called"] * 10, "closed"]
    assert len({loop for _, loop in events}) == 1


def test_classes_and_objects_everywhere():
    class Add:
        def __init__(self, by=1):
            self.by = by

        def __call__(self, a) -> int:
            return a + self.by

    class Above:
        def __call__(self, a):
            return a > 6

    class Head:
        def __call__(self, batch):
            return batch.slice(0, 1)

    class Both:
        def __call__(self, batch):
            yield batch
            yield batch

    source = batches(TEN, 5)
    assert values(source.with_columns(y=Add(5))) == list(range(5, 15))
    assert values(source.filter(Above), "a") == [7, 8, 9]
    assert values(source.filter(Above()), "a") == [7, 8, 9]
    assert values(source.map(Head), "a") == [0, 5]
    assert values(source.map(udf(Head, max_concurrency=2)), "a") == [0, 5]
    assert source.flat_map(Both).count() == 20
    assert source.flat_map(udf(Both(), max_concurrency=2)).count() == 20


@pytest.mark.parametrize("options", [{}, {"max_concurrency": 3}])
def test_what_building_raises_ends_the_run(options):
    built = []

    class Broken:
        def __init__(self):
            built.append(1)
            raise Trouble("no", "model")

        def __call__(self, a) -> int:
            return a

    stream = batches(TEN, 2).with_columns(y=udf(Broken, on_error="null", **options))
    with pytest.raises(Trouble) as caught:
        stream.collect()
    assert caught.value.args == ("no", "model")
    assert any("while building the Broken" in note for note in caught.value.__notes__)
    assert built == [1]


def test_what_closing_raises_is_raised():
    class Sticky:
        def __call__(self, a) -> int:
            return 1 // a

        def close(self):
            raise Trouble("close", 1)

    with pytest.raises(Trouble):
        Stream.from_table(TEN.slice(1)).with_columns(y=Sticky).collect()
    with pytest.raises(ZeroDivisionError) as caught:
        Stream.from_table(TEN).with_columns(y=Sticky).collect()
    assert any("Trouble" in note for note in caught.value.__notes__)


# --- bounds and laziness


def counted(total, seen, rows=1):
    def source():
        for k in range(total):
            seen.append(k)
            yield pa.record_batch({"a": [k] * rows})

    return Stream.from_batches(source, schema=pa.schema([("a", pa.int64())]))


@pytest.mark.parametrize("make", [slow_async, slow_plain])
def test_batches_in_flight_are_bounded(make):
    seen = []
    fn = udf(make(Meter()), max_concurrency=3)
    run = iter(counted(100, seen).with_columns(y=fn))
    next(run)
    time.sleep(2 * STEP_S)
    assert len(seen) <= 7
    run.close()


def test_a_slow_head_does_not_let_results_pile_up():
    seen = []

    @udf(max_concurrency=3)
    def first_is_slow(a) -> int:
        time.sleep(0.3 if a == 0 else 0)
        return a

    run = iter(counted(1000, seen).with_columns(y=first_is_slow))
    next(run)
    assert len(seen) <= 8
    run.close()


@pytest.mark.parametrize("kind", ["async", "threads"])
def test_flat_map_stays_lazy(kind):
    made = []

    def endless(batch: pa.RecordBatch):
        k = 0
        while True:
            made.append(k)
            yield {"k": [k]}
            k += 1

    async def endless_async(batch: pa.RecordBatch):
        k = 0
        while True:
            made.append(k)
            yield {"k": [k]}
            k += 1

    fn = endless_async if kind == "async" else udf(endless, max_concurrency=2)
    stream = batches(TEN, 5).flat_map(fn)
    assert values(stream.limit(5), "k") == [0, 1, 2, 3, 4]
    assert len(made) < 30


def test_what_is_done_does_not_wait_for_more_of_a_slow_source():
    def source():
        yield pa.record_batch({"a": [0]})
        time.sleep(0.05)
        yield pa.record_batch({"a": [1]})
        time.sleep(0.05)
        yield pa.record_batch({"a": [2]})
        time.sleep(2)
        yield pa.record_batch({"a": [3]})

    async def quick(a) -> int:
        await asyncio.sleep(0.01)
        return a

    schema = pa.schema([("a", pa.int64())])
    run = iter(Stream.from_batches(source, schema=schema).with_columns(y=quick))
    started = time.perf_counter()
    for _ in range(3):
        next(run)
    assert time.perf_counter() - started < 1.5
    run.close()


# --- endings


@pytest.mark.parametrize("make", [slow_async, slow_plain])
def test_break_ends_calls_within_a_fifth_of_a_second(make):
    meter = Meter()
    table = pa.table({"a": list(range(1000))})
    for _ in batches(table, 2).with_columns(y=udf(make(meter), max_concurrency=4)):
        started = time.perf_counter()
        break
    gc.collect()
    assert time.perf_counter() - started < 0.2 * SLACK
    calls = meter.calls
    time.sleep(2 * STEP_S)
    assert meter.calls == calls
    assert no_thread_is_left()


def test_pending_calls_are_cancelled():
    events = []

    async def forever(a) -> int:
        if a == 0:
            await asyncio.sleep(STEP_S)
            return a
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append(a)
            raise

    run = iter(batches(TEN, 1).with_columns(y=udf(forever, max_concurrency=4)))
    next(run)
    run.close()
    assert 3 <= len(events) <= 4


def test_cancelled_consumer_cancels_calls():
    events = []

    async def forever(a) -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append(a)
            raise
        return a

    async def consume():
        async for _ in batches(TEN, 1).with_columns(y=udf(forever, max_concurrency=4)):
            pass

    async def main():
        task = asyncio.create_task(consume())
        await asyncio.sleep(0.05)
        started = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.perf_counter() - started

    assert asyncio.run(main()) < 0.2 * SLACK
    assert len(events) == 4


def test_break_under_async_for():
    async def consume(fn):
        async for _ in batches(TEN, 1).with_columns(y=fn):
            break
        return len(asyncio.all_tasks())

    for fn in (slow_async(Meter()), udf(slow_plain(Meter()), max_concurrency=2)):
        started = time.perf_counter()
        asyncio.run(consume(fn))
        assert time.perf_counter() - started < (STEP_S + 0.2) * SLACK


def test_union_and_limit():
    async def later(a) -> int:
        await asyncio.sleep(0.001)
        return a

    one = batches(TEN, 3).with_columns(y=later)
    two = batches(TEN, 4).with_columns(y=udf(lambda a: a + 10, max_concurrency=2))
    assert values(one.union(two)) == list(range(20))
    assert values(one.union(two).limit(13)) == list(range(13))

    async def consume():
        return [value async for batch in one.union(two) for value in batch["y"].to_pylist()]

    assert asyncio.run(consume()) == list(range(20))


def test_one_stage_reads_another():
    async def plus(a) -> int:
        await asyncio.sleep(0.001)
        return a + 1

    @udf(max_concurrency=3)
    def times(y) -> int:
        return y * 2

    stream = batches(TEN, 3).with_columns(y=plus).with_columns(z=times).filter(lambda z: z > 6)
    stream = stream.map(udf(lambda b: b.select(["z"]), max_concurrency=2))
    assert values(stream, "z") == [8, 10, 12, 14, 16, 18, 20]


@pytest.mark.parametrize(
    "fn",
    [
        "async def f(a) -> int:\n    await asyncio.sleep(60)\n    return a",
        "@udf(max_concurrency=4)\ndef f(a) -> int:\n    for _ in range(6000): time.sleep(0.01)\n    return a",
    ],
)
def test_ctrl_c_ends_a_run(fn):
    text = f"""
import asyncio, os, signal, threading, time
import pyarrow as pa
from sabot import Stream, udf

{fn}

threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    Stream.from_table(pa.table({{"a": list(range(100))}})).with_columns(y=f).collect()
except KeyboardInterrupt:
    print("interrupted")
print(Stream.from_table(pa.table({{"a": [1]}})).with_columns(y=lambda a: a + 1).collect()["y"])
"""
    started = time.perf_counter()
    result = run_python(text)
    assert "interrupted" in result.stdout
    assert "2" in result.stdout
    assert time.perf_counter() - started < 4 * SLACK


def test_a_call_that_cancels_itself_is_an_error_of_its_row():
    async def cancels(a) -> int:
        if a == 3:
            raise asyncio.CancelledError
        return a

    got = []
    with pytest.raises(asyncio.CancelledError):
        for batch in batches(TEN, 1).with_columns(y=cancels):
            got += batch["y"].to_pylist()
    assert got == [0, 1, 2]


def test_explain():
    async def later(a) -> int:
        return a

    source = Stream.from_table(TEN)
    assert (
        "WITH y = later(a)   interpreted, async, 64 at a time"
        in source.with_columns(y=later).explain()
    )
    assert (
        "WITH y = later(a)   interpreted, async, 10 at a time"
        in source.with_columns(y=udf(later, max_concurrency=10)).explain()
    )
    assert (
        "MAP later(batch)   interpreted, 4 threads"
        in source.map(udf(named(), max_concurrency=4)).explain()
    )
    assert "FILTER Encoder(a)   interpreted" in source.filter(Encoder).explain()


def named():
    def later(batch: pa.RecordBatch):
        return batch

    return later


@pytest.mark.parametrize("seed", range(6))
def test_random_failures_and_endings(seed):
    chance = random.Random(seed)
    total = 300
    failing = sorted(chance.sample(range(total), 3)) if seed % 2 else []
    waits = [chance.random() * 0.004 for _ in range(total)]
    table = pa.table({"a": list(range(total))})

    async def later(a) -> int:
        await asyncio.sleep(waits[a])
        if a in failing:
            raise Trouble("row", a)
        return a

    @udf(max_concurrency=chance.randrange(1, 9))
    def thread(y) -> int:
        time.sleep(waits[y] / 10)
        return y

    stream = batches(table, chance.choice([1, 7, 64, total])).with_columns(y=later)
    stream = stream.with_columns(z=thread)
    wanted = chance.choice([10, total + 1])
    got = []
    try:
        for batch in stream:
            got += batch["z"].to_pylist()
            if len(got) >= wanted:
                break
    except Trouble as error:
        assert error.args == ("row", failing[0])
        assert got == list(range(failing[0]))
    assert got == list(range(len(got)))
    assert no_thread_is_left()


@pytest.mark.parametrize("make", ["direct", "async", "threads"])
def test_on_error_skip_of_flat_map_gives_nothing_of_a_call_that_fails(make):
    class Bad:
        def __call__(self, batch):
            yield batch
            if 4 in batch["a"].to_pylist():
                raise Trouble("x", 1)

    async def bad(batch: pa.RecordBatch):
        yield batch
        if 4 in batch["a"].to_pylist():
            raise Trouble("x", 1)

    fn = {
        "direct": udf(Bad, on_error="skip"),
        "async": udf(bad, on_error="skip"),
        "threads": udf(Bad, on_error="skip", max_concurrency=2),
    }[make]
    stream = batches(TEN, 3).flat_map(fn)
    assert values(stream, "a") == [0, 1, 2, 6, 7, 8, 9]
    assert stream.last_run.errors["row"].to_pylist() == [3, 4, 5]


@pytest.mark.parametrize("make", ["async", "threads"])
def test_the_schema_is_that_of_the_first_batch_in_order(make):
    async def later(batch: pa.RecordBatch):
        first = batch["a"][0].as_py() == 0
        await asyncio.sleep(0.03 if first else 0)
        return {"x": [1 if first else None]} if not first else {"x": [1]}

    @udf(max_concurrency=3)
    def thread(batch: pa.RecordBatch):
        first = batch["a"][0].as_py() == 0
        time.sleep(0.03 if first else 0)
        return {"x": ["text" if batch["a"][0].as_py() == 9 else 1]}

    if make == "async":
        assert values(batches(TEN, 3).map(later), "x") == [1, None, None, None]
        return
    got = []
    with pytest.raises(sb.SchemaError) as caught:
        for batch in batches(TEN, 3).map(thread):
            got += batch["x"].to_pylist()
    assert got == [1, 1, 1]
    assert "batch 3, rows 9 to 9" in caught.value.__notes__[0]


def test_a_forgotten_run_may_be_collected_by_one_of_its_own_threads():
    collect = threading.Event()
    done = threading.Event()

    @udf(max_concurrency=2)
    def work(a) -> int:
        if a == 0:
            time.sleep(STEP_S)  # the next is begun meanwhile
            return a
        if collect.wait(5):
            gc.collect()
        done.set()
        return a

    gc.disable()
    try:
        run = iter(batches(TEN, 1).with_columns(y=work))
        assert next(run)["y"].to_pylist() == [0]
        ring = [run]
        ring.append(ring)
        del run, ring
        collect.set()
        assert done.wait(5)
    finally:
        gc.enable()
    gc.collect()
    assert no_thread_is_left()


def test_the_note_counts_operators_of_the_whole_stream():
    @udf(max_concurrency=2)
    def inverse(b) -> float:
        return 1 / (b - 4)

    table = pa.table({"a": list(range(8))})
    stream = Stream.from_table(table).filter(lambda a: a > 0).rename(a="b").skip(1)
    with pytest.raises(ZeroDivisionError) as caught:
        stream.with_columns(y=inverse).collect()
    (note,) = caught.value.__notes__
    assert note.startswith("in WITH y = inverse(b): operator 3, batch ")
    assert note.endswith(", row 4: b=4")
