"""One call of with_columns whose functions run in different ways: in the engine, awaited, in threads. They stand in the order of the
arguments: a row that one drops does not fail in those after it.
"""

from __future__ import annotations

import asyncio

import pyarrow as pa
import pytest

import sabot as sb
from sabot import Stream, col, udf

pytestmark = pytest.mark.api

TEN = pa.table({"a": list(range(10))})


def batches(table, size):
    return Stream.from_table(table, size)


def values(stream, name="y"):
    return stream.collect()[name].to_pylist()


def test_a_dropped_row_does_not_fail_in_the_functions_after_it():
    """The functions of one call stand in the order of the arguments, whoever calls them."""

    def bad(a) -> int:
        return 12 // (a % 5 - 3)

    async def later(a) -> int:
        await asyncio.sleep(0)
        return bad(a)

    async def late(a) -> int:
        return 12 // (a - 9)

    drop = udf(lambda a: 12 // (a % 5 - 3), on_error="skip", max_concurrency=3)
    wanted = [12 // (k % 5 - 3) for k in range(10) if k % 5 != 3]
    after = {
        "threads": udf(bad, max_concurrency=2),
        "async": later,
        "engine": lambda a: 12 // (a % 5 - 3),
        "record": lambda row: 12 // (row["a"] % 5 - 3),
        "applied": sb.apply(lambda value, n: n // (value % 5 - 3), col("a"), 12),
    }
    for name, fn in after.items():
        stream = batches(TEN, 4).with_columns(y=drop, x=col("a"), z=fn)
        table = stream.collect()
        assert table["z"].to_pylist() == table["y"].to_pylist() == wanted, name
        assert table.schema.names == ["a", "y", "x", "z"]
        errors = stream.last_run.errors
        assert (errors["row"].to_pylist(), stream.last_run.errors_total) == ([3, 8], 2)
        assert set(errors["operator"].to_pylist()) == {"WITH y = <lambda>(a)"}
        # Of the engine's own drop; a replaced column is not seen by the others.
        engine = udf(lambda a: 12 // (a % 5 - 3), on_error="skip")
        table = batches(TEN, 4).with_columns(a=engine, y=later, z=fn).collect()
        assert table["a"].to_pylist() == table["y"].to_pylist() == table["z"].to_pylist() == wanted
        if name in ("threads", "async"):
            with pytest.raises(ZeroDivisionError) as caught:
                batches(TEN, 4).with_columns(z=fn, y=drop).collect()
            assert "row 3: a=3" in caught.value.__notes__[-1]
    with pytest.raises(ZeroDivisionError) as caught:
        batches(TEN, 4).with_columns(z=later, y=engine).collect()
    assert "WITH z = later(a)" in caught.value.__notes__[-1]
    with pytest.raises(ZeroDivisionError) as caught:
        batches(TEN, 4).with_columns(y=drop, z=late).collect()
    assert "row 9: a=9" in caught.value.__notes__[-1]
    with pytest.raises(sb.PlanError, match="called in its turn"):
        batches(TEN, 4).with_columns(y=drop, z=udf(bad, compile="require"))


def test_record_functions_that_are_awaited_get_the_row():
    async def later(row) -> int:
        return row["a"] + 1

    assert values(batches(TEN, 4).with_columns(y=later)) == list(range(1, 11))
    with pytest.raises(sb.PlanError, match="takes a row"):
        batches(TEN, 4).with_columns(y=udf(lambda row: row["a"] + 1, use_process=True))
