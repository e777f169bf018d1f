"""Functions with NumPy's scalars inside, of which the front gives Python's numbers."""

import math

import numpy as np

from front_case import case


@case("fi", may_leave=True)
def np_sum_of_products(x, n):
    v = np.float64(x)
    total = 0
    for j in range(20):
        total += v * j
    return float(total)


@case("ff", may_leave=True)
def np_power_until_large(x, y):
    v = np.float64(x)
    for _ in range(6):
        if v > y:
            v = v * v
        else:
            v = v + 1
    return float(v) / 3


@case("ii", may_leave=True)
def np_narrow_ints(x, y):
    a = np.int16(x)
    b = np.uint8(y)
    return int((a + b) * 2 - (a // 3 if b > 1 else a % 7))


@case("ii", may_leave=True)
def np_unused_overflow(x, y):
    unused = np.int64(x) * np.int64(y)
    unused = None
    return x if unused is None else y


@case("fi", may_leave=True)
def np_float32(x, n):
    v = np.float32(x) * 3 + n
    return float(v) if not math.isnan(v) else 0.0


@case("fib", may_leave=True)
def np_kinds_by_row(x, n, b):
    v = np.float64(x) if b else n
    w = v * 2 + (n if n > 3 else np.float64(n))
    return float(max(w, v)) + (1.0 if w > 0 else 2.0)


@case("fb", may_leave=True)
def np_booleans(x, b):
    t = np.bool_(b) | (np.float64(x) > 1)
    return bool(t & True) and t is not True


@case("fi", may_leave=True)
def np_functions(x, n):
    v = np.maximum(np.sqrt(np.absolute(x)), n)
    return float(np.sign(v) * np.floor(np.square(v)) + np.rint(v))


@case("fi", may_leave=True)
def np_given_to_math(x, n):
    return math.frexp(np.float64(x))[1] + math.sqrt(np.float32(4)) + round(np.float64(2.5)) + n
