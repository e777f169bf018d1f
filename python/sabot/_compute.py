"""What functions of `pyarrow.compute` do with the values of one row, as Python functions that the compiler calls in their place.

Each gives what Arrow's function gives for these values, None standing for null, or raises where that is not certain: then CPython calls
Arrow's function for the whole batch. Numbers come as they are computed with: ints all, or floats all.
Formulas and rules: the reference of Arrow's compute functions (arrow.apache.org/docs/cpp/compute.html), and what pyarrow itself gives.
"""

from __future__ import annotations

import math
from typing import Any


def exact_float(x: Any) -> Any:
    """An int among floats; Arrow refuses one that is no double."""
    if x is None:
        return None
    if not -9007199254740992 <= x <= 9007199254740992:
        raise ValueError
    return float(x)


# Comparisons


def equal(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x == y


def not_equal(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x != y


def greater(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x > y


def greater_equal(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x >= y


def less(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x < y


def less_equal(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x <= y


# Logic


def and_(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x and y


def or_(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x or y


def xor(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x != y


def and_not(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x and not y


def and_kleene(x: Any, y: Any) -> Any:
    if x is None:
        return None if y is None or y else False
    if y is None:
        return None if x else False
    return x and y


def or_kleene(x: Any, y: Any) -> Any:
    if x is None:
        return None if y is None or not y else True
    if y is None:
        return None if not x else True
    return x or y


def and_not_kleene(x: Any, y: Any) -> Any:
    if x is None:
        return None if y is None or not y else False
    if y is None:
        return None if x else False
    return x and not y


def invert(x: Any) -> Any:
    return None if x is None else not x


# Nulls, and numbers that are none


def is_null(x: Any) -> Any:
    return x is None


def is_null_or_nan(x: Any) -> Any:
    return x is None or x != x


def is_valid(x: Any) -> Any:
    return x is not None


def true_unless_null(x: Any) -> Any:
    return None if x is None else True


def is_nan(x: Any) -> Any:
    return None if x is None else x != x


def is_finite(x: Any) -> Any:
    return None if x is None else -math.inf < x < math.inf


def is_inf(x: Any) -> Any:
    return None if x is None else x == math.inf or x == -math.inf


def fill_null(x: Any, y: Any) -> Any:
    return y if x is None else x


def coalesce(x: Any, y: Any) -> Any:
    return y if x is None else x


def if_else(condition: Any, x: Any, y: Any) -> Any:
    if condition is None:
        return None
    return x if condition else y


# Arithmetic; integers wrap in Arrow, and raise where the name says checked: both are left to it.


def add(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x + y


def subtract(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x - y


def multiply(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x * y


def divide(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x / y


def divide_ints(x: Any, y: Any) -> Any:
    """Arrow's quotient is cut towards zero."""
    if x is None or y is None:
        return None
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


def negate(x: Any) -> Any:
    return None if x is None else -x


def absolute(x: Any) -> Any:
    return None if x is None else abs(x)


def sign(x: Any) -> Any:
    """Of an int."""
    if x is None:
        return None
    return 1 if x > 0 else -1 if x < 0 else 0


def sign_of_float(x: Any) -> Any:
    if x is None or x != x:
        return x
    return 1.0 if x > 0 else -1.0 if x < 0 else 0.0


def bit_wise_and(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x & y


def bit_wise_or(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x | y


def bit_wise_xor(x: Any, y: Any) -> Any:
    return None if x is None or y is None else x ^ y


def bit_wise_not(x: Any) -> Any:
    return None if x is None else ~x


def shift_right(x: Any, y: Any) -> Any:
    if x is None or y is None:
        return None
    if not 0 <= y < 63:
        raise ValueError
    return x >> y


def shift_left(x: Any, y: Any) -> Any:
    if x is None or y is None:
        return None
    if not 0 <= y < 63:
        raise ValueError
    return x << y


# Elements beside each other: null and NaN do not count where another value is there


def max_element_wise(x: Any, y: Any) -> Any:
    if x is None or (x != x and y is not None):
        return y
    if y is None or y != y:
        return x
    if x == 0 and y == 0 and isinstance(x, float):
        raise ValueError  # which zero it is
    return x if x > y else y


def min_element_wise(x: Any, y: Any) -> Any:
    if x is None or (x != x and y is not None):
        return y
    if y is None or y != y:
        return x
    if x == 0 and y == 0 and isinstance(x, float):
        raise ValueError  # which zero it is
    return x if x < y else y


def max_without_null(x: Any, y: Any) -> Any:
    return None if x is None or y is None else max_element_wise(x, y)


def min_without_null(x: Any, y: Any) -> Any:
    return None if x is None or y is None else min_element_wise(x, y)


# Roundings


def _whole(x: Any) -> Any:
    """Whether a double is a whole number by its size, infinite or NaN."""
    return not -4503599627370496.0 < x < 4503599627370496.0


def floor(x: Any) -> Any:
    if x is None or _whole(x):
        return x
    whole: int = math.floor(x)
    return math.copysign(float(whole), x)


def ceil(x: Any) -> Any:
    if x is None or _whole(x):
        return x
    whole: int = math.ceil(x)
    return math.copysign(float(whole), x)


def trunc(x: Any) -> Any:
    if x is None or _whole(x):
        return x
    return math.copysign(float(math.trunc(x)), x)


def _nearest(y: Any) -> Any:
    """Ties go away from zero."""
    whole = float(math.trunc(y))
    return whole + math.copysign(1.0, y) if abs(y - whole) >= 0.5 else whole


def rounded(x: Any, scale: Any, fine: Any, mode: Any) -> Any:
    """A double to a multiple of `scale`, or of 1 / scale where it is `fine`. mode: a place in ROUND_MODES.

    What is a tie is told by the distance from the next whole number below, as doubles have it.
    """
    if x is None or not -math.inf < x < math.inf:
        return x
    y = x * scale if fine else x / scale
    if _whole(y):
        if y == math.inf or y == -math.inf:
            raise ValueError  # Arrow's overflow
        return x
    below: int = math.floor(y)
    low = float(below)
    part = y - low
    if part == 0:
        return x
    if mode >= 4 and part != 0.5:
        whole = _nearest(y)
    elif mode == 0 or mode == 4:
        whole = low
    elif mode == 1 or mode == 5:
        whole = low + 1
    elif mode == 2 or mode == 6:
        whole = float(math.trunc(y))
    elif mode == 3 or mode == 7:
        whole = low if y < 0 else low + 1
    elif mode == 8:
        whole = low if low % 2 == 0 else low + 1
    else:
        whole = low + 1 if low % 2 == 0 else low
    made = whole / scale if fine else whole * scale
    if not -math.inf < made < math.inf:
        raise ValueError
    return math.copysign(made, x)


ROUND_MODES = (
    *("down", "up", "towards_zero", "towards_infinity"),
    *("half_down", "half_up", "half_towards_zero", "half_towards_infinity"),
    *("half_to_even", "half_to_odd"),
)


# Values of a set, one of several


def place_of(x: Any, count: Any) -> Any:
    """The number of a choice; Arrow refuses others."""
    if x is None:
        return None
    if not 0 <= x < count:
        raise ValueError
    return x


def has_sign(x: Any) -> Any:
    """Of a zero: which it is."""
    return math.copysign(1.0, x) < 0


# libm's, as math has them; where math raises, Arrow gives what it gives


def sqrt(x: Any) -> Any:
    return None if x is None else math.sqrt(x)


def exp(x: Any) -> Any:
    return None if x is None else math.exp(x)


def expm1(x: Any) -> Any:
    return None if x is None else math.expm1(x)


def ln(x: Any) -> Any:
    return None if x is None else math.log(x)


def log10(x: Any) -> Any:
    return None if x is None else math.log10(x)


def log1p(x: Any) -> Any:
    return None if x is None else math.log1p(x)


def log2(x: Any) -> Any:
    return None if x is None else math.log2(x)


def sin(x: Any) -> Any:
    return None if x is None else math.sin(x)


def cos(x: Any) -> Any:
    return None if x is None else math.cos(x)


def tan(x: Any) -> Any:
    return None if x is None else math.tan(x)


def asin(x: Any) -> Any:
    return None if x is None else math.asin(x)


def acos(x: Any) -> Any:
    return None if x is None else math.acos(x)


def atan(x: Any) -> Any:
    return None if x is None else math.atan(x)


def sinh(x: Any) -> Any:
    return None if x is None else math.sinh(x)


def cosh(x: Any) -> Any:
    return None if x is None else math.cosh(x)


def tanh(x: Any) -> Any:
    return None if x is None else math.tanh(x)


def atan2(x: Any, y: Any) -> Any:
    return None if x is None or y is None else math.atan2(x, y)


def power(x: Any, y: Any) -> Any:
    return None if x is None or y is None else math.pow(x, y)


def logb(x: Any, y: Any) -> Any:
    if x is None or y is None:
        return None
    return math.log(x) / math.log(y)


# Casts


def within(x: Any, low: Any, high: Any) -> Any:
    """An int of a narrower type; what Arrow does with another, wrap or fail, is left to it."""
    if x is None:
        return None
    if not low <= x <= high:
        raise ValueError
    return x


def wrapped(x: Any, low: Any, high: Any) -> Any:
    """An int as a narrower type keeps its last bits."""
    if x is None:
        return None
    rest = x & (high - low)
    return rest - (high - low) - 1 if rest > high else rest


def to_float(x: Any) -> Any:
    """The next double to an int."""
    return None if x is None else float(x)


def int_of_float32(x: Any) -> Any:
    """An int that a float32 is; Arrow refuses others."""
    if x is None:
        return None
    if not -16777216 <= x <= 16777216:
        raise ValueError
    return float(x)


def float_cut_to_int(x: Any) -> Any:
    return None if x is None else int(x)


def float_to_int(x: Any) -> Any:
    """Arrow refuses what is no whole number."""
    if x is None:
        return None
    made = int(x)
    if made != x:
        raise ValueError
    return made


def number_to_bool(x: Any) -> Any:
    return None if x is None else x != 0


def bool_to_int(x: Any) -> Any:
    return None if x is None else int(x)


def bool_to_float(x: Any) -> Any:
    return None if x is None else float(x)


# Items of a list whose column has to be of a type


def an_int(x: Any) -> Any:
    if x is None:
        raise ValueError  # pa.array would make another type of nulls alone
    return x


def a_float(x: Any) -> Any:
    if not isinstance(x, float):
        raise ValueError  # or of ints alone
    return x
