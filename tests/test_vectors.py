"""The numbers of CPython's own tests, and limits, through every arithmetic function that is compiled: bits and errors of CPython."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pyarrow as pa
import pytest
import vectors
from support import TIERS, cell, function_report

import sabot as sb
from sabot import Stream
from sabot._blob import MATH

pytestmark = pytest.mark.differential

TYPES = {"i": pa.int64(), "f": pa.float64(), "b": pa.bool_()}
PAIRS = ("ii", "ff", "if", "fi", "bb")
# What is compiled, for columns of these kinds.
FUNCTIONS = {
    **{f"{sign}a": ("i", "f", "b") for sign in ("-", "+", "not ")},
    "~a": ("i",),
    **{f"{name}(a)": ("i", "f", "b") for name in ("abs", "bool", "int", "float", "round")},
    **{f"math.{name}(a)": ("i", "f") for name, (_, count) in MATH.items() if count == 1},
    **{
        f"math.{name}(a)": ("i", "f")
        for name in "sqrt floor ceil trunc fabs isnan isinf isfinite degrees radians".split()
    },
    "math.isqrt(a)": ("i", "b"),
    **{f"a {symbol} b": PAIRS for symbol in "+ - * / // % **".split()},
    **{f"a {symbol} b": ("ii", "bb") for symbol in "<< >> & | ^".split()},
    **{f"a {symbol} b": PAIRS for symbol in "< <= > >= == !=".split()},
    **{f"divmod(a, b)[{k}]": PAIRS for k in range(2)},
    **{f"{name}(a, b)": ("ii", "ff", "bb") for name in ("min", "max")},
    "pow(a, b)": PAIRS,
    "round(a, b)": ("ii", "fi"),
    **{f"math.{name}(a, b)": ("ii", "ff") for name, (_, count) in MATH.items() if count == 2},
    "math.log(a, b)": ("ii", "ff"),
    "math.gcd(a, b)": ("ii",),
}
CASES = [(text, kinds) for text, every in FUNCTIONS.items() for kinds in every]


def name_of(text):
    """What vectors are known by: a function's name, or an operator."""
    return text.split("(")[0] if text.endswith((")", "]")) else text.strip("ab ")


@functools.cache
def table_of(name, kinds):
    columns = zip(*vectors.rows(name, kinds), strict=True)
    arrays = [pa.array(values, TYPES[one]) for values, one in zip(columns, kinds, strict=True)]
    return pa.table(arrays, names=["a", "b"][: len(kinds)])


def collected(fn, table, **settings):
    """Results, with nulls where a row failed, what failed, and what the run tells of the function."""
    stream = Stream.from_table(table).with_columns(y=sb.udf(fn, on_error="null"))
    with sb.config(threads=1, **settings):
        column = stream.collect()["y"].combine_chunks()
    assert stream.last_run.errors_total == len(stream.last_run.errors)
    return column, stream.last_run.errors, function_report(stream)


def in_cpython(fn, args, type):
    """What a row holds: a value with the column's type, or an exception's name; "" for what no such column holds."""
    try:
        value = fn(*args)
    except Exception as error:
        return error
    if pa.types.is_floating(type) and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) <= 2**53 else None
    wanted = {pa.int64(): int, pa.float64(): float, pa.bool_(): bool}[type]
    fits = wanted is not int or -(2**63) <= value < 2**63 if isinstance(value, wanted) else False
    return value if fits else None


def bits(column):
    """Validity, and the values' bits; every nan is one."""
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    values = column.fill_null(pa.scalar(0).cast(column.type)).to_numpy(zero_copy_only=False)
    if values.dtype == np.float64:
        values = np.where(np.isnan(values), np.nan, values).view(np.int64)
    return valid, values


def check_against_cpython(fn, table, column, errors):
    """Each row of what CPython computed for a stream is what the call gives, and each error is the call's."""
    failed = {row["row"]: row for row in errors.to_pylist()}
    values = column.to_pylist()
    for row, args in enumerate(zip(*(one.to_pylist() for one in table.columns), strict=True)):
        wanted = in_cpython(fn, args, column.type)
        if wanted is None:
            assert row in failed, args
        elif isinstance(wanted, Exception):
            got = failed[row]["error"], failed[row]["message"]
            assert got == (type(wanted).__name__, str(wanted)), args
        else:
            got = values[row]
            assert (type(got), repr(got)) == (type(wanted), repr(wanted)), args


@pytest.mark.parametrize(("text", "kinds"), CASES, ids=itertools.starmap("{} {}".format, CASES))
def test_vectors(text, kinds):
    table = table_of(name_of(text), kinds)
    params = ", ".join(table.column_names)
    fn = cell(f"import math\ndef f({params}):\n    return {text}")["f"]
    assert sb.explain(fn, table.schema).mode == "compiled"
    column, errors, _ = collected(fn, table, compile="off")
    check_against_cpython(fn, table, column, errors)
    for tier in TIERS:
        got, failed, facts = collected(fn, table, tier=tier)
        assert got.type == column.type
        for ours, theirs in zip(bits(got), bits(column), strict=True):
            if not (ours == theirs).all():
                row = int(np.argmin(ours == theirs))
                pytest.fail(
                    f"{tier}: {table.slice(row, 1).to_pylist()} gives {got[row]!r}, not {column[row]!r}"
                )
        assert failed.equals(errors)
        assert facts["rows_left"] or len(errors) == 0
        assert sum(facts["rows_left"].values()) < len(table), "compiled code gave a result"


def test_the_tests_of_cpython_were_read():
    if not (vectors.FOLDER / "test_math.py").exists():
        return  # a Python that was installed without its own tests
    assert len(vectors.numbers()) > 400
    known = {name for name, _ in vectors.calls()}
    assert {
        "+",
        "%",
        "**",
        "<<",
        "math.exp",
        "math.log1p",
        "math.atan2",
        "round",
        "int",
        "divmod",
    } <= known
