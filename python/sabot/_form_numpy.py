"""NumPy arrays in a batch function: their items as values of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sabot._form_values import Array, NoFormError

if TYPE_CHECKING:
    import ast


def array_of(array: Array, node: ast.AST) -> Array:
    raise NoFormError(node, "NumPy arrays")


def item(array: Array, node: ast.AST) -> ast.expr:
    raise NoFormError(node, "NumPy arrays")
