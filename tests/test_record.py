"""Record functions: one parameter, the row as a dict."""

import re

import pyarrow as pa
import pytest

import sabot
from sabot import PlanError, Stream, TypeMismatchError, UnknownColumnError, udf

TABLE = pa.table(
    {
        "a": [1, 2, None, 4, 5, 0],
        "b": [0.5, None, 2.5, -1.0, 0.0, 8.0],
        "some text": ["x", "y", None, "z", "", "w"],
        "ok": [True, False, None, True, True, False],
    }
)
KEY = "b"


def late(row):
    return (row["a"] or 0) > 1


def total(row):
    if row["a"] is None or row["b"] is None:
        return None
    return row["a"] * 2 + row.get("b", 1.0)


def by_captured_key(row):
    return row[KEY] if "a" in row and "nope" not in row else -1.0


def with_default(row):
    return row.get("missing", 7) + (row.get("a") or 0)


def loops(row):
    total = 0
    for k in range(row["a"] or 0):
        total += k
    return total


@udf(kind="record")
def whole_row(row) -> int:
    return len(row) + sum(1 for v in row.values() if v is None)


COMPILED = [late, total, by_captured_key, with_default, loops]


def every_way(build):
    results = []
    for compile, tier, size in (
        ("off", "auto", None),
        ("auto", "interpreter", None),
        ("auto", "native", 2),
        ("auto", "auto", 1),
    ):
        with sabot.config(compile=compile, tier=tier):
            results.append(build(Stream.from_table(TABLE, size)).collect())
    for result in results[1:]:
        assert result.equals(results[0])
    return results[0]


@pytest.mark.parametrize("fn", COMPILED + [whole_row])
def test_values_are_those_of_cpython(fn):
    made = every_way(lambda s: s.with_columns(y=fn))
    assert made["y"].to_pylist() == [fn(row) for row in TABLE.to_pylist()]


@pytest.mark.parametrize("fn", COMPILED)
def test_they_are_compiled_and_read_few_columns(fn):
    report = sabot.explain(fn, TABLE.schema)
    assert (report.mode, report.kind, report.reasons) == ("compiled", "record", [])
    assert set(report.reads) <= (
        {"a", "b"} if fn is not by_captured_key else set(TABLE.schema.names)
    )
    text = Stream.from_table(TABLE).with_columns(y=fn).explain().splitlines()[0]
    assert re.match(rf"WITH   y = {fn.__name__}\(row\) +compiled, record  reads ", text)


def test_filter():
    kept = every_way(lambda s: s.filter(lambda row: row["ok"] and row["b"] is not None))
    assert kept["a"].to_pylist() == [1, 4, 5]


def test_what_is_not_compiled_gets_the_whole_row():
    report = sabot.explain(whole_row, TABLE.schema)
    assert (report.mode, report.kind) == ("interpreted", "record")
    assert report.reasons[0].message.endswith("the row itself as a value")
    assert report.reads == TABLE.schema.names

    def text(row) -> str:
        return f"{row['some text']}!"

    made = Stream.from_table(TABLE).with_columns(t=text).collect()
    assert made["t"].to_pylist()[:3] == ["x!", "y!", "None!"]


@pytest.mark.parametrize("compile", ["off", "auto"])
@pytest.mark.parametrize("tier", ["interpreter", "native"])
def test_a_missing_key_is_a_key_error_at_its_row(compile, tier):
    def fails(row):
        return row["a"] if row["a"] != 4 else row["c"]

    with sabot.config(compile=compile, tier=tier), pytest.raises(KeyError) as caught:
        Stream.from_table(TABLE).with_columns(y=udf(fails, returns=pa.int64())).collect()
    assert caught.value.args == ("c",)
    assert "row 3: a=4" in caught.value.__notes__[0]
    assert "in WITH y = fails(row): operator 0" in caught.value.__notes__[0]


def test_the_traceback_has_the_function():
    def divides(row):
        return 10 // row["a"]

    with pytest.raises(ZeroDivisionError) as caught:
        Stream.from_table(TABLE.slice(3)).with_columns(y=divides).collect()
    assert caught.traceback[-1].name == "divides"


def test_a_record_with_other_parameters_is_interpreted():
    def scaled(row, by=3):
        return (row["a"] or 0) * by

    report = sabot.explain(scaled, TABLE.schema)
    assert report.kind == "record"
    made = Stream.from_table(TABLE).with_columns(y=udf(scaled, returns=pa.int64())).collect()
    assert made["y"].to_pylist() == [3, 6, 0, 12, 15, 0]


def test_kind_may_be_declared():
    made = Stream.from_table(TABLE).filter(udf(lambda r: bool(r.get("a")), kind="record"))
    assert made.count() == 4


def test_on_error():
    @udf(on_error="null")
    def inverse(row):
        return 1 / row["a"]

    stream = Stream.from_table(TABLE).with_columns(y=inverse)
    assert stream.collect()["y"].to_pylist() == [1.0, 0.5, None, 0.25, 0.2, None]
    assert stream.last_run.errors["row"].to_pylist() == [2, 5]


def test_rebinding_a_captured_key_is_seen(monkeypatch):
    stream = Stream.from_table(TABLE).with_columns(y=by_captured_key)
    assert stream.collect()["y"].to_pylist()[0] == 0.5
    monkeypatch.setitem(globals(), "KEY", "a")
    assert stream.with_columns(z=lambda a: a).collect() is not None
    assert stream.collect()["y"].to_pylist()[0] == 1.0
    monkeypatch.setitem(globals(), "KEY", "gone")
    with pytest.raises(KeyError, match="gone"):
        stream.collect()


def test_where_they_cannot_be():
    with pytest.raises(PlanError, match="nulls"):
        Stream.from_table(TABLE).with_columns(y=udf(late, nulls="skip"))
    source = Stream.from_table(TABLE).map(lambda batch: batch.select(["a"]))
    with pytest.raises((PlanError, UnknownColumnError)):
        source.with_columns(y=lambda row: row["zz"] + 1).collect()


def of_columns(a, ok):
    if a is None:
        return ok
    return a + 1


def of_a_row(row):
    if row["a"] is None:
        return row["ok"]
    return row["a"] + 1


def joined(row):
    return row["a"] if row["ok"] else row["b"]


@pytest.mark.parametrize("fn", [of_columns, of_a_row])
@pytest.mark.parametrize("compile", ["off", "auto"])
def test_kinds_without_a_common_type_name_both_returns(fn, compile):
    line = fn.__code__.co_firstlineno
    with sabot.config(compile=compile), pytest.raises(TypeMismatchError) as caught:
        Stream.from_table(TABLE).with_columns(y=fn)
    assert str(caught.value) == (
        f"{fn.__name__}: returns bool (line {line + 2}) and int (line {line + 3}): no Arrow type holds both; "
        "convert one, for example with int(...) or != 0"
    )
    assert Stream.from_table(TABLE).filter(fn).count() == 5  # the truth of a result has one


def test_int_with_float_is_double():
    made = every_way(lambda s: s.with_columns(y=joined))
    assert made["y"].type == pa.float64()
    assert made["y"].to_pylist() == [1.0, None, 2.5, 4.0, 5.0, 8.0]


def test_absent_columns():
    def fn(row):
        found = 1 if "a" in row and "zz" not in row else 0
        return found + row.get("zz", 10) + (row.get("yy") is None) + row.get("ww", row["b"] or 0.0)

    made = every_way(lambda s: s.with_columns(y=fn))
    assert made["y"].to_pylist() == [fn(row) for row in TABLE.to_pylist()]
    assert sabot.explain(fn, TABLE.schema).mode == "compiled"
