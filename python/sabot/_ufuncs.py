"""What NumPy's functions that go item by item do with the plain numbers of one row, as Python functions that the compiler calls.

Each gives what NumPy gives for the values of such items, or raises where that is not certain or where NumPy warns: then NumPy computes the
batch. Floats are doubles, also those of float32. Rules: NumPy's reference (numpy.org/doc/stable/reference/ufuncs.html), and what it gives.
"""

from __future__ import annotations

import math
from typing import Any


def copysign(x: Any, y: Any) -> Any:
    if y != y:
        raise ValueError  # a NaN's sign
    return math.copysign(x, y)


def fmod(x: Any, y: Any) -> Any:
    if x != x or y != y:
        return math.nan
    return math.fmod(x, y)


def fmod_of_ints(x: Any, y: Any) -> Any:
    rest = abs(x) % abs(y)
    return rest if x > 0 else -rest


def fmax(x: Any, y: Any) -> Any:
    if x != x:
        return y
    if y != y:
        return x
    if x == 0 and y == 0 and isinstance(x, float):
        raise ValueError  # which zero it is
    return x if x > y else y


def fmin(x: Any, y: Any) -> Any:
    if x != x:
        return y
    if y != y:
        return x
    if x == 0 and y == 0 and isinstance(x, float):
        raise ValueError  # which zero it is
    return x if x < y else y


def heaviside(x: Any, y: Any) -> Any:
    if x != x:
        return x
    if x == 0:
        return y
    return 1.0 if x > 0 else 0.0


def logical_and(x: Any, y: Any) -> Any:
    return x != 0 and y != 0


def logical_or(x: Any, y: Any) -> Any:
    return x != 0 or y != 0


def logical_xor(x: Any, y: Any) -> Any:
    return (x != 0) != (y != 0)


def logical_not(x: Any) -> Any:
    return x == 0


def signbit(x: Any) -> Any:
    if x != x:
        raise ValueError  # a NaN's sign
    return math.copysign(1.0, x) < 0


def reciprocal(x: Any) -> Any:
    made = 1.0 / x
    if made == math.inf or made == -math.inf:
        raise ValueError  # NumPy warns
    return made


def nan_to_num(x: Any, nan: Any, most: Any, least: Any) -> Any:
    if x != x:
        return nan
    return most if x == math.inf else least if x == -math.inf else x
