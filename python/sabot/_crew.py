"""Calls that run at the same time, and the order of what comes of them.

A stage reads pieces of its input and makes a `Job` of each: one `Task` for every function. A lane runs the calls of one function,
at most `width` at once: threads (`ThreadLane`; with worker processes each thread drives one), an event loop (`LoopLane`), or the
thread of the run itself (`DirectLane`). The thread of the run adds tasks, waits for the first job, and hands on what came of it, so
rows keep their order.

A task of a scalar function is cut as it is taken: a lane takes rows from its front, as many as make about `PART_S` of work. So
every row before a failing one was taken before it, and the lowest failing row is known when those have ended. One lock guards it
all; only the thread of the run waits for `changed`. How far jobs go ahead: _concurrent.py.

Stopping: nothing more is taken; calls that are awaited are cancelled; a thread inside a call that blocks is left to end with it
after `GRACE_S`, a worker process is killed then.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sabot._bridge import BLOCKED_S_MAX, close_async
from sabot._calls import (
    arguments,
    batch_result,
    call_batch,
    call_row,
    call_rows,
    checked,
    column,
    is_fatal,
    is_skipped,
    item_result,
    items,
)
from sabot._derive import made_batches

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    import pyarrow as pa

    from sabot._calls import Outcome, Work
    from sabot._instances import Holder
    from sabot._piece import Piece

PART_S = 0.02
GRACE_S = BLOCKED_S_MAX
_ITEMS_MAX = 2  # batches of one flat_map call that wait for the consumer, or lists of all of them


class Unit(NamedTuple):
    """Some rows of a task, or a whole batch."""

    task: Task
    start: int
    rows: int


class Failed(NamedTuple):
    """A row that failed; `in_call`: in the call for it, else something failed that concerns so many `rows`."""

    row: int
    error: BaseException
    in_call: bool = True
    rows: int = 1


class Task:
    """One function over one piece. The crew's lock guards what changes.

    rows: what there is to take; a batch function takes its batch as one. parts: results and the rows that they begin at.
    fatal: the lowest row whose failure ends the run. args, values: of a task whose calls are awaited.
    """

    __slots__ = ("args", "busy", "failures", "fatal", "items", "parts", "piece", "rows", "taken", "values", "work")  # fmt: skip

    def __init__(self, work: Work, piece: Piece) -> None:
        self.work = work
        self.piece = piece
        self.rows = piece.batch.num_rows if work.kind == "scalar" else 1
        self.taken = 0
        self.busy = 0
        self.parts: list[tuple[int, Any]] = []
        self.failures: list[Failed] = []
        self.fatal: int | None = None
        self.items: deque[Any] = deque()
        self.args: Any = None
        self.values: list[Any] = []

    @property
    def ended(self) -> bool:
        return self.busy == 0 and (self.taken == self.rows or self.fatal is not None)

    def take(self, start: int, outcome: Outcome) -> None:
        if outcome.result is not None:
            self.parts.append((start, outcome.result))
        for position, error in outcome.failures:
            fatal = outcome.fatal and position == outcome.failures[-1][0]
            self.fail(Failed(start + position, error), fatal)

    def fail(self, failed: Failed, fatal: bool) -> None:
        self.failures.append(failed)
        if fatal and (self.fatal is None or failed.row < self.fatal):
            self.fatal = failed.row


class Job(NamedTuple):
    """One piece on its way through a stage."""

    piece: Piece
    seq: int
    tasks: list[Task]

    @property
    def ended(self) -> bool:
        return all(task.ended for task in self.tasks)

    @property
    def ready(self) -> bool:
        """Whether there is something to hand on."""
        return bool(self.tasks[0].items) or self.ended


class Crew:
    """The lanes of one stage in one run. `changed` is for the thread of the run."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # the collector of garbage may close a run anywhere
        self.changed = threading.Condition(self.lock)
        self.closing = False
        self.unwanted = False
        self.lanes: list[DirectLane | ThreadLane | LoopLane] = []

    def cut(self) -> None:
        """From any thread: nobody wants the result. The run's thread then raises CancelledError and closes the crew."""
        with self.lock:
            self.unwanted = True
            self.changed.notify_all()

    def hungry(self) -> bool:
        """Under the lock: a lane has nothing to take."""
        return any(not lane.queue for lane in self.lanes)

    def wait_for(self, job: Job, *, may_read: bool, timeout_s: float | None = None) -> bool:
        """Waits until a job has something to hand on, which it tells; with `may_read` also until a lane has nothing to take."""
        with self.changed:
            self.changed.wait_for(
                lambda: self.unwanted or job.ready or (may_read and self.hungry()), timeout_s
            )
            if self.unwanted:
                # Not an end: what stands behind would take the rows so far for all of them.
                raise asyncio.CancelledError
            return job.ready

    def pop(self, task: Task) -> Any:
        """The next batches that came of a task; None where there are none now."""
        with self.lock:
            if not task.items:
                return None
            item = task.items.popleft()
        for lane in self.lanes:
            lane.tell_room(task)
        return item

    def close(self) -> list[BaseException]:
        """Ends all lanes; gives what closing their objects raised."""
        with self.lock:
            self.closing = True
        for lane in self.lanes:
            lane.stop()
        until = time.monotonic() + GRACE_S
        failures: list[BaseException] = []
        for lane in self.lanes:
            failures += lane.end(until)
        return failures


class Callee(Protocol):
    """Who makes the calls of one thread: the thread itself, or a worker process. What it raises is no failure of a row.

    abort: from the run's thread, ends the call that is made; False where that cannot be done.
    """

    def rows(self, batch: pa.RecordBatch, stopped: Callable[[], bool]) -> Outcome: ...
    def batch(self, batch: pa.RecordBatch) -> Outcome: ...
    def items(self, batch: pa.RecordBatch) -> Generator[pa.RecordBatch]: ...
    def abort(self) -> bool: ...
    def close(self) -> None: ...


class Here:
    """Calls in the thread itself."""

    def __init__(self, work: Work, holder: Holder) -> None:
        self._work = work
        self._holder = holder

    def rows(self, batch: pa.RecordBatch, stopped: Callable[[], bool]) -> Outcome:
        return call_rows(self._holder.get(), self._work, batch, stopped)

    def batch(self, batch: pa.RecordBatch) -> Outcome:
        return call_batch(self._holder.get(), self._work, batch)

    def items(self, batch: pa.RecordBatch) -> Generator[pa.RecordBatch]:
        return items(self._holder.get(), self._work, batch)

    def abort(self) -> bool:
        return False

    def close(self) -> None:
        """The object is the lane's, which closes it after its last thread."""


class ThreadLane:
    """Calls in threads, which start as there is work for them."""

    is_direct = False

    def __init__(
        self,
        crew: Crew,
        work: Work,
        width: int,
        make: Callable[[], Callee],
        holder: Holder | None,
    ) -> None:
        self.crew = crew
        self.work = work
        self.width = width
        self.queue: deque[Task] = deque()
        self._make = make
        self._holder = holder
        self._ready = threading.Condition(crew.lock)
        self._room = threading.Condition(crew.lock)
        self._threads: list[threading.Thread] = []
        self._alive = 0
        self._idle = 0
        self._busy: set[Callee] = set()
        self._row_s: float | None = None
        self._left_behind = False
        self._failures: list[BaseException] = []

    # --- the run's thread

    def add(self, task: Task) -> None:
        with self.crew.lock:
            if not task.rows:
                return
            self.queue.append(task)
            self._ready.notify(task.rows)
            new = min(self.width - len(self._threads), task.rows - self._idle)
        for _ in range(new):
            context = contextvars.copy_context()
            name = f"sabot-call-{len(self._threads)}"
            thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def tell_room(self, task: Task) -> None:
        with self.crew.lock:
            self._room.notify_all()

    def stop(self) -> None:
        with self.crew.lock:
            self.queue.clear()
            self._ready.notify_all()
            self._room.notify_all()

    def end(self, until: float) -> list[BaseException]:
        with self.crew.changed:
            self.crew.changed.wait_for(lambda: not self._busy, until - time.monotonic())
            busy = list(self._busy)
        stuck = {callee for callee in busy if not callee.abort()}
        if threading.current_thread() in self._threads:  # the collector's
            self._left_behind = True
            return []
        with self.crew.changed:
            # Those that are not in a call close what they have, which may take its time.
            self.crew.changed.wait_for(lambda: self._alive <= len(self._busy & stuck))
            self._left_behind = self._alive > 0
        if self._left_behind:
            return []
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        return self._failures + closed(self._holder)

    # --- the lane's threads

    def _run(self) -> None:
        callee = self._make()
        with self.crew.lock:
            self._alive += 1
        try:
            while (unit := self._take(callee)) is not None:
                started = time.perf_counter()
                try:
                    self._call(callee, unit)
                except BaseException as error:  # handed to the run
                    with self.crew.lock:
                        unit.task.fail(Failed(unit.start, error, False, unit.rows), True)
                self._done(callee, unit, time.perf_counter() - started)
                del unit
        finally:
            try:
                callee.close()
            except BaseException as error:  # handed to the run
                self._failures.append(error)
            with self.crew.lock:
                self._alive -= 1
                last = self._left_behind and not self._alive
                self.crew.changed.notify_all()
            if last:
                closed(self._holder)

    def _take(self, callee: Callee) -> Unit | None:
        with self.crew.lock:
            self._idle += 1
            while not self.queue and not self.crew.closing:
                self._ready.wait()
            self._idle -= 1
            if self.crew.closing:
                return None
            task = self.queue[0]
            count = self._count(task)
            unit = Unit(task, task.taken, count)
            task.taken += count
            task.busy += 1
            if task.taken == task.rows:
                self.queue.popleft()
                self.crew.changed.notify_all()
            self._busy.add(callee)
            return unit

    def _count(self, task: Task) -> int:
        """How many rows to take: what was asked for, or about `PART_S` of work, and never so many that others stay without."""
        if self.work.batch_size is not None:
            return min(self.work.batch_size, task.rows - task.taken)
        if self._row_s is None:
            return 1
        share = -(-(task.rows - task.taken) // (2 * self.width))
        return max(1, min(share, int(PART_S / max(self._row_s, 1e-9))))

    def _done(self, callee: Callee, unit: Unit, seconds: float) -> None:
        task = unit.task
        with self.crew.lock:
            self._busy.discard(callee)
            task.busy -= 1
            row_s = seconds / unit.rows
            self._row_s = row_s if self._row_s is None else 0.5 * (self._row_s + row_s)
            if task.fatal is not None and self.queue and self.queue[0] is task:
                self.queue.popleft()  # what comes after the failing row is not wanted
            if task.ended or self.crew.closing:
                self.crew.changed.notify_all()

    def _call(self, callee: Callee, unit: Unit) -> None:
        task = unit.task
        batch = task.piece.batch
        if self.work.operator == "flat_map":
            self._items(callee, task)
            return
        if self.work.kind == "scalar":
            part = batch.slice(unit.start, unit.rows)
            outcome = callee.rows(part, lambda: self._unwanted(unit))
        else:
            outcome = callee.batch(batch)
        with self.crew.lock:
            task.take(unit.start, outcome)

    def _items(self, callee: Callee, task: Task) -> None:
        try:
            with contextlib.closing(callee.items(task.piece.batch)) as made:
                if self.work.on_error != "raise":  # a call that fails gives nothing
                    self._put(task, list(made))
                    return
                for item in made:
                    if not self._put(task, [item]):
                        break
        except BaseException as error:  # handed to the run
            with self.crew.lock:
                task.fail(Failed(0, error), is_fatal(error, self.work))

    def _unwanted(self, unit: Unit) -> bool:
        fatal = unit.task.fatal
        return self.crew.closing or (fatal is not None and fatal < unit.start)

    def _put(self, task: Task, some: list[pa.RecordBatch]) -> bool:
        with self.crew.lock:
            task.items.append(some)
            self.crew.changed.notify_all()
            while len(task.items) >= _ITEMS_MAX and not self.crew.closing:
                self._room.wait()
            return not self.crew.closing


class DirectLane:
    """Calls on the run's thread, when a task is added."""

    is_direct = True

    def __init__(self, crew: Crew, work: Work, holder: Holder) -> None:
        self.crew = crew
        self.work = work
        self.width = 1
        self.queue: deque[Task] = deque()
        self._holder = holder

    def add(self, task: Task) -> None:
        task.taken = task.rows
        try:
            fn = self._holder.get()
        except BaseException as error:  # raised in its turn
            task.fail(Failed(0, error, False, task.rows), True)
            return
        batch = task.piece.batch
        if self.work.kind == "scalar":
            task.take(0, call_rows(fn, self.work, batch, lambda: False))
        else:
            task.take(0, call_batch(fn, self.work, batch))

    def tell_room(self, task: Task) -> None:
        """Nothing waits for room."""

    def stop(self) -> None:
        """Nothing runs."""

    def end(self, until: float) -> list[BaseException]:
        return closed(self._holder)


def closed(holder: Holder | None) -> list[BaseException]:
    """Closes an object of a class; gives what that raised."""
    try:
        if holder is not None:
            holder.close()
    except BaseException as error:  # handed to the run
        return [error]
    return []


class LoopLane:
    """Calls that are awaited on an event loop."""

    is_direct = False

    def __init__(
        self,
        crew: Crew,
        work: Work,
        width: int,
        loop: asyncio.AbstractEventLoop,
        holder: Holder,
    ) -> None:
        self.crew = crew
        self.work = work
        self.width = width
        self.queue: deque[Task] = deque()
        self._loop = loop
        self._holder = holder
        self._context = contextvars.copy_context()
        self._room = asyncio.Event()
        self._running: dict[asyncio.Task[None], Unit] = {}
        self._heard = False
        self._ended = False
        self._failures: list[BaseException] = []

    # --- the run's thread

    def add(self, task: Task) -> None:
        if not task.rows:
            return
        if self.work.kind == "scalar":
            task.args = arguments(self.work, task.piece.batch)
            task.values = [None] * task.rows
        with self.crew.lock:
            self.queue.append(task)
        self._tell(self._fill)

    def tell_room(self, task: Task) -> None:
        self._tell(self._room.set)

    def stop(self) -> None:
        with self.crew.lock:
            self.queue.clear()
        self._tell(self._cancel)

    def end(self, until: float) -> list[BaseException]:
        with self.crew.changed:
            heard = self.crew.changed.wait_for(
                lambda: self._heard or self._ended, until - time.monotonic()
            )
            if heard:
                self.crew.changed.wait_for(lambda: self._ended)
            return self._failures

    def _tell(self, call: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(call, context=self._context)
        except RuntimeError:  # the loop was closed, and its tasks have ended
            with self.crew.changed:
                self._ended = True
                self.crew.unwanted = True
                self.crew.changed.notify_all()

    # --- the loop's thread

    def _fill(self) -> None:
        while len(self._running) < self.width and (unit := self._take()) is not None:
            running = self._loop.create_task(self._one(unit))
            self._running[running] = unit
            # A task that is cancelled before its first step never runs.
            running.add_done_callback(self._done)

    def _take(self) -> Unit | None:
        with self.crew.lock:
            if not self.queue or self.crew.closing:
                return None
            task = self.queue[0]
            unit = Unit(task, task.taken, 1)
            task.taken += 1
            task.busy += 1
            if task.taken == task.rows:
                self.queue.popleft()
                self.crew.changed.notify_all()
            return unit

    def _done(self, running: asyncio.Task[None]) -> None:
        unit = self._running.pop(running)
        task = unit.task
        with self.crew.lock:
            task.busy -= 1
            if running.cancelled():  # before its first step
                task.fail(Failed(unit.start, asyncio.CancelledError()), True)
            if task.fatal is not None and self.queue and self.queue[0] is task:
                self.queue.popleft()  # what comes after the failing row is not wanted
            if task.ended:
                if task.args is not None:
                    end = task.rows if task.fatal is None else task.fatal
                    task.parts.append((0, column(task.values[:end], self.work)))
                self.crew.changed.notify_all()
        self._fill()

    async def _one(self, unit: Unit) -> None:
        fn: Any = None
        try:
            fn = self._holder.get()
            await self._call(fn, unit)
        except BaseException as error:  # handed to the run
            in_call = fn is not None
            with self.crew.lock:
                fatal = not in_call or is_fatal(error, self.work)
                unit.task.fail(Failed(unit.start, error, in_call), fatal)
            if unit.task.fatal is not None:
                for other, place in self._running.items():
                    if place.task is unit.task and place.start > unit.task.fatal:
                        other.cancel()

    async def _call(self, fn: Any, unit: Unit) -> None:
        task = unit.task
        if self.work.kind == "scalar":
            args = task.args[unit.start]
            skipped = is_skipped(self.work, args)
            value = None if skipped else await call_row(fn, self.work, args)
            task.values[unit.start] = checked(value, self.work)
            return
        batch = task.piece.batch
        made = fn(batch)
        if self.work.operator == "flat_map":
            await self._items(task, made)
            return
        result = batch_result(await made, self.work, batch)
        with self.crew.lock:
            task.parts.append((0, result))

    async def _items(self, task: Task, made: Any) -> None:
        made = made if hasattr(made, "__aiter__") else await made
        if self.work.on_error == "raise":
            async with contextlib.aclosing(self._each(made)) as each:
                async for item in each:
                    await self._put(task, [item])
        else:  # a call that fails gives nothing
            await self._put(task, [item async for item in self._each(made)])

    async def _each(self, made: Any) -> AsyncGenerator[pa.RecordBatch]:
        name = self.work.place.name
        if not hasattr(made, "__aiter__"):
            for item in made_batches(made, name, None):
                yield item
            return
        count = 0
        iterator = aiter(made)
        try:
            async for item in iterator:
                yield item_result(item, self.work, count)
                count += 1
        finally:
            await close_async(iterator)

    async def _put(self, task: Task, some: list[pa.RecordBatch]) -> None:
        with self.crew.lock:
            task.items.append(some)
            self.crew.changed.notify_all()
        while len(task.items) >= _ITEMS_MAX:
            self._room.clear()
            if len(task.items) >= _ITEMS_MAX:
                await self._room.wait()

    def _cancel(self) -> None:
        with self.crew.lock:
            self._heard = True
            self.crew.changed.notify_all()
        for running in self._running:
            running.cancel()
        self._ending = self._loop.create_task(self._end())

    async def _end(self) -> None:
        try:
            while self._running:
                await asyncio.wait(list(self._running))
            result = self._holder.close()
            if result is not None and hasattr(result, "__await__"):
                await result
        except BaseException as error:  # handed to the run
            self._failures.append(error)
        finally:
            with self.crew.lock:
                self._ended = True
                self.crew.changed.notify_all()
