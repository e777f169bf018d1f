"""Batch functions that are one call of native code for each batch: what they give is what CPython gives for each batch."""

import math
import textwrap
import threading
import time
import warnings

import numpy as np
import pyarrow as pa
import pytest
from support import SLACK, TIERS, WAYS, bits, cell, function_report

import sabot as sb
from sabot import Stream, udf

RATE = 0.1


def bump(value, by=1):
    return value + by


FORMS = {
    "running": """
        def f(batch):
            '''A running total.'''
            made, total = [], 0.0
            for value in batch["x"].to_pylist():
                total += value
                made.append(total)
            return batch.append_column("total", pa.array(made))
    """,
    "ema": """
        def f(batch):
            x = batch.column("x").to_numpy()
            out = np.empty(len(x))
            out[0] = x[0]
            for i in range(1, len(x)):
                out[i] = RATE * x[i] + (1 - RATE) * out[i - 1]
            return batch.append_column("ema", pa.array(out))
    """,
    "ints": """
        def f(batch):
            i = batch["i"].to_pylist()
            made = []
            total = 0
            for v in i:
                total = (total * 31 + v) % 1000003
                made.append(total)
            return batch.append_column("made", pa.array(made, type=pa.int64()))
    """,
    "neighbours": """
        def f(batch):
            i = batch.column(0).to_pylist()
            return {"before": [i[k - 1] for k in range(len(i))], "i": batch["i"]}
    """,
    "mean_then_loop": """
        def f(batch):
            x = batch["x"].to_pylist()
            mean = sum(x) / len(x)
            spread = 0.0
            for v in x:
                spread += (v - mean) ** 2
            low, high = min(x), max(x)
            return batch.append_column("z", pa.array([(v - mean) / (spread + 1) for v in x])).append_column(
                "place", pa.array([(v - low) / (high - low + 1) for v in x]))
    """,
    "stops": """
        def f(batch):
            out = []
            for v in batch["i"].to_pylist():
                out.append(v)
                if v % 50 == 3:
                    break
            return {"made": out}
    """,
    "kept": """
        def f(batch):
            kept = []
            last = -1000
            for v in batch["i"].to_pylist():
                if v > last:
                    kept.append(v)
                    last = v
            return pa.record_batch({"kept": kept})
    """,
    "nothing_kept": """
        def f(batch):
            kept = []
            for v in batch["i"].to_pylist():
                if v > 10**6:
                    kept.append(v)
            return {"kept": pa.array(kept, pa.int64())}
    """,
    "pairs_of_rows": """
        def f(batch):
            i = batch["i"].to_pylist()[:12]
            made = []
            for a in i:
                count = 0
                for b in i:
                    if a < b:
                        count += 1
                made.append(count)
            return {"rank": made}
    """,
    "while_over_an_index": """
        def f(batch):
            i = batch["i"].to_pylist()
            made = []
            k = 0
            while k < len(i):
                step = 1 + abs(i[k]) % 3
                made.append(i[k] * step)
                k += step
            return {"made": made}
    """,
    "changes_the_list": """
        def f(batch):
            i = batch["i"].to_pylist()
            before = batch["i"].to_pylist()
            i.append(5)
            for k in range(1, len(i)):
                i[k] += i[k - 1] % 7
            last = i.pop()
            return batch.append_column("made", pa.array(i)).append_column("same", pa.array(before)).append_column(
                "last", pa.array([last] * batch.num_rows))
    """,
    "changes_after_pa_array": """
        def f(batch):
            made = []
            for v in batch["i"].to_pylist():
                made.append(v)
                made[0] += 1
            first = pa.array(made)
            for k in range(len(made)):
                made[k] = k
            return {"first": first, "second": made}
    """,
    "changes_while_it_returns": """
        def f(batch):
            i = []
            for v in batch["i"].to_pylist():
                i.insert(len(i) // 2, v)
            return {"i": i[1:], "more": pa.array(i[1:] if i[0] > 0 else i[1:]), "less": [i.pop() for _ in range(len(i) - 1)]}
    """,
    "one_name_for_all": """
        def f(batch):
            i = batch.column("i")
            i = i.to_pylist()
            keep = i if len(i) > 2 else [v for v in i]
            same = pa.array(keep if i[0] else i)
            i.reverse()
            def changed(values):
                values[0] = 3
                return 1
            return {"same": same, "i": i, "one": [changed(i) for _ in i]}
    """,
    "ints_put_among_floats": """
        def f(batch):
            x = batch["x"].to_pylist()
            x = x[1:] + [2]
            out, last = [], 0
            for k in range(len(x)):
                last = x[k] * 2 - last
                out.append(last)
            return {"made": out, "x": x}
    """,
    "shared_by_pa_array": """
        def f(batch):
            x = batch["x"].to_numpy()
            out = np.zeros(x.shape[0])
            first = pa.array(out)
            copied = x.copy()
            for k in range(x.size):
                out[k] = x[k] - out[k - 1]
                copied[k] *= 2
                copied[-1] += 1
            return {"first": first, "copied": copied}
    """,
    "sorted": """
        def f(batch):
            i = batch["i"].to_pylist()
            x = sorted(batch["x"].to_pylist())
            i.sort(reverse=True)
            return {"i": i, "x": x, "median": [x[len(x) // 2] for _ in x]}
    """,
    "booleans": """
        def f(batch):
            was = False
            edges = []
            for p in batch["p"].to_pylist():
                edges.append(p != was)
                was = p
            return batch.append_column("edge", pa.array(edges))
    """,
    "two_columns": """
        def f(batch):
            best, held = [], 0.0
            for a, b in zip(batch["i"].to_pylist(), batch["x"].to_pylist()):
                held = max(held * 0.5, a + b)
                best.append(held)
            return batch.set_column(1, "x", pa.array(best))
    """,
    "numbered": """
        def f(batch):
            out = []
            seen = 0
            for k, v in enumerate(batch["i"].to_pylist()):
                seen += v > 0
                out.append(seen / (k + 1))
            return {"share": out, "k": [k for k in range(batch.num_rows)]}
    """,
    "ints_and_floats": """
        def f(batch):
            out = []
            last = 0
            for v in batch["i"].to_pylist():
                out.append(last)
                last = v if v % 2 else v / 2
            return {"made": out + [0.5]}
    """,
    "functions": """
        def f(batch):
            def more(v, total):
                return bump(v) + total
            total, out = 0, []
            for v in batch["i"].to_pylist():
                total = more(v, total) % 1000
                out.append(total)
            return {"made": out}
    """,
    "scalars_of_arrow": """
        def f(batch):
            i = batch["i"]
            total, out = 0, []
            for k in range(batch.num_rows):
                total += i[k].as_py() - i[-1].as_py()
                out.append(total)
            return batch.append_column("made", pa.array(out))
    """,
    "loop_over_an_array": """
        def f(batch):
            x = batch["x"].to_numpy()
            low = np.full(len(x), 1e6)
            seen = x[0]
            out = []
            for k, v in enumerate(x):
                seen = min(seen, v)
                low[k] = seen
                out.append(float(v) + max(v, 2.0) if v > seen else 0.0)
            total = sum(x)
            return batch.append_column("low", pa.array(low)).append_column("out", pa.array(out)).append_column(
                "total", pa.array([total for _ in out]))
    """,
    "numpy_and_python_floats": """
        def f(batch):
            last = 0.0
            out = []
            for v in batch["x"].to_numpy():
                out.append(last)
                last = v
            return {"made": out}
    """,
    "math": """
        def f(batch):
            a, out = 0.5, []
            for v in batch["x"].to_pylist():
                a = math.sin(a * v) + math.sqrt(abs(v))
                out.append(a)
            return {"made": out}
    """,
    "empty_results": """
        def f(batch):
            out = []
            total = 0
            for v in batch["i"].to_pylist():
                total += v
            return {"made": out}
    """,
}

FORMS |= {
    "length_with_effects": """
        def f(batch):
            n = [3, 4, 5, 6]
            out = np.zeros(n.pop())
            s = 0
            for v in batch["i"].to_pylist():
                s += v
                out[0] = s
            return {"out": out, "left": [len(n) for _ in range(6)]}
    """,
    "length_that_is_bound": """
        def f(batch):
            n, s = 1, 0
            out = np.full((n := n + 1), 1.5)
            for v in batch["i"].to_pylist():
                s += v
                out[n - 1] = s
            return {"out": out, "n": [n, n]}
    """,
    "function_as_key_that_changes_a_list": """
        def f(batch):
            a = batch["i"].to_pylist()
            c = a[:]
            t = 0
            for v in a:
                t += v
            def g(v):
                a[0] = v
                return -v
            return {"a": pa.array(a), "b": sorted(c, key=g), "c": a}
    """,
    "function_as_map_that_changes_a_list": """
        def f(batch):
            a = batch["i"].to_pylist()
            c = a[:]
            t = 0
            for v in a:
                t += v
            def g(v):
                a[0] = v
                return -v
            return {"a": pa.array(a), "b": list(map(g, c)), "c": a}
    """,
}

NULLS = {
    "last_seen": """
        def f(batch):
            last, out = None, []
            for v in batch["i"].to_pylist():
                if v is not None:
                    last = v
                out.append(last)
            return batch.append_column("made", pa.array(out))
    """,
    "skips": """
        def f(batch):
            total, out = 0.0, []
            for v in batch["x"].to_pylist():
                if v is None:
                    out.append(None)
                    continue
                total += v
                out.append(total)
            return batch.append_column("made", pa.array(out))
    """,
    "mixed": """
        def f(batch):
            out, last = [], 0
            for a, b in zip(batch["i"].to_pylist(), batch["x"].to_pylist()):
                out.append(last)
                last = a if b is None else (b if a is None else a + b)
            return {"made": out}
    """,
    "booleans": """
        def f(batch):
            was, out = None, []
            for p in batch["p"].to_pylist():
                out.append(None if p is None or was is None else p == was)
                was = p
            return {"made": out, "was": [None if v is None else not v for v in out]}
    """,
    "only_none": """
        def f(batch):
            out, total = [], 0
            for v in batch["i"].to_pylist():
                total += 1
                out.append(None)
            return {"made": out, "total": [total] * total}
    """,
    "counted": """
        def f(batch):
            i = batch["i"].to_pylist()
            missing = 0
            for v in i:
                if v is None:
                    missing += 1
            kept = [v for v in i if v is not None]
            return {"kept": kept, "missing": [missing for _ in kept]}
    """,
}


def defined(text):
    names = {"pa": pa, "np": np, "math": math, "RATE": RATE, "bump": bump}
    return cell(textwrap.dedent(text).strip("\n"), **names)["f"]


def table_of(rows, nulls=False):
    none = (lambda k, n: k % n == n - 1) if nulls else (lambda k, n: False)
    ints = [None if none(k, 7) else k * 37 % 101 - 50 for k in range(rows)]
    floats = [None if none(k, 5) else (k * 53 % 97 - 40) / 8 for k in range(rows)]
    bools = [None if none(k, 3) else k * k % 3 == 0 for k in range(rows)]
    whole = pa.table({"i": pa.array(ints, pa.int64()), "x": floats, "p": bools})
    return pa.concat_tables([whole.slice(0, 3), whole.slice(3, 64), whole.slice(67)])


def as_batch(given):
    return pa.RecordBatch.from_pydict(given) if isinstance(given, dict) else given


def by_cpython(fn, table, batch_size, schema):
    pieces = [as_batch(fn(batch)) for batch in table.to_batches(max_chunksize=batch_size)]
    return pa.Table.from_batches([piece.cast(schema) for piece in pieces])


def check(fn, table, left=0):
    report = sb.explain(fn, table.schema)
    assert (report.mode, report.form) == ("compiled", "whole"), str(report)
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads):
            stream = Stream.from_table(table, batch_size).map(fn)
            wanted = by_cpython(fn, table, batch_size, stream.schema)
            got = stream.collect()
            assert stream.schema == got.schema
            for column in got.schema.names:
                assert bits(got[column].to_pylist()) == bits(wanted[column].to_pylist()), column
            counts = function_report(stream)
            assert (counts["rows"], counts["rows_cpython"]) == (table.num_rows, left)


@pytest.mark.parametrize("name", FORMS)
def test_forms_give_what_cpython_gives(name):
    check(defined(FORMS[name]), table_of(90))


@pytest.mark.parametrize("name", NULLS)
def test_nulls_give_what_cpython_gives(name):
    check(defined(NULLS[name]), table_of(90, nulls=True))
    check(defined(NULLS[name]), table_of(90))


@pytest.mark.parametrize("name", [*FORMS, *NULLS])
def test_types_do_not_depend_on_the_mode(name):
    fn = defined((FORMS | NULLS)[name])
    table = table_of(60)
    on = Stream.from_table(table).map(fn)
    with sb.config(compile="off"):
        off = Stream.from_table(table).map(fn)
        assert off.schema == on.schema
        assert off.collect().equals(on.collect())
    assert "compiled, batch, whole form" in on.explain()
    assert "compiled" not in off.explain()


@pytest.mark.parametrize(
    "type", [pa.int8(), pa.uint8(), pa.int16(), pa.uint32(), pa.uint64(), pa.int64()]
)
def test_integers_of_every_width(type):
    fn = defined(FORMS["ints"])
    table = pa.table({"i": pa.array([1, 7, 100, 0, 3] * 20, type)})
    check(fn, table)


@pytest.mark.parametrize("type", [pa.float16(), pa.float32(), pa.float64()])
def test_floats_of_every_width(type):
    fn = defined(FORMS["running"])
    table = pa.table({"x": pa.array(np.array([0.5, -0.0, 3.25, 1e4]), pa.float64()).cast(type)})
    check(fn, table)


def test_slices_with_offsets():
    fn = defined(NULLS["booleans"])
    whole = table_of(200, nulls=True).combine_chunks()
    for start in (1, 5, 8, 63, 64, 65):
        check(fn, whole.slice(start, 70))


def test_dates_and_texts_have_no_such_lists():
    fn = defined("""
        def f(batch):
            out, n = [], 0
            for v in batch["s"].to_pylist():
                n += 1
                out.append(n)
            return {"made": out}
    """)
    for values in (["a", "b"], [None, None]):
        table = pa.table({"s": values})
        report = sb.explain(fn, table.schema)
        assert (report.mode, report.form) == ("interpreted", None)
        assert "a column of this type" in report.reasons[0].message
        assert Stream.from_table(table).map(fn).collect()["made"].to_pylist() == [1, 2]


# Batches that leave


def run(fn, table, batch_size=None):
    """What a stream gives: columns or an exception, and NumPy's warnings, and the rows that CPython computed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stream = Stream.from_table(table, batch_size).map(fn)
        try:
            given = stream.collect()
            shown = [(name, bits(given[name].to_pylist())) for name in given.schema.names]
        except Exception as error:
            shown = (type(error), str(error))
    functions = stream.last_run.report["functions"]
    return shown, sorted(str(one.message) for one in caught), functions[0] if functions else None


LEAVE = {
    "overflow": ("running_ints", [1, 2, 2**62, 2**62, 5], "overflow"),
    "none": ("running_ints", [1, None, 3], "none_operand"),
    "raises": ("shares", [1, 2, 0, 4], "div_zero"),
    "index": ("next_item", [1, 2, 3], "raise"),
    "lengths": ("too_few", [1, 2, 3], "raise"),
    "two_lengths": ("unlike", [1, 2, 3], "raise"),
}
LEAVING = {
    "running_ints": """
        def f(batch):
            made, total = [], 0
            for v in batch["i"].to_pylist():
                total += v
                made.append(total % 1000)
            return batch.append_column("made", pa.array(made))
    """,
    "shares": """
        def f(batch):
            made, last = [], 1
            for v in batch["i"].to_pylist():
                made.append(last / v)
                last = v
            return batch.append_column("made", pa.array(made))
    """,
    "next_item": """
        def f(batch):
            i = batch["i"].to_pylist()
            return batch.append_column("made", pa.array([i[k + 1] for k in range(len(i))]))
    """,
    "too_few": """
        def f(batch):
            made = []
            for v in batch["i"].to_pylist():
                if v > 1:
                    made.append(v)
            return batch.append_column("made", pa.array(made))
    """,
    "unlike": """
        def f(batch):
            made, other = [], []
            for v in batch["i"].to_pylist():
                if v > 1:
                    made.append(v)
                other.append(v)
            return {"made": made, "other": other}
    """,
}


@pytest.mark.parametrize("name", LEAVE)
def test_a_batch_that_cannot_be_computed_is_cpythons(name):
    form, values, reason = LEAVE[name]
    fn = defined(LEAVING[form])
    table = pa.table({"i": values})
    assert sb.explain(fn, table.schema).form == "whole"
    with sb.config(compile="off"):
        wanted = run(fn, table)[:2]
    for tier, threads, _ in WAYS:
        with sb.config(tier=tier, threads=threads):
            shown, warned, report = run(fn, table)
            assert (shown, warned) == wanted
            assert report["rows_left"] == {reason: len(values)}
            assert report["rows_cpython"] == len(values)


def test_only_the_batch_that_leaves_is_cpythons():
    fn = defined(LEAVING["running_ints"])
    stream = Stream.from_table(pa.table({"i": [1, 2, 2**62, 2**62, 5, 6]}), 2).map(fn)
    assert stream.collect()["made"].to_pylist() == [1, 3, 904, 808, 5, 11]
    report = function_report(stream)
    assert (report["rows"], report["rows_cpython"]) == (6, 2)


def test_unsigned_integers_beyond_int64_leave():
    fn = defined(FORMS["ints"])
    stream = Stream.from_table(pa.table({"i": pa.array([1, 2**63], pa.uint64())})).map(fn)
    assert stream.collect()["made"].to_pylist() == [1, (31 + 2**63) % 1000003]
    assert function_report(stream)["rows_left"] == {"overflow": 2}


def test_ints_among_floats_that_no_double_is():
    fn = defined(FORMS["ints_and_floats"])
    table = pa.table({"i": [2**53 + 1, 3]})
    shown, _, report = run(fn, table)
    with sb.config(compile="off"):
        assert shown == run(fn, table)[0]
    assert report["rows_left"] == {"bigint": 2}


def test_warnings_of_numpy_are_those_of_cpython():
    fn = defined(FORMS["ema"])
    for values in ([1.0, 1e308, math.inf, 2.0, -math.inf], [1e308, math.nan, 3.0]):
        table = pa.table({"x": values})
        with sb.config(compile="off"):
            wanted = run(fn, table)
        assert run(fn, table)[:2] == wanted[:2]


def test_signs_of_zero_and_nan():
    for name in ("running", "loop_over_an_array", "numpy_and_python_floats", "two_columns"):
        fn = defined(FORMS[name])
        values = [-0.0, 0.0, math.nan, -0.0, 1.0, math.inf]
        table = pa.table({"i": [0, 1, 0, 1, 0, 1], "x": values, "p": [True] * 6})
        with sb.config(compile="off"):
            wanted = run(fn, table)
        assert run(fn, table)[:2] == wanted[:2], name


def test_booleans_are_no_index_of_an_array():
    fn = defined("""
        def f(batch):
            x = batch["x"].to_numpy()
            out, flag = [], False
            for k in range(len(x)):
                out.append(x[flag] + x[k])
                flag = x[k] > 1
            return {"made": out}
    """)
    table = pa.table({"x": [0.5, 2.0, 3.0]})
    assert sb.explain(fn, table.schema).form == "whole"
    shown, _, report = run(fn, table)
    with sb.config(compile="off"):
        assert shown == run(fn, table)[0]
    assert report["rows_cpython"] == 3


def test_arrays_of_a_negative_length():
    fn = defined("""
        def f(batch):
            x = batch["x"].to_numpy()
            n = len(x) - 3
            out = np.zeros(n)
            for k in range(1, n):
                out[k] = out[k - 1] + x[k]
            return {"made": out}
    """)
    for values in ([1.0, 2.0], [1.0] * 6):
        table = pa.table({"x": values})
        assert sb.explain(fn, table.schema).form == "whole"
        shown, _, report = run(fn, table)
        with sb.config(compile="off"):
            assert shown == run(fn, table)[0]
        assert report["rows_cpython"] == (2 if len(values) == 2 else 0)


def test_empty_batches_are_cpythons():
    fn = defined(FORMS["ema"])
    table = pa.table({"x": pa.array([], pa.float64())})
    assert run(fn, table)[0] == [("x", []), ("ema", [])]
    full = Stream.from_table(pa.table({"x": [1.0, 2.0]}), 1)
    for mode in ("auto", "off"):
        with sb.config(compile=mode), pytest.raises(IndexError):
            full.filter(lambda x: x > 2).map(fn).collect()


def test_filters():
    fn = defined("""
        def f(batch):
            keep, last = [], -100
            for v in batch["i"].to_pylist():
                keep.append(v > last)
                last = max(last, v)
            return pa.array(keep)
    """)
    table = table_of(200)
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads):
            stream = Stream.from_table(table, batch_size).filter(fn)
            wanted = [b.filter(fn(b)) for b in table.to_batches(max_chunksize=batch_size)]
            assert stream.collect().equals(pa.Table.from_batches(wanted))
            assert function_report(stream)["rows_cpython"] == 0


def test_operators_around_it():
    fn = defined(FORMS["running"])
    table = table_of(90)
    stream = (
        Stream.from_table(table, 64)
        .filter(lambda p: p)
        .map(fn)
        .with_columns(z=lambda total: -total)
        .filter(lambda z: z < 0)
    )
    with sb.config(compile="off"):
        wanted = stream.collect()
    assert stream.collect().equals(wanted)


def test_a_result_of_other_rows_is_followed_by_operators():
    fn = defined(FORMS["kept"])
    stream = Stream.from_table(table_of(90), 50).map(fn).with_columns(d=lambda kept: kept * 2)
    with sb.config(compile="off"):
        wanted = stream.collect()
    assert stream.collect().equals(wanted)
    assert 0 < wanted.num_rows < 90


# Size, time, and stopping


def test_a_batch_of_a_million_rows():
    fn = defined(FORMS["ema"])
    table = pa.table({"x": np.arange(1_300_000) % 1000 / 8})
    stream = Stream.from_table(table, 2_000_000).map(fn)
    got = stream.collect()["ema"].to_numpy()
    assert function_report(stream)["rows_cpython"] == 0
    x, last = table["x"].to_numpy().tolist(), 0.0
    for k, v in enumerate(x[:5000]):
        last = v if k == 0 else RATE * v + (1 - RATE) * last
        assert got[k] == last


@pytest.mark.parametrize("tier", ["interpreter", "auto"])
def test_a_long_loop_can_be_stopped(tier):
    fn = defined("""
        def f(batch):
            total, k = 0, 0
            i = batch["i"].to_pylist()
            while k < 10**12:
                total = (total + i[k % len(i)]) % 1000
                k += 1
            return {"made": [total]}
    """)
    with sb.config(tier=tier):
        stream = Stream.from_table(pa.table({"i": [1, 2, 3]})).map(fn)
        asked = []

        def interrupt():
            import _thread

            time.sleep(0.7)
            asked.append(time.perf_counter())
            _thread.interrupt_main()

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            stream.collect()
        assert time.perf_counter() - asked[0] < 0.2 * SLACK


def test_a_name_bound_anew_is_seen_at_the_next_run():
    text = """
    def f(batch):
        out, total = [], 0
        for v in batch["i"].to_pylist():
            total += v * FACTOR
            out.append(total)
        return {"made": out}
    """
    space = cell(textwrap.dedent(text), FACTOR=2)
    stream = Stream.from_table(pa.table({"i": [1, 2]})).map(space["f"])
    assert stream.collect()["made"].to_pylist() == [2, 6]
    space["FACTOR"] = 3
    assert stream.collect()["made"].to_pylist() == [3, 9]


# What is said


def test_explain_says_the_form_and_why_no_better_one():
    fn = defined(FORMS["running"])
    schema = table_of(3).schema
    report = sb.explain(fn, schema)
    assert (report.mode, report.kind, report.form, report.reads) == (
        "compiled",
        "batch",
        "whole",
        ["x"],
    )
    [why] = report.reasons
    assert why.message.endswith(": total goes from one row to the next")
    assert "^^^^^" in str(report)
    assert report.to_dict()["form"] == "whole"
    text = Stream.from_table(table_of(3)).map(fn).explain()
    assert "whole form" in text
    assert "not by rows: total goes from one row to the next (line 5)" in text


def test_require():
    fn = udf(defined(FORMS["running"]), compile="require")
    assert Stream.from_table(table_of(20)).map(fn).count() == 20


REFUSED = {
    "function_above_an_array": (
        """
        def f(b):
            def g():
                return out * 2
            out = np.zeros(2)
            t = 0
            for v in b["i"].to_pylist():
                t += v
                out[0] = t
            return {"r": [v for v in g()]}
        """,
        "",
    ),
    "function_that_reads_the_batch": (
        """
        def f(b):
            def first():
                return b["i"][0].as_py()
            t = 0
            r = []
            for v in b["i"].to_pylist():
                t += v - first()
                r.append(t)
            return {"r": r}
        """,
        "",
    ),
    "lambda_that_reads_the_batch": (
        """
        def f(b):
            n = lambda: b.num_rows
            t = 0
            r = []
            for v in b["i"].to_pylist():
                t += v - n()
                r.append(t)
            return {"r": r}
        """,
        "",
    ),
    "returns_early": (
        """
        def f(batch):
            out, total = [], 0
            for v in batch["i"].to_pylist():
                total += v
                if total > 3:
                    return {"made": [v]}
                out.append(total)
            return {"made": out}
        """,
        "total goes from one row to the next",
    ),
    "a_part_of_an_array": (
        """
        def f(batch):
            x = batch["x"].to_numpy()
            out = [0.0]
            for k in range(1, len(x)):
                out.append(sum(x[:k]))
            return {"made": out}
        """,
        "a range of some of the rows",
    ),
    "an_array_under_another_name": (
        """
        def f(batch):
            x = batch["x"].to_numpy()
            y = x
            out = [y[0]]
            for k in range(1, len(y)):
                out.append(y[k - 1])
            return {"made": out}
        """,
        "y used in another way than row by row",
    ),
    "another_function": (
        """
        def f(batch):
            out, total = [], 0
            for v in batch["i"].to_pylist():
                total += hash(v)
                out.append(total)
            return {"made": out}
        """,
        "hash",
    ),
    "a_view": (
        """
        def f(batch):
            x = batch["x"].to_numpy()
            for k in range(1, len(x)):
                x[k] = x[k - 1]
            return {"made": x}
        """,
        "a range of some of the rows",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_says_why(name):
    text, wanted = REFUSED[name]
    report = sb.explain(defined(text), table_of(3).schema)
    assert (report.mode, report.form) == ("interpreted", None), str(report)
    assert report.reasons[0].message.endswith(wanted), str(report)
    assert report.reasons[0].line > 0


KINDS = pa.record_batch(
    {"p": [True, False, True, True], "i": [5, 7, 11, 13], "x": [0.5, 1.5, 2.5, -1.0]}
)
SEVERAL_KINDS = {
    "joined": "s = 0; for v in p + i: s += v",
    "extended": "s = 0; p.extend(i); for v in p: s += v",
    "in turn": "s = 0; for one in (p, i):; for v in one: s += v",
    "numbered": "s = 0; for k, v in enumerate(i + p): s += v * k",
    "by number": "c = p + x; s = sum([c[k] for k in range(len(c))])",
    "floats": "s = 0.0; for v in x + p: s += v",
}


@pytest.mark.parametrize("name", SEVERAL_KINDS)
def test_columns_of_booleans_and_numbers_in_one_list(name):
    text = SEVERAL_KINDS[name].replace(":; for", ":\n        for").split("; ")
    lines = [f"{one} = batch[{one!r}].to_pylist()" for one in "pix"] + text + ["return {'s': [s]}"]
    fn = cell("def f(batch):\n" + "".join(f"    {line}\n" for line in lines))["f"]
    assert Stream.from_batches([KINDS]).map(fn).collect().to_pydict() == fn(KINDS)


def test_a_list_of_booleans_and_numbers_as_a_result():
    def both(batch):
        p, i = batch["p"].to_pylist(), batch["i"].to_pylist()
        total = 0
        for v in i:
            total += v
        return {"both": pa.array([float(v) for v in p + i]), "total": [total] * 8}

    def bare(batch):
        p, i = batch["p"].to_pylist(), batch["i"].to_pylist()
        total = 0
        for v in i:
            total += v
        return {"both": p + i, "total": [total] * 8}

    assert Stream.from_batches([KINDS]).map(both).collect().num_rows == 8
    with pytest.raises(pa.ArrowInvalid):
        bare_result = bare(KINDS)
        pa.RecordBatch.from_pydict(bare_result)
    with pytest.raises(pa.ArrowInvalid):
        Stream.from_batches([KINDS]).map(bare).collect()


def test_many_short_lists_beside_many_rows():
    def lists(batch):
        x = batch["x"].to_pylist()
        total = 0
        for k in range(300):
            made = []
            for j in range(600):
                made.append(j + k)
            total += len(made)
        return {"x": x, "total": [total] * len(x)}

    stream = Stream.from_batches([pa.record_batch({"x": [0.5] * 1_000_000})]).map(lists)
    assert stream.collect()["total"][0].as_py() == 180_000
    assert function_report(stream)["rows_left"] == {}


def test_one_large_batch_is_native_code_s_at_once():
    def carried(batch):
        made, y = [], 0.0
        for v in batch["x"].to_pylist():
            for _ in range(20):
                y = 0.25 * v + 0.5 * y
            made.append(y)
        return {"y": made}

    batch = pa.record_batch({"x": [k / 7 for k in range(200_000)]})
    stream = Stream.from_batches([batch]).map(carried)
    assert stream.collect()["y"].to_pylist() == carried(batch)["y"]
    assert function_report(stream)["rows_native"] == batch.num_rows * ("native" in TIERS)
