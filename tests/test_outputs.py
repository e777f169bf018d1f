"""Results in other shapes: what a library, a loop or a reader gets is what was in the columns."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import math
import random
import statistics
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import sabot as sb
from sabot import _frame, _outputs
from sabot._optional import MissingLibraryError, need
from sabot._outputs import (
    aiter_rows,
    describe,
    foreach,
    iter_rows,
    show,
    to_numpy,
    to_pandas,
    to_polars,
)

pytestmark = pytest.mark.api

TABLE = pa.table({"a": [1, 2, None], "x": [0.5, None, -1.5], "s": ["é", "", None]})


@pytest.fixture(autouse=True)
def not_alone(monkeypatch):
    """As in a program with an event loop in another thread: frames are made in parts."""
    monkeypatch.setattr(_outputs.threading, "active_count", lambda: 2)


class Source:
    """Batches with an iterator, sync and async, that counts how often it is closed."""

    def __init__(self, batches):
        self.rest, self.closed = iter(batches), 0

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.rest)

    def close(self):
        self.closed += 1

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        for batch in self.rest:
            return batch
        raise StopAsyncIteration

    async def aclose(self):
        await asyncio.sleep(0)
        self.closed += 1


# --- libraries


def test_pandas():
    frame = to_pandas(TABLE)
    assert list(frame.columns) == ["a", "x", "s"] and frame["x"][0] == 0.5
    frame = to_pandas(TABLE, arrow_types=True)
    assert frame["a"].dtype == pd.ArrowDtype(pa.int64()) and pd.isna(frame["a"][2])


def test_pandas_does_not_change_large_integers():
    for large in (2**53 + 1, -(2**53) - 1):
        table = pa.table({"a": [large, None]})
        with pytest.raises(sb.DataError, match=rf"column 'a' has nulls.*{abs(large)}.*arrow_types"):
            to_pandas(table)
        assert to_pandas(table, arrow_types=True)["a"][0] == large
    assert to_pandas(pa.table({"a": [2**53, None]}))["a"][0] == 2**53
    assert to_pandas(pa.table({"a": [2**53 + 1, 0]}))["a"][0] == 2**53 + 1
    assert len(to_pandas(pa.table({"a": pa.array([None], pa.int64())}))) == 1


LEAVES = [
    *(pa.int64(), pa.uint8(), pa.bool_(), pa.float32(), pa.float16(), pa.string(), pa.binary()),
    *(
        pa.date32(),
        pa.timestamp("us"),
        pa.timestamp("ns", "UTC"),
        pa.time64("us"),
        pa.duration("s"),
    ),
    *(pa.date64(), pa.decimal128(5, 2), pa.large_binary(), pa.null()),
    pa.dictionary(pa.int32(), pa.string()),
]


def some_type(rng, depth=3):
    kind = rng.random()
    if depth == 0 or kind < 0.25:
        return rng.choice(LEAVES)
    inner = some_type(rng, depth - 1)
    if kind < 0.5:
        return rng.choice([pa.list_, pa.large_list])(inner)
    if kind < 0.75:
        return pa.struct([("x", inner), ("y", some_type(rng, depth - 1))][: rng.randint(0, 2)])
    return pa.map_(pa.string(), inner) if kind < 0.9 else pa.list_(inner, rng.randint(1, 2))


def some_value(rng, kind, nulls):
    types, n = pa.types, rng.randint(0, 9)
    if rng.random() < nulls or types.is_null(kind):
        return None
    if types.is_map(kind):
        return [(f"k{k}", some_value(rng, kind.item_type, nulls)) for k in range(n % 3)]
    if types.is_nested(kind) and not types.is_struct(kind):
        count = kind.list_size if types.is_fixed_size_list(kind) else n % 4
        return [some_value(rng, kind.value_type, nulls) for _ in range(count)]
    if types.is_struct(kind):
        return {field.name: some_value(rng, field.type, nulls) for field in kind}
    if types.is_temporal(kind):
        return pa.scalar(n, pa.int32() if types.is_date32(kind) else pa.int64()).cast(kind).as_py()
    if types.is_float16(kind):
        return np.float16(n)
    if types.is_boolean(kind):
        return n % 2 == 0
    if types.is_binary(kind) or types.is_large_binary(kind):
        return b"%d" % n
    if types.is_string(kind) or types.is_dictionary(kind):
        return str(n)
    return decimal.Decimal(n) if types.is_decimal(kind) else n


def told(value):
    """A value with the types of all that is in it."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}[{', '.join(map(told, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {told(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(told, value))})"
    return f"{type(value).__name__} {value!r}"


@pytest.mark.parametrize("seed", range(300))
def test_pandas_by_parts_is_pandas_at_once(seed, monkeypatch):
    monkeypatch.setattr(_frame, "_ROWS_MIN", 1)
    rng = random.Random(seed)
    kind, nulls, count = some_type(rng), rng.choice([0, 0, 0.05, 0.2]), rng.choice([1, 17, 60, 200])
    chunks = [
        pa.array([some_value(rng, kind, nulls) for _ in range(rows)], kind)
        for rows in (count, rng.randint(0, 5))
    ]
    column = pa.chunked_array(chunks, kind)
    if rng.random() < 0.5:
        column = column.slice(rng.randint(0, count), rng.randint(0, count))
    table = pa.table({"i": range(len(column)), "c": column, "s": ["x"] * len(column)})
    try:
        wanted = table.to_pandas()
    except pa.ArrowException as error:  # a type that pandas has no objects for
        with pytest.raises(type(error)):
            to_pandas(table)
        return
    given = to_pandas(table)
    assert list(given.columns) == list(wanted.columns)
    assert list(given.dtypes) == list(wanted.dtypes)
    assert given.index.equals(wanted.index)
    assert [told(value) for value in given["c"]] == [told(value) for value in wanted["c"]]


def test_pandas_by_parts_keeps_the_index(monkeypatch):
    monkeypatch.setattr(_frame, "_ROWS_MIN", 1)
    made = []
    monkeypatch.setattr(_frame, "_objects", lambda c, own=_frame._objects: made.append(1) or own(c))
    frame = pd.DataFrame({"k": [b"x", b"y"], "v": [[1], [2, 3]]}, index=[5, 9])
    for wanted in (frame, frame.set_index("k"), frame.set_index("v")):
        table = pa.Table.from_pandas(wanted)
        given = to_pandas(table)
        pd.testing.assert_frame_equal(given, table.to_pandas())
        assert [told(v) for v in given.index] == [told(v) for v in table.to_pandas().index]
    twice = pa.Table.from_arrays([table["v"], table["v"]], ["v", "v"])
    assert to_pandas(twice).shape == (2, 2)
    assert len(made) == 7


def test_polars():
    frame = to_polars(TABLE)
    assert frame.schema == {"a": pl.Int64, "x": pl.Float64, "s": pl.String}
    assert frame.to_dicts() == TABLE.to_pylist()
    runs = pa.compute.run_end_encode(pa.array(["x", "x", None]))
    assert to_polars(pa.table({"r": runs}))["r"].to_list() == ["x", "x", None]
    assert to_polars(TABLE.slice(0, 0)).schema == frame.schema
    kinds = pa.array([0], pa.int8())
    union = pa.UnionArray.from_sparse(kinds, [pa.array([1])])
    with pytest.raises(
        sb.TypeMismatchError, match="column 'u' is sparse_union.*Polars does not have"
    ):
        to_polars(pa.table({"u": union}))
    with pytest.raises(sb.SchemaError, match="no two columns"):
        to_polars(pa.Table.from_arrays([[1], [2]], names=["a", "a"]))


def test_numpy():
    day = dt.datetime(2024, 2, 29)
    table = pa.table(
        {
            "i": pa.array([1, 2], pa.int8()),
            "x": [0.5, math.nan],
            "b": [True, False],
            "t": pa.array([day, day], pa.timestamp("ns")),
            "d": [dt.date(2024, 2, 29)] * 2,
            "z": pa.array([dt.datetime(2024, 2, 29, 12)] * 2, pa.timestamp("us", "Europe/Paris")),
            "v": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)),
            "c": pa.array([5, 5]).dictionary_encode(),
        }
    )
    got = to_numpy(table)
    assert got["i"].dtype == np.int8 and got["x"].dtype == np.float64 and got["b"].dtype == bool
    assert got["t"].dtype == "datetime64[ns]" and got["d"].tolist() == [dt.date(2024, 2, 29)] * 2
    assert got["z"].tolist() == [dt.datetime(2024, 2, 29, 12)] * 2
    assert got["v"].tolist() == [[1, 2], [3, 4]] and got["c"].tolist() == [5, 5]
    assert to_numpy(table.slice(1))["v"].tolist() == [[3, 4]]
    chunks = pa.concat_tables([table, table.slice(1)])
    assert to_numpy(chunks)["i"].tolist() == [1, 2, 2]
    assert to_numpy(table.slice(0, 0))["v"].shape == (0, 2)
    assert to_numpy(table.schema.empty_table())["i"].dtype == np.int8
    one = table["i"].chunk(0)
    assert np.shares_memory(to_numpy(table)["i"], one.to_numpy())


def test_numpy_says_what_it_lacks():
    with pytest.raises(sb.DataError, match="column 'a' has 1 nulls, which int64 in NumPy"):
        to_numpy(TABLE)
    with pytest.raises(sb.TypeMismatchError, match="column 's' is string"):
        to_numpy(TABLE.select(["s"]))
    with pytest.raises(sb.SchemaError, match="two columns are named 'a'"):
        to_numpy(pa.Table.from_arrays([[1], [2]], names=["a", "a"]))
    lists = pa.array([[1, 2], None], pa.list_(pa.int8(), 2))
    with pytest.raises(sb.TypeMismatchError):
        to_numpy(pa.table({"v": lists}))
    got = to_numpy(TABLE, allow_objects=True)
    assert {name: array.tolist() for name, array in got.items()} == TABLE.to_pydict()
    assert {array.dtype for array in got.values()} == {np.dtype(object)}
    lists = pa.table({"v": [[1], [2]]})
    assert to_numpy(lists, allow_objects=True)["v"].tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("name", "call"), [("pandas", to_pandas), ("polars", to_polars), ("numpy", to_numpy)]
)
def test_a_library_that_is_not_there_is_named(monkeypatch, name, call):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingLibraryError, match=rf"to_{name} needs {name}: pip install {name}"
    ) as caught:
        call(TABLE)
    assert isinstance(caught.value, ImportError) and isinstance(caught.value, sb.PlanError)


def test_a_library_that_is_broken_says_so_itself(tmp_path, monkeypatch):
    (tmp_path / "sabot_test_broken.py").write_text("import sabot_test_absent")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="sabot_test_absent"):
        need("sabot_test_broken", "a test")


# --- rows


def test_rows_are_dicts_in_order():
    table = pa.table({"v": range(5000), "l": [[k] for k in range(5000)]})
    source = Source(table.to_batches(max_chunksize=1500))
    assert list(iter_rows(source)) == table.to_pylist()
    assert source.closed == 1
    assert list(iter_rows([])) == []


def test_rows_stop_early_and_the_source_is_closed():
    source = Source(TABLE.to_batches() * 3)
    rows = iter_rows(source)
    assert next(rows) == TABLE.to_pylist()[0]
    rows.close()
    assert source.closed == 1
    twins = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    source = Source([twins])
    with pytest.raises(sb.SchemaError, match="two columns are named 'a'"):
        next(iter_rows(source))
    assert source.closed == 1


def test_rows_that_arrive_asynchronously():
    table = pa.table({"v": range(5000)})
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def run():
        task = asyncio.create_task(others())
        source = Source(table.to_batches(max_chunksize=2500))
        got = [row async for row in aiter_rows(source)]
        task.cancel()
        assert (got, source.closed) == (table.to_pylist(), 1)
        source = Source(table.to_batches())
        rows = aiter_rows(source)
        assert await anext(rows) == {"v": 0}
        await rows.aclose()
        assert source.closed == 1

    asyncio.run(run())
    assert turns >= 6


def test_foreach():
    seen, source = [], Source(TABLE.to_batches() * 2)
    assert foreach(source, seen.append) is None
    assert (len(seen), source.closed) == (2, 1)
    source = Source(TABLE.to_batches() * 2)
    with pytest.raises(ZeroDivisionError):
        foreach(source, lambda batch: 1 / 0)
    assert source.closed == 1


# --- text


def test_show():
    assert show(TABLE, 3) == (
        "    a       x  s\n"
        "int64  double  string\n"
        "─────  ──────  ──────\n"
        "    1     0.5  é\n"
        "    2    null\n"
        " null    -1.5  null\n"
        "3 rows\n"
    )
    assert show(TABLE, 3000, 1).splitlines()[3:] == [
        "    1     0.5  é",
        "3,000 rows, 2,999 more than shown",
    ]
    assert show(TABLE, None, 2).splitlines()[-1] == "2 rows, and more"
    assert show(TABLE, None, 3).splitlines()[-1] == "3 rows"
    assert show(TABLE.slice(0, 1), None).splitlines()[-1] == "1 row"
    assert show(TABLE, 3, 0).splitlines()[-1] == "3 rows, 3 more than shown"
    assert show(pa.table({}), 0) == "0 rows\n"


def test_show_cuts_what_is_long_and_escapes_what_is_no_text():
    table = pa.table({"s": ["x" * 100, "a\n\tb\x1b[0m", "日本" * 20], "n" * 60: [1, 2, 3]})
    lines = show(table, 3).splitlines()
    assert lines[3].startswith("x" * 31 + "…  ")
    assert "a\\n\\tb\\x1b[0m" in lines[4] and "\x1b" not in "".join(lines)
    assert lines[5].startswith("日本" * 7 + "日…")
    assert lines[0].endswith("n" * 31 + "…")
    many = pa.table({f"column{k}": [k] for k in range(100)})
    lines = show(many, 1, width=50).splitlines()
    assert all(len(line) <= 50 for line in lines)
    assert lines[-1].startswith("95 columns more: column5, column6") and lines[-1].endswith("…")
    assert len(lines[0].split()) == 5


def test_show_values_of_many_types():
    moment = pa.array([1, None], pa.timestamp("ns"))
    table = pa.table(
        {
            "b": [True, None],
            "f": pa.array([0.1, None], pa.float32()),
            "bin": [b"\xff", None],
            "t": moment,
            "du": pa.array([5, None], pa.duration("ns")),
            "dec": [decimal.Decimal("1.50"), None],
            "l": [[1.0, None], None],
            "st": [{"k": "é"}, None],
            "in": pa.array([[1], None], pa.list_(pa.timestamp("ns"))),
        }
    )
    lines = show(table, 2, width=1000).splitlines()
    for text in (
        "true",
        r"b'\xff'",
        "1970-01-01 00:00:00.000000001",
        "5 ns",
        "1.50",
        "[1.0, None]",
        "{'k': 'é'}",
    ):
        assert text in lines[3]
    assert lines[3].split()[1] == "0.1"
    assert lines[4].split() == ["null"] * 9


# --- statistics


def test_describe_numbers():
    numbers = random.Random(1)
    values = [numbers.gauss(0, 9) for _ in range(999)]
    whole = [numbers.randrange(-(10**6), 10**6) for _ in values]
    table = pa.table({"x": [*values, None], "i": [*whole, None]})
    source = Source(table.to_batches(max_chunksize=100))
    got = describe(source, None)
    assert source.closed == 1
    assert got["statistic"].to_pylist() == [
        "count",
        "null_count",
        "mean",
        "std",
        "min",
        "25%",
        "50%",
        "75%",
        "max",
    ]
    for name, given in (("x", values), ("i", whole)):
        ordered = sorted(given)
        wanted = [
            999,
            1,
            statistics.fmean(given),
            statistics.stdev(given),
            ordered[0],
            ordered[250],
            ordered[499],
            ordered[749],
            ordered[-1],
        ]
        assert got[name].to_pylist() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, 8, 50])
def test_describe_agrees_with_polars(rows):
    numbers = random.Random(rows)
    table = pa.table(
        {
            "i": [numbers.randrange(100) for _ in range(rows)],
            "u": pa.array([numbers.randrange(100) for _ in range(rows)], pa.uint8()),
            "x": [numbers.random() for _ in range(rows)],
            "b": [numbers.random() < 0.5 for _ in range(rows)],
            "s": [str(numbers.randrange(100)) for _ in range(rows)],
            "n": pa.array([None, *[1.0] * (rows - 1)], pa.float64()),
        }
    )
    got, wanted = describe(table.to_batches(), None), pl.from_arrow(table).describe()
    for name in table.column_names:
        mine, theirs = got[name].to_pylist(), wanted[name].to_list()
        if name == "s":
            assert mine == theirs
        else:
            assert [v is None for v in mine] == [v is None for v in theirs], name
            assert [v for v in mine if v is not None] == pytest.approx(
                [v for v in theirs if v is not None]
            )


def test_describe_times_and_the_rest():
    day = dt.datetime(2024, 2, 29)
    table = pa.table(
        {
            "t": pa.array([day, day + dt.timedelta(hours=2), None], pa.timestamp("ns")),
            "d": [dt.date(2024, 1, 1), dt.date(2024, 1, 3), None],
            "du": pa.array([10, 30, None], pa.duration("s")),
            "l": [[1], None, []],
            "c": pa.array(["b", "a", None]).dictionary_encode(),
            "m": [decimal.Decimal("1.5"), decimal.Decimal("2.5"), None],
            "h": pa.array([0.5, 1.5, None], pa.float16()),
            "none": pa.nulls(3),
        }
    )
    got = describe(table.to_batches(), None).to_pydict()
    assert got["t"][0:5] == [
        "2",
        "1",
        "2024-02-29 01:00:00.000000000",
        None,
        "2024-02-29 00:00:00.000000000",
    ]
    assert (got["d"][2], got["d"][8]) == ("2024-01-02", "2024-01-03")
    assert (got["du"][2], got["du"][4]) == ("20 s", "10 s")
    assert got["l"] == ["2", "1", *[None] * 7]
    assert (got["c"][4], got["c"][8], got["c"][1]) == ("a", "b", "1")
    assert got["m"][:3] == [2, 1, 2] and got["h"][:3] == [2, 1, 1]
    assert got["none"] == ["0", "3", *[None] * 7]
    many = pa.table({"t": pa.array([2**62] * 100, pa.timestamp("ns"))})
    assert (
        describe(many.to_batches(), None)["t"][2].as_py()
        == describe(many.to_batches(), None)["t"][4].as_py()
    )


def test_describe_nothing():
    got = describe([], TABLE.schema).to_pydict()
    assert got["a"] == [0, 0, *[None] * 7] and got["s"] == ["0", "0", *[None] * 7]
    assert describe([], None).column_names == ["statistic"]
    assert describe([], pa.schema([("t", pa.timestamp("s"))])).num_rows == 9
    with pytest.raises(sb.SchemaError, match="'statistic'"):
        describe([], pa.schema([("statistic", pa.int64())]))
