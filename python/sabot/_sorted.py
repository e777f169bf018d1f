"""Functions of `bisect` in terms of what is compiled, as `_math` has those of `math`. They call `<` as CPython does, so a list that is
not sorted gives the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def bisect_right(a: list[float], x: float, lo: int = 0, hi: int | None = None) -> int:
    if lo < 0:
        raise ValueError
    last = len(a) if hi is None else hi
    while lo < last:
        middle = (lo + last) // 2
        if x < a[middle]:
            last = middle
        else:
            lo = middle + 1
    return lo


def bisect_left(a: list[float], x: float, lo: int = 0, hi: int | None = None) -> int:
    if lo < 0:
        raise ValueError
    last = len(a) if hi is None else hi
    while lo < last:
        middle = (lo + last) // 2
        if a[middle] < x:
            lo = middle + 1
        else:
            last = middle
    return lo


def bisect_right_by(
    a: list[float], x: float, lo: int = 0, hi: int | None = None, *, key: Callable[[float], float]
) -> int:
    if lo < 0:
        raise ValueError
    last = len(a) if hi is None else hi
    while lo < last:
        middle = (lo + last) // 2
        if x < key(a[middle]):
            last = middle
        else:
            lo = middle + 1
    return lo


def bisect_left_by(
    a: list[float], x: float, lo: int = 0, hi: int | None = None, *, key: Callable[[float], float]
) -> int:
    if lo < 0:
        raise ValueError
    last = len(a) if hi is None else hi
    while lo < last:
        middle = (lo + last) // 2
        if key(a[middle]) < x:
            lo = middle + 1
        else:
            last = middle
    return lo


def insort_right(a: list[float], x: float, lo: int = 0, hi: int | None = None) -> None:
    a.insert(bisect_right(a, x, lo, hi), x)


def insort_left(a: list[float], x: float, lo: int = 0, hi: int | None = None) -> None:
    a.insert(bisect_left(a, x, lo, hi), x)
