"""NumPy arrays in a batch function: their items as values of a row.

The row's value of an array is a NumPy scalar. What NumPy does with arrays item by item it does with these scalars, type by type, as far
as the forms here go; where it would warn, or an array wraps around and a scalar warns, the row leaves, and with it the batch.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any
from typing import cast as cast_to

from sabot._encode_numpy import TYPES, writer_of
from sabot._encode_program import Own
from sabot._form_ufunc import constant_of, harmless_of, loop_of
from sabot._form_values import ARROW, NUMPY, Array, Count, Known, NoFormError, Single
from sabot._piece import arrow
from sabot._record import local_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._encode import Encoder
    from sabot._encode_program import Part
    from sabot._form import Reader


def numpy() -> Any:
    """NumPy, where the process has it."""
    return sys.modules.get("numpy")


def _builtin(node: ast.AST, name: str, value: ast.expr, letter: str) -> ast.expr:
    """A call of a builtin of the blob's format that makes a NumPy scalar."""

    def write(encoder: Encoder) -> Sequence[Part]:
        from sabot._encode_calls import builtin, joined

        place = ast.copy_location(ast.Call(ast.Constant(None), [], []), node)
        return builtin(encoder, place, name, value, joined(encoder.value(node, ord(letter))))

    return Own(node, write, [value])


def array_of(reader: Reader, array: Array, node: ast.Call, is_copy: bool) -> Array:
    """What to_numpy gives for an Arrow array of numbers without nulls. is_copy: where need be, as for booleans."""
    if array.family != ARROW or array.type is None:
        raise NoFormError(node, "to_numpy of no column")
    dtype: Any = None
    if is_copy and arrow.types.is_boolean(array.type):
        dtype = numpy().dtype(bool)
    elif arrow.types.is_integer(array.type) or arrow.types.is_floating(array.type):
        dtype = numpy().dtype(array.type.to_pandas_dtype())
    if dtype is None or dtype.name not in TYPES:
        raise NoFormError(node, f"to_numpy of {array.type}")
    made = _builtin(node, "NP_ITEM", array.value(node), TYPES[dtype.name])
    name = reader.make(made, node)
    if array.column is not None:
        reader.untouched[name] = array.column
    return Array(NUMPY, name, type=dtype)


def cast(node: ast.AST, value: ast.expr, dtype: Any) -> ast.expr:
    """A value as an item of an array of that type.

    Raises:
        NoFormError: it is a number of which NumPy would say something, whatever the rows are.
    """
    if isinstance(value, ast.Constant):
        try:
            with numpy().errstate(all="raise", under="ignore"):
                numpy().zeros(1, dtype)[0] = value.value
        except (OverflowError, ValueError, FloatingPointError, RuntimeWarning) as error:
            raise NoFormError(node, f"a number as {dtype}: {error}") from None
    return _builtin(node, "NP_CAST", value, TYPES[dtype.name])


def _checked(node: ast.AST, dtype: Any) -> Any:
    if dtype.name not in TYPES or not dtype.isnative:
        raise NoFormError(node, f"an array of {dtype}")
    return dtype


# Operators


_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "true_divide",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder",
    ast.BitAnd: "bitwise_and",
    ast.BitOr: "bitwise_or",
    ast.BitXor: "bitwise_xor",
    ast.LShift: "left_shift",
    ast.RShift: "right_shift",
}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}
_OPERATORS = {name: operator for operator, name in _BINARY.items()}
_COMPARISONS = {name: operator for operator, name in _COMPARE.items()}
_SAME = {"divide": "true_divide", "mod": "remainder"}


def binary(reader: Reader, node: ast.BinOp) -> Array | Single | None:
    """An operator on arrays and scalars; None where neither side is one."""
    left, right = reader.maybe(node.left), reader.maybe(node.right)
    if not (isinstance(left, (Array, Single)) or isinstance(right, (Array, Single))):
        return None
    if isinstance(node.op, ast.MatMult):
        from sabot._form_numpy_whole import product

        return product(reader, node)
    if isinstance(node.op, ast.Pow):
        return _power(reader, node, left)
    name = _BINARY.get(type(node.op))
    if name is None:
        raise NoFormError(node, "this operator of arrays")
    return operation(reader, node, name, [node.left, node.right])


def compare(reader: Reader, node: ast.Compare) -> Array | Single | None:
    left, right = reader.maybe(node.left), reader.maybe(node.comparators[0])
    if not (isinstance(left, (Array, Single)) or isinstance(right, (Array, Single))):
        return None
    name = _COMPARE.get(type(node.ops[0]))
    if name is None or len(node.ops) > 1:
        raise NoFormError(node, "this comparison of arrays")
    return operation(reader, node, name, [node.left, node.comparators[0]])


def unary(reader: Reader, node: ast.UnaryOp) -> Array | Single | None:
    if not isinstance(reader.maybe(node.operand), (Array, Single)):
        return None
    names: dict[type[ast.unaryop], str] = {ast.USub: "negative", ast.Invert: "invert"}
    name = names.get(type(node.op))
    if name is None:
        raise NoFormError(node, "this operator of an array")
    return operation(reader, node, name, [node.operand])


def _power(reader: Reader, node: ast.BinOp, base: object) -> Array:
    """NumPy squares by a product and takes a root for 0.5; all else is its loop for powers."""
    if isinstance(base, Single):
        raise NoFormError(node, "a power of a scalar")
    number = None if isinstance(reader.maybe(node.right), Array) else reader.number(node.right)
    kind = str(base.type.kind) if isinstance(base, Array) and base.family == NUMPY else ""
    if (kind in ("i", "u", "f") and type(number) is int and number == 2) or (
        kind == "f" and type(number) is float and number == 2
    ):
        return of_rows(node, operation(reader, node, "multiply", [node.left, node.left]))
    if kind == "f" and type(number) is float and number == 0.5:
        return of_rows(node, operation(reader, node, "sqrt", [node.left]))
    for one in (node.left, node.right):
        _argument(reader, node, one)
    return by_loop(reader, node, "power", [node.left, node.right], "**")


def _argument(
    reader: Reader, node: ast.expr, given: ast.expr, *, of_python: bool = False
) -> tuple[ast.expr, Any]:
    """An argument as the row's value, and what NumPy may look at for its type. of_python: it may be a number that only a batch tells."""
    value = reader.value(given)
    if isinstance(value, Count) and of_python:
        from sabot._form_numpy_whole import length

        if value.kept:
            raise NoFormError(given, "how many rows masks leave, as a number")
        value = length(reader, node)
    if isinstance(value, Single) and value.is_python:
        if not of_python:
            raise NoFormError(given, "a number of Python's that only the batch tells")
        return value.value(node), value.type(1)  # it takes the type of what is beside it
    if isinstance(value, Single) or (isinstance(value, Array) and value.family == NUMPY):
        return value.value(node), numpy().empty(0, value.type)
    if value is None or isinstance(value, Known):
        constant: Any = reader.number(given)
        if type(constant) in (int, float, bool):
            return ast.copy_location(ast.Constant(constant), node), constant
    raise NoFormError(given, "beside an array something that is no array of NumPy and no number")


def _check_python(
    reader: Reader, node: ast.expr, given: Sequence[ast.expr], likes: Sequence[Any]
) -> None:
    """Refuses numbers of Python's that only a batch tells, but beside numbers of types that hold them."""
    told = [reader.value(one) for one in given]
    if not any(
        isinstance(one, Count) or (isinstance(one, Single) and one.is_python) for one in told
    ):
        return
    types = [like.dtype for like in likes if isinstance(like, numpy().ndarray)]
    if not types or any(one.kind != "f" and one.name != "int64" for one in types):
        raise NoFormError(node, "a number of Python's beside something else than floats")


def of_rows(node: ast.expr, value: Array | Single) -> Array:
    """An array, where a scalar would be something else than its item."""
    if isinstance(value, Single):
        raise NoFormError(node, "a scalar where an array is wanted")
    return value


def operation(
    reader: Reader, node: ast.expr, name: str, given: Sequence[ast.expr]
) -> Array | Single:
    """What one of NumPy's functions that go item by item gives for arrays, scalars and numbers."""
    name = _SAME.get(name, name)
    of_python = name in _OPERATORS or name in _COMPARISONS
    reader.operations.append(name)
    arguments = [_argument(reader, node, one, of_python=of_python) for one in given]
    _check_python(reader, node, given, [like for _, like in arguments])
    try:
        with numpy().errstate(all="raise", under="ignore"):
            dtype = getattr(numpy(), name)(*(like for _, like in arguments)).dtype
    except Exception as error:
        raise NoFormError(node, f"np.{name}: {error}") from None
    made = _expression(node, name, [value for value, _ in arguments])
    if made is None:
        return by_loop(reader, node, name, given)
    name = reader.make(made, node)
    if not any(isinstance(reader.value(one), Array) for one in given):
        if reader.masks:  # where NumPy may warn, be there a row or not
            raise NoFormError(node, "an operation on scalars for the rows of a mask")
        return Single(name, _checked(node, dtype))
    return Array(NUMPY, name, type=_checked(node, dtype), own=True)


def by_loop(
    reader: Reader, node: ast.expr, name: str, given: Sequence[ast.expr], of: str | None = None
) -> Array:
    """The same by NumPy's own loop. of: the operator that it stands for."""
    arrays = [reader.value(one) for one in given]
    shown = of or f"np.{name}"
    if any(isinstance(one, (Single, Count)) for one in arrays):
        raise NoFormError(node, f"{shown} of a scalar")
    numbers: list[Any] = [
        None if isinstance(a, Array) else reader.number(one)
        for a, one in zip(arrays, given, strict=True)
    ]
    kinds = tuple(
        a.type if isinstance(a, Array) else number
        for a, number in zip(arrays, numbers, strict=True)
    )
    loop = loop_of(numpy(), name, kinds, operator_of=of)
    if isinstance(loop, str):
        raise NoFormError(node, f"{shown}, {loop}")
    given_rows = [array.value(node) for array in arrays if isinstance(array, Array)]
    kept = reader.kept_rows.common(given_rows, node)
    constants = [
        None if isinstance(a, Array) else constant_of(numpy(), number, loop.dtype)
        for a, number in zip(arrays, numbers, strict=True)
    ]
    harmless = harmless_of(numpy(), name, loop.dtype, tuple(constants)) if kept else None
    if kept and harmless is None:
        raise NoFormError(node, f"{shown} of some of the rows")
    arguments: list[str | float] = []
    for array, constant in zip(arrays, constants, strict=True):
        if isinstance(array, Array):
            arguments.append(_as_given(reader, node, array, loop.dtype, harmless))
            continue
        if constant is None:
            raise NoFormError(node, f"{shown} of a number that {loop.dtype} does not hold")
        arguments.append(constant)
    column = reader.called_loop(name, loop, tuple(arguments))
    value = ast.copy_location(ast.Name(local_of(column), ast.Load()), node)
    reader.kept_rows.put(local_of(column), kept)
    made = reader.make(_builtin(node, "NP_ITEM", value, loop.letter), node)
    return Array(NUMPY, made, type=loop.dtype, own=True)


def _as_given(
    reader: Reader, node: ast.expr, array: Array, dtype: Any, harmless: float | None
) -> str:
    """The local that holds a loop's argument; an array that may change is given as it is now.

    harmless: what the loop is given for rows that the array has not; None: it has all.
    """
    if harmless is not None:
        value = array.value(node) if array.type == dtype else cast(node, array.value(node), dtype)
        other = cast(node, ast.copy_location(ast.Constant(harmless), node), dtype)
        return reader.kept_rows.filled(reader, node, array.name, value, other)
    if array.type == dtype and not array.own:
        return array.name
    value = array.value(node)
    return reader.make(value if array.type == dtype else cast(node, value, dtype), node)


def _expression(node: ast.expr, name: str, values: list[ast.expr]) -> ast.expr | None:
    """What does with NumPy's scalars what a function does with arrays; None where nothing does."""
    match name, values:
        case _, [x, y] if name in _OPERATORS:
            made: ast.expr = ast.BinOp(x, _OPERATORS[name](), y)
        case _, [x, y] if name in _COMPARISONS:
            made = ast.Compare(x, [_COMPARISONS[name]()], [y])
        case "negative", [x]:
            made = ast.UnaryOp(ast.USub(), x)
        case "invert", [x]:
            made = ast.UnaryOp(ast.Invert(), x)
        case _:
            return _call(node, name, values)
    return ast.copy_location(made, node)


def _call(node: ast.expr, name: str, values: list[ast.expr]) -> ast.expr | None:
    """A call of one of NumPy's functions that are compiled for its scalars."""
    writer = writer_of(getattr(numpy(), name))
    if writer is None:
        return None

    def write(encoder: Encoder) -> Sequence[Part]:
        place = ast.copy_location(ast.Call(ast.Constant(None), values, []), node)
        return writer(encoder, place)

    return Own(node, write, values)


argument, checked = _argument, _checked  # for `_form_arrays`


def item(node: ast.AST, value: ast.expr, dtype: Any) -> ast.expr:
    """A column's value as an item of an array of that type."""
    return _builtin(node, "NP_ITEM", value, TYPES[dtype.name])


# Functions


def function_of(target: object) -> Callable[[Reader, ast.Call], Array | Single | None] | None:
    """What reads a call of one of NumPy's functions that make arrays; None: it is none."""
    module = numpy()
    if module is None or not str(module.__version__).startswith("2."):
        return None
    from sabot._form_arrays import FUNCTIONS

    for name, read in (_FUNCTIONS | FUNCTIONS).items():
        if target is getattr(module, name):
            return read
    from sabot._form_numpy_whole import function_of as whole_of

    if type(target) is not module.ufunc:
        return whole_of(module, target)
    name = str(cast_to("Any", target).__name__)
    if target is getattr(module, name, None):
        return lambda reader, node: _ufunc(reader, node, name)
    return None


def _ufunc(reader: Reader, node: ast.Call, name: str) -> Array | Single | None:
    if not any(isinstance(reader.maybe(one), (Array, Single)) for one in node.args):
        return None
    if node.keywords or any(isinstance(one, ast.Starred) for one in node.args):
        raise NoFormError(node, f"np.{name} with other arguments")
    from sabot._form_arrays import ufunc

    made = None
    if any(isinstance(reader.maybe(one), Array) for one in node.args):
        made = ufunc(reader, node, name, node.args)
    return made if made is not None else operation(reader, node, name, node.args)


def _clip(reader: Reader, node: ast.Call) -> Array | Single | None:
    return _ufunc(reader, node, "clip")


def _where(reader: Reader, node: ast.Call) -> Array | None:
    if len(node.args) != 3 or node.keywords:
        raise NoFormError(node, "np.where without two values")
    arguments = [_argument(reader, node, one) for one in node.args]
    if not any(isinstance(reader.maybe(one), Array) for one in node.args):
        raise NoFormError(node, "np.where of scalars")
    (condition, shape), (x, like_x), (y, like_y) = arguments
    if getattr(getattr(shape, "dtype", None), "kind", "") != "b":
        raise NoFormError(node, "np.where of a condition that is no array of booleans")
    try:
        with numpy().errstate(all="raise", under="ignore"):
            dtype = _checked(node, numpy().where(shape, like_x, like_y).dtype)
    except (OverflowError, FloatingPointError) as error:
        raise NoFormError(node, f"np.where: {error}") from None
    x, y = cast(node, x, dtype), cast(node, y, dtype)
    made = ast.copy_location(ast.IfExp(condition, x, y), node)
    return Array(NUMPY, reader.make(made, node), type=dtype, own=True)


def dtype_of(reader: Reader, node: ast.Call, given: ast.expr | None) -> Any:
    """The type that `dtype=` says, of NumPy's own when it is left out."""
    if given is None:
        return numpy().dtype(float)
    from sabot._form_constants import known

    text = known(reader, given)
    found = reader.resolved(given) if text is None else text.value
    if _is_dtype(found):
        try:
            return _checked(node, numpy().dtype(found))
        except TypeError:
            pass
    raise NoFormError(node, "a dtype that the text does not tell")


def _is_dtype(found: object) -> bool:
    """Whether NumPy makes a dtype of an object without calling code of the user's."""
    module = numpy()
    if type(found) is str or issubclass(type(found), module.dtype):
        return True
    known = (int, float, bool, *(module.dtype(name).type for name in TYPES))
    return any(found is one for one in known)


def _new(fill: object) -> Callable[[Reader, ast.Call], Array | None]:
    """np.zeros, np.ones, np.empty of as many items as there are rows."""

    def read(reader: Reader, node: ast.Call) -> Array | None:
        from sabot._form_calls import arguments

        shape, type_node = arguments(node, "shape", "dtype")
        count = None if shape is None else reader.maybe(shape)
        if not isinstance(count, Count):
            return None
        dtype = dtype_of(reader, node, type_node)
        return fresh(reader, node, dtype, fill, count.kept)

    return read


def _new_like(fill: object) -> Callable[[Reader, ast.Call], Array | None]:
    def read(reader: Reader, node: ast.Call) -> Array | None:
        from sabot._form_calls import arguments

        like, type_node = arguments(node, "a", "dtype")
        array = None if like is None else reader.maybe(like)
        if not isinstance(array, Array) or array.family != NUMPY:
            return None
        dtype = array.type if type_node is None else dtype_of(reader, node, type_node)
        return fresh(reader, node, dtype, fill, reader.kept_rows.of(array.name))

    return read


def _full(reader: Reader, node: ast.Call) -> Array | None:
    from sabot._form_calls import arguments

    shape, value, type_node = arguments(node, "shape", "fill_value", "dtype")
    count = None if shape is None else reader.maybe(shape)
    if value is None or not isinstance(count, Count):
        return None
    number = reader.number(value)
    if type(number) not in (int, float, bool):
        raise NoFormError(node, "np.full of a value that the text does not tell")
    module = numpy()
    dtype = dtype_of(reader, node, type_node) if type_node else module.full(0, number).dtype
    return fresh(reader, node, _checked(node, dtype), number, count.kept)


def fresh(reader: Reader, node: ast.expr, dtype: Any, fill: Any, kept: str) -> Array:
    """An array of the function's own, with one value in all rows; None: with none yet. kept: its rows, as `Rows` has them."""
    if fill is None:
        name = reader.slot()
        reader.kept_rows.put(name, kept)
        return Array(NUMPY, name, type=dtype, own=True)
    value = ast.copy_location(ast.Constant(fill), node)
    return Array(NUMPY, reader.make(cast(node, value, dtype), node, kept), type=dtype, own=True)


_FUNCTIONS: dict[str, Callable[[Reader, ast.Call], Array | Single | None]] = {
    "clip": _clip,
    "empty": _new(None),
    "empty_like": _new_like(None),
    "full": _full,
    "ones": _new(1),
    "ones_like": _new_like(1),
    "where": _where,
    "zeros": _new(0),
    "zeros_like": _new_like(0),
}


# Methods


def copied(reader: Reader, node: ast.Call, array: Array) -> Array:
    """A copy, which may be changed."""
    if node.args or node.keywords:
        raise NoFormError(node, "its arguments")
    name = reader.make(array.value(node), node)
    return array._replace(name=name, own=True)


def astype(reader: Reader, node: ast.Call, array: Array) -> Array:
    from sabot._form_arrays import converted
    from sabot._form_calls import arguments

    type_node, copy_node = arguments(node, "dtype", "copy")
    copies = True if copy_node is None else reader.constant(copy_node)
    if type_node is None or type(copies) is not bool or len(node.args) > 1:
        raise NoFormError(node, "its arguments")
    return converted(reader, node, array, dtype_of(reader, node, type_node), copies)
