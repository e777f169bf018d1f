"""Record functions in `map` and `flat_map`, bound to the columns of a stream.

A function whose text tells what it gives runs in the engine: its results are computed together, and what it passes on is not touched.
Any other runs in CPython, row by row, on whole batches.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sabot._by_rows import RowMap
from sabot._conform import widens
from sabot._errors import PlanError, TypeMismatchError
from sabot._function import Scalar, because, core_function, not_compiled, refused_blob
from sabot._lane import ON_ERROR, BatchBinding, Place
from sabot._record import as_map, row_of
from sabot._returns import Given, read_returns
from sabot._udf import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sabot import _core
    from sabot._capture import Captured
    from sabot._udf import Options

_TYPES = {format: type_ for type_, format in FORMATS.items()}


def gives_records(captured: Captured, schema: pa.Schema) -> bool:
    """Whether a record function is one of `map`: what it returns are records.

    Raises:
        TypeMismatchError: they have different columns.
    """
    if captured.blob is None:
        return False
    with contextlib.suppress(PlanError):
        return isinstance(read_returns(captured, row_of(captured), schema), Given)
    return False


def bind_map(
    captured: Captured,
    schema: pa.Schema,
    rule: str,
    options: Options,
    declared: pa.Schema | None,
    *,
    explains: bool = False,
) -> Scalar | BatchBinding:
    """Binds a record function that gives one record for each row.

    Raises:
        TypeMismatchError: two paths give different columns or kinds that no type holds, or `declared` says otherwise.
        PlanError: it gives one value a row, or two columns have one name.
    """
    name = captured.name
    _check_columns(name, schema)
    if options.returns is not None:
        raise PlanError(
            f"map({name}): returns= is for one value; what a map gives is told by schema="
        )
    made, given = as_map(captured, schema)
    off = options.off
    blob = made.blob if made.blob is not None else refused_blob(made)
    core = core_function(blob, schema, off, given.results if given is not None else ("",))
    params = tuple(range(len(core.params)))
    scalar = Scalar(made, core, len(params), None, rule, given is not None, options, given)
    told = None if given is None else _told(core, given, schema)
    in_engine = told is not None
    if told is not None and declared is not None and not told.equals(declared):
        _check_declared(name, told, declared)
        in_engine = False
    if given is not None and options.on_error == "null":
        # A row that fails has no value of what is passed on either.
        columns: Any = schema
        in_engine = in_engine and all(columns.field(one).nullable for one in given.passed.values())
    if options.compile == "require" and not explains and not (core.compiled and in_engine):
        raise not_compiled(captured, scalar, schema)
    if in_engine or explains:
        return scalar._replace(told=in_engine)
    wanted = declared if declared is not None else _nullable(told)
    return _by_rows(captured, given, wanted, options, core)


def _check_columns(name: str, schema: pa.Schema) -> None:
    twice = {one for one in schema.names if schema.names.count(one) > 1}
    if twice:
        raise PlanError(f"{name}: there is more than one column {min(twice)!r}; rename")


def _told(core: _core.Function, given: Given, schema: pa.Schema) -> pa.Schema | None:
    """The schema of what it gives; None where a type cannot be told."""
    formats = dict(zip(given.results, core.key_formats, strict=True))
    if "" in formats.values():
        return None
    columns: Any = schema
    fields: list[pa.Field[Any]] = [
        columns.field(given.passed[name]).with_name(name)
        if name in given.passed
        else pa.field(name, _TYPES[formats[name]])
        for name in given.names
    ]
    return pa.schema(fields, columns.metadata)


def _nullable(schema: pa.Schema | None) -> pa.Schema | None:
    if schema is None:
        return None
    columns: Any = schema
    fields: list[pa.Field[Any]] = [field.with_nullable(True) for field in columns]
    return pa.schema(fields, columns.metadata)


def _check_declared(name: str, told: pa.Schema, declared: pa.Schema) -> None:
    """Refuses a declared schema that what is told does not widen to."""
    if told.names != declared.names:
        here, there = ", ".join(told.names), ", ".join(declared.names)
        raise TypeMismatchError(f"{name} gives the columns {here}, but schema= says {there}")
    for field, one, other in zip(told.names, told.types, declared.types, strict=True):
        if not widens(one, other):
            raise TypeMismatchError(
                f"{name} gives {field!r} as {one}, but schema= says {other}; leave schema= out, or change the function"
            )


def _by_rows(
    captured: Captured,
    given: Given | None,
    schema: pa.Schema | None,
    options: Options,
    core: _core.Function,
) -> BatchBinding:
    name, row = captured.name, row_of(captured)
    place = Place(f"MAP {name}({row})", name, ())
    fn = cast("Callable[[dict[str, object]], object]", captured.fn)
    return BatchBinding(
        cast("Any", fn),
        place,
        schema,
        False,
        ON_ERROR.index(options.on_error),
        options.dead_letter,
        pure=options.pure is True,
        rows=RowMap(fn, name, given, schema),
        label=f"{name}({row})\tinterpreted, record{because(core)}",
    )


def bind_flat_map(
    captured: Captured,
    schema: pa.Schema | None,
    options: Options,
    declared: pa.Schema | None,
) -> BatchBinding:
    """Binds a record function that gives any number of records for each row; CPython runs it.

    Raises:
        PlanError: an option that it cannot have, or two columns of one name.
        CompileError: it was to be compiled.
    """
    name = captured.name
    if schema is not None:
        _check_columns(name, schema)
    if options.on_error == "null":
        raise PlanError(
            f'flat_map({name}): on_error="null" makes a result null, and it is not known how many rows a row that failed would '
            'have given; use on_error="skip"'
        )
    if options.returns is not None:
        raise PlanError(
            f"flat_map({name}): returns= is for one value; what a flat_map gives is told by schema="
        )
    row = row_of(captured)
    place = Place(f"FLAT_MAP {name}({row})", name, ())
    fn = cast("Callable[[dict[str, object]], object]", captured.fn)
    bound = BatchBinding(
        cast("Any", fn),
        place,
        declared,
        False,
        ON_ERROR.index(options.on_error),
        options.dead_letter,
        pure=options.pure is True,
        rows=RowMap(fn, name, None, declared),
        label=f"{place.text}   interpreted, record: row by row in CPython",
    )
    if options.compile == "require":
        raise not_compiled(captured, bound, schema)
    return bound
