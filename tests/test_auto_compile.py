"""auto_compile: a function that computes columns, and is the function itself for everything else."""

from __future__ import annotations

import copy
import gc
import logging
import math
import pickle
import threading
import time
import weakref

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import SLACK, TIERS, printed

import sabot as sb
from sabot import Stream, auto_compile, udf

pytestmark = pytest.mark.api

MODES = [("off", "auto"), *(("auto", tier) for tier in TIERS)]
ROWS = (0, 1, 4, 5, 100)  # few and many: calls and runs


def weigh(x, y):
    """A weight."""
    return x * y + 0.5


def branches(x):
    if x is None or x < 0:
        return None
    return x * 2


def steps(n, x):
    total = 0.0
    for i in range(n):
        total += x * i
    return total


named = auto_compile(weigh)


@auto_compile
def decorated(x):
    return x + 1


def test_it_stays_a_function():
    made = auto_compile(weigh)
    assert made(2, 3) == made(x=2, y=3) == made(y=3, x=2) == 6.5
    assert made.__wrapped__ is weigh
    assert (made.__name__, made.__doc__) == ("weigh", "A weight.")
    assert repr(made) == "<sabot.auto_compile weigh>"
    assert made(np.float64(2), 3) == 6.5
    assert auto_compile(lambda v: v * 2)([1]) == [1, 1]
    with pytest.raises(TypeError, match="positional argument"):
        made(pa.array([1]))
    with pytest.raises(TypeError, match="unexpected keyword"):
        made(pa.array([1]), y=2, z=3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rows", ROWS)
def test_columns(rows, mode):
    xs, ys = [k / 8 for k in range(rows)], list(range(rows))
    want = pa.array([weigh(x, y) for x, y in zip(xs, ys, strict=True)], pa.float64())
    x, y = pa.array(xs, pa.float64()), pa.array(ys, pa.int64())
    with sb.config(compile=mode[0], tier=mode[1]):
        made = auto_compile(lambda x, y: x * y + 0.5)
        assert made(x, y).equals(want)
        assert made(y=y, x=x).equals(want)
        assert made(pa.record_batch({"z": x, "y": y, "x": x})).equals(want)
        assert made(pa.table({"y": y, "x": x})).equals(pa.chunked_array([want]))
        assert (
            made(pa.chunked_array([x, x]), pa.chunked_array([y, y]))
            .combine_chunks()
            .equals(pa.concat_arrays([want, want]))
        )
        assert made(x, 1).equals(pa.array([x + 0.5 for x in xs], pa.float64()))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rows", (2, 50))
def test_nulls(rows, mode):
    given = [None, -1] + [3] * (rows - 2)
    want = [None, None] + [6] * (rows - 2)
    with sb.config(compile=mode[0], tier=mode[1]):
        made = auto_compile(branches)
        result = made(pa.array(given, pa.int64()))
        assert (result.to_pylist(), result.type) == (want, pa.int64())


@pytest.mark.parametrize("rows", (2, 50))
def test_errors_are_those_of_the_first_failing_row(rows):
    made = auto_compile(weigh)
    x = pa.array([1.0] * rows)
    with pytest.raises(TypeError, match="NoneType") as raised:
        made(x, pa.array([1, None] + [None] * (rows - 2), pa.int64()))
    assert raised.value.__notes__ == [
        "in CALL weigh(x, y): operator 0, batch 0, row 1: x=1.0, y=None"
    ]
    square = auto_compile(lambda v: v * v)
    with pytest.raises(sb.IntegerOverflowError, match="does not fit 64 bits"):
        square(pa.array([3] * (rows - 1) + [2**40]))
    assert square(2**40) == 2**80
    divided = auto_compile(lambda v, w: v // w)
    with pytest.raises(ZeroDivisionError) as raised:
        divided(pa.array([1, 2]), pa.array([1, 0]))
    assert "row 1: v=2, w=0" in raised.value.__notes__[0]


def test_bits_are_the_same_by_calls_and_runs():
    made = auto_compile(lambda x, y: x * y)
    odd = [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 0.1]
    few = [made(pa.array([x]), pa.array([y])).view(pa.int64()) for x in odd for y in odd]
    x, y = pa.array([x for x in odd for _ in odd]), pa.array(odd * len(odd))
    assert pa.concat_arrays(few).equals(made(x, y).view(pa.int64()))


def test_what_has_nothing_to_gain_is_returned_itself():
    def arrow(batch):
        import pyarrow.compute as pc

        return pc.multiply(batch["value"], 2)

    def pandas(batch):
        return pd.Series(batch)

    def annotated(batch: pa.RecordBatch):
        return batch

    async def later(x):
        return x

    own = [
        arrow,
        pandas,
        annotated,
        later,
        len,
        math.sin,
        lambda b: b.column("x"),
        lambda a, b: pc.add(a, b),
        lambda x: np.sum(x * 2.5 + 10),
        lambda *values: values,
        udf(weigh, kind="batch"),
        udf(weigh, max_concurrency=2),
    ]
    for fn in own:
        assert auto_compile(fn) is fn


def test_numpy_arrays_go_to_the_function():
    total = auto_compile(lambda v: sum(v))
    assert total(np.arange(4)) == total([0, 1, 2, 3]) == 6
    assert auto_compile(lambda v: v.max())(np.arange(3)) == 2
    double = auto_compile(lambda v: v * 2)
    assert double(np.array([1.5], "float32")).dtype == np.dtype("float32")
    assert double(np.array([2**62] * 8)).tolist() == [-(2**63)] * 8  # as NumPy has it
    assert double(np.ones((2, 2))).shape == (2, 2)
    assert auto_compile(lambda v, w: v + w)(np.array([1]), w=np.array([2])).tolist() == [3]


def test_batches_go_to_functions_of_batches():
    def rows(batch):
        return list(batch.to_pylist())

    batch = pa.record_batch({"x": [1.0], "y": [2]})
    made = auto_compile(rows)
    assert made(batch) == [{"x": 1.0, "y": 2}]
    with pytest.raises(sb.UnknownColumnError, match="no column 'y'"):
        auto_compile(weigh)(pa.record_batch({"x": [1.0]}))
    twice = pa.RecordBatch.from_arrays([batch[0], batch[0], batch[1]], ["x", "x", "y"])
    with pytest.raises(sb.PlanError, match="more than one column 'x'"):
        auto_compile(weigh)(twice)


@pytest.mark.parametrize("rows", (1, 30))
def test_functions_of_records(rows):
    def worth(record):
        total = 0
        for i in range(3):
            total += record["value"] * i
        return total if record.get("ok", True) else None

    made = auto_compile(worth)
    assert made({"value": 2}) == 6
    batch = pa.record_batch({"x": ["a"] * rows, "value": [5] * rows})
    assert made(batch).to_pylist() == [15] * rows
    refused = batch.append_column("ok", pa.array([False] * rows))
    assert made(refused).to_pylist() == [None] * rows
    with pytest.raises(sb.PlanError, match="for scalar functions"):
        auto_compile(udf(worth, nulls="skip"))
    lengths = auto_compile(lambda thing: len(thing["value"]))
    assert lengths(batch) == rows
    assert lengths({"value": "abc"}) == 3


def test_defaults_and_parameters_by_name():
    made = auto_compile(lambda x, k=2, *, w=1: x * k + w)
    for rows in (2, 20):
        x = pa.array([3] * rows)
        assert made(x).to_pylist() == [7] * rows
        assert made(x, 5).to_pylist() == [16] * rows
        assert made(x, w=x).to_pylist() == [9] * rows
        assert made(pa.record_batch({"x": x, "w": x})).to_pylist() == [9] * rows
        assert made(x, w=0.5).to_pylist() == [6.5] * rows


def test_wrong_columns():
    made = auto_compile(weigh)
    with pytest.raises(sb.DataError, match="'y' has 2 rows, another has 1"):
        made(pa.array([1.0]), pa.array([1, 2]))
    with pytest.raises(sb.DataError, match="does not fit int64"):
        made(pa.array([1.0] * 10), 2**70)
    with pytest.raises(sb.PlanError, match="type cannot be told"):
        auto_compile(lambda v: str(v).center(9))(pa.array([1]))
    with pytest.raises(sb.PlanError, match="takes a function, not int"):
        auto_compile(3)
    with pytest.raises(sb.PlanError, match="schema= takes"):
        auto_compile(weigh, {"x": pa.int64()})
    with pytest.raises(sb.PlanError, match="for streams"):
        auto_compile(udf(weigh, on_error="null"))


K = 1


def captured(x):
    return x + K


@pytest.mark.parametrize("rows", (1, 30))
def test_a_rebound_name_is_seen(rows, monkeypatch):
    made = auto_compile(captured)
    x = pa.array([10] * rows)
    assert made(x).to_pylist() == [11] * rows
    for k in (2, 2.5, 7, *range(20)):
        monkeypatch.setattr(f"{__name__}.K", k)
        assert made(x).to_pylist() == [10 + k] * rows
        assert made(pa.record_batch({"x": x})).type == (pa.float64() if k == 2.5 else pa.int64())


def test_options_of_a_udf_hold():
    skipping = auto_compile(udf(nulls="skip")(lambda v: v + 1))
    for rows in (2, 20):
        assert skipping(pa.array([1] * (rows - 1) + [None])).to_pylist() == [2] * (rows - 1) + [
            None
        ]
    text = auto_compile(udf(returns=pa.string())(lambda v: str(v).center(3)))
    assert text(pa.array([1])).to_pylist() == [" 1 "]
    with pytest.raises(sb.CompileError):
        auto_compile(udf(compile="require", returns=pa.string())(lambda v: str(v).center(3)))(
            pa.array([1])
        )
    off = auto_compile(udf(compile="off")(lambda v: v + 1))
    assert off(pa.array([1] * 9)).to_pylist() == [2] * 9


def test_the_same_function_gives_the_same_object():
    made = auto_compile(weigh)
    assert auto_compile(weigh) is made is auto_compile(made)
    begin = time.perf_counter()
    for _ in range(100):
        auto_compile(weigh)
    assert (time.perf_counter() - begin) / 100 < 0.001 * SLACK

    def passing(x):
        return x

    made = auto_compile(passing)
    made(pa.array([1] * 9))
    seen = weakref.ref(made)
    del made
    gc.collect()
    assert seen() is None


def test_pickled_by_name_or_with_the_function():
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert pickle.loads(pickle.dumps(named)) is named
    assert copy.copy(named) is named


def test_streams_take_it():
    table = pa.table({"x": [1, 2]})
    assert Stream.from_table(table).with_columns(y=decorated).collect()["y"].to_pylist() == [2, 3]
    made = Stream.from_table(table).with_columns(y=decorated(sb.col("x")))
    assert made.collect()["y"].to_pylist() == [2, 3]
    assert sb.explain(decorated, {"x": pa.int64()}).mode == "compiled"


def test_the_first_call_waits_for_native_code_and_says_so(caplog):
    made = auto_compile(lambda u: u * 3 + 1)
    with caplog.at_level(logging.DEBUG, "sabot.compile"):
        made(pa.array([1]))
    native = sb.explain(made, {"u": pa.int64()}).compile_ms is not None
    assert ("native code, compiled" in caplog.text) == native
    assert ("the engine interprets it: no native code" in caplog.text) != native
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "sabot.compile"):
        made(pa.array([1, 2, 3]))
        auto_compile(udf(returns=pa.int64())(lambda u: len(hex(u))))(pa.array([3]))
    assert [(r.levelname, "is not compiled" in r.message) for r in caplog.records] == [
        ("DEBUG", True)
    ]


def test_ahead_of_the_first_call():
    made = auto_compile(lambda ahead: ahead * 3, schema=pa.schema([("ahead", pa.int64())]))
    assert sb.explain(made, {"ahead": pa.int64()}).mode == "compiled"
    with pytest.raises(sb.UnknownColumnError):
        auto_compile(weigh, schema=pa.schema([("x", pa.int64())]))


def test_loops_run_natively():
    made = auto_compile(steps)
    n, x = pa.array([1000] * 2000), pa.array([1.5] * 2000)
    assert made(n, x)[0].as_py() == steps(1000, 1.5)
    assert made(n[:1], x[:1]).to_pylist() == [steps(1000, 1.5)]
    report = sb.explain(made, {"n": pa.int64(), "x": pa.float64()})
    assert report.rows >= 2001
    assert not report.rows_left


def test_one_row_costs_little():
    made = auto_compile(weigh)
    batch = pa.record_batch({"x": [1.5], "y": [2]})
    made(batch)
    took = []
    for _ in range(30):
        begin = time.perf_counter()
        for _ in range(20):
            made(batch)
        took.append((time.perf_counter() - begin) / 20)
    assert min(took) < 10e-6 * SLACK


def test_a_forked_child_compiles_anew():
    text = """
        import os, pyarrow as pa, sabot as sb
        made = sb.auto_compile(lambda x: x + 1)
        column = pa.array([1] * 10)
        made(column)
        pid = os.fork()
        if not pid:
            os._exit(made(column).to_pylist() != [2] * 10)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), made(column)[0])
    """
    assert printed(text, "-Wignore::DeprecationWarning").split() == ["0", "2"]


def summed(n, x):
    total = 0.0
    for k in range(n):
        total += x * k
    return total


def test_a_batch_with_loops_costs_little():
    made = auto_compile(summed)
    batch = pa.record_batch({"n": [5], "x": [2.5]})
    assert made(batch).to_pylist() == [summed(5, 2.5)]
    took = []
    for _ in range(30):
        begin = time.perf_counter()
        for _ in range(20):
            made(batch)
        took.append((time.perf_counter() - begin) / 20)
    # Without native code it is a run of the engine.
    assert min(took) < (10e-6 if "native" in TIERS else 100e-6) * SLACK


@pytest.mark.parametrize("rows", (1, 5, 700, 2048, 2049))
def test_batches_without_a_run(rows):
    made = auto_compile(lambda a, b, p: None if a is None else (a if p else b * 2) + 0.5)
    flag = auto_compile(lambda a, b, p: a is not None and a > 3)
    a = [None if k % 5 == 3 else k for k in range(rows + 7)]
    b = [k / 4 for k in range(rows + 7)]
    p = [k % 3 == 0 for k in range(rows + 7)]
    whole = pa.record_batch({"a": pa.array(a, pa.int32()), "b": b, "p": p})
    wanted = [None if x is None else (x if z else y * 2) + 0.5 for x, y, z in zip(a, b, p)]
    for start in (0, 3, 7):
        batch = whole.slice(start, rows)
        result = made(batch)
        assert (result.to_pylist(), result.type) == (wanted[start : start + rows], pa.float64())
        assert flag(batch).to_pylist() == [x is not None and x > 3 for x in a[start:][:rows]]
        assert made(*batch.columns).to_pylist() == wanted[start : start + rows]
    assert made(whole.slice(0, 0)).to_pylist() == []


def test_rows_that_leave_are_told_by_a_run():
    square = auto_compile(lambda v: v * v if v > 0 else 7 // v)
    assert square(pa.array([2, 3])).to_pylist() == [4, 9]
    for _ in range(3):
        with pytest.raises(sb.IntegerOverflowError, match="does not fit 64 bits"):
            square(pa.array([3] * 10 + [2**40]))
        with pytest.raises(ZeroDivisionError):
            square(pa.array([3] * 10 + [0]))
        assert square(pa.array([2, -3])).to_pylist() == [4, -3]


def test_settings_hold_for_small_batches():
    text = """
    import pyarrow as pa, sabot as sb, sys
    made = sb.auto_compile(lambda x: x * 2 + 1)
    batch = pa.record_batch({"x": [1, 2, 3, 4, 5, 6]})
    rows = lambda: sb.explain(made, {"x": pa.int64()}).rows
    made(batch)
    before = rows()
    assert before >= 6
    interpreted = lambda: sb.explain(made, {"x": pa.int64()}).to_dict()["rows_interpreter"]
    before = interpreted()
    with sb.config(tier="interpreter"):
        assert made(batch).to_pylist() == [3, 5, 7, 9, 11, 13]
    assert interpreted() == before + 6
    with sb.config(validate="full"):
        assert made(batch).to_pylist() == [3, 5, 7, 9, 11, 13]
    print("well")
    """
    assert printed(text) == "well\n"


@pytest.mark.parametrize(
    ("name", "long", "forever"), [("turns", 20_000_000, 2**60), ("twice", 21, 60)]
)
def test_a_long_row_is_interrupted(name, long, forever):
    text = (
        f"    name, long, forever = {name!r}, {long}, {forever}"
        + """
    import os, signal, threading, time
    import pyarrow as pa, sabot as sb
    def turns(n):
        total = 0
        for k in range(n):
            total = (total * 3 + k) % 1000003
        return total
    def twice(n):
        return 1 if n <= 0 else twice(n - 1) + twice(n - 1)
    fn = globals()[name]
    made = sb.auto_compile(fn)
    batch = pa.record_batch({"n": [10]})
    assert made(batch).to_pylist() == [fn(10)]
    made(pa.record_batch({"n": [long]}))
    forever = pa.record_batch({"n": [forever]})
    made(batch)
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    begin = time.monotonic()
    try:
        made(forever)
    except KeyboardInterrupt:
        print("interrupted" if time.monotonic() - begin < 10 else "late")
    """
    )
    assert printed(text) == "interrupted\n"


def test_threads_share_it():
    made = auto_compile(summed)
    failed = []

    def work(seed):
        for k in range(300):
            n = (seed * 31 + k) % 50
            batch = pa.record_batch({"n": [n] * 3, "x": [0.5, float(seed), 2.0]})
            if made(batch).to_pylist() != [summed(n, x) for x in (0.5, seed, 2.0)]:
                failed.append((seed, k))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
