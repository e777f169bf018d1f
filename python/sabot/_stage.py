"""What a run counts: a tree of stages as explain() shows them, each one run of the engine over a source.

The thread of the run writes; the one that draws the progress reads, and is content with numbers that are a moment old.
"""

from __future__ import annotations

import json
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from sabot import _core
    from sabot._chain import Chain
    from sabot._errorlog import StageLog
    from sabot._piece import Piece


class Count:
    """What went through one place of a run.

    ns: time spent waiting there for the next batch.
    size: bytes; counted only where a profile was asked for.
    held: rows of the batch that whoever takes them is at work on.
    """

    __slots__ = ("batches", "held", "ns", "rows", "size")

    def __init__(self) -> None:
        self.rows = 0
        self.batches = 0
        self.ns = 0
        self.size = 0
        self.held = 0


class RunReport:
    """What an engine run said at its end, taken apart when somebody asks for it.

    text: JSON; None of a run that could not be asked. changed: functions that it interpreted, and why.
    """

    __slots__ = ("_changed", "_log", "_text")

    def __init__(self, text: str | None, changed: Mapping[int, str], log: StageLog) -> None:
        self._text = text
        self._changed = changed
        self._log = log

    def facts(self) -> dict[str, Any]:
        """As the engine gives them, each function also with `rows_failed`, and `interpreted` where that is so."""
        if self._text is None:
            return {"functions": []}
        facts: dict[str, Any] = json.loads(self._text)
        for index, function in enumerate(facts["functions"]):
            function["rows_failed"] = self._log.rows_failed(index)
            if index in self._changed:
                function["interpreted"] = self._changed[index]
        return facts


class Stage:
    """The operators of one engine run, and the source that they read.

    text: the source, as explain() shows it.
    chain: the operators; None until the first batch has told the columns.
    rows_total: of the source, where it is known before it is read.
    rows_max: what the source gives at most, if it is a limit.
    inputs: the stages that the source reads, of one that reads others.
    read: what the source gave.
    given: what this stage gave to the next, or to the consumer.
    share: tells which share of the source was read; None before it is open, and where nobody can know.
    run: the engine's, while it lasts; report: what it said at its end.
    waiting: how many of the rows that the source took it has not done, where it takes several batches at once.
    calls: counts the calls of functions that CPython runs, by index; only of a run that is watched.
    """

    __slots__ = (
        "calls",
        "chain",
        "given",
        "inputs",
        "read",
        "report",
        "rows_max",
        "rows_total",
        "run",
        "share",
        "text",
        "waiting",
    )

    def __init__(
        self,
        text: str,
        chain: Chain | None = None,
        inputs: Sequence[Stage] = (),
        rows_total: int | None = None,
        rows_max: int | None = None,
    ) -> None:
        self.text = text
        self.chain = chain
        self.inputs = inputs
        self.rows_total = rows_total
        self.rows_max = rows_max
        self.read = Count()
        self.given = Count()
        self.share: Callable[[], float | None] | None = None
        self.waiting: Callable[[], float] | None = None
        self.run: _core.Run | None = None
        self.report: RunReport | None = None
        self.calls: Mapping[int, Callable[[], int]] = {}


def metered(pieces: Iterator[Piece], count: Count, sized: bool) -> Generator[Piece]:
    """The same pieces, counted."""
    while True:
        start = perf_counter_ns()
        piece = next(pieces, None)
        count.ns += perf_counter_ns() - start
        if piece is None:
            return
        rows = piece.batch.num_rows
        count.rows += rows
        count.batches += 1
        if sized:
            count.size += piece.batch.nbytes
        count.held = rows
        yield piece
        count.held = 0
