"""Batch functions that native code computes row by row: what they give is what CPython gives for each batch; what has no form says why."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import WAYS, bits, cell, function_report, many

import sabot as sb
from sabot import Stream, udf

RATE = 0.25
NAME = "made"


def fee(value, rate=0.5):
    return 0.0 if value is None else value * rate


FORMS = {
    "loop_by_number": """
        def f(batch):
            '''Sums of products.'''
            values = batch.column("i").to_pylist()
            results = []
            for i in range(len(values)):
                total = 0
                for j in range(10):
                    if values[i] is None:
                        break
                    total += values[i] * j
                results.append(total)
            return batch.append_column("made", pa.array(results))
    """,
    "loop_by_value": """
        def f(batch):
            out = []
            for x in batch["x"].to_pylist():
                if x is None:
                    out.append(None)
                    continue
                y = x * RATE
                out.append(y if y > 0 else -y)
            return pa.record_batch({"i": batch["i"], "made": out})
    """,
    "two_lists": """
        def f(batch):
            i = batch.column(0).to_pylist()
            x = batch.column(1).to_pylist()
            small: list = []
            large = list()
            for a, b in zip(i, x):
                if a is None or b is None:
                    small.append(True)
                    large.append(0)
                elif a > b:
                    small.append(False)
                    large.append(a)
                else:
                    large.append(-a)
                    small.append(a == b)
            return batch.append_column("small", pa.array(small)).append_column("large", pa.array(large))
    """,
    "comprehension": """
        def f(batch):
            return {"made": [fee(v) for v in batch["x"].to_pylist()], "p": batch["p"]}
    """,
    "comprehension_of_pairs": """
        def f(batch, low=-20, high=30):
            i = batch["i"].to_pylist()
            x = batch["x"].to_pylist()
            both = [(a or 0) + (b or 0.0) for a, b in zip(i, x)]
            return batch.set_column(1, "x", pa.array([min(max(v, low), high) for v in both]))
    """,
    "several_at_once": """
        def f(batch):
            values, made, rate = batch["x"].to_pylist(), [], 0.5
            for v in values:
                low, high = v, rate
                made.append(None if low is None else low * high)
            return {"made": made}
    """,
    "functions_inside_the_loop": """
        def f(batch):
            def half(v):
                return v / 2
            out = []
            for v in batch["x"].to_pylist():
                def more(w):
                    return w if v is None else w + v
                less = lambda w: w - 1
                out.append(half(more(less(3.0))))
            return {"made": out}
    """,
    "a_match_of_one_value": """
        def f(batch):
            out = []
            for i in batch["i"].to_pylist():
                match i:
                    case None:
                        out.append(0)
                    case low if low < 0:
                        out.append(-low)
                    case other:
                        out.append(other + 1)
            return {"made": out}
    """,
    "second_loop_over_results": """
        def f(batch):
            first = []
            for v in batch["i"].to_pylist():
                first.append(0 if v is None else v % 7)
            second = []
            n = len(first)
            for k in range(n):
                second.append(first[k] * first[k])
            return pa.RecordBatch.from_arrays([pa.array(first), pa.array(second)], names=["a", "b"])
    """,
    "enumerated": """
        def f(batch):
            out = []
            x = batch["x"].to_pylist()
            for k, v in enumerate(batch["i"].to_pylist()):
                out.append((v or 0) * (x[k] or 0))
            return pa.table({NAME: out})
    """,
    "scalars_of_arrow": """
        def f(batch):
            x = batch["x"]
            return batch.append_column("made", pa.array([x[k].as_py() for k in range(batch.num_rows)]))
    """,
    "inner_function": """
        def f(batch):
            def bump(v):
                return 1 if v is None else v + 1
            scale = 3
            return batch.add_column(0, "made", pa.array([bump(v) * scale for v in batch["i"].to_pylist()]))
    """,
    "newton": """
        def f(batch):
            out = []
            for v in batch["x"].to_pylist():
                guess = 1.0
                value = abs(v or 2.0) + 0.5
                steps = 0
                while abs(guess * guess - value) > 1e-9:
                    guess = (guess + value / guess) / 2
                    steps += 1
                    if steps > 50:
                        break
                out.append(guess)
            return batch.remove_column(2).append_column("made", pa.array(out))
    """,
    "matched": """
        def f(batch):
            out = []
            for v in batch["i"].to_pylist():
                match v:
                    case None:
                        out.append(-1)
                    case 0 | 1:
                        out.append(1)
                    case _:
                        out.append(v)
            return batch.select(["i"]).append_column("made", pa.array(out, type=pa.int64()))
    """,
    "chain_of_compute": """
        def f(batch):
            x = pc.fill_null(batch["x"], 0.0)
            big = pc.and_(pc.greater(x, 1), pc.is_valid(batch["i"]))
            scaled = pc.multiply(pc.add(x, batch["i"].fill_null(2)), 0.5)
            return batch.append_column("made", pc.if_else(big, scaled, pc.negate(x)))
    """,
    "renamed": """
        def f(batch):
            made = batch.rename_columns(["a", "b", "c"])
            return made.append_column("d", pc.invert(made["c"])).drop_columns(["c"])
    """,
}


def defined(text, **names):
    import textwrap

    space = {"pa": pa, "pc": pc, "RATE": RATE, "NAME": NAME, "fee": fee, **names}
    return cell(textwrap.dedent(text).strip("\n"), **space)["f"]


def as_batch(given):
    if isinstance(given, pa.RecordBatch):
        return given
    if isinstance(given, dict):
        return pa.RecordBatch.from_pydict(given)
    return given.combine_chunks().to_batches()[0]


def by_cpython(fn, table, batch_size, schema):
    """What the function gives for the batches of a table, in the types of `schema`."""
    pieces = [as_batch(fn(b)) for b in table.to_batches(max_chunksize=batch_size) if b.num_rows]
    return pa.Table.from_batches([piece.cast(schema) for piece in pieces])


@pytest.mark.parametrize("name", FORMS)
def test_forms_give_what_cpython_gives(name):
    fn = defined(FORMS[name])
    table = many(700)
    report = sb.explain(fn, table.schema)
    assert (report.mode, report.kind) == ("compiled", "batch"), str(report)
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads):
            stream = Stream.from_table(table, batch_size).map(fn)
            wanted = by_cpython(fn, table, batch_size, stream.schema)
            got = stream.collect()
            assert stream.schema == got.schema == wanted.schema
            for column in got.schema.names:
                assert bits(got[column].to_pylist()) == bits(wanted[column].to_pylist()), column
            counts = function_report(stream)
            assert (counts["rows"], counts["rows_cpython"]) == (700, 0)


@pytest.mark.parametrize("name", FORMS)
def test_types_do_not_depend_on_the_mode(name):
    fn = defined(FORMS[name])
    table = many(60)
    on = Stream.from_table(table).map(fn)
    with sb.config(compile="off"):
        off = Stream.from_table(table).map(fn)
        assert off.schema == on.schema
        assert off.collect().equals(on.collect())
    assert "compiled, batch" in on.explain()
    assert "compiled" not in off.explain()


def test_filters():
    table = many(400)
    wanted = [row for row in table.to_pylist() if row["x"] is not None and row["x"] > 1]
    for fn in (
        lambda b: pc.greater(b.column("x"), 1),
        lambda b: pa.array([v is not None and v > 1 for v in b["x"].to_pylist()]),
    ):
        stream = Stream.from_table(table, 50).filter(fn)
        assert stream.collect().to_pylist() == wanted
        assert function_report(stream)["rows_cpython"] == 0
        report = sb.explain(fn, table.schema)
        assert (report.mode, report.signature) == ("compiled", "<lambda>(batch) -> bool")


def test_a_list_is_no_mask():
    fn = lambda b: [v == 1 for v in b["i"].to_pylist()]  # noqa: E731
    assert sb.explain(fn, many(1).schema).mode == "interpreted"
    for mode in ("auto", "off"):
        with sb.config(compile=mode), pytest.raises(sb.DataError, match="returned list"):
            Stream.from_table(many(3)).filter(fn).collect()


def test_forms_of_loops_and_of_arrays_are_told_apart():
    rows = sb.explain(lambda b: pa.array([v == 1 for v in b["i"].to_pylist()]), many(1).schema)
    arrays = sb.explain(lambda b: pc.equal(b["i"], 1), many(1).schema)
    assert (rows.form, arrays.form) == ("row", "array")
    assert (rows.to_dict()["form"], arrays.reads) == ("row", ["i"])


# Batches that leave


def halves(batch):
    return batch.append_column("made", pa.array([100 // v for v in batch["i"].to_pylist()]))


def test_a_row_that_leaves_takes_its_batch_along():
    table = pa.table({"i": [1, 2, 2**62, 4, 5, 6]})

    def f(batch):
        return batch.append_column(
            "made", pa.array([v * 4 // 4 for v in batch["i"].to_pylist()], pa.int64())
        )

    stream = Stream.from_table(table, 2).map(f)
    assert stream.collect()["made"].to_pylist() == [1, 2, 2**62, 4, 5, 6]
    report = function_report(stream)
    assert (report["rows"], report["rows_cpython"]) == (6, 2)
    assert report["rows_left"] == {"overflow": 1}


def test_an_error_is_that_of_the_whole_batch():
    table = pa.table({"i": [1, 2, 3, 0, 5, 6]})
    stream = Stream.from_table(table, 2).map(halves)
    seen = []
    with pytest.raises(ZeroDivisionError) as caught:
        for batch in stream:
            seen += batch["made"].to_pylist()
    assert seen == [100, 50]
    assert caught.traceback[-1].name == "<listcomp>" or caught.traceback[-1].name == "halves"
    assert caught.value.__notes__ == ["in MAP halves(batch): operator 0, batch 1, rows 2 to 3"]


def test_a_failed_batch_can_be_skipped():
    table = pa.table({"i": [1, 2, 3, 0, 5, 4]})
    stream = Stream.from_table(table, 2).map(udf(halves, on_error="skip"))
    assert stream.collect()["made"].to_pylist() == [100, 50, 20, 25]
    assert stream.last_run.errors["row"].to_pylist() == [2, 3]
    assert function_report(stream)["rows_cpython"] == 2


def test_empty_batches_are_cpythons():
    def g(batch):
        limit = 1 // 0
        return batch.append_column("made", pa.array([limit for v in batch["i"].to_pylist()]))

    table = pa.table({"i": pa.array([], pa.int64())})
    stream = Stream.from_table(table).map(g)
    assert sb.explain(g, table.schema).mode == "compiled"
    assert stream.schema == pa.schema({"i": pa.int64(), "made": pa.int64()})
    full = Stream.from_table(pa.table({"i": [1, 2]}), 1)
    for mode in ("auto", "off"):
        with sb.config(compile=mode), pytest.raises(ZeroDivisionError):
            full.filter(lambda i: i > 2).map(g).collect()


def test_a_name_bound_anew_is_seen_at_the_next_run():
    space = cell(
        "def f(batch):\n    return {'made': [v * FACTOR for v in batch['i'].to_pylist()]}\n",
        FACTOR=2,
    )
    stream = Stream.from_table(pa.table({"i": [1, 2]})).map(space["f"])
    assert stream.collect()["made"].to_pylist() == [2, 4]
    space["FACTOR"] = 3
    assert stream.collect()["made"].to_pylist() == [3, 6]
    assert function_report(stream)["rows_cpython"] == 2
    assert function_report(stream)["interpreted"] == "rebound: FACTOR"


def test_another_pa_array_is_another_function():
    def double(values):
        return pa.array([v * 2 for v in values])

    class Other:
        array = staticmethod(double)
        record_batch = staticmethod(pa.record_batch)

    text = "def f(batch):\n    return {'made': pa.array([v for v in batch['i'].to_pylist()])}\n"
    space = cell(text, pa=pa)
    stream = Stream.from_table(pa.table({"i": [1, 2]})).map(space["f"])
    assert stream.collect()["made"].to_pylist() == [1, 2]
    space["pa"] = Other
    assert stream.collect()["made"].to_pylist() == [2, 4]


def test_a_batch_of_ints_among_floats_is_widened():
    def f(batch):
        out = []
        for v in batch["i"].to_pylist():
            out.append(v // 2 if v % 2 == 0 else v / 2)
        return {"made": out}

    table = pa.table({"i": [2, 4, 3, 2**60]})
    for mode in ("auto", "off"):
        with sb.config(compile=mode):
            stream = Stream.from_table(table.slice(0, 3), 2).map(f)
            assert stream.schema == pa.schema({"made": pa.float64()})
            assert bits(stream.collect()["made"].to_pylist()) == bits([1.0, 2.0, 1.5])
            with pytest.raises(sb.SchemaError, match="column .made. is int64"):
                Stream.from_table(table.slice(3)).map(f).collect()


def test_a_declared_schema_that_is_another_is_cpythons():
    def f(batch):
        return {"made": [v + 1 for v in batch["i"].to_pylist()]}

    table = pa.table({"i": [1, 2]})
    schema = pa.schema([pa.field("made", pa.int64(), nullable=False)])
    wide = Stream.from_table(table).map(f, schema=schema)
    assert wide.collect()["made"].to_pylist() == [2, 3]
    same = Stream.from_table(table).map(f, schema=pa.schema({"made": pa.int64()}))
    assert same.collect()["made"].to_pylist() == [2, 3]
    assert "compiled" in same.explain()
    assert "compiled" not in wide.explain()


def test_operators_follow_a_compiled_map():
    def f(batch):
        return batch.append_column("made", pa.array([(v or 0) + 1 for v in batch["i"].to_pylist()]))

    table = many(300)
    stream = (
        Stream.from_table(table, 64).filter(lambda p: p).map(f).with_columns(z=lambda made: -made)
    )
    wanted = [-((row["i"] or 0) + 1) for row in table.to_pylist() if row["p"]]
    assert stream.collect()["z"].to_pylist() == wanted


def test_require():
    fn = udf(lambda b: pc.greater(b["i"], 1), compile="require")
    assert Stream.from_table(many(20)).filter(fn).count() >= 0
    with pytest.raises(sb.CompileError, match="computes nothing row by row"):
        Stream.from_table(many(20)).map(
            udf(lambda b: b.select(["i"]), compile="require", kind="batch")
        )


# What has no form, and why

REFUSED = {
    "carried": (
        """
        def f(b):
            total = 0
            out = []
            for v in b["i"].to_pylist():
                total += v
                out.append(total)
            return {"made": out}
        """,
        "total goes from one row to the next",
    ),
    "last_seen": (
        """
        def f(b):
            last = 0
            out = []
            for v in b["i"].to_pylist():
                if v is not None:
                    last = v
                out.append(last)
            return {"made": out}
        """,
        "last goes from one row to the next",
    ),
    "filtered": (
        """
        def f(b):
            out = []
            for v in b["i"].to_pylist():
                if v:
                    out.append(v)
            return {"made": out}
        """,
        "out does not get exactly one item in each turn",
    ),
    "twice": (
        """
        def f(b):
            out = []
            for v in b["i"].to_pylist():
                out.append(v)
                out.append(v)
            return {"made": out}
        """,
        "out does not get exactly one item in each turn",
    ),
    "in_a_loop": (
        """
        def f(b):
            out = []
            for v in b["i"].to_pylist():
                for k in range(1):
                    out.append(v)
            return {"made": out}
        """,
        "out does not get exactly one item in each turn",
    ),
    "stops": (
        """
        def f(b):
            out = []
            for v in b["i"].to_pylist():
                out.append(v)
                if v == 3:
                    break
            return {"made": out}
        """,
        "a break out of the loop over the rows",
    ),
    "returns": (
        """
        def f(b):
            out = []
            for v in b["i"].to_pylist():
                if v == 3:
                    return {"made": [v]}
                out.append(v)
            return {"made": out}
        """,
        "a return in a loop over the rows",
    ),
    "neighbour": (
        """
        def f(b):
            i = b["i"].to_pylist()
            return {"made": [i[k - 1] for k in range(len(i))]}
        """,
        "an item of another row",
    ),
    "number": (
        """
        def f(b):
            i = b["i"].to_pylist()
            return {"made": [k for k in range(len(i))]}
        """,
        "the number of the row as a value",
    ),
    "whole": (
        """
        def f(b):
            i = b["i"].to_pylist()
            return {"made": [v / len(i) for v in i]}
        """,
        "i as a whole, in a loop over the rows",
    ),
    "after": (
        """
        def f(b):
            out = []
            for v in b["i"].to_pylist():
                out.append(v)
            return {"made": out, "last": v}
        """,
        'the result "last", which is no list',
    ),
    "part": (
        """
        def f(b):
            i = b["i"].to_pylist()
            out = []
            for k in range(1, len(i)):
                out.append(i[k])
            return {"made": out}
        """,
        "a range of some of the rows",
    ),
    "another_name": (
        """
        def f(b):
            out = []
            more = out
            for v in b["i"].to_pylist():
                out.append(v)
                more.append(v)
            return {"made": out}
        """,
        "another name of the list out",
    ),
    "condition": (
        """
        def f(b):
            return {"made": [v for v in b["i"].to_pylist() if v]}
        """,
        "a comprehension over rows with conditions or loops inside",
    ),
    "reduction": (
        """
        def f(b):
            i = b["i"].to_pylist()
            return {"made": [v - sum(i) for v in i]}
        """,
        "i as a whole, in a loop over the rows",
    ),
    "pandas": (
        """
        def f(b):
            return b.to_pandas()
        """,
        "the method to_pandas",
    ),
    "other_compute": (
        """
        def f(b):
            return b.append_column("made", pc.rank(b["i"]))
        """,
        "pc.rank",
    ),
    "two_names": (
        """
        def f(b):
            return b.append_column("i", pa.array([v for v in b["i"].to_pylist()]))
        """,
        "two columns named 'i'",
    ),
    "unknown_column": (
        """
        def f(b):
            return b.append_column("made", pc.add(b["zz"], 1))
        """,
        "a column that the text does not tell",
    ),
    "passes": (
        """
        def f(b):
            return b.select(["i"])
        """,
        "it computes nothing row by row",
    ),
    "number_of_rows": (
        """
        def f(b):
            if b.num_rows == 0:
                return b
            return b.append_column("made", pc.add(b["i"], 1))
        """,
        "b used in another way than row by row",
    ),
    "swapped": (
        """
        def f(b):
            scale, values = 2, b["i"].to_pylist()
            values, scale = scale, values
            return {"made": [v * values for v in scale]}
        """,
        "several targets at once",
    ),
    "function_of_a_loop_variable": (
        """
        def f(b):
            out = []
            scale = 2
            bump = lambda v: v * scale
            for scale in b["i"].to_pylist():
                out.append(bump(1))
            return {"made": out}
        """,
        "a function inside that reads scale, which changes from row to row",
    ),
    "function_of_what_a_loop_binds": (
        """
        def f(b):
            scale = 2
            def bump(v):
                return sum([scale for _ in range(v)])
            out = []
            for v in b["i"].to_pylist():
                scale = v
                out.append(bump(1))
            return {"made": out}
        """,
        "a function inside that reads scale, which changes from row to row",
    ),
    "name_of_a_comprehension": (
        """
        def f(b):
            x = b["i"].to_pylist()
            return {"first": [(t := v) for v in x], "made": [t for v in x]}
        """,
        "t as the last row left it",
    ),
    "wide_constant": (
        """
        def f(b):
            return b.append_column("made", pc.add(b["i"], 1180591620717411303424))
        """,
        "a number of more than 64 bits",
    ),
    "narrow": (
        """
        def f(b):
            return b.append_column("made", pa.array([v for v in b["i"].to_pylist()], type=pa.int8()))
        """,
        "an array of int8 from values of int64",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_says_why(name):
    text, wanted = REFUSED[name]
    fn = defined(text)
    schema = many(1).schema
    report = sb.explain(fn, schema)
    assert report.reasons[0].message.endswith(": " + wanted), str(report)
    assert report.reasons[0].line > 0
    assert (report.mode, report.form) in (("interpreted", None), ("compiled", "whole"))


class Meddler(type):
    """What runs when a class is looked at."""

    def __hash__(cls):
        raise AssertionError("hashed")

    def __eq__(cls, other):
        raise AssertionError("compared")

    @property
    def __module__(cls):
        raise AssertionError("asked for its module")


class Meddling(metaclass=Meddler):
    pass


class Item:
    def __getattr__(self, name):
        raise AssertionError(f"asked for {name}")

    @property
    def dtype(self):
        raise AssertionError("asked for its dtype")

    @property
    def __class__(self):
        raise AssertionError("asked for its class")


ITEM = Item()


@pytest.mark.parametrize(
    "body",
    [
        'b.append_column("made", pa.array([v for v in b["i"].to_pylist()], type=Meddling()))',
        'b.append_column("made", pa.array([v for v in b["i"].to_pylist()], type=ITEM))',
        'b.append_column("made", b.column("i").cast(ITEM))',
        '{"made": np.zeros(b.num_rows, dtype=ITEM)}',
        '{"made": np.zeros(b.num_rows, dtype=Meddling)}',
        '{"made": ITEM(b["x"].to_numpy())}',
        '{"made": Meddling(b["x"].to_numpy())}',
    ],
)
def test_no_code_of_the_users_runs_before_the_run(body):
    fn = defined(f"def f(b):\n    return {body}\n", np=np, ITEM=ITEM, Meddling=Meddling)
    table = many(1)
    assert "in CPython" in Stream.from_table(table).map(fn).explain()
    assert sb.explain(fn, table.schema).mode == "interpreted"
    sb.UdfCompiler().analyze(fn)


def test_a_function_with_a_form_that_is_not_compiled_says_why():
    fn = defined(
        """
        def f(b):
            out = []
            for i in b["i"].to_pylist():
                match i:
                    case (first, second):
                        out.append(first)
                    case other:
                        out.append(other)
            return {"made": out}
        """
    )
    shown = Stream.from_table(many(1)).map(fn).explain()
    assert "in CPython, batch by batch  because: this form is not compiled yet" in shown


def test_html_shows_the_same_and_escapes_it():
    report = sb.explain(defined(REFUSED["returns"][0]), many(1).schema)
    html = report._repr_html_()
    assert "a return in a loop over the rows" in html
    assert ">interpreted<" in html
    compiled = sb.explain(lambda b: pc.less(b["i"], 3), many(1).schema)._repr_html_()
    assert "&lt;lambda&gt;(batch)" in compiled
    assert "<lambda>" not in compiled
    assert "array form" in compiled
    assert "reads i" in compiled


# --- what is known of the columns beside their types

NOTED = pa.schema(
    [
        pa.field("a", pa.int64(), nullable=False, metadata={"unit": "m"}),
        pa.field("b", pa.float64(), metadata={"unit": "s"}),
    ],
    metadata={"made": "here"},
)


MADE_BY = [
    lambda t: t.append_column("c", pa.array([b * 0.5 for b in t["b"].to_pylist()])),
    lambda t: t.add_column(0, "c", pa.array([b * 0.5 for b in t["b"].to_pylist()])),
    lambda t: t.set_column(1, "b", pa.array([b * 0.5 for b in t["b"].to_pylist()])),
    lambda t: t.set_column(0, "a", pa.array([b * 0.5 for b in t["b"].to_pylist()])),
    lambda t: t.set_column(1, "c", t["a"]).append_column(
        "d", pa.array([b * 0.5 for b in t["b"].to_pylist()])
    ),
    lambda t: t.append_column("c", pa.array([b * 0.5 for b in t["b"].to_pylist()])).select(
        ["c", "a"]
    ),
    lambda t: t.append_column("c", pa.array([b * 0.5 for b in t["b"].to_pylist()])).drop_columns(
        ["b"]
    ),
    lambda t: t.append_column("c", pa.array([b * 0.5 for b in t["b"].to_pylist()])).remove_column(
        0
    ),
    lambda t: t.append_column("c", pa.array([b * 0.5 for b in t["b"].to_pylist()])).rename_columns(
        ["x", "y", "z"]
    ),
    lambda t: {"a": t["a"], "c": pa.array([b * 0.5 for b in t["b"].to_pylist()])},
    lambda t: pa.table({"a": t["a"], "c": pa.array([b * 0.5 for b in t["b"].to_pylist()])}),
    lambda t: pa.record_batch({"a": t["a"], "c": [b * 0.5 for b in t["b"].to_pylist()]}),
    lambda t: pa.record_batch({"a": t["a"], "c": pa.array([b * 0.5 for b in t["b"].to_pylist()])}),
    lambda t: pa.RecordBatch.from_pydict(
        {"a": t["a"], "c": pa.array([b * 0.5 for b in t["b"].to_pylist()])}
    ),
    lambda t: pa.RecordBatch.from_arrays(
        [t["a"], pa.array([b * 0.5 for b in t["b"].to_pylist()])], names=["a", "c"]
    ),
    lambda t: pa.table([t["a"], pa.array([b * 0.5 for b in t["b"].to_pylist()])], ["a", "c"]),
    lambda t: pa.Table.from_pydict(
        {"a": t["a"], "c": pa.array([b * 0.5 for b in t["b"].to_pylist()])}
    ),
    lambda t: pa.Table.from_batches(
        [t.append_column("c", pa.array([b * 0.5 for b in t["b"].to_pylist()]))]
    ),
    lambda t: t.append_column(
        pa.field("c", pa.float64()), pa.array([b * 0.5 for b in t["b"].to_pylist()])
    ),
    lambda t: pa.table(
        {"a": t["a"], "c": pa.array([b * 0.5 for b in t["b"].to_pylist()])}
    ).append_column("d", t["b"]),
    lambda t: pa.record_batch(
        {"a": t["a"], "c": pa.array([b * 0.5 for b in t["b"].to_pylist()])}
    ).rename_columns(["c", "a"]),
]


@pytest.mark.parametrize("way", range(len(MADE_BY)))
def test_metadata_and_nulls_are_those_of_the_function_itself(way):
    table = pa.table([range(10), [k / 4 for k in range(10)]], schema=NOTED)
    given = MADE_BY[way](table.to_batches()[0])
    wanted = pa.RecordBatch.from_pydict(given) if isinstance(given, dict) else given
    for mode in ("auto", "off"):
        stream = Stream.from_table(table, 3).map(sb.udf(MADE_BY[way], compile=mode))
        assert ("compiled, batch" in stream.explain()) == (mode == "auto")
        made = stream.collect()
        assert made.schema.equals(wanted.schema, check_metadata=True), mode
        assert made.to_pydict() == wanted.to_pydict()
        assert stream.schema is None or stream.schema.equals(wanted.schema, check_metadata=True)
        for batch in stream:
            assert batch.schema.equals(wanted.schema, check_metadata=True), mode
