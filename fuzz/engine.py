"""Who is asked: an engine runs one function over one table under given settings and says what came of it.

`Engine` is the interface that the fuzzer knows; `SabotEngine` is the product. The fuzzer's own tests have others, right
and wrong ones.
"""

from __future__ import annotations

import linecache
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

import pyarrow as pa


@dataclass(frozen=True)
class Settings:
    """How one run is made; batch_size 0 is all rows in one batch, tier "off" does not compile. record: in place of with_columns a map of
    this many of `RECORDS`, which calls the function with the items of its row; 0: none."""

    batch_size: int = 0
    threads: int = 1
    tier: str = "interpreter"
    morsel_rows: int = 0  # 0: the engine's own choice
    record: int = 0

    def __str__(self) -> str:
        morsel = f" morsel {self.morsel_rows}" if self.morsel_rows else ""
        morsel += f" record {self.record}" if self.record else ""
        return f"batch {self.batch_size or 'all'} threads {self.threads} tier {self.tier}{morsel}"


@dataclass
class Counts:
    """What the report of a run says about the function."""

    mode: str = ""
    rows: int = 0
    native: int = 0
    interpreter: int = 0
    left: dict[str, int] = field(default_factory=dict)


@dataclass
class Outcome:
    table: pa.Table | None
    error: BaseException | None
    counts: Counts | None


class Engine(Protocol):
    data_error: type  # what a value outside the result type raises

    def run(self, fn: Callable, table: pa.Table, operator: str, settings: Settings) -> Outcome:
        """Runs fn over the table; over the rows alone whose `_keep` is true, if it has such a column."""
        ...

    def refusal(self, fn: Callable, table: pa.Table) -> str:
        """Why the function is not compiled; empty when it is."""
        ...


def keep(_keep):
    """The filter before the function: its rows reach the function as a mask, not as a shorter table."""
    return _keep


# Functions of a row that give it with one column more: `value` is a call of the function.
RECORDS = (
    """
def record(row):
    return {**row, "y": VALUE}
""",
    """
def record(row):
    return dict(row, y=VALUE)
""",
    """
def record(row):
    y = VALUE
    made = {**row, "y": 0, **{"y": y}}
    if row["_row"] % 2:
        made = dict({"_row": 1}, **{"y": y, **row})
    return made
""",
    """
def record(row):
    if row["_row"] % 3 == 0:
        return {**row, "y": VALUE, "_row": row["_row"]}
    return {**{"_row": 0}, **row, "y": VALUE}
""",
)
_count = count()
_wrapped: dict[tuple, Callable] = {}
_WRAPPED_MAX = 64


def record_of(fn: Callable, names: list[str], number: int) -> Callable:
    """The function as one of a row; mostly the same object again for the same arguments, as a user's would be."""
    key = (fn, number, *names)
    if key not in _wrapped:
        params = [name for name in names if not name.startswith("_")]
        value = f"fn({', '.join(f'row[{name!r}]' for name in params)})"
        text = RECORDS[number - 1].replace("VALUE", value)
        name = f"<record {number} {next(_count)}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        space: dict[str, Any] = {"fn": fn, "__name__": fn.__module__}
        exec(compile(text, name, "exec"), space)
        while len(_wrapped) >= _WRAPPED_MAX:
            del _wrapped[next(iter(_wrapped))]
        _wrapped[key] = space["record"]
    return _wrapped[key]


class SabotEngine:
    """Sabot as its users see it."""

    def __init__(self) -> None:
        import sabot

        # What is compiled for a finding is compiled then and there, and nobody's cache is filled with what chance made.
        os.environ.setdefault("SABOT_CACHE_DIR", "off")
        self.sabot = sabot
        self.data_error = sabot.DataError
        self.compiled: dict[tuple, bool] = {}

    def run(self, fn: Callable, table: pa.Table, operator: str, settings: Settings) -> Outcome:
        sb = self.sabot
        options = {"threads": settings.threads}
        if settings.tier == "off":
            options["compile"] = "off"
        else:
            options["tier"] = settings.tier
        if settings.morsel_rows:
            options["morsel_rows"] = settings.morsel_rows
        with sb.config(**options):
            source = sb.Stream.from_table(
                table, batch_size=settings.batch_size or max(1, table.num_rows)
            )
            if "_keep" in table.column_names:
                source = source.filter(keep)
            stream = None
            out, error = None, None
            try:
                stream = self.stream(source, fn, table, operator, settings)
                out = stream.collect()
            except Exception as e:
                error = e
            return Outcome(out, error, self.counts(stream))

    def stream(
        self, source: Any, fn: Callable, table: pa.Table, operator: str, settings: Settings
    ) -> Any:
        if operator == "filter":
            return source.filter(fn)
        if settings.record and "_row" in table.column_names:
            record = record_of(fn, table.column_names, settings.record)
            if self.is_compiled(record, table):  # else the values tell the types
                return source.map(record)
        return source.with_columns(y=fn)

    def is_compiled(self, fn: Callable, table: pa.Table) -> bool:
        key = (fn, tuple(map(str, table.schema.types)))
        if key not in self.compiled:
            if len(self.compiled) > _WRAPPED_MAX:
                self.compiled.clear()
            self.compiled[key] = self.refusal(fn, table) == ""
        return self.compiled[key]

    def counts(self, stream: object) -> Counts | None:
        last = getattr(stream, "last_run", None)
        if last is None:
            return None
        functions = last.report["functions"]
        if not functions:
            return None
        got = functions[-1]
        return Counts(
            got["mode"],
            got["rows"],
            got["rows_native"],
            got["rows_interpreter"],
            dict(got["rows_left"]),
        )

    def refusal(self, fn: Callable, table: pa.Table) -> str:
        report = self.sabot.explain(fn, table.schema)
        if report.mode == "compiled":
            return ""
        return (
            "; ".join(f"{r.code}: {r.message}" for r in report.reasons)
            or "interpreted, no reason given"
        )
