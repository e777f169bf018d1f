"""Sabot: plain Python functions at native speed over Apache Arrow batches."""

from sabot._config import Config, config
from sabot._core import __version__
from sabot._errors import (
    CastError,
    DataError,
    IntegerOverflowError,
    PlanError,
    ResourceError,
    SabotError,
    SchemaError,
    StateError,
    TypeMismatchError,
    UnknownColumnError,
)
from sabot._report import Reason, Report, explain
from sabot._stream import LastRun, Stream

__all__ = [
    "CastError",
    "Config",
    "DataError",
    "IntegerOverflowError",
    "LastRun",
    "PlanError",
    "Reason",
    "Report",
    "ResourceError",
    "SabotError",
    "SchemaError",
    "StateError",
    "Stream",
    "TypeMismatchError",
    "UnknownColumnError",
    "__version__",
    "config",
    "explain",
]
