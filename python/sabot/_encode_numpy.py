"""Calls of NumPy's functions in a blob: NumPy's scalar types, as far as they take numbers.

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


def writer_of(value: object) -> Writer | None:
    """What writes a call of this object; None: it is none of NumPy's that are compiled."""
    numpy = sys.modules.get("numpy")
    return None if numpy is None else _writers(numpy).get(id(value))


@functools.cache
def _writers(numpy: ModuleType) -> dict[int, Writer]:
    """By the function's id. An older NumPy promotes by values, and is none that is compiled."""
    if not str(getattr(numpy, "__version__", "")).startswith("2."):
        return {}
    return {id(_named(numpy, name)): _cast(letter) for name, letter in TYPES.items()}


def _named(numpy: ModuleType, name: str) -> Any:
    return numpy.dtype(name).type


def _cast(letter: str) -> Writer:
    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if node.keywords or has_stars(node) or len(node.args) != 1:
            return refuse_call(encoder, node)
        return builtin(
            encoder, node, "NP_CAST", node.args[0], joined(encoder.value(node, ord(letter)))
        )

    return write
