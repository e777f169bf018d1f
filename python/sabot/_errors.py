"""The exception tree. Every error says what was wrong, where, and what to do; `by_status` makes them from the engine's."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sabot._report import Report


class SabotError(Exception):
    """Base of all errors that Sabot raises itself. A user function's own exceptions keep their type."""


class PlanError(SabotError, ValueError):
    """What was asked for cannot be planned; raised before anything runs."""


class UnknownColumnError(PlanError):
    """A name is no column of the input."""


class MissingFileError(PlanError, FileNotFoundError):
    """A file to read is not there."""


class MissingLibraryError(PlanError, ImportError):
    """Something needs a library that is not installed."""


class TargetExistsError(PlanError, FileExistsError):
    """`mode="error"`, and something is there already."""


class UnboundedError(PlanError):
    """What was asked for needs an end that the stream has not."""


class TypeMismatchError(PlanError):
    """Types do not fit each other, or a function's returns have no common type."""


class CompileError(SabotError, TypeError):
    """A function that must be compiled cannot be. `report`: the `Report` that says why."""

    def __init__(self, name: str, report: Report) -> None:
        super().__init__(name, report)
        self.report = report

    def __str__(self) -> str:
        return f'compile="require", but {self.args[0]} cannot be compiled:\n{self.report}'


class DataError(SabotError, ValueError):
    """What arrived does not fit what was planned."""


class SchemaError(DataError):
    """A batch has another schema than the plan knows."""


class CastError(DataError):
    """A value is not of its column's kind."""


class IntegerOverflowError(CastError, OverflowError):
    """A Python int does not fit its column."""


class ResourceError(SabotError, MemoryError):
    """Memory, or another limit, ran out."""


class WorkerError(SabotError, RuntimeError):
    """A worker process died, and so did the one that took its place."""


class StateError(SabotError, RuntimeError):
    """An object was used in a state that does not allow it."""


# By number: the statuses of include/sabot.h.
_BY_STATUS: dict[int, type[SabotError]] = {
    1: ResourceError,
    2: DataError,
    3: TypeMismatchError,
    4: UnknownColumnError,
    5: PlanError,
    8: ResourceError,
    11: StateError,
}


def by_status(status: int, message: str) -> SabotError:
    """The exception for a failed call of the engine."""
    return _BY_STATUS.get(status, SabotError)(message)


def suggest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or what there is, for an unknown name."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is {', '.join(map(repr, names))}" if names else ""
