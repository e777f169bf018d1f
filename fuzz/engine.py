"""Who is asked: an engine runs one function over one table under given settings and says what came of it.

`Engine` is the interface that the fuzzer knows; `SabotEngine` is the product. The fuzzer's own tests have others, right
and wrong ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True)
class Settings:
    """How one run is made; batch_size 0 is all rows in one batch, tier "off" does not compile."""

    batch_size: int = 0
    threads: int = 1
    tier: str = "interpreter"
    morsel_rows: int = 0  # 0: the engine's own choice

    def __str__(self) -> str:
        morsel = f" morsel {self.morsel_rows}" if self.morsel_rows else ""
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


class SabotEngine:
    """Sabot as its users see it."""

    def __init__(self) -> None:
        import sabot

        self.sabot = sabot
        self.data_error = sabot.DataError

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
                stream = source.filter(fn) if operator == "filter" else source.with_columns(y=fn)
                out = stream.collect()
            except Exception as e:
                error = e
            return Outcome(out, error, self.counts(stream))

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
