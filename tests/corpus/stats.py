"""Statistics over the columns of a row."""

import math

from corpus.case import case, ints, normal, reals

MEAN, DEVIATION = 12.5, 3.75


@case(x=normal(12, 4))
def z_score(x):
    return (x - MEAN) / DEVIATION


@case(x=normal(12, 9))
def clipped_z_score(x, limit=3.0):
    z = (x - MEAN) / DEVIATION
    return max(-limit, min(limit, z))


def clip(value, low=0.0, high=100.0):
    return low if value < low else high if value > high else value


@case(a=reals(-20, 120), b=reals(-20, 120), c=reals(-20, 120))
def clipped_mean(a, b, c):
    values = [clip(v) for v in (a, b, c)]
    return sum(values) / len(values)


@case(nulls="pass", a=reals(0, 10), b=reals(0, 10), c=reals(0, 10), d=reals(0, 10))
def mean_of_known(a, b, c, d):
    known = [v for v in (a, b, c, d) if v is not None]
    return sum(known) / len(known) if known else None


@case(a=ints(-99, 99), b=ints(-99, 99), c=ints(-99, 99))
def median_of_three(a, b, c):
    return sorted((a, b, c))[1]


@case(a=reals(0, 9), b=reals(0, 9), c=reals(0, 9))
def median_by_hand(a, b, c):
    if a > b:
        a, b = b, a
    if b > c:
        b, c = c, b
    return max(a, b)


@case(a=reals(0, 9), b=reals(0, 9), c=reals(0, 9), d=reals(0, 9), e=reals(0, 9))
def welford_variance(a, b, c, d, e):
    mean = 0.0
    m2 = 0.0
    for n, x in enumerate((a, b, c, d, e), start=1):
        delta = x - mean
        mean += delta / n
        m2 += delta * (x - mean)
    return m2 / 4


@case(a=reals(0, 9), b=reals(0, 9), c=reals(0, 9))
def standard_deviation(a, b, c):
    mean = (a + b + c) / 3
    return math.sqrt(sum((v - mean) ** 2 for v in (a, b, c)) / 2)


@case(a=ints(1, 500), b=ints(1, 500), c=ints(1, 500))
def geometric_mean(a, b, c):
    return (a * b * c) ** (1 / 3)


@case(a=reals(0.1, 9), b=reals(0.1, 9), c=reals(0.1, 9))
def entropy(a, b, c):
    total = a + b + c
    return -sum(v / total * math.log2(v / total) for v in (a, b, c))


@case(x1=reals(0, 9), y1=reals(0, 9), x2=reals(0, 9), y2=reals(0, 9))
def manhattan(x1, y1, x2, y2):
    return abs(x1 - x2) + abs(y1 - y2)


@case(ax=normal(0, 1), ay=normal(0, 1), bx=normal(0, 1), by=normal(0, 1))
def cosine_similarity(ax, ay, bx, by):
    dot = sum(p * q for p, q in zip((ax, ay), (bx, by)))
    return dot / (math.sqrt(ax**2 + ay**2) * math.sqrt(bx**2 + by**2))


@case(hits=ints(0, 50), trials=ints(50, 500))
def wilson_lower(hits, trials, z=1.96):
    p = hits / trials
    centre = p + z * z / (2 * trials)
    spread = z * math.sqrt((p * (1 - p) + z * z / (4 * trials)) / trials)
    return (centre - spread) / (1 + z * z / trials)


@case(n=ints(0, 60), k=ints(0, 12))
def binomial(n, k):
    if k > n:
        return 0
    result = 1
    for i in range(1, k + 1):
        result = result * (n - i + 1) // i
    return result


@case(k=ints(0, 15), mean=reals(0.5, 9))
def poisson(k, mean):
    p = math.exp(-mean)
    for i in range(k):
        p *= mean / (i + 1)
    return p


@case(actual=reals(-5, 5), guess=reals(-5, 5))
def huber_loss(actual, guess, delta=1.35):
    error = abs(actual - guess)
    if error <= delta:
        return 0.5 * error**2
    return delta * (error - 0.5 * delta)


@case(a=ints(-50, 50), b=ints(-50, 50), c=ints(-50, 50), d=ints(-50, 50))
def value_range(a, b, c, d):
    row = (a, b, c, d)
    return max(row) - min(row)
