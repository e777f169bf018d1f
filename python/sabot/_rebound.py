"""Whether user code of a run changed what its compiled functions were made from.

A compiled function is right while its guards hold (_guards.py). They are looked at when a run starts, and after each piece of user code
of that run: a function that CPython runs and that nobody declared pure, a source in Python, whoever takes the results. A function
whose guards no longer hold is interpreted from there to the end of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sabot._batches import Source
from sabot._derive import Derived

if TYPE_CHECKING:
    from collections.abc import Collection

    from sabot._chain import Chain, TableSource
    from sabot._guards import Guards

# What ran, as the extension tells it.
CONSUMER, SOURCE, ROWS, BATCH = range(4)


class RunGuard:
    """Looks at the guards of a run's compiled functions each time that user code has run.

    changed: functions that the run interprets, and why; it grows.
    count: of the functions.
    opaque: indices of the functions after which to look; batches: operators of the batch functions likewise.
    consumer, source: whether the consumer, or the source, is user code.
    """

    __slots__ = ("_after", "_changed", "_count", "_guards", "_looks")

    def __init__(
        self,
        guards: list[tuple[int, Guards]],
        changed: dict[int, str],
        count: int,
        opaque: Collection[int],
        batches: Collection[int],
        consumer: bool,
        source: bool,
    ) -> None:
        self._guards = guards
        self._changed = changed
        self._count = count
        self._looks = (consumer, source, False, False)
        self._after = ((), (), frozenset(opaque), frozenset(batches))

    def __call__(self, ran: int, index: int) -> list[bool] | None:
        """Which functions are interpreted from here on, None: those that were; called by the engine's lane."""
        # A function that is interpreted because something changed is no longer the one that was found to be pure.
        if not (
            self._looks[ran]
            or index in self._after[ran]
            or (ran == ROWS and index in self._changed)
        ):
            return None
        for _, guards in self._guards:
            if guards.changed() is not None:
                return self._found()
        return None

    def _found(self) -> list[bool]:
        left: list[tuple[int, Guards]] = []
        for index, guards in self._guards:
            name = guards.changed()
            if name is None:
                left.append((index, guards))
            else:
                self._changed[index] = f"rebound: {name}"
        self._guards = left
        return [index in self._changed for index in range(self._count)]


class Calls(NamedTuple):
    """What user code the operators of a stream have.

    opaque: functions that CPython runs, in order, and that may do anything. guarded: compiled functions, which such may concern.
    """

    opaque: bool
    guarded: bool

    def __or__(self, other: Calls) -> Calls:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Calls(self.opaque or other.opaque, self.guarded or other.guarded)


def calls_of(source: TableSource | Source | Derived, chain: Chain | None) -> Calls:
    """Those of a stream with this source; chain None: its operators are not known before the run, so they may be anything."""
    found = calls_before(source)
    if chain is None:
        return Calls(True, True)
    guards = _guards(chain, ())
    # What is there instead of what was compiled may do anything, too.
    changed = [index for index, one in guards if one.changed() is not None]
    return found | Calls(any(opaque_calls(chain, changed)), bool(guards))


def calls_before(source: TableSource | Source | Derived) -> Calls:
    """Those of the streams that a source reads, and of what it does itself."""
    if not isinstance(source, Derived):
        return Calls(False, False)
    found = Calls(source.opaque, False)
    for parent in source.parents:
        found |= parent.calls
    return found


def in_python(source: TableSource | Source | Derived) -> bool:
    """Whether it reads the user's own iterable."""
    if isinstance(source, Derived):
        return any(in_python(parent.source) for parent in source.parents)
    return isinstance(source, Source) and source.in_python


def opaque_calls(chain: Chain, changed: Collection[int]) -> tuple[list[int], list[int]]:
    """Functions of rows, by index, and batch functions, by operator, that may do anything when they are called."""
    functions = [
        index
        for index, step in enumerate(chain.steps)
        if (index in changed or not step.scalar.core.compiled) and not step.binding.pure
    ]
    batches = [
        op
        for op, binding in chain.batches.items()
        if not binding.pure and (binding.lowered is None or changed)
    ]
    return functions, batches


def _guards(chain: Chain, changed: Collection[int]) -> list[tuple[int, Guards]]:
    """Of the functions that are compiled in a run."""
    found: list[tuple[int, Guards]] = []
    for index, step in enumerate(chain.steps):
        guards = step.scalar.captured.guards
        if index not in changed and step.scalar.core.compiled and guards is not None:
            found.append((index, guards))
    return found


class Watch(NamedTuple):
    """How a run sees to its compiled functions: `guard` is told of user code, None where there is none.

    in_step: the source is read only when all before it was given out, so that user code runs in one order.
    """

    guard: RunGuard | None
    in_step: bool


def watch(
    chain: Chain,
    source: TableSource | Source | Derived,
    changed: dict[int, str],
    consumer: bool,
) -> Watch:
    """How a run is to be watched.

    Parameters:
        changed: functions that it interprets from the start, and why.
        consumer: who takes its results may run user code between two of them.
    """
    before = calls_before(source)
    python = in_python(source)
    functions, batches = opaque_calls(chain, changed)
    guards = _guards(chain, changed)
    opaque = bool(functions or batches)
    in_step = (
        (before.opaque and bool(guards))
        or (before.guarded and (consumer or opaque))
        or ((before.opaque or python) and opaque)
    )
    if not guards or not (opaque or consumer or before.opaque or python):
        return Watch(None, in_step)
    source_runs = before.opaque or python
    guard = RunGuard(guards, changed, len(chain.steps), functions, batches, consumer, source_runs)
    return Watch(guard, in_step)
