"""Small functions with more than one thing going on: chains of comparisons that assign, powers with a modulus, functions as values."""

import bisect
import datetime as dt
import functools
import math
import operator

from front_case import case

STRICT = True
DAYS = (dt.date(2020, 2, 29), dt.date(2021, 1, 1))
NOON = dt.datetime(2020, 2, 29, 12, 0, 0, 1)
IN_ZONE = NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=-3)))


def doubled(x):
    return x * 2 + 1


def twice(f, x):
    return f(f(x))


def descend(f, x, n):
    return x if n <= 0 else descend(f, f(x), n - 1)


def inside(f, x):
    def wrapped(v):
        return f(v) - 1

    return wrapped(x) + wrapped(1)


STEPS = (doubled, operator.neg, abs)
OPERATIONS = {0: operator.add, 1: operator.sub, 5: lambda a, b: a * 2 - b}
EDGES = [0, 2.5, 2.5, 9]
ODD_EDGES = (3, 1, 2)
BRACKETS = [(0, 0.5), (3, 0.25), (10, 0.125)]
PAIRS = {(1, 2), (2, 3), (5, 5), (0, 0)}
PRICES = {(0, 0): 1.5, (0, 1): 2.5, (1, 0): 3.5}
NAMED = {"sum": operator.add, "less": lambda a, b: a < b}

# --- chains of comparisons


@case("iii")
def chain_assigns(a, b, c):
    n = 0
    holds = a < (n := b) < (n := n + c) <= 10
    return n * 2 + holds


@case("iii")
def chain_assigns_only_where_it_gets(a, b, c):
    if a < b < (q := c):
        return q
    return 7 if a < b else -7


@case("iii", may_leave=True)
def chain_may_not_assign(a, b, c):
    if a < b < (q := c):
        return q
    return q


@case("iif")
def chain_with_sum(a, b, c):
    return a <= sum(x for x in (b, c)) < max((c, 3), default=0) < 9


@case("iii")
def chain_with_look_up(a, b, c):
    prices = {1: 5, 2: 7, 3: 9}
    return a < prices.get(b, 6) <= c


@case("iii")
def chain_with_next(a, b, c):
    return a < next((x for x in (b, c, 5) if x > 2), 0) <= 8 < (z := 30) > a + z - 30


# --- pow with three arguments


@case("ii")
def power_of_modulus(a, b):
    return pow(a, abs(b), 1_000_000_007)


@case("ii", may_leave=True)
def power_inverse(a, b):
    return pow(a, b, 97)


@case("iii", may_leave=True, result="l")
def power_any_modulus(a, b, m):
    return pow(a, b, mod=m)


# --- functions as values


@case("f", may_leave=True)
def function_by_constant(x):
    f = math.sqrt if STRICT else math.log
    return f(x)


@case("ii")
def function_by_condition(x, y):
    f = doubled if x > y else operator.neg
    return f(x) - f(1)


@case("ii")
def function_by_statement(x, y):
    if x > 2:

        def f(v):
            return v + y

    else:
        f = operator.neg
    return f(x)


@case("ii", may_leave=True)
def function_maybe_unbound(x, y):
    if x > 2:
        f = doubled
    return f(y)


@case("ii")
def function_as_argument(x, y):
    return twice(doubled, x) + twice(lambda v: v - y, x) + inside(abs, y)


@case("ii")
def function_of_two_as_argument(x, y):
    return twice(doubled if x > y else operator.neg, y) + inside(lambda v: v * y, x)


@case("i", small=True)
def function_through_recursion(x):
    return descend(doubled, x, 3) - descend(operator.neg, x, x % 4)


@case("ii", may_leave=True)
def function_of_tuple(x, y):
    return STEPS[0](x) + STEPS[-1](y) + STEPS[y](x)


@case("ii", may_leave=True)
def function_of_dict(x, y):
    return NAMED["sum"](x, OPERATIONS[x](x, y)) if NAMED["less"](x, 9) else OPERATIONS[5](x, y)


@case("ii")
def functions_of_loops(x, y):
    total = 0
    for f in STEPS:
        total += f(x)
    return total + sum(f(y) for f in STEPS) + [g(1) for g in (doubled, abs)][0]  # noqa: RUF015


@case("ii", may_leave=True)
def functions_of_locals(x, y):
    both = (doubled, lambda v: v - y)
    named = {"a": both[0], "b": abs}
    return both[1](x) + both[x > y](y) + named["b"](x) * named["a"](2)


@case("ii")
def partial_of_a_row(x, y):
    less = functools.partial(operator.sub, y)
    square = functools.partial(pow, exp=2)
    return less(x) + square(y % 99) + functools.partial(max, 3)(x)


@case("ii")
def partial_made_in_a_loop(x, y):
    total = 0
    for k in range(3):
        f = functools.partial(operator.add, k) if x > 1 else operator.neg
        total += f(y) if x <= 1 else f(x)
    return total


# --- dates as constants


@case("i", may_leave=True)
def constant_times(x):
    day = DAYS[x]
    if day < DAYS[1] and day == dt.date(2020, 2, 29):
        return dt.datetime(2020, 3, 1) > NOON and dt.datetime(2020, 2, 29, tzinfo=dt.UTC) < IN_ZONE
    return day in (NOON, IN_ZONE, None) or NOON == IN_ZONE or (x > 1 and NOON < IN_ZONE)


# --- sorting by a key, bisect


@case("f")
def bisect_of_captured(x):
    return bisect.bisect(EDGES, x) * 10 + bisect.bisect_left(EDGES, x)


@case("i")
def bisect_of_what_is_not_sorted(x):
    return bisect.bisect_right(ODD_EDGES, x) * 10 + bisect.bisect_left(ODD_EDGES, x, 1)


@case("ii", may_leave=True)
def bisect_of_local(x, y):
    found = sorted([x, y, 3])
    return bisect.bisect_left(found, y, hi=2) + bisect.bisect(found, -x, key=lambda v: -v) * 10


@case("ii")
def insort_local(x, y):
    found = []
    for k in range(6):
        bisect.insort(found, (k * x + y) % 7)
    total = 0
    for v in found:
        total = total * 7 + v
    return total


@case("iii")
def sorted_by_key(x, y, z):
    found = sorted([x, y, z, -2], key=abs)
    down = sorted((x, y, z), key=lambda v: v % 3, reverse=True)
    return (found[0] * 3 + found[1]) % 99 + found[2] % 7 + (down[0] % 1000) * 3 - down[1] % 11


@case("iif")
def sorted_pairs_by_key(x, y, z):
    pairs = [(x, 1), (y, 2), (2, z), (x, 0.5)]
    first = sorted(pairs, key=lambda p: (p[0], -p[1]))
    return first[0][1] + 3 * first[1][1] - min(first[3], key=lambda v: v % 2)


@case("ii", small=True)
def sorted_long_by_key(x, y):
    found = []
    for k in range(40):
        found.append((k * x + y * 3) % 17)
    found.sort(key=lambda v: v % 4, reverse=True)
    ranks = sorted(found, key=lambda v: (abs(v - y) % 5, -v))
    return sum(k * v for k, v in enumerate(found)) + sum(k * k * v for k, v in enumerate(ranks))


@case("ff", may_leave=True)
def positions_by_value(x, y):
    found = [x, y * 0.5, 2.5, x - y]
    order = sorted(range(4), key=lambda k: found[k])
    return order[0] * 100 + order[1] * 10 + order[3]


# --- captured tables of tuples, calls with *, reduce


@case("i")
def brackets_of_list(x):
    total = 0.0
    for lower, rate in BRACKETS:
        if x > lower:
            total += (x - lower) * rate
    return total + len(BRACKETS) + BRACKETS[1][0]


@case("ii")
def pairs_in_tables(x, y):
    price = PRICES.get((x, y), 0.0) + PRICES[0, 1]
    return price if (x, y) in PAIRS else -price


@case("ii")
def unpacked_arguments(x, y):
    first = max(*BRACKETS[x % 3], y)
    return first + sum(min(*bracket, x) for bracket in BRACKETS) + max(*(x, y), 2)


@case("ii")
def reduced(x, y):
    whole = functools.reduce(operator.add, (x, y, 3)) - functools.reduce(max, [y, x], 4)
    return whole + functools.reduce(lambda a, b: a % 99 + b, (v for v in (x, y, 1) if v > 0))
