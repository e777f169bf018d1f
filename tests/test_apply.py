"""apply, and udfs given columns: functions of columns that are named where they are used."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from support import BATCHES, TIERS

import sabot as sb
from sabot import Stream, apply, col, udf

pytestmark = pytest.mark.api

TABLE = pa.table({"a": [1, None, 3], "b": [10, 20, None], "two words": ["3 bds", "22 b", "1 "]})
MODES = [("off", "auto"), *(("auto", tier) for tier in TIERS)]
WAYS = list(itertools.product(MODES, BATCHES))


@udf
def bedrooms(facts: str, times=1) -> int:
    """The number."""
    return int(facts[: facts.find(" ")]) * times


def minus(x, y):
    return None if x is None or y is None else x - y


def by_place(x, y, /, z=5, *, w=0):
    return None if x is None or y is None else x * 1000 + y * 100 + z * 10 + w


def column(given, name="y", table=TABLE):
    return Stream.from_table(table).with_columns(**{name: given}).collect()[name].to_pylist()


def test_a_udf_stays_a_function_and_takes_columns():
    assert bedrooms("7 bds") == bedrooms(facts="7 bds") == 7
    assert column(bedrooms(col("two words"))) == [3, 22, 1]
    assert column(bedrooms(times=2, facts=col("two words"))) == [6, 44, 2]
    assert repr(bedrooms(col("a"), 2)) == "bedrooms(col('a'), 2)"


@pytest.mark.parametrize(("mode", "batch_size"), WAYS)
def test_arguments_go_to_parameters_as_in_a_call(mode, batch_size):
    stream = Stream.from_table(TABLE, batch_size).with_columns(
        swapped=apply(minus, col("b"), col("a")),
        twice=apply(minus, col("a"), col("a")),
        first=apply(minus, 100, col("a")),
        last=apply(minus, col("a"), y=0.5),
        named=apply(minus, y=col("b"), x=col("a")),
        places=apply(by_place, col("a"), 2, w=col("a")),
        behind=apply(by_place, 1, col("a"), 7),
        default=apply(by_place, col("a"), col("b")),
    )
    with sb.config(compile=mode[0], tier=mode[1]):
        made = stream.collect().to_pydict()
    assert made["swapped"] == [9, None, None]
    assert made["twice"] == [0, None, 0]
    assert made["first"] == [99, None, 97]
    assert made["last"] == [0.5, None, 2.5]
    assert made["named"] == [-9, None, None]
    assert made["places"] == [1251, None, 3253]
    assert made["behind"] == [1170, None, 1370]
    assert made["default"] == [2050, None, None]
    assert column(
        apply(by_place, col("a"), 2, w=col("k")), table=pa.table({"a": [1], "k": [3]})
    ) == [1253]


@pytest.mark.parametrize("mode", MODES)
def test_columns_may_be_called_like_other_parameters_and_locals(mode):
    table = pa.table({"x": [1, 2], "y": [30, 40], "z": [5, 6], "total": [7, 8]})

    def mixed(x, y=100):
        total = x + y
        return total

    with sb.config(compile=mode[0], tier=mode[1]):
        assert column(apply(minus, col("y"), col("x")), "y", table) == [29, 38]
        assert column(apply(minus, col("z"), 1), "x", table) == [4, 5]
        assert column(apply(mixed, col("total")), "y", table) == [107, 108]  # not the column y
        assert column(apply(mixed, col("y"), col("total")), "q", table) == [37, 48]
    report = Stream.from_table(table).with_columns(q=apply(minus, col("z"), 1)).explain()
    assert "minus(z)" in report
    assert "compiled" in report


@pytest.mark.parametrize("mode", MODES)
def test_filter(mode):
    def more(v, least):
        return v is not None and v > least

    with sb.config(compile=mode[0], tier=mode[1]):
        kept = Stream.from_table(TABLE).filter(apply(more, col("a"), 1)).collect()
        assert kept["a"].to_pylist() == [3]
        kept = Stream.from_table(TABLE).filter(apply(more, least=col("a"), v=2)).count
        with pytest.raises(TypeError, match="NoneType"):
            kept()


def test_options_of_the_udf_hold():
    @udf(on_error="null")
    def careful(q, by) -> int:
        return by // q

    table = pa.table({"a": [1, 0, None]})
    stream = Stream.from_table(table).with_columns(y=careful(col("a"), 6))
    assert stream.collect()["y"].to_pylist() == [6, None, None]
    assert stream.last_run.errors["inputs"].to_pylist() == ["a=0", "a=None"]

    @udf(nulls="skip")
    def skipping(q, by):
        return q + by

    for mode, tier in MODES:
        with sb.config(compile=mode, tier=tier):
            assert column(skipping(col("a"), 1), table=table) == [2, 1, None]
            assert column(skipping(1, by=col("a")), table=table) == [2, 1, None]


def test_returns_tells_the_type():
    table = pa.table({"a": [1, 2]})

    def untold(v, fn):
        return fn(v)

    with pytest.raises(sb.PlanError, match="type cannot be told"):
        column(apply(untold, col("a"), str), table=table)
    made = Stream.from_table(table).with_columns(
        y=apply(untold, col("a"), str, returns=pa.string())
    )
    assert made.collect()["y"].to_pylist() == ["1", "2"]
    with pytest.raises(sb.PlanError, match="udf says returns=int64"):
        apply(udf(minus, returns=pa.int64()), col("a"), 1, returns=pa.float64())
    with pytest.raises(sb.PlanError, match="pyarrow type"):
        apply(minus, col("a"), 1, returns=int)
    with pytest.raises(sb.TypeMismatchError, match="returns= says double"):
        column(apply(minus, col("a"), 1, returns=pa.float64()), table=table)


def test_errors_tell_the_row_and_its_columns():
    def divided(v, w, /):
        return v // w

    stream = Stream.from_table(pa.table({"n": [1, 2, 0]})).with_columns(
        y=apply(divided, 6, col("n"))
    )
    with pytest.raises(ZeroDivisionError) as raised:
        stream.collect()
    assert "WITH y = divided(n)" in raised.value.__notes__[0]
    assert "row 2: n=0" in raised.value.__notes__[0]


def test_captured_names_and_constants_are_their_own():
    limit = 1

    def over(v, by):
        return v * by > limit

    table = pa.table({"a": [1, 2]})
    stream = Stream.from_table(table).with_columns(
        y=apply(over, col("a"), 1), z=apply(over, col("a"), 2), w=apply(over, col("a"), 0.5)
    )
    assert stream.collect().select(["y", "z", "w"]).to_pylist() == [
        {"y": False, "z": True, "w": False},
        {"y": True, "z": True, "w": False},
    ]
    limit = 0.75
    assert stream.collect()["w"].to_pylist() == [False, True]


def test_methods_and_other_columns_beside():
    class Scale:
        by = 3

        @udf
        def of(self, v) -> int:
            return v * self.by

    table = pa.table({"a": [1, 2]})
    made = Stream.from_table(table).with_columns(
        y=Scale().of(col("a")), a=col("a"), v=lambda a: a + 1
    )
    assert made.collect().to_pydict() == {"a": [1, 2], "y": [3, 6], "v": [2, 3]}


REFUSED = {
    "nested": (lambda: bedrooms(bedrooms(col("a"))), "with_columns first"),
    "array": (lambda: apply(minus, col("a"), pa.array([1])), "array or NumPy value"),
    "no column": (lambda: apply(minus, 1, 2), "at least one col"),
    "too many": (lambda: bedrooms(col("a"), 1, 2), "takes 2 arguments by position, 3"),
    "unknown name": (lambda: bedrooms(col("a"), time=2), "did you mean 'times'"),
    "twice": (lambda: bedrooms(col("a"), facts=2), "'facts' twice"),
    "nothing": (lambda: apply(minus, col("a")), "nothing for its parameter 'y'"),
    "by place only": (lambda: apply(by_place, col("a"), y=1), "no parameter 'y' by name"),
    "no function": (lambda: apply(col("a"), col("b")), "not Column first"),
    "no parameters": (lambda: apply(len, col("a")), "no parameters that can be read"),
    "starred": (lambda: apply(lambda *v: v, col("a")), "takes any arguments"),
    "threads": (lambda: udf(minus, max_concurrency=2)(col("a"), 1), "named after columns so far"),
    "map": (lambda: Stream.from_table(TABLE).map(apply(minus, col("a"), 1)), "is a column"),
    "select": (lambda: Stream.from_table(TABLE).select(apply(minus, col("a"), 1)), "Applied"),
    "batch function": (
        lambda: Stream.from_table(TABLE).with_columns(y=apply(lambda v: v.num_rows, col("a"))),
        "only scalar functions",
    ),
    "truth": (lambda: not apply(minus, col("a"), 1), "neither true nor false"),
    "column": (
        lambda: Stream.from_table(TABLE).with_columns(y=apply(minus, col("aa"), 1)),
        "no column 'aa'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    given, message = REFUSED[name]
    with pytest.raises(sb.PlanError, match=message):
        given()


def test_an_async_function_is_refused():
    async def later(v):
        return v

    with pytest.raises(sb.PlanError, match="async functions"):
        apply(later, col("a"))
