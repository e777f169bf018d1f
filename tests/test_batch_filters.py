"""Batch functions that give fewer rows: compiled, they give the rows, types and batches that CPython gives; what is not certain is CPython's."""

import itertools
import math
import textwrap
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import WAYS, bits, cell, function_report

import sabot as sb
from sabot import Stream

FORMS = {
    "batch": """
        def f(batch):
            return batch.filter(pc.greater(batch.column("a"), 5))
    """,
    "lambda": """
        f = lambda b: b.filter(pc.less(b["x"], 0.5))
    """,
    "by_numpy": """
        def f(batch):
            return batch.filter(batch["x"].to_numpy() > 0)
    """,
    "null_masks": """
        def f(batch):
            return batch.filter(batch.column("p"))
    """,
    "drop": """
        def f(batch):
            return batch.filter(mask=pc.invert(batch["p"]), null_selection_behavior="drop")
    """,
    "clean": """
        def f(batch):
            mask = pc.and_(pc.is_valid(batch["a"]), pc.greater(batch["a"], 0))
            out = batch.filter(mask)
            return out.append_column("double", pc.multiply(out["a"], 2))
    """,
    "numpy": """
        def f(batch):
            x = batch.column("x").to_numpy()
            y = batch.column("y").to_numpy()
            keep = (y != 0) & ~np.isnan(x)
            return pa.RecordBatch.from_pydict({"x": x[keep], "r": x[keep] / y[keep]})
    """,
    "same_mask_twice": """
        def f(batch):
            x = batch["x"].to_numpy()
            k = batch["k"].to_numpy()
            return {"x": x[k % 3 == 1], "half": k[k % 3 == 1] // 2}
    """,
    "narrow": """
        def f(batch):
            h = batch["h"].to_numpy()
            m = batch["m"].to_numpy()
            keep = m > 3
            made = h[keep]
            made *= 2
            return {"h": made, "m": m[keep] + m[keep], "t": h[keep] > 1}
    """,
    "in_sequence": """
        def f(batch):
            first = batch.filter(pc.greater(batch["a"], -30))
            second = first.filter(pc.less(first["a"], 30))
            made = pc.add(second["a"], 1)
            return second.append_column("made", made).filter(pc.is_valid(second["p"]))
    """,
    "arrays": """
        def f(batch):
            mask = pc.greater_equal(batch["a"], 0)
            a = batch["a"].filter(mask)
            x = pc.filter(batch["x"], mask)
            return pa.record_batch([pc.cast(a, pa.float64()), x, batch["s"].filter(mask)], names=["a", "x", "s"])
    """,
    "function_of_batches": """
        def f(batch):
            return pc.filter(batch, pc.equal(batch["k"], 4)).select(["s", "k"])
    """,
    "table": """
        def f(batch):
            return pa.Table.from_batches([batch]).filter(pc.greater(batch["x"], 0))
    """,
    "lists_behind": """
        def f(batch):
            some = batch.filter(pc.and_(pc.is_valid(batch["a"]), pc.greater(batch["x"], -2)))
            made = []
            for a, x in zip(some["a"].to_pylist(), some["x"].to_pylist()):
                if a > 3:
                    made.append(a * x)
                    continue
                made.append(-x)
            return some.append_column("made", pa.array(made))
    """,
    "comprehension_behind": """
        def f(batch):
            k = batch["k"].to_numpy()
            some = k[k > 2]
            return {"k": some, "twice": [2 * v for v in some], "n": [v % 2 == 0 for v in some]}
    """,
    "own_arrays_behind": """
        def f(batch):
            x = batch["x"].to_numpy()
            keep = x > -1
            some = x[keep]
            out = np.zeros(len(some))
            counts = np.full(some.size, 3)
            for i in range(len(some)):
                if some[i] > 1:
                    out[i] = some[i] * 2
                    counts[i] += 1
            out[some < 0] = some[some < 0] * 7
            return {"out": out, "counts": counts, "like": np.full_like(some, 2)}
    """,
    "loops_before": """
        def f(batch):
            x = batch["x"].to_numpy()
            wave = np.sin(x) + np.cos(x)
            return pa.record_batch({"wave": wave[x > 0], "x": x[x > 0]})
    """,
    "changed_between": """
        def f(batch):
            x = batch["x"].to_numpy().copy()
            keep = x > 0
            before = x[keep]
            x += 100
            after = x[keep]
            return {"before": before, "after": after}
    """,
    "where_it_would_warn": """
        def f(batch):
            x = batch["x"].to_numpy()
            k = batch["k"].to_numpy()
            some = k[k != 0]
            return {"q": 100 // some, "root": np.sqrt(x[k != 0] ** 2)}
    """,
    "without_nulls": """
        def f(batch):
            return batch.select(["a", "p", "k"]).drop_null()
    """,
    "null_values_dropped": """
        def f(batch):
            a = pc.drop_null(batch["a"])
            return {"a": a.to_numpy() * 2}
    """,
    "helpers": """
        def f(batch):
            def positive(b, name):
                return b.filter(pc.greater(b[name], 0))
            some = positive(positive(batch, "a"), "x")
            return some.set_column(0, "a", ratio(some["a"], some["x"]))
    """,
    "nothing_kept": """
        def f(batch):
            some = batch.filter(pc.greater(batch["k"], 1000))
            return some.append_column("made", pc.divide(some["k"], 0))
    """,
    "all_kept": """
        def f(batch):
            some = batch.filter(pc.less(batch["k"], 1000))
            return some.append_column("made", pc.negate(some["k"]))
    """,
    "columns_in_turn": """
        def f(batch):
            keep = batch["k"].to_numpy() % 2 == 1
            return {name: batch[name].to_numpy()[keep] for name in ("x", "y", "k", "m")}
    """,
}


def ratio(one, other):
    return pc.divide(pc.cast(one, pa.float64()), other)


def rows_of(rows):
    ints = [None if k % 7 == 3 else k * 37 % 101 - 50 for k in range(rows)]
    floats = [math.nan if k % 17 == 4 else (k * 53 % 97 - 40) / 8 for k in range(rows)]
    words = [None if k % 5 == 2 else "w" * (k % 4) for k in range(rows)]
    whole = pa.table(
        {
            "a": pa.array(ints, pa.int64()),
            "x": floats,
            "y": [float(k % 3) for k in range(rows)],
            "k": pa.array([k % 9 for k in range(rows)], pa.int64()),
            "h": pa.array([(k % 21 - 10) / 4 for k in range(rows)], pa.float32()),
            "m": pa.array([k % 7 for k in range(rows)], pa.int16()),
            "p": [None if k % 13 == 1 else k % 3 == 0 for k in range(rows)],
            "s": words,
            "d": pa.array(words).dictionary_encode(),
            "l": pa.array([None if k % 6 == 1 else [*range(k % 3)] for k in range(rows)]),
            "t": pa.array([{"u": k, "v": str(k)} if k % 4 else None for k in range(rows)]),
        }
    )
    field = whole.schema.field("a").with_metadata({"unit": "m"})
    whole = whole.cast(whole.schema.set(0, field).with_metadata({"made": "by hand"}))
    cuts = [0, 1, 2, 9, 9, 70, 500, 503, rows]
    return pa.concat_tables([whole.slice(a, b - a) for a, b in itertools.pairwise(cuts)])


def defined(text, **names):
    space = {"pa": pa, "pc": pc, "np": np, "ratio": ratio, **names}
    return cell(textwrap.dedent(text).strip("\n"), **space)["f"]


def as_batch(given):
    if isinstance(given, dict):
        return pa.RecordBatch.from_pydict(given)
    if isinstance(given, pa.Table):
        return next(iter(given.combine_chunks().to_batches()), given.schema.empty_table())
    return given


def by_cpython(fn, table, batch_size, schema):
    """What the function gives for the batches of a table; a stream gives no empty ones."""
    given = [as_batch(fn(b)) for b in table.to_batches(max_chunksize=batch_size) if b.num_rows]
    return [one.cast(schema) for one in given if one.num_rows]


def same(one, other):
    assert one.schema.equals(other.schema, check_metadata=True)
    assert one.num_rows == other.num_rows
    for name in one.schema.names:
        assert bits(one[name].to_pylist()) == bits(other[name].to_pylist()), name


@pytest.mark.parametrize("name", FORMS)
def test_forms_give_what_cpython_gives(name):
    fn = defined(FORMS[name])
    table = rows_of(700)
    report = sb.explain(fn, table.schema)
    assert (report.mode, report.kind) == ("compiled", "batch"), str(report)
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads), warnings.catch_warnings():
            warnings.simplefilter("error")
            stream = Stream.from_table(table, batch_size).map(fn)
            wanted = by_cpython(fn, table, batch_size, stream.schema)
            got = list(stream)
            assert len(got) == len(wanted)
            for one, other in zip(got, wanted, strict=True):
                same(one, other)
            counts = function_report(stream)
            if batch_size != 1 and name != "loops_before":
                assert (counts["rows"], counts["rows_cpython"]) == (700, 0)


@pytest.mark.parametrize("name", FORMS)
def test_types_do_not_depend_on_the_mode(name):
    fn = defined(FORMS[name])
    table = rows_of(60)
    on = Stream.from_table(table).map(fn)
    with sb.config(compile="off"):
        off = Stream.from_table(table).map(fn)
        assert off.schema.equals(on.schema, check_metadata=True)
        for one, other in itertools.zip_longest(off, on):
            same(one, other)
    assert "compiled, batch" in on.explain()
    assert "drops rows" in on.explain()
    assert "compiled" not in off.explain()
