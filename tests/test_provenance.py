"""The row that an error names is the source's, whatever stands between the source and the function."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

ROWS = 40
BAD = 29
VALUES = list(range(100, 100 + ROWS))
TABLE = pa.table({"a": VALUES, "b": [value % 3 for value in VALUES]})


def compiled(a) -> int:
    return 6 // (a - 129)


def interpreted(a) -> int:
    return len({a: 1 // (a - 129)})


def sources():
    yield Stream.from_table(TABLE, 7)
    yield Stream.from_batches(TABLE.to_batches(max_chunksize=7))
    yield Stream.from_batches(lambda: iter(TABLE.to_batches(max_chunksize=7)), schema=TABLE.schema)
    yield Stream.from_batches(lambda: iter(TABLE.to_batches(max_chunksize=7)))


def keep(batch: pa.RecordBatch) -> pa.Array:
    return pc.not_equal(batch.column("b"), 1)


BETWEEN = {
    "nothing": (lambda s: s, 0),
    "filter, limit": (lambda s: s.filter(lambda b: b != 1).limit(35), 2),
    "filter of batches, limit": (lambda s: s.filter(keep).limit(35), 2),
    "interpreted filter, limit": (lambda s: s.filter(lambda b: str(b) != "1").limit(35), 2),
    "skip": (lambda s: s.skip(5), 1),
    "rebatch": (lambda s: s.rebatch(4), 1),
    "filter, rebatch": (lambda s: s.filter(lambda b: b != 1).rebatch(4), 2),
    "skip, filter, rebatch, skip, limit": (
        lambda s: s.skip(3).filter(lambda b: b != 1).rebatch(5).skip(1).limit(30),
        5,
    ),
    "two filters, rebatch": (
        lambda s: s.filter(lambda b: b != 1).rebatch(6).filter(lambda a: a > 105).rebatch(3),
        4,
    ),
    "rename": (lambda s: s.rename(b="c"), 1),
    "filter, limit, rename, select": (
        lambda s: s.filter(lambda b: b != 1).limit(35).rename(b="c").select("a"),
        4,
    ),
}


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("fn", [compiled, interpreted])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_row_is_that_of_the_source(between, fn, threads):
    build, before = BETWEEN[between]
    with sb.config(threads=threads):
        for source in sources():
            with pytest.raises(ZeroDivisionError) as caught:
                build(source).with_columns(y=fn).collect()
            note = caught.value.__notes__[0]
            assert re.search(rf": operator {before}, batch \d+, row {BAD}: a=129$", note), note


@pytest.mark.parametrize("fn", [compiled, interpreted])
def test_rows_before_the_failing_one_come_out(fn):
    for source in sources():
        stream = source.filter(lambda b: b != 1).rebatch(4).with_columns(y=fn)
        given: list[int] = []
        with pytest.raises(ZeroDivisionError):
            for batch in stream:
                given += batch["a"].to_pylist()
        assert given == [value for value in VALUES[:BAD] if value % 3 != 1]


def test_rows_behind_a_map_are_not_known():
    for fn in (lambda batch: batch, lambda batch: batch.slice(1)):
        for source in sources():
            stream = source.map(fn, schema=TABLE.schema).rebatch(5).with_columns(y=compiled)
            with pytest.raises(ZeroDivisionError) as caught:
                stream.collect()
            assert re.search(r"operator 2, batch \d+, a row: a=129$", caught.value.__notes__[0])


def test_a_row_without_a_place_is_named_by_its_values():
    """Each of many failing rows of one batch keeps its own exception; the first one ends the run."""
    values = list(range(200))
    table = pa.table({"a": values})
    for threads in (1, 4):
        with sb.config(threads=threads, morsel_rows=16):
            stream = (
                Stream.from_table(table).map(lambda batch: batch, schema=table.schema).limit(190)
            )
            with pytest.raises(ZeroDivisionError) as caught:
                stream.with_columns(y=lambda a: 1 // (a % 50 - 33)).collect()
        assert caught.value.__notes__[0].endswith("a row: a=33")


def test_the_rows_of_a_batch_function_are_the_first_and_the_last():
    def fails(batch):
        raise ValueError("no")

    for source in sources():
        stream = source.skip(2).filter(lambda b: b != 1).rebatch(4).map(fails)
        with pytest.raises(ValueError, match="no") as caught:
            stream.collect()
        rows = [row for row in range(2, ROWS) if VALUES[row] % 3 != 1][:4]
        wanted = f"in MAP fails(batch): operator 3, batch 0, rows {rows[0]} to {rows[-1]}"
        assert caught.value.__notes__ == [wanted]


def test_the_rows_of_a_union_are_counted_in_it():
    def one():
        return Stream.from_table(TABLE, 7)

    stream = one().filter(lambda a: a != 129).union(one()).with_columns(y=compiled)
    with pytest.raises(ZeroDivisionError) as caught:
        stream.collect()
    row = ROWS - 1 + BAD
    assert re.search(rf"operator 2, batch \d+, row {row}: a=129$", caught.value.__notes__[0])


def test_a_source_that_fails_is_raised_as_it_is():
    class Trouble(Exception):
        pass

    error = Trouble("source")
    cause = KeyError("cause")

    def batches():
        yield from TABLE.to_batches(max_chunksize=10)[:3]
        raise error from cause

    for build, held in (
        (lambda s: s.select("a"), 0),
        (lambda s: s.map(lambda batch: batch), 0),
        (lambda s: s.filter(keep).rebatch(3).with_columns(y=lambda a: a + 1), 2),
    ):
        stream = build(Stream.from_batches(batches, schema=TABLE.schema))
        given: list[int] = []
        with pytest.raises(Trouble) as caught:
            for batch in stream:
                given += batch["a"].to_pylist()
        assert caught.value is error
        assert error.__cause__ is cause
        wanted = [value for value in VALUES[:30] if not held or value % 3 != 1]
        assert given == wanted[: len(given)]
        assert len(wanted) - len(given) <= held


def test_a_row_before_the_failing_source_is_the_error():
    def batches():
        yield from TABLE.to_batches(max_chunksize=10)[:3]
        raise OSError("later")

    with pytest.raises(ZeroDivisionError):
        Stream.from_batches(batches, schema=TABLE.schema).with_columns(y=compiled).collect()
