"""Batch functions that take NumPy arrays: compiled, they give what NumPy gives, value for value and type for type, warnings too."""

import textwrap
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import WAYS, cell, function_report

import sabot as sb
from sabot import Stream

FORMS = {
    "my_transform": """
        def f(batch):
            values = batch.column("x").to_numpy()
            results = []
            for i in range(len(values)):
                total = 0
                for j in range(100):
                    total += values[i] * j
                results.append(total)
            return batch.append_column("computed", pa.array(results))
    """,
    "arithmetic": """
        def f(batch):
            x = batch["x"].to_numpy()
            k = batch["k"].to_numpy()
            y = (x * 2 + k) / 3 - 1
            return batch.append_column("y", pa.array(y)).append_column("z", pa.array(-k // 7 % 5))
    """,
    "narrow": """
        def f(batch):
            s = batch["s"].to_numpy()
            h = batch["h"].to_numpy()
            small = [v // 2 for v in s]
            return pa.record_batch({
                "int16": s % 10, "float32": h * 2, "int64": s + batch["k"].to_numpy(),
                "list16": pa.array(small), "double": h + batch["x"].to_numpy(),
            })
    """,
    "where": """
        def f(batch):
            x = batch["x"].to_numpy()
            k = batch["k"].to_numpy()
            inside = (x > -1) & (x < 1)
            y = np.where(inside, x * x, 1)
            return pa.table({"y": y, "z": np.where(k > 3, k, -1), "inside": pa.array(~inside)})
    """,
    "own_arrays": """
        def f(batch):
            x = batch["x"].to_numpy()
            k = batch["k"].to_numpy(zero_copy_only=False)
            n = len(x)
            out = np.zeros(n)
            counts = np.zeros(n, dtype=np.int64)
            rest = np.full(n, 2.5)
            copy = x.copy()
            for i in range(n):
                if x[i] > 0:
                    out[i] = x[i] ** 2
                    counts[i] = 1
                elif k[i] % 2 == 0:
                    counts[i] += k[i]
                    copy[i] = 0
                rest[i] -= out[i]
            scaled = out * 2
            return {"out": out, "counts": counts, "rest": rest, "copy": copy, "scaled": scaled}
    """,
    "zip_of_arrays": """
        def f(batch):
            results = []
            for a, b in zip(batch["x"].to_numpy(), batch["k"].to_numpy()):
                if a > b:
                    results.append(a - b)
                else:
                    results.append(b)
            return pa.RecordBatch.from_arrays([pa.array(results)], names=["r"])
    """,
    "math_of_scalars": """
        def f(batch):
            x = batch["x"].to_numpy()
            out = []
            for i, v in enumerate(x):
                out.append(math.sqrt(abs(v)) + float(v) + round(v) + int(v))
            return {"out": out}
    """,
    "squares": """
        def f(batch):
            x = batch["x"].to_numpy()
            k = batch["k"].to_numpy()
            return {"x": x**2, "k": k**2, "s": batch["s"].to_numpy().astype("float64") * 0.1}
    """,
    "functions": """
        def f(batch):
            x = batch["x"].to_numpy()
            k = batch["k"].to_numpy()
            root = np.sqrt(np.abs(x))
            return {
                "root": root, "low": np.minimum(x, 1.5), "high": np.maximum(k, 3), "clip": np.clip(x, -1, 2),
                "floor": np.floor(x), "sign": np.sign(x), "square": np.square(k), "nan": np.isnan(x), "add": np.add(x, k),
            }
    """,
    "changed_after_pa_array": """
        def f(batch):
            x = batch["x"].to_numpy()
            n = len(x)
            flags = np.zeros(n, dtype=bool)
            counts = np.zeros(n, dtype=np.int64)
            before, shared = pa.array(flags), pa.array(counts)
            for i in range(n):
                flags[i] = x[i] > 0
                counts[i] = 7
            return {"before": before, "shared": shared, "after": flags, "same": counts}
    """,
    "comparisons": """
        def f(batch):
            x = batch["x"].to_numpy()
            k = batch["k"].to_numpy()
            return {"a": x >= k, "b": k == 3, "c": (k != 2) | (x <= 0.5), "d": k & 6, "e": k << 2}
    """,
    "while_loop": """
        def f(batch):
            k = batch["k"].to_numpy()
            out = []
            for v in k:
                n = v
                steps = 0
                while n > 1 and steps < 200:
                    n = n // 2 if n % 2 == 0 else 3 * n + 1
                    steps += 1
                out.append(steps)
            return batch.append_column("steps", pa.array(out))
    """,
}


def table(rows=600):
    return pa.table(
        {
            "x": pa.array([(k * 53 % 97 - 40) / 8 for k in range(rows)]),
            "k": pa.array([k * 37 % 101 - 50 for k in range(rows)], pa.int64()),
            "s": pa.array([k * 31 % 2001 - 1000 for k in range(rows)], pa.int16()),
            "h": pa.array([(k % 61 - 30) / 4 for k in range(rows)], pa.float32()),
        }
    )


def defined(text, **names):
    import math

    space = {"pa": pa, "pc": pc, "np": np, "math": math, **names}
    return cell(textwrap.dedent(text).strip("\n"), **space)["f"]


def as_batch(given):
    if isinstance(given, dict):
        return pa.RecordBatch.from_pydict(given)
    if isinstance(given, pa.Table):
        return given.combine_chunks().to_batches()[0]
    return given


def same(got, wanted):
    """Equal bit for bit, but for which NaN it is."""
    if got.type != wanted.type:
        return False
    one, other = got.to_numpy(), wanted.to_numpy()
    if one.dtype.kind == "f":
        return bool(
            np.array_equal(one, other, equal_nan=True)
            and np.array_equal(np.signbit(one[one == 0]), np.signbit(other[other == 0]))
        )
    return bool(np.array_equal(one, other))


@pytest.mark.parametrize("name", FORMS)
def test_forms_give_what_numpy_gives(name):
    fn = defined(FORMS[name])
    given = table()
    report = sb.explain(fn, given.schema)
    assert (report.mode, report.kind) == ("compiled", "batch"), str(report)
    wanted = pa.Table.from_batches([as_batch(fn(given.combine_chunks().to_batches()[0]))])
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads):
            stream = Stream.from_table(given, batch_size).map(fn)
            assert stream.schema.equals(wanted.schema), (stream.schema, wanted.schema)
            got = stream.collect()
            for column in wanted.schema.names:
                assert same(got[column], wanted[column]), (column, tier, batch_size)
            counts = function_report(stream)
            assert (counts["rows"], counts["rows_cpython"]) == (600, 0), counts["rows_left"]


# What leaves

LEAVES = {
    "overflow": ("{'r': [v + 1 for v in b['k'].to_numpy()]}", [1, 2**63 - 1], "overflow"),
    "zero": ("{'r': b['k'].to_numpy() // 0}", [1, 2], "divide by zero"),
    "narrow": ("{'r': b['s'].to_numpy() * 100}", [1, 120], None),
    "square": ("{'r': b['k'].to_numpy() ** 2}", [2**40, 3], None),
}


@pytest.mark.parametrize("name", LEAVES)
def test_a_batch_of_which_numpy_warns_or_wraps_is_cpythons(name):
    text, values, warning = LEAVES[name]
    fn = defined(f"def f(b):\n    return {text}")
    given = pa.table({"k": values, "s": pa.array([min(v, 120) for v in values], pa.int8())})
    with warnings.catch_warnings(record=True) as expected:
        warnings.simplefilter("always")
        wanted = as_batch(fn(given.to_batches()[0]))
    stream = Stream.from_table(given).map(fn)
    assert sb.explain(fn, given.schema).mode == "compiled"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        got = stream.collect()
    assert got["r"].to_pylist() == wanted["r"].to_pylist()
    assert [str(one.message) for one in seen] == [str(one.message) for one in expected]
    assert bool(warning) == bool(seen)
    assert function_report(stream)["rows_cpython"] == 2


def test_floats_that_are_not_finite():
    fn = defined("def f(b):\n    x = b['x'].to_numpy()\n    return {'r': x * 2 + 1, 's': x - x}")
    quiet = pa.table({"x": [1.0, float("nan"), -2.0]})
    stream = Stream.from_table(quiet).map(fn)
    assert same(stream.collect()["r"], pa.chunked_array([[3.0, float("nan"), -3.0]]))
    assert function_report(stream)["rows_cpython"] == 0  # NaN in, NaN out: no warning
    loud = pa.table({"x": [1.0, float("inf"), 1e308]})
    stream = Stream.from_table(loud).map(fn)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        stream.collect()
    assert {str(one.message) for one in seen} >= {"overflow encountered in multiply"}
    assert function_report(stream)["rows_cpython"] == 3


def test_nulls_are_to_numpys():
    fn = defined("def f(b):\n    return {'r': [v + 1 for v in b['k'].to_numpy()]}")
    loose = defined(
        "def f(b):\n    return {'r': [v + 1 for v in b['k'].to_numpy(zero_copy_only=False)]}"
    )
    given = pa.table({"k": [1, None, 3]})
    assert sb.explain(fn, given.schema).mode == "compiled"
    with pytest.raises(pa.ArrowInvalid, match="Needed to copy 1 chunks with 1 nulls"):
        Stream.from_table(given).map(fn).collect()
    # With nulls the array has floats: that is another type than the one that was told.
    with pytest.raises(sb.SchemaError, match="column 'r' is double, in the schema it is int64"):
        Stream.from_table(given).map(loose).collect()


def test_views_of_columns_are_read_only():
    text = """
        def f(batch):
            x = batch["x"].to_numpy()
            for i in range(len(x)):
                x[i] = 0
            return {"x": x}
    """
    report = sb.explain(defined(text), table(1).schema)
    assert report.reasons[0].message.endswith(
        "an item of an array that is not its own is given a value"
    )
    with pytest.raises(ValueError, match="read-only"):
        Stream.from_table(table(3)).map(defined(text)).collect()


REFUSED = {
    "scalar": ("{'r': b['x'].to_numpy().mean()}", "no array of rows"),
    "length": ("{'r': np.diff(b['x'].to_numpy())}", "np.diff of whole arrays"),
    "two_results": ("{'r': np.modf(b['x'].to_numpy())[0]}", "np.modf"),
    "booleans": ("{'r': b['p'].to_numpy()}", "to_numpy of bool"),
    "every_other": ("{'r': b['x'].to_numpy()[::2]}", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_row_by_row_stays_with_numpy(name):
    text, wanted = REFUSED[name]
    fn = defined(f"def f(b):\n    return {text}")
    schema = pa.schema({"x": pa.float64(), "p": pa.bool_()})
    report = sb.explain(fn, schema)
    assert report.mode == "interpreted"
    assert wanted in report.reasons[0].message
