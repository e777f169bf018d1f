"""Kinds: whether a function takes one row's values, or a batch. Told from its text, never by trying it.

`KINDS_TABLE` is the rule, in its order; `kind_of` applies it. The answer depends on the function's parameters, annotations and
text and on the columns, not on whether or how the function is compiled.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._annotations import Annotation
    from sabot._capture import Captured, Param


class KindRow(NamedTuple):
    """One row of the table: `when` it applies and the `kind` it gives; `test` names it in tests and results."""

    test: str
    when: str
    kind: str


KINDS_TABLE: tuple[KindRow, ...] = (
    KindRow("declared", "the kind is declared", "as declared"),
    KindRow("annotated_batch", "a parameter is annotated pyarrow.RecordBatch", "batch"),
    KindRow("annotated_array", "a parameter is annotated numpy.ndarray", "array"),
    KindRow("annotated_record", "a parameter is annotated dict", "record"),
    KindRow("annotated_scalar", "a parameter is annotated with a scalar type", "scalar"),
    KindRow(
        "batch_attribute",
        "one parameter, used with .column(...), .num_rows, .schema or .to_pandas",
        "batch",
    ),
    KindRow("columns", "every parameter without a default is a column", "scalar"),
    KindRow("unknown_column", "several parameters, some of them no column", "error"),
    KindRow(
        "compute",
        "one parameter p, no column: p[...] is passed to pyarrow.compute or followed by .to_numpy, .to_pylist",
        "batch",
    ),
    KindRow(
        "item",
        'one parameter p, no column: p["c"] or p.get("c") is used as a value, or **p in a dict or call',
        "record",
    ),
    KindRow("untold", "nothing above tells; in map, filter and flat_map", "batch"),
    KindRow("untold_column", "nothing above tells; in with_columns", "error"),
)
_ROWS = {row.test: row for row in KINDS_TABLE}
_KINDS = ("scalar", "record", "array", "batch")
_SCALAR_TYPES = frozenset(
    {
        ("builtins", "bool"),
        ("builtins", "bytes"),
        ("builtins", "float"),
        ("builtins", "int"),
        ("builtins", "str"),
        ("datetime", "date"),
        ("datetime", "datetime"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("decimal", "Decimal"),
    }
)


class KindResult(NamedTuple):
    """The kind of a function ("unknown" where the table gives none), the rule that told it, and why it cannot run, if so.

    `row` is the `test` of a row of KINDS_TABLE.
    """

    kind: str
    rule: str
    error: str | None
    row: str


def kind_of(
    captured: Captured, columns: Sequence[str], operator: str, declared_kind: str | None = None
) -> KindResult:
    """Tells a function's kind by KINDS_TABLE.

    columns: the names of the input's columns. operator: the method it was given to, "map", "filter", "flat_map" or
    "with_columns". declared_kind: what a decorator says, which goes first.
    """
    return _Table(captured, columns, operator).result(declared_kind)


class _Table:
    __slots__ = ("_captured", "_columns", "_needed", "_operator")

    def __init__(self, captured: Captured, columns: Sequence[str], operator: str) -> None:
        self._captured = captured
        self._columns = columns
        self._operator = operator
        params = captured.params
        self._needed = None if params is None else [p for p in params if not p.has_default]

    def result(self, declared: str | None) -> KindResult:
        if declared is not None:
            if declared not in _KINDS:
                kinds = ", ".join(_KINDS)
                return self._error("declared", f"there is no kind {declared!r}; kinds are {kinds}")
            return self._told("declared", declared, f"declared kind={declared!r}")
        annotated = self._by_annotation()
        if annotated is not None:
            return annotated
        sole = self._sole()
        uses = None
        if sole is not None and self._captured.node is not None:
            from sabot._uses import read_uses

            uses = read_uses(self._captured, sole.name)
            if uses.batch_attribute:
                return self._told("batch_attribute", "batch", f"{sole.name}{uses.batch_attribute}")
        needed = self._needed
        if needed is not None and self._names_tell() and not self._missing():
            return self._told("columns", "scalar", ", ".join(p.name for p in needed))
        if needed is not None and len(needed) > 1:
            return self._error("unknown_column", self._unknown_columns())
        if sole is not None and uses is not None:
            if uses.compute:
                return self._told("compute", "batch", f"{sole.name}{uses.compute}")
            if uses.item:
                return self._told("item", "record", f"{sole.name}{uses.item}")
        return self._untold(uses.opaque if uses is not None else "")

    def _names_tell(self) -> bool:
        """Whether there are names to compare with columns: with *args alone, or only defaults, those must be columns."""
        if self._needed:
            return True
        params = self._captured.params or ()
        return not self._has_rest() and all(p.name in self._columns for p in params)

    def _has_rest(self) -> bool:
        return any(
            refusal.code == "signature" and refusal.detail.startswith("*")
            for refusal in self._captured.refusals
        )

    def _sole(self) -> Param | None:
        """The one parameter that must be given; failing that, the only one there is."""
        params = self._captured.params or ()
        needed = self._needed or []
        if len(needed) == 1:
            return needed[0]
        return params[0] if not needed and len(params) == 1 else None

    def _missing(self) -> list[str]:
        return [p.name for p in self._needed or () if p.name not in self._columns]

    def _by_annotation(self) -> KindResult | None:
        annotations = self._captured.annotations
        for test, kind, holds in _ANNOTATION_ROWS:
            for param in self._needed or ():
                annotation = annotations.get(param.name)
                if annotation is not None and annotation.known and holds(annotation):
                    name = getattr(annotation.value, "__name__", "")
                    return self._told(test, kind, f"{param.name}: {name}")
        return None

    def _told(self, row: str, kind: str, detail: str) -> KindResult:
        rule = _ROWS[row].when if row == "declared" else f"{_ROWS[row].when} ({detail})"
        rule = detail if row == "declared" else rule
        name = self._captured.name
        error = None
        if kind in ("scalar", "array") and self._operator in ("map", "flat_map"):
            error = (
                f"{name} gives one {'value a row' if kind == 'scalar' else 'array'} ({rule}), and {self._operator} wants whole batches; "
                f"use with_columns(name={name if name.isidentifier() else 'fn'})"
            )
        elif kind == "scalar" and self._needed and self._missing():
            error = self._unknown_columns()
        elif kind == "batch" and self._needed is not None and not self._takes_a_batch():
            error = f"{name} is a batch function ({rule}), so it must take the batch as its one argument"
        return KindResult(kind, rule, error, row)

    def _takes_a_batch(self) -> bool:
        params, needed = self._captured.params or (), self._needed or []
        if self._has_rest():
            return all(p.kind == "positional" for p in needed) and len(needed) <= 1
        return any(p.kind == "positional" for p in params) and (
            not needed or (len(needed) == 1 and needed[0].kind == "positional")
        )

    def _untold(self, opaque: str) -> KindResult:
        why = "its source is not known"
        if opaque:
            why = f"{opaque} may do anything with its argument"
        elif self._captured.node is not None:
            why = "nothing in it says what it takes"
        if self._operator != "with_columns":
            return self._told("untold", "batch", why)
        name = self._captured.name
        message = (
            f"cannot tell whether {name} takes values or batches: {why}. Name its parameters after columns, "
            "or annotate its parameter: pa.RecordBatch, or the type of a value, such as int"
        )
        sole = self._sole()
        if sole is not None:
            message += f". There is no column {sole.name!r}{_suggestion(sole.name, self._columns)}"
        return self._error("untold_column", message)

    def _unknown_columns(self) -> str:
        missing = [f"{name!r}{_suggestion(name, self._columns)}" for name in self._missing()]
        noun = "is no column" if len(missing) == 1 else "are no columns"
        return (
            f"{self._captured.name} takes {', '.join(p.name for p in self._needed or ())}, and there {noun} "
            f"{', '.join(missing)}. The columns are {_listing(self._columns)}"
        )

    def _error(self, row: str, message: str) -> KindResult:
        kind = "scalar" if row == "unknown_column" else "unknown"
        return KindResult(kind, _ROWS[row].when, message, row)


def _is_batch(annotation: Annotation) -> bool:
    pyarrow = sys.modules.get("pyarrow")
    return pyarrow is not None and annotation.value is getattr(pyarrow, "RecordBatch", None)


def _is_array(annotation: Annotation) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and annotation.value is getattr(numpy, "ndarray", None)


def _is_record(annotation: Annotation) -> bool:
    return annotation.value is dict


def _is_scalar(annotation: Annotation) -> bool:
    value = annotation.value
    return type(value) is type and (value.__module__, value.__qualname__) in _SCALAR_TYPES


_ANNOTATION_ROWS: tuple[tuple[str, str, Callable[[Annotation], bool]], ...] = (
    ("annotated_batch", "batch", _is_batch),
    ("annotated_array", "array", _is_array),
    ("annotated_record", "record", _is_record),
    ("annotated_scalar", "scalar", _is_scalar),
)


def _suggestion(name: str, columns: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, columns, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _listing(columns: Sequence[str]) -> str:
    shown = ", ".join(columns[:20])
    return f"{shown} and {len(columns) - 20} more" if len(columns) > 20 else shown or "none"
