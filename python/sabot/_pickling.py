"""cloudpickle, with types. It sends what an ordinary pickle cannot: functions and classes of the main module, lambdas, closures."""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle as _cloudpickle  # pyright: ignore[reportMissingTypeStubs]

_module: Any = _cloudpickle


def dumps(value: Any) -> bytes:
    """A value as bytes, for another process of this machine with the same Python and packages."""
    return _module.dumps(value)


loads = pickle.loads
