"""Iterative solvers and maps."""

import math

from corpus.case import case, ints, reals


@case(x=reals(0.001, 10_000))
def newton_sqrt(x):
    guess = x
    while True:
        better = (guess + x / guess) / 2
        if abs(better - guess) < 1e-9:
            return better
        guess = better


@case(x=reals(-100, 100))
def cube_root(x):
    low, high = -5.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        if middle**3 < x:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@case(target=reals(0.1, 5))
def bisect_exp(target):
    def f(x):
        return x * math.exp(x) - target

    low, high = 0.0, 4.0
    while high - low > 1e-10:
        mid = 0.5 * (low + high)
        if f(mid) > 0:
            high = mid
        else:
            low = mid
    return mid


@case(start=reals(-1, 1))
def cosine_fixed_point(start):
    x = start
    for step in range(100):
        new = math.cos(x)
        if abs(new - x) < 1e-8:
            return step
        x = new
    return -1


@case(x=reals(0.01, 0.99), r=reals(2.5, 4), steps=ints(0, 50))
def logistic_map(x, r, steps):
    for _ in range(steps):
        x = r * x * (1 - x)
    return x


@case(re=reals(-2, 0.7), im=reals(-1.2, 1.2))
def mandelbrot(re, im):
    x = y = 0.0
    for n in range(60):
        x2, y2 = x * x, y * y
        if x2 + y2 > 4:
            return n
        x, y = x2 - y2 + re, 2 * x * y + im
    return 60


@case(mean_anomaly=reals(0, 6.28), eccentricity=reals(0, 0.9))
def kepler(mean_anomaly, eccentricity):
    e = mean_anomaly if eccentricity < 0.8 else math.pi
    for _ in range(30):
        delta = (e - eccentricity * math.sin(e) - mean_anomaly) / (1 - eccentricity * math.cos(e))
        e -= delta
        if abs(delta) < 1e-12:
            break
    else:
        return None
    return e


@case(x=reals(-20, 20))
def exp_series(x):
    term = total = 1.0
    n = 1
    while abs(term) > 1e-15 * abs(total):
        term *= x / n
        total += term
        n += 1
    return total


@case(a=reals(0, 2), b=reals(2, 4))
def simpson(a, b):
    n = 20
    h = (b - a) / n
    total = math.exp(-a * a) + math.exp(-b * b)
    for i in range(1, n):
        x = a + i * h
        total += (4 if i % 2 else 2) * math.exp(-x * x)
    return total * h / 3


@case(a=reals(-5, 5), b=reals(-9, 9), c=reals(-5, 5))
def larger_root(a, b, c):
    if a == 0:
        return None
    disc = b * b - 4 * a * c
    if disc < 0:
        return None
    return max((-b + math.sqrt(disc)) / (2 * a), (-b - math.sqrt(disc)) / (2 * a))


@case(x=reals(-3, 3))
def horner(x):
    result = 0.0
    for c in (0.5, -1.25, 3.0, 0.0, -2.0, 7.0):
        result = result * x + c
    return result


@case(x=reals(-10, 10))
def sum_of_steps(x):
    total = 0
    for j in range(1000):
        total += x * j
    return total


@case(a=reals(0.1, 100), b=reals(0.1, 100))
def arithmetic_geometric_mean(a, b):
    while abs(a - b) > 1e-12 * a:
        a, b = (a + b) / 2, math.sqrt(a * b)
    return a
