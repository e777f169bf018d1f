"""Classes given as functions: their object is built where it is called, once, and closed at the end of the run.

A class with `__call__` is built without arguments at the first call, never while a stream is built. The threads of one process
share the object; every worker process has its own. At the end of the run, after its last call, its `close()` is called if it has one
(an `async def close` is awaited on the loop of the calls). `__enter__` and `__exit__` are not: nobody entered it.
"""

from __future__ import annotations

import threading
from types import FunctionType
from typing import Any


def is_class(fn: object) -> bool:
    """Whether it is a class whose objects can be called."""
    return isinstance(fn, type) and called_function(fn) is not None


def called_function(kind: type) -> FunctionType | None:
    """The `__call__` that objects of a class have, where it is written in Python."""
    for base in kind.__mro__:
        if "__call__" in vars(base):
            found: object = vars(base)["__call__"]
            return found if isinstance(found, FunctionType) else None
    return None


class Holder:
    """The function that is called; of a class, its one object in this process. Any thread may ask for it."""

    def __init__(self, target: Any, name: str) -> None:
        self._name = name
        self._build: Any = target if is_class(target) else None
        self._fn: Any = None if self._build is not None else target
        self._failure: BaseException | None = None
        self._lock = threading.Lock()

    def get(self) -> Any:
        """The function. What building its object raised is raised again at every call."""
        if self._fn is None:
            with self._lock:
                if self._failure is not None:
                    raise self._failure
                if self._fn is None:
                    try:
                        self._fn = self._build()
                    except BaseException as error:  # kept for the other threads
                        error.add_note(f"while building the {self._name} of this worker")
                        self._failure = error
                        raise
        return self._fn

    def close(self) -> Any:
        """Closes an object that was built; gives what its close() gave, which may have to be awaited."""
        with self._lock:
            fn, built = self._fn, self._build is not None
            if built:
                self._fn, self._build = None, _closed
        close = getattr(fn, "close", None) if built and fn is not None else None
        return close() if close is not None else None


def _closed() -> None:
    raise RuntimeError("the run has ended")
