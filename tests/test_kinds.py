"""Kinds: every row of the table, and nothing but the table."""

import datetime
import decimal
from typing import Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow.compute import add

from sabot._capture import capture
from sabot._kinds import KINDS_TABLE, kind_of

COLUMNS = ["a", "b", "distance"]
KEY, PLACE = "a", 0
opaque = object()


def told(fn, operator="filter", declared=None, columns=COLUMNS):
    result = kind_of(capture(fn), columns, operator, declared)
    return result.row, result.kind


def annotated_batch(a: pa.RecordBatch):
    return a


def annotated_batch_text(a: "pa.RecordBatch", b: int = 3):  # noqa: UP037
    return a


def annotated_array(a: np.ndarray):
    return a


def annotated_array_text(a: "np.ndarray | None"):  # noqa: UP037
    return a


def annotated_record(row: dict[str, int]):
    return row["a"]


def annotated_scalar(nope: int):
    return nope


def annotated_optional(nope: Optional[str]):  # noqa: UP045
    return nope


def annotated_date(x, nope: "datetime.date"):  # noqa: UP037
    return nope


def annotated_decimal(nope: decimal.Decimal):
    return nope


def annotated_unknown(nope: opaque):
    return nope


def local_of_the_batch(b):
    batch = b
    return batch.column("a")


def local_of_an_item(p):
    x = p["a"]
    return pc.add(x, 1)


def local_assigned_twice(p):
    x = p["a"]
    x = x + 1
    return pc.add(x, 1)


def local_import(p):
    import pyarrow.compute as compute

    return compute.add(p["a"], 1)


def local_from_import(p):
    from pyarrow.compute import add as plus

    return plus(p["a"], 1)


def closure(module, key):
    return lambda p: module.add(p[key], 1)


def closure_key(key):
    return lambda p: p[key] + 1


def stores(p):
    p["new"] = 1
    return p


def inner_function(p):
    def inner():
        return p.num_rows

    return inner()


def inner_parameter(p):
    def inner(p):
        return p.num_rows

    return inner


ROWS = [
    ("annotated_batch", "batch", annotated_batch),
    ("annotated_batch", "batch", annotated_batch_text),
    ("annotated_array", "array", annotated_array),
    ("annotated_array", "array", annotated_array_text),
    ("annotated_record", "record", annotated_record),
    ("annotated_scalar", "scalar", annotated_scalar),
    ("annotated_scalar", "scalar", annotated_optional),
    ("annotated_scalar", "scalar", annotated_date),
    ("annotated_scalar", "scalar", annotated_decimal),
    ("untold", "batch", annotated_unknown),
    ("batch_attribute", "batch", lambda x: x.column("a")),
    ("batch_attribute", "batch", lambda x: x.num_rows),
    ("batch_attribute", "batch", lambda x: x.schema.names),
    ("batch_attribute", "batch", lambda x: x.to_pandas()),
    ("batch_attribute", "batch", lambda a: a.num_rows),  # goes before the names of columns
    ("batch_attribute", "batch", lambda x, k=1: [v for v in x.column("a").to_pylist()]),
    ("batch_attribute", "batch", local_of_the_batch),
    ("batch_attribute", "batch", inner_function),
    ("untold", "batch", inner_parameter),
    ("untold", "batch", lambda x: x.column),
    ("columns", "scalar", lambda a: a),
    ("columns", "scalar", lambda a, b: a + b),
    ("columns", "scalar", lambda a, b, k=3: a + b),
    ("columns", "scalar", lambda a, *, b: a + b),
    ("columns", "scalar", lambda a=1: a),
    ("columns", "scalar", lambda: 1),
    ("columns", "scalar", lambda a: a["x"]),
    ("columns", "scalar", lambda a, b: pc.add(a["x"], b.num_rows)),
    ("unknown_column", "scalar", lambda a, c: a),
    ("unknown_column", "scalar", lambda p, q: p["a"]),
    ("compute", "batch", lambda p: pc.greater(p["a"], 0)),
    ("compute", "batch", lambda p: pc.add(1, pc.multiply(pc.abs(p[0]), 2))),
    ("compute", "batch", lambda p: pc.round(x=p["a"])),
    ("compute", "batch", lambda p: pa.compute.add(p["a"], 1)),
    ("compute", "batch", lambda p: add(p["a"], 1)),
    ("compute", "batch", lambda p: p["a"].to_numpy() > 0),
    ("compute", "batch", lambda p: [v > 0 for v in p["a"].to_pylist()]),
    ("compute", "batch", local_of_an_item),
    ("compute", "batch", local_import),
    ("compute", "batch", local_from_import),
    ("compute", "batch", closure(pc, "a")),
    ("item", "record", lambda p: p["a"] > 0),
    ("item", "record", lambda p: p.get("a") or 0),
    ("item", "record", lambda p: (p["a"] or 0) + pc.nothing),
    ("item", "record", lambda p: p[KEY]),
    ("item", "record", lambda p: np.sqrt(p["a"])),
    ("item", "record", closure_key("a")),
    ("item", "record", local_assigned_twice),
    ("item", "record", stores),
    ("untold", "batch", lambda p: p),
    ("untold", "batch", lambda p: opaque(p)),
    ("untold", "batch", lambda p: p[0]),
    ("untold", "batch", lambda p: p[-1]),
    ("untold", "batch", lambda p: p[1:3]),
    ("untold", "batch", lambda p: p[PLACE]),
    ("untold", "batch", closure_key(0)),
    ("untold", "batch", lambda p: [p["a"] for p in [{}]]),
    ("untold", "batch", lambda *args: args[0]),
    ("untold", "batch", lambda x=1: x),
    ("untold", "batch", len),
    ("untold", "batch", np.sqrt),
]


@pytest.mark.parametrize(("row", "kind", "fn"), ROWS)
def test_rows(row, kind, fn):
    assert told(fn) == (row, kind)


def test_every_row_of_the_table_is_tested():
    tested = {row for row, _, _ in ROWS} | {"declared", "untold_column"}
    assert tested == {row.test for row in KINDS_TABLE}
    assert len({row.test for row in KINDS_TABLE}) == len(KINDS_TABLE)


@pytest.mark.parametrize("kind", ["scalar", "batch", "record", "array"])
def test_a_declared_kind_goes_first(kind):
    assert told(annotated_batch, declared=kind) == ("declared", kind)
    assert told(lambda a: a.num_rows, declared=kind) == ("declared", kind)


def test_an_unknown_kind():
    result = kind_of(capture(lambda a: a), COLUMNS, "filter", "vector")
    assert result.error == "there is no kind 'vector'; kinds are scalar, record, array, batch"


@pytest.mark.parametrize("fn", [lambda p: p, lambda p: opaque(p), len, lambda *args: args, np.sqrt])
def test_nothing_tells(fn):
    for operator in ("map", "filter", "flat_map"):
        result = kind_of(capture(fn), COLUMNS, operator)
        assert (result.row, result.kind, result.error) == ("untold", "batch", None)
    result = kind_of(capture(fn), COLUMNS, "with_columns")
    assert (result.row, result.kind) == ("untold_column", "unknown")
    assert "annotate its parameter: pa.RecordBatch" in result.error


def test_why_nothing_tells():
    errors = [
        kind_of(capture(fn), COLUMNS, "with_columns").error
        for fn in (lambda p: opaque(p), lambda p: p, len)
    ]
    assert "opaque may do anything" in errors[0]
    assert "nothing in it says" in errors[1]
    assert "its source is not known" in errors[2]
    distnace = kind_of(capture(lambda distnace: distnace), COLUMNS, "with_columns").error
    assert "did you mean 'distance'?" in distnace


def test_no_source_but_names():
    space = {}
    exec("f = lambda a, b: a + b\ng = lambda a: a\nh = lambda p: p['a']\ni = lambda a, z: a", space)
    assert told(space["f"]) == ("columns", "scalar")
    assert told(space["g"]) == ("columns", "scalar")
    assert told(space["h"]) == ("untold", "batch")
    assert told(space["i"]) == ("unknown_column", "scalar")


def test_unknown_columns_are_named_with_a_suggestion():
    def speed(distnace, time):
        return distnace / time

    error = kind_of(capture(speed), COLUMNS, "with_columns").error
    assert error == (
        "speed takes distnace, time, and there are no columns 'distnace' (did you mean 'distance'?), 'time'. "
        "The columns are a, b, distance"
    )
    assert "there is no column 'z'" in kind_of(capture(lambda a, z: a), COLUMNS, "filter").error
    assert "no column 'nope'" in kind_of(capture(annotated_scalar), COLUMNS, "filter").error
    assert "no column 'x'" in kind_of(capture(lambda x: x), COLUMNS, "filter", "scalar").error


def test_functions_of_arrays_give_columns():
    for operator in ("map", "filter", "with_columns"):
        result = kind_of(capture(annotated_array), COLUMNS, operator)
        assert result.kind == "array"
        assert (result.error is None) == (operator != "map")


@pytest.mark.parametrize(
    "fn",
    [
        annotated_record,
        lambda p: p["a"],
        lambda p: p.get("a"),
        lambda p: {**p},
        lambda p: {"b": 1, **p},
        lambda p: dict(**p, b=1),
    ],
)
def test_records(fn):
    for operator in ("map", "flat_map", "filter", "with_columns"):
        result = kind_of(capture(fn), COLUMNS, operator)
        assert (result.kind, result.error) == ("record", None)


def test_scalar_functions_in_map():
    def double(a):
        return a * 2

    assert "use with_columns(name=double)" in kind_of(capture(double), COLUMNS, "map").error
    assert "use with_columns(name=fn)" in kind_of(capture(lambda a: a), COLUMNS, "map").error
    for operator in ("filter", "with_columns"):
        assert kind_of(capture(double), COLUMNS, operator).error is None


def test_batch_functions_take_one_argument():
    def two(a: pa.RecordBatch, b):
        return a

    for fn, declared in [
        (two, None),
        (lambda a, b: a, "batch"),
        (lambda *, a: a, "batch"),
        (lambda: 1, "batch"),
    ]:
        assert (
            "take the batch as its one argument"
            in kind_of(capture(fn), COLUMNS, "filter", declared).error
        )
    for fn in (
        lambda *a: a,
        lambda a, **k: a,
        lambda a=1: a,
        lambda a, k=1: a,
        lambda a, *, k=1: a,
    ):
        assert kind_of(capture(fn), COLUMNS, "filter", "batch").error is None


def test_methods():
    class Model:
        def scale(self, a, b):
            return a * b

        def score(self, batch):
            return batch.num_rows

    assert told(Model().scale) == ("columns", "scalar")
    assert told(Model().score) == ("batch_attribute", "batch")


def test_rules_are_readable():
    assert kind_of(capture(lambda a, b: a), COLUMNS, "filter").rule == (
        "every parameter without a default is a column (a, b)"
    )
    assert kind_of(capture(lambda p: pc.add(p["a"], 1)), COLUMNS, "map").rule.endswith(
        "(p['a'] in pc.add(...))"
    )
    assert kind_of(capture(lambda p: p.num_rows), COLUMNS, "map").rule.endswith("(p.num_rows)")
    assert kind_of(capture(lambda p: p), COLUMNS, "map", "batch").rule == "declared kind='batch'"


def test_the_kind_does_not_depend_on_being_captured():
    assert told(lambda a, b: print(a)) == ("columns", "scalar")
    assert told(lambda a, b: (yield a)) == ("columns", "scalar")
