"""Functions of a row that give a row: what a `map` is used for."""

import dataclasses
import math
from typing import NamedTuple

from corpus.case import choice, days, flags, ints, normal, reals, record

VAT = 0.19


@record(price=reals(1, 900, 2), quantity=ints(0, 40), reduced=flags(0.3))
def invoice_line(row):
    net = (row["price"] or 0.0) * (row["quantity"] or 0)
    vat = net * (0.07 if row["reduced"] else VAT)
    return {"net": round(net, 2), "vat": round(vat, 2), "gross": round(net + vat, 2)}


@record(x=normal(0, 3), y=normal(0, 3), weight=reals(0, 1))
def polar(row):
    x, y = row["x"], row["y"]
    if x is None or y is None:
        return {**row, "r": None, "phi": None}
    return {**row, "r": math.sqrt(x * x + y * y), "phi": math.atan2(y, x)}


@record(day=days(), amount=reals(-500, 500, 2))
def dated(row):
    day = row["day"]
    if day is None:
        return {"year": None, "month": None, "quarter": None, "amount": row["amount"]}
    month = day // 100 % 100
    return {
        "year": day // 10000,
        "month": month,
        "quarter": (month + 2) // 3,
        "amount": row["amount"],
    }


@record(score=ints(0, 100), late=flags(0.1))
def graded(row):
    score = (row["score"] or 0) - (10 if row["late"] else 0)
    grade = 5
    for limit in (50, 65, 80, 90):
        if score >= limit:
            grade -= 1
    return dict(row, score=max(score, 0), grade=grade, passed=grade < 5)


@dataclasses.dataclass
class Box:
    low: float
    high: float
    width: float
    outside: bool = False


@record(low=normal(0, 1), high=normal(1, 1))
def boxed(row):
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return Box(0.0, 0.0, width=0.0, outside=True)
    return Box(min(low, high), max(low, high), abs(high - low))


class Move(NamedTuple):
    x: int
    y: int
    steps: int = 1


@record(x=ints(-50, 50), y=ints(-50, 50), heading=choice(0, 1, 2, 3))
def moved(row):
    x, y = row["x"] or 0, row["y"] or 0
    if row["heading"] == 0:
        return Move(x, y + 1)
    if row["heading"] == 1:
        return Move(x + 1, y)
    return Move(x, y, steps=0)


@record(n=ints(1, 5000), limit=ints(10, 60))
def collatz(row):
    n, steps = row["n"] or 1, 0
    highest = n
    while n != 1 and steps < (row["limit"] or 0):
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        highest = max(highest, n)
        steps += 1
    return {"steps": steps, "highest": highest, "done": n == 1}


@record(value=normal(10, 4), low=reals(0, 5), high=reals(10, 20))
def clamped(row):
    made = {**row, "clamped": row["value"], "side": 0}
    if row["value"] is not None:
        if row["low"] is not None and row["value"] < row["low"]:
            made = {**row, "clamped": row["low"], "side": -1}
        elif row["high"] is not None and row["value"] > row["high"]:
            made = {**row, "clamped": row["high"], "side": 1}
    return made
