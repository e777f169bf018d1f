"""Aggregates of pyarrow.compute in a batch function: called with a column as it is, between the phases of the function (`_form_parts`).

What one gives is a scalar of Arrow's, to the rows a value like those of a column. One that gives null leaves the batch to CPython. There
are none of arrays that the function made: where Arrow begins to add depends on how an array lies in memory.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from sabot._encode_numpy import TYPES
from sabot._form_numpy import numpy
from sabot._form_parts import WholeCall
from sabot._form_values import ARROW, Array, ArrowSingle, NoFormError, Single
from sabot._piece import arrow
from sabot._record import local_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sabot._form import Reader

_compute: Any = pc
_OPTIONS = {
    "max": ("skip_nulls", "min_count"),
    "mean": ("skip_nulls", "min_count"),
    "min": ("skip_nulls", "min_count"),
    "product": ("skip_nulls", "min_count"),
    "stddev": ("ddof", "skip_nulls", "min_count"),
    "sum": ("skip_nulls", "min_count"),
    "variance": ("ddof", "skip_nulls", "min_count"),
}


def aggregate_of(target: Any) -> Callable[[Reader, ast.Call], ArrowSingle | None] | None:
    """What reads a call of an aggregate; None: it is none."""
    name: str = target.__name__
    if name not in _OPTIONS or target is not getattr(_compute, name):
        return None
    return lambda reader, node: _aggregate(reader, node, name, target)


def _aggregate(reader: Reader, node: ast.Call, name: str, target: Any) -> ArrowSingle | None:
    array = reader.maybe(node.args[0]) if node.args else None
    if array is None:
        return None
    if not isinstance(array, Array) or array.family != ARROW or array.column is None:
        raise NoFormError(node, f"pc.{name} of something else than a column of the batch")
    named: dict[str, Any] = {}
    for keyword in node.keywords:
        value = reader.constant(keyword.value)
        if (
            keyword.arg is None
            or keyword.arg not in _OPTIONS[name]
            or type(value) not in (bool, int)
        ):
            raise NoFormError(node, f"pc.{name} with {keyword.arg or '**'}=")
        named[keyword.arg] = value
    module = numpy()
    if len(node.args) > 1 or module is None:
        raise NoFormError(node, f"pc.{name} with other arguments")
    try:
        type_ = target(arrow.array([1, 1, 1]).cast(array.type), **named).type
        dtype = module.dtype(type_.to_pandas_dtype())
    except Exception as error:
        raise NoFormError(node, f"pc.{name}: {error}") from None
    if not _is_number(type_) or dtype.name not in TYPES:
        raise NoFormError(node, f"pc.{name} that gives {type_}")

    def make(given: list[Any]) -> Any:
        made = target(given[0], **named)
        if not made.is_valid or made.type != type_:
            raise ValueError
        return dtype.type(made.as_py())

    if reader.kept_rows.of(array.name):
        raise NoFormError(node, f"pc.{name} of rows that masks leave")
    reader.untouched[array.name] = array.column
    call = WholeCall("", f"pc.{name}", make, dtype, True, (array.name,), (None,))
    value = ast.copy_location(ast.Name(local_of(reader.called_whole(call)), ast.Load()), node)
    return ArrowSingle(reader.make(value, node), type_)


def _is_number(type: Any) -> bool:
    return arrow.types.is_integer(type) or arrow.types.is_floating(type)


def as_py(reader: Reader, node: ast.Call, single: ArrowSingle) -> Single:
    """The number of Python's that a scalar is."""
    if node.args or node.keywords:
        raise NoFormError(node, "its arguments")
    return Single(single.name, float if arrow.types.is_floating(single.type) else int)
