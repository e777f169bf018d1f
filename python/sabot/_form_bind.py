"""Batch functions that native code computes row by row: bound to the columns of a stream.

The row function gives the columns; the batch function itself stays beside it and is called for each batch of which a row cannot be
computed exactly. What a column's type is follows from the row function, in every compile mode.
"""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot._capture import Param, Refusal, record_blob, seen_names
from sabot._errors import PlanError
from sabot._form import RowForm, row_form
from sabot._form_values import NOTHING, NoFormError, batch_parameter
from sabot._form_whole import whole_form
from sabot._function import Scalar, because, core_function
from sabot._lane import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from sabot import _core
    from sabot._capture import Captured
    from sabot._form import Stage
    from sabot._lane import BatchBinding
    from sabot._udf import Options

    StageLoop: TypeAlias = tuple[str, _core.Loop, str, tuple[int | float, ...]]
    Stages: TypeAlias = tuple[tuple[_core.Function, tuple[StageLoop, ...]], ...]


_BY_BATCH = "in CPython, batch by batch"


class Lowered(NamedTuple):
    """How the engine runs a batch function by its row function.

    scalar: the row function. kind: of its form. label: for explain(). columns: of the result, as the engine takes them: of each column
    the input's that is passed on, or None, and its name; of a filter none. stages: what runs before it, each a function and the loops
    of NumPy's behind it; loops: names of NumPy's functions that these compute. reads: columns of the input.
    """

    scalar: Scalar
    kind: str
    label: str
    columns: tuple[list[str | None], list[str]]
    stages: Stages = ()
    loops: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


def lower(
    captured: Captured,
    schema: pa.Schema,
    rule: str,
    options: Options,
    bound: BatchBinding,
    *,
    explains: bool = False,
) -> BatchBinding:
    """A batch function with its row form; where it has none, with the reason, and with its schema where that can be told.

    Parameters:
        bound: how it runs in CPython; its schema is the declared one.
        explains: it may be a filter's, or a map's.
    """
    if captured.blob is None or captured.node is None:
        return _refused(bound, captured.refusals[0] if captured.refusals else None)
    try:
        wanted = None if explains else bound.is_filter
        form, made, core, told, refusal = formed(captured, schema, options, wanted)
        stages, refusing = stages_of(captured, form, schema, options.compile == "off")
    except NoFormError as error:
        return _refused(bound, error.refusal)
    except PlanError as error:
        return _refused(bound, _refusal_by(error))
    bound = bound._replace(is_filter=form.is_filter)
    declared = bound.schema
    if told is not None and not bound.is_filter and declared is None:
        bound = bound._replace(schema=told, told=True)
    params = tuple(range(len(core.params)))
    scalar = Scalar(made, core, len(params), None, rule, told is not None, options)
    bound = bound._replace(form=scalar)
    if told is None or not core.compiled or refusing is not None:
        why = because(core) or (because(refusing) if refusing is not None else "")
        return bound._replace(label=f"{bound.label}\t{_BY_BATCH}{why}", refusing=refusing)
    if declared is not None and not told.equals(declared):
        return bound
    columns: tuple[list[str | None], list[str]] = ([], [])
    if not bound.is_filter:
        columns = ([passed for _, passed in form.columns], [name for name, _ in form.columns])
    label, loops = _label(bound, form, schema), loops_of(form)
    reads = inputs_of(form, schema)
    if refusal is not None:
        line = f" (line {refusal.line})" if refusal.line else ""
        label += f"  not by rows: {refusal.detail or refusal.code}{line}"
    lowered = Lowered(scalar, form.kind, label, columns, stages, loops, reads)
    return bound._replace(lowered=lowered, refusal=refusal)


class Formed(NamedTuple):
    """What is made of a batch function. told: the schema of what it gives; None: not compiled. refusal: why it has no better form."""

    form: RowForm
    made: Captured
    core: _core.Function
    told: pa.Schema | None
    refusal: Refusal | None = None


def formed(
    captured: Captured, schema: pa.Schema, options: Options, is_filter: bool | None
) -> Formed:
    """The row form, or where that is not compiled the whole form.

    Raises:
        NoFormError, PlanError: it has neither; the row form's reason.
    """
    rows: Formed | None = None
    failed: NoFormError | PlanError | None = None
    try:
        rows = _read(row_form, captured, schema, options, is_filter)
    except (NoFormError, PlanError) as error:
        failed = error
    if rows is not None and rows.told is not None:
        return rows
    why = _refusal_of(rows.core) if rows is not None else _refusal_by(failed)
    whole: Formed | None = None
    if why.code != NOTHING:
        with suppress(NoFormError, PlanError):
            whole = _read(whole_form, captured, schema, options, is_filter)
    if whole is not None and whole.told is not None:
        return whole._replace(refusal=why)
    if rows is None and whole is None:
        assert failed is not None
        raise failed
    # What the whole form cannot do is why, where the text has no other.
    made = rows or whole
    assert made is not None
    return made


def _refusal_by(failed: NoFormError | PlanError | None) -> Refusal:
    if isinstance(failed, NoFormError):
        return failed.refusal
    return Refusal("type", str(failed), 0, 0, 0, 0)


def _refusal_of(core: _core.Function) -> Refusal:
    """Why a function is not compiled, the first reason."""
    reasons: list[dict[str, Any]] = json.loads(core.report())["reasons"]
    if not reasons:
        return Refusal("row_form", "", 0, 0, 0, 0)
    one = reasons[0]
    detail = one["message"] + (f": {one['detail']}" if one["detail"] else "")
    return Refusal(one["code"], detail, one["line"], one["col"], one["end_line"], one["end_col"])


def _read(
    reads: Callable[..., RowForm],
    captured: Captured,
    schema: pa.Schema,
    options: Options,
    is_filter: bool | None,
) -> Formed:
    form = reads(captured, seen_names(captured), schema, is_filter)
    made = row_function(captured, form)
    assert made.blob is not None
    core = core_function(made.blob, with_made(schema, form), options.compile == "off", form.results)
    return Formed(form, made, core, _told(core, form, schema, is_filter=form.is_filter))


def _refused(bound: BatchBinding, refusal: Refusal | None) -> BatchBinding:
    """Runs in CPython, and tells why."""
    if refusal is None or refusal.code == NOTHING:
        return bound._replace(refusal=refusal)
    line = f" (line {refusal.line})" if refusal.line else ""
    label = f"{bound.label}\t{_BY_BATCH}  because: {refusal.detail or refusal.code}{line}"
    return bound._replace(refusal=refusal, label=label)


def with_made(schema: pa.Schema, form: RowForm) -> pa.Schema:
    """What the row function and its stages may read: a batch's columns, and those that loops make."""
    made: Any = [(call.column, TYPES[call.loop.letter]) for call in form.calls]
    fields: Any = [*cast("Any", schema), *(pa.field(name, type) for name, type in made)]
    return pa.schema(fields) if made else schema


def inputs_of(form: RowForm, schema: pa.Schema) -> tuple[str, ...]:
    """The batch's columns that it reads."""
    read = {name for one in (form, *form.stages) for name in one.read}
    return tuple(name for name in schema.names if name in read)


def loops_of(form: RowForm) -> tuple[str, ...]:
    """The names of NumPy's functions whose loops it needs."""
    return tuple(dict.fromkeys(call.name for call in form.calls))


def stages_of(
    captured: Captured, form: RowForm, schema: pa.Schema, off: bool
) -> tuple[Stages, _core.Function | None]:
    """The stages as the engine takes them; or the function of one that is not compiled."""
    inner = with_made(schema, form)
    made: list[tuple[_core.Function, tuple[StageLoop, ...]]] = []
    for stage in form.stages:
        blob = row_function(captured, stage).blob
        assert blob is not None
        places = {name: place for place, name in enumerate(stage.results)}
        core = core_function(blob, inner, off, tuple(map(str, places.values())))
        if not core.compiled:
            return (), core
        calls = tuple(
            (
                call.column,
                call.loop.inner,
                call.loop.letter,
                tuple(places[one] if isinstance(one, str) else one for one in call.arguments),
            )
            for call in stage.calls
        )
        made.append((core, calls))
    return tuple(made), None


def row_function(captured: Captured, form: RowForm | Stage) -> Captured:
    """The row function: its parameters are columns."""
    made = copy.copy(captured)
    param = batch_parameter(captured)
    made.record = param
    made.blob = record_blob(captured, form.tree, param, form.read, form.slots, is_record=False)
    made.params = tuple(
        Param(name, "positional", has_default=False, default=None) for name in form.read
    )
    return made


def _told(
    core: _core.Function,
    form: RowForm,
    schema: pa.Schema,
    *,
    is_filter: bool,
) -> pa.Schema | None:
    """The schema of what it gives; None where the row function is not compiled and does not tell.

    Raises:
        NoFormError: it is no schema that this function could have.
    """
    if is_filter:
        if core.key_formats[0] in ("b", ""):
            return schema if core.key_formats[0] else None
        raise NoFormError(form.tree, "a filter that gives no array of bool")
    formats = dict(zip(form.results, core.key_formats, strict=True))
    wanted = dict(zip(form.results, form.wanted, strict=False))
    columns: Any = schema
    fields: list[pa.Field[Any]] = []
    for (name, passed), field in zip(form.columns, form.fields, strict=True):
        if passed is not None:
            kept = columns.field(passed) if field is None else columns.field(field)
            fields.append(pa.field(name, kept.type) if field is None else kept.with_name(name))
            continue
        if formats[name] == "":
            return None
        type = TYPES[formats[name]]
        if wanted[name] is not None and wanted[name] != type:
            raise NoFormError(form.tree, f"an array of {wanted[name]} from values of {type}")
        fields.append(pa.field(name, type))
    return pa.schema(fields, columns.metadata if form.keeps else None)


def _label(bound: BatchBinding, form: RowForm, schema: pa.Schema) -> str:
    """What explain() shows. bound: as it was, with the function's name and arguments for its label."""
    reads = inputs_of(form, schema)
    made = ", ".join(name for name, passed in form.columns if passed is None)
    passed = ", ".join(name for name, passed in form.columns if passed is not None)
    kind = "batch" if bound.arrays is None else "array"
    parts = [f"{bound.label}\tcompiled, {kind}, {form.kind} form"]
    parts += [f"reads {', '.join(reads)}"] if reads else []
    parts += [f"writes {made}"] if made else []
    parts += [f"passes {passed}"] if passed else []
    parts += [f"loops of NumPy's: {', '.join(loops_of(form))}"] if form.calls else []
    return "  ".join(parts)
