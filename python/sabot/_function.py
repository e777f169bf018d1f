"""A user's function bound to a schema: captured, typed, and ready for the engine."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot import _config, _core
from sabot._annotations import Annotation, blob_annotation
from sabot._arrays import arrays_of, as_batch_function, bind_arrays
from sabot._capture import Captured, Refusal, capture, null_skipping_blob
from sabot._engine import session
from sabot._errors import CompileError, PlanError, TypeMismatchError, UnknownColumnError
from sabot._expr import Applied
from sabot._kinds import kind_of
from sabot._lane import ON_ERROR, BatchBinding, Binding, Place
from sabot._udf import FORMATS, Options, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._numba import Form
    from sabot._returns import Given

_CACHE_MAX = 256
_PLAIN = Options()
_RESULTS: dict[str, type] = {"l": int, "g": float, "b": bool, "u": str, "n": type(None)}
_BLOB_RESULTS = {
    format: blob_annotation(Annotation(kind, optional=False, known=True))
    for format, kind in _RESULTS.items()
}


class Scalar(NamedTuple):
    """A scalar function of the plan; `told`: the type of its result is known, `options`: what its `udf` says."""

    captured: Captured
    core: _core.Function
    positional_count: int
    keywords: tuple[str, ...] | None
    kind_rule: str
    told: bool
    options: Options = Options()
    given: Given | None = None  # of a record function in map: what it gives
    numba: Form | str = ""  # what computes it with compile="numba"; a text: why nothing does

    def binding(self, operator: str, *, truth: bool = False) -> Binding:
        """What the engine needs to call it; `operator` begins the text of its place, `truth` is for a filter."""
        columns = tuple(column for _, column in self.core.params)
        name = self.captured.name
        given = self.captured.record or ", ".join(columns)
        place = Place(f"{operator}{name}({given})", name, columns)
        function: Any = self.captured.fn
        options = self.options
        return Binding(
            function,
            self.positional_count,
            self.keywords,
            place,
            truth,
            ON_ERROR.index(options.on_error),
            options.nulls == "skip",
            options.dead_letter,
            keys=self.given.results if self.given is not None else (),
            pure=options.pure is True,
            ahead=None if isinstance(self.numba, str) else self.numba.rows,
        )


def bind(
    fn: Callable[..., object] | Applied,
    schema: pa.Schema | None,
    operator: str,
    declared: pa.Schema | None = None,
) -> Scalar | BatchBinding:
    """Tells a function's kind and binds it to the columns of `schema` (None: not known before the run).

    operator: the method it was given to, or "explain", which takes every kind and results of any type.
    """
    given: Any = fn
    if isinstance(given, Applied):
        from sabot._apply import bind_applied

        return bind_applied(given, schema, operator)
    fn, options = unwrap(given)
    if not callable(fn):
        raise PlanError(f"{operator} takes a function, not {type(fn).__name__}")
    arrays = arrays_of(fn)
    if arrays is not None:
        return bind_arrays(arrays, schema, operator, options)
    captured = capture(fn)
    kind_operator = "filter" if operator == "explain" else operator
    names = schema.names if schema is not None else ()
    kind = kind_of(captured, names, kind_operator, options.kind)
    if kind.error is not None:
        by_names = kind.kind == "scalar" and kind_operator not in ("map", "flat_map")
        if schema is None and (by_names or kind.row in ("unknown_column", "untold_column")):
            raise PlanError(_too_early(captured, operator))
        if by_names or kind.row == "unknown_column":
            raise UnknownColumnError(kind.error)
        raise PlanError(kind.error)
    if kind.kind == "array":
        name = None if operator == "filter" else _new_name(names)
        made: Any = as_batch_function(given, name)
        return bind_arrays(made.fn.args[0], schema, operator, made.options)
    if kind.kind == "scalar":
        return bind_scalar(captured, schema, operator, kind.rule, options)
    if options.compile == "numba":
        raise PlanError(
            f'{operator}({captured.name}): compile="numba" is for scalar functions, and this is a {kind.kind} function ({kind.rule})'
        )
    if kind.kind == "record":
        return _bind_record(captured, schema, operator, kind.rule, options, declared)
    if operator == "with_columns":
        raise PlanError(
            f"{captured.name} is a batch function ({kind.rule}); with_columns takes functions of column "
            "values. Name its parameters after columns, or use map"
        )
    name = captured.name
    check_batch_options(name, operator, options)
    place = Place(f"{operator.upper()} {name}(batch)", name, ())
    bound = BatchBinding(
        fn,
        place,
        declared,
        operator == "filter",
        ON_ERROR.index(options.on_error),
        options.dead_letter,
        pure=options.pure is True,
        label=f"{name}(batch)",
    )
    if schema is not None and operator in ("map", "filter", "explain"):
        from sabot._form_bind import lower

        explains = operator == "explain"
        bound = lower(captured, schema, kind.rule, options, bound, explains=explains)
    if options.compile == "require" and operator != "explain" and bound.lowered is None:
        raise not_compiled(captured, bound, schema)
    return bound


def _new_name(names: Sequence[str]) -> str:
    name = "result"
    while name in names:
        name += "'"
    return name


def _bind_record(
    captured: Captured,
    schema: pa.Schema | None,
    operator: str,
    rule: str,
    options: Options,
    declared: pa.Schema | None,
) -> Scalar | BatchBinding:
    from sabot._record import as_scalar

    if schema is None and operator != "flat_map":
        raise PlanError(_too_early(captured, operator))
    check_rows_options(captured.name, operator, options)
    if options.args is not None:
        raise PlanError(
            f"{operator}({captured.name}): args= is for scalar functions; a record function reads columns by their names"
        )
    if options.nulls == "skip":
        raise PlanError(
            f'{operator}({captured.name}): nulls="skip" is for scalar functions; a record function has one argument, the row'
        )
    if operator == "flat_map" or schema is None:
        from sabot._record_map import bind_flat_map

        return bind_flat_map(captured, schema, options, declared)
    if operator in ("map", "explain"):
        from sabot._record_map import bind_map, gives_records

        if operator == "map" or gives_records(captured, schema):
            return bind_map(captured, schema, rule, options, declared, explains=operator != "map")
    return bind_scalar(as_scalar(captured, schema.names), schema, operator, rule, options)


def takes_rows(fn: object) -> bool:
    """Whether a function given to `map` or `flat_map` takes a row as a dict, whatever the columns are called."""
    target, options = unwrap(fn)
    return callable(target) and kind_of(capture(target), (), "map", options.kind).kind == "record"


def batch_rows(fn: object, schema: pa.Schema | None, operator: str) -> int | None:
    """How many rows a batch function wants in each call, if it says so; None for functions of other kinds."""
    target, options = unwrap(fn)
    if options.batch_size is None:
        return None
    kind = kind_of(
        capture(target), schema.names if schema is not None else (), operator, options.kind
    )
    return options.batch_size if kind.kind == "batch" else None


def check_batch_options(name: str, operator: str, options: Options) -> None:
    """Refuses options of `udf` that a batch function cannot have.

    Raises:
        PlanError: one of them.
    """
    if options.on_error == "null" and operator in ("map", "flat_map"):
        raise PlanError(
            f'{operator}({name}): on_error="null" makes a result null, and a batch function that fails has none, nor '
            'is it known how many rows it would have given; use on_error="skip", which drops the rows of its batch'
        )
    if options.nulls == "skip":
        raise PlanError(
            f'{operator}({name}): nulls="skip" is for scalar functions; a batch has rows with nulls and without'
        )
    if options.returns is not None:
        raise PlanError(
            f"{operator}({name}): returns= is for scalar functions; a batch function's result is told by schema="
        )
    if options.args is not None:
        raise PlanError(
            f"{operator}({name}): args= is for scalar functions; a batch has its schema"
        )


def check_rows_options(name: str, operator: str, options: Options) -> None:
    """Refuses options of `udf` that a function called row by row in the engine cannot have.

    Raises:
        PlanError: one of them.
    """
    if options.batch_size is not None:
        raise PlanError(
            f"{operator}({name}): batch_size= is for batch functions, or the rows that a thread or worker process takes at once "
            "(max_concurrency=, use_process=True)"
        )


def because(core: _core.Function) -> str:
    """Why a function is not compiled, as explain() ends its line; "" for no reason."""
    reasons: list[dict[str, Any]] = json.loads(core.report())["reasons"]
    if not reasons:
        return ""
    first = reasons[0]
    detail = f": {first['detail']}" if first["detail"] else ""
    line = f" (line {first['line']})" if first["line"] else ""
    return f"  because: {first['message']}{detail}{line}"


def not_compiled(
    captured: Captured, bound: Scalar | BatchBinding, schema: pa.Schema | None
) -> CompileError:
    """The error for `compile="require"` of a function that is not compiled, with its report."""
    from sabot._report import Report

    columns = schema if schema is not None else pa.schema([])
    return CompileError(captured.name, Report(captured, bound, columns))


def _too_early(captured: Captured, operator: str) -> str:
    return (
        f"{operator}({captured.name}): the columns are not known before the run, because a map without "
        "schema= comes before it; give that map its schema="
    )


def bind_scalar(
    captured: Captured,
    schema: pa.Schema | None,
    operator: str,
    rule: str,
    options: Options = _PLAIN,
) -> Scalar:
    """Binds a scalar function to columns by its parameters' names."""
    if operator == "map":
        raise PlanError(
            f"{captured.name} is a scalar function ({rule}); map takes batch functions. "
            f"For a new column use with_columns(name={captured.name})"
        )
    if schema is None:
        raise PlanError(_too_early(captured, operator))
    check_rows_options(captured.name, operator, options)
    if options.args is not None:
        from sabot._ahead import check_types

        check_types(captured, options.args, schema)
        schema = pa.schema(list(options.args.items()))  # that of the code that was made ahead
    params = captured.params or ()
    for param in params:
        if schema.names.count(param.name) > 1:
            raise PlanError(
                f"{captured.name}: there is more than one column {param.name!r}; rename"
            )
    if options.compile == "numba" and _config.get("compile") != "off":
        core, told, numba = _by_numba(captured, schema, operator, options)
    else:
        core, told = _typed(captured, schema, operator, options)
        numba = ""
    bound = [index for index, _ in core.params]
    positional = 0
    while (
        positional < len(bound)
        and bound[positional] == positional
        and params[positional].kind == "positional"
    ):
        positional += 1
    keywords = tuple(params[index].name for index in bound[positional:])
    scalar = Scalar(captured, core, positional, keywords or None, rule, told, options, numba=numba)
    if options.compile == "require" and not core.compiled and operator != "explain":
        raise not_compiled(captured, scalar, schema)
    return scalar


def _by_numba(
    captured: Captured, schema: pa.Schema, operator: str, options: Options
) -> tuple[_core.Function, bool, Form | str]:
    """The function with its form of Numba, or why it has none; Numba tells the result's type where nothing else does."""
    from sabot._numba import MODE, compiled

    form = compiled(captured, schema)
    try:
        core, told = _typed(captured, schema, operator, options)
    except TypeMismatchError:
        raise
    except PlanError:
        if isinstance(form, str):
            raise
        core, told = None, False
    blob = _blob_of(captured, schema, options)
    wanted = core.result_format if core is not None and told else ""
    if not isinstance(form, str) and wanted not in ("", form.format) and operator != "filter":
        types = {format: type_ for type_, format in FORMATS.items()}
        form = f"Numba makes it {types[form.format]}, and its column is {types[wanted]}"
    if not isinstance(form, str):
        # A filter takes the truth of any result.
        number = _BLOB_RESULTS[wanted or ("b" if operator == "filter" else form.format)]
        return core_function(_annotated(blob, number), schema, True, host=(MODE, None)), True, form
    assert core is not None
    if told:
        blob = _annotated(blob, _BLOB_RESULTS[wanted])
        core = core_function(blob, schema, True, host=(None, form))
    return core, told, form


def _typed(
    captured: Captured, schema: pa.Schema, operator: str, options: Options
) -> tuple[_core.Function, bool]:
    """The function, and whether the type of its result could be told. A filter wants the truth of any result."""
    core, told = _inferred(captured, schema, operator, options)
    returns = options.returns
    if told and returns is not None and core.result_format != FORMATS[returns]:
        inferred = next(type_ for type_, format in FORMATS.items() if format == core.result_format)
        raise TypeMismatchError(
            f"{captured.name} gives {inferred}, but returns= says {returns}; leave returns= out, or change the function"
        )
    return core, told


def _inferred(
    captured: Captured, schema: pa.Schema, operator: str, options: Options
) -> tuple[_core.Function, bool]:
    off = options.off
    blob = _blob_of(captured, schema, options)
    try:
        core = core_function(blob, schema, off)
        if operator != "filter" or core.compiled or core.result_format in ("l", "g", "b"):
            return core, True
    except TypeMismatchError as error:
        if operator != "filter" or "return" in captured.annotations:
            raise
        refusal = Refusal("type", str(error).partition(": ")[2], 0, 0, 0, 0)
        return core_function(refused_blob(captured, refusal, bool), schema, off), False
    except UnknownColumnError:
        raise
    except PlanError:
        if options.returns is not None and operator != "filter":
            number = _BLOB_RESULTS[FORMATS[options.returns]]
            return core_function(_annotated(blob, number), schema, off), True
        if operator not in ("filter", "explain"):
            raise
    return core_function(_annotated(blob, _BLOB_RESULTS["b"]), schema, off), False


def can_compile(scalar: Scalar, schema: pa.Schema) -> bool:
    """Whether a function has a compiled form for these columns, also where compilation is off."""
    if scalar.core.compiled:
        return True
    blob = _blob_of(scalar.captured, schema, scalar.options)
    try:
        return _core.Function(session(), blob, schema).compiled
    except PlanError:
        return False


def _blob_of(captured: Captured, schema: pa.Schema, options: Options) -> bytes:
    if captured.blob is None:
        return refused_blob(captured)
    if options.nulls != "skip":
        return captured.blob
    params = captured.params or ()
    bound = [index for index, param in enumerate(params) if param.name in schema.names]
    return null_skipping_blob(captured, bound) or captured.blob


def _annotated(blob: bytes, number: int) -> bytes:
    """The blob with another return annotation, which stands behind magic, version, name, file and line."""
    place = _texts_of(blob)[1] + 4
    return blob[:place] + bytes([number]) + blob[place + 1 :]


def blob_head(blob: bytes) -> tuple[str, str, int]:
    """A function's name, file and first line."""
    (name, file), place = _texts_of(blob)
    return name, file, int.from_bytes(blob[place : place + 4], "little")


def _texts_of(blob: bytes) -> tuple[tuple[str, str], int]:
    """Name and file, and where the blob goes on."""
    texts: list[str] = []
    place = 8
    for _ in range(2):
        end = place + 4 + int.from_bytes(blob[place : place + 4], "little")
        texts.append(blob[place + 4 : end].decode("utf-8", "replace"))
        place = end
    return (texts[0], texts[1]), place


_cache: OrderedDict[tuple[object, ...], _core.Function] = OrderedDict()


def core_function(
    blob: bytes,
    schema: pa.Schema,
    off: bool,
    keys: tuple[str, ...] | None = None,
    host: tuple[str | None, str | None] | None = None,
) -> _core.Function:
    """Typed once for one text and one set of columns: a repeat shares the native code and the counters.

    keys: the names of the items of the tuple that it gives; None: it gives one value.
    host: what computes it that is not CPython, or why CPython does.
    """
    compile_off = off or _config.get("compile") == "off"
    key = (
        os.getpid(),
        blob,
        compile_off,
        keys,
        tuple(zip(schema.names, map(str, schema.types), strict=True)),
        host,
    )
    found = _cache.get(key)
    if found is None:
        found = _core.Function(session(), blob, _known_zones(schema), compile_off, keys)
        if host is not None:
            found.set_host(*host)
        _cache[key] = found
    with contextlib.suppress(KeyError):  # another thread may be here, too
        _cache.move_to_end(key)
        while len(_cache) > _CACHE_MAX:
            _cache.popitem(last=False)
    return found


def bound_functions() -> list[tuple[bytes, tuple[tuple[str, str], ...], _core.Function]]:
    """The functions that this process bound to columns last, with their blob and these columns' names and types."""
    pid = os.getpid()
    found: list[tuple[bytes, tuple[tuple[str, str], ...], _core.Function]] = []
    for key, core in list(_cache.items()):
        if key[0] == pid:
            columns = cast("tuple[tuple[str, str], ...]", key[4])
            found.append((cast("bytes", key[1]), columns, core))
    return found


def _known_zones(schema: pa.Schema) -> pa.Schema:
    """The schema; timestamps in zones that this Python does not know as nanoseconds, which functions do not read.

    Making a value of such a column raises, and a compiled function would make none.
    """
    known: Any = schema
    for index, type in enumerate(known.types):
        if pa.types.is_timestamp(type) and type.tz is not None:
            try:
                pa.scalar(0, type).as_py()
            except Exception:
                known = known.set(index, known[index].with_type(pa.timestamp("ns", type.tz)))
    return known


def refused_blob(
    captured: Captured, refusal: Refusal | None = None, returns: type | None = None
) -> bytes:
    """A blob without a tree: parameters, annotation and why, so that the engine can still type and run the function."""
    from sabot._blob import MAGIC, NODES, VERSION

    def text(value: str) -> bytes:
        data = value.encode("utf-8", "replace")
        return struct.pack("<I", len(data)) + data

    refused = captured.refusals[0] if refusal is None else refusal
    declared = Annotation(returns, optional=False, known=True) if returns else None
    number = blob_annotation(declared or captured.annotations.get("return"))
    params = captured.params or ()

    def unsupported() -> bytes:
        place = (refused.line, refused.col, refused.end_line, refused.end_col)
        head = struct.pack("<BIIII", NODES["UNSUPPORTED"], *place)
        return head + text(refused.code) + text(refused.detail)

    parts = [struct.pack("<II", MAGIC, VERSION), text(captured.name), text(captured.file)]
    parts.append(struct.pack("<IB", captured.first_line, number))
    parts += [text(captured.record), struct.pack("<I", len(params))]
    parts += [text(param.name) for param in params]
    parts.append(struct.pack("<I", len(params)))
    for param in params:
        parts.append(struct.pack("<B", param.has_default))
        if param.has_default:
            parts.append(unsupported())
    parts.append(struct.pack("<II", 0, 1))
    parts.append(unsupported())
    return b"".join(parts)
