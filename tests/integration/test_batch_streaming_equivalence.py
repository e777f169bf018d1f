"""A bounded source and one without end, stopped at the same row: the same rows, order, bits, and errors at the same row."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import re
from contextlib import aclosing
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import bits

from sabot import Stream
from sabot.operators import (
    BaseOperator,
    FilterOperator,
    FlatMapOperator,
    MapOperator,
    SelectOperator,
    UnionOperator,
)

ROWS = 97
SIZES = (1, 7, ROWS)
SCHEMA = pa.schema([("a", pa.int64()), ("x", pa.float64()), ("t", pa.string())])
ODD = [None, float("nan"), -0.0, 0.1, 1e300, float("inf")]


def some_rows(first, count):
    """Rows `first` and following of an input that never ends."""
    numbers = range(first, first + count)
    columns = [
        pa.array([None if k % 11 == 5 else k for k in numbers], pa.int64()),
        pa.array([ODD[k % 7] if k % 7 < len(ODD) else k / 3 for k in numbers], pa.float64()),
        pa.array([None if k % 13 == 1 else f"t{k % 5}" for k in numbers], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def endless(size):
    for first in itertools.count(0, size):
        yield some_rows(first, size)


async def endless_async(size):
    for first in itertools.count(0, size):
        if first % 5 == 0:
            await asyncio.sleep(0)
        yield some_rows(first, size)


def ended(size):
    for first in range(0, ROWS, size):
        yield some_rows(first, min(size, ROWS - first))


async def ended_async(size):
    for batch in ended(size):
        yield batch


TABLE = pa.Table.from_batches(ended(ROWS))

# Sources of a batch size; those of the first kind end after ROWS rows.
BOUNDED = {
    "table": lambda size: Stream.from_table(TABLE, batch_size=size),
    "list": lambda size: Stream.from_batches(list(ended(size))),
    "generator": lambda size: Stream.from_batches(ended(size), SCHEMA),
    "undeclared generator": lambda size: Stream.from_batches(ended(size)),
    "async generator": lambda size: Stream.from_batches(ended_async(size)),
    "callable": lambda size: Stream.from_batches(lambda: ended(size), bounded=True),
    "async callable": lambda size: Stream.from_batches(lambda: ended_async(size), SCHEMA),
}
UNBOUNDED = {
    "generator": lambda size: Stream.from_batches(endless(size), SCHEMA),
    "undeclared generator": lambda size: Stream.from_batches(endless(size)),
    "async generator": lambda size: Stream.from_batches(endless_async(size)),
    "callable": lambda size: Stream.from_batches_unbounded(lambda: endless(size)),
    "async callable": lambda size: Stream.from_batches_unbounded(lambda: endless_async(size)),
    "operator": lambda size: Stream.from_batches(BaseOperator(endless(size))),
}


def half(x):
    return None if x is None else x / 2


def label(a, t) -> str:
    return "none" if a is None or t is None else t


def with_next(batch):
    return batch.append_column("next", pc.add(batch["a"], 1))


def row_by_row(batch):
    return [batch.slice(k, 1) for k in range(batch.num_rows)]


class Negated(BaseOperator):
    def process_batch(self, batch):
        return batch.set_column(0, "a", pc.negate(batch["a"]))


PIPELINES = {
    "nothing": lambda s: s,
    "filter, a scalar function": lambda s: s.filter(lambda a: a is not None and a % 3 == 1),
    "filter, a batch function": lambda s: s.filter(lambda b: pc.is_valid(b.column("t"))),
    "with_columns": lambda s: s.with_columns(half=half, label=label),
    "map": lambda s: s.map(with_next),
    "map, then what needs its columns": lambda s: (
        s.map(with_next).filter(lambda next: next).select("next", "x")
    ),
    "map with a schema": lambda s: s.map(lambda b: b.select(["x"]), pa.schema([SCHEMA.field("x")])),
    "select, drop, rename": lambda s: s.select("t", "x", "a").drop("x").rename(a="b"),
    "flat_map": lambda s: s.flat_map(row_by_row),
    "skip and rebatch": lambda s: s.skip(10).rebatch(4),
    "apply": lambda s: s.apply(Negated()).apply(FilterOperator(None, lambda a: (a or 0) < -50)),
    "many": lambda s: (
        s.filter(lambda b: pc.is_valid(b.column("a")))
        .with_columns(half=half)
        .map(with_next)
        .apply(Negated())
        .with_columns(label=label)
        .select("label", "next", "half")
    ),
}


async def gathered(stream):
    batches = []
    async with aclosing(aiter(stream)) as given:
        async for batch in given:
            batches.append(batch)
    return batches


def rows_of(given):
    """All values of a table or of batches with their types and bits, column by column."""
    table = given if isinstance(given, pa.Table) else pa.Table.from_batches(given)
    return table.schema, {name: bits(table[name].to_pylist()) for name in table.schema.names}


WAYS = {
    "for": lambda stream: rows_of(list(stream)),
    "async for": lambda stream: rows_of(asyncio.run(gathered(stream))),
}


@pytest.fixture(scope="module")
def expected():
    """The result of each pipeline over the whole input as one table."""
    found = {name: plan(Stream.from_table(TABLE)).collect() for name, plan in PIPELINES.items()}
    assert all(table.num_rows > 8 for table in found.values())
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("source", BOUNDED)
@pytest.mark.parametrize("name", PIPELINES)
def test_batch_mode_terminates_with_these_rows(name, source, way, expected):
    for size in SIZES:
        stream = PIPELINES[name](BOUNDED[source](size))
        assert WAYS[way](stream) == rows_of(expected[name])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("source", UNBOUNDED)
@pytest.mark.parametrize("name", PIPELINES)
def test_streaming_mode_stopped_at_the_same_row(name, source, way, expected):
    wanted = rows_of(expected[name])
    for size in SIZES:
        stream = UNBOUNDED[source](size)
        assert not stream.is_bounded()
        at_the_source = PIPELINES[name](stream.limit(ROWS))
        assert at_the_source.is_bounded()
        assert WAYS[way](at_the_source) == wanted
        behind = PIPELINES[name](UNBOUNDED[source](size))
        assert not behind.is_bounded()
        assert WAYS[way](behind.limit(expected[name].num_rows)) == wanted


@pytest.mark.parametrize("source", UNBOUNDED)
def test_streaming_mode_runs_until_it_is_stopped(source):
    stream = PIPELINES["many"](UNBOUNDED[source](7))

    async def consume():
        rows = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), aclosing(aiter(stream)) as batches:
                async for batch in batches:
                    rows += batch.num_rows
        return rows

    assert asyncio.run(consume()) > 0
    again = PIPELINES["many"](UNBOUNDED[source](7))
    assert sum(batch.num_rows for batch in itertools.islice(again, 50 * ROWS)) > 10 * ROWS


# --- records


async def async_records(stream, count):
    found = []
    async with aclosing(aiter(stream.records())) as records:
        async for record in records:
            found.append(record)
            if len(found) == count:
                break
    return found


@pytest.mark.parametrize("source", UNBOUNDED)
def test_records_are_the_rows(source):
    plan = PIPELINES["with_columns"]
    wanted = [list(map(repr, row.values())) for row in plan(Stream.from_table(TABLE)).records()]
    assert len(wanted) == ROWS
    plain = itertools.islice(plan(UNBOUNDED[source](7)).records(), ROWS)
    assert [list(map(repr, row.values())) for row in plain] == wanted
    found = asyncio.run(async_records(plan(UNBOUNDED[source](7)), ROWS))
    assert [list(map(repr, row.values())) for row in found] == wanted


# --- errors

FAILING_ROW = 72


def fragile(a):
    return 0 if a is None else 100 // (a - FAILING_ROW)


def breaks(batch):
    if FAILING_ROW in batch["a"].to_pylist():
        raise LookupError("the row is here")
    return batch


FAILING = {
    "with_columns": (lambda s: s.with_columns(y=fragile), ZeroDivisionError),
    "filter": (lambda s: s.filter(lambda a: fragile(a) < 1000), ZeroDivisionError),
    "behind a filter": (
        lambda s: s.filter(lambda x: x is not None).with_columns(y=fragile),
        ZeroDivisionError,
    ),
    "map": (lambda s: s.map(breaks, SCHEMA), LookupError),
    "apply": (lambda s: s.apply(MapOperator(None, breaks, schema=SCHEMA)), LookupError),
}


def until_it_fails(stream, error, way):
    """The rows that came, and the error."""
    came = []

    async def consume():
        async for batch in stream:
            came.append(batch)

    with pytest.raises(error) as caught:
        if way == "for":
            for batch in stream:
                came.append(batch)
        else:
            asyncio.run(consume())
    return came, caught.value


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FAILING)
def test_errors_come_at_the_same_row(name, way):
    plan, error = FAILING[name]
    before = plan(Stream.from_table(TABLE.slice(0, FAILING_ROW))).collect()
    messages = set()
    for kinds in (BOUNDED, UNBOUNDED):
        for source, size in itertools.product(kinds, SIZES):
            came, failure = until_it_fails(plan(kinds[source](size)), error, way)
            assert len(failure.__notes__) == 1, failure.__notes__
            if error is ZeroDivisionError:
                number = re.search(r"\brow (\d+)\b.*: a=72", failure.__notes__[0])
                assert number, (source, failure.__notes__)
                messages.add((str(failure), number[1]))
            else:
                first, last = map(
                    int, re.search(r"rows (\d+) to (\d+)", *failure.__notes__).groups()
                )
                assert first <= FAILING_ROW <= last
                messages.add((str(failure), str(FAILING_ROW)))
            came = pa.Table.from_batches(came, before.schema)
            assert rows_of(came) == rows_of(before.slice(0, len(came)))
            if size == 1:  # all that stands before the row
                assert came.num_rows == before.num_rows
    assert [number for _, number in messages] == [str(FAILING_ROW)]


@pytest.mark.parametrize("way", WAYS)
def test_errors_of_the_source_come_behind_its_rows(way):
    def plain(size):
        yield from itertools.islice(endless(size), 3)
        raise ConnectionError("gone")

    async def later(size):
        for batch in itertools.islice(endless(size), 3):
            yield batch
        raise ConnectionError("gone")

    for make, size in itertools.product((plain, later), SIZES):
        stream = PIPELINES["with_columns"](Stream.from_batches(make(size)))
        came, failure = until_it_fails(stream, ConnectionError, way)
        assert (sum(batch.num_rows for batch in came), str(failure)) == (3 * size, "gone")


# --- operator objects


def split(batch):
    return [batch.slice(0, batch.num_rows // 2), batch.slice(batch.num_rows // 2)]


def by_operators(source):
    kept = FilterOperator(source, lambda a: a is not None and a % 3 == 1)
    parts = FlatMapOperator(MapOperator(kept, with_next), split)
    return UnionOperator(SelectOperator(Negated(parts), ["a", "next", "x"]))


def by_stream(stream):
    return (
        stream.filter(lambda a: a is not None and a % 3 == 1)
        .map(with_next)
        .flat_map(split)
        .apply(Negated())
        .select("a", "next", "x")
    )


SOURCES = {
    "list": lambda size: list(ended(size)),
    "table": lambda size: TABLE,
    "generator": endless,
    "async generator": endless_async,
    "stream": lambda size: Stream.from_batches(endless(size)),
}


def first_rows(batches, count):
    """The first rows of what may not end."""
    found = []
    for batch in batches:
        found.append(batch)
        if sum(one.num_rows for one in found) >= count:
            break
    return pa.Table.from_batches(found).slice(0, count)


async def first_rows_async(operator, count):
    found = []
    async with aclosing(aiter(operator)) as batches:
        async for batch in batches:
            found.append(batch)
            if sum(one.num_rows for one in found) >= count:
                break
    return pa.Table.from_batches(found).slice(0, count)


@pytest.mark.parametrize("source", SOURCES)
def test_operator_objects_give_what_streams_give(source):
    wanted = by_stream(Stream.from_table(TABLE)).collect()
    for size in SIZES:
        plain = first_rows(by_operators(SOURCES[source](size)), wanted.num_rows)
        assert rows_of(plain) == rows_of(wanted)
        operator = by_operators(SOURCES[source](size))
        loop = asyncio.run(first_rows_async(operator, wanted.num_rows))
        assert rows_of(loop) == rows_of(wanted)


# --- the examples

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "batch_first_examples.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("batch_first_examples", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rows", [100, 999, 5000])
def test_the_pipeline_of_the_examples(example, rows, way):
    table = example.payments(0, 5000)
    wanted = example.create_pipeline(Stream.from_table(table)).collect()

    def plain():
        for first in itertools.count(0, rows):
            yield from example.payments(first, rows).to_batches()

    async def later():
        for batch in plain():
            yield batch

    for source in (plain, plain(), later, later()):
        stream = example.create_pipeline(Stream.from_batches(source))
        assert WAYS[way](stream.limit(wanted.num_rows)) == rows_of(wanted)
