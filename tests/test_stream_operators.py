"""Operators on whole batches, and what a stream gives at its end."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import time
import weakref

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from support import THREADS, TIERS, Trouble

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

TABLE = pa.table({"a": list(range(10)), "t": [f"t{k}" for k in range(10)]})
CUTS = (1, 3, 4, 10, None)


def ways():
    for tier, threads, cut in itertools.product(TIERS, THREADS, CUTS):
        with sb.config(tier=tier, threads=threads):
            yield Stream.from_table(TABLE, cut)


def values(stream, name="a"):
    return stream.collect()[name].to_pylist()


def sizes(stream):
    return [batch.num_rows for batch in stream]


def deferred():
    """A stream whose columns are known only as it runs."""
    return Stream.from_batches(lambda: iter(TABLE.to_batches(max_chunksize=4)))


# --- limit, skip, rebatch


def test_limit_and_skip():
    for stream in ways():
        for rows in (0, 1, 3, 4, 9, 10, 11, 2**63 - 1):
            assert values(stream.limit(rows)) == list(range(10))[:rows]
            assert values(stream.skip(rows)) == list(range(10))[rows:]
            assert values(stream.skip(2).limit(rows).skip(1)) == list(range(10))[2:][:rows][1:]
        assert stream.limit(0).collect().schema == TABLE.schema
        assert sizes(stream.skip(10)) == []
    assert values(Stream.from_table(TABLE).head(2)) == values(Stream.from_table(TABLE).take(2))
    assert values(deferred().skip(7)) == [7, 8, 9]
    assert values(deferred().limit(5)) == [0, 1, 2, 3, 4]


def test_rebatch():
    for stream in ways():
        for rows in (1, 2, 3, 4, 7, 10, 11):
            given = stream.rebatch(rows)
            full, rest = divmod(10, rows)
            assert sizes(given) == [rows] * full + [rest] * (rest > 0)
            assert given.collect() == TABLE


def test_rebatch_joins_batches_of_every_kind():
    texts = ["x", None, "yy", "z"]
    columns = {
        "dictionary": pa.array(texts).dictionary_encode(),
        "large": pa.array(texts, pa.large_string()),
        "list": pa.array([[1], None, [], [2, 3]]),
        "struct": pa.array([{"k": 1}, None, {"k": None}, {"k": 4}]),
        "fixed": pa.array([b"ab", None, b"cd", b"ef"], pa.binary(2)),
        "bool": pa.array([True, None, False, True]),
        "null": pa.nulls(4),
    }
    table = pa.table(columns, metadata={b"made": b"here"})
    for cut, rows in ((1, 3), (3, 2), (1, 4)):
        stream = Stream.from_table(table, cut).rebatch(rows)
        got = stream.collect()
        assert got.to_pylist() == table.to_pylist()
        assert got.schema.equals(table.schema, check_metadata=True)
        for batch in stream:
            batch.validate(full=True)


def test_rebatch_joins_batches_with_different_dictionaries():
    pieces = [pa.record_batch({"d": pa.array([x, "b"]).dictionary_encode()}) for x in "ace"]
    stream = Stream.from_batches(pieces).rebatch(4)
    assert values(stream, "d") == ["a", "b", "c", "b", "e", "b"]
    assert sizes(stream) == [4, 2]


def test_numbers_of_rows_are_checked():
    stream = Stream.from_table(TABLE)
    for call in (stream.limit, stream.skip, stream.rebatch, stream.show):
        for wrong in (-1, 1.5, "3", None, True, 2**63):
            with pytest.raises(sb.PlanError, match="it takes a whole number from"):
                call(wrong)
    with pytest.raises(sb.PlanError, match=r"rebatch\(0\): it takes a whole number from 1 on"):
        stream.rebatch(0)


# --- columns


def test_rename():
    for stream in ways():
        given = stream.rename(a="n").with_columns(y=lambda n: n + 1)
        assert given.schema.names == ["n", "t", "y"]
        assert values(given, "y") == list(range(1, 11))
        assert stream.rename(a="t", t="a").collect()["a"].to_pylist()[0] == "t0"
    stream = Stream.from_table(TABLE)
    with pytest.raises(sb.PlanError, match="rename gives two columns the name 't'"):
        stream.rename(a="t")
    with pytest.raises(sb.UnknownColumnError, match="there is no column 'aa'; did you mean 'a'"):
        stream.rename(aa="b")
    with pytest.raises(sb.PlanError, match="rename needs old="):
        stream.rename()
    with pytest.raises(sb.PlanError, match="rename takes names of columns"):
        stream.rename(a=3)
    renamed = stream.map(lambda batch: batch).rename(a="b")
    assert renamed.collect() == TABLE.rename_columns(["b", "t"])


def test_rename_keeps_what_a_schema_says():
    schema = pa.schema(
        [pa.field("a", pa.int64(), nullable=False, metadata={b"unit": b"km"})], {b"made": b"here"}
    )
    given = Stream.from_table(pa.table({"a": [1]}, schema=schema)).rename(a="b")
    wanted = pa.schema([schema.field("a").with_name("b")], schema.metadata)
    assert given.schema.equals(wanted, check_metadata=True)
    assert given.collect().schema.equals(wanted, check_metadata=True)


def test_drop():
    for stream in ways():
        assert stream.drop("a").collect() == TABLE.select(["t"])
        assert stream.with_columns(y=lambda a: a).drop("a", "t").schema.names == ["y"]
    stream = Stream.from_table(TABLE)
    with pytest.raises(sb.UnknownColumnError, match="there is no column 'aa'; did you mean 'a'"):
        stream.drop("aa")
    for call in (stream.drop, stream.select, deferred().drop, deferred().select):
        for wrong in (5, None, ["a"]):
            with pytest.raises(sb.PlanError, match="takes names of columns, one argument each"):
                call(wrong)


# --- flat_map


def test_flat_map():
    def halves(batch):
        middle = batch.num_rows // 2
        yield batch.slice(0, middle)
        yield pa.table(batch.slice(middle))
        yield {"a": [-1], "t": ["end"]}

    for stream in ways():
        given = stream.flat_map(halves, schema=TABLE.schema)
        expected = []
        for batch in stream:
            expected += [*batch["a"].to_pylist(), -1]
        assert values(given) == expected
        assert values(given.filter(lambda a: a < 0)) == [-1] * expected.count(-1)
    assert Stream.from_table(TABLE).flat_map(lambda batch: []).count() == 0
    unknown = Stream.from_table(TABLE).flat_map(halves)
    assert unknown.schema is None
    assert values(unknown) == [*range(10), -1]


def test_flat_map_functions_that_return_something_else():
    stream = Stream.from_table(TABLE, 5)
    for made, name in (
        (None, "NoneType"),
        (5, "int"),
        ("ab", "str"),
        (TABLE, "Table"),
        ({}, "dict"),
    ):
        with pytest.raises(sb.DataError, match=f"returned {name}; a flat_map function") as caught:
            stream.flat_map(lambda batch: made).collect()
        assert caught.value.__notes__ == ["in FLAT_MAP <lambda>(batch): batch 0"]
    with pytest.raises(sb.DataError, match="gave None as its batch 1; leave it out"):
        stream.flat_map(lambda batch: [batch, None]).collect()
    with pytest.raises(sb.DataError, match="returned int; a map function returns"):
        stream.flat_map(lambda batch: [batch, 3]).collect()
    with pytest.raises(sb.SchemaError, match="column 'a' is string, in the schema it is int64"):
        stream.flat_map(lambda batch: [{"a": ["x"], "t": ["y"]}], TABLE.schema).collect()
    with pytest.raises(sb.PlanError, match="flat_map takes a function, not int"):
        stream.flat_map(3)
    with pytest.raises(sb.PlanError, match="schema="):
        stream.flat_map(list, schema=["a"])


def test_flat_map_functions_that_fail():
    closed = []

    def fn(batch):
        try:
            yield batch
            if batch["a"][0].as_py():
                raise Trouble("one", 2)
        finally:
            closed.append(batch.num_rows)

    stream = Stream.from_table(TABLE, 4).flat_map(fn)
    for run in (stream.collect, lambda: asyncio.run(gathered(stream))):
        with pytest.raises(Trouble) as caught:
            run()
        assert (caught.value.args, caught.value.extra) == (("one", 2), "kept")
        assert caught.value.__notes__ == ["in FLAT_MAP fn(batch): batch 1"]
    closed.clear()
    running = iter(stream)
    next(running)
    running.close()
    assert closed == [4]


async def gathered(stream):
    return [batch async for batch in stream]


# --- a failing row behind other operators


def test_a_failing_row_between_operators():
    for stream in ways():
        given = stream.skip(2).rebatch(3).with_columns(y=lambda a: 6 // (a - 7)).limit(9)
        with pytest.raises(ZeroDivisionError) as caught:
            given.collect()
        # Rows and operators are counted from the source on, batches in what the function's run reads.
        assert caught.value.__notes__ == [
            "in WITH y = <lambda>(a): operator 2, batch 1, row 7: a=7"
        ]


# --- explain


def test_explain():
    stream = Stream.from_table(TABLE)
    given = (
        stream.filter(lambda a: a > 1)
        .limit(5)
        .with_columns(y=lambda a: a + 1)
        .skip(1)
        .union(
            stream.with_columns(y=lambda a: a).select("a", "t", "y"),
            stream.with_columns(y=lambda a: -a),
        )
        .rebatch(100)
        .filter(lambda y: y > 0)
        .rename(y="z")
    )
    assert given.explain() == (
        "RENAME y to z\n"
        "└─ FILTER <lambda>(y)  compiled, scalar  reads y\n"
        "   └─ REBATCH 100      3 columns\n"
        "      └─ UNION in order  3 columns\n"
        "         ├─ SKIP 1  3 columns\n"
        "         │  └─ WITH   y = <lambda>(a)  compiled, scalar  reads a\n"
        "         │     └─ LIMIT 5              2 columns\n"
        "         │        └─ FILTER <lambda>(a)  compiled, scalar  reads a\n"
        "         │           └─ TABLE 10 rows    2 columns\n"
        "         ├─ SELECT a, t, y\n"
        "         │  └─ WITH   y = <lambda>(a)  compiled, scalar  reads a\n"
        "         │     └─ TABLE 10 rows        2 columns\n"
        "         └─ WITH   y = <lambda>(a)  compiled, scalar  reads a\n"
        "            └─ TABLE 10 rows        2 columns\n"
    )
    assert given.explain() in repr(given)


def test_explain_where_columns_are_not_known():
    given = deferred().select("a").limit(3).filter(lambda a: a > 0).flat_map(list)
    assert given.explain() == (
        "FLAT_MAP list(batch)   columns as the first batch has them\n"
        "└─ 1 operator, bound when the first batch arrives\n"
        "   └─ LIMIT 3   columns as the first batch has them\n"
        "      └─ 1 operator, bound when the first batch arrives\n"
        "         └─ BATCHES <lambda>()   columns as the first batch has them\n"
    )


# --- sinks


def test_files_there_and_back(tmp_path):
    for tier in TIERS:
        with sb.config(tier=tier):
            stream = Stream.from_table(TABLE, 3).with_columns(y=lambda a: a / 4)
            expected = stream.collect()
            for kind in ("parquet", "csv", "json", "ipc"):
                path = str(tmp_path / f"out.{kind}")
                result = getattr(stream.skip(1), f"to_{kind}")(path)
                assert (result.rows, list(result.files)) == (9, [path])
                assert getattr(Stream, f"from_{kind}")(path).collect() == expected.slice(1)
    assert pq.read_table(tmp_path / "out.parquet") == expected.slice(1)
    assert pyarrow.csv.read_csv(tmp_path / "out.csv") == expected.slice(1)
    assert pyarrow.ipc.open_file(tmp_path / "out.ipc").read_all() == expected.slice(1)
    first = json.loads((tmp_path / "out.json").read_text().split("\n")[0])
    assert first == {"a": 1, "t": "t1", "y": 0.25}


def test_writing_modes(tmp_path):
    path = str(tmp_path / "x.parquet")
    stream = Stream.from_table(TABLE)
    stream.to_parquet(path)
    assert stream.limit(2).to_parquet(path, mode="append").rows == 2
    assert values(Stream.from_parquet(path)) == [*range(10), 0, 1]
    with pytest.raises((OSError, sb.PlanError)):
        stream.to_parquet(path, mode="error")
    with pytest.raises(sb.PlanError, match="no option 'modus'; did you mean 'mode'"):
        stream.to_parquet(path, modus="error")
    with pytest.raises(Trouble):
        stream.map(fail, TABLE.schema).to_parquet(path)
    assert values(Stream.from_parquet(path)) == [*range(10), 0, 1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.parquet"]


def fail(batch: pa.RecordBatch):
    raise Trouble("one", 2)


def test_writing_what_has_no_end(tmp_path):
    asked = []

    def endless():
        for k in range(100):
            asked.append(k)
            yield pa.record_batch({"a": [k] * 10})

    stream = Stream.from_batches_unbounded(endless)
    for kind in ("parquet", "csv", "json", "ipc"):
        with pytest.raises(sb.PlanError, match="roll_rows"):
            getattr(stream, f"to_{kind}")(str(tmp_path / "x"))
    assert asked == []
    result = stream.to_parquet(str(tmp_path / "rolled"), roll_rows=400)
    assert (result.rows, len(result.files)) == (1000, 3)
    assert Stream.from_parquet(str(tmp_path / "rolled")).count() == 1000
    assert stream.limit(15).to_parquet(str(tmp_path / "x.parquet")).rows == 15


def test_show(capsys):
    Stream.from_table(TABLE.slice(0, 2)).show()
    assert capsys.readouterr().out == (
        "    a  t\nint64  string\n─────  ──────\n    0  t0\n    1  t1\n2 rows\n"
    )
    Stream.from_table(TABLE).show(2)
    assert "2 rows, and more" in capsys.readouterr().out
    Stream.from_batches_unbounded(lambda: iter(TABLE.to_batches())).show(3)
    assert "3 rows, and more" in capsys.readouterr().out


def test_describe():
    for stream in ways():
        got = stream.filter(lambda a: a < 5).describe()
        rows = {row["statistic"]: row for row in got.to_pylist()}
        assert (rows["count"]["a"], rows["mean"]["a"], rows["max"]["t"]) == (5, 2, "t4")


def test_count_and_foreach():
    for stream in ways():
        seen = []
        stream.filter(lambda a: a % 2).foreach(lambda batch: seen.extend(batch["a"].to_pylist()))
        assert seen == [1, 3, 5, 7, 9]
        assert stream.filter(lambda a: a % 2).count() == 5
    with pytest.raises(Trouble):
        Stream.from_table(TABLE).foreach(fail)


def test_arrow_stream():
    for stream in ways():
        given = stream.with_columns(y=lambda a: a * a).skip(8)
        reader = pa.RecordBatchReader.from_stream(given)
        assert reader.read_all() == given.collect() == pa.table(given)
    with pytest.raises(sb.PlanError, match="__arrow_c_stream__: the columns are not known"):
        deferred().__arrow_c_stream__()


def test_what_reads_an_arrow_stream_may_stop():
    closed = []

    def source():
        try:
            for _ in range(100):
                yield TABLE.to_batches()[0]
        finally:
            closed.append(1)

    reader = pa.RecordBatchReader.from_stream(Stream.from_batches(source, TABLE.schema))
    reader.read_next_batch()
    del reader
    gc.collect()
    assert closed == [1]


def test_to_numpy():
    got = Stream.from_table(TABLE, 3).select("a").to_numpy()
    assert got["a"].tolist() == list(range(10))
    with pytest.raises(sb.TypeMismatchError, match="column 't' is string, which NumPy"):
        Stream.from_table(TABLE).to_numpy()


def test_last_run():
    for stream in ways():
        given = stream.limit(6).with_columns(y=lambda a: a + 1)
        assert given.last_run is None
        given.collect()
        (function,) = given.last_run.report["functions"]
        assert function["rows"] == 6


# --- shapes of plans


def test_no_operator_gives_no_empty_batch():
    table = pa.table({"a": pa.chunked_array([[1, 2], [], [3]], pa.int64())})
    stream = Stream.from_table(table)
    assert [batch.num_rows for batch in stream] == [2, 1]
    assert stream.last_run.report == {"functions": []}
    assert stream.collect().equals(table)


def test_a_deep_plan():
    stream = Stream.from_table(TABLE)
    for _ in range(15):
        stream = stream.skip(0).filter(lambda a: a >= 0).limit(100)
    assert values(stream) == list(range(10))
    assert sum(batch.num_rows for batch in asyncio.run(gathered(stream))) == 10


def test_nothing_is_leaked():
    class Thing:
        pass

    def runs():
        thing = Thing()
        weak.append(weakref.ref(thing))

        def source():
            while thing:
                yield pa.record_batch({"a": [1] * 1000})

        for schema in (None, pa.schema([("a", pa.int64())])):
            endless = Stream.from_batches(source, schema).with_columns(y=lambda a: a * 2)
            for _ in endless:
                break
            assert endless.limit(1500).count() == 1500
        stream = Stream.from_table(TABLE, 3).with_columns(y=lambda a: a * 2)
        given = stream.rebatch(4).union(stream.skip(2)).flat_map(lambda batch: [batch]).limit(9)
        given.collect()
        for _ in given:
            break
        asyncio.run(gathered(given))
        asyncio.run(begun(Stream.from_batches(source)))
        with pytest.raises(ZeroDivisionError):
            given.with_columns(z=lambda a: a // 0).collect()

    weak: list = []
    runs()
    before = settled()
    for _ in range(5):
        runs()
    # The helper threads of event loops end a little after them.
    for _ in range(100):
        left = settled() - before, sum(ref() is not None for ref in weak)
        if left == (0, 0):
            break
        time.sleep(0.02)
    assert left == (0, 0)


def settled():
    gc.collect()
    return pa.total_allocated_bytes()


async def begun(stream):
    async for _ in stream:
        break
