"""Async iteration of a stream: the engine runs in a helper thread, async sources on the event loop that consumes.

`run_async` is all there is to call. The run's thread reads a plain source itself. What may be an async iterable it takes from a
queue (`Pumped`), which a task on the consumer's loop fills, at most `QUEUE_MAX` batches ahead: such an iterable may hold
things of that loop, and can be cancelled where it waits. Each is closed by the task that reads it, once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING

from sabot._bridge import QUEUE_MAX, ReaderThread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    import pyarrow as pa

    from sabot._batches import AsyncBatches, BatchIterator, Source

    Run = Callable[["LoopOpener | None"], Generator[pa.RecordBatch]]


class LoopOpener:
    """Opens the sources of a run whose consumer is an event loop. `open` is the run's thread's, the rest the loop's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._pumped: list[Pumped] = []
        self._stopped = False

    def open(self, source: Source) -> BatchIterator | Pumped:
        """Begins a pass over a source. What Source.open_async() raises comes with the first batch."""
        if source.is_async is False:
            return source.open()
        pumped = Pumped(source, self._loop)
        with self._lock:
            if self._stopped:
                pumped.finish()
            else:
                self._pumped.append(pumped)
                pumped.start()
        return pumped

    def stop(self) -> None:
        """Cancels the sources where they wait, which ends the run's thread if it waits for one."""
        with self._lock:
            self._stopped = True
        for pumped in self._pumped:
            pumped.cut()


class Pumped:
    """A queue between a task that reads a source and the run's thread. `changed` guards all of it."""

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._loop = loop
        self._changed = threading.Condition()
        self._room = asyncio.Event()
        self._items: deque[pa.RecordBatch] = deque()
        self._error: BaseException | None = None
        self._close_error: BaseException | None = None
        self._closing = False
        self._cut = False
        self._done = False
        self._task: asyncio.Task[None] | None = None

    # --- the run's thread

    def start(self) -> None:
        self._tell(self._begin)

    def __iter__(self) -> Pumped:
        return self

    def __next__(self) -> pa.RecordBatch:
        with self._changed:
            while not (self._items or self._done):
                self._changed.wait()
            if self._cut:
                # Not an end: what stands behind would take the rows so far for all of them.
                raise asyncio.CancelledError
            if self._items:
                item = self._items.popleft()
                self._tell(self._room.set)
                return item
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """Returns when the task has closed the source; raises what its closing raised. Calling it again does nothing."""
        self._tell(self.cancel)
        with self._changed:
            while not self._done:
                self._changed.wait()
            error, self._close_error = self._close_error, None
        if error is not None:
            raise error

    def _tell(self, call: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop was closed, and its tasks have ended
            self.finish()

    # --- the loop's thread

    def _begin(self) -> None:
        if self._closing:
            self.finish()
            return
        self._task = self._loop.create_task(self._main())
        self._task.add_done_callback(lambda _: self.finish())

    def cancel(self) -> None:
        """Cancels the source where it waits. The task goes on to close it, and is not cancelled there."""
        if self._closing:
            return
        self._closing = True
        if self._task is not None:
            try:
                self._task.cancel()
            except RuntimeError:  # the loop was closed under the task
                self.finish()

    def cut(self) -> None:
        """Cancels, and gives the run no more batches: nobody wants its result."""
        self._cut = True
        self.cancel()

    def finish(self) -> None:
        with self._changed:
            self._done = True
            self._changed.notify_all()

    async def _main(self) -> None:
        batches: AsyncBatches | None = None
        try:
            batches = self._source.open_async()
            async for batch in batches:
                await self._put(batch)
        except asyncio.CancelledError as error:
            if not self._closing:
                self._error = error
        except BaseException as error:  # handed to the run's thread
            # Once the consumer has enough, only what closing raises concerns it.
            if self._closing:
                self._close_error = error
            else:
                self._error = error
        self._closing = True
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        try:
            if batches is not None:
                await batches.aclose()
        except BaseException as error:  # handed to the run's thread
            self._close_error = error

    async def _put(self, batch: pa.RecordBatch) -> None:
        with self._changed:
            self._items.append(batch)
            self._changed.notify_all()
        while len(self._items) >= QUEUE_MAX:
            self._room.clear()
            if len(self._items) >= QUEUE_MAX:
                await self._room.wait()


async def run_async(run: Run) -> AsyncGenerator[pa.RecordBatch]:
    """The batches of a run, for the running event loop, which waits neither for the engine nor for a source.

    Parameters:
        run: gives the batches, with sources opened as it is told; it is called and closed in a helper thread.
    """
    opener = LoopOpener()
    reader = ReaderThread(lambda: run(opener))
    try:
        async for batch in reader:
            yield batch
    finally:
        # First what the run may wait for.
        opener.stop()
        await reader.aclose()
