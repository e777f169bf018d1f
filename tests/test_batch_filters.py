"""Batch functions that give fewer rows: compiled, they give the rows, types and batches of CPython; what is not certain is CPython's."""

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
    "loops_behind": """
        def f(batch):
            x = batch["x"].to_numpy()
            k = batch["k"].to_numpy()
            keep = (x > 0.25) & (k > 0)
            low = np.log(x[keep]) * 2 + np.log1p(x[keep])
            return {"low": low, "k": np.log2(k[keep]), "power": x[keep] ** 1.5, "far": np.arctan2(low, x[keep])}
    """,
    "loops_twice": """
        def f(batch):
            x = batch["x"].to_numpy()
            some = np.sqrt(x[x > 0])
            waves = np.sin(some)
            return {"w": np.exp(waves[waves > 0.5]), "s": some[waves > 0.5]}
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


WARNING = {
    "of_kept_rows": "x = b['x'].to_numpy(); some = x[x > 0]; return {'r': some / (some - some)}",
    "of_rows_that_nothing_needs": "x = b['x'].to_numpy(); z = np.sqrt(x[x < 0]); return {'x': x}",
    "of_other_rows": "x = b['x'].to_numpy(); z = np.log(x[x < 0]); return {'x': x[x > 1]}",
    "of_the_whole": "x = b['x'].to_numpy(); z = np.sqrt(x); return {'x': x[x > 0]}",
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
            if name.startswith("loops"):  # those with a single row left are CPython's
                assert batch_size in (1, 3) or counts["rows_cpython"] < 100
            else:
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


@pytest.mark.parametrize("name", WARNING)
def test_what_numpy_warns_of_it_says(name):
    fn = defined(
        "def f(b):\n" + "".join(f"    {one.strip()}\n" for one in WARNING[name].split(";"))
    )
    batch = pa.record_batch({"x": [1.0, 2.5, -1.0, 3.0]})
    assert sb.explain(fn, batch.schema).mode == "compiled"
    with pytest.warns(RuntimeWarning) as wanted:
        given = as_batch(fn(batch))
    with pytest.warns(RuntimeWarning) as said:
        same(Stream.from_batches([batch]).map(fn).collect(), given)
    assert [str(one.message) for one in said] == [str(one.message) for one in wanted]


def test_batches_of_many_vectors():
    table = rows_of(9000).combine_chunks()
    for name in ("clean", "numpy", "loops_behind", "in_sequence", "own_arrays_behind"):
        fn = defined(FORMS[name])
        for threads in (1, 2):
            with sb.config(threads=threads, tier="native"):
                got = list(Stream.from_table(table, 5000).map(fn))
            for one, other in zip(got, by_cpython(fn, table, 5000, got[0].schema), strict=True):
                same(one, other)


REFUSED = {
    "other_masks": (
        "x = b['x'].to_numpy(); y = b['y'].to_numpy(); return {'r': x[x > 0] / y[y > 0]}",
        "arrays of different rows beside each other",
    ),
    "whole_beside": (
        "x = b['x'].to_numpy(); return {'r': x[x > 0], 'x': x}",
        "columns of different rows",
    ),
    "another_length": (
        "x = b['x'].to_numpy(); return b.append_column('r', x[x > 0])",
        "columns of different rows",
    ),
    "dropped_again": (
        "x = b['x'].to_numpy(); made = b.append_column('r', x[x > 0]); return made.drop_columns(['r'])",
        "columns of different rows",
    ),
    "mask_of_before": (
        "mask = pc.greater(b['x'], 0); return b.filter(mask).filter(mask)",
        "a mask for other rows",
    ),
    "mask_that_changed": (
        "x = b['x'].to_numpy(); m = x > 0; first = x[m]; m[:] = True; return {'r': first + x[m]}",
        "arrays of different rows beside each other",
    ),
    "other_number_in_mask": (
        "x = b['x'].to_numpy(); k = 1; first = x[x > k]; k = 2; return {'r': first + x[x > k]}",
        "arrays of different rows beside each other",
    ),
    "loop_of_whole": (
        "x = b['x'].to_numpy(); s = x[x > 0]; out = [x[k] for k in range(len(s))]; return {'r': out}",
        "arrays of different rows beside each other",
    ),
    "zip_of_both": (
        "x = b['x'].to_numpy(); return {'r': [u + v for u, v in zip(x[x > 0], x)]}",
        "a loop over arrays of different rows",
    ),
    "length_of_both": (
        "x = b['x'].to_numpy(); return {'r': np.zeros(len(x[x > 0])) + x}",
        "arrays of different rows beside each other",
    ),
    "rows_by_number": (
        "return b.slice(0, 3).append_column('r', b.column('x'))",
        "the method slice",
    ),
    "rows_taken": ("return b.take(pa.array([0, 1])).drop_columns(['x'])", "the method take"),
    "nulls_kept": (
        "return b.filter(pc.greater(b['x'], 0), null_selection_behavior='emit_null')",
        "a null_selection_behavior= that keeps rows",
    ),
    "no_mask": ("return b.filter(b.column('k'))", "rows by something else than a mask of booleans"),
    "list_as_mask": (
        "return b.filter(pa.array([v > 0 for v in b['k'].to_pylist()]))",
        "rows by something else than a mask of booleans",
    ),
    "arrow_in_numpy": (
        "x = b['x'].to_numpy(); return {'r': x[pc.greater(b['x'], 0)]}",
        "items of an array of NumPy by something that is none",
    ),
    "nulls_of_texts": ("return b.drop_null()", "pc.is_valid of string"),
    "list_of_no_type": (
        "s = b.filter(pc.greater(b['x'], 0)); v = pa.array([v * 2 for v in s['k'].to_pylist()]); "
        "return s.append_column(pa.field('r', pa.int64()), v)",
        "a list of some of the rows as a column of int64",
    ),
    "by_position": ("return {'r': b['x'].filter(pc.greater(b['x'], 0), 'drop')}", "its arguments"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_certain_is_cpythons(name):
    body, wanted = REFUSED[name]
    fn = defined("def f(b):\n" + "".join(f"    {line.strip()}\n" for line in body.split(";")))
    table = pa.table({"x": [1.0, 2.5, -1.0], "y": [1.0, 3.0, 5.0], "k": [1, 0, 2], "s": ["a"] * 3})
    report = sb.explain(fn, table.schema)
    assert report.mode == "interpreted"
    assert wanted in report.reasons[0].message
    stream = Stream.from_table(table).map(fn)
    try:
        given = as_batch(fn(table.to_batches()[0]))
    except Exception as error:
        with pytest.raises(type(error)) as caught:
            stream.collect()
        assert caught.value.args == error.args
    else:
        assert stream.collect().to_pylist() == given.to_pylist()


def test_names_of_another_module_are_no_names_of_this_one():
    """A mask is not read as another that has the same text."""
    other = cell("def part(x):\n    return x[x > LIMIT]\n", LIMIT=2.0)["part"]
    fn = cell(
        "def f(batch):\n    x = batch['x'].to_numpy()\n    return {'r': x[x > LIMIT] + part(x)}\n",
        LIMIT=0.0,
        part=other,
    )["f"]
    table = pa.table({"x": [1.0, 3.0, 5.0]})
    report = sb.explain(fn, table.schema)
    assert "arrays of different rows" in report.reasons[0].message
    with pytest.raises(ValueError, match="could not be broadcast"):
        Stream.from_table(table).map(fn).collect()


def test_filters_of_streams_stay_as_they_are():
    table = rows_of(100)
    stream = Stream.from_table(table).filter(lambda b: pc.greater(b.column("x"), 5))
    assert "drops rows" not in stream.explain()
    assert stream.collect().equals(table.filter(pc.greater(table["x"], 5)))
    text = "f = lambda b: pc.greater(b.filter(pc.is_valid(b['a'])).column('a'), 5)"
    assert (
        "a mask for some of the rows" in sb.explain(defined(text), table.schema).reasons[0].message
    )


def test_operators_before_and_behind():
    table = rows_of(700)
    fn = defined(FORMS["clean"])
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads):
            stream = (
                Stream.from_table(table, batch_size)
                .filter(lambda k: k > 2)
                .map(fn)
                .with_columns(more=lambda double, k: double + k)
                .map(defined(FORMS["by_numpy"]))
                .filter(lambda more: more % 2 == 0)
            )
            rows = [row for row in table.to_pylist() if row["k"] > 2 and (row["a"] or 0) > 0]
            rows = [
                {**row, "double": row["a"] * 2, "more": row["a"] * 2 + row["k"]}
                for row in rows
                if row["x"] > 0 and row["k"] % 2 == 0
            ]
            got = stream.collect().to_pylist()
            assert [bits(row.values()) for row in got] == [bits(row.values()) for row in rows]


def test_a_batch_that_leaves_is_filtered_by_cpython():
    text = """
        def f(batch):
            some = batch.filter(pc.greater(batch.column("a"), 0))
            return some.append_column("r", pc.add_checked(some["a"], some["b"]))
    """
    fn = defined(text)
    given = [
        pa.record_batch({"a": [1, -1, 5], "b": [1, 2**63 - 1, 7]}),  # the large one is dropped
        pa.record_batch({"a": [1, 3], "b": [1, -(2**63)]}),
        pa.record_batch({"a": [-1, -3], "b": [1, 2]}),
        pa.record_batch({"a": [-1, 3, 2], "b": [1, 2, 2**63 - 1]}),
    ]
    with sb.config(tier="native"):
        stream = Stream.from_batches(given[:3]).map(fn)
        assert stream.collect()["r"].to_pylist() == [2, 12, 2, 3 - 2**63]
        assert function_report(stream)["rows_cpython"] == 0
        stream = Stream.from_batches(given).map(fn)
        with pytest.raises(pa.ArrowInvalid, match="overflow"):
            stream.collect()


def test_batches_without_rows_and_all_dropped():
    given = [
        pa.record_batch({"x": pa.array([], pa.float64())}),
        pa.record_batch({"x": [-1.0, -2.0]}),
        pa.record_batch({"x": [3.0]}),
    ]
    text = """
        def f(batch):
            x = batch["x"].to_numpy()
            some = x[x > 0]
            return {"x": some, "twice": [2 * v for v in some], "e": np.zeros(len(some), dtype="int16")}
    """
    fn = defined(text)
    stream = Stream.from_batches(given).map(fn)
    got = list(stream)
    assert [one.to_pydict() for one in got] == [{"x": [3.0], "twice": [6.0], "e": [0]}]
    assert got[0].schema == stream.schema
    assert stream.schema.field("e").type == pa.int16()
    none = Stream.from_batches(given[:2]).map(fn)
    assert none.collect().equals(stream.schema.empty_table())


def test_rows_of_every_layout_are_dropped():
    number = pa.array([1.0, 2.0, 3.0, 4.0])
    columns = {
        "x": number,
        "w": pa.array(["a", None, "c", "a"]).dictionary_encode(),
        "r": pa.RunEndEncodedArray.from_arrays([2, 4], [1, None]),
        "v": pa.array(["a", None, "long enough to lie elsewhere", ""], pa.string_view()),
        "l": pa.array([[1], [], None, [2, 3]], pa.list_view(pa.int64())),
        "f": pa.array([[1, 2], [3, 4], None, [5, 6]], pa.list_(pa.int8(), 2)),
        "m": pa.array([[("a", 1)], [], None, [("b", 2)]], pa.map_(pa.string(), pa.int64())),
        "d": pa.array([1, None, 3, 4], pa.decimal128(9, 2)),
        "n": pa.nulls(4),
        "u": pa.UnionArray.from_sparse(pa.array([0, 1, 0, 1], pa.int8()), [number, number]),
        "t": pa.array([1, None, 3, 4], pa.timestamp("us", "UTC")),
    }
    batch = pa.record_batch(columns).slice(1)
    fn = defined("f = lambda b: b.filter(pc.not_equal(b['x'], 3))")
    stream = Stream.from_batches([batch, batch]).map(fn)
    wanted = pa.Table.from_batches([batch, batch]).to_pylist()
    assert stream.collect().to_pylist() == [row for row in wanted if row["x"] != 3]
    assert function_report(stream)["rows_cpython"] == 0


def test_declared_schemas():
    table = pa.table({"x": [1.0, -1.0, 2.0]})
    fn = defined(FORMS["lambda"])
    stream = Stream.from_table(table).map(fn, schema=table.schema)
    assert stream.collect().to_pydict() == {"x": [-1.0]}
    assert function_report(stream)["rows_cpython"] == 0
    with pytest.raises(sb.SchemaError):
        Stream.from_table(table).map(fn, schema=pa.schema({"y": pa.float64()})).collect()


def test_auto_compile_calls_the_function():
    fn = defined(FORMS["numpy"])
    batch = pa.record_batch({"x": [1.0, 2.0, math.nan], "y": [1.0, 0.0, 2.0]})
    assert sb.auto_compile(fn)(batch).equals(fn(batch))


def test_explain():
    table = rows_of(3).select(["a", "x", "s"])
    text = Stream.from_table(table).map(defined(FORMS["clean"])).explain()
    assert "reads a  writes double  passes a, x, s  drops rows" in text
    report = sb.explain(defined(FORMS["batch"]), table.schema)
    assert (report.mode, report.form, report.reads) == ("compiled", "array", ["a"])
