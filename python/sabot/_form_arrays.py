"""More of NumPy in a batch function: functions that have no scalar of their own in compiled code, and arrays that are changed as a whole.

An item becomes the plain number that it is, a form of `_ufuncs` computes with it, and the result becomes an item of a type again.
"""

from __future__ import annotations

import ast
import copy
import functools
import math
from typing import TYPE_CHECKING, Any
from typing import cast as cast_to

from sabot import _ufuncs
from sabot._encode_program import Own
from sabot._form_narrow import called
from sabot._form_numpy import argument, cast, checked, dtype_of, fresh, numpy, operation
from sabot._form_state import is_users
from sabot._form_values import NUMPY, Array, Known, NoFormError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._encode import Encoder
    from sabot._encode_program import Part
    from sabot._form import Reader

# Each form, and of which kinds of items: "f" floats alone (integers become float64), "if", or "b" for truth values as results.
_FORMS: dict[str, tuple[Callable[..., Any], str]] = {
    "copysign": (_ufuncs.copysign, "f"),
    "fmax": (_ufuncs.fmax, "if"),
    "fmin": (_ufuncs.fmin, "if"),
    "fmod": (_ufuncs.fmod, "if"),
    "heaviside": (_ufuncs.heaviside, "f"),
    "logical_and": (_ufuncs.logical_and, "b"),
    "logical_not": (_ufuncs.logical_not, "b"),
    "logical_or": (_ufuncs.logical_or, "b"),
    "logical_xor": (_ufuncs.logical_xor, "b"),
    "reciprocal": (_ufuncs.reciprocal, "f"),
    "signbit": (_ufuncs.signbit, "f"),
}


def _plain(node: ast.expr, value: ast.expr, kind: str) -> ast.expr:
    """An item as the plain number that it is."""
    name = {"f": "FLOAT", "b": "BOOL"}.get(kind, "INT_INDEX")

    def write(encoder: Encoder) -> Sequence[Part]:
        from sabot._encode_calls import builtin

        place = ast.copy_location(ast.Call(ast.Constant(None), [], []), node)
        return builtin(encoder, place, name, value)

    return Own(node, write, [value])


def ufunc(reader: Reader, node: ast.expr, name: str, given: Sequence[ast.expr]) -> Array | None:
    """What a function of the table gives; None: it is none of it, or not for these types."""
    if name == "positive":
        return _copy(reader, node, given)
    found = _FORMS.get(name)
    if found is None:
        return None
    form, kinds = found
    function = getattr(numpy(), name)
    arguments = [argument(reader, node, one) for one in given]
    likes = [like for _, like in arguments]
    try:
        with numpy().errstate(all="raise", under="ignore"):
            made = checked(node, function(*likes).dtype)
            common = checked(node, numpy().result_type(*likes))
    except (TypeError, OverflowError, FloatingPointError) as error:
        raise NoFormError(node, f"np.{name}: {error}") from None
    if kinds != "b" and common.kind == "b":
        raise NoFormError(node, f"np.{name} of {common}")
    if kinds == "f" and common.kind != "f":
        common = made if made.kind == "f" else numpy().dtype("float64")
    if not _is_alike(name, common):
        return None
    if form is _ufuncs.fmod and common.kind in "iu":
        form = _ufuncs.fmod_of_ints
    parts: list[ast.expr] = []
    for value, like in arguments:
        its = like.dtype if isinstance(like, numpy().ndarray) else numpy().asarray(like).dtype
        its = its if kinds == "b" else common
        parts.append(_plain(node, cast(node, value, its), its.kind))
    value = cast(node, called(node, form, *parts), made)
    return Array(NUMPY, reader.make(value, node), type=made, own=True)


@functools.cache
def _is_alike(name: str, dtype: Any) -> bool:
    """Whether a form gives what NumPy's function does, where it gives anything, at some places."""
    form, kinds = _FORMS[name]
    if dtype.kind != "f" or kinds == "b":
        return True
    values = [(k - 20) * 0.4375 + 1 / (k + 1) for k in range(40)]
    values += [0.0, -0.0, 1e-300, math.inf, -math.inf, math.nan, 5e-324, 1e300, 3.0, -90.0, 180.0]
    module = numpy()
    items: list[Any] = [dtype.type(one) for one in values if abs(one) < 1e30 or one != one]
    with module.errstate(all="ignore"):
        for place, x in enumerate(items):
            args = (x, items[place * 7 % len(items)])[: form.__code__.co_argcount]
            try:
                given = form(*(float(one) for one in args))
            except (ArithmeticError, ValueError):
                continue
            real = getattr(module, name)(*args)
            if repr(dtype.type(given) if real.dtype.kind == "f" else module.bool(given)) != repr(
                real
            ):
                return False
    return True


def _array(reader: Reader, given: ast.expr | None) -> Array | None:
    found = None if given is None else reader.maybe(given)
    return found if isinstance(found, Array) and found.family == NUMPY else None


def _copy(reader: Reader, node: ast.expr, given: Sequence[ast.expr]) -> Array:
    array = _array(reader, given[0]) if len(given) == 1 else None
    if array is None or array.type.kind == "b":
        raise NoFormError(node, "np.positive of this")
    return array._replace(name=reader.make(array.value(node), node), own=True)


# Functions


def _digits(reader: Reader, node: ast.Call, given: ast.expr | None) -> int:
    digits = 0 if given is None else reader.constant(given)
    if type(digits) is not int or not -15 <= digits <= 15:
        raise NoFormError(node, "a number of decimals that the text does not tell")
    return digits


def rounded(reader: Reader, node: ast.Call, array: Array, digits: int) -> Array:
    """NumPy multiplies, rounds to the next even number and divides."""
    if array.type.kind in "iu" and digits >= 0:
        return array._replace(name=reader.make(array.value(node), node), own=True)
    if array.type.kind != "f":
        raise NoFormError(node, f"np.round of {array.type}")

    def name(one: Array) -> ast.expr:
        made = ast.copy_location(ast.Name(one.name, ast.Load()), node)
        reader.tell(made, one)
        return made

    scale = ast.copy_location(ast.Constant(float(10 ** abs(digits))), node)
    before, after = ("multiply", "true_divide") if digits > 0 else ("true_divide", "multiply")
    made = operation(reader, node, before, [name(array), scale]) if digits else array
    made = operation(reader, node, "rint", [name(made)])
    return operation(reader, node, after, [name(made), scale]) if digits else made


def _round(reader: Reader, node: ast.Call) -> Array | None:
    from sabot._form_calls import arguments

    values, digits = arguments(node, "a", "decimals")
    array = _array(reader, values)
    return None if array is None else rounded(reader, node, array, _digits(reader, node, digits))


def _full_like(reader: Reader, node: ast.Call) -> Array | None:
    from sabot._form_calls import arguments

    like, value, type_node = arguments(node, "a", "fill_value", "dtype")
    array = _array(reader, like)
    if array is None or value is None:
        return None
    number = reader.number(value)
    if type(number) not in (int, float, bool):
        raise NoFormError(node, "np.full_like of a value that the text does not tell")
    dtype = array.type if type_node is None else dtype_of(reader, node, type_node)
    return fresh(reader, node, dtype, number)


def _nan_to_num(reader: Reader, node: ast.Call) -> Array | None:
    from sabot._form_calls import arguments

    values, copy_node, *others = arguments(node, "x", "copy", "nan", "posinf", "neginf")
    array = _array(reader, values)
    if array is None:
        return None
    if (copy_node is not None and reader.constant(copy_node) is not True) or array.type.kind == "b":
        raise NoFormError(node, f"np.nan_to_num of {array.type}")
    if array.type.kind in "iu":
        return array._replace(name=reader.make(array.value(node), node), own=True)
    limits = numpy().finfo(array.type)
    numbers: list[ast.expr] = []
    for given, usual in zip(others, (0.0, limits.max, limits.min), strict=True):
        number: Any = usual if given is None else reader.number(given)
        if number is None and isinstance(given, ast.Constant) and given is not others[0]:
            number = usual
        if type(number) not in (int, float) and number is not usual:
            raise NoFormError(node, "np.nan_to_num with a value that the text does not tell")
        try:
            with numpy().errstate(all="raise", under="ignore"):
                rounded = float(array.type.type(number))
        except (OverflowError, FloatingPointError) as error:
            raise NoFormError(node, f"np.nan_to_num: {error}") from None
        numbers.append(ast.copy_location(ast.Constant(rounded), node))
    value = called(node, _ufuncs.nan_to_num, _plain(node, array.value(node), "f"), *numbers)
    name = reader.make(cast(node, value, array.type), node)
    return Array(NUMPY, name, type=array.type, own=True)


def _select(reader: Reader, node: ast.Call) -> Array | None:
    from sabot._form_calls import arguments

    tests, choices, default = arguments(node, "condlist", "choicelist", "default")
    if not isinstance(tests, (ast.List, ast.Tuple)) or not isinstance(
        choices, (ast.List, ast.Tuple)
    ):
        raise NoFormError(node, "np.select of lists that the text does not tell")
    zero = ast.copy_location(ast.Constant(0), node)
    conditions = [argument(reader, node, one) for one in tests.elts]
    values = [argument(reader, node, one) for one in [*choices.elts, default or zero]]
    likes = [like for _, like in values]
    of_bool = all(
        getattr(getattr(like, "dtype", None), "kind", "") == "b" for _, like in conditions
    )
    if not of_bool or len(conditions) + 1 != len(values):
        raise NoFormError(node, "np.select of other conditions")
    try:
        with numpy().errstate(all="raise", under="ignore"):
            chosen = numpy().select([one for _, one in conditions], likes[:-1], likes[-1])
        dtype = checked(node, chosen.dtype)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise NoFormError(node, f"np.select: {error}") from None
    made = cast(node, values[-1][0], dtype)
    for (test, _), (value, _) in reversed([*zip(conditions, values[:-1], strict=True)]):
        made = ast.copy_location(ast.IfExp(test, cast(node, value, dtype), made), node)
    return Array(NUMPY, reader.make(made, node), type=dtype, own=True)


def _asarray(reader: Reader, node: ast.Call) -> Array | None:
    from sabot._form_calls import arguments

    values, type_node = arguments(node, "a", "dtype")
    array = _array(reader, values)
    if array is None or type_node is None:
        return array
    return converted(reader, node, array, dtype_of(reader, node, type_node), copies=False)


def _np_array(reader: Reader, node: ast.Call) -> Array | None:
    from sabot._form_calls import arguments

    values, type_node = arguments(node, "object", "dtype")
    array = _array(reader, values)
    if array is None:
        return None
    dtype = array.type if type_node is None else dtype_of(reader, node, type_node)
    return converted(reader, node, array, dtype, copies=True)


def converted(reader: Reader, node: ast.Call, array: Array, dtype: Any, copies: bool) -> Array:
    """An array of another type, or the array itself where nothing is to do."""
    if dtype == array.type and not copies:
        return array
    name = reader.make(cast(node, array.value(node), dtype), node)
    return Array(NUMPY, name, type=dtype, own=True)


FUNCTIONS: dict[str, Callable[[Reader, ast.Call], Array | None]] = {
    "array": _np_array,
    "asarray": _asarray,
    "around": _round,
    "full_like": _full_like,
    "nan_to_num": _nan_to_num,
    "round": _round,
    "select": _select,
}


# Methods


def round_method(reader: Reader, node: ast.Call, array: Array) -> Array:
    from sabot._form_calls import arguments

    [digits] = arguments(node, "decimals")
    return rounded(reader, node, array, _digits(reader, node, digits))


def clip_method(reader: Reader, node: ast.Call, array: Array) -> Array:
    from sabot._form_calls import arguments

    low, high = arguments(node, "min", "max")
    of = cast_to("ast.Attribute", node.func).value
    if low is None or high is None:
        raise NoFormError(node, "clip without two bounds")
    return operation(reader, node, "clip", [of, low, high])


# Statements


def changed(reader: Reader, node: ast.stmt) -> bool:
    """Reads a statement that changes an array as a whole, or the rows of a mask; whether it is one."""
    match node:
        case ast.AugAssign(ast.Name() as target) if _is_array(reader, target):
            load = ast.copy_location(ast.Name(target.id, ast.Load()), target)
            _store(reader, node, target, _updated(reader, node, load, node.op, node.value))
        case ast.Assign(
            [ast.Subscript(ast.Name() as target, ast.Slice(None, None, None))], value
        ) if _is_array(reader, target):
            _store(reader, node, target, argument(reader, value, value)[0])
        case ast.AugAssign(ast.Subscript(ast.Name() as target, ast.Slice(None, None, None))) if (
            _is_array(reader, target)
        ):
            load = ast.copy_location(ast.Name(target.id, ast.Load()), target)
            _store(reader, node, target, _updated(reader, node, load, node.op, node.value))
        case ast.Assign([ast.Subscript(ast.Name() as target, mask)], value) if _is_array(
            reader, target
        ):
            _masked(reader, node, target, mask, None, value)
        case ast.AugAssign(ast.Subscript(ast.Name() as target, mask)) if _is_array(reader, target):
            _masked(reader, node, target, mask, node.op, node.value)
        case _:
            return False
    return True


def _is_array(reader: Reader, node: ast.Name) -> bool:
    return _array(reader, node) is not None


def _updated(
    reader: Reader, node: ast.AugAssign, target: ast.expr, operator: ast.operator, value: ast.expr
) -> ast.expr:
    """The new value, as an update in place gives it, which refuses more types."""
    made = ast.copy_location(ast.BinOp(target, operator, value), node)
    array = _array(reader, target)
    result = reader.value(made)
    if (
        array is None
        or not isinstance(result, Array)
        or not numpy().can_cast(result.type, array.type, "same_kind")
    ):
        raise NoFormError(node, "an update of an array by values of another type")
    return result.value(node)


def _store(reader: Reader, node: ast.stmt, target: ast.Name, value: ast.expr) -> None:
    array = _array(reader, target)
    if array is None or not array.own:
        raise NoFormError(node, "an array that is not its own is changed")
    place = ast.copy_location(ast.Name(array.name, ast.Store()), target)
    made = ast.Assign([place], cast(target, value, array.type))
    reader.body.append(cast_to("ast.stmt", ast.copy_location(made, node)))


class _Unmasked(ast.NodeTransformer):
    """Takes a mask off the arrays of an expression."""

    def __init__(self, reader: Reader, mask: ast.expr) -> None:
        self._reader = reader
        self._mask = ast.dump(mask)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and ast.dump(node.slice) == self._mask:
            return node.value
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function = node.func
        if is_users(self._reader.called(node)) or (
            isinstance(function, ast.Name) and function.id in self._reader.env
        ):
            raise NoFormError(node, "a function of the text's own, for the rows of a mask")
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if not isinstance(self._reader.env.get(node.id), (Known, type(None))):
            raise NoFormError(node, "a whole array beside the rows of a mask")
        return node


def _masked(
    reader: Reader,
    node: ast.Assign | ast.AugAssign,
    target: ast.Name,
    mask: ast.expr,
    operator: ast.operator | None,
    value: ast.expr,
) -> None:
    """`out[mask] = value`: what the value is made of, too, is computed for the rows of the mask alone."""
    test = reader.maybe(mask)
    if not isinstance(test, Array) or test.family != NUMPY or test.type.kind != "b":
        raise NoFormError(node, "items of an array that are no mask's are given values")
    calls, before, reader.body = reader.loop_calls, reader.body, []
    plain = _Unmasked(reader, mask).visit(copy.deepcopy(value))
    if operator is not None:
        assert isinstance(node, ast.AugAssign)
        load = ast.copy_location(ast.Name(target.id, ast.Load()), target)
        given = _updated(reader, node, load, operator, plain)
    else:
        given = argument(reader, plain, plain)[0]
    _store(reader, node, target, given)
    inner, reader.body = reader.body, before
    if reader.loop_calls > calls:  # of all rows, where NumPy may warn of others
        raise NoFormError(
            value, "a function that NumPy's own loop computes, for the rows of a mask"
        )
    made = ast.If(test.value(node), inner, [])
    reader.body.append(ast.copy_location(made, node))
