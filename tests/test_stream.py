"""Streams end to end: what plain Python would give, whatever runs it and however the rows are cut."""

from __future__ import annotations

import datetime
import decimal
import gc
import itertools
import math
import threading
import weakref

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import (
    BATCHES,
    TABLE,
    THREADS,
    TIERS,
    WAYS,
    Trouble,
    bits,
    column,
    function_report,
    many,
    rows_of,
)

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

# --- the example


def example(a, b):
    return a * b + 1 if b is not None and a > 0 else -a


def test_the_example_fails_at_its_last_row_as_python_does():
    s = Stream.from_table(TABLE).with_columns(
        y=lambda a, b: a * b + 1 if b is not None and a > 0 else -a
    )
    assert s.explain() == (
        "WITH   y = <lambda>(a, b)  compiled, scalar  reads a, b\n"
        "└─ TABLE 4 rows            2 columns\n"
    )
    with pytest.raises(OverflowError):
        pa.array([2**62 * 8 + 1], pa.int64())
    with pytest.raises(sb.IntegerOverflowError) as caught:
        s.collect()
    assert isinstance(caught.value, OverflowError)
    assert str(caught.value) == "<lambda> returned 36893488147419103233, which does not fit 64 bits"
    assert caught.value.__notes__ == [
        "in WITH y = <lambda>(a, b): operator 0, batch 0, row 3: a=4611686018427387904, b=8"
    ]


@pytest.mark.parametrize(("tier", "threads", "batch_size"), WAYS)
def test_the_example_on_rows_that_fit(tier, threads, batch_size):
    with sb.config(tier=tier, threads=threads):
        s = Stream.from_table(TABLE.slice(0, 3), batch_size).with_columns(y=example)
        assert s.collect()["y"].to_pylist() == [5, 2, -3]
    assert function_report(s)["tier"] == tier


# --- forms of Python


def early(i, x):
    if i is None:
        return None
    if i < 0:
        return -1.5
    if x is None:
        return 0.5
    return x


def loops(i):
    if i is None:
        return 0
    total = 0
    for k in range(0, i, 3):
        if k == 9:
            continue
        if k > 30:
            break
        total += k
    else:
        total -= 1000
    n = i
    while n > 0:
        n //= 2
        total += n % 3
        if total > 500:
            return total
    return total


def downward(i):
    last = None
    for k in range(10, 0, -4):
        last = k
    return last if i is None else last + i


def chained(i, x):
    if i is None or x is None:
        return False
    return -20 < i <= 20 and not (x == 0 or 1.5 < x < 3)


def operand(i, x):
    return i and x


def division(i, x):
    if i is None or x is None or i == 0 or x == 0:
        return 0.0
    return x // i + x % i - i / x


def truth(p, i):
    return (p or i is None) and (i != 7)


def mixed(p, x):
    y = 1.0
    if p:
        y = 2.5
        y *= 3.0
    elif p is None:
        y = -0.0
    return y if x is None else y + x


def nothing(i):
    pass


def peeled(i, x):
    total = 0
    for k in range(3):
        total += (x or 0.0) * k
    return total + 0.5


FORMS = [
    early,
    loops,
    downward,
    chained,
    operand,
    division,
    truth,
    mixed,
    nothing,
    peeled,
]


@pytest.mark.parametrize("fn", FORMS)
def test_forms(fn):
    table = many(1100)
    names = fn.__code__.co_varnames[: fn.__code__.co_argcount]
    expected = [fn(*row) for row in zip(*(table[n].to_pylist() for n in names), strict=True)]
    if any(type(value) is float for value in expected):  # then the column is of doubles
        expected = [float(value) if type(value) is int else value for value in expected]
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads):
            s = Stream.from_table(table, batch_size).with_columns(y=fn)
            got = s.collect()["y"].to_pylist()
        assert bits(got) == bits(expected), (tier, threads, batch_size)
        report = function_report(s)
        assert report["mode"] == "compiled"
        assert report["rows_left"] == {}


def test_four_lambdas_on_one_line():
    line = [lambda x: x*1, lambda x: x*1.0, lambda x: x*True, lambda x: -0.0]  # fmt: skip
    s = Stream.from_table(pa.table({"x": [3, -4]}))
    for tier in TIERS:
        with sb.config(tier=tier):
            run = s.with_columns(a=line[0], b=line[1], c=line[2], d=line[3])
            got = run.collect().select(["a", "b", "c", "d"])
        assert got.schema.types == [pa.int64(), pa.float64(), pa.int64(), pa.float64()]
        assert [bits(c.to_pylist()) for c in got] == [
            bits([3, -4]),
            bits([3.0, -4.0]),
            bits([3, -4]),
            bits([-0.0, -0.0]),
        ]
        assert [f["tier"] for f in run.last_run.report["functions"]] == [tier] * 4


def test_boundaries():
    ints = [0, 1, -1, 2**31, -(2**31), 2**53, 2**53 + 1, 2**62, -(2**62), 2**63 - 1, -(2**63)]
    floats = [0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324, 1e308, -1e308, 2.0**53, None]
    table = pa.table({"i": ints, "x": floats})
    for fn in (
        lambda i, x: x is None or i < x,
        lambda i, x: i == x,
        lambda x: x + x,
        lambda x: not x,
    ):
        names = fn.__code__.co_varnames
        args = zip(*(table[n].to_pylist() for n in names), strict=True)
        expected = []
        for row in args:
            try:
                expected.append(fn(*row))
            except TypeError:
                expected.append(TypeError)
        if TypeError in expected:
            with pytest.raises(TypeError) as caught:
                column(table, fn)
            assert f"row {expected.index(TypeError)}:" in caught.value.__notes__[0]
            table = table.slice(0, expected.index(TypeError))
            expected = expected[: len(table)]
        for tier in TIERS:
            with sb.config(tier=tier):
                assert bits(column(table, fn).to_pylist()) == bits(expected)


# --- results and columns


def test_a_column_of_the_same_name_is_replaced_in_its_place():
    s = Stream.from_table(TABLE).with_columns(a=lambda b: b is None, c=lambda a: a > 0)
    assert s.schema == pa.schema([("a", pa.bool_()), ("b", pa.int64()), ("c", pa.bool_())])
    # Both functions read the columns that come in, not each other's.
    assert rows_of(s.collect()) == [
        (False, 4, True),
        (False, 5, False),
        (True, None, True),
        (False, 8, True),
    ]


def test_defaults_and_keyword_only_parameters():
    def fn(a, b=100, *, k=7):
        return a + k + (b or 0)

    table = pa.table({"a": [1, 2], "k": [10, 20]})
    assert column(table, fn).to_pylist() == [111, 122]
    assert column(table.select(["a"]), fn).to_pylist() == [108, 109]
    assert column(TABLE.slice(0, 2), fn).to_pylist() == [12, 10]


def test_defaults_in_cpython():
    unknown = {3: 4}.get

    def fn(a, b=100, *, k=7) -> int:
        unknown(a)
        return a + k + (b or 0)

    table = pa.table({"a": [1, 2], "k": [10, 20]})
    assert column(table, fn).to_pylist() == [111, 122]
    assert column(table.select(["a"]), fn).to_pylist() == [108, 109]


def test_no_column_is_needed():
    assert column(TABLE, lambda: 5).to_pylist() == [5] * 4
    assert column(TABLE, lambda a=3: a).to_pylist() == TABLE["a"].to_pylist()


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows(rows, batch_size):
    s = Stream.from_table(TABLE.slice(0, rows), batch_size).with_columns(y=example, z=lambda a: 0.5)
    got = s.filter(lambda a: a > 5).collect()
    assert got.schema.names == ["a", "b", "y", "z"]
    assert got.schema.types == [pa.int64(), pa.int64(), pa.int64(), pa.float64()]
    assert (got.num_rows, s.count()) == (0, rows)


def test_a_table_without_chunks():
    table = pa.schema([("a", pa.int64())]).empty_table()
    table = pa.Table.from_batches([], table.schema)
    s = Stream.from_table(table).with_columns(y=lambda a: a + 1)
    assert s.collect().schema.names == ["a", "y"]
    assert list(s) == []
    assert s.count() == 0


def test_batches_without_rows_among_others():
    schema = TABLE.schema
    empty = pa.RecordBatch.from_pylist([], schema=schema)
    full = TABLE.slice(0, 3).to_batches()[0]
    table = pa.Table.from_batches([empty, full, empty, empty, full, empty])
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads):
            assert column(table, example, batch_size).to_pylist() == [5, 2, -3] * 2


def test_a_table_without_columns():
    table = pa.table({"a": [1, 2, 3]}).select([])
    assert Stream.from_table(table).collect().schema.names == []
    with pytest.raises(sb.UnknownColumnError):
        Stream.from_table(table).with_columns(y=lambda a, b: a)


def test_slices_and_offsets():
    table = many(3000)
    fn = lambda i, x, p: None if i is None or x is None else (i if p else x)
    whole = column(table, fn).to_pylist()
    for start, size in ((1, 7), (3, 8), (63, 65), (64, 64), (997, 1500), (2999, 1), (3000, 0)):
        piece = table.slice(start, size)
        for tier in TIERS:
            with sb.config(tier=tier):
                assert bits(column(piece, fn).to_pylist()) == bits(whole[start : start + size])
                kept = Stream.from_table(piece).filter(lambda i: i is not None and i > 0).collect()
                assert kept == piece.filter(pc.greater(piece["i"], 0))


def test_a_record_batch_is_a_table_of_one():
    batch = TABLE.slice(0, 3).to_batches()[0]
    assert column(batch, example).to_pylist() == [5, 2, -3]


def test_batch_sizes_are_kept():
    s = Stream.from_table(many(5000).combine_chunks(), 2048).with_columns(y=lambda i: i)
    assert [b.num_rows for b in s] == [2048, 2048, 904]


def test_select():
    s = Stream.from_table(TABLE).with_columns(y=lambda a: a > 0).select("y", "a")
    assert s.schema == pa.schema([("y", pa.bool_()), ("a", pa.int64())])
    assert s.collect().column_names == ["y", "a"]
    with pytest.raises(sb.UnknownColumnError, match="there is no column 'aa'; did you mean 'a'"):
        s.select("aa")


# --- types that pass through


def scalars_of_many_types():
    day, moment = datetime.date(2020, 2, 29), datetime.datetime(2020, 2, 29, 23, 59, 59, 999999)
    return {
        "utf8": (pa.string(), ["a", "", "ä€😀", None]),
        "large_utf8": (pa.large_string(), ["a", "", "ä€😀", None]),
        "binary": (pa.binary(), [b"a", b"", b"\x00\xff", None]),
        "large_binary": (pa.large_binary(), [b"a", b"", b"\x00\xff", None]),
        "string_view": (pa.string_view(), ["a", "a string of more than twelve bytes", "", None]),
        "fixed": (pa.binary(3), [b"abc", b"def", b"\x00\x00\x00", None]),
        "int8": (pa.int8(), [1, -128, 127, None]),
        "uint64": (pa.uint64(), [1, 0, 2**64 - 1, None]),
        "float32": (pa.float32(), [1.5, -0.0, math.inf, None]),
        "float16": (pa.float16(), [1.5, -0.0, 2.0, None]),
        "date32": (pa.date32(), [day, day, day, None]),
        "date64": (pa.date64(), [day, day, day, None]),
        "time": (pa.time64("us"), [datetime.time(1, 2, 3, 4), datetime.time(0), None, None]),
        "timestamp": (pa.timestamp("us"), [moment, moment, moment, None]),
        "zoned": (pa.timestamp("ns", "Europe/Berlin"), [0, 10**18, -1000, None]),
        "duration": (pa.duration("ms"), [1, -1, 0, None]),
        "decimal": (pa.decimal128(10, 2), [decimal.Decimal("1.25"), decimal.Decimal("-9.99"), None, None]),
        "decimal256": (pa.decimal256(50, 2), [decimal.Decimal("1.25"), None, None, None]),
        "list": (pa.list_(pa.int64()), [[1, None], [], [3], None]),
        "list_of_text": (pa.list_(pa.string()), [["a", None], [], ["ccc"], None]),
        "large_list": (pa.large_list(pa.float64()), [[1.0], [], [3.0, 4.0], None]),
        "fixed_list": (pa.list_(pa.int32(), 2), [[1, 2], [3, None], [5, 6], None]),
        "struct": (
            pa.struct([("p", pa.int64()), ("q", pa.string())]),
            [{"p": 1, "q": "x"}, {"p": None, "q": "yy"}, {"p": 3, "q": None}, None],
        ),
        "map": (pa.map_(pa.string(), pa.int64()), [[("k", 1)], [], [("a", 2), ("b", None)], None]),
        "dictionary": (pa.dictionary(pa.int8(), pa.string()), ["x", "y", "x", None]),
        "null": (pa.null(), [None, None, None, None]),
        "bool": (pa.bool_(), [True, False, True, None]),
        "binary_view": (pa.binary_view(), [b"a", b"more than twelve bytes", b"", None]),
        "list_view": (pa.list_view(pa.int64()), [[1, None], [], [3], None]),
        "large_list_view": (pa.large_list_view(pa.string()), [["a", None], [], ["ccc"], None]),
        "list_of_views": (pa.list_(pa.string_view()), [["more than twelve bytes"], [], [None], None]),
    }  # fmt: skip


def table_of(type_, values, copies=5):
    """Many copies, in slices with offsets that are no multiple of eight."""
    array = pa.array(values, type_)
    whole = pa.chunked_array([array] * copies).combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks)
    table = pa.table({"k": list(range(len(whole))), "other": whole})
    return pa.concat_tables([table.slice(3, 6), table.slice(1, 2), table.slice(9, 11)])


TYPES = scalars_of_many_types()


@pytest.mark.parametrize("name", TYPES)
def test_other_types_pass_with_columns(name):
    table = table_of(*TYPES[name])
    for batch_size in (1, 4, None):
        got = Stream.from_table(table, batch_size).with_columns(y=lambda k: k + 1).collect()
        got.validate(full=True)
        assert got.schema == table.schema.append(pa.field("y", pa.int64()))
        assert got["other"].to_pylist() == table["other"].to_pylist()
        assert got["y"].to_pylist() == [k + 1 for k in table["k"].to_pylist()]


def test_unions_and_runs_pass_filter():
    ends, words = pa.array([2, 5, 9], pa.int32()), pa.array(["a", None, "c"])
    ids = pa.array([5, 2, 2, 5, 5, 2, 5, 2, 5], pa.int8())
    offsets = pa.array([0, 0, 1, 1, 2, 2, 3, 3, 4], pa.int32())
    children = [pa.array(range(9)), pa.array([str(i) for i in range(9)])]
    parts = [child.slice(0, length) for child, length in zip(children, (5, 4), strict=True)]
    table = pa.table({
        "k": list(range(9)),
        "runs": pa.RunEndEncodedArray.from_arrays(ends, words),
        "sparse": pa.UnionArray.from_sparse(ids, children, ["p", "q"], [5, 2]),
        "dense": pa.UnionArray.from_dense(ids, offsets, parts, ["p", "q"], [5, 2]),
    })  # fmt: skip
    for batch_size in (1, 4, None):
        got = Stream.from_table(table, batch_size).filter(lambda k: k % 3 != 1).collect()
        got.validate(full=True)
        assert got.schema == table.schema
        for name in table.column_names:
            rows = enumerate(table[name].to_pylist())
            assert got[name].to_pylist() == [row for k, row in rows if k % 3 != 1]


@pytest.mark.parametrize("name", TYPES)
def test_other_types_pass_filter(name):
    table = table_of(*TYPES[name])
    pairs = zip(table["k"].to_pylist(), table["other"].to_pylist(), strict=True)
    expected = [other for k, other in pairs if k % 4 != 1]
    for batch_size in (1, 4, None):
        s = Stream.from_table(table, batch_size).filter(lambda k: k % 4 != 1)
        got = s.collect()
        got.validate(full=True)
        assert got.schema == table.schema
        assert got["other"].to_pylist() == expected
        assert s.with_columns(k=lambda k: -k).collect()["other"].to_pylist() == expected


@pytest.mark.parametrize("name", TYPES)
def test_other_types_pass_map_and_come_back(name):
    table = table_of(*TYPES[name])
    got = Stream.from_table(table, 4).map(lambda batch: batch).collect()
    assert got.to_pylist() == table.to_pylist()


@pytest.mark.parametrize("name", TYPES)
def test_other_types_are_arguments_in_cpython(name):
    table = table_of(*TYPES[name])
    seen = []

    def fn(other) -> int:
        seen.append(other)
        return len(seen)

    with sb.config(threads=2):
        got = column(table, fn, 4).to_pylist()
    assert got == list(range(1, len(table) + 1))
    assert seen == table["other"].to_pylist()


def test_schema_metadata_and_field_flags():
    schema = pa.schema(
        [
            pa.field("a", pa.int64(), nullable=False, metadata={"unit": "m"}),
            pa.field("b", pa.string(), metadata={"x": "y"}),
        ],
        metadata={"who": "me"},
    )
    table = pa.table({"a": [1, 2], "b": ["x", None]}, schema=schema)
    got = Stream.from_table(table).filter(lambda a: a > 1).collect()
    assert got.schema.equals(schema, check_metadata=True)


def test_extension_types_keep_their_name():
    storage = pa.array([b"0123456789abcdef"] * 3, pa.binary(16))
    table = pa.table({"k": [1, 2, 3], "u": pa.ExtensionArray.from_storage(pa.uuid(), storage)})
    got = Stream.from_table(table).filter(lambda k: k != 2).collect()
    assert got.schema == table.schema
    assert got["u"].to_pylist() == table["u"].to_pylist()[:2]


# --- filter


@pytest.mark.parametrize(("tier", "threads", "batch_size"), WAYS)
def test_filter(tier, threads, batch_size):
    table = many()
    fn = lambda i, x: i > 10 if i is not None and x is not None else None
    expected = table.filter(
        pa.array([bool(fn(i, x)) for i, x in zip(table["i"].to_pylist(), table["x"].to_pylist())])
    )
    with sb.config(tier=tier, threads=threads):
        s = Stream.from_table(table, batch_size).filter(fn)
        assert s.schema == table.schema
        got = s.collect()
        assert got.to_pylist() == expected.to_pylist()
        assert s.count() == len(expected)


def test_filter_by_a_column_of_bool():
    table = pa.table({"p": [True, None, False, True], "k": [0, 1, 2, 3]})
    assert Stream.from_table(table).filter(lambda p: p).collect()["k"].to_pylist() == [0, 3]
    assert Stream.from_table(table).filter(lambda p: not p).collect()["k"].to_pylist() == [1, 2]


def test_filter_keeps_what_is_true_and_drops_none():
    table = pa.table({"a": [0, 1, 2, None]})
    keep = [1, 2]
    for fn in (lambda a: a, lambda a: a * 0.5 if a is not None else None):
        assert Stream.from_table(table).filter(fn).collect()["a"].to_pylist() == keep


def test_filter_of_all_and_none():
    for keep, rows in ((True, 4), (False, 0)):
        for batch_size in BATCHES:
            s = Stream.from_table(TABLE, batch_size).filter(lambda a: keep)
            assert s.count() == rows
            assert s.collect() == TABLE.slice(0, rows)


def test_filter_in_cpython():
    table = pa.table({"t": ["apple", "Bean", None, "carrot"]})
    s = Stream.from_table(table, 2).filter(lambda t: t is not None and t.islower())
    assert s.collect()["t"].to_pylist() == ["apple", "carrot"]


def test_filter_wants_truth_only():
    table = pa.table({"a": [0, 1, -3, None, 2**62], "t": ["", "a", "b", "", "c"]})
    cases = [
        (lambda a: a * 4 if a is not None else None, [1, -3, 2**62]),
        (lambda a: a * 4 if a and a > 5 else 0.5, [0, 1, -3, None, 2**62]),
        (lambda a: a if a is None or a > 0 else False, [1, 2**62]),
        (lambda t: t, [1, -3, 2**62]),
        (lambda t: [t] if t else [], [1, -3, 2**62]),
        (lambda t: t.find("b"), [0, 1, None, 2**62]),
        (lambda a: None, []),
    ]
    for fn, expected in cases:
        for tier, threads, batch_size in WAYS:
            with sb.config(tier=tier, threads=threads):
                got = Stream.from_table(table, batch_size).filter(fn).collect()["a"].to_pylist()
            assert got == expected
        with sb.config(compile="off"):
            assert Stream.from_table(table).filter(fn).collect()["a"].to_pylist() == expected


def test_filter_on_a_value_without_truth():
    class Fog:
        def __bool__(self):
            raise Trouble("no", "truth")

    with pytest.raises(Trouble) as caught:
        Stream.from_table(TABLE).filter(lambda a: Fog() if a == 3 else a).collect()
    assert caught.value.__notes__ == ["in FILTER <lambda>(a): operator 0, batch 0, row 2: a=3"]


def test_filter_annotated_otherwise():
    def fn(a) -> str:
        return "x" * (a > 0)

    def none(a) -> None:
        return a > 0

    assert Stream.from_table(TABLE).filter(fn).count() == 3
    with pytest.raises(sb.TypeMismatchError):
        Stream.from_table(TABLE).filter(none)


def test_filter_by_a_batch_function():
    s = Stream.from_table(many(), 100).filter(lambda batch: pc.greater(batch["i"], 0))
    table = many()
    assert s.collect().to_pylist() == table.filter(pc.greater(table["i"], 0)).to_pylist()
    assert s.schema == table.schema


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda batch: pa.array([1] * batch.num_rows), "array of int64, not of bool"),
        (lambda batch: pa.array([True]), "1 values for 4 rows"),
        (lambda batch: batch.num_rows > 0, "returned bool, not a Boolean array"),
        (lambda batch: batch.schema and None, "returned NoneType, not a Boolean array"),
    ],
)
def test_filter_by_a_batch_function_that_gives_no_mask(fn, message):
    with pytest.raises(sb.DataError, match=message) as caught:
        Stream.from_table(TABLE).filter(fn).collect()
    assert "batch 0, rows 0 to 3" in caught.value.__notes__[0]


# --- map


def doubled(batch: pa.RecordBatch):
    return batch.set_column(0, "a", pc.multiply(pc.bit_wise_and(batch["a"], 255), 2))


@pytest.mark.parametrize(
    "fn",
    [
        doubled,
        lambda batch: pa.Table.from_batches([doubled(batch)]),
        lambda batch: {name: doubled(batch)[name] for name in batch.schema.names},
        lambda batch: pa.Table.from_batches([doubled(batch.slice(0, 1)), doubled(batch.slice(1))]),
    ],
)  # fmt: skip
def test_map_results(fn):
    for batch_size in (1, 3, None):
        s = Stream.from_table(TABLE, batch_size).map(fn)
        assert s.schema in (None, TABLE.schema)
        got = s.collect()
        assert got["a"].to_pylist() == [2, 508, 6, 0]
        assert got["b"].to_pylist() == [4, 5, None, 8]


def test_map_gets_the_batches_as_they_come_and_in_order():
    sizes = []

    def fn(batch: pa.RecordBatch):
        sizes.append(batch.num_rows)
        return batch

    with sb.config(threads=2):
        got = Stream.from_table(many()).with_columns(y=lambda i: i).map(fn).collect()
    assert sizes == [1, 1, 7, 0, 61, 430, 3, 4497]
    assert got["y"].to_pylist() == many()["i"].to_pylist()


def test_map_with_a_schema():
    schema = pa.schema([("n", pa.int64()), ("t", pa.string())])
    fn = lambda batch: {"n": [batch.num_rows], "t": pa.nulls(1)}
    s = Stream.from_table(TABLE, 3).map(fn, schema=schema)
    assert s.schema == schema
    later = s.with_columns(m=lambda n: n + 1).filter(lambda m: m > 2)
    assert rows_of(later.collect()) == [(3, None, 4)]


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda batch: {"n": [1.5] * batch.num_rows}, "column 'n' is double, in the schema it is int64"),
        (lambda batch: {"m": [1] * batch.num_rows}, r"'n' \(int64\) is missing; column 'm' \(int64\) is not in"),
    ],
)  # fmt: skip
def test_map_that_breaks_its_schema(fn, message):
    with pytest.raises(sb.SchemaError, match=message):
        Stream.from_table(TABLE).map(fn, schema=pa.schema([("n", pa.int64())])).collect()


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "returned None; a map function returns a batch"),
        (5, r"returned int; .*; for a new column use with_columns\(name=fn\)"),
        ("x", r"returned str; .*with_columns"),
        ([1], "returned list; a map function returns"),
    ],
)
def test_map_results_that_are_no_batch(result, message):
    def fn(batch: pa.RecordBatch):
        return result

    with pytest.raises(sb.DataError, match=message) as caught:
        Stream.from_table(TABLE, 2).map(fn).collect()
    assert caught.value.__notes__ == ["in MAP fn(batch): operator 0, batch 0, rows 0 to 1"]


def test_a_scalar_function_in_map_says_with_columns():
    with pytest.raises(sb.PlanError, match=r"use with_columns\(name=example\)"):
        Stream.from_table(TABLE).map(example)


def test_after_a_map_without_schema_operators_bind_with_its_first_batch():
    s = Stream.from_table(TABLE, 2).map(lambda batch: batch)
    assert s.filter(lambda batch: pc.greater(batch["a"], 0)).collect()["a"].to_pylist() == [
        1,
        3,
        2**62,
    ]
    later = (
        s.filter(lambda a: a < 9).with_columns(y=lambda a: -a).map(lambda batch: batch).drop("b")
    )
    assert later.schema is None
    assert later.select("y", "a").collect().to_pydict() == {"y": [-1, 2, -3], "a": [1, -2, 3]}
    for wrong in (s.with_columns(y=lambda a, c: a), s.filter(lambda c, a: a), s.select("c")):
        with pytest.raises(sb.UnknownColumnError, match="'c'"):
            wrong.collect()
    nothing = s.filter(lambda batch: pc.less(batch["a"], -9)).map(lambda batch: batch)
    assert nothing.select("whatever").collect() == pa.table({})


def test_map_may_change_its_schema_only_before_the_first_batch():
    def fn(batch: pa.RecordBatch):
        return {"n": [batch.num_rows if batch.num_rows > 1 else "one"]}

    with pytest.raises(sb.SchemaError, match="'n' is string, in the schema it is int64; the first"):
        Stream.from_table(TABLE, 3).map(fn).collect()


def test_map_that_drops_rows():
    fn = lambda batch: batch.slice(0, 1)
    assert Stream.from_table(TABLE, 2).map(fn).collect()["a"].to_pylist() == [1, 3]
    assert Stream.from_table(TABLE, 2).map(lambda batch: batch.slice(0, 0)).count() == 0


def test_an_untouched_batch_is_not_copied():
    before = pa.total_allocated_bytes()
    table = pa.table({"a": list(range(100_000))})
    held = pa.total_allocated_bytes()
    got = Stream.from_table(table).map(lambda batch: batch).collect()
    assert pa.total_allocated_bytes() - held < (held - before) / 10
    assert got["a"].chunk(0).buffers()[1].address == table["a"].chunk(0).buffers()[1].address


# --- functions that CPython runs


def test_text_in_and_out():
    def fn(t: str, n: int) -> str:
        return None if t is None else t.upper() * n + "ß"

    table = pa.table({"t": ["ab", "", None, "ä€😀"], "n": [2, 1, 0, 1]})
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads):
            s = Stream.from_table(table, batch_size).with_columns(y=fn)
            assert s.schema.field("y").type == pa.string()
            assert s.collect()["y"].to_pylist() == ["ABABß", "ß", None, "Ä€😀ß"]


@pytest.mark.parametrize(
    ("annotation", "type_", "value"),
    [
        (int, pa.int64(), 2**62),
        (float, pa.float64(), 0.5),
        (bool, pa.bool_(), True),
        (str, pa.string(), "x"),
        (None, pa.null(), None),
        ("int | None", pa.int64(), None),
    ],
)
def test_annotated_results(annotation, type_, value):
    def fn(a):
        return [value].pop()

    fn.__annotations__["return"] = annotation
    got = column(TABLE, fn, 3)
    assert got.type == type_
    assert bits(got.to_pylist()) == bits([value] * 4)


def test_a_result_whose_type_cannot_be_told():
    with pytest.raises(sb.PlanError, match="annotation"):
        Stream.from_table(TABLE).with_columns(y=lambda a: [a].pop())


def test_results_of_no_common_type():
    with pytest.raises(
        sb.TypeMismatchError, match="returns bool .* and int .*no Arrow type holds both"
    ):
        Stream.from_table(TABLE).with_columns(y=lambda a: 1 if a > 0 else True)


def test_an_annotation_that_disagrees():
    def fn(a) -> float:
        return a + 1

    with pytest.raises(sb.TypeMismatchError, match="says double, .* returns int64"):
        Stream.from_table(TABLE).with_columns(y=fn)


class Odd(int):
    pass


@pytest.mark.parametrize(
    ("annotation", "value", "error"),
    [
        (int, 1.5, sb.CastError),
        (int, True, sb.CastError),
        (int, "1", sb.CastError),
        (int, 2**63, sb.IntegerOverflowError),
        (int, -(2**63) - 1, sb.IntegerOverflowError),
        (float, 2**53 + 1, sb.IntegerOverflowError),
        (float, 10**400, sb.IntegerOverflowError),
        (float, True, sb.CastError),
        (float, "1.0", sb.CastError),
        (bool, 1, sb.CastError),
        (str, b"x", sb.CastError),
        (str, 5, sb.CastError),
        (None, 5, sb.CastError),
        (str, "\ud800", sb.CastError),
    ],
)
def test_results_that_do_not_fit(annotation, value, error):
    def fn(a):
        return [value if a == 3 else None].pop()

    fn.__annotations__["return"] = annotation
    for batch_size in BATCHES:
        with pytest.raises(sb.CastError) as caught:
            column(TABLE, fn, batch_size)
        assert type(caught.value) is error
        assert "row 2: " in caught.value.__notes__[0]


def test_results_that_fit_exactly():
    def fn(a) -> float:
        return [[2**53, -(2**53), 0, Odd(7)][a]].pop()

    assert bits(column(pa.table({"a": [0, 1, 2, 3]}), fn).to_pylist()) == bits(
        [2.0**53, -(2.0**53), 0.0, 7.0]
    )


# --- rows that leave


def test_rows_that_leave_are_counted_while_others_stay():
    rows = 10_000
    values = [2**62 if k % 100 == 7 else k for k in range(rows)]
    fn = lambda a: -1 if a * 4 > 9000000000000000000 else a * 4
    for tier, threads, batch_size in itertools.product(TIERS, THREADS, (2048, None)):
        with sb.config(tier=tier, threads=threads):
            s = Stream.from_table(pa.table({"a": values}), batch_size).with_columns(y=fn)
            assert s.collect()["y"].to_pylist() == [fn(a) for a in values]
        report = function_report(s)
        assert report["rows"] == rows
        assert report["rows_left"] == {"overflow": 100}
        assert report[f"rows_{tier}"] == rows
    told = sb.explain(fn, {"a": pa.int64()})
    assert told.rows_left["overflow"] >= 100
    assert "left for CPython: " in str(told)


def test_reasons_to_leave():
    table = pa.table({"i": [0, 3, None, 2**62], "x": [0.0, 1.0, None, 2.0]})
    cases = [
        (lambda i: i * 4 > 5 if i is not None else None, {"overflow": 1}),
        (lambda i: i == 0 or 6 // i > 1 if i is not None else None, {}),
    ]
    for fn, left in cases:
        s = Stream.from_table(table).with_columns(y=fn)
        assert s.collect()["y"].to_pylist() == [fn(i) for i in table["i"].to_pylist()]
        assert function_report(s)["rows_left"] == left


# --- chains


@pytest.mark.parametrize(("tier", "threads", "batch_size"), WAYS)
def test_a_chain(tier, threads, batch_size):
    def text(i) -> str:
        return format(i, "d")

    def odd(batch: pa.RecordBatch):
        return batch.filter(pc.not_equal(batch["w"], 5.0))

    def plain(rows):
        for i, x, p in rows:
            if i is not None and i > -30:
                y = i * 2 + (1 if p else 0)
                if y % 3:
                    w = y / 2
                    if w != 5.0:
                        yield i, x, p, y, w, format(i, "d")

    table = many(700)
    schema = table.schema
    for name, type_ in (("y", pa.int64()), ("w", pa.float64()), ("t", pa.string())):
        schema = schema.append(pa.field(name, type_))
    with sb.config(tier=tier, threads=threads):
        s = (
            Stream.from_table(table, batch_size)
            .filter(lambda i: i is not None and i > -30)
            .with_columns(y=lambda i, p: i * 2 + (1 if p else 0))
            .filter(lambda y: y % 3)
            .with_columns(w=lambda y: y / 2, t=text)
            .map(odd, schema=schema)
        )
        assert rows_of(s.collect()) == list(plain(rows_of(table)))
        assert rows_of(s.filter(lambda w: w > 3.0).collect()) == [
            row for row in plain(rows_of(table)) if row[4] > 3.0
        ]


def test_a_long_chain():
    s = Stream.from_table(pa.table({"a": [1, 2, 3]}))
    for _ in range(60):
        s = s.with_columns(a=lambda a: a + 1)
    assert s.collect()["a"].to_pylist() == [61, 62, 63]


def test_many_columns_and_many_arguments():
    width = 200
    table = pa.table({f"c{k}": [k, k + 1] for k in range(width)})
    names = ", ".join(table.column_names)
    text = f"lambda {names}: {' + '.join(table.column_names)}"
    fn = eval(text)  # no source: CPython runs it
    fn.__annotations__["return"] = int
    s = Stream.from_table(table).with_columns(y=fn)
    assert s.collect()["y"].to_pylist() == [sum(range(width)), sum(range(1, width + 1))]
    s = Stream.from_table(table).with_columns(
        **{f"d{k}": (lambda c0: c0 * 2) for k in range(width)}
    )
    assert s.collect().num_columns == 2 * width


# --- running


def test_the_same_stream_runs_again():
    s = Stream.from_table(TABLE.slice(0, 3), 1).with_columns(y=example)
    assert s.last_run is None
    first = s.collect()
    assert s.collect() == first
    one, two = iter(s), iter(s)
    pairs = list(zip(one, two, strict=True))
    assert all(a == b for a, b in pairs)
    assert len(pairs) == 3


def test_a_run_inside_its_own_function():
    def fn(a) -> int:
        return s.with_columns(y=lambda a: a + 1).collect()["y"].to_pylist()[0] + a

    s = Stream.from_table(pa.table({"a": [1, 2, 3]}), 2)
    for threads in THREADS:
        with sb.config(threads=threads):
            assert s.with_columns(y=fn).collect()["y"].to_pylist() == [3, 4, 5]


def test_an_iterator_used_by_its_own_function():
    def fn(a) -> int:
        return next(running).num_rows

    running = iter(Stream.from_table(TABLE).with_columns(y=fn))
    with pytest.raises((ValueError, sb.StateError)):
        next(running)


def test_breaking_off():
    for threads, batch_size in itertools.product(THREADS, (1, 100)):
        with sb.config(threads=threads):
            s = Stream.from_table(many(), batch_size).with_columns(y=lambda i: i)
            for batch in s:
                assert batch.num_rows == min(batch_size, 1)
                break
            running = iter(s)
            next(running)
            next(running)
            running.close()
            del running
            assert s.count() == 5000


def test_iterators_left_to_the_collector():
    s = Stream.from_table(many(), 10).with_columns(y=lambda i: i)
    held = [iter(s) for _ in range(10)]
    for running in held:
        next(running)
    del held, running
    gc.collect()
    assert s.count() == 5000


def test_streams_on_several_threads():
    table = many()
    expected = [None if i is None else i * 3 for i in table["i"].to_pylist()]
    s = Stream.from_table(table, 100).with_columns(y=lambda i: None if i is None else i * 3)
    wrong = []

    def work(own):
        try:
            for _ in range(5):
                stream = s
                if own:
                    stream = Stream.from_table(table, 64).with_columns(
                        y=lambda i: None if i is None else i * 3
                    )
                if stream.collect()["y"].to_pylist() != expected:
                    wrong.append("different")
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(k % 2,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_nothing_is_leaked():
    class Thing:
        pass

    def runs():
        thing = Thing()
        weak.append(weakref.ref(thing))

        def text(i, thing=thing) -> str:
            return "x" if thing else "y"

        table = many()
        s = Stream.from_table(table, 100).with_columns(
            y=lambda i: None if i is None else i * 2,
            t=text,
        )
        s = s.filter(lambda y: y is not None).map(lambda batch: batch)
        s.collect()
        for _ in s:
            break
        with pytest.raises(ZeroDivisionError):
            Stream.from_table(table).with_columns(z=lambda p: 1 // 0 if p else 1).collect()
        iter(s)
        cycle = [iter(s)]
        cycle.append(cycle)
        next(cycle[0])

    weak: list = []
    runs()
    gc.collect()
    before = pa.total_allocated_bytes()
    for _ in range(5):
        runs()
    gc.collect()
    assert pa.total_allocated_bytes() == before
    assert all(ref() is None for ref in weak)
