"""`@case` collects the functions of front_cases.py and front_language.py for src/front/front_vectors.inc.

`case(kinds, ...)` marks one: kinds has a letter per parameter (i int64, f double, b bool); small keeps big numbers out
where they would make loops long; may_leave says that rows may leave although their numbers are small;
result is the format of the column where the kinds that CPython's answers have do not tell it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class Case(NamedTuple):
    fn: Callable[..., Any]
    kinds: str
    small: bool
    may_leave: bool
    result: str | None


CASES: list[Case] = []


def case(kinds: str, small: bool = False, may_leave: bool = False, result: str | None = None):
    def add(fn):
        CASES.append(Case(fn, kinds, small, may_leave, result))
        return fn

    return add
