"""Failures of users' functions: whose, where, and that the first row wins, whatever runs it and however the rows are cut."""

from __future__ import annotations

import itertools
import traceback

import pyarrow as pa
import pytest
from support import BATCHES, TABLE, THREADS, TIERS, WAYS, Trouble, column

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api


def inner(a):
    if a == 3:
        raise Trouble(a, "three")
    return a


def troubled(a) -> int:
    return inner(a)


@pytest.mark.parametrize(("tier", "threads", "batch_size"), WAYS)
def test_own_exceptions_keep_type_arguments_and_traceback(tier, threads, batch_size):
    with sb.config(tier=tier, threads=threads), pytest.raises(Trouble) as caught:
        column(TABLE, troubled, batch_size)
    error = caught.value
    assert (type(error), error.args, error.extra) == (Trouble, (3, "three"), "kept")
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names[-2:] == ["troubled", "inner"]
    batch = 0 if batch_size is None else 2 // batch_size
    assert error.__notes__ == [f"in WITH y = troubled(a): operator 0, batch {batch}, row 2: a=3"]


@pytest.mark.parametrize(
    ("fn", "row", "value", "error", "text"),
    [
        (lambda i: 10 // i, 41, 0, ZeroDivisionError, "integer division or modulo by zero"),
        (lambda i: 10 % i, 41, 0, ZeroDivisionError, "integer modulo by zero"),
        (lambda i: 10 / i, 41, 0, ZeroDivisionError, "division by zero"),
        (lambda x: 1.0 / x, 41, 0.0, ZeroDivisionError, "float division by zero"),
        (lambda i: i + 1, 41, None, TypeError, "unsupported operand type(s) for +: 'NoneType' and 'int'"),
        (lambda i: i < 1, 41, None, TypeError, "'<' not supported between instances of 'NoneType' and 'int'"),
        (lambda i: -i, 41, None, TypeError, "bad operand type for unary -: 'NoneType'"),
    ],
)  # fmt: skip
def test_exceptions_of_compiled_functions(fn, row, value, error, text):
    """The first failing row wins, also over later ones; text is that of this Python."""
    values = [5] * 60
    values[row] = values[row + 1] = values[55] = value
    name = fn.__code__.co_varnames[0]
    table = pa.table({name: pa.array(values, pa.float64() if name == "x" else pa.int64())})
    try:
        fn(value)
    except error as own:
        text = str(own)
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads), pytest.raises(error) as caught:
            column(table, fn, batch_size)
        assert type(caught.value) is error
        assert str(caught.value) == text
        batch = 0 if batch_size is None else row // batch_size
        assert caught.value.__notes__ == [
            f"in WITH y = <lambda>({name}): operator 0, batch {batch}, row {row}: {name}={value!r}"
        ]
        assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "<lambda>"


def unbound(a):
    if a > 100:
        y = 1
    return y


def test_unbound_locals():
    with pytest.raises(UnboundLocalError, match="'y'") as caught:
        column(TABLE, unbound)
    assert "row 0: a=1" in caught.value.__notes__[0]


def test_the_first_failing_row_wins_over_operators_and_columns():
    table = pa.table({"k": list(range(40))})
    fail_at = lambda row: lambda k: 1 // (k - row)
    cases = [((30, 20), 20), ((20, 30), 20), ((5, 5), 5)]
    for (first, second), row in cases:
        for tier, threads, batch_size in WAYS:
            with sb.config(tier=tier, threads=threads):
                s = Stream.from_table(table, batch_size)
                together = s.with_columns(y=fail_at(first), z=fail_at(second))
                chain = s.with_columns(y=fail_at(first)).with_columns(z=fail_at(second))
                for stream in (together, chain):
                    with pytest.raises(ZeroDivisionError) as caught:
                        stream.collect()
                    assert f"row {row}: k={row}" in caught.value.__notes__[0]


def test_batches_before_a_failure_come_out():
    table = pa.table({"k": list(range(40))})
    for tier, threads in itertools.product(TIERS, THREADS):
        with sb.config(tier=tier, threads=threads):
            got = []
            with pytest.raises(ZeroDivisionError):
                for batch in Stream.from_table(table, 8).with_columns(y=lambda k: 1 // (k - 20)):
                    got += batch["k"].to_pylist()
            assert got == list(range(20))


def test_rows_are_those_of_the_source_after_a_filter():
    table = pa.table({"k": list(range(100))})
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads):
            s = Stream.from_table(table, batch_size).filter(lambda k: k % 3 == 1)
            with pytest.raises(ZeroDivisionError) as caught:
                s.with_columns(y=lambda k: 1 // (k - 70)).collect()
            assert "operator 1, " in caught.value.__notes__[0]
            assert "row 70: k=70" in caught.value.__notes__[0]


def test_rows_that_a_filter_drops_do_not_fail():
    table = pa.table({"k": list(range(-5, 6))})
    for tier, threads, batch_size in WAYS:
        with sb.config(tier=tier, threads=threads):
            s = Stream.from_table(table, batch_size).filter(lambda k: k != 0)
            got = s.with_columns(y=lambda k: 10 // k).collect()
            assert got["y"].to_pylist() == [10 // k for k in range(-5, 6) if k]


def test_values_in_a_note_are_cut():
    def fn(t) -> int:
        raise ValueError("no")

    table = pa.table({"t": ["x" * 1000]})
    with pytest.raises(ValueError, match="no") as caught:
        column(table, fn)
    values = caught.value.__notes__[0].split("row 0: ")[1]
    assert len(values) == 200
    assert values.startswith("t='xxx")
    assert values.endswith("…")


@pytest.mark.parametrize("batch_size", BATCHES)
def test_values_that_python_cannot_hold_fail_in_their_row(batch_size):
    """Rows before them run, and a function's own failure in an earlier row wins."""
    far = pa.array([0, 1, 2**60, 3], pa.timestamp("s"))
    table = pa.table({"k": [0, 1, 2, 3], "t": far})

    def fn(k, t) -> int:
        if k == stop:
            raise Trouble(k, t.year)
        return t.year

    stop = 7
    with pytest.raises((OverflowError, ValueError)) as caught:
        column(table, fn, batch_size)
    assert "row 2: k=2" in caught.value.__notes__[0]
    stop = 1
    with pytest.raises(Trouble):
        column(table, fn, batch_size)


def test_text_that_is_no_utf8_fails_in_its_row():
    text = pa.array([b"a", b"\xff", b"c"]).view(pa.string())
    with pytest.raises(UnicodeDecodeError) as caught:
        Stream.from_table(pa.table({"t": text})).filter(lambda t: t.islower()).collect()
    assert "row 1: " in caught.value.__notes__[0]


def test_names_of_columns_may_be_anything():
    odd = ["{}", "{0}", "%s", "ä€😀", "a b", "", "x" * 5000]
    s = Stream.from_table(TABLE).with_columns(**{name: (lambda a: a > 0) for name in odd})
    assert s.collect().column_names == ["a", "b", *odd]
    with pytest.raises(ZeroDivisionError) as caught:
        Stream.from_table(TABLE).with_columns(**{"{x}%d": lambda a: 1 // (a - 3)}).collect()
    assert caught.value.__notes__ == [
        "in WITH {x}%d = <lambda>(a): operator 0, batch 0, row 2: a=3"
    ]


def test_a_value_whose_repr_fails():
    class Bad:
        def __repr__(self):
            raise RuntimeError("no repr")

    def fn(a) -> int:
        return Bad()

    with pytest.raises(sb.CastError, match="Bad"):
        column(TABLE, fn)


def test_the_same_exception_object_again():
    kept = KeyError("mine")

    def fn(a) -> int:
        raise kept

    for _ in range(3):
        with pytest.raises(KeyError) as caught:
            column(TABLE, fn)
        assert caught.value is kept


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), BaseException("odd")])
def test_what_is_no_exception_ends_the_run_at_once(error):
    def fn(a) -> int:
        raise error

    def whole(batch: pa.RecordBatch):
        raise error

    for s in (Stream.from_table(TABLE).with_columns(y=fn), Stream.from_table(TABLE).map(whole)):
        with pytest.raises(type(error)) as caught:
            s.collect()
        assert caught.value is error
    assert column(TABLE, lambda a: a > 0).to_pylist() == [True, False, True, True]


def test_stop_iteration_is_an_exception_like_others():
    def fn(a) -> int:
        raise StopIteration(5)

    with pytest.raises((StopIteration, RuntimeError)):
        column(TABLE, fn)


def test_map_failures():
    def fn(batch: pa.RecordBatch):
        if batch["a"][0].as_py() == 3:
            raise Trouble(1, 2)
        return batch

    for threads in THREADS:
        with sb.config(threads=threads), pytest.raises(Trouble) as caught:
            Stream.from_table(TABLE, 2).with_columns(y=lambda a: a).map(fn).collect()
        assert caught.value.__notes__ == ["in MAP fn(batch): operator 1, batch 1, rows 2 to 3"]
