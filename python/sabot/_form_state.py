"""What reading a batch function row by row must not hide: lists that change from row to row, and failures of what nothing uses.

A statement before a loop over the rows is done anew in each row of a row function. That is the same as doing it once only as long as no
row changes what it made, so a list from there may only be read item by item in the rows. And what is made of a batch and then dropped may
fail all the same, which a row function without it would not.
"""

from __future__ import annotations

import ast
import math
from types import FunctionType
from typing import TYPE_CHECKING, Any

from sabot._form_rows import COMPREHENSIONS, FUNCTIONS, stored
from sabot._form_values import Known, NoFormError
from sabot._guards import is_scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sabot._form import Reader

# What a name holds: numbers and texts, alone or in tuples; a list of such; anything; a function of the text.
_SCALAR, _FLAT, _ANY, _FUNCTION = range(4)
_OF_ONE = (len, sum, abs, int, float, bool, round)  # give numbers, whatever they are given
_OF_ITEMS = (min, max, any, all)
_READ = (*_OF_ONE, *_OF_ITEMS, sorted, list, tuple, enumerate, zip, reversed)


class Held:
    """What the locals hold that statements before the rows gave a value."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._kinds: dict[str, int] = {}
        self._functions: dict[str, ast.FunctionDef | ast.Lambda] = {}

    def add(self, node: ast.stmt, bound: Iterable[str]) -> None:
        """A statement, and the names that it binds."""
        straight = isinstance(node, (ast.Assign, ast.AnnAssign, ast.FunctionDef))
        found: dict[str, int] = {}
        for name in bound:
            kinds = [self._kind_of(one, name) for one in _bindings(node, name)]
            found[name] = max(kinds, default=_ANY)
        for name, kind in found.items():
            before = _SCALAR if straight else self._kinds.get(name, _SCALAR)
            self._kinds[name] = max(kind, before)

    def _kind_of(self, value: ast.AST | None, name: str) -> int:
        if isinstance(value, FUNCTIONS):
            self._functions[name] = value
            return _FUNCTION
        return self._kind(value)

    def _kind(self, node: ast.AST | None) -> int:
        match node:
            case ast.Constant() | ast.JoinedStr():
                return _SCALAR
            case ast.Name(name):
                return self._kind_of_name(node, name)
            case ast.Attribute():
                return _SCALAR if is_scalar(self._reader.resolved(node)) else _ANY
            case ast.UnaryOp(operand=value) | ast.NamedExpr(value=value):
                return self._kind(value)
            case ast.BinOp(left, _, right):
                return self._most([left, right])
            case ast.Compare():
                return _SCALAR
            case ast.BoolOp(values=values):
                return self._most(values)
            case ast.IfExp(_, value, other):
                return self._most([value, other])
            case ast.Tuple(items):
                return _SCALAR if self._most(items) == _SCALAR else _ANY
            case ast.List(items):
                return _FLAT if self._most(items) == _SCALAR else _ANY
            case ast.Subscript(value, key):
                kind = self._kind(value)
                return _SCALAR if kind == _FLAT and not isinstance(key, ast.Slice) else kind
            case ast.ListComp(item, generators):
                return self._comprehended(item, generators)
            case ast.Call(_, args):
                return self._called(node, args)
            case _:
                return _ANY

    def _kind_of_name(self, node: ast.Name, name: str) -> int:
        if name in self._kinds:
            return self._kinds[name]
        known = self._reader.env.get(name)
        if isinstance(known, Known):
            return _SCALAR if is_scalar(known.value) else _ANY
        if name in self._reader.constants or is_scalar(self._reader.resolved(node)):
            return _SCALAR
        return _ANY

    def _most(self, nodes: Sequence[ast.AST]) -> int:
        return max((self._kind(one) for one in nodes), default=_SCALAR)

    def _comprehended(self, item: ast.expr, generators: Sequence[ast.comprehension]) -> int:
        before = dict(self._kinds)
        for one in generators:
            items = self._kind(one.iter)
            is_range = isinstance(one.iter, ast.Call) and self._reader.called(one.iter) is range
            for name in stored([one.target]):
                self._kinds[name] = _SCALAR if is_range or items <= _FLAT else _ANY
        kind = _FLAT if self._kind(item) == _SCALAR else _ANY
        self._kinds = before
        return kind

    def _called(self, node: ast.Call, args: Sequence[ast.expr]) -> int:
        target = self._reader.called(node)
        if _is_one_of(target, _OF_ONE) or _is_of_math(target):
            return _SCALAR
        if _is_one_of(target, _OF_ITEMS) and self._most(args) <= _FLAT and not node.keywords:
            return _SCALAR
        if _is_one_of(target, (list, sorted)) and self._most(args) <= _FLAT and not node.keywords:
            return _FLAT
        return _FLAT if target is range else _ANY

    # What rows do

    def check(self, nodes: Iterable[ast.AST]) -> None:
        """Raises:
        NoFormError: what is done in each row may change, or hand on, what was made before the rows.
        """
        nodes = [*nodes]
        own = stored(nodes)
        for node in nodes:
            self._check(node, own)
        for function in self._functions.values():
            self._check(function, set())

    def _check(self, node: ast.AST, own: set[str], *, safe: int = _SCALAR) -> None:
        """own: names that are no longer what they were before. safe: the kind of what may stand here."""
        if isinstance(node, ast.Name):
            kind = _SCALAR if node.id in own else self._kinds.get(node.id, _SCALAR)
            if safe < kind < _FUNCTION:
                what = "a list" if kind == _FLAT else "which may change,"
                raise NoFormError(
                    node, f"{node.id}, {what} from before the rows, is not only read by its items"
                )
            return
        if isinstance(node, FUNCTIONS):
            self._check_function(node, own)
            return
        if isinstance(node, COMPREHENSIONS):
            own = own | stored(one.target for one in node.generators)
        for child, its in self._places(node):
            self._check(child, own, safe=its)

    def _check_function(self, node: ast.FunctionDef | ast.Lambda, own: set[str]) -> None:
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None and self._kind(default) != _SCALAR:
                raise NoFormError(default, "a default that may change from row to row")
        arguments = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
        body: Sequence[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
        inner = own | arguments | stored(body)
        for one in body:
            self._check(one, inner)

    def _places(self, node: ast.AST) -> list[tuple[ast.AST, int]]:
        """The parts of an expression or statement, and which kinds may stand there."""
        match node:
            case ast.Subscript(value, key, ast.Load()):
                return [(value, _FLAT), (key, _SCALAR)]
            case ast.Call(func, args, words):
                target = self._reader.called(node)
                kind = _FLAT if _is_one_of(target, _READ) else _SCALAR
                kind = _ANY if _is_one_of(target, _OF_ONE) or _is_of_math(target) else kind
                of_words: list[tuple[ast.AST, int]] = [(one.value, _SCALAR) for one in words]
                return [(func, _SCALAR), *((one, kind) for one in args), *of_words]
            case ast.Compare(left, _, others):
                return [(left, _ANY), *((one, _ANY) for one in others)]
            case ast.BinOp(left, how, right):
                # What two containers are joined to holds what they held.
                kind = _FLAT if isinstance(how, (ast.Add, ast.Mult)) else _ANY
                return [(left, kind), (right, kind)]
            case ast.UnaryOp(_, value):
                return [(value, _ANY)]
            case ast.For(target, items, body, other):
                parts: list[ast.AST] = [target, *body, *other]
                return [(items, _FLAT), *((one, _SCALAR) for one in parts)]
            case ast.comprehension(target, items, tests):
                return [(target, _SCALAR), (items, _FLAT), *((one, _ANY) for one in tests)]
            case ast.If(test, body, other) | ast.While(test, body, other):
                return [(test, _ANY), *((one, _SCALAR) for one in [*body, *other])]
            case ast.IfExp(test, value, other):
                return [(test, _ANY), (value, _SCALAR), (other, _SCALAR)]
            case _:
                return [(one, _SCALAR) for one in ast.iter_child_nodes(node)]


def _bindings(node: ast.AST, name: str) -> list[ast.AST | None]:
    """What a name is given by a statement; None: what is not told."""
    made: list[ast.AST | None] = []
    for one in ast.walk(node):
        match one:
            case ast.Assign([ast.Name(target)], value) if target == name:
                made.append(value)
            case ast.AnnAssign(ast.Name(target), value=value) if target == name:
                made += [] if value is None else [value]
            case ast.NamedExpr(ast.Name(target), value) if target == name:
                made.append(value)
            case ast.AugAssign(ast.Name(target) as old, _, value) if target == name:
                made += [ast.copy_location(ast.Name(old.id, ast.Load()), old), value]
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)) if len(targets) == len(values):
                pairs = zip(targets, values, strict=True)
                made += [v for t, v in pairs if isinstance(t, ast.Name) and t.id == name]
            case ast.FunctionDef() if one.name == name:
                made.append(one)
            case ast.Assign() | ast.For() | ast.With() | ast.match_case() | ast.ExceptHandler():
                if name in stored([one]) and not made:
                    made.append(None)
            case _:
                pass
    return made or [None]


def _is_one_of(target: object, known: Iterable[object]) -> bool:
    return any(target is one for one in known)


def _is_of_math(target: object) -> bool:
    name = getattr(target, "__name__", None) if type(target) is type(math.sin) else None
    return type(name) is str and getattr(math, name, None) is target


def is_users(target: object) -> bool:
    """Whether what is called is a function that a user wrote."""
    if type(target) is not FunctionType:
        return False
    module: Any = target.__module__
    return not (type(module) is str and module.partition(".")[0] in ("numpy", "pyarrow"))


def check_used(
    body: Iterable[ast.stmt], result: ast.expr, strict: Iterable[tuple[str, ast.AST]]
) -> None:
    """Refuses what may fail and is no part of the result.

    strict: locals that hold such values, and where they are made.

    Raises:
        NoFormError: one of them is not used.
    """
    wanted = dict(strict)
    if not wanted:
        return
    live = _loads(result)
    for node in reversed([*body]):
        if not live.isdisjoint(stored([node])):
            live |= _loads(node)
    for name, place in wanted.items():
        if name not in live:
            raise NoFormError(place, "values that nothing uses, which may fail all the same")


def _loads(node: ast.AST) -> set[str]:
    return {
        one.id
        for one in ast.walk(node)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
    }
