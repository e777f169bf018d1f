"""What of the language people reach for: dicts, sets, lists, recursion, exceptions, the standard library."""

import bisect
import math
import statistics

from corpus.case import case, flags, ints, normal, reals

RATES = {0: 0.0, 1: 0.05, 2: 0.12, 3: 0.2}
HOLIDAYS = {101, 501, 1225, 1226}
STEPS = [10, 20, 50, 100]


@case(kind=ints(0, 5), amount=reals(0, 100, 2))
def rate_from_dict(kind, amount):
    return amount * RATES.get(kind, 0.5)


@case(kind=ints(0, 3), amount=reals(0, 100, 2))
def rate_by_key(kind, amount):
    return amount * (1 + RATES[kind])


@case(month=ints(1, 12), day=ints(1, 28))
def is_holiday(month, day):
    return month * 100 + day in HOLIDAYS


@case(day=ints(0, 6), hour=ints(0, 23))
def is_office_time(day, hour):
    return day in (0, 1, 2, 3, 4) and 9 <= hour < 17


@case(code=ints(0, 20))
def is_known_code(code):
    return code in {1, 2, 3, 5, 8, 13}


@case(value=reals(0, 150))
def bucket_by_bisect(value):
    return bisect.bisect_right(STEPS, value)


@case(value=reals(0, 150))
def bucket_over_list(value):
    bucket = 0
    for step in STEPS:
        if value < step:
            break
        bucket += 1
    return bucket


@case(n=ints(0, 20))
def fibonacci_recursive(n):
    return n if n < 2 else fibonacci_recursive(n - 1) + fibonacci_recursive(n - 2)


@case(n=ints(0, 10**9))
def digit_sum_of_text(n):
    return sum(int(c) for c in str(n))


@case(n=ints(0, 40))
def primes_below(n):
    found = []
    for k in range(2, n):
        if all(k % p for p in found):
            found.append(k)
    return len(found)


@case(a=ints(-9, 9), b=ints(-9, 9))
def safe_ratio(a, b):
    try:
        ratio = a / b
    except ZeroDivisionError:
        ratio = math.nan if a == 0 else math.inf
    return -1.0 if math.isnan(ratio) else ratio


@case(nulls="pass", a=ints(0, 9), b=ints(0, 9))
def sum_or_none(a, b):
    try:
        return a + b
    except TypeError:
        return None


@case(x=normal(0, 3), y=normal(0, 3), z=normal(0, 3))
def vector_length(x, y, z):
    return math.hypot(x, y, z)


@case(x1=reals(0, 9), y1=reals(0, 9), x2=reals(0, 9), y2=reals(0, 9))
def point_distance(x1, y1, x2, y2):
    return math.dist((x1, y1), (x2, y2))


@case(n=ints(0, 30), k=ints(0, 30))
def combinations(n, k):
    return math.comb(n, k)


@case(n=ints(0, 20))
def factorial_of_math(n):
    return math.factorial(n)


@case(a=ints(1, 9), b=ints(1, 9), c=ints(1, 9))
def product(a, b, c):
    return math.prod((a, b, c))


@case(a=reals(0, 9), b=reals(0, 9), c=reals(0, 9))
def median_of_statistics(a, b, c):
    return statistics.median((a, b, c))


@case(a=reals(0, 1), b=reals(0, 1))
def nearly_equal(a, b):
    return math.isclose(a, b, rel_tol=0.1)


@case(x=reals(0, 99, 1))
def is_whole(x):
    return x.is_integer()


@case(a=ints(-9, 9), b=ints(-9, 9), c=ints(-9, 9))
def closest_to_zero(a, b, c):
    return min((a, b, c), key=abs)


@case(nulls="pass", a=reals(0, 9), b=reals(0, 9))
def largest_known(a, b):
    return max((v for v in (a, b) if v is not None), default=-1.0)


@case(x=reals(0.1, 9))
def with_local_import(x):
    from math import log

    return log(x) / log(10)


@case(a=ints(0, 100), b=ints(1, 100))
def with_assert(a, b):
    assert b > 0
    return a // b


@case(price=reals(1, 100, 2), count=ints(1, 9), gift=flags(0.1))
def annotated(price: float, count: int, gift: bool) -> float:
    """Annotations and a docstring."""
    total: float = price * count
    return 0.0 if gift else round(total, 2)


@case(x=reals(-9, 9))
def applied(x):
    square = lambda v: v * v  # noqa: E731
    total = 0.0
    for f in (square, abs, math.cos):
        total += f(x)
    return total


@case(n=ints(0, 50))
def skips_and_stops(n):
    total = 0
    k = 0
    while True:
        k += 1
        if k > n:
            break
        if k % 3 == 0:
            continue
        total += k
    return total


@case(a=ints(-99, 99), b=ints(-99, 99))
def sign_product(a, b):
    return ((a > 0) - (a < 0)) * ((b > 0) - (b < 0))
