"""Record functions: one parameter, a row as a dict of its columns. Bound as scalar functions of the columns that they read.

`row["a"]`, `row.get("a", default)` and `"a" in row` become that column, or what a missing key gives; anything else done with the
row is left to CPython, which gets a dict of all columns.
"""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING, Any, cast

from sabot._capture import Captured, Param, Refusal, record_blob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MISSING = "\0missing"  # a local that nothing ever binds: reading it raises


def local_of(column: str) -> str:
    """What a rewritten tree calls a column: no identifier, so that no local has the name."""
    return "\0" + column


def as_scalar(captured: Captured, columns: Sequence[str]) -> Captured:
    """A record function as a scalar function of columns.

    Parameters:
        columns: the names of the input's columns.
    """
    made = Captured()
    for name in Captured.__slots__:
        if name != "__weakref__":
            setattr(made, name, getattr(captured, name))
    params = captured.params or ()
    param = next((p.name for p in params if not p.has_default), "row")
    made.record = param
    read: Sequence[str] = columns
    made.blob = None
    if captured.blob is not None and captured.node is not None:
        rewriter = _Rewriter(captured, param, columns)
        if len(params) > 1:
            rewriter.refuse(captured.node, "signature", "a record function with other parameters")
        tree = rewriter.rewritten()
        if rewriter.refusal is None and tree is not None:
            # A captured key may be bound anew: then CPython looks for another one.
            read = list(columns if rewriter.captures_keys else rewriter.read)
            made.blob = record_blob(captured, tree, param, read)
        elif rewriter.refusal is not None:
            made.refusals = (rewriter.refusal,)
    made.params = tuple(Param(name, "positional", has_default=False, default=None) for name in read)
    made.fn = _with_record(cast("Callable[[dict[str, object]], object]", captured.fn), read)
    return made


def _with_record(
    fn: Callable[[dict[str, object]], object], names: Sequence[str]
) -> Callable[..., object]:
    names = tuple(names)

    def call(*values: object) -> object:
        return fn(dict(zip(names, values, strict=True)))

    return call


class _Rewriter(ast.NodeTransformer):
    """Replaces what a function does with its row, on a copy of its tree."""

    def __init__(self, captured: Captured, param: str, columns: Sequence[str]) -> None:
        self.read: dict[str, None] = {}
        self.refusal: Refusal | None = None
        self.captures_keys = False
        self._captured = captured
        self._param = param
        self._columns = columns

    def rewritten(self) -> Any:
        """The new tree; None where it is nested too deeply."""
        assert self._captured.node is not None
        try:
            return self.visit(copy.deepcopy(self._captured.node))
        except RecursionError:
            self.refuse(self._captured.node, "too_complex", "")
            return None

    def refuse(self, node: Any, code: str, detail: str) -> None:
        """Keeps the first reason."""
        if self.refusal is None:
            line, col = node.lineno, node.col_offset
            end = (node.end_lineno or line, node.end_col_offset or col)
            self.refusal = Refusal(code, detail, line, col, *end)

    def _is_row(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self._param

    def _key(self, node: ast.AST) -> str | None:
        """A key that is known: a text, or a captured name that stands for one."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name) and self._captured.guards is not None:
            found = self._captured.guards.names.get(self._captured.mangle(node.id))
            if found is not None and type(found.value) is str:
                self.captures_keys = True
                return found.value
        return None

    def _column(self, node: ast.expr, key: str) -> ast.expr:
        name = local_of(key) if key in self._columns else MISSING
        if key in self._columns:
            self.read[key] = None
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        key = self._key(node.slice)
        if self._is_row(node.value) and key is not None and isinstance(node.ctx, ast.Load):
            return self._column(node, key)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node:
            case ast.Call(ast.Attribute(row, "get"), [key_node, *rest], []) if (
                self._is_row(row) and len(rest) < 2
            ):
                key = self._key(key_node)
                if key is None:
                    return self.generic_visit(node)
                if key in self._columns:
                    # Python makes the default before it looks; only one that cannot fail may be left out.
                    if rest and not isinstance(rest[0], ast.Constant):
                        return self.generic_visit(node)
                    return self._column(node, key)
                default = rest[0] if rest else ast.Constant(None)
                return ast.copy_location(self.visit(default), node)
            case _:
                return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        match node:
            case ast.Compare(key_node, [ast.In() | ast.NotIn() as operator], [row]) if self._is_row(
                row
            ):
                key = self._key(key_node)
                if key is not None:
                    if key in self._columns:
                        self.read[key] = None  # CPython's row must have it, too
                    there = (key in self._columns) == isinstance(operator, ast.In)
                    return ast.copy_location(ast.Constant(there), node)
            case _:
                pass
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if self._is_row(node):
            self.refuse(node, "type", "the row itself as a value")
        return node
