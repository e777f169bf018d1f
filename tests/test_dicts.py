"""Columns whose types are told by values, a few at a time: what `pa.array` makes of all of them, and the same errors."""

from __future__ import annotations

import datetime
import decimal
import zoneinfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sabot as sb
from sabot import _dicts
from sabot._values import Gently, Kept

pytestmark = pytest.mark.api

UTC = datetime.UTC
WHOLE = st.integers(-5, 5) | st.sampled_from(
    [2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63]
)
TIMES = st.sampled_from(
    [
        datetime.date(2020, 1, 2),
        datetime.datetime(2020, 1, 2, 3),
        datetime.datetime(2020, 1, 2, tzinfo=UTC),
        datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        datetime.time(1, 2),
        datetime.timedelta(1),
    ]
)
DECIMALS = st.decimals(-(10**6), 10**6, places=2) | st.sampled_from(
    [decimal.Decimal(text) for text in ("0", "0.5", "1E+3", "1e-7", "1" * 38, "1" * 39, "1" * 77)]
)
# NumPy's times not beside others: of these pyarrow makes what is no time, or it crashes.
NUMPY_TIMES = st.sampled_from(
    [np.datetime64("2020-01-02T00:00:00.000000001"), np.datetime64("2020-01-02T00:00:00")]
)
NUMPYS = st.sampled_from(
    [np.int8(1), np.int64(2), np.uint8(3), np.float32(0.1), np.float64(0.5), np.bool_(True)]
)
NUMBERS = st.none() | WHOLE | st.floats()
SCALARS = NUMBERS | st.booleans() | st.text(max_size=2) | st.binary(max_size=2) | TIMES | DECIMALS


def nested(items):
    return (
        st.lists(items, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), items, max_size=3)
        | st.none()
    )


# Which row of a step an int names that no float is, among floats and inside other values, is not certain.
SMALL = st.none() | st.integers(-5, 5) | st.floats()
NESTED = nested(SMALL | st.text(max_size=1)) | nested(nested(SMALL))
KINDS = st.one_of(
    [
        st.lists(one, min_size=1, max_size=12)
        for one in (
            NUMBERS,
            NESTED,
            nested(nested(st.none() | st.integers(0, 2))),
            st.none() | DECIMALS,
            st.none() | DECIMALS | WHOLE,
            TIMES,
            st.none() | NUMPY_TIMES,
            NUMPYS,
            NUMPYS | NUMBERS,
            st.text(max_size=2) | st.binary(max_size=2),
            SCALARS,
            SCALARS | nested(SMALL | st.booleans() | st.text(max_size=1) | TIMES | DECIMALS),
        )
    ]
)


def told(values):
    """What all the values make together, or the text of the error."""
    try:
        array = pa.array(values)
    except _dicts._CONVERSION_ERRORS as error:
        return str(_dicts._misfit("c", Gently(values), None, False, 0, error).error)
    if array.type == pa.binary():
        for row, value in enumerate(values):
            if isinstance(value, str):
                return f"row {row}: column 'c' is str {value!r}, other rows have bytes"
    return array


def in_steps(values, rows_max=None):
    rows = [{"c": value} for value in values]
    try:
        if rows_max is None:
            return _dicts.batch_of_dicts(rows, None)["c"]
        items = _dicts.DictItems(None, rows_max)
        first = [batch for row in rows for batch in items.feed(row)] + list(items.finish())
    except (sb.SchemaError, sb.IntegerOverflowError) as error:
        return str(error)
    return first[0]["c"]


def same(one, other):
    """Equal with NaN equal to itself, and of one type."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return one.type.equals(other.type) and shown(one) == shown(other)


def shown(array):
    try:
        return repr(array.to_pylist())
    except (OverflowError, ValueError):  # times that Python does not have
        return array.to_string(window=100)


@pytest.mark.parametrize("step", [1, 2, 3, 5])
@settings(deadline=None, max_examples=300)
@given(values=KINDS)
@example(values=[True, 1.5, 1])
@example(values=[1.5, True, 1])
@example(values=[1, 2**53 + 1, 2.5])
@example(values=[{"b": 1}, {"a": 2, "b": 0.5}, None, {"b": None}, {"c": [{}]}])
@example(values=[[], [1], [None], [2.5], None, [[]]])
@example(values=["y", b"x"])
@example(values=[b"x", "y"])
@example(values=["y", "z", b"x", "w"])
@example(values=[np.int8(1), 5, np.int16(2)])
@example(values=[datetime.time(1, 2), 2**63 - 1, datetime.time(1, 2), decimal.Decimal("15.02")])
@example(values=[np.datetime64("2020-01-02T00:00:00.000000001"), np.datetime64("2020-01-02", "s")])
def test_steps_tell_what_all_values_tell(step, values):
    before, _dicts.STEP_ROWS = _dicts.STEP_ROWS, step
    try:
        given = in_steps(values)
    finally:
        _dicts.STEP_ROWS = before
    assert same(given, told(values)), (given, told(values))
    if isinstance(given, pa.Array) and is_valid(told(values)):
        given.validate(full=True)


def is_valid(array):
    """Of some values pyarrow makes what is no time."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def test_an_int_that_no_float_is_beside_floats_in_lists():
    rows = [{"c": [2**53 + 1]}] * 2000 + [{"c": [1, 0.5]}] * 2000
    with pytest.raises(sb.SchemaError, match="^row [0-9]+: column 'c' is list"):
        _dicts.batch_of_dicts(rows, None)
    assert _dicts.batch_of_dicts([{"c": [2**53]}, *rows[2000:]], None).num_rows == 2001


def test_a_kind_that_comes_late_is_that_of_the_first_batch():
    values = [None] * 3000 + list(range(3000)) + [0.5]
    given = in_steps(values, 10_000)
    assert same(given, pa.array(values))
    assert same(in_steps([*values[:6000], "x"], 10_000), told([*values[:6000], "x"]))
    assert same(in_steps([*values, 2**53 + 1], 10_000), told([*values, 2**53 + 1]))


NONE_OF_THESE = [
    # (rows from the second on, what the error says); the schema is a: int64 not null, b: list<int64>
    ([{"a": "x", "b": []}] + [{"a": 1, "b": ["y"]}] + [{"a": 1}], "row 1: column 'a' is str"),
    ([{"a": 1, "b": ["y"]}] + [{"a": "x", "b": []}], "row 1: column 'b' is list"),
    ([{"a": 1, "b": None}] * 9 + [{"a": 1, "c": 1}] + [{"a": "x", "b": []}], "row 10 has 'c'"),
    ([{"a": 1, "b": None}] * 9 + [{"a": None, "b": 1}], "row 10: column 'a' is null"),
    ([{"a": None, "b": None}] + [{"a": "x", "b": 1}], "row 1: column 'a' is null"),
    ([{"a": "x", "b": None}] + [{"a": None, "b": 1}], "row 1: column 'a' is str"),
    ([{"a": 1, "b": []}] * 5 + [7], "row 6 is int 7, not a dict"),
    ([{"a": 1, "b": []}] * 5 + [{"a": 2**63, "b": []}] + [7], "row 6: column 'a' is int"),
]


@pytest.mark.parametrize(("rest", "text"), NONE_OF_THESE)
def test_the_first_row_that_does_not_fit_is_told_however_rows_are_taken_apart(rest, text):
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False), ("b", pa.list_(pa.int64()))])
    rows = [{"a": 1, "b": [1]}, *rest]
    for step in (1, 2, 3, 5, 1024):
        before, _dicts.STEP_ROWS = _dicts.STEP_ROWS, step
        try:
            with pytest.raises((sb.SchemaError, sb.IntegerOverflowError)) as caught:
                _dicts.batch_of_dicts(rows, schema)
        finally:
            _dicts.STEP_ROWS = before
        assert str(caught.value).startswith(text), step


class Own(dict):
    pass


def test_what_is_kept_comes_back_as_it_was():
    utc, zone = datetime.UTC, zoneinfo.ZoneInfo("Europe/Madrid")
    times = [datetime.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=zone), datetime.time(1, 2)]
    loop = []
    loop.append(loop)
    parts = [
        [{"a": [1, (2.5, None)]}, [True, "\ud800", b"x", 2**80], None],
        [{"t": times}, [datetime.datetime(2020, 1, 1, tzinfo=utc), decimal.Decimal("1.50")]],
        [{"own": Own(a=1)}, [np.int8(3)]],
        [Own(a=1), [1]],
        [1, 2],
    ]
    kept = Kept()
    for part in parts:
        kept.add(part)
    kept.add([loop])
    kept.add_array(pa.array([[k] * 3000 for k in range(50)]))
    wanted = [value for part in parts for value in part]
    for _ in range(2):
        given = [kept[k] for k in range(len(wanted))]
        assert repr(given) == repr(wanted)
        assert [type(v) for v in given] == [type(v) for v in wanted]
    assert kept[0] is not parts[0][0] and kept[5] is parts[2][0] and kept[7] is parts[3][0]
    assert kept[len(wanted)][0] is kept[len(wanted)]
    assert [kept[len(wanted) + 1 + k] for k in range(50)] == [[k] * 3000 for k in range(50)]
    assert list(kept.head(4)) == wanted[:4]
    with pytest.raises(IndexError):
        kept[len(kept)]


def test_an_error_among_many_rows_is_found_with_few_tries(monkeypatch):
    rows = [{"s": {"x": k}} for k in range(20_000)] + [{"s": {"x": "no"}}]
    tries = []
    own = _dicts._failure
    monkeypatch.setattr(_dicts, "_failure", lambda v, k: tries.append(len(v)) or own(v, k))
    with pytest.raises(sb.SchemaError, match="row 20000: column 's'.*is struct<x: int64> in the"):
        _dicts.batch_of_dicts([*rows, *rows], None)
    assert len(tries) <= 2, tries
