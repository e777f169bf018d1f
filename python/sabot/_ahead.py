"""Functions whose column types are said beforehand: `args=` of `udf`.

Such a function is typed, and its native code made, where it is defined; columns of other types are an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sabot import _config, _core
from sabot._capture import capture
from sabot._errors import PlanError, TypeMismatchError, suggest
from sabot._function import Scalar, bind, not_compiled
from sabot._staged import has_stage

if TYPE_CHECKING:
    from sabot._capture import Captured
    from sabot._udf import Udf

_NATIVE = 2  # as in _chain.TIERS


def compile_ahead(given: Udf) -> None:
    """Types a function by its `args=`, and waits for its native code where it has one.

    Raises:
        PlanError: `args=` names no parameter, or leaves one out; it is no scalar function.
        TypeMismatchError: the result is not what `returns=` or the annotation says.
        CompileError: it is not compiled, and was to be.
    """
    args = given.options.args
    assert args is not None
    fn: Any = given.fn
    if has_stage(given):
        _check_names(getattr(fn, "__name__", type(fn).__name__), capture(_called(fn)), args)
        return
    captured = capture(fn)
    _check_names(captured.name, captured, args)
    schema = pa.schema(list(args.items()))
    bound = bind(given, schema, "explain")  # whatever it will be given to
    if not isinstance(bound, Scalar):
        raise PlanError(f"{captured.name}: args= is for scalar functions, and this is none")
    if given.options.compile == "require" and not bound.core.compiled:
        raise not_compiled(captured, bound, schema)
    if bound.core.compiled and _config.get("tier") != "interpreter":
        _wait(bound, schema)


def _called(fn: Any) -> Any:
    from types import MethodType

    from sabot._staged import called_by

    called = called_by(fn)
    return fn if called is fn else MethodType(called, fn)


def _check_names(name: str, captured: Captured, args: dict[str, pa.DataType]) -> None:
    if captured.params is None:
        raise PlanError(f"{name}: args= needs parameters with names")
    names = [param.name for param in captured.params]
    for given in args:
        if given not in names:
            raise PlanError(
                f"{name} has no parameter {given!r}, which args= names{suggest(given, names)}"
            )
    for param in captured.params:
        if not param.has_default and param.name not in args:
            raise PlanError(f"{name}: args= says nothing of the parameter {param.name!r}")


def check_types(captured: Captured, args: dict[str, pa.DataType], schema: pa.Schema) -> None:
    """Holds columns to the types that were said.

    Raises:
        TypeMismatchError: one has another, or is read though nothing was said of it.
    """
    types = dict(zip(schema.names, schema.types, strict=True))
    for name, wanted in args.items():
        found = types.get(name)
        if found is not None and found != wanted:
            raise TypeMismatchError(
                f"{captured.name}: args= says that {name} is {wanted}, but the column is {found}; cast the column, or change args="
            )
    for param in captured.params or ():
        if param.name in types and param.name not in args:
            raise TypeMismatchError(
                f"{captured.name}: args= says nothing of {param.name}, and there is a column of that name "
                f"({types[param.name]}); add it to args=, or rename the column"
            )


def _wait(bound: Scalar, schema: pa.Schema) -> None:
    """A run over no rows, which waits for native code before it starts."""
    from sabot._engine import session

    plan = _core.Plan(session(), "AHEAD", schema).with_columns(["result"], [bound.core])
    empty: Any = pa.RecordBatch
    batch = empty.from_pylist([], schema=schema)
    run = _core.Run(
        plan, [(batch, 0, None)], (bound.binding("CALL "),), {}, 1, 0, _NATIVE, [False], 1
    )
    try:
        while run.next() is not None:
            pass
    finally:
        run.close()
