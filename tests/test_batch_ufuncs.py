"""NumPy's functions with bits of their own in batch functions: computed by NumPy's loops, they are what NumPy gives, warnings too."""

from __future__ import annotations

import math
import re
import textwrap
import warnings

import numpy as np
import pyarrow as pa
import pytest
from support import WAYS, function_report
from test_auto_batch import check, cut
from test_batch_numpy import as_batch, defined

import sabot as sb
from sabot import Stream, _core, _form_arrays, _form_ufunc

pytestmark = pytest.mark.api

ROWS = 5000  # more than two vectors, and some
# Where no value makes NumPy warn: of each function the limits of its arguments.
UNARY = {
    "arccos": (-1, 1),
    "arccosh": (1, 50),
    "arcsin": (-1, 1),
    "arcsinh": (-50, 50),
    "arctan": (-50, 50),
    "arctanh": (-0.99, 0.99),
    "cbrt": (-50, 50),
    "cos": (-50, 50),
    "cosh": (-20, 20),
    "deg2rad": (-400, 400),
    "degrees": (-7, 7),
    "exp": (-30, 30),
    "exp2": (-30, 30),
    "expm1": (-30, 30),
    "log": (0.001, 50),
    "log10": (0.001, 50),
    "log1p": (-0.9, 50),
    "log2": (0.001, 50),
    "rad2deg": (-7, 7),
    "radians": (-400, 400),
    "reciprocal": (0.5, 50),
    "sin": (-50, 50),
    "sinh": (-20, 20),
    "spacing": (-50, 50),
    "tan": (-50, 50),
    "tanh": (-5, 5),
}
BINARY = {
    "arctan2": (-50, 50),
    "copysign": (-50, 50),
    "float_power": (0.5, 9),
    "fmax": (-50, 50),
    "fmin": (-50, 50),
    "fmod": (0.5, 50),
    "heaviside": (-2, 2),
    "hypot": (-50, 50),
    "logaddexp": (-50, 50),
    "logaddexp2": (-50, 50),
    "nextafter": (-50, 50),
    "power": (0.5, 9),
}
TYPES = {"d": pa.float64(), "f": pa.float32(), "i": pa.int32(), "l": pa.int64(), "s": pa.int16()}


def numbers(low, high, type_, rows=ROWS, seed=0):
    values = np.random.default_rng(seed).uniform(low, high, rows)
    if pa.types.is_integer(type_):
        values = np.trunc(values)
        values[values == 0] = 1
    return pa.array(values.astype(type_.to_pandas_dtype()))


def bits(column):
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind != "f":
        return values.tolist()
    nan = np.isnan(values)
    return np.where(nan, -1, values.view(f"i{values.dtype.itemsize}")).tolist()


def by_numpy(fn, given, batch_size=None):
    """What the function gives batch by batch, and NumPy's warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        parts = [as_batch(fn(batch)) for batch in given.to_batches(max_chunksize=batch_size)]
    return pa.Table.from_batches(parts), [str(one.message) for one in seen]


def by_sabot(fn, given, batch_size=None):
    stream = Stream.from_table(given, batch_size).map(fn)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        got = stream.collect()
    return got, [str(one.message) for one in seen], function_report(stream)


def compare(fn, given, batch_size=None):
    """What the report says of the rows, after a comparison with NumPy."""
    wanted, expected = by_numpy(fn, given, batch_size)
    got, seen, report = by_sabot(fn, given, batch_size)
    assert got.schema.equals(wanted.schema), (got.schema, wanted.schema)
    for name in wanted.schema.names:
        assert bits(got[name]) == bits(wanted[name]), name
    assert seen == expected
    return report


def compiled(text, schema, **names):
    fn = defined(text, **names)
    report = sb.explain(fn, schema)
    assert (report.mode, report.form) == ("compiled", "array"), str(report)
    return fn


# Each function


# Of integers reciprocal is another function, and arctanh has one result.
ONE = [
    (name, letter)
    for name in UNARY
    for letter in "dfls"
    if letter in "df" or name not in ("reciprocal", "arctanh")
]


def loops(name):
    """The loops that a function needs: its own, or none where native code computes it."""
    return [] if name in _form_arrays._FORMS else [name]


@pytest.mark.parametrize(("name", "letter"), ONE)
def test_functions_of_one_array(name, letter):
    low, high = UNARY[name]
    if letter in "ls" and (high < 2 or name == "spacing"):
        low, high = (1, 1.5)
    given = pa.table({"x": numbers(low, high, TYPES[letter])})
    fn = compiled(f"def f(b):\n    return {{'r': np.{name}(b['x'].to_numpy())}}", given.schema)
    report = compare(fn, given)
    assert (report["rows"], report["rows_cpython"]) == (ROWS, 0)
    assert sb.explain(fn, given.schema).loops == loops(name)


CHANGED = [
    "out = np.abs(x); before = np.sqrt(out + 1); waves = np.sin(out); out += 1; out = out + np.cos(out) + waves + before",
    "out = np.cos(x); other = out; out += 1; out[x > 0] = 2; out = np.arctan(out) + other",
]


@pytest.mark.parametrize("letter", "df")
@pytest.mark.parametrize("body", CHANGED)
def test_arrays_that_are_changed_between_loops(body, letter):
    lines = ["def f(b):", "x = b['x'].to_numpy()", *body.split("; "), "return {'r': out}"]
    given = pa.table({"x": numbers(-3, 3, TYPES[letter])})
    fn = defined("\n    ".join(lines))
    assert compare(fn, given)["rows_cpython"] == 0


@pytest.mark.parametrize("letters", ["dd", "ff", "df", "ld", "fs"])
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_arrays(name, letters):
    low, high = BINARY[name]
    given = pa.table(
        {
            "x": numbers(low, high, TYPES[letters[0]]),
            "y": numbers(low, high, TYPES[letters[1]], seed=1),
        }
    )
    text = f"def f(b):\n    return {{'r': np.{name}(b['x'].to_numpy(), b['y'].to_numpy())}}"
    report = compare(compiled(text, given.schema), given)
    assert (report["rows"], report["rows_cpython"]) == (ROWS, 0)


POWERS = [2.0, 2, 3, 0.5, -1, -0.5, 1.0, 0, 2.5, -0.0, 1e-3, True]


@pytest.mark.parametrize("number", POWERS)
@pytest.mark.parametrize("letter", ["d", "f"])
def test_powers(number, letter):
    given = pa.table({"x": numbers(0.5, 50, TYPES[letter])})
    for call in (f"np.power(x, {number})", f"np.power({number}, x / 16)", f"{number} ** x"):
        if number in (0, -1, -0.5) and not call.startswith("np.power(x"):
            continue
        text = f"def f(b):\n    x = b['x'].to_numpy()\n    return {{'r': {call}}}"
        report = compare(compiled(text, given.schema), given)
        assert report["rows_cpython"] == 0, call


@pytest.mark.parametrize("number", [3, 2.5, 0.5, -2, -0.25, 2.0, 7.0, 1e-3])
@pytest.mark.parametrize("letter", ["d", "f"])
def test_power_operator(number, letter):
    given = pa.table({"x": numbers(0.5, 50, TYPES[letter])})
    text = f"def f(b):\n    return {{'r': b['x'].to_numpy() ** {number}}}"
    report = compare(compiled(text, given.schema), given)
    assert report["rows_cpython"] == 0
    text = "def f(b):\n    x = b['x'].to_numpy()\n    return {'r': (x / 8) ** (x / 16 + 1)}"
    compare(compiled(text, given.schema), given)


# Functions of several


FORMS = {
    "example": "return {'r': np.sin(x) + np.cos(x) * 2 + np.exp(x / 10)}",
    "inside_each_other": "return {'r': np.sin(np.cos(x * 2) + np.sin(np.exp(-x * x)))}",
    "more_stages": """
        y = np.sin(x)
        z = np.exp(y) + y
        return {"y": y, "z": z, "w": np.log(z * z + 1) / np.arctan2(y, z), "k": k * 2}
    """,
    "names_bound_anew": """
        y = np.sin(x * 2)
        z = np.cos(y * 3)
        y = np.exp(z)
        x = z + y
        return {"y": y * 4, "z": np.tanh(y - x)}
    """,
    "conditions": """
        y = np.where(x > 0, np.sin(x), np.cos(x))
        near = (y > -0.5) & (np.tanh(x) < 0.5)
        return {"y": y, "near": near, "z": np.where(near, k, np.exp2(y))}
    """,
    "of_integers": "return {'r': np.hypot(k, s) + np.sin(k), 'q': np.cos(s), 't': np.power(2.0, s)}",
    "constants": """
        return {"a": np.arctan2(x, 1), "b": np.arctan2(-0.0, x), "c": np.hypot(h, 2.5), "d": np.logaddexp(0, x)}
    """,
    "floats": "return {'r': np.sin(h) * 2 + np.exp(h / 8), 'q': np.tanh(h) + x}",
    "unused": """
        y = np.sin(x)
        z = np.cos(y)
        return {"y": y}
    """,
    "same_twice": "return {'r': np.sin(x) + np.sin(x), 'q': np.sin(x)}",
    "changed_after": """
        out = np.zeros(len(x))
        before = np.cos(out)
        for i in range(len(x)):
            if x[i] > 0:
                out[i] = x[i] * 2
        after = np.cos(out)
        return {"before": before, "after": after, "out": out}
    """,
    "loop_over_results": """
        made = []
        for v in np.sin(x):
            total = 0.0
            for j in range(5):
                total += v * j
            made.append(total)
        return {"made": pa.array(made), "y": np.cos(x)}
    """,
    "passed_on": "return b.append_column('y', pa.array(np.sin(x))).append_column('z', pa.array(x - 1))",
    "astype": "return {'r': np.sin(x.astype('float32')), 'q': np.sin(k.astype('float64') + 0.5)}",
    "arrow_beside": "return {'r': pa.array(np.sin(x)), 'x': b['x'], 'l': pa.array([v + 1 for v in x])}",
    "beside_other_statements": """
        c = 3
        made = []
        for v in x:
            made.append(v * c)
        c = 4
        return {"r": np.sin(x), "made": pa.array(made), "four": pa.array([v - c for v in np.cos(k)])}
    """,
}


def form(name, as_dict=True):
    body = textwrap.indent(textwrap.dedent(FORMS[name]).strip("\n"), "    ")
    if not as_dict and body.endswith("}"):
        body = body.replace("return {", "return pa.record_batch({") + ")"
    lines = [f"    {c} = b['{c}'].to_numpy()" for c in "xkhs" if re.search(rf"\b{c}\b", body)]
    return defined("\n".join(["def f(b):", *lines, body]))


def table(rows=ROWS):
    draw = np.random.default_rng(3)
    return pa.table(
        {
            "x": draw.normal(0, 3, rows),
            "k": draw.integers(-50, 50, rows),
            "h": pa.array(draw.normal(0, 3, rows).astype(np.float32)),
            "s": pa.array(draw.integers(-30, 30, rows).astype(np.int16)),
        }
    )


@pytest.mark.parametrize("name", FORMS)
def test_forms_give_what_numpy_gives(name):
    fn, given = form(name), table()
    report = sb.explain(fn, given.schema)
    assert (report.mode, report.kind) == ("compiled", "batch"), str(report)
    assert len(report.loops) > 0
    for tier, threads, batch_size in [*WAYS, ("auto", 1, 2049), ("auto", 2, 3)]:
        with sb.config(tier=tier, threads=threads):
            counts = compare(fn, given.slice(0, 400) if batch_size == 3 else given, batch_size)
            single = 1 if (400 if batch_size == 3 else ROWS) % (batch_size or ROWS) == 1 else 0
            assert batch_size == 1 or counts["rows_cpython"] == single, counts["rows_left"]


@pytest.mark.parametrize("name", FORMS)
def test_auto_compile(name):
    made = check(form(name, as_dict=False), cut(table(300)))
    assert made.bind(table(1).to_batches()[0]) is not None


def test_auto_compile_of_large_batches():
    fn = form("example", as_dict=False)
    made = sb.auto_compile(fn)
    for rows in (33, 2048, 2049, 20_000, 150_001):
        batch = table(rows).to_batches()[0]
        assert bits(made(batch).column(0)) == bits(fn(batch).column(0))
    assert made.whole().compiled


def test_filters():
    for text in ("np.sin(x) > 0.25", "(np.exp(x) < 2) & (x > -1)", "np.hypot(x, 1.0) < 3"):
        given = table()
        fn = defined(f"def f(b):\n    x = b['x'].to_numpy()\n    return {text}")
        batch = given.to_batches()[0]
        wanted = batch.filter(pa.array(fn(batch)))
        stream = Stream.from_table(given).filter(fn)
        assert stream.collect().equals(pa.Table.from_batches([wanted]))
        assert function_report(stream)["rows_cpython"] == 0
        assert "NumPy" in stream.explain()


def test_behind_a_filter_of_rows():
    given = table()
    fn = defined("def f(b):\n    return b.append_column('y', pa.array(np.log(b['x'].to_numpy())))")
    stream = Stream.from_table(given).filter(lambda x: x > 0).map(fn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of the rows that were dropped nothing is seen
        got = stream.collect()
    kept = given.filter(pa.array(given["x"].to_numpy() > 0))
    assert bits(got["y"]) == bits(as_batch(fn(kept.combine_chunks().to_batches()[0]))["y"])
    assert function_report(stream, 1)["rows_cpython"] == 0


# Where they lie, how many there are


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7, 8, 31, 32, 33, 2047, 2048, 2049, 4096, 4097])
def test_every_number_of_rows_at_every_offset(rows):
    values = table(rows + 16)
    for name in ("example", "floats", "constants"):
        fn = form(name)
        for offset in (0, 3):
            given = (
                pa.Table.from_batches([values.to_batches()[0].slice(offset, rows)])
                if rows
                else values.slice(offset, 0)
            )
            if rows == 0:
                assert Stream.from_table(given).map(fn).collect().num_rows == 0
                continue
            report = compare(fn, given)
            assert report["rows_cpython"] == (1 if rows == 1 else 0)


def test_one_row_is_numpys():
    """Its arrays have no steps, so a power of one row by an array is a square."""
    fn = defined("def f(b):\n    return {'r': np.power(b['x'].to_numpy(), b['y'].to_numpy())}")
    for seed in range(200):
        draw = np.random.default_rng(seed)
        given = pa.table({"x": draw.uniform(0.5, 50, 1), "y": [2.0]})
        assert compare(fn, given)["rows_cpython"] == 1


# What NumPy warns of


SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    math.inf,
    -math.inf,
    math.nan,
    5e-324,
    -5e-324,
    1e308,
    -1e308,
    800.0,
    -800.0,
    1e-310,
    2.0,
    0.5,
]


@pytest.mark.parametrize("letter", ["d", "f"])
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_values_that_are_not_usual(name, letter):
    with np.errstate(all="ignore"):
        values = np.array(SPECIAL).astype(TYPES[letter].to_pandas_dtype())
    fill = np.full(40, 1.25 if name == "arccosh" else 0.75, values.dtype)
    second = ", b['y'].to_numpy()" if name in BINARY else ""
    fn = defined(f"def f(b):\n    return {{'r': np.{name}(b['x'].to_numpy(){second})}}")
    left = 0
    for one in values:
        for other in values[3::2] if name in BINARY else values[2:3]:
            x, y = fill.copy(), fill.copy()
            x[17], y[17] = one, other
            left += compare(fn, pa.table({"x": x, "y": y}))["rows_cpython"] > 0
    assert left < len(values) * (len(values[3::2]) if name in BINARY else 1)
    x = np.concatenate([values, values])
    compare(fn, pa.table({"x": x, "y": x[::-1].copy()}))


def test_a_flag_in_one_batch_sends_that_batch_alone():
    fn = form("example")
    given = table(1000)
    x = given["x"].to_numpy().copy()
    x[517] = math.inf
    given = given.set_column(0, "x", pa.array(x))
    report = compare(fn, given, 100)
    assert report["rows_cpython"] == 100
    assert report["rows_left"] == {"np_warning": 1}
    assert sb.explain(fn, given.schema).rows_left.get("np_warning", 0) >= 0


def test_what_nobody_uses_may_warn():
    text = "def f(b):\n    x = b['x'].to_numpy()\n    y = np.log(x)\n    z = y / 0\n    return {'r': np.sin(x)}"
    given = pa.table({"x": [1.0, 2.0, 0.0]})
    report = compare(compiled(text, given.schema), given)
    assert report["rows_cpython"] == 3


def test_errors_and_filters_of_warnings():
    fn = defined("def f(b):\n    return {'r': np.log(b['x'].to_numpy())}")
    given = pa.table({"x": [1.0, 2.0, 0.0]})
    for way in ("ignore", "raise", "warn", "print"):
        with np.errstate(divide=way), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                wanted = bits(as_batch(fn(given.to_batches()[0]))["r"])
            except FloatingPointError as error:
                with pytest.raises(FloatingPointError, match=str(error)):
                    Stream.from_table(given).map(fn).collect()
                continue
            assert bits(Stream.from_table(given).map(fn).collect()["r"]) == wanted
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="divide by zero encountered in log"):
            Stream.from_table(given).map(fn).collect()


def test_underflow_is_told_where_it_was_asked_for():
    fn = defined("def f(b):\n    return {'r': np.exp(b['x'].to_numpy())}")
    given = pa.table({"x": [-740.0, 1.0, -745.0]})
    assert compare(fn, given)["rows_cpython"] == 0
    with np.errstate(under="warn"):
        report = compare(fn, given)
        assert report["rows_cpython"] == 3


def test_nulls_are_refused_as_to_numpy_does():
    fn = defined("def f(b):\n    return {'r': np.sin(b['x'].to_numpy())}")
    given = pa.table({"x": [1.0, None, 3.0]})
    with pytest.raises(pa.ArrowInvalid, match="Needed to copy 1 chunks with 1 nulls"):
        Stream.from_table(given).map(fn).collect()


# What is seen of it


def test_reports():
    given = table(10)
    report = sb.explain(form("example"), given.schema)
    assert report.loops == ["sin", "cos", "exp"]
    assert report.reads == ["x"]
    assert report.to_dict()["loops"] == ["sin", "cos", "exp"]
    assert "NumPy's own loops compute np.sin, np.cos, np.exp" in str(report)
    text = Stream.from_table(given).map(form("example")).explain()
    assert "array form  reads x  writes r  loops of NumPy's: sin, cos, exp" in text


REFUSED = {
    "two_results": ("np.modf(x)[0]", "np.modf"),
    "keywords": ("np.sin(x, where=x > 0)", "np.sin with other arguments"),
    "half": ("np.sin(s)", "np.sin, which gives float16 here"),
    "list": ("np.arctan2(x, [1.0, 2.0])", "no array of NumPy and no number"),
    "booleans": ("np.isclose(x, x)", "of whole arrays"),
    "far": ("np.hypot(h, 1e300)", "np.hypot: overflow encountered in cast"),
    "long": ("np.hypot(x, 2**70)", ""),
    "reduce": ("np.add.reduceat(x, [0])", "of whole arrays"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_loop_is_told(name):
    text, wanted = REFUSED[name]
    lines = [f"    {c} = b['{c}'].to_numpy()" for c in "xhs"]
    fn = defined("\n".join(["def f(b):", *lines, f"    return {{'r': {text}}}"]))
    schema = pa.schema({"x": pa.float64(), "h": pa.float32(), "s": pa.int8()})
    report = sb.explain(fn, schema)
    assert report.mode == "interpreted"
    assert wanted in report.reasons[0].message


def test_a_loop_that_does_not_hold_is_not_used(monkeypatch):
    def call_loop(loop, count, arguments, out):
        _core_call(loop, count, arguments, out)
        out[0] *= 1 + 2**-52
        return False

    _core_call = _core.call_loop
    _form_ufunc._loop_of.cache_clear()
    monkeypatch.setattr(_core, "call_loop", call_loop)
    try:
        report = sb.explain(form("example"), table(1).schema)
    finally:
        _form_ufunc._loop_of.cache_clear()
    assert report.mode == "interpreted"
    assert report.reasons[0].message.endswith(
        "np.sin, whose loop gives other bits than NumPy itself here"
    )


def test_a_function_that_is_bound_anew():
    module = type(np)("mine")
    module.sin = np.sin
    fn = defined("def f(b):\n    return {'r': np.sin(b['x'].to_numpy())}")
    given = table(50)
    stream = Stream.from_table(given).map(fn)
    first = bits(stream.collect()["r"])
    was = np.sin
    try:
        np.sin = np.cos
        assert bits(stream.collect()["r"]) == bits(as_batch(fn(given.to_batches()[0]))["r"])
        assert bits(Stream.from_table(given).map(fn).collect()["r"]) != first
    finally:
        np.sin = was
    assert bits(stream.collect()["r"]) == first


def test_compile_off_tells_the_same_types():
    given = table(100)
    for name in FORMS:
        with sb.config(compile="off"):
            stream = Stream.from_table(given).map(form(name))
            schema, got = stream.schema, stream.collect()
        other = Stream.from_table(given).map(form(name))
        assert schema.equals(other.schema)
        assert [bits(c) for c in got.columns] == [bits(c) for c in other.collect().columns]


def test_columns_of_any_name():
    given = pa.table({"\3" + "0": [1.0, 2.0]})
    fn = defined("def f(b):\n    return {'r': np.sin(b[0].to_numpy())}")
    assert sb.explain(fn, given.schema).mode == "interpreted"
    assert Stream.from_table(given).map(fn).collect().num_rows == 2


def test_mistakes_of_the_extension():
    with pytest.raises(TypeError, match="takes a ufunc"):
        _core.find_loop(math.sin, np.ufunc, "g")
    with pytest.raises(TypeError, match="takes a ufunc"):
        _core.find_loop(3.0, float, "g")
    assert _core.find_loop(np.sin, np.ufunc, "x") is None
    assert _core.find_loop(np.modf, np.ufunc, "g") is None
    loop = _core.find_loop(np.sin, np.ufunc, "g")
    made = np.zeros(4)
    with pytest.raises(ValueError, match="too small"):
        _core.call_loop(loop, 5, (made,), made)
    with pytest.raises(ValueError, match="number of arguments"):
        _core.call_loop(loop, 4, (made, made), made)
    with pytest.raises(BufferError):
        _core.call_loop(loop, 4, (made,), b"12345678" * 4)
