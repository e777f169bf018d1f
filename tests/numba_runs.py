"""compile="numba": what it computes, what it leaves to CPython, and that everything says that it is not exact.

Run by test_numba.py in a process of its own, because Numba maps a page that is writable and executable.
"""

from __future__ import annotations

import logging
import math

import numpy as np
import pyarrow as pa
import pytest
from support import printed

import sabot as sb
from sabot import Stream, udf

TABLE = pa.table(
    {
        "n": [1, -7, None, 2**62, 0],
        "k": [3, 2, 4, 4, None],
        "x": [0.5, math.nan, -0.0, None, math.inf],
        "b": [True, False, None, True, False],
    }
)


def through(fn, table=TABLE, **options):
    stream = Stream.from_table(table).with_columns(y=udf(fn, compile="numba", **options))
    column = stream.collect()["y"]
    (facts,) = stream.last_run.report["functions"]
    return column, facts, stream


def product(n, k):
    if n is None or k is None:
        return None
    return n * k


def test_integers_wrap_as_numba_has_them_and_everything_says_so():
    column, facts, stream = through(product)
    assert column.type == pa.int64()
    assert column.to_pylist() == [3, -14, None, 0, None]  # CPython: an error at row 3
    assert (facts["mode"], facts["tier"]) == ("numba", "numba")
    assert "numba, scalar, not exact" in stream.explain()
    report = sb.explain(udf(product, compile="numba"), TABLE.schema)
    assert (report.mode, report.kind, report.pure, report.reasons) == ("numba", "scalar", False, [])
    assert "not exact" in str(report)
    assert "not exact" in report._repr_html_()
    assert report.to_dict()["mode"] == "numba"
    with pytest.raises(sb.IntegerOverflowError):
        Stream.from_table(TABLE).with_columns(y=product).collect()


def tens(n):
    return n + 10


def test_rows_with_nulls_are_cpythons():
    table = TABLE.select(["n"])
    with pytest.raises(TypeError, match="unsupported operand") as caught:
        through(tens, table)
    assert "row 2: n=None" in caught.value.__notes__[0]
    assert through(tens, table, nulls="skip")[0].to_pylist()[:3] == [11, 3, None]
    column, _, stream = through(tens, table, on_error="null")
    assert column.to_pylist() == [11, 3, None, 2**62 + 10, 10]
    assert stream.last_run.errors["row"].to_pylist() == [2]
    assert through(tens, table, on_error="skip")[0].to_pylist() == [11, 3, 2**62 + 10, 10]


def over(n, k):
    return 100 // (n - k)


def test_rows_that_raise_are_cpythons():
    rows = 5000
    table = pa.table({"n": list(range(rows)), "k": [5 if i % 40 == 5 else -1 for i in range(rows)]})
    with pytest.raises(ZeroDivisionError) as caught:
        through(over, table)
    assert "row 5: n=5, k=5" in caught.value.__notes__[0]
    assert through(over, table.slice(6))[0].to_pylist() == [
        over(n, k) for n, k in zip(*table.slice(6).to_pydict().values(), strict=True)
    ]
    many = pa.table({"n": list(range(rows)), "k": [i if i % 7 == 0 else -1 for i in range(rows)]})
    column, _, stream = through(over, many, on_error="null")
    assert column.to_pylist() == [100 // (i + 1) if i % 7 else None for i in range(rows)]
    assert stream.last_run.errors["row"].to_pylist() == list(range(0, rows, 7))


@pytest.mark.parametrize("type_", [pa.int8(), pa.uint32(), pa.int64(), pa.float32(), pa.float64()])
def test_columns_of_numbers(type_):
    table = pa.table({"n": pa.array([1, 100, 3, None, 7], type_)}).slice(1)
    column, facts, _ = through(lambda n: n * 100, table, nulls="skip")
    assert facts["mode"] == "numba"
    wanted = pa.float64() if pa.types.is_floating(type_) else pa.int64()
    assert (column.type, column.to_pylist()) == (wanted, [10000, 300, None, 700])


def test_floats_booleans_and_several_chunks():
    table = pa.concat_tables([TABLE.select(["x", "b"]).drop_null()] * 3)
    column, _, _ = through(lambda x, b: b and x > 0, table)
    assert (column.type, column.to_pylist()) == (pa.bool_(), [True, False, False] * 3)
    column, _, _ = through(lambda x: -x, TABLE.select(["x"]).slice(0, 3))
    assert [math.copysign(1, value) for value in column.to_pylist()[::2]] == [-1, 1]
    assert math.isnan(column[1].as_py())
    column, _, _ = through(lambda x: x + 0.5, pa.table({"x": pa.array([], pa.float64())}))
    assert (column.type, len(column)) == (pa.float64(), 0)


def test_a_default():
    column, facts, _ = through(lambda n, extra=5: n + extra, pa.table({"n": [1, 2]}))
    assert (facts["mode"], column.to_pylist()) == ("numba", [6, 7])


def helper(n):
    return n * 2


def uses_helper(n):
    return helper(n) + OFFSET


OFFSET = 5


def test_its_functions_are_compiled_and_rebound_names_are_seen():
    global OFFSET
    stream = Stream.from_table(pa.table({"n": [1, -7]}))
    stream = stream.with_columns(y=udf(uses_helper, compile="numba"))
    assert stream.collect()["y"].to_pylist()[:2] == [7, -9]
    OFFSET = 6
    try:
        assert stream.collect()["y"].to_pylist()[:2] == [8, -8]
        (facts,) = stream.last_run.report["functions"]
        assert facts["mode"] == "interpreted in this run"
        assert facts["interpreted"] == "rebound: OFFSET"
    finally:
        OFFSET = 5


def test_a_filter_takes_the_truth():
    stream = Stream.from_table(pa.table({"n": [0, 1, -1, 2**32]}))
    kept = stream.filter(udf(lambda n: n % 2, compile="numba"))
    assert kept.collect()["n"].to_pylist() == [1, -1]
    assert "numba, scalar, not exact" in kept.explain()


def test_the_type_that_numba_tells():
    def looked_up(n):
        return (10, 20, 30)[n % 3]

    column, facts, _ = through(looked_up, pa.table({"n": [0, 1, 2, 3]}))
    assert (column.type, column.to_pylist()) == (pa.int64(), [10, 20, 30, 10])
    assert facts["mode"] == "numba"


@pytest.mark.parametrize(
    ("fn", "names", "why"),
    [
        (lambda s: s == "a", {"s": pa.string()}, "a column of string"),
        (lambda n: n > 5, {"n": pa.uint64()}, "a column of uint64"),
        (lambda n: hash(object()) == n, {"n": pa.int64()}, "Numba refuses it: Untyped global"),
        (lambda n, k: n**k, {"n": pa.int64(), "k": pa.int64()}, "Numba makes it int64"),
        (lambda *, n: n > 1, {"n": pa.int64()}, "by position"),
        (lambda n, k=3, m=4: n > k + m, {"n": pa.int64(), "m": pa.int64()}, "by position"),
        (lambda n, k="": n > 3, {"n": pa.int64()}, "is no number"),
    ],
)
def test_what_numba_does_not_take_runs_in_cpython_and_says_why(fn, names, why):
    returns = None if "int64" in why else pa.bool_()
    given = udf(fn, compile="numba", returns=returns)
    report = sb.explain(given, names)
    assert report.mode == "interpreted"
    reason = report.reasons[0]
    assert (reason.code, why in reason.message) == ("numba", True), reason
    assert "not exact" not in str(report)
    table = pa.schema(list(names.items())).empty_table()
    assert f"because: {reason.message}" in Stream.from_table(table).with_columns(y=given).explain()


def test_what_it_does_not_go_with():
    stream = Stream.from_table(TABLE)
    for options in ({"max_concurrency": 2}, {"use_process": True}):
        with pytest.raises(sb.PlanError, match='compile="numba", but'):
            stream.with_columns(y=udf(tens, compile="numba", **options))
    with pytest.raises(sb.PlanError, match="pure=False"):
        udf(tens, compile="numba", pure=False)
    with pytest.raises(sb.PlanError, match="is for scalar functions, and this is a record"):
        stream.with_columns(y=udf(lambda row: row["n"], compile="numba"))
    with pytest.raises(sb.PlanError, match="is for scalar functions, and this is a batch"):
        stream.map(udf(lambda batch: batch, compile="numba"))
    with pytest.raises(sb.PlanError, match="compile='numba'"):
        sb.config(compile="numba")


def test_the_setting_off_is_stronger():
    with sb.config(compile="off"):
        stream = Stream.from_table(TABLE.slice(0, 2)).with_columns(y=udf(product, compile="numba"))
        assert "interpreted" in stream.explain()
        assert stream.collect()["y"].to_pylist() == [3, -14]


def test_auto_compile_and_args():
    fast = sb.auto_compile(udf(product, compile="numba"))
    n = pa.array([2**62] * 5000)
    assert set(fast(n, pa.array([4] * 5000)).to_pylist()) == {0}
    ahead = udf(product, compile="numba", args={"n": pa.int64(), "k": pa.int64()})
    assert Stream.from_table(TABLE).with_columns(y=ahead).collect()["y"].to_pylist()[3] == 0


def test_numba_is_imported_only_when_asked_for(caplog):
    out = printed("""
        import sys
        import pyarrow as pa
        import sabot as sb
        stream = sb.Stream.from_table(pa.table({"a": [1, 2]}))
        stream.with_columns(b=lambda a: a + 1).filter(sb.udf(lambda a: a > 0)).collect()
        sb.explain(lambda a: hash(a), {"a": pa.int64()})
        named = sb.udf(lambda a: a + 1, compile="numba")
        print("numba" in sys.modules)
        stream.with_columns(b=named).collect()
        print("numba" in sys.modules)
        """)
    assert out == "False\nTrue\n"
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_without_numba():
    out = printed("""
        import sys
        import pyarrow as pa
        import sabot as sb

        class Without:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "numba":
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Without())
        stream = sb.Stream.from_table(pa.table({"a": [1, 2]}))
        try:
            stream.with_columns(b=sb.udf(lambda a: a + 1, compile="numba"))
        except ImportError as error:
            print(type(error).__name__, error, error.name)
        """)
    assert out == 'MissingLibraryError compile="numba" needs numba: pip install numba numba\n'


def peaks(x: np.ndarray, least=0.5):
    made = np.zeros(len(x))
    for i in range(1, len(x) - 1):
        if x[i] > least and x[i - 1] < x[i] > x[i + 1]:
            made[i] = x[i]
    return made


def of_arrays(fn, **options):
    return udf(fn, kind="array", compile="numba", **options)


def test_functions_of_arrays():
    x = np.sin(np.arange(500.0))
    table = pa.table({"x": x, "n": np.arange(500)})
    stream = Stream.from_table(table).with_columns(p=of_arrays(peaks))
    assert "WITH   p = peaks(x)  numba, array, not exact  reads x" in stream.explain()
    assert stream.collect()["p"].to_pylist() == peaks(x).tolist()
    report = sb.explain(of_arrays(peaks), table.schema)
    assert (report.mode, report.kind, report.signature) == (
        "numba",
        "array",
        "peaks(x: double) -> double",
    )
    assert "not exact" in str(report)
    with sb.config(compile="off"):
        off = Stream.from_table(table).with_columns(p=of_arrays(peaks, returns=pa.float64()))
        assert "numba" not in off.explain()
        assert off.collect()["p"].to_pylist() == peaks(x).tolist()


def test_arrays_that_numba_alone_types_and_filters():
    def sums(n: np.ndarray):
        made = np.zeros(n.size, np.int64)
        for i in range(1, n.size):
            made[i] = made[i - 1] + n[i] * n[i]
        return made

    n = np.arange(100)
    stream = Stream.from_table(pa.table({"n": n})).with_columns(s=of_arrays(sums))
    assert stream.schema.field("s").type == pa.int64()
    assert stream.collect()["s"].to_pylist() == np.cumsum(n * n).tolist()
    kept = Stream.from_table(pa.table({"n": n})).filter(of_arrays(lambda n: n > 97))
    assert kept.collect()["n"].to_pylist() == [98, 99]


def test_arrays_that_numba_refuses_or_fails_at_are_cpythons():
    def opened(x):
        return np.array([len(str(v)) for v in x])

    table = pa.table({"x": [1.0, 2.5]})
    stream = Stream.from_table(table).with_columns(
        s=of_arrays(lambda x: np.char.add(x, "a"), returns=pa.string())
    )
    assert "because: Numba refuses it" in stream.explain()
    report = sb.explain(of_arrays(opened, returns=pa.int64()), table.schema)
    assert report.mode in ("interpreted", "numba")

    def checked(x):
        if x[0] > 1:
            raise ValueError("large")
        return x * 2

    fn = of_arrays(checked, returns=pa.float64())
    assert Stream.from_table(table).with_columns(s=fn).collect()["s"].to_pylist() == [2.0, 5.0]
    with pytest.raises(ValueError, match="large"):
        Stream.from_table(table.slice(1)).with_columns(s=fn).collect()


BY = 2.0


def test_arrays_and_names_that_change():
    global BY

    def times(x):
        return x * BY

    stream = Stream.from_table(pa.table({"x": [1.0, 2.5]})).with_columns(s=of_arrays(times))
    assert "numba, array" in stream.explain()
    assert stream.collect()["s"].to_pylist() == [2.0, 5.0]
    BY = 4.0
    assert stream.collect()["s"].to_pylist() == [4.0, 10.0]
