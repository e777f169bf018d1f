"""NumPy's functions of whole arrays in a batch function: sums, means, orders, running totals.

The order in which NumPy adds is its own, so it is called itself, with whole arrays, between the phases of the function (`_form_parts`).
What a call gives, a scalar or an array of as many items, is told by calling it with a small array of the same type; `_between` looks at
that again in each batch.
"""

from __future__ import annotations

import ast
import functools
import operator
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from sabot._encode_numpy import TYPES
from sabot._form_parts import WholeCall
from sabot._form_values import NUMPY, Array, NoFormError, Single
from sabot._record import local_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._form import Reader

_operator: Any = operator
_ROWS = 3  # of arrays that tell what a call gives


class _Spec(NamedTuple):
    """The parameters of a function that are known: arrays first, then others by their names, of which `places` may stand without one."""

    arrays: tuple[str, ...]
    places: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def _spec(arrays: str, places: str = "", names: str = "") -> _Spec:
    return _Spec(tuple(arrays.split()), tuple(places.split()), tuple(names.split()))


_AXIS = _spec("a", "axis")
_SUM = _spec("a", "axis dtype")
_SPREAD = _spec("a", "axis dtype", "ddof")
_QUANTILE = _spec("a", "q axis", "method")
_FUNCTIONS: dict[str, _Spec] = {
    "all": _AXIS,
    "amax": _AXIS,
    "amin": _AXIS,
    "any": _AXIS,
    "argmax": _AXIS,
    "argmin": _AXIS,
    "argsort": _spec("a", "axis kind", "stable"),
    "average": _spec("a", "axis"),
    "cumprod": _SUM,
    "cumsum": _SUM,
    "dot": _spec("a b"),
    "gradient": _spec("f"),
    "inner": _spec("a b"),
    "max": _AXIS,
    "mean": _SUM,
    "median": _AXIS,
    "min": _AXIS,
    "nanargmax": _AXIS,
    "nanargmin": _AXIS,
    "nancumprod": _SUM,
    "nancumsum": _SUM,
    "nanmax": _AXIS,
    "nanmean": _SUM,
    "nanmedian": _AXIS,
    "nanmin": _AXIS,
    "nanpercentile": _QUANTILE,
    "nanprod": _SUM,
    "nanquantile": _QUANTILE,
    "nanstd": _SPREAD,
    "nansum": _SUM,
    "nanvar": _SPREAD,
    "percentile": _QUANTILE,
    "prod": _SUM,
    "ptp": _AXIS,
    "quantile": _QUANTILE,
    "roll": _spec("a", "shift axis"),
    "searchsorted": _spec("a v", "side"),
    "sort": _spec("a", "axis kind", "stable"),
    "std": _SPREAD,
    "sum": _SUM,
    "take": _spec("a indices", "axis"),
    "var": _SPREAD,
    "vdot": _spec("a b"),
}
_METHODS = (
    *("all", "any", "argmax", "argmin", "argsort", "cumprod", "cumsum", "dot", "max", "mean"),
    *("min", "prod", "searchsorted", "std", "sum", "take", "var"),
)


def function_of(module: Any, target: object) -> Callable[[Reader, ast.Call], Any] | None:
    """What reads a call of a function of whole arrays; None: it is none."""
    if not _is_numpys(target):
        return None
    if target is module.linalg.norm:
        return functools.partial(_function, name="linalg.norm", spec=_spec("x"), target=target)
    for name, spec in _FUNCTIONS.items():
        if target is getattr(module, name):
            return functools.partial(_function, name=name, spec=spec, target=target)
    return None


def _is_numpys(target: object) -> bool:
    """Whether it is a function of NumPy's own, so that calling it runs no code of the user's."""
    module = sys.modules.get("numpy._core._multiarray_umath")
    return type(target) is getattr(module, "_ArrayFunctionDispatcher", None)


def of_ufunc(reader: Reader, node: ast.Call) -> Any:
    """`np.add.reduce(...)` or `np.maximum.accumulate(...)`; None where it is something else."""
    from sabot._form_numpy import numpy

    module = numpy()
    if module is None or not isinstance(node.func, ast.Attribute):
        return None
    word = node.func.attr
    ufunc: Any = reader.resolved(node.func.value)
    if type(ufunc) is not module.ufunc:
        return None
    name = ufunc.__name__
    if word not in ("reduce", "accumulate") or ufunc is not getattr(module, name, None):
        return None
    target = getattr(ufunc, word)
    return _function(reader, node, name=f"{name}.{word}", spec=_SUM, target=target)


def _function(reader: Reader, node: ast.Call, *, name: str, spec: _Spec, target: Any) -> Any:
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    if not any(isinstance(reader.maybe(one), Array) for one in given):
        return None
    return _called(reader, node, f"np.{name}", spec, target, [])


def _method(name: str, reader: Reader, node: ast.Call, array: Array) -> Any:
    spec = _FUNCTIONS[name]
    spec = spec._replace(arrays=spec.arrays[1:])

    def call(of: Any, *arguments: Any, **named: Any) -> Any:
        return getattr(of, name)(*arguments, **named)

    return _called(reader, node, f"ndarray.{name}", spec, call, [array])


METHODS: dict[str, Callable[[Any, ast.Call, Any], Any]] = {
    name: functools.partial(_method, name) for name in _METHODS
}


def product(reader: Reader, node: ast.BinOp) -> Array | Single:
    """`a @ b`."""
    arrays = [reader.value(node.left), reader.value(node.right)]
    return _made(reader, node, "@", _of_two(_operator.matmul), arrays)


def taken(reader: Reader, node: ast.Subscript, array: Array, key: ast.expr) -> Array | None:
    """`a[order]`, where the order is an array of places; None where it is something else."""
    order = reader.maybe(key)
    if not isinstance(order, Array) or order.family != NUMPY or order.type.kind not in "iu":
        return None
    if not isinstance(node.ctx, ast.Load):
        return None
    made = _made(reader, node, "[order]", _of_two(_operator.getitem), [array, order])
    return made if isinstance(made, Array) else None


def length(reader: Reader, node: ast.expr) -> Single:
    """The number of rows as a number, which is Python's."""
    from sabot._form_numpy import numpy

    if not reader.length:
        dtype = numpy().dtype("int64")
        column = reader.called_whole(WholeCall("", "len", _length, dtype, True, (), ()))
        value = ast.copy_location(ast.Name(local_of(column), ast.Load()), node)
        reader.length.append(reader.make(value, node))
    return Single(reader.length[0], int)


def _length(given: list[Any]) -> Any:
    from sabot._form_numpy import numpy

    return numpy().int64(given[0].num_rows)


def as_float(reader: Reader, node: ast.Call, single: Single) -> Single:
    """`float(scalar)`."""
    from sabot._form_arrays import plain

    if single.is_python or single.type.kind != "f":
        raise NoFormError(node, "float() of this scalar")
    return Single(reader.make(plain(node, single.value(node), "f"), node), float)


def _of_two(function: Callable[[Any, Any], Any]) -> Callable[[list[Any]], Any]:
    def make(arrays: list[Any]) -> Any:
        return function(*arrays)

    return make


# Arguments


def _called(
    reader: Reader, node: ast.Call, shown: str, spec: _Spec, target: Any, arrays: list[Any]
) -> Array | Single:
    """A call whose text tells all arguments but arrays. arrays: that it has before those of the text."""
    parameters = (*spec.arrays, *spec.places)
    if len(node.args) > len(parameters) or any(isinstance(one, ast.Starred) for one in node.args):
        raise NoFormError(node, f"{shown} with other arguments")
    arrays = [*arrays]
    named: dict[str, Any] = {}
    pairs = list(zip(parameters, node.args, strict=False))
    count = len(pairs)
    for keyword in node.keywords:
        if keyword.arg not in (*spec.places, *spec.names):
            raise NoFormError(node, f"{shown} with {keyword.arg or '**'}=")
        pairs.append((keyword.arg, keyword.value))
    for place, (name, given) in enumerate(pairs):
        if place < min(count, len(spec.arrays)):
            arrays.append(reader.value(given))
        elif name in named:
            raise NoFormError(node, f"{shown} with {name} twice")
        else:
            named[name] = _constant(reader, node, shown, name, given)
    if count < len(spec.arrays):
        raise NoFormError(node, f"{shown} with other arguments")
    fits = _fits(shown, named.get("ddof", 0))

    def make(given: list[Any]) -> Any:
        return target(*given, **named)

    return _made(reader, node, shown, make, arrays, fits)


def _constant(reader: Reader, node: ast.Call, shown: str, name: str, given: ast.expr) -> Any:
    """An argument that is no array."""
    if name == "dtype":
        from sabot._form_numpy import dtype_of

        return dtype_of(reader, node, given)
    from sabot._form_constants import known

    found = known(reader, given)
    value: Any = None if found is None else found.value
    right: bool = value is None or type(value) in (int, float, str, bool)
    if name == "axis":
        right = value is None or (type(value) is int and value in (0, -1))
    elif name == "ddof":
        right = isinstance(value, (int, float)) and value is not True and value < _ROWS
    if found is None or not right:
        raise NoFormError(node, f"{shown} with {name}= of this")
    return value


# What NumPy says without a floating point flag: of too few items, or of nothing but NaN.


def _fits(shown: str, lack: float) -> Callable[[Any], bool] | None:
    if ".nan" in shown:
        return functools.partial(_has_numbers, lack=lack)
    return functools.partial(_has_items, lack=lack) if lack else None


def _has_items(array: Any, *, lack: float) -> bool:
    return len(array) > lack


def _has_numbers(array: Any, *, lack: float) -> bool:
    return int((array == array).sum()) > max(lack, 0)


# The call


def _made(
    reader: Reader,
    node: ast.expr,
    shown: str,
    make: Callable[[list[Any]], Any],
    arrays: Sequence[Any],
    fits: Callable[[Any], bool] | None = None,
) -> Array | Single:
    from sabot._form_numpy import item, numpy

    for one in arrays:
        if not isinstance(one, Array) or one.family != NUMPY:
            raise NoFormError(node, f"{shown} of something else than whole arrays of NumPy")
    module = numpy()
    if not str(module.__version__).startswith("2."):
        raise NoFormError(
            node, f"{shown} of NumPy {module.__version__}, whose scalars have weak types"
        )
    likes = [module.ones(_ROWS, one.type) for one in arrays]
    try:
        with module.errstate(all="raise"):
            result = make(likes)
    except Exception as error:
        raise NoFormError(node, f"{shown}: {error}") from None
    one = isinstance(result, module.generic)
    dtype = getattr(result, "dtype", None)
    same = one or (type(result) is module.ndarray and result.shape == (_ROWS,))
    if dtype is None or dtype.name not in TYPES or not same:
        what = dtype if dtype is not None else type(result).__name__
        raise NoFormError(node, f"{shown}, which gives {what} of another shape or type")
    names = tuple(_argument(reader, node, array) for array in arrays)
    if any(reader.kept_rows.of(name) for name in names):
        raise NoFormError(node, f"{shown} of rows that masks leave")
    types = tuple(array.type for array in arrays)
    column = reader.called_whole(WholeCall("", shown, make, dtype, one, names, types, fits))
    value = ast.copy_location(ast.Name(local_of(column), ast.Load()), node)
    name = reader.make(item(node, value, dtype), node)
    if one:
        return Single(name, dtype)
    reader.untouched[name] = column
    return Array(NUMPY, name, type=dtype, own=True)


def _argument(reader: Reader, node: ast.expr, array: Array) -> str:
    """The local that holds an array as it is now."""
    if not array.own or (array.name in reader.untouched and not _stored_again(reader, array.name)):
        return array.name
    return reader.make(array.value(node), node)


def _stored_again(reader: Reader, name: str) -> bool:
    """Whether an array that a call made was changed since."""
    stores = 0
    for node in reader.body:
        for one in ast.walk(node):
            stores += isinstance(one, ast.Name) and one.id == name and type(one.ctx) is ast.Store
    return stores > 1
