"""NumPy's scalars in compiled functions: types, values and warnings are those of the NumPy that is installed."""

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from numpy_cases import LEFT, Kernel, is_same
from numpy_programs import COLUMNS, Program
from support import TIERS, function_report

from sabot import Stream, TypeMismatchError

INTS = {
    "int8": "c",
    "uint8": "C",
    "int16": "s",
    "uint16": "S",
    "int32": "i",
    "uint32": "I",
    "int64": "l",
    "uint64": "L",
}
KINDS = [*INTS, "float32", "float64", "bool_", "int", "float", "bool"]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "<<", ">>", "&", "|", "^"]
COMPARE = ["==", "!=", "<", "<=", ">", ">="]
FLOATS = [0.0, -0.0, 1.0, -1.0, 2.5, -7.5, 0.1, 1e308, -1e308, 5e-324, 1e-310, 2.0**53, 2.0**63]
FLOATS += [float("inf"), float("-inf"), float("nan"), 3.0, 1e39, 3.4e38, 1e-45, 1 / 3, 1e10]
NUMBERS = [0, 1, -1, 2, 3, 7, -7, 10, 63, 64, 100, 127, 128, 255, 256, -128, -129, 2**24 + 1]
NUMBERS += [2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**62, 2**63 - 1, -(2**63)]
COLUMN = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}


def base_of(kind):
    return "float" if "float" in kind else "bool" if "bool" in kind else "int"


def value_of(kind, name):
    return name if kind in COLUMN else f"np.{kind}({name})"


def boundaries(kind):
    """Values of a column whose scalars are of this kind."""
    if base_of(kind) == "bool":
        return [True, False]
    if kind == "float32":
        with np.errstate(over="ignore"):
            return sorted({float(np.float32(x)) for x in FLOATS}, key=repr)
    if base_of(kind) == "float":
        return FLOATS
    if kind == "int":
        return NUMBERS
    limits = np.iinfo(kind)
    most = min(int(limits.max), 2**63 - 1)
    return [x for x in {*NUMBERS, most, int(limits.min)} if limits.min <= x <= most]


def check(kernel, table, tier, *, one_kind=False):
    """Compares; gives how many rows stayed. A row that leaves is right, but all must not."""
    answers = kernel.answers(table)
    made = kernel.rows(table, tier)
    for row, answer, value in zip(table.to_pylist(), answers, made, strict=True):
        if value is not LEFT:
            assert answer is not LEFT, (kernel.source, tier, row, value)
            assert is_same(value, answer), (kernel.source, tier, row, value, answer)
    kept = sum(value is not LEFT for value in made)
    stayed = [answer for answer, value in zip(answers, made, strict=True) if value is not LEFT]
    if stayed and kernel.type != pa.array(stayed).type:
        # Kinds that no row of these has widen the column.
        assert not one_kind, (kernel.source, kernel.type)
        assert kernel.type in (pa.int64(), pa.float64()), (kernel.source, kernel.type)
    return kept


def pairs(left, right):
    rows = list(itertools.product(boundaries(left), boundaries(right)))
    schema = pa.schema([("x", COLUMN[base_of(left)]), ("y", COLUMN[base_of(right)])])
    columns = [[row[0] for row in rows], [row[1] for row in rows]]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)


def all_pairs():
    """Kinds and operators with NumPy in them, in an order of their own."""
    cases = [
        (left, right, op)
        for left, right in itertools.product(KINDS, KINDS)
        for op in [*BINARY, *COMPARE]
        if left not in COLUMN or right not in COLUMN
    ]
    random.Random(1).shuffle(cases)
    return cases


def check_pair(left, right, op, tier):
    source = f"def f(x, y):\n    return ({value_of(left, 'x')} {op} {value_of(right, 'y')},)\n"
    table = pairs(left, right)
    kernel = Kernel(source, table.schema)
    return check(kernel, table, tier, one_kind=True) if kernel.core.compiled else None


@pytest.mark.parametrize("tier", TIERS)
def test_operators(tier):
    count = 300 if tier == "interpreter" else 30
    kept = [check_pair(*case, tier) for case in all_pairs()[:count]]
    compiled = [rows for rows in kept if rows is not None]
    assert len(compiled) > count * 0.8
    assert sum(rows > 0 for rows in compiled) > len(compiled) * 0.7


def program_rows(seed, rows):
    chance = random.Random(seed)

    def column(kind, tame):
        if kind == "bool":
            return [chance.random() < 0.5 for _ in range(rows)]
        if kind == "int":
            return [chance.choice(tame if chance.random() < 0.9 else NUMBERS) for _ in range(rows)]
        return [chance.choice(tame if chance.random() < 0.9 else FLOATS) for _ in range(rows)]

    small = [0, 1, 2, 3, 5, 9, -1, -4]
    floats = [0.0, -0.0, 1.0, -1.5, 2.25, 100.0, 3e100, -0.1, 7.0]
    data = [column(kind, floats if kind == "float" else small) for kind in COLUMNS.values()]
    schema = pa.schema([(name, COLUMN[kind]) for name, kind in COLUMNS.items()])
    return pa.table([pa.array(c, f.type) for c, f in zip(data, schema, strict=True)], schema)


def check_source(source, table, tier):
    try:
        kernel = Kernel(source, table.schema)
    except TypeMismatchError:  # a bool or a number
        return None
    return check(kernel, table, tier) if kernel.core.compiled else None


def check_program(seed, tier, rows=120):
    """Rows that stayed, of all; None: it is refused."""
    table = program_rows(seed, rows)
    return check_source(Program(seed).text(), table, tier)


@pytest.mark.parametrize("tier", TIERS)
def test_programs(tier):
    count = 120 if tier == "interpreter" else 20
    kept = [check_program(seed, tier) for seed in range(count)]
    compiled = [rows for rows in kept if rows is not None]
    assert len(compiled) > count * 0.3
    assert sum(rows > 0 for rows in compiled) > len(compiled) * 0.6


ONE = ["sqrt", "absolute", "abs", "fabs", "floor", "ceil", "trunc", "rint", "sign", "square"]
ONE += ["negative", "isnan", "isinf", "isfinite"]
CALLS = [f"np.{name}({{}})" for name in ONE]
CALLS += [f"np.{name}({{}})" for name in [*INTS, "float32", "float64", "bool_"]]
CALLS += ["-{}", "+{}", "~{}", "not {}", "abs({})", "float({})", "int({})", "bool({})", "round({})"]
CALLS += [f"math.{name}({{}})" for name in ("floor", "ceil", "trunc", "sqrt", "isnan", "log1p")]
CALLS += ["math.isqrt({})", "math.gcd({}, 12)", "math.frexp({})[1]", "math.hypot({}, 3)"]
CALLS += ["math.comb({}, 2)", "math.ldexp({}, 2)", "math.ldexp(1.5, {})", "math.fsum([{}, 1])"]
CALLS += ["[1, 2, 3][{}]", "(1, 2, 3)[{}]", "sum(range({} % 9))", "len(range(abs({}) % 7))"]
CALLS += ["isinstance({}, float)", "isinstance({}, int)", "isinstance({}, bool)", "{} is True"]
CALLS += ["{} is None", "{} == None", "{} in (1, 2.5, 0)", "({},) == (1,)", "round(2.5, {})"]
CALLS += [
    "max({}, 2)",
    "min(2.5, {})",
    "sum([{}, 1.5])",
    "sum(({}, {}))",
    "({} or 7)",
    "0 < {} < 9",
]
CALLS += ["divmod({}, 3)[0]", "divmod({}, 2.5)[1]", "sorted([{}, 2, 1])[0]", "{}.is_integer()"]
CALLS += [
    "np.clip({}, 0, 2)",
    "np.clip({}, -1.5, 100)",
    "np.clip({}, 3, {})",
    "np.clip({}, 9, 2.5)",
]
CALLS += ["math.prod([{}, 2])", "{}.bit_count()", "{}.conjugate()", "({} if {} else 1)"]


def check_call(call, kind, tier):
    values = boundaries(kind)
    schema = pa.schema([("x", COLUMN[base_of(kind)])])
    table = pa.table([pa.array(values, schema.field("x").type)], schema)
    source = f"def f(x):\n    x = {value_of(kind, 'x')}\n    return ({call.replace('{}', 'x')},)\n"
    return check_source(source, table, tier)


@pytest.mark.parametrize("tier", TIERS)
def test_calls(tier):
    cases = list(itertools.product(CALLS, KINDS))
    random.Random(3).shuffle(cases)
    cases = cases[: 400 if tier == "interpreter" else 30]
    kept = [check_call(*case, tier) for case in cases]
    compiled = [rows for rows in kept if rows is not None]
    assert len(compiled) > len(cases) * 0.6
    assert sum(rows > 0 for rows in compiled) > len(compiled) * 0.85


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_functions_of_two(name, tier):
    cases = list(itertools.product(KINDS, KINDS))[:: 3 if tier == "interpreter" else 25]
    kept = []
    for left, right in cases:
        table = pairs(left, right)
        call = f"np.{name}({value_of(left, 'x')}, {value_of(right, 'y')})"
        kernel = Kernel(f"def f(x, y):\n    return ({call},)\n", table.schema)
        kept.append(check(kernel, table, tier, one_kind=True) if kernel.core.compiled else None)
    assert sum(rows is not None and rows > 0 for rows in kept) > len(kept) * 0.6


def test_results_that_are_too_small_are_told_where_numpy_is_asked_to():
    table = pa.table({"x": [1e-300, 2.0]})

    def tiny(x):
        return np.float64(x) * 1e-300

    stream = Stream.from_table(table).with_columns(r=tiny)
    assert stream.collect()["r"].to_pylist() == [0.0, 2e-300]
    assert function_report(stream)["rows_left"] == {}
    with np.errstate(under="raise"), pytest.raises(FloatingPointError):
        stream.collect()
