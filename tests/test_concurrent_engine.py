"""Calls that run at the same time give what the engine gives: the same rows, errors, and records of failed rows."""

from __future__ import annotations

import asyncio
import random

import pyarrow as pa
import pytest
from support import Trouble

from sabot import Stream, udf

pytestmark = pytest.mark.api


def batches(table, rows):
    """A source of batches of exactly so many rows."""
    return Stream.from_batches(table.to_batches(max_chunksize=rows), schema=table.schema)


def everything(stream):
    """Rows, error, its note without the operator's number, recorded rows."""
    rows = []
    try:
        for batch in stream:
            rows += batch.to_pylist()
    except Exception as error:
        notes = [note.split(": operator")[0] + note.rsplit(", row")[-1] for note in error.__notes__]
        return rows, type(error), error.args, notes, stream.last_run.errors.to_pylist()
    return rows, stream.last_run.errors.to_pylist()


@pytest.mark.parametrize("seed", range(40))
def test_the_same_as_in_the_engine(seed):
    chance = random.Random(seed)
    count = chance.choice([1, 5, 40, 200])
    whole = [None if chance.random() < 0.1 else chance.randrange(-5, 50) for _ in range(count)]
    text = [None if chance.random() < 0.1 else "x" * chance.randrange(4) for _ in range(count)]
    table = pa.table({"a": pa.array(whole, pa.int64()), "s": pa.array(text, pa.string())})
    failing = chance.choice([99, 3, 17, 40])
    odd = chance.choice([1, 1.0, None, "s", 2**60])
    returns = chance.choice([pa.int64(), pa.float64(), pa.string(), pa.bool_()])

    def f(a, s):
        value = dict(k=a)["k"]
        if value == failing:
            raise Trouble("at", value)
        if value == failing + 1:
            return 1 // 0
        if value is not None and value >= 30:
            return odd
        kinds = {
            "int64": value,
            "double": value and value / 2,
            "string": s,
            "bool": value and value > 3,
        }
        return kinds[str(returns)] if value is None or str(returns) != "bool" else value > 3

    async def later(a, s):
        await asyncio.sleep(chance.random() * 0.002)
        return f(a, s)

    later.__name__ = "f"
    options = {
        "on_error": chance.choice(["raise", "null", "skip"]),
        "nulls": chance.choice(["pass", "skip"]),
        "returns": returns,
    }
    operator = chance.choice(["with_columns", "filter", "both"])
    first = chance.random() < 0.3
    source = batches(table, chance.choice([1, 3, 50, 200]))
    source = source.filter(lambda a: a is None or a != 7) if first else source
    width = chance.randrange(1, 6)

    def of(fn, **more):
        given = udf(fn, **options, **more)
        if operator == "filter":
            return everything(source.filter(given))
        if operator == "with_columns":
            return everything(source.with_columns(y=given))
        return everything(source.with_columns(s=given, z=lambda a: a))

    expected = of(f)
    assert of(f, max_concurrency=width) == expected
    assert of(later, max_concurrency=width) == expected
