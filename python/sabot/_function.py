"""A user's function bound to a schema: captured, typed, and ready for the engine."""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from sabot import _config, _core
from sabot._annotations import blob_annotation
from sabot._capture import Captured, capture
from sabot._engine import session
from sabot._errors import PlanError, UnknownColumnError, suggest
from sabot._kinds import kind_of
from sabot._lane import BatchBinding, Binding, Place

if TYPE_CHECKING:
    from collections.abc import Callable

_CACHE_MAX = 256


class Scalar(NamedTuple):
    """A scalar function of the plan."""

    captured: Captured
    core: _core.Function
    positional_count: int
    keywords: tuple[str, ...] | None
    kind_rule: str

    def binding(self, operator: str) -> Binding:
        """What the engine needs to call it, placed in an operator's text."""
        columns = tuple(column for _, column in self.core.params)
        name = self.captured.name
        place = Place(operator.format(f"{name}({', '.join(columns)})"), name, columns)
        function: Any = self.captured.fn
        return Binding(function, self.positional_count, self.keywords, place)


def bind(
    fn: Callable[..., object],
    schema: pa.Schema | None,
    operator: str,
    declared: pa.Schema | None = None,
) -> Scalar | BatchBinding:
    """Tells a function's kind and binds it to the columns of `schema` (None: not known before the run)."""
    if not callable(fn):
        raise PlanError(f"{operator} takes a function, not {type(fn).__name__}")
    captured = capture(fn)
    kind = kind_of(captured, schema.names if schema is not None else (), operator)
    if kind.error is not None:
        if schema is not None and kind.row == "unknown_column":
            raise UnknownColumnError(f"{captured.name}: {kind.error}{_suggestion(captured, schema)}")
        raise PlanError(f"{captured.name}: {kind.error}")
    if kind.kind == "scalar":
        return bind_scalar(captured, schema, operator, kind.rule)
    if kind.kind != "batch":
        raise PlanError(f"{captured.name}: {kind.kind} functions are not there yet ({kind.rule})")
    if operator == "with_columns":
        raise PlanError(
            f"{captured.name} is a batch function ({kind.rule}); with_columns takes functions of column "
            "values. Name its parameters after columns, or use map"
        )
    name = captured.name
    place = Place(f"{operator.upper()} {name}(batch)", name, ())
    return BatchBinding(fn, place, declared, operator == "filter")


def _suggestion(captured: Captured, schema: pa.Schema) -> str:
    missing = [
        p.name for p in captured.params or () if not p.has_default and p.name not in schema.names
    ]
    return suggest(missing[0], schema.names) if missing else ""


def bind_scalar(
    captured: Captured, schema: pa.Schema | None, operator: str, rule: str
) -> Scalar:
    """Binds a scalar function to columns by its parameters' names."""
    if operator == "map":
        raise PlanError(
            f"{captured.name} is a scalar function ({rule}); map takes batch functions. "
            f"For a new column use with_columns(name={captured.name})"
        )
    if schema is None:
        raise PlanError(
            f"{operator}({captured.name}): the columns are not known before the run, because a map without "
            "schema= comes before it; give that map its schema="
        )
    blob = captured.blob if captured.blob is not None else _refused_blob(captured)
    core = _core_function(blob, schema, compile_off=_config.get("compile") == "off")
    params = captured.params or ()
    bound = [index for index, _ in core.params]
    positional = 0
    while (
        positional < len(bound)
        and bound[positional] == positional
        and params[positional].kind == "positional"
    ):
        positional += 1
    keywords = tuple(params[index].name for index in bound[positional:])
    return Scalar(captured, core, positional, keywords or None, rule)


_cache: OrderedDict[tuple[object, ...], _core.Function] = OrderedDict()


def _core_function(blob: bytes, schema: pa.Schema, *, compile_off: bool) -> _core.Function:
    """Typed once for one text and one set of columns: a repeat shares the native code and the counters."""
    key = (os.getpid(), blob, compile_off, tuple((f.name, str(f.type)) for f in schema))
    found = _cache.get(key)
    if found is None:
        found = _core.Function(session(), blob, schema, compile_off)
        while len(_cache) >= _CACHE_MAX:
            _cache.popitem(last=False)
    else:
        del _cache[key]
    _cache[key] = found
    return found


def _refused_blob(captured: Captured) -> bytes:
    """A blob for a function without a tree: parameters, annotation and why, so that the engine can still type and run it."""
    from sabot._blob import ANNOTATIONS, MAGIC, NODES, VERSION

    def text(value: str) -> bytes:
        data = value.encode("utf-8", "replace")
        return struct.pack("<I", len(data)) + data

    refusal = captured.refusals[0]
    annotation = blob_annotation(captured.annotations.get("return"))
    params = captured.params or ()

    def unsupported() -> bytes:
        place = (refusal.line, refusal.col, refusal.end_line, refusal.end_col)
        head = struct.pack("<BIIII", NODES["UNSUPPORTED"], *place)
        return head + text(refusal.code) + text(refusal.detail)

    number = annotation if isinstance(annotation, int) else ANNOTATIONS[annotation]
    parts = [struct.pack("<II", MAGIC, VERSION), text(captured.name), text(captured.file)]
    parts.append(struct.pack("<IBI", captured.first_line, number, len(params)))
    parts += [text(param.name) for param in params]
    parts.append(struct.pack("<I", len(params)))
    for param in params:
        parts.append(struct.pack("<B", param.has_default))
        if param.has_default:
            parts.append(unsupported())
    parts.append(struct.pack("<I", 1))
    parts.append(unsupported())
    return b"".join(parts)
