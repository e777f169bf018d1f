"""Which names a function's own scope binds and which it uses, from its syntax tree.

The code object alone does not tell: it leaves out names of statements that Python drops (`if 0:`), and since Python 3.12 lists
the targets of comprehensions among the locals.
"""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_SCOPES = (*_FUNCTIONS, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def own_names(
    node: FunctionNode, mangle: Callable[[str], str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names that a function binds in its own scope (parameters aside), and all names that its own code uses.

    Both in the order of the text, as `mangle` gives them. What is declared global or nonlocal is not bound. Code of nested
    functions, classes and comprehensions is not its own, but for the names that `:=` in a comprehension binds here.
    """
    bound: dict[str, None] = {}
    used: dict[str, None] = {}
    outer: set[str] = set()
    stack: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*reversed(node.body)]
    while stack:
        place = stack.pop()
        bound.update((mangle(name), None) for name in _binds(place))
        if isinstance(place, ast.Name):
            used[mangle(place.id)] = None
        elif isinstance(place, (ast.Global, ast.Nonlocal)):
            outer.update(map(mangle, place.names))
        elif isinstance(place, ast.AnnAssign):  # a local's annotation is not evaluated
            if (
                place.value is not None or place.simple
            ):  # `(x): int` alone does not even make a local
                stack.append(place.target)
            if place.value is not None:
                stack.append(place.value)
        elif not isinstance(place, _SCOPES):
            stack.extend(reversed([*ast.iter_child_nodes(place)]))
    return tuple(name for name in bound if name not in outer), tuple(used)


def own_yield(node: FunctionNode) -> ast.Yield | ast.YieldFrom | None:
    """The first `yield` of a function's own code, which makes it a generator function."""
    stack = [*reversed(_body(node))]
    while stack:
        place = stack.pop()
        if isinstance(place, (ast.Yield, ast.YieldFrom)):
            return place
        if not isinstance(place, _SCOPES):
            stack.extend(reversed([*ast.iter_child_nodes(place)]))
    return None


def inner_names(node: FunctionNode, mangle: Callable[[str], str]) -> tuple[str, ...]:
    """Names that nested functions, lambdas and comprehensions of a function use and do not bind: locals of it, or of outside."""
    free: dict[str, None] = {}
    stack: list[tuple[ast.AST, frozenset[str]]] = [(place, frozenset()) for place in _body(node)]
    while stack:
        place, bound = stack.pop()
        if isinstance(place, ast.Name):
            if bound and place.id not in bound:
                free[mangle(place.id)] = None
        elif isinstance(place, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            args = place.args
            stack += [(default, bound) for default in args.defaults]
            stack += [(default, bound) for default in args.kw_defaults if default is not None]
            every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
            every += [arg for arg in (args.vararg, args.kwarg) if arg is not None]
            own, _ = own_names(place, str)
            inside = bound | {arg.arg for arg in every} | set(own) | {""}
            stack += [(inner, inside) for inner in _body(place)]
        elif isinstance(place, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            targets = {
                name.id
                for generator in place.generators
                for name in ast.walk(generator.target)
                if isinstance(name, ast.Name)
            }
            inside = bound | targets | {""}
            # The first iterable belongs to the scope around; counted as inside, it is looked up likewise.
            stack += [(inner, inside) for inner in ast.iter_child_nodes(place)]
            stack.append((place.generators[0].iter, bound | {""}))
        elif not isinstance(place, ast.ClassDef):
            stack += [(inner, bound) for inner in ast.iter_child_nodes(place)]
    return tuple(free)


def _body(node: FunctionNode) -> list[ast.AST]:
    return [node.body] if isinstance(node, ast.Lambda) else [*node.body]


def bindings(node: FunctionNode, mangle: Callable[[str], str]) -> Counter[str]:
    """How often a function binds each name in its own scope; a parameter counts as once."""
    counts: Counter[str] = Counter()
    args = node.args
    for arg in [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]:
        if arg is not None:
            counts[mangle(arg.arg)] += 1
    stack = _body(node)
    while stack:
        place = stack.pop()
        counts.update(mangle(name) for name in _binds(place))
        if not isinstance(place, _SCOPES):
            stack.extend(ast.iter_child_nodes(place))
    return counts


def dotted_names(node: FunctionNode) -> tuple[tuple[str, ...], frozenset[str]]:
    """All `a.b.c` that a function's text has, nested functions included, and those names, plain ones too, that it calls."""
    found: dict[str, None] = {}
    called: set[str] = set()
    for top in _body(node):
        for place in ast.walk(top):
            text = _dotted(place)
            if "." in text:
                found[text] = None
            if isinstance(place, ast.Call):
                called.add(_dotted(place.func))
                called.update(map(_dotted, place.args[:1]))  # of map and filter
                called.update(_dotted(k.value) for k in place.keywords if k.arg == "key")
    return tuple(found), frozenset(called)


def _dotted(place: ast.AST) -> str:
    names: list[str] = []
    while isinstance(place, ast.Attribute):
        names.append(place.attr)
        place = place.value
    return ".".join([place.id, *reversed(names)]) if isinstance(place, ast.Name) else ""


def _binds(node: ast.AST) -> Iterator[str]:
    """The names that one node binds in the scope around it."""
    match node:
        case ast.Name(name, ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import() | ast.ImportFrom():
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0]
        case (
            ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(str(name))
        ):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            for inner in ast.walk(node):
                if isinstance(inner, ast.NamedExpr):
                    yield inner.target.id
        case _:
            pass
