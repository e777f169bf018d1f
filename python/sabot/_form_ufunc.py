"""NumPy's functions whose results are their own: computed by the inner loops that NumPy itself would call.

`np.sin` and its like round as no other library does, and differently on each processor, so a batch function gives NumPy's bits only through
NumPy's code. A ufunc keeps its loops in a table; that calling one there gives what calling the ufunc gives, whatever the number of rows and
wherever they lie, is not promised by anybody, so it is tried with each function before a batch function is compiled with it.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from sabot import _core

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    _Key: TypeAlias = tuple[tuple[type, Any, float], ...]

_ROWS = 6000
_SPECIAL = (0.0, 1.0, -1.0, 0.5, 2.0, 1.5, 5e-324, 1e-300, 1e-40, 88.8, 710.0, -745.2, 1e300)
_LARGEST = 2**53  # of ints that are doubles


class Loop(NamedTuple):
    """A loop of NumPy's for numbers of one type. letter: of that type, "g" or "f"; dtype: the same for NumPy."""

    inner: _core.Loop
    letter: str
    dtype: Any


class Call(NamedTuple):
    """A call of a loop for the rows of a batch.

    column: what the functions behind it call its results. arguments: the locals that hold them, and numbers.
    """

    column: str
    name: str
    loop: Loop
    arguments: tuple[str | float, ...]


def loop_of(
    numpy: Any, name: str, kinds: tuple[Any, ...], *, operator_of: str | None = None
) -> Loop | str:
    """The loop that computes a ufunc of NumPy's, or why there is none.

    Parameters:
        kinds: of each argument the dtype of an array, or a number.
        operator_of: "**" where it stands for that operator, which may do something else for some numbers.
    """
    key: _Key = tuple((one.__class__, one, _sign(one)) for one in kinds)
    return _loop_of(numpy, getattr(numpy, name), key, operator_of)


def _sign(one: Any) -> float:
    return math.copysign(1, one) if type(one) is float else 0


@functools.lru_cache(512)
def _loop_of(numpy: Any, ufunc: Any, key: _Key, operator_of: str | None) -> Loop | str:
    kinds = [one for _, one, _ in key]
    if ufunc.nout != 1 or ufunc.signature is not None or ufunc.nin != len(kinds):
        return "which is no function of items"
    types = [one if isinstance(one, numpy.dtype) else _like(numpy, one) for one in kinds]
    try:
        wanted = set(ufunc.resolve_dtypes((*types, None)))
    except TypeError as error:
        return str(error)
    dtype = wanted.pop()
    letter = {"float64": "g", "float32": "f"}.get(dtype.name)
    if wanted or letter is None:
        return f"which gives {dtype} here"
    inner = _core.find_loop(ufunc, numpy.ufunc, letter)
    if inner is None:
        return "of which NumPy shows no loop"
    loop = Loop(inner, letter, dtype)
    function = _power if operator_of == "**" else ufunc
    if not _holds(numpy, function, loop, kinds):
        return "whose loop gives other bits than NumPy itself here"
    return loop


def _like(numpy: Any, value: Any) -> Any:
    """What NumPy takes a number for where it chooses a loop."""
    return numpy.dtype(bool) if type(value) is bool else value.__class__


def _power(base: Any, exponent: Any) -> Any:
    return base**exponent


def constant_of(numpy: Any, value: Any, dtype: Any) -> float | None:
    """A number as an item of an array of that type; None where NumPy refuses it, or would warn."""
    if type(value) is int and abs(value) > _LARGEST:
        return None
    with numpy.errstate(all="ignore"):
        made = float(numpy.array(float(value)).astype(dtype))
    return None if math.isinf(made) and not math.isinf(value) else made


_HARMLESS = (0.5, 1.0, 2.0, 0.0, -0.5, 1.5)


@functools.lru_cache(512)
def harmless_of(
    numpy: Any, name: str, dtype: Any, constants: tuple[float | None, ...]
) -> float | None:
    """A number of which a ufunc makes another without a warning. constants: its arguments; None: those that the number is given for."""
    for number in _HARMLESS:
        given = [dtype.type(number if one is None else one) for one in constants]
        try:
            with numpy.errstate(all="raise", under="ignore"):
                getattr(numpy, name)(*given)
        except FloatingPointError:
            continue
        return number
    return None


def _holds(numpy: Any, function: Callable[..., Any], loop: Loop, kinds: list[Any]) -> bool:
    """Whether a loop gives what NumPy gives, bit for bit, in pieces of every length that lie anywhere."""
    with numpy.errstate(all="ignore"):
        given = [
            _values(numpy, one, place) if isinstance(one, numpy.dtype) else one
            for place, one in enumerate(kinds)
        ]
        wanted = function(*given)
        arguments: list[Any] = []
        for one in given:
            array = isinstance(one, numpy.ndarray)
            value = one if array else constant_of(numpy, one, loop.dtype)
            if value is None:
                return False
            arguments.append(numpy.asarray(value, dtype=loop.dtype))
    if wanted.dtype != loop.dtype:
        return False
    made = numpy.zeros(_ROWS, loop.dtype)
    row, count = 0, 1
    while row < _ROWS:
        rows = min(count if count < 70 else 2048, _ROWS - row)
        pieces = tuple(one[row:] if one.ndim else one for one in arguments)
        _core.call_loop(loop.inner, rows, pieces, made[row:])
        row += rows
        count += 1
    bits = f"u{loop.dtype.itemsize}"
    same = (made.view(bits) == wanted.view(bits)) | (numpy.isnan(made) & numpy.isnan(wanted))
    return bool(same.all())


@functools.lru_cache(32)
def _values(numpy: Any, dtype: Any, place: int) -> Any:
    """Numbers of a type: special ones in all places, ordinary and far ones."""
    draw = numpy.random.Generator(numpy.random.PCG64(place))
    if dtype.kind == "b":
        return draw.integers(0, 2, _ROWS).astype(bool)
    if dtype.kind != "f":
        limits = numpy.iinfo(dtype)
        far = draw.integers(limits.min, limits.max, _ROWS, dtype=dtype)
        near = draw.integers(max(limits.min, -40), 40, _ROWS).astype(dtype)
        return numpy.where(draw.random(_ROWS) < 0.5, far, near)
    near = draw.normal(0, 1, _ROWS)
    far = near * numpy.exp(draw.normal(0, 60 if dtype.itemsize == 8 else 8, _ROWS))
    middle = near * 100
    special = draw.choice(numpy.array([*_SPECIAL, math.inf, math.nan]), _ROWS)
    signs = draw.choice(numpy.array([1.0, -1.0]), _ROWS)
    chosen = draw.integers(0, 4, _ROWS)
    made = numpy.choose(chosen, [near, far, middle, special * signs])
    return made.astype(dtype)
