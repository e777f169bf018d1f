"""`udf`: how a function is to be run, said once where it is defined."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, SupportsIndex, cast, overload

import pyarrow as pa

from sabot._config import check_path
from sabot._errors import PlanError, suggest
from sabot._expr import Applied, Column

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

_CHOICES = {
    "kind": ("scalar", "record", "array", "batch"),
    "nulls": ("pass", "skip"),
    "compile": ("auto", "off", "require", "numba"),
    "on_error": ("raise", "null", "skip"),
}
_EXPRESSIONS = frozenset({Applied, Column})
# What a function's result can be, with the engine's name for it.
FORMATS: dict[Any, str] = {
    pa.int64(): "l",
    pa.float64(): "g",
    pa.bool_(): "b",
    pa.string(): "u",
    pa.null(): "n",
}


class Options(NamedTuple):
    """How a function is run; see `udf`."""

    on_error: str = "raise"
    max_concurrency: int | None = None
    use_process: bool = False
    dead_letter: str | None = None
    kind: str | None = None
    returns: pa.DataType | None = None
    nulls: str = "pass"
    compile: str = "auto"
    args: dict[str, pa.DataType] | None = None
    pure: bool | None = None
    gpus: float | None = None
    batch_size: int | None = None

    @property
    def off(self) -> bool:
        """Whether it is never compiled."""
        return self.compile in ("off", "numba") or self.pure is False


class Udf:
    """A function with its options; still an ordinary function to whoever calls it."""

    def __init__(self, fn: Callable[..., Any], options: Options) -> None:
        functools.update_wrapper(self, fn, updated=())
        self.fn = fn
        self.options = options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function; with `col(...)` among the arguments: what `apply` gives for them."""
        for value in args:
            if type(value) in _EXPRESSIONS:
                return self._applied(args, kwargs)
        for value in kwargs.values():
            if type(value) in _EXPRESSIONS:
                return self._applied(args, kwargs)
        return self.fn(*args, **kwargs)

    def _applied(self, args: tuple[Any, ...], named: dict[str, Any]) -> Applied:
        from sabot._apply import applied

        return applied(self, args, named)

    def __get__(self, instance: object, owner: type | None = None) -> Udf:
        """A method, as of a plain function."""
        bound: Any = self.fn.__get__(instance, owner) if hasattr(self.fn, "__get__") else self.fn
        return self if bound is self.fn else Udf(bound, self.options)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickled by its name, as a function is, where another process finds it by that."""
        module: str = getattr(self.fn, "__module__", "") or ""
        name: str = getattr(self.fn, "__qualname__", "")
        if module != "__main__" and getattr(sys.modules.get(module), name, None) is self:
            return name
        return super().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return f"<sabot.udf {getattr(self.fn, '__name__', self.fn)!s}>"


_NONE = Options()


def unwrap(fn: Any) -> tuple[Any, Options]:
    """A function without its `udf`, and the options that it gave."""
    return (fn.fn, fn.options) if isinstance(fn, Udf) else (fn, _NONE)


@overload
def udf(
    fn: None = None,
    *,
    kind: Literal["scalar", "record", "array", "batch"] | None = None,
    args: Mapping[str, pa.DataType] | None = None,
    returns: pa.DataType | None = None,
    nulls: Literal["pass", "skip"] = "pass",
    pure: bool | None = None,
    compile: Literal["auto", "off", "require", "numba"] = "auto",
    on_error: Literal["raise", "null", "skip"] = "raise",
    max_concurrency: int | None = None,
    use_process: bool | None = None,
    gpus: float | None = None,
    batch_size: int | None = None,
    dead_letter: str | os.PathLike[str] | None = None,
) -> Callable[[Callable[..., Any]], Udf]: ...
@overload
def udf(
    fn: Callable[..., Any],
    *,
    kind: Literal["scalar", "record", "array", "batch"] | None = None,
    args: Mapping[str, pa.DataType] | None = None,
    returns: pa.DataType | None = None,
    nulls: Literal["pass", "skip"] = "pass",
    pure: bool | None = None,
    compile: Literal["auto", "off", "require", "numba"] = "auto",
    on_error: Literal["raise", "null", "skip"] = "raise",
    max_concurrency: int | None = None,
    use_process: bool | None = None,
    gpus: float | None = None,
    batch_size: int | None = None,
    dead_letter: str | os.PathLike[str] | None = None,
) -> Udf: ...
def udf(
    fn: Callable[..., Any] | None = None,
    *,
    kind: Literal["scalar", "record", "array", "batch"] | None = None,
    args: Mapping[str, pa.DataType] | None = None,
    returns: pa.DataType | None = None,
    nulls: Literal["pass", "skip"] = "pass",
    pure: bool | None = None,
    compile: Literal["auto", "off", "require", "numba"] = "auto",
    on_error: Literal["raise", "null", "skip"] = "raise",
    max_concurrency: int | None = None,
    use_process: bool | None = None,
    gpus: float | None = None,
    batch_size: int | None = None,
    dead_letter: str | os.PathLike[str] | None = None,
) -> Udf | Callable[[Callable[..., Any]], Udf]:
    """Says how a function is run by streams. It stays an ordinary function, and plain functions work without it.

    Parameters:
        kind: "scalar" takes one row's values, "record" a row as a dict, "array" columns as NumPy arrays, "batch" whole batches; None:
            its text tells.
        args: the types of the columns of a scalar function, by its parameters. It is typed and compiled where it is defined then, and
            columns of other types are an error. What it calls must be there by then.
        returns: the type of the result, where the text does not tell: of a scalar function int64, double, bool, string or null, of one
            of arrays any type.
        nulls: "skip" makes the result null where an argument is, without a call.
        pure: True says that a function which Sabot does not see through neither changes nor reads anything that changes: compiled
            functions of the same run are computed without waiting for it. False keeps one in CPython, one call after the other.
        compile: "off" always interprets it, "require" raises CompileError when it cannot be compiled. "numba" computes a scalar
            function, or one of arrays, through Numba, whose answers are not always CPython's: integers wrap around, some errors are
            missing. Reports say so, and why CPython runs it where Numba refuses it. Rows with a null are CPython's.
        on_error: what a failing row does: "raise" ends the run, "null" makes the result null, "skip" drops the row. The failing
            rows of a batch function are all rows of its batch. See `Stream.last_run` for them.
        max_concurrency: how many calls may run at once: threads, worker processes (as many as processors where nothing is said), or
            calls of an `async def` that are awaited (64). Results keep their order, and the error of a run is that of its lowest
            failing row, but calls for rows behind it, and behind the rows that are taken, may have happened.
        use_process: calls it in worker processes, which get only the columns that it reads. The function, what it uses and what it
            raises must be picklable; the main module is not run again. A worker that dies is replaced and its rows are tried once more.
        gpus: of each worker process: a whole number, or a part of one that it shares. Workers see theirs by CUDA_VISIBLE_DEVICES; there
            are as many workers as fit where `max_concurrency` says nothing. All of a stream must fit into what this process sees.
        batch_size: rows that a batch function is given in each call; the last has what is left. Of a function of values: rows that
            a thread or worker process takes at once.
        dead_letter: a Parquet file for all failing rows, made anew by each run; needs another `on_error` than "raise".

    Raises:
        PlanError: an option that is none of these, or that does not go with another; GPUs that are not there (when a stream gets it).
        MissingLibraryError: compile="numba" without Numba (when a stream gets it).
        TypeMismatchError: with args=, a result that is not what `returns=` says; other columns, when a stream gets it.

    >>> import pyarrow as pa, sabot as sb
    >>> @sb.udf(on_error="null")
    ... def number(text: str) -> int:
    ...     return int(text)
    >>> number("7")
    7
    >>> stream = sb.Stream.from_table(pa.table({"text": ["1", "two"]})).with_columns(n=number)
    >>> stream.collect()["n"].to_pylist(), stream.last_run.errors["row"].to_pylist()
    ([1, None], [1])
    """
    _check_count("max_concurrency", max_concurrency)
    _check_count("batch_size", batch_size)
    for name, flag in (("use_process", use_process), ("pure", pure)):
        if flag is not None and not isinstance(cast("object", flag), bool):
            raise PlanError(f"{name}={flag!r}: it is True or False")
    if dead_letter is not None:
        dead_letter = check_path("dead_letter", dead_letter)
    options = Options(
        on_error,
        max_concurrency,
        bool(use_process),
        dead_letter,
        kind,
        returns,
        nulls,
        compile,
        None if args is None else _checked_args(args),
        pure,
        None if gpus is None else _checked_gpus(gpus),
        batch_size,
    )
    _check(options)
    if fn is None:

        def wrap(given: Callable[..., Any]) -> Udf:
            return _udf(given, options)

        return wrap
    return _udf(fn, options)


def _check(options: Options) -> None:
    for name, choices in _CHOICES.items():
        given = getattr(options, name)
        if given is None and name == "kind":
            continue
        if not isinstance(given, str) or given not in choices:
            listed = ", ".join(map(repr, choices))
            near = suggest(given, choices) if isinstance(given, str) else ""
            near = near if near.startswith("; did you mean") else ""
            raise PlanError(f"{name}={given!r}: it is one of {listed}{near}")
    if options.dead_letter is not None and options.on_error == "raise":
        raise PlanError('dead_letter needs on_error="null" or "skip": with "raise" the run ends')
    if options.returns is not None:
        check_returns(options.returns, options.kind)
    if options.args is not None and options.kind not in (None, "scalar"):
        raise PlanError(f"args= is for scalar functions, not for those of kind {options.kind!r}")
    if options.pure is False:
        if options.compile == "numba":
            raise PlanError('pure=False keeps a function in CPython, and compile="numba" out of it')
        if options.compile == "require":
            raise PlanError(
                'pure=False keeps a function in CPython, and compile="require" out of it'
            )
        if (options.max_concurrency or 1) > 1:
            raise PlanError(
                f"pure=False has calls one after the other, and max_concurrency={options.max_concurrency} at the same time"
            )
    if options.gpus is not None and not options.use_process:
        raise PlanError(
            "gpus= needs use_process=True: a process sees all GPUs, or those that it was started with"
        )


def _check_count(name: str, given: object) -> None:
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
        raise PlanError(f"{name}={given!r}: it is a whole number from 1 on")


def _checked_gpus(given: object) -> float:
    """A whole number of GPUs, or a part of one."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 2**16:
        raise PlanError(f"gpus={given!r}: it is a number above 0, such as 1 or 0.5")
    if given > 1 and given != int(given):
        raise PlanError(f"gpus={given!r}: more than one are whole ones")
    return float(given)


def _checked_args(given: object) -> dict[str, pa.DataType]:
    if not isinstance(given, Mapping) or not given:
        raise PlanError(f"args={given!r}: it is {{parameter: type}}")
    args = cast("Mapping[object, object]", given)
    for name, type_ in args.items():
        if not isinstance(name, str) or not isinstance(type_, pa.DataType):
            raise PlanError(
                f"args= has {name!r}: {type_!r}, not a parameter with a pyarrow type, such as pa.int64()"
            )
    return dict(cast("Mapping[str, pa.DataType]", args))


def check_returns(returns: Any, kind: str | None) -> None:
    """Refuses what is no type of a scalar function's result.

    Raises:
        PlanError: it is none, or the function is no scalar one.
    """
    if not isinstance(returns, pa.DataType):
        raise PlanError(f"returns={returns!r}: it is a pyarrow type, such as pa.int64()")
    if kind != "array" and returns not in FORMATS:
        known = ", ".join(map(str, FORMATS))
        raise PlanError(f"returns={returns}: the result of a function is one of {known} so far")
    if kind == "batch":
        raise PlanError(
            "returns= is for scalar functions; a batch function's result is map's schema="
        )


def _udf(fn: Any, options: Options) -> Udf:
    if isinstance(fn, Udf):
        raise PlanError(f"{fn!r} is a udf already; give all options at once")
    if not callable(fn):
        raise PlanError(f"udf takes a function, not {type(fn).__name__}")
    made = Udf(fn, options)
    if options.args is not None:
        from sabot._ahead import compile_ahead

        compile_ahead(made)
    return made
