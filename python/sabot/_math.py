"""Functions of `math` that are not libm's, in terms of what is compiled: each gives what CPython's own gives, or raises.

A function of the user that calls `math.hypot` is compiled with `hypot` of this module in its place. What raises here is no error: the
row leaves, and CPython calls the real function for it. So a form may raise where it is not sure, and where it does not, it must give
the same value bit for bit. Each is compared with the process's `math` before it is first used (`trusted`), since CPython's
algorithms differ between versions.

Sources: the norm is "scaled, with compensated sums and one step of differential correction", as `math.hypot` has it since 3.10 (its
products are split exactly since 3.12); gamma and its logarithm are Lanczos' approximation with the coefficients for N=13 and
g=6.0246800407767296 that Boost publishes, reflected for negative numbers; fsum keeps the exact sum in two doubles (Knuth's two-sum) as
long as it has room there; products are split by Veltkamp and Dekker.
"""

from __future__ import annotations

import math
import sys
from operator import index
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    Pair: TypeAlias = tuple[float, float]  # a number as the sum of two doubles
    Sum: TypeAlias = tuple[
        float, float, float
    ]  # two doubles, and the size of what did not fit them

_EXACT_SPLIT = sys.version_info >= (3, 12)
_SPLITTER = 134217729.0  # 2**27 + 1
_LEAST = 2.2250738585072014e-308
_MOST = sys.float_info.max


def exponent(x: float) -> int:
    """That of frexp; compiled code has an operation for it."""
    return math.frexp(x)[1]


def frexp(x: float, /) -> tuple[float, int]:
    e = exponent(x)
    return math.ldexp(x * 1.0, -e), e


def modf(x: float, /) -> tuple[float, float]:
    x = x * 1.0
    if x != x:
        return x, x
    if math.fabs(x) >= 4503599627370496.0:
        return math.copysign(0.0, x), x
    whole = int(x) * 1.0
    return math.copysign(x - whole, x), math.copysign(whole, x)


def ulp(x: float, /) -> float:
    x = math.fabs(x)
    if x >= _MOST:
        return x if x > _MOST else x - math.nextafter(x, 0.0)
    return math.nextafter(x, math.inf) - x


def nextafter(x: float, y: float, /, *, steps: int | None = None) -> float:
    if steps is None:
        return math.nextafter(x, y)
    steps = index(steps)
    if steps < 0 or steps > 64:
        raise ValueError
    x = x * 1.0
    for _ in range(steps):
        x = math.nextafter(x, y)
    if x == 0.0 and steps > 0:
        raise ValueError  # the sign of zero
    return x


def isclose(a: float, b: float, *, rel_tol: float = 1e-09, abs_tol: float = 0.0) -> bool:
    a = a * 1.0
    b = b * 1.0
    if rel_tol < 0.0 or abs_tol < 0.0:
        raise ValueError
    if a == b:
        return True
    if math.isinf(a) or math.isinf(b):
        return False
    gap = math.fabs(b - a)
    return gap <= math.fabs(rel_tol * b) or gap <= math.fabs(rel_tol * a) or gap <= abs_tol * 1.0


# --- norms


def _square(x: float) -> Pair:
    """The square of x, which must not be large, as a sum of two doubles."""
    t = x * _SPLITTER
    high = t - (t - x)
    low = x - high
    square = x * x
    return square, ((high * high - square) + 2.0 * high * low) + low * low


def _norm_sums(items: tuple[float, ...], scale: float) -> tuple[float, float, float]:
    """The sum of the squares of the scaled items, less 1, as two or three doubles."""
    total, first, second = 1.0, 0.0, 0.0
    _ = [
        (
            pair := _square(x * scale),
            before := total,
            total := before + pair[0],
            first := first + pair[1],
            second := second + ((before - total) + pair[0]),
        )
        for x in items
    ]
    return total, first, second


def _norm(items: tuple[float, ...], scale: float) -> float:
    total, first, second = _norm_sums(items, scale)
    root = math.sqrt(total - 1.0 + (first + second))
    square, low = _square(root)
    after = total - square
    first = first - low
    second = second + ((total - after) - square)
    return (root + (after - 1.0 + (first + second)) / (2.0 * root)) / scale


def _norm_of_parts(items: tuple[float, ...], scale: float) -> float:
    """The norm of 3.10 and 3.11, which sums the parts of the squares one by one."""
    total, first, second, third = 1.0, 0.0, 0.0, 0.0
    _ = [
        (
            y := x * scale,
            t := y * _SPLITTER,
            high := t - (t - y),
            low := y - high,
            part := high * high,
            before := total,
            middle := before + part,
            first := first + ((before - middle) + part),
            cross := 2.0 * high * low,
            total := middle + cross,
            second := second + ((middle - total) + cross),
            third := third + low * low,
        )
        for x in items
    ]
    root = math.sqrt(total - 1.0 + (first + second + third))
    t = root * _SPLITTER
    high = t - (t - root)
    low = root - high
    part = -high * high
    middle = total + part
    first = first + ((total - middle) + part)
    part = -2.0 * high * low
    after = middle + part
    second = second + ((middle - after) + part)
    part = -low * low
    end = after + part
    third = third + ((after - end) + part)
    return (root + (end - 1.0 + (first + second + third)) / (2.0 * root)) / scale


def _length(items: tuple[float, ...]) -> float:
    """The norm of a list of magnitudes."""
    most, total = 0.0, 0.0
    _ = [(most := x if x > most else most, total := total + x) for x in items]
    if len(items) <= 1:
        return items[0] if len(items) == 1 else 0.0
    if not (most >= _LEAST and total <= _MOST):
        if math.isinf(most) or (most == 0.0 and total == 0.0):
            return most
        if total != total:
            return total
        if most < 1.0:
            raise ValueError
    scale = math.ldexp(1.0, -exponent(most))
    return _norm(items, scale) if _EXACT_SPLIT else _norm_of_parts(items, scale)


def hypot(*coordinates: float) -> float:
    return _length(tuple(math.fabs(x) for x in coordinates))


def dist(p: Sequence[float], q: Sequence[float], /) -> float:
    if len(p) != len(q):
        raise ValueError
    return _length(tuple(math.fabs(x * 1.0 - y * 1.0) for x, y in zip(p, q, strict=False)))


# --- integers

_FACTORIALS = tuple(math.factorial(k) for k in range(21))


def mod_power(base: int, exp: int, mod: int) -> int:
    """pow(base, exp, mod); beyond a modulus of about 2**31.5 the products leave."""
    base, exp, mod = index(base), index(exp), index(mod)
    if mod == 0:
        raise ValueError
    size = -mod if mod < 0 else mod
    if size == 1:
        return 0
    if exp < 0:
        exp = -exp
        base = _inverse(base, size)
    base = base % size
    result = 1
    while exp:
        if exp & 1:
            result = result * base % size
        exp = exp >> 1
        if exp:
            base = base * base % size
    return result + mod if mod < 0 and result else result


def _inverse(number: int, modulus: int) -> int:
    """What number is to be multiplied with for 1: Euclid's algorithm, with one of the two factors."""
    this, other = number % modulus, modulus
    factor, before = 1, 0
    while this:
        quotient = other // this
        other, this = this, other - quotient * this
        before, factor = factor, before - quotient * factor
    if other != 1:
        raise ValueError
    return before


def factorial(n: int, /) -> int:
    n = index(n)
    if n < 0 or n > 20:
        raise ValueError
    return _FACTORIALS[n]


def comb(n: int, k: int, /) -> int:
    n, k = index(n), index(k)
    if n < 0 or k < 0:
        raise ValueError
    if k > n:
        return 0
    k = min(k, n - k)
    if k > 33:
        raise ValueError  # 2**k / k at least: more than 64 bits
    r = 1
    for i in range(k):
        r = r * (n - i) // (i + 1)
    return r


def perm(n: int, k: int | None = None, /) -> int:
    n = index(n)
    k = n if k is None else index(k)
    if n < 0 or k < 0:
        raise ValueError
    if k > n:
        return 0
    if k > 20:
        raise ValueError
    r = 1
    for i in range(k):
        r = r * (n - i)
    return r


def lcm(*integers: int) -> int:
    r = 1
    for n in integers:
        r = 0 if r == 0 or index(n) == 0 else abs(r // math.gcd(r, n) * n)
    return r


# --- exact sums


def _two_sum(x: float, y: float) -> Pair:
    s = x + y
    t = s - x
    return s, (x - (s - t)) + (y - t)


def fsum_next(state: Sum, x: float) -> Sum:
    total, rest, lost = state
    total, error = _two_sum(total, x * 1.0)
    rest, error = _two_sum(rest, error)
    return total, rest, lost + math.fabs(error)


def fsum_end(state: Sum) -> float:
    total, rest, lost = state
    if lost != 0.0 or total - total != 0.0:
        raise ValueError
    return total + rest


def _split(x: float) -> Pair:
    t = x * _SPLITTER
    high = t - (t - x)
    return high, x - high


def _product(x: float, y: float) -> Pair:
    """The product as a sum of two doubles; raises where that may not be exact."""
    r = x * y
    size = math.fabs(r)
    if not (1e-250 < size < 1e290 and math.fabs(x) < 1e290 and math.fabs(y) < 1e290):
        if r == 0.0 and (x == 0.0 or y == 0.0):
            return r, 0.0
        raise ValueError
    a, b = _split(x)
    c, d = _split(y)
    return r, b * d - (((r - a * c) - b * c) - a * d)


def _sumprod_next(state: Sum, x: float, y: float) -> Sum:
    total, rest, lost = state
    high, low = _product(x, y)
    total, error = _two_sum(total, high)
    low, first = _two_sum(rest, low)
    rest, second = _two_sum(low, error)
    return total, rest, lost + math.fabs(first) + math.fabs(second)


def fma(x: float, y: float, z: float, /) -> float:
    z = z * 1.0
    high, low = _product(x * 1.0, y * 1.0)
    if high == 0.0:
        return high + z
    middle, error = _two_sum(z, low)
    top, below = _two_sum(high, middle)
    rest, lost = _two_sum(error, below)
    if lost != 0.0 or not 1e-250 < math.fabs(top) < 1e290:
        raise ValueError
    return top + rest


def sumprod(p: Sequence[float], q: Sequence[float], /) -> float:
    if len(p) != len(q):
        raise ValueError
    ints, floats = True, True
    _ = [
        (
            whole := isinstance(x, int) and isinstance(y, int),
            ints := ints and whole,
            floats := floats and not whole,
        )
        for x, y in zip(p, q, strict=False)
    ]
    if ints:
        total = 0
        _ = [total := total + x * y for x, y in zip(p, q, strict=False)]
        return total
    if not floats:
        raise ValueError
    state = (0.0, 0.0, 0.0)
    _ = [state := _sumprod_next(state, x * 1.0, y * 1.0) for x, y in zip(p, q, strict=False)]
    return fsum_end(state)


# --- gamma

_LANCZOS_G = 6.024680040776729583740234375
_LANCZOS_ABOVE = (
    23531376880.410759688572007674451636754734846804940,
    42919803642.649098768957899047001988850926355848959,
    35711959237.355668049440185451547166705960488635843,
    17921034426.037209699919755754458931112671403265390,
    6039542586.3520280050642916443072979210699388420708,
    1439720407.3117216736632230727949123939715485786372,
    248874557.86205415651146038641322942321632125127801,
    31426415.585400194380614231628318205362874684987640,
    2876370.6289353724412254090516208496135991145378768,
    186056.26539522349504029498971604569928220784236328,
    8071.6720023658162106380029022722506138218516325024,
    210.82427775157934587250973392071336271166969580291,
    2.5066282746310002701649081771338373386264310793408,
)
_LANCZOS_BELOW = (
    0.0,
    39916800.0,
    120543840.0,
    150917976.0,
    105258076.0,
    45995730.0,
    13339535.0,
    2637558.0,
    357423.0,
    32670.0,
    1925.0,
    66.0,
    1.0,
)
_GAMMAS = tuple(float(math.factorial(k)) for k in range(23))


def _lanczos(x: float) -> float:
    """The rational function of the approximation; by powers of 1/x where x is large."""
    above, below = 0.0, 0.0
    if x < 5.0:
        _ = [
            (above := above * x + a, below := below * x + b)
            for a, b in zip(reversed(_LANCZOS_ABOVE), reversed(_LANCZOS_BELOW), strict=False)
        ]
    else:
        _ = [
            (above := above / x + a, below := below / x + b)
            for a, b in zip(_LANCZOS_ABOVE, _LANCZOS_BELOW, strict=False)
        ]
    return above / below


def _sine_of_pi(x: float) -> float:
    """sin(pi * x) for x that is not negative and below 2**31."""
    y = math.fmod(x, 2.0)
    if y < 0.25:
        return math.sin(math.pi * y)
    if y < 0.75:
        return math.cos(math.pi * (y - 0.5))
    if y < 1.25:
        return math.sin(math.pi * (1.0 - y))
    if y < 1.75:
        return -math.cos(math.pi * (y - 1.5))
    return math.sin(math.pi * (y - 2.0))


def gamma(x: float, /) -> float:
    x = x * 1.0
    size = math.fabs(x)
    if not (1e-20 <= size <= 170.0):
        if x != x or x == math.inf:
            return x
        raise ValueError
    if x == size and x <= 23.0 and x == math.floor(x):
        return _GAMMAS[math.floor(x) - 1]
    half = _LANCZOS_G - 0.5
    y = size + half
    z = (y - size) - half if size > half else (y - half) - size
    z = z * _LANCZOS_G / y
    if x < 0.0:
        if x == math.floor(x):
            raise ValueError
        r = -math.pi / _sine_of_pi(size) / size * math.exp(y) / _lanczos(size)
        r = r - z * r
        if size < 140.0:
            return r / math.pow(y, size - 0.5)
        root = math.pow(y, size / 2.0 - 0.25)
        return r / root / root
    r = _lanczos(size) / math.exp(y)
    r = r + z * r
    if size < 140.0:
        return r * math.pow(y, size - 0.5)
    root = math.pow(y, size / 2.0 - 0.25)
    return r * root * root


def lgamma(x: float, /) -> float:
    x = x * 1.0
    size = math.fabs(x)
    if not (1e-20 <= size <= 1e15):
        if x != x:
            return x
        raise ValueError
    if x <= 2.0 and x == math.floor(x):
        if x <= 0.0:
            raise ValueError
        return 0.0
    r = math.log(_lanczos(size)) - _LANCZOS_G
    r = r + (size - 0.5) * (math.log(size + _LANCZOS_G - 0.5) - 1.0)
    if x < 0.0:
        r = (
            1.144729885849400174143427351353058711647
            - math.log(math.fabs(_sine_of_pi(size)))
            - math.log(size)
            - r
        )
    return r
