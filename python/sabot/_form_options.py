"""Functions of `pyarrow.compute` that take options, sets of values or several conditions, in a batch function.

What they give for a row is written out as an expression for these very options; where Arrow's answer for a row is not certain, the form
that is called raises, and Arrow computes the batch.
"""

from __future__ import annotations

import ast
import functools
import math
import struct
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from sabot import _compute
from sabot._form_calls import arguments
from sabot._form_compute import argument, brought, kind_of, tried, type_of
from sabot._form_constants import ITEMS_MAX, known, texts
from sabot._form_narrow import called
from sabot._form_values import ARROW, Array, NoFormError, Struct, Value
from sabot._piece import arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._form import Reader
    from sabot._form_compute import Constant

_module: Any = pc
_DIGITS_MAX = 10  # Arrow's larger powers of ten are not those


def _array(reader: Reader, node: ast.Call, given: ast.expr | None) -> Array:
    if given is not None:
        found = argument(reader, node, given)
        if isinstance(found, Array):
            return found
    raise NoFormError(node, "no Arrow array of the batch")


def _constant(value: object, node: ast.AST) -> ast.expr:
    made: Any = value
    return ast.copy_location(ast.Constant(made), node)


# Roundings


def _mode(reader: Reader, node: ast.Call, given: ast.expr | None) -> int:
    mode = "half_to_even" if given is None else reader.constant(given)
    if not isinstance(mode, str) or mode not in _compute.ROUND_MODES:
        raise NoFormError(node, "a round_mode= that the text does not tell")
    return _compute.ROUND_MODES.index(mode)


def _round(reader: Reader, node: ast.Call) -> Array:
    values, digits_node, mode_node = arguments(node, "x", "ndigits", "round_mode")
    array = _array(reader, node, values)
    digits = 0 if digits_node is None else reader.constant(digits_node)
    if type(digits) is not int or not -_DIGITS_MAX <= digits <= _DIGITS_MAX:
        raise NoFormError(node, f"pc.round to more than {_DIGITS_MAX} digits, or unknown ones")
    mode = _mode(reader, node, mode_node)
    if kind_of(node, "round", array.type) == "int" and digits >= 0:
        return array._replace(column=None)
    return _rounded(reader, node, "round", digits, array, 10.0 ** abs(digits), digits > 0, mode)


def _round_to_multiple(reader: Reader, node: ast.Call) -> Array:
    values, multiple_node, mode_node = arguments(node, "x", "multiple", "round_mode")
    array = _array(reader, node, values)
    multiple: Any = 1.0 if multiple_node is None else reader.number(multiple_node)
    plain = type(multiple) is float or (type(multiple) is int and abs(multiple) <= 2**53)
    if not plain or not 0 < multiple < math.inf:
        raise NoFormError(node, "pc.round_to_multiple of a multiple that the text does not tell")
    mode = _mode(reader, node, mode_node)
    scale = float(multiple)
    return _rounded(reader, node, "round_to_multiple", scale, array, scale, False, mode)


def _rounded(
    reader: Reader,
    node: ast.Call,
    name: str,
    by: float,
    array: Array,
    scale: float,
    fine: bool,
    mode: int,
) -> Array:
    """by: as pyarrow is given it."""
    if str(array.type) != "double":
        raise NoFormError(node, f"pc.{name} of {array.type}")
    if not _rounds_alike(name, by, scale, fine, mode):
        raise NoFormError(node, f"pc.{name} of another Arrow")
    options = [_constant(one, node) for one in (scale, fine, mode)]
    made = called(node, _compute.rounded, array.value(node), *options)
    return Array(ARROW, reader.make(made, node), type=array.type)


@functools.lru_cache(64)
def _rounds_alike(name: str, by: float, scale: float, fine: bool, mode: int) -> bool:
    """Whether pyarrow rounds as it is known to, at some places."""
    unit = 1 / scale if fine else scale
    for x in (*tried(), *((k - 12) * unit / 4 for k in range(24))):
        try:
            given = _compute.rounded(x, scale, fine, mode)
        except ValueError:
            continue
        real = getattr(_module, name)(arrow.scalar(x), by, _compute.ROUND_MODES[mode])
        if repr(given) != repr(real.as_py()):
            return False
    return True


# Sets of values


def _set(reader: Reader, node: ast.Call) -> tuple[Array, list[Any], Any]:
    """The array, the values that it is looked for, and what pyarrow is given for them."""
    values, set_node, skips_node = arguments(node, "values", "value_set", "skip_nulls")
    array = _array(reader, node, values)
    found = known(reader, set_node) if set_node is not None else None
    given: Any = found.value if found is not None else None
    if not isinstance(given, arrow.Array) or len(given) > ITEMS_MAX:
        raise NoFormError(node, f"a value_set= that is no pa.array of up to {ITEMS_MAX} numbers")
    skips = False if skips_node is None else reader.constant(skips_node)
    if type(skips) is not bool:
        raise NoFormError(node, "skip_nulls=")
    type_of(node, "is_in", [array, given], {})
    items: list[Any] = given.to_pylist()
    return array, _of_kind(node, array, given, items, skips), given


def _of_kind(node: ast.Call, array: Array, given: Any, items: list[Any], skips: bool) -> list[Any]:
    """The values as the array has such; `_SKIPPED` stands for a null that is none."""
    kind = kind_of(node, "is_in", array.type)
    its = kind_of(node, "is_in", given.type)
    made: list[Any] = [_SKIPPED if one is None and skips else one for one in items]
    if its not in (kind, "null") and (kind, its) != ("float", "int"):
        raise NoFormError(node, f"values of {given.type} among values of {array.type}")
    if kind != "float":
        return made
    whole = [one for one in items if type(one) is int]
    if any(abs(one) > 2**24 for one in whole):
        raise NoFormError(node, "large integers among floats")
    made = [float(one) if type(one) is int else one for one in made]
    if str(array.type) == "float" and not all(map(_is_float32, made)):
        raise NoFormError(node, "a value that no float32 is")
    return made


def _is_float32(value: Any) -> bool:
    if value is None or value is _SKIPPED or value != value:
        return True
    try:
        return struct.unpack("f", struct.pack("f", value))[0] == value
    except OverflowError:
        return False


_SKIPPED: Any = object()


def _chosen(
    node: ast.Call, x: ast.expr, items: list[Any], found: Callable[[int], Any], other: Any
) -> ast.expr:
    """What the first place of a row's value among some gives, by halves of their order."""
    firsts: dict[Any, int] = {}
    zeros: dict[bool, int] = {}
    odd: dict[str, int] = {}
    for place, item in enumerate(items):
        if item is _SKIPPED:
            continue
        if item is None or item != item:
            odd.setdefault("null" if item is None else "nan", place)
        elif type(item) is float and item == 0:
            zeros.setdefault(math.copysign(1.0, item) < 0, place)
        else:
            firsts.setdefault(item, place)

    def gives(place: int | None) -> ast.expr:
        return _constant(other if place is None else found(place), node)

    def leaf(item: Any) -> ast.expr:
        if item is _ZERO:
            sign = called(node, _compute.has_sign, x)
            return _if(node, sign, gives(zeros.get(True)), gives(zeros.get(False)))
        return gives(firsts[item])

    def tree(order: Sequence[tuple[Any, Any]]) -> ast.expr:
        if not order:
            return gives(None)
        if len(order) == 1:
            at, item = order[0]
            return _if(node, _compare(node, x, ast.Eq(), at), leaf(item), gives(None))
        half = len(order) // 2
        test = _compare(node, x, ast.Lt(), order[half][0])
        return _if(node, test, tree(order[:half]), tree(order[half:]))

    order = [(item, item) for item in firsts]
    if zeros:
        order.append((0.0, _ZERO))
    order.sort(key=lambda pair: pair[0])
    if all(type(at) is bool for at, _ in order):
        made = gives(None)
        for at, item in order:
            made = _if(node, _compare(node, x, ast.Eq(), at), leaf(item), made)
    else:
        made = tree(order)
    if "nan" in odd:
        same = ast.copy_location(ast.Compare(x, [ast.Eq()], [x]), node)
        made = _if(node, same, made, gives(odd["nan"]))
    return _if(node, _compare(node, x, ast.Is(), None), gives(odd.get("null")), made)


_ZERO: Any = object()


def _compare(node: ast.Call, x: ast.expr, how: ast.cmpop, at: object) -> ast.expr:
    return ast.copy_location(ast.Compare(x, [how], [_constant(at, node)]), node)


def _if(node: ast.Call, test: ast.expr, then: ast.expr, other: ast.expr) -> ast.expr:
    return ast.copy_location(ast.IfExp(test, then, other), node)


def _is_in(reader: Reader, node: ast.Call) -> Array:
    array, items, _ = _set(reader, node)
    made = _chosen(node, array.value(node), items, lambda _: True, False)
    return Array(ARROW, reader.make(made, node), type=arrow.bool_())


def _index_in(reader: Reader, node: ast.Call) -> Array:
    array, items, given = _set(reader, node)
    made = _chosen(node, array.value(node), items, lambda place: place, None)
    type = type_of(node, "index_in", [array, given], {})
    return Array(ARROW, reader.make(made, node), type=type)


# One of several


def _choose(reader: Reader, node: ast.Call) -> Array:
    if node.keywords or len(node.args) < 2:
        raise NoFormError(node, "its arguments")
    given = [argument(reader, node, one) for one in node.args]
    index, values = given[0], given[1:]
    if kind_of(node, "choose", index.type) != "int" or not isinstance(index, Array):
        raise NoFormError(node, "pc.choose by no array of integers")
    type = type_of(node, "choose", given, {})
    count = _constant(len(values), node)
    name = reader.make(called(node, _compute.place_of, index.value(node), count), node)
    place = ast.copy_location(ast.Name(name, ast.Load()), node)
    if str(type) == "null":
        raise NoFormError(node, "pc.choose among nulls")
    parts = _all_made(reader, node, "choose", values)
    made = parts[-1]
    for number, part in enumerate(parts[:-1]):
        made = _if(node, _compare(node, place, ast.Eq(), number), part, made)
    made = _if(node, _compare(node, place, ast.Is(), None), _constant(None, node), made)
    return Array(ARROW, reader.make(made, node), type=type)


def _all_made(
    reader: Reader, node: ast.Call, name: str, values: Sequence[Array | Constant]
) -> list[ast.expr]:
    """The values of one kind. All are made in each row, since one that cannot be fails though it is not taken."""
    _, parts = brought(node, name, "any", values)
    return [
        ast.copy_location(ast.Name(reader.make(part, node), ast.Load()), node)
        if not isinstance(part, (ast.Name, ast.Constant))
        else part
        for part in parts
    ]


def _make_struct(reader: Reader, node: ast.Call) -> Struct | None:
    for keyword in node.keywords:
        names = texts(reader, keyword.value) if keyword.arg == "field_names" else None
        if names is None or len(names) != len(node.args):
            raise NoFormError(node, "pc.make_struct with other arguments")
    return Struct(tuple(argument(reader, node, one) for one in node.args))


def _case_when(reader: Reader, node: ast.Call) -> Array:
    if node.keywords or len(node.args) < 2:
        raise NoFormError(node, "its arguments")
    conditions = reader.value(node.args[0])
    if not isinstance(conditions, Struct):
        raise NoFormError(node, "pc.case_when without a pc.make_struct of conditions")
    tests = conditions.fields
    values = [argument(reader, node, one) for one in node.args[1:]]
    every: list[Any] = [*tests, *values]
    arrays = all(isinstance(one, Array) and str(one.type) == "bool" for one in tests)
    if not arrays or len(values) - len(tests) not in (0, 1):
        raise NoFormError(node, "pc.case_when of other conditions")
    type = type_of(node, "case_when", [conditions, *values], {})
    if str(type) == "null" or not any(isinstance(one, Array) for one in every):
        raise NoFormError(node, f"pc.case_when that gives {type}")
    parts = _all_made(reader, node, "case_when", values)
    made = parts[len(tests)] if len(parts) > len(tests) else _constant(None, node)
    for test, part in reversed([*zip(tests, parts, strict=False)]):
        made = _if(node, test.value(node), part, made)
    return Array(ARROW, reader.make(made, node), type=type)


SPECIAL: dict[str, Callable[[Reader, ast.Call], Value | None]] = {
    "case_when": _case_when,
    "choose": _choose,
    "index_in": _index_in,
    "is_in": _is_in,
    "make_struct": _make_struct,
    "round": _round,
    "round_to_multiple": _round_to_multiple,
}


@functools.cache
def _by_id() -> dict[int, str]:
    return {id(getattr(_module, name)): name for name in SPECIAL if hasattr(_module, name)}


def special_of(target: object) -> Callable[[Reader, ast.Call], Value | None] | None:
    """What reads a call of a function of pyarrow.compute that is here."""
    name = _by_id().get(id(target))
    if name is None or getattr(_module, name, None) is not target:
        return None
    return SPECIAL[name]
