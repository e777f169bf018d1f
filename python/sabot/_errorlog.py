"""Rows that failed in a run that went on: counted, the first of them kept, all of them written to dead letters.

`ErrorLog` is a run's, `StageLog` that of one of its stages: an engine run, or an operator between two. Rows fail in any order where
several threads compute. They are put in the order of the source: the source, the row in it, the operator, the function. Rows of
which only the batch is known follow, batch by batch. The first 10,000 are the first in that order, whatever the order of
failing was.

A run that ends with an error at some row has often computed rows behind it. Those are taken out again (`StageLog.end_at`), so that
what is kept does not depend on threads or batches.

Threads: rows are recorded from any thread; the rest belongs to the one that runs the stream. Memory: besides the first rows, a
window of rows for each dead letter, and the places of the latest rows of each function.
"""

from __future__ import annotations

import builtins
import threading
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from sabot._batches import Source
    from sabot._chain import TableSource
    from sabot._deadletter import DeadLetter
    from sabot._derive import Derived
    from sabot._stream import Stream

KEPT_MAX = 10_000
INPUTS_MAX = 200  # characters of a row's values
MESSAGE_MAX = 10_000  # characters of an exception's text
_PLACES_MAX = (
    2**20
)  # places remembered per function, of which the older half is let go when they are full
SCHEMA = pa.schema(
    [
        ("operator", pa.string()),
        ("source", pa.string()),
        ("row", pa.int64()),
        ("error", pa.string()),
        ("message", pa.string()),
        ("inputs", pa.string()),
    ]
)


class ErrorRow(NamedTuple):
    """A failed row: the operator's place, the source as explain() shows it, the row in it, the exception's class and text, the inputs."""

    operator: str
    source: str
    row: int | None
    error: str
    message: str
    inputs: str


class Entry(NamedTuple):
    """A failed row with what puts it in order; `place` is as in StageLog."""

    key: tuple[int, ...]
    stage: StageLog
    place: int
    seq: int
    row: ErrorRow


class _Pass(NamedTuple):
    """One reading of a source, and what the stages that have its rows do."""

    root: object
    owners: list[object]


def _unknown(row: int) -> int:
    return -1


def _text_of(source: object) -> str:
    """A source as explain() shows it."""
    return getattr(source, "origin", None) or getattr(source, "text", "")


def _depth(root: Any) -> int:
    """What joins several sources comes after them."""
    parents: Sequence[Any] = getattr(root, "parents", ())
    return 1 + max(_depth(parent.root) for parent in parents) if parents else 0


class _Tally:
    """How many rows of one function failed, with the places of the latest."""

    __slots__ = ("places", "seqs", "settled")

    def __init__(self) -> None:
        self.settled = 0
        self.places = array("q")
        self.seqs = array("q")

    @property
    def count(self) -> int:
        return self.settled + len(self.places)

    def add(self, place: int, seq: int) -> None:
        if len(self.places) == _PLACES_MAX:
            half = _PLACES_MAX // 2
            del self.places[:half], self.seqs[:half]
            self.settled += half
        self.places.append(place)
        self.seqs.append(seq)

    def keep(self, wanted: Callable[[int, int], bool]) -> None:
        pairs = [pair for pair in zip(self.places, self.seqs, strict=True) if wanted(*pair)]
        self.places = array("q", [place for place, _ in pairs])
        self.seqs = array("q", [seq for _, seq in pairs])


class StageLog:
    """The failed rows of one stage of a run.

    source_row: gives the source's row for a row of the stage's input, -1 where it is not known. A row's place is its row in the
    source, else in the stage's input, else -1.
    """

    __slots__ = (
        "_arrivals",
        "_source",
        "_source_row",
        "_tallies",
        "depth",
        "index",
        "log",
        "pass_id",
    )

    def __init__(
        self,
        log: ErrorLog,
        depth: int,
        pass_id: int,
        source: object,
        source_row: Callable[[int], int],
    ) -> None:
        self.log = log
        self.depth = depth
        self.pass_id = pass_id
        self._source = source
        self.index = 0
        self._source_row = source_row
        self._tallies: dict[tuple[int, int], _Tally] = {}
        self._arrivals = 0

    def rows_failed(self, function_index: int) -> int:
        """How many rows one function of the stage's plan failed at."""
        return sum(
            tally.count for (_, index), tally in self._tallies.items() if index == function_index
        )

    @property
    def total(self) -> int:
        return sum(tally.count for tally in self._tallies.values())

    def add(
        self,
        error: BaseException,
        operator: str,
        inputs: Callable[[], str],
        place: tuple[int, int, int, int],
        dead_letter: DeadLetter | None,
    ) -> None:
        """Records a failed row.

        place: the operator's and the function's index (-1: none), the input batch and the row of the input (-1: not known).
        """
        op, function_index, seq, row = place
        source_row = self._source_row(row) if row >= 0 else -1
        known = source_row >= 0
        at = source_row if known else row
        with self.log.lock:
            self._arrivals += 1
            tally = self._tallies.get((op, function_index))
            if tally is None:
                tally = self._tallies[op, function_index] = _Tally()
            tally.add(at, seq)
            order = (0, at, 0) if known else (1, seq, at)
            key = (self.depth, self.pass_id, *order, self.index, op, function_index, self._arrivals)
            if not self.log.wants(key) and dead_letter is None:
                return
            shown = ErrorRow(
                operator,
                _text_of(self._source),
                source_row if known else None,
                class_name(type(error)),
                message_of(error),
                storable(cut(inputs(), INPUTS_MAX)),
            )
            entry = Entry(key, self, at, seq, shown)
            self.log.keep(entry)
            if dead_letter is not None:
                dead_letter.add(entry)

    def end_at(self, seq: int, row: int) -> None:
        """Takes out what failed behind the row of the input, or behind the batch, at which the run ended."""
        source_row = self._source_row(row) if row >= 0 else -1
        at = source_row if source_row >= 0 else row

        def wanted(stage: StageLog, place: int, place_seq: int) -> bool:
            if stage is self:
                return place <= at if at >= 0 and place >= 0 else place_seq <= seq
            return stage.pass_id != self.pass_id or not 0 <= source_row < place

        with self.log.lock:
            self.log.filter(wanted)

    def forget(self) -> None:
        """The run is over: no more rows are asked for, and nothing of the source is kept."""
        self._source_row = _unknown
        self._source = None

    def filter(self, wanted: Callable[[StageLog, int, int], bool]) -> None:
        for tally in self._tallies.values():
            tally.keep(lambda place, seq: wanted(self, place, seq))


class ErrorLog:
    """The failed rows of one run. As a context manager it finishes the dead letters, also when the run fails."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._stages: list[StageLog] = []
        self._passes: list[_Pass] = []
        self._kept: list[Entry] = []
        self._last: tuple[int, ...] | None = None  # of the 10,000 kept, when there are so many
        self._dead: dict[str, DeadLetter] = {}

    @property
    def total(self) -> int:
        """How many rows failed."""
        with self.lock:
            return sum(stage.total for stage in self._stages)

    def stage(
        self,
        source: TableSource | Source | Derived | Stream,
        owner: object,
        source_row: Callable[[int], int] | None = None,
    ) -> StageLog:
        """A log for one more stage.

        source: what it reads; stages whose rows come from one source are put in one order. owner: what the stage does; where it
        does that again, the source is read again. source_row: see StageLog; None: it does not know its rows.
        """
        root: object = getattr(source, "root", source)
        with self.lock:
            number = len(self._passes)
            for index, known in enumerate(self._passes):
                if known.root is root and not any(one is owner for one in known.owners):
                    number = index
            if number == len(self._passes):
                self._passes.append(_Pass(root, []))
            self._passes[number].owners.append(owner)
            log = StageLog(self, _depth(root), number, source, source_row or _unknown)
            log.index = len(self._stages)
            self._stages.append(log)
        return log

    def table(self) -> pa.Table:
        """The first 10,000 rows that failed, in the order of the source as far as it is known."""
        with self.lock:
            rows = [entry.row._asdict() for entry in sorted(self._kept)[:KEPT_MAX]]
        return pa.Table.from_pylist(rows, schema=SCHEMA)

    # --- with the lock held, for StageLog

    def wants(self, key: tuple[int, ...]) -> bool:
        """Whether a row may be among the first."""
        return self._last is None or key < self._last

    def keep(self, entry: Entry) -> None:
        if not self.wants(entry.key):
            return
        self._kept.append(entry)
        if len(self._kept) >= 2 * KEPT_MAX:
            self._kept.sort()
            del self._kept[KEPT_MAX:]
            self._last = self._kept[-1].key

    def filter(self, wanted: Callable[[StageLog, int, int], bool]) -> None:
        for stage in self._stages:
            stage.filter(wanted)
        self._kept = [entry for entry in self._kept if wanted(entry.stage, entry.place, entry.seq)]
        for dead in self._dead.values():
            dead.filter(wanted)

    # --- dead letters

    def dead_letter(self, path: str) -> DeadLetter:
        """The file for all failed rows, begun if it is not there yet; functions with one path share it.

        Raises:
            OSError: it cannot be written there.
        """
        from sabot._deadletter import DeadLetter

        dead = self._dead.get(path)
        if dead is None:
            dead = self._dead[path] = DeadLetter(path)
        return dead

    def __enter__(self) -> ErrorLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        dead, self._dead = self._dead, {}
        self._passes.clear()  # what is kept of a run keeps nothing of its sources
        for stage in self._stages:
            stage.forget()
        failed: BaseException | None = None
        for one in dead.values():
            try:
                one.commit()
            except BaseException as problem:
                failed = failed or problem
        if failed is None:
            return
        if error is None or isinstance(error, GeneratorExit):
            raise failed
        error.add_note(f"the dead letter could not be written: {failed}")


# --- texts


def class_name(kind: type) -> str:
    """An exception class as `.errors` names it: qualified, unless it is builtin; Sabot's own by their public name."""
    module = kind.__module__
    if module == builtins.__name__:
        return kind.__qualname__
    return f"{'sabot' if module.startswith('sabot._') else module}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """An exception's text; one whose __str__ fails has none."""
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be made)"
    return storable(cut(text, MESSAGE_MAX))


def storable(text: str) -> str:
    """The text with what UTF-8 cannot hold as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def cut(text: str, length: int = INPUTS_MAX) -> str:
    """The text, shortened to so many characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def text_of(value: object) -> str:
    """The repr of a value, whatever its class does."""
    try:
        return repr(value)
    except Exception:
        return f"(an object of class {type(value).__name__}, whose repr fails)"


def pairs_text(names: Sequence[str], values: Sequence[object]) -> str:
    """The values of a row with their names; fewer where a value could not be made."""
    shown = zip(names, values, strict=False)
    return cut(", ".join(f"{name}={text_of(value)}" for name, value in shown))


def row_text(batch: Any, index: int) -> str:
    """The values of a row of a batch with their names."""
    try:
        row: Mapping[str, object] = batch.slice(index, 1).to_pylist()[0]
    except Exception:
        return "(values that Python cannot hold)"
    return pairs_text(list(row), list(row.values()))
