"""What the locals of a batch function stand for while its text is read: batches, arrays, lists, as values of one row.

Every array of such a function has one value a row, and that value is an expression of the row function: a column of the input, or a
local that an earlier statement of the row function made.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, NamedTuple

from sabot._capture import Refusal
from sabot._record import local_of, refusal_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sabot._capture import Captured

ARROW, NUMPY, LIST = "arrow", "numpy", "list"
NOTHING = "nothing"  # the code of functions that only pass columns on


class NoFormError(Exception):
    """A batch function is no function of rows; `refusal` says why and where."""

    def __init__(self, node: ast.AST, detail: str, code: str = "row_form") -> None:
        super().__init__(detail)
        self.refusal: Refusal = refusal_at(node, code, detail)


class Array(NamedTuple):
    """Values of which each row has one.

    family: what its items are: "arrow" values, "numpy" scalars or Python objects of a "list".
    name: the local that holds the row's value. column: it is the input's column of that name, untouched.
    type: of an Arrow array, where it is known, or the dtype of a NumPy array. wanted: the `type=` that pa.array was given.
    own: a NumPy array that the function may change.
    field: in a batch, the input's column whose field it has there, with what that says of nulls and metadata.
    """

    family: str
    name: str
    column: str | None = None
    type: Any = None
    wanted: Any = None
    own: bool = False
    field: str | None = None

    @property
    def passed(self) -> str | None:
        """The input's column that it is, as an Arrow array."""
        return self.column if self.family == ARROW and self.wanted is None else None

    def value(self, node: ast.AST) -> ast.expr:
        """The row's value, as an expression at the place of `node`."""
        return ast.copy_location(ast.Name(self.name, ast.Load()), node)


class Batch(NamedTuple):
    """A record batch, or a table of one, as its columns. keeps: it has the metadata of the input's schema."""

    columns: tuple[tuple[str, Array], ...]
    keeps: bool = False
    is_table: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)


class Builder(NamedTuple):
    """A list that a loop over the rows is to fill; `name`: the local that holds what the row appends."""

    name: str


class Count(NamedTuple):
    """The number of rows."""


class Gone(NamedTuple):
    """A local that a loop over the rows has bound: what it holds after the loop is no row's."""


class Known(NamedTuple):
    """What the text itself tells: a number, a text, names, an Arrow scalar, array or type."""

    value: Any


class Struct(NamedTuple):
    """An Arrow array of structs, as its fields; some may be the same for all rows."""

    fields: tuple[Any, ...]


class Several(NamedTuple):
    """A tuple or a list of arrays and of what the text tells."""

    items: tuple[Any, ...]
    is_list: bool = False


class Columns(NamedTuple):
    """A dict of arrays."""

    pairs: tuple[tuple[str, Any], ...]


class Lists(NamedTuple):
    """A batch as a dict of lists."""

    batch: Batch


class Schema(NamedTuple):
    """The schema of a batch."""

    batch: Batch


class FieldOf(NamedTuple):
    """The field of a column, in the schema of a batch."""

    array: Array


class Function(NamedTuple):
    """A function that is defined inside; `home`: the reader of the text around it."""

    node: ast.FunctionDef | ast.Lambda
    home: Any


Value = (
    Array
    | Batch
    | FieldOf
    | Builder
    | Count
    | Gone
    | Known
    | Struct
    | Several
    | Columns
    | Lists
    | Schema
    | Function
)


def listed(array: Array, node: ast.AST) -> Array:
    """The values of an array as a list of Python objects."""
    if array.family == LIST:
        raise NoFormError(node, "the method to_pylist of a list")
    if array.family == NUMPY or array.column is None:
        raise NoFormError(node, "the values of an array that was made here, as a list")
    return array._replace(family=LIST, type=None)


def input_batch(types: Mapping[str, Any]) -> Batch:
    """The batch that the function is given."""
    columns = [
        (name, Array(ARROW, local_of(name), name, type, field=name)) for name, type in types.items()
    ]
    return Batch(tuple(columns), keeps=True)


def is_mutable(value: Value | None) -> bool:
    """Whether something may change it under another name."""
    return isinstance(value, (Builder, Columns)) or (isinstance(value, Several) and value.is_list)


def columns_of_tree(tree: ast.AST) -> set[str]:
    """The columns that a row function reads."""
    return {
        node.id[1:]
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id.startswith("\0")
    }


def definition(node: ast.Lambda) -> ast.FunctionDef:
    """A lambda as a function without a body yet."""
    made = ast.FunctionDef("lambda", node.args, [], [])
    return ast.copy_location(made, node)


def may_be_rows(node: ast.expr) -> bool:
    """Whether an expression, by its beginning, may stand for something of the batch."""
    kinds = (ast.Call, ast.Subscript, ast.Attribute, ast.BinOp, ast.Compare, ast.UnaryOp)
    return isinstance(node, kinds)


def batch_parameter(captured: Captured) -> str:
    """The parameter that is the batch; "" where there is none."""
    params = captured.params or ()
    needed = [one.name for one in params if not one.has_default]
    return next(iter([*needed, *(one.name for one in params)]), "")
