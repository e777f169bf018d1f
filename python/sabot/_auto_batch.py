"""`auto_compile` of batch functions: what the function itself gives for this batch, computed by its row form, or else its whole form.

A stream tells a function's columns before it runs. A call does not: pyarrow gives a list the type that its items have in this batch. So an
empty batch is put through the function once, which shows what it gives (batch, table or arrays, which metadata) and which columns get their
type from their items, and such a column keeps the type that was told only where its items can have no other. A function of the whole form
that fails without rows shows it by the first rows of a batch.
"""

from __future__ import annotations

import ast
import json
import sys
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot import _config, _core
from sabot._capture import seen_names
from sabot._decisions import log, place_of, reason_text, say_native, why_not
from sabot._engine import session
from sabot._errors import CompileError, DataError, PlanError
from sabot._form import row_form
from sabot._form_bind import inputs_of, row_function, stages_of, with_made
from sabot._form_values import NOTHING, NoFormError
from sabot._form_whole import whole_form
from sabot._function import Scalar, core_function
from sabot._guards import watched
from sabot._lane import TYPES, BatchBinding, Place
from sabot._piece import arrow
from sabot._run_once import run_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from sabot._capture import Captured
    from sabot._form_parts import RowForm
    from sabot._udf import Options

_FROM_C: Any = cast("Any", pa.Array)._import_from_c
_ROWS_AT_ONCE = 2048
_PIECE_ROWS = 65536
_BOUND_MAX = 8  # schemas
_FEW_ROWS = 32
_LOOPS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SKIPS_MAX = 64  # calls that are the function's own behind batches that were given up
_TRIED_ROWS = (1, 64)  # where a function of the whole form fails without rows
_INTS = 1  # of a function's report: ints among doubles
_LOOKED_AT = 32


class _LeftError(Exception):
    """A row of the batch cannot be computed exactly."""


def _give_up(batch: pa.RecordBatch) -> None:
    raise _LeftError


_HOST = BatchBinding(_give_up, Place("CALL", "", ()), None, is_filter=False)


class _Column(NamedTuple):
    """A column of the result.

    place: of the batch's column that it is, or -1. inferred: its items tell its type; ints: they may be ints among floats. guessed: that
    they tell it is not certain.
    """

    name: str
    place: int
    type: Any
    inferred: bool
    ints: bool
    guessed: bool = False


class _Bound(NamedTuple):
    """A batch function for batches of one schema.

    places: of the columns that it reads. plan: of a run; spot: of a small batch at once, or None. schema: of what it gives; None: it gives
    an array. gives: the class of what it gives. few: so many rows cost less by a call of the function itself. by_rows: a batch may be cut.
    """

    scalar: Scalar
    places: list[int]
    whole: bool
    plan: _core.Plan
    spot: _core.Plan | None
    columns: tuple[_Column, ...]
    schema: Any
    gives: Any
    few: int
    by_rows: bool


def _check(given: Any) -> None:
    if not isinstance(given, (pa.RecordBatch, pa.Table)):
        raise DataError(f"a RecordBatch or a Table is wanted, not {type(given).__name__}")


class Whole:
    """A batch function that is called with batches, or with tables where it takes those.

    of_dicts: a dict of columns may also come as the batch that RecordBatch.from_pydict makes of it.
    """

    def __init__(
        self, fn: Callable[[Any], Any], captured: Captured, options: Options, of_dicts: bool
    ) -> None:
        self._captured = captured
        self._of_dicts = of_dicts
        self._fn = fn
        self._options = options
        self._known: tuple[tuple[pa.Schema, object, _Bound | None], ...] = ()
        self._skips = 0
        self._missed = 0
        self._wants_rows = False  # to be bound; the latest batch had none
        self.compiled: bool | None = None  # for the latest batches; None: there were none

    def __call__(self, batch: Any) -> Any:
        """What the function gives for this batch.

        Raises:
            DataError: what was given is no RecordBatch or Table.
        """
        _check(batch)
        if _config.get("compile") == "off":
            self.compiled = False
            return self._fn(batch)
        bound = self.bind(batch)
        rows = batch.num_rows
        if bound is None or rows <= bound.few:
            return self._fn(batch)
        if self._skips > 0:
            self._skips -= 1
            return self._fn(batch)
        source = batch if bound.whole else batch.select(bound.places)
        try:
            made = self._at_once(bound, source, rows) or self._run(bound, source, rows)
            columns = self._typed(bound, batch, made)
        except _LeftError:
            self._missed = min(self._missed + 1, 6)
            self._skips = min(2**self._missed, _SKIPS_MAX)
            text = (
                "%s: native code left a batch of %s rows, CPython calls it for that and the next %d"
            )
            log.info(text, place_of(self._captured), f"{rows:,}", self._skips)
            return self._fn(batch)
        self._missed = 0
        if bound.schema is None:
            return columns[0]
        schema = bound.schema
        for place, one in enumerate(bound.columns):
            if one.inferred and columns[place].type != one.type:
                schema = schema.set(place, schema.field(place).with_type(columns[place].type))
        return bound.gives.from_arrays(columns, schema=schema)

    def bind(self, batch: Any) -> _Bound | None:
        """What computes batches of this schema; None: the function itself.

        Raises:
            DataError: what was given is no RecordBatch or Table.
        """
        _check(batch)
        schema: pa.Schema = batch.schema
        kind: object = batch.__class__
        for known, of, found in self._known:
            if of is kind and known.equals(schema, check_metadata=True):
                bound = found
                break
        else:
            bound = self._bind(batch)
            if bound is not None or not self._wants_rows:
                self._known = ((schema, kind, bound), *self._known[: _BOUND_MAX - 1])
        self.compiled = bound is not None
        return bound

    # Results

    def _at_once(self, bound: _Bound, source: Any, rows: int) -> list[Any] | None:
        """The column of a small batch, by native code on this thread; None where a run must tell."""
        if bound.spot is None or rows > _ROWS_AT_ONCE or not isinstance(source, pa.RecordBatch):
            return None
        usual = all(_config.get(name) == "auto" for name in ("compile", "validate"))
        if not usual or _config.get("tier") == "interpreter" or watched():
            return None
        made = bound.spot.compute(
            source, _FROM_C, next(c.type for c in bound.columns if c.place < 0)
        )
        return None if made is None else [made]

    def _run(self, bound: _Bound, source: Any, rows: int) -> list[Any]:
        """The columns, by one run of the engine.

        Raises:
            _LeftError: a row left.
        """
        pieces: list[Any] = [source]
        if isinstance(source, pa.Table):  # one without rows would be the function's own
            pieces = [piece for piece in source.to_batches() if piece.num_rows]
        elif bound.by_rows and rows > 2 * _PIECE_ROWS:
            pieces = [source.slice(k, _PIECE_ROWS) for k in range(0, rows, _PIECE_ROWS)]
        feed = [(piece, 0, None) for piece in pieces]
        tier = str(_config.get("tier"))
        tier = "native" if tier == "auto" else tier
        parts = run_once(
            bound.scalar, bound.plan, feed, rows=rows, tier=tier, operators=1, by_batch={0: _HOST}
        )
        if not parts:  # no rows, which only a function of the whole form gives
            return [arrow.array([], one.type) for one in bound.columns if one.place < 0]
        columns: list[Any] = []
        for place in range(len(parts[0].columns)):
            made = [part.column(place) for part in parts]
            columns.append(made[0] if len(made) == 1 else arrow.concat_arrays(made))
        return columns

    def _typed(self, bound: _Bound, batch: Any, made: list[Any]) -> list[Any]:
        """All columns of the result, with the types that pyarrow gives them.

        Raises:
            _LeftError: only the items themselves tell that.
        """
        given = iter(made)
        columns: list[Any] = []
        for one in bound.columns:
            column = batch.column(one.place) if one.place >= 0 else next(given)
            if one.inferred and column.null_count == len(column):
                if one.guessed:
                    raise _LeftError
                column = arrow.nulls(len(column))
            elif one.ints and not _has_fraction(column):
                raise _LeftError
            columns.append(column)
        if not bound.by_rows and any(len(column) != len(columns[0]) for column in columns):
            raise _LeftError  # which the function's own batch refuses
        return columns

    # Binding

    def _bind(self, batch: Any) -> _Bound | None:
        self._wants_rows = False
        try:
            return self._bind_form(batch)
        except (NoFormError, PlanError) as error:
            why = str(error)
            if isinstance(error, NoFormError):
                one = error.refusal
                why = reason_text("", one.detail or one.code, one.line)
        log.debug("%s is not compiled: %s", place_of(self._captured), why)
        if self._options.compile == "require" and not self._wants_rows:
            from sabot._report import explain

            schema = batch.schema
            raise CompileError(self._captured.name, explain(cast("Any", self._fn), schema))
        return None

    def _bind_form(self, batch: Any) -> _Bound:
        """By the row form, else by the whole form.

        Raises:
            NoFormError, PlanError: it has neither; of the row form.
        """
        captured = self._captured
        if captured.blob is None or captured.node is None:
            why = captured.refusals[0] if captured.refusals else None
            raise PlanError(
                reason_text("", why.detail or why.code, why.line)
                if why is not None
                else "its source is not known"
            )
        found = seen_names(captured)
        try:
            return self._computed_by(row_form(captured, found, batch.schema, None), batch)
        except (NoFormError, PlanError) as error:
            nothing = isinstance(error, NoFormError) and error.refusal.code == NOTHING
            # The arrays of tables are others.
            if not nothing and isinstance(batch, pa.RecordBatch):
                with suppress(NoFormError, PlanError):
                    form = whole_form(captured, found, batch.schema, None)
                    return self._computed_by(form, batch)
            raise

    def _computed_by(self, form: RowForm, batch: Any) -> _Bound:
        """
        Raises:
            NoFormError, PlanError: a part of it is not compiled, or what it gives cannot be told.
        """
        captured = self._captured
        if form.masked:
            raise NoFormError(form.tree, "a batch of fewer rows")
        if form.phases:  # NumPy does most of it, and wants all of a table at once
            raise NoFormError(form.tree, f"{form.phases[0].calls[0].name} of whole arrays")
        made = row_function(captured, form.tree, form)
        assert made.blob is not None
        places = [batch.schema.names.index(name) for name in inputs_of(form, batch.schema)]
        if not places:
            raise NoFormError(form.tree, "it reads no column")
        read = arrow.schema([batch.schema.field(place) for place in places])
        off = self._options.compile == "off"
        inner = with_made(read, form)
        core = core_function(made.blob, inner, off, form.results)
        if not core.compiled:
            raise PlanError(why_not(core))
        names = [f"{place}" for place in range(len(form.results))]
        core = core_function(made.blob, inner, off, tuple(names))
        scalar = Scalar(made, core, len(core.params), None, "", told=True, options=self._options)
        stages, refusing = stages_of(captured, form, read, off)
        if refusing is not None:
            raise PlanError(why_not(refusing))
        result, rows = self._given_for_few(batch, form)
        gives, schema, columns = _shown(result, batch, form, core, guessed=rows > 0)
        source = _core.Plan(session(), "CALL", read)
        plan = source.lowered("", core, False, [None] * len(names), names, stages)
        # A run without batches makes native code, and waits for it.
        run_once(scalar, plan, [], rows=0, tier="native", operators=1, by_batch={0: _HOST})
        spot = None
        by_rows = form.kind != "whole"
        if len(names) == 1 and not stages and by_rows:
            spot = source.map(core, [None], names)
        whole = places == list(range(len(batch.schema)))
        few = _FEW_ROWS if _is_short(captured, form) else 0
        if not any(
            found is not None and known.equals(batch.schema) for known, _, found in self._known
        ):
            own = f", up to {few} rows by calls of it" if few else ""
            say_native(captured, core, f", {form.kind} form{own}")
        return _Bound(scalar, places, whole, plan, spot, columns, schema, gives, few, by_rows)

    def _given_for_few(self, batch: Any, form: RowForm) -> tuple[object, int]:
        """What the function gives for an empty batch, or for as few rows as it takes, and how many."""
        why = ""
        for rows in (0, *(_TRIED_ROWS if form.kind == "whole" else ())):
            if rows and not batch.num_rows:
                self._wants_rows = True
                break
            try:
                # What it would warn of is for the call that was asked for.
                with _raising() if rows else nullcontext():
                    result: Any = self._fn(batch.slice(0, rows))
                if self._of_dicts and result.__class__ is dict:
                    result = arrow.RecordBatch.from_pydict(result)
            except Exception as error:
                why = f"an empty batch, which it refuses: {error}"
            else:
                return result, rows
        raise NoFormError(form.tree, why)


def _raising() -> Any:
    """NumPy raises here, on this thread, what it would warn of."""
    numpy: Any = sys.modules.get("numpy")
    return nullcontext() if numpy is None else numpy.errstate(all="raise")


def _is_short(captured: Captured, form: RowForm) -> bool:
    """Whether a row costs CPython little."""
    calls = captured.guards is not None and captured.guards.calls_functions
    tops: list[ast.AST] = [form.tree]
    if form.kind == "whole":  # whose loops are those over the rows
        tops = [node for node in ast.walk(form.tree) if isinstance(node, _LOOPS)]
    nodes = [node for top in tops for node in ast.walk(top) if node is not top]
    return not calls and not any(isinstance(node, (*_LOOPS, ast.While)) for node in nodes)


def _shown(
    result: object, batch: Any, form: RowForm, core: _core.Function, *, guessed: bool
) -> tuple[Any, Any, tuple[_Column, ...]]:
    """What the function gives: the class, the schema (None: an array) and the columns.

    result: of an empty batch; guessed: of one with rows, whose items may have told its types.

    Raises:
        NoFormError: that cannot be told.
    """
    told = [TYPES.get(format) for format in core.key_formats]
    mixing: list[int] = json.loads(core.report())["mixing"]
    if any(type is None for type in told) or any(one > _INTS for one in mixing):
        raise NoFormError(form.tree, "results whose types only a batch tells")
    names = [("", None)] if form.is_filter else form.columns
    schema: Any = arrow.schema([])
    if form.is_filter and isinstance(result, arrow.Array) and isinstance(batch, pa.RecordBatch):
        schema = arrow.schema([("", cast("Any", result).type)])
    elif type(result) in (pa.RecordBatch, pa.Table) and not form.is_filter:
        schema = cast("Any", result).schema
    if schema.names != [name for name, _ in names]:
        raise NoFormError(form.tree, f"a result that is {type(result).__name__}")
    columns: list[_Column] = []
    given = iter(zip(told, mixing, strict=True))
    for place, (name, passed) in enumerate(names):
        type_ = schema.field(place).type
        if passed is not None:
            columns.append(_Column(name, batch.schema.names.index(passed), type_, False, False))
            continue
        wanted, mixed = next(given)
        inferred = guessed or type_ == pa.null()
        fits = type_ == wanted or type_ == pa.null()
        if not fits and not (guessed and mixed == _INTS and type_ == pa.int64()):
            raise NoFormError(form.tree, f"{name} of {type_}, from values of {wanted}")
        columns.append(_Column(name, -1, wanted, inferred, inferred and mixed == _INTS, guessed))
        schema = schema.set(place, schema.field(place).with_type(wanted))
    return type(result), None if form.is_filter else schema, tuple(columns)


def _has_fraction(column: Any) -> bool:
    """Whether some value of a column of doubles can be no int."""
    first: list[float | None] = column.slice(0, _LOOKED_AT).to_pylist()
    if any(value is not None and value % 1 != 0 for value in first):  # also of what is not finite
        return True
    import pyarrow.compute as compute

    pc: Any = compute
    return (
        len(column) > _LOOKED_AT and pc.any(pc.not_equal(column, pc.trunc(column))).as_py() is True
    )
