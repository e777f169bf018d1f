"""Reports: how a function will run, and why (`sabot.explain`)."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from sabot._capture import capture
from sabot._engine import cache_off
from sabot._errors import PlanError
from sabot._function import Scalar, bind
from sabot._lane import BatchBinding
from sabot._udf import Options, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sabot import _core
    from sabot._capture import Captured
    from sabot._form_bind import Lowered


class Reason(NamedTuple):
    """Why a function, or a place in it, is not compiled. Lines count from 1, columns in characters from 0; line 0: no place."""

    code: str
    message: str
    file: str
    line: int
    col: int
    end_line: int
    end_col: int
    hint: str


class Report:
    """How one function runs on one schema. Prints as text; `to_dict()` gives everything.

    Attributes:
        name: the function's name.
        mode: "compiled", "interpreted" or "numba", which is not exact.
        kind: "scalar", "record", "array" or "batch".
        signature: the function with its column types and result type.
        reads: columns whose values it uses; None for a batch function that CPython runs, which may use all.
        form: "row" for a batch function of which native code computes a loop over its rows, "array" where it is one of whole
            columns, "whole" where native code computes it once per batch; else None.
        pure: whether it is known, or was declared, to do nothing but compute its result.
        loops: NumPy's functions of which a compiled batch function calls NumPy's own inner loops.
        can_raise: whether some row may raise.
        reasons: why it is not compiled; of the whole form, why it is not computed row by row.
        compile_ms: time its native code took to compile; None before, 0.0 when it came from the cache.
        rows: rows it was run on so far.
        rows_left: rows that left native code for CPython so far, by reason.
        ns_per_row: measured time a row by native code, or by the engine's interpreter as long as nothing else ran; None before.
        ns_per_row_interpreter: measured time a row by the engine's interpreter, which serves until native code is there; None
            where it was not needed.
    """

    def __init__(self, captured: Captured, bound: Scalar | BatchBinding, schema: pa.Schema) -> None:
        self.name: str = captured.name
        self._captured = captured
        batch = bound if isinstance(bound, BatchBinding) else None
        scalar = bound if isinstance(bound, Scalar) else bound.form
        self._core: _core.Function | None = scalar.core if scalar is not None else None
        if batch is not None and batch.refusing is not None:
            self._core = batch.refusing
        facts: dict[str, Any] = json.loads(self._core.report()) if self._core is not None else {}
        self._facts = facts
        whole = batch is not None and batch.lowered is None  # CPython gets all of it
        self.mode: str = "interpreted" if whole else facts["mode"]
        if batch is not None and batch.numba == "":
            self.mode = "numba"
        self.kind: str = facts["kind"] if batch is None else "batch"
        if batch is not None and batch.arrays is not None:
            self.kind = "array"
        self.form: str | None = None
        if batch is not None and batch.lowered is not None:
            self.form = batch.lowered.kind
        self.reads: list[str] | None = None if whole else facts["reads"]
        self.loops: list[str] = []
        options = bound.options if isinstance(bound, Scalar) else Options()
        self._declared_pure = options.pure is True if isinstance(bound, Scalar) else bound.pure
        self.pure: bool = self.mode == "compiled" or self._declared_pure
        self.can_raise: bool = facts.get("can_raise", True)
        self.reasons: list[Reason] = [self._reason(reason) for reason in facts.get("reasons", ())]
        if options.pure is False and options.compile != "off":
            impure = Reason(*_IMPURE, captured.file, captured.first_line, 0, 0, 0, "")
            self.reasons = [impure if one.code == "off" else one for one in self.reasons]
        if isinstance(bound, Scalar) and isinstance(bound.numba, str) and bound.numba:
            place = (captured.file, captured.first_line, 0, 0, 0)
            self.reasons = [Reason("numba", bound.numba, *place, _NUMBA_HINT)]
        if batch is not None and batch.numba is not None:
            place = (captured.file, captured.first_line, 0, 0, 0)
            self.reasons = (
                [Reason("numba", batch.numba, *place, _NUMBA_HINT)] if batch.numba else []
            )
            self.reads = list(batch.arrays or ())
        elif batch is not None and not self.reasons and (whole or self.form == "whole"):
            self.reasons.append(self._whole(batch))
        types = dict(zip(schema.names, map(str, schema.types), strict=True))
        if isinstance(bound, Scalar):
            args = facts["record"] or ", ".join(
                f"{name}: {types[name]}" for name in facts["params"]
            )
            result = _result(bound, facts, types) if bound.told else "?"
            if not bound.told and bound.given is None:
                self.reasons.append(Reason(*_UNTOLD, captured.file, 0, 0, 0, 0, _UNTOLD_HINT))
        elif bound.arrays is not None:
            args = ", ".join(f"{name}: {types[name]}" for name in bound.arrays)
            result = _columns_text(bound, alone=True)
        else:
            args, result = "batch", _columns_text(bound)
        self.signature: str = f"{self.name}({args}) -> {result}"
        native = facts.get("native") == "ready"
        self.compile_ms: float | None = facts["compile_ms"] if native else None
        self.rows: int = facts.get("rows", 0)
        self.rows_left: dict[str, int] = facts.get("rows_left", {})
        interpreter, by_native = ns_per_row(facts)
        self.ns_per_row: float | None = interpreter if by_native is None else by_native
        self.ns_per_row_interpreter: float | None = interpreter
        if batch is not None and batch.lowered is not None and batch.lowered.stages:
            self._add_stages(batch.lowered)
        self._cache_off: str = cache_off()

    def _add_stages(self, lowered: Lowered) -> None:
        """What is said of a function whose row function has stages before it."""
        self.reads, self.loops = list(lowered.reads), list(lowered.loops)
        # The loops' time is not that of native code.
        self.ns_per_row = self.ns_per_row_interpreter = None
        left = Counter(self.rows_left)
        for core, _ in lowered.stages:
            facts: dict[str, Any] = json.loads(core.report())
            self.can_raise = self.can_raise or facts["can_raise"]
            left.update(facts["rows_left"])
        self.rows_left = dict(left)

    def _whole(self, bound: BatchBinding) -> Reason:
        """Why a batch function is not computed row by row."""
        code, message = _BATCH if bound.arrays is None else _ARRAYS
        hint = "For speed name its parameters after columns and give a value a row (with_columns)"
        hint = hint if bound.arrays is None else ""
        if self.form == "whole":
            message, hint = _ONCE, ""
        refusal = bound.refusal
        if refusal is None:
            return Reason(
                code, message, self._captured.file, self._captured.first_line, 0, 0, 0, hint
            )
        place = {"line": refusal.line, "col": refusal.col}
        place |= {"end_line": refusal.end_line, "end_col": refusal.end_col}
        raw = {"code": code, "message": message, "detail": refusal.detail, "hint": hint}
        return self._reason({**raw, **place})

    def _reason(self, raw: dict[str, Any]) -> Reason:
        captured = self._captured
        message = raw["message"] + (f": {raw['detail']}" if raw["detail"] else "")
        columns = [
            _characters(captured.source_line(raw[line]), raw[col])
            for line, col in (("line", "col"), ("end_line", "end_col"))
        ]
        place = (raw["line"], columns[0], raw["end_line"], columns[1])
        return Reason(raw["code"], message, captured.file, *place, raw["hint"])

    def ir(self) -> str:
        """The function in the engine's own form.

        Raises:
            PlanError: it is not compiled.
        """
        return self._text("ir")

    def asm(self) -> str:
        """The native code, as assembly text.

        Raises:
            PlanError: it is not compiled, or there is no code generator.
        """
        return self._text("asm")

    def _text(self, what: str) -> str:
        if self._core is None:
            raise PlanError(f"{self.name} is not compiled: it has no form of rows")
        return self._core.text(what)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        names = "name mode kind form signature reads loops pure can_raise compile_ms rows rows_left ns_per_row"
        plain: dict[str, Any] = {name: getattr(self, name) for name in names.split()}
        plain["ns_per_row_interpreter"] = self.ns_per_row_interpreter
        plain["reasons"] = [reason._asdict() for reason in self.reasons]
        plain["cache_off"] = self._cache_off
        for name in (
            "lanes",
            "cpu",
            "native",
            "native_from",
            "native_error",
            "rows_native",
            "rows_interpreter",
        ):
            if name in self._facts:
                plain[name] = self._facts[name]
        return plain

    def __str__(self) -> str:
        kind = f"{self.kind}, {self.form} form" if self.form else self.kind
        lines = [f"{self.signature:<58} {self.mode}   {kind}"]
        lines += [f"  {fact}" for fact in self._lines()]
        for reason in self.reasons:
            lines += self._reason_lines(reason)
        return "\n".join(lines)

    __repr__ = __str__

    def _native(self) -> str:
        facts = self._facts
        state = facts["native"]
        parts = [f"{facts['cpu']}, {facts['lanes']} lanes"]
        if state == "ready":
            parts.append(
                _ORIGINS.get(facts["native_from"], f"compiled in {facts['compile_ms']:.1f} ms")
            )
        elif state == "failed":
            parts = [f"no native code, the engine interprets it: {facts['native_error']}"]
        else:
            parts.append("native code when first worth it")
        if self.ns_per_row is not None:
            parts.append(f"about {_number(self.ns_per_row)} ns a row")
            before = self.ns_per_row_interpreter
            if before is not None and before != self.ns_per_row:
                parts[-1] += f", {_number(before)} before"
        return " · ".join(parts)

    def _marked(self, reason: Reason) -> Marked | None:
        """The line that a reason points at; None where it points at none."""
        text = self._captured.source_line(reason.line) if reason.line else None
        if text is None:
            return None
        shown = text.strip()
        start = reason.col - (len(text) - len(text.lstrip()))
        end = reason.end_col - (len(text) - len(text.lstrip()))
        if reason.end_line > reason.line:
            end = len(shown)
        place = f"{reason.file.rsplit('/', 1)[-1]}:{reason.line}"
        return Marked(place, *_window(shown, start, end))

    def _reason_lines(self, reason: Reason) -> list[str]:
        lines: list[str] = []
        line = self._marked(reason)
        if line is not None:
            place = f"  {line.place}    "
            lines.append(place + line.text)
            if line.end > line.start >= 0:
                lines.append(" " * (len(place) + line.start) + "^" * (line.end - line.start))
        lines.append(f"  {reason.message}")
        if reason.hint:
            lines.append(f"  {reason.hint}")
        return lines

    def _lines(self) -> list[str]:
        """What is said of a compiled function, line by line."""
        if self.mode == "numba":
            reads = ", ".join(self.reads or ())
            what = "batches" if self.kind == "array" else "nulls, and rows"
            return [f"reads {reads} · not exact · {what} that raise, go to CPython"]
        if self.mode != "compiled":
            return ["declared pure"] if self._declared_pure else []
        reads = ", ".join(self.reads or ()) or "no column"
        raising = "can raise" if self.can_raise else "cannot raise"
        lines = [f"reads {reads} · pure · {raising} · exact", self._native()]
        if self.loops:
            names = ", ".join(f"np.{name}" for name in self.loops)
            lines.append(f"NumPy's own loops compute {names}")
        if self._cache_off:
            lines.append(f"compiled code is not kept on disk: {self._cache_off}")
        if self.rows_left:
            left = ", ".join(f"{count} {reason}" for reason, count in self.rows_left.items())
            lines.append(f"{self.rows} rows so far; left for CPython: {left}")
        return lines

    def _repr_html_(self) -> str:
        from sabot._report_html import html_of

        kind = f"{self.kind}, {self.form} form" if self.form else self.kind
        reasons = [(self._marked(one), one.message, one.hint) for one in self.reasons]
        return html_of(self.signature, self.mode, kind, self._lines(), reasons)


def ns_per_row(facts: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """What the engine measured of a function, by its interpreter and by native code; None: it did not run there."""
    timed: dict[str, dict[str, int]] = facts.get("timed", {})
    both = [timed.get(tier, {"ns": 0, "rows": 0}) for tier in ("interpreter", "native")]
    before, after = (one["ns"] / one["rows"] if one["rows"] else None for one in both)
    return before, after


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


class Marked(NamedTuple):
    """A line of a function's text with the part that a reason is about: the characters from `start` to `end`."""

    place: str
    text: str
    start: int
    end: int


def _columns_text(batch: BatchBinding, *, alone: bool = False) -> str:
    """The columns that it gives; alone: the type of the last one."""
    if batch.is_filter:
        return "bool" if batch.form is not None and batch.form.told else "?"
    if batch.schema is None:
        return "?"
    schema: Any = batch.schema
    if alone:
        return str(schema.types[-1])
    return "{" + ", ".join(f"{field.name}: {field.type}" for field in schema) + "}"


def _result(bound: Scalar, facts: dict[str, Any], types: dict[str, str]) -> str:
    """The type of what a function gives; of one that gives records, the columns."""
    given = bound.given
    if given is None:
        return facts["result"]
    of = {name: types[column] for name, column in given.passed.items()}
    columns = (f"{name}: {of.get(name) or facts['results'][name]}" for name in given.names)
    return f"{{{', '.join(columns)}}}"


_ORIGINS = {"memory": "compiled before", "disk": "compiled by an earlier process"}
_UNTOLD = ("result_type", "the result's type cannot be told")
_UNTOLD_HINT = "Add a return annotation, such as -> int"
_IMPURE = ("impure", "it was declared to have effects (pure=False)")
_NUMBA_HINT = 'It runs in CPython. compile="auto" is what Sabot compiles by itself'
_BATCH = ("batch", "a batch function runs in CPython, batch by batch")
_ARRAYS = ("batch", "a function of arrays runs in CPython, batch by batch")
_ONCE = "one call of native code for each batch, and not row by row"


_SHOWN_MAX = 100  # characters of a line


def _window(line: str, start: int, end: int) -> tuple[str, int, int]:
    """The part of a long line round a place, and the place in it."""
    if len(line) <= _SHOWN_MAX:
        return line, start, end
    first = max(0, min(start - _SHOWN_MAX // 2, len(line) - _SHOWN_MAX))
    last = first + _SHOWN_MAX
    head, tail = "…" if first else "", "…" if last < len(line) else ""
    shift = len(head) - first
    return head + line[first:last] + tail, start + shift, min(end, last) + shift


def _characters(line: str | None, column: int) -> int:
    """A column in UTF-8 bytes as one in characters."""
    return len(line.encode()[:column].decode(errors="replace")) if line is not None else column


def explain(fn: Callable[..., object], schema: pa.Schema | Mapping[str, pa.DataType]) -> Report:
    """Tells how a function would run on columns of these types, without running it.

    Parameters:
        fn: a plain Python function; parameters are column names.
        schema: the columns and their types.

    Returns:
        A `Report`; printing it shows mode, kind, what it reads and, where it is not compiled, why and where.

    Raises:
        UnknownColumnError: a parameter is no column.
        TypeMismatchError: returns have no common type, or the annotation says another.
        PlanError: what was given is no function or no schema.

    >>> import pyarrow as pa, sabot as sb
    >>> sb.explain(lambda a, b: a * b, {"a": pa.int64(), "b": pa.float64()}).mode
    'compiled'
    """
    return Report(capture(unwrap(fn)[0]), bind(fn, columns := _columns(schema), "explain"), columns)


def _columns(schema: object) -> pa.Schema:
    if isinstance(schema, pa.Schema):
        return schema
    try:
        return pa.schema(list(dict(schema).items()))  # pyright: ignore
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise PlanError(f"explain takes a pyarrow.Schema or {{name: type}}: {error}") from None
