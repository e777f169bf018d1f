"""Sabot: plain Python functions at native speed over Apache Arrow batches."""

from sabot._apply import apply
from sabot._auto import auto_compile
from sabot._config import Config, config
from sabot._core import __version__
from sabot._errors import (
    CastError,
    CompileError,
    DataError,
    IntegerOverflowError,
    MissingFileError,
    MissingLibraryError,
    PlanError,
    ResourceError,
    SabotError,
    SchemaError,
    StateError,
    TargetExistsError,
    TypeMismatchError,
    UnboundedError,
    UnknownColumnError,
    WorkerError,
)
from sabot._expr import col
from sabot._metrics import metrics
from sabot._profile import Profile
from sabot._report import Reason, Report, explain
from sabot._results import WriteResult
from sabot._run import LastRun
from sabot._strategy import CompilationStrategy, FunctionPattern, UdfCompiler
from sabot._stream import Stream
from sabot._udf import udf

__all__ = [
    "CastError",
    "CompilationStrategy",
    "CompileError",
    "Config",
    "DataError",
    "FunctionPattern",
    "IntegerOverflowError",
    "LastRun",
    "MissingFileError",
    "MissingLibraryError",
    "PlanError",
    "Profile",
    "Reason",
    "Report",
    "ResourceError",
    "SabotError",
    "SchemaError",
    "StateError",
    "Stream",
    "TargetExistsError",
    "TypeMismatchError",
    "UdfCompiler",
    "UnboundedError",
    "UnknownColumnError",
    "WorkerError",
    "WriteResult",
    "__version__",
    "apply",
    "auto_compile",
    "col",
    "config",
    "explain",
    "metrics",
    "udf",
]
