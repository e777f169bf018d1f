"""NumPy's scalars in compiled functions: types, values and warnings are those of the NumPy that is installed."""

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from numpy_cases import LEFT, Kernel, is_same
from support import TIERS

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


def check(kernel, table, tier, *, wanted=None):
    """Compares; gives how many rows stayed. A row that leaves is right, but all must not."""
    answers = kernel.answers(table)
    made = kernel.rows(table, tier)
    for row, answer, value in zip(table.to_pylist(), answers, made, strict=True):
        if value is not LEFT:
            assert answer is not LEFT, (kernel.source, tier, row, value)
            assert is_same(value, answer), (kernel.source, tier, row, value, answer)
    kept = sum(value is not LEFT for value in made)
    if wanted is not None:
        assert kept >= wanted * sum(answer is not LEFT for answer in answers), kernel.source
    stayed = [answer for answer, value in zip(answers, made, strict=True) if value is not LEFT]
    if stayed:
        assert kernel.type == pa.array(stayed).type, (kernel.source, kernel.type)
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
    return check(kernel, table, tier) if kernel.core.compiled else None


@pytest.mark.parametrize("tier", TIERS)
def test_operators(tier):
    count = 400 if tier == "interpreter" else 60
    kept = [check_pair(*case, tier) for case in all_pairs()[:count]]
    compiled = [rows for rows in kept if rows is not None]
    assert len(compiled) > count * 0.85
    assert sum(rows > 0 for rows in compiled) > len(compiled) * 0.7
