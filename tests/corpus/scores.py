"""Scores, bins and weights."""

import math

from corpus.case import case, flags, ints, normal, reals

EDGES = (18, 25, 35, 45, 55, 65)
WEIGHTS = (0.5, 0.3, 0.2)
LIMITS = (10.0, 50.0, 200.0, 1000.0)
COEFFICIENTS = (-4.2, 0.031, 0.8, -0.0007)


@case(age=ints(0, 99))
def age_group(age):
    for group, edge in enumerate(EDGES):
        if age < edge:
            return group
    return len(EDGES)


@case(points=ints(0, 100))
def grade(points):
    if points >= 90:
        return 1
    elif points >= 80:
        return 2
    elif points >= 70:
        return 3
    elif points >= 60:
        return 4
    return 5


@case(nulls="pass", quality=reals(0, 10), speed=reals(0, 10), price=reals(0, 10))
def weighted_score(quality, speed, price):
    total = 0.0
    used = 0.0
    for value, weight in zip((quality, speed, price), WEIGHTS):
        if value is not None:
            total += value * weight
            used += weight
    return total / used if used else None


@case(amount=reals(0, 2_000, 2))
def amount_bucket(amount):
    return sum(1 for limit in LIMITS if amount >= limit)


@case(age=ints(18, 90), smoker=flags(0.2), income=reals(0, 300, 1))
def logistic_score(age, smoker, income):
    b0, b1, b2, b3 = COEFFICIENTS
    z = b0 + b1 * age + b2 * smoker + b3 * income
    return 1 / (1 + math.exp(-z))


@case(value=reals(-50, 150), low=reals(0, 20), high=reals(50, 100))
def scaled(value, low, high):
    return min(max((value - low) / (high - low), 0.0), 1.0)


@case(recency=ints(0, 400), frequency=ints(0, 60), monetary=reals(0, 3_000, 2))
def rfm_class(recency, frequency, monetary):
    def score(value, steps):
        return sum(value > step for step in steps) + 1

    r = 6 - score(recency, (7, 30, 90, 180))
    f = score(frequency, (1, 5, 10, 25))
    m = score(monetary, (50, 200, 500, 1500))
    return r * 100 + f * 10 + m


@case(weight=reals(40, 150, 1), height=reals(1.4, 2.1, 2))
def bmi_class(weight, height):
    if (bmi := weight / height**2) < 18.5:
        return 0
    return 1 if bmi < 25 else 2 if bmi < 30 else 3


@case(nulls="pass", a=flags(), b=flags(), c=flags())
def votes(a, b, c):
    return sum(1 for vote in (a, b, c) if vote) >= 2


@case(nulls="pass", first=reals(0, 5), second=reals(0, 5), third=reals(0, 5))
def first_known(first, second, third):
    for value in (first, second, third):
        if value is not None:
            return value
    return None


@case(a=ints(0, 10), b=ints(0, 10), c=ints(0, 10), d=ints(0, 10))
def passed_all(a, b, c, d):
    return all(mark >= 2 for mark in (a, b, c, d)) and a + b + c + d >= 20


@case(pressure=ints(80, 200), pulse=ints(40, 180), fever=flags(0.2))
def is_urgent(pressure, pulse, fever):
    return any((pressure > 180, pulse > 150, fever and pulse > 110))


@case(nulls="pass", rating=ints(1, 5), count=ints(0, 500))
def bayes_rating(rating, count):
    if rating is None or not count:
        return 3.0
    return (25 * 3.0 + rating * count) / (25 + count)


@case(x=normal(0, 3), kind=ints(0, 4))
def activation(x, kind):
    if kind == 0:
        return x if x > 0 else 0.0
    if kind == 1:
        return x if x > 0 else 0.01 * x
    if kind == 2:
        return math.tanh(x)
    if kind == 3:
        return 1 / (1 + math.exp(-x))
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


@case(views=ints(0, 100_000), clicks=ints(0, 500))
def click_rate(views, clicks):
    try:
        return clicks / views
    except ZeroDivisionError:
        return 0.0


@case(code=ints(0, 6))
def shipping_fee(code):
    match code:
        case 0:
            return 0.0
        case 1 | 2:
            return 4.99
        case 3:
            return 9.99
        case _:
            return 19.99
