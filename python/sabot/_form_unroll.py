"""Loops over what the text tells, as over a batch's column names: done turn by turn while the function is read.

Lists and dicts that are filled with whole arrays on the way are known as what they hold.
"""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING, Any

from sabot._form_constants import known
from sabot._form_rows import jumps
from sabot._form_values import Array, Batch, Builder, Columns, Known, NoFormError, Several, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sabot._form import Reader

TURNS_MAX = 256


def items_of(reader: Reader, node: ast.expr) -> list[Value] | None:
    """What a loop goes over, where that is known and no rows; a pair is a `Several`."""
    match node:
        case ast.Call(ast.Name("zip" | "enumerate" as name), args, []) if args and _is_builtin(
            reader.called(node)
        ):
            found = [items_of(reader, one) for one in args]
            if None in found or (name == "enumerate" and len(found) > 1):
                return None
            every: list[list[Value]] = [one for one in found if one is not None]
            if name == "enumerate":
                every.insert(0, [Known(number) for number in range(len(every[0]))])
            return [Several(one) for one in zip(*every, strict=False)]
        case ast.Call(ast.Attribute(owner, "items"), [], []) if isinstance(
            columns := reader.maybe(owner), Columns
        ):
            return [Several((Known(name), value)) for name, value in columns.pairs]
        case ast.Name() | ast.Attribute() | ast.Tuple() | ast.List():
            value = reader.maybe(node)
        case _:
            return None
    if isinstance(value, (Batch, Columns, Array)):
        return None
    if isinstance(value, Several):
        return [*value.items]
    found = known(reader, node) if value is None or isinstance(value, Known) else None
    if found is None or found.value.__class__ is not tuple:
        return None
    return [Known(one) for one in found.value]


def _is_builtin(target: object) -> bool:
    return target is zip or target is enumerate


def loop(reader: Reader, node: ast.For) -> bool:
    """Reads a loop turn by turn; whether it is one over what is known, with something of the batch in it."""
    if node.orelse or not _mentions(reader, node):
        return False
    items = items_of(reader, node.iter)
    if items is None or len(items) > TURNS_MAX:
        return False
    for jump in jumps(node.body):
        raise NoFormError(jump, "a loop over columns that is left or continued")
    reader.freeze(node.iter)
    for item in items:
        _bind(reader, node.target, item)
        for statement in node.body:
            reader.statement(copy.deepcopy(statement))
    return True


def _mentions(reader: Reader, node: ast.AST) -> bool:
    names = (one.id for one in ast.walk(node) if isinstance(one, ast.Name))
    return any(name in reader.env for name in names)


def _bind(reader: Reader, target: ast.expr, item: Value) -> None:
    match target, item:
        case ast.Name(name), _:
            reader.stands(name, item)
        case ((ast.Tuple(targets) | ast.List(targets)), Several(items)) if len(targets) == len(
            items
        ):
            for one, value in zip(targets, items, strict=True):
                _bind(reader, one, value)
        case ((ast.Tuple() | ast.List()), Known(value)) if value.__class__ is tuple:
            _bind(reader, target, Several(tuple(Known(one) for one in value)))
        case _:
            raise NoFormError(target, "another target of a loop over columns")


def _turns(reader: Reader, generators: Sequence[ast.comprehension]) -> Iterator[None]:
    """Goes through the turns of a comprehension, with its targets bound in each."""
    [one] = generators
    items = items_of(reader, one.iter)
    assert items is not None
    before = dict(reader.env), dict(reader.constants), dict(reader.functions)
    for item in items:
        _bind(reader, one.target, item)
        tests = [known(reader, copy.deepcopy(test)) for test in one.ifs]
        if None in tests:
            raise NoFormError(one.ifs[0], "a condition that the text does not tell")
        if all(test is not None and test.value for test in tests):
            yield
        reader.env.clear()
        reader.env.update(before[0])
        reader.constants.update(before[1])
        reader.functions.update(before[2])


def comprehension(reader: Reader, node: ast.ListComp | ast.DictComp) -> Value | None:
    """A comprehension over what is known; None: it is another."""
    if len(node.generators) != 1 or node.generators[0].is_async or not _mentions(reader, node):
        return None
    items = items_of(reader, node.generators[0].iter)
    if items is None or len(items) > TURNS_MAX:
        return None
    if isinstance(node, ast.ListComp):
        turns = _turns(reader, node.generators)
        return Several(tuple(_value(reader, copy.deepcopy(node.elt)) for _ in turns), is_list=True)
    columns = Columns(())
    for _ in _turns(reader, node.generators):
        key, value = copy.deepcopy(node.key), copy.deepcopy(node.value)
        columns = with_column(reader, columns, key, value)
    return columns


def _value(reader: Reader, node: ast.expr) -> Value:
    value = reader.value(node)
    if value is None:
        value = known(reader, node)
    if value is None or isinstance(value, Builder):
        raise NoFormError(node, "an item that is nothing of the batch and not told by the text")
    return value


def with_column(reader: Reader, columns: Columns, key: ast.expr, node: ast.expr) -> Columns:
    """A dict with one more column, or with another one of that name."""
    name = reader.constant(key)
    if not isinstance(name, str):
        raise NoFormError(key, "a column that the text does not tell")
    pairs: dict[str, Any] = dict(columns.pairs)
    pairs[name] = _value(reader, node)
    return Columns(tuple(pairs.items()))


def display(reader: Reader, node: ast.Dict) -> Columns | None:
    """A dict of columns; None: another one."""
    if node.keys and not any(_mentions(reader, value) for value in node.values):
        return None
    columns = Columns(())
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            inner = reader.maybe(value)
            if not isinstance(inner, Columns):
                raise NoFormError(value, "columns that the text does not tell")
            columns = Columns(tuple({**dict(columns.pairs), **dict(inner.pairs)}.items()))
            continue
        columns = with_column(reader, columns, key, value)
    return columns


def filled(reader: Reader, node: ast.stmt) -> bool:
    """Reads a statement that fills a list or a dict with whole arrays; whether it is one."""
    match node:
        case ast.Assign([ast.Subscript(ast.Name(name), key)], value) if isinstance(
            columns := reader.env.get(name), Columns
        ):
            reader.may_fill(name, node)
            reader.stands(name, with_column(reader, columns, key, value))
            return True
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), "append"), [value], [])):
            owner = reader.env.get(name)
            if isinstance(owner, Several) and not owner.is_list:
                return False
            if not isinstance(owner, (Builder, Several)):
                return False
            reader.may_fill(name, node)
            items = owner.items if isinstance(owner, Several) else ()
            reader.stands(name, Several((*items, _value(reader, value)), is_list=True))
            return True
        case _:
            return False
