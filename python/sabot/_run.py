"""One run of a stream, with all the stages it is made of, and what is kept of it afterwards."""

from __future__ import annotations

import copy
import threading
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from sabot import _progress
from sabot._errorlog import ErrorLog
from sabot._loops import RunLoop
from sabot._profile import Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pyarrow as pa

    from sabot._batches import Drive
    from sabot._piece import Piece
    from sabot._stage import RunReport, Stage


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
        with self._lock:
            if call in self._calls:
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
    loop: where async functions are awaited.
    stops: ends the stages.
    errors: the rows that failed without ending the run.
    reports: what each engine run said at its end, in the order of the plan, source first.
    shared: the user's code takes the batches, and may leave the run as it is and come back later.
    consumer_runs: user code may run between two batches of a stage, be it the consumer's or that of other stages.
    sized: bytes are counted, which costs something for each column.
    root: what the stages count; stage: what reads the rows that a source makes of those of other streams; watch: shows it while it
        lasts, if anybody sees it.
    """

    __slots__ = (
        "_start",
        "consumer_runs",
        "drive",
        "errors",
        "loop",
        "ns",
        "reports",
        "root",
        "shared",
        "sized",
        "stage",
        "stops",
        "watch",
    )

    def __init__(
        self,
        drive: Drive | None = None,
        *,
        shared: bool = True,
        sized: bool = False,
        consumer_runs: bool | None = None,
    ) -> None:
        self.drive = drive
        self.loop = RunLoop()
        self.stops = Stops()
        self.errors = ErrorLog()
        self.reports: list[RunReport] = []
        self.shared = shared
        self.consumer_runs = shared if consumer_runs is None else consumer_runs
        self.sized = sized
        self.root: Stage | None = None
        self.stage: Stage | None = None
        self.watch: _progress.Watch | None = None
        self.ns = 0

    def begin(self, root: Stage) -> None:
        """The run of these stages begins."""
        self.root = root
        self.watch = _progress.begin(root, self.shared)
        self._start = perf_counter_ns()

    def batches(self, pieces: Generator[Piece]) -> Generator[pa.RecordBatch]:
        """What the last stage gives, for the consumer."""
        watch = self.watch
        for piece in pieces:
            if watch is None:
                yield piece.batch
            else:
                watch.given()
                yield piece.batch
                watch.taken()

    def end(self) -> None:
        """The run is over."""
        self.ns = perf_counter_ns() - self._start
        if self.watch is not None:
            self.watch.stop()
            self.watch = None

    def at(self, stage: Stage) -> RunContext:
        """The same run for what makes the source of a stage."""
        here = copy.copy(self)
        here.stage = stage
        return here

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
        reports = [report.facts() for report in self._context.reports]
        last: dict[str, Any] = reports[-1] if reports else {}
        return {**last, "functions": [one for report in reports for one in report["functions"]]}

    @property
    def profile(self) -> Profile:
        """Rows, batches and times of each operator and of the source."""
        context = self._context
        assert context.root is not None
        return Profile(context.root, context.ns)

    @property
    def errors(self) -> pa.Table:
        """The first 10,000 rows that failed without ending the run: operator, source, row, error, message, inputs."""
        return self._context.errors.table()

    @property
    def errors_total(self) -> int:
        """How many rows failed without ending the run."""
        return self._context.errors.total
