"""NumPy's functions of whole arrays in batch functions: compiled around them, they give what NumPy gives, bit for bit, warnings too."""

from __future__ import annotations

import textwrap
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import cell, function_report
from test_batch_numpy import defined
from test_batch_ufuncs import bits, by_numpy, compare

import sabot as sb
from sabot import Stream
from sabot._between import Between

pytestmark = pytest.mark.api

ROWS = 5000
TYPES = {
    "double": pa.float64(),
    "float": pa.float32(),
    "int8": pa.int8(),
    "int64": pa.int64(),
    "uint64": pa.uint64(),
    "bool": pa.bool_(),
}


def column(type_, rows=ROWS, seed=0):
    draw = np.random.default_rng(seed)
    if pa.types.is_boolean(type_):
        return pa.array(draw.random(rows) < 0.7)
    if pa.types.is_floating(type_):
        return pa.array(draw.normal(3, 2, rows).astype(type_.to_pandas_dtype()))
    low = 0 if pa.types.is_unsigned_integer(type_) else -5
    return pa.array(draw.integers(low, 90, rows), type_)


def table(type_, rows=ROWS):
    return pa.table({"x": column(type_, rows), "y": column(pa.float64(), rows, seed=1)})


def made(expression, **names):
    """A function that appends what an expression of arrays x and y gives."""
    text = f"""
    def f(batch):
        x = batch.column("x").to_numpy(zero_copy_only=False)
        y = batch.column("y").to_numpy()
        return batch.append_column("made", pa.array({expression}))
    """
    return defined(textwrap.dedent(text), **names)


def explained(expression, schema, **names):
    fn = made(expression, **names)
    return fn, sb.explain(fn, schema)


def stays(expression, given, batch_size=1000, **names):
    """No row leaves, and NumPy itself gives the same."""
    fn, report = explained(expression, given.schema, **names)
    assert (report.mode, report.form) == ("compiled", "array"), str(report)
    assert report.whole_calls, str(report)
    ran = compare(fn, given, batch_size)
    assert ran["rows_left"] == {}, ran
    assert ran["rows_cpython"] == 0, ran
    assert ran["rows"] == given.num_rows


def leaves(expression, given, batch_size=1000, **names):
    """The function itself computes some batches, and says what it says."""
    fn, report = explained(expression, given.schema, **names)
    assert (report.mode, report.form) == ("compiled", "array"), str(report)
    ran = compare(fn, given, batch_size)
    assert ran["rows_cpython"] > 0, ran
    return ran


def refused(expression, type_=None, **names):
    fn, report = explained(expression, table(type_ or pa.float64(), 1).schema, **names)
    assert report.mode == "interpreted", str(report)
    given = table(type_ or pa.float64(), 50)
    compare_plain(fn, given)
    return report.reasons[0].message


def compare_plain(fn, given):
    """The same of a function that is not compiled, failures included."""
    try:
        wanted, expected = by_numpy(fn, given)
    except Exception as error:
        with pytest.raises(type(error)):
            Stream.from_table(given).map(fn).collect()
        return
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        got = Stream.from_table(given).map(fn).collect()
    for name in wanted.schema.names:
        assert got[name].null_count == wanted[name].null_count
        assert bits(got[name]) == bits(wanted[name])
    assert [str(one.message) for one in seen] == expected


# One call


REDUCTIONS = [
    *("x.mean()", "np.mean(x)", "x.sum()", "np.sum(x)", "x.std()", "np.std(x)", "x.var()"),
    *("x.min()", "np.min(x)", "x.max()", "np.amax(x)", "np.median(x)", "np.percentile(x, 30)"),
    *("np.quantile(x, 0.25)", "np.quantile(x, q=0.25, method='lower')", "np.average(x)"),
    *("x.sum(axis=0)", "np.mean(x, axis=None)", "x.std(ddof=1)", "np.var(x, 0, ddof=1)"),
    *("x.sum(dtype=np.float32)", "np.mean(x, dtype='float64')", "np.nanmean(x)", "np.nansum(x)"),
    *("np.nanmin(x)", "np.nanmax(x)", "np.nanstd(x, ddof=1)", "np.nanvar(x)", "np.nanmedian(x)"),
    *("np.add.reduce(x)", "np.maximum.reduce(x)", "np.linalg.norm(x)", "x.argmax()"),
    *("np.argmin(x)", "x @ y", "np.dot(x, y)", "y.dot(x)", "np.inner(x, y)", "np.vdot(x, y)"),
]
ARRAYS = [
    *("np.cumsum(x)", "x.cumsum()", "np.cumprod(x * 0.3)", "np.sort(x)", "np.argsort(x)"),
    *("x.argsort(kind='stable')", "np.maximum.accumulate(x)", "np.add.accumulate(x)"),
    *("np.roll(x, 1)", "np.gradient(x)", "x[np.argsort(y)]", "np.take(x, np.argsort(y))"),
    *("np.searchsorted(np.sort(x), x)", "np.argsort(np.argsort(x))", "np.nancumsum(x)"),
    *("np.cumsum(x, dtype=np.float32)", "np.sort(x)[np.argsort(y)]"),
]


@pytest.mark.parametrize("call", REDUCTIONS)
def test_a_scalar_of_a_column(call):
    stays(f"(x - {call}) * 2", table(pa.float64()))


@pytest.mark.parametrize("call", ARRAYS)
def test_an_array_of_a_column(call):
    stays(call, table(pa.float64()))
    stays(f"{call} + y", table(pa.float64()))


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("call", ["x.sum()", "np.mean(x)", "x.max()", "np.sum(x, dtype=np.int32)"])
def test_scalars_have_the_types_of_numpy(call, type_):
    given = table(TYPES[type_])
    for expression in (f"y * {call}", f"np.where(y > 3, {call}, x)"):
        stays(expression, given)
    fn, report = explained(f"{call} + np.sort(x)", given.schema)  # small integers may wrap around
    assert report.mode == "compiled"
    compare(fn, given, 1000)


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize(
    "call", ["np.cumsum(x)", "np.sort(x)", "np.argsort(x)", "x[np.argsort(y)]"]
)
def test_arrays_have_the_types_of_numpy(call, type_):
    stays(call, table(TYPES[type_]))


def test_truth_of_all_and_any():
    given = table(pa.float64())
    stays("(x > 1) & np.any(x > 8)", given)
    stays("(x > 1) | (x > -100).all()", given)
    stays("np.logical_and(x > 1, np.all(y > 0))", given)


# Several


def test_functions_as_people_write_them():
    given = table(pa.float64())
    for expression in (
        "(x - x.mean()) / x.std()",
        "(x - x.min()) / (x.max() - x.min())",
        "x / np.sum(x)",
        "np.exp(x - x.max()) / np.exp(x - x.max()).sum()",
        "np.cumsum(x * y) / np.cumsum(y)",
        "x - np.cumsum(x - np.mean(x))",
        "np.clip(x, np.percentile(x, 5), np.percentile(x, 95))",
        "np.where(np.abs(x - np.median(x)) > 3 * np.std(x), np.median(x), x)",
        "((x - x.mean()) * (y - y.mean())).mean() / (x.std() * y.std()) + x * 0",
        "-x.mean() + x",
        "np.minimum(x, np.sqrt(y.mean()))",
        "1.0 / x.sum() + y",
        "np.hypot(x, y) / np.hypot(x, y).max()",
        "np.sort(x - x.mean())[np.argsort(y)] - np.cumsum(y).max()",
    ):
        stays(expression, given)


def test_arrays_of_every_type_are_computed_before():
    given = pa.table({"x": column(pa.float64()), "y": column(pa.float64(), seed=1)})
    for expression in (
        "(x > 3).sum() + y",
        "np.cumsum(x > 3)",
        "(x.astype(np.int8) // 2).max() + y",
        "np.sort(x.astype(np.int32))",
        "np.sort(x.astype(np.float32) * 0.5)",
        "np.argsort(x > 3, kind='stable')",
        "np.sum(np.ones(len(x))) + x",
        "np.zeros_like(x).sum() + x",
        "np.cumsum(np.ones(len(x)))",
        "x + (x @ x)",
        "np.roll(np.logical_not(x > 3), 2)",
    ):
        stays(expression, given)


def test_names_for_what_numpy_gives():
    def f(batch):
        x = batch["x"].to_numpy()
        low, high = x.min(), x.max()
        span = high - low
        scaled = (x - low) / span
        total = np.cumsum(scaled)
        total[scaled > 0.5] = -1.0
        total += low
        return {"x": batch["x"], "scaled": scaled, "total": total, "again": np.cumsum(total)}

    given = table(pa.float64())
    assert sb.explain(f, given.schema).mode == "compiled"
    assert compare(f, given, 700)["rows_cpython"] == 0


def test_an_array_is_given_as_it_is_at_the_call():
    def f(batch):
        x = batch["x"].to_numpy().copy()
        before = x.sum()
        x[x > 3] = 0.0
        after = x.sum()
        made = np.cumsum(x)
        first = made.max()
        made[:] = 1.0
        return {"before": x - before, "after": x - after, "first": x - first, "n": made.sum() + x}

    given = table(pa.float64())
    assert sb.explain(f, given.schema).mode == "compiled"
    assert compare(f, given, 700)["rows_cpython"] == 0


def scaled(x, by, of):
    return x * (by / of)


def masked(*lines):
    text = "\n".join(f"    {line}" for line in lines)
    return defined(
        "def f(batch):\n    x = batch['x'].to_numpy()\n    y = batch['y'].to_numpy()\n"
        f"    mean, low = x.mean(), y.min()\n    out = x * 2\n    m = y > 3\n{text}\n"
        "    return {'out': out}",
        scaled=scaled,
    )


def test_a_scalar_for_the_rows_of_a_mask():
    given = table(pa.float64())
    for line in (
        "out[m] = mean",
        "out[m] = x[m] - mean",
        "out[m] += low * x[m]",
        "out[m] = np.maximum(x[m], mean)",
        "out[x > mean] = low",
    ):
        fn = masked(line)
        report = sb.explain(fn, given.schema)
        assert report.mode == "compiled", str(report)
        assert compare(fn, given, 700)["rows_cpython"] == 0
    # NumPy computes with scalars where a mask has no row, too.
    none = pa.table({"x": [1e308, -1e308, 0.0], "y": [0.0, 0.0, 0.0]})
    for line in (
        "out[m] = x[m] * (mean / low)",
        "out[m] = mean / low",
        "out[m] = -mean * x[m]",
        "out[m] = scaled(x[m], mean, low)",
    ):
        fn = masked(line)
        report = sb.explain(fn, given.schema)
        assert "for the rows of a mask" in report.reasons[0].message, str(report)
        compare_plain(fn, none)
    fn = masked("out = x.astype(np.float32)", "out[m] = mean")
    assert sb.explain(fn, given.schema).mode == "interpreted"
    compare_plain(fn, none)


def test_a_scalar_in_a_loop_over_the_rows():
    def f(batch):
        x = batch["x"].to_numpy()
        mean = x.mean()
        out = []
        for value in x:
            out.append(value - mean if value > mean else mean * 0.5)
        return batch.append_column("made", pa.array(out))

    given = table(pa.float64())
    report = sb.explain(f, given.schema)
    assert (report.mode, report.form) == ("compiled", "row"), str(report)
    assert compare(f, given, 700)["rows_cpython"] == 0


def centred(x, by=None):
    return x - np.mean(x)


def test_numbers_of_pythons_that_a_batch_tells():
    given = pa.table({"x": column(pa.float32()), "y": column(pa.float64(), seed=1)})
    for expression in (
        "y - y.sum() / len(x)",
        "y.min() + y * len(y)",
        "x.sum() / x.size + x",
        "x - float(x.mean())",
        "x - float(y.mean())",
        "y / float(np.sum(x)) > len(x)",
        "y - batch.num_rows * x.mean()",
        "x.argmax() / len(x) + y",
        "(x > 1).sum() / len(x) * y",
        "np.cumsum(y) / len(y) + np.cumsum(x) * float(y.max())",
    ):
        stays(expression, given, 700)
    fn, report = explained("y * len(y)", given.schema)  # NumPy has nothing to do
    assert (report.mode, report.whole_calls) == ("compiled", [])
    assert compare(fn, given, 700)["rows_cpython"] == 0
    ints = pa.table({"x": column(pa.int64()), "y": column(pa.float64())})
    stays("x // len(x) + x.min()", ints, 700)
    stays("x - float(y.mean())", ints, 700)
    for expression in ("float(x.mean()) - float(y.mean()) + y", "np.clip(x, 0, float(y.mean()))"):
        assert "Python" in refused(expression)
    assert "Python" in refused("x + len(x)", pa.int8())


def test_a_function_of_the_users_own():
    given = table(pa.float64())
    stays("centred(x) / centred(y).std()", given, centred=centred)


def test_a_filter():
    def f(batch):
        x = batch["x"].to_numpy()
        return pa.array(x > x.mean() + x.std())

    given = table(pa.float64())
    stream = Stream.from_table(given, 700).filter(f)
    wanted = pa.Table.from_batches([b.filter(f(b)) for b in given.to_batches(max_chunksize=700)])
    assert stream.collect().equals(wanted.combine_chunks())
    report = function_report(stream)
    assert report["mode"] == "compiled"
    assert report["rows_cpython"] == 0


def test_behind_filters_and_columns_and_before_others():
    def f(batch):
        x = batch["x"].to_numpy()
        return batch.append_column("z", pa.array((x - x.mean()) / x.std()))

    given = table(pa.float64())
    stream = (
        Stream.from_table(given, 700)
        .filter(lambda y: y > 2)
        .with_columns(w=lambda x: x * 2)
        .map(f)
        .filter(lambda z: z > 0)
    )

    def by_hand(batch):
        y = batch["y"].to_numpy()
        batch = batch.filter(pa.array(y > 2))
        batch = batch.append_column("w", pa.array(batch["x"].to_numpy() * 2))
        batch = f(batch)
        return batch.filter(pa.array(batch["z"].to_numpy() > 0))

    wanted = pa.Table.from_batches([by_hand(b) for b in given.to_batches(max_chunksize=700)])
    assert stream.collect().equals(wanted.combine_chunks())


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("tier", ["auto", "interpreter", "native"])
def test_threads_and_tiers(threads, tier):
    given = table(pa.float64(), 20000)
    fn = made("(x - x.mean()) / x.std() + np.cumsum(y * x)")
    wanted, _ = by_numpy(fn, given, 1500)
    with sb.config(threads=threads, tier=tier):
        got = Stream.from_table(given, 1500).map(fn).collect()
    assert got.schema.equals(wanted.schema)
    assert bits(got["made"]) == bits(wanted["made"])


# Aggregates of Arrow's


def of_arrow(expression):
    return defined(
        f"def f(batch):\n    x, y = batch.column('x'), batch.column('y')\n"
        f"    return batch.append_column('made', {expression})"
    )


AGGREGATES = [
    "pc.subtract(x, pc.mean(x))",
    "pc.multiply(pc.subtract(y, pc.min(y)), pc.max(y))",
    "pc.divide(pc.subtract(y, pc.mean(y)), pc.stddev(y, ddof=1))",
    "pc.fill_null(x, pc.mean(x))",
    "pc.if_else(pc.greater(x, pc.mean(x)), x, pc.mean(x))",
    "pc.add(y, pc.sum(x).as_py())",
    "pc.greater(y, pc.variance(y))",
    "pa.array(y.to_numpy() - pc.mean(x).as_py())",
    "pa.array(y.to_numpy() / pc.sum(x, skip_nulls=True, min_count=2).as_py())",
    "pc.add(pc.product(y), y)",
]


@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("type_", ["double", "float", "int64", "int8"])
@pytest.mark.parametrize("expression", AGGREGATES)
def test_aggregates_of_arrow(expression, type_, nulls):
    x = column(TYPES[type_]).to_pylist()
    if nulls:
        x = [None if k % 7 == 3 else value for k, value in enumerate(x)]
    given = pa.table({"x": pa.array(x, TYPES[type_]), "y": column(pa.float64(), seed=1)})
    fn = of_arrow(expression)
    report = sb.explain(fn, given.schema)
    compare_plain(fn, given)
    if report.mode == "compiled":
        assert report.whole_calls
        assert report.form == "array"
    elif type_ == "double":
        raise AssertionError(str(report))


def test_an_aggregate_that_is_null_leaves_the_batch():
    given = pa.table({"x": pa.array([None, None, 1.0, 2.0]), "y": [1.0, 2.0, 3.0, 4.0]})
    for expression in ("pc.subtract(y, pc.mean(x))", "pc.fill_null(x, pc.mean(x))"):
        fn = of_arrow(expression)
        assert sb.explain(fn, given.schema).mode == "compiled"
        stream = Stream.from_table(given, 2).map(fn)
        wanted = pa.Table.from_batches([fn(b) for b in given.to_batches(max_chunksize=2)])
        assert stream.collect().equals(wanted)
        assert function_report(stream)["rows_cpython"] == 2


# Where CPython has the batch


def test_numpys_warnings_are_given_as_often_as_by_numpy():
    big = pa.table({"x": [1e308, 1e308, 1e308, 1.0] * 600, "y": [1.0, 2.0, 3.0, 0.0] * 600})
    leaves("x / x.sum()", big)
    leaves("x - x.std()", big)
    leaves("np.cumsum(x)", big)
    leaves("y / (y.min() * 0)", big)
    leaves("x - y.max() / y.min()", big)
    leaves("(x * 10).sum() + y", big)
    few = pa.table({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]})
    leaves("x - np.std(x, ddof=2)", few, 2)
    leaves("x - np.std(x, ddof=1)", few, 1)


@pytest.mark.parametrize("call", ["nanmean", "nanmax", "nanmin", "nanmedian", "nanstd", "nansum"])
def test_nothing_but_nan(call):
    nan = float("nan")
    given = pa.table({"x": [nan, nan, 1.0, nan, nan, nan], "y": [1.0] * 6})
    leaves(f"y - np.{call}(x)", given, 3)
    leaves(f"y - np.{call}(x, ddof=1)" if call == "nanstd" else f"y * np.{call}(x)", given, 3)


def test_special_values():
    values = [float("nan"), -0.0, 0.0, float("inf"), -float("inf"), 5e-324, 1.5, -0.0]
    rng = np.random.default_rng(5)
    given = pa.table({"x": rng.choice(values, 4000), "y": rng.choice(values[:3] + [1.0], 4000)})
    for expression in (
        *(
            "x - x.max()",
            "y - y.min()",
            "y * y.max()",
        ),
        *("y + np.nanmax(y)", "np.sort(y)", "np.sort(x)", "np.cumsum(y)", "np.argsort(x)"),
        *("np.maximum.accumulate(y)", "y - np.median(y)", "x + x.argmax()", "y * np.nansum(y)"),
        "x - x.mean()",
    ):
        fn, report = explained(expression, given.schema)
        assert report.mode == "compiled", str(report)
        compare(fn, given, 500)


def test_zeros_of_either_sign():
    given = pa.table({"x": [-0.0] * 50, "y": [0.0, -0.0] * 25})
    for expression in ("x + x.sum()", "x * x.max()", "y.min() + x", "np.cumsum(x)", "np.sort(y)"):
        stays(expression, given, 10)


def test_nulls():
    fn = made("x - x.mean()")
    given = pa.table({"x": [1.0, None, 2.0], "y": [1.0, 2.0, 3.0]})
    assert sb.explain(fn, given.schema).mode == "compiled"
    compare(fn, given)  # a copy with NaN for null

    def strict(batch):
        x = batch["x"].to_numpy()
        return batch.append_column("made", pa.array(x - x.mean()))

    with pytest.raises(pa.ArrowInvalid):
        strict(given.to_batches()[0])
    with pytest.raises(pa.ArrowInvalid):
        Stream.from_table(given).map(strict).collect()


def test_few_rows():
    for rows in (1, 2, 3, 31, 32, 33):
        given = table(pa.float64(), rows)
        fn = made("(x - x.mean()) / (1 + x.std()) + np.cumsum(y)")
        report = compare(fn, given)
        assert report["rows_cpython"] == (rows if rows == 1 else 0)


def test_no_rows():
    fn = made("x - x.sum()")
    empty = table(pa.float64(), 0)
    assert Stream.from_table(empty).map(fn).collect().num_rows == 0

    def kept(batch):
        return batch.filter(pa.array([False] * batch.num_rows, pa.bool_()))

    got = Stream.from_table(table(pa.float64(), 10)).map(kept).map(fn).collect()
    assert got.num_rows == 0
    least = made("x - x.min()")  # of nothing it fails
    with pytest.raises(ValueError, match="zero-size array"):
        least(
            empty.to_batches()[0]
            if empty.to_batches()
            else kept(table(pa.float64(), 1).to_batches()[0])
        )


def test_slices():
    whole = table(pa.float64(), 3000)
    for start, rows in ((1, 2000), (7, 33), (998, 2002)):
        given = whole.slice(start, rows)
        stays("(x - x.mean()) / x.std() + np.cumsum(x * y)", given, 400)
    flags = pa.table({"x": column(pa.bool_(), 3000), "y": column(pa.float64(), 3000)}).slice(
        3, 2500
    )
    stays("y * x.sum() + np.cumsum(x)", flags, 401)


def test_a_changed_error_state():
    given = pa.table({"x": [1e308, 1e308, 1.0, 2.0], "y": [1.0, 2.0, 3.0, 4.0]})
    fn = made("y / x.sum()")
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        Stream.from_table(given).map(fn).collect()
    with np.errstate(all="ignore"):
        compare(fn, given)


def test_what_numpy_gives_is_looked_at():
    batch = pa.record_batch({"0": [1.0, 2.0]})
    fn = made("x - x.mean()")
    captured = []
    original = Between.made

    def seen(self, given):
        captured.append(self)
        return original(self, given)

    Between.made = seen
    try:
        Stream.from_table(table(pa.float64(), 10)).map(fn).collect()
    finally:
        Between.made = original
    between = captured[0]
    assert between.made(batch)[0].to_pylist() == [1.5]
    assert between.made(pa.record_batch({"0": pa.array([1, 2])})) is None
    assert between.made(pa.record_batch({"0": pa.array([1.0, None])})) is None
    (call, places), *_ = between.calls
    for wrong in (lambda _: 1.5, lambda _: np.float32(1), lambda _: np.zeros(2), lambda _: 1 / 0):
        other = between._replace(calls=[(call._replace(make=wrong), places)])
        assert other.made(batch) is None


# What is not done


def test_refusals_tell_the_reason():
    assert "np.sum" in refused("x - np.sum(x, keepdims=True)")
    assert "np.mean" in refused("x - np.mean(x, where=y > 0)")
    assert "scalar" in refused("x - x.mean() ** 2")
    assert "scalar" in refused("x - np.exp(x.mean())")
    assert "mask" in refused_masked()
    assert refused("x - np.unique(x)[0]")
    assert "ddof" in refused("x - x.std(ddof=7)")


def refused_masked():
    def f(batch):
        x = batch["x"].to_numpy()
        out = x * 0
        out[x > 3] = x[x > 3].mean()
        return batch.append_column("made", pa.array(out))

    given = table(pa.float64(), 500)
    report = sb.explain(f, given.schema)
    assert report.mode == "interpreted"
    compare_plain(f, given)
    return report.reasons[0].message


def test_a_scalar_is_no_column():
    for expression in ("x.mean()", "[x.mean()] * len(x)", "np.where(True, x.mean(), x.std())"):
        fn, report = explained(expression, table(pa.float64(), 1).schema)
        assert report.mode == "interpreted", str(report)
        compare_plain(fn, table(pa.float64(), 20))


def standard(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / x.std()


def test_functions_of_arrays():
    given = table(pa.float64())
    stream = Stream.from_table(given, 700).with_columns(z=standard)
    wanted = [standard(b["x"].to_numpy()) for b in given.to_batches(max_chunksize=700)]
    got = stream.collect()["z"].to_numpy()
    assert got.tobytes() == np.concatenate(wanted).tobytes()
    assert function_report(stream)["rows_cpython"] == 0
    x = given["x"].to_numpy()
    assert sb.auto_compile(standard)(x).tobytes() == standard(x).tobytes()


def test_of_itself_it_is_called_as_it_is():
    fn = made("x - x.mean()")
    fast = sb.auto_compile(fn)
    batch = table(pa.float64(), 100).to_batches()[0]
    assert fast(batch).equals(fn(batch))


def test_no_code_of_the_users_runs_while_a_function_is_read(monkeypatch):
    def mean(values):
        raise AssertionError

    monkeypatch.setattr(np, "mean", mean)
    report = sb.explain(made("x - np.mean(x)"), table(pa.float64(), 1).schema)
    assert report.mode == "interpreted"


def test_it_is_told():
    given = table(pa.float64(), 10)
    fn, report = explained("(x - x.mean()) / np.std(x)", given.schema)
    assert report.whole_calls == ["ndarray.mean", "np.std"]
    assert report.reads == ["x", "y"]
    assert "NumPy itself computes, of whole columns, ndarray.mean, np.std" in str(report)
    text = Stream.from_table(given).map(fn).explain()
    assert "NumPy itself: ndarray.mean, np.std" in text


def test_failures_of_the_function_itself():
    fn = made("x.mean() + y[np.argsort(x) + 1]")  # one place too far
    given = table(pa.float64(), 100)
    assert sb.explain(fn, given.schema).mode == "compiled"
    with pytest.raises(IndexError, match="out of bounds"):
        Stream.from_table(given).map(fn).collect()
    stream = Stream.from_table(given, 10).map(sb.udf(on_error="skip")(fn))
    assert stream.collect().num_rows == 0


def test_numbers_stay_with_their_function():
    """Two functions in one stream, and one function twice."""
    one, other = made("x - x.mean()"), made("np.cumsum(x) / x.sum()")
    given = table(pa.float64())

    def renamed(batch):
        return batch.rename_columns(["x", "y", "first"])

    def again(batch):
        return other(batch)

    by_hand = [again(renamed(one(b))) for b in given.to_batches(max_chunksize=600)]
    got = Stream.from_table(given, 600).map(one).map(renamed).map(other).collect()
    assert bits(got["made"]) == bits(pa.Table.from_batches(by_hand)["made"])
    assert bits(got["first"]) == bits(pa.Table.from_batches(by_hand)["first"])


def test_a_source_in_python_and_a_name_that_changes():
    scale = 2.0
    given = table(pa.float64(), 4000)

    def f(batch):
        x = batch["x"].to_numpy()
        return batch.append_column("made", pa.array((x - x.mean()) * scale))

    def source():
        nonlocal scale
        for batch in given.to_batches(max_chunksize=500):
            yield batch
            scale += 1.0

    scale = 2.0
    wanted = pa.Table.from_batches([f(batch) for batch in source()])
    scale = 2.0
    got = Stream.from_batches(source(), given.schema).map(f).collect()
    assert bits(got["made"]) == bits(wanted["made"])


@pytest.fixture(autouse=True)
def _all_are_compiled(monkeypatch, request):
    """Also those that are not worth it."""
    if "worth" not in request.node.name:
        monkeypatch.setattr("sabot._form_parts.WORTH", 0)


def test_what_is_not_worth_it_is_cpythons():
    def scores(batch: pa.RecordBatch):
        x = batch["x"].to_numpy()
        return batch.append_column("z", pa.array((x - x.mean()) / x.std()))

    def more(batch: pa.RecordBatch):
        x = batch["x"].to_numpy()
        z = x - x.mean()
        return batch.append_column("z", pa.array(((z * 0.5 + 1) * z - 3) * z / (z * z + 1)))

    table = pa.table({"x": [k / 7 for k in range(1000)]})
    report = sb.explain(scores, table.schema)
    assert (report.mode, report.signature) == (
        "interpreted",
        "scores(batch) -> {x: double, z: double}",
    )
    assert "little is computed beside ndarray.mean, ndarray.std" in report.reasons[0].message
    assert sb.explain(more, table.schema).mode == "compiled"
    for fn in (scores, more):
        stream = Stream.from_table(table).map(fn)
        assert stream.schema.names == ["x", "z"]
        assert stream.collect().equals(pa.Table.from_batches([fn(table.to_batches()[0])]))


BESIDE_MASKS = [
    "y = x - x[x > 0].mean(); return {'y': y}",
    "m = x.mean(); return {'y': x[x > m]}",
    "y = x * len(x[x > 0]); return {'y': y}",
    "y = x + x[x > 0].size; return {'y': y}",
    "b = batch.filter(pc.greater(batch['x'], 0)); return {'y': pc.add(b['x'], pc.sum(b['x']))}",
    "b = batch.filter(pc.greater(batch['x'], 0)); return {'y': pc.add(batch['x'], pc.sum(b['x']))}",
    "b = batch.filter(pc.greater(batch['x'], 0)); return {'y': np.cumsum(b['x'].to_numpy())}",
    "b = batch.filter(pc.greater(batch['x'], 0)); y = x * b.num_rows; return {'y': y}",
    "y = np.sort(x)[x > 0]; return {'y': y}",
    "m = x > 0; y = np.cumsum(x)[m]; return {'y': y, 'z': x[m]}",
    "y = x[x > 0]; return {'y': (y - y.min()) / (y.max() - y.min())}",
    "y = x[np.argsort(x)][x > 0]; return {'y': y}",
    "k = np.argsort(x); m = x > 0; return {'y': x[k][m], 'z': k[m]}",
    "return batch.filter(pc.greater(batch['x'], pc.mean(batch['x'])))",
    "return batch.filter(x > x.mean())",
    "return batch.filter(x > np.median(x)).append_column('z', batch.filter(x > np.median(x))['x'])",
    "y = np.where(x > 0, x, x[x > 0].mean()); return {'y': y}",
]


@pytest.mark.parametrize("body", BESIDE_MASKS)
def test_beside_rows_that_masks_leave(body):
    lines = ["x = batch['x'].to_numpy()", *body.split("; ")]
    text = "def f(batch: pa.RecordBatch):\n" + "".join(f"    {line}\n" for line in lines)
    fn = cell(text, np=np, pa=pa, pc=pc)["f"]
    batch = pa.record_batch({"x": [0.5, -1.5, 2.25, -3.0, 4.0, 1.0, -0.0, 7.5]})
    for rows in (batch, batch.slice(2, 5), batch.slice(1, 1)):
        wanted, got = [], []
        for made, call in (
            (
                wanted,
                lambda r=rows: (
                    pa.table(fn(r)) if isinstance(fn(r), dict) else pa.Table.from_batches([fn(r)])
                ),
            ),
            (got, lambda r=rows: Stream.from_batches([r]).map(fn).collect()),
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    made.append(call().combine_chunks().to_pydict())
                except Exception as error:
                    made.append(repr(error))
        assert repr(got) == repr(wanted)
