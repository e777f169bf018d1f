"""Lists in a blob: their methods, items that are assigned to, slices.

A method is taken for one of a list where it stands on a local, or on what a local holds: the compiler refuses it where that is no list.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sabot._blob import BUILTINS
from sabot._encode import Encoder, u8, u32

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from sabot._encode import Part

    Method: TypeAlias = Callable[[Encoder, ast.Call, ast.expr], Sequence[Part]]


def _is_own(encoder: Encoder, node: ast.AST) -> bool:
    """Whether what an expression names can only be an object of this call: a local, or what a local holds."""
    while isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
        node = node.value
    return isinstance(node, ast.Name) and encoder.scope.slot(encoder.mangle(node.id)) is not None


def item_of(encoder: Encoder, target: ast.AST) -> tuple[Part, Part] | None:
    """The list and the position of an item that is assigned to; None for any other target."""
    if not isinstance(target, ast.Subscript) or isinstance(target.slice, ast.Slice):
        return None
    return (target.value, target.slice) if _is_own(encoder, target.value) else None


def slice_of(
    encoder: Encoder, node: ast.Subscript, held: ast.expr, bounds: ast.Slice
) -> Sequence[Part]:
    """A slice of `held` with bounds, or all of it backwards."""
    none = encoder.at("CONST_NONE", node)
    lower, upper = bounds.lower or none, bounds.upper or none
    backwards = False
    match bounds.step:
        case None | ast.Constant(value=1):
            pass
        case ast.UnaryOp(ast.USub(), ast.Constant(value=1)) if lower is upper is none:
            backwards = True
        case _:
            return encoder.unsupported(node, "syntax", "a slice with a step")
    return [encoder.at("SLICE", node), u8(backwards), held, lower, upper]


def reverse_of(node: ast.Call) -> list[bool] | None:
    """The constant `reverse` of a sort, if it is given; None where it has other keywords."""
    match node.keywords:
        case []:
            return []
        case [ast.keyword("reverse", ast.Constant(value=bool(value)))]:
            return [value]
        case _:
            return None


def method(encoder: Encoder, node: ast.Call) -> Sequence[Part] | None:
    """A call of a list's method; None for anything else."""
    if not isinstance(node.func, ast.Attribute) or not _is_own(encoder, node.func.value):
        return None
    write = _METHODS.get(node.func.attr)
    return write(encoder, node, node.func.value) if write is not None else None


def _refuse(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    form = f"a call of {ast.unparse(node.func)} with these arguments"
    return encoder.unsupported(node, "syntax", form)


def _plain(name: str, least: int, most: int) -> Method:
    def write(encoder: Encoder, node: ast.Call, owner: ast.expr) -> Sequence[Part]:
        stars = any(isinstance(arg, ast.Starred) for arg in node.args)
        if node.keywords or stars or not least <= len(node.args) <= most:
            return _refuse(encoder, node)
        count = u32(1 + len(node.args))
        return [encoder.at("CALL", node), u8(BUILTINS[name]), count, owner, *node.args]

    return write


def _sort(encoder: Encoder, node: ast.Call, owner: ast.expr) -> Sequence[Part]:
    from sabot._encode_sorted import key_of, sees_list, sorted_by, without_key

    key, node = key_of(node), without_key(node)
    reverse = reverse_of(node)
    if reverse is None or node.args:
        return _refuse(encoder, node)
    if key is not None:
        if sees_list(encoder, key):
            return encoder.unsupported(key, "syntax", "a key of sort that reads locals")
        return sorted_by(encoder, node, [owner], key, any(reverse), True)
    constant = encoder.value(node, any(reverse))
    return [encoder.at("CALL", node), u8(BUILTINS["SORT"]), u32(2), owner, *constant]


def _copy(encoder: Encoder, node: ast.Call, owner: ast.expr) -> Sequence[Part]:
    if node.args or node.keywords:
        return _refuse(encoder, node)
    none = encoder.at("CONST_NONE", node)
    return [encoder.at("SLICE", node), u8(0), owner, none, none]


_METHODS: dict[str, Method] = {
    "append": _plain("APPEND", 1, 1),
    "copy": _copy,
    "extend": _plain("EXTEND", 1, 1),
    "index": _plain("LIST_INDEX", 1, 1),
    "insert": _plain("INSERT", 2, 2),
    "pop": _plain("POP", 0, 1),
    "reverse": _plain("REVERSE", 0, 0),
    "sort": _sort,
}
