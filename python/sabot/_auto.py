"""`auto_compile`: a function that runs as native code wherever it is given columns.

For each combination of argument types the function is bound once, to a plan of one operator; a call is one run of that plan. A few
rows cost less as calls of the function itself, which give the same: it is compiled, so it is known to be pure, and whatever is
not plain there (an exception, a value of another type) is left to a run, which tells it as every run does.
"""

from __future__ import annotations

import ast
import os
import sys
import weakref
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex, cast

import pyarrow as pa

from sabot import _config, _core
from sabot._capture import capture
from sabot._checks import check_schema
from sabot._decisions import log, place_of, say_native, say_refusal
from sabot._engine import session
from sabot._errors import (
    CompileError,
    DataError,
    PlanError,
    TypeMismatchError,
    UnknownColumnError,
)
from sabot._function import Scalar, bind_scalar, can_compile
from sabot._guards import watched
from sabot._kinds import kind_of
from sabot._piece import arrow
from sabot._run_once import run_once
from sabot._strategy import CompilationStrategy, pattern_of, strategy_of
from sabot._udf import FORMATS, Udf, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sabot._auto_arrays import ByArrays
    from sabot._auto_batch import Whole
    from sabot._capture import Captured
    from sabot._udf import Options

_LIBRARIES = frozenset({"numpy", "pandas", "polars", "pyarrow"})
_COLUMNS: Any = (arrow.Array, arrow.ChunkedArray)
_ARROW: Any = (*_COLUMNS, pa.RecordBatch, pa.Table)
_CONSTANTS: dict[type, Any] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    type(None): pa.null(),
}
# Types of which every value is that of a column, exactly.
_PLAIN = frozenset(
    {
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.null()),
    }
)
_PYTHON = {"l": int, "g": float, "b": bool, "u": str, "n": type(None)}
_RESULTS: dict[str, Any] = {format: type_ for type_, format in FORMATS.items()}
_COMPILED = (CompilationStrategy.NJIT, CompilationStrategy.VECTORIZE)
_LOOPS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_UNKNOWN: object = object()
_FEW_ROWS = 4
_ROWS_AT_ONCE = 2048
_SKIPS = 32  # runs that are made after one batch could not be computed at once
_FROM_C: Any = cast("Any", pa.Array)._import_from_c
_BOUND_MAX = 64  # combinations of types
_CHANGES_MAX = 8  # of captured names, after which native code is not waited for


class _Bound(NamedTuple):
    """A function bound to columns of some types.

    few: the type of its values, where calls of the function give those of a few rows exactly.
    at_once: what computes a small batch without a run; None: nothing does.
    """

    scalar: Scalar
    schema: pa.Schema
    plan: _core.Plan
    result: Any
    few: type | None
    at_once: _core.Plan | None


class _Given(NamedTuple):
    """The arguments of one call, by the names of parameters."""

    names: tuple[str, ...]
    values: list[Any]
    rows: int
    chunked: bool


class _Latest(NamedTuple):
    """What the latest batch told: where the arguments are, and the function for them; None: it takes whole batches."""

    schema: pa.Schema
    names: tuple[str, ...]
    places: list[int]
    bound: _Bound | None
    whole: bool  # the arguments are the columns, in their order
    is_batch: bool  # it is told to take whole batches


class AutoCompiled(Udf):
    """A function that computes columns by native code; made by `auto_compile`.

    of_dicts: a batch function's dict of columns may also come as a batch.
    """

    def __init__(self, given: Any, of_dicts: bool = False) -> None:
        fn, options = unwrap(given)
        super().__init__(fn, options)
        self._given = given
        self._of_dicts = of_dicts
        self._changes = 0
        self._skips = 0
        self._see()

    def _see(self) -> None:
        """Looks at the function as it is now."""
        self._forks = _forks
        self._off = _config.get("compile") == "off"
        self._captured = captured = capture(self.fn)
        params = captured.params or ()
        self._names = tuple(param.name for param in params if param.kind == "positional")
        needed = [param for param in params if not param.has_default]
        self._least = sum(param.kind == "positional" for param in needed)
        self._by_name = len(needed) > self._least
        every = [param.name for param in params]
        kind = kind_of(captured, every, "filter", self.options.kind)
        numbers = captured.base is not None and not _names_library(captured.base)
        self._scalar = kind.kind == "scalar" and kind.error is None and numbers
        self._whole: Whole | None = None
        self._by_arrays: ByArrays | None = None
        self._bound: dict[object, object] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Gives a column for columns, else what the function gives."""
        for value in args:
            if isinstance(value, _ARROW):
                return self._columns(args, kwargs)
        for value in kwargs.values():
            if isinstance(value, _ARROW):
                return self._columns(args, kwargs)
        if args and not kwargs and type(args[0]) is _ndarray():
            self._look()
            if self._by_arrays is None:
                from sabot._auto_arrays import ByArrays

                self._by_arrays = ByArrays(self.fn, self._captured, self.options)
            return self._by_arrays(args)
        return super().__call__(*args, **kwargs)

    def _look(self) -> None:
        """Looks at the function anew where it has changed."""
        guards = self._captured.guards
        changed = guards.changed() if guards is not None else None
        if changed is not None:
            self._changes += 1
            waits = "" if self._changes <= _CHANGES_MAX else ", without waiting for native code"
            text = "%s: read anew%s: bound anew: %s"
            log.info(text, place_of(self._captured), waits, changed)
            self._see()
        elif self._forks != _forks:
            self._see()

    def _columns(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._look()
        if len(args) == 1 and not kwargs and isinstance(args[0], (pa.RecordBatch, pa.Table)):
            return self._of_batch(args[0])
        given = self._arguments(args, kwargs) if self._scalar else None
        if given is None:
            return self.fn(*args, **kwargs)
        key = (given.names, *map(_kind_key, given.values))
        known = (
            self._bound
        )  # another thread may put an empty one in its place, which shall stay empty then
        bound = known.get(key, _UNKNOWN)
        if bound is _UNKNOWN:
            bound = self._bind(given)
            if len(known) >= _BOUND_MAX:
                known.clear()
            known[key] = bound
        if bound is None:
            return self.fn(*args, **kwargs)
        return self._run(cast("_Bound", bound), given)

    def _of_batch(self, batch: Any) -> Any:
        known, schema = self._bound, batch.schema
        latest: Any = known.get("batch")
        if latest is None or not latest.schema.equals(schema):
            captured, places, is_batch = self._places_of(schema)
            columns = [batch.column(place) for place in places]
            names = tuple(schema.names[place] for place in places)
            given = _Given(names, columns, batch.num_rows, chunked=False)
            bound = self._bind(given, captured) if places else None
            whole = places == list(range(len(schema)))
            known["batch"] = latest = _Latest(schema, names, places, bound, whole, is_batch)
        if latest.bound is None:
            return self.whole()(batch) if latest.is_batch else self.fn(batch)
        if latest.whole and type(batch) is pa.RecordBatch:
            made = self._at_once(latest.bound, batch, batch.num_rows)
            if made is not None:
                return made
        columns: list[Any] = [batch.column(place) for place in latest.places]
        chunked = isinstance(batch, pa.Table)
        given = _Given(latest.names, columns, batch.num_rows, chunked=chunked)
        return self._run(latest.bound, given)

    def whole(self) -> Whole:
        """The function as one of batches."""
        if self._whole is None:
            from sabot._auto_batch import Whole

            self._whole = Whole(self.fn, self._captured, self.options, self._of_dicts)
        return self._whole

    def _places_of(self, schema: pa.Schema) -> tuple[Captured, list[int], bool]:
        """The function of columns, and these in the order of its parameters; none, and True, where it takes batches."""
        columns, captured = schema.names, self._captured
        kind = kind_of(captured, columns, "with_columns", self.options.kind)
        if kind.kind == "record":
            from sabot._record import as_scalar

            captured = as_scalar(captured, columns)
        elif kind.kind != "scalar":
            return captured, [], kind.kind == "batch" and kind.error is None
        elif kind.error is not None:
            raise UnknownColumnError(kind.error)
        names = [param.name for param in captured.params or () if param.name in columns]
        for name in names:
            if columns.count(name) > 1:
                raise PlanError(f"{captured.name}: there is more than one column {name!r}; rename")
        return captured, list(map(columns.index, names)), False

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Given | None:
        """What the parameters get; None where the function itself takes it."""
        names, values = self._names[: len(args)], [*args]
        if kwargs or self._by_name:
            import inspect

            try:
                given = inspect.signature(self.fn).bind(*args, **kwargs).arguments
            except TypeError:  # which the call raises as well
                return None
            names, values = tuple(given), [*given.values()]
        elif not self._least <= len(args) <= len(self._names):
            return None
        chunked, rows = False, -1
        for name, value in zip(names, values, strict=True):
            kind = cast("Any", type)(value)
            if kind in _CONSTANTS:
                continue
            if isinstance(value, arrow.ChunkedArray):
                chunked = True
            elif not isinstance(value, arrow.Array):
                return None
            count = len(value)
            if count != rows >= 0:
                raise DataError(
                    f"{self._captured.name}: the columns differ in length: {name!r} has {count} rows, another has {rows}"
                )
            rows = count
        return _Given(names, values, rows, chunked)

    def _bind(self, given: _Given, captured: Captured | None = None) -> _Bound | None:
        """Binds the function to these types, and waits for its native code; None: it takes the columns as they are."""
        types = [_type_of(value) for value in given.values]
        schema = pa.schema(list(zip(given.names, types, strict=True)))
        captured, options = captured or self._captured, self.options
        may_take = bool(captured.record)
        try:
            scalar = bind_scalar(captured, schema, "auto_compile", "given columns", options)
        except CompileError:
            raise
        except (PlanError, TypeMismatchError) as error:
            if not may_take:
                raise
            log.debug("%s is not compiled: %s", place_of(captured), error)
            return None
        if may_take and not can_compile(scalar, schema):
            say_refusal(scalar.captured, scalar.core)
            return None
        name = "result"
        while name in schema.names:
            name += "'"
        computed = _core.Plan(session(), "CALL", schema).with_columns([name], [scalar.core])
        plan = computed.select([name])
        few = None
        if scalar.core.compiled and self._is_short(scalar, types):
            few = _PYTHON.get(scalar.core.result_format)
        result = _RESULTS[scalar.core.result_format]
        exact = scalar.core.compiled and all(type_ in _PLAIN for type_ in types)
        bound = _Bound(scalar, schema, plan, result, few, computed if exact else None)
        if self._changes <= _CHANGES_MAX:
            self._wait(bound)
        return bound

    def _is_short(self, scalar: Scalar, types: Iterable[Any]) -> bool:
        """Whether a call costs little, and is by position alone."""
        captured = self._captured
        if scalar.keywords or scalar.options.nulls == "skip" or captured.node is None:
            return False
        calls = captured.guards is not None and captured.guards.calls_functions
        loops = calls or any(isinstance(node, _LOOPS) for node in ast.walk(captured.node))
        return not loops and all(type_ in _PLAIN for type_ in types)

    def _wait(self, bound: _Bound) -> None:
        self._engine(bound, _empty(bound.schema), 0)
        if not bound.scalar.core.compiled:
            say_refusal(bound.scalar.captured, bound.scalar.core)
            return
        own = f", up to {_FEW_ROWS} rows by calls of it" if bound.few is not None else ""
        say_native(bound.scalar.captured, bound.scalar.core, own)

    def _run(self, bound: _Bound, given: _Given) -> Any:
        values, rows, chunked = given.values, given.rows, given.chunked
        if bound.few is not None and rows <= _FEW_ROWS:
            made = self._few(bound, given)
            if made is not None:
                return made
        columns = [_column(value, bound.schema.types[i], rows) for i, value in enumerate(values)]
        table = arrow.Table if chunked else arrow.RecordBatch
        source = table.from_arrays(columns, schema=bound.schema)
        made = None if chunked else self._at_once(bound, source, rows)
        if made is not None:
            return made
        if self._off != (_config.get("compile") == "off"):
            self._see()
            again = self._bind(given, bound.scalar.captured)
            bound = bound if again is None else again
        parts = self._engine(bound, source, rows)
        if chunked:
            return arrow.chunked_array(parts, bound.result)
        return parts[0] if len(parts) == 1 else _joined(parts, bound.result)

    def _at_once(self, bound: _Bound, source: Any, rows: int) -> Any:
        """The result of a small batch by native code on this thread; None where a run must tell."""
        if bound.at_once is None or rows > _ROWS_AT_ONCE or self._skips > 0:
            self._skips -= self._skips > 0
            return None
        usual = all(_config.get(name) == "auto" for name in ("compile", "validate"))
        if not usual or _config.get("tier") == "interpreter" or watched():
            return None
        made = bound.at_once.compute(source, _FROM_C, bound.result)
        if made is None:
            self._skips = _SKIPS
        return made

    def _few(self, bound: _Bound, given: _Given) -> Any:
        """The result of a few rows by calls of the function; None where a run must tell."""
        kind, fn = bound.few, cast("Any", bound.scalar.captured.fn)
        lists = [
            [value] * given.rows if type(value) in _CONSTANTS else value.to_pylist()
            for value in given.values
        ]
        made: list[Any] = []
        try:
            for row in zip(*lists, strict=True):
                value = fn(*row)
                if value is not None and type(value) is not kind:
                    return None
                made.append(value)
            column = arrow.array(made, bound.result)
            return arrow.chunked_array([column]) if given.chunked else column
        except Exception:
            return None

    def _engine(self, bound: _Bound, source: Any, rows: int) -> list[Any]:
        """One run of the engine, from a batch or a table."""
        feed: Any = source.to_reader() if isinstance(source, pa.Table) else [(source, 0, None)]
        tier = str(_config.get("tier"))
        if tier == "auto" and self._changes <= _CHANGES_MAX:
            tier = "native"
        made = run_once(bound.scalar, bound.plan, feed, rows=rows, tier=tier, operators=2)
        return [part.column(0) for part in made]

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        by_name = super().__reduce_ex__(protocol)
        return by_name if isinstance(by_name, str) else (auto_compile, (self._given,))

    def __repr__(self) -> str:
        return f"<sabot.auto_compile {self._captured.name}>"

    def _ahead(self, schema: pa.Schema) -> None:
        """Binds to the columns of a schema."""
        _, places, is_batch = self._places_of(schema)
        if places:
            self(_empty(schema))
        elif is_batch:
            self.whole().bind(_empty(schema))


def _kind_key(value: Any) -> object:
    if type(value) in _CONSTANTS:
        return value.__class__
    return value.type


def _type_of(value: Any) -> Any:
    kind = cast("Any", type)(value)
    if kind in _CONSTANTS:
        return _CONSTANTS[kind]
    return value.type


def _column(value: Any, type_: Any, rows: int) -> Any:
    """An argument as an Arrow column."""
    if isinstance(value, _COLUMNS):
        return value
    if type(value) in _CONSTANTS:
        try:
            return arrow.repeat(arrow.scalar(value, type_), rows)
        except (OverflowError, pa.ArrowInvalid) as error:
            raise DataError(f"a value given for all rows does not fit {type_}: {error}") from None
    return arrow.array(value, type_)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return arrow.RecordBatch.from_arrays(
        [arrow.array([], type_) for type_ in schema.types], schema=schema
    )


def _joined(parts: Sequence[Any], type_: Any) -> Any:
    return arrow.concat_arrays(parts) if parts else arrow.array([], type_)


_forks = 0  # which a plan does not outlive


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)
# By id: the values hold what they were made of, so an entry lives exactly as long as its key means that.
_made: weakref.WeakValueDictionary[int, AutoCompiled] = weakref.WeakValueDictionary()


def auto_compile(fn: Callable[..., Any], schema: pa.Schema | None = None) -> Callable[..., Any]:
    """A function that takes what `fn` takes and gives what it gives, and computes whole columns by native code.

    Given one value for each parameter it is `fn`. Given columns (pyarrow arrays, and values that are the same in all rows), or one
    RecordBatch or Table that has columns named like its parameters, or the columns that a function of records reads, it computes
    row by row, by Python's rules as everywhere here: null arrives as None, nothing wraps around, the first failing row raises. It
    gives a pyarrow array, a ChunkedArray for chunked input. Given NumPy arrays of one dimension and one length it computes what `fn`
    does with these, by NumPy's rules, where that ends in a new array. Any other arguments go to `fn` as they are; so does the batch
    that is given for a record where a row cannot be compiled. The first call with new types waits for native code.

    What calls pandas, Polars or pyarrow alone, NumPy for something else than functions of items, or is no plain Python function (nor a
    method or a partial of one) has nothing to gain and is returned itself. The same `fn` gives the same object while that is held.
    The logger `sabot.compile` tells what was done.

    Parameters:
        fn: a function, or a `udf`.
        schema: compiles now for a RecordBatch with these columns.

    Raises:
        PlanError: what was given is no function, or its `udf` has another `on_error` than "raise".
        UnknownColumnError: a parameter is no column of `schema`.

    >>> import pyarrow as pa, sabot as sb
    >>> area = sb.auto_compile(lambda w, h: w * h if w > 0 else 0.0)
    >>> area(2.0, 3.0), area(pa.array([2.0, -1.0]), pa.array([3.0, 4.0])).to_pylist()
    (6.0, [6.0, 0.0])
    """
    found = _made.get(id(fn))
    if found is None:
        if isinstance(fn, AutoCompiled):
            found = fn
        else:
            check_schema(schema)
            function, options = unwrap(fn)
            if not callable(function):
                raise PlanError(f"auto_compile takes a function, not {type(fn).__name__}")
            if not _gains(function, options):
                return fn
            found = _made[id(fn)] = AutoCompiled(fn)
    if schema is not None:
        check_schema(schema)
        found._ahead(schema)  # pyright: ignore[reportPrivateUsage]
    return found


def _gains(fn: Any, options: Options) -> bool:
    """Whether a function can be called row by row, and has anything to gain by it."""
    if options.on_error != "raise":
        raise PlanError(
            f'auto_compile: on_error="{options.on_error}" is for streams, where the failing rows are recorded'
        )
    if options.max_concurrency or options.use_process or options.pure is False:
        return False
    captured = capture(fn)
    if captured.base is None or any(refusal.code == "signature" for refusal in captured.refusals):
        return False
    kind = kind_of(captured, (), "with_columns", options.kind)
    if kind.kind == "batch" and kind.error is None:
        return strategy_of(pattern_of(captured, "batch")) in _COMPILED
    if kind.kind == "array":
        return True
    if kind.kind not in ("scalar", "record", "unknown"):  # the last is told by columns
        return False
    if kind.kind == "record" and options.nulls == "skip":
        raise PlanError(
            'auto_compile: nulls="skip" is for scalar functions, not for one of records'
        )
    return not _names_library(captured.base) or _computes_arrays(captured)


def _ndarray() -> Any:
    """The class of NumPy's arrays, where the process has it."""
    numpy: Any = sys.modules.get("numpy")
    return getattr(numpy, "ndarray", None)


def _computes_arrays(captured: Captured) -> bool:
    """Whether a function that names libraries may be one of NumPy arrays, with something to gain."""
    pattern = pattern_of(captured)
    others = pattern.has_arrow or pattern.has_pandas
    return pattern.has_numpy and not others and strategy_of(pattern) in _COMPILED


def _names_library(fn: FunctionType) -> bool:
    """Whether the code names, or imports, a library whose own functions take whole columns."""
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
    for name in (*fn.__code__.co_names, *cells):
        if name.partition(".")[0] in _LIBRARIES:
            return True
        value: object = fn.__globals__.get(name)
        if name in cells:
            try:
                value = cells[name].cell_contents
            except ValueError:
                continue
        module: object = None
        if type(value) is ModuleType:
            module = value.__name__
        elif type(value) in (FunctionType, BuiltinFunctionType, type):
            module = cast("Any", value).__module__
        if isinstance(module, str) and module.partition(".")[0] in _LIBRARIES:
            return True
    return False
