"""Functions that call themselves: what they give, how deep native code goes, and that they can be stopped."""

from __future__ import annotations

import math
import threading
import time

import pyarrow as pa
import pytest
from capturing import refused
from support import TIERS, function_report

import sabot as sb
from sabot import Stream
from sabot._blob import dump
from sabot._capture import capture


def depth_of(n):
    return 0 if n <= 0 else 1 + depth_of(n - 1)


def factorial(n):
    """Of integers that grow beyond 64 bits."""
    if n <= 1:
        return 1
    return n * factorial(n - 1)


def greatest(a, b):
    return abs(a) if b == 0 else greatest(b, a % b)


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def ackermann(m, n):
    if m == 0:
        return n + 1
    return ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))


def power(x, n):
    if n == 0:
        return 1.0
    half = power(x, n // 2)
    return half * half * x if n % 2 else half * half


def collatz(n):
    return 0 if n == 1 else 1 + collatz(n // 2 if n % 2 == 0 else 3 * n + 1)


def root_of(x, low=0.0, high=None, turns=30):
    """By bisection; the default of one parameter depends on another."""
    high = max(x, 1.0) if high is None else high
    middle = (low + high) / 2
    if turns == 0:
        return middle
    if middle * middle > x:
        return root_of(x, low, middle, turns - 1)
    return root_of(x, middle, high, turns=turns - 1)


def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


def kinds(n):
    """None, an int or a float."""
    if n is None or n < 0:
        return None
    if n == 0:
        return 0
    below = kinds(n - 1)
    return below if n % 3 else below + 0.5


def in_loops(n):
    total = 0
    for k in range(n % 6):
        total += fibonacci(k) * greatest(n, k + 2)
    return total


def unwanted(n):
    factorial(n)
    return n


class Tree:
    def __init__(self, branches):
        self.branches = branches

    def nodes(self, height):
        return 1 if height <= 0 else 1 + self.branches * self.nodes(height - 1)


nodes = Tree(2).nodes
INTS = [0, 1, 2, 3, 5, 7, 12, 20, 21, 40, 63, 64, 65, 66, 100, -3, None]
CASES = {
    "depth_of": (depth_of, {"n": INTS}),
    "factorial": (factorial, {"n": INTS}),
    "greatest": (greatest, {"a": [12, 18, 0, 2**62, 100, None], "b": [18, 12, 0, 7, -35, 3]}),
    "fibonacci": (fibonacci, {"n": [0, 1, 2, 5, 9, 15, -4]}),
    "ackermann": (ackermann, {"m": [0, 1, 2, 2, 3], "n": [5, 4, 3, 0, 2]}),
    "power": (power, {"x": [1.5, -2.0, 0.1, math.nan, None], "n": [3, 20, 1000, 2**40, 0]}),
    "collatz": (collatz, {"n": [1, 2, 6, 7, 27, 97, 2**60]}),
    "root_of": (root_of, {"x": [2.0, 9.0, 0.0, 1e9, 0.25]}),
    "is_even": (is_even, {"n": [0, 1, 8, 63, 64, 129, 200]}),
    "kinds": (kinds, {"n": INTS}),
    "in_loops": (in_loops, {"n": [0, 1, 5, 17, 23, -1]}),
    "unwanted": (unwanted, {"n": [1, 5, 64, 80]}),
    "a method": (nodes, {"height": [0, 1, 5, 30, 61, 70]}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tier", TIERS)
def test_recursion(name, tier):
    fn, columns = CASES[name]
    table = pa.table(columns)
    report = sb.explain(fn, table.schema)
    assert (report.mode, report.reasons) == ("compiled", []), report
    wanted, kept = [], []
    for row, values in enumerate(zip(*columns.values(), strict=True)):
        try:
            value = fn(*values)
        except (TypeError, RecursionError):
            continue
        if type(value) is not int or value.bit_length() < 64:
            wanted.append(value)
            kept.append(row)
    table = table.take(kept)
    for rows in (table, pa.concat_tables([table] * 300)):
        with sb.config(tier=tier):
            got = Stream.from_table(rows).with_columns(z=fn).collect()["z"].to_pylist()
        assert list(map(repr, got[: len(wanted)])) == [
            repr(float(value)) if type(got[k]) is float and value is not None else repr(value)
            for k, value in enumerate(wanted)
        ]
        assert list(map(repr, got)) == list(map(repr, got[: len(wanted)])) * (
            len(got) // len(wanted)
        )


@pytest.mark.parametrize("tier", TIERS)
def test_deep_rows_leave(tier):
    stream = Stream.from_table(pa.table({"n": [3, 64, 65, 66, 900]})).with_columns(z=depth_of)
    with sb.config(tier=tier):
        assert stream.collect()["z"].to_pylist() == [3, 64, 65, 66, 900]
    assert function_report(stream)["rows_left"] == {"depth": 3}


def endless(n):
    return endless(n + 1)


@pytest.mark.parametrize("tier", TIERS)
def test_recursion_without_end_raises(tier):
    fn = sb.udf(endless, returns=pa.int64())
    stream = Stream.from_table(pa.table({"n": [1]})).with_columns(z=fn)
    with sb.config(tier=tier), pytest.raises(RecursionError):
        stream.collect()


def only_some(n):
    return endless(n) if n == 3 else n


@pytest.mark.parametrize("tier", TIERS)
def test_some_rows_without_end(tier):
    fn = sb.udf(only_some, on_error="null")
    stream = Stream.from_table(pa.table({"n": [1, 3, 5]})).with_columns(z=fn)
    with sb.config(tier=tier):
        assert stream.collect()["z"].to_pylist() == [1, None, 5]


def doubling(n):
    """Calls that double at each level: as good as without end, though not deep."""
    return 1 if n <= 0 else doubling(n - 1) + doubling(n - 1)


@pytest.mark.parametrize("tier", TIERS)
def test_calls_that_multiply_are_stopped(tier):
    stream = Stream.from_table(pa.table({"n": [3, 55]})).with_columns(z=doubling)
    done: list[float] = []

    def interrupt():
        import _thread

        time.sleep(1.0)
        done.append(time.perf_counter())
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    with sb.config(tier=tier), pytest.raises(KeyboardInterrupt):
        stream.collect()
    assert time.perf_counter() - done[0] < 5  # 0.2 s on a machine with nothing else to do


def with_tuple(t, n):
    return 0 if n == 0 else with_tuple((1, 2), n - 1)


def calls_with_tuple(n):
    return with_tuple((3, 4), n)


def returns_tuple(n):
    return (1, 2) if n == 0 else returns_tuple(n - 1)


def calls_returning(n):
    return returns_tuple(n)[0]


def unknown_inside(n):
    return sorted_by(n) if n == 0 else unknown_inside(n - 1)


sorted_by = dict
ping = lambda n: 0 if n == 0 else pong(n - 1)  # noqa: E731
pong = lambda n: open(n) if n == 5 else ping(n - 1)  # noqa: E731


def calls_both(n):
    return ping(n) + pong(n)


def nested(n):
    def inner(k):
        return 0 if k == 0 else inner(k - 1)

    return inner(n)


def codes(fn):
    return {reason.code for reason in sb.explain(fn, pa.schema({"n": pa.int64()})).reasons}


def test_what_is_refused():
    for fn in (calls_with_tuple, calls_returning):
        fn.__annotations__["return"] = int
        assert codes(fn) == {"type"}
    for fn in (unknown_inside, calls_both, nested):
        fn.__annotations__["return"] = int
    assert codes(unknown_inside) == {"syntax"}  # a call of dict
    assert codes(calls_both) == {"impure"}
    assert refused(nested)[:2] == ("syntax", "recursion")


def test_the_blob():
    text = dump(capture(factorial).blob)
    assert text.count("INVOKE 0") == 2 and "called 0 factorial" in text
    text = dump(capture(is_even).blob)
    assert "INLINE" in text and "INVOKE" in text


def test_a_rebound_recursive_function(monkeypatch):
    original = depth_of
    stream = Stream.from_table(pa.table({"n": [3, 5]})).with_columns(z=original)
    assert stream.collect()["z"].to_pylist() == [3, 5]
    monkeypatch.setitem(globals(), "depth_of", lambda n: 100)
    assert stream.collect()["z"].to_pylist() == [101, 101]
