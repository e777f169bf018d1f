"""Parameters that belong to an object: methods, partial objects, enumerations, classes as namespaces."""

import functools
import operator
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from corpus.case import case, choice, flags, ints, reals


@dataclass(frozen=True)
class Tariff:
    base: float
    per_unit: float
    free_units: int = 10
    steps: tuple = ((100, 0.9), (500, 0.8))

    def rate(self, units):
        for limit, share in reversed(self.steps):
            if units >= limit:
                return self.per_unit * share
        return self.per_unit

    def bill(self, units):
        billed = max(units - self.free_units, 0)
        return round(self.base + billed * self.rate(billed), 2)


class Scaler:
    """As a fitted model is kept: plain attributes, a method that uses them."""

    def __init__(self, mean, deviation):
        self.mean = mean
        self.deviation = deviation

    def transform(self, x):
        return (x - self.mean) / self.deviation

    def inverse(self, z):
        return z * self.deviation + self.mean


class Linear:
    __slots__ = ("intercept", "scaler", "slope")

    def __init__(self, slope, intercept, scaler):
        self.slope = slope
        self.intercept = intercept
        self.scaler = scaler

    def predict(self, x):
        return self.slope * self.scaler.transform(x) + self.intercept

    def __call__(self, x):
        return self.predict(x)


class Limits(NamedTuple):
    low: float = -5.0
    high: float = 5.0

    def clip(self, x):
        return min(max(x, self.low), self.high)


class Grade(IntEnum):
    FAIL = 1
    PASS = 2
    MERIT = 3


class Zone(Enum):
    NEAR = 4.5
    FAR = 12.0


class Settings:
    THRESHOLD = 50
    WEIGHTS = (0.5, 0.3, 0.2)

    @staticmethod
    def to_percent(x):
        return x / 100

    @classmethod
    def weighted(cls, a, b, c):
        first, second, third = cls.WEIGHTS
        return a * first + b * second + c * third


class Account:
    fee = 1.5

    def __init__(self, rate):
        self.rate = rate

    @property
    def monthly(self):
        return self.rate / 12

    def after(self, balance, months):
        for _ in range(months):
            balance += balance * self.monthly - self.fee
        return balance


class Savings(Account):
    fee = 0.0


TARIFF = Tariff(12.5, 0.31)
SCALER = Scaler(20.0, 4.0)
MODEL = Linear(2.0, 0.5, SCALER)
LIMITS = Limits(high=7.5)
ACCOUNT, SAVINGS = Account(0.06), Savings(0.03)


def power_mean(exponent, a, b, *, scale=1.0):
    return scale * ((a**exponent + b**exponent) / 2) ** (1 / exponent)


quadratic_mean = functools.partial(power_mean, 2)
scaled_mean = functools.partial(power_mean, 3, scale=0.5)
doubled = functools.partial(operator.mul, 2)


@case(units=ints(0, 900))
def utility_bill(units):
    return TARIFF.bill(units)


@case(x=reals(0, 40), y=reals(0, 40))
def standardised_distance(x, y):
    return abs(SCALER.transform(x) - SCALER.transform(y))


@case(x=reals(0, 40))
def there_and_back(x):
    return SCALER.inverse(SCALER.transform(x)) - x


@case(x=reals(0, 40))
def linear_model(x):
    return MODEL.predict(x)


@case(x=reals(0, 40))
def called_model(x):
    return MODEL(x) if x > MODEL.intercept else 0.0


@case(x=reals(-20, 20))
def clipped_to_limits(x):
    return LIMITS.clip(x) - LIMITS.low


@case(points=ints(0, 100))
def graded(points):
    grade = 1 if points < 50 else 2 if points < 75 else 3
    if grade == Grade.FAIL:
        return 0
    return points * Grade.PASS if grade in (Grade.PASS, Grade.FAIL) else points * Grade.MERIT


@case(distance=reals(0, 100), express=flags())
def zone_price(distance, express):
    price = Zone.NEAR.value if distance < 20 else Zone.FAR.value
    return price * 2 if express else price


@case(a=ints(0, 100), b=ints(0, 100), c=ints(0, 100))
def weighted_by_class(a, b, c):
    total = Settings.weighted(a, b, c)
    return Settings.to_percent(total) if total > Settings.THRESHOLD else 0.0


@case(balance=reals(0, 9_000, 2), months=ints(0, 48), saves=flags())
def balance_after(balance, months, saves):
    return SAVINGS.after(balance, months) if saves else ACCOUNT.after(balance, months)


@case(a=reals(0.1, 50), b=reals(0.1, 50))
def mean_by_partial(a, b):
    return quadratic_mean(a, b) + scaled_mean(a, b)


@case(x=ints(-99, 99))
def doubled_by_operator(x):
    return doubled(x) + 1


@case(x=reals(0, 9), n=choice(1, 2, 3))
def imports_where_used(x, n):
    if n == 1:
        from math import sqrt as root

        return root(x)
    import math as m

    return m.cos(x) * n
