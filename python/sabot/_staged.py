"""Which functions have a stage of their own, told without importing what runs them: async ones, those with `max_concurrency` or
`use_process`, classes, and objects with a `__call__` of their own.
"""

from __future__ import annotations

from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, cast

from sabot._expr import Column
from sabot._instances import called_function
from sabot._udf import unwrap

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from sabot._concurrent import CallStage
    from sabot._stream import Stream

_COROUTINE, _ASYNC_GENERATOR = 0x80, 0x200


def staged(
    stream: Stream,
    operator: str,
    functions: Mapping[str, Any],
    declared: pa.Schema | None = None,
) -> CallStage | None:
    """The stage of those of an operator's functions that have one; None where the engine runs them all.

    What the engine computes is computed before the stage. Where a row may be dropped by one of them, those behind the first that has a
    stage are called by the stage, in their turn.

    functions: by the names of the columns that they make, in with_columns; else one.
    """
    wanted = [name for name, fn in functions.items() if has_stage(fn)]
    if not wanted:
        return None
    from sabot._concurrent import CallStage, call_here, call_of

    calls = {name: call_of(functions[name]) for name in wanted}
    behind = list(functions)[list(functions).index(wanted[0]) :]
    if any(_drops(functions[name]) for name in behind):
        calls = {
            name: calls[name] if name in calls else call_here(functions[name])
            for name in behind
            if type(functions[name]) is not Column
        }
    return CallStage(stream, operator, calls, declared, functions)


def _drops(fn: Any) -> bool:
    """Whether a function drops the rows at which it fails."""
    return getattr(getattr(fn, "options", None), "on_error", "") == "skip"


def has_stage(fn: object) -> bool:
    """Whether a function has a stage of its own."""
    target, options = unwrap(fn)
    if options.max_concurrency is not None or options.use_process:
        return True
    called = called_by(target)
    return called is not target or is_async(called)


def called_by(target: Any) -> Any:
    """The function that runs when a target is called: the `__call__` of its class, if that is written in Python, else itself."""
    kind = cast("Any", type(target))
    if kind in (FunctionType, MethodType):
        return target
    return called_function(target if isinstance(target, type) else kind) or target


def is_async(called: Any) -> bool:
    """Whether calls are to be awaited, or give an async generator."""
    while isinstance(called, partial):
        called = cast("Any", called).func
    code = getattr(getattr(called, "__func__", called), "__code__", None)
    return code is not None and bool(code.co_flags & (_COROUTINE | _ASYNC_GENERATOR))
