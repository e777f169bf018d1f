"""Functions of arrays: NumPy arrays in, one array out. To a stream each is a function of its batches.

Its parameters are columns, as views that cannot be written to; what it returns is a new column, or a filter's mask. A column with nulls is
an error, since NumPy's arrays have none.

Compiled it is the batch function that its text says: the same statements behind lines that take the columns out of the batch, and with the
column put into the batch at the end. So it has the forms that batch functions have.
"""

from __future__ import annotations

import ast
import copy
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot import _config
from sabot._capture import Param, capture
from sabot._errors import DataError, PlanError, UnknownColumnError, suggest
from sabot._expr import Applied, Column
from sabot._kinds import kind_of
from sabot._lane import ON_ERROR, BatchBinding, Place
from sabot._piece import arrow
from sabot._udf import Udf, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from sabot._capture import Captured
    from sabot._chain import Chain
    from sabot._numba import OfArrays
    from sabot._stream import Stream
    from sabot._udf import Options

    Adder: TypeAlias = Callable[[Chain, dict[str, Any]], Chain]

_BATCH = "\4"  # the name of the batch in the text: no function has it


class Arrays(NamedTuple):
    """A function of arrays in a stream.

    column: the name of the column that it makes; None: it is a filter's. given: of parameters by their names, a column's name in a list,
    or in a tuple a value that is no column. type: of what it gives, where that was said.
    """

    fn: Callable[..., Any]
    column: str | None
    given: Mapping[str, tuple[object] | list[str]]
    type: pa.DataType | None


def takes_arrays(fn: object) -> bool:
    """Whether a function is one of arrays: that is said by its `udf`, or by its annotations."""
    if isinstance(fn, Applied):
        target, options = fn.fn, fn.options
    else:
        target, options = unwrap(fn)
    if isinstance(target, Column) or options.kind not in (None, "array") or not callable(target):
        return False
    return options.kind == "array" or kind_of(capture(target), (), "with_columns").kind == "array"


def as_batch_function(fn: Any, column: str | None) -> Udf:
    """A function of arrays as a function of batches.

    Parameters:
        column: the column that it makes; None: it is a filter's.

    Raises:
        PlanError: an option that it cannot have.
    """
    given: dict[str, tuple[object] | list[str]] = {}
    if isinstance(fn, Applied):
        target, options = fn.fn, fn.options
        params = capture(target).params or ()
        for param, name, constant in zip(
            params, fn.values.columns, fn.values.constants, strict=True
        ):
            if name is not None:
                given[param.name] = [name]
            else:
                given[param.name] = constant or (param.default,)
    else:
        target, options = unwrap(fn)
    name = getattr(target, "__name__", type(target).__name__)
    if options.nulls == "skip":
        raise PlanError(f'{name}: nulls="skip" is for functions of one row\'s values')
    if options.args is not None:
        raise PlanError(f"{name}: args= is for scalar functions; arrays have their dtypes")
    arrays = Arrays(target, column, given, options.returns)
    return Udf(partial(call_arrays, arrays), options._replace(kind="batch", returns=None))


def call_arrays(arrays: Arrays, batch: pa.RecordBatch, by: OfArrays | None = None) -> object:
    """What a function of arrays makes of a batch: the batch with its column, or a mask.

    by: the function as Numba compiled it; what raises there is CPython's.

    Raises:
        UnknownColumnError: a parameter is no column.
        DataError: a column has nulls, or the result is no array of the batch's length.
    """
    captured = capture(arrays.fn)
    values: list[object] = []
    named: dict[str, object] = {}
    for param, taken in columns_taken(captured, arrays, batch.schema):
        value = taken[0] if isinstance(taken, tuple) else _view(captured.name, batch, taken[0])
        if param.kind == "positional":
            values.append(value)
        else:
            named[param.name] = value
    result: Any = None
    if by is not None and by.holds:
        with suppress(Exception):
            result = by.function(*values)
    if result is None:
        result = arrays.fn(*values, **named)
    if arrays.column is None:
        return result
    made = _column_of(captured.name, result, batch.num_rows)
    if arrays.type is not None and made.type != arrays.type:
        made = made.cast(arrays.type)
    columns: Any = batch
    place = batch.schema.get_field_index(arrays.column)
    if place >= 0:
        return columns.set_column(place, arrays.column, made)
    return columns.append_column(arrays.column, made)


def columns_taken(
    captured: Captured, arrays: Arrays, schema: pa.Schema
) -> list[tuple[Param, tuple[object] | list[str]]]:
    """What each parameter gets that does not keep its default."""
    made: list[tuple[Param, tuple[object] | list[str]]] = []
    for param in captured.params or ():
        taken = arrays.given.get(param.name)
        if taken is None and not arrays.given and param.name in schema.names:
            taken = [param.name]
        if taken is None and not param.has_default:
            raise UnknownColumnError(
                f"{captured.name} takes {param.name!r}, and there is no such column{suggest(param.name, schema.names)}"
            )
        if taken is not None:
            made.append((param, taken))
    if not any(isinstance(taken, list) for _, taken in made):
        raise PlanError(f"{captured.name} takes no column")
    return made


def _view(name: str, batch: pa.RecordBatch, column: str) -> Any:
    """A column as an array that cannot be written to."""
    if batch.schema.names.count(column) != 1:
        raise PlanError(f"{name}: there is more than one column {column!r}; rename")
    columns: Any = batch
    values: Any = columns.column(column)
    if values.null_count:
        raise DataError(
            f"{name} takes {column!r} as a NumPy array, and {values.null_count} of its {len(values)} values here are null, which such "
            "an array cannot hold. Drop or fill them before (filter, map), or take the batch: def f(batch: pa.RecordBatch)"
        )
    made: Any = values.to_numpy(zero_copy_only=False)
    if made.flags.writeable:  # a copy, as of booleans
        made.flags.writeable = False
    return made


def _column_of(name: str, result: Any, rows: int) -> Any:
    """What a function of arrays returned, as a column."""
    made: Any = result
    if isinstance(result, pa.ChunkedArray):
        made = cast("Any", result).combine_chunks()
    elif isinstance(result, list):
        made = arrow.array(cast("list[object]", result))
    elif not isinstance(result, pa.Array):
        shape: Any = getattr(result, "shape", None) if hasattr(result, "__array__") else None
        if shape is None or isinstance(result, type):
            raise DataError(
                f"{name} returned {type(result).__name__}, not an array with a value for each row"
            )
        if len(shape) != 1:
            kind = "one value" if not shape else f"an array of {len(shape)} dimensions"
            raise DataError(f"{name} returned {kind}, not an array with a value for each row")
        made = arrow.array(result)
    if len(made) != rows:
        raise DataError(f"{name} returned {len(made)} values for {rows} rows")
    return made


def arrays_of(fn: object) -> Arrays | None:
    """What `as_batch_function` made a function of batches of; None for all others."""
    if type(fn) is partial and cast("Any", fn).func is call_arrays:
        return cast("Any", fn).args[0]
    return None


def bind_arrays(
    arrays: Arrays, schema: pa.Schema | None, operator: str, options: Options
) -> BatchBinding:
    """Binds a function of arrays to the columns of `schema` (None: not known before the run).

    Raises:
        UnknownColumnError: a parameter is no column.
        PlanError: the type of what it gives cannot be told.
        TypeMismatchError: it is another than was said.
    """
    from sabot._errors import TypeMismatchError
    from sabot._form_bind import lower
    from sabot._function import check_batch_options, not_compiled

    captured = capture(arrays.fn)
    name, is_filter = captured.name, arrays.column is None
    if schema is None:
        raise PlanError(
            f"{name}: the columns are not known before the run, because a map without schema= comes before it; give that "
            "map its schema="
        )
    check_batch_options(name, operator, options)
    taken = columns_taken(captured, arrays, schema)
    columns = [one[0] for _, one in taken if isinstance(one, list)]
    for column in columns:
        if schema.names.count(column) > 1:
            raise PlanError(f"{name}: there is more than one column {column!r}; rename")
    text = f"{name}({', '.join(columns)})"
    before = "FILTER " if is_filter else f"WITH {arrays.column} = "
    bound = BatchBinding(
        partial(call_arrays, arrays),
        Place(f"{before}{text}", name, ()),
        None,
        is_filter,
        ON_ERROR.index(options.on_error),
        options.dead_letter,
        pure=options.pure is True,
        label=text if is_filter else f"WITH   {arrays.column} = {text}",
        arrays=tuple(columns),
    )
    bound = lower(as_batch(captured, arrays, schema, taken), schema, "", options, bound)
    if options.compile == "require" and bound.lowered is None:
        raise not_compiled(captured, bound, schema)
    told: Any = pa.bool_()
    if not is_filter:
        found: Any = bound.schema
        told = found.field(str(arrays.column)).type if found is not None else None
    if options.compile == "numba" and _config.get("compile") != "off":
        bound, told = _by_numba(captured, arrays, schema, columns, bound, told or arrays.type)
    if is_filter:
        return bound
    if told is None and arrays.type is None:
        if operator == "explain":
            return bound
        raise PlanError(
            f"the type of what {name} gives cannot be told; say it: udf(returns=pa.float64()), or another"
        )
    if told is not None and arrays.type not in (None, told):
        raise TypeMismatchError(
            f"{name} gives {told}, but returns= says {arrays.type}; leave returns= out, or change the function"
        )
    if bound.schema is None:
        bound = bound._replace(schema=_with_column(schema, str(arrays.column), told or arrays.type))
    return bound


def _by_numba(
    captured: Captured,
    arrays: Arrays,
    schema: pa.Schema,
    columns: list[str],
    bound: BatchBinding,
    told: Any,
) -> tuple[BatchBinding, Any]:
    """How Numba computes it, or why it does not, and the type of what it gives."""
    from sabot._numba import of_arrays

    found: Any = schema
    form: OfArrays | str = "values that are no columns"
    if not any(isinstance(one, tuple) for one in arrays.given.values()):
        form = of_arrays(captured, [found.field(name).type for name in columns])
    if not isinstance(form, str) and told not in (None, form.type):
        form = f"Numba makes it {form.type}, and its column is {told}"
    if isinstance(form, str):
        label = (
            f"{str(bound.label).partition(chr(9))[0]}\tin CPython, batch by batch  because: {form}"
        )
        return bound._replace(lowered=None, numba=form, label=label), told
    label = f"{str(bound.label).partition(chr(9))[0]}\tnumba, array, not exact  reads {', '.join(columns)}"
    return bound._replace(
        function=partial(call_arrays, arrays, by=form), lowered=None, numba="", label=label
    ), form.type


def _with_column(schema: pa.Schema, name: str, type: Any) -> pa.Schema:
    fields: Any = schema
    field = pa.field(name, type)
    place = fields.get_field_index(name)
    return fields.append(field) if place < 0 else fields.set(place, field)


def as_batch(
    captured: Captured,
    arrays: Arrays,
    schema: pa.Schema,
    taken: list[tuple[Param, tuple[object] | list[str]]],
) -> Captured:
    """The function as one of batches: its text behind lines that take the columns, and with its result put into the batch."""
    made = copy.copy(captured)
    node = captured.node
    columns = {param.name: one[0] for param, one in taken if isinstance(one, list)}
    constants = {param.name: one for param, one in taken if isinstance(one, tuple)}
    made.params = (
        Param(_BATCH, "positional", has_default=False, default=None),
        *(
            param._replace(has_default=True, default=constants.get(param.name, (param.default,))[0])
            for param in captured.params or ()
            if param.name not in columns
        ),
    )
    if node is None or isinstance(node, ast.AsyncFunctionDef):
        return made
    place = node.body if isinstance(node, ast.Lambda) else node.body[0]
    body: list[ast.stmt] = [_taking(name, column) for name, column in columns.items()]
    returns: list[ast.stmt] = (
        [ast.copy_location(ast.Return(node.body), node.body)]
        if isinstance(node, ast.Lambda)
        else node.body
    )
    if not isinstance(node, ast.Lambda) and ast.get_docstring(node, clean=False) is not None:
        returns = returns[1:]
    for one in body:
        for inner in ast.walk(one):
            ast.copy_location(inner, place)
    for one in returns:
        if isinstance(one, ast.Return) and one.value is not None and arrays.column is not None:
            body.append(_putting(one, one.value, schema, arrays.column))
        else:
            body.append(one)
    args = ast.arguments([], [ast.arg(_BATCH)], None, [], [], None, [])
    name = "lambda" if isinstance(node, ast.Lambda) else node.name
    made.node = ast.copy_location(ast.FunctionDef(name, args, body, []), node)
    return made


def _taking(name: str, column: str) -> ast.stmt:
    """`name = batch.column(column).to_numpy(zero_copy_only=False)`."""
    method = ast.Attribute(ast.Name(_BATCH, ast.Load()), "column", ast.Load())
    taken = ast.Call(method, [ast.Constant(column)], [])
    copies = ast.keyword("zero_copy_only", ast.Constant(value=False))
    array = ast.Call(ast.Attribute(taken, "to_numpy", ast.Load()), [], [copies])
    return ast.Assign([ast.Name(name, ast.Store())], array)


def _putting(node: ast.Return, value: ast.expr, schema: pa.Schema, column: str) -> ast.stmt:
    """`return batch.append_column(column, value)`, or `set_column`."""
    place = schema.get_field_index(column)
    name = "append_column" if place < 0 else "set_column"
    args: list[ast.expr] = [] if place < 0 else [ast.Constant(place)]
    args += [ast.Constant(column), value]
    method = ast.Attribute(ast.Name(_BATCH, ast.Load()), name, ast.Load())
    made = ast.Return(ast.Call(method, args, []))
    for inner in ast.walk(made):
        if not hasattr(inner, "lineno"):
            ast.copy_location(inner, value)
    return ast.copy_location(made, node)


def with_arrays(
    stream: Stream, columns: dict[str, Any], add: Callable[[Stream, Udf], Stream]
) -> Stream:
    """`with_columns` of which some functions are of arrays: these, and those of values between them, one after the other.

    add: puts one of arrays behind a stream.

    Raises:
        PlanError: one of them reads a column that one before it makes.
    """
    known = stream.schema
    there = known.names if known is not None else []
    made: dict[str, None] = {}
    group: dict[str, Any] = {}
    # All see the columns that come in, so what is replaced is replaced last.
    for name, fn in sorted(columns.items(), key=lambda one: one[0] in there):
        _check_reads(fn, name, made)
        made[name] = None
        if not takes_arrays(fn):
            group[name] = fn
            continue
        if group:
            stream, group = stream.with_columns(**group), {}
        stream = add(stream, as_batch_function(fn, name))
    return stream.with_columns(**group) if group else stream


def _check_reads(fn: Any, name: str, made: Mapping[str, None]) -> None:
    if isinstance(fn, Column):
        read = {fn.name}
    elif isinstance(fn, Applied):
        read = {one for one in fn.values.columns if one is not None}
    else:
        read = {param.name for param in capture(unwrap(fn)[0]).params or ()}
    twice = sorted(read & made.keys())
    if twice:
        raise PlanError(
            f"with_columns: {name} reads {twice[0]!r}, which is made here too, beside a function of arrays; give it a "
            "with_columns of its own, before or behind"
        )
