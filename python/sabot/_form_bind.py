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

from sabot import _core
from sabot._between import Between
from sabot._capture import Param, Refusal, record_blob, seen_names
from sabot._encode_numpy import letter_of
from sabot._engine import session
from sabot._errors import PlanError
from sabot._form import row_form
from sabot._form_filters import MASK
from sabot._form_values import NOTHING, NoFormError, batch_parameter
from sabot._form_whole import whole_form
from sabot._function import Scalar, because, core_function
from sabot._lane import TYPES

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from sabot._capture import Captured
    from sabot._form_parts import Phase, RowForm, Stage
    from sabot._lane import BatchBinding
    from sabot._udf import Options

    StageLoop: TypeAlias = tuple[str, _core.Loop, str, tuple[int | float, ...]]
    Stages: TypeAlias = tuple[tuple[_core.Function, tuple[StageLoop, ...]], ...]
    Phases: TypeAlias = tuple["LoweredPhase", ...]


_BY_BATCH = "in CPython, batch by batch"


class LoweredPhase(NamedTuple):
    """A phase as the engine takes it. core: its row function, or None; stages: what runs before that. between: what NumPy does then."""

    plan: _core.Plan
    core: _core.Function | None
    stages: Stages
    between: Between


class Lowered(NamedTuple):
    """How the engine runs a batch function by its row function.

    scalar: the row function. kind: of its form. label: for explain(). columns: of the result, as the engine takes them: of each column
    the input's that is passed on, or None, and its name; of a filter none. stages: what runs before it, each a function and the loops
    of NumPy's behind it; loops: names of NumPy's functions that these compute. reads: columns of the input. phases: what is computed
    before all that, and what NumPy does with it; whole_calls: the names of that; seen: the columns that are there behind them. mask: the
    result that says which rows there are; None: all.
    """

    scalar: Scalar
    kind: str
    label: str
    columns: tuple[list[str | None], list[str]]
    stages: Stages = ()
    loops: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    phases: Phases = ()
    whole_calls: tuple[str, ...] = ()
    seen: pa.Schema | None = None
    mask: str | None = None

    @property
    def others(self) -> tuple[_core.Function, ...]:
        """The functions that run before the row function."""
        cores = [one.core for one in self.phases if one.core is not None]
        stages = (*(stage for one in self.phases for stage in one.stages), *self.stages)
        return (*cores, *(core for core, _ in stages))

    def plan(self, before: _core.Plan, bound: BatchBinding) -> _core.Plan:
        """The plan with it as the next operator. bound: its binding."""
        schema = None if bound.is_filter else bound.schema
        source = before
        if self.phases:
            assert self.seen is not None
            source = _core.Plan(session(), "PHASE", self.seen)
        made = source.lowered(
            self.label,
            self.scalar.core,
            bound.is_filter,
            *self.columns,
            self.stages,
            schema,
            self.mask,
        )
        if not self.phases:
            return made
        return before.phased([(one.plan, one.between.one) for one in self.phases], made)


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
        off = options.compile == "off"
        phases, refusing = _phases_of(captured, form, schema, off)
        if refusing is None:
            stages, refusing = stages_of(captured, form, schema, off)
        else:
            stages: Stages = ()
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
    if not form.is_worth_it:
        names = ", ".join(dict.fromkeys(call.name for call in form.whole_calls))
        why = f"little is computed beside {names}, so NumPy by itself is as fast"
        return _refused(bound, Refusal("row_form", why, 0, 0, 0, 0))
    columns: tuple[list[str | None], list[str]] = ([], [])
    if not bound.is_filter:
        columns = ([passed for _, passed in form.columns], [name for name, _ in form.columns])
    label, loops = _label(bound, form, schema), loops_of(form)
    reads = inputs_of(form, schema)
    if refusal is not None:
        line = f" (line {refusal.line})" if refusal.line else ""
        label += f"  not by rows: {refusal.detail or refusal.code}{line}"
    calls = tuple(dict.fromkeys(call.name for call in form.whole_calls))
    seen = _behind(schema, form.phases)
    mask = MASK if form.masked else None
    lowered = Lowered(
        scalar, form.kind, label, columns, stages, loops, reads, phases, calls, seen, mask
    )
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
    made = row_function(captured, form.tree, form)
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
    """What the row function and its stages may read: a batch's columns, and those that NumPy makes."""
    return _with_loops(_behind(schema, form.phases), form.stages)


def _behind(schema: pa.Schema, phases: Sequence[Phase]) -> pa.Schema:
    """The columns that are there behind phases."""
    calls = [call for phase in phases for call in phase.calls]
    return _with_columns(schema, [(call.column, letter_of(call.dtype)) for call in calls])


def _with_loops(schema: pa.Schema, stages: Sequence[Stage]) -> pa.Schema:
    calls = [call for stage in stages for call in stage.calls]
    return _with_columns(schema, [(call.column, call.loop.letter) for call in calls])


def _with_columns(schema: pa.Schema, made: Sequence[tuple[str, str]]) -> pa.Schema:
    fields: Any = [*cast("Any", schema), *(pa.field(name, TYPES[letter]) for name, letter in made)]
    return pa.schema(fields) if made else schema


def inputs_of(form: RowForm, schema: pa.Schema) -> tuple[str, ...]:
    """The batch's columns that it reads."""
    parts = (form, *form.stages, *form.phases, *(s for one in form.phases for s in one.stages))
    read = {name for one in parts for name in one.read}
    read |= {column for one in form.phases for _, column in one.given if column is not None}
    return tuple(name for name in schema.names if name in read)


def loops_of(form: RowForm) -> tuple[str, ...]:
    """The names of NumPy's functions whose loops it needs."""
    return tuple(dict.fromkeys(call.name for call in form.calls))


def stages_of(
    captured: Captured, form: RowForm, schema: pa.Schema, off: bool
) -> tuple[Stages, _core.Function | None]:
    """The stages as the engine takes them; or the function of one that is not compiled."""
    return _stages_of(captured, form.stages, _behind(schema, form.phases), off)


def _stages_of(
    captured: Captured, stages: Sequence[Stage], schema: pa.Schema, off: bool
) -> tuple[Stages, _core.Function | None]:
    inner = _with_loops(schema, stages)
    made: list[tuple[_core.Function, tuple[StageLoop, ...]]] = []
    for stage in stages:
        blob = row_function(captured, stage.tree, stage).blob
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


def _phases_of(
    captured: Captured, form: RowForm, schema: pa.Schema, off: bool
) -> tuple[Phases, _core.Function | None]:
    """Likewise the phases.

    Raises:
        NoFormError: a phase does not give the arrays that NumPy is to be given.
    """
    made: list[LoweredPhase] = []
    for number, phase in enumerate(form.phases):
        seen = _behind(schema, form.phases[:number])
        source = _core.Plan(session(), "PHASE", seen)
        names = [str(place) for place in range(len(phase.given))]
        columns = [column for _, column in phase.given]
        places = {name: place for place, (name, _) in enumerate(phase.given)}
        dtypes: dict[str, Any] = {
            name: dtype
            for call in phase.calls
            for name, dtype in zip(call.arguments, call.dtypes, strict=True)
        }
        core, stages = None, ()
        if phase.tree is None:
            plan = source.project([column for column in columns if column is not None], names)
        else:
            blob = row_function(captured, phase.tree, phase).blob
            assert blob is not None
            keys = tuple(str(places[name]) for name in phase.results)
            core = core_function(blob, _with_loops(seen, phase.stages), off, keys)
            if not core.compiled:
                return (), core
            stages, refusing = _stages_of(captured, phase.stages, seen, off)
            if refusing is not None:
                return (), refusing
            wanted = [letter_of(dtypes[name]) for name in phase.results]
            if [*core.key_formats] != wanted:
                raise NoFormError(phase.tree, "an array of another type than NumPy's")
            plan = source.lowered("", core, False, columns, names, stages)
        calls = [(call, tuple(places[one] for one in call.arguments)) for call in phase.calls]
        types = [TYPES[letter_of(call.dtype)] for call in phase.calls]
        between = Between(calls, [dtypes[name] for name, _ in phase.given], types, phase.one)
        made.append(LoweredPhase(plan, core, stages, between))
    return tuple(made), None


def row_function(
    captured: Captured, tree: ast.FunctionDef, form: RowForm | Stage | Phase
) -> Captured:
    """The row function: its parameters are columns."""
    made = copy.copy(captured)
    param = batch_parameter(captured)
    made.record = param
    made.blob = record_blob(captured, tree, param, form.read, form.slots, is_record=False)
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
    if form.masked and core.key_formats[0] not in ("b", ""):
        raise NoFormError(form.tree, "rows by something else than a mask of booleans")
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
    parts += ["drops rows"] if form.masked else []
    parts += [f"loops of NumPy's: {', '.join(loops_of(form))}"] if form.calls else []
    whole = dict.fromkeys(call.name for call in form.whole_calls)
    parts += [f"NumPy itself: {', '.join(whole)}"] if whole else []
    return "  ".join(parts)
