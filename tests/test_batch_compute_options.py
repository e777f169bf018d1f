"""Functions of pyarrow.compute with options, sets of values and constants of types: compiled, they give what pyarrow gives."""

import itertools

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import bits, cell, function_report
from test_batch_compute import COLUMNS, pairs

import sabot as sb
from sabot import Stream
from sabot._compute import ROUND_MODES

NEAR = [0.05, -0.05, 2.675, 1.005, 0.45, -0.45, 0.49999999999999994, -0.49999999999999994]
NEAR += [
    0.5,
    -0.5,
    1.5,
    -1.5,
    2.5,
    -2.5,
    0.25,
    -0.75,
    1e15 + 0.5,
    4503599627370495.5,
    -4503599627370495.5,
]
NEAR += [1e300, -1.7e308, 5e-324, -5e-324, 123456.785, -123456.785, 15.0, 25.0, -35.0, 0.125]
DOUBLES = [*COLUMNS["f"][1], *NEAR]
HERE = {**COLUMNS, "f": (pa.float64(), DOUBLES)}

CALLS = [
    *(f"pc.round(x, {d}, '{m}')" for m in ROUND_MODES for d in (0, 2, -1)),
    *("pc.round(x)", "pc.round(x, ndigits=10)", "pc.round(x, -10)"),
    *(f"pc.round_to_multiple(x, {n}, '{m}')" for m in ROUND_MODES for n in (0.1, 5, 2.5)),
    *("pc.round_to_multiple(x)", "pc.round_to_multiple(x, multiple=1e300)"),
    *("pc.is_null(x, nan_is_null=True)", "pc.is_null(x, nan_is_null=False)"),
    "pc.is_in(x, value_set=pa.array([1, 2, 7, -1, 1]))",
    "pc.is_in(x, pa.array([0.0, 1.5, float_nan]))",
    "pc.is_in(x, pa.array([0.5, -0.0, 1.0, None]))",
    "pc.is_in(x, value_set=pa.array([0.0, -0.0, None]), skip_nulls=True)",
    "pc.is_in(x, value_set=pa.array([True]))",
    "pc.is_in(x, value_set=pa.array([False, None]))",
    "pc.is_in(x, value_set=pa.array(SET))",
    "pc.is_in(x, value_set=pa.array(PAIR, pa.int64()))",
    "pc.is_in(x, value_set=pa.array([2**53, 2**63 - 1, -(2**63)]))",
    "pc.index_in(x, value_set=pa.array([7, 2, 1, 2, 64, 0]))",
    "pc.index_in(x, value_set=pa.array([None, 0.5, -0.0, 0.0, 1.0]))",
    "pc.index_in(x, pa.array([True, False]))",
    "pc.index_in(x, value_set=pa.array([None, 1, 2]), skip_nulls=True)",
    *(f"pc.cast(x, pa.{t}())" for t in ("int8", "uint8", "int16", "uint32", "float32", "int64", "float64", "bool_")),
    *(f"x.cast('{t}', safe=False)" for t in ("int64", "float64", "float32")),
    *("pc.cast(x, 'int16')", "x.cast(pa.int32(), safe=True)", "pc.cast(x, pa.int16(), safe=False)"),
    *("pc.fill_null(x, 1.0)", "pc.fill_null(x, 3)", "x.fill_null(2.0)", "pc.fill_null(x, pa.scalar(2))"),
    *("pc.add(x, pa.scalar(3, pa.int32()))", "pc.multiply(x, pa.scalar(2.5))", "pc.add(x, pa.scalar(1.5, pa.float32()))"),
    *("pc.add(x, K * 2)", "pc.add(x, -K)", "pc.subtract(pa.scalar(K), x)"),
    *("pc.if_else(pc.is_null(x), x, None)", "pc.if_else(pc.is_valid(x), x, 2.5)", "pc.if_else(pc.is_valid(x), None, 1)"),
    *("pc.coalesce(x, None, 1)", "pc.coalesce(x, pa.scalar(2))"),
    "pc.case_when(pc.make_struct(pc.is_null(x), pc.greater(x, 1)), 1.5, x)",
    "pc.case_when(pc.make_struct(pc.greater(x, 1), pc.less(x, 0)), x, x, 7)",
    "pc.case_when(pc.make_struct(pc.greater(x, 1), field_names=['a']), x)",
    "pc.choose(pc.cast(pc.is_null(x), pa.int64()), x, 3)",
]  # fmt: skip
TWO = [
    *(f"pc.{name}_element_wise(x, y, skip_nulls={skips})" for name in ("max", "min") for skips in (True, False)),
    *("pc.max_element_wise(x, y, 2, skip_nulls=False)", "pc.if_else(pc.greater(x, y), x, y)"),
    *("pc.choose(x, y, y, 1)", "pc.choose(x, 5, y)", "pc.logb(x, y)", "pc.coalesce(x, y)"),
    "pc.case_when(pc.make_struct(pc.greater(x, y), pc.less(x, 0)), x, y)",
]  # fmt: skip
SPACE = {
    "pa": pa,
    "pc": pc,
    "SET": [3, 1, 64, 127],
    "PAIR": (5, -7),
    "K": 3,
    "float_nan": float("nan"),
}
# What at least has to be compiled, by types.
COMPILED_MIN = {"i": 61, "s": 61, "f": 62, "h": 18, "b": 20}


def function(call, letters):
    names = ", ".join("xyz"[: len(letters)])
    given = ", ".join(f'b.column("{name}")' for name in "xyz"[: len(letters)])
    text = f'def f(b):\n    {names} = {given}\n    return pa.record_batch({{"r": {call}}})\n'
    return cell(text, **SPACE)["f"]


def check(fn, batch, what):
    """Whether it is compiled; then that every row is as pyarrow has it, those that it refuses too."""
    try:
        kind = fn(batch.slice(0, 0))["r"].type
    except (pa.ArrowInvalid, pa.ArrowTypeError, NotImplementedError):
        assert sb.explain(fn, batch.schema).mode == "interpreted", what
        return False
    if sb.explain(fn, batch.schema).mode != "compiled":
        return False
    wanted = []
    for k in range(batch.num_rows):
        try:
            wanted += bits(fn(batch.slice(k, 1))["r"].to_pylist())
        except (pa.ArrowInvalid, pa.ArrowIndexError) as error:
            wanted.append(type(error))
    good = [k for k, value in enumerate(wanted) if not isinstance(value, type)]
    table = pa.Table.from_batches([batch]).take(good)
    stream = Stream.from_table(table, batch_size=1).map(fn)
    with sb.config(tier="interpreter"):  # which tries each batch
        got = stream.collect()
    assert got.schema.field("r").type == kind, what
    assert bits(got["r"].to_pylist()) == [wanted[k] for k in good], what
    assert function_report(stream)["rows_cpython"] < max(2, 0.75 * len(good)), what
    for k, value in enumerate(wanted):
        if isinstance(value, type):
            with pytest.raises(value):
                print(what, k, Stream.from_batches([batch.slice(k, 1)]).map(fn).collect())
            break
    return True


@pytest.mark.parametrize("letter", COLUMNS)
def test_calls_of_one_column(letter):
    kind, values = HERE[letter]
    batch = pa.record_batch([pa.array(values, kind)], names=["x"])
    compiled = [call for call in CALLS if check(function(call, letter), batch, (call, letter))]
    assert len(compiled) >= COMPILED_MIN[letter], sorted({*CALLS} - {*compiled})


@pytest.mark.parametrize("call", TWO)
def test_calls_of_two_columns(call):
    compiled = 0
    for letters in map("".join, itertools.product(COLUMNS, repeat=2)):
        compiled += check(function(call, letters), pairs(letters), (call, letters))
    assert compiled >= 2


REFUSED = {
    "pc.round(x, D)": "pc.round to more than 10 digits, or unknown ones",
    "pc.round(x, 11)": "pc.round to more than 10 digits, or unknown ones",
    "pc.round(x, 1, options=None)": "the argument options",
    "pc.round_to_multiple(x, -1)": "pc.round_to_multiple of a multiple that the text does not tell",
    "pc.is_in(x, value_set=y)": "a value_set= that is no pa.array of up to 256 numbers",
    "pc.is_in(x, value_set=pa.array(['a']))": "pc.is_in: Array type doesn't match type of values set: double vs string",
    "pc.is_in(x, value_set=pa.array([2**60]))": "large integers among floats",
    "pc.max_element_wise(x, y, skip_nulls=y)": "pc.max_element_wise with skip_nulls=",
    "pc.cast(x, pa.string())": "a cast to string",
    "pc.add(x, 2**64)": "a number of more than 64 bits",
    "pc.case_when(pa.nulls(1), x)": "pc.case_when without a pc.make_struct of conditions",
    "pc.round_binary(x, 1)": "pc.round_binary",
    "pc.add(x, None)": "pc.add of a null",
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_has_no_form_says_why(call):
    fn = cell(
        f'def f(b):\n    x, y = b.column("x"), b.column("y")\n    return {{"r": {call}}}\n',
        **SPACE,
        D={"a": 1},
    )["f"]
    report = sb.explain(fn, {"x": pa.float64(), "y": pa.float64()})
    assert report.mode == "interpreted"
    reason = report.reasons[0]
    assert REFUSED[call] in reason.message
    assert reason.line == 3
