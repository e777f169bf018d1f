"""Row functions cut where loops of NumPy's stand between: each part gives arguments of loops, the last one the results.

What a loop makes is a column to the parts behind it. Each part has the statements that its results need, so that some are in several:
functions are pure, and arithmetic costs less than handing its results on. What nothing needs is in the last part, since it may be
where NumPy warns.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from sabot._form_rows import stored

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sabot._form_ufunc import Call

MADE = "\3"  # begins the names of columns that loops make


class Part(NamedTuple):
    """The statements before some loops, and these."""

    body: list[ast.stmt]
    calls: tuple[Call, ...]


def cut(
    body: Sequence[ast.stmt], calls: Sequence[Call], result: ast.expr
) -> tuple[list[Part], list[ast.stmt]]:
    """The parts of a row function whose results are `result`, and the statements of the last one."""
    parts = _parts_of(body, calls)
    made: list[Part] = []
    for number in range(1 + max(parts, default=-1)):
        own = tuple(call for call, part in zip(calls, parts, strict=True) if part == number)
        needed = {one for call in own for one in call.arguments if isinstance(one, str)}
        made.append(Part(_needed(body, needed, ()), own))
    done = [node for part in made for node in part.body]
    left = {id(node) for node in body} - {id(node) for node in done}
    return made, _needed(body, names_of(result), left)


def names_of(node: ast.AST) -> set[str]:
    """All names in a tree, whatever is done with them."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _parts_of(body: Sequence[ast.stmt], calls: Sequence[Call]) -> list[int]:
    """The number of the part that each loop belongs to: that behind all loops whose results its arguments depend on."""
    columns = {f"\0{call.column}": call for call in calls}
    depth: dict[
        str, int
    ] = {}  # of a name: how many parts there are before any value that it has had
    parts: dict[str, int] = {}
    for node in body:
        names = names_of(node)
        for name in names & columns.keys():  # its arguments stand before it
            given = columns[name].arguments
            parts[name] = max(depth.get(one, 0) for one in given if isinstance(one, str))
            depth[name] = parts[name] + 1
        own = max((depth.get(name, 0) for name in names), default=0)
        depth |= {name: max(own, depth.get(name, 0)) for name in stored([node])}
    return [parts[name] for name in columns]


def _needed(body: Sequence[ast.stmt], names: set[str], always: Collection[int]) -> list[ast.stmt]:
    """The statements that give names their values, and those of `always`, by id."""
    names = set(names)
    made: list[ast.stmt] = []
    for node in reversed(body):
        if id(node) in always or not names.isdisjoint(stored([node])):
            made.append(node)
            names |= names_of(node)
    return made[::-1]
