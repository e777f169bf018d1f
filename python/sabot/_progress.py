"""How far a run is, and when it will end: what the progress line shows.

    watch = begin(stage, shared)        None where nothing is to be seen
    watch.inside(True | False)          the run works, or its consumer
    watch.stop()

A thread looks at the run ten times a second and draws once the run is a second old, because one call of a function may take longer than
that. It draws only while the run works: what its consumer prints or asks stays as it is.

The share of a run that is done is the share of the source that was read, without what is still on its way: rows that were read and
not yet computed, and the batch that the consumer has.
"""

from __future__ import annotations

import contextvars
import json
import os
import sys
import threading
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from sabot import _config
from sabot._errors import SabotError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sabot._display import Display
    from sabot._stage import Count, Stage

TICK_S = 0.1
SHOWN_AFTER_S = 1.0
_SMOOTH_S_MAX = 2.0


class Snapshot(NamedTuple):
    """A run at one moment: seconds since its start, rows done, share done, and the estimate of how many seconds it takes in all."""

    elapsed: float
    rows: int
    share: float | None
    end: float | None


# --- how far


def reached(stage: Stage) -> tuple[float, float | None]:
    """Rows of the sources that went through all of a stage, and the share that they are; None: nobody can know."""
    rows, share = _computed(stage)
    left = _taken(stage.given)
    return rows * left, None if share is None else min(1.0, share * left)


def _computed(stage: Stage) -> tuple[float, float | None]:
    """The same, with what its consumer is still at work on."""
    rows, share = _made(stage) if stage.inputs else _leaf(stage)
    left = _through(stage)
    return rows * left, None if share is None else share * left


def _made(stage: Stage) -> tuple[float, float | None]:
    """The same of a source that reads other stages."""
    left = 1.0
    if stage.waiting is None:
        parts = [reached(one) for one in stage.inputs]
    else:  # it knows better than the inputs what is done of the batches that it took
        parts = [_computed(one) for one in stage.inputs]
        given = sum(one.given.rows for one in stage.inputs)
        left = max(0.0, 1.0 - stage.waiting() / given) if given else 1.0
    share = _joint(stage.inputs, [part[1] for part in parts])
    if share is not None:
        share *= left
    if stage.rows_max is not None:
        share = max(share or 0.0, stage.read.rows / max(1, stage.rows_max))
    return left * sum(part[0] for part in parts), share


def _leaf(stage: Stage) -> tuple[float, float | None]:
    rows = stage.read.rows
    if stage.share is not None:
        return rows, stage.share()
    return rows, 0.0 if stage.rows_total is not None else None


def _joint(stages: Sequence[Stage], shares: list[float | None]) -> float | None:
    """The share of several inputs together, each as heavy as it has rows."""
    totals = [_total(stage) for stage in stages]
    weights = [total or 0 if None not in totals else 1 for total in totals]
    done = 0.0
    for weight, share in zip(weights, shares, strict=True):
        if share is None:
            return None
        done += weight * share
    return done / (sum(weights) or 1)


def _total(stage: Stage) -> int | None:
    return _total(stage.inputs[0]) if len(stage.inputs) == 1 else stage.rows_total


def _taken(given: Count) -> float:
    """The share of what was given that its consumer is done with."""
    return (given.rows - given.held) / given.rows if given.rows else 1.0


def _through(stage: Stage) -> float:
    """The share of the rows read that came out of the engine's operators: each of them did its share of what it was given."""
    run = stage.run
    if run is None:
        return 1.0
    try:
        report: dict[str, Any] = json.loads(run.report())
    except SabotError:  # it was closed in this moment
        return 1.0
    operators = report["operators"]
    if not operators:
        return 1.0
    share = min(1.0, operators[0]["rows_in"] / max(1, stage.read.rows, report["rows"]))
    for number, operator in enumerate(operators):
        share *= _operator(stage, report, number, operator)
    return share


def _operator(stage: Stage, report: dict[str, Any], number: int, operator: dict[str, Any]) -> float:
    """The share of the rows that went into an operator which it is done with; of its functions, the slow ones count."""
    entered = operator["rows_in"]
    if not entered:
        return 1.0
    called: list[int] = []
    native: list[int] = []
    for index, function in enumerate(report["functions"]):
        if function["operator"] != number:
            continue
        if index in stage.calls:
            called.append(max(stage.calls[index](), function["rows_cpython"]))
        else:
            native.append(function["rows"])
    counts = called or native
    if counts:
        return min(1.0, sum(counts) / (len(counts) * entered))
    if operator["name"] == "batch" and not stage.given.held:
        return max(0.0, 1.0 - stage.read.held / entered)
    return 1.0


# --- when it ends


class Estimate:
    """When a run ends, from the shares that were seen: it goes on as fast as in the younger half of its time so far.

    Shares come in steps. The estimate is made at a step and holds until the next, unless that is late.
    """

    def __init__(self) -> None:
        self._steps: deque[tuple[float, float]] = deque([(0.0, 0.0)])
        self._gap = 0.0
        self._end: float | None = None

    def update(self, now: float, share: float) -> None:
        """Takes the share done at a time, in seconds since the start."""
        at, before = self._steps[-1]
        if share <= before:
            return
        steps = self._steps
        steps.append((now, share))
        while len(steps) > 2 and steps[1][0] <= now / 2:
            steps.popleft()
        since, base = steps[0]
        end = now + (1.0 - share) * (now - since) / (share - base)
        self._gap = max(self._gap, now - at)
        if self._end is None:
            self._end = end
        else:
            # Early estimates are wild, and soon forgotten.
            horizon = min(_SMOOTH_S_MAX, now / 10)
            self._end += (end - self._end) * min(1.0, (now - at) / horizon)

    def end(self, now: float) -> float | None:
        """The seconds that the run takes in all; None while nothing tells."""
        if self._end is None:
            return None
        late = now - self._steps[-1][0] - self._gap
        return max(now, self._end + max(0.0, late))


# --- looking

# The runs that are shown: there is one line, and the last has it. A run begun while another works is part of that, and not shown; one
# that its consumer has left for a while gives way.
_watches: list[Watch] = []


def begin(stage: Stage, shared: bool) -> Watch | None:
    """Has a run shown, if anybody sees it, nothing else is shown, and the setting `progress` allows it.

    Parameters:
        shared: its consumer is the user's code, which may leave the run as it is and come back later.
    """
    place = _place()
    if place is None or not _config.for_run().progress:
        return None
    from sabot import _display

    for watch in _watches[-1:]:
        if watch.working:
            return None
        watch.hide()
    watch = Watch(stage, _display.open(place), shared)
    _watches.append(watch)
    return watch


def _place() -> object | None:
    """What shows the line: the shell of a notebook, or a terminal's stream."""
    ipython: Any = sys.modules.get("IPython")
    if ipython is not None:
        shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
        if hasattr(shell, "kernel"):
            return shell
    stream: Any = sys.stderr
    try:
        if not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
            return None
        stream.fileno()
    except (
        AttributeError,
        OSError,
        ValueError,
    ):  # there is no stream, it is closed, or only says that it is a terminal
        return None
    return stream


# The thread that draws is not in the child.
os.register_at_fork(after_in_child=_watches.clear)


class Watch:
    """Looks at a run while it lasts, and has it shown."""

    def __init__(self, stage: Stage, display: Display, shared: bool) -> None:
        self._stage = stage
        self._display = display
        self._clear = shared and hasattr(sys, "ps1")  # a prompt may follow
        self._start = perf_counter()
        self._looked = 0.0
        self._estimate = Estimate()
        self.working = True
        self._lock = threading.Lock()
        self._over = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._loop,), name="sabot-progress", daemon=True
        )
        self._thread.start()

    def given(self) -> None:
        """The consumer has a batch."""
        self.working = False
        if self._clear:
            self._display.hide()

    def hide(self) -> None:
        """Another run is shown now."""
        self._display.hide()

    def taken(self) -> None:
        """The consumer asks for the next batch."""
        self.working = True
        if perf_counter() - self._looked >= TICK_S:
            self._look()

    def stop(self) -> None:
        """The run is over."""
        self._over.set()
        try:
            if threading.current_thread() is not self._thread:
                self._thread.join(1.0)
        finally:  # also when Ctrl-C is pressed again
            self._display.close(self._snapshot())
            if self in _watches:
                _watches.remove(self)

    def _loop(self) -> None:
        while not self._over.wait(TICK_S):
            if self.working:
                self._look()

    def _look(self) -> None:
        # Whoever comes second has nothing new to show.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._looked = perf_counter()
            snapshot = self._snapshot()
            wanted = self.working and not self._over.is_set() and _watches[-1:] == [self]
            if wanted and snapshot.elapsed >= SHOWN_AFTER_S:
                self._display.show(snapshot)
        finally:
            self._lock.release()

    def _snapshot(self) -> Snapshot:
        rows, share = reached(self._stage)
        elapsed = perf_counter() - self._start
        if share is None:
            return Snapshot(elapsed, int(rows), None, None)
        self._estimate.update(elapsed, share)
        return Snapshot(elapsed, int(rows), share, self._estimate.end(elapsed))
