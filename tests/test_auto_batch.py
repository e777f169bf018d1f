"""auto_compile of batch functions: what it gives is what the function itself gives for each batch, type for type and bit for bit."""

from __future__ import annotations

import logging
import re
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import HELPER, TIERS, bits, cell, many
from test_batch_form import FORMS as BY_ROWS
from test_batch_form import defined
from test_batch_numpy import FORMS as OF_NUMPY
from test_batch_numpy import LEAVES, table
from test_batch_numpy import defined as of_numpy
from test_batch_whole import FORMS as WHOLE
from test_batch_whole import NULLS as WHOLE_NULLS
from test_batch_whole import defined as of_whole
from test_batch_whole import table_of

import sabot as sb
from sabot import auto_compile, udf
from sabot.operators import MapOperator

pytestmark = pytest.mark.api


def shown(value):
    """All that can be seen of a result."""
    if isinstance(value, (pa.RecordBatch, pa.Table)):
        fields = [
            (f.name, f.type, f.nullable, f.metadata and dict(f.metadata)) for f in value.schema
        ]
        columns = [bits(c.to_pylist()) for c in value.columns]
        return type(value), fields, dict(value.schema.metadata or {}), columns
    if isinstance(value, pa.Array):
        return type(value), value.type, bits(value.to_pylist())
    if isinstance(value, dict):
        return {name: shown(one) for name, one in value.items()}
    return type(value), repr(value)


def outcome(fn, batch):
    """What a call gives, raises and warns of."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            result = shown(fn(batch))
        except Exception as error:
            result = type(error), str(error)
    return result, [str(one.message) for one in seen]


def check(fn, batches):
    made = auto_compile(fn)
    assert made is not fn
    for batch in batches:
        assert outcome(made, batch) == outcome(fn, batch), batch.to_pydict()
    return made.whole()


def cut(whole):
    """Slices of a table with offsets, of many lengths, and the table itself."""
    batch = whole.combine_chunks().to_batches()[0]
    parts = [batch.slice(k, n) for k, n in ((0, 0), (0, 1), (1, 1), (2, 1), (3, 4), (5, 60))]
    return [*parts, batch, batch.slice(40, 3), whole, whole.slice(1, 7), whole.slice(0, 0)]


@pytest.mark.parametrize("name", sorted(BY_ROWS))
def test_forms_of_rows(name):
    fn = defined(BY_ROWS[name])
    if auto_compile(fn) is not fn:
        check(fn, cut(many(300)))


@pytest.mark.parametrize("name", sorted(OF_NUMPY))
def test_forms_of_numpy(name):
    check(of_numpy(OF_NUMPY[name]), cut(table(300)))


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_what_leaves(name):
    text, values, _ = LEAVES[name]
    fn = of_numpy(f"def f(b):\n    return pa.record_batch({text})")
    given = pa.table({"k": values, "s": pa.array([min(v, 120) for v in values], pa.int8())})
    for _ in range(5):  # also behind batches that left
        check(fn, [*given.to_batches(), given.slice(0, 1).to_batches()[0]])


@pytest.mark.parametrize("name", [*WHOLE, *WHOLE_NULLS])
def test_forms_of_whole_batches(name):
    fn = of_whole((WHOLE | WHOLE_NULLS)[name])
    given = table_of(300, nulls=name in WHOLE_NULLS)
    for _ in range(2):
        check(fn, cut(given))


COMPUTED = ("running", "ema", "ints", "mean_then_loop")


@pytest.mark.parametrize("name", COMPUTED)
def test_whole_batches_are_computed_natively(name):
    fn = of_whole(WHOLE[name])
    large = table_of(300).combine_chunks().to_batches()[0]
    for tier in TIERS:
        with sb.config(tier=tier):
            made = auto_compile(fn)
            assert outcome(made, large) == outcome(fn, large)
            assert made.whole().compiled
    with sb.config(compile="off"):
        assert outcome(made, large) == outcome(fn, large)
        assert not made.whole().compiled


def test_a_whole_batch_that_leaves_is_the_functions_own(caplog):
    fn = of_whole(
        """
        def f(batch):
            made, last = [], 0
            for v in batch["v"].to_pylist():
                last = v * 3 // 3 - last % 2
                made.append(last)
            return pa.record_batch({"made": made})
        """
    )
    small, large = (pa.record_batch({"v": [k] * 40}) for k in (7, 2**62))
    with caplog.at_level(logging.INFO, "sabot.compile"):
        check(fn, [small, large, small, large, large, large, small])
    texts = [one.getMessage() for one in caplog.records]
    assert ["CPython calls it" in text for text in texts[-2:]] == [True, True]


def test_lists_of_whole_batches_have_the_types_of_their_items():
    text = """
        def f(batch):
            made, last = [START], 0
            for v in batch["v"].to_pylist():
                if v > 0:
                    made.append(v / 2 if v > 5 else ITEM)
            return pa.record_batch({"made": made})
    """
    values = [[], [0], [1], [6], [7], [1, 7], [1] * 50, [6] * 50, [1, 8] * 25, [0] * 50]
    batches = [pa.record_batch({"v": pa.array(one, pa.int64())}) for one in values]
    for start in ("", "None", "3", "0.5"):
        for item in ("None", "last", "0.0", "-0.0"):
            check(of_whole(text.replace("START", start).replace("ITEM", item)), batches)


def test_of_a_function_that_fails_without_rows():
    """Its first rows tell what it gives, and not what a later batch would make of it."""
    fn = of_whole(
        """
        def f(batch):
            v = batch["v"].to_pylist()
            made = [None if v[0] > 5 else v[0]]
            for k in range(1, len(v)):
                made.append(None if v[k] > 5 else v[k] + made[0] * 0 if made[0] is not None else None)
            return pa.record_batch({"made": made})
        """
    )
    values = [[], [9] * 40, [1] * 40, [9], [1, 9] * 20, [9, 1] * 20]
    batches = [pa.record_batch({"v": pa.array(one, pa.int64())}) for one in values]
    for _ in range(2):
        check(fn, batches)
        batches = batches[::-1]
    made = auto_compile(of_whole(WHOLE["ema"]), pa.schema({"x": pa.float64()}))
    given = pa.record_batch({"x": [0.5, 2.0] * 40})
    assert shown(made(given)) == shown(of_whole(WHOLE["ema"])(given))
    assert made.whole().compiled
    required = auto_compile(udf(of_whole(WHOLE["ema"]), compile="require"), given.schema)
    assert shown(required(given)) == shown(made(given))
    assert required.whole().compiled


def test_a_function_warns_once_for_each_call():
    fn = of_whole(
        """
        def f(batch):
            x = batch["x"].to_numpy()
            out = np.zeros(len(x))
            out[0] = 1 / x[0]
            for i in range(1, len(x)):
                out[i] = out[i - 1] + 1 / x[i]
            return batch.append_column("out", pa.array(out))
        """
    )
    zero, one = (pa.record_batch({"x": [x, *[0.5] * 50]}) for x in (0.0, 1.0))
    check(fn, [zero, one, zero, one, zero])


TYPES = """
    def f(batch):
        made = []
        for v in batch["v"].to_pylist():
            made.append({})
        return batch.append_column("made", pa.array(made))
"""
ITEMS = {
    "mixed": (
        "v // 2 if v % 2 == 0 else v / 2",
        [[2, 4], [2, 3], [3], [4], [2**53 + 2, 3], [6] * 99 + [5]],
    ),
    "ints_of_floats": (
        "0 if v < 0 else v",
        [[-1.0], [1.0, -1.0], [0.5, -2.0], [-0.0], [float("inf"), -1.0]],
    ),
    "nulls": ("None if v == 1 else v", [[1, 1], [1, 2], [2, None], [None]]),
    "all_null": ("v", [[None, None], [None, 3], []]),
    "bools": ("v > 2", [[1, 3], [5]]),
    "big": ("v * 2", [[2**62], [2**61, 1], [-(2**62)]]),
    "raises": ("1 // v", [[1], [0], [1, 0]]),
}


@pytest.mark.parametrize("name", ITEMS)
def test_a_list_has_the_type_of_its_items(name):
    text, batches = ITEMS[name]
    fn = defined(TYPES.format(text))
    type_ = pa.float64() if any(isinstance(v, float) for b in batches for v in b) else pa.int64()
    meta = pa.schema([pa.field("v", type_, metadata={"a": "b"})], metadata={"k": "v"})
    given = [pa.record_batch([pa.array(values, type_)], schema=meta) for values in batches]
    for tier in TIERS:
        with sb.config(tier=tier):
            check(fn, given)


def test_declared_types_stay():
    fn = defined(TYPES.format("v / 2").replace("array(made)", "array(made, type=pa.float64())"))
    whole = check(
        fn, [pa.record_batch({"v": [2, 4]}), pa.record_batch({"v": pa.array([], pa.int64())})]
    )
    assert whole.compiled


def test_arrays_as_results():
    doubled = defined("def f(b):\n    return pa.array([2 * (v or 0) for v in b['i'].to_pylist()])")
    large = defined("def f(b):\n    return pa.array([(v or 0) > 2 for v in b['i'].to_pylist()])")
    for fn in (doubled, large):
        assert check(fn, cut(many(100))[:6]).compiled
    lists = defined("def f(b):\n    return {'d': [2 * (v or 0) for v in b['i'].to_pylist()]}")
    assert not check(lists, cut(many(100))[:6]).compiled  # the lists of the function's own


def test_of_several_threads_and_pieces():
    fn = defined(TYPES.format("v * 2 + 0.5"))
    batch = pa.record_batch({"v": pa.array(np.arange(300_001))})
    with sb.config(threads=2):
        assert check(fn, [batch]).compiled


def test_it_sees_names_bound_anew():
    space = cell(
        "def f(b):\n    return pa.array([v * RATE for v in b['v'].to_pylist()])", pa=pa, RATE=2
    )
    made, batch = auto_compile(space["f"]), pa.record_batch({"v": [1, 2]})
    assert made(batch).to_pylist() == [2, 4]
    space["RATE"] = 3
    assert made(batch).to_pylist() == [3, 6]
    with sb.config(compile="off"):
        assert made(batch).to_pylist() == [3, 6]


def test_only_kernels_are_returned_themselves():
    own = [
        lambda b: pc.greater(b.column("v"), 2),
        lambda b: b.append_column("w", pc.multiply(b["v"], 2)),
        lambda b: b.to_pandas().describe(),
        lambda b: b.column("v"),
    ]
    assert all(auto_compile(fn) is fn for fn in own)


def test_ahead_and_required(caplog):
    fn = defined(TYPES.format("v + 1"))
    with caplog.at_level(logging.DEBUG, "sabot.compile"):
        made = auto_compile(fn, pa.schema({"v": pa.int64()}))
        made(pa.record_batch({"v": [1]}))
        other = defined(TYPES.format("open(v)"))
        auto_compile(other)(pa.record_batch({"v": pa.array([], pa.int64())}))
    texts = [(one.levelname, one.getMessage()) for one in caplog.records]
    if HELPER.exists():
        assert texts[0][0] == "INFO"
        assert re.fullmatch(r"f \(.*:\d+\): native code, compiled .*, row form, .*", texts[0][1])
    assert [level for level, _ in texts].count("INFO") == HELPER.exists()
    assert texts[-1][0] == "DEBUG"
    assert re.match(r"f \(.*:\d+\) is not compiled: .*open", texts[-1][1])
    required = auto_compile(udf(other, compile="require"))
    with pytest.raises(sb.CompileError, match="open"):
        required(pa.record_batch({"v": [1]}))


def test_status_of_a_map_operator():
    fn = defined(TYPES.format("v + 1"))
    batch = pa.record_batch({"v": [1, 2]})
    made = MapOperator(None, fn)
    assert (made.compile_status, made.is_compiled) == ("pending", False)
    assert made.compilation_strategy is sb.CompilationStrategy.NJIT
    assert made.process_batch(batch).equals(fn(batch))
    assert (made.compile_status, made.is_compiled) == ("compiled", True)
    with pytest.raises(TypeError):
        made.process_batch(pa.record_batch({"v": ["1"]}))
    assert made.compile_status == "interpreted"
    of_dict = MapOperator(None, defined(BY_ROWS["comprehension"]))
    for part in cut(many(300))[:8]:
        wanted = pa.RecordBatch.from_pydict(defined(BY_ROWS["comprehension"])(part))
        assert shown(of_dict.process_batch(part)) == shown(wanted)
    assert of_dict.is_compiled
    alone = MapOperator(None, fn, vectorized=True)
    kernels = MapOperator(None, lambda b: b.append_column("w", pc.multiply(b["v"], 2)))
    for one in (alone, kernels):
        assert one.compilation_strategy is sb.CompilationStrategy.SKIP
        one.process_batch(batch)
        assert (one.compile_status, one.is_compiled) == ("interpreted", False)
    rows = MapOperator(None, lambda row: {"w": row["v"] + 1})
    rows.process_batch(batch)
    assert rows.compile_status == "compiled"
