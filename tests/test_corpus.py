"""The corpus: functions as people write them are compiled whole, equal CPython bit by bit, and keep clean rows in native code."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from corpus import CASES, NOT_YET, RECORDS
from support import TIERS, function_report

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.differential
ROWS = 2_000
LEAVING_MAX = 0.02  # of clean rows

COMPILED = sorted(CASES.keys() - NOT_YET.keys())


def function(name):
    return sb.udf(CASES[name].fn, nulls=CASES[name].nulls)


def in_cpython(name, table):
    """What a plain loop of CPython gives."""
    case = CASES[name]
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    if case.nulls == "skip":
        return [None if None in row else case.fn(*row) for row in rows]
    return [case.fn(*row) for row in rows]


def collected(name, table, **settings):
    """The column of results, and the function's report."""
    stream = Stream.from_table(table).with_columns(y=function(name))
    with sb.config(**settings):
        column = stream.collect()["y"]
    return column, function_report(stream)


def bits(column):
    """Validity, and the values' bits; those of nulls are one."""
    array = column.combine_chunks()
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_null(array.type):
        return valid, valid
    zero = pa.scalar(0, pa.int64()).cast(array.type)
    values = array.fill_null(zero).to_numpy(zero_copy_only=False)
    return valid, values if values.dtype == bool else values.view(np.int64)


def assert_same(got, wanted, table, what):
    assert got.type == wanted.type, what
    same = np.ones(len(table), bool)
    for ours, theirs in zip(bits(got), bits(wanted), strict=True):
        same &= ours == theirs
    if not same.all():
        row = int(np.argmin(same))
        arguments = table.slice(row, 1).to_pylist()[0]
        pytest.fail(
            f"{what}: {arguments} gives {got[row].as_py()!r}, CPython {wanted[row].as_py()!r}"
        )


def test_most_of_the_corpus_is_compiled():
    assert len(COMPILED) >= 120


@pytest.mark.parametrize("name", COMPILED)
def test_a_function_of_the_corpus(name):
    table = CASES[name].table(ROWS)
    report = sb.explain(function(name), table.schema)
    assert (report.mode, report.reasons) == ("compiled", []), report
    off, _ = collected(name, table, compile="off")
    values = in_cpython(name, table)
    assert values.count(None) < ROWS / 2, "most of clean rows give a value"
    assert_same(off, pa.chunked_array([pa.array(values, off.type)]), table, "compile off")
    for tier in TIERS:
        column, facts = collected(name, table, tier=tier)
        assert facts["mode"] == "compiled"
        assert_same(column, off, table, tier)
        left = facts["rows_left"]
        assert sum(left.values()) <= LEAVING_MAX * ROWS, f"{tier}: {left}"


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_what_is_refused_is_refused_for_this_reason_and_runs_in_cpython(name):
    """A function that is compiled now leaves NOT_YET."""
    table = CASES[name].table(200)
    report = sb.explain(function(name), table.schema)
    assert report.mode == "interpreted"
    assert report.reasons[0].code == NOT_YET[name]
    expected = pa.chunked_array([pa.array(in_cpython(name, table))])
    told = sb.udf(CASES[name].fn, nulls=CASES[name].nulls, returns=expected.type)
    column = Stream.from_table(table).with_columns(y=told).collect()["y"]
    assert_same(column, expected, table, "CPython")


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_record_function_of_the_corpus(name):
    case = RECORDS[name]
    table = case.table(ROWS)
    report = sb.explain(case.fn, table.schema)
    assert (report.mode, report.kind, report.reasons) == ("compiled", "record", []), report
    rows = [case.fn(row) for row in table.to_pylist()]
    if not isinstance(rows[0], dict):
        names = getattr(rows[0], "_fields", None) or [f.name for f in dataclasses.fields(rows[0])]
        rows = [{name: getattr(row, name) for name in names} for row in rows]
    for settings in ({"compile": "off"}, *({"tier": tier} for tier in TIERS)):
        with sb.config(**settings):
            stream = Stream.from_table(table, 700).map(case.fn)
            made = stream.collect()
        assert made.schema.equals(stream.schema)
        assert made.column_names == list(rows[0])
        for name in made.column_names:
            wanted = pa.chunked_array([pa.array([row[name] for row in rows], made[name].type)])
            assert_same(made[name], wanted, table, f"{settings} {name}")
        left = function_report(stream)["rows_left"]
        assert sum(left.values()) <= LEAVING_MAX * ROWS, f"{settings}: {left}"
