"""Record functions: one parameter, a row as a dict of its columns. Bound as scalar functions of the columns that they read.

`row["a"]`, `row.get("a", default)` and `"a" in row` become that column, or what a missing key gives; anything else done with the
row is left to CPython, which gets a dict of all columns. In a `map` the function gives columns, see `_returns`.
"""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING, Any, cast

from sabot._by_rows import results_of
from sabot._capture import Captured, Param, Refusal, record_blob
from sabot._returns import Given, read_returns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    import pyarrow as pa

    FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    _RowFunction: TypeAlias = Callable[[dict[str, object]], object]

MISSING = "\0missing"  # a local that nothing ever binds: reading it raises


def local_of(column: str) -> str:
    """What a rewritten tree calls a column: no identifier, so that no local has the name."""
    return "\0" + column


def as_scalar(captured: Captured, columns: Sequence[str]) -> Captured:
    """A record function as a scalar function of columns.

    Parameters:
        columns: the names of the input's columns.
    """
    made = copy.copy(captured)
    made.record = row_of(captured)
    read: Sequence[str] = columns
    made.blob = None
    if captured.blob is not None and captured.node is not None:
        rewriter = _Rewriter(captured, made.record, columns)
        found = _rewrite(made, rewriter, captured.node)
        read = columns if found is None else found
    made.params = tuple(Param(name, "positional", has_default=False, default=None) for name in read)
    made.fn = _with_record(cast("_RowFunction", captured.fn), read)
    return made


def as_map(captured: Captured, schema: pa.Schema) -> tuple[Captured, Given | None]:
    """A record function of a map as one of columns, with what it gives; None where its text does not tell.

    Raises:
        TypeMismatchError: two paths give different columns, or one gives none.
        PlanError: it gives one value a row.
    """
    made = copy.copy(captured)
    made.record = row_of(captured)
    made.blob = None
    read: Sequence[str] | None = None
    given = None
    if captured.blob is not None and captured.node is not None:
        returns = read_returns(captured, made.record, schema)
        if isinstance(returns, Given):
            rewriter = _Rewriter(captured, made.record, schema.names)
            read = _rewrite(made, rewriter, returns.tree, returns)
            given = returns if read is not None else None  # else the row may be changed
        else:
            what = "a result whose columns the text does not tell"
            made.refusals = (refusal_at(returns or captured.node, "type", what),)
    columns = schema.names if read is None else read
    made.params = tuple(
        Param(name, "positional", has_default=False, default=None) for name in columns
    )
    if given is not None:
        fn = cast("_RowFunction", captured.fn)
        made.fn = _with_record(results_of(fn, captured.name, given), columns)
        if captured.guards is not None:
            made.guards = captured.guards.with_others(given.guards)
    return made, given


def _rewrite(
    made: Captured, rewriter: _Rewriter, node: FunctionNode, given: Given | None = None
) -> list[str] | None:
    """Gives a function its blob, and what columns it reads; None, with the reason kept, where it has none."""
    captured = rewriter.captured
    if len(captured.params or ()) > 1:
        rewriter.refuse(node, "signature", "a record function with other parameters")
    tree = rewriter.rewritten(node)
    if rewriter.refusal is not None or tree is None:
        made.refusals = (rewriter.refusal,) if rewriter.refusal is not None else ()
        return None
    # A captured key may be bound anew: then CPython looks for another one.
    read = list(rewriter.columns if rewriter.captures_keys else rewriter.read)
    if given is not None:
        read = list(dict.fromkeys((*read, *given.read)))
    made.blob = record_blob(captured, tree, made.record, read, given.slots if given else ())
    return read


def row_of(captured: Captured) -> str:
    """The parameter of a record function that is the row."""
    return next((p.name for p in captured.params or () if not p.has_default), "row")


def _with_record(fn: _RowFunction, names: Sequence[str]) -> Callable[..., object]:
    names = tuple(names)

    def call(*values: object) -> object:
        return fn(dict(zip(names, values, strict=True)))

    return call


def refusal_at(node: Any, code: str, detail: str) -> Refusal:
    """A reason that points at a node."""
    line, col = node.lineno, node.col_offset
    return Refusal(code, detail, line, col, node.end_lineno or line, node.end_col_offset or col)


class _Rewriter(ast.NodeTransformer):
    """Replaces what a function does with its row, on a copy of its tree."""

    def __init__(self, captured: Captured, param: str, columns: Sequence[str]) -> None:
        self.read: dict[str, None] = {}
        self.refusal: Refusal | None = None
        self.captures_keys = False
        self.captured = captured
        self.columns = columns
        self._param = param

    def rewritten(self, node: FunctionNode) -> Any:
        """The new tree; None where it is nested too deeply."""
        try:
            return self.visit(copy.deepcopy(node))
        except RecursionError:
            self.refuse(node, "too_complex", "")
            return None

    def refuse(self, node: Any, code: str, detail: str) -> None:
        """Keeps the first reason."""
        if self.refusal is None:
            self.refusal = refusal_at(node, code, detail)

    def _is_row(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self._param

    def _key(self, node: ast.AST) -> str | None:
        """A key that is known: a text, or a captured name that stands for one."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name) and self.captured.guards is not None:
            found = self.captured.guards.names.get(self.captured.mangle(node.id))
            if found is not None and type(found.value) is str:
                self.captures_keys = True
                return found.value
        return None

    def _column(self, node: ast.expr, key: str) -> ast.expr:
        name = local_of(key) if key in self.columns else MISSING
        if key in self.columns:
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
                if key in self.columns:
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
                    if key in self.columns:
                        self.read[key] = None  # CPython's row must have it, too
                    there = (key in self.columns) == isinstance(operator, ast.In)
                    return ast.copy_location(ast.Constant(there), node)
            case _:
                pass
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if self._is_row(node):
            self.refuse(node, "type", "the row itself as a value")
        return node
