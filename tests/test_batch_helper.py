"""Batch functions that call functions of the user with whole arrays: read at the call, they give what CPython gives."""

import functools
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import cell, function_report
from test_batch_numpy import as_batch, same

import sabot as sb
from sabot import Stream

COMMON = """
    RATE = 1.5
    def price(a, b, *, tax=0.25):
        "What is paid."
        net = a * b
        factor = 1 + tax
        return net * factor + RATE
    def both(a, b=2):
        return a + b, a - b
    def clipped(x, lo=0):
        return pc.if_else(pc.greater(x, lo), x, lo)
    def added(batch, name="z"):
        return batch.append_column(name, pc.add(batch["k"], 1))
    def outer(a):
        return price(a, a, tax=2) - both(a)[0] if False else price(a, a, tax=2)
    def deep(a, times=3):
        first, second = both(a, times)
        return price(first, b=second)
    def filled(n, value):
        out = np.zeros(n)
        out[:] = value
        return out
    def count(batch):
        return batch.num_rows
    def rec(a):
        return rec(a)
    def looped(a):
        out = []
        for v in a:
            out.append(v)
        return out
    def branch(a, flag=True):
        if flag:
            return a
        return -a
    def stars(*a):
        return a[0]
    def yields(a):
        yield a
    @functools.cache
    def cached(a):
        return a
    def mutable(a, b=[]):
        return a
    def column(batch):
        return batch.column("x").to_numpy()
    def scale():
        return 2.5
"""
FORMS = {
    "by_position_and_name": """
        def f(batch):
            x, k = batch["x"].to_numpy(), batch["k"].to_numpy()
            return {"a": price(x, k), "b": price(b=x, a=k, tax=RATE), "c": price(x, 2)}
    """,
    "several_results": """
        def f(batch):
            plus, minus = both(batch["x"].to_numpy())
            p, q = both(batch["k"].to_numpy(), b=plus)
            return {"plus": plus, "minus": minus, "p": p, "q": q}
    """,
    "arrow_arrays": """
        def f(batch: pa.RecordBatch):
            return batch.append_column("a", clipped(batch["x"])).append_column("b", clipped(batch["k"], lo=3))
    """,
    "batches": """
        def f(batch):
            return added(added(batch), name="w")
    """,
    "in_each_other": """
        def f(batch):
            return {"a": deep(batch["x"].to_numpy()), "b": deep(batch["k"].to_numpy(), times=4)}
    """,
    "columns": """
        def f(batch: pa.RecordBatch):
            return {"a": column(batch) * 2, "b": np.zeros(count(batch))}
    """,
    "defined_inside": """
        def f(batch):
            x = batch["x"].to_numpy()
            k = 3
            def inner(v, w=2):
                y = v * w
                return y + k + x
            square = lambda v: v * v
            def twice(v):
                return square(square(v))
            y = 7
            return {"a": inner(x), "b": twice(inner(x, 4)), "c": [square(v) for v in batch["k"].to_numpy()], "d": inner(x * y)}
    """,
    "a_name_of_its_own": """
        def f(batch):
            x = batch["x"].to_numpy()
            scale = 10
            def one(v):
                scale = 3
                return v * scale
            def two(v):
                return v * scale
            def three(v):
                scale = 100
                return two(v)
            return {"a": one(x), "b": two(x), "c": three(x)}
    """,
    "a_later_value": """
        def f(batch):
            x = batch["x"].to_numpy()
            by = 2
            scaled = lambda v: v * by
            first = scaled(x)
            by = 3
            return {"a": first, "b": scaled(x)}
    """,
}


def table(rows=200):
    return pa.table(
        {
            "x": pa.array([(k * 53 % 97 - 40) / 8 for k in range(rows)]),
            "k": pa.array([k * 37 % 101 - 50 for k in range(rows)], pa.int64()),
        }
    )


def space(text):
    names = {"pa": pa, "pc": pc, "np": np, "functools": functools}
    return cell(textwrap.dedent(COMMON) + textwrap.dedent(text), **names)


@pytest.mark.parametrize("name", FORMS)
def test_helpers_give_what_cpython_gives(name):
    fn = space(FORMS[name])["f"]
    given = table()
    report = sb.explain(fn, given.schema)
    assert (report.mode, report.kind) == ("compiled", "batch"), str(report)
    wanted = pa.Table.from_batches([as_batch(fn(given.to_batches()[0]))])
    stream = Stream.from_table(given, batch_size=64).map(fn)
    got = stream.collect()
    assert got.schema.equals(wanted.schema)
    for column in wanted.schema.names:
        assert same(got[column], wanted[column]), column
    assert function_report(stream)["rows_cpython"] == 0


REFUSED = {
    "rec(x)": "recursion, in rec",
    "looped(x)": "a loop over the rows, in looped",
    "branch(x)": "a statement that is no array's, in branch",
    "stars(x)": "the arguments of stars",
    "yields(x)": "a generator function, in yields",
    "cached(x)": "cached of whole arrays",
    "mutable(x)": "the arguments of mutable",
    "price(x)": "the arguments of price",
    "price(x, x, x)": "the arguments of price",
    "price(x, x, rate=1)": "the arguments of price",
    "price(*[x, x])": "x used in another way than row by row",
    "price(x, [1])": "beside an array something that is no array of NumPy and no number, in price",
    "deep(x, times=x.tolist())": "the method tolist",
    "functools.partial(both, x)()": "x used in another way than row by row",
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_is_not_read_says_why(call):
    names = space(
        f"def f(batch):\n    x = batch.column('x').to_numpy()\n    return {{'r': {call}}}\n"
    )
    report = sb.explain(names["f"], {"x": pa.float64()})
    assert report.mode == "interpreted"
    reason = report.reasons[0]
    assert REFUSED[call] in reason.message
    lines = len(textwrap.dedent(COMMON).splitlines())
    assert (reason.line, reason.col > 0) == (lines + 3, True)


def test_what_a_helper_reads_is_watched():
    names = space(
        "def f(batch):\n    return {'r': price(batch['x'].to_numpy(), 2)}\n",
    )
    fn, given = names["f"], table(8)
    batch = given.to_batches()[0]
    stream = Stream.from_table(given).map(fn)
    fast = sb.auto_compile(fn)

    def check():
        wanted = as_batch(fn(batch))["r"].to_pylist()
        assert stream.collect()["r"].to_pylist() == wanted
        assert as_batch(fast(batch))["r"].to_pylist() == wanted
        return wanted

    seen = [check()]
    names["RATE"] = -2.0
    seen.append(check())
    names["price"].__kwdefaults__ = {"tax": 9}
    seen.append(check())
    names["price"] = names["both"]
    names["both"].__defaults__ = (7,)
    names["price"] = lambda a, b: a - b
    seen.append(check())
    assert len({tuple(one) for one in seen}) == 4


def test_names_of_a_helper_are_its_own():
    names = space("K = 5\ndef f(batch):\n    return {'r': other(batch['x'].to_numpy()) * K}\n")
    elsewhere = cell("K = 7\ndef other(v):\n    return v + K\n")
    names["other"] = elsewhere["other"]
    given = table(8)
    assert sb.explain(names["f"], given.schema).mode == "compiled"
    got = Stream.from_table(given).map(names["f"]).collect()
    assert got["r"].to_pylist() == [(v + 7) * 5 for v in given["x"].to_pylist()]
    elsewhere["K"] = 1
    got = Stream.from_table(given).map(names["f"]).collect()
    assert got["r"].to_pylist() == [(v + 1) * 5 for v in given["x"].to_pylist()]


def test_reading_runs_nothing_of_the_users():
    ran = []

    class Odd:
        def __getattr__(self, name):
            ran.append(name)
            raise AttributeError(name)

        def __eq__(self, other):
            ran.append("eq")
            return True

        __hash__ = None

    names = space("def f(batch):\n    return {'r': odd(batch['x'].to_numpy(), 1)}\n")
    names["odd"] = cell("def odd(v, w, u=None):\n    return v * ODD\n", ODD=Odd())["odd"]
    assert sb.explain(names["f"], {"x": pa.float64()}).mode == "interpreted"
    names["odd"].__defaults__ = (Odd(),)
    assert sb.explain(names["f"], {"x": pa.float64()}).mode == "interpreted"
    assert ran == []
