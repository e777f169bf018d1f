"""Sources of batches: tables, iterables, rows and frames; one pass and its end; threads and event loops between them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
import traceback
import weakref
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import SLACK

from sabot import Stream
from sabot import _errors as errors
from sabot import _sources as sources
from sabot._bridge import OnLoop
from sabot._conform import Conformer, widens
from sabot._pump import run_async

pytestmark = pytest.mark.api

SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.string())])
BATCH = pa.record_batch({"a": [1, 2, 3], "b": ["x", None, "z"]})
WIDE = pa.record_batch({"a": pa.array([4], pa.int8()), "b": pa.nulls(1)})
END_S = 0.2 * SLACK


def rows_of(batches):
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


ROWS = rows_of([BATCH])


def read(source, columns=None):
    """Every row of a pass; no batch is empty and all have one schema."""
    with source.open(columns) as batches:
        found = list(batches)
    assert all(batch.num_rows for batch in found)
    assert len({batch.schema.to_string() for batch in found}) <= 1
    return rows_of(found)


def open_async(source, columns=None):
    """A pass for the running loop, as a stream has it."""

    def run(context):
        batches = source.open(columns, context.drive)
        context.stops.add(batches.cut)
        return batches

    return run_async(run)


def read_async(source, columns=None):
    async def main():
        batches = open_async(source, columns)
        try:
            return [batch async for batch in batches]
        finally:
            await batches.aclose()

    return rows_of(asyncio.run(main()))


class Closing:
    """An iterator that counts how it is closed, and on which thread."""

    def __init__(self, items, fail_at=None):
        self.items = iter(items)
        self.left = fail_at
        self.closed = []
        self.driven = set()

    def __iter__(self):
        return self

    def __next__(self):
        self.driven.add(threading.get_ident())
        if self.left is not None:
            if self.left == 0:
                raise ZeroDivisionError("here")
            self.left -= 1
        return next(self.items)

    def close(self):
        self.closed.append(threading.get_ident())


class AsyncClosing:
    """The same for a loop."""

    def __init__(self, items, fail_at=None, wait_at=None):
        self.inner = Closing(items, fail_at)
        self.wait_at = wait_at
        self.given = 0
        self.cancelled = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        if self.given == self.wait_at:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        self.given += 1
        try:
            return next(self.inner)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self):
        await asyncio.sleep(0.01)
        self.inner.close()


async def agen(batches=(BATCH,)):
    for batch in batches:
        await asyncio.sleep(0)
        yield batch


# --- what every kind of source gives


class Offers:
    """An object of another library that offers its batches by Arrow's C interface."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class OffersArray:
    def __arrow_c_array__(self, requested_schema=None):
        return BATCH.__arrow_c_array__(requested_schema)


class OffersSchema(Offers):
    def __arrow_c_schema__(self):
        return self.table.schema.__arrow_c_schema__()


def reader():
    return pa.RecordBatchReader.from_batches(SCHEMA, [BATCH])


TABLE = pa.table(BATCH)
# name: (make a source, schema known, bounded, replayable, text)
KINDS = {
    "table": (lambda: sources.from_table(TABLE), True, True, True, "TABLE 3 rows"),
    "batch": (lambda: sources.from_table(BATCH), True, True, True, "TABLE 3 rows"),
    "list": (
        lambda: sources.from_batches([BATCH]),
        True,
        True,
        True,
        "BATCHES list of 1",
    ),
    "tuple": (
        lambda: sources.from_batches_bounded((TABLE,)),
        True,
        True,
        True,
        "BATCHES list of 1",
    ),
    "foreign list": (
        lambda: sources.from_batches([Offers(TABLE)]),
        False,
        True,
        True,
        "BATCHES list of 1",
    ),
    "unbounded list": (
        lambda: sources.from_batches_unbounded([BATCH]),
        True,
        False,
        True,
        "BATCHES list of 1",
    ),
    "generator": (
        lambda: sources.from_batches(b for b in [BATCH]),
        False,
        None,
        False,
        "BATCHES generator <genexpr>",
    ),
    "declared generator": (
        lambda: sources.from_batches((b for b in [BATCH]), SCHEMA, True),
        True,
        True,
        False,
        "BATCHES generator <genexpr>",
    ),
    "iterable": (
        lambda: sources.from_batches({0: BATCH}.values()),
        False,
        None,
        True,
        "BATCHES dict values",
    ),
    "reader": (
        lambda: sources.from_batches(reader()),
        True,
        True,
        False,
        "BATCHES RecordBatchReader",
    ),
    "function": (
        lambda: sources.from_batches(lambda: [BATCH]),
        False,
        None,
        True,
        "BATCHES <lambda>()",
    ),
    "async generator": (
        lambda: sources.from_batches(agen()),
        False,
        None,
        False,
        "BATCHES async generator agen",
    ),
    "async function": (
        lambda: sources.from_batches_unbounded(agen),
        False,
        False,
        True,
        "BATCHES agen()",
    ),
    "hidden async": (
        lambda: sources.from_batches(lambda: agen()),
        False,
        None,
        True,
        "BATCHES <lambda>()",
    ),
    "arrow table": (lambda: sources.from_arrow(TABLE), True, True, True, "ARROW 3 rows"),
    "arrow batch": (lambda: sources.from_arrow(BATCH), True, True, True, "ARROW 3 rows"),
    "arrow reader": (
        lambda: sources.from_arrow(reader()),
        True,
        True,
        False,
        "ARROW RecordBatchReader",
    ),
    "arrow stream": (
        lambda: sources.from_arrow(Offers(TABLE)),
        False,
        True,
        True,
        "ARROW Offers",
    ),
    "arrow schema": (
        lambda: sources.from_arrow(OffersSchema(TABLE)),
        True,
        True,
        True,
        "ARROW OffersSchema",
    ),
    "arrow array": (
        lambda: sources.from_arrow(OffersArray()),
        False,
        True,
        True,
        "ARROW OffersArray",
    ),
    "dicts": (
        lambda: sources.from_dicts(BATCH.to_pylist()),
        True,
        True,
        True,
        "DICTS 3 rows",
    ),
    "dict generator": (
        lambda: sources.from_dicts(iter(BATCH.to_pylist())),
        False,
        None,
        False,
        "DICTS list iterator",
    ),
    "async dicts": (
        lambda: sources.from_dicts(lambda: agen(BATCH.to_pylist())),
        False,
        None,
        True,
        "DICTS <lambda>()",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reads", [read, read_async])
def test_every_kind_of_source(kind, reads):
    make, known, bounded, replayable, text = KINDS[kind]
    source = make()
    assert (source.schema is not None) == known
    if known:
        assert source.schema.equals(SCHEMA)
    assert (source.bounded, source.replayable) == (bounded, replayable)
    assert (source.text, repr(source)) == (text, f"<{text}>")
    assert reads(source) == ROWS
    if replayable:
        assert reads(source) == ROWS
    else:
        with pytest.raises(errors.StateError, match="can be read only once: pass a function"):
            reads(source)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reads", [read, read_async])
def test_columns_are_chosen_and_ordered(kind, reads):
    make, known, *_ = KINDS[kind]
    assert reads(make(), ["b", "a"]) == [(b, a) for a, b in ROWS]
    assert reads(make(), ["b"]) == [(b,) for _, b in ROWS]
    with make().open([]) as batches:
        assert sum(batch.num_rows for batch in batches) == 3
    source = make()
    with pytest.raises(errors.UnknownColumnError, match="has no column 'bb'; did you mean 'b'"):
        reads(source, ["bb"])
    for wrong in ("b", ["b", "b"], [1], 5, b"b", {"b"}):
        with pytest.raises(errors.PlanError, match="columns="):
            reads(make(), wrong)


def test_a_list_of_the_same_batches_is_handed_on_as_it_is():
    for columns, same in ((None, True), (["a"], False)):
        (found,) = sources.from_batches([BATCH]).open(columns)
        assert (found is BATCH) == same
        assert found["a"].buffers()[1].address == BATCH["a"].buffers()[1].address


def test_batch_size_cuts_without_a_copy():
    source = sources.from_table(pa.concat_tables([TABLE, TABLE]), batch_size=2)
    assert [batch.num_rows for batch in source.open()] == [2, 1, 2, 1]
    assert source.rows == 6
    batches = source.open()
    assert [(batch.num_rows, batches.progress) for batch in batches][1::2] == [(1, 0.5), (1, 1.0)]
    assert sources.from_batches(iter([BATCH])).open().progress is None


def test_a_list_is_copied_when_the_source_is_made():
    batches = [BATCH]
    source = sources.from_batches(batches)
    batches.append("no batch")
    assert read(source) == ROWS


def test_building_runs_no_user_code():
    class Loud:
        def __iter__(self):
            raise AssertionError

        __aiter__ = __next__ = __anext__ = __call__ = __iter__

        def __arrow_c_stream__(self, requested_schema=None):
            raise AssertionError

        def __len__(self):
            raise AssertionError

    def fail():
        raise AssertionError

    for make in (sources.from_batches, sources.from_arrow, sources.from_batches_unbounded):
        make(Loud())
    sources.from_batches(fail)
    sources.from_dicts(fail)


def test_empty_batches_are_not_emitted_and_keep_the_schema():
    empty = BATCH.slice(0, 0)
    for items in ([], [empty], [empty, BATCH, empty], [TABLE.slice(0, 0)]):
        source = sources.from_batches(iter(items))
        batches = source.open()
        found = list(batches)
        assert rows_of(found) == (ROWS if BATCH in items else [])
        assert batches.schema is None if not items else batches.schema.equals(SCHEMA)
    assert list(sources.from_batches([], SCHEMA).open()) == []
    assert sources.from_batches([], SCHEMA).schema.equals(SCHEMA)
    assert list(sources.from_batches([]).open()) == []
    assert read(sources.from_table(TABLE.slice(0, 0))) == []


def test_rows_without_columns_are_counted():
    bare = sources.from_dicts([{}, {}])
    assert sum(batch.num_rows for batch in bare.open()) == 2


# --- schemas


def test_null_and_narrow_columns_are_brought_to_the_schema():
    for items in ([BATCH, WIDE], [WIDE, BATCH]):
        source = sources.from_batches(iter(items), SCHEMA)
        assert sorted(read(source), key=str) == sorted([*ROWS, (4, None)], key=str)
    assert read(sources.from_batches([BATCH, WIDE])) == [*ROWS, (4, None)]


REFUSED = [
    ({"a": [1.5], "b": ["x"]}, "column 'a' is double, in the schema it is int64"),
    ({"a": [1]}, r"column 'b' \(string\) is missing"),
    ({"a": [1], "b": ["x"], "c": [1]}, r"column 'c' \(int64\) is not in the schema"),
    ({"b": ["x"], "a": [1]}, "the columns are b, a, in the schema they are a, b"),
    (
        {"a": ["x"], "b": [1]},
        "column 'a' is string, in the schema it is int64; column 'b' is int64, in the schema it is string",
    ),
]


@pytest.mark.parametrize(("columns", "message"), REFUSED)
@pytest.mark.parametrize("declared", [False, True])
def test_other_changes_are_refused(columns, message, declared):
    schema = SCHEMA if declared else None
    source = sources.from_batches(iter([BATCH, pa.record_batch(columns)]), schema)
    batches = source.open()
    next(batches)
    with pytest.raises(errors.SchemaError, match=f"batch 1 of .* {message}") as caught:
        next(batches)
    assert ("declare it with schema=" in str(caught.value)) == (not declared)
    assert list(batches) == []


def test_null_in_the_first_batch_is_widened_only_when_declared():
    first = pa.record_batch({"a": pa.nulls(1), "b": ["x"]})
    with pytest.raises(errors.SchemaError, match="column 'a' is int64, in the schema it is null"):
        read(sources.from_batches([first, BATCH]))
    assert read(sources.from_batches([first, BATCH], SCHEMA)) == [(None, "x"), *ROWS]


def test_nulls_in_a_column_that_is_declared_without():
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    good = pa.record_batch({"a": [1]})
    assert read(sources.from_batches([good], schema)) == [(1,)]
    for bad in (pa.record_batch({"a": [None, 1]}), pa.record_batch({"a": pa.nulls(1)})):
        with pytest.raises(errors.SchemaError, match="column 'a' has nulls"):
            read(sources.from_batches([bad], schema))


NUMBERS = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(),
    pa.uint64(), pa.float16(), pa.float32(), pa.float64(),
]  # fmt: skip


@given(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.data())
@settings(deadline=None, max_examples=300)
def test_widening_numbers_loses_nothing(one, other, data):
    """Against pyarrow's own casts, which refuse or change the extreme values of a type that does not fit."""
    if pa.types.is_floating(one):
        bits = one.bit_width
        extremes = [data.draw(st.floats(width=bits, allow_nan=False)), 1.5]
    else:
        signed = pa.types.is_signed_integer(one)
        low = -(2 ** (one.bit_width - 1)) if signed else 0
        high = 2 ** (one.bit_width - signed) - 1
        extremes = [low, high, high - 1, data.draw(st.integers(low, high))]
    array = pa.array(extremes, one)
    try:
        cast = array.cast(other)
        kept = cast.cast(one).equals(array) and cast.to_pylist() == array.to_pylist()
    except pa.ArrowInvalid:
        kept = False
    if widens(one, other):
        assert kept
    elif one.bit_width >= other.bit_width:
        assert not kept or pa.types.is_floating(one)


WIDER = [
    (pa.null(), pa.map_(pa.string(), pa.int8()), True),
    (pa.string(), pa.large_string(), True),
    (pa.large_string(), pa.string(), False),
    (pa.string(), pa.string_view(), True),
    (pa.string_view(), pa.large_string(), True),
    (pa.binary(3), pa.binary(), True),
    (pa.binary(), pa.binary(3), False),
    (pa.string(), pa.binary(), False),
    (pa.date32(), pa.date64(), True),
    (pa.date64(), pa.date32(), False),
    (pa.time32("s"), pa.time64("ns"), True),
    (pa.time64("ns"), pa.time64("us"), False),
    (pa.timestamp("s"), pa.timestamp("ns"), False),
    (pa.decimal128(5, 2), pa.decimal128(7, 3), True),
    (pa.decimal128(5, 2), pa.decimal128(6, 4), False),
    (pa.decimal128(5, 2), pa.decimal256(50, 2), True),
    (pa.bool_(), pa.int8(), False),
    (pa.list_(pa.int8()), pa.large_list(pa.int16()), True),
    (pa.list_(pa.null()), pa.list_(pa.string()), True),
    (pa.large_list(pa.int8()), pa.list_(pa.int8()), False),
    (pa.list_(pa.int8(), 2), pa.list_(pa.int8()), True),
    (pa.list_(pa.int8(), 2), pa.list_(pa.int8(), 3), False),
    (pa.struct([("x", pa.null())]), pa.struct([("x", pa.int8())]), True),
    (pa.struct([("x", pa.int8())]), pa.struct([("y", pa.int8())]), False),
    (pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.string()), True),
    (pa.dictionary(pa.int8(), pa.string()), pa.string(), False),
    (pa.map_(pa.string(), pa.int8()), pa.map_(pa.string(), pa.int16()), True),
]


@pytest.mark.parametrize(("one", "other", "fits"), WIDER, ids=str)
def test_widening_other_types(one, other, fits):
    assert widens(one, other) == fits
    if fits:
        batch = pa.record_batch({"c": pa.nulls(2, one)})
        to = Conformer("a test", pa.schema([("c", other)]))
        assert to(batch)["c"].type == other


# --- one pass and its end


@pytest.mark.parametrize("how", ["end", "close", "error", "bad item", "twice"])
def test_a_plain_source_is_closed_once(how):
    items = [BATCH, BATCH, "no batch" if how == "bad item" else BATCH]
    given = Closing(items, fail_at=2 if how == "error" else None)
    batches = sources.from_batches(given).open()
    next(batches)
    if how == "close":
        batches.close()
    elif how == "error":
        with pytest.raises(ZeroDivisionError, match="here") as caught:
            list(batches)
        assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "__next__"
    elif how == "bad item":
        with pytest.raises(errors.DataError, match="item 2 of .* is str 'no batch', not a record"):
            list(batches)
    else:
        assert len(list(batches)) == 2
    batches.close()
    assert given.closed == [threading.get_ident()]
    assert list(batches) == []


def test_an_error_of_closing_does_not_hide_the_first():
    class Both(Closing):
        def close(self):
            raise OSError("second")

    with pytest.raises(ZeroDivisionError) as caught:
        list(sources.from_batches(Both([BATCH], fail_at=0)).open())
    assert caught.value.__notes__ == ["closing the source failed too: OSError: second"]
    batches = sources.from_batches(Both([BATCH])).open()
    with pytest.raises(OSError, match="second"):
        batches.close()
    batches.close()


@pytest.mark.parametrize("how", ["end", "close", "waiting", "error"])
def test_an_async_source_read_plainly_is_closed_once_on_its_loop(how):
    given = AsyncClosing(
        [BATCH] * 3,
        fail_at=1 if how == "error" else None,
        wait_at=1 if how == "waiting" else None,
    )
    batches = sources.from_batches(given).open()
    assert rows_of([next(batches)]) == ROWS
    started = time.perf_counter()
    if how == "error":
        with pytest.raises(ZeroDivisionError, match="here") as caught:
            next(batches)
        assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "__next__"
    elif how == "end":
        assert len(list(batches)) == 2
    batches.close()
    batches.close()
    assert time.perf_counter() - started < END_S
    assert given.inner.closed == list(given.inner.driven)
    assert given.inner.closed != [threading.get_ident()]
    assert given.cancelled == (how == "waiting")
    assert not [t for t in threading.enumerate() if t.name == "sabot-loop"]


def test_an_async_generator_cleans_up_with_awaits():
    seen = []

    async def slow():
        try:
            while True:
                yield BATCH
        finally:
            await asyncio.sleep(0.05)
            seen.append("closed")

    batches = sources.from_batches(slow).open()
    next(batches)
    batches.close()
    assert seen == ["closed"]


def test_a_bridge_stays_only_a_little_ahead():
    given = AsyncClosing([BATCH] * 100)
    batches = sources.from_batches(given).open()
    next(batches)
    time.sleep(0.1)
    assert given.given <= 4  # one taken, two queued, one waiting
    batches.close()


def test_what_is_read_ahead_and_fails_does_not_concern_who_stops_before():
    given = AsyncClosing([BATCH] * 5, fail_at=2)
    batches = sources.from_batches(given).open()
    next(batches)
    time.sleep(0.05)
    batches.close()
    assert len(given.inner.closed) == 1


def test_a_bridge_runs_under_the_callers_context_and_ends_with_its_tasks():
    name = contextvars.ContextVar("name", default="?")
    strays = []

    async def seen():
        strays.append(asyncio.create_task(asyncio.sleep(3600)))
        yield pa.record_batch({"a": [name.get()]})

    name.set("mine")
    assert read(sources.from_batches(seen)) == [("mine",)]
    assert strays[0].cancelled()


def test_a_dropped_bridge_ends_by_itself():
    given = AsyncClosing([BATCH] * 100)
    bridge = sources.iterate_sync(given)
    next(bridge)
    gone = weakref.ref(bridge)
    del bridge
    gc.collect()
    assert gone() is None
    until = time.monotonic() + 5
    while not given.inner.closed and time.monotonic() < until:
        time.sleep(0.01)
    assert len(given.inner.closed) == 1


def test_leaving_a_bridge_to_the_exceptions_of_its_source():
    class Own(BaseException):
        pass

    async def fails():
        yield 1
        raise Own("x", 2)

    bridge = sources.iterate_sync(fails())
    assert next(bridge) == 1
    with pytest.raises(Own) as caught:
        next(bridge)
    assert caught.value.args == ("x", 2)
    assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][-1] == "fails"
    assert list(bridge) == []
    bridge.close()


@pytest.mark.parametrize("how", ["end", "break", "cancel", "error"])
@pytest.mark.parametrize("is_async", [True, False])
def test_a_source_awaited_is_closed_once(how, is_async):
    fail_at = 1 if how == "error" else None
    given = (AsyncClosing if is_async else Closing)([BATCH] * 3, fail_at)
    inner = given.inner if is_async else given

    async def consume():
        batches = open_async(sources.from_batches(given))
        count = 0
        try:
            async for _ in batches:
                count += 1
                if how == "break":
                    break
                if how == "cancel":
                    await asyncio.sleep(3600)
        finally:
            await batches.aclose()
            await batches.aclose()
        return count

    async def main():
        task = asyncio.create_task(consume())
        if how == "cancel":
            await asyncio.sleep(0.05)
            task.cancel()
        return await task

    started = time.perf_counter()
    if how == "error":
        with pytest.raises(ZeroDivisionError, match="here") as caught:
            asyncio.run(main())
        assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "__next__"
    elif how == "cancel":
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main())
    else:
        assert asyncio.run(main()) == {"end": 3, "break": 1}[how]
    assert time.perf_counter() - started < 0.05 + END_S
    assert inner.closed == list(inner.driven)
    assert (inner.closed == [threading.get_ident()]) == is_async


def test_cancelling_while_waiting_for_an_async_source():
    given = AsyncClosing([BATCH] * 2, wait_at=1)

    async def main():
        batches = open_async(sources.from_batches(given))
        await anext(batches)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(batches), 0.02)
        assert given.inner.closed

    asyncio.run(main())
    assert given.cancelled == 1


def test_the_loop_runs_on_while_a_plain_source_blocks():
    release = threading.Event()
    ended = []

    def blocks():
        try:
            yield BATCH
            release.wait()
            yield BATCH
        finally:
            ended.append(threading.current_thread().name)

    async def main():
        batches = open_async(sources.from_batches(blocks))
        await anext(batches)
        waiting = asyncio.ensure_future(anext(batches))
        worst = 0.0
        for _ in range(50):
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - before)
        assert not waiting.done()
        waiting.cancel()
        before = time.perf_counter()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await batches.aclose()
        # It sits inside a call that blocks, so its thread closes it when that returns.
        assert time.perf_counter() - before < END_S
        assert ended == []
        release.set()
        return worst

    assert asyncio.run(main()) < 0.02 * SLACK
    until = time.monotonic() + 5
    while not ended and time.monotonic() < until:
        time.sleep(0.01)
    assert ended == ["sabot-reader"]


@pytest.mark.parametrize("in_list", [True, False])
def test_other_tasks_run_while_a_source_is_read_to_its_end(in_list):
    batches = [BATCH] * 2000
    source = sources.from_batches(batches if in_list else iter(batches))
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main():
        task = asyncio.create_task(other())
        count = 0
        async for _ in open_async(source):
            count += 1
        task.cancel()
        return count

    assert asyncio.run(main()) == 2000
    assert turns >= 1000


class FailsToClose(AsyncClosing):
    async def aclose(self):
        raise OSError("second")


class FailsToClosePlainly(Closing):
    def close(self):
        raise OSError("second")


@pytest.mark.parametrize("kind", [FailsToClose, FailsToClosePlainly])
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("how", ["end", "close", "error"])
def test_errors_of_closing_cross_the_bridges(kind, plain, how, monkeypatch):
    monkeypatch.setattr("sabot._bridge.BLOCKED_S_MAX", 5)
    source = sources.from_batches(kind([BATCH] * 9, fail_at=1 if how == "error" else None))

    def read_plainly():
        batches = source.open()
        next(batches)
        if how != "close":
            list(batches)
        batches.close()

    async def read_awaiting():
        batches = open_async(source)
        await anext(batches)
        if how != "close":
            _ = [batch async for batch in batches]
        await batches.aclose()

    kind, text = (ZeroDivisionError, "here") if how == "error" else (OSError, "second")
    with pytest.raises(kind, match=text):
        read_plainly() if plain else asyncio.run(read_awaiting())


def test_an_error_raised_by_being_cancelled_comes_out_of_close():
    async def fails():
        try:
            while True:
                yield BATCH
                await asyncio.sleep(0)
        finally:
            raise OSError("in finally")

    batches = sources.from_batches(fails).open()
    next(batches)
    with pytest.raises(OSError, match="in finally"):
        batches.close()
    batches.close()


def test_a_source_that_cancels_itself_is_an_error():
    async def cancels():
        yield BATCH
        raise asyncio.CancelledError

    batches = sources.from_batches(cancels).open()
    next(batches)
    with pytest.raises(asyncio.CancelledError):
        next(batches)


def test_an_awaited_source_that_is_dropped_ends_by_itself():
    given = Closing([BATCH] * 100)

    async def main():
        await anext(open_async(sources.from_batches(given)))

    asyncio.run(main())
    gc.collect()
    until = time.monotonic() + 5
    while not given.closed and time.monotonic() < until:
        time.sleep(0.01)
    assert len(given.closed) == 1


def test_the_loop_may_end_before_the_thread_that_reads():
    release = threading.Event()
    ended = threading.Event()

    def blocks():
        try:
            release.wait()
            yield BATCH
        finally:
            ended.set()

    async def main():
        batches = open_async(sources.from_batches(blocks))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(batches), 0.01)

    asyncio.run(main())
    assert not ended.is_set()
    release.set()
    assert ended.wait(5)


@pytest.mark.parametrize("plain", [True, False])
def test_a_pass_that_was_never_begun_is_closed_too(plain):
    for items in (Closing([BATCH]), AsyncClosing([BATCH])):
        source = sources.from_batches(items)

        async def main():
            drive = partial(OnLoop, loop=asyncio.get_running_loop())
            await asyncio.to_thread(lambda: source.open(drive=drive).close())

        source.open().close() if plain else asyncio.run(main())
        assert len((items if isinstance(items, Closing) else items.inner).closed) == 1


def test_stops_at_any_moment_close_once():
    for k in range(60):
        given = AsyncClosing([BATCH] * 20)
        batches = sources.from_batches(given).open()
        for _ in range(k % 7):
            next(batches)
        time.sleep(k % 5 / 1000)
        batches.close()
        assert len(given.inner.closed) == 1


def test_functions_that_give_no_iterable():
    async def coroutine():
        return [BATCH]

    for make, message in (
        (lambda: None, "gave NoneType None, which is no iterable"),
        (lambda: "text", "gave str 'text'"),
        (coroutine, "gave a coroutine"),
    ):
        with pytest.raises(errors.DataError, match=message):
            read(sources.from_batches(make))
        with pytest.raises(errors.DataError, match=message):
            read_async(sources.from_batches(make))


# --- rows


def test_dicts_of_every_kind_of_value():
    rows = [{"i": 1, "x": 1, "s": "é", "l": [1, None]}, {"i": None, "x": 2.5, "s": None, "l": None}]
    source = sources.from_dicts(rows)
    assert [str(t) for t in source.schema.types] == [
        "int64",
        "double",
        "string",
        "list<item: int64>",
    ]
    assert rows_of(source.open()) == [tuple(row.values()) for row in rows]
    assert sources.from_pylist is sources.from_dicts


def test_the_order_of_keys_does_not_matter():
    assert read(sources.from_dicts([{"a": 1, "b": "x"}, {"b": "y", "a": 2}])) == [
        (1, "x"),
        (2, "y"),
    ]


def test_rows_are_gathered_to_batches():
    source = sources.from_dicts(({"a": k} for k in range(10)), batch_size=4)
    assert [batch.num_rows for batch in source.open()] == [4, 4, 2]
    source = sources.from_dicts([{"a": k} for k in range(10)], batch_size=4)
    assert [batch.num_rows for batch in source.open()] == [4, 4, 2]


BAD_ROWS = [
    ([{"a": 1}, {"b": 1}], r"row 1 has 'b', which row 0 has not"),
    ([{"a": 1, "b": 2}, {"a": 1}], r"row 1 has no 'b', which row 0 has: give None, or declare"),
    ([{"a": 1}] * 5 + [{"a": "x"}], r"row 5: column 'a' is str 'x', and is int64 in the rows before"),
    ([{"a": "x"}, {"a": None}, {"a": 1}], r"row 2: column 'a' is int 1, and is string in the rows"),
    ([{"a": True}, {"a": 1}], "row 1: column 'a' is int 1, and is bool in the rows before"),
    ([{"a": b"x"}, {"a": "y"}], "row 1: column 'a' is str 'y', other rows have bytes"),
    ([{"a": object}], "row 0: column 'a' is type"),
    ([{"a": 1}, 5], "row 1 is int 5, not a dict"),
    ([5], "row 0 is int 5, not a dict"),
    ([{1: 1}], "row 0 has the key int 1"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "message"), BAD_ROWS)
def test_rows_that_do_not_fit_are_named(rows, message):
    with pytest.raises(errors.SchemaError, match=message):
        sources.from_dicts(rows)
    with pytest.raises(errors.SchemaError, match=message):
        read(sources.from_dicts(iter(rows)))


def test_rows_of_later_batches_are_named_by_their_number():
    rows = [{"a": 1}, {"a": 2}, {"a": 3}, {"a": "x"}]
    message = (
        "row 3: column 'a' is str 'x', in the schema it is int64 .*; the first rows fixed that"
    )
    with pytest.raises(errors.SchemaError, match=message):
        read(sources.from_dicts(iter(rows), batch_size=2))
    with pytest.raises(errors.SchemaError, match="row 2 has 'b', which the schema has not"):
        read(sources.from_dicts(iter([{"a": 1}, {"a": 1}, {"b": 1}]), batch_size=2))


def test_a_declared_schema_of_rows():
    schema = pa.schema([("a", pa.float32()), ("b", pa.string())])
    assert read(sources.from_dicts([{"a": 1}, {"b": "x", "a": 0.5}], schema)) == [
        (1.0, None),
        (0.5, "x"),
    ]
    assert sources.from_dicts([], schema).schema.equals(schema)
    with pytest.raises(
        errors.SchemaError, match="row 0: column 'a' is str 'x', in the schema it is"
    ):
        sources.from_dicts([{"a": "x"}], schema)
    strict = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    with pytest.raises(errors.SchemaError, match="row 1: column 'a' is null"):
        sources.from_dicts([{"a": 1}, {}], strict)


def test_an_int_beyond_64_bits_names_its_row():
    with pytest.raises(errors.IntegerOverflowError, match="row 1: column 'a' is int 1180591620717"):
        sources.from_dicts([{"a": 1}, {"a": 2**70}])


# --- frames


def test_polars_frames():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
    for source in (sources.from_polars(frame), sources.from_polars(frame.lazy())):
        assert source.schema.names == ["a", "b"]
        assert source.bounded and source.replayable
        assert read(source) == read(source) == ROWS
        assert read_async(source, ["b"]) == [(b,) for _, b in ROWS]
    assert read(sources.from_arrow(frame)) == ROWS
    assert read(sources.from_batches([frame])) == ROWS
    with pytest.raises(errors.PlanError, match=r"not polars.Series; .to_frame\(\) makes one"):
        sources.from_polars(frame["a"])
    with pytest.raises(errors.PlanError, match="from_polars takes it"):
        sources.from_table(frame)


def test_pandas_frames():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
    source = sources.from_pandas(frame)
    assert source.schema.names == ["a", "b"]
    assert read(source) == ROWS
    assert sources.from_pandas(frame.set_index("b")).schema.names == ["a", "b"]
    with pytest.raises(errors.TypeMismatchError, match="column c"):
        sources.from_pandas(pd.DataFrame({"c": [1, "x", b"y"]}))
    with pytest.raises(errors.PlanError, match=r"not pandas.Series; .to_frame\(\) makes one"):
        sources.from_pandas(frame["a"])


# --- misuse

WRONG = [None, 0, 1.5, "text", b"bytes", {"a": 1}, object(), int, 2**70, pa.array([1]), ..., set]


@pytest.mark.parametrize("name", [n for n in sources.__all__ if n.startswith("from_")])
@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_what_is_no_source_is_a_plan_error(name, wrong):
    make = getattr(sources, name)
    try:
        source = make(wrong)
    except errors.PlanError as error:
        assert str(error)
    else:  # what Arrow exports may turn out to be no table only when it is read
        assert isinstance(wrong, pa.Array)
        with pytest.raises(errors.DataError, match="Array holds no table"):
            read(source)


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "3", None])
def test_batch_sizes_that_are_none(size):
    with pytest.raises(errors.PlanError, match="whole number from 1 on"):
        sources.from_dicts([{"a": 1}], batch_size=size)
    if size is not None:
        with pytest.raises(errors.PlanError, match="whole number from 1 on"):
            sources.from_table(TABLE, size)


def test_schemas_and_bounds_that_are_none():
    for make in (sources.from_batches, sources.from_dicts):
        with pytest.raises(errors.PlanError, match=r"schema=.*: it is a pyarrow.Schema"):
            make([], schema={"a": "int"})
    with pytest.raises(errors.PlanError, match="bounded='yes'"):
        sources.from_batches([BATCH], bounded="yes")
    with pytest.raises(
        errors.PlanError, match="item 1 of the list is dict, .*from_dicts takes rows"
    ):
        sources.from_batches([BATCH, {"a": 1}])


def test_columns_of_one_name_cannot_be_chosen():
    twice = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    source = sources.from_batches([twice])
    assert [batch.columns for batch in source.open()] == [twice.columns]
    with pytest.raises(errors.PlanError, match="2 columns named 'a'"):
        source.open(["a"])


# --- streams of every kind of source: ends and schemas


def test_ends_and_schemas_behind_every_operator():
    operators = {
        "filter": lambda s: s.filter(lambda a: a > 1),
        "with_columns": lambda s: s.with_columns(y=lambda a: a),
        "select": lambda s: s.select("a"),
        "drop": lambda s: s.drop("b"),
        "rename": lambda s: s.rename(a="z"),
        "skip": lambda s: s.skip(1),
        "rebatch": lambda s: s.rebatch(2),
        "map": lambda s: s.map(lambda batch: batch, SCHEMA),
        "flat_map": lambda s: s.flat_map(lambda batch: [batch], SCHEMA),
        "union": lambda s: s.union(s),
    }
    for bounded in (True, None, False):
        for known in (True, False):
            source = Stream.from_batches(
                lambda: iter([BATCH]), SCHEMA if known else None, bounded=bounded
            )
            for name, add in operators.items():
                stream = add(source)
                declared = name in ("map", "flat_map")
                assert stream.is_bounded() == (bounded is True), name
                assert stream.limit(1).is_bounded(), name
                assert (stream.schema is not None) == (known or declared), name
                if bounded is False:
                    for sink in ("collect", "count", "describe", "to_pandas", "to_numpy"):
                        with pytest.raises(errors.UnboundedError, match=r"limit\(n\)"):
                            getattr(stream, sink)()
                    continue
                table = stream.collect()
                assert table.num_rows == stream.count(), name
                assert stream.schema is None or stream.schema == table.schema, name


def test_nothing_came_but_the_schema_is_kept(tmp_path):
    empty = SCHEMA.empty_table()
    path = tmp_path / "x.parquet"
    Stream.from_table(empty).to_parquet(path)
    for stream in (
        Stream.from_arrow(empty),
        Stream.from_arrow(empty.to_reader()),
        Stream.from_batches([empty]),
        Stream.from_batches(lambda: iter([BATCH.slice(0, 0)]), SCHEMA),
        Stream.from_dicts([], SCHEMA),
        Stream.from_parquet(path),
        Stream.from_table(TABLE).filter(lambda a: a > 100),
        Stream.from_table(TABLE).limit(0),
        Stream.from_table(TABLE).skip(100).rebatch(7),
        Stream.from_table(TABLE).flat_map(lambda batch: [batch.slice(0, 0)], SCHEMA),
        Stream.from_table(empty).union(Stream.from_table(empty)),
    ):
        got = stream.collect()
        assert (got.num_rows, got.schema.names) == (0, ["a", "b"])
    assert list(Stream.from_table(TABLE).filter(lambda a: a > 100)) == []


def test_calls_that_are_mistakes():
    stream = Stream.from_table(TABLE)

    async def awaits(batch):
        pass

    for call, message in (
        (lambda: stream.show("x"), "it takes a whole number"),
        (lambda: stream.show(-1), "it takes a whole number"),
        (lambda: stream.foreach(None), "foreach takes a function"),
        (lambda: stream.foreach("x"), "foreach takes a function"),
        (lambda: stream.foreach(awaits), "foreach awaits nothing: use async for"),
        (lambda: stream.union([stream]), "union takes streams, not list"),
    ):
        with pytest.raises(errors.PlanError, match=message):
            call()


def test_an_async_source_of_rows_that_fails_gives_what_was_whole_before():
    async def rows():
        for k in range(1600):
            yield {"a": k}
        raise ZeroDivisionError("here")

    for run in (iter, None):
        seen = []
        stream = Stream.from_dicts(rows, batch_size=1500)

        async def main():
            async for batch in stream:
                seen.append(batch.num_rows)

        with pytest.raises(ZeroDivisionError, match="here"):
            if run is None:
                asyncio.run(main())
            else:
                for batch in stream:
                    seen.append(batch.num_rows)
        assert sum(seen) == 1500


def test_rows_of_many_steps_are_as_those_of_one():
    rows = [{"a": k, "b": None if k < 1500 else [k], "c": str(k)} for k in range(5000)]
    mixed = [{"a": k if k < 3000 else k + 0.5} for k in range(5000)]
    for many in (rows, mixed):
        table = pa.Table.from_pylist(many)
        for size in (700, 1024, 5000, 10_000):
            first = pa.Table.from_pylist(many[:size]).schema
            if first == table.schema:
                assert Stream.from_dicts(iter(many), batch_size=size).collect() == table
        assert Stream.from_dicts(iter(many), table.schema, 4999).collect() == table
