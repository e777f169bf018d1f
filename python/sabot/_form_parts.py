"""What the row form of a batch function consists of: a function of rows, what is computed before it, and how its text is parted so.

What NumPy does with whole arrays stands between phases: each phase gives the arrays, NumPy itself is called with them, and what it makes
is a column, or one value for all rows, to the phases behind it. Within a phase loops of NumPy's part the text into stages
(`_form_stages`).
"""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from sabot._form_rows import stored
from sabot._form_stages import cut, names_of
from sabot._form_values import columns_of_tree, definition
from sabot._record import local_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sabot._form_ufunc import Call


class WholeCall(NamedTuple):
    """A call of NumPy with whole arrays.

    column: what the functions behind it call what it gives. name: as the text has it. make: gives it, of arrays. dtype: of that;
    one: it is a scalar, else an array of as many items. arguments: the locals that hold the arrays (none: it is given the phase's
    result); dtypes: of these. fits: whether NumPy says nothing of the first array by itself; None: it never does.
    """

    column: str
    name: str
    make: Callable[[list[Any]], Any]
    dtype: Any
    one: bool
    arguments: tuple[str, ...]
    dtypes: tuple[Any, ...]  # None: an array of Arrow's
    fits: Callable[[Any], bool] | None = None


class Stage(NamedTuple):
    """What is computed before the row function: `tree` gives a tuple of `results`, the arguments of loops of NumPy's.

    read: as of a RowForm, with columns that loops of earlier stages made.
    """

    tree: ast.FunctionDef
    slots: tuple[str, ...]
    read: tuple[str, ...]
    results: tuple[str, ...]
    calls: tuple[Call, ...]


class Phase(NamedTuple):
    """What is computed before NumPy is called with whole arrays: `tree` gives a tuple of `results`; None: all arrays are columns.

    given: of each array, the column that it is, or None: the next result. one: all calls give scalars, else arrays.
    """

    tree: ast.FunctionDef | None
    slots: tuple[str, ...]
    read: tuple[str, ...]
    results: tuple[str, ...]
    stages: tuple[Stage, ...]
    given: tuple[tuple[str, str | None], ...]
    calls: tuple[WholeCall, ...]
    one: bool


class RowForm(NamedTuple):
    """A batch function as a function of rows.

    tree: gives a tuple of `results`; of a filter there is one. slots: its locals that the batch function has not.
    read: the columns it reads, those that loops of `stages` make behind the batch's. columns: of the result: each with the input's column
    that is passed on, or None. fields: of each, the input's column whose field it has, or None: a new one. keeps: it has the metadata of
    the input's schema. wanted: types that the results were given by `type=`. kind: "row" where it has loops over rows, else "array";
    "whole" where the function is of whole columns and its results are lists (`_form_whole`). stages: what is computed before it;
    phases: what is computed, with what NumPy makes of whole arrays, before these. masked: the first of its results, filters.MASK, says
    which rows the batch function gives. fresh: the last column is made of a NumPy array that
    nobody else has. operations: how many of NumPy's go through arrays item by item.
    """

    tree: ast.FunctionDef
    slots: tuple[str, ...]
    read: tuple[str, ...]
    columns: tuple[tuple[str, str | None], ...]
    fields: tuple[str | None, ...]
    keeps: bool
    results: tuple[str, ...]
    wanted: tuple[Any, ...]
    is_filter: bool
    kind: str
    stages: tuple[Stage, ...] = ()
    phases: tuple[Phase, ...] = ()
    masked: bool = False
    fresh: bool = False
    operations: int = 0

    @property
    def calls(self) -> tuple[Call, ...]:
        """The loops of NumPy's that it needs."""
        stages = (*(stage for phase in self.phases for stage in phase.stages), *self.stages)
        return tuple(call for stage in stages for call in stage.calls)

    @property
    def whole_calls(self) -> tuple[WholeCall, ...]:
        """What NumPy does with whole arrays in it."""
        return tuple(call for one in self.phases for call in one.calls if call.arguments)

    @property
    def is_worth_it(self) -> bool:
        """Whether there is enough to compute beside what NumPy does with whole arrays."""
        return self.kind == "row" or self.operations >= WORTH * len(self.whole_calls)


# Operations on arrays for each call of NumPy with whole arrays: with fewer NumPy by itself is as fast, since to call it costs more
# from here than in the function.
WORTH = 4


class Text(NamedTuple):
    """The text of a row function: node: of the batch function; columns: of the batch; value: what it gives."""

    node: ast.FunctionDef | ast.Lambda
    slots: tuple[str, ...]
    columns: Sequence[str]
    body: Sequence[ast.stmt]
    value: ast.expr


class Parts(NamedTuple):
    """The parts of a row function; `tree` and `read` are those of the last."""

    tree: ast.FunctionDef
    read: tuple[str, ...]
    stages: tuple[Stage, ...]
    phases: tuple[Phase, ...]


def parts_of(
    text: Text,
    loops: Sequence[Call],
    wholes: Sequence[WholeCall],
    untouched: Mapping[str, str],
    closed: Callable[[Sequence[ast.stmt]], list[ast.stmt]],
) -> Parts:
    """Parts a row function where NumPy's loops and calls with whole arrays stand.

    Parameters:
        untouched: locals that are columns, and these.
        closed: gives the statements of the last part with its end.
    """
    columns = (*text.columns, *(call.column for call in (*wholes, *loops)))
    text = text._replace(columns=columns)
    numbers = _phase_numbers(text.body, loops, wholes)
    phases: list[Phase] = []
    done: set[int] = set()
    looped: set[str] = set()
    for number in sorted(set(numbers)):
        own = tuple(call for call, at in zip(wholes, numbers, strict=True) if at == number)
        arrays = dict.fromkeys(one for call in own for one in call.arguments)
        computed = [one for one in arrays if one not in untouched]
        body, used = _needed(text.body, set(computed), loops, ())
        done |= {id(node) for node in body}
        looped |= {call.column for call in used}
        given = tuple((one, untouched.get(one)) for one in arrays)
        tree, read, stages = None, (), ()
        if computed:
            place = text.node.body if isinstance(text.node, ast.Lambda) else text.node
            names: list[ast.expr] = [ast.Name(one, ast.Load()) for one in computed]
            value = ast.Tuple([ast.copy_location(one, place) for one in names], ast.Load())
            tree, read, stages = _staged(text._replace(body=body, value=value), used)
        phases.append(
            Phase(tree, text.slots, read, tuple(computed), stages, given, own, own[0].one)
        )
    # What no phase needs is in the last one, since it may be where NumPy warns.
    left = {id(node) for node in text.body} - done
    body, used = _needed(text.body, names_of(text.value), loops, left)
    tree, read, stages = _staged(text._replace(body=body), used, closed)
    return Parts(tree, read, stages, tuple(phases))


def _phase_numbers(
    body: Sequence[ast.stmt], loops: Sequence[Call], wholes: Sequence[WholeCall]
) -> list[tuple[int, bool]]:
    """What orders the phases, of each call: how many others it depends on, one behind the other, and whether it gives an array."""
    columns = {local_of(call.column): call for call in wholes}
    looped = {local_of(call.column): call for call in loops}
    depth: dict[str, int] = {}  # of a name: the calls before any value that it has had
    numbers: dict[str, int] = {}
    for node in body:
        names = names_of(node)
        for name in names & looped.keys():
            given = looped[name].arguments
            depth[name] = max(depth.get(one, 0) for one in given if isinstance(one, str))
        for name in names & columns.keys():
            numbers[name] = max((depth.get(one, 0) for one in columns[name].arguments), default=0)
            depth[name] = numbers[name] + 1
        own = max((depth.get(name, 0) for name in names), default=0)
        depth |= {name: max(own, depth.get(name, 0)) for name in stored([node])}
    return [(numbers[name], not call.one) for name, call in columns.items()]


def _needed(
    body: Sequence[ast.stmt], names: set[str], loops: Sequence[Call], always: Collection[int]
) -> tuple[list[ast.stmt], list[Call]]:
    """The statements that give names their values, those of `always`, by id, and the loops among them."""
    by_column = {local_of(call.column): call for call in loops}
    made: list[ast.stmt] = []
    used: set[str] = set()
    for node in reversed(body):
        if id(node) not in always and names.isdisjoint(stored([node])):
            continue
        made.append(node)
        found = names_of(node)
        names |= found
        for name in found & by_column.keys():  # its arguments stand before it
            used.add(name)
            names |= {one for one in by_column[name].arguments if isinstance(one, str)}
    return made[::-1], [call for name, call in by_column.items() if name in used]


def _staged(
    text: Text,
    loops: Sequence[Call],
    closed: Callable[[Sequence[ast.stmt]], list[ast.stmt]] | None = None,
) -> tuple[ast.FunctionDef, tuple[str, ...], tuple[Stage, ...]]:
    """The function behind all loops, the columns that it reads, and the stages before it."""
    parts, last = cut(text.body, loops, text.value)
    stages: list[Stage] = []
    place = text.node.body if isinstance(text.node, ast.Lambda) else text.node
    for part in parts:
        given = {one: None for call in part.calls for one in call.arguments if type(one) is str}
        items: list[ast.expr] = [
            ast.copy_location(ast.Name(one, ast.Load()), place) for one in given
        ]
        tree = _tree(text.node, _ended(text.node, part.body, ast.Tuple(items, ast.Load())))
        stages.append(Stage(tree, text.slots, _read_by(text, tree), tuple(given), part.calls))
    made = closed(last) if closed is not None else _ended(text.node, last, text.value)
    tree = _tree(text.node, made)
    return tree, _read_by(text, tree), tuple(stages)


def _read_by(text: Text, tree: ast.FunctionDef) -> tuple[str, ...]:
    found = columns_of_tree(tree)
    return tuple(name for name in text.columns if name in found)


def _ended(
    node: ast.FunctionDef | ast.Lambda, body: Sequence[ast.stmt], value: ast.expr
) -> list[ast.stmt]:
    end = node.body if isinstance(node, ast.Lambda) else node.body[-1]
    return [*body, ast.copy_location(ast.Return(value), end)]


def _tree(node: ast.FunctionDef | ast.Lambda, body: list[ast.stmt]) -> ast.FunctionDef:
    tree = copy.copy(node) if isinstance(node, ast.FunctionDef) else definition(node)
    tree.body = body
    for statement in tree.body:
        for inner in ast.walk(statement):
            if isinstance(inner, (ast.expr, ast.stmt)) and not hasattr(inner, "lineno"):
                ast.copy_location(inner, statement)
    return tree
