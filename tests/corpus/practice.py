"""What people write who have no compiler in mind: brackets in a list, a lambda for the right-hand side, dates, sorting by a key."""

import bisect
import datetime as dt
import functools
import math
import operator

import numpy as np

from corpus.case import Column, case, ints, reals

BRACKETS = [(10_000, 0.10), (40_000, 0.22), (90_000, 0.32), (float("inf"), 0.37)]
DEPOTS = [(52.52, 13.405), (48.85, 2.35), (51.5, -0.12)]
QUARTERS = [dt.date(2024, month, 1) for month in (1, 4, 7, 10)]
CLOSED = {dt.date(2024, 5, 1), dt.date(2024, 10, 3), dt.date(2024, 12, 25)}
OPENED, SHUT = dt.datetime(2024, 1, 1, 8), dt.datetime(2024, 9, 30, 18, 30)
SURCHARGE = {(0, 0): 0.0, (0, 1): 1.5, (1, 0): 2.5, (1, 1): 4.0}
DISCOUNT = {0: lambda price: price, 1: lambda price: price * 0.9, 2: lambda price: price - 5}


def date_column() -> Column:
    """Days of 2024."""
    first = np.datetime64("2023-12-01", "D")
    return Column(lambda random, rows: first + random.integers(0, 400, rows).astype("m8[D]"))


def stamp_column() -> Column:
    """Minutes of 2024."""
    first = np.datetime64("2023-12-01", "us")
    return Column(lambda random, rows: first + random.integers(0, 600_000, rows).astype("m8[m]"))


@case(income=reals(0, 150_000, 2), dependents=ints(0, 4))
def income_tax_by_brackets(income, dependents):
    taxable = max(0.0, income - 12_000 - 2_000 * dependents)
    tax, lower = 0.0, 0
    for upper, rate in BRACKETS:
        if taxable <= lower:
            break
        tax += (min(taxable, upper) - lower) * rate
        lower = upper
    return round(tax, 2)


def great_circle(lat1, lon1, lat2, lon2):
    p = math.pi / 180
    a = 0.5 - math.cos((lat2 - lat1) * p) / 2
    a += math.cos(lat1 * p) * math.cos(lat2 * p) * (1 - math.cos((lon2 - lon1) * p)) / 2
    return 12742 * math.asin(math.sqrt(a))


@case(lat=reals(45, 55, 4), lon=reals(-3, 15, 4))
def nearest_depot(lat, lon):
    return min(range(len(DEPOTS)), key=lambda k: great_circle(lat, lon, *DEPOTS[k]))


@case(lat=reals(45, 55, 4), lon=reals(-3, 15, 4))
def distance_to_depot(lat, lon):
    return min(great_circle(lat, lon, *depot) for depot in DEPOTS)


@case(c0=reals(50, 100, 2), c1=reals(20, 60, 2), c2=reals(20, 60, 2), c3=reals(20, 60, 2))
def rate_of_return_of_flows(c0, c1, c2, c3):
    flows = [-c0, c1, c2, c3]
    value = lambda r: sum(f / (1 + r) ** i for i, f in enumerate(flows))  # noqa: E731
    low, high = -0.9, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if value(low) * value(middle) <= 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2


@case(year=ints(1900, 2100))
def easter_by_gauss(year):
    a = year % 19
    b, c = divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    j = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * j) // 451
    month, day = divmod(h + j - 7 * m + 114, 31)
    return month * 100 + day + 1


@case(day=date_column())
def fiscal_quarter(day):
    return 0 if day in CLOSED else bisect.bisect_right(QUARTERS, day)


@case(at=stamp_column(), amount=reals(1, 500, 2))
def amount_while_open(at, amount):
    return amount if OPENED <= at < SHUT else 0.0


@case(zone=ints(0, 1), fast=ints(0, 1), weight=reals(0.1, 30, 1))
def shipping_by_pair(zone, fast, weight):
    return SURCHARGE[zone, fast] + weight * 0.35


@case(kind=ints(0, 2), price=reals(10, 900, 2))
def discounted(kind, price):
    return round(DISCOUNT[kind](price), 2)


@case(y0=reals(0, 2), k=reals(0, 1), t=reals(0, 3))
def runge_kutta_of_lambda(y0, k, t):
    f = lambda t, y: -k * y + math.sin(t)  # noqa: E731
    steps, y, at = 20, y0, 0.0
    h = t / steps
    for _ in range(steps):
        k1 = f(at, y)
        k2 = f(at + h / 2, y + h * k1 / 2)
        k3 = f(at + h / 2, y + h * k2 / 2)
        k4 = f(at + h, y + h * k3)
        y += h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
        at += h
    return y


def newton(f, slope, x, steps=30):
    for _ in range(steps):
        step = f(x) / slope(x)
        x -= step
        if abs(step) < 1e-12:
            break
    return x


@case(a=reals(0.5, 50, 3))
def cube_root_by_newton(a):
    return newton(lambda x: x**3 - a, lambda x: 3 * x * x, a)


@case(a=reals(0, 9), b=reals(0, 9), c=reals(0, 9), w=reals(0.1, 1), v=reals(0.1, 1))
def weighted_median_by_key(a, b, c, w, v):
    pairs = sorted([(a, w), (b, v), (c, 1.0)], key=lambda p: p[0])
    half = functools.reduce(operator.add, (weight for _, weight in pairs)) / 2
    total = 0.0
    for value, weight in pairs:
        total += weight
        if total >= half:
            return value
    return pairs[-1][0]


@case(a=ints(0, 100), b=ints(0, 100), c=ints(0, 100), d=ints(0, 100))
def podium_by_score(a, b, c, d):
    scores = (a, b, c, d)
    order = sorted(range(4), key=lambda k: (-scores[k], k))
    return order[0] * 100 + order[1] * 10 + order[2]


@case(board=ints(0, 3**9 - 1))
def tic_tac_toe_winner(board):
    cells = [board // 3**i % 3 for i in range(9)]
    lines = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]
    for a, b, c in lines:
        if cells[a] and cells[a] == cells[b] == cells[c]:
            return cells[a]
    return 0


@case(message=ints(0, 3232))
def rsa_encrypted(message):
    return pow(message, 65537, 3233)


@case(a=reals(0, 1), b=reals(0, 1), c=reals(0, 1), d=reals(0, 1))
def smoothed(a, b, c, d):
    return functools.reduce(lambda kept, x: 0.3 * x + 0.7 * kept, (b, c, d), a)
