"""Numeric functions in the shapes that people write over data, each with a generator of clean data.

`CASES` is all of them, by name. They import nothing of Sabot, so that any engine can be measured on them. `NOT_YET` names those that
are not compiled whole, with the code of the first reason; a test holds that it is exact.
"""

from corpus import (
    calendars,
    checks,
    counting,
    games,
    geography,
    mechanics,
    money,
    scores,
    solvers,
    stats,
)
from corpus.case import CASES, Case

__all__ = [
    "CASES",
    "NOT_YET",
    "Case",
    "calendars",
    "checks",
    "counting",
    "games",
    "geography",
    "mechanics",
    "money",
    "scores",
    "solvers",
    "stats",
]

NOT_YET: dict[str, str] = {
    "bits_by_method": "unknown_call",  # methods of integers
    "click_rate": "syntax",  # try
    "flat_distance": "unknown_call",  # math.hypot
    "haversine_mapped": "syntax",  # map
    "mean_of_known": "syntax",  # a comprehension over columns whose length depends on the row
    "mod_pow_builtin": "syntax",  # pow with three arguments
    "shipping_fee": "syntax",  # match
}
