"""Loops and comprehensions over the rows of a batch function: which rows they go over, and what their lists hold behind them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sabot._form_rows import turn_of
from sabot._form_values import ARROW, LIST, Array, Builder, Count, Gone, NoFormError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sabot._form import Reader
    from sabot._form_rows import Turn


def row_loop(reader: Reader, node: ast.For) -> bool:
    """Reads a loop over rows; whether it is one."""
    turn = _turn(reader, node.target, node.iter)
    if turn is None:
        return False
    reader.held.check([node.target, *node.body])
    rows = reader.row_loop(turn)
    body, lists = rows.statements(node)
    reader.add_locals(rows.names.values())
    reader.emit(body, node, turn.kept)
    for name in lists:
        builder = reader.env[name]
        assert isinstance(builder, Builder)
        reader.env[name] = Array(LIST, builder.name)
        reader.kept_rows.put(builder.name, turn.kept)
    for name in (*rows.names, *turn.numbers):
        reader.stands(name, Gone())
    return True


def row_comprehension(reader: Reader, node: ast.ListComp) -> Array | None:
    """The list of a comprehension over rows; None: it is another."""
    first = node.generators[0]
    turn = _turn(reader, first.target, first.iter)
    if turn is None:
        return None
    if len(node.generators) > 1 or first.ifs or first.is_async:
        raise NoFormError(node, "a comprehension over rows with conditions or loops inside")
    reader.held.check([first.target, node.elt])
    rows = reader.row_loop(turn)
    given, item = rows.element(node.elt)
    reader.add_locals(rows.names.values())
    reader.emit(given, node, turn.kept)
    return Array(LIST, reader.make(item, node, turn.kept))


def _turn(reader: Reader, target: ast.expr, items: ast.expr) -> Turn | None:
    """What each turn of a loop is given, when it is one over the rows."""
    given = _items(reader, items)
    if given is None:
        return None
    if reader.within:
        raise NoFormError(items, "a loop over the rows")
    kept = {one.kept if isinstance(one, Count) else reader.kept_rows.of(one.name) for one in given}
    if len(kept) > 1:
        raise NoFormError(items, "a loop over arrays of different rows")
    return turn_of(target, given, items, *kept)


def _items(reader: Reader, node: ast.expr) -> Sequence[Array | Count] | None:
    if isinstance(node, ast.Call) and not node.keywords:
        name = reader.called(node)
        args = node.args
        if name is range:
            return _range(reader, node)
        if name is enumerate and len(args) == 1:
            inner = _items(reader, args[0])
            if inner is not None and len(inner) == 1:
                one = inner[0]
                kept = one.kept if isinstance(one, Count) else reader.kept_rows.of(one.name)
                return [Count(kept), one]
            return _none(inner, node)
        if name is zip and len(args) == 1 and _items(reader, args[0]) is not None:
            raise NoFormError(node, "rows in tuples of one")
        if name is zip and args:
            found = [_items(reader, one) for one in args]
            known = [one for one in found if one is not None and len(one) == 1]
            if len(known) == len(args):
                return [one[0] for one in known]
            return _none(next((one for one in found if one is not None), None), node)
    value = reader.maybe(node)
    if value is None:
        return None
    if isinstance(value, Array) and value.family != ARROW:
        return [value]
    raise NoFormError(node, "a loop over something else than arrays and lists of the batch")


def _none(inner: object, node: ast.AST) -> None:
    if inner is not None:
        raise NoFormError(node, "rows beside something else")


def _range(reader: Reader, node: ast.Call) -> Sequence[Array | Count] | None:
    args = node.args
    if len(args) == 2 and reader.constant(args[0]) == 0:
        args = args[1:]
    if len(args) == 1 and isinstance(count := reader.maybe(args[0]), Count):
        return [count]
    if any(isinstance(reader.maybe(one), Count) for one in args):
        raise NoFormError(node, "a range of some of the rows")
    return None
