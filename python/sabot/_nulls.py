"""`nulls="skip"` as text: a function gets a first line that returns None where an argument is None."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sabot._source import FunctionNode


def guarded(node: FunctionNode, params: Sequence[int]) -> FunctionNode:
    """A copy of a function's node whose body begins with that line.

    params: places among the parameters, positional ones first.
    """
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    tests: list[ast.expr] = [
        ast.Compare(ast.Name(every[place].arg, ast.Load()), [ast.Is()], [ast.Constant(None)])
        for place in params
    ]
    test = tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), tests)
    made: FunctionNode
    if isinstance(node, ast.Lambda):
        made = ast.Lambda(arguments, ast.IfExp(test, ast.Constant(None), node.body))
        ast.copy_location(made.body, node.body)
    else:
        line = ast.If(test, [ast.Return(ast.Constant(None))], [])
        ast.copy_location(line, node.body[0])
        made = type(node)(**{name: getattr(node, name) for name in node._fields})
        documented = ast.get_docstring(node, clean=False) is not None
        made.body = [*node.body[:documented], line, *node.body[documented:]]
    ast.copy_location(made, node)
    return ast.fix_missing_locations(made)
