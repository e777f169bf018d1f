"""Functions of `pyarrow.compute` in a batch function: for each a form of `_compute`, and the types that it is right for.

The type of a result is what pyarrow itself gives for empty arrays of the arguments' types.
"""

from __future__ import annotations

import ast
import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sabot import _compute
from sabot._encode_program import Own
from sabot._form_values import ARROW, Array, NoFormError
from sabot._piece import arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._encode import Encoder
    from sabot._encode_program import Part
    from sabot._form import Reader

_compute_module: Any = pc
_INTS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"})
_FLOATS = frozenset({"float", "double"})


class Form(NamedTuple):
    """How a function of pyarrow.compute is computed.

    kinds: of the arguments it is right for: "number" (brought to one kind), "int", "float" (ints become floats), "bool", "any" (all of
    one kind), "condition" (a bool, then two of one kind). floats: the form of floats, where it is another. options: keyword arguments
    with the values it is right for, the default first.
    """

    form: Callable[..., Any]
    kinds: str
    floats: Callable[..., Any] | None = None
    options: tuple[tuple[str, object], ...] = ()


_SKIPS = (("skip_nulls", True),)

FORMS: dict[str, Form] = {
    "abs": Form(_compute.absolute, "number"),
    "abs_checked": Form(_compute.absolute, "number"),
    "acos": Form(_compute.acos, "float"),
    "acos_checked": Form(_compute.acos, "float"),
    "add": Form(_compute.add, "number"),
    "add_checked": Form(_compute.add, "number"),
    "and_": Form(_compute.and_, "bool"),
    "and_kleene": Form(_compute.and_kleene, "bool"),
    "and_not": Form(_compute.and_not, "bool"),
    "and_not_kleene": Form(_compute.and_not_kleene, "bool"),
    "asin": Form(_compute.asin, "float"),
    "asin_checked": Form(_compute.asin, "float"),
    "atan": Form(_compute.atan, "float"),
    "atan2": Form(_compute.atan2, "float"),
    "bit_wise_and": Form(_compute.bit_wise_and, "int"),
    "bit_wise_not": Form(_compute.bit_wise_not, "int"),
    "bit_wise_or": Form(_compute.bit_wise_or, "int"),
    "bit_wise_xor": Form(_compute.bit_wise_xor, "int"),
    "coalesce": Form(_compute.coalesce, "any"),
    "cos": Form(_compute.cos, "float"),
    "cos_checked": Form(_compute.cos, "float"),
    "cosh": Form(_compute.cosh, "float"),
    "divide": Form(_compute.divide_ints, "number", _compute.divide),
    "divide_checked": Form(_compute.divide_ints, "number", _compute.divide),
    "equal": Form(_compute.equal, "any"),
    "exp": Form(_compute.exp, "float"),
    "expm1": Form(_compute.expm1, "float"),
    "fill_null": Form(_compute.fill_null, "any"),
    "greater": Form(_compute.greater, "any"),
    "greater_equal": Form(_compute.greater_equal, "any"),
    "if_else": Form(_compute.if_else, "condition"),
    "invert": Form(_compute.invert, "bool"),
    "is_finite": Form(_compute.is_valid, "number", _compute.is_finite),
    "is_inf": Form(_compute.is_inf, "number"),
    "is_nan": Form(_compute.is_nan, "number"),
    "is_null": Form(_compute.is_null, "any", options=(("nan_is_null", False),)),
    "is_valid": Form(_compute.is_valid, "any"),
    "less": Form(_compute.less, "any"),
    "less_equal": Form(_compute.less_equal, "any"),
    "ln": Form(_compute.ln, "float"),
    "ln_checked": Form(_compute.ln, "float"),
    "log10": Form(_compute.log10, "float"),
    "log10_checked": Form(_compute.log10, "float"),
    "log1p": Form(_compute.log1p, "float"),
    "log1p_checked": Form(_compute.log1p, "float"),
    "log2": Form(_compute.log2, "float"),
    "log2_checked": Form(_compute.log2, "float"),
    "max_element_wise": Form(_compute.max_element_wise, "number", options=_SKIPS),
    "min_element_wise": Form(_compute.min_element_wise, "number", options=_SKIPS),
    "multiply": Form(_compute.multiply, "number"),
    "multiply_checked": Form(_compute.multiply, "number"),
    "negate": Form(_compute.negate, "number"),
    "negate_checked": Form(_compute.negate, "number"),
    "not_equal": Form(_compute.not_equal, "any"),
    "or_": Form(_compute.or_, "bool"),
    "or_kleene": Form(_compute.or_kleene, "bool"),
    "power": Form(_compute.power_of_ints, "number", _compute.power),
    "power_checked": Form(_compute.power_of_ints, "number", _compute.power),
    "shift_left": Form(_compute.shift_left, "int"),
    "shift_left_checked": Form(_compute.shift_left, "int"),
    "shift_right": Form(_compute.shift_right, "int"),
    "shift_right_checked": Form(_compute.shift_right, "int"),
    "sign": Form(_compute.sign, "number", _compute.sign_of_float),
    "sin": Form(_compute.sin, "float"),
    "sin_checked": Form(_compute.sin, "float"),
    "sinh": Form(_compute.sinh, "float"),
    "sqrt": Form(_compute.sqrt, "float"),
    "sqrt_checked": Form(_compute.sqrt, "float"),
    "subtract": Form(_compute.subtract, "number"),
    "subtract_checked": Form(_compute.subtract, "number"),
    "tan": Form(_compute.tan, "float"),
    "tan_checked": Form(_compute.tan, "float"),
    "tanh": Form(_compute.tanh, "float"),
    "true_unless_null": Form(_compute.true_unless_null, "any"),
    "xor": Form(_compute.xor, "bool"),
}


@functools.cache
def _names() -> dict[int, str]:
    """The functions of the table, by their ids."""
    return {id(getattr(_compute_module, name)): name for name in FORMS if hasattr(pc, name)}


def name_of(target: object) -> str | None:
    """The name of a function of pyarrow.compute, if the table has it."""
    name = _names().get(id(target))
    return name if name is not None and getattr(_compute_module, name, None) is target else None


def call_of(reader: Reader, node: ast.Call, name: str, array: Array) -> Array:
    """A method of an Arrow array that is a function of the table."""
    if array.family != ARROW:
        raise NoFormError(node, f"the method {name} of no Arrow array")
    _check_options(reader, node, name)
    return computed(
        reader, node, name, [array, *(_argument(reader, node, one) for one in node.args)]
    )


def call(reader: Reader, node: ast.Call, name: str) -> Array:
    """A call of a function of the table.

    Raises:
        NoFormError: no argument is an array of the batch, or they are of types that it has no form for.
    """
    _check_options(reader, node, name)
    return computed(reader, node, name, [_argument(reader, node, one) for one in node.args])


def _check_options(reader: Reader, node: ast.Call, name: str) -> None:
    options = dict(FORMS[name].options)
    for keyword in node.keywords:
        if keyword.arg not in options or reader.constant(keyword.value) is not options[keyword.arg]:
            raise NoFormError(node, f"pc.{name} with {keyword.arg or '**'}=")
    if any(isinstance(one, ast.Starred) for one in node.args):
        raise NoFormError(node, "its arguments")


class Constant(NamedTuple):
    """An argument that is the same for all rows."""

    value: Any
    type: Any


def _argument(reader: Reader, node: ast.Call, given: ast.expr) -> Array | Constant:
    value = reader.value(given)
    if isinstance(value, Array) and value.family == ARROW and value.type is not None:
        return value
    if value is None:
        constant = reader.number(given)
        if type(constant) is int and not -(2**63) <= constant < 2**63:
            raise NoFormError(given, "a number of more than 64 bits")
        if type(constant) in (int, float, bool):
            return Constant(constant, arrow.scalar(constant).type)
    raise NoFormError(node, "an argument that is no array of the batch and no number")


def cast(reader: Reader, node: ast.Call, array: Array, type: Any) -> Array:
    """A cast that is checked, as Arrow's are unless told otherwise.

    Raises:
        NoFormError: it is not of types that have a form.
    """
    if array.type is None or str(type) not in ("bool", "int64", "double"):
        raise NoFormError(node, f"a cast to {type}")
    before, after = _kind(node, "cast", array.type), _kind(node, "cast", type)
    form = _CASTS.get((before, after))
    value = array.value(node)
    made = value if form is None else called(node, form, value)
    return Array(ARROW, reader.make(made, node), type=type)


_CASTS: dict[tuple[str, str], Callable[..., Any]] = {
    ("int", "float"): _compute.exact_float,
    ("float", "int"): _compute.float_to_int,
    ("bool", "int"): _compute.bool_to_int,
    ("bool", "float"): _compute.bool_to_float,
    ("int", "bool"): _compute.number_to_bool,
    ("float", "bool"): _compute.number_to_bool,
}


def computed(reader: Reader, node: ast.expr, name: str, given: Sequence[Array | Constant]) -> Array:
    """The array that a function of the table gives."""
    form = FORMS[name]
    if not any(isinstance(one, Array) for one in given):
        raise NoFormError(node, f"pc.{name} of no array")
    made = _type_of(node, name, given)
    if str(made) not in ("bool", "int64", "double"):
        raise NoFormError(node, f"pc.{name} that gives {made}")
    kinds = [_kind(node, name, one.type) for one in given]
    first = 1 if form.kinds == "condition" else 0
    if first and kinds[0] != "bool":
        raise NoFormError(node, f"pc.{name} of {given[0].type}")
    kind = _common(node, name, form.kinds, given[first:], kinds[first:])
    if form.form is _compute.fill_null and kinds[0] != kinds[1]:
        raise NoFormError(node, "pc.fill_null by a value of another type")
    parts: list[ast.expr] = []
    for place, one in enumerate(given):
        part = _value(one, node)
        if place >= first and kinds[place] == "int" and kind == "float":
            part = called(node, _compute.exact_float, part)
        parts.append(part)
    function = form.floats if kind == "float" and form.floats is not None else form.form
    if form.form is _compute.is_valid and form.floats is not None and kind != "float":
        function = _compute.true_unless_null  # an int is finite
    if not is_trusted(name, function):
        raise NoFormError(node, f"pc.{name} that differs from math's")
    return Array(ARROW, reader.make(_nested(node, function, parts, first), node), type=made)


def _nested(
    node: ast.expr, function: Callable[..., Any], parts: list[ast.expr], first: int
) -> ast.expr:
    """A call of a form; of more arguments than it has, one inside the other."""
    count = function.__code__.co_argcount
    if len(parts) == count:
        return called(node, function, *parts)
    if first or count != 2 or len(parts) < 2 or function not in _REPEATED:
        raise NoFormError(node, "its arguments")
    value = parts[0]
    for part in parts[1:]:
        value = called(node, function, value, part)
    return value


_REPEATED = (_compute.coalesce, _compute.max_element_wise, _compute.min_element_wise)


def _type_of(node: ast.expr, name: str, given: Sequence[Array | Constant]) -> Any:
    arguments = [
        arrow.array([], one.type) if isinstance(one, Array) else one.value for one in given
    ]
    try:
        return getattr(_compute_module, name)(*arguments).type
    except Exception as error:
        raise NoFormError(node, f"pc.{name}: {error}") from None


def _kind(node: ast.expr, name: str, type: Any) -> str:
    text = str(type)
    if text == "bool":
        return "bool"
    if text in _INTS:
        return "int"
    if text in _FLOATS:
        return "float"
    raise NoFormError(node, f"pc.{name} of {text}")


def _common(
    node: ast.expr,
    name: str,
    wanted: str,
    given: Sequence[Array | Constant],
    kinds: Sequence[str],
) -> str:
    """The kind that all arguments are brought to."""
    every = set(kinds)
    if "bool" in every and (len(every) > 1 or wanted in ("number", "int", "float")):
        raise NoFormError(node, f"pc.{name} of booleans and numbers")
    if wanted in ("bool", "int") and every != {wanted}:
        raise NoFormError(node, f"pc.{name} of {', '.join(str(one.type) for one in given)}")
    floats = every & {"float"}
    if "int" in every and floats and any(str(one.type) == "float" for one in given):
        raise NoFormError(node, f"pc.{name} of float32 and integers")
    if wanted == "float" or floats:
        return "float"
    return next(iter(every))


def _value(one: Array | Constant, node: ast.expr) -> ast.expr:
    if isinstance(one, Array):
        return one.value(node)
    return ast.copy_location(ast.Constant(one.value), node)


def called(node: ast.expr, function: Callable[..., Any], *parts: ast.expr) -> ast.expr:
    """A call of a function of the package, in the tree of a row function."""

    def write(encoder: Encoder) -> Sequence[Part]:
        from sabot._encode_math import call_of_form

        place = ast.copy_location(ast.Call(ast.Constant(None), [], []), node)
        return call_of_form(encoder, place, function, *parts)

    return Own(node, write, parts)


_LIBM = frozenset(
    name for name in FORMS if FORMS[name].kinds == "float" or FORMS[name].floats is _compute.power
)


@functools.cache
def is_trusted(name: str, function: Callable[..., Any]) -> bool:
    """Whether a form of a function of libm gives what pyarrow does, where it gives anything, at 64 places."""
    if name not in _LIBM:
        return True
    real = getattr(_compute_module, name)
    for x in _tried():
        args = (x, 2.75 - x / 3)[: function.__code__.co_argcount]
        try:
            given = function(*args)
        except (ArithmeticError, ValueError):
            continue
        if repr(given) != repr(real(*(pa.scalar(one) for one in args)).as_py()):
            return False
    return True


def _tried() -> list[float]:
    near = [(k - 20) * 0.4375 + 1 / (k + 1) for k in range(40)]
    far = [(-1) ** k * 10.0 ** ((k - 8) * 19) for k in range(16)]
    return [*near, *far, 0.0, -0.0, 5e-324, -1e-310, 0.5, 1.0, -1.0, math.nan]
