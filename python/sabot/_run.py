"""One run of a stream, with all the stages it is made of, and what is kept of it afterwards."""

from __future__ import annotations

import contextlib
import copy
import threading
from typing import TYPE_CHECKING, Any

from sabot._errorlog import ErrorLog

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from sabot._batches import Drive


class Stops:
    """What ends the stages of a run from another thread: each stage that may wait or compute for long adds a call."""

    __slots__ = ("_calls", "_lock", "stopped")

    def __init__(self) -> None:
        self._calls: list[Callable[[], object]] = []
        self._lock = threading.RLock()  # the collector of garbage may close a stage anywhere
        self.stopped = False

    def add(self, call: Callable[[], object]) -> None:
        """Adds a call, which makes its stage fail soon, from any thread; it is made at once where all was stopped."""
        with self._lock:
            if not self.stopped:
                self._calls.append(call)
                return
        call()

    def remove(self, call: Callable[[], object]) -> None:
        """Takes a call back; the stage ends by itself."""
        with self._lock, contextlib.suppress(ValueError):
            self._calls.remove(call)

    def check(self) -> None:
        """Raises CancelledError where all was stopped, which no stage may take for the end of what it reads."""
        if self.stopped:
            from asyncio import CancelledError  # which takes longer to import than the rest here

            raise CancelledError

    def stop(self) -> None:
        """Makes all the calls. Who drives the stages still closes them."""
        with self._lock:
            self.stopped = True
            calls, self._calls = self._calls, []
        for call in calls:
            call()


class RunContext:
    """What the stages of one run share.

    drive: iterates over what an async source has, on the consumer's event loop; None: on loops of their own.
    stops: ends the stages.
    errors: the rows that failed without ending the run.
    reports: what each engine run said at its end, in the order of the plan, source first.
    """

    __slots__ = ("drive", "errors", "reports", "stops")

    def __init__(self, drive: Drive | None = None) -> None:
        self.drive = drive
        self.stops = Stops()
        self.errors = ErrorLog()
        self.reports: list[dict[str, Any]] = []

    def branch(self) -> RunContext:
        """The same run for stages that have a thread of their own: they can be stopped alone, their reports are their own."""
        branch = copy.copy(self)
        branch.stops = Stops()
        branch.reports = []
        return branch


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
