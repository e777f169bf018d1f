"""Numbers of narrower types than int64 and double among a row's values.

Between functions of pyarrow.compute such a number is an int or a float of Python that the type holds. As a result it becomes a scalar of
that type, which a column of the type is made from.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from sabot import _compute
from sabot._encode_program import Own
from sabot._form_values import ARROW

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._encode import Encoder
    from sabot._encode_program import Part
    from sabot._form import Reader
    from sabot._form_values import Array

BOUNDS = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
}
_LETTERS = {
    "int8": "c",
    "int16": "s",
    "int32": "i",
    "uint8": "C",
    "uint16": "S",
    "uint32": "I",
    "float": "f",
}


def called(node: ast.expr, function: Callable[..., Any], *parts: ast.expr) -> ast.expr:
    """A call of a function of the package, in the tree of a row function."""

    def write(encoder: Encoder) -> Sequence[Part]:
        from sabot._encode_math import call_of_form

        place = ast.copy_location(ast.Call(ast.Constant(None), [], []), node)
        return call_of_form(encoder, place, function, *parts)

    return Own(node, write, parts)


def _builtin(node: ast.expr, name: str, value: ast.expr, letter: str = "") -> ast.expr:
    """A call of a builtin of the blob's format with a value, and a type's letter where there is one."""

    def write(encoder: Encoder) -> Sequence[Part]:
        from sabot._encode_calls import builtin, joined

        place = ast.copy_location(ast.Call(ast.Constant(None), [], []), node)
        more = [joined(encoder.value(node, ord(letter)))] if letter else []
        return builtin(encoder, place, name, value, *more)

    return Own(node, write, [value])


def _unless_null(node: ast.expr, value: ast.expr, made: ast.expr) -> ast.expr:
    none = ast.copy_location(ast.Constant(None), node)
    test = ast.copy_location(ast.Compare(value, [ast.Is()], [none]), node)
    return ast.copy_location(ast.IfExp(test, none, made), node)


def fitted(
    reader: Reader, node: ast.expr, value: ast.expr, type: Any, wraps: bool = False
) -> ast.expr:
    """A value brought to a type: an int that it does not hold wraps around or leaves, a float is rounded."""
    text = str(type)
    if text in BOUNDS:
        low, high = (ast.copy_location(ast.Constant(one), node) for one in BOUNDS[text])
        return called(node, _compute.wrapped if wraps else _compute.within, value, low, high)
    if text != "float":
        return value
    name = ast.copy_location(ast.Name(reader.make(value, node), ast.Load()), node)
    return _unless_null(node, name, _builtin(node, "FLOAT", _builtin(node, "NP_CAST", name, "f")))


def item_of(array: Array, place: ast.AST) -> ast.expr:
    """The row's value of a result; of an Arrow array as one of its type, which holds it."""
    value = array.value(place)
    letter = _LETTERS.get(str(array.type)) if array.family == ARROW else None
    if letter is None:
        return value
    return _unless_null(value, value, _builtin(value, "NP_CAST", value, letter))
