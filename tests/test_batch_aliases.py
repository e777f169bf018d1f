"""Batch functions that change what has two names, or give NumPy and Arrow what they refuse: as CPython, with its warnings."""

# ruff: noqa: E741, F823, F841
import math
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import sabot as sb
from sabot import Stream

TABLE = pa.table(
    {
        "a": [1, 2, 3, 4],
        "x": [0.5, -1.0, 2.0, 3.0],
        "f": pa.array([0.5, -1, 2, 3], pa.float32()),
        "u": pa.array([1, 2, 3, 4], pa.uint8()),
    }
)


def set_y(d, v):
    d["y"] = v
    return v


def helper_fills_its_argument(batch):
    d = {"y": pc.add(batch["a"], 1)}
    z = set_y(d, pc.multiply(batch["a"], 100))
    return d


def closure_fills_a_dict(batch):
    d = {"y": pc.add(batch["a"], 1)}

    def put(v):
        d["y"] = v
        return v

    z = put(pc.multiply(batch["a"], 100))
    return d


def closure_fills_a_list(batch):
    l = [pc.add(batch["a"], 1) for n in ("a",)]

    def push(v):
        l.append(v)
        return v

    z = push(batch["a"])
    return {"y": l[-1]}


def closure_fills_a_built_list(batch):
    l = []
    for n in ("a", "x"):
        l.append(pc.add(batch[n], 1))

    def push(v):
        l.append(v)
        return v

    z = push(batch["a"])
    return {"y": l[-1]}


def dict_by_two_names(batch):
    d = {"y": pc.add(batch["a"], 1)}
    e, z = d, batch["a"]
    e["y"] = pc.multiply(z, 100)
    return d


def dict_inside_a_list(batch):
    d = {"y": pc.add(batch["a"], 1)}
    l = [d for n in ("a",)]
    d["y"] = pc.multiply(batch["a"], 100)
    return l[0]


def dict_inside_a_dict(batch):
    d = {"y": pc.add(batch["a"], 1)}
    o = {"k": d, "j": batch["a"]}
    e = o["k"]
    e["y"] = pc.multiply(batch["a"], 100)
    return d


def dict_changed_in_its_loop(batch):
    d = {"a": pc.add(batch["a"], 1), "x": pc.add(batch["a"], 2)}
    for k, v in d.items():
        d["x"] = pc.multiply(v, 10)
    return d


def list_grows_in_its_loop(batch):
    l = [pc.add(batch["a"], 1) for n in ("a",)]
    for v in l:
        if pa.types.is_int64(v.type):
            l.append(pc.divide(v, 2.0))
        last = v
    return {"y": pc.multiply(last, 2.0)}


def number_bound_anew(batch):
    n = 0
    n = batch.num_columns
    n += 1
    return batch.append_column("o", pa.array([v + n for v in batch["a"].to_pylist()]))


def loop_variable_bound_anew(batch):
    k = 10
    made = {}
    for k in (1, 2):
        made[f"c{k}"] = pc.add(batch["a"], k)
    k += 1
    out = []
    for v in batch["a"].to_pylist():
        out.append(v + k)
    made["o"] = pa.array(out)
    return made


def loop_variable_bound_perhaps(batch):
    k = 10
    made = {}
    for k in (1, 2):
        made[f"c{k}"] = pc.add(batch["a"], k)
    if math.sqrt(4.0) > 3:
        k = 5
    out = []
    for v in batch["a"].to_pylist():
        out.append(v + k)
    made["o"] = pa.array(out)
    return made


def array_changed_perhaps(batch):
    out = 0.0
    out = batch["x"].to_numpy().copy()
    y = out
    if math.sqrt(4.0) > 1:
        out += 1
    return {"y": y}


def number_out_of_range(batch):
    x = batch["x"].to_numpy()
    m = x > 100
    o = np.zeros(len(x), dtype=np.uint8)
    o[m] = 300
    return {"o": o}


def nan_as_an_integer(batch):
    x = batch["x"].to_numpy()
    m = x > 100
    o = np.zeros(len(x), dtype=np.int64)
    o[m] = math.nan
    return {"o": o}


def number_beyond_float32(batch):
    x = batch["x"].to_numpy()
    m = x > 100
    o = batch["f"].to_numpy().copy()
    o[m] = 1e300
    return {"o": o}


def number_beyond_float32_added(batch):
    x = batch["x"].to_numpy()
    m = x > 100
    o = batch["f"].to_numpy().copy()
    o[m] += 1e300
    return {"o": o}


def choice_beyond_float32(batch):
    x = batch["x"].to_numpy()
    return {"o": np.where(x > -100, batch["f"].to_numpy(), 1e300)}


def nan_beyond_float32(batch):
    return {"o": np.nan_to_num(batch["f"].to_numpy(), nan=1e300)}


def column_of_a_table(batch):
    t = pa.Table.from_batches([batch])
    return {"y": t["x"].to_numpy(zero_copy_only=True) + 1}


def table_of_a_table(batch):
    return pa.Table.from_batches([pa.table({"q": pc.add(batch["x"], 1)})])


def field_as_a_column(batch):
    return {"y": pc.add(batch.schema.field("a"), 1)}


def field_as_a_result(batch):
    return batch.append_column("y", batch.schema.field("a")).append_column(
        "z", pc.add(batch["a"], 1)
    )


def names_beside_a_dict(batch):
    x = batch["x"].to_numpy()
    return pa.record_batch({"a": x * 2, "b": batch["x"]}, names=["p", "q"])


s = 3


def local_before_it_is_bound(batch):
    def g(v):
        r = pc.add(v, s)
        s = 2
        return r

    return {"y": g(batch["a"]), "z": pc.add(batch["a"], s)}


def number_beyond_uint8(batch):
    return {"o": np.fmin(batch["u"].to_numpy(), 300)}


def constant_beyond_float32(batch):
    return {"o": np.heaviside(batch["f"].to_numpy(), 1e300)}


def filled_by_name(batch):
    made = {}
    for n in ("a", "x"):
        made[n + "2"] = pc.multiply(batch[n], 2)
    made["z"] = pc.add(batch["a"], batch["x"])
    return made


def filled_where(batch):
    x = batch["x"].to_numpy()
    o = np.zeros(len(x))
    o[x > 0] = 1.5
    return {"o": o, "t": np.where(x > 0, 1, 0)}


COMPILED = (filled_by_name, filled_where)
LEFT = (
    helper_fills_its_argument,
    closure_fills_a_dict,
    closure_fills_a_list,
    closure_fills_a_built_list,
    dict_by_two_names,
    dict_inside_a_list,
    dict_inside_a_dict,
    dict_changed_in_its_loop,
    list_grows_in_its_loop,
    number_bound_anew,
    loop_variable_bound_anew,
    loop_variable_bound_perhaps,
    array_changed_perhaps,
    number_out_of_range,
    nan_as_an_integer,
    number_beyond_float32,
    number_beyond_float32_added,
    choice_beyond_float32,
    nan_beyond_float32,
    column_of_a_table,
    table_of_a_table,
    field_as_a_column,
    field_as_a_result,
    names_beside_a_dict,
    local_before_it_is_bound,
    number_beyond_uint8,
    constant_beyond_float32,
)


def outcome(run):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            made = run()
            result = made if isinstance(made, (pa.Table, pa.RecordBatch)) else pa.table(made)
            result = result.schema, repr(result.to_pydict())
        except Exception as error:
            result = (type(error).__name__,)
    return result, [str(one.message) for one in seen]


@pytest.mark.parametrize("fn", [*COMPILED, *LEFT])
def test_what_it_gives_is_what_cpython_gives(fn):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is computed before the run
        streams = [Stream.from_table(TABLE).map(sb.udf(fn, compile=m)) for m in ("auto", "off")]
        assert ("compiled, batch" in streams[0].explain()) == (fn in COMPILED)
    wanted, expected = outcome(lambda: fn(TABLE.to_batches()[0]))
    for stream in streams:
        given, seen = outcome(stream.collect)
        assert given[1:] == wanted[1:]
        assert given[0] == wanted[0]
        assert seen == expected
