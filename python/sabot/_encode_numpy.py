"""Calls of NumPy's functions in a blob: its scalar types and some ufuncs, as far as they take numbers.

NumPy is looked at where the process has it, and never imported.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from sabot._encode_calls import builtin, has_stars, joined, refuse_call

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import TypeAlias

    from sabot._encode import Encoder, Part

    Writer: TypeAlias = Callable[[Encoder, ast.Call], Sequence[Part]]

# The letter of the Arrow format is how blob.h names a type.
TYPES = {
    "bool": "b",
    "int8": "c",
    "uint8": "C",
    "int16": "s",
    "uint16": "S",
    "int32": "i",
    "uint32": "I",
    "int64": "l",
    "uint64": "L",
    "float32": "f",
    "float64": "g",
}
# Functions whose results are rounded as the operation itself, with the number of their arguments.
FUNCTIONS = {
    "sqrt": 1,
    "absolute": 1,
    "fabs": 1,
    "floor": 1,
    "ceil": 1,
    "trunc": 1,
    "rint": 1,
    "sign": 1,
    "square": 1,
    "negative": 1,
    "isnan": 1,
    "isinf": 1,
    "isfinite": 1,
    "minimum": 2,
    "maximum": 2,
    "clip": 3,
}


def letter_of(dtype: Any) -> str:
    """Of one of `TYPES`."""
    return TYPES[dtype.name]


def writer_of(value: object) -> Writer | None:
    """What writes a call of this object; None: it is none of NumPy's that are compiled."""
    numpy = sys.modules.get("numpy")
    return None if numpy is None else _writers(numpy).get(id(value))


@functools.cache
def _writers(numpy: ModuleType) -> dict[int, Writer]:
    """By the function's id. An older NumPy promotes by values, and is none that is compiled."""
    if not str(getattr(numpy, "__version__", "")).startswith("2."):
        return {}
    types = {id(numpy.dtype(name).type): _cast(letter) for name, letter in TYPES.items()}
    return types | {id(getattr(numpy, name)): _function(name, n) for name, n in FUNCTIONS.items()}


def _function(name: str, count: int) -> Writer:
    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if node.keywords or has_stars(node) or len(node.args) != count:
            return refuse_call(encoder, node)
        return builtin(encoder, node, f"NP_{name.upper()}", *node.args)

    return write


def _cast(letter: str) -> Writer:
    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if node.keywords or has_stars(node) or len(node.args) != 1:
            return refuse_call(encoder, node)
        return builtin(
            encoder, node, "NP_CAST", node.args[0], joined(encoder.value(node, ord(letter)))
        )

    return write
