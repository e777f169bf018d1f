"""A table as a pandas DataFrame, a little at a time.

pyarrow holds the interpreter while it makes Python objects, and does so for a whole column; an event loop that shares the
interpreter would wait. Therefore columns that become objects are converted some rows at a time, which gives the same objects.
Whether integers inside of lists and structs become floats depends on whether there is a null among all of them, and is settled before.
"""

# The stubs of pyarrow and pandas leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false

from __future__ import annotations

from time import thread_time
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

from sabot._values import Pace

_ROWS_MIN = 1024  # of tables with fewer pyarrow is left alone
_FLAT_ROWS_MAX = 1 << 16  # equal values of one part are one object


def frame_of(table: pa.Table, pandas: Any) -> Any:
    """What `table.to_pandas()` gives."""
    slow: dict[str, Any] = {}
    if table.num_rows >= _ROWS_MIN and len(set(table.column_names)) == table.num_columns:
        for name, column in zip(table.column_names, table.columns, strict=True):
            objects = _objects(column)
            if objects is not None:
                slow[name] = objects
    rest = table
    for name in slow:
        place = table.column_names.index(name)
        field = table.schema.field(place).with_type(pa.null())
        rest = rest.set_column(place, field, pa.nulls(table.num_rows))
    frame = rest.to_pandas()
    if not all(name in frame.columns for name in slow):  # one of them is the index
        return table.to_pandas()
    for name, objects in slow.items():
        series = pandas.Series(objects, dtype=object, index=frame.index)
        frame.isetitem(frame.columns.get_loc(name), series)
    return frame


def _objects(column: Any) -> Any:
    """The column's Python objects as a NumPy array; None: it does not become objects, or only all at once as it should."""
    import numpy

    wanted = _wanted(column.type, column.chunks) if _is_slow(column.type) else None
    if wanted is None:
        return None
    objects, start = numpy.empty(len(column), dtype=object), 0
    pace = Pace() if pt.is_nested(column.type) else Pace(_FLAT_ROWS_MAX)
    while start < len(column):
        began = thread_time()
        # By itself: pyarrow looks at all values of a map for each part of it.
        part = pa.concat_arrays(column.slice(start, pace.rows).chunks)
        if not wanted.equals(column.type):
            part = part.cast(wanted, safe=False)
        given = part.to_pandas()
        if given.dtype != object:
            return None
        objects[start : start + len(part)] = given.to_numpy()
        start += len(part)
        pace.took(len(part), thread_time() - began)
    return objects


def _is_slow(kind: Any) -> bool:
    flat = pt.is_decimal(kind) or pt.is_date(kind) or pt.is_time(kind)
    return flat or pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_nested(kind)


def _wanted(kind: Any, chunks: list[Any]) -> Any:
    """The type with floats for integers that have nulls somewhere; None: pieces would not become what the whole does."""
    if pt.is_list(kind) or pt.is_large_list(kind):
        inner = _wanted(kind.value_type, [chunk.flatten() for chunk in chunks])
        if inner is None:
            return None
        field = kind.value_field.with_type(inner)
        return pa.list_(field) if pt.is_list(kind) else pa.large_list(field)
    if pt.is_struct(kind):
        # pyarrow looks at each chunk of structs by itself.
        given = {_wanted_struct(kind, chunk) for chunk in chunks if len(chunk)} or {kind}
        return given.pop() if len(given) == 1 else None
    nulls = any(chunk.null_count for chunk in chunks)
    if pt.is_map(kind):
        items = _wanted(kind.item_type, [chunk.items for chunk in chunks])
        return kind if items == kind.item_type else None
    if pt.is_integer(kind):
        return pa.float64() if nulls else kind
    if pt.is_boolean(kind):
        return None if nulls else kind
    return None if pt.is_nested(kind) or pt.is_null(kind) or _is_encoded(kind) else kind


def _wanted_struct(kind: Any, chunk: Any) -> Any:
    fields: list[Any] = []
    for k, field in enumerate(kind):
        inner = _wanted(field.type, [chunk.field(k)])
        if inner is None:
            return None
        fields.append(field.with_type(inner))
    return pa.struct(fields)


def _is_encoded(kind: Any) -> bool:
    return isinstance(kind, (pa.DictionaryType, pa.BaseExtensionType)) or pt.is_run_end_encoded(
        kind
    )
