"""The run of a stage of concurrent calls: pieces go to the lanes, what comes of them goes on in order.

How far it reads ahead: a piece is added when a lane has nothing to take; at most twice as many pieces are held as calls are made
at once. Input that may have no end is not asked for more while the first job may soon be done: it waits as long as the last piece
took to come, so that what is done is handed on and the input is read half as fast at worst.

Errors: a piece's lowest failing row, whatever finishes first; of functions that fail at the same row, the first. The rows before it
are handed on, then the error is raised. Calls for rows behind it may have happened. An error of the input is raised after the pieces
before it.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import pyarrow as pa

from sabot import _config
from sabot._conform import Conformer
from sabot._crew import Failed, Job, Task
from sabot._errorlog import row_text
from sabot._errors import WorkerError
from sabot._piece import Piece

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from sabot._calls import Work
    from sabot._crew import Crew
    from sabot._deadletter import DeadLetter
    from sabot._derive import Derived
    from sabot._errorlog import StageLog
    from sabot._run import RunContext


class Bound(NamedTuple):
    """The functions of a stage, bound to columns, and what comes out.

    schema: of the result; None where the first batch tells. sources: of each column, in with_columns: the function that makes it, or
    the column that it is.
    """

    works: list[Work]
    schema: pa.Schema | None
    sources: list[int | str]


def run_ordered(
    crew: Crew, pieces: Iterator[Piece], settler: Settler, waits: bool
) -> Generator[Piece]:
    """One run of a stage; it closes the crew.

    Parameters:
        waits: the input may have no end, so what is done is not kept waiting for more of it.
    """
    try:
        yield from _run(crew, pieces, settler, waits)
    except BaseException as error:
        failures = crew.close()
        if isinstance(error, GeneratorExit) and failures:
            raise failures[0] from None
        for failure in failures:
            error.add_note(f"closing failed too: {type(failure).__name__}: {failure}")
        raise
    for failure in crew.close():
        raise failure


def _run(crew: Crew, pieces: Iterator[Piece], settler: Settler, waits: bool) -> Generator[Piece]:
    window: deque[Job] = deque()
    if settler.stage is not None:
        settler.stage.waiting = lambda: sum(map(_rows_left, list(window)))
    most = 2 * max(lane.width for lane in crew.lanes)
    failure: Exception | None = None
    ended = False
    count = 0
    read_s = 0.0
    while window or not ended:
        if not ended and (not window or _may_read(crew, window, most, read_s if waits else 0.0)):
            started = time.monotonic()
            try:
                piece = next(pieces, None)
            except Exception as error:  # raised in its turn
                piece, failure = None, error
            read_s = time.monotonic() - started
            if piece is None:
                ended = True
                continue
            window.append(_job(crew, settler.works, piece, count))
            count += 1
            continue
        job = window[0]
        if not crew.wait_for(job, may_read=not ended and len(window) < most):
            continue
        if settler.is_flat_map:
            while (some := crew.pop(job.tasks[0])) is not None:
                yield from settler.conformed(job, some)
            if not job.ended:
                continue
        window.popleft()
        yield from settler.settle(job)
    if failure is not None:
        raise failure


def _rows_left(job: Job) -> float:
    """How many rows of a job's piece are not done; its functions count alike."""
    shares = [(task.taken - task.busy) / max(1, task.rows) for task in job.tasks]
    return job.piece.batch.num_rows * (1.0 - max(0.0, sum(shares)) / len(shares))


def _may_read(crew: Crew, window: deque[Job], most: int, wait_s: float) -> bool:
    """Whether to take more of the input now, after the time that the first job is given."""
    job = window[0]
    with crew.lock:
        if job.ready or len(window) >= most or not crew.hungry():
            return False
    return not (wait_s and crew.wait_for(job, may_read=False, timeout_s=wait_s))


def _job(crew: Crew, works: list[Work], piece: Piece, seq: int) -> Job:
    job = Job(piece, seq, [Task(work, piece) for work in works])
    pairs = list(zip(crew.lanes, job.tasks, strict=True))
    # What the thread of the run calls itself comes last, when the others have begun.
    for lane, task in sorted(pairs, key=lambda pair: pair[0].is_direct):
        lane.add(task)
    return job


class Settler:
    """Makes the output of jobs, in their order, and raises what fails."""

    def __init__(self, bound: Bound, source: Derived, context: RunContext) -> None:
        self.works = bound.works
        self.is_flat_map = bound.works[0].operator == "flat_map"
        self._bound = bound
        self.stage = context.stage
        self._errors = context.errors
        self._log: StageLog | None = None
        self._source = source
        self._number = sum(parent.operator_count for parent in source.parents)
        self._conform = Conformer(self.works[0].place.text, self.works[0].schema)
        for work in self.works:
            self._dead_letter(work)  # there also when no row fails

    def settle(self, job: Job) -> Generator[Piece]:
        """The rows of a job that has ended, up to the one that ends the run."""
        operator = self.works[0].operator
        fatal = self._fatal(job)
        end = job.piece.batch.num_rows
        if fatal is not None:
            end = fatal[0] if job.tasks[fatal[1]].work.kind == "scalar" else 0
        dropped = self._record(job, end)
        if operator == "with_columns":
            piece = self._with_columns(job, end)
        elif operator == "filter":
            piece = self._filtered(job, end)
        else:
            made = [batch for task in job.tasks for _, batch in task.parts]
            piece = next(iter(self.conformed(job, made)), None)
        if piece is not None and dropped:
            piece = kept(piece, pa.array([row not in dropped for row in range(end)]))
        if piece is not None and piece.batch.num_rows:
            yield piece
        if fatal is not None:
            self._raise(job, *fatal)

    def _fatal(self, job: Job) -> tuple[int, int] | None:
        """The row that ends the run, and the function that failed there: a row that one drops does not fail in those after it."""
        found: tuple[int, int] | None = None
        dropped: set[int] = set()
        for k, task in enumerate(job.tasks):
            rows = [] if task.fatal is None else [task.fatal]
            in_calls = [failed.row for failed in task.failures if failed.in_call]
            if task.work.on_error == "skip":
                dropped.update(row for row in in_calls if row != task.fatal)
            elif task.work.on_error == "raise" and task.work.may_be_dropped:
                rows += [row for row in in_calls if row not in dropped]
            if rows and (found is None or min(rows) < found[0]):
                found = (min(rows), k)
        return found

    # --- output

    def _with_columns(self, job: Job, end: int) -> Piece:
        assert self._bound.schema is not None
        piece = job.piece.slice(0, end)
        made = [_column(task, end) for task in job.tasks]
        arrays: list[Any] = [
            made[source] if isinstance(source, int) else piece.batch.column(source)
            for source in self._bound.sources
        ]
        batches: Any = pa.RecordBatch
        return piece._replace(batch=batches.from_arrays(arrays, schema=self._bound.schema))

    def _filtered(self, job: Job, end: int) -> Piece | None:
        task = job.tasks[0]
        if task.work.kind == "scalar":
            return kept(job.piece.slice(0, end), _column(task, end))
        return kept(job.piece, task.parts[0][1]) if task.parts else None

    def conformed(self, job: Job, batches: list[pa.RecordBatch]) -> list[Piece]:
        """What a map or flat_map function gave, brought to one schema; that of the first batch where none was declared."""
        try:
            return [Piece(self._conform(batch)) for batch in batches]
        except Exception as error:
            if self.works[0].on_error == "raise":
                self._end(job, 0, 0, Failed(0, error))
            self._record_batch(job, 0, error)
            return []

    # --- failures

    def _record(self, job: Job, end: int) -> set[int]:
        """Records the rows that failed without ending the run; gives those that are left out for it."""
        dropped: set[int] = set()
        for k, task in enumerate(job.tasks):
            work = task.work
            for row, error, in_call, _ in sorted(task.failures, key=lambda failed: failed.row):
                if not in_call or task.fatal == row or row >= end or row in dropped:
                    continue
                if work.kind != "scalar":
                    self._record_batch(job, k, error)
                    continue
                self._add(job, k, row, error)
                if work.on_error == "skip" and work.operator == "with_columns":
                    dropped.add(row)  # a filter drops it as null
        return dropped

    def _record_batch(self, job: Job, k: int, error: BaseException) -> None:
        for index in range(job.piece.batch.num_rows):
            self._add(job, k, index, error)

    def _add(self, job: Job, k: int, row: int, error: BaseException) -> None:
        work = self.works[k]
        self._stage_log().add(
            error,
            work.place.text,
            lambda: self._row_text(job, work, row),
            (0, k, job.seq, job.piece.source_row(row)),
            self._dead_letter(work),
        )

    def _dead_letter(self, work: Work) -> DeadLetter | None:
        path = work.dead_letter or _config.get("dead_letter")
        if work.on_error == "raise" or not path:
            return None
        return self._errors.dead_letter(str(path))

    def _stage_log(self) -> StageLog:
        if self._log is None:
            self._log = self._errors.stage(self._source, self, lambda row: row)
        return self._log

    def _row_text(self, job: Job, work: Work, row: int) -> str:
        if not work.columns:
            return row_text(job.piece.batch, row)
        columns = job.piece.batch.select(list(work.columns))
        return row_text(columns, row)

    def _raise(self, job: Job, row: int, k: int) -> NoReturn:
        failed = next(one for one in job.tasks[k].failures if one.row == row)
        self._end(job, row, k, failed)

    def _end(self, job: Job, row: int, k: int, failed: Failed) -> NoReturn:
        """Raises what ends the run, with its place."""
        work, error = self.works[k], failed.error
        is_row = work.kind == "scalar" and failed.in_call
        rows = job.piece
        if work.kind == "scalar":
            rows = rows.slice(row, failed.rows)
        place = f"in {work.place.text}: operator {self._number}"
        where = f"{place}, batch {job.seq}, {_rows_text(rows, is_row)}"
        if is_row:
            where += f": {self._row_text(job, work, row)}"
        if isinstance(error, WorkerError):
            error.args = (f"{error}, {where}",)
        elif isinstance(error, Exception):
            error.add_note(where)
        if self._log is not None:
            self._log.end_at(job.seq, job.piece.source_row(row))
        raise error


def _rows_text(piece: Piece, is_row: bool) -> str:
    """The rows of the source that a piece holds, for errors."""
    count = piece.batch.num_rows
    if piece.row < 0:
        return "a row" if is_row else "rows" if count == 0 else f"{count} rows"
    if is_row:
        return f"row {piece.row}"
    return f"rows {piece.row} to {piece.source_row(count - 1)}"


def kept(piece: Piece, mask: Any) -> Piece:
    """The rows of a piece for which a mask is true."""
    batch: Any = piece.batch.filter(mask)
    if batch.num_rows == piece.batch.num_rows:
        return piece
    if piece.row < 0:
        return Piece(batch)
    rows: Any = piece.rows
    if rows is None:
        rows = pa.array(range(piece.row, piece.row + piece.batch.num_rows), pa.int64())
    rows = rows.filter(mask)
    return Piece(batch, rows[0].as_py() if len(rows) else -1, rows)


def _column(task: Task, end: int) -> Any:
    arrays = [array for _, array in sorted(task.parts, key=lambda part: part[0])]
    if not arrays:
        from sabot._calls import column

        return column([], task.work)
    whole: Any = arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)
    return whole.slice(0, end)
