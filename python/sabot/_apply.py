"""Functions of columns that are named by `col(...)`, whatever the function's parameters are called: `apply`, and `udf`s given columns."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import pyarrow as pa

from sabot._capture import Param, capture, renamed
from sabot._checks import check_names, known
from sabot._errors import PlanError, TypeMismatchError, suggest
from sabot._expr import Applied, Column
from sabot._function import Scalar, bind_scalar
from sabot._kinds import kind_of
from sabot._staged import called_by, is_async
from sabot._udf import check_returns, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._capture import Captured
    from sabot._udf import Options


class _Values(NamedTuple):
    """What each parameter of a function gets: a column, a constant (in a tuple), or None, its own default."""

    columns: tuple[str | None, ...]
    constants: tuple[tuple[object] | None, ...]


def apply(
    fn: Callable[..., object],
    *columns: object,
    returns: pa.DataType | None = None,
    kind: Literal["scalar", "array"] | None = None,
    **named: object,
) -> Applied:
    """A scalar function, or one of arrays, of columns that are named here, for `with_columns(name=...)` and `filter(...)`.

    A `udf` called with `col(...)` among its arguments gives the same.

    Parameters:
        fn: a Python function of one row's values; its parameters need not be called like columns.
        columns: for each parameter `col(name)`, or a value that is the same in all rows; at least one `col`. They go to the
            parameters by Python's rules; those that get nothing keep their defaults, also where a column has their name.
        returns: the type of the result, where the function's text does not tell; see `udf`.
        kind: "array" for a function of NumPy arrays; None: as its `udf` or its annotations say, else one of a row's values.
        named: the same by the names of parameters.

    Raises:
        PlanError: the arguments are not those of the function, or others than these.

    >>> import pyarrow as pa, sabot as sb
    >>> stream = sb.Stream.from_table(pa.table({"price": [10, 20]}))
    >>> stream.with_columns(dear=sb.apply(lambda x, limit: x > limit, sb.col("price"), 15)).collect()["dear"].to_pylist()
    [False, True]
    """
    return applied(fn, columns, named, returns, kind)


def applied(
    fn: Any,
    columns: tuple[object, ...],
    named: dict[str, object],
    returns: pa.DataType | None = None,
    kind: str | None = None,
) -> Applied:
    """What `apply` gives."""
    function, options = unwrap(fn)
    if isinstance(fn, (Column, Applied)) or not callable(function):
        raise PlanError(f"apply takes a function and its columns, not {type(fn).__name__} first")
    if kind is not None:
        if not isinstance(cast("object", kind), str) or kind not in ("scalar", "array"):
            raise PlanError(f'apply: kind={kind!r}; it is "scalar" or "array"')
        if options.kind not in (None, kind):
            raise PlanError(f"apply: kind={kind!r}, but the udf says kind={options.kind!r}")
        options = options._replace(kind=kind)
    if returns is not None:
        if options.returns not in (None, returns):
            raise PlanError(f"apply: returns={returns}, but the udf says returns={options.returns}")
        options = options._replace(returns=returns)
        check_returns(returns, options.kind)
    name = str(getattr(function, "__name__", type(function).__name__))
    if is_async(called_by(function)) or options.max_concurrency or options.use_process:
        raise PlanError(
            f"{name}: async functions, max_concurrency and use_process are for functions whose parameters are named "
            "after columns so far; give it to with_columns or filter itself"
        )
    for given in (*columns, *named.values()):
        _check_argument(name, given)
    if not any(isinstance(given, Column) for given in (*columns, *named.values())):
        raise PlanError(f"{name} is applied to no column; give it at least one col(name)")
    captured = capture(function)
    return Applied(function, options, _values(captured, columns, named), name)


def _check_argument(name: str, given: object) -> None:
    if isinstance(given, Applied):
        raise PlanError(
            f"{name} is given {given!r}; its arguments are col(name) and plain values so far: make that a column "
            "with with_columns first"
        )
    kind: Any = type(given)
    if issubclass(kind, (pa.Array, pa.ChunkedArray)) or kind.__module__ == "numpy":
        raise PlanError(
            f"{name} is given an array or NumPy value ({kind.__name__}); its arguments are col(name) and "
            "Python values"
        )


def _values(captured: Captured, args: Sequence[object], named: dict[str, object]) -> _Values:
    """Binds arguments to parameters, as a call would."""
    name, params = captured.name, captured.params
    starred = any(
        refusal.code == "signature" and refusal.detail.startswith("*")
        for refusal in captured.refusals
    )
    if params is None or starred:
        why = "takes any arguments" if starred else "has no parameters that can be read"
        raise PlanError(f"{name} {why}; apply needs a function with named parameters")
    places = [i for i, param in enumerate(params) if param.kind == "positional"]
    if len(args) > len(places):
        raise PlanError(f"{name} takes {len(places)} arguments by position, {len(args)} are given")
    given: dict[int, object] = dict(zip(places, args, strict=False))
    hidden = _positional_only(captured)
    names = {param.name: place for place, param in enumerate(params) if place >= hidden}
    for key, value in named.items():
        if key not in names:
            raise PlanError(f"{name} takes no parameter {key!r} by name{suggest(key, names)}")
        if names[key] in given:
            raise PlanError(f"{name} gets its parameter {key!r} twice")
        given[names[key]] = value
    for place, param in enumerate(params):
        if place not in given and not param.has_default:
            raise PlanError(f"{name} gets nothing for its parameter {param.name!r}")
    values = [given.get(place) for place in range(len(params))]
    return _Values(
        tuple(value.name if isinstance(value, Column) else None for value in values),
        tuple(
            (value,) if place in given and not isinstance(value, Column) else None
            for place, value in enumerate(values)
        ),
    )


def _positional_only(captured: Captured) -> int:
    """How many of the parameters can be given by position only."""
    count = captured.base.__code__.co_posonlyargcount if captured.base is not None else 0
    return sum(place < count for place in captured.places)


def bind_applied(applied: Applied, schema: pa.Schema | None, operator: str) -> Scalar:
    """Binds the function to the columns that were named.

    Raises:
        UnknownColumnError: there is none of a name.
        PlanError: a batch function, an operator that takes no column values.
    """
    if operator not in ("with_columns", "filter"):
        raise PlanError(f"{operator} takes a function, and {applied!r} is a column")
    captured = capture(applied.fn)
    values: _Values = applied.values
    if len(captured.params or ()) != len(values.columns):  # its code was replaced since
        raise PlanError(f"{applied!r}: the function has other parameters now; apply it again")
    kind = kind_of(
        captured, [p.name for p in captured.params or ()], operator, applied.options.kind
    )
    if kind.kind != "scalar":
        raise PlanError(
            f"{applied!r}: only scalar functions are applied to columns, this is one of kind {kind.kind!r} ({kind.rule})"
        )
    schema = known(schema, operator)
    check_names(operator, [name for name in values.columns if name is not None], schema)
    bound = bind_scalar(
        renamed(captured, _params(captured, values, schema)),
        schema,
        operator,
        "given columns",
        _options(applied, captured, values),
    )
    return _called(bound, captured, values)


def _options(applied: Applied, captured: Captured, values: _Values) -> Options:
    """Its options, with the types of parameters as those of their columns."""
    options: Options = applied.options
    if options.args is None:
        return options
    args: dict[str, pa.DataType] = {}
    for param, column in zip(captured.params or (), values.columns, strict=True):
        wanted = options.args.get(param.name)
        if column is None or wanted is None:
            continue
        if args.setdefault(column, wanted) != wanted:
            raise TypeMismatchError(
                f"{applied!r}: args= says that {param.name} is {wanted}, and {column} is given for a {args[column]}, too"
            )
    return options._replace(args=args)


def _params(captured: Captured, values: _Values, schema: pa.Schema) -> tuple[Param, ...]:
    """The parameters under the names of their columns; constants are defaults, and defaults have names of no column."""
    params: list[Param] = []
    for place, param in enumerate(captured.params or ()):
        column, constant = values.columns[place], values.constants[place]
        if column is not None:
            params.append(Param(column, param.kind, has_default=False, default=None))
            continue
        name = param.name
        while name in schema.names:
            name += "'"
        default = constant[0] if constant is not None else param.default
        params.append(Param(name, param.kind, has_default=True, default=default))
    return tuple(params)


def _called(bound: Scalar, captured: Captured, values: _Values) -> Scalar:
    """The function as CPython calls it: by the names of its own parameters, and with the constants."""
    params = captured.params or ()
    places = [index for index, _ in bound.core.params]
    positional, fn = 0, cast("Any", captured.fn)
    while positional < len(places) and places[positional] == positional:
        if params[positional].kind != "positional":
            break
        positional += 1
    names = [param.name for param in params]
    constants = {i: value[0] for i, value in enumerate(values.constants) if value is not None}
    hidden = _positional_only(captured)
    if any(place < hidden for place in constants):
        function = partial(_call, fn, places, constants, names, hidden)
        positional = len(places)
    else:
        named = {names[place]: value for place, value in constants.items()}
        function = partial(fn, **named) if named else fn
    keywords = tuple(names[place] for place in places[positional:])
    calling = copy.copy(bound.captured)
    calling.fn = function
    return bound._replace(captured=calling, positional_count=positional, keywords=keywords or None)


def _call(
    fn: Any,
    places: Sequence[int],
    constants: dict[int, object],
    names: Sequence[str],
    hidden: int,
    *values: object,
) -> object:
    """Calls a function of which some constants can only be given by position."""
    given = {**constants, **dict(zip(places, values, strict=True))}
    args = [given[place] for place in sorted(given) if place < hidden]
    return fn(*args, **{names[place]: value for place, value in given.items() if place >= hidden})
