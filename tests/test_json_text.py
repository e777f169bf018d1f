"""Columns as JSON text: what Python's own encoder would be read back as, whatever is nested in what."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabot._sinks import write_json

pytestmark = pytest.mark.api

VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('ab"\\\n\x00\x1f\x7fé\U0001f600', max_size=4)
)
KEYS = st.sampled_from(["a", 'k"\n', ""])
INSIDE = st.one_of(
    [
        st.lists(inner, max_size=5)
        for one in (
            st.booleans(),
            st.integers(-9, 9),
            st.floats(-9, 9),
            st.text('a\n"', max_size=3),
        )
        for leaf in (st.none() | one,)
        for lists in (st.none() | st.lists(leaf, max_size=3),)
        for inner in (
            lists,
            st.none() | st.lists(lists, max_size=3),
            st.none() | st.dictionaries(KEYS, leaf, max_size=3),
            st.none() | st.lists(st.none() | st.dictionaries(KEYS, lists, max_size=2), max_size=3),
        )
    ]
)


@settings(deadline=None, max_examples=200)
@given(rows=INSIDE, start=st.integers(0, 2), flat=st.lists(VALUES, max_size=5).map(str))
def test_nested_columns_in_json_are_what_python_makes_of_them(rows, start, flat):
    column = pa.array(rows).slice(start)
    batch = pa.record_batch({"n": column, "t": [flat] * len(column)})
    sink = io.BytesIO()
    write_json([batch], None, sink)
    assert [json.loads(line) for line in sink.getvalue().splitlines()] == batch.to_pylist()


def test_what_is_behind_a_null_is_not_looked_at_for_json(tmp_path):
    odd = pa.array([float("nan"), 1.0, float("inf"), 2.0])
    behind = [True, False, True, False]
    columns = {
        "list": pa.ListArray.from_arrays(
            pa.array([0, 1, 2, 3, 4], pa.int32()), odd, mask=pa.array(behind)
        ),
        "view": pa.ListViewArray.from_arrays(
            pa.array([0, 1, 0, 3], pa.int32()),
            pa.array([4, 1, 4, 1], pa.int32()),
            odd,
            mask=pa.array(behind),
        ),
        "fixed": pa.FixedSizeListArray.from_arrays(odd, 1, mask=pa.array(behind)),
        "struct": pa.StructArray.from_arrays([odd], ["x"], mask=pa.array(behind)),
    }
    write_json([pa.record_batch(columns)], None, tmp_path / "x.jsonl")
    none = {"list": None, "view": None, "fixed": None, "struct": None}
    some = [{"list": [x], "view": [x], "fixed": [x], "struct": {"x": x}} for x in (1.0, 2.0)]
    got = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert got == [none, some[0], none, some[1]]
