"""Between threads and event loops: an async iterable driven from plain code, a plain iterator awaited by a loop.

`iterate_on_loop` runs an async iterable on an event loop of its own, in a helper thread. `ReaderThread` runs a plain iterator in
a helper thread for a loop that must not wait; `DirectReader` runs one that never waits on the loop itself.

Each passes items through a queue of `QUEUE_MAX`: the producer waits for room. Whoever drives a source closes it, once: the loop
or the helper thread, never the consumer's thread. Exceptions of the producer are raised in the consumer as they are. Helper
threads run under a copy of the consumer's context and end with their source; a consumer that is dropped without close() ends
them too, since they hold only the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

QUEUE_MAX = 2
# An iterator inside a call that blocks cannot be closed; its helper thread is left to close it when the call returns.
_BLOCKED_S_MAX = 0.2


class Closable(Protocol[T_co]):
    """A plain iterator that is closed by its driver."""

    def __next__(self) -> T_co: ...
    def close(self) -> None: ...


class _LoopFeed(Generic[T]):
    """The queue between a private loop and the thread that consumes. `ready` guards all of it."""

    def __init__(self, make: Callable[[], AsyncIterable[T]]) -> None:
        self.make = make
        self.ready = threading.Condition()
        self.items: deque[T] = deque()
        self.error: BaseException | None = None
        self.close_error: BaseException | None = None
        self.closing = False
        self.done = False
        self._loop = asyncio.new_event_loop()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- consumer's thread

    def take(self) -> T:
        with self.ready:
            while not self.items and not self.done:
                self.ready.wait()
            if self.items:
                item = self.items.popleft()
                self._tell(self._room.set)
                return item
            error, self.error = self.error, None
        if error is not None:
            raise error
        raise StopIteration

    def stop(self) -> None:
        with self.ready:
            if not self.closing:
                self.closing = True
                self._tell(self._cancel)

    def _tell(self, call: Callable[[], object]) -> None:
        # Under `ready`, and the loop is closed only after `done` was set under it.
        if not self.done:
            self._loop.call_soon_threadsafe(call)

    # --- the loop's thread

    def run(self) -> None:
        loop = self._loop
        try:
            self._task = loop.create_task(self._main())
            loop.run_until_complete(self._task)
            self._end_strays()
        except BaseException as error:  # handed to the consumer
            self._fail(error)
        finally:
            with self.ready:
                self.done = True
                self.ready.notify_all()
            loop.close()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _fail(self, error: BaseException) -> None:
        with self.ready:
            # Once the consumer has enough, only what closing raises concerns it.
            if self.closing:
                self.close_error = self.close_error or error
            else:
                self.error = self.error or error

    async def _main(self) -> None:
        iterator: AsyncIterator[T] | None = None
        try:
            iterator = aiter(self.make())
            async for item in iterator:
                await self._put(item)
                if self.closing:
                    break
        except asyncio.CancelledError as error:
            if not self.closing:
                self._fail(error)
        except BaseException as error:  # handed to the consumer
            self._fail(error)
        self._task = None  # what closes the source is not cancelled
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        try:
            await close_async(iterator)
        except BaseException as error:  # handed to the consumer
            self._fail(error)

    async def _put(self, item: T) -> None:
        while len(self.items) >= QUEUE_MAX and not self.closing:
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


class LoopThread(Generic[T]):
    """Plain iteration over an async iterable, which runs on a private event loop in a helper thread."""

    __slots__ = ("__weakref__", "_feed", "_thread")

    def __init__(self, make: Callable[[], AsyncIterable[T]]) -> None:
        self._feed: _LoopFeed[T] | None = _LoopFeed(make)
        self._thread = _start(self._feed.run, "sabot-loop")

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
        self._thread.join()
        if feed.close_error is not None:
            raise feed.close_error

    def __del__(self) -> None:
        feed: _LoopFeed[T] | None = getattr(self, "_feed", None)
        if feed is not None:
            feed.stop()


def iterate_on_loop(make: Callable[[], AsyncIterable[T]]) -> LoopThread[T]:
    """Plain iteration over the async iterable that `make` gives; `make` and the iterable run on a private event loop.

    The loop runs in a helper thread, at most `QUEUE_MAX` items ahead. close() cancels the iterable where it waits; it is closed
    exactly once, on that loop.

    >>> async def numbers():
    ...     for k in range(3):
    ...         yield k
    >>> list(iterate_on_loop(numbers))
    [0, 1, 2]
    """
    return LoopThread(make)


async def close_async(iterator: object) -> None:
    """Closes an async iterator, where it can be closed."""
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()


class _ThreadFeed(Generic[T]):
    """The queue between a reader thread and the loop that consumes. `room` guards all of it."""

    def __init__(self, make: Callable[[], Closable[T]], loop: asyncio.AbstractEventLoop) -> None:
        self.make = make
        self.loop = loop
        self.room = threading.Condition()
        self.items: deque[T] = deque()
        self.error: BaseException | None = None
        self.close_error: BaseException | None = None
        self.closing = False
        self.blocked = False  # the iterator's code runs
        self.done = False
        self.changed = asyncio.Event()

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
                    if error is not None:
                        raise error
                    raise StopAsyncIteration
                self.changed.clear()
            await self.changed.wait()
        # A queue that never runs empty must not keep the loop from its other tasks.
        await asyncio.sleep(0)
        return item

    def stop(self) -> None:
        with self.room:
            self.closing = True
            self.room.notify_all()

    async def end(self) -> None:
        """Waits until the source is closed; not for longer than `_BLOCKED_S_MAX` for one that is inside a call."""
        until = self.loop.time() + _BLOCKED_S_MAX
        while True:
            with self.room:
                if self.done:
                    break
                self.changed.clear()
                left = until - self.loop.time() if self.blocked else None
            if left is not None and left <= 0:
                return
            try:
                await asyncio.wait_for(self.changed.wait(), left)
            except TimeoutError:
                continue
        if self.close_error is not None:
            raise self.close_error

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
                    self._wake()
        except BaseException as error:  # handed to the consumer
            self.error = error
        with self.room:
            self.blocked = False
            self._wake()
        try:
            if iterator is not None:
                iterator.close()
        except BaseException as error:  # handed to the consumer
            with self.room:
                if self.closing:
                    self.close_error = error
                else:
                    self.error = self.error or error
        with self.room:
            self.done = True
            self._wake()

    def _wait(self) -> bool:
        """Waits for room; False when no more is wanted."""
        with self.room:
            while len(self.items) >= QUEUE_MAX and not self.closing:
                self.room.wait()
            self.blocked = not self.closing
            return self.blocked

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed, and nobody waits
            self.loop.call_soon_threadsafe(self.changed.set)


class ReaderThread(Generic[T]):
    """Awaits the items of a plain iterator, which runs in a helper thread, at most `QUEUE_MAX` ahead. Made on a running loop."""

    __slots__ = ("__weakref__", "_feed")

    def __init__(self, make: Callable[[], Closable[T]]) -> None:
        self._feed: _ThreadFeed[T] | None = _ThreadFeed(make, asyncio.get_running_loop())
        _start(self._feed.run, "sabot-reader")

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
        feed: _ThreadFeed[T] | None = getattr(self, "_feed", None)
        if feed is not None:
            feed.stop()


class DirectReader(Generic[T]):
    """Awaits the items of a plain iterator whose every step is short, on the loop; other tasks run between two items."""

    __slots__ = ("_iterator",)

    def __init__(self, iterator: Closable[T]) -> None:
        self._iterator = iterator

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        await asyncio.sleep(0)
        try:
            return next(self._iterator)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Closes the iterator."""
        self._iterator.close()


def _start(target: Callable[[], Any], name: str) -> threading.Thread:
    # A daemon: a consumer that was forgotten keeps no interpreter from its end.
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(target,), name=name, daemon=True
    )
    thread.start()
    return thread
