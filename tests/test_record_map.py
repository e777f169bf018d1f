"""Record functions in `map`: rows as dicts go in, rows as dicts come out, and nothing else survives."""

import collections
import dataclasses
import datetime
import decimal
from typing import NamedTuple

import pyarrow as pa
import pytest
from support import TIERS

import sabot
from sabot import (
    CompileError,
    DataError,
    IntegerOverflowError,
    PlanError,
    Stream,
    TypeMismatchError,
    udf,
)

TABLE = pa.table(
    {
        "a": [1, 2, None, 4, 5, 0],
        "b": [0.5, None, 2.5, -1.0, 0.0, 8.0],
        "some text": ["x", "y", None, "z", "", "w"],
        "ok": [True, False, None, True, True, False],
        "small": pa.array([1, None, 3, 4, 5, 6], pa.int8()),
    }
)
KEY = "total"
SCALE = 3


def literal(row):
    return {"twice": (row["a"] or 0) * 2, "half": (row["b"] or 0.0) / 2}


def spread(row):
    return {**row, "sum": (row["a"] or 0) + (row["b"] or 0.0)}


def replaces(row):
    return {**row, "a": (row["a"] or 0) + 1, "new": row["ok"]}


def spread_last(row):
    return {"a": (row["a"] or 0) + 1, "first": 1, **row}


def by_call(row):
    return dict(a=row["a"], negative=-(row["b"] or 0.0))


def by_call_of_row(row):
    return dict(row, scaled=(row["a"] or 0) * SCALE)


def by_call_spread(row):
    return dict(first=row["b"], second=2, third=row["a"])


def paths(row):
    if row["a"] is None:
        return {"x": None, "y": 1.5, "t": row["some text"]}
    if row["a"] > 3:
        return {"t": row["some text"], "y": row["a"], "x": row["b"]}
    return {"x": 0.0, "t": row["some text"], "y": 2}


def paths_of_the_row(row):
    if row["ok"]:
        return row
    return {**row, "b": -1.0}


def chosen(row):
    return {"a": 1, "b": None} if row["ok"] else {"b": row["b"], "a": 0}


def local(row):
    made = {"a": row["a"], "c": 1}
    for k in range(3):
        if row["a"] == k:
            made = {"a": k + 10, "c": k}
    return made


def renames(row):
    return {"text": row["some text"], "number": row["small"], "again": row.get("some text")}


def captured_key(row):
    return {KEY: (row["a"] or 0) * 2, "a": row["a"]}


def absent(row):
    return {"m": row.get("missing", 7), "n": row.get("nope"), "has": "a" in row, "not": "q" in row}


def loops(row):
    total = 0
    for k in range(row["a"] or 0):
        total += k
    return {"total": total, "ok": row["ok"]}


def evaluates_all(row):
    return {"a": 10 // ((row["a"] or 1) + 1), **row, "z": 1}


COMPILED = [
    literal,
    spread,
    replaces,
    spread_last,
    by_call,
    by_call_of_row,
    by_call_spread,
    paths,
    paths_of_the_row,
    chosen,
    local,
    renames,
    captured_key,
    absent,
    loops,
    evaluates_all,
]


def shouts(row):
    return {**row, "text": (row["some text"] or "?").upper() + "!"}


def size(row):
    return {"n": len(row), "a": row["a"]}


def mutates(row):
    row["a"] = 9
    return {**row, "b": 1}


def helper(row):
    return made_elsewhere(row)


def made_elsewhere(row):
    return {"a": row["a"], "sum": (row["a"] or 0) + 1}


def collected(row):
    out = {}
    for name in ("a", "b"):
        out[name] = row[name]
    return out


INTERPRETED = [shouts, size, mutates, udf(helper, kind="record"), collected]


def every_way(build, table=TABLE):
    """The result of a stream in each mode and tier, over several cuts of the input."""
    results = []
    for compile, tier, size in (
        ("off", "auto", None),
        ("auto", "interpreter", None),
        ("auto", "native", None),
        ("auto", "native", 2),
        ("auto", "auto", 1),
        ("off", "auto", 4),
    ):
        with sabot.config(compile=compile, tier=tier):
            results.append(build(Stream.from_table(table, size)).collect())
    for result in results[1:]:
        assert result.to_pylist() == results[0].to_pylist()
        assert result.schema.equals(results[0].schema, check_metadata=True)
    return results[0]


def loop(fn, table=TABLE):
    """What a plain loop gives, the columns in the order of the first row."""
    rows = [dict(fn(row)) for row in table.to_pylist()]
    return [{name: row[name] for name in rows[0]} for row in rows]


@pytest.mark.parametrize("fn", COMPILED + INTERPRETED)
def test_values_are_those_of_a_loop(fn):
    made = every_way(lambda s: s.map(fn))
    assert made.to_pylist() == loop(fn)
    assert set(made.schema.names) == set(loop(fn)[0])


@pytest.mark.parametrize("fn", COMPILED)
@pytest.mark.parametrize("tier", TIERS)
def test_they_are_compiled(fn, tier):
    with sabot.config(tier=tier):
        stream = Stream.from_table(TABLE).map(fn)
        assert stream.schema is not None
        assert f"MAP    {fn.__name__}(row)" in stream.explain()
        assert "compiled, record" in stream.explain()
        made = stream.collect()
        assert made.schema.equals(stream.schema)
    (function,) = stream.last_run.report["functions"]
    assert function["rows_native" if tier == "native" else "rows_interpreter"] == 6
    report = sabot.explain(fn, TABLE.schema)
    assert (report.mode, report.kind, report.reasons) == ("compiled", "record", [])


@pytest.mark.parametrize("fn", COMPILED)
def test_sliced_and_empty_input(fn):
    sliced = pa.concat_tables([TABLE, TABLE, TABLE]).combine_chunks().slice(5, 9)
    assert every_way(lambda s: s.map(fn), sliced).to_pylist() == loop(fn, sliced)
    empty = Stream.from_table(TABLE.slice(0, 0)).map(fn)
    assert empty.collect().schema.equals(Stream.from_table(TABLE).map(fn).schema)
    assert empty.collect().num_rows == 0
    filtered = every_way(lambda s: s.filter(lambda a: a is not None and a > 1).map(fn))
    kept = TABLE.filter(pa.array([a is not None and a > 1 for a in TABLE["a"].to_pylist()]))
    assert filtered.to_pylist() == [
        {k: fn(r)[k] for k in filtered.schema.names} for r in kept.to_pylist()
    ]


def test_types_follow_from_what_is_returned():
    def fn(row):
        if row["ok"]:
            return {"i": 1, "mixed": 1, "none": None, "opt": None, "b": True, "small": row["small"]}
        return {"i": 2, "mixed": 0.5, "none": None, "opt": 3, "b": False, "small": row["small"]}

    stream = Stream.from_table(TABLE).map(fn)
    assert stream.schema == pa.schema(
        {
            "i": pa.int64(),
            "mixed": pa.float64(),
            "none": pa.null(),
            "opt": pa.int64(),
            "b": pa.bool_(),
            "small": pa.int8(),
        }
    )
    assert every_way(lambda s: s.map(fn)).schema == stream.schema


def test_columns_of_every_type_pass_untouched():
    point = pa.struct([("x", pa.int64()), ("y", pa.string())])
    table = pa.table(
        {
            "n": [1, None, 3],
            "half": pa.array([1.5, None, 2.5], pa.float16()),
            "uint": pa.array([2**64 - 1, None, 0], pa.uint64()),
            "large": pa.array(["a", None, "c"], pa.large_string()),
            "view": pa.array(["a", None, "long enough to be no short view"], pa.string_view()),
            "binary": pa.array([b"a", None, b""]),
            "fixed": pa.array([b"ab", None, b"cd"], pa.binary(2)),
            "words": pa.array(["p", "q", "p"]).dictionary_encode(),
            "date": pa.array([datetime.date(2020, 1, 1), None, datetime.date(1, 1, 1)]),
            "ns": pa.array([1, None, 3], pa.timestamp("ns")),
            "zone": pa.array([1, None, 3], pa.timestamp("us", "Europe/Berlin")),
            "time": pa.array([datetime.time(1), None, datetime.time(2)]),
            "duration": pa.array([1, None, 3], pa.duration("s")),
            "decimal": pa.array([decimal.Decimal("1.5"), None, decimal.Decimal("2.25")]),
            "list": pa.array([[1, 2], None, []]),
            "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
            "struct": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}], point),
            "null": pa.nulls(3),
            "runs": pa.RunEndEncodedArray.from_arrays([2, 3], [1, 2]),
        }
    )
    table = table.replace_schema_metadata({"who": "me"})

    def fn(row):
        return {**row, "more": (row["n"] or 0) + 1}

    made = every_way(lambda s: s.map(fn), table)
    assert made.drop(["more"]).equals(table, check_metadata=True)
    assert made["more"].to_pylist() == [2, 1, 4]
    (batch,) = table.to_batches()
    (out,) = list(Stream.from_batches([batch]).map(fn))
    for name in ("large", "list", "n", "decimal"):
        mine, its = out.column(name).buffers(), batch.column(name).buffers()
        assert [one and one.address for one in mine] == [one and one.address for one in its]


def test_a_value_that_python_cannot_hold_passes():
    table = pa.table({"a": [1], "far": pa.array([10**9], pa.date32())})
    made = Stream.from_table(table).map(lambda row: {**row, "b": row["a"] + 1}).collect()
    assert made["far"].cast(pa.int32()).to_pylist() == [10**9]


def test_explain_shows_what_is_read_and_written():
    text = Stream.from_table(TABLE).map(spread).explain().splitlines()[0]
    assert text == (
        "MAP    spread(row)  compiled, record  reads a, b  writes sum  passes a, b, some text, ok, small"
    )
    text = Stream.from_table(TABLE).map(shouts).explain().splitlines()[0]
    assert "interpreted, record  because: this form is not compiled yet" in text
    assert "its schema is known with the first batch" in text
    report = sabot.explain(spread, TABLE.schema)
    assert report.signature == (
        "spread(row) -> {a: int64, b: double, some text: string, ok: bool, small: int8, sum: double}"
    )


def test_what_follows_is_one_run_of_the_engine():
    stream = (
        Stream.from_table(TABLE, 2)
        .map(spread)
        .filter(lambda sum: sum > 0)
        .with_columns(more=lambda sum, a: sum + (a or 0))
        .map(lambda row: {"more": row["more"], "t": row["some text"]})
    )
    assert stream.explain().count("└─") == 4
    rows = [spread(row) for row in TABLE.to_pylist()]
    wanted = [
        {"more": row["sum"] + (row["a"] or 0), "t": row["some text"]}
        for row in rows
        if row["sum"] > 0
    ]
    assert stream.collect().to_pylist() == wanted


# --- rows that fail or leave


@pytest.mark.parametrize("compile", ["off", "auto"])
@pytest.mark.parametrize("tier", TIERS)
def test_a_missing_key_is_a_key_error_at_its_row(compile, tier):
    def fails(row):
        return {**row, "x": row["a"] if row["a"] != 4 else row["c"]}

    with sabot.config(compile=compile, tier=tier), pytest.raises(KeyError) as caught:
        Stream.from_table(TABLE, 2).map(fails).collect()
    assert caught.value.args == ("c",)
    assert caught.value.__notes__ == ["in MAP fails(row): operator 0, batch 1, row 3: a=4"]
    assert caught.traceback[-1].name == "fails"


@pytest.mark.parametrize("tier", TIERS)
def test_rows_that_leave_are_whole(tier):
    values = [1, 2**40, 2**62, 3, -(2**62)] * 500

    def fn(row):
        return {**row, "low": (row["a"] * 8) % 1000, "high": row["a"] * 8 > 2**60, "b": 0.5}

    table = pa.table({"a": values, "t": [str(v) for v in values]})
    with sabot.config(tier=tier):
        stream = Stream.from_table(table, 700).map(fn)
        assert stream.collect().to_pylist() == loop(fn, table)
    (function,) = stream.last_run.report["functions"]
    assert function["rows_cpython"] == 1000


def test_a_big_result_names_its_key():
    def fn(row):
        return {"fine": 1, "big": 2**62 * row["a"]}

    with pytest.raises(IntegerOverflowError) as caught:
        Stream.from_table(pa.table({"a": [1, 3, 5]})).map(fn).collect()
    assert (
        str(caught.value) == "fn['big'] returned 13835058055282163712, which does not fit 64 bits"
    )
    assert "row 1: a=3" in caught.value.__notes__[0]


@pytest.mark.parametrize("compile", ["off", "auto"])
def test_on_error(compile, tmp_path):
    def inverse(row):
        return {**row, "inverse": 1 / row["a"], "n": 1}

    rows = TABLE.to_pylist()
    good = [k for k, row in enumerate(rows) if row["a"]]
    for mode in ("skip", "null"):
        letter = tmp_path / f"{mode}{compile}.parquet"
        fn = udf(inverse, on_error=mode, compile=compile, dead_letter=str(letter))
        stream = Stream.from_table(TABLE, 4).map(fn)
        made = stream.collect().to_pylist()
        if mode == "skip":
            assert made == [inverse(rows[k]) for k in good]
        else:
            empty = dict.fromkeys(inverse(rows[0]))
            assert made == [inverse(row) if k in good else empty for k, row in enumerate(rows)]
        errors = stream.last_run.errors
        assert errors["row"].to_pylist() == [2, 5]
        assert errors["error"].to_pylist() == ["TypeError", "ZeroDivisionError"]
        assert errors["operator"].to_pylist() == ["MAP inverse(row)"] * 2
        import pyarrow.parquet as pq

        assert pq.read_table(letter)["row"].to_pylist() == [2, 5]


def test_null_rows_of_columns_of_every_type_stay_compiled():
    table = pa.table(
        {
            "a": [0, 1, 2, 0],
            "list": [[1], None, [2, 3], []],
            "words": pa.array(["p", "q", "p", "q"]).dictionary_encode(),
            "struct": [{"x": 1}, {"x": None}, None, {"x": 4}],
        }
    )
    fn = udf(lambda row: {**row, "y": 6 // row["a"]}, on_error="null", compile="require")
    made = Stream.from_table(table).map(fn).collect()
    null = dict.fromkeys(made.column_names)
    assert made.to_pylist() == [
        null,
        *({**r, "y": 6 // r["a"]} for r in table.to_pylist()[1:3]),
        null,
    ]
    assert made["words"].type == table["words"].type
    must = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    table = pa.table({"a": [0, 1]}, must)
    fn = udf(lambda row: {**row, "y": 6 // row["a"]}, on_error="null")
    made = Stream.from_table(table).map(fn).collect()
    assert made.to_pylist() == [{"a": None, "y": None}, {"a": 1, "y": 6}]
    assert made.schema.field("a").nullable


@pytest.mark.parametrize("mode", ["skip", "null"])
def test_on_error_of_interpreted_ones(mode):
    @udf(on_error=mode)
    def fn(row):
        return {"t": row["some text"].upper(), "b": row["b"], "a": row["a"]}

    stream = Stream.from_table(TABLE, 4).map(fn)
    made = stream.collect().to_pylist()
    wanted = []
    for row in TABLE.to_pylist():
        if row["some text"] is not None:
            wanted.append(fn(row))
        elif mode == "null":
            wanted.append({"t": None, "b": None, "a": None})
    assert made == wanted
    assert stream.last_run.errors["row"].to_pylist() == [2]


def test_an_interpreted_row_that_fails():
    def fn(row):
        return {"t": row["some text"].upper()}

    with pytest.raises(AttributeError) as caught:
        Stream.from_table(TABLE, 2).map(fn).collect()
    assert caught.value.__notes__[0].startswith(
        "in MAP fn(row): operator 0, batch 1, row 2: a=None"
    )


# --- what is refused when the stream is built


def test_every_path_gives_the_same_columns():
    def fn(row):
        if row["a"]:
            return {"a": 1, "b": 2}
        return {"a": 1}

    line = fn.__code__.co_firstlineno
    with pytest.raises(TypeMismatchError) as caught:
        Stream.from_table(TABLE).map(fn)
    assert str(caught.value) == (
        f'fn: line {line + 2} (return {{"a": 1, "b": 2}}) gives a, b, but line {line + 3} (return {{"a": 1}}) gives a; '
        "every path gives the same columns"
    )


def test_a_path_that_gives_no_record():
    def fn(row):
        if row["a"]:
            return {"a": 1}
        return None

    with pytest.raises(
        TypeMismatchError, match=r"gives a, but line \d+ \(return None\) gives None"
    ):
        Stream.from_table(TABLE).map(fn)


def test_a_function_that_falls_off_its_end():
    def fn(row):
        if row["a"] != 5:
            return {"x": row["a"]}

    for compile in ("off", "auto"):
        with sabot.config(compile=compile), pytest.raises(DataError) as caught:
            Stream.from_table(TABLE).map(fn).collect()
        assert "fn returned NoneType None" in str(caught.value)
        assert "to drop rows use filter" in str(caught.value)
        assert "row 4: a=5" in caught.value.__notes__[0]


def test_one_value_a_row_is_for_with_columns():
    def fn(row):
        return (row["a"] or 0) + 1

    with pytest.raises(PlanError, match=r"use with_columns\(name=fn\)"):
        Stream.from_table(TABLE).map(fn)
    with pytest.raises(PlanError, match="one value a row"):
        Stream.from_table(TABLE).map(lambda row: row["a"])

    def untold(row):
        return abs(row["a"] or 0) if row["ok"] else other(row)

    def other(row):
        return 1

    with pytest.raises(DataError, match=r"use with_columns\(name=fn\)"):
        Stream.from_table(TABLE).map(untold).collect()


def test_kinds_without_a_common_type():
    def fn(row):
        if row["a"]:
            return {"x": 1, "y": True}
        return {"x": 2, "y": 3}

    line = fn.__code__.co_firstlineno
    for compile in ("off", "auto"):
        with sabot.config(compile=compile), pytest.raises(TypeMismatchError) as caught:
            Stream.from_table(TABLE).map(fn)
        assert str(caught.value) == (
            f'fn: returns as "y" bool (line {line + 2}) and int (line {line + 3}): no Arrow type holds both; '
            "convert one, for example with int(...) or != 0"
        )


def test_two_columns_of_one_name():
    table = pa.table([[1], [2]], names=["a", "a"])
    with pytest.raises(PlanError, match="more than one column 'a'"):
        Stream.from_table(table).map(lambda row: {**row, "b": 1})


def test_require():
    Stream.from_table(TABLE).map(udf(spread, compile="require"))
    with pytest.raises(CompileError):
        Stream.from_table(TABLE).map(udf(shouts, compile="require"))


# --- schema=


def test_a_declared_schema():
    schema = pa.schema({"twice": pa.int64(), "half": pa.float64()})
    stream = Stream.from_table(TABLE).map(literal, schema=schema)
    assert "compiled, record" in stream.explain()
    with pytest.raises(TypeMismatchError, match="'twice' as int64, but schema= says string"):
        Stream.from_table(TABLE).map(literal, schema=schema.set(0, pa.field("twice", pa.string())))
    with pytest.raises(TypeMismatchError, match="the columns twice, half, but schema= says half"):
        Stream.from_table(TABLE).map(literal, schema=pa.schema({"half": pa.float64()}))


def test_a_declared_schema_that_is_wider():
    def fn(row):
        return {"small": row["small"], "none": None, "a": row["a"]}

    schema = pa.schema({"small": pa.int32(), "none": pa.string(), "a": pa.int64()})
    made = every_way(lambda s: s.map(fn, schema=schema))
    assert made.schema == schema
    assert made.to_pylist() == loop(fn)


def test_a_declared_schema_of_what_is_not_told():
    schema = pa.schema({"n": pa.int32(), "a": pa.float64()})
    made = every_way(lambda s: s.map(size, schema=schema))
    assert made.schema == schema
    assert made["a"].to_pylist() == [1.0, 2.0, None, 4.0, 5.0, 0.0]
    assert Stream.from_table(TABLE).map(size, schema=schema).schema == schema

    def wrong(row):
        return {"n": len(row) / 2, "a": row["a"]}

    with pytest.raises(
        sabot.CastError, match=r"wrong\['n'\] returned float 2.5, but its column is int32"
    ):
        Stream.from_table(TABLE).map(wrong, schema=schema).collect()


def test_types_that_the_first_batch_tells():
    def fn(row):
        return {"x": len(row) if row["a"] == 1 else 0.5}

    made = Stream.from_table(TABLE).map(fn).collect()
    assert made.schema.field("x").type == pa.float64()

    def late(row):
        return {"x": len(row) if row["a"] != 4 else True}

    with pytest.raises(DataError, match="'x'"):
        Stream.from_table(TABLE).map(late).collect()


# --- the columns are known late


def test_behind_a_map_of_batches():
    source = Stream.from_table(TABLE, 2).map(lambda batch: batch.select(["a", "b"]))
    assert source.schema is None
    stream = source.map(lambda row: {**row, "c": (row["a"] or 0) + 1}).filter(lambda c: c > 1)
    assert stream.collect()["c"].to_pylist() == [2, 3, 5, 6]
    late = Stream.from_batches(lambda: iter(TABLE.to_batches())).map(spread)
    assert late.collect().to_pylist() == loop(spread)
    more = (
        Stream.from_batches(lambda: iter(TABLE.to_batches()))
        .map(spread)
        .filter(lambda sum: sum > 1)
    )
    assert more.count() == 6


def test_rebinding_a_captured_name_is_seen(monkeypatch):
    stream = Stream.from_table(TABLE).map(by_call_of_row)
    assert stream.collect()["scaled"].to_pylist() == [3, 6, 0, 12, 15, 0]
    monkeypatch.setitem(globals(), "SCALE", 5)
    assert stream.collect()["scaled"].to_pylist() == [5, 10, 0, 20, 25, 0]
    stream = Stream.from_table(TABLE).map(captured_key)
    monkeypatch.setitem(globals(), "KEY", "other")
    with pytest.raises(DataError, match="captured_key returned a record that has no 'total'"):
        stream.collect()


# --- dataclasses and NamedTuples


@dataclasses.dataclass
class Point:
    x: float
    y: float = 2.0
    label: str = "none"


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    a: int
    text: str
    more: int = dataclasses.field(default=3, kw_only=True)


@dataclasses.dataclass
class Inherits(Point):
    z: int = 7


class Pair(NamedTuple):
    first: int
    second: float = 0.5


Plain = collections.namedtuple("Plain", "a b", defaults=[1])


@dataclasses.dataclass
class Doubles:
    x: int

    def __post_init__(self):
        self.x *= 2


@dataclasses.dataclass
class Lists:
    x: int
    more: list = dataclasses.field(default_factory=list)


class Own:
    _fields = ("x",)

    def __init__(self, x):
        self.x = x


def columns_of(made):
    """A dataclass or NamedTuple as the row that it is."""
    if isinstance(made, tuple):
        return made._asdict()
    return {one.name: getattr(made, one.name) for one in dataclasses.fields(made)}


def point(row):
    return Point((row["a"] or 0) * 0.5, label=row["some text"])


def frozen(row):
    if row["ok"]:
        return Frozen(row["small"] or 1, row["some text"])
    return Frozen(text=row["some text"], a=row["a"] or 2, more=-1)


def inherits(row):
    return Inherits(y=row["b"], x=1.5, label=row["some text"])


def pair(row):
    made = Pair(1 if row["a"] is None else row["a"] * 2)
    return made


def plain(row):
    return Plain(a=row["b"])


def mixed(row):
    return Pair(1, row["b"]) if row["ok"] else {"second": row["b"], "first": 0}


def doubles(row):
    return Doubles(row["small"] or 0)


def lists(row):
    return Lists(row["a"])


def spread_point(row):
    return Plain(b=10 // ((row["a"] or 0) + 1), a=row["a"])


@pytest.mark.parametrize("fn", [point, frozen, inherits, pair, plain, mixed, spread_point])
def test_instances_are_compiled(fn):
    made = every_way(lambda s: s.map(fn))
    rows = [fn(row) for row in TABLE.to_pylist()]
    wanted = [row if isinstance(row, dict) else columns_of(row) for row in rows]
    assert made.to_pylist() == [{name: row[name] for name in wanted[0]} for row in wanted]
    assert made.schema.names == list(wanted[0])
    assert sabot.explain(fn, TABLE.schema).mode == "compiled"


@pytest.mark.parametrize("fn", [doubles, lists])
def test_instances_whose_making_does_more_are_made_by_cpython(fn):
    made = every_way(lambda s: s.map(fn))
    assert made.to_pylist() == [columns_of(fn(row)) for row in TABLE.to_pylist()]
    assert "interpreted, record" in Stream.from_table(TABLE).map(fn).explain()


def test_what_is_no_record():
    with pytest.raises(DataError, match="a dict, dataclass or NamedTuple"):
        Stream.from_table(TABLE).map(lambda row: Own(row["a"])).collect()
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        Stream.from_table(TABLE).map(lambda row: Point(y=row["a"])).collect()


def test_a_class_that_changes_is_seen(monkeypatch):
    stream = Stream.from_table(TABLE.slice(0, 1)).map(pair)
    assert stream.collect().to_pylist() == [{"first": 2, "second": 0.5}]
    monkeypatch.setattr(Pair.__new__, "__defaults__", (9.5,))
    assert stream.collect().to_pylist() == [{"first": 2, "second": 9.5}]
    monkeypatch.undo()
    stream = Stream.from_table(TABLE.slice(0, 1)).map(point)
    assert stream.collect()["y"].to_pylist() == [2.0]

    def init(self, x, y=0.0, label=""):
        self.x, self.y, self.label = x, 4.0, label

    monkeypatch.setattr(Point, "__init__", init)
    assert stream.collect()["y"].to_pylist() == [4.0]
    assert stream.last_run.report["functions"][0]["interpreted"] == "rebound: Point"
    assert Stream.from_table(TABLE.slice(0, 1)).map(point).collect()["y"].to_pylist() == [4.0]


@pytest.mark.parametrize(
    "change",
    [
        {"__post_init__": lambda self: None},
        {"__setattr__": lambda self, name, value: object.__setattr__(self, name, 1.0)},
        {"__new__": lambda cls, *args, **kwargs: object.__new__(cls)},
        {"__getattribute__": lambda self, name: object.__getattribute__(self, name)},
        {"x": property(lambda self: 5.0, lambda self, value: None)},
    ],
)
def test_classes_with_code_of_their_own_are_left_alone(change):
    from sabot._constructors import constructor_of

    @dataclasses.dataclass
    class Some:
        x: float

    assert constructor_of(Some).fields == ("x",)
    guard = constructor_of(Some).guard
    assert guard.changed() is None
    for name, value in change.items():
        setattr(Some, name, value)
    assert constructor_of(Some) is None
    assert guard.changed() == "Some"


# --- flat_map


def halves(row):
    for k in range(row["a"] or 0):
        yield {"a": row["a"], "k": k / 2, "text": row["some text"]}


def listed(row):
    return [{"n": 1, "v": row["a"]}, {"v": None, "n": 2}][: 1 + bool(row["ok"])]


def pairs(row):
    return (Pair(k, k * 0.5) for k in range(row["small"] or 0))


def flattened(fn, table=TABLE):
    made = []
    for row in table.to_pylist():
        for one in fn(row):
            made.append(one if isinstance(one, dict) else columns_of(one))
    return [{name: one[name] for name in made[0]} for one in made]


@pytest.mark.parametrize("fn", [halves, listed, pairs])
def test_flat_map(fn):
    made = every_way(lambda s: s.flat_map(fn))
    assert made.to_pylist() == flattened(fn)
    text = Stream.from_table(TABLE).flat_map(fn).explain()
    assert f"FLAT_MAP {fn.__name__}(row)   interpreted, record" in text
    counted = Stream.from_table(TABLE).flat_map(fn).limit(3)
    assert counted.collect().to_pylist() == flattened(fn)[:3]


def test_flat_map_with_a_schema():
    schema = pa.schema({"n": pa.int8(), "v": pa.float64()})
    stream = Stream.from_table(TABLE, 2).flat_map(listed, schema=schema)
    assert stream.schema == schema
    assert stream.collect().schema == schema
    assert stream.with_columns(w=lambda v: v).collect()["w"].to_pylist()[0] == 1.0
    assert stream.limit(0).collect().num_rows == 0


def test_flat_map_of_no_rows():
    schema = pa.schema({"a": pa.int64()})
    stream = Stream.from_table(TABLE).flat_map(udf(lambda row: [], kind="record"), schema=schema)
    assert stream.collect().equals(schema.empty_table())
    assert Stream.from_table(TABLE.slice(0, 0)).flat_map(halves).collect().num_rows == 0


def test_flat_map_rows_that_fail():
    def fn(row):
        yield {"x": row["a"]}
        yield {"x": 10 // row["a"]}

    seen = []
    with pytest.raises(TypeError) as caught:
        for batch in Stream.from_table(TABLE, 4).flat_map(fn):
            seen += batch["x"].to_pylist()
    assert seen == [1, 10, 2, 5]
    assert caught.value.__notes__[0].startswith(
        "in FLAT_MAP fn(row): operator 0, batch 0, row 2: a=None"
    )
    assert caught.traceback[-1].name == "fn"
    stream = Stream.from_table(TABLE, 4).flat_map(udf(fn, on_error="skip"))
    assert stream.collect()["x"].to_pylist() == [1, 10, 2, 5, 4, 2, 5, 2]
    assert stream.last_run.errors["row"].to_pylist() == [2, 5]
    with pytest.raises(PlanError, match="on_error"):
        Stream.from_table(TABLE).flat_map(udf(fn, on_error="null"))


def test_flat_map_values_that_do_not_fit():
    def fn(row):
        return [{"x": 1}, {"x": row["b"]}]

    schema = pa.schema({"x": pa.int64()})
    with pytest.raises(sabot.CastError, match=r"fn\['x'\] returned float 0.5") as caught:
        Stream.from_table(TABLE).flat_map(fn, schema=schema).collect()
    assert "row 0: a=1" in caught.value.__notes__[0]
    skipping = Stream.from_table(TABLE).flat_map(udf(fn, on_error="skip"), schema=schema)
    assert skipping.collect()["x"].to_pylist() == [1, None]
    assert skipping.last_run.errors["row"].to_pylist() == [0, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            {"a": 1},
            "returned dict {'a': 1}; a flat_map function of a row returns an iterable of dicts",
        ),
        (Pair(1), "returned Pair Pair"),
        (None, "no rows are an empty list"),
        ([{"a": 1}, 3], "returned int 3"),
        ([{"a": 1}, {"b": 1}], "has no 'a'"),
        ([{1: 1}], "a column's name is a str"),
        ([{}], "without columns"),
    ],
)
def test_flat_map_results_that_are_none(made, message):
    with pytest.raises(DataError, match=message):
        Stream.from_table(TABLE).flat_map(udf(lambda row: made, kind="record")).collect()


def test_stages_of_calls_do_not_take_records():
    for given in (udf(literal, max_concurrency=2), udf(literal, use_process=True)):
        with pytest.raises(PlanError, match="it gives columns for a row"):
            Stream.from_table(TABLE).map(given)
    with pytest.raises(PlanError, match="it gives columns for a row"):
        Stream.from_table(TABLE).flat_map(udf(listed, max_concurrency=2)).collect()


def test_operator_objects():
    from sabot.operators import FlatMapOperator, MapOperator

    batches = TABLE.to_batches(max_chunksize=2)
    for fn in (spread, shouts):
        made = pa.Table.from_batches(MapOperator(batches, fn))
        assert made.to_pylist() == loop(fn)
    made = pa.Table.from_batches(FlatMapOperator(batches, listed))
    assert made.to_pylist() == flattened(listed)
