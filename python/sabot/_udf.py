"""`udf`: how a function is to be run, said once where it is defined."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple, cast, overload

from sabot._errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable

_ON_ERROR = ("raise", "null", "skip")


class Options(NamedTuple):
    """How a function is run; see `udf`."""

    on_error: str = "raise"
    max_concurrency: int | None = None
    use_process: bool = False
    dead_letter: str | None = None


class Udf:
    """A function with its options; still an ordinary function to whoever calls it."""

    def __init__(self, fn: Callable[..., Any], options: Options) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.options = options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)

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
    on_error: str = "raise",
    max_concurrency: int | None = None,
    use_process: bool | None = None,
    dead_letter: str | None = None,
) -> Callable[[Callable[..., Any]], Udf]: ...
@overload
def udf(
    fn: Callable[..., Any],
    *,
    on_error: str = "raise",
    max_concurrency: int | None = None,
    use_process: bool | None = None,
    dead_letter: str | None = None,
) -> Udf: ...
def udf(
    fn: Callable[..., Any] | None = None,
    *,
    on_error: str = "raise",
    max_concurrency: int | None = None,
    use_process: bool | None = None,
    dead_letter: str | None = None,
) -> Udf | Callable[[Callable[..., Any]], Udf]:
    """Says how a function is run by streams. It stays an ordinary function, and plain functions work without it.

    Parameters:
        on_error: what a failing row does: "raise" ends the run, "null" makes the result null, "skip" drops the row.
        max_concurrency: how many calls may run at once: threads, processes, or calls of an `async def` that are awaited.
        use_process: calls it in worker processes.
        dead_letter: a Parquet file for all failing rows; needs another `on_error` than "raise".

    Raises:
        PlanError: an option that is none of these.
    """
    if on_error not in _ON_ERROR:
        raise PlanError(f"on_error={on_error!r}: it is one of {', '.join(map(repr, _ON_ERROR))}")
    limit = cast("object", max_concurrency)
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise PlanError(f"max_concurrency={limit!r}: it is a whole number from 1 on")
    if dead_letter is not None and on_error == "raise":
        raise PlanError('dead_letter needs on_error="null" or "skip": with "raise" the run ends')
    options = Options(on_error, max_concurrency, bool(use_process), dead_letter)
    if fn is None:

        def wrap(given: Callable[..., Any]) -> Udf:
            return _udf(given, options)

        return wrap
    return _udf(fn, options)


def _udf(fn: Any, options: Options) -> Udf:
    if isinstance(fn, Udf):
        raise PlanError(f"{fn!r} is a udf already; give all options at once")
    if not callable(fn):
        raise PlanError(f"udf takes a function, not {type(fn).__name__}")
    return Udf(fn, options)
