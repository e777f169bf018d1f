"""Calls in a batch function: methods of batches and arrays, functions of pyarrow that make them."""

from __future__ import annotations

import ast
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sabot._encode import dotted, type_name
from sabot._form_numpy import array_of, astype, copied, function_of
from sabot._form_values import ARROW, LIST, NUMPY, Array, Batch, Builder, Count, NoFormError, Value
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
        if isinstance(owner, (Array, Batch)):
            return Count()
        return None
    if target is list and not node.args and not node.keywords:
        return Builder(reader.slot())
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

        name = name_of(target)
        if name is None:
            raise NoFormError(node, f"pc.{target.__name__}")
        return compute(reader, node, name)
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
    made = _named(reader, node, name), _array_of(reader, node, value)
    return Batch((*batch.columns, made))


def _add_column(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    place, name, value = arguments(node, "i", "field_", "column")
    at = _place(reader, node, place, len(batch.columns) + 1)
    made = _named(reader, node, name), _array_of(reader, node, value)
    return Batch((*batch.columns[:at], made, *batch.columns[at:]))


def _set_column(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    place, name, value = arguments(node, "i", "field_", "column")
    at = _place(reader, node, place, len(batch.columns))
    made = _named(reader, node, name), _array_of(reader, node, value)
    return Batch((*batch.columns[:at], made, *batch.columns[at + 1 :]))


def _remove_column(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    [place] = arguments(node, "i")
    at = _place(reader, node, place, len(batch.columns))
    return Batch((*batch.columns[:at], *batch.columns[at + 1 :]))


def _names(reader: Reader, node: ast.Call, given: ast.expr | None) -> list[str]:
    if isinstance(given, (ast.List, ast.Tuple)):
        names = [reader.constant(one) for one in given.elts]
        if all(isinstance(name, str) for name in names):
            return [str(name) for name in names]
    raise NoFormError(node, "names that the text does not tell")


def _select(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    [given] = arguments(node, "columns")
    columns = dict(batch.columns)
    names = _names(reader, node, given)
    if any(batch.names.count(name) != 1 for name in names):
        raise NoFormError(node, "a column that the batch has not")
    return Batch(tuple((name, columns[name]) for name in names))


def _drop_columns(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    [given] = arguments(node, "columns")
    name = reader.constant(given) if given is not None else None
    names = [name] if isinstance(name, str) else _names(reader, node, given)
    if any(batch.names.count(one) != 1 for one in names):
        raise NoFormError(node, "a column that the batch has not")
    return Batch(tuple(pair for pair in batch.columns if pair[0] not in names))


def _rename_columns(reader: Reader, node: ast.Call, batch: Batch) -> Value:
    [given] = arguments(node, "names")
    names = _names(reader, node, given)
    if len(names) != len(batch.columns):
        raise NoFormError(node, "as many names as columns")
    return Batch(
        tuple((name, array) for name, (_, array) in zip(names, batch.columns, strict=True))
    )


_BATCH: dict[str, Method] = {
    "add_column": _add_column,
    "append_column": _append_column,
    "column": _column,
    "drop_columns": _drop_columns,
    "remove_column": _remove_column,
    "rename_columns": _rename_columns,
    "select": _select,
    "set_column": _set_column,
}


# Arrays


def _to_pylist(reader: Reader, node: ast.Call, array: Array) -> Value:
    arguments(node)
    if array.family == LIST:
        raise NoFormError(node, "the method to_pylist of a list")
    if array.family == NUMPY or array.column is None:
        raise NoFormError(node, "the values of an array that was made here, as a list")
    return array._replace(family=LIST, type=None)


def _to_numpy(reader: Reader, node: ast.Call, array: Array) -> Value:
    [zero_copy] = arguments(node, "zero_copy_only")
    if zero_copy is not None and type(reader.constant(zero_copy)) is not bool:
        raise NoFormError(node, "zero_copy_only=")
    return array_of(reader, array, node)


def _computed(name: str) -> Method:
    """A method that is a function of pyarrow.compute."""

    def write(reader: Reader, node: ast.Call, array: Array) -> Value:
        from sabot._form_compute import call_of

        return call_of(reader, node, name, array)

    return write


def _cast(reader: Reader, node: ast.Call, array: Array) -> Value:
    [type_node] = arguments(node, "target_type")
    from sabot._form_compute import cast

    if array.family != ARROW:
        raise NoFormError(node, "the method cast of no Arrow array")
    return cast(reader, node, array, type_of(reader, node, needed(node, type_node)))


def _pc_cast(reader: Reader, node: ast.Call) -> Value:
    values, type_node = arguments(node, "arr", "target_type")
    array = reader.value(needed(node, values))
    from sabot._form_compute import cast

    if not isinstance(array, Array) or array.family != ARROW:
        raise NoFormError(node, "pc.cast of no Arrow array")
    return cast(reader, node, array, type_of(reader, node, needed(node, type_node)))


_ARRAY: dict[str, Method] = {
    "cast": _cast,
    "fill_null": _computed("fill_null"),
    "is_nan": _computed("is_nan"),
    "is_null": _computed("is_null"),
    "is_valid": _computed("is_valid"),
    "to_numpy": _to_numpy,
    "to_pylist": _to_pylist,
}


_NUMPY: dict[str, Method] = {"astype": astype, "copy": copied}


# Functions


def _pa_array(reader: Reader, node: ast.Call) -> Value:
    values, type_node = arguments(node, "obj", "type")
    given = reader.value(needed(node, values))
    if not isinstance(given, Array) or given.family == ARROW:
        raise NoFormError(node, "pa.array of something else than a list or array of the rows")
    wanted = None if type_node is None else type_of(reader, node, type_node)
    return reader.as_arrow(given, node)._replace(wanted=wanted, column=None, type=None)


def type_of(reader: Reader, node: ast.Call, given: ast.expr) -> Any:
    if isinstance(given, ast.Call) and not given.args and not given.keywords:
        made = reader.called(given)
        for make in _TYPES:
            if made is make:
                return make()
    found = reader.resolved(given)
    # By its class alone, so that no code of the user's runs.
    if issubclass(type(found), pa.DataType) and type_name(found).startswith("pyarrow.lib."):
        return found
    raise NoFormError(node, "a type that the text does not tell")


_TYPES: tuple[Callable[[], Any], ...] = (
    *(pa.int8, pa.int16, pa.int32, pa.int64, pa.uint8, pa.uint16, pa.uint32, pa.uint64),
    *(pa.float32, pa.float64, pa.bool_),
)


def _from_arrays(reader: Reader, node: ast.Call) -> Value:
    arrays, names = arguments(node, "arrays", "names")
    if not isinstance(arrays, (ast.List, ast.Tuple)):
        raise NoFormError(node, "arrays that the text does not tell")
    wanted = _names(reader, node, names)
    if len(wanted) != len(arrays.elts):
        raise NoFormError(node, "as many names as arrays")
    made = [_array_of(reader, node, one) for one in arrays.elts]
    return Batch(tuple(zip(wanted, made, strict=True)))


def _from_pydict(reader: Reader, node: ast.Call) -> Value:
    [mapping] = arguments(node, "mapping")
    return _of_dict(reader, node, mapping)


def _of_dict(reader: Reader, node: ast.Call, given: ast.expr | None) -> Value:
    if not isinstance(given, ast.Dict):
        raise NoFormError(node, "columns that the text does not tell")
    pairs: dict[str, Array] = {}
    for key, item in zip(given.keys, given.values, strict=True):
        name = reader.constant(key) if key is not None else None
        if not isinstance(name, str) or name in pairs:
            raise NoFormError(item, "a column that the text does not tell")
        pairs[name] = _array_of(reader, node, item)
    return Batch(tuple(pairs.items()))


def _of_data(reader: Reader, node: ast.Call) -> Value:
    """pa.table, pa.record_batch: of a dict, or of arrays with names."""
    data, names = arguments(node, "data", "names")
    if isinstance(data, ast.Dict) and names is None:
        return _of_dict(reader, node, data)
    return _from_arrays(reader, node)


FUNCTIONS: tuple[tuple[object, Callable[[Reader, ast.Call], Value]], ...] = (
    (arrow.array, _pa_array),
    (arrow.table, _of_data),
    (arrow.record_batch, _of_data),
    (arrow.RecordBatch.from_arrays, _from_arrays),
    (arrow.RecordBatch.from_pydict, _from_pydict),
    (arrow.Table.from_arrays, _from_arrays),
    (arrow.Table.from_pydict, _from_pydict),
)
