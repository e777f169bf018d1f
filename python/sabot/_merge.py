"""Union: inputs that end follow each other, inputs of which one may not end are taken as they arrive.

As they arrive: each input runs on a reader thread of its own, at most `QUEUE_MAX` batches ahead, so that one that is silent keeps
nobody waiting and one that is fast fills only its own queue. Batches come out in the order in which they were queued, the
error of an input where its next batch would have stood. The consumer never drives an input: each thread closes its own.
"""

from __future__ import annotations

import threading
import time
from asyncio import CancelledError
from collections import deque
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from sabot._bridge import BLOCKED_S_MAX, ThreadFeed, start
from sabot._checks import unlike
from sabot._derive import Derived
from sabot._errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    import pyarrow as pa

    from sabot._bridge import Closable
    from sabot._derive import Transform
    from sabot._piece import Piece
    from sabot._run import RunContext, Stops
    from sabot._stage import Stage


class Union(Derived):
    """The source that a union of streams is; its inputs follow each other where it is bounded."""

    __slots__ = ()

    def begin(self, context: RunContext, stage: Stage) -> Generator[Piece]:
        return super().begin(context, stage) if self.bounded else self._arriving(context, stage)

    def _arriving(self, context: RunContext, stage: Stage) -> Generator[Piece]:
        branches = [context.branch() for _ in self.parents]
        merge = Merge(
            [
                (partial(parent.pieces, branch, below), branch.stops)
                for parent, branch, below in zip(self.parents, branches, stage.inputs, strict=True)
            ]
        )
        context.stops.add(merge.cut)
        try:
            merge.start()
            yield from self.transform([merge], context)
        finally:
            context.stops.remove(merge.cut)
            try:
                merge.close()
            finally:
                for branch in branches:
                    context.reports += branch.reports


def union(schema: pa.Schema | None) -> Transform:
    """All pieces of the inputs, which must have one schema; None: that of the first piece."""

    def transform(inputs: Sequence[Iterator[Piece]], context: RunContext) -> Iterator[Piece]:
        wanted = schema
        for piece in chain.from_iterable(inputs):
            given = piece.batch.schema
            if wanted is None:
                wanted = given
            elif given is not wanted and not given.equals(wanted):
                raise SchemaError(unlike(wanted, given))
            yield piece

    return transform


class _Input(ThreadFeed["Piece"]):
    """One input's queue; `order` has the queue's owner once for each item, and once more for its end."""

    def __init__(
        self,
        make: Callable[[], Closable[Piece]],
        stops: Stops,
        room: threading.Condition,
        order: deque[_Input],
    ) -> None:
        super().__init__(make, room)
        self.stops = stops
        self._order = order

    def arrived(self) -> None:
        self._order.append(self)


class Merge:
    """The items of several iterators as they arrive.

    Parameters:
        inputs: what makes each iterator, and what ends a wait in it; both are used on the iterator's own thread, stop() on any.
    """

    def __init__(self, inputs: Iterable[tuple[Callable[[], Closable[Piece]], Stops]]) -> None:
        self._room = threading.Condition()
        self._order: deque[_Input] = deque()
        self._cut = False
        self._inputs = [_Input(make, stops, self._room, self._order) for make, stops in inputs]
        self._left = len(self._inputs)

    def start(self) -> None:
        """Starts the threads."""
        for one in self._inputs:
            start(one.run, "sabot-reader")

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        with self._room:
            while self._left:
                while not (self._order or self._cut):
                    self._room.wait()
                if self._cut:
                    raise CancelledError
                one = self._order.popleft()
                if one.items:
                    self._room.notify_all()
                    return one.items.popleft()
                self._left -= 1
                error, one.error = one.error, None
                if error is one.close_error:
                    one.close_error = None  # it is told once
                if error is not None:
                    self._left = 0
                    raise error
        raise StopIteration

    def cut(self) -> None:
        """From any thread: a wait in __next__ raises CancelledError. Who reads still closes."""
        with self._room:
            self._cut = True
            self._room.notify_all()
        self._stop()

    def _stop(self) -> None:
        for one in self._inputs:
            one.stop()
            one.stops.stop()

    def close(self) -> None:
        """Has every thread close its input, and waits for all but those that sit in a call that blocks; again does nothing.

        Raises:
            What closing raised, of the first input where it did.
        """
        self._left = 0
        self._stop()
        until = time.monotonic() + BLOCKED_S_MAX
        with self._room:
            while any(not one.done for one in self._inputs):
                left = until - time.monotonic()
                if left <= 0 and all(one.done or one.blocked for one in self._inputs):
                    break
                self._room.wait(left if left > 0 else None)
            errors = [one.close_error for one in self._inputs if one.close_error is not None]
            for one in self._inputs:
                one.close_error = None
        if errors:
            raise errors[0]
