"""`compile="numba"`: a scalar function over whole columns, or one of arrays, through Numba, whose answers are not always CPython's.

The function and those of its globals that are plain functions are given to `numba.njit` as they are, and called by a loop over the
columns' values. Numba tells the type of the result. Rows that have a null, and rows at which Numba's code raises, are left to CPython,
which calls the function itself for them.

Numba reads globals once, when it compiles: a run that sees one rebound calls CPython for all rows. Threads: those of the run.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from sabot._optional import need

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._capture import Captured
    from sabot._guards import Guards

MODE = "numba"  # as reports name it
_RAISES_MAX = 64  # rows of one call that raise before CPython gets the others, too
_INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")
_RESULTS = {"bool": "b", "float64": "g", "float32": "g", **dict.fromkeys(_INTS, "l")}
_DTYPES = {"l": "int64", "g": "float64", "b": "bool"}

# The row under way is written down before its call, so that an exception says where it was.
_LOOP = """
def loop(out, given, skip, at, {names}):
    for i in range(at[0], len(out)):
        if not skip[i]:
            at[0] = i
            value = function({items})
            if value is not None:
                out[i] = value
                given[i] = True
"""


class Form(NamedTuple):
    """A function as Numba compiled it for columns of some types.

    format: of its result, as the engine names types. loop: computes rows from one on. dtypes: of the arguments, as Numba gets them.
    """

    format: str
    loop: Callable[..., None]
    dtypes: tuple[str, ...]

    def rows(self, columns: Sequence[pa.Array[Any]]) -> list[object]:
        """The results of the rows of these columns, which have one length; Ellipsis for those that CPython has to compute."""
        import numpy as np

        count = len(columns[0])
        skip = np.zeros(count, np.bool_)
        arrays: list[Any] = []
        for column, dtype in zip(columns, self.dtypes, strict=True):
            whole: Any = column
            if whole.null_count:
                skip |= whole.is_null().to_numpy(zero_copy_only=False)
                whole = whole.fill_null(False if dtype == "bool" else 0)
            arrays.append(whole.to_numpy(zero_copy_only=False).astype(dtype, copy=False))
        out = np.zeros(count, _DTYPES[self.format])
        given = np.zeros(count, np.bool_)
        self._compute(out, given, skip, arrays)
        made: list[object] = out.tolist()
        for row in np.flatnonzero(~given).tolist():
            made[row] = ... if skip[row] else None
        return made

    def _compute(self, out: Any, given: Any, skip: Any, arrays: list[Any]) -> None:
        """Fills `out` and `given`; rows that raise, and those behind too many of them, are marked in `skip`."""
        import numpy as np

        at = np.zeros(1, np.int64)
        for _ in range(_RAISES_MAX):
            try:
                self.loop(out, given, skip, at, *arrays)
                return
            except Exception:
                skip[at[0]] = True  # CPython says what there is to raise
        skip[at[0] :] = True


def compiled(captured: Captured, schema: pa.Schema) -> Form | str:
    """A function compiled for the columns that its parameters name; or why it is not.

    Raises:
        MissingLibraryError: Numba is not installed.
    """
    numba: Any = need("numba", 'compile="numba"')
    fn: Any = captured.fn
    if type(fn) is not FunctionType:
        return "Numba takes plain functions, not methods or other objects"
    params = captured.params or ()
    found: Any = schema
    columns: list[pa.DataType] = [
        found.field(param.name).type for param in params if param.name in schema.names
    ]
    if (
        captured.record
        or not columns
        or any(
            param.name not in schema.names or param.kind != "positional"
            for param in params[: len(columns)]
        )
    ):
        return "the columns are not its first parameters, by position"
    dtypes = [_dtype(type_) for type_ in columns]
    for type_, dtype in zip(columns, dtypes, strict=True):
        if not dtype:
            return f"a column of {type_} has no exact form as a number of Numba"
    missing = len(params) - len(columns)
    defaults: list[Any] = list(fn.__defaults__ or ())[-missing:] if missing else []
    if not all(is_number(value) for value in defaults):
        return "a default of it that is used is no number"
    types = [getattr(numba.types, "boolean" if dtype == "bool" else dtype) for dtype in dtypes]
    try:
        function = numba.njit(_with_its_functions(fn, numba))
        omitted = [numba.types.Omitted(value) for value in defaults]
        function.compile((*types, *omitted))
        (signature,) = function.nopython_signatures
        result = getattr(signature.return_type, "type", signature.return_type)  # of an optional one
        format = _RESULTS.get(str(result))
        if format is None:
            return f"Numba types its result as {signature.return_type}"
        names = ", ".join(f"a{k}" for k in range(len(dtypes)))
        items = ", ".join(f"a{k}[i]" for k in range(len(dtypes)))
        space: dict[str, Any] = {"function": function}
        exec(_LOOP.format(names=names, items=items), space)  # the text is all of our own
        mask, numbers = numba.types.boolean[::1], numba.types.int64[::1]
        out = getattr(numba.types, "boolean" if format == "b" else _DTYPES[format])[::1]
        # Columns are read-only; arrays that are not may be given, too.
        arrays = [numba.types.Array(type_, 1, "C", readonly=True) for type_ in types]
        loop = numba.njit(numba.types.void(out, mask, mask, numbers, *arrays))(space["loop"])
    except Exception as error:  # Numba has more than its own
        return _refusal(error)
    return Form(format, loop, tuple(dtypes))


class OfArrays(NamedTuple):
    """A function of arrays as Numba compiled it for columns of some types. type: of its result as a column."""

    function: Callable[..., Any]
    type: pa.DataType
    guards: Guards | None

    @property
    def holds(self) -> bool:
        """Whether the names that Numba read are what they were."""
        return self.guards is None or self.guards.changed() is None


def of_arrays(captured: Captured, columns: Sequence[pa.DataType]) -> OfArrays | str:
    """A function of arrays compiled for columns, which are its first parameters; or why it is not.

    Raises:
        MissingLibraryError: Numba is not installed.
    """
    import numpy as np

    numba: Any = need("numba", 'compile="numba"')
    fn: Any = captured.fn
    if type(fn) is not FunctionType:
        return "Numba takes plain functions, not methods or other objects"
    params = captured.params or ()
    if any(param.kind != "positional" for param in params[: len(columns)]):
        return "the columns are not its first parameters, by position"
    missing = len(params) - len(columns)
    defaults: list[Any] = list(fn.__defaults__ or ())[-missing:] if missing else []
    if len(defaults) < missing or not all(is_number(value) for value in defaults):
        return "a default of it that is used is no number"
    types: list[Any] = []
    for type_ in columns:
        if not _is_number(type_):
            return f"a column of {type_} has no form as an array of Numba"
        name = "boolean" if pa.types.is_boolean(type_) else np.dtype(type_.to_pandas_dtype()).name
        types.append(numba.types.Array(getattr(numba.types, name), 1, "C", readonly=True))
    try:
        function = numba.njit(_with_its_functions(fn, numba))
        function.compile((*types, *map(numba.types.Omitted, defaults)))
        (signature,) = function.nopython_signatures
        result = signature.return_type
        if not isinstance(result, numba.types.Array) or result.ndim != 1:
            return f"Numba types its result as {result}"
        dtype = np.dtype(str(result.dtype).replace("boolean", "bool"))
        made: Any = pa.from_numpy_dtype(dtype)
    except Exception as error:  # Numba has more than its own
        return _refusal(error)
    return OfArrays(function, made, captured.guards)


def is_number(value: object) -> bool:
    """Whether a default is one; told without code of its class."""
    kind: object = type(value)
    return kind is int or kind is float or kind is bool


def _is_number(type_: pa.DataType) -> bool:
    types = pa.types
    whole = types.is_integer(type_) or types.is_boolean(type_)
    return whole or type_ in (pa.float32(), pa.float64())


def _refusal(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"Numba refuses it: {' '.join(lines[1:2] or lines[:1])}"


def _dtype(type_: pa.DataType) -> str:
    """Of a column as CPython's numbers have it; "" for others."""
    if pa.types.is_boolean(type_):
        return "bool"
    if pa.types.is_integer(type_) and type_ != pa.uint64():
        return "int64"
    return "float64" if pa.types.is_floating(type_) and type_ != pa.float16() else ""


def _with_its_functions(fn: FunctionType, numba: Any) -> FunctionType:
    """The function with the plain functions among its globals compiled as well."""
    wanted = {
        name: numba.njit(value)
        for name in fn.__code__.co_names
        if type(value := fn.__globals__.get(name)) is FunctionType
    }
    if not wanted:
        return fn
    space = {**fn.__globals__, **wanted}
    return FunctionType(fn.__code__, space, fn.__name__, fn.__defaults__, fn.__closure__)
