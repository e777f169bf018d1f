"""Functions as people write them, with columns of values that are hard to get right, for bench/exactness.py.

A column is a list of Python's values; its type is that of its values. `cross` gives every combination of some values.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

MAX = 2**63 - 1
MIN = -(2**63)
BIG = 2**53
INF = math.inf
NAN = math.nan

INTS = (0, 1, -1, 2, -7, 10, 2**31, BIG + 1, 3 * 10**18, MAX, MIN)
SMALL = (0, 1, -1, 2, -2, 7, -7, 64)
FLOATS = (0.0, -0.0, 0.5, -0.5, 2.5, -7.5, 1e16, 1e19, -1e300, 5e-324, INF, -INF, NAN)
BOOLS = (True, False)


class Case(NamedTuple):
    """A function and the rows that it is given."""

    fn: Callable[..., Any]
    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    @property
    def name(self) -> str:
        return self.fn.__name__

    def column(self, index: int) -> list[Any]:
        return [row[index] for row in self.rows]


def cross(*values: Sequence[Any]) -> list[tuple[Any, ...]]:
    return list(itertools.product(*values))


# --- integers that outgrow 64 bits


def amount_in_cents(price, quantity):
    return price * quantity


def check_digits(a, b):
    return (a * 31 + b) % 97


def middle(low, high):
    return (low + high) // 2


def balance(credit, debit, fee):
    return credit - debit + fee - credit


def distance_mod(n):
    return abs(n) % 10


def negated_mod(n):
    return -n % 1000


def power_of(base, exponent):
    return base**exponent % 1000003


def factorial_mod(n):
    product = 1
    for i in range(1, n + 1):
        product *= i
    return product % 1000007


def shifted_up(n, by):
    return n << by


def shifted_down(n, by):
    return n >> by


# --- division


def bucket(n, width):
    return n // width


def remainder(n, divisor):
    return n % divisor


def quotient_and_rest(n, divisor):
    quotient, rest = divmod(n, divisor)
    return quotient + rest


def angle(x, period):
    return x % period


def whole_periods(x, period):
    return x // period


def ratio(part, whole):
    return part / whole


def mean_of_two(a, b):
    return (a + b) / 2


def share_or_none(part, whole):
    if whole == 0:
        return None
    return part / whole


# --- rounding and conversion


def round_to_int(x):
    return round(x)


def round_to_cents(x):
    return round(x, 2)


def round_to_tens(n):
    return round(n, -1)


def to_int(x):
    return int(x)


def seconds_of_minute(x):
    return int(x) % 60


def floor_of(x):
    return math.floor(x)


def to_float(n):
    return float(n)


# --- ints and floats mixed


def same(n, x):
    return n == x


def below(n, x):
    return n < x


def weighted(n, x):
    return n * x + 1


def clamped(x, low):
    return max(low, min(x, 100.5))


def negative_power(base, exponent):
    return base**exponent


def compound(rate, years):
    return (1 + rate) ** years


def scaled(x, n):
    return x * 2.0**n


# --- min and max


def larger(a, b):
    return max(a, b)


def smallest(a, b, c):
    return min(a, b, c)


# --- booleans


def count_true(a, b, c):
    return a + b + c


def flag_arithmetic(a, n):
    return a * n - True


def either(a, b):
    return a ^ b


def minus_flag(a):
    return -a


def first_true(a, b):
    return a or b


# --- nulls


def null_as_zero(n):
    return 0 if n is None else n + 1


def null_plus(n):
    return n + 1


def coalesced(a, b):
    return a if a is not None else b


def null_compared(n):
    return n == 0 or n is None


# --- kinds that change


def running_half(n):
    total = 0
    for i in range(n):
        total += i / 2
    return total


def halved(n):
    turns = 0
    while n > 1 and turns < 8:
        n = n / 2
        turns += 1
    return n


def sign_or_none(x):
    if x > 0:
        return 1
    if x < 0:
        return -1
    return None


def early_int_or_float(n):
    if n < 0:
        return 0
    if n > 1000:
        return n / 1000
    return n


def flag_or_number(n):
    if n == 0:
        return False
    return n


# --- math


def root(x):
    return math.sqrt(x)


def log_of(x):
    return math.log(x)


def growth(x):
    return math.exp(x)


def far(x, y):
    return math.pow(x, y)


CASES = [
    Case(amount_in_cents, ("price", "quantity"), cross(INTS, (0, 3, -1, 4, 10**9))),
    Case(check_digits, ("a", "b"), cross(INTS, (0, -5, MAX))),
    Case(middle, ("low", "high"), cross(INTS, INTS)),
    Case(balance, ("credit", "debit", "fee"), cross((0, MAX, MIN, 5), (0, 7, MIN), (1, -1))),
    Case(distance_mod, ("n",), cross(INTS)),
    Case(negated_mod, ("n",), cross(INTS)),
    Case(power_of, ("base", "exponent"), cross((0, 1, -1, 3, -10, 12345), (0, 1, 2, 5, 40, 41, -1))),
    Case(factorial_mod, ("n",), cross((0, 1, 5, 20, 21, 25, 60, -3))),
    Case(shifted_up, ("n", "by"), cross((0, 1, -1, 5, 2**62), (0, 1, 3, 63, 64, -1))),
    Case(shifted_down, ("n", "by"), cross(INTS, (0, 1, 63, 64, 100, -1))),
    Case(bucket, ("n", "width"), cross(INTS, SMALL)),
    Case(remainder, ("n", "divisor"), cross(INTS, SMALL)),
    Case(quotient_and_rest, ("n", "divisor"), cross(INTS, SMALL)),
    Case(angle, ("x", "period"), cross(FLOATS, (1.0, -1.0, 0.3, 0.0, -0.0, INF, -INF, NAN))),
    Case(whole_periods, ("x", "period"), cross(FLOATS, (1.0, -1.0, 0.1, 0.0, INF, -INF, NAN))),
    Case(ratio, ("part", "whole"), cross(INTS, (1, 3, -7, 0, BIG + 1, MAX, MIN))),
    Case(mean_of_two, ("a", "b"), cross(INTS, INTS)),
    Case(share_or_none, ("part", "whole"), cross((None, *INTS), (0, 3, -7, BIG + 3))),
    Case(round_to_int, ("x",), cross((*FLOATS, 1.5, 3.5, -2.5, 0.49999999999999994, 1e18))),
    Case(round_to_cents, ("x",), cross((*FLOATS, 2.675, 1.005, 0.125, -0.375, 1e22, 5.015))),
    Case(round_to_tens, ("n",), cross((*INTS, 5, 15, 25, -15, -25, 14))),
    Case(to_int, ("x",), cross((*FLOATS, -1.9, 9.2e18, -9.3e18, -9223372036854775808.0))),
    Case(seconds_of_minute, ("x",), cross((*FLOATS, 59.9, -0.1, 1e17, -1e20))),
    Case(floor_of, ("x",), cross((*FLOATS, -1.5, 9.2e18))),
    Case(to_float, ("n",), cross((*INTS, None))),
    Case(same, ("n", "x"), cross((BIG, BIG + 1, MAX, MIN, 0, 1), (float(BIG), 2.0**63, 0.0, -(2.0**63), 0.5, NAN, INF))),
    Case(below, ("n", "x"), cross((BIG, BIG + 1, MAX, MIN, 0), (float(BIG), float(BIG) + 2, 2.0**63, -0.0, NAN, -INF))),
    Case(weighted, ("n", "x"), cross(INTS, (0.5, -0.0, 1e300, INF, NAN))),
    Case(clamped, ("x", "low"), cross((*FLOATS, 99.0, 101.0), (0, -3, 7))),
    Case(negative_power, ("base", "exponent"), cross((0, 1, -1, 2, -3, 10), (0, 1, 2, -1, -2, 30))),
    Case(compound, ("rate", "years"), cross((0.05, -1.0, -3.5, 0.0, 1e200, NAN), (0, 1, 10, -2, 30))),
    Case(scaled, ("x", "n"), cross((0.0, 1.5, -1e300, INF), (0, 10, -1074, -1100, 1023, 1024, 2000))),
    Case(larger, ("a", "b"), cross((0.0, -0.0, 1.5, INF, NAN), (0.0, -0.0, -2.5, NAN, -INF))),
    Case(smallest, ("a", "b", "c"), cross((1.5, NAN, -0.0), (0.0, NAN, -3.0), (2.0, NAN, -0.0))),
    Case(count_true, ("a", "b", "c"), cross(BOOLS, BOOLS, BOOLS)),
    Case(flag_arithmetic, ("a", "n"), cross(BOOLS, (0, 5, -3, MAX, MIN))),
    Case(either, ("a", "b"), cross(BOOLS, BOOLS)),
    Case(minus_flag, ("a",), cross(BOOLS)),
    Case(first_true, ("a", "b"), cross((0, 5, -1), (0, 7, MIN))),
    Case(null_as_zero, ("n",), cross((None, 0, -1, 41, MAX))),
    Case(null_plus, ("n",), cross((3, None, -4))),
    Case(coalesced, ("a", "b"), cross((None, 1, -2, MAX), (None, 0, 8))),
    Case(null_compared, ("n",), cross((None, 0, 3))),
    Case(running_half, ("n",), cross((0, 1, 2, 7, -1, 100))),
    Case(halved, ("n",), cross((0, 1, 2, 3, -5, 1000, BIG + 1, MAX))),
    Case(sign_or_none, ("x",), cross(FLOATS)),
    Case(early_int_or_float, ("n",), cross((-5, 0, 7, 1000, 1001, BIG + 1, MAX))),
    Case(flag_or_number, ("n",), cross((0, 1, 5, -1))),
    Case(root, ("x",), cross(FLOATS)),
    Case(log_of, ("x",), cross(FLOATS)),
    Case(growth, ("x",), cross((*FLOATS, 709.0, 710.0, -746.0))),
    Case(far, ("x", "y"), cross((0.0, -0.0, 2.5, -8.0, 1e200, INF, NAN), (0.0, -1.0, 2.0, 1 / 3, NAN, INF))),
]  # fmt: skip
