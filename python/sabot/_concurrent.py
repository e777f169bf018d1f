"""Functions that have a stage of their own: async ones, those with `max_concurrency` or `use_process`, classes and callable objects.

_staged.py tells which; `CallStage` puts them behind a stream. They are typed and bound as in the engine (_function.py); their calls are
made by the lanes of _crew.py, and put in order by _ordered.py.
"""

from __future__ import annotations

import inspect
import os
from itertools import chain
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from sabot._calls import Work
from sabot._capture import capture, capture_opaque
from sabot._checks import known
from sabot._crew import Crew, DirectLane, Here, LoopLane, ThreadLane
from sabot._derive import Derived, flat_map, rebatch
from sabot._errors import PlanError
from sabot._expr import Applied
from sabot._function import Scalar, bind, check_rows_options
from sabot._gpus import Need, Reservation, workers_max
from sabot._instances import Holder
from sabot._lane import Place
from sabot._ordered import Bound, Settler, run_ordered
from sabot._staged import called_by, is_async
from sabot._udf import FORMATS, Options, Udf, unwrap

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from sabot._capture import Captured
    from sabot._lane import BatchBinding
    from sabot._piece import Piece
    from sabot._run import RunContext
    from sabot._stream import Stream

ASYNC_MAX = 64  # calls awaited at once where nothing else is said
_TYPES = {format: type_ for type_, format in FORMATS.items()}


class Call(NamedTuple):
    """A function of a stage, not yet bound to columns.

    target: what is called, without its `udf`; bound: what stands for it when its parameters and text are read.
    lane: "direct", "threads", "processes" or "loop". width: calls at once. here: it has no stage of its own, but its turn is in this one.
    """

    target: Any
    bound: Any
    captured: Captured
    options: Options
    lane: str
    width: int
    here: bool = False

    @property
    def how(self) -> str:
        """How it runs, as explain() shows it."""
        rows = self.options.batch_size
        return self._lane if rows is None else f"{self._lane}, {rows} rows at once"

    @property
    def _lane(self) -> str:
        if self.lane == "loop":
            return f"interpreted, async, {self.width} at a time"
        if self.lane == "direct":
            return "interpreted"
        noun = "thread" if self.lane == "threads" else "process"
        plural = "" if self.width == 1 else "s" if noun == "thread" else "es"
        gpus = self.options.gpus
        each = "" if gpus is None else f", {gpus:g} GPU{'s' if gpus > 1 else ''} each"
        return f"interpreted, {self.width} {noun}{plural}{each}"


def call_of(fn: object) -> Call:
    """How a function that has a stage of its own runs.

    Raises:
        PlanError: options that contradict each other.
    """
    target, options = unwrap(fn)
    called = called_by(target)
    bound = target if called is target else MethodType(called, target)
    captured = capture(target) if bound is target else capture_opaque(bound)
    if bound is not target:
        captured.name = (target if isinstance(target, type) else type(target)).__name__
    if options.compile in ("require", "numba"):
        raise PlanError(
            f'{captured.name}: compile="{options.compile}", but calls in threads, processes or an event loop are interpreted'
        )
    given = options.max_concurrency
    if is_async(called):
        if options.use_process:
            raise PlanError(
                f"{captured.name} is async, so its calls are awaited on one event loop; use_process=True is for plain functions"
            )
        most = 1 if options.pure is False else ASYNC_MAX
        return Call(target, bound, captured, options, "loop", given or most)
    if options.use_process:
        return Call(target, bound, captured, options, "processes", given or _workers(options))
    lane = "direct" if given is None else "threads"
    return Call(target, bound, captured, options, lane, given or 1)


def call_here(fn: Any) -> Call:
    """How a function that the engine could run is called in its turn, behind one that may drop the row.

    Raises:
        PlanError: it must be compiled.
    """
    target, options = (fn.fn, fn.options) if isinstance(fn, Applied) else unwrap(fn)
    captured = capture(target)
    if options.compile in ("require", "numba"):
        raise PlanError(
            f'{captured.name}: compile="{options.compile}", but on_error="skip" beside async or concurrent functions has it called in its '
            "turn, interpreted; give it to a with_columns of its own"
        )
    return Call(target, fn, captured, options, "direct", 1, here=True)


def _workers(options: Options) -> int:
    """How many worker processes there are where nothing is said."""
    if options.pure is False:
        return 1
    if options.gpus is not None:
        return max(1, workers_max(options.gpus))
    return len(os.sched_getaffinity(0))


# --- a stage


class CallStage:
    """Functions at one place of a stream: `stream` is its input; `text`, `schema` and `run` are what Derived takes.

    Where the input's columns are not known yet, the functions are bound when the first piece arrives.
    """

    def __init__(
        self,
        stream: Stream,
        operator: str,
        calls: Mapping[str, Call],
        declared: pa.Schema | None = None,
        columns: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Parameters:
            operator: the method that the functions were given to.
            calls: by the names of the columns that they make, in with_columns; else one.
            declared: the schema that a map or flat_map function was said to give.
            columns: all that with_columns was given. What the engine can make is made before the stage; where that would replace
                a column that a function here reads, it has another name until the stage puts it in its place.
        """
        for call in calls.values() if operator != "flat_map" else ():
            if inspect.isasyncgenfunction(call.bound):
                raise PlanError(
                    f"{call.captured.name} is an async generator function, which yields: {operator} takes one that returns"
                )
        self.stream = stream
        self._operator = operator
        self._calls = calls
        self._declared = declared
        self._bound: Bound | None = None
        others = {name: given for name, given in (columns or {}).items() if name not in calls}
        schema = stream.schema
        if schema is None:
            if others:
                raise PlanError(
                    f"with_columns({', '.join(columns or ())}): the columns are not known before the run, because a map "
                    "without schema= comes before it; give that map its schema=, or add these columns one by one"
                )
            return
        works = self._works(schema)
        read = {column for work in works for column in work.columns}
        aside = {name: _free(name, schema.names) if name in read else name for name in others}
        if others:
            self.stream = stream.with_columns(
                **{aside[name]: given for name, given in others.items()}
            )
        self._bound = self._layout(
            works, schema, known(self.stream.schema, operator), columns, aside
        )

    @property
    def text(self) -> str:
        """Its functions, with how each runs."""
        if self._bound is None:
            places = [_place(self._operator, *item, None).text for item in self._calls.items()]
        else:
            places = [work.place.text for work in self._bound.works]
        hows = [call.how for call in self._calls.values()]
        return "; ".join(f"{place}   {how}" for place, how in zip(places, hows, strict=True))

    @property
    def opaque(self) -> bool:
        """Whether its functions run in order and may do anything; of those that run at the same time nobody expects one."""
        return any(
            call.lane == "direct" and call.options.pure is not True for call in self._calls.values()
        )

    @property
    def names(self) -> str:
        """Of its functions."""
        return ", ".join(call.captured.name for call in self._calls.values())

    @property
    def gpus(self) -> tuple[Need, ...]:
        """What its workers need."""
        return tuple(
            Need(call.width, call.options.gpus)
            for call in self._calls.values()
            if call.options.gpus is not None
        )

    @property
    def schema(self) -> pa.Schema | None:
        """The schema of the result; None while the first batch must tell it."""
        return self._declared if self._bound is None else self._bound.schema

    def run(self, inputs: Sequence[Iterator[Piece]], context: RunContext) -> Generator[Piece]:
        """The stage in a run."""
        pieces, bound = inputs[0], self._bound
        if self._operator == "flat_map":
            (call,) = self._calls.values()
            if call.lane == "direct":
                rows = call.options.batch_size
                yield from self._flat_mapped(call, [_cut(inputs[0], rows, context)], context)
                return
        if bound is None:
            first = next(pieces, None)
            if first is None:
                return
            schema = first.batch.schema
            bound = self._layout(self._works(schema), schema, schema, self._calls, {})
            pieces = chain([first], pieces)
        if bound.works[0].kind == "batch":
            pieces = _cut(pieces, bound.works[0].batch_size, context)
        crew = Crew()
        reserved: list[Reservation] = []
        context.stops.add(crew.cut)
        uses_loop = any(call.lane == "loop" for call in self._calls.values())
        loop = context.loop.enter() if uses_loop else None
        try:
            for call, work in zip(self._calls.values(), bound.works, strict=True):
                crew.lanes.append(_lane(crew, call, work, loop, reserved))
            waits = not self.stream.is_bounded()
            source = Derived(self.text, self.schema, None, (self.stream,), self.run)
            yield from run_ordered(crew, pieces, Settler(bound, source, context), waits)
        finally:
            for one in reserved:
                one.release()
            context.stops.remove(crew.cut)
            if uses_loop:
                context.loop.leave()

    def _flat_mapped(
        self, call: Call, inputs: Sequence[Iterator[Piece]], context: RunContext
    ) -> Generator[Piece]:
        """The calls of a flat_map on the run's thread."""
        given = bind(Udf(call.bound, call.options), self.stream.schema, "flat_map", self._declared)
        _check_no_record(given, call, "flat_map")
        assert not isinstance(given, Scalar)
        holder = Holder(call.target, call.captured.name)

        def called(batch: pa.RecordBatch) -> object:
            return holder.get()(batch)

        try:
            yield from flat_map(given._replace(function=called), self.stream)(inputs, context)
        finally:
            holder.close()

    # --- binding

    def _works(self, schema: pa.Schema) -> list[Work]:
        works = [self._work(name, call, schema) for name, call in self._calls.items()]
        drops = [number for number, work in enumerate(works) if work.on_error == "skip"]
        if self._operator != "with_columns" or not drops:
            return works
        return [
            work._replace(may_be_dropped=number > drops[0]) for number, work in enumerate(works)
        ]

    def _work(self, name: str, call: Call, schema: pa.Schema) -> Work:
        options = call.options
        plain = options._replace(batch_size=None)  # that concerns the workers
        given = call.bound if call.here else Udf(call.bound, plain)
        bound = bind(given, schema, self._operator, self._declared)
        scalar = bound if isinstance(bound, Scalar) else None
        if scalar is not None and call.lane in ("direct", "loop"):
            check_rows_options(call.captured.name, self._operator, options)
        _check_no_record(bound, call, self._operator)
        target, place = call.target, _place(self._operator, name, call, scalar)
        if call.here and scalar is not None:
            target, place = scalar.captured.fn, scalar.binding(f"WITH {name} = ").place
        elif scalar is not None and scalar.captured.record:
            target = _of_columns(call, scalar)
        return Work(
            target,
            self._operator,
            "batch" if scalar is None else "scalar",
            place,
            () if scalar is None else tuple(column for _, column in scalar.core.params),
            0 if scalar is None else scalar.positional_count,
            () if scalar is None else scalar.keywords or (),
            None if scalar is None else _TYPES[scalar.core.result_format],
            self._declared,
            options.on_error,
            options.nulls == "skip",
            options.dead_letter,
            batch_size=options.batch_size,
        )

    def _layout(
        self,
        works: list[Work],
        schema: pa.Schema,
        made: pa.Schema,
        columns: Mapping[str, Any] | None,
        aside: Mapping[str, str],
    ) -> Bound:
        """What comes out.

        schema: of the stage's input as the user sees it. made: with what the engine made for the stage. aside: the names of that.
        """
        if self._operator != "with_columns":
            return Bound(works, made if self._operator == "filter" else self._declared, [])
        results = dict(zip(self._calls, works, strict=True))
        sources: list[int | str] = []
        fields: list[Any] = []
        given: Any = made
        for name in dict.fromkeys([*schema.names, *(columns or ())]):
            if name in results:
                sources.append(list(results).index(name))
                fields.append(pa.field(name, results[name].result))
            else:
                sources.append(aside.get(name, name))
                fields.append(given.field(aside.get(name, name)).with_name(name))
        return Bound(works, pa.schema(fields, given.metadata), sources)


def _of_columns(call: Call, scalar: Scalar) -> Any:
    """A record function as one of its columns.

    Raises:
        PlanError: it is a class or object, or is to run in processes.
    """
    if call.lane == "processes" or called_by(call.target) is not call.target:
        raise PlanError(
            f"{call.captured.name} takes a row; classes, objects and functions with use_process=True take values: name the "
            "parameters after columns"
        )
    return scalar.captured.fn


def _check_no_record(bound: Scalar | BatchBinding, call: Call, operator: str) -> None:
    """Refuses a function that gives columns for a row.

    Raises:
        PlanError: it is one.
    """
    if bound.given is not None if isinstance(bound, Scalar) else bound.rows is not None:
        raise PlanError(
            f"{operator}({call.captured.name}): it gives columns for a row, and such a function is called row by row; async ones, "
            "classes, max_concurrency and use_process are for functions that give one value a row, and for batch functions"
        )


def _place(operator: str, name: str, call: Call, scalar: Scalar | None) -> Place:
    function = call.captured.name
    arguments = "batch"
    columns: tuple[str, ...] = ()
    if scalar is not None:
        columns = tuple(column for _, column in scalar.core.params)
        arguments = ", ".join(columns)
    elif operator == "with_columns":  # not bound yet
        arguments = ", ".join(param.name for param in call.captured.params or ())
    head = f"WITH {name} = " if operator == "with_columns" else f"{operator.upper()} "
    return Place(f"{head}{function}({arguments})", function, columns)


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "'"
    return name


def _cut(pieces: Iterator[Piece], rows: int | None, context: RunContext) -> Iterator[Piece]:
    return pieces if rows is None else rebatch(rows)([pieces], context)


def _lane(
    crew: Crew, call: Call, work: Work, loop: Any, reserved: list[Reservation]
) -> DirectLane | ThreadLane | LoopLane:
    """reserved: gets the GPUs of its workers, which are given back when the crew is closed."""
    if call.lane == "processes":
        from sabot._processes import Remote, ship

        shipped = ship(work)
        if call.options.gpus is not None:
            gpus = Reservation(work.place.text, Need(call.width, call.options.gpus))
            reserved.append(gpus)
            return ThreadLane(
                crew, work, call.width, lambda: Remote(work, shipped, gpus.take()), None
            )
        return ThreadLane(crew, work, call.width, lambda: Remote(work, shipped), None)
    holder = Holder(work.target, work.place.name)
    if call.lane == "loop":
        return LoopLane(crew, work, call.width, loop, holder)
    if call.lane == "threads":
        return ThreadLane(crew, work, call.width, lambda: Here(work, holder), holder)
    return DirectLane(crew, work, holder)
