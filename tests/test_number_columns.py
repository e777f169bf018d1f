"""Columns of every number type, of dates and timestamps: compiled functions against CPython, row by row."""

import datetime as dt
import itertools
import math
import struct

import pyarrow as pa
import pytest
from support import TIERS, bits, cell, function_report

import sabot as sb
from sabot import Stream

INTS = {
    "int8": (pa.int8(), -(2**7), 2**7 - 1),
    "int16": (pa.int16(), -(2**15), 2**15 - 1),
    "int32": (pa.int32(), -(2**31), 2**31 - 1),
    "int64": (pa.int64(), -(2**63), 2**63 - 1),
    "uint8": (pa.uint8(), 0, 2**8 - 1),
    "uint16": (pa.uint16(), 0, 2**16 - 1),
    "uint32": (pa.uint32(), 0, 2**32 - 1),
    "uint64": (pa.uint64(), 0, 2**64 - 1),
}
FLOATS = {
    "half": (pa.float16(), "<e", [65504.0, 2.0**-24, 2.0**-14, -2049 / 1024]),
    "float": (pa.float32(), "<f", [3.4028234663852886e38, 1e-45, 16777217.0, 0.1]),
    "double": (pa.float64(), "<d", [1.7976931348623157e308, 5e-324, 2.0**53 + 2, 0.1]),
}
SECOND, DAY = 10**6, 86400
FIRST_S, LAST_S = -62135596800, 253402300799  # of the years 1 and 9999
UNITS = {"s": 1, "ms": 1000, "us": SECOND}
WAYS = [("off", tier) for tier in TIERS[:1]] + [("auto", tier) for tier in TIERS]


def with_nulls(values, rows=2300):
    """The values over and over, every fifth one None, in more rows than a vector has."""
    turns = itertools.cycle(values)
    return [None if k % 5 == 3 else next(turns) for k in range(rows)]


def layouts(values, type):
    """The same rows in one piece, in chunks that are slices with offsets, a slice that ends inside of its buffer; none; all null."""
    whole = pa.array(values, type)
    cuts = [0, 1, 2, 9, 9, 70, 500, 503, len(values)]
    yield pa.chunked_array([whole])
    yield pa.chunked_array(
        [pa.concat_arrays([whole[:a], whole])[a:][a:b] for a, b in itertools.pairwise(cuts)]
    )
    yield pa.chunked_array([whole[3:-5]])
    yield pa.chunked_array([whole[:0]], type)
    yield pa.chunked_array([pa.nulls(40, type)])
    yield pa.chunked_array([whole.drop_null()])


def expected(fn, *columns):
    return [fn(*row) for row in zip(*columns, strict=True)]


def compiled_rows(stream, index=0):
    report = function_report(stream, index)
    assert report["mode"] == "compiled", report
    return report["rows"] - sum(report["rows_left"].values())


def check(table, fn, way, left=0):
    """Equal in type and value to CPython; every row but `left` of them ran compiled."""
    compile, tier = way
    names = fn.__code__.co_varnames[: fn.__code__.co_argcount]
    with sb.config(compile=compile, tier=tier):
        stream = Stream.from_table(table).with_columns(y=fn)
        made = stream.collect()["y"].to_pylist()
        report = stream.last_run.report
    wanted = expected(fn, *(table[name].to_pylist() for name in names))
    assert bits(made) == bits(wanted)
    if compile == "off" or table.num_rows == 0:
        return
    function = report["functions"][0]
    assert function["mode"] == "compiled", function
    assert function["rows"] == table.num_rows
    if left is not None:
        assert sum(function["rows_left"].values()) == left


# --- integers


def null_free_sum(a, b):
    return None if a is None or b is None else a + b * 3 - 7


def quotient(a, b):
    return None if a is None or b is None or b == 0 else a / b


def remainder(a, b):
    return -1 if a is None or b is None or b == 0 else a // b + a % b


def negative(a):
    return None if a is None else -a


def compared(a, b):
    return a is not None and b is not None and (a < b or a == b + 1 or a != 5)


def truth(a):
    return 1 if a else 0


def unchanged(a):
    return a


INT_FUNCTIONS = [null_free_sum, quotient, remainder, negative, compared, truth, unchanged]


def int_values(name):
    _, low, high = INTS[name]
    if name in ("int64", "uint64"):  # what leaves there is tested on its own
        low, high = max(low, -(2**60)), 2**60
    return [low, high, 0, 1, low + 1, high - 1, high // 2, high // 3]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", INTS)
def test_integers(name, way):
    type = INTS[name][0]
    values = int_values(name)
    first, second = with_nulls(values), with_nulls(values[::-1][:7])
    for one, other in zip(layouts(first, type), layouts(second, type), strict=True):
        rows = min(len(one), len(other))
        table = pa.table({"a": one.slice(0, rows), "b": other.slice(0, rows)})
        for fn in INT_FUNCTIONS:
            check(table, fn, way, left=None if name in ("int64", "uint64") else 0)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", ["int8", "int16", "int32", "uint8", "uint16", "uint32"])
def test_narrow_integers_do_not_wrap(name, tier):
    type, low, high = INTS[name]
    table = pa.table({"a": pa.array([low, high, None, high], type)})
    with sb.config(tier=tier):
        stream = Stream.from_table(table).with_columns(
            y=lambda a: None if a is None else a * 300 + a
        )
        made = stream.collect()["y"]
    assert made.type == pa.int64()
    wanted = [None if v is None else v * 300 + v for v in (low, high, None, high)]
    assert made.to_pylist() == wanted
    assert compiled_rows(stream) == 4


@pytest.mark.parametrize("tier", TIERS)
def test_large_uint64_leaves(tier):
    values = [0, 2**63 - 1, 2**63, None, 2**64 - 1, 7]
    table = pa.table({"a": pa.array(values * 50, pa.uint64())})

    def half(a):
        return None if a is None else a // 4

    def above(a):
        return a is not None and a > 9223372036854775807

    for fn in (half, above):
        with sb.config(tier=tier):
            stream = Stream.from_table(table).with_columns(y=fn)
            made = stream.collect()["y"].to_pylist()
        assert made == expected(fn, values * 50)
        report = function_report(stream)
        assert report["rows_left"] == {"overflow": 100}
        assert compiled_rows(stream) == 200


# --- floats


def float_values(name):
    _, code, extra = FLOATS[name]
    values = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.5, -2.25, *extra]
    return [struct.unpack(code, struct.pack(code, value))[0] for value in values]


def float_sum(a, b):
    return None if a is None or b is None else a + b * 0.1


def float_quotient(a, b):
    return None if a is None or b is None or b == 0 else a / b


def float_compared(a, b):
    return a is not None and b is not None and (a < b or a == 1.5 or a != b)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", FLOATS)
def test_floats(name, way):
    type = FLOATS[name][0]
    values = float_values(name)
    first, second = with_nulls(values), with_nulls(values[::-1][:7])
    for one, other in zip(layouts(first, type), layouts(second, type), strict=True):
        rows = min(len(one), len(other))
        table = pa.table({"a": one.slice(0, rows), "b": other.slice(0, rows)})
        for fn in (float_sum, float_quotient, float_compared, truth, negative, unchanged):
            check(table, fn, way)


def test_every_half_float_is_widened_exactly():
    data = b"".join(struct.pack("<H", k) for k in range(2**16))
    column = pa.Array.from_buffers(pa.float16(), 2**16, [None, pa.py_buffer(data)])
    table = pa.table({"a": column})
    wanted = [struct.unpack("<e", struct.pack("<H", k))[0] for k in range(2**16)]
    for compile in ("auto", "off"):
        with sb.config(compile=compile):
            stream = Stream.from_table(table).with_columns(y=lambda a: a)
            assert bits(stream.collect()["y"].to_pylist()) == bits(wanted)


@pytest.mark.parametrize("tier", TIERS)
def test_kinds_of_numbers_mix(tier):
    table = pa.table(
        {
            "a": pa.array([1, None, 100], pa.int8()),
            "b": pa.array([0.5, 1.0, None], pa.float32()),
            "c": pa.array([3, 4, 5], pa.uint16()),
            "e": pa.array([True, False, None]),
        }
    )

    def mixed(a, b, c, e):
        if a is None or b is None:
            return c * 1.0
        return a * b + c + e

    check(table, mixed, ("auto", tier))


def test_filters_read_them():
    table = pa.table({"a": pa.array([1, None, 100, 7], pa.uint8())})
    stream = Stream.from_table(table).filter(lambda a: a is not None and a > 5)
    assert stream.collect()["a"].to_pylist() == [100, 7]
    assert compiled_rows(stream) == 4


# --- dates and timestamps


def days(values):
    return pa.array(values, pa.int32()).cast(pa.date32())


def stamps(values, unit, zone=None):
    """Seconds since 1970."""
    scaled = [None if v is None else int(v * UNITS[unit]) for v in values]
    return pa.array(scaled, pa.int64()).cast(pa.timestamp(unit, zone))


def earlier(a, b):
    return None if a is None or b is None else a < b


def not_later(a, b):
    return None if a is None or b is None else not (a > b) and a <= b and b >= a


def same(a, b):
    return a == b


def differ(a, b):
    return a != b


def none(a, b):
    return a is None or b is None


def member(a, b):
    return a in (None, 5, b)


def largest(a, b):
    if a is None or b is None:
        return 0
    c = max(a, b)
    return 1 if c == a and min(a, b, c) == b else 2


def passed(a, b):
    c = a if a is not None else b
    d, e = c, a
    for _ in range(2):
        d, e = e, d
    return 1 if d == c and d else 0


def other_kinds(a, b):
    return a == 5 or a == 1.5 or a == True or (a,) == (1,) or a in (1, 2.5)  # noqa: E712, PLR1714


TIME_FUNCTIONS = [
    earlier,
    not_later,
    same,
    differ,
    none,
    member,
    largest,
    passed,
    truth,
    other_kinds,
]
DAYS = [-719162, 2932896, 0, 18262, 18263, -1]
SECONDS = [FIRST_S + DAY, LAST_S - DAY, 0, 1600000000, -1, 86399]


def check_times(one, other, way):
    for first, second in zip(one, other, strict=True):
        rows = min(len(first), len(second))
        table = pa.table({"a": first.slice(0, rows), "b": second.slice(0, rows)})
        for fn in TIME_FUNCTIONS:
            check(table, fn, way)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_dates(way):
    one = days(with_nulls(DAYS, 300)).to_pylist()
    other = days(with_nulls(DAYS[::-1][:5], 300)).to_pylist()
    check_times(layouts(one, pa.date32()), layouts(other, pa.date32()), way)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("zones", [(None, None), ("UTC", "UTC"), ("+05:30", "-23:59")], ids=str)
@pytest.mark.parametrize("units", list(itertools.product(UNITS, repeat=2)), ids=str)
def test_timestamps(units, zones, way):
    seconds = with_nulls(SECONDS, 60), with_nulls(SECONDS[::-1][:5], 60)
    columns = [
        stamps(values, unit, zone) for values, unit, zone in zip(seconds, units, zones, strict=True)
    ]
    nulls = pa.nulls(60, columns[0].type)
    fine = stamps([None if v is None else v + 0.5 for v in seconds[1]], "us", zones[1])
    for one, other in ((columns[0], columns[1]), (nulls, columns[1]), (columns[0], fine)):
        table = pa.table({"a": one, "b": other})
        for cut in (table, table.slice(7, 40)):
            for fn in TIME_FUNCTIONS:
                check(cut, fn, way)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_times_of_different_kinds_are_never_equal(way):
    columns = {
        "d": days(with_nulls(DAYS[2:], 30)),
        "t": stamps(with_nulls(SECONDS, 30), "s"),
        "z": stamps(with_nulls(SECONDS, 30), "ms", "UTC"),
        "i": pa.array(with_nulls(range(30), 30), pa.int32()),
    }
    for one, other in itertools.permutations(columns, 2):
        table = pa.table({"a": columns[one], "b": columns[other]})
        for fn in (same, differ, none, member, truth, passed, other_kinds):
            check(table, fn, way)


def zoned_kinds(p, t, d, i):
    q = p
    if p == t or p == d or p in (i, 1.5, None, t):
        return -1
    return 1 if q and q is not None and p != i else 0


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_zones_whose_offset_changes_are_passed_on(way):
    seconds = with_nulls([1603587600 + 1800 * k for k in range(7)], 30)  # an hour comes twice there
    table = pa.table(
        {
            "p": stamps(seconds, "ms", "Europe/Paris"),
            "t": stamps([0] * 30, "s"),
            "d": days([1] * 30),
            "i": pa.array([1] * 30, pa.uint8()),
        }
    )
    check(table, zoned_kinds, way)
    check(table.select(["p"]).rename_columns(["a"]), truth, way)


@pytest.mark.parametrize("compile", ["auto", "off"])
def test_unknown_zones_fail_as_in_cpython(compile):
    column = pa.array([1, None]).cast(pa.timestamp("us", "Here/Nowhere"))
    with pytest.raises(Exception) as wanted:  # noqa: PT011
        column[0].as_py()
    fn = cell("def f(a) -> int:\n    return 1 if a is None else 2")["f"]
    with sb.config(compile=compile):
        stream = Stream.from_table(pa.table({"a": column})).with_columns(y=fn)
        with pytest.raises(type(wanted.value)) as raised:
            stream.collect()
    assert raised.value.args == wanted.value.args


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("other", ["t", "z", "i", "f"])
def test_ordering_times_of_different_kinds_raises(other, tier):
    table = pa.table(
        {
            "a": days([None, 0, 1]),
            "t": stamps([None, 0, 1], "us"),
            "z": stamps([None, 0, 1], "us", "UTC"),
            "i": pa.array([1, 0, 1], pa.int8()),
            "f": pa.array([1, 0, 1], pa.float32()),
        }
    )
    fn = cell(f"def f(a, {other}):\n    return None if a is None else a < {other}")["f"]
    with pytest.raises(TypeError) as wanted:
        fn(dt.date(1970, 1, 1), table[other][1].as_py())
    with sb.config(tier=tier):
        stream = Stream.from_table(table).with_columns(y=fn)
        with pytest.raises(TypeError) as raised:
            stream.collect()
    assert raised.value.args == wanted.value.args


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_python_cannot_hold_fails_as_there(way):
    compile, tier = way
    columns = [
        (days([0, DAYS[0], DAYS[1]]), pa.array([DAYS[0] - 1, DAYS[1] + 1], pa.int32())),
        (stamps([0, FIRST_S, LAST_S], "s"), pa.array([FIRST_S - 1, LAST_S + 1, 2**62, -(2**63)])),
        (stamps([0, FIRST_S, LAST_S], "ms"), pa.array([FIRST_S * 1000 - 1, LAST_S * 1000 + 1000])),
        (
            stamps([0, FIRST_S, LAST_S], "us"),
            pa.array([FIRST_S * SECOND - 1, LAST_S * SECOND + SECOND]),
        ),
    ]
    for good, bad in columns:
        for k in range(len(bad)):
            column = pa.concat_arrays([good, bad.slice(k, 1).cast(good.type)])
            with pytest.raises(OverflowError) as wanted:
                column[3].as_py()
            with sb.config(compile=compile, tier=tier):
                stream = Stream.from_table(pa.table({"a": column})).with_columns(y=truth)
                with pytest.raises(OverflowError) as raised:
                    stream.collect()
                assert raised.value.args == wanted.value.args
                null = sb.udf(truth, on_error="null")
                kept = Stream.from_table(pa.table({"a": column})).with_columns(y=null)
                assert kept.collect()["y"].to_pylist() == [1, 1, 1, None]


def test_the_edge_of_the_years_in_a_zone_leaves():
    column = stamps([FIRST_S, LAST_S, 0, None], "s", "UTC")
    stream = Stream.from_table(pa.table({"a": column})).with_columns(y=truth)
    assert stream.collect()["y"].to_pylist() == [1, 1, 1, 0]
    assert compiled_rows(stream) == 2


def test_values_of_null_rows_do_not_matter():
    """A null row's value may be anything, also one that a row with it would leave for."""
    valid = pa.py_buffer(b"\x05")
    for type in (pa.uint64(), pa.timestamp("s"), pa.timestamp("us", "UTC")):
        data = struct.pack("<qqq", 1, -(2**63), 2)
        column = pa.Array.from_buffers(type, 3, [valid, pa.py_buffer(data)])
        finest = pa.array([1, 2, 3]).cast(pa.timestamp("us"))
        table = pa.table({"a": column, "b": finest})
        fn = cell("def f(a, b):\n    return 0 if a is None or b is None else 1")["f"]
        stream = Stream.from_table(table).with_columns(y=fn)
        assert stream.collect()["y"].to_pylist() == [1, 0, 1]
        assert compiled_rows(stream) == 3


# --- what is told of them


def test_explain_tells_the_types():
    schema = {
        "a": pa.int8(),
        "b": pa.float32(),
        "c": pa.uint64(),
        "e": pa.float16(),
        "d": pa.date32(),
        "t": pa.timestamp("ms", "UTC"),
    }
    fn = cell("def f(a, b, c, e, d, t):\n    return a + b + c + e if d is None and t else 1.0")["f"]
    report = sb.explain(fn, schema)
    assert report.mode == "compiled"
    assert (
        str(report)
        .splitlines()[0]
        .startswith(
            "f(a: int8, b: float, c: uint64, e: halffloat, d: date32[day], t: timestamp[ms, tz=UTC]) -> double"
        )
    )
    assert "can raise" in str(report)


REFUSED = {
    "d - e": "a column of this type is not compiled yet: date",
    "t + 1": "a column of this type is not compiled yet: timestamp",
    "-d": "a column of this type is not compiled yet: date",
    "abs(t)": "a column of this type is not compiled yet: timestamp",
    "(d, d)[d]": "a column of this type is not compiled yet: date",
    "1 if n is None else 2": "a column of this type is not compiled yet: n",
    "p < p": "a column of this type is not compiled yet: timestamp in a zone whose offset changes",
    "1 if p in (None, z) else 2": "a column of this type is not compiled yet: timestamp in a zone whose offset changes",
    "1 if bad is None else 2": "a column of this type is not compiled yet: bad",
    "d": "a value of this type is not compiled yet: a date or timestamp as the result",
    "1 if t is None else t": "a value of this type is not compiled yet: a date or timestamp as the result",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refusals(text):
    schema = {
        "d": pa.date32(),
        "e": pa.date32(),
        "t": pa.timestamp("us"),
        "n": pa.timestamp("ns"),
        "p": pa.timestamp("us", "Europe/Paris"),
        "z": pa.timestamp("us", "UTC"),
        "bad": pa.timestamp("us", "Here/Nowhere"),
    }
    report = sb.explain(
        cell(f"def f(d, e, t, n, p, z, bad) -> int:\n    return {text}")["f"], schema
    )
    assert report.mode == "interpreted"
    assert [reason.message for reason in report.reasons] == [REFUSED[text]]
    assert report.reasons[0].line == 2


def test_a_refused_operation_runs_in_cpython():
    table = pa.table({"d": days([3, 5]), "e": days([1, 9])})
    fn = cell("def f(d, e) -> int:\n    return (d - e).days")["f"]
    assert Stream.from_table(table).with_columns(y=fn).collect()["y"].to_pylist() == [2, -4]


def test_extension_types_are_no_numbers():
    """A Boolean of 8 bits is stored as int8, and its values are bools."""
    column = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([0, 1, None, 7], pa.int8()))
    table = pa.table({"a": column})
    fn = cell("def f(a) -> bool:\n    return a")["f"]
    assert Stream.from_table(table).with_columns(y=fn).collect()["y"].to_pylist() == [
        False,
        True,
        None,
        True,
    ]
    assert sb.explain(fn, table.schema).mode == "interpreted"


def test_dictionaries_of_narrow_indices_are_no_numbers():
    column = pa.array([5, None, 5, 9]).dictionary_encode()
    assert column.type.index_type == pa.int32()
    stream = Stream.from_table(pa.table({"a": column})).with_columns(
        y=cell("def f(a) -> int:\n    return a")["f"]
    )
    assert stream.collect()["y"].to_pylist() == [5, None, 5, 9]
