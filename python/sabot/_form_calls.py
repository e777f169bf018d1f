"""Calls in a batch function: methods of batches and arrays, functions of pyarrow that make them."""

from __future__ import annotations

import ast
from types import FunctionType
from typing import TYPE_CHECKING, Any

from sabot import _compute
from sabot._encode import dotted
from sabot._form_arrays import clip_method, round_method
from sabot._form_constants import array as known_array
from sabot._form_constants import scalar, texts, type_of_text
from sabot._form_narrow import called
from sabot._form_numpy import array_of, astype, copied, function_of
from sabot._form_values import (
    ARROW,
    NUMPY,
    Array,
    Batch,
    Builder,
    Count,
    FieldOf,
    Known,
    Lists,
    NoFormError,
    Schema,
    Several,
    Value,
    listed,
)
from sabot._piece import arrow

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from sabot._form import Reader

    Method: TypeAlias = Callable[[Reader, ast.Call, Any], Value]


def call(reader: Reader, node: ast.Call) -> Value | None:
    """What a call gives; None where it has nothing to do with the batch.

    Raises:
        NoFormError: it has, and is not known.
    """
    if isinstance(node.func, ast.Attribute):
        owner = reader.maybe(node.func.value)
        if owner is not None:
            return _method(reader, node, owner, node.func.attr)
    target = reader.called(node)
    if target is len and len(node.args) == 1:
        owner = reader.maybe(node.args[0])
        if isinstance(owner, Batch) and not owner.columns:
            raise NoFormError(node, "a batch without columns")
        if isinstance(owner, (Array, Batch)):
            return Count()
        return None
    if target is list and not node.args and not node.keywords:
        return Builder(reader.slot())
    if target is None and isinstance(node.func, ast.Attribute) and node.func.attr == "from_pydict":
        owner = reader.resolved(node.func.value)
        if owner is arrow.RecordBatch:
            return _from_pydict(reader, node)
        if owner is arrow.Table:
            return _table(_from_pydict)(reader, node)
    for known, write in FUNCTIONS:
        if target is known:
            return write(reader, node)
    read = function_of(target) if target is not None else None
    if read is not None:
        return read(reader, node)
    if type(target) is FunctionType and target.__module__ == "pyarrow.compute":
        if target.__name__ == "cast":
            return _pc_cast(reader, node)
        from sabot._form_compute import call as compute
        from sabot._form_compute import name_of
        from sabot._form_options import special_of

        special = special_of(target)
        if special is not None:
            return special(reader, node)

        name = name_of(target)
        if name is None:
            raise NoFormError(node, f"pc.{target.__name__}")
        return compute(reader, node, name)
    from sabot._form_helper import call as call_helper

    given = call_helper(reader, node)
    if given is not None:
        return given
    _, text = dotted(node.func)
    for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
        if reader.maybe(argument) is not None:
            raise NoFormError(node, f"{text or 'a function'} of whole arrays")
    return None


def _method(reader: Reader, node: ast.Call, owner: Value, name: str) -> Value:
    write = _methods(owner).get(name)
    if write is None:
        raise NoFormError(node, f"the method {name}")
    return write(reader, node, owner)


def _methods(owner: Value) -> dict[str, Method]:
    if isinstance(owner, Batch):
        return _BATCH
    if isinstance(owner, Schema):
        return _SCHEMA
    if not isinstance(owner, Array):
        return {}
    return {ARROW: _ARRAY, NUMPY: _NUMPY}.get(owner.family, {})


def arguments(node: ast.Call, *names: str) -> list[ast.expr | None]:
    """The arguments of a call by the names of its parameters; None for those that are left out."""
    given: dict[str, ast.expr] = {}
    for name, value in zip(names, node.args, strict=False):
        given[name] = value
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in given or keyword.arg not in names:
            raise NoFormError(node, f"the argument {keyword.arg or '**'}")
        given[keyword.arg] = keyword.value
    if len(node.args) > len(names) or any(isinstance(one, ast.Starred) for one in node.args):
        raise NoFormError(node, "its arguments")
    return [given.get(name) for name in names]


def needed(node: ast.Call, value: ast.expr | None) -> ast.expr:
    if value is None:
        raise NoFormError(node, "a missing argument")
    return value


# Batches


def _column(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    [key] = arguments(node, "i")
    return reader.column(batch, needed(node, key), node)


def _to_pydict(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    arguments(node)
    return Lists(batch)


def _field_of(
    reader: Reader, node: ast.Call, field: ast.expr | None, value: ast.expr | None
) -> tuple[str, Array]:
    """A column's name, or a field of that name and type, with its array."""
    array = _array_of(reader, node, value)
    if isinstance(field, ast.Call) and reader.called(field) is arrow.field:
        name, type_node = arguments(field, "name", "type")
        type_ = type_of_text(reader, node, needed(node, type_node))
        return _named(reader, node, name), _of_type(reader, node, array, type_)
    return _named(reader, node, field), array


def _added(
    reader: Reader,
    node: ast.Call,
    batch: Batch,
    field: ast.expr | None,
    value: ast.expr | None,
) -> tuple[str, Array]:
    """Likewise, for a batch, or for a table, which takes arrays of Arrow's alone."""
    if batch.is_table:
        given = reader.value(needed(node, value))
        if not isinstance(given, Array) or given.family != ARROW:
            raise NoFormError(node, "a column of a table that is no array of Arrow")
    return _field_of(reader, node, field, value)


_ITEMS = {
    arrow.int64(): _compute.an_int,
    arrow.bool_(): _compute.an_int,
    arrow.float64(): _compute.a_float,
}


def _of_type(reader: Reader, node: ast.expr, array: Array, type_: Any) -> Array:
    """An array that has to be of a type: one that its items tell may be of another in some batch."""
    by_items = array.type is None and array.wanted is None and reader.kind != "whole"
    if by_items and type_ in _ITEMS:
        name = reader.make(called(node, _ITEMS[type_], array.value(node)), node)
        reader.strict[name] = node
        return array._replace(name=name, wanted=type_)
    if (array.type or array.wanted) != type_:
        raise NoFormError(node, f"a column of {type_} from an array of {array.type}")
    return array


def _named(reader: Reader, node: ast.Call, name: ast.expr | None) -> str:
    found = reader.constant(needed(node, name))
    if not isinstance(found, str):
        raise NoFormError(node, "a column's name that the text does not tell")
    return found


def _array_of(reader: Reader, node: ast.Call, value: ast.expr | None) -> Array:
    return reader.as_array(needed(node, value), node)


def _place(reader: Reader, node: ast.Call, place: ast.expr | None, count: int) -> int:
    found = reader.constant(needed(node, place))
    if type(found) is not int or not 0 <= found < count:
        raise NoFormError(node, "a column's place that the text does not tell")
    return found


def _append_column(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    name, value = arguments(node, "field_", "column")
    made = _added(reader, node, batch, name, value)
    return batch._replace(columns=(*batch.columns, made))


def _add_column(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    place, name, value = arguments(node, "i", "field_", "column")
    at = _place(reader, node, place, len(batch.columns) + 1)
    made = _added(reader, node, batch, name, value)
    return batch._replace(columns=(*batch.columns[:at], made, *batch.columns[at:]))


def _set_column(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    place, name, value = arguments(node, "i", "field_", "column")
    at = _place(reader, node, place, len(batch.columns))
    made = _added(reader, node, batch, name, value)
    return batch._replace(columns=(*batch.columns[:at], made, *batch.columns[at + 1 :]))


def _remove_column(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    [place] = arguments(node, "i")
    at = _place(reader, node, place, len(batch.columns))
    return batch._replace(columns=(*batch.columns[:at], *batch.columns[at + 1 :]))


def _names(reader: Reader, node: ast.Call, given: ast.expr | None) -> list[str]:
    names = None if given is None else texts(reader, given)
    if names is not None:
        return names
    raise NoFormError(node, "names that the text does not tell")


def _select(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    [given] = arguments(node, "columns")
    columns = dict(batch.columns)
    names = _names(reader, node, given)
    if any(batch.names.count(name) != 1 for name in names):
        raise NoFormError(node, "a column that the batch has not")
    return batch._replace(columns=tuple((name, columns[name]) for name in names))


def _drop_columns(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    [given] = arguments(node, "columns")
    name = reader.constant(given) if given is not None else None
    names = [name] if isinstance(name, str) else _names(reader, node, given)
    if any(batch.names.count(one) != 1 for one in names):
        raise NoFormError(node, "a column that the batch has not")
    return batch._replace(columns=tuple(pair for pair in batch.columns if pair[0] not in names))


def _rename_columns(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    [given] = arguments(node, "names")
    names = _names(reader, node, given)
    if len(names) != len(batch.columns):
        raise NoFormError(node, "as many names as columns")
    # pyarrow keeps the metadata of the fields here, and not that of the schema.
    columns = tuple((name, array) for name, (_, array) in zip(names, batch.columns, strict=True))
    return Batch(columns, is_table=batch.is_table)


_BATCH: dict[str, Method] = {
    "add_column": _add_column,
    "append_column": _append_column,
    "column": _column,
    "drop_columns": _drop_columns,
    "remove_column": _remove_column,
    "rename_columns": _rename_columns,
    "select": _select,
    "set_column": _set_column,
    "to_pydict": _to_pydict,
}


# Schemas


def _field_index(reader: Reader, node: ast.Call, schema: Schema) -> Value:
    [name] = arguments(node, "name")
    wanted = _named(reader, node, name)
    names = schema.batch.names
    return Known(names.index(wanted) if names.count(wanted) == 1 else -1)


def _field(reader: Reader, node: ast.Call, schema: Schema) -> Value:
    """Of a field, what is asked is its array's: its type."""
    [key] = arguments(node, "i")
    return FieldOf(reader.column(schema.batch, needed(node, key), node))


_SCHEMA: dict[str, Method] = {"field": _field, "get_field_index": _field_index}


# Arrays


def _to_pylist(reader: Reader, node: ast.Call, array: Array) -> Value:
    arguments(node)
    return listed(array, node)


def _to_numpy(reader: Reader, node: ast.Call, array: Array) -> Value:
    [zero_copy] = arguments(node, "zero_copy_only")
    if zero_copy is not None and type(reader.constant(zero_copy)) is not bool:
        raise NoFormError(node, "zero_copy_only=")
    is_copy = zero_copy is not None and reader.constant(zero_copy) is False
    return array_of(reader, array, node, is_copy)


def _computed(name: str) -> Method:
    """A method that is a function of pyarrow.compute."""

    def write(reader: Reader, node: ast.Call, array: Array) -> Value:
        from sabot._form_compute import call_of

        return call_of(reader, node, name, array)

    return write


def _cast(reader: Reader, node: ast.Call, array: Array) -> Value:
    type_node, safe = arguments(node, "target_type", "safe")
    return _cast_of(reader, node, array, type_node, safe)


def _pc_cast(reader: Reader, node: ast.Call) -> Value:
    values, type_node, safe = arguments(node, "arr", "target_type", "safe")
    return _cast_of(reader, node, reader.value(needed(node, values)), type_node, safe)


def _cast_of(
    reader: Reader,
    node: ast.Call,
    array: Value | None,
    type_node: ast.expr | None,
    safe: ast.expr | None,
) -> Value:
    from sabot._form_compute import cast

    if not isinstance(array, Array) or array.family != ARROW:
        raise NoFormError(node, "a cast of no Arrow array")
    is_safe = True if safe is None else reader.constant(safe)
    if type(is_safe) is not bool:
        raise NoFormError(node, "safe=")
    return cast(reader, node, array, type_of_text(reader, node, needed(node, type_node)), is_safe)


_ARRAY: dict[str, Method] = {
    "cast": _cast,
    "fill_null": _computed("fill_null"),
    "is_nan": _computed("is_nan"),
    "is_null": _computed("is_null"),
    "is_valid": _computed("is_valid"),
    "to_numpy": _to_numpy,
    "to_pylist": _to_pylist,
}


_NUMPY: dict[str, Method] = {
    "astype": astype,
    "clip": clip_method,
    "copy": copied,
    "round": round_method,
}


# Functions


def _pa_array(reader: Reader, node: ast.Call) -> Value:
    values, type_node = arguments(node, "obj", "type")
    given = reader.value(needed(node, values))
    wanted = None if type_node is None else type_of_text(reader, node, type_node)
    if values is not None and (given is None or isinstance(given, Known)):
        made = known_array(reader, node, values, wanted)
        if made is not None:
            return made
    if not isinstance(given, Array) or given.family == ARROW:
        raise NoFormError(node, "pa.array of something else than a list or array of the rows")
    return reader.as_arrow(given, node)._replace(wanted=wanted, column=None, type=None)


def _from_arrays(reader: Reader, node: ast.Call) -> Value:
    arrays, names, schema = arguments(node, "arrays", "names", "schema")
    given = _arrays(reader, node, needed(node, arrays))
    fields = None if schema is None else _fields(reader, node, schema)
    wanted = _names(reader, node, names) if fields is None else [name for name, _ in fields]
    if len(wanted) != len(given) or (fields is not None and names is not None):
        raise NoFormError(node, "as many names as arrays")
    if fields is not None:
        types = [type_ for _, type_ in fields]
        given = [_of_type(reader, node, one, of) for one, of in zip(given, types, strict=True)]
    return Batch(tuple(zip(wanted, given, strict=True)))


def _arrays(reader: Reader, node: ast.Call, given: ast.expr) -> list[Array]:
    if isinstance(given, (ast.List, ast.Tuple)) and given.elts:
        return [_array_of(reader, node, one) for one in given.elts]
    value = reader.maybe(given) if not isinstance(given, ast.ListComp) else reader.value(given)
    if not isinstance(value, Several):
        raise NoFormError(node, "arrays that the text does not tell")
    return [reader.as_arrow(one, node) for one in value.items]


def _fields(reader: Reader, node: ast.Call, given: ast.expr) -> list[tuple[str, Any]]:
    """The names and types of a schema: the batch's own, or a captured one without more to it."""
    value = reader.maybe(given)
    found: Any = reader.schema if isinstance(value, Schema) else reader.resolved(given)
    # By its class alone, so that no code of the user's runs.
    if type(found) is not arrow.Schema:
        raise NoFormError(node, "a schema that the text does not tell")
    if found.metadata or any(one.metadata or not one.nullable for one in found):
        raise NoFormError(node, "a schema with metadata or fields without nulls")
    if isinstance(value, Schema):
        return [(name, array.type) for name, array in value.batch.columns]
    return [(one.name, one.type) for one in found]


def _from_batches(reader: Reader, node: ast.Call) -> Value:
    """A table of one batch."""
    [given] = arguments(node, "batches")
    if isinstance(given, (ast.List, ast.Tuple)) and len(given.elts) == 1:
        batch = reader.value(given.elts[0])
        if isinstance(batch, Batch) and not batch.is_table:
            return batch._replace(is_table=True)
    raise NoFormError(node, "a table of other batches than one")


def _from_pydict(reader: Reader, node: ast.Call) -> Value:
    [mapping] = arguments(node, "mapping")
    return _of_dict(reader, node, mapping)


def _of_dict(reader: Reader, node: ast.Call, given: ast.expr | None) -> Value:
    return Batch(reader.columns_of(needed(node, given), node))


def _of_data(reader: Reader, node: ast.Call) -> Value:
    """pa.table, pa.record_batch: of a dict, or of arrays with names."""
    data, names, schema = arguments(node, "data", "names", "schema")
    if names is None and schema is None and not isinstance(data, (ast.List, ast.Tuple)):
        return _of_dict(reader, node, data)
    return _from_arrays(reader, node)


def _table(write: Callable[[Reader, ast.Call], Value]) -> Callable[[Reader, ast.Call], Value]:
    """The same as a table, whose columns are in chunks."""

    def made(reader: Reader, node: ast.Call) -> Value:
        batch = write(reader, node)
        assert isinstance(batch, Batch)
        return batch._replace(is_table=True)

    return made


FUNCTIONS: tuple[tuple[object, Callable[[Reader, ast.Call], Value]], ...] = (
    (arrow.array, _pa_array),
    (arrow.scalar, scalar),
    (arrow.table, _table(_of_data)),
    (arrow.record_batch, _of_data),
    (arrow.RecordBatch.from_arrays, _from_arrays),
    (arrow.Table.from_batches, _from_batches),
    (arrow.Table.from_arrays, _table(_from_arrays)),
)
