"""Between threads and event loops: an async iterable driven from plain code, a plain iterator awaited by a loop.

`iterate_on_loop` runs an async iterable on an event loop of its own, in a helper thread. `ReaderThread` runs a plain iterator in
a helper thread for a loop that must not wait; `ThreadFeed` is the thread's side of that, for who consumes in another way.

Each passes items through a queue of `QUEUE_MAX`: the producer waits for room. Whoever drives a source closes it, once: the loop
or the helper thread, never the consumer's thread. Exceptions of the producer are raised in the consumer as they are. Helper
threads run under a copy of the consumer's context and end with their source; a consumer that is dropped without close() ends
them too, since they hold only the queue. What is inside a call that blocks cannot be closed: close() waits `BLOCKED_S_MAX` for
it, then leaves it to close itself when the call returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

QUEUE_MAX = 2
BLOCKED_S_MAX = 0.15
_LOOK_S = 1.0  # how often a wait looks whether its loop was closed under it
_TURN_ITEMS = 256  # taken on a loop before its other tasks get a turn


class Closable(Protocol[T_co]):
    """A plain iterator that is closed by its driver."""

    def __next__(self) -> T_co: ...
    def close(self) -> None: ...


class _LoopFeed(Generic[T]):
    """The queue between a task on a loop, which reads an async iterable, and the thread that consumes. `ready` guards all of it."""

    def __init__(
        self, make: Callable[[], AsyncIterable[T]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.make = make
        self.ready = threading.Condition()
        self.items: deque[T] = deque()
        self.error: BaseException | None = None
        self.close_error: BaseException | None = None
        self.closing = False
        self.unwanted = False  # nobody wants what stands behind the consumer either
        self.heard = False  # the loop knows that it shall close
        self.done = False
        self._loop = loop
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = (
            None  # while a cancel cuts only the source's wait
        )

    # --- consumer's thread

    def take(self) -> T:
        with self.ready:
            while not (self.items or self.done or self.unwanted):
                self._wait(None)
            if self.unwanted:
                # Not an end: what stands behind would take the items so far for all of them.
                raise asyncio.CancelledError
            if self.items:
                item = self.items.popleft()
                self._tell(self._room.set)
                return item
            error, self.error = self.error, None
            if error is self.close_error:
                self.close_error = None  # it is told once
        if error is not None:
            raise error
        raise StopIteration

    def end(self) -> None:
        """Waits until the source is closed, or its loop sits in a call that blocks; raises what its closing raised."""
        until = time.monotonic() + BLOCKED_S_MAX
        with self.ready:
            while not self.done:
                left = None if self.heard else until - time.monotonic()
                if left is not None and left <= 0:
                    return
                self._wait(left)
            error, self.close_error = self.close_error, None
        if error is not None:
            raise error

    def _wait(self, limit_s: float | None) -> None:
        self.ready.wait(_LOOK_S if limit_s is None else limit_s)
        if self._loop.is_closed():  # under the task, by whom it belongs to
            self.finish()

    # --- any thread

    def stop(self) -> None:
        with self.ready:
            if not self.closing:
                self.closing = True
                self._tell(self._cancel)

    def cut(self) -> None:
        with self.ready:
            self.unwanted = True
            self.ready.notify_all()
            self.stop()

    def finish(self) -> None:
        with self.ready:
            self.done = True
            self.ready.notify_all()

    def begin(self) -> None:
        """Starts the task on a loop that runs already."""
        self._tell(self._begin)

    def _tell(self, call: Callable[[], object]) -> None:
        # A private loop is closed only after `done` was set under `ready`.
        if not self.done:
            try:
                self._loop.call_soon_threadsafe(call)
            except RuntimeError:  # the loop was closed, and its tasks have ended
                self.finish()

    # --- the loop's thread

    def run(self) -> None:
        """Runs the loop, which is private, until the source is closed."""
        loop = self._loop
        try:
            loop.run_until_complete(self._main())
            self._end_strays()
        except BaseException as error:  # handed to the consumer
            self._fail(error)
        finally:
            self.finish()
            loop.close()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._main())
        self._task.add_done_callback(lambda _: self.finish())

    def _cancel(self) -> None:
        with self.ready:
            self.heard = True
            self.ready.notify_all()
        if self._waiting is not None:
            self._waiting.cancel()

    def _fail(self, error: BaseException) -> None:
        with self.ready:
            # Once the consumer has enough, only what closing raises concerns it.
            if self.heard:
                self.close_error = self.close_error or error
            else:
                self.error = self.error or error

    async def _main(self) -> None:
        iterator: AsyncIterator[T] | None = None
        failed = False
        self._waiting = asyncio.current_task()
        try:
            iterator = aiter(self.make())
            while not self.heard:
                await self._put(await anext(iterator))
        except StopAsyncIteration:
            pass
        except asyncio.CancelledError as error:
            if not self.heard:
                failed = True
                self._fail(error)
        except BaseException as error:  # handed to the consumer
            failed = True
            self._fail(error)
        self._waiting = None
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        try:
            await close_async(iterator)
        except BaseException as error:  # handed to the consumer, whether that reads on or closes
            with self.ready:
                if not failed:
                    self.close_error = self.close_error or error
            self._fail(error)

    async def _put(self, item: T) -> None:
        while len(self.items) >= QUEUE_MAX:
            self._room.clear()
            if len(self.items) >= QUEUE_MAX:
                await self._room.wait()
        with self.ready:
            self.items.append(item)
            self.ready.notify_all()

    def _end_strays(self) -> None:
        """Ends the tasks that the source left on the loop. Its executor's threads are not waited for."""
        strays = asyncio.all_tasks(self._loop)
        for task in strays:
            task.cancel()
        if strays:
            self._loop.run_until_complete(asyncio.gather(*strays, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())


class OnLoop(Generic[T]):
    """Plain iteration over an async iterable, which runs on an event loop.

    loop: runs in another thread already; None: a private one, in a helper thread.
    """

    __slots__ = ("__weakref__", "_feed", "_thread")

    def __init__(
        self,
        make: Callable[[], AsyncIterable[T]],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._feed: _LoopFeed[T] | None = _LoopFeed(make, loop or asyncio.new_event_loop())
        self._thread: threading.Thread | None = None
        if loop is None:
            self._thread = start(self._feed.run, "sabot-loop")
        else:
            self._feed.begin()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._feed is None:
            raise StopIteration
        return self._feed.take()

    def close(self) -> None:
        """Cancels the source where it waits, and returns when the loop has closed it; raises what its closing raised."""
        feed, self._feed = self._feed, None
        if feed is None:
            return
        feed.stop()
        if threading.current_thread() is self._thread:  # the collector of garbage closes anywhere
            return
        feed.end()
        if self._thread is not None and feed.done:
            self._thread.join()

    def cut(self) -> None:
        """From any thread: cancels the source, and a wait for it raises CancelledError. Who reads still closes it."""
        feed = self._feed
        if feed is not None:
            feed.cut()

    def __del__(self) -> None:
        feed: _LoopFeed[T] | None = getattr(self, "_feed", None)
        if feed is not None:
            feed.stop()


def iterate_on_loop(make: Callable[[], AsyncIterable[T]]) -> OnLoop[T]:
    """Plain iteration over the async iterable that `make` gives; `make` and the iterable run on a private event loop.

    The loop runs in a helper thread, at most `QUEUE_MAX` items ahead. close() cancels the iterable where it waits; it is closed
    exactly once, on that loop.

    >>> async def numbers():
    ...     for k in range(3):
    ...         yield k
    >>> list(iterate_on_loop(numbers))
    [0, 1, 2]
    """
    return OnLoop(make)


async def close_async(iterator: object) -> None:
    """Closes an async iterator, where it can be closed."""
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()


class Gathered(Generic[T]):
    """The items of an async iterable as lists of up to `count`: what crosses to another thread one by one costs more than a row."""

    __slots__ = ("_count", "_ended", "_error", "_iterator", "_source")

    def __init__(self, source: AsyncIterable[T], count: int) -> None:
        self._source = source
        self._iterator: AsyncIterator[T] | None = None
        self._ended = False
        self._error: Exception | None = (
            None  # of a source whose items before it are still to be given
        )
        self._count = count

    def __aiter__(self) -> AsyncIterator[list[T]]:
        self._iterator = aiter(self._source)
        return self

    async def __anext__(self) -> list[T]:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        items: list[T] = []
        while self._iterator is not None and not self._ended and len(items) < self._count:
            try:
                items.append(await anext(self._iterator))
            except StopAsyncIteration:
                self._ended = True  # aclose() closes it, which no cancel interrupts
            except Exception as error:
                if not items:
                    raise
                self._error, self._ended = error, True
            if len(items) % _TURN_ITEMS == 0:  # a source that never waits must not keep the loop
                await asyncio.sleep(0)
        if not items:
            raise StopAsyncIteration
        return items

    async def aclose(self) -> None:
        iterator, self._iterator = self._iterator, None
        await close_async(iterator)


class ThreadFeed(Generic[T]):
    """A plain iterator in a helper thread that fills a queue. `room` guards all of it, and may be shared by several.

    make: gives the iterator, in the helper thread.
    """

    def __init__(self, make: Callable[[], Closable[T]], room: threading.Condition) -> None:
        self.make = make
        self.room = room
        self.items: deque[T] = deque()
        self.error: BaseException | None = None
        self.close_error: BaseException | None = None
        self.closing = False
        self.blocked = True  # the iterator's code runs, or what makes it
        self.done = False

    def changed(self) -> None:
        """Wakes the consumer; called under `room`."""
        self.room.notify_all()

    def arrived(self) -> None:
        """There is another item, or the end; called under `room`."""

    def stop(self) -> None:
        """Asks for no more; any thread."""
        with self.room:
            self.closing = True
            self.room.notify_all()

    # --- the reader's thread

    def run(self) -> None:
        iterator: Closable[T] | None = None
        try:
            iterator = self.make()
            while self._wait():
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                with self.room:
                    self.blocked = False
                    self.items.append(item)
                    self.arrived()
                    self.changed()
                del item  # who takes it may be the last to hold it
        except BaseException as error:  # handed to the consumer
            self.error = error
        with self.room:
            self.blocked = False
            self.changed()
        try:
            if iterator is not None:
                iterator.close()
        except BaseException as error:  # handed to the consumer
            with self.room:
                if self.closing or self.error is None:
                    self.close_error = error
                if not self.closing:
                    self.error = self.error or error
        with self.room:
            self.done = True
            self.arrived()
            self.changed()

    def _wait(self) -> bool:
        """Waits for room; False when no more is wanted."""
        with self.room:
            while len(self.items) >= QUEUE_MAX and not self.closing:
                self.room.wait()
            self.blocked = not self.closing
            return self.blocked


class _LoopThreadFeed(ThreadFeed[T]):
    """What a loop consumes."""

    def __init__(self, make: Callable[[], Closable[T]], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(make, threading.Condition())
        self.loop = loop
        self.wake = asyncio.Event()

    def changed(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed, and nobody waits
            self.loop.call_soon_threadsafe(self.wake.set)

    # --- the loop's thread

    async def take(self) -> T:
        while True:
            with self.room:
                if self.items:
                    item = self.items.popleft()
                    self.room.notify_all()
                    break
                if self.done:
                    error, self.error = self.error, None
                    if error is self.close_error:
                        self.close_error = None  # it is told once
                    if error is not None:
                        raise error
                    raise StopAsyncIteration
                self.wake.clear()
            await self.wake.wait()
        # A queue that never runs empty must not keep the loop from its other tasks.
        await asyncio.sleep(0)
        return item

    async def end(self) -> None:
        """Waits until the source is closed, or sits in a call that blocks."""
        until = self.loop.time() + BLOCKED_S_MAX
        while True:
            with self.room:
                if self.done:
                    break
                self.wake.clear()
                left = until - self.loop.time() if self.blocked else None
            if left is not None and left <= 0:
                return
            try:
                await asyncio.wait_for(self.wake.wait(), left)
            except TimeoutError:
                continue
        if self.close_error is not None:
            raise self.close_error


class ReaderThread(Generic[T]):
    """Awaits the items of a plain iterator, which runs in a helper thread, at most `QUEUE_MAX` ahead. Made on a running loop."""

    __slots__ = ("__weakref__", "_feed")

    def __init__(self, make: Callable[[], Closable[T]]) -> None:
        self._feed: _LoopThreadFeed[T] | None = _LoopThreadFeed(make, asyncio.get_running_loop())
        start(self._feed.run, "sabot-reader")

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._feed is None:
            raise StopAsyncIteration
        return await self._feed.take()

    async def aclose(self) -> None:
        """Has the helper thread close the iterator and waits for it, unless it is inside a call that blocks."""
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.stop()
            await feed.end()

    def __del__(self) -> None:
        feed: _LoopThreadFeed[T] | None = getattr(self, "_feed", None)
        if feed is not None:
            feed.stop()


def start(target: Callable[[], Any], name: str) -> threading.Thread:
    """A helper thread under a copy of the caller's context."""
    # A daemon: a consumer that was forgotten keeps no interpreter from its end.
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(target,), name=name, daemon=True
    )
    thread.start()
    return thread
