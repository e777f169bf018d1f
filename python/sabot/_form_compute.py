"""Functions of `pyarrow.compute` in a batch function: for each a form of `_compute`, and the types that it is right for.

The type of a result is what pyarrow itself gives for empty arrays of the arguments' types.
"""

from __future__ import annotations

import ast
import functools
import math
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sabot import _compute
from sabot._form_constants import known
from sabot._form_narrow import BOUNDS, called, fitted
from sabot._form_values import ARROW, Array, Known, NoFormError, Struct
from sabot._piece import arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sabot._form import Reader

_compute_module: Any = pc
_INTS = frozenset({*BOUNDS, "int64"})
_FLOATS = frozenset({"float", "double"})
_RESULTS = frozenset({"bool", "double", "float", *_INTS})


class Form(NamedTuple):
    """How a function of pyarrow.compute is computed.

    kinds: of the arguments it is right for: "number" (brought to one kind), "int", "float" (ints become floats), "bool", "any" (all of
    one kind), "condition" (a bool, then two of one kind). floats: the form of floats, where it is another. options: keyword arguments
    with the values it is known for, the default first, and the form of each where it is another.
    """

    form: Callable[..., Any]
    kinds: str
    floats: Callable[..., Any] | None = None
    options: tuple[tuple[str, dict[bool, Callable[..., Any] | None]], ...] = ()


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
    "ceil": Form(_compute.ceil, "float"),
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
    "floor": Form(_compute.floor, "float"),
    "greater": Form(_compute.greater, "any"),
    "greater_equal": Form(_compute.greater_equal, "any"),
    "if_else": Form(_compute.if_else, "condition"),
    "invert": Form(_compute.invert, "bool"),
    "is_finite": Form(_compute.is_valid, "number", _compute.is_finite),
    "is_inf": Form(_compute.is_inf, "number"),
    "is_nan": Form(_compute.is_nan, "number"),
    "is_null": Form(
        _compute.is_null,
        "any",
        options=(("nan_is_null", {False: None, True: _compute.is_null_or_nan}),),
    ),
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
    "logb": Form(_compute.logb, "float"),
    "logb_checked": Form(_compute.logb, "float"),
    "max_element_wise": Form(
        _compute.max_element_wise,
        "number",
        options=(("skip_nulls", {True: None, False: _compute.max_without_null}),),
    ),
    "min_element_wise": Form(
        _compute.min_element_wise,
        "number",
        options=(("skip_nulls", {True: None, False: _compute.min_without_null}),),
    ),
    "multiply": Form(_compute.multiply, "number"),
    "multiply_checked": Form(_compute.multiply, "number"),
    "negate": Form(_compute.negate, "number"),
    "negate_checked": Form(_compute.negate, "number"),
    "not_equal": Form(_compute.not_equal, "any"),
    "or_": Form(_compute.or_, "bool"),
    "or_kleene": Form(_compute.or_kleene, "bool"),
    "power": Form(_compute.power, "number", _compute.power),
    "power_checked": Form(_compute.power, "number", _compute.power),
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
    "trunc": Form(_compute.trunc, "float"),
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
    return _called_with(reader, node, name, [array])


def call(reader: Reader, node: ast.Call, name: str) -> Array:
    """A call of a function of the table.

    Raises:
        NoFormError: no argument is an array of the batch, or they are of types that it has no form for.
    """
    return _called_with(reader, node, name, [])


def _called_with(
    reader: Reader, node: ast.Call, name: str, given: Sequence[Array | Constant]
) -> Array:
    options = dict(FORMS[name].options)
    function = None
    flags: dict[str, bool] = {}
    for keyword in node.keywords:
        value = reader.constant(keyword.value)
        if keyword.arg not in options or type(value) is not bool:
            raise NoFormError(node, f"pc.{name} with {keyword.arg or '**'}=")
        function = options[keyword.arg][value]
        flags[keyword.arg] = value
    if any(isinstance(one, ast.Starred) for one in node.args):
        raise NoFormError(node, "its arguments")
    every = [*given, *(argument(reader, node, one) for one in node.args)]
    return computed(reader, node, name, every, function, flags)


class Constant(NamedTuple):
    """An argument that is the same for all rows, as a Python value and as pyarrow is given it."""

    value: Any
    type: Any
    given: Any


def argument(reader: Reader, node: ast.Call, given: ast.expr) -> Array | Constant:
    """An argument: an Arrow array of the batch, or what the text tells.

    Raises:
        NoFormError: neither.
    """
    value = reader.value(given)
    if isinstance(value, Array) and value.family == ARROW and value.type is not None:
        return value
    if value is None or isinstance(value, Known):
        found = known(reader, given)
        constant: Any = found.value if found is not None else NoneType  # which is no value
        if type(constant) is int and not -(2**63) <= constant < 2**63:
            raise NoFormError(given, "a number of more than 64 bits")
        if type(constant) in (int, float, bool, NoneType):
            return Constant(constant, arrow.scalar(constant).type, constant)
        if isinstance(constant, arrow.Scalar):
            of: Any = constant
            plain: Any = of.as_py()
            if type(plain) in (int, float, bool, NoneType):
                return Constant(plain, of.type, of)
    raise NoFormError(node, "an argument that is no array of the batch and no number")


def cast(reader: Reader, node: ast.Call, array: Array, type: Any, is_safe: bool = True) -> Array:
    """A cast, checked unless told otherwise.

    Raises:
        NoFormError: it is not of types that have a form.
    """
    if array.type is None or str(type) not in _RESULTS:
        raise NoFormError(node, f"a cast to {type}")
    before, after = kind_of(node, "cast", array.type), kind_of(node, "cast", type)
    form = (_CASTS if is_safe else _CASTS | _UNSAFE).get((before, after))
    if str(type) == "float" and before == "int":
        form = _compute.int_of_float32 if is_safe else _compute.exact_float
    value = array.value(node)
    if form is not None:
        value = called(node, form, value)
    if type != array.type:
        value = fitted(reader, node, value, type, before == "int" and not is_safe)
    return Array(ARROW, reader.make(value, node), type=type)


_CASTS: dict[tuple[str, str], Callable[..., Any]] = {
    ("int", "float"): _compute.exact_float,
    ("float", "int"): _compute.float_to_int,
    ("bool", "int"): _compute.bool_to_int,
    ("bool", "float"): _compute.bool_to_float,
    ("int", "bool"): _compute.number_to_bool,
    ("float", "bool"): _compute.number_to_bool,
}
_UNSAFE: dict[tuple[str, str], Callable[..., Any]] = {
    ("int", "float"): _compute.to_float,
    ("float", "int"): _compute.float_cut_to_int,
}


def computed(
    reader: Reader,
    node: ast.expr,
    name: str,
    given: Sequence[Array | Constant],
    other: Callable[..., Any] | None = None,
    options: Mapping[str, object] = MappingProxyType({}),
) -> Array:
    """The array that a function of the table gives. other: its form with these options."""
    form = FORMS[name]
    if form.form is _compute.fill_null:
        given = _filled(node, given)
    if not any(isinstance(one, Array) for one in given):
        raise NoFormError(node, f"pc.{name} of no array")
    made = type_of(node, name, given, options)
    if str(made) not in _RESULTS:
        raise NoFormError(node, f"pc.{name} that gives {made}")
    first = 1 if form.kinds == "condition" else 0
    if first and kind_of(node, name, given[0].type) != "bool":
        raise NoFormError(node, f"pc.{name} of {given[0].type}")
    kind, parts = brought(node, name, form.kinds, given[first:])
    if form.form is _compute.power and kind != "float":
        raise NoFormError(node, f"pc.{name} of integers")
    parts = [*(_value(one, node) for one in given[:first]), *parts]
    function = form.floats if kind == "float" and form.floats is not None else other or form.form
    if form.form is _compute.is_valid and form.floats is not None and kind != "float":
        function = _compute.true_unless_null  # an int is finite
    if str(made) == "float" and function in _OF_DOUBLES:
        raise NoFormError(node, f"pc.{name} of float32")
    if made != arrow.int64() and kind == "int" and function in _SHIFTS:
        raise NoFormError(node, f"pc.{name} that gives {made}")
    if not is_trusted(name, function):
        raise NoFormError(node, f"pc.{name} that differs from math's")
    strict = any(isinstance(one, Array) and one.name in reader.strict for one in given)
    if strict and form.form in _OF_NULLS:
        raise NoFormError(node, f"pc.{name} of values that may fail")
    value = _nested(node, function, parts, first)
    if function not in _KEEPING:
        value = fitted(reader, node, value, made, name in _WRAPPING)
    local = reader.make(value, node)
    if strict or (name.endswith("_checked") and kind == "int"):
        reader.strict[local] = node
    return Array(ARROW, local, type=made)


def brought(
    node: ast.expr, name: str, wanted: str, given: Sequence[Array | Constant]
) -> tuple[str, list[ast.expr]]:
    """Values of one kind, and which: ints become floats among floats."""
    kinds = [kind_of(node, name, one.type) for one in given]
    if "null" in kinds and name not in _NULLS:
        raise NoFormError(node, f"pc.{name} of a null")
    kind = _common(node, name, wanted, given, kinds)
    parts: list[ast.expr] = []
    for one, its in zip(given, kinds, strict=True):
        part = _value(one, node)
        parts.append(
            called(node, _compute.exact_float, part) if (its, kind) == ("int", "float") else part
        )
    return kind, parts


def _filled(node: ast.expr, given: Sequence[Array | Constant]) -> Sequence[Array | Constant]:
    """pc.fill_null brings the second to the type of the first."""
    match given:
        case [Array() as values, Constant(value, type)] if type != values.type:
            try:
                made = arrow.scalar(value, values.type)
            except Exception as error:
                raise NoFormError(node, f"pc.fill_null: {error}") from None
            return [values, Constant(made.as_py(), made.type, made)]
        case [Array() as values, Array() as others] if others.type != values.type:
            raise NoFormError(node, "pc.fill_null by values of another type")
        case _:
            return given


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


_REPEATED = (
    *(_compute.coalesce, _compute.max_element_wise, _compute.min_element_wise),
    *(_compute.max_without_null, _compute.min_without_null),
)
# Their values are those of arguments, or small.
_KEEPING = frozenset(
    {*_REPEATED, _compute.if_else, _compute.fill_null, _compute.sign, _compute.sign_of_float}
)
_WRAPPING = frozenset({"abs", "add", "bit_wise_not", "multiply", "negate", "subtract"})
_OF_NULLS = frozenset({_compute.is_valid, _compute.is_null, _compute.true_unless_null})
_SHIFTS = frozenset({_compute.shift_left, _compute.shift_right})
_NULLS = frozenset({"if_else", "coalesce", "choose", "case_when", "fill_null"})


def type_of(node: ast.expr, name: str, given: Sequence[Any], options: Mapping[str, object]) -> Any:
    """The type of what pyarrow itself gives for empty arrays."""
    arguments = [_like(one) for one in given]
    try:
        return getattr(_compute_module, name)(*arguments, **options).type
    except Exception as error:
        raise NoFormError(node, f"pc.{name}: {error}") from None


def _like(given: Any) -> Any:
    """An argument of no rows."""
    match given:
        case Array():
            return arrow.array([], given.type)
        case Constant():
            return given.given
        case Struct(fields):
            return arrow.StructArray.from_arrays(
                [_like(one) for one in fields], [f"{place}" for place in range(len(fields))]
            )
        case _:
            return given


def kind_of(node: ast.expr, name: str, type: Any) -> str:
    """The kind of a type's values: "bool", "int", "float", "null"."""
    text = str(type)
    if text == "bool":
        return "bool"
    if text in _INTS:
        return "int"
    if text in _FLOATS:
        return "float"
    if text == "null":
        return text
    raise NoFormError(node, f"pc.{name} of {text}")


def _common(
    node: ast.expr,
    name: str,
    wanted: str,
    given: Sequence[Array | Constant],
    kinds: Sequence[str],
) -> str:
    """The kind that all arguments are brought to."""
    every = set(kinds) - {"null"}
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


_ROUNDINGS = frozenset({_compute.ceil, _compute.floor, _compute.trunc})
_LIBM = frozenset(
    name
    for name, form in FORMS.items()
    if (form.kinds == "float" and form.form not in _ROUNDINGS) or form.floats is _compute.power
)
# What Arrow computes of float32 in float32, with other bits than a double that is rounded has.
_OF_DOUBLES = frozenset({FORMS[name].form for name in _LIBM} | {_compute.power}) - {_compute.sqrt}


@functools.cache
def is_trusted(name: str, function: Callable[..., Any]) -> bool:
    """Whether a form of a function of libm gives what pyarrow does, where it gives anything, at 64 places."""
    if name not in _LIBM:
        return True
    real = getattr(_compute_module, name)
    for x in tried():
        args = (x, 2.75 - x / 3)[: function.__code__.co_argcount]
        try:
            given = function(*args)
        except (ArithmeticError, ValueError):
            continue
        if repr(given) != repr(real(*(pa.scalar(one) for one in args)).as_py()):
            return False
    return True


def tried() -> list[float]:
    near = [(k - 20) * 0.4375 + 1 / (k + 1) for k in range(40)]
    far = [(-1) ** k * 10.0 ** ((k - 8) * 19) for k in range(16)]
    return [*near, *far, 0.0, -0.0, 5e-324, -1e-310, 0.5, 1.0, -1.0, math.nan]
