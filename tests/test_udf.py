"""udf: what it says of a function, and that the function stays one."""

from __future__ import annotations

import copy
import inspect
import itertools
import pickle

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import BATCHES, TIERS, function_report

import sabot as sb
from sabot import Stream, udf
from sabot._udf import unwrap

pytestmark = pytest.mark.api

TABLE = pa.table({"a": [1, None, 3, 4], "b": [10, 20, None, 40], "s": ["x", "y", None, "z"]})
MODES = [("off", "auto"), *(("auto", tier) for tier in TIERS)]


def add(a, b):
    """The sum."""
    return a + b


def test_it_stays_a_function():
    for made in (udf(add), udf(on_error="null")(add), udf()(add)):
        assert made(1, 2) == made(b=2, a=1) == 3
        assert (made.__name__, made.__doc__, made.__module__) == ("add", "The sum.", __name__)
        assert made.__wrapped__ is add
        assert inspect.signature(made) == inspect.signature(add)
        assert repr(made) == "<sabot.udf add>"
    with pytest.raises(TypeError, match="unsupported operand"):
        udf(add, on_error="null")(1, None)  # what its options say is for streams


class Scale:
    def __init__(self, by):
        self.by = by

    @udf(on_error="null")
    def apply(self, a) -> int:
        return 12 * self.by // a


def test_it_may_be_a_method():
    assert Scale(2).apply(3) == Scale.apply(Scale(2), 3) == 8
    stream = Stream.from_table(pa.table({"a": [0, 4]})).with_columns(y=Scale(3).apply)
    assert stream.collect()["y"].to_pylist() == [None, 9]


named = udf(on_error="skip")(add)


@udf(nulls="skip")
def everywhere(a):
    return a


def test_it_may_be_copied_and_pickled():
    assert pickle.loads(pickle.dumps(everywhere)) is everywhere
    assert copy.deepcopy(everywhere) is everywhere
    other = pickle.loads(pickle.dumps(named))  # its function has that name
    assert (other(1, 2), repr(other)) == (3, "<sabot.udf add>")
    assert unwrap(other) == unwrap(named)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(udf(lambda a: a))


def test_it_may_decorate():
    @udf
    def plain(a: int) -> int:
        return a * 2

    @udf(on_error="null")
    def soft(b: int) -> int:
        return b // 0

    stream = Stream.from_table(TABLE.select(["a", "b"]).slice(3)).with_columns(x=plain, y=soft)
    assert stream.collect().to_pylist() == [{"a": 4, "b": 40, "x": 8, "y": None}]
    assert stream.explain().startswith("WITH   x = plain(a)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "drop"}, "on_error='drop': it is one of 'raise', 'null', 'skip'"),
        ({"on_error": None}, "on_error=None: it is one of"),
        ({"nulls": "skipp"}, "nulls='skipp': it is one of 'pass', 'skip'; did you mean 'skip'?"),
        ({"compile": "on"}, "compile='on': it is one of 'auto', 'off', 'require'"),
        ({"compile": ["off"]}, "compile=['off']: it is one of"),
        ({"kind": "scalars"}, "kind='scalars': it is one of 'scalar', 'record', 'array', 'batch'"),
        ({"returns": int}, "returns=<class 'int'>: it is a pyarrow type"),
        (
            {"returns": pa.int32()},
            "returns=int32: the result of a function is one of int64, double",
        ),
        ({"returns": pa.int64(), "kind": "batch"}, "returns= is for scalar functions"),
        ({"max_concurrency": 0}, "max_concurrency=0: it is a whole number from 1 on"),
        ({"dead_letter": "x.parquet"}, "dead_letter needs on_error="),
        ({"dead_letter": 3, "on_error": "null"}, "dead_letter=3: it is the path of a local file"),
        ({"dead_letter": "", "on_error": "null"}, "dead_letter='': it is the path"),
        ({"dead_letter": "s3://a/b", "on_error": "null"}, "it is the path of a local file"),
    ],
)
def test_options_that_are_none(options, message):
    for call in (lambda: udf(add, **options), lambda: udf(**options)):
        with pytest.raises(sb.PlanError) as caught:
            call()
        assert message in str(caught.value)


def test_what_is_no_option_or_no_function():
    for name in ("on_eror", "arg", "impure", "gpu", "batchsize"):
        with pytest.raises(TypeError, match=name):
            udf(add, **{name: 1})
    with pytest.raises(sb.PlanError, match="udf takes a function, not int"):
        udf(3)
    with pytest.raises(sb.PlanError, match="is a udf already; give all options at once"):
        udf(udf(add), on_error="null")


# --- kind


def test_kind():
    def by_name(a):
        return a

    def told(rows):
        return rows

    table = Stream.from_table(TABLE.select(["a"]))
    assert table.map(udf(told, kind="batch")).collect() == TABLE.select(["a"])
    assert table.map(udf(by_name, kind="batch")).collect() == TABLE.select(["a"])
    with pytest.raises(sb.PlanError, match="map wants whole batches"):
        table.map(udf(by_name))
    with pytest.raises(sb.PlanError, match="with_columns takes functions of column values"):
        table.with_columns(y=udf(by_name, kind="batch"))
    with pytest.raises(sb.UnknownColumnError, match="rows"):
        table.filter(udf(told, kind="scalar"))
    for operator in ("map", "flat_map"):
        with pytest.raises(sb.PlanError, match=f"{operator} wants whole batches"):
            getattr(table, operator)(udf(told, kind="scalar"))
    assert sb.explain(udf(by_name, kind="batch"), TABLE.schema).kind == "batch"


# --- returns


def test_returns_tells_a_type():
    def texts(s):
        return None if s is None else s.upper()

    stream = Stream.from_table(TABLE)
    with pytest.raises(sb.PlanError, match="the result's type cannot be told"):
        stream.with_columns(y=texts)
    for batch, (mode, tier) in itertools.product(BATCHES, MODES):
        with sb.config(compile=mode, tier=tier):
            made = Stream.from_table(TABLE, batch).with_columns(y=udf(texts, returns=pa.string()))
            assert made.schema.field("y").type == pa.string()
            assert made.collect()["y"].to_pylist() == ["X", "Y", None, "Z"]
    for type_, value in (
        (pa.int64(), 7),
        (pa.float64(), 0.5),
        (pa.bool_(), True),
        (pa.null(), None),
    ):
        fn = udf(lambda s, value=value: {0: value}[0], returns=type_)
        column = stream.with_columns(y=fn).collect()["y"]
        assert (column.type, column.to_pylist()) == (type_, [value] * 4)
    wrong = stream.with_columns(y=udf(texts, returns=pa.int64()))
    with pytest.raises(sb.CastError, match="texts returned str 'X', but its column is int64"):
        wrong.collect()


def test_returns_may_not_disagree():
    def noted(s) -> str:
        return s.upper()

    for mode in ("auto", "off"):
        with sb.config(compile=mode):
            stream = Stream.from_table(TABLE)
            agreed = stream.with_columns(x=udf(add, returns=pa.int64()))
            assert agreed.schema.field("x").type == pa.int64()
            with pytest.raises(
                sb.TypeMismatchError, match="add gives int64, but returns= says double"
            ):
                stream.with_columns(x=udf(add, returns=pa.float64()))
            with pytest.raises(
                sb.TypeMismatchError, match="noted gives string, but returns= says bool"
            ):
                stream.with_columns(x=udf(noted, returns=pa.bool_()))
    with pytest.raises(sb.PlanError, match="a batch function's result is told by schema="):
        Stream.from_table(TABLE).map(udf(lambda batch: batch, returns=pa.int64()))
    assert sb.explain(udf(lambda s: s.upper(), returns=pa.string()), TABLE.schema).signature == (
        "<lambda>(s: string) -> string"
    )


# --- nulls


def nulls_in_all_ways(build):
    seen = None
    for (mode, tier), threads, batch in itertools.product(MODES, (1, 4), BATCHES):
        with sb.config(compile=mode, tier=tier, threads=threads):
            rows = build(Stream.from_table(TABLE, batch)).collect().to_pylist()
        seen = rows if seen is None else seen
        assert rows == seen, (mode, tier, threads, batch)
    return seen


def test_nulls_are_skipped():
    def statements(a, b, extra=None):
        """A docstring, behind which the line comes that skips."""
        total = 0
        for k in range(a):
            total += b - k
        return total if extra is None else extra

    def strict(a, b) -> int:
        assert a is not None
        return a * len([b] * b)

    for fn, values in (
        (add, [11, None, None, 44]),
        (lambda a, b: a + b, [11, None, None, 44]),
        (lambda a: -1 if a is None else a, [1, None, 3, 4]),
        (lambda *, b: b * 0.5, [5.0, 10.0, None, 20.0]),
        (lambda a, b=3: a == b, [False, None, None, False]),
        (lambda: 3, [3] * 4),
        (statements, [10, None, None, 154]),
        (strict, [10, None, None, 160]),
    ):
        rows = nulls_in_all_ways(lambda s, fn=fn: s.with_columns(y=udf(fn, nulls="skip")))
        assert [row["y"] for row in rows] == values
    rows = nulls_in_all_ways(lambda s: s.filter(udf(lambda a: a is None or a > 1, nulls="skip")))
    assert [row["a"] for row in rows] == [3, 4]
    assert nulls_in_all_ways(lambda s: s.filter(udf(lambda a: a is None))) == [
        {"a": None, "b": 20, "s": "y"}
    ]


def test_skipped_nulls_are_no_calls_and_no_failures():
    calls = []

    def seen(s, a) -> str:
        calls.append((s, a))
        return s * a

    fn = udf(seen, nulls="skip", on_error="skip")
    for batch in BATCHES:
        calls.clear()
        stream = Stream.from_table(TABLE, batch).with_columns(y=fn)
        assert stream.collect()["y"].to_pylist() == ["x", None, None, "zzzz"]
        assert calls == [("x", 1), ("z", 4)]
        assert stream.last_run.errors_total == 0


def test_it_is_still_compiled():
    stream = Stream.from_table(TABLE).with_columns(y=udf(add, nulls="skip"))
    stream.collect()
    report = function_report(stream)
    assert (report["mode"], report["rows_cpython"]) == ("compiled", 0)
    assert sb.explain(udf(add, nulls="skip"), TABLE.schema).can_raise  # beyond 64 bits
    with pytest.raises(sb.PlanError, match=r'nulls="skip" is for scalar functions'):
        Stream.from_table(TABLE).map(udf(lambda batch: batch, nulls="skip"))


# --- compile


def test_compile_off():
    stream = Stream.from_table(TABLE.drop_null()).with_columns(x=udf(add, compile="off"), y=add)
    stream.collect()
    modes = [function["mode"] for function in stream.last_run.report["functions"]]
    assert modes == ["interpreted", "compiled"]
    report = sb.explain(udf(add, compile="off"), TABLE.schema)
    assert (report.mode, report.signature) == (
        "interpreted",
        "add(a: int64, b: int64) -> int64",
    )


def test_compile_require():
    stream = Stream.from_table(TABLE.drop_null())
    stream.with_columns(y=udf(add, compile="require")).filter(
        udf(lambda a: a > 1, compile="require")
    )

    def upper(s) -> str:
        return s.upper()

    required = udf(upper, compile="require")
    for build in (
        lambda: stream.with_columns(y=required),
        lambda: stream.filter(required),
        lambda: stream.map(udf(lambda batch: batch, compile="require")),
        lambda: stream.flat_map(udf(lambda batch: [batch], compile="require")),
    ):
        with pytest.raises(sb.CompileError) as caught:
            build()
        error = caught.value
        assert isinstance(error, TypeError)
        assert isinstance(error.report, sb.Report)
        assert error.report.mode == "interpreted"
        assert error.report.reasons
        assert str(error).startswith('compile="require", but ')
        assert str(error.report) in str(error)
    assert error.report.name == "<lambda>"
    assert sb.explain(required, TABLE.schema).mode == "interpreted"  # a look is no plan
    with sb.config(compile="off"), pytest.raises(sb.CompileError):
        stream.with_columns(y=udf(add, compile="require"))
    deferred = Stream.from_batches(lambda: iter(TABLE.to_batches())).with_columns(y=required)
    with pytest.raises(sb.CompileError):
        deferred.collect()


# --- on_error


def test_null_needs_a_result_that_can_be_null():
    stream = Stream.from_table(TABLE)
    fn = udf(lambda batch: [batch], on_error="null")
    for operator in ("map", "flat_map"):
        with pytest.raises(sb.PlanError, match=r'on_error="null" makes a result null'):
            getattr(stream, operator)(fn)
    kept = udf(lambda batch: pc.is_valid(batch.column("a")), on_error="null")
    assert stream.filter(kept).count() == 3


def test_options_are_those_of_the_place():
    """One function may be used with other options elsewhere, also in one operator."""

    def inverse(a):
        return 12 // a

    stream = Stream.from_table(TABLE).with_columns(
        x=udf(inverse, on_error="null"), y=udf(inverse, nulls="skip")
    )
    assert stream.collect().select(["x", "y"]).to_pylist() == [
        {"x": v, "y": v} for v in (12, None, 4, 3)
    ]
    assert stream.last_run.errors["operator"].to_pylist() == ["WITH x = inverse(a)"]
    with pytest.raises(TypeError):
        Stream.from_table(TABLE).with_columns(x=inverse).collect()
