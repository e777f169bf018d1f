"""Batch functions with lists that change from row to row, with names bound again, with values that nothing uses: as CPython."""

# ruff: noqa: E741, F841, B023, C416, E731, F811, F402
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import sabot as sb
from sabot import Stream

SCHEMA = pa.schema(
    [
        pa.field("i", pa.int64()),
        pa.field("s", pa.int64()),
        pa.field("x", pa.float64()),
        pa.field("a", pa.int64(), nullable=False, metadata={"unit": "m"}),
        pa.field("b", pa.bool_()),
    ]
)
BATCH = pa.record_batch(
    [[0, 0, 0, 0], [4, -7, 3, 2], [0.5, -1.0, 2.0, -0.0], [4, -7, 3, 2**62], [False, True, False, True]],
    schema=SCHEMA,
)  # fmt: skip


def items_that_were_seen(batch: pa.RecordBatch):
    seen, out = [-1], []
    for v in batch["i"].to_pylist():
        out.append(v in seen)
        seen.append(v)
    return {"y": out}


def a_sum_in_a_list(batch: pa.RecordBatch):
    acc, out = [0.0], []
    for v in batch["x"].to_pylist():
        acc[0] += v
        out.append(acc[0])
    return {"y": out}


def popped(batch: pa.RecordBatch):
    stack, out = [1, 2, 3, 4], []
    for v in batch["s"].to_pylist():
        out.append(v + stack.pop())
    return {"y": out}


def inserted_sorted_deleted(batch: pa.RecordBatch):
    l, out = [5, 6, 7, 8, 9], []
    for v in batch["s"].to_pylist():
        l.insert(0, v)
        l.sort()
        l.reverse()
        del l[1]
        out.append(l[0])
    return {"y": out}


def swapped(batch: pa.RecordBatch):
    w, out = [1, 2], []
    for v in batch["s"].to_pylist():
        w[0], w[1] = w[1], w[0]
        out.append(v * w[0])
    return {"y": out}


def another_name(batch: pa.RecordBatch):
    w, out = [1], []
    for v in batch["s"].to_pylist():
        u = w
        u += [v]
        out.append(len(w))
    return {"y": out}


def a_target_of_the_loop(batch: pa.RecordBatch):
    acc, out = [0], []
    for acc[0] in batch["s"].to_pylist():
        out.append(acc[0])
    return {"y": out}


def a_list_in_a_tuple(batch: pa.RecordBatch):
    w, out = ([0], 1), []
    for v in batch["s"].to_pylist():
        w[0].append(v)
        out.append(len(w[0]))
    return {"y": out}


def a_closure_that_counts(batch: pa.RecordBatch):
    acc, out = [0], []

    def bump(v):
        acc[0] += v
        return acc[0]

    for v in batch["s"].to_pylist():
        out.append(bump(v))
    return {"y": out}


def a_default_that_counts(batch: pa.RecordBatch):
    out = []

    def bump(v, acc=[0]):  # noqa: B006
        acc[0] += v
        return acc[0]

    for v in batch["s"].to_pylist():
        out.append(bump(v))
    return {"y": out}


def add_to(l, v):
    l.append(v)
    return len(l)


def a_helper_that_fills_a_list(batch: pa.RecordBatch):
    l, out = [], []
    for v in batch["s"].to_pylist():
        out.append(add_to(l, v))
    return {"y": out}


def a_comprehension_that_counts(batch: pa.RecordBatch):
    acc = [3]
    return {"y": [acc.append(v) or len(acc) for v in batch["s"].to_pylist()]}


def two_loops(batch: pa.RecordBatch):
    acc = [0.0]
    for v in batch["x"].to_pylist():
        acc[0] += v
    return {"y": [v / acc[0] for v in batch["x"].to_pylist()]}


def weights_that_are_read(batch: pa.RecordBatch):
    weights, out = [0.1, 0.2, 0.3], []
    for v in batch["x"].to_pylist():
        total = 0.0
        for k, w in enumerate(weights):
            total += v * w * k
        total += weights[1] + len(weights) + max(weights)
        out.append(total if v not in weights else 0.0)
    return {"y": out}


def a_function_inside_that_writes(batch: pa.RecordBatch):
    x = batch["x"].to_numpy()
    o, out = np.zeros(len(x)), []
    for i, v in enumerate(x):

        def put(w):
            o[i] = w
            return w

        out.append(put(v * 2))
    return {"o": o, "y": out}


def a_function_inside_that_appends(batch: pa.RecordBatch):
    out = []
    for v in batch["s"].to_pylist():

        def put(w):
            out.append(w)
            return w

        out.append(put(v))
    return {"y": out}


def tuples_of_one(batch: pa.RecordBatch):
    return {"y": [not v for v in zip(batch["i"].to_pylist())]}  # noqa: B905


def numbered_tuples_of_one(batch: pa.RecordBatch):
    return {"y": [v == (0,) for k, v in enumerate(zip(batch["i"].to_pylist()))]}  # noqa: B905


def changed_by_a_helper(v):
    v += 1
    return v


def an_argument_under_a_mask(batch: pa.RecordBatch):
    x = batch["x"].to_numpy().copy()
    o = np.zeros(len(x))
    m = x > 0
    o[m] = changed_by_a_helper(x[m])
    return {"x": x, "o": o}


def scaled(v, k):
    from math import pi as k

    return pc.multiply(v, k)


def a_parameter_that_an_import_binds(batch: pa.RecordBatch):
    return {"y": scaled(batch["x"], 3.0)}


def whether_it_overflows(batch: pa.RecordBatch):
    return {"y": pc.is_valid(pc.multiply_checked(batch["a"], 4))}


def an_overflow_that_nothing_uses(batch: pa.RecordBatch):
    lost = pc.multiply_checked(batch["a"], 4)
    return {"y": pc.add(batch["x"], 1.0)}


def a_value_that_is_not_chosen(batch: pa.RecordBatch):
    return {
        "y": pc.case_when(pc.make_struct(batch["b"]), batch["x"], pc.add(batch["a"], 2**53 + 1))
    }


def another_value_that_is_not_chosen(batch: pa.RecordBatch):
    return {"y": pc.choose(batch["i"], batch["x"], pc.add(batch["a"], 2**53 + 1))}


def a_choice_among_nulls(batch: pa.RecordBatch):
    return {"y": pc.choose(batch["i"], None, None)}


def a_choice_of_a_null(batch: pa.RecordBatch):
    return {"y": pc.choose(batch["i"], 1.5, None)}


def always_null(batch: pa.RecordBatch):
    return {"y": pc.add(batch["x"], pa.scalar(None, pa.float64()))}


def always_null_by_condition(batch: pa.RecordBatch):
    null = pa.scalar(None, pa.float64())
    return {"y": pc.if_else(batch["b"], null, null)}


def always_null_in_no_set(batch: pa.RecordBatch):
    return {"y": pc.index_in(batch["a"], pa.array([None], pa.int64()), skip_nulls=True)}


def a_field_for_a_list_of_nulls(batch: pa.RecordBatch):
    values = [v if v > 5 else None for v in batch["i"].to_pylist()]
    return batch.append_column(pa.field("y", pa.int64()), values)


def columns_and_their_fields(batch: pa.RecordBatch):
    return pa.RecordBatch.from_arrays([batch.columns[3], pc.add(batch["i"], 1)], names=["a", "z"])


def the_schema_of_another_batch(batch: pa.RecordBatch):
    batch = pa.RecordBatch.from_arrays([batch["i"]], names=["i"])
    other = batch.append_column("y", pa.array([v * 2 for v in batch["i"].to_pylist()]))
    return pa.RecordBatch.from_arrays(
        [batch["i"], [v * 0.5 for v in batch["i"].to_pylist()]], schema=other.schema
    )


def a_list_for_a_table(batch: pa.RecordBatch):
    return pa.Table.from_batches([batch]).append_column(
        "y", [v + 1 for v in batch["i"].to_pylist()]
    )


def an_array_for_a_table(batch: pa.RecordBatch):
    return pa.Table.from_batches([batch]).append_column("y", batch["x"].to_numpy() * 2)


def a_column_of_a_renamed_table(batch: pa.RecordBatch):
    table = pa.Table.from_batches([batch.select(["x"])]).rename_columns(["q"])
    return {"y": table["q"].to_numpy(zero_copy_only=True) * 2}


def another_byte_order(batch: pa.RecordBatch):
    return {"y": batch["x"].to_numpy().astype(">f8")}


def a_new_array_of_another_byte_order(batch: pa.RecordBatch):
    out = np.zeros(batch.num_rows, dtype=">i4")
    out[:] = batch["s"].to_numpy()
    return {"y": out}


def a_column_that_is_dropped(batch: pa.RecordBatch):
    o = [v * 4 for v in batch["a"].to_pylist()]
    made = batch.append_column("o", pa.array(o)).drop_columns("o")
    return made.append_column("y", pc.add(batch["x"], 1.0))


def an_array_that_nothing_uses(batch: pa.RecordBatch):
    pa.array([v * 100 for v in batch["s"].to_pylist()], type=pa.int8())
    lost = pa.array([v * 100 for v in batch["s"].to_pylist()], type=pa.int8())
    return {"y": pc.add(batch["x"], 1.0)}


def a_dict_by_number(batch: pa.RecordBatch):
    return {"y": [v + 1 for v in batch.to_pydict()[0]]}


def a_dict_of_arrays_by_number(batch: pa.RecordBatch):
    d = {"1": pc.add(batch["a"], 1)}
    return {"y": d[1]}


def a_dict_of_arrays_by_an_unknown_name(batch: pa.RecordBatch):
    d = {"None": pc.add(batch["a"], 1)}
    return {"y": d[UNKNOWN]}


UNKNOWN = ("None",)


def none_for_nan(batch: pa.RecordBatch):
    return {"y": np.nan_to_num(batch["x"].to_numpy(), nan=None)}


def names_of_a_struct(batch: pa.RecordBatch):
    tests = pc.make_struct(batch["b"], batch["b"], field_names=["x"])
    return {"y": pc.case_when(tests, 1.0, 2.0)}


def rows_of_an_empty_batch(batch: pa.RecordBatch):
    return {"y": np.zeros(len(pa.record_batch({}))) + 1, "x": np.zeros(len(pa.record_batch({})))}


def a_column_s_name_for_a_function(batch: pa.RecordBatch):
    col = batch["s"]
    total, out = 0, []
    for i in range(batch.num_rows):
        total += i

        def col(i):
            return i

        out.append(total)
    out.append(col[0].as_py())
    return {"y": out}


FUNCTIONS = [
    fn
    for fn in list(globals().values())
    if getattr(fn, "__annotations__", {}).get("batch") is pa.RecordBatch
]
COMPILED = (weights_that_are_read, a_sum_in_a_list, items_that_were_seen, popped, two_loops)


def outcome(call):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            result = call()
            if isinstance(result, dict):
                result = pa.RecordBatch.from_pydict(result)
        except Exception as error:
            return type(error), str(error)
    if isinstance(result, pa.RecordBatch):
        result = pa.Table.from_batches([result])
    result = result.combine_chunks()
    return result.schema, repr(result.to_pydict()), [str(one.message) for one in seen]


@pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda fn: fn.__name__)
@pytest.mark.parametrize("compile", ["auto", "off"])
def test_as_cpython(fn, compile):
    for rows in (BATCH, BATCH.slice(1, 2), BATCH.slice(0, 1)):
        wanted = outcome(lambda rows=rows: fn(rows))
        with sb.config(compile=compile):
            got = outcome(lambda rows=rows: Stream.from_batches([rows]).map(fn).collect())
        assert got[1] == wanted[1]
        if isinstance(wanted[0], pa.Schema):
            assert got[0].equals(wanted[0], check_metadata=True)
            assert got[2] == wanted[2]
        else:
            assert got[0] is wanted[0]


@pytest.mark.parametrize("fn", COMPILED, ids=lambda fn: fn.__name__)
def test_they_compile_all_the_same(fn):
    assert sb.explain(fn, SCHEMA).mode == "compiled"


def test_lists_in_a_function_of_columns():
    """Its lists need memory of their own, also where few rows are computed at once."""

    def made(x):
        l = []
        for k in range(4):
            l.append(k * x)
        return l[2] + len(l)

    def kept(x):
        acc = [0.0] * 3
        acc[1] += x
        acc.append(x)
        return acc[1] + acc[3]

    for fn in (made, kept):
        fast = sb.auto_compile(fn)
        for rows in (1, 33, 40, 2000, 2048, 5000):
            values = [k / 4 for k in range(rows)]
            assert fast(pa.array(values)).to_pylist() == [fn(v) for v in values]


class Loud(type):
    def __eq__(cls, other):
        raise AssertionError("compared while a plan is built")

    def __hash__(cls):
        return 1


class Kind(metaclass=Loud):
    pass


DTYPE = Kind()


def test_no_code_of_the_user_s_runs_while_a_plan_is_built():
    def zeros(batch: pa.RecordBatch):
        x = batch["x"].to_numpy()
        out = np.zeros(len(x), DTYPE)
        y = 0.0
        for i in range(len(x)):
            y += x[i]
            out[i] = y
        return {"y": out}

    def called(batch: pa.RecordBatch):
        out, y = [], 0.0
        for v in batch["x"].to_pylist():
            y += v
            out.append(y)
        return {"y": pa.array(DTYPE(out))}

    for fn in (zeros, called):
        assert "TABLE" in Stream.from_table(pa.Table.from_batches([BATCH])).map(fn).explain()
        sb.UdfCompiler().analyze(fn)


def test_reasons_have_the_names_of_the_text():
    def years(batch: pa.RecordBatch):
        return {"y": [v.year for v in batch["i"].to_pylist()]}

    (reason,) = sb.explain(years, SCHEMA).reasons
    assert "attribute access v.year" in reason.message
