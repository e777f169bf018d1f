"""The fuzzer of batch functions: a short run of it, and that it sees what is wrong."""

import pyarrow as pa

import sabot as sb
from fuzz.batches import Given, Totals, check, difference


def test_a_short_run_finds_nothing():
    totals = Totals()
    for index in range(60):
        check(index, "test", 2, totals)
    assert totals.found == []
    assert totals.compiled >= 50
    assert totals.left < totals.rows / 2


def test_differences_are_seen():
    schema = pa.schema({"r": pa.float64()})
    right = Given([pa.record_batch({"r": [1.0, -0.0]})])
    assert difference(right, right, schema) is None
    ints = Given([pa.record_batch({"r": [1, 0]})])
    assert difference(ints, Given([pa.record_batch({"r": [1.0, 0.0]})]), schema) is None
    for wrong in (
        Given([pa.record_batch({"r": [1.0, 0.0]})]),
        Given([pa.record_batch({"r": [1.0, None]})]),
        Given([]),
        Given(right.results, error=ValueError("no")),
        Given(right.results, warned=["overflow"]),
        Given([pa.record_batch({"r": pa.array([1.0, -0.0], pa.float32())})]),
    ):
        assert difference(right, wrong, schema) is not None
    failed = Given([], error=ZeroDivisionError("division by zero"))
    assert difference(failed, Given([], error=ZeroDivisionError("other")), schema) is not None
    assert difference(failed, Given([], error=sb.DataError("division by zero")), schema) is not None
    large = Given([pa.record_batch({"r": [2**53 + 1]})])
    assert difference(large, Given([], error=sb.SchemaError("x")), schema) is None
    assert difference(large, Given([]), schema) is not None
