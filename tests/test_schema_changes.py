"""Batches of one stream whose schemas change: of sources, of `map` and of `flat_map`, with and without a declared schema."""

from __future__ import annotations

import asyncio

import pyarrow as pa
import pytest

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

INT = pa.schema([("a", pa.int64()), ("t", pa.string())])


def batch(a, kind=pa.int64(), t=("x",), names=("a", "t")):
    return pa.record_batch([pa.array(a, kind), pa.array(t)], names=list(names))


WHOLE = batch([1])
NULL = batch([None], pa.null())
SMALL = batch([3], pa.int8())
FLOAT = batch([0.5], pa.float64())
TEXT = batch(["x"], pa.string())
RENAMED = batch([1], names=("b", "t"))
TURNED = WHOLE.select(["t", "a"])
MORE = pa.record_batch({"a": [1], "t": ["x"], "u": [True]})
LESS = WHOLE.select(["a"])

# what comes after int64: (the batch, what the error says of it, or None where it is accepted)
LATER = {
    "the same": (WHOLE, None),
    "null": (NULL, None),
    "narrower": (SMALL, None),
    "wider": (FLOAT, "column 'a' is double, in the schema it is int64"),
    "another type": (TEXT, "column 'a' is string, in the schema it is int64"),
    "another name": (
        RENAMED,
        r"column 'a' \(int64\) is missing; column 'b' \(int64\) is not in the schema",
    ),
    "another order": (TURNED, "the columns are t, a, in the schema they are a, t"),
    "one more": (MORE, r"column 'u' \(bool\) is not in the schema"),
    "one less": (LESS, r"column 't' \(string\) is missing"),
}


def made_of(form, batches, schema):
    """A stream of some batches, each made by a source or by a function."""
    count = Stream.from_batches([pa.record_batch({"k": [k]}) for k in range(len(batches))])

    def nth(given):
        return batches[given.column("k")[0].as_py()]

    async def awaited():
        for one in batches:
            yield one

    return {
        "list": lambda: Stream.from_batches(batches, schema),
        "function": lambda: Stream.from_batches(lambda: iter(batches), schema),
        "async": lambda: Stream.from_batches(awaited, schema),
        "reader of tables": lambda: Stream.from_batches([pa.table(b) for b in batches], schema),
        "map": lambda: count.map(nth, schema),
        "map behind a function": lambda: count.with_columns(k=lambda k: k).map(nth, schema),
        "flat_map": lambda: count.flat_map(lambda given: [nth(given)], schema),
        "flat_map at once": lambda: count.limit(1).flat_map(lambda given: iter(batches), schema),
    }[form]()


FORMS = [
    "list",
    "function",
    "async",
    "reader of tables",
    "map",
    "map behind a function",
    "flat_map",
    "flat_map at once",
]


async def gathered(stream):
    batches = [one async for one in stream]
    return pa.Table.from_batches(batches)


@pytest.mark.parametrize("change", LATER)
@pytest.mark.parametrize("form", FORMS)
def test_what_comes_after_the_first_batch(form, change):
    later, message = LATER[change]
    for schema in (None, INT):
        for form_of in (lambda s: s, lambda s: s.filter(lambda a: True).select("a", "t")):
            for run in (Stream.collect, lambda s: asyncio.run(gathered(s))):
                stream = form_of(made_of(form, [WHOLE, later], schema))
                if message is None:
                    got = run(stream)
                    assert got.schema == INT
                    assert got["a"].to_pylist() == [1, *later["a"].to_pylist()]
                    continue
                fix = (
                    ""
                    if schema is not None
                    else ".*the first batch fixed the schema: declare it with schema="
                )
                with pytest.raises(sb.SchemaError, match=message + fix):
                    run(stream)


@pytest.mark.parametrize("form", FORMS)
def test_a_declared_schema_holds_for_the_first_batch_too(form):
    for first, expected in ((NULL, [None]), (SMALL, [3]), (WHOLE, [1])):
        got = made_of(form, [first, WHOLE, first], INT).collect()
        assert got.schema == INT
        assert got["a"].to_pylist() == [*expected, 1, *expected]
    for wrong in (FLOAT, TEXT, RENAMED, TURNED, MORE, LESS):
        with pytest.raises(sb.SchemaError, match="does not fit the schema"):
            made_of(form, [wrong], INT).collect()


@pytest.mark.parametrize("form", FORMS)
def test_what_is_null_or_narrow_at_first_stays_so_unless_declared(form):
    for first, kind in ((NULL, "null"), (SMALL, "int8")):
        with pytest.raises(
            sb.SchemaError, match=f"column 'a' is int64, in the schema it is {kind}; .*declare it"
        ):
            made_of(form, [first, WHOLE], None).collect()


@pytest.mark.parametrize("form", FORMS)
def test_empty_batches_have_a_schema_too(form):
    for empty in (WHOLE, NULL, SMALL):
        stream = made_of(form, [WHOLE, empty.slice(0, 0), WHOLE], None)
        assert [one.num_rows for one in stream] == [1, 1]
        assert stream.collect()["a"].to_pylist() == [1, 1]
    with pytest.raises(sb.SchemaError, match="column 'a' is string"):
        made_of(form, [WHOLE, TEXT.slice(0, 0)], None).collect()
    assert made_of(form, [WHOLE.slice(0, 0)], None).collect().num_rows == 0


@pytest.mark.parametrize("form", FORMS)
def test_nulls_where_the_schema_has_none(form):
    strict = pa.schema([pa.field("a", pa.int64(), nullable=False), ("t", pa.string())])
    assert made_of(form, [WHOLE, SMALL], strict).collect().schema == strict
    for wrong in (NULL, batch([None])):
        with pytest.raises(
            sb.SchemaError,
            match="column 'a' has nulls, in the schema it is not null|in the schema it is int64 not null|is null, in the schema",
        ):
            made_of(form, [WHOLE, wrong], strict).collect()


@pytest.mark.parametrize(
    ("given", "declared"),
    [
        (pa.array([1], pa.uint32()), pa.int64()),
        (pa.array([1], pa.int32()), pa.float64()),
        (pa.array(["x"]), pa.large_string()),
        (pa.array([[1]], pa.list_(pa.int8())), pa.list_(pa.int64())),
        (pa.array([{"x": 1}], pa.struct([("x", pa.int8())])), pa.struct([("x", pa.int64())])),
    ],
)
def test_lossless_widening_of_many_types(given, declared):
    one = pa.record_batch({"a": given, "t": ["x"]})
    schema = pa.schema([("a", declared), ("t", pa.string())])
    for form in FORMS:
        got = made_of(form, [one], schema).collect()
        assert got.schema == schema
        assert got["a"].to_pylist() == given.to_pylist()


def test_values_that_do_not_fit_are_refused_rather_than_changed():
    for form in FORMS:
        for kind in (pa.int32(), pa.float64()):  # of which some int64 is no value
            with pytest.raises(
                sb.SchemaError, match=f"column 'a' is int64, in the schema it is {kind}"
            ):
                made_of(form, [WHOLE], pa.schema([("a", kind), ("t", pa.string())])).collect()


def test_a_failing_batch_of_a_function_is_named():
    for form, note in (("map", "in MAP nth"), ("flat_map", "in FLAT_MAP <lambda>")):
        with pytest.raises(sb.SchemaError) as caught:
            made_of(form, [WHOLE, TEXT], INT).collect()
        assert caught.value.__notes__[0].startswith(note)
