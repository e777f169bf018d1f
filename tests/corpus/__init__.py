"""Numeric functions in the shapes that people write over data, each with a generator of clean data.

`CASES` is all of them, by name; `RECORDS` are those of a row that give a row. They import nothing of Sabot, so that any engine can be
measured on them. `NOT_YET` names those that are not compiled whole, with the code of the first reason; a test holds that it is exact.
"""

from corpus import (
    calendars,
    checks,
    counting,
    everyday,
    games,
    geography,
    lists,
    mechanics,
    money,
    objects,
    practice,
    records,
    recursive,
    scores,
    solvers,
    stats,
)
from corpus.case import CASES, RECORDS, Case

__all__ = [
    "CASES",
    "NOT_YET",
    "RECORDS",
    "Case",
    "calendars",
    "checks",
    "counting",
    "everyday",
    "games",
    "geography",
    "lists",
    "mechanics",
    "money",
    "objects",
    "practice",
    "records",
    "recursive",
    "scores",
    "solvers",
    "stats",
]

NOT_YET: dict[str, str] = {
    "click_rate": "syntax",  # try
    "digit_sum_of_text": "syntax",  # text
    "median_of_statistics": "unknown_call",
    "safe_ratio": "syntax",  # try
    "sum_or_none": "syntax",  # try
}
