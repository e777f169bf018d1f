"""More of NumPy in batch functions, arrays changed as a whole, masks: compiled, they give what NumPy gives, item for item."""

import itertools
import warnings

import numpy as np
import pyarrow as pa
import pytest
from support import cell, function_report
from test_batch_compute import COLUMNS
from test_batch_numpy import as_batch, same

import sabot as sb
from sabot import Stream

COLUMNS = {
    letter: (kind, [value for value in values if value is not None])
    for letter, (kind, values) in COLUMNS.items()
}
NEAR = [2.675, 1.005, -0.45, 0.125, 2.5, -3.5, 1e300, 90.0, 1e15 + 0.3]
COLUMNS["f"] = (pa.float64(), [*COLUMNS["f"][1], *NEAR])
COLUMNS["h"] = (pa.float32(), [*COLUMNS["h"][1], *(float(np.float32(v)) for v in NEAR if v < 1e30)])

ONE = [
    *(f"np.{name}(x)" for name in ("reciprocal", "signbit", "positive")),
    *(f"np.{name}(x)" for name in ("logical_not",)),
    *(f"np.{name}(x)" for name in ("absolute", "fabs", "sign", "square", "rint", "trunc", "isnan", "isinf", "invert", "negative")),
    *(f"np.round(x, {digits})" for digits in (0, 1, 2, -1, 5)),
    *("np.around(x)", "x.round(2)", "np.round(x, decimals=3)", "x.clip(-1, 2)", "np.clip(x, 0, 5)"),
    *("np.nan_to_num(x)", "np.nan_to_num(x, nan=-1.5)", "np.nan_to_num(x, nan=1, posinf=9, neginf=-9)"),
    *("np.full_like(x, 3)", "np.full_like(x, 2.5, dtype=float)", "np.zeros_like(x) + x", "np.asarray(x)", "np.array(x)"),
    *("np.asarray(x, dtype=float)", "np.array(x, dtype='float64')", "x[:]", "x.copy()"),
    *(f"x.astype({t})" for t in ("float", "'float64', copy=False", "dtype=np.float32", "np.int64", "'int32'", "bool", "x.dtype")),
    *("np.full(x.size, 2.5)", "np.zeros(x.shape[0], dtype=x.dtype)", "np.ones(len(x)) * x.ndim", "x * K + K**2"),
    "np.select([x > 1, x < 0], [x, -x], 7)",
    "np.select([x > 1, x < 0], [x, 2.5], default=0)",
    "np.select((x > 1,), (x,))",
    "np.where(np.logical_not(x), 1, x)",
]  # fmt: skip
TWO = [
    *(f"np.{name}(x, y)" for name in ("copysign", "fmod", "fmax", "fmin", "heaviside", "logical_and", "logical_or", "logical_xor")),
    *(f"np.{name}(x, y)" for name in ("maximum", "minimum", "mod", "floor_divide", "bitwise_and", "equal", "less", "true_divide")),
    *("np.select([x > y, y > x], [x, y], 0)", "np.fmax(x, 1)", "np.copysign(2.5, x)", "np.logical_and(x > 0, y)"),
]  # fmt: skip
STATEMENTS = [
    "out = x.copy(); out *= 2",
    "out = x * 1; out += y",
    "out = np.zeros(len(x)); out[:] = x",
    "out = np.zeros(len(x), dtype=np.int64); out[:] = x",
    "out = x.copy(); out[out > 1] = 0",
    "out = x.copy(); m = out < y; out[m] = y[m]",
    "out = np.zeros(x.size); m = x > 0; out[m] = np.sqrt(x[m]) * 2 + 1",
    "out = np.zeros(x.size); m = x > 0; out[m] += 1; out[m] *= x[m]",
    "out = x.copy(); other = out; out -= 1; out = other",
    "out = x.copy(); out[:] *= 3; view = out[:]; view += 1",
    "out = np.where(x > y, x, y); out -= 1",
    "out = np.empty_like(x); out[:] = 5",
    "out = x.copy(); m = (x > 0) & (y > 0); out[~m] = -out[~m]",
    "out = x + y; shared = pa.array(out); out += 1; out = shared",
    "out = x > y; shared = pa.array(out); out ^= True; out = shared",
    "out = (x > 0); out &= y > 0",
    "out = x.copy(); out //= 2",
]
COMPILED_MIN = {"i": 48, "s": 43, "f": 50, "h": 46}


def function(body, letters):
    names = "xyz"[: len(letters)]
    lines = [f"{name} = b['{name}'].to_numpy()" for name in names]
    lines += body if isinstance(body, list) else [f"out = {body}"]
    lines.append("return {'r': out}")
    text = "def f(b):\n" + "".join(f"    {line}\n" for line in lines)
    return cell(text, np=np, pa=pa, K=3)["f"]


def outcome(call):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            result = call()
        except Exception as error:
            return type(error), str(error), []
    return result, None, [str(one.message) for one in seen]


def check(fn, batch, what):
    """Whether it is compiled; then that each row is as NumPy has it, with its warnings."""
    if sb.explain(fn, batch.schema).mode != "compiled":
        return False
    stayed = 0
    stream = Stream.from_batches([batch]).map(fn)
    quiet = []
    for k in range(batch.num_rows):
        row = batch.slice(k, 1)
        wanted, error, warned = outcome(lambda row=row: as_batch(fn(row)))
        if error is None and not warned:
            quiet.append(k)
            continue
        got, got_error, seen = outcome(Stream.from_batches([row]).map(fn).collect)
        assert (got_error, seen) == (error, warned), (what, row.to_pylist())
        if error is None:
            assert same(got["r"], pa.chunked_array([wanted["r"]])), (what, row.to_pylist())
    table = pa.Table.from_batches([batch]).take(quiet)
    wanted = pa.concat_arrays([as_batch(fn(batch.slice(k, 1)))["r"] for k in quiet])
    stream = Stream.from_table(table, batch_size=1).map(fn)
    got, error, seen = outcome(stream.collect)
    assert (error, seen) == (None, []), what
    assert got["r"].type == wanted.type, what
    rows = zip(got["r"].to_pylist(), wanted.to_pylist(), table.to_pylist(), strict=True)
    assert same(got["r"], pa.chunked_array([wanted])), (
        what,
        [r for r in rows if repr(r[0]) != repr(r[1])],
    )
    stayed = len(quiet) - function_report(stream)["rows_cpython"]
    assert stayed > 0.3 * len(quiet), what
    return True


def batch_of(letters):
    rows = [*itertools.product(*(COLUMNS[letter][1] for letter in letters))]
    arrays = [
        pa.array([row[k] for row in rows], COLUMNS[letter][0]) for k, letter in enumerate(letters)
    ]
    return pa.record_batch(arrays, names=["x", "y"][: len(letters)])


@pytest.mark.parametrize("letter", COMPILED_MIN)
def test_functions_of_one_array(letter):
    made = [call for call in ONE if check(function(call, letter), batch_of(letter), (call, letter))]
    assert len(made) >= COMPILED_MIN[letter], sorted({*ONE} - {*made})


@pytest.mark.parametrize("call", TWO)
def test_functions_of_two_arrays(call):
    pairs = ("ff", "ii", "hh", "ss", "fi", "if", "is", "hf", "hs")
    assert sum(check(function(call, two), batch_of(two), (call, two)) for two in pairs) >= 1


@pytest.mark.parametrize("body", STATEMENTS)
def test_arrays_that_are_changed(body):
    pairs = ("ff", "ii", "hh", "ss", "fi", "hs")
    lines = body.split("; ")
    assert sum(check(function(lines, two), batch_of(two), (body, two)) for two in pairs) >= 2


def test_booleans_become_arrays():
    fn = cell(
        "def f(b):\n    p = b['p'].to_numpy(zero_copy_only=False)\n    return {'r': ~p, 's': np.where(p, 1, 2)}\n",
        np=np,
    )["f"]
    given = pa.table({"p": [True, False, True]})
    stream = Stream.from_table(given).map(fn)
    assert stream.collect().to_pydict() == {"r": [False, True, False], "s": [1, 2, 1]}
    assert function_report(stream)["rows_cpython"] == 0


REFUSED = {
    "x += 1": "an array that is not its own is changed",
    "x[:] = 1": "an array that is not its own is changed",
    "x[x > 0] = 1": "an array that is not its own is changed",
    "out = x[x > 0] + x": "arrays of different rows beside each other",
    "out = k.copy(); out += 0.5": "an update of an array by values of another type",
    "out = k.copy(); out /= 2": "an update of an array by values of another type",
    "out = x.copy(); out[x > 0] = x": "a whole array beside the rows of a mask",
    "out = x.copy(); out[0] = 1": "items of an array that are no mask's are given values",
    "out = x.copy(); out[1:] = x[:-1]": "items of an array that are no mask's are given values",
    "out = x.copy(); out[::2] = 1": "items of an array that are no mask's are given values",
    "out = np.round(x, 20)": "a number of decimals that the text does not tell",
    "out = np.nan_to_num(x, False)": "np.nan_to_num of double",
    "out = x.copy(); m = x > 0; out[m] = np.log(x[m])": "a function that NumPy itself computes, for the rows of a mask",
    "out = np.divmod(x, x)": "np.divmod",
    "out = np.select([x > 0], [x], default=x.tobytes())": "the method tobytes",
    "out = x.astype(float, order='F')": "the argument order",
    "out = np.fmod(x, x, out=x)": "np.fmod with other arguments",
}


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_not_item_by_item_says_why(body):
    lines = ["k = b['k'].to_numpy()", *body.split("; ")]
    report = sb.explain(function(lines, "f"), {"x": pa.float64(), "k": pa.int64()})
    assert report.mode == "interpreted"
    assert REFUSED[body].replace("double", "float64") in report.reasons[0].message
    assert report.reasons[0].line > 0
