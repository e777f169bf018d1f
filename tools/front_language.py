"""Small functions, each about one thing that the front must get right: tuples, iteration, calls, numbers beyond + - * /."""

import functools
import math
import operator
from enum import IntEnum
from typing import NamedTuple

from front_case import case

RATES = {1: 0.25, 2: 0.5, None: -1.0, -3: 7.0, 9: 2.0}
WHOLE_RATES = {0: 10, 1: 11, 5: 15}
ODD_DIGITS = {1, 3, 5, 7, 9}
PRIMES = [2, 3, 5, 7, 11]
BRACKETS = ((0, 0.5), (3, 0.25), (10, 0.125))

# --- tuples, unpacking, assignment expressions


@case("ii")
def swap(x, y):
    x, y = y, x
    return x - y


@case("if")
def unpack_nested(x, y):
    (a, b), c = (x, y), x
    return a + b * c


@case("ii")
def tuple_index(x, y):
    t = (x, y, x + y)
    return t[0] + t[-1] + t[1]


@case("ii", may_leave=True)
def tuple_index_by_row(x, y):
    t = (10, 20, 30, y)
    return t[x]


@case("if")
def list_of_kinds(x, y):
    t = [x, y, 2, None]
    return t[1]


@case("b", result="l")
def tuple_or_none(c):
    t = (1, 2) if c else None
    if t is None:
        return -1
    a, b = t
    return a + b


@case("bi")
def tuples_of_two_lengths_unused(c, x):
    t = (1, 2) if c else (1, 2, 3)
    return x


@case("bii")
def tuples_merge(c, x, y):
    if c:
        t = (x, y)
    else:
        t = (y, 1.5)
    return t[0] if c is None else t[1]


@case("ii", may_leave=True)
def unpack_what_may_be_none(x, y):
    t = None
    if x:
        t = (x, y)
    a, b = t
    return a - b


@case("i")
def unpack_wrong_length(x):
    if x == 12:
        a, b = (1, 2, 3)
    return x


@case("ii")
def in_tuple(x, y):
    return x in (1, 2, y)


@case("fi")
def not_in_list(x, y):
    return x not in [0.5, y, 2]


@case("ff")
def in_floats(x, y):
    return x in (y, 1.0)


@case("ii")
def equal_tuples(x, y):
    return (x, 1) == (y, True)


@case("i")
def truth_of_tuples(x):
    return 1 if () else (2 if (x,) else 3)


@case("ii")
def concatenated(x, y):
    t = (x,) + (y, 3)
    return t[2] + t[1] + len(t)


@case("ii")
def walrus(x, y):
    if (z := x + y) > 3:
        return z
    return -z


@case("ii", result="l")
def walrus_inside_and(x, y):
    z = 0
    ok = x > 1 and (z := y) > 2
    return z if ok else -z


@case("bi", result="l")
def walrus_on_one_side(c, x):
    y = (z := x) if c else 5
    return z if c else y


@case("i", small=True)
def walrus_in_while(x):
    n = 0
    while (x := x - 1) > 0:
        n += x
    return n * 10 + x


@case("i", may_leave=True)
def deleted(x):
    y = x
    if x == 3:
        del y
    return y


@case("ii", may_leave=True)
def asserted(x, y):
    assert x != 3, "three"
    assert y
    return x + y


@case("ii", may_leave=True)
def raised(x, y):
    if x < y:
        raise ValueError(f"{x} is less than {y}")
    return x - y


# --- what for goes through


@case("ii")
def over_tuple(x, y):
    s = 0
    for t in (x, y, 3):
        s = s * 2 + t
    return s


@case("f")
def horner(x):
    r = 0.0
    for c in (1.0, -2.5, 0.125, 7.0):
        r = r * x + c
    return r


@case("ii", small=True)
def over_enumerate(x, y):
    s = 0
    for k, v in enumerate((x, y, 4), 1):
        s += k * v
    return s


@case("ii", small=True)
def over_enumerate_range(x, y):
    s = 0
    for k, v in enumerate(range(y, x), start=x):
        s += k * v
    return s


@case("iii", small=True)
def over_zip(x, y, z):
    s = 0
    for a, b, (c, d) in zip((x, y, z), range(5), enumerate([z, y, x])):
        s += a * b - c * d
    return s


@case("ii", small=True)
def over_reversed(x, y):
    s = 0
    for a in reversed((x, y, 5)):
        s = s * 3 + a
    for b in reversed(range(y, x)):
        s = s * 2 + b
    for b in reversed(range(x, y, -2)):
        s = s * 2 + b
    return s


@case("ii", small=True)
def break_out_of_tuple(x, y):
    found = -1
    for k, v in enumerate((3, 1, x)):
        if v == y:
            found = k
            break
    else:
        found = -2
    return found


@case("bi", result="g")
def over_kinds(c, x):
    s = 0
    for v in (x, 0.5, c):
        s = s + v
    return s * 1.0


@case("i", may_leave=True)
def over_a_number(x):
    if x == 3:
        for a in x:
            pass
    return x


@case("i", small=True)
def carried_tuple(x):
    pair = (0, 1)
    for _ in range(x):
        pair = (pair[1], pair[0] + pair[1])
    return pair[0]


@case("i", small=True)
def carried_tuple_changes_kind(x):
    pair = (0, 1)
    for k in range(x):
        pair = (pair[1], pair[0] + 0.5)
    return pair[0] + pair[1] * 1.0


# --- builtins


@case("ii")
def min_max(x, y):
    return min(x, y, 7) - max(y, x)


@case("if")
def max_of_kinds(x, y):
    return max(x, y) + 0.0


@case("ff")
def min_of_floats(x, y):
    return min(x, y)


@case("ii")
def max_of_tuple(x, y):
    return max((x, y, 5)) - min([x, y])


@case("ii", small=True, may_leave=True)
def max_of_generator(x, y):
    return max(k * y for k in range(x))


@case("i")
def sum_of_ints(x):
    return sum((x, 1, 2)) + sum([x], 10)


@case("ff")
def sum_of_floats(x, y):
    return sum((x, y, 1e16, 1.0, -1e16))


@case("if")
def sum_of_kinds(x, y):
    return sum([x, 2, y, x])


@case("if", small=True)
def sum_generated(x, y):
    return sum(y * k for k in range(x) if k != 2)


@case("ii", small=True)
def sum_of_two_loops(x, y):
    return sum(a * b for a in range(x) for b in range(y) if a != b)


@case("ii")
def any_all(x, y):
    return any(v > 3 for v in (x, y)) and not all([x, y])


@case("ii", small=True, may_leave=True)
def any_stops(x, y):
    return any(12 // (k - y) > 3 for k in range(x))


@case("ii", small=True, may_leave=True)
def all_of_two_loops(x, y):
    return all(10 // (a - b + 1) for a in range(x) for b in (y, 0))


@case("bif")
def conversions(a, x, y):
    return float(a) + float(x) + float(y) + 0.0


@case("if")
def bools(x, y):
    return bool(x) == bool(y) or False


@case("f")
def float_texts(x):
    return max(float("-inf"), min(x, float("1e3")))


@case("ii", may_leave=True)
def divmods(x, y):
    q, r = divmod(x, y)
    return q * 3 - r


@case("bif", result="l")
def instances(c, x, y):
    s = 0
    if isinstance(c, bool):
        s += 1
    if isinstance(x, int):
        s += 2
    if isinstance(y, (int, float)):
        s += 4
    if isinstance(c, int):
        s += 8
    return s


@case("ii")
def sorted_three(x, y):
    a, b, c = sorted((x, y, 4))
    return a * 2 - b + c


@case("ff")
def sorted_floats(x, y):
    return sorted([x, y, 0.5])[1]


@case("ii")
def comprehension(x, y):
    squares = [v + 1 for v in (x, y, 3)]
    return squares[0] + squares[2] * len(squares)


@case("ff")
def comprehension_summed(x, y):
    values = [v for v in (x, y)]
    return sum(values) / len(values)


@case("ff")
def tuple_beside_a_loop_with_branches(x, y):
    pair = (x, y)
    s = 0.0
    for k in range(3):
        if k > s:
            s += k
    return s if pair[0] is None else pair[0] + s


@case("i")
def comprehension_of_range(x):
    t = tuple(k * x for k in range(4))
    return t[3] + t[1]


@case("ii")
def variables_of_comprehensions(x, y):
    k = x
    t = [k + y for k in (1, 2)]
    return k + t[0] + t[1]


# --- functions


def half(x, by=2):
    if x is None:
        return None
    return x / by


def clamp(value, *, low=0, high=100):
    if value < low:
        return low
    if value > high:
        return high
    return value


def mean_of(first, *others):
    return (first + sum(others)) / (1 + len(others))


@case("ii", may_leave=True)
def calls(x, y):
    return half(x) + half(by=4, x=y)


@case("if")
def calls_with_returns(x, y):
    total = 0
    for k in range(3):
        if clamp(x + k, high=5) == 5:
            return clamp(y, low=-1.0, high=1.0)
        total += clamp(k)
    return total + 0.5


@case("ii")
def calls_with_stars(x, y):
    return mean_of(x, y, 3) + mean_of(y)


@case("ii")
def nested_function(x, y):
    def scaled(v, by=3):
        w = v * by
        return w + y

    z = scaled(x)
    y = 1
    return z + scaled(2)


@case("ii")
def nested_lambda(x, y):
    square = lambda v: v * v + y
    return square(square(2)) - square(x - x)


@case("i", may_leave=True)
def nested_function_not_defined(x):
    if x > 2:

        def g(v):
            return v + 1

    return g(x)


@case("i", small=True)
def functions_in_loops(x):
    def step(n):
        while n > 10:
            n = n - 7
            if n == 11:
                return -1
        return n

    s = 0
    for k in range(x):
        s += step(k * k)
    return s


PAIR = (2, 0.5)
WEIGHTS = ((1, 2.0), (3, -1.5))


@case("f")
def captured_tuples(x):
    r = x * PAIR[1] + PAIR[0]
    for a, b in WEIGHTS:
        r = r * a + b
    return r


# --- powers, bits, rounding, math


@case("ii", small=True, may_leave=True)
def powers(x, y):
    return x**2 + y**3 - 2**x


@case("ii", small=True, may_leave=True, result="g")
def power_of_row(x, y):
    return x**y


@case("fi", may_leave=True)
def power_of_float(x, y):
    return x**2 + x ** (y - 3)


@case("ff", may_leave=True)
def power_of_floats(x, y):
    return x**y


@case("bif", small=True, may_leave=True, result="g")
def power_of_kinds(c, x, y):
    base = x if c else y
    return base**2


@case("ii", may_leave=True)
def bits(x, y):
    return (x & y) | (x ^ 5) & ~y


@case("bb")
def bits_of_bools(x, y):
    return (x & y) ^ (x | True)


@case("bi", may_leave=True)
def bits_of_kinds(x, y):
    return (x & y) + (y | x)


@case("ii", small=True, may_leave=True)
def shifts(x, y):
    return (x << y) - (x >> y) + (1 << 62 >> x)


@case("ii", small=True, may_leave=True)
def shift_far(x, y):
    return x >> (y + 60)


@case("if", may_leave=True)
def absolute(x, y):
    return abs(x) + abs(y) + abs(x - y)


@case("bif")
def absolute_of_kinds(c, x, y):
    v = x if c else y
    return abs(v) + 0.0


@case("f", may_leave=True)
def whole_number(x):
    return int(x)


@case("bif", may_leave=True)
def whole_number_of_kinds(c, x, y):
    return int(x if c else y) + int(c) + 0


@case("f", may_leave=True)
def rounded(x):
    return round(x) + round(x, None)


@case("ff", may_leave=True)
def rounded_to_digits(x, y):
    return round(x * 1.005, 2) + round(y, ndigits=1) - round(x, -1)


@case("fi", small=True, may_leave=True)
def rounded_by_row(x, n):
    return round(x, n)


@case("ii", small=True, may_leave=True)
def rounded_ints(x, n):
    return round(x, n - 5) + round(x)


@case("f", may_leave=True)
def floors(x):
    return math.floor(x) * 100 + math.ceil(x) * 10 + math.trunc(x)


@case("i")
def floors_of_ints(x):
    return math.floor(x) + math.ceil(x) + math.trunc(x)


@case("f", may_leave=True)
def roots(x):
    return math.sqrt(x) + math.sqrt(x * x)


@case("ff", may_leave=True)
def trigonometry(x, y):
    return math.sin(x) * math.cos(y) + math.tan(x) - math.atan2(y, x) + math.atan(y)


@case("f", may_leave=True)
def arcs(x):
    return math.asin(x) + math.acos(x)


@case("ff", may_leave=True)
def exponentials(x, y):
    return math.exp(x) + math.expm1(y) - math.exp2(x) + math.cosh(y) - math.sinh(x) + math.tanh(y)


@case("fi", may_leave=True)
def logarithms(x, y):
    return math.log(x) + math.log2(y) + math.log10(x) + math.log1p(y)


@case("ff", may_leave=True)
def logarithm_to_a_base(x, y):
    return math.log(x, y)


@case("ff", may_leave=True)
def libm_of_two(x, y):
    return math.fmod(x, y) + math.copysign(x, y) + math.remainder(x, y) + math.pow(x, y)


@case("ff")
def more_libm(x, y):
    return math.erf(x) + math.erfc(y) + math.cbrt(x) + math.nextafter(x, y)


@case("f", may_leave=True)
def area_functions(x):
    return math.asinh(x) + (math.acosh(x) if x >= 1 else math.atanh(x))


@case("ii", may_leave=True)
def number_theory(x, y):
    return math.gcd(x, y, 12) + math.isqrt(x) + math.gcd()


@case("if")
def classes_of_floats(x, y):
    return math.isnan(y) or math.isinf(y) and not math.isfinite(x)


@case("f")
def angles(x):
    return math.degrees(x) + math.radians(x) + math.fabs(x) * math.pi - math.tau + math.e


@case("f")
def infinities(x):
    return min(max(x, -math.inf), math.inf)


@case("ii", may_leave=True)
def operators_by_name(x, y):
    z = operator.add(x, y) * operator.neg(x) - operator.floordiv(x, y)
    return z if operator.lt(x, y) else operator.xor(x, y)


@case("ff", may_leave=True)
def haversine(lat, lon):
    p = math.radians(lat - 40.5)
    q = math.radians(lon + 73.25)
    a = math.sin(p / 2) ** 2 + math.cos(math.radians(lat)) * 0.76 * math.sin(q / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(a))


# --- match


@case("i")
def match_numbers(x):
    match x:
        case 0:
            return 10
        case 1 | 2 | -1:
            return 20
        case None:
            return -7
        case y if y > 5:
            return y
        case z:
            return z + 1


@case("if")
def match_pairs(x, y):
    match x, y:
        case 0, _:
            return 0.5
        case None, None:
            return -1.0
        case a, 2.5:
            return a + 0.25 if a is not None else 8.0
        case (a, float(b)) if b > 3 and a is not None:
            r = b
        case t:
            r = 1.0 if t[0] is None else 2.0
    return r


@case("b")
def match_classes(x):
    match x:
        case True:
            s = 1
        case int(n):
            s = n + 2
        case float() | None:
            s = 3
    return s


@case("i", may_leave=True)
def match_nothing(x):
    match x:
        case 1:
            y = 1
        case 2 if x > 5:
            y = 2
    return y


# --- generators gone through where they stand


@case("iii")
def mapped_and_filtered(x, y, z):
    low = min(map(abs, (x, y, z)))
    some = sum(filter(None, (x, y, z)))
    return low + some + sum(map(lambda p, q: p - 2 * q, (x, y), (y, z)))


@case("iii")
def loop_through_a_filter(x, y, z):
    total = 0
    for v in filter(lambda v: v % 2, map(lambda v: v + 1, (x, y, z))):
        if v > 9:
            continue
        if v < -2:
            break
        total += v
    else:
        total -= 100
    return total


@case("if")
def unpacked_map(x, y):
    a, b = map(float, (x, y))
    return a * b


@case("i")
def next_of_levels(x):
    return next((k for k, level in enumerate((1, 3, 9, 50)) if x < level), -1)


@case("ii", may_leave=True)
def next_or_raise(x, y):
    return next(v for v in (x, y) if v > 2)


@case("iii")
def extremes_by_key(x, y, z):
    return max(x, y, z, key=lambda v: v % 7) * 100 + min((z, y, x), key=abs)


@case("ii")
def extremes_with_default(x, n):
    return max((k * x for k in range(min(n, 5))), default=-1) - min(range(min(n, 3)), default=x)


@case("ii")
def called_lambda(x, y):
    return (lambda a, b: a * b + x)(y, 2)


# --- constant tables


@case("i")
def rate_of(x):
    return RATES.get(x, 0.125)


@case("i", may_leave=True)
def rate_or_key_error(x):
    return WHOLE_RATES[x]


@case("f")
def rate_by_float(x):
    return WHOLE_RATES.get(x)


@case("i")
def membership(x):
    known = (x in RATES) + 2 * (x in ODD_DIGITS) + 4 * (x not in PRIMES)
    return known + 8 * (x in {4: 1, 12: 2}) + 16 * (x in {0, 100})


@case("if")
def table_of_expressions(x, y):
    steps = {0: y, 1: y * 2, 2: -1.0}
    if x in steps:
        return steps[x]
    return steps.get(0, 0.0) + {5: 1.0, 7: y}.get(x, 3.0)


@case("i")
def captured_list(x):
    total = PRIMES[x % 5] + len(PRIMES) + sum(PRIMES) + max(PRIMES)
    for k, p in enumerate(PRIMES):
        total += k * p * x
    return total + any(p == x for p in PRIMES) + sorted(PRIMES)[-2]


@case("f")
def captured_brackets(x):
    total = 0.0
    low, rate = BRACKETS[0]
    for limit, following in BRACKETS[1:]:
        if x <= limit:
            return total + (x - low) * rate
        total += (limit - low) * rate
        low, rate = limit, following
    return total + (x - low) * rate


@case("i")
def through_a_table(x):
    total = 0
    for key, value in WHOLE_RATES.items():
        total += key * value * x
    return total + sum(WHOLE_RATES) + max(WHOLE_RATES.values())


# --- methods of numbers


@case("i")
def bits_by_method(x):
    return x.bit_count() * 100 + (x + 1).bit_length() + (-7).bit_length()


@case("b")
def bits_of_a_bool(c):
    return c.bit_count() + c.conjugate()


@case("f")
def whole_floats(x):
    return x.is_integer() or (x / 2).is_integer() and x.conjugate() > 3


@case("bif", may_leave=True)
def methods_that_floats_lack(c, x, y):
    number = x if c else y
    return number.bit_count()


@case("fi")
def parts_of_floats(x, n):
    m, e = math.frexp(x)
    part, whole = math.modf(x * 3)
    return math.ldexp(m, n % 7) + e + part - whole + math.ulp(x)


@case("ii", small=True)
def counted(n, k):
    return math.comb(n, k) + math.perm(n, k) - math.lcm(n, k, 4)


@case("ff")
def close_to(x, y):
    return math.isclose(x, y) or math.isclose(x, -y, abs_tol=1.0)


@case("ffi")
def summed_and_multiplied(x, y, n):
    return math.fsum((x, 0.1, y)) + math.prod((x, n)) + math.prod(range(1, 5), start=2)


# --- parameters that are bound, objects, imports


def of_three(a, b, c):
    if b is None:
        b = a
    return a * 100 + b * 10 + c


class Rates(NamedTuple):
    low: int = 2
    high: float = 2.5
    steps: tuple = (1, 5, 9)

    @property
    def spread(self):
        return self.high - self.low

    def rate(self, x):
        return self.high if x > self.steps[1] else self.low

    def charge(self, x):
        return x * self.rate(x) + self.spread


class Size(IntEnum):
    SMALL = 1
    LARGE = 3


TARIFF = Rates()
first_bound = functools.partial(of_three, 7)
second_bound = functools.partial(of_three, b=None)
tripled = functools.partial(operator.mul, 3)


@case("ii")
def calls_partials(x, y):
    return first_bound(x, y) - second_bound(y, c=x) + tripled(x)


@case("i", may_leave=True)
def calls_methods(x):
    return TARIFF.charge(x) + TARIFF.steps[-1]


@case("i")
def compares_members(x):
    return x == Size.SMALL or x in (Size.LARGE, 7) or x * Size.LARGE > 20


@case("f", may_leave=True)
def imports_inside(x):
    from math import floor as down

    if x is None:
        import operator as op

        return op.neg(1)
    return down(x)


# --- functions that call themselves


def factorial(n):
    if n <= 1:
        return 1
    return n * factorial(n - 1)


def greatest(a, b):
    return a if b == 0 else greatest(b, a % b)


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def ackermann(m, n):
    if m == 0:
        return n + 1
    return ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))


def power_of(x, n):
    if n == 0:
        return 1.0
    half = power_of(x, n // 2)
    return half * half * x if n % 2 else half * half


def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


def searched(low, high, wanted):
    if low > high:
        return None
    middle = (low + high) // 2
    square = middle * middle
    if square == wanted:
        return middle
    if square < wanted:
        return searched(middle + 1, high, wanted)
    return searched(low, middle - 1, wanted)


def halved(x):
    """An int that becomes a float on the way, and a None for some."""
    if x is None or x == 7:
        return x
    return halved(x / 2) if x > 1 else x


def forever(n):
    return forever(n + 1)


@case("i", small=True)
def recursive_factorial(x):
    return factorial(x % 15)


@case("ii", may_leave=True)
def recursive_gcd(x, y):
    return greatest(x, y)


@case("i", small=True)
def recursive_fibonacci(x):
    return fibonacci(x % 12)


@case("ii", small=True)
def recursive_ackermann(x, y):
    return ackermann(x % 3, y % 4)


@case("fi", small=True)
def recursive_power(x, y):
    return power_of(x, y % 20)


@case("i", small=True)
def mutually_recursive(x):
    return is_even(x % 40)


@case("i", may_leave=True)
def recursive_search(x):
    return searched(0, 20, x)


@case("f", may_leave=True)
def recursion_of_kinds(x):
    y = halved(None if x is None else 100 if x > 3 else 7)
    return -1 if y is None else y


@case("i", may_leave=True)
def recursion_in_a_loop(x):
    total = 0
    for k in range(x % 5):
        total += factorial(k) + fibonacci(k)
    return total


@case("i", small=True, may_leave=True)
def recursion_without_end(x):
    return forever(x) if x == 3 else x


@case("i", small=True, may_leave=True)
def deep_recursion(x):
    if x <= 0:
        return 0
    return 1 + deep_recursion(x - 1)


# --- the order of tuples


@case("iif")
def tuples_in_order(x, y, z):
    t, u = (x, y, z), (y, x, 2.5)
    return (t < u) + 2 * (t <= u) + 4 * (u > (x, y)) + 8 * ([x, 1] >= [x, y])


@case("ii")
def nested_tuples_in_order(x, y):
    return ((x, y), 1) < ((x, 3), y) or ((1, x), y) >= ((1, y), x)


@case("iii")
def least_pair(x, y, z):
    return min((abs(x - 5), x), (abs(y - 5), y), (abs(z - 5), z))[1]


@case("iif")
def sorted_pairs(x, y, z):
    pairs = sorted([(x, z), (y, 0.5), (3, 1.5)])
    return pairs[0][1] * 100 + pairs[2][0]


@case("if", may_leave=True)
def tuples_with_what_has_no_order(x, y):
    return (x, None) < (3, y)


@case("ff")
def best_so_far_by_tuple(x, y):
    best = (0.0, -1)
    for k, v in enumerate((x, y, 2.0)):
        best = max(best, (v, k))
    return best[0] * 10 + best[1]
