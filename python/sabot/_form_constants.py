"""What the text of a batch function tells by itself: numbers, texts, lists of them, Arrow scalars and arrays of them, types.

Such values are known when the function is read. Only numbers and texts of exact classes are computed with, so no code of the user's runs.
"""

from __future__ import annotations

import ast
import operator
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sabot._encode import type_name
from sabot._form_values import Known, NoFormError
from sabot._guards import Frozen, is_scalar
from sabot._piece import arrow

if TYPE_CHECKING:
    from collections.abc import Callable

    from sabot._form import Reader

ITEMS_MAX = 256
_DIGITS_MAX = 128  # bits of an int that is computed here
_of: Any = operator
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: _of.add,
    ast.Sub: _of.sub,
    ast.Mult: _of.mul,
    ast.Div: _of.truediv,
    ast.FloorDiv: _of.floordiv,
    ast.Mod: _of.mod,
    ast.Pow: _of.pow,
}


def known(reader: Reader, node: ast.expr) -> Known | None:
    """What an expression is; None where the text does not tell."""
    match node:
        case ast.Constant(value):
            return Known(value)
        case ast.List(elts) | ast.Tuple(elts):
            return _items(reader, elts)
        case ast.UnaryOp(ast.USub() | ast.UAdd() as sign, inner):
            found = _number(reader, inner)
            if found is None:
                return None
            return Known(-found if isinstance(sign, ast.USub) else +found)
        case ast.BinOp(left, operation, right):
            return _computed(known(reader, left), operation, known(reader, right))
        case ast.IfExp(test, then, other):
            found = known(reader, test)
            return None if found is None else known(reader, then if found.value else other)
        case ast.JoinedStr(values):
            return _joined(reader, values)
        case ast.UnaryOp(ast.Not(), inner):
            found = known(reader, inner)
            return None if found is None else Known(not found.value)
        case ast.BoolOp(how, values):
            return _all_of(how, [known(reader, one) for one in values])
        case ast.Compare(left, [how], [right]):
            return _compared(known(reader, left), how, known(reader, right))
        case ast.Call(function, [given], []) if (test := _type_test(reader, function)) is not None:
            found = known(reader, given)
            of_type = found is not None and isinstance(found.value, pa.DataType)
            return Known(test(found.value)) if found is not None and of_type else None
        case ast.Name() | ast.Attribute() | ast.Call() | ast.Subscript():
            given = reader.maybe(node)
            if isinstance(given, Known):
                return given
            if given is None and isinstance(node, (ast.Name, ast.Attribute)):
                return _of_name(reader, node)
            return None
        case _:
            return None


def _all_of(how: ast.boolop, values: list[Known | None]) -> Known | None:
    """`and`, `or`: the first value that decides, or the last."""
    for one in values[:-1]:
        if one is None or bool(one.value) == isinstance(how, ast.Or):
            return one
    return values[-1]


def _compared(one: Known | None, how: ast.cmpop, other: Known | None) -> Known | None:
    """Of numbers and texts, of tuples of them what is in them."""
    if one is None or other is None:
        return None
    left, right = one.value, other.value
    order = _ORDERS.get(type(how))
    if order is not None:
        numbers = type(left) in (int, float) and type(right) in (int, float)
        return Known(order(left, right)) if numbers else None
    inside = isinstance(how, (ast.In, ast.NotIn))
    items: Any = right if inside else (right,)
    if inside and not (type(right) is tuple or type(left) is type(right) is str):
        return None
    plain: list[object] = [left, *items]
    if isinstance(how, (ast.Is, ast.IsNot)) or not all(map(is_scalar, plain)):
        return None
    same = left in right if inside else left == right
    return Known(same != isinstance(how, (ast.NotEq, ast.NotIn)))


_ORDERS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: _of.lt,
    ast.LtE: _of.le,
    ast.Gt: _of.gt,
    ast.GtE: _of.ge,
}


def _type_test(reader: Reader, node: ast.expr) -> Any:
    """One of the questions about types in pyarrow.types."""
    if not isinstance(node, (ast.Name, ast.Attribute)):
        return None
    found: Any = reader.resolved(node)
    if type(found) is not FunctionType or found.__module__ != "pyarrow.types":
        return None
    name = found.__name__
    return found if getattr(arrow.types, name, None) is found and name.startswith("is_") else None


def _items(reader: Reader, nodes: list[ast.expr]) -> Known | None:
    found = [known(reader, one) for one in nodes[: ITEMS_MAX + 1]]
    if len(found) > ITEMS_MAX or None in found:
        return None
    return Known(tuple(one.value for one in found if one is not None))


def _of_name(reader: Reader, node: ast.Name | ast.Attribute) -> Known | None:
    if isinstance(node, ast.Name) and node.id in reader.constants:
        return Known(reader.constants[node.id])
    found: Any = reader.resolved(node)
    if found is None:
        return None
    if is_scalar(found) or _is_type(found):
        return Known(found)
    items: Any = found.items if type(found) is Frozen and found.kind == "list" else found
    if (
        type(cast("object", items)) is tuple
        and len(items) <= ITEMS_MAX
        and all(map(is_scalar, items))
    ):
        return Known(items)
    return None


def _is_type(found: object) -> bool:
    # By its class alone, so that no code of the user's runs.
    return issubclass(type(found), pa.DataType) and type_name(found).startswith("pyarrow.lib.")


def _number(reader: Reader, node: ast.expr) -> Any:
    found = known(reader, node)
    plain = found is not None and type(found.value) in (int, float)
    return found.value if found is not None and plain else None


def _joined(reader: Reader, values: list[ast.expr]) -> Known | None:
    """A text with texts and ints in it."""
    text = ""
    for one in values:
        match one:
            case ast.FormattedValue(inner, -1, None):
                found = known(reader, inner)
            case _:
                found = known(reader, one)
        if found is None or type(found.value) not in (str, int):
            return None
        text += f"{found.value}"
    return Known(text)


def _computed(one: Known | None, operation: ast.operator, other: Known | None) -> Known | None:
    """A number that CPython computes of two, or two texts as one; None where it raises, or it is large."""
    compute = _OPERATORS.get(type(operation))
    if compute is None or one is None or other is None:
        return None
    left, right = one.value, other.value
    if type(left) is type(right) is str and isinstance(operation, ast.Add):
        return Known(left + right)
    if type(left) not in (int, float) or type(right) not in (int, float):
        return None
    sizes = [one.bit_length() for one in (left, right) if type(one) is int]
    if any(size > _DIGITS_MAX for size in sizes):
        return None
    if isinstance(operation, ast.Pow) and sizes[-1:] and not -_DIGITS_MAX < right < _DIGITS_MAX:
        return None
    try:
        made = compute(left, right)
    except ArithmeticError:
        return None
    return Known(made) if type(made) in (int, float) else None


def type_of_text(reader: Reader, node: ast.AST, given: ast.expr) -> Any:
    """An Arrow type: made by a call, captured, or by its name.

    Raises:
        NoFormError: the text does not tell it.
    """
    if isinstance(given, ast.Call) and not given.args and not given.keywords:
        made = reader.called(given)
        for make in _TYPES:
            if made is make:
                return make()
    found = known(reader, given)
    value = found.value if found is not None else None
    if type(value) is str:
        try:
            return arrow.type_for_alias(value)
        except ValueError:
            pass
    if value is not None and _is_type(value):
        return value
    raise NoFormError(node, "a type that the text does not tell")


_TYPES: tuple[Callable[[], Any], ...] = (
    *(pa.int8, pa.int16, pa.int32, pa.int64, pa.uint8, pa.uint16, pa.uint32, pa.uint64),
    *(pa.float32, pa.float64, pa.bool_, pa.string),
)


def scalar(reader: Reader, node: ast.Call) -> Known:
    """pa.scalar of a number or None."""
    from sabot._form_calls import arguments

    given, type_node = arguments(node, "value", "type")
    found = known(reader, given) if given is not None else None
    if found is None or not is_scalar(found.value):
        raise NoFormError(node, "a scalar that the text does not tell")
    type = None if type_node is None else type_of_text(reader, node, type_node)
    return Known(_made(node, arrow.scalar, found.value, type))


def array(reader: Reader, node: ast.Call, given: ast.expr, type: Any) -> Known | None:
    """pa.array of a list of numbers that the text tells."""
    found = known(reader, given)
    items: Any = found.value if found is not None else None
    if items.__class__ is not tuple or not all(map(is_scalar, items)):
        return None
    return Known(_made(node, arrow.array, list(items), type))


def _made(node: ast.AST, make: Any, value: object, type: Any) -> Any:
    try:
        return make(value, type)
    except Exception as error:
        raise NoFormError(node, f"{make.__name__}: {error}") from None


def texts(reader: Reader, node: ast.expr) -> list[str] | None:
    """A list of texts that is known."""
    found = known(reader, node)
    if found is None or type(cast("object", found.value)) is not tuple:
        return None
    items = cast("tuple[object, ...]", found.value)
    return [str(one) for one in items] if all(type(one) is str for one in items) else None
