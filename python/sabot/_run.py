"""One run of a stream, with all the stages it is made of, and what is kept of it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sabot._errorlog import ErrorLog

if TYPE_CHECKING:
    import pyarrow as pa

    from sabot._pump import LoopOpener


class RunContext:
    """What the stages of one run share.

    opener: opens the sources when an event loop consumes the run; None for plain code.
    errors: the rows that failed without ending the run.
    reports: what each engine run said at its end, in the order of the plan, source first.
    """

    __slots__ = ("errors", "opener", "reports")

    def __init__(self, opener: LoopOpener | None = None) -> None:
        self.opener = opener
        self.errors = ErrorLog()
        self.reports: list[dict[str, Any]] = []


class LastRun:
    """What the latest run of a stream did."""

    __slots__ = ("_context",)

    def __init__(self, context: RunContext) -> None:
        self._context = context

    @property
    def report(self) -> dict[str, Any]:
        """`functions`: rows, rows that left and the tier of each, in the order of the plan; the rest is of the last stage."""
        reports = self._context.reports
        last: dict[str, Any] = reports[-1] if reports else {}
        return {**last, "functions": [one for report in reports for one in report["functions"]]}

    @property
    def errors(self) -> pa.Table:
        """The first 10,000 rows that failed without ending the run: operator, source, row, error, message, inputs."""
        return self._context.errors.table()

    @property
    def errors_total(self) -> int:
        """How many rows failed without ending the run."""
        return self._context.errors.total
