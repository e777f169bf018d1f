"""Which names a function's own scope binds and which it uses, from its syntax tree.

The code object alone does not tell: it leaves out names of statements that Python drops (`if 0:`), and since Python 3.12 lists
the targets of comprehensions among the locals.
"""

from __future__ import annotations

import ast
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
